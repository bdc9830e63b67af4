"""The state machine by itself: same arguments same answer; liars are named only when others decide."""

from dataclasses import replace
from datetime import timedelta

import pytest
from fakes_federation import CLOSES, OPENS, TinyFederation, fake_bytes

from coordinator.errors import ReplicaMismatchError
from coordinator.round import (
    CloseSet,
    Combine,
    Finished,
    FixCandidates,
    Reason,
    Surroundings,
    Wait,
    choose_openers,
    next_action,
    set_aside,
)
from protos.round_log import RoundLog
from protos.statements import Abandon

GRACE = timedelta(minutes=1)
NOON = OPENS + timedelta(days=1)


def around(federation: TinyFederation, round_id: bytes, **changes: object) -> Surroundings:
    """Surroundings in the middle of the window; checks and openings have just come."""
    base = Surroundings(
        now=NOON,
        revoked=frozenset(federation.ledger.revoked_auditors),
        candidates=federation.ledger.candidates_for(round_id, federation.ledger.size),
        is_close_requested=False,
        checked_since=NOON,
        opened_since=NOON,
        check_grace=GRACE,
        open_grace=GRACE,
    )
    return replace(base, **changes)  # type: ignore[arg-type]


def opened(tuple_: tuple[int, int, int, int], openers: int, liars: tuple[int, ...] = ()) -> RoundLog:
    """A round with openings; liar k returns a sum of its own for its first subset."""
    n, _, _, quorum = tuple_
    federation = TinyFederation(num_auditors=n, tuple_=tuple_, quorum=quorum)
    federation.join()
    round_id = federation.publish()
    federation.approve(round_id)
    for node in federation.nodes:
        federation.report(node, round_id)
    federation.fix_candidates(round_id)
    names = sorted(federation.auditors)
    for name in names:
        federation.check(name, round_id)
    federation.close(round_id)
    for name in names:
        federation.agree(name, round_id)
    for place, name in enumerate(names[:openers]):
        sums = {subset: fake_bytes(f"sum {subset}") for subset in federation.round(round_id).subsets_of(name)}
        if place in liars:
            sums[min(sums)] = fake_bytes(f"lie of {name}")
        statement = federation.opening_statement(name, round_id, sums)
        federation.add(statement, b"", [federation.auditors[name]])
    return federation.round(round_id)


def test_a_whole_round_step_by_step() -> None:
    federation = TinyFederation()
    federation.join()
    round_id = federation.publish()
    round_log = federation.round(round_id)

    def action(**changes: object) -> object:
        found = next_action(round_log, around(federation, round_id, **changes))
        assert found == next_action(round_log, around(federation, round_id, **changes))
        return found

    assert action() == Wait(Reason.APPROVALS, ("a1", "a2", "a3", "a4"), CLOSES)
    assert action(now=CLOSES) == Finished(Reason.EXPIRED)
    federation.approve(round_id)
    assert action() == Wait(Reason.REPORTS, tuple(sorted(federation.nodes)), CLOSES)
    assert action(now=OPENS - GRACE) == Wait(Reason.NOT_YET_OPEN, (), OPENS)
    for node in ("s1", "s2", "s3", "s4"):
        federation.report(node, round_id)
    assert action(is_close_requested=True) == Wait(Reason.TOO_FEW_REPORTS, ("s5", "s6"), CLOSES)
    assert action(now=CLOSES) == Finished(Reason.TOO_FEW_REPORTS)
    federation.report("s5", round_id)
    assert action() == Wait(Reason.REPORTS, ("s6",), CLOSES)
    assert action(is_close_requested=True) == FixCandidates()
    assert action(now=CLOSES) == FixCandidates()
    assert action(revoked=frozenset({"s6"})) == FixCandidates()
    federation.fix_candidates(round_id)
    assert action(checked_since=None) == Wait(Reason.CHECKS, ("a1", "a2", "a3", "a4"))
    for name in ("a1", "a2", "a4"):
        federation.check(name, round_id)
    assert action() == Wait(Reason.CHECK_GRACE, ("a3",), NOON + GRACE)
    assert action(now=NOON + GRACE) == CloseSet(("a1", "a2", "a4"))
    assert action(revoked=frozenset({"a3"})) == CloseSet(("a1", "a2", "a4"))
    assert action(now=NOON + GRACE, has_small_group=lambda _: True) == Finished(Reason.GROUP_TOO_SMALL)
    federation.close(round_id, ["a1", "a2", "a4"])
    assert action() == Wait(Reason.AGREEMENTS, ("a1", "a2", "a3", "a4"))
    for name in ("a1", "a2", "a3"):
        federation.agree(name, round_id)
    assert action(opened_since=None) == Wait(Reason.OPENINGS, ("a1", "a2", "a3", "a4"))
    for name in ("a1", "a2", "a3"):
        federation.open_(name, round_id)
    assert action() == Wait(Reason.OPEN_GRACE, ("a4",), NOON + GRACE)
    assert action(now=NOON + GRACE) == Combine(("a1", "a2", "a3"), ())
    federation.release(round_id)
    assert action() == Finished(Reason.RELEASED)


