"""Weaker plans: refused by the log's rules, by the auditors' policy, and by the schools' floors."""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import pytest
from county_sums import assert_released
from fakes_attacks import ForgedLog, assert_refused
from fakes_county import CountySimulator
from fakes_vault import plan_of
from forged_plans import approve_blindly, finish_honestly, log_plan, plan_with, refusal_at_school

from auditor.errors import RefusalError
from coordinator.errors import PlanRefusedError
from crypto.sealing import ROUND_PUBLIC_BYTES

Stage = tuple[CountySimulator, bytes]


# --- plans that the log refuses ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"auditors": ("a1",), "threshold": 1, "collude": 0, "quorum": 1}, "wrong-tuple"),
        ({"auditors": ("a1", "a2", "a3"), "threshold": 2, "collude": 0, "quorum": 2}, "wrong-tuple"),
        ({"threshold": 2}, "wrong-tuple"),
        ({"collude": 0}, "wrong-tuple"),
        ({"quorum": 2}, "wrong-tuple"),
        ({"auditors": ("a1", "a2", "a3", "x1")}, "wrong-plan"),
        ({"auditors": ("a1", "a1", "a2", "a3")}, "wrong-plan"),
        ({"min_reports": 4}, "wrong-plan"),
        ({"colluding_schools": 0}, "wrong-plan"),
        ({"colluding_schools": 4}, "wrong-plan"),
        ({"min_group": 0}, "wrong-plan"),
        ({"roster": bytes(32)}, "wrong-plan"),
        ({"serial": 3}, "wrong-plan"),
    ],
)
def test_a_plan_below_the_roster_is_refused_by_everybody(
    collecting: Stage, changes: dict[str, object], code: str
) -> None:
    county, _ = collecting
    log = ForgedLog(county)
    log.add(*plan_with(county, **changes))
    assert_refused(county, log, code)


def test_the_coordinator_publishes_no_plan_outside_the_roster(collecting: Stage) -> None:
    county, _ = collecting
    draft = plan_of(num_auditors=3, threshold=3, collude=2, quorum=3)
    with pytest.raises(PlanRefusedError) as caught:
        county.coordinator.publish_plan(draft)
    assert caught.value.code == "plan-refused"


# --- plans that the log allows and auditors refuse --------------------------------------------


def weaker_noise(county: CountySimulator) -> tuple[tuple[str, int, int, bytes], ...]:
    """The plan's noise lines, the first with half the variance."""
    rows = next(iter(county.ledger().rounds.values())).terms.noise
    table, scale, s2, thresholds = rows[0]
    return ((table, scale, s2 // 2, thresholds), *rows[1:])


FORGED_FIGURES: list[tuple[dict[str, object], str, str]] = [
    ({"cells": 45}, "wrong-cells", "wrong-cells"),
    ({"noise": "weaker"}, "wrong-noise", "wrong-noise"),
    ({"rho": Fraction(1, 10)}, "wrong-noise", "wrong-noise"),
    ({"min_group": 1}, "wrong-plan", "plan-invalid"),
    ({"closes": "past"}, "expired", "plan-expired"),
    ({"opens": "future"}, "", "plan-not-open"),
]


@pytest.mark.parametrize(("changes", "auditor_code", "node_code"), FORGED_FIGURES)
def test_a_plan_with_forged_figures_is_refused_by_auditors_and_schools(
    collecting: Stage, changes: dict[str, object], auditor_code: str, node_code: str
) -> None:
    """The schools refuse it even when all auditors have approved."""
    county, honest_round = collecting
    values = dict(changes)
    if "noise" in values:
        values["noise"] = weaker_noise(county)
    if "closes" in values:
        values["closes"] = county.now - timedelta(hours=1)
    if "opens" in values:
        values["opens"] = county.now + timedelta(days=1)
    round_id = log_plan(county, **values)
    if auditor_code:
        with pytest.raises(RefusalError) as caught:
            county.auditors["a1"].approve(round_id)
        assert caught.value.code == auditor_code
    approve_blindly(county, round_id)
    assert refusal_at_school(county, round_id) == node_code
    assert honest_round != round_id


@pytest.mark.parametrize(
    ("line", "replacement", "code"),
    [
        ("max-rho 1/4", "max-rho 1/10", "max-rho"),
        ("max-rho-year 1/2", "max-rho-year 1/10", "max-rho-year"),
        ("min-reports 5", "min-reports 6", "min-reports"),
        ("min-group 5", "min-group 6", "min-group"),
        ("min-group 5", "min-group 5\nforbid-field sex", "forbid-field"),
        ("tuple 4 3 1 3", "tuple 4 4 2 4", "tuple"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " not in value else "",
)
def test_an_auditor_approves_nothing_below_its_own_policy(
    collecting: Stage, line: str, replacement: str, code: str
) -> None:
    county, _ = collecting
    assert f"\n{line}\n" in county.policy_text
    county.policy_text = county.policy_text.replace(f"\n{line}\n", f"\n{replacement}\n")
    county.restart("a1")
    round_id = log_plan(county, closes=county.now + timedelta(days=3))
    with pytest.raises(RefusalError) as caught:
        county.auditors["a1"].approve(round_id)
    assert caught.value.code == code
    assert not county.round(round_id).approvals


def test_a_plan_that_costs_more_than_any_policy_allows_is_refused(collecting: Stage) -> None:
    county, honest_round = collecting
    n, t, f, q = county.tuple_
    draft = plan_of(num_auditors=n, threshold=t, collude=f, quorum=q, rho=Fraction(3, 10))
    round_id = county.coordinator.publish_plan(draft)
    with pytest.raises(RefusalError) as caught:
        county.auditors["a1"].approve(round_id)
    assert caught.value.code == "max-rho"
    approve_blindly(county, round_id)
    assert refusal_at_school(county, round_id) == "below-floor"
    finish_honestly(county, honest_round)


# --- a school's own floors --------------------------------------------------------------------


@pytest.mark.parametrize(
    "floor",
    [
        {"threshold": 4},
        {"collude": 2},
        {"min_reports": 6},
        {"colluding_schools": 2},
        {"rho_round": "1/10"},
    ],
    ids=lambda floor: next(iter(floor)),
)
def test_a_school_releases_nothing_below_its_own_floors(collecting: Stage, floor: dict[str, object]) -> None:
    county, round_id = collecting
    county.nodes["s01"].handle({"command": "floors", "floors": floor}, {})
    assert refusal_at_school(county, round_id) == "below-floor"


def test_the_round_goes_on_without_a_school_that_asks_for_more(collecting: Stage) -> None:
    county, round_id = collecting
    county.nodes["s06"].handle({"command": "floors", "floors": {"threshold": 4}}, {})
    assert refusal_at_school(county, round_id, "s06") == "below-floor"
    for node_id in county.node_ids[:5]:
        county.release(node_id, round_id)
        county.serve_node(node_id)
    county.coordinator.request_close(round_id, without_missing=True)
    assert_released(county, round_id, county.node_ids[:5])


def test_one_auditor_with_an_unusable_round_key_empties_no_account(collecting: Stage) -> None:
    county, honest_round = collecting
    round_id = log_plan(county, closes=county.now + timedelta(days=3))
    approve_blindly(county, round_id, round_key=b"\xff" * ROUND_PUBLIC_BYTES)
    assert refusal_at_school(county, round_id) == "bad-round-key"
    status, _ = county.nodes["s01"].handle({"command": "status"}, {})
    assert [row["spent"] for row in status["account"]] == ["0"]
    finish_honestly(county, honest_round)
