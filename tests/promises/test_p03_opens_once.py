"""P3: a round opens at most once, and S is a function of the log.

Tried: a second close, two closes shown to two auditors, a second vote, a second answer, an opening before a
quorum has agreed, and crashes between signing and sending. Sets that somebody chose:
`tests/county/test_attacks_candidates.py`.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta

import pytest
from county_sums import assert_released
from fakes_attacks import (
    DyingLink,
    ForgedLog,
    LyingSchool,
    assert_refused,
    auditor_key,
    close_digest,
    close_of,
    give_link,
    show,
    sign_as,
    slot_bytes,
)
from fakes_county import CountySimulator, Crash

from auditor.desk import Event
from auditor.errors import SplitViewError
from auditor.signing import stored_entry
from auditor.state import SecretKind, SlotKind
from coordinator.errors import AlreadyStatedError, NotYetAgreedError, StatementRefusedError
from protos.statements import Abandon, Agreement, Opening

Stage = tuple[CountySimulator, bytes]


def forget_the_log(county: CountySimulator, auditor_id: str) -> None:
    """An auditor loses its copy of the log and what it cosigned last: it can be shown anything."""
    folder = county.root / auditor_id
    for path in sorted((folder / "mirror").rglob("*")):
        if path.is_file():
            path.unlink()
    (folder / "state" / "witness").unlink()
    county.restart(auditor_id)


def details(events: list[Event], kind: str) -> list[str]:
    """What an auditor's step says under one kind."""
    return [event.detail for event in events if event.kind == kind]


# --- a second set -----------------------------------------------------------------------------


def test_a_second_close_is_refused_by_everybody(agreed: Stage) -> None:
    county, round_id = agreed
    log = ForgedLog(county)
    log.add(*close_of(county.round(round_id), ["a1", "a2", "a3"]))
    assert_refused(county, log, "second-close")
    assert_released(county, round_id, county.node_ids)


def split_by_one_box(county: CountySimulator, round_id: bytes) -> None:
    """School s06 garbles the box of a4 only, so that two closes are both functions of the log."""
    liar = LyingSchool(county, "s06", round_id)
    for node_id in county.node_ids[:5]:
        county.release(node_id, round_id)
        county.serve_node(node_id)
    liar.send(liar.payload(boxes={"a4": bytes(len(liar.boxes["a4"]))}))
    county.coordinator.tick()
    for auditor in county.auditors.values():
        auditor.step()


def test_two_auditors_that_are_shown_two_sets_never_open_both(collecting: Stage) -> None:
    """a1 is shown S of six schools, a2 and a3 S of five; a4 agrees to both and cosigns both."""
    county, round_id = collecting
    split_by_one_box(county, round_id)
    fork = ForgedLog(county)
    other = fork.add(*close_of(county.round(round_id), ["a1", "a2", "a3"]))
    link = show(county, "a1", fork)
    assert details(county.auditors["a1"].step(), "agreement") == ["sent"]
    fork.add(Agreement("county-1", round_id, "a4", other), b"", auditor_key(county, "a4"))
    fork.cosign("a4")
    expected = ["0 agreements under a cosigned checkpoint, 3 are needed"]
    assert details(county.auditors["a1"].step(), "waiting") == expected

    county.absent.add("a1")
    county.coordinator.tick()  # the real close names a4's check: S has five schools
    county.work(max_passes=8)
    county.now += timedelta(minutes=5)
    assert_released(county, round_id, county.node_ids[:5])

    real = close_digest(county.round(round_id))
    fork.add(Agreement("county-1", round_id, "a2", real), b"", auditor_key(county, "a2"))
    assert fork.refusal() == "wrong-close"  # an agreement to one set is none to the other
    fork.entries.pop()
    assert details(county.auditors["a1"].step(), "waiting") == expected
    assert slot_bytes(county, "a1", SlotKind.OPENING, round_id) is None
    assert len(link.sent) == 1
    county.restart("a1")
    with pytest.raises(SplitViewError, match="another history"):
        county.auditors["a1"].step()


def test_a_crash_between_signing_and_sending_gives_the_same_vote_again(closed: Stage) -> None:
    """The auditor dies with its agreement signed, loses its copy of the log, and is shown another close."""
    county, round_id = closed
    fork = ForgedLog(county)
    fork.entries.pop()
    fork.add(*close_of(county.round(round_id), ["a1", "a2", "a3"]))
    give_link(county, "a1", DyingLink(county, "a1", "agreement"))
    with pytest.raises(Crash):
        county.auditors["a1"].step()
    county.restart("a1")
    signed = stored_entry(county.auditors["a1"].state, SlotKind.DECISION, round_id)
    assert signed is not None
    assert not county.round(round_id).agreements

    show(county, "a1", fork)
    with pytest.raises(SplitViewError, match="another history"):
        county.auditors["a1"].step()
    forget_the_log(county, "a1")
    link = show(county, "a1", fork)
    events = county.auditors["a1"].step()
    assert set(link.sent) == {signed.entry}  # to the first close, byte for byte, and nothing else
    assert "wrong-close" in details(events, "error")[0]
    assert slot_bytes(county, "a1", SlotKind.OPENING, round_id) is None

    forget_the_log(county, "a1")
    assert_released(county, round_id, county.node_ids)
    assert county.round(round_id).agreements["a1"].digest == signed.digest


