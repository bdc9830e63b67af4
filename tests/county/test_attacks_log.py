"""Two histories shown to two readers, and plans that only some see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from county_sums import assert_released
from fakes_attacks import (
    ForgedLog,
    assert_refused,
    candidates_of,
    log_statement,
    newest_names,
    show,
)
from fakes_county import CountySimulator
from forged_plans import log_plan, plan_with

from auditor.errors import SplitViewError
from node.vault.errors import MirrorError, RoundRefusedError
from protos.statements import Revoke

Stage = tuple[CountySimulator, bytes]


# --- what an auditor is shown -----------------------------------------------------------------


def other_entry(county: CountySimulator) -> Revoke:
    """An entry that the log's rules allow and that the real log does not have."""
    return Revoke("county-1", county.ledger().roster.digest, "node", "s06", "left-out")


def shorter(county: CountySimulator) -> ForgedLog:
    """A log that has lost its last entry."""
    return ForgedLog(county, ForgedLog(county).size - 1)


def same_size(county: CountySimulator) -> ForgedLog:
    """A log with another last entry."""
    log = shorter(county)
    log.add(other_entry(county))
    return log


def longer(county: CountySimulator) -> ForgedLog:
    """A log that goes on from another entry."""
    log = same_size(county)
    log.add(replace(other_entry(county), id="s05"))
    return log


@pytest.mark.parametrize("make", [shorter, same_size, longer], ids=lambda make: make.__name__)
@pytest.mark.parametrize("is_copy_lost", [False, True], ids=["with its copy", "copy lost"])
def test_an_auditor_that_is_shown_another_history_says_so_and_signs_nothing(
    reported: Stage, make: Callable[[CountySimulator], ForgedLog], is_copy_lost: bool
) -> None:
    """What it has cosigned counts, also when its copy of the log has to be fetched anew."""
    county, round_id = reported
    county.auditors["a1"].step()
    if is_copy_lost:
        for path in (county.root / "a1" / "mirror").iterdir():
            path.unlink()
        county.restart("a1")
    log = make(county)
    link = show(county, "a1", log)
    with pytest.raises(SplitViewError):
        county.auditors["a1"].step()
    assert not log.cosignatures
    assert not link.sent
    if not is_copy_lost:
        evidence = (county.root / "a1" / "mirror" / "evidence").iterdir()
        assert [path.read_bytes() for path in evidence] == [log.checkpoint()]
    else:
        for path in (county.root / "a1" / "mirror").iterdir():
            path.unlink()
    county.restart("a1")
    assert_released(county, round_id, county.node_ids)


# --- what a school is shown -------------------------------------------------------------------


def feed(county: CountySimulator, node_id: str, log: ForgedLog, start: int, cosigned: bytes = b"") -> None:
    """Show a school a forged history from a position on."""
    page = log.page(start)
    county.nodes[node_id].on_log(start, list(page.entries), page.latest, cosigned)


def release_refusal(county: CountySimulator, node_id: str, round_id: bytes) -> str:
    """Why a school does not release."""
    with pytest.raises(RoundRefusedError) as caught:
        county.release(node_id, round_id)
    return caught.value.code


def test_a_school_that_holds_two_signed_histories_stops_for_good(collecting: Stage) -> None:
    county, round_id = collecting
    fork = same_size(county)
    with pytest.raises(MirrorError) as caught:
        county.nodes["s06"].on_log(fork.size, [], fork.checkpoint(), b"")
    assert caught.value.code == "log-split"
    assert release_refusal(county, "s06", round_id) == "log-split"
    county.restart("s06")
    county.serve_node("s06")  # the honest log does not wash it away
    assert release_refusal(county, "s06", round_id) == "log-split"
    status, _ = county.nodes["s06"].handle({"command": "status"}, {})
    assert status["log"]["split"] == 1
    for node_id in county.node_ids[:5]:
        county.release(node_id, round_id)
        county.serve_node(node_id)
    county.coordinator.request_close(round_id, without_missing=True)
    assert_released(county, round_id, county.node_ids[:5])


def test_a_school_takes_nothing_in_place_of_what_is_witnessed(collecting: Stage) -> None:
    county, round_id = collecting
    with pytest.raises(MirrorError) as caught:
        feed(county, "s06", longer(county), 0)
    assert caught.value.code == "log-differs"
    for node_id in county.node_ids:
        county.release(node_id, round_id)
    assert_released(county, round_id, county.node_ids)


