"""`fedscreen plan year`: the rounds of a school year in order, and what they leave of its account.

Without files: the ready plans of a county, the ledgers in both terms. What a pupil's year may cost is capped
by every school for itself (0.5 by default); a year over the cap, or without room for a repeat, is a problem.

Exit codes: 0 the year can be run as it stands, 1 a plan is not valid or the year has a problem, 2 wrong
usage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from gettext import gettext as _

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fedscreen.planning.plan_file import EXIT_INVALID, JSON, parse, print_json, problem_json
from fedscreen.planning.terminal import say
from plan.calendar import YearPlan, calendar
from plan.codes import WAVE
from plan.document import PlanDocument
from plan.reading import encode_moment, parse_rational
from privacy.year_account import DEFAULT_CAP

READY_YEAR = ("autumn-full", "ledgers", "spring-monitor", "follow-up")


@click.command(
    name="year", help=_("Put plans into a school year and add up what they cost; ready plans if none.")
)
@click.argument("plans", metavar="[FILE]...", nargs=-1)
@click.option(
    "--cap", default=str(DEFAULT_CAP), show_default=True, help=_("Most ρ for a school year, such as 1/2.")
)
@JSON
def year(plans: tuple[str, ...], cap: str, as_json: bool) -> None:
    """Show a year; exit 0, or 1 when a plan is not valid or the year has a problem."""
    most = parse_rational(cap)
    if most is None or most <= 0:
        raise click.UsageError(
            _("--cap: found '%(cap)s', expected a number above 0 such as 1/2") % {"cap": cap[:20]}
        )
    documents = [parse(name, as_json) for name in plans] if plans else _ready_year(as_json)
    years = calendar(documents, most)
    if as_json:
        print_json({"years": [_year_json(item) for item in years]})
    else:
        for item in years:
            _print(item)
    if any(item.problems for item in years):
        raise click.exceptions.Exit(EXIT_INVALID)


def _ready_year(as_json: bool) -> list[PlanDocument]:
    """Return a county's ready plans, and the ledgers a second time in spring as their file says."""
    found = {name: parse(name, as_json) for name in READY_YEAR}
    spring = found["spring-monitor"]
    again = replace(
        found["ledgers"],
        id="ledgers-spring",
        title=found["ledgers"].title.replace(WAVE[found["ledgers"].wave], WAVE[spring.wave]),
        wave=spring.wave,
        census_date=spring.census_date,
        opens=spring.closes + timedelta(days=3),
        closes=spring.closes + timedelta(days=28),
    )
    return [*found.values(), again]


def _print(item: YearPlan) -> None:
    table = Table(title=_("school year %(year)s") % {"year": item.school_year}, title_justify="left")
    table.add_column(_("plan"), overflow="fold")
    for title in (_("census date"), _("window")):
        table.add_column(title, no_wrap=True)
    for title in ("ρ", _("ρ so far"), _("ε so far")):
        table.add_column(title, justify="right", no_wrap=True)
    for entry in item.entries:
        table.add_row(
            Text(f"{entry.id}\n{entry.title}"),
            f"{entry.census_date.isoformat()}\n{WAVE[entry.wave]}",
            f"{entry.opens.date().isoformat()}\n{entry.closes.date().isoformat()}",
            str(entry.rho),
            _decimal(entry.spent_after),
            f"{entry.epsilon_after:.2f}",
        )
    console = Console()
    console.print(table)
    words = _("the year costs ρ %(spent)s of at most %(cap)s; left for repeats: %(reserve)s")
    figures = {"spent": _decimal(item.spent), "cap": _decimal(item.cap), "reserve": _decimal(item.reserve)}
    say(console, words % figures)
    _print_problems(console, item)


def _print_problems(console: Console, item: YearPlan) -> None:
    for problem in item.problems:
        say(console, f"  {problem.text(_)}")


def _decimal(value: Fraction) -> str:
    return f"{float(value):.3f}"


def _year_json(item: YearPlan) -> dict[str, object]:
    return {
        "school_year": item.school_year,
        "cap": str(item.cap),
        "spent": str(item.spent),
        "reserve": str(item.reserve),
        "problems": [problem_json(problem) for problem in item.problems],
        "entries": _entries_json(item),
    }


def _entries_json(item: YearPlan) -> Sequence[dict[str, object]]:
    return [
        {
            "id": entry.id,
            "title": entry.title,
            "wave": entry.wave,
            "census_date": entry.census_date.isoformat(),
            "opens": encode_moment(entry.opens),
            "closes": encode_moment(entry.closes),
            "rho": str(entry.rho),
            "spent_after": str(entry.spent_after),
            "epsilon_after": entry.epsilon_after,
        }
        for entry in item.entries
    ]
