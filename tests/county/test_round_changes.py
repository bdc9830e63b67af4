"""Later deadlines, rounds that the county ends, withdrawn releases, several rounds at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from county_sums import expected_sum, finish, opened_sum
from fakes_county import CountySimulator
from fakes_vault import plan_of

from auditor.approve_year import review_year
from auditor.bundle_write import write_bundle
from auditor.errors import RefusalError
from auditor.extend import review_extension
from auditor.policy import parse_auditor_policy
from auditor.verify.run import verify_bundle
from coordinator.change_round import NewTerms
from node.vault.errors import RoundRefusedError
from plan.document import PlanDocument
from plan.table_spec import TableSpec
from protos.ledger import RoundState

Stage = tuple[CountySimulator, bytes]


def test_schools_and_auditors_go_by_the_deadline_that_a_quorum_granted(collecting: Stage) -> None:
    county, round_id = collecting
    old = county.round(round_id).closes
    for node_id in county.node_ids[:4]:
        county.release(node_id, round_id)
        county.serve_node(node_id)
    county.now = old - timedelta(hours=3)
    later = old + timedelta(days=6)
    county.coordinator.rounds.extend(round_id, later, "schools-missing")
    asked = "the county asks for a later deadline"
    assert asked in " ".join(event.detail for event in county.auditors["a1"].step())
    for name in ("a1", "a2"):
        county.auditors[name].extend(round_id)
    assert asked not in " ".join(event.detail for event in county.auditors["a1"].step())
    county.work()
    county.now = old + timedelta(hours=3)
    county.work()
    with pytest.raises(RoundRefusedError) as caught:
        county.release("s05", round_id)
    assert caught.value.code == "plan-expired"
    county.auditors["a4"].extend(round_id)
    assert county.auditors["a4"].extend(round_id) >= 0  # again: the same statement
    with pytest.raises(RoundRefusedError):
        county.release("s05", round_id)  # in the log, but under no cosigned checkpoint that it has seen
    county.work()
    for node_id in ("s05", "s06"):
        county.release(node_id, round_id)
    finish(county, round_id)
    assert np.array_equal(opened_sum(county, round_id), expected_sum(county, round_id, county.node_ids))


def test_a_deadline_asked_for_after_looking_is_not_granted(collecting: Stage) -> None:
    county, round_id = collecting
    desk, old = county.auditors["a1"], county.round(round_id).closes
    county.coordinator.rounds.extend(round_id, old + timedelta(days=1), "holiday")
    desk.sync()
    shown = review_extension(desk.context, round_id).extension.digest
    county.coordinator.rounds.extend(round_id, old + timedelta(days=60), "holiday")
    with pytest.raises(RefusalError, match="other-extension"):
        desk.extend(round_id, shown)
    assert county.round(round_id).changes.extended == {}
    assert desk.extend(round_id, review_extension(desk.context, round_id).extension.digest) >= 0


def test_an_auditor_grants_nothing_that_nobody_asked_for_or_that_has_passed(collecting: Stage) -> None:
    county, round_id = collecting
    with pytest.raises(RefusalError, match="no-extension"):
        county.auditors["a1"].extend(round_id)
    later = county.round(round_id).closes + timedelta(days=6)
    county.coordinator.rounds.extend(round_id, later, "holiday")
    county.now = later
    with pytest.raises(RefusalError, match="expired"):
        county.auditors["a1"].extend(round_id)


def test_a_round_key_lives_as_long_as_the_deadline_that_was_granted(collecting: Stage) -> None:
    county, round_id = collecting
    old = county.round(round_id).closes
    for node_id in county.node_ids[:4]:
        county.release(node_id, round_id)
        county.serve_node(node_id)
    county.coordinator.rounds.extend(round_id, old + timedelta(days=50), "holiday")
    for name in ("a1", "a2", "a3"):
        county.auditors[name].extend(round_id)
    keep = county.auditors["a4"].context.keep_keys
    county.now = old + keep + timedelta(days=1)
    county.work()
    assert county.round(round_id).abandons == {}
    county.now = old + timedelta(days=50) + keep + timedelta(days=1)
    county.work()
    assert county.round(round_id).is_refundable


def test_schools_get_their_charge_back_when_the_county_ends_a_round(reported: Stage) -> None:
    county, round_id = reported
    before = account(county, "s01")
    county.coordinator.rounds.cancel(round_id, "wrong-codebook")
    county.work()
    found = county.round(round_id)
    assert found.is_refundable
    assert {row.statement.reason for row in found.abandons.values()} == {"cancelled", "never-opens"}
    assert before != ["0"]
    assert account(county, "s01") == ["0"]
    with pytest.raises(RoundRefusedError) as caught:
        county.release("s01", round_id)
    assert caught.value.code == "round-cancelled"


def account(county: CountySimulator, node_id: str) -> list[str]:
    status, _ = county.nodes[node_id].handle({"command": "status"}, {})
    return [row["spent"] for row in status["account"]]


def test_after_the_end_a_round_that_may_have_been_opened_is_not_asked_for_again(opened: Stage) -> None:
    county, round_id = opened
    county.coordinator.rounds.cancel(round_id, "other")
    county.work()
    assert county.round(round_id).state is RoundState.ABORTED
    assert county.round(round_id).release is None
    again = county.publish(plan_of(id="again", rho=Fraction(1, 100)))
    with pytest.raises(RefusalError, match="second-plan"):
        county.auditors["a1"].approve(again)


def test_a_reissued_plan_is_answered_in_the_place_of_the_old_one(enrolled: CountySimulator) -> None:
    county = enrolled
    old = county.publish()
    for name in ("a1", "a2"):
        county.auditors[name].approve(old)
    closes = county.round(old).closes
    new = county.coordinator.rounds.reissue(old, NewTerms(closes=closes + timedelta(days=2)))
    with pytest.raises(RefusalError, match="cancelled"):
        county.auditors["a3"].approve(old)
    for auditor in county.auditors.values():
        auditor.approve(new)
    county.work()
    for node_id in county.node_ids:
        county.release(node_id, new)
    finish(county, new)
    assert set(county.round(old).abandons) <= {"a1", "a2"}  # who has approved gives it up


def test_a_withdrawal_is_in_the_bundle_and_every_check_passes(released: Stage, county_folder: Path) -> None:
    county, round_id = released
    county.coordinator.rounds.correct(round_id, "withdrawn", "school-miscounted")
    county.work()
    auditor = county.auditors["a1"]
    with auditor.state.locked():
        write_bundle(auditor.context, county_folder / "bundle")
    verdict = verify_bundle(county_folder / "bundle", parse_auditor_policy(county.policy_text))
    assert [row.name for row in verdict.checks if row.outcome.value == "FAIL"] == []
    (changes,) = [row for row in verdict.checks if row.name == "changes"]
    assert "withdrawn" in changes.detail
    text = (county_folder / "bundle" / "results" / round_id.hex() / "release.json").read_text("utf-8")
    assert '"status": "withdrawn"' in text


# -- several rounds at once --------------------------------------------------------------------


def two_plans() -> tuple[PlanDocument, PlanDocument]:
    """Two plans of one wave that count different things, each for 3/20 of the year's 1/2."""
    first = plan_of(id="first", rho=Fraction(3, 20))
    other = TableSpec(id="K1", title="住宿", dims=("boarding", "level"), where=(("disposition", ("1", "2")),))
    return first, replace(first, id="second", tables=(other,))


