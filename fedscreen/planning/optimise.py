"""`fedscreen plan optimise`: weights that make a plan's intervals narrowest, beside equal and present ones.

The weights divide rho, they do not change it: every proposal costs a pupil the same. They are rounded to
twentieths, and what is shown is predicted with the rounded ones. `--keep` holds a table's weight where its
interval does not matter, such as a table whose cells are in the thousands; tables of sums are held anyway,
their unit is another.

Exit codes: 0 done, 1 the plan is not valid, too large, or OUT is there already, 2 wrong usage.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from gettext import gettext as _
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from fedscreen.planning.plan_file import (
    FILE,
    JSON,
    Loaded,
    load,
    parse,
    print_json,
    read_plan_file,
    refuse,
    schools_option,
    write_new,
)
from fedscreen.planning.terminal import say
from fedscreen.planning.toml_edit import TomlText
from plan.document import PlanDocument, parse_plan_toml
from plan.errors import DocumentError, PlanError, Problem, phrase
from plan.identities import equalities
from plan.layout import build_layout
from plan.prediction import Half, half_widths
from plan.reading import encode_rational
from privacy.allocation import MAX_CELLS, Objective, Workload, allocate

_DENOMINATOR = 20  # of a proposed weight
_LEAST = Fraction(1, _DENOMINATOR)
Widths = Mapping[str, Half]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Weights by table, and the half-widths that they give; equal ones and the present ones beside them."""

    plan: PlanDocument
    equal: Widths
    now: Widths
    proposed: Widths
    weights: Mapping[str, Fraction]
    held: frozenset[str]


@click.command(name="optimise", help=_("Propose weights for FILE that make its intervals narrowest."))
@FILE
@schools_option(is_required=True)
@click.option(
    "--objective",
    type=click.Choice(["mean", "max"]),
    default="mean",
    show_default=True,
    help=_("What is made least: the mean or the largest interval over the tables."),
)
@click.option(
    "--keep", "kept", multiple=True, metavar="TABLE", help=_("Leave this table's weight; may be repeated.")
)
@click.option(
    "--write",
    "out",
    type=click.Path(path_type=Path),
    metavar="OUT.toml",
    help=_("Write a copy of FILE with only the weights changed; never over a file."),
)
@JSON
def optimise(
    file: str, schools: int, objective: Objective, kept: tuple[str, ...], out: Path | None, as_json: bool
) -> None:
    """Propose weights; exit 0, or 1 where the plan is refused or OUT is there already."""
    loaded = load(file, schools, as_json)
    unknown = sorted(set(kept) - {table.id for table in loaded.plan.tables})
    if unknown:
        message = _("--keep: the plan has no table %(name)s (there are: %(names)s)")
        names = ", ".join(table.id for table in loaded.plan.tables)
        raise click.UsageError(message % {"name": unknown[0], "names": names})
    try:
        found = propose(loaded, schools, objective, frozenset(kept))
    except PlanError as err:
        refuse(file, err, as_json)
    if out is not None:
        write_new(out, reweighted(file, found.weights, as_json))
    if as_json:
        print_json(_as_json(found, objective))
    else:
        _print(found, objective, out)


def propose(loaded: Loaded, schools: int, objective: Objective, kept: frozenset[str]) -> Proposal:
    """Find weights for a round to which all schools report.

    Raises:
        DocumentError: the plan has too many cells, or every table is held.
    """
    plan, layout = loaded.plan, loaded.layout
    if layout.cells > MAX_CELLS:
        found = phrase("%(cells)s cells", cells=layout.cells)
        raise DocumentError(Problem("tables", found, phrase("at most %(most)s cells", most=MAX_CELLS)))
    held = kept | {table.id for table in plan.tables if table.sum}
    if held >= {table.id for table in plan.tables}:
        allowed = phrase("at least one table of counts whose weight may change")
        raise DocumentError(Problem("tables", phrase("none"), allowed))
    total = sum((table.weight for table in plan.tables), Fraction(0))
    workload = Workload(
        costs=tuple(float(table.delta_sq) for table in layout.tables),
        sizes=tuple(table.cells for table in layout.tables),
        equalities=equalities(layout),
        held={at: float(table.weight / total) for at, table in enumerate(plan.tables) if table.id in held},
    )
    shares = allocate(workload, objective).shares
    weights = {
        table.id: table.weight if table.id in held else _short(share * float(total))
        for table, share in zip(plan.tables, shares, strict=True)
    }
    equal = dict.fromkeys(weights, Fraction(1))
    return Proposal(
        plan,
        _widths(plan, equal, schools),
        half_widths(layout, schools),
        _widths(plan, weights, schools),
        weights,
        held,
    )