def test_an_auditor_that_abandoned_is_not_waited_for() -> None:
    federation = TinyFederation()
    federation.join()
    round_id = federation.publish()
    federation.approve(round_id)
    for node in federation.nodes:
        federation.report(node, round_id)
    federation.fix_candidates(round_id)
    statement = Abandon(federation.federation, round_id, "a2", bytes(32), "policy")
    federation.add(statement, b"", [federation.auditors["a2"]])
    for name in ("a1", "a3", "a4"):
        federation.check(name, round_id)
    found = next_action(federation.round(round_id), around(federation, round_id))
    assert found == CloseSet(("a1", "a3", "a4"))


@pytest.mark.parametrize(
    ("tuple_", "openers", "liars", "expected"),
    [
        ((4, 3, 1, 3), 3, (), "a1 a2 a3"),
        ((4, 3, 1, 3), 4, (), "a1 a2 a3 a4"),
        ((5, 4, 2, 4), 5, (), "a1 a2 a3 a4 a5"),
        ((7, 5, 2, 5), 7, (2,), "a1 a2 a4 a5 a6 a7"),
        ((7, 5, 2, 5), 7, (0,), "a2 a3 a4 a5 a6 a7"),
    ],
)
def test_who_agrees_is_used(
    tuple_: tuple[int, int, int, int], openers: int, liars: tuple[int, ...], expected: str
) -> None:
    round_log = opened(tuple_, openers, liars)
    assert choose_openers(round_log) == tuple(expected.split())
    assert set_aside(round_log) == tuple(f"a{place + 1}" for place in liars)


@pytest.mark.parametrize(
    ("tuple_", "openers", "liars"),
    [((4, 3, 1, 3), 4, (1,)), ((5, 4, 2, 4), 5, (0,)), ((7, 5, 2, 5), 7, (0, 1)), ((7, 5, 2, 5), 6, (3,))],
)
def test_too_few_replies_to_decide_are_an_error(
    tuple_: tuple[int, int, int, int], openers: int, liars: tuple[int, ...]
) -> None:
    round_log = opened(tuple_, openers, liars)
    with pytest.raises(ReplicaMismatchError) as caught:
        choose_openers(round_log)
    assert {f"a{place + 1}" for place in liars} <= set(caught.value.auditors)
    assert set_aside(round_log) == ()


def test_a_mismatch_waits_and_names_the_suspects() -> None:
    round_log = opened((4, 3, 1, 3), 4, (1,))
    surroundings = Surroundings(
        now=NOON,
        revoked=frozenset(),
        candidates=(),
        is_close_requested=False,
        checked_since=NOON,
        opened_since=NOON,
        check_grace=GRACE,
        open_grace=GRACE,
    )
    found = next_action(round_log, surroundings)
    assert isinstance(found, Wait)
    assert found.reason is Reason.REPLICA_MISMATCH
    assert "a2" in found.missing


def test_at_exactly_t_replies_a_lie_in_a_shared_subset_is_still_seen() -> None:
    round_log = opened((4, 3, 1, 3), 3, (0,))
    with pytest.raises(ReplicaMismatchError):
        choose_openers(round_log)
