"""`fedscreen plan explain`: what accuracy a plan will give a county, before anything is collected.

1. The plan is resolved for the number of schools; with the turnout given it must open.
2. The pupils are forecast (`plan.forecast`), the intervals follow from the noise alone (`plan.prediction`).
3. A table of which fewer than 30 % of the cells can be shown is refused, unless it carries a `reason`; for
   weak tables changes are offered, each with what it brings.

Exit codes: 0 every table is worth its noise, 1 the plan is not valid, would not open or has a table that is
refused, 2 wrong usage.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from gettext import gettext as _
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fedscreen.planning.cost import bytes_of, cost_json, cost_rows
from fedscreen.planning.plan_file import (
    EXIT_INVALID,
    FILE,
    JSON,
    Loaded,
    load,
    print_json,
    refuse,
    schools_option,
)
from fedscreen.planning.terminal import say, say_rows
from plan.advice import Advice, advise
from plan.code_words import listed
from plan.errors import DocumentError, PlanError, Problem, phrase
from plan.forecast import forecast, screened_stages, share_out
from plan.layout import TableLayout
from plan.prediction import LEAST_SHOWN, TablePrediction, predict
from plan.words import VERDICTS, word

_WEAK = ("poor", "useless")


@dataclass(frozen=True, slots=True)
class Explained:
    """A plan's tables with what is predicted, whether each is refused, and what would help."""

    loaded: Loaded
    reports: int
    pupils: Mapping[str, float]
    tables: tuple[TablePrediction, ...]
    advice: Mapping[str, tuple[Advice, ...]]

    def is_refused(self, table: TablePrediction) -> bool:
        """Say whether a table needs a reason and has none."""
        reasons = {item.id: item.reason for item in self.loaded.plan.tables}
        return table.shown < LEAST_SHOWN and not reasons[table.id]

    @property
    def refused(self) -> tuple[TablePrediction, ...]:
        """The tables that the plan should not have as they are."""
        return tuple(table for table in self.tables if self.is_refused(table))


@click.command(name="explain", help=_("Predict what accuracy FILE gives a county, table by table."))
@FILE
@schools_option(is_required=True)
@click.option(
    "--pupils", type=click.IntRange(1, 100_000_000), help=_("Pupils in the grades that the plan screens.")
)
@click.option(
    "--pupils-by-stage",
    metavar="STAGE=N,…",
    help=_("The same by stage, which is more exact: primary=16000,junior=16000,senior=10000."),
)
@click.option(
    "--turnout",
    type=click.FloatRange(1, 100),
    default=100.0,
    show_default=True,
    help=_("Schools that report, in percent."),
)
@JSON
def explain(
    file: str, schools: int, pupils: int | None, pupils_by_stage: str | None, turnout: float, as_json: bool
) -> None:
    """Explain a plan; exit 0, or 1 where the plan or one of its tables is refused."""
    loaded = load(file, schools, as_json)
    by_stage = _pupils(loaded, pupils, pupils_by_stage)
    reports = math.floor(schools * turnout / 100 + 1e-9)
    try:
        _check_opens(loaded, reports)
        found = _explained(loaded, reports, by_stage)
    except PlanError as err:
        refuse(file, err, as_json)
    if as_json:
        print_json(_as_json(found))
    else:
        _print(found)
    if found.refused:
        raise click.exceptions.Exit(EXIT_INVALID)


def _pupils(loaded: Loaded, pupils: int | None, by_stage: str | None) -> dict[str, float]:
    """Return the pupils of each stage, from one of the two options."""
    if (pupils is None) is (by_stage is None):
        raise click.UsageError(_("give the number of pupils: either --pupils or --pupils-by-stage"))
    if pupils is not None:
        return share_out(pupils, loaded.layout)
    stages = screened_stages(loaded.layout)
    found: dict[str, float] = {}
    for part in (by_stage or "").split(","):
        name, _sign, number = part.strip().partition("=")
        if name not in stages or name in found or not number.isascii() or not number.isdecimal():
            message = _(
                "--pupils-by-stage: found '%(part)s', expected STAGE=N with a stage out of %(stages)s"
            )
            raise click.UsageError(message % {"part": part.strip()[:40], "stages": listed(stages, _)})
        found[name] = float(number)
    return found


def _check_opens(loaded: Loaded, reports: int) -> None:
    needed = loaded.plan.min_reports or 0
    if reports < needed:
        found = phrase("%(reports)s reports at this turnout", reports=reports)
        allowed = phrase("at least %(needed)s, or the round is never opened", needed=needed)
        advice = phrase("lower min_reports, which raises the noise, or expect more schools to report")
        raise DocumentError(Problem("trust.min_reports", found, allowed, advice))


