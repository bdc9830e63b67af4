"""The account of a school year: union by round, idempotent charges, the cap, and the clock."""

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import BudgetExceededError, PrivacyError
from privacy.year_account import (
    DEFAULT_CAP,
    Charge,
    Item,
    first_year,
    items,
    lowered_cap,
    rounds_that_fit,
    school_year_of,
    spent,
    verify_affordable,
    verify_year,
)

YEAR = "2025-2026"


def _charge(number: int, rho: str, year: str = YEAR) -> Charge:
    return Charge(number.to_bytes(32, "big"), year, Fraction(rho))


A, B, C = _charge(1, "1/5"), _charge(2, "1/20"), _charge(3, "1/10")


def test_spent_is_the_union_by_round_of_local_and_logged_charges():
    assert spent([A, B], [B, C], YEAR) == Fraction(35, 100)
    assert spent([], [A], YEAR) == spent([A], [], YEAR) == spent([A], [A], YEAR) == Fraction(1, 5)
    assert spent([], [], YEAR) == 0


def test_a_restored_backup_cannot_reset_the_account():
    assert spent([], [A, B, C], YEAR) == spent([A, B, C], [A, B, C], YEAR)


def test_the_larger_of_two_costs_of_one_round_counts():
    assert spent([_charge(1, "1/10")], [A], YEAR) == spent([A], [_charge(1, "1/10")], YEAR) == Fraction(1, 5)


def test_items_say_where_each_round_is_known_from():
    found = items([B, A], [C, _charge(1, "1/4")], YEAR, refunded={C.round_id})
    assert found == (
        Item(A.round_id, Fraction(1, 4), is_local=True, is_logged=True, is_refunded=False),
        Item(B.round_id, Fraction(1, 20), is_local=True, is_logged=False, is_refunded=False),
        Item(C.round_id, Fraction(1, 10), is_local=False, is_logged=True, is_refunded=True),
    )
    assert items([A], [B], "2024-2025") == ()


@given(
    st.lists(st.builds(_charge, st.integers(0, 5), st.sampled_from(["1/5", "1/20"]))),
    st.lists(st.builds(_charge, st.integers(0, 5), st.sampled_from(["1/5", "1/10"]))),
    st.sets(st.integers(0, 5).map(lambda number: number.to_bytes(32, "big"))),
)
def test_items_that_are_not_given_back_add_up_to_what_is_spent(local, logged, refunded):
    kept = [item.rho for item in items(local, logged, YEAR, refunded) if not item.is_refunded]
    assert sum(kept, Fraction(0)) == spent(local, logged, YEAR, refunded)


@pytest.mark.parametrize(
    ("left", "rho", "times"), [("3/10", "1/10", 3), ("0.29", "1/10", 2), ("0", "1/5", 0), ("-1/5", "1/5", 0)]
)
def test_rounds_that_fit_are_whole(left, rho, times):
    assert rounds_that_fit(Fraction(left), Fraction(rho)) == times


def test_a_round_that_costs_nothing_is_none():
    with pytest.raises(PrivacyError, match="rho"):
        rounds_that_fit(Fraction(1, 2), Fraction(0))


def test_other_years_do_not_count():
    assert spent([A, _charge(2, "1/2", "2024-2025")], [_charge(3, "1/2", "2026-2027")], YEAR) == Fraction(
        1, 5
    )


def test_only_an_abandoned_round_is_refunded():
    assert spent([A, B], [A], YEAR, refunded={A.round_id}) == Fraction(1, 20)
    assert verify_affordable(C, [A], [A], Fraction(1, 10), refunded=[A.round_id]) == Fraction(1, 10)


def test_a_round_that_fits_exactly_is_affordable():
    assert verify_affordable(_charge(9, "3/10"), [A], []) == DEFAULT_CAP == Fraction(1, 2)


def test_the_smallest_excess_is_refused_and_says_what_is_spent():
    with pytest.raises(
        BudgetExceededError, match=r"2025-2026: this round costs rho 0\.3, 0\.2 of 0\.5 is spent"
    ):
        verify_affordable(_charge(9, str(Fraction(3, 10) + Fraction(1, 10**18))), [A], [])


@pytest.mark.parametrize(
    ("local", "logged", "cap"),
    [([A, B, C], [], "2/5"), ([], [A, B, C], "2/5"), ([A], [B, C], "2/5"), ([], [], "1/20"), ([], [], "0")],
    ids=["local", "logged", "both", "cap-lowered", "cap-zero"],
)
def test_a_round_above_the_cap_is_refused(local, logged, cap):
    with pytest.raises(BudgetExceededError):
        verify_affordable(_charge(9, "1/10"), local, logged, Fraction(cap))