def test_a_crash_before_an_opening_is_sent_gives_the_same_sums_again(agreed: Stage) -> None:
    county, round_id = agreed
    give_link(county, "a1", DyingLink(county, "a1", "opening"))
    for _ in range(2):
        for auditor_id in ("a2", "a3", "a1"):
            if slot_bytes(county, "a1", SlotKind.OPENING, round_id) is None:
                run(county, auditor_id)
    signed = stored_entry(county.auditors["a1"].state, SlotKind.OPENING, round_id)
    assert signed is not None
    assert "a1" not in county.round(round_id).openings
    assert county.auditors["a1"].state.secret(SecretKind.ROUND_KEY, round_id) is None
    assert_released(county, round_id, county.node_ids)
    assert county.round(round_id).openings["a1"].digest == signed.digest


def run(county: CountySimulator, auditor_id: str) -> None:
    """Let an auditor work; if it dies, start it again with the honest link."""
    try:
        county.auditors[auditor_id].step()
    except Crash:
        county.restart(auditor_id)


# --- a second answer --------------------------------------------------------------------------


def test_a_second_vote_is_refused(agreed: Stage) -> None:
    county, round_id = agreed
    second = Abandon("county-1", round_id, "a4", close_digest(county.round(round_id)), "expired")
    with pytest.raises(AlreadyStatedError) as caught:
        county.coordinator.submit_statement("a4", sign_as(second, auditor_key(county, "a4")), b"")
    assert isinstance(caught.value.__cause__, StatementRefusedError)
    assert caught.value.__cause__.reason == "second-vote"
    log = ForgedLog(county)
    log.add(second, b"", auditor_key(county, "a4"))
    assert_refused(county, log, "second-vote")
    assert_released(county, round_id, county.node_ids)


def opening_of(county: CountySimulator, round_id: bytes, auditor_id: str, draw: bytes) -> Opening:
    """An opening with made-up sums."""
    round_log = county.round(round_id)
    sums = tuple((subset, bytes([subset]) * 32) for subset in round_log.subsets_of(auditor_id))
    return Opening("county-1", round_id, auditor_id, close_digest(round_log), draw, sums)


def test_an_opening_before_a_quorum_has_agreed_is_refused(closed: Stage) -> None:
    county, round_id = closed
    draw = county.auditors["a4"].state.secret(SecretKind.DRAW, round_id)
    assert draw is not None
    opening = replace(opening_of(county, round_id, "a4", draw), sums=zero_sums(county, round_id))
    vectors = [bytes(8 * county.round(round_id).terms.cells)] * 3
    with pytest.raises(NotYetAgreedError) as caught:
        county.coordinator.submit_opening("a4", sign_as(opening, auditor_key(county, "a4")), vectors)
    assert caught.value.code == "not-yet-agreed"
    log = ForgedLog(county)
    log.add(opening, b"", auditor_key(county, "a4"))
    assert_refused(county, log, "not-agreed")
    assert_released(county, round_id, county.node_ids)


def zero_sums(county: CountySimulator, round_id: bytes) -> tuple[tuple[int, bytes], ...]:
    """Digests of sums that are all zeros, for a4."""
    round_log = county.round(round_id)
    zeros = hashlib.sha256(bytes(8 * round_log.terms.cells)).digest()
    return tuple((subset, zeros) for subset in round_log.subsets_of("a4"))


def test_a_second_opening_is_refused(opened: Stage) -> None:
    """Two answers of one auditor over two sets would give the difference of the sets."""
    county, round_id = opened
    draw = county.round(round_id).openings["a4"].statement.draw
    second = replace(opening_of(county, round_id, "a4", draw), sums=zero_sums(county, round_id))
    vectors = [bytes(8 * county.round(round_id).terms.cells)] * 3
    with pytest.raises(AlreadyStatedError) as caught:
        county.coordinator.submit_opening("a4", sign_as(second, auditor_key(county, "a4")), vectors)
    assert isinstance(caught.value.__cause__, StatementRefusedError)
    assert caught.value.__cause__.reason == "second-opening"
    log = ForgedLog(county)
    log.add(second, b"", auditor_key(county, "a4"))
    assert_refused(county, log, "second-opening")
    assert_released(county, round_id, county.node_ids)


def test_who_has_opened_once_answers_for_no_other_set(opened: Stage) -> None:
    """a1 has lost its copy of the log and is shown another end: close, agreements, cosignatures."""
    county, round_id = opened
    round_log = county.round(round_id)
    assert round_log.close is not None
    fork = ForgedLog(county, round_log.close.index)
    other = fork.add(*close_of(round_log, ["a1", "a2", "a3"]))
    for auditor_id in ("a2", "a3", "a4"):
        fork.add(Agreement("county-1", round_id, auditor_id, other), b"", auditor_key(county, auditor_id))
    for auditor_id in ("a2", "a3", "a4"):
        fork.cosign(auditor_id)
    first = slot_bytes(county, "a1", SlotKind.OPENING, round_id)
    forget_the_log(county, "a1")
    link = show(county, "a1", fork)
    events = county.auditors["a1"].step()
    agreement = stored_entry(county.auditors["a1"].state, SlotKind.DECISION, round_id)
    assert agreement is not None
    assert set(link.sent) == {agreement.entry}
    assert "wrong-close" in details(events, "error")[0]
    assert slot_bytes(county, "a1", SlotKind.OPENING, round_id) == first
    forget_the_log(county, "a1")
    assert_released(county, round_id, county.node_ids)