def _explained(loaded: Loaded, reports: int, pupils: Mapping[str, float]) -> Explained:
    expected = forecast(loaded.layout, pupils)
    tables = predict(loaded.layout, reports, expected, loaded.plan.display_floor)
    weak = [table for table in tables if table.verdict in _WEAK]
    advice = {table.id: advise(loaded.plan, pupils, reports, table.id, table.shown) for table in weak}
    return Explained(loaded, reports, pupils, tables, advice)


def _print(found: Explained) -> None:
    console = Console()
    loaded = found.loaded
    console.print(_table(found))
    say(console, _legend())
    rows = [
        (_("reports of schools"), f"{found.reports} / {loaded.schools}"),
        (_("pupils expected"), _pupils_words(found.pupils)),
        *cost_rows(loaded),
        (_("bytes per report, about"), str(bytes_of(loaded))),
    ]
    say_rows(console, rows)
    for stage in screened_stages(loaded.layout):
        if not found.pupils.get(stage):
            message = _("note: no pupils in stage %(stage)s; leave its grades out of the plan's `grades`")
            say(console, message % {"stage": _(stage)})
    for table in found.tables:
        for line in _remarks(found, table):
            say(console, line)


def _legend() -> str:
    return _(
        "± is half the width of an interval that is right 95 times in 100, after least squares: of a typical "
        "cell; of one class (a code of the last dimension) in a stage and in the county; of all pupils. "
        "Shown: cells that pass the display rule, if pupils are as assumed; that is no finding about this "
        "county."
    )


def _table(found: Explained) -> Table:
    table = Table()
    for title in (_("table"), _("title")):
        table.add_column(title, overflow="fold")
    for title in (_("cells"), _("cell ±"), _("stage ±"), _("county ±"), _("all ±"), _("shown")):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column(_("verdict"), no_wrap=True)
    for row, item in zip(found.tables, found.loaded.layout.tables, strict=True):
        verdict = word(VERDICTS, row.verdict, _)
        table.add_row(
            row.id,
            Text(item.title),
            str(row.cells),
            *(_number(value) for value in (row.cell, row.stage, row.county, row.total)),
            f"{row.shown:.0%}",
            verdict + (" ✗" if found.is_refused(row) else ""),
        )
    return table


def _number(value: float | None) -> str:
    if value is None:
        return "—"
    return f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def _pupils_words(pupils: Mapping[str, float]) -> str:
    return ", ".join(f"{_(stage)} {number:.0f}" for stage, number in pupils.items())


def _remarks(found: Explained, table: TablePrediction) -> Sequence[str]:
    """Say what is wrong with a table, and what would help."""
    lines = []
    if found.is_refused(table):
        message = _(
            "%(id)s is refused: %(shown)s of its cells could be shown, at least %(least)s are expected. "
            "Change it, leave it out, or say in its `reason` why it is wanted all the same."
        )
        shares = {"shown": f"{table.shown:.0%}", "least": f"{LEAST_SHOWN:.0%}"}
        lines.append(message % {"id": table.id, **shares})
    for item in found.advice.get(table.id, ()):
        message = _("%(id)s: %(change)s: %(before)s → %(after)s of the cells shown")
        shares = {"before": f"{item.before:.0%}", "after": f"{item.after:.0%}"}
        lines.append("  " + message % {"id": table.id, "change": item.words.text(_), **shares})
    return lines


def _as_json(found: Explained) -> dict[str, Any]:
    loaded = found.loaded
    return {
        "id": loaded.plan.id,
        "schools": loaded.schools,
        "reports": found.reports,
        "min_reports": loaded.plan.min_reports,
        "pupils": {stage: round(number) for stage, number in found.pupils.items()},
        **cost_json(loaded),
        "bytes_per_report": bytes_of(loaded),
        "refused": [table.id for table in found.refused],
        "tables": [
            _table_json(found, row, table)
            for row, table in zip(found.tables, loaded.layout.tables, strict=True)
        ],
    }


def _table_json(found: Explained, row: TablePrediction, table: TableLayout) -> dict[str, Any]:
    return {
        "id": row.id,
        "title": table.title,
        "cells": row.cells,
        "raw": row.raw,
        "cell": row.cell,
        "stage": row.stage,
        "county": row.county,
        "total": row.total,
        "filled": row.filled,
        "shown": row.shown,
        "verdict": row.verdict,
        "refused": found.is_refused(row),
        "advice": [
            {"change": str(item.words), "before": item.before, "after": item.after}
            for item in found.advice.get(row.id, ())
        ],
    }