def test_overlapping_rounds_are_collected_released_and_charged_each_for_itself(
    enrolled: CountySimulator,
) -> None:
    county = enrolled
    rounds = county.coordinator.rounds.publish_year(two_plans())
    for auditor in county.auditors.values():
        auditor.sync()
        (review,) = review_year(auditor.context, rounds)
        assert review.rho_year == review.rho == Fraction(3, 10)
        for round_id in rounds:
            auditor.approve(round_id)
    county.work()
    for place, node_id in enumerate(county.node_ids):  # in another order at every other school
        for round_id in rounds if place % 2 else rounds[::-1]:
            county.release(node_id, round_id)
            county.serve_node(node_id)
            county.serve_node(node_id)  # the next report names this one, once it is seen in the log
    for round_id in rounds:
        assert county.work(county.is_state(round_id, RoundState.RELEASED), max_passes=400)
        assert np.array_equal(opened_sum(county, round_id), expected_sum(county, round_id, county.node_ids))
    third = county.publish(
        replace(two_plans()[1], id="third", rho=Fraction(1, 4), tables=(different_table(),))
    )
    for auditor in county.auditors.values():
        with pytest.raises(RefusalError, match="max-rho-year"):
            auditor.approve(third)


def different_table() -> TableSpec:
    return TableSpec(id="L1", title="家庭", dims=("family", "level"), where=(("disposition", ("1", "2")),))


def test_a_years_review_refuses_plans_that_go_too_far_together(enrolled: CountySimulator) -> None:
    county = enrolled
    first, second = two_plans()
    rounds = [county.publish(plan) for plan in (first, second, replace(second, id="third"))]
    auditor = county.auditors["a1"]
    auditor.sync()
    with pytest.raises(RefusalError, match="second-plan"):
        review_year(auditor.context, rounds)
    rounds[2] = county.publish(replace(second, id="fourth", rho=Fraction(1, 4), tables=(different_table(),)))
    auditor.sync()
    with pytest.raises(RefusalError, match="max-rho-year"):
        review_year(auditor.context, rounds)
    (review,) = review_year(auditor.context, rounds[:2])
    assert review.rho_before == 0
    assert set(review.changes.values()) == {None}
