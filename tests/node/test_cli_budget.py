"""The meter as people see it: the bar, the rounds, the sentences, and what still fits."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from node.cli_budget import BAR_WIDTH, bar, budget_lines, ready_fits

ROUND: dict[str, Any] = {
    "round": "ab" * 32,
    "title": "秋季全员筛查",
    "census_date": "2026-09-30",
    "charged": "2026-10-12T08:00:00Z",
    "rho": "1/5",
    "relation": "replace-one",
    "in_store": 1,
    "in_log": 1,
    "given_back": 0,
    "predecessors": [],
    "vectors": 1,
}


def risk(rho: str, guess: float) -> dict[str, Any]:
    return {
        "rho": rho,
        "epsilon": 3.13,
        "delta": 1e-6,
        "total_delta": 1.0000001e-6,
        "eta": 1e-30,
        "guess": guess,
        "gaussian_guess": guess - 0.02,
    }


def answer(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "node": "school-1",
        "operator": "第一中学",
        "school_year": "2026-2027",
        "is_current": 1,
        "years": ["2026-2027"],
        "cap": "1/2",
        "spent": "1/5",
        "left": "3/10",
        "rho_round": "1/4",
        "rounds": [ROUND],
        "relation": "replace-one",
        "risks": {"replace-one": risk("1/5", 0.656), "add-remove": risk("1/10", 0.611)},
        "at_cap": risk("1/2", 0.7396),
        "alone": {**risk("47/5", 0.9999), "collude": 1, "threshold": 3, "auditors": 4, "complete": 1},
        "fits": [{"id": "autumn-full", "title": "秋季全员筛查", "rho": "1/5", "fits": 1}],
    }
    return values | changes


def text(**changes: Any) -> str:
    return "\n".join(budget_lines(answer(**changes)))


def test_the_meter_shows_bar_numbers_and_rounds() -> None:
    shown = text()
    assert f"[{'#' * 16}{'-' * 24}]  40 % spent" in shown
    assert "0.2 of 0.5 spent, 0.3 left (rho)" in shown
    assert (
        "abababababababab  2026-09-30  秋季全员筛查\n    cost 0.2; known to this node and to the log" in shown
    )


@pytest.mark.parametrize(
    ("share", "filled"),
    [("0", 0), ("1/1000", 1), ("1/2", 20), ("39/40", 39), ("999/1000", 40), ("1", 40), ("7/5", 40)],
)
def test_the_bar_is_ascii_and_never_hides_a_cost(share: str, filled: int) -> None:
    shown = bar(Fraction(share))
    assert shown == "[" + "#" * filled + "-" * (BAR_WIDTH - filled) + "]"
    assert shown.isascii()


def test_the_risk_is_told_as_a_bet_that_is_rounded_up() -> None:
    shown = text()
    assert "two records that a pupil may have" in shown
    assert "names the right one at most 66 times in 100" in shown
    assert "Once the whole account is spent, a guess would be right at most 74 times in 100" in shown


def test_a_weaker_claim_is_told_as_being_in_the_data_or_not() -> None:
    shown = text(relation="add-remove")
    assert "in the data or is not" in shown
    assert "at most 62 times in 100" in shown
    assert "two records" not in shown


@pytest.mark.parametrize("relation", ["replace-one", "add-remove"])
def test_both_relations_are_shown_and_only_the_claimed_one_is_marked(relation: str) -> None:
    rows = [line for line in text(relation=relation).split("\n") if "epsilon" in line]
    assert len(rows) == 2
    assert [("replace one" in row, "<- claimed" in row) for row in rows] == [
        (True, relation == "replace-one"),
        (False, relation == "add-remove"),
    ]


def test_the_worst_case_is_printed() -> None:
    shown = text()
    assert "this holds while no more than 1 of the 4 auditors side with the county" in shown
    assert "If 3 of them broke the rules together, with or without the county" in shown
    assert "this school's own share of the noise: rho 9.4, the right record up to 100 times in 100" in shown


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"in_log": 0}, "charged, not yet in the log"),
        ({"in_store": 0}, "known from the log alone"),
        ({"given_back": 1}, "given back"),
        ({"predecessors": ["s1", "s2"]}, "also reported by s1, s2, which this school has taken over"),
        ({"title": "", "census_date": ""}, "2026-10-12  (its plan is not in this copy of the log)"),
    ],
)
def test_a_round_says_where_it_is_known_from(changes: dict[str, Any], words: str) -> None:
    assert words in text(rounds=[ROUND | changes])


def test_a_year_without_rounds_says_so_and_claims_no_risk() -> None:
    shown = text(rounds=[], spent="0", left="1/2")
    assert "no round has been charged" in shown
    assert "Nothing has been published" in shown
    assert "broke the rules" not in shown
    assert "two records" not in shown


def test_a_full_account_is_not_compared_with_itself() -> None:
    assert "Once the whole account is spent" not in text(spent="1/2", left="0")


def test_what_fits_is_told_for_the_current_year_only() -> None:
    assert "秋季全员筛查 (autumn-full), rho 0.2: 1 more" in text()
    assert "still fits" not in text(is_current=0)
    assert "more than this school allows for one round" in text(rho_round="1/8")


def test_other_years_are_named() -> None:
    assert "other years: 2025-2026 (--year YEAR)" in text(years=["2026-2027", "2025-2026"])
    assert "other years" not in text()


@pytest.mark.parametrize(
    ("left", "rho_round", "fits"), [("1/2", "1/4", 2), ("3/10", "1/4", 1), ("0", "1/4", 0), ("1/2", "1/8", 0)]
)
def test_ready_plans_fit_as_often_as_the_rest_of_the_account_carries(
    left: str, rho_round: str, fits: int
) -> None:
    found = {row["id"]: row for row in ready_fits({"left": left, "rho_round": rho_round})}
    assert found["autumn-full"]["rho"] == "1/5"
    assert found["autumn-full"]["fits"] == fits
    assert list(found) == sorted(found)


def test_everything_but_names_fits_a_console_without_unicode() -> None:
    shown = text(operator="No 1", rounds=[ROUND | {"title": "T"}], fits=[])
    assert shown.isascii()
