"""The rules of a plan that bind several keys; each function yields what is wrong, all of it.

Spec: protocol.md, "Parameters"; privacy.md, "The claim".
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Final

from crypto.errors import ParameterError
from crypto.replication import validate_parameters
from plan.codes import school_year_of
from plan.errors import Problem, phrase
from privacy.ladder import MAX_STEPS

MIN_REPORTS_FLOOR: Final = 5
MIN_GROUP_FLOOR: Final = 5
MAX_REPORTS: Final = 200_000
MIN_NOISE_SCHOOLS: Final = 2
MAX_WINDOW: Final = timedelta(days=200)


def trust_problems(num_auditors: int, threshold: int, collude: int, quorum: int) -> Iterator[Problem]:
    """Yield what is wrong with (n, t, f, q)."""
    try:
        validate_parameters(num_auditors, threshold, collude, quorum)
    except ParameterError as err:
        found = phrase(
            "auditors = %(n)s, threshold = %(t)s, collude = %(f)s, quorum = %(q)s",
            n=num_auditors,
            t=threshold,
            f=collude,
            q=quorum,
        )
        allowed = phrase("(3, 3, 2, 3), (4, 3, 1, 3), (5, 4, 2, 4), (7, 5, 2, 5) or another safe choice")
        yield Problem("trust", found, allowed, phrase("%(reason)s", reason=str(err)))


def reports_problems(min_reports: int | None, colluding_schools: int) -> Iterator[Problem]:
    """Yield what is wrong with the schools that size the noise: h = min_reports - colluding_schools."""
    if min_reports is not None and min_reports - colluding_schools < MIN_NOISE_SCHOOLS:
        found = phrase("%(schools)s of %(reports)s reports", schools=colluding_schools, reports=min_reports)
        most = phrase("at most min_reports - %(least)s", least=MIN_NOISE_SCHOOLS)
        yield Problem("trust.colluding_schools", found, most)


def ladder_problems(
    tiers: tuple[int, ...], min_reports: int | None, colluding_schools: int
) -> Iterator[Problem]:
    """Yield what is wrong with the tiers above h of a turnout ladder; none are no ladder."""
    lowest = 1 if min_reports is None else min_reports - colluding_schools + 1
    values = (lowest - 1, *tiers, MAX_REPORTS + 1)
    if len(tiers) > MAX_STEPS or any(low >= high for low, high in pairwise(values)):
        found = phrase("the tiers %(tiers)s", tiers=", ".join(map(str, tiers[: MAX_STEPS + 1])))
        allowed = phrase(
            "at most %(most)s rising numbers of honest schools, the first above min_reports - "
            "colluding_schools",
            most=MAX_STEPS,
        )
        yield Problem("trust.ladder", found, allowed)


def window_problems(
    school_year: str, census_date: date, opens: datetime, closes: datetime
) -> Iterator[Problem]:
    """Yield what is wrong with the dates. The account of privacy.md is that of the census date's year."""
    year = school_year_of(census_date)
    if school_year != year:
        found = phrase("'%(year)s'", year=school_year[:20])
        advice = phrase("a school year runs from 1 September to 31 August")
        yield Problem("school_year", found, phrase("'%(year)s', the year of census_date", year=year), advice)
    if not opens < closes <= opens + MAX_WINDOW:
        found = phrase("%(closes)s", closes=closes.isoformat())
        allowed = phrase("after window.opens, at most %(days)s days later", days=MAX_WINDOW.days)
        yield Problem("window.closes", found, allowed)
    if census_date > closes.date():
        found = phrase("%(day)s", day=census_date.isoformat())
        yield Problem("census_date", found, phrase("a day before the window closes"))
