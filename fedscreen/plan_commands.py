"""`fedscreen plan`: check a collection plan, and show what it asks for and what it costs.

FILE is a path, or the name of a ready plan. Exit codes: 0 the plan is valid, 1 it is not, 2 wrong usage, such
as a file that is not there.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from gettext import gettext as _
from importlib.resources import files
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from crypto.replication import subsets, subsets_with
from crypto.sealing import box_bytes
from plan.document import PlanDocument, parse_plan_toml
from plan.errors import PlanError
from plan.layout import Layout, TableLayout, build_layout
from plan.publishing import cautions, resolve
from plan.reading import MAX_INPUT_BYTES, encode_moment
from privacy.accountant import epsilon
from protos.report_payload import body_bytes
from protos.statements import Report, encode_statement

EXIT_INVALID = 1
DELTA = 1e-6
DEFAULT_SCHOOLS = 60
_SIGNATURE_LINE_BYTES = 150
_JSON_HELP = "Print JSON, in English."


def ready_names() -> list[str]:
    """Return the names of the ready plans, in order."""
    folder = files("plan").joinpath("ready")
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))


def read_plan_file(name: str) -> bytes:
    """Read a plan file, or a ready plan by its name; a file of that name comes first.

    Raises:
        click.UsageError: there is neither.
    """
    path = Path(name)
    try:
        if path.is_file():
            with path.open("rb") as file:
                return file.read(MAX_INPUT_BYTES + 1)  # one byte more: the parser then says "too large"
    except OSError as err:
        raise click.UsageError(
            _("cannot read %(file)s: %(reason)s") % {"file": name, "reason": err.strerror}
        ) from err
    if name in ready_names():
        return files("plan").joinpath("ready", f"{name}.toml").read_bytes()
    message = _("no file %(file)s, and no ready plan of that name (there are: %(names)s)")
    raise click.UsageError(message % {"file": name, "names": ", ".join(ready_names())})


@click.group(name="plan", help=_("Check and show a collection plan."))
def plan() -> None:
    """Hold the commands of this group."""


_FILE = click.argument("file", metavar="FILE")
_SCHOOLS = click.option(
    "--schools",
    type=click.IntRange(1, 200_000),
    help=_('Number of enrolled schools; sizes min_reports = "auto" (60 when not given).'),
)
_JSON = click.option("--json", "as_json", is_flag=True, help=_(_JSON_HELP))


@plan.command(name="check", help=_("Check FILE, a plan or the name of a ready plan, and name every problem."))
@_FILE
@_SCHOOLS
@_JSON
def check(file: str, schools: int | None, as_json: bool) -> None:
    """Check a plan; exit 0 when it is valid, else 1."""
    loaded = _load(file, schools, as_json)
    notes = cautions(loaded.plan)
    if as_json:
        _print_json(
            {
                "valid": True,
                "id": loaded.plan.id,
                "tables": len(loaded.layout.tables),
                "cells": loaded.layout.cells,
                "cautions": [str(note) for note in notes],
            }
        )
        return
    message = _("valid: %(id)s, %(tables)s tables, %(cells)s cells")
    click.echo(
        message % {"id": loaded.plan.id, "tables": len(loaded.layout.tables), "cells": loaded.layout.cells}
    )
    for note in notes:
        click.echo(_("note: %(text)s") % {"text": note.text(_)})


@plan.command(name="show", help=_("Show the tables of FILE, their cells, noise and cost."))
@_FILE
@_SCHOOLS
@_JSON
def show(file: str, schools: int | None, as_json: bool) -> None:
    """Show a plan; exit 0, or 1 when it is not valid."""
    loaded = _load(file, schools, as_json)
    if as_json:
        _print_json(_summary_json(loaded))
        return
    console = Console()
    console.print(_table(loaded.layout))
    for name, value in _summary_rows(loaded):
        console.print(Text(_("%(name)s: %(found)s") % {"name": name, "found": value}))
    for note in cautions(loaded.plan):
        console.print(Text(_("note: %(text)s") % {"text": note.text(_)}))


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A valid plan, resolved for a number of schools, and its layout."""

    plan: PlanDocument
    layout: Layout
    is_auto: bool


def _load(file: str, schools: int | None, as_json: bool) -> _Loaded:
    data = read_plan_file(file)
    try:
        draft = parse_plan_toml(data)
        is_auto = draft.min_reports is None
        is_fitted = is_auto or schools is not None
        ready = resolve(draft, schools or DEFAULT_SCHOOLS) if is_fitted else draft
        return _Loaded(ready, build_layout(ready), is_auto)
    except PlanError as err:
        _refuse(file, err, as_json)


def _refuse(file: str, error: PlanError, as_json: bool) -> NoReturn:
    """Print every problem and leave with exit code 1."""
    if as_json:
        problems = [
            {
                "key": problem.key,
                "found": str(problem.found),
                "allowed": str(problem.allowed),
                "advice": str(problem.advice or ""),
            }
            for problem in error.problems
        ]
        _print_json({"valid": False, "problems": problems})
    else:
        message = _("%(file)s is not a valid plan; problems: %(count)s")
        click.echo(message % {"file": file, "count": len(error.problems)}, err=True)
        for problem in error.problems:
            click.echo(f"  {problem.text(_)}", err=True)
        click.echo(_("Correct the file and check it again; nothing was changed."), err=True)
    raise click.exceptions.Exit(EXIT_INVALID)


