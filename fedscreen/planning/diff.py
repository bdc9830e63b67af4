"""`fedscreen plan diff`: what changed from one plan to another, in words, for those who review it.

Exit codes as of diff(1): 0 the plans say the same, 1 they differ, 2 trouble: a file is not there or is no
valid plan, or wrong usage.
"""

from __future__ import annotations

from collections.abc import Sequence
from gettext import gettext as _

import click
from rich.console import Console
from rich.table import Table

from fedscreen.planning.plan_file import DELTA, JSON, Loaded, load, print_json, schools_option
from fedscreen.planning.terminal import say
from plan.comparison import Change, compare
from privacy.accountant import epsilon

EXIT_DIFFERENT = 1
EXIT_TROUBLE = 2


@click.command(name="diff", help=_("Say what changed from plan OLD to plan NEW, privacy first."))
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@schools_option()
@JSON
def diff(old: str, new: str, schools: int | None, as_json: bool) -> None:
    """Compare two plans; exit 0 when they say the same, 1 when not, 2 when one is not valid."""
    before, after = (_load(file, schools, as_json) for file in (old, new))
    changes = compare(before.draft, after.draft)
    if as_json:
        print_json(
            {
                "same": not changes,
                "changes": [
                    {"key": change.key, "privacy": change.is_privacy, "text": str(change.words)}
                    for change in changes
                ],
                "cost": {"before": _cost_json(before), "after": _cost_json(after)},
            }
        )
    else:
        _print(before, after, changes)
    if changes:
        raise click.exceptions.Exit(EXIT_DIFFERENT)


def _load(file: str, schools: int | None, as_json: bool) -> Loaded:
    try:
        return load(file, schools, as_json)
    except click.exceptions.Exit as err:
        raise click.exceptions.Exit(EXIT_TROUBLE) from err


def _print(before: Loaded, after: Loaded, changes: Sequence[Change]) -> None:
    console = Console()
    if not changes:
        say(console, _("the plans say the same"))
        return
    for is_privacy, heading in ((True, _("privacy, and what is asked")), (False, _("names and times"))):
        rows = [change for change in changes if change.is_privacy is is_privacy]
        if rows:
            say(console, heading, style="bold")
        for change in rows:
            say(console, f"  {change.words.text(_)}")
    console.print(_costs(before, after))


def _costs(before: Loaded, after: Loaded) -> Table:
    table = Table()
    table.add_column(_("cost for %(schools)s schools") % {"schools": after.schools}, overflow="fold")
    for title in (_("before"), _("after")):
        table.add_column(title, justify="right", no_wrap=True)
    rows = [_cost(plan) for plan in (before, after)]
    for name, *pair in zip(
        (_("ρ claimed"), "ε (δ = 1e-6)", _("cells"), _("fewest reports")), *rows, strict=True
    ):
        table.add_row(name, *pair)
    both = [{item.id: item for item in plan.layout.tables} for plan in (before, after)]
    for name in dict.fromkeys(table.id for plan in (before, after) for table in plan.layout.tables):
        costs = [
            f"{float(plan.layout.table_rho(tables[name])):.5f}" if name in tables else "—"
            for plan, tables in zip((before, after), both, strict=True)
        ]
        table.add_row(_("ρ of table %(id)s") % {"id": name}, *costs)
    return table


def _cost(loaded: Loaded) -> tuple[str, ...]:
    rho = loaded.layout.claimed_rho
    return (
        f"{float(rho):.6f}",
        f"{epsilon(rho, DELTA):.3f}",
        str(loaded.layout.cells),
        str(loaded.plan.min_reports),
    )


def _cost_json(loaded: Loaded) -> dict[str, object]:
    layout = loaded.layout
    return {
        "rho": float(layout.claimed_rho),
        "epsilon": epsilon(layout.claimed_rho, DELTA),
        "cells": layout.cells,
        "min_reports": loaded.plan.min_reports,
        "tables": {table.id: float(layout.table_rho(table)) for table in layout.tables},
    }