def _short(weight: float) -> Fraction:
    return max(Fraction(round(weight * _DENOMINATOR), _DENOMINATOR), _LEAST)


def _widths(plan: PlanDocument, weights: Mapping[str, Fraction], reports: int) -> Widths:
    return half_widths(build_layout(with_weights(plan, weights)), reports)


def with_weights(plan: PlanDocument, weights: Mapping[str, Fraction]) -> PlanDocument:
    """Return a plan with other weights."""
    return replace(plan, tables=tuple(replace(table, weight=weights[table.id]) for table in plan.tables))


def reweighted(file: str, weights: Mapping[str, Fraction], as_json: bool) -> str:
    """Return the text of a plan file with other weights, all else as it is.

    Raises:
        click.ClickException: its layout is beyond what can be edited line by line.
    """
    text = TomlText(read_plan_file(file).decode("utf-8-sig"))
    draft = parse(file, as_json)
    for table in draft.tables:
        if table.weight != weights[table.id]:
            text.set("tables", "weight", f'"{encode_rational(weights[table.id])}"', item=table.id)
    try:
        is_right = parse_plan_toml(str(text).encode()) == with_weights(draft, weights)
    except PlanError:
        is_right = False
    if not is_right:
        message = _("%(file)s: its tables could not be edited in place; set the weights by hand")
        raise click.ClickException(message % {"file": file})
    return str(text)


def _print(found: Proposal, objective: Objective, out: Path | None) -> None:
    table = Table()
    table.add_column(_("table"), no_wrap=True)
    for title in (
        _("weight\nnow → proposed"),
        _("cell ±\nequal / now / proposed"),
        _("stage ±\nequal / now / proposed"),
    ):
        table.add_column(title, justify="right", no_wrap=True)
    for spec in found.plan.tables:
        widths = [found.equal[spec.id], found.now[spec.id], found.proposed[spec.id]]
        proposed = _("kept") if spec.id in found.held else str(found.weights[spec.id])
        table.add_row(
            spec.id,
            f"{spec.weight} → {proposed}",
            " / ".join(f"{width.cell:.1f}" for width in widths),
            " / ".join(_stage(width) for width in widths),
        )
    console = Console()
    console.print(table)
    words = {
        "mean": _("mean cell ± over the tables, %(name)s: %(width)s"),
        "max": _("largest cell ± over the tables, %(name)s: %(width)s"),
    }
    for name, width in _aims(found, objective):
        say(console, words[objective] % {"name": name, "width": f"{width:.2f}"})
    if out is not None:
        say(console, _("written: %(file)s; only weights differ") % {"file": out})


def _stage(width: Half) -> str:
    return "—" if width.stage is None else f"{width.stage:.1f}"


def _aims(found: Proposal, objective: Objective) -> Sequence[tuple[str, float]]:
    """Return what was made least, over the tables that were free."""
    free = [table.id for table in found.plan.tables if table.id not in found.held]
    rows = ((_("equal weights"), found.equal), (_("as it is"), found.now), (_("proposed"), found.proposed))
    aim = max if objective == "max" else statistics.fmean
    return [(name, aim([widths[place].cell for place in free])) for name, widths in rows]


def _as_json(found: Proposal, objective: str) -> dict[str, Any]:
    return {
        "id": found.plan.id,
        "objective": objective,
        "tables": [
            {
                "id": table.id,
                "kept": table.id in found.held,
                "weight": str(table.weight),
                "proposed": str(found.weights[table.id]),
                **{
                    name: {"cell": widths[table.id].cell, "stage": widths[table.id].stage}
                    for name, widths in (
                        ("half_width_equal", found.equal),
                        ("half_width_now", found.now),
                        ("half_width_proposed", found.proposed),
                    )
                },
            }
            for table in found.plan.tables
        ],
    }


__all__ = ["Proposal", "optimise", "propose", "reweighted", "with_weights"]
