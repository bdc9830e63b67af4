"""What a key keeper has to do now: every state of a round, the right sitting, the right command."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from fakes_auditors import FakeCounty, replace_method, run_all, small_plan

from auditor.bundle_write import unbundled_rounds, write_bundle
from auditor.cli_watch import duty_lines
from auditor.desk import Desk
from auditor.duties import COMMANDS, Duty, duty_of, round_duties, sitting_now
from auditor.errors import AbstainError, RefusalError
from auditor.next_trip import next_trips
from auditor.resend import answered_rounds, resend_opening
from auditor.status import describe, key_state
from auditor.without_you import without_you
from protos.bodies import encode_roster_body
from protos.statements import Extension, Roster, body_ref


def _duty(desk: Desk, round_id: bytes) -> Duty:
    desk.sync()
    return duty_of(desk.context, desk.context.ledger.rounds[round_id])


def _seen(desk: Desk, round_id: bytes) -> tuple[str, int, bool]:
    duty = _duty(desk, round_id)
    return duty.code, duty.sitting, duty.is_due


def test_a_rounds_duties_from_plan_to_release(county: FakeCounty, desks: dict[str, Desk]) -> None:
    desk, others = desks["a1"], [desks[name] for name in ("a2", "a3", "a4")]
    round_id = county.publish_plan()
    assert _seen(desk, round_id) == ("approve", 1, True)
    desk.approve(round_id)
    assert _seen(desk, round_id) == ("approvals", 0, False)
    assert "a2, a3, a4" in str(_duty(desk, round_id).words)
    for other in others:
        other.approve(round_id)
    assert _seen(desk, round_id) == ("reports", 0, False)
    county.collect(round_id)
    assert "6 schools have reported" in str(_duty(desk, round_id).words)
    county.fix_candidates(round_id)
    assert _seen(desk, round_id) == ("watch", 2, True)
    desk.step()
    assert _seen(desk, round_id) == ("checks", 2, False)
    run_all(others, 1)
    county.close(round_id)
    assert _seen(desk, round_id) == ("watch", 2, True)
    desk.step()
    assert _seen(desk, round_id) == ("agreements", 2, False)
    run_all(others, 1)
    assert _seen(desk, round_id) == ("watch", 2, True)
    run_all([desk, *others], 1)
    desk.step()
    assert _seen(desk, round_id) == ("release", 0, False)
    run_all(others, 1)
    county.release_real(round_id)
    assert _seen(desk, round_id) == ("over", 0, False)


def test_what_the_county_has_not_asked_is_not_due(county: FakeCounty, desks: dict[str, Desk]) -> None:
    round_id = county.publish_plan()
    county.clock = county.round(round_id).closes
    assert _seen(desks["a1"], round_id) == ("over", 0, False)


def test_after_the_deadline_the_county_closes(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    county.clock = county.round(round_id).closes
    assert _seen(desks["a1"], round_id) == ("candidates", 2, False)
    county.clock += timedelta(days=61)
    assert _seen(desks["a1"], round_id) == ("watch", 2, True)
    desks["a1"].step()
    assert _seen(desks["a1"], round_id) == ("over", 0, False)


def test_a_copy_of_the_state_abstains_and_says_so(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes, tmp_path: Path
) -> None:
    other = county.desk("a1", tmp_path / "restored")
    other.sync()
    duty = _duty(other, round_id)
    assert (duty.code, duty.is_due) == ("abstain", False)
    assert "telephone" in str(duty.words)


def test_first_things_first(county: FakeCounty, desks: dict[str, Desk], closed_round: bytes) -> None:
    desk = desks["a1"]
    desk.sync()
    assert sitting_now(round_duties(desk.context)) == 2
    assert sitting_now(()) == 0
    assert {duty.code for duty in round_duties(desk.context) if duty.is_due} <= set(COMMANDS)


def test_status_tells_keys_and_duties(county: FakeCounty, desks: dict[str, Desk], round_id: bytes) -> None:
    desk = desks["a1"]
    desk.sync()
    values = describe(desk)
    assert (values["keys"], values["sitting"]) == ("in-force", 0)
    assert [row["code"] for row in values["due"]] == ["cosign"]  # type: ignore[attr-defined]
    desk.step()
    assert describe(desk)["due"] == []
    second = county.publish_plan()
    desk.sync()
    due = describe(desk)["due"]
    assert [(row["code"], row["round"]) for row in due] == [  # type: ignore[attr-defined]
        ("approve", second.hex()),
        ("cosign", ""),
    ]
    desk.mirror.ledger.revoked_auditors["a1"] = 1
    assert key_state(desk) == "revoked"


def test_a_lost_answer_is_sent_again_byte_for_byte(
    county: FakeCounty, desks: dict[str, Desk], opened_round: bytes
) -> None:
    desk = desks["a1"]
    desk.sync()
    before = {key: value for key, value in county.sums.items() if key[1] == "a1"}
    assert len(before) == 3
    for key in before:
        del county.sums[key]
    assert answered_rounds(desk.context) == [opened_round]
    index = resend_opening(desk.context, opened_round)
    assert index == county.round(opened_round).openings["a1"].index
    assert {key: value for key, value in county.sums.items() if key[1] == "a1"} == before


def test_nothing_is_sent_where_nothing_was_answered(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    desk = desks["a1"]
    desk.sync()
    replace_method(desk.context.link, "submit_opening", lambda *_: 1 / 0)
    assert answered_rounds(desk.context) == []
    for wanted in (round_id, bytes(32)):
        with pytest.raises(RefusalError, match="no stored answer"):
            resend_opening(desk.context, wanted)


def test_another_answer_in_the_log_is_not_added_to(
    county: FakeCounty, desks: dict[str, Desk], opened_round: bytes
) -> None:
    desk = desks["a1"]
    desk.sync()
    row = desk.context.ledger.rounds[opened_round]
    row.openings["a1"] = replace(row.openings["a1"], digest=bytes(32))
    with pytest.raises(AbstainError, match="another opening"):
        resend_opening(desk.context, opened_round)


def test_a_plan_that_must_not_be_approved_is_no_duty(county: FakeCounty, desks: dict[str, Desk]) -> None:
    desk = desks["a1"]
    round_id = county.publish_plan(replace(small_plan(), rho=2 * small_plan().rho))
    duty = _duty(desk, round_id)
    assert (duty.code, duty.sitting, duty.is_due) == ("refused", 0, False)
    assert "max-rho: the plan costs rho 2/5" in str(duty.words)
    desk.step()
    assert describe(desk)["due"] == []
    assert next_trips(desk) == ()
    lines = list(duty_lines(round_duties(desk.context)))
    assert "telephone the county" in lines[0]
    assert "plan 1 (" in lines[1]


def test_a_copied_state_opens_with_stop(county: FakeCounty, round_id: bytes, tmp_path: Path) -> None:
    other = county.desk("a1", tmp_path / "restored")
    other.sync()
    assert next(duty_lines(round_duties(other.context))).startswith("STOP")


def test_a_release_waits_for_a_bundle(
    county: FakeCounty, desks: dict[str, Desk], opened_round: bytes, tmp_path: Path
) -> None:
    county.release_real(opened_round)
    desk = desks["a1"]
    desk.step()
    run_all(list(desks.values()), 1)
    desk.step()
    assert [row.round_id for row in unbundled_rounds(desk.context)] == [opened_round]
    write_bundle(desk.context, tmp_path / "public", is_public=True)
    assert len(unbundled_rounds(desk.context)) == 1
    write_bundle(desk.context, tmp_path / "bundle")
    assert unbundled_rounds(desk.context) == []


def test_what_came_into_force_without_this_auditor_is_told(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    assert list(without_you(desks["a1"].context)) == []
    closes = county.round(round_id).terms.closes + timedelta(days=5)
    county.add(Extension(county.federation, round_id, 1, closes, "holiday"), b"", [county.coordinator])
    for name in ("a2", "a3", "a4"):
        desks[name].extend(round_id)
    last = county.ledger.roster
    body = encode_roster_body(replace(last.body, nodes=last.body.nodes[:-1]))
    roster = Roster(
        county.federation, last.statement.serial + 1, last.digest, county.kind, county.quorum, body_ref(body)
    )
    county.add(roster, body, [county.coordinator, *(county.auditors[name] for name in ("a2", "a3", "a4"))])
    told = {}
    for name in ("a1", "a2"):
        desks[name].sync()
        told[name] = [str(words) for words in without_you(desks[name].context)]
    assert told["a2"] == []
    roster, deadline = told["a1"]
    assert "without your signature: schools +0, -1" in roster
    assert "by the grant of a2, a3, a4, without yours" in deadline
