"""Agreement or abandon: one of the two, only to a close that this auditor can recompute."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes_auditors import FakeCounty, replace_method, run_all, small_plan

from auditor.agree import sign_abandon, sign_decision, verify_close
from auditor.desk import Desk
from auditor.errors import CheckError, RefusalError, SlotTakenError
from auditor.signing import sign_entry, store_entry, stored_entry
from auditor.state import SecretKind, SlotKind
from protos.bodies import CloseBody, Refusal, encode_checked_body, encode_close_body, parse_checked_body
from protos.statements import Abandon, Agreement, Checked, body_ref


def _prepare(county: FakeCounty, desks: dict[str, Desk], round_id: bytes, *names: str) -> None:
    """Collect, fix the candidates, and let these auditors check."""
    county.collect(round_id)
    county.fix_candidates(round_id)
    run_all([desks[name] for name in names], 1)


def test_every_auditor_agrees_to_the_right_close(
    county: FakeCounty, desks: dict[str, Desk], closed_round: bytes
) -> None:
    run_all(list(desks.values()), 1)
    row = county.round(closed_round)
    assert row.close is not None
    assert {name: agreement.statement.close for name, agreement in row.agreements.items()} == dict.fromkeys(
        desks, row.close.digest
    )
    assert not row.abandons


def test_there_is_nothing_to_decide_before_the_close(desks: dict[str, Desk], round_id: bytes) -> None:
    desks["a1"].sync()
    context = desks["a1"].context
    with pytest.raises(CheckError, match="not closed"):
        sign_decision(context, context.ledger.rounds[round_id])


# --- a close that does not name this auditor --------------------------------------------------


def _garbled_for(county: FakeCounty, round_id: bytes, auditor: str) -> None:
    """Let all schools report; the box of s6 for one auditor does not open."""
    county.collect(round_id, ["s1", "s2", "s3", "s4", "s5"])
    report = county.make_report("s6", round_id)
    county.send(county.spoil_box(report, auditor, bytes(len(report.boxes[auditor]))))
    county.fix_candidates(round_id)


def _count_boxes(desk: Desk) -> list[bytes]:
    """Note how often an auditor asks for its boxes."""
    asked: list[bytes] = []
    link = desk.context.link
    honest = link.get_boxes

    def get_boxes(wanted: bytes) -> Iterable[tuple[bytes, bytes]]:
        asked.append(wanted)
        return honest(wanted)

    replace_method(link, "get_boxes", get_boxes)
    return asked


def test_an_auditor_whose_check_is_passed_over_agrees_from_its_slot(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    _prepare(county, desks, round_id, "a1", "a2", "a3", "a4")
    county.close(round_id, ["a1", "a2", "a3"])
    asked = _count_boxes(desks["a4"])
    desks["a4"].step()
    row = county.round(round_id)
    assert row.close is not None
    assert row.agreements["a4"].statement.close == row.close.digest
    assert not asked


def test_an_auditor_that_never_checked_checks_late_and_agrees(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    _prepare(county, desks, round_id, "a1", "a2", "a3")
    county.close(round_id)
    asked = _count_boxes(desks["a4"])
    desks["a4"].step()
    row = county.round(round_id)
    assert sorted(row.agreements) == ["a4"]
    assert asked
    assert "a4" not in row.checked
    assert desks["a4"].state.slot(SlotKind.CHECKED, round_id) is None
    run_all(list(desks.values()), 3)
    assert sorted(row.openings) == ["a1", "a2", "a3", "a4"]


@pytest.mark.parametrize("has_checked", [True, False])
def test_an_auditor_that_is_not_named_and_cannot_answer_for_s_abandons(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes, has_checked: bool
) -> None:
    _garbled_for(county, round_id, "a4")
    run_all([desks[name] for name in ("a1", "a2", "a3", *(["a4"] if has_checked else []))], 1)
    county.close(round_id, ["a1", "a2", "a3"])
    run_all(list(desks.values()), 1)
    row = county.round(round_id)
    assert sorted(row.agreements) == ["a1", "a2", "a3"]
    assert row.abandons["a4"].statement.reason == "not-named"
    assert desks["a4"].state.secret(SecretKind.ROUND_KEY, round_id) is None


def test_an_auditor_that_is_not_named_agrees_where_others_refuse_what_it_refuses(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    _garbled_for(county, round_id, "a4")
    name = county.round(round_id).candidate_names()[-1]
    county.check("a1", round_id, [Refusal(name, "box-unopenable")])
    run_all([desks["a2"], desks["a3"]], 1)
    county.close(round_id)
    desks["a4"].step()
    assert sorted(county.round(round_id).agreements) == ["a4"]


def test_a_late_check_waits_for_withheld_boxes_and_gives_up_when_the_keys_time_is_over(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    _prepare(county, desks, round_id, "a1", "a2", "a3")
    county.close(round_id)
    replace_method(desks["a4"].context.link, "get_boxes", lambda _: iter(()))
    assert "withholds" in desks["a4"].step()[-1].detail
    row = county.round(round_id)
    assert "a4" not in {**row.agreements, **row.abandons}
    county.clock = small_plan().closes + timedelta(days=61)
    desks["a4"].step()
    assert row.abandons["a4"].statement.reason == "expired"


def test_a_check_of_other_candidates_does_not_stand_in_for_one_of_these(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    """In a fork this auditor has checked candidates without the report whose box is garbled for it."""
    _garbled_for(county, round_id, "a4")
    run_all([desks[name] for name in ("a1", "a2", "a3")], 1)
    county.close(round_id)
    body = encode_checked_body([])
    statement = Checked(county.federation, round_id, "a4", bytes(32), body_ref(body))
    signed = sign_entry(statement, county.auditors["a4"], body)
    store_entry(desks["a4"].state, SlotKind.CHECKED, round_id, signed)
    desks["a4"].step()
    assert county.round(round_id).abandons["a4"].statement.reason == "not-named"


def test_a_close_that_names_another_check_of_this_auditor_is_not_agreed_to(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    """Somebody else has its statement key, or its state was copied: it signs neither of the two votes."""
    _prepare(county, desks, round_id, "a1", "a2", "a3")
    county.check("a4", round_id, [Refusal(county.round(round_id).candidate_names()[-1], "copied-seed")])
    county.close(round_id)
    (event,) = [event for event in desks["a4"].step() if event.kind == "error"]
    assert "copied or restored" in event.detail
    assert "a4" not in {**county.round(round_id).abandons, **county.round(round_id).agreements}
    assert desks["a4"].state.slot(SlotKind.DECISION, round_id) is None


# --- a close that is not what the log makes it ------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"reports": 5}, "wrong-set"),
        ({"tier": 1}, "wrong-set"),
        ({"checked": ()}, "wrong-set"),
    ],
)
def test_a_close_that_says_something_else_is_not_agreed_to(
    county: FakeCounty, desks: dict[str, Desk], closed_round: bytes, change: dict[str, Any], code: str
) -> None:
    """The ledger refuses such a close already; the auditor recomputes it all the same."""
    desks["a1"].sync()
    context = desks["a1"].context
    row = context.ledger.rounds[closed_round]
    assert row.close is not None
    row.close = replace(row.close, statement=replace(row.close.statement, **change))
    checked = stored_entry(context.state, SlotKind.CHECKED, closed_round)
    with pytest.raises(RefusalError) as caught:
        verify_close(context, row, checked)
    assert caught.value.code == code


def _with_set(desk: Desk, round_id: bytes, change: str) -> None:
    row = desk.context.ledger.rounds[round_id]
    body = row.close_body()
    assert row.close is not None
    assert body is not None
    reduced = CloseBody(body.set[1:], body.excluded)
    statement = row.close.statement
    if change == "counted":
        statement = replace(statement, reports=len(reduced.set))
    row.close = replace(row.close, body=encode_close_body(reduced), statement=statement)


@pytest.mark.parametrize("change", ["plain", "counted"])
def test_a_close_that_leaves_a_school_out_is_not_agreed_to(
    desks: dict[str, Desk], closed_round: bytes, change: str
) -> None:
    desk = desks["a1"]
    desk.sync()
    _with_set(desk, closed_round, change)
    checked = stored_entry(desk.state, SlotKind.CHECKED, closed_round)
    with pytest.raises(RefusalError, match="wrong-set"):
        verify_close(desk.context, desk.context.ledger.rounds[closed_round], checked)


def test_an_agreement_is_never_followed_by_an_abandon(
    county: FakeCounty, desks: dict[str, Desk], closed_round: bytes
) -> None:
    run_all(list(desks.values()), 1)
    context = desks["a1"].context
    with pytest.raises(SlotTakenError):
        sign_abandon(context, context.ledger.rounds[closed_round], "expired")
    decision = stored_entry(context.state, SlotKind.DECISION, closed_round)
    assert decision is not None
    assert isinstance(decision.statement, Agreement)


def test_an_abandon_is_never_followed_by_an_agreement(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    _prepare(county, desks, round_id, "a1", "a2", "a3", "a4")
    desks["a1"].sync()
    context = desks["a1"].context
    sign_abandon(context, context.ledger.rounds[round_id], "expired")
    county.close(round_id)
    desks["a1"].step()
    assert isinstance(county.round(round_id).abandons["a1"].statement, Abandon)
    with pytest.raises(SlotTakenError):
        sign_decision(context, context.ledger.rounds[round_id])


def test_after_the_keys_time_an_undecided_round_is_abandoned_and_the_key_destroyed(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    county.collect(round_id)
    county.clock = small_plan().closes + timedelta(days=60, seconds=1)
    desks["a1"].step()
    assert county.round(round_id).abandons["a1"].statement.reason == "expired"
    assert desks["a1"].state.secret(SecretKind.ROUND_KEY, round_id) is None
    assert desks["a1"].state.secret(SecretKind.DRAW, round_id) is None


def test_before_the_keys_time_nothing_is_abandoned(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    county.clock = small_plan().closes + timedelta(days=59)
    desks["a1"].step()
    assert not county.round(round_id).abandons
    assert desks["a1"].state.secret(SecretKind.ROUND_KEY, round_id) is not None


def test_an_agreed_round_that_expires_loses_its_keys_and_keeps_its_agreement(
    county: FakeCounty, desks: dict[str, Desk], closed_round: bytes
) -> None:
    desks["a1"].step()
    county.clock = small_plan().closes + timedelta(days=61)
    desks["a1"].step()
    row = county.round(closed_round)
    assert sorted(row.agreements) == ["a1"]
    assert not row.abandons
    assert desks["a1"].state.secret(SecretKind.ROUND_KEY, closed_round) is None


def test_when_the_round_can_never_open_the_others_abandon_too_so_that_schools_are_refunded(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    county.collect(round_id)
    for name in ("a1", "a2"):
        desks[name].sync()
        context = desks[name].context
        sign_abandon(context, context.ledger.rounds[round_id], "expired")
    run_all(list(desks.values()), 2)
    row = county.round(round_id)
    assert row.is_refundable
    assert {abandon.statement.reason for abandon in row.abandons.values()} == {"expired", "never-opens"}
    assert all(desk.state.secret(SecretKind.ROUND_KEY, round_id) is None for desk in desks.values())


def test_a_group_below_min_group_is_refused_and_never_opened(tmp_path: Path) -> None:
    """Six schools of a group are in the roster, four of them report: each alone could be seen."""
    county = FakeCounty(num_nodes=12)
    for number, node in enumerate(county.nodes.values()):
        node.attributes = (("grade", "7" if number < 6 else "8"),)
    county.join()
    county.clock = small_plan().opens
    desks = {name: county.desk(name, tmp_path / name) for name in sorted(county.auditors)}
    round_id = county.publish_plan()
    for desk in desks.values():
        desk.approve(round_id)
    county.collect(round_id, ["s1", "s2", "s3", "s4", "s7", "s8", "s9", "s10", "s11", "s12"])
    county.fix_candidates(round_id)
    run_all(list(desks.values()), 1)
    refused = parse_checked_body(county.round(round_id).checked["a1"].body)
    assert [(row.report.node, row.code) for row in refused] == [
        (node, "min-group") for node in ("s1", "s2", "s3", "s4")
    ]
    county.close(round_id)
    run_all(list(desks.values()), 1)
    assert len(county.round(round_id).agreements) == 4


def test_groups_that_become_too_small_when_others_are_left_out_are_refused_too(tmp_path: Path) -> None:
    """Four reports of grade 7; with them go two of six of sex 1, and the close still has to be agreed to."""
    county = FakeCounty(num_nodes=16)
    for number, node in enumerate(county.nodes.values()):
        node.attributes = (("grade", "7" if number < 5 else "8"), ("sex", "1" if 3 <= number < 9 else "2"))
    county.join()
    county.clock = small_plan().opens
    desks = {name: county.desk(name, tmp_path / name) for name in sorted(county.auditors)}
    round_id = county.publish_plan()
    for desk in desks.values():
        desk.approve(round_id)
    county.collect(round_id, [f"s{number}" for number in range(2, 17)])
    county.fix_candidates(round_id)
    run_all(list(desks.values()), 1)
    refused = parse_checked_body(county.round(round_id).checked["a1"].body)
    assert {row.report.node for row in refused} == {f"s{number}" for number in range(2, 10)}
    county.close(round_id)
    run_all(list(desks.values()), 1)
    assert len(county.round(round_id).agreements) == 4


def test_a_close_with_a_small_group_is_abandoned(tmp_path: Path) -> None:
    """One school cannot be read by a1: with it goes the group, which only the close shows to a2."""
    county = FakeCounty(num_nodes=6)
    for node in county.nodes.values():
        node.attributes = (("grade", "7"),)
    county.join()
    county.clock = small_plan().opens
    desks = {name: county.desk(name, tmp_path / name) for name in sorted(county.auditors)}
    round_id = county.publish_plan(replace(small_plan(), min_group=6))
    for desk in desks.values():
        desk.approve(round_id)
    county.collect(round_id)
    county.fix_candidates(round_id)
    context = desks["a2"].context
    run_all(list(desks.values()), 1)
    county.close(round_id)
    desks["a2"].sync()
    _with_set(desks["a2"], round_id, "counted")
    row = context.ledger.rounds[round_id]
    excluded = Refusal(county.round(round_id).candidate_names()[0], "box-unopenable")
    row.checked["a1"] = replace(row.checked["a1"], body=encode_checked_body([excluded]))
    body = row.close_body()
    assert row.close is not None
    assert body is not None
    row.close = replace(row.close, body=encode_close_body(CloseBody(body.set, (excluded,))))
    with pytest.raises(RefusalError, match="min-group"):
        verify_close(context, row, stored_entry(context.state, SlotKind.CHECKED, round_id))