def _print_json(value: dict[str, Any]) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _sigma(layout: Layout, table: TableLayout) -> float:
    """Return the noise of one cell, in pupils, that the h schools add whose noise is counted on.

    Every further report adds as much as one of them.
    """
    return table.noise.standard_error(layout.noise_schools)


def _table(layout: Layout) -> Table:
    table = Table()
    for title in (_("table"), _("title"), _("dimensions")):
        table.add_column(title, overflow="fold")
    for title in (_("cells"), _("touch"), "Δ", "σ", "ρ"):
        table.add_column(title, justify="right", no_wrap=True)
    for item in layout.tables:
        dims = "  ".join(f"{title}{size}" for title, size in zip(item.dim_titles, item.shape, strict=True))
        table.add_row(
            item.id,
            Text(item.title),
            dims,
            str(item.cells),
            str(item.touch),
            f"{math.sqrt(item.delta_sq):.3f}",
            f"{_sigma(layout, item):.2f}",
            f"{float(layout.table_rho(item)):.5f}",
        )
    return table


def _summary_rows(loaded: _Loaded) -> list[tuple[str, str]]:
    plan_, layout = loaded.plan, loaded.layout
    least = str(plan_.min_reports) + (_(" (auto)") if loaded.is_auto else "")
    rho = layout.claimed_rho
    return [
        (_("plan"), f"{plan_.id} · {plan_.title} · {plan_.school_year}"),
        (_("window (UTC)"), f"{encode_moment(plan_.opens)} – {encode_moment(plan_.closes)}"),
        (
            _("auditors n, threshold t, colluding f, quorum q"),
            f"{plan_.num_auditors}, {plan_.threshold}, {plan_.collude}, {plan_.quorum}",
        ),
        (_("fewest reports"), least),
        (_("schools whose noise is counted on (h)"), str(layout.noise_schools)),
        (_("neighbouring"), str(plan_.neighbouring)),
        (_("consent"), plan_.consent),
        (_("cells"), str(layout.cells)),
        (_("total ρ (asked for, charged)"), f"{plan_.rho}, {float(rho):.6f}"),
        (_("ε at δ = 1e-6"), f"{epsilon(rho, DELTA):.3f}"),
        (_("bytes per report, about"), str(report_bytes(plan_, layout.cells))),
    ]


def _summary_json(loaded: _Loaded) -> dict[str, Any]:
    plan_, layout = loaded.plan, loaded.layout
    rho = layout.claimed_rho
    return {
        "id": plan_.id,
        "title": plan_.title,
        "wave": plan_.wave,
        "school_year": plan_.school_year,
        "census_date": plan_.census_date.isoformat(),
        "opens": encode_moment(plan_.opens),
        "closes": encode_moment(plan_.closes),
        "auditors": plan_.num_auditors,
        "threshold": plan_.threshold,
        "collude": plan_.collude,
        "quorum": plan_.quorum,
        "min_reports": plan_.min_reports,
        "min_reports_is_auto": loaded.is_auto,
        "noise_schools": layout.noise_schools,
        "neighbouring": str(plan_.neighbouring),
        "consent": plan_.consent,
        "cells": layout.cells,
        "rho": str(plan_.rho),
        "rho_claimed": float(rho),
        "delta": DELTA,
        "epsilon": epsilon(rho, DELTA),
        "bytes_per_report": report_bytes(plan_, layout.cells),
        "tables": [
            {
                "id": table.id,
                "title": table.title,
                "dims": list(table.dims),
                "shape": list(table.shape),
                "cells": table.cells,
                "touch": table.touch,
                "delta_sq": table.delta_sq,
                "sigma": _sigma(layout, table),
                "scale": table.noise.scale,
                "s2": table.noise.s2,
                "rho": float(layout.table_rho(table)),
            }
            for table in layout.tables
        ],
        "cautions": [str(note) for note in cautions(plan_)],
    }


def report_bytes(plan_: PlanDocument, cells: int) -> int:
    """Estimate the size of one report's payload: exact but for the lengths of names and ids."""
    n, t = plan_.num_auditors, plan_.threshold
    digest = bytes(32)
    box = box_bytes(len(subsets_with(0, n, t)))
    body = body_bytes(cells, box, n)
    header = Report(
        federation="example-county",
        round=digest,
        roster=digest,
        approvals=digest,
        node="school-001",
        attempt=0,
        cells=cells,
        vector=digest,
        seeds=tuple((subset, digest) for subset in subsets(n, t)),
        boxes=tuple((f"auditor-{place}", digest) for place in range(n)),
        input=digest,
        software=digest,
        confinement="L3",
        previous=digest,
        size=body,
    )
    return 4 + len(encode_statement(header).encode()) + 1 + _SIGNATURE_LINE_BYTES + body
