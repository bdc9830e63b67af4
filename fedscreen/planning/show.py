"""`fedscreen plan check` and `show`: is a plan valid, what does it ask for, what does it cost.

Exit codes: 0 the plan is valid, 1 it is not, 2 wrong usage, such as a file that is not there.
"""

from __future__ import annotations

import math
from gettext import gettext as _
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fedscreen.planning.cost import bytes_of, cost_json, cost_rows
from fedscreen.planning.plan_file import DELTA, FILE, JSON, Loaded, load, print_json, schools_option
from fedscreen.planning.terminal import say, say_rows
from plan.code_words import listed
from plan.layout import Layout, TableLayout
from plan.publishing import cautions
from plan.reading import encode_moment
from privacy.accountant import epsilon


@click.command(
    name="check", help=_("Check FILE, a plan or the name of a ready plan, and name every problem.")
)
@FILE
@schools_option()
@JSON
def check(file: str, schools: int | None, as_json: bool) -> None:
    """Check a plan; exit 0 when it is valid, else 1."""
    loaded = load(file, schools, as_json)
    notes = cautions(loaded.plan)
    if as_json:
        print_json(
            {
                "valid": True,
                "id": loaded.plan.id,
                "tables": len(loaded.layout.tables),
                "cells": loaded.layout.cells,
                "cautions": [str(note) for note in notes],
                **cost_json(loaded),
            }
        )
        return
    message = _("valid: %(id)s, %(tables)s tables, %(cells)s cells")
    click.echo(
        message % {"id": loaded.plan.id, "tables": len(loaded.layout.tables), "cells": loaded.layout.cells}
    )
    say_rows(Console(), cost_rows(loaded))
    for note in notes:
        click.echo(_("note: %(text)s") % {"text": note.text(_)})


@click.command(name="show", help=_("Show the tables of FILE, their cells, noise and cost."))
@FILE
@schools_option()
@JSON
def show(file: str, schools: int | None, as_json: bool) -> None:
    """Show a plan; exit 0, or 1 when it is not valid."""
    loaded = load(file, schools, as_json)
    if as_json:
        print_json(_summary_json(loaded))
        return
    console = Console()
    console.print(_table(loaded.layout))
    say_rows(console, _summary_rows(loaded))
    for note in cautions(loaded.plan):
        say(console, _("note: %(text)s") % {"text": note.text(_)})


def sigma(layout: Layout, table: TableLayout) -> float:
    """Return the noise of one cell, in pupils, that the h schools add whose noise is counted on.

    Every further report adds as much as one of them.
    """
    return math.sqrt(table.released_variance(layout.noise_schools))


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
            f"{sigma(layout, item):.2f}",
            f"{float(layout.table_rho(item)):.5f}",
        )
    return table


def _summary_rows(loaded: Loaded) -> list[tuple[str, str]]:
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
        (_("tiers of the turnout ladder"), ", ".join(map(str, layout.tiers)) or _("none")),
        (_("neighbouring"), listed([plan_.neighbouring], _)),
        (_("consent"), listed([plan_.consent], _)),
        (_("cells"), str(layout.cells)),
        (_("total ρ (asked for, charged)"), f"{plan_.rho}, {float(rho):.6f}"),
        *cost_rows(loaded),
        (_("bytes per report, about"), str(bytes_of(loaded))),
    ]


def _summary_json(loaded: Loaded) -> dict[str, Any]:
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
        "tiers": list(layout.tiers),
        "neighbouring": str(plan_.neighbouring),
        "consent": plan_.consent,
        "cells": layout.cells,
        "rho": str(plan_.rho),
        "rho_claimed": float(rho),
        "epsilon": epsilon(rho, DELTA),
        **cost_json(loaded),
        "bytes_per_report": bytes_of(loaded),
        "tables": [_table_json(layout, table) for table in layout.tables],
        "cautions": [str(note) for note in cautions(plan_)],
    }


def _table_json(layout: Layout, table: TableLayout) -> dict[str, Any]:
    return {
        "id": table.id,
        "title": table.title,
        "dims": list(table.dims),
        "shape": list(table.shape),
        "cells": table.cells,
        "touch": table.touch,
        "sum": table.sum,
        "delta_sq": table.delta_sq,
        "sigma": sigma(layout, table),
        "scale": table.noise.scale,
        "s2": table.noise.s2,
        "rho": float(layout.table_rho(table)),
    }
