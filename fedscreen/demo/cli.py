"""The command `fedscreen demo`.

Exit codes: 0 the round was released and the bundle verified; 1 it was not, the message says why; 2 wrong
usage; 130 interrupted. Every process that the demo started has ended when it returns.
"""

from __future__ import annotations

import json
from gettext import gettext as _
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from crypto.errors import CryptoError
from fedscreen.demo.processes import interrupt_once
from fedscreen.demo.run import STATES, Options, Outcome, make_files, run_demo
from node.cli_text import error_lines
from node.errors import NodeError
from plan.codes import LEVEL, STAGE
from plan.errors import PhrasedError, PlanError, told
from protos.errors import ProtocolError
from results.summary import summarise

EXIT_REFUSED = 1
EXIT_INTERRUPTED = 130
DEFAULT_OUT = Path("demo-out")


@click.command(name="demo", help=_("A whole county on this machine, with real processes."))
@click.option(
    "--schools", type=click.IntRange(5, 200), default=12, show_default=True, help=_("Number of schools.")
)
@click.option("--pupils", type=click.IntRange(5, 500_000), help=_("Number of pupils (synthetic data only)."))
@click.option(
    "--auditors", type=click.IntRange(1, 7), default=4, show_default=True, help=_("Number of auditors.")
)
@click.option(
    "--threshold", type=click.IntRange(1, 7), default=3, show_default=True, help=_("How many open.")
)
@click.option(
    "--data",
    type=click.Choice(["synthetic", "addhealth"]),
    default="synthetic",
    show_default=True,
    help=_("Made-up pupils, or 4,344 real adolescents (extra 'realdata')."),
)
@click.option(
    "--seed", type=int, default=1, show_default=True, help=_("Of the school files; of nothing else.")
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_OUT,
    show_default=True,
    help=_("Folder to write; an earlier demo's is replaced."),
)
@click.option(
    "--pause-at", type=click.Choice(STATES), help=_("Stand still in a state until OUT/continue exists.")
)
@click.option("--record-frames", is_flag=True, help=_("Keep every frame between the two sides of each wall."))
@click.option("--only-files", is_flag=True, help=_("Write the school files and a plan, then stop."))
@click.option("--json", "as_json", is_flag=True, help=_("Print summary.json instead of tables."))
def demo(as_json: bool, only_files: bool, **values: Any) -> None:
    """Run the demo, print what came out."""
    interrupt_once()
    options = Options(**{**values, "pause_at": values["pause_at"] or ""})
    console = Console(stderr=as_json, highlight=False)
    try:
        if only_files:
            plan = make_files(options)
            click.echo(
                _("written: %(folder)s and %(plan)s") % {"folder": options.out / "schools", "plan": plan}
            )
            return
        outcome = run_demo(options, lambda message: console.print(f"· {message}"))
    except (PhrasedError, NodeError, PlanError, CryptoError, ProtocolError, OSError) as err:
        reason = "\n".join(error_lines(err)) if isinstance(err, NodeError) else told(err, _)
        click.echo(_("the demo stopped: %(reason)s") % {"reason": reason}, err=True)
        raise SystemExit(EXIT_REFUSED) from err
    except KeyboardInterrupt as err:
        click.echo(_("interrupted; every process was stopped"), err=True)
        raise SystemExit(EXIT_INTERRUPTED) from err
    if as_json:
        click.echo(json.dumps(outcome.summary, ensure_ascii=False))
    else:
        _show(console, options, outcome)
    raise SystemExit(0 if outcome.summary["verify"] == "PASS" else EXIT_REFUSED)


def _show(console: Console, options: Options, outcome: Outcome) -> None:
    summary = outcome.summary
    console.print()
    console.print(_coverage_table(outcome))
    console.print(_level_table(outcome))
    console.print(
        _(
            "%(reports)d of %(schools)d schools, %(cells)d cells; "
            "ρ = %(rho)g, ε = %(epsilon).2f, δ = %(delta)g"
        )
        % {**summary, "reports": summary["reports_in"]}
    )
    console.print(
        _("95 %% intervals that hold the truth: %(share).1f %%; largest error %(sigmas).1f σ")
        % {"share": 100 * summary["coverage_95"], "sigmas": summary["max_error_sigmas"]}
    )
    line = _("wall: %(wall)s; replicas: %(replicas)d; bundle: %(verify)s; %(total).1f s")
    console.print(
        line
        % {
            "wall": summary["confinement"],
            "replicas": summary["replicas"],
            "verify": summary["verify"],
            "total": summary["seconds"]["total"],
        }
    )
    console.print(_("everything is in %(out)s; check it again with:") % {"out": options.out})
    console.print(
        f"  fedscreen auditor verify {options.out}/bundle --policy {options.out}/policy.txt", soft_wrap=True
    )


def _truth_of(outcome: Outcome, table: str, keys: dict[str, set[str]]) -> int:
    """Add up the true cells of a table that fit the keys."""
    found = next(item for item in outcome.summary["tables"] if item["id"] == table)
    return sum(
        cell["truth"]
        for cell in found["cells"]
        if all(cell["keys"][name] in codes for name, codes in keys.items())
    )


def _coverage_table(outcome: Outcome) -> Table:
    table = Table(title=_("Pupils tested, county"))
    for column, justify in ((_("what"), "left"), (_("released"), "right"), (_("truth"), "right")):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    rows = [(_("to be tested"), {"1", "2", "3", "6"}), (_("tested"), {"1", "2"}), (_("valid"), {"1"})]
    for name, codes in rows:
        selected = _sum_of(outcome, "A1", {"disposition": codes})
        table.add_row(name, _plus_minus(*selected), f"{_truth_of(outcome, 'A1', {'disposition': codes}):,}")
    return table


def _level_table(outcome: Outcome) -> Table:
    table = Table(title=_("Alert level by stage: released ± 95 %, truth below"))
    table.add_column(_("stage"))
    for level, label in LEVEL.items():
        table.add_column(f"{level} {label}", justify="right")
    released = {
        (count.row.keys.get("stage", ""), count.row.keys["level"]): count.row
        for count in summarise(outcome.release).levels
    }
    for stage, label in {**STAGE, "": _("all")}.items():
        cells = []
        for level in LEVEL:
            row = released[stage, level]
            keys = {"level": {level}, **({"stage": {stage}} if stage else {})}
            cells.append(f"{_plus_minus(row.released, row.se)}\n{_truth_of(outcome, 'A3', keys):,}")
        table.add_row(label, *cells)
    return table


def _sum_of(outcome: Outcome, table: str, keys: dict[str, set[str]]) -> tuple[float, float]:
    """Add up released cells; returns the sum and its standard error."""
    noisy = next(item for item in outcome.release.tables if item.id == table)
    indices = noisy.select(keys)
    return float(sum(noisy.value(index) for index in indices)), noisy.se * len(indices) ** 0.5


def _plus_minus(value: float, se: float) -> str:
    return f"{round(value):,} ± {round(1.96 * se):,}"