def test_witnesses_below_the_quorum_are_not_enough(collecting: Stage) -> None:
    """Nor is one of them that signs twice."""
    county, round_id = collecting
    fork = ForgedLog(county)
    fork.add(other_entry(county))
    for liar in ("a3", "a4"):
        fork.cosign(liar)
    two = fork.checkpoint()
    fork.cosign("a4", at=county.now + timedelta(seconds=1))
    twice = fork.checkpoint() + two.splitlines(keepends=True)[-1]
    assert twice.count(b"witness/a4") == 2
    for cosigned in (two, twice):
        with pytest.raises(MirrorError) as caught:
            feed(county, "s06", fork, fork.size - 1, cosigned)
        assert caught.value.code == "log-checkpoint"
        assert caught.value.details["reason"] == "too-few-cosignatures"
    for node_id in county.node_ids[:5]:
        county.release(node_id, round_id)
    county.coordinator.tick()
    county.work()
    county.release("s06", round_id)  # back on the witnessed log
    assert_released(county, round_id, county.node_ids)


def test_the_stolen_key_of_a_revoked_auditor_witnesses_nothing(collecting: Stage) -> None:
    county, round_id = collecting
    county.coordinator.revoke("auditor", "a4", "key-stolen")
    county.work()
    fork = ForgedLog(county)
    fork.add(replace(other_entry(county), id="s05"))
    for witness in ("a2", "a3", "a4"):
        fork.cosign(witness)
    with pytest.raises(MirrorError) as caught:
        feed(county, "s06", fork, fork.size - 1, fork.checkpoint())
    assert caught.value.details["reason"] == "too-few-cosignatures"
    for node_id in county.node_ids:
        county.release(node_id, round_id)
    assert_released(county, round_id, county.node_ids)
    assert set(county.round(round_id).openings) == {"a1", "a2", "a3"}


def test_a_school_that_is_kept_on_an_old_history_releases_nothing(collecting: Stage) -> None:
    """Nothing that it has is wrong; it only hears no news, as of a revocation."""
    county, round_id = collecting
    county.now += timedelta(hours=25)
    assert release_refusal(county, "s06", round_id) == "log-stale"
    county.work()
    for node_id in county.node_ids:
        county.release(node_id, round_id)
    assert_released(county, round_id, county.node_ids)


def test_a_plan_that_only_one_school_sees_is_never_answered(collecting: Stage) -> None:
    """Without its witnesses and approvals it is no plan; afterwards the school reports to the real one."""
    county, round_id = collecting
    fork = ForgedLog(county)
    own_plan = fork.add(*plan_with(county, closes=county.now + timedelta(days=2)))
    fork.cosign("a4")
    feed(county, "s06", fork, fork.size - 1)
    assert release_refusal(county, "s06", own_plan) == "not-cosigned"
    log_statement(county, *plan_with(county, closes=county.now + timedelta(days=3)))
    county.work()
    assert release_refusal(county, "s06", own_plan) == "no-such-round"
    for node_id in county.node_ids:
        county.release(node_id, round_id)
    assert_released(county, round_id, county.node_ids)


def test_reports_to_two_plans_never_meet_in_one_sum(collecting: Stage) -> None:
    """Two plans that all auditors approved, five schools answer the one, one school the other."""
    county, first = collecting
    second = log_plan(county, closes=county.now + timedelta(days=3))
    for desk in county.auditors.values():
        desk.approve(second)
    county.work()
    for node_id in county.node_ids:
        county.release(node_id, second if node_id == "s06" else first)
        county.serve_node(node_id)
    stray = newest_names(county.round(second))
    fork = ForgedLog(county)
    names = [*newest_names(county.round(first)), *stray]
    fork.add(*candidates_of(county.round(first), names, fork.size))
    assert_refused(county, fork, "wrong-candidates")
    county.coordinator.request_close(first, without_missing=True)
    assert_released(county, first, county.node_ids[:5])
    county.now += timedelta(days=4)
    county.coordinator.tick()
    assert county.coordinator.round_status(second)["reason"] == "too-few-reports"
    assert county.round(second).close is None