def test_a_charged_round_costs_nothing_more_even_when_the_account_is_full():
    full = [_charge(1, "1/2")]
    assert verify_affordable(full[0], full, []) == verify_affordable(full[0], [], full) == Fraction(1, 2)


def test_a_charged_round_that_became_dearer_pays_the_difference():
    assert verify_affordable(_charge(1, "2/5"), [A], [B]) == Fraction(9, 20)
    with pytest.raises(BudgetExceededError):
        verify_affordable(_charge(1, "12/25"), [A], [B])


@given(st.lists(st.tuples(st.integers(1, 6), st.fractions(Fraction(1, 1000), Fraction(1, 4))), max_size=12))
def test_no_order_of_charges_ever_exceeds_the_cap(rounds):
    local: list[Charge] = []
    for number, rho in rounds:
        charge = Charge(number.to_bytes(32, "big"), YEAR, rho)
        try:
            after = verify_affordable(charge, local, [])
        except BudgetExceededError:
            continue
        local.append(charge)
        assert after == spent(local, local, YEAR) <= DEFAULT_CAP


@pytest.mark.parametrize(
    ("round_id", "year", "rho"),
    [
        (b"", YEAR, Fraction(1, 5)),
        (bytes(31), YEAR, Fraction(1, 5)),
        ("00" * 16, YEAR, Fraction(1, 5)),
        (bytes(32), "2025", Fraction(1, 5)),
        (bytes(32), "2025-2027", Fraction(1, 5)),
        (bytes(32), "2025/2026", Fraction(1, 5)),
        (bytes(32), "2025-2026\n", Fraction(1, 5)),
        (bytes(32), "２０２５-2026", Fraction(1, 5)),
        (bytes(32), YEAR, Fraction(0)),
        (bytes(32), YEAR, Fraction(-1, 5)),
        (bytes(32), YEAR, 0.2),
    ],
)
def test_a_charge_that_is_none_is_refused(round_id, year, rho):
    with pytest.raises(PrivacyError):
        Charge(round_id, year, rho)


@pytest.mark.parametrize(
    ("day", "year"),
    [
        (date(2025, 8, 31), "2024-2025"),
        (date(2025, 9, 1), "2025-2026"),
        (date(2026, 1, 1), "2025-2026"),
        (date(2026, 8, 31), "2025-2026"),
        (date(800, 9, 1), "0800-0801"),
    ],
)
def test_a_school_year_turns_on_the_first_of_september(day, year):
    assert school_year_of(day) == year
    assert first_year(year) == int(year[:4])


@pytest.mark.parametrize("today", [date(2025, 9, 1), date(2025, 12, 1), date(2026, 10, 1)])
def test_a_year_that_has_begun_may_be_charged(today):
    verify_year(YEAR, date(2025, 10, 15), today)


@pytest.mark.parametrize(
    ("year", "census", "today", "words"),
    [
        ("2024-2025", date(2025, 10, 15), date(2025, 10, 20), "lies in 2025-2026"),
        ("2026-2027", date(2025, 10, 15), date(2026, 10, 20), "lies in 2025-2026"),
        (YEAR, date(2025, 10, 15), date(2025, 8, 31), "this node's clock says 2025-08-31"),
        (YEAR, date(2025, 10, 15), date(1970, 1, 1), "clock"),
        ("next", date(2025, 10, 15), date(2025, 10, 20), "consecutive years"),
    ],
    ids=["year-before", "year-after", "ahead-of-the-clock", "dead-clock-battery", "no-year"],
)
def test_a_round_of_another_or_a_future_year_is_refused(year, census, today, words):
    with pytest.raises(PrivacyError, match=words):
        verify_year(year, census, today)


def test_a_cap_is_only_lowered():
    assert lowered_cap(DEFAULT_CAP, Fraction(1, 4)) == Fraction(1, 4)
    assert lowered_cap(DEFAULT_CAP, DEFAULT_CAP) == DEFAULT_CAP
    assert lowered_cap(DEFAULT_CAP, Fraction(0)) == 0


@pytest.mark.parametrize("proposed", [Fraction(51, 100), Fraction(1), Fraction(-1, 10)])
def test_a_raised_or_negative_cap_is_refused(proposed):
    with pytest.raises(PrivacyError, match="only lowered"):
        lowered_cap(DEFAULT_CAP, proposed)
