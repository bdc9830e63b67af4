"""A school year's rounds in order, and what they leave of its account.

Pure arithmetic over plans that may all be drafts. A round costs a pupil at most its plan's `rho`; what is
charged in the end (`Layout.claimed_rho`) is a little less. The year is that of the census date, whose
account pays, whenever the window lies.

Plans keep a reserve for one repeat of a small round: a round that had to be abandoned after schools were
charged is run again at its full cost, since nothing is refunded unless a quorum of auditors destroyed its
keys unopened.

Spec: privacy.md, "The account".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Final

from plan.document import PlanDocument
from plan.errors import Problem, phrase
from privacy.accountant import epsilon
from privacy.year_account import DEFAULT_CAP

DELTA: Final = 1e-6  # privacy.md: what (epsilon, delta) is shown at


@dataclass(frozen=True, slots=True)
class YearEntry:
    """One round of a school year.

    Attributes:
        id, title, wave, census_date, opens, closes: as in the plan.
        rho: most that the round costs a pupil (zCDP).
        spent_after: the year's rho once this round and those before it are charged.
        epsilon_after: the same as epsilon at `DELTA`.
    """

    id: str
    title: str
    wave: str
    census_date: date
    opens: datetime
    closes: datetime
    rho: Fraction
    spent_after: Fraction
    epsilon_after: float


@dataclass(frozen=True, slots=True)
class YearPlan:
    """One school year of plans.

    Attributes:
        school_year: `YYYY-YYYY`.
        entries: its rounds in the order in which they open.
        cap: most rho for the year.
        problems: what would stop a round of it; empty for a year that can be run as it stands.
    """

    school_year: str
    entries: tuple[YearEntry, ...]
    cap: Fraction
    problems: tuple[Problem, ...]

    @property
    def spent(self) -> Fraction:
        """What all rounds cost together."""
        return self.entries[-1].spent_after if self.entries else Fraction(0)

    @property
    def reserve(self) -> Fraction:
        """What is left of the cap; negative when the rounds cost more than it."""
        return self.cap - self.spent


def calendar(plans: Sequence[PlanDocument], cap: Fraction = DEFAULT_CAP) -> tuple[YearPlan, ...]:
    """Put plans into the order of their windows, one list for each school year.

    Args:
        plans: drafts or published plans, in any order; the result does not depend on it.
        cap: most rho for a school year; a school may have lowered its own.

    Returns:
        The years in order; none without plans.
    """
    years = sorted({plan.school_year for plan in plans})
    return tuple(_year([plan for plan in plans if plan.school_year == year], year, cap) for year in years)


def _year(plans: Sequence[PlanDocument], school_year: str, cap: Fraction) -> YearPlan:
    ordered = sorted(plans, key=lambda plan: (plan.opens, plan.census_date, plan.id, plan.title, plan.rho))
    sums = accumulate((plan.rho for plan in ordered), initial=Fraction(0))
    entries = tuple(
        YearEntry(
            id=plan.id,
            title=plan.title,
            wave=plan.wave,
            census_date=plan.census_date,
            opens=plan.opens,
            closes=plan.closes,
            rho=plan.rho,
            spent_after=after,
            epsilon_after=epsilon(after, DELTA),
        )
        for plan, (_, after) in zip(ordered, pairwise(sums), strict=True)
    )
    return YearPlan(school_year, entries, cap, tuple(_problems(entries, school_year, cap)))


def _problems(entries: Sequence[YearEntry], school_year: str, cap: Fraction) -> Iterator[Problem]:
    path = f"{school_year}."
    names = [entry.id for entry in entries]
    for name in sorted({name for name in names if names.count(name) > 1}):
        found, allowed = phrase("the id more than once"), phrase("different ids")
        advice = phrase("results and files are named by it: add the term, such as ledgers-spring")
        yield Problem(path + name, found, allowed, advice)
    yield from _wave_problems(entries, path)
    over = next((entry for entry in entries if entry.spent_after > cap), None)
    if over is not None:
        found = phrase("rho %(spent)s after this round", spent=str(over.spent_after))
        allowed = phrase("at most %(cap)s a school year", cap=str(cap))
        yield Problem(path + over.id, found, allowed, phrase("leave a round out, or give it a smaller rho"))
        return
    least, reserve = min(entry.rho for entry in entries), cap - entries[-1].spent_after
    if reserve < least:
        found = phrase("a reserve of rho %(reserve)s", reserve=str(reserve))
        allowed = phrase("room for a repeat of the smallest round, rho %(least)s", least=str(least))
        yield Problem(path + "reserve", found, allowed, phrase("leave a round out, or give it a smaller rho"))


def _wave_problems(entries: Sequence[YearEntry], path: str) -> Iterator[Problem]:
    """A school keeps one set of records a wave, taken at one day: rounds of a wave that are open at the
    same time must count at the same day."""
    for place, entry in enumerate(entries):
        for later in entries[place + 1 :]:
            is_same_wave = later.wave == entry.wave and later.census_date != entry.census_date
            if is_same_wave and later.opens < entry.closes:
                found = phrase(
                    "census dates %(one)s and %(two)s", one=entry.census_date, two=later.census_date
                )
                allowed = phrase("one census date for the rounds of a wave that are open at the same time")
                yield Problem(path + later.id, found, allowed)
