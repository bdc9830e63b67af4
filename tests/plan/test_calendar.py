"""A school year's rounds: their order, what they cost together, and what would stop one."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import permutations

import pytest
from plan_samples import ready_plan

from plan.calendar import DELTA, YearPlan, calendar
from plan.document import PlanDocument
from privacy.accountant import epsilon

START = datetime(2026, 10, 12, tzinfo=UTC)


def plan_of(name: str, rho: str, months: int = 0, **values: object) -> PlanDocument:
    opens = START + timedelta(days=30 * months)
    base = {"id": name, "rho": Fraction(rho), "opens": opens, "closes": opens + timedelta(days=20)}
    return replace(ready_plan(), **(base | values))  # type: ignore[arg-type]


YEAR = (
    plan_of("autumn", "1/5"),
    plan_of("ledgers-autumn", "1/20", 2),
    plan_of("spring", "1/20", 5, wave="S", census_date=date(2027, 3, 1)),
    plan_of("ledgers-spring", "1/20", 7, wave="S", census_date=date(2027, 3, 1)),
    plan_of("follow-up", "1/10", 8),
)


def only(plans: tuple[PlanDocument, ...], cap: Fraction = Fraction(1, 2)) -> YearPlan:
    (year,) = calendar(plans, cap)
    return year


def keys(year: YearPlan) -> list[str]:
    return [problem.key for problem in year.problems]


def test_rounds_stand_in_the_order_of_their_windows_whatever_the_order_given() -> None:
    expected = only(YEAR)
    assert [entry.id for entry in expected.entries] == [plan.id for plan in YEAR]
    assert all(only(plans) == expected for plans in permutations(YEAR))


def test_costs_add_up_and_the_rest_is_the_reserve() -> None:
    year = only(YEAR)
    sums = [Fraction(part, 20) for part in (4, 5, 6, 7, 9)]
    assert [entry.spent_after for entry in year.entries] == sums
    assert [entry.epsilon_after for entry in year.entries] == [epsilon(rho, DELTA) for rho in sums]
    assert (year.cap, year.spent, year.reserve, year.problems) == (
        Fraction(1, 2),
        Fraction(9, 20),
        Fraction(1, 20),
        (),
    )


def test_the_year_is_that_of_the_census_date() -> None:
    late = plan_of("late", "1/20", school_year="2025-2026", census_date=date(2026, 8, 31))
    assert [(year.school_year, len(year.entries)) for year in calendar([*YEAR, late])] == [
        ("2025-2026", 1),
        ("2026-2027", 5),
    ]
    assert calendar([]) == ()


def test_the_first_round_over_the_cap_is_named() -> None:
    year = only((*YEAR, plan_of("again", "1/10", 9), plan_of("more", "1/10", 10)))
    assert keys(year) == ["2026-2027.again"]
    assert "11/20" in year.problems[0].found.text()
    assert year.reserve == Fraction(-3, 20)
    assert keys(only(YEAR, Fraction(2, 5))) == ["2026-2027.follow-up"]


@pytest.mark.parametrize(("cap", "expected"), [("1/2", []), ("49/100", ["2026-2027.reserve"])])
def test_a_repeat_of_the_smallest_round_must_fit(cap: str, expected: list[str]) -> None:
    assert keys(only(YEAR, Fraction(cap))) == expected


def test_the_same_id_twice_is_named_once() -> None:
    again = plan_of("ledgers-autumn", "1/100", 9)
    assert keys(only((*YEAR, again))) == ["2026-2027.ledgers-autumn"]


@pytest.mark.parametrize(
    ("months", "day", "expected"),
    [
        (2, date(2026, 12, 1), ["2026-2027.other"]),
        (2, date(2026, 9, 30), []),
        (3, date(2026, 12, 1), []),
    ],
    ids=["other_day", "same_day", "after_it"],
)
def test_open_rounds_of_a_wave_count_at_one_day(months: int, day: date, expected: list[str]) -> None:
    other = plan_of("other", "1/100", months, census_date=day)
    assert keys(only((*YEAR, other))) == expected
