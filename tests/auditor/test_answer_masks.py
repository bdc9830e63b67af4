"""Opening: only what a quorum agreed to, only from the stored sums, with the keys gone first."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes_auditors import FakeCounty, replace_method, run_all

from auditor.answer_masks import sign_opening, stored_answer, verify_agreed
from auditor.desk import Desk
from auditor.errors import LinkError, NotReadyError, StateError
from auditor.state import SecretKind, SlotKind
from crypto.derivation import draw_commitment


def test_the_sum_comes_out_and_every_key_is_gone(
    county: FakeCounty, desks: dict[str, Desk], opened_round: bytes
) -> None:
    row = county.round(opened_round)
    assert sorted(row.openings) == sorted(desks)
    assert np.array_equal(county.combine(opened_round, sorted(desks)), county.expected_sums(opened_round))
    for desk in desks.values():
        assert desk.state.secret(SecretKind.ROUND_KEY, opened_round) is None
        assert desk.state.secret(SecretKind.DRAW, opened_round) is None


@pytest.mark.parametrize("away", ["a1", "a2", "a3", "a4"])
def test_any_three_of_four_open(
    county: FakeCounty, desks: dict[str, Desk], closed_round: bytes, away: str
) -> None:
    present = {name: desk for name, desk in desks.items() if name != away}
    run_all(list(present.values()), 3)
    assert sorted(county.round(closed_round).openings) == sorted(present)
    opened = county.combine(closed_round, sorted(present))
    assert np.array_equal(opened, county.expected_sums(closed_round))


def test_two_of_four_wait_and_go_on_when_a_third_comes_back(
    county: FakeCounty, desks: dict[str, Desk], closed_round: bytes
) -> None:
    run_all([desks["a1"], desks["a2"]], 3)
    assert not county.round(closed_round).openings
    assert desks["a1"].step()[-1].kind == "waiting"
    run_all([desks["a1"], desks["a2"], desks["a3"]], 3)
    assert sorted(county.round(closed_round).openings) == ["a1", "a2", "a3"]


def test_the_draw_revealed_is_the_one_committed(county: FakeCounty, opened_round: bytes) -> None:
    row = county.round(opened_round)
    for name, opening in row.openings.items():
        assert draw_commitment(opening.statement.draw) == row.approvals[name].statement.draw


def test_replicas_are_equal(county: FakeCounty, opened_round: bytes) -> None:
    row = county.round(opened_round)
    for subset in row.subsets:
        held = {
            dict(row.openings[name].statement.sums)[subset]
            for name in row.openings
            if subset in row.subsets_of(name)
        }
        assert len(held) == 1


def test_agreements_that_are_not_cosigned_do_not_open(
    county: FakeCounty, desks: dict[str, Desk], closed_round: bytes
) -> None:
    """Only the last entries lack a quorum: four agreements are logged, none is cosigned."""
    for desk in desks.values():
        replace_method(desk.context.link, "submit_cosignature", lambda _size, _line: None)
        desk.step()
    assert len(county.round(closed_round).agreements) == 4
    assert desks["a1"].step()[-1].kind == "waiting"
    context = desks["a1"].context
    with pytest.raises(NotReadyError, match="0 agreements under a cosigned checkpoint"):
        verify_agreed(context, context.ledger.rounds[closed_round])


def test_the_last_of_q_agreements_must_lie_under_the_cosigned_checkpoint(
    county: FakeCounty, desks: dict[str, Desk], closed_round: bytes
) -> None:
    three = [desks[name] for name in ("a1", "a2", "a3")]
    for desk in three:
        replace_method(desk.context.link, "submit_cosignature", lambda _size, _line: None)
        desk.step()
    last = max(row.index for row in county.round(closed_round).agreements.values())
    context = desks["a1"].context
    county.cosign_as(three_names := ("a1", "a2", "a3"), last)
    desks["a1"].sync()
    with pytest.raises(NotReadyError, match="2 agreements"):
        verify_agreed(context, context.ledger.rounds[closed_round])
    county.cosign_as(three_names, last + 1)
    desks["a1"].sync()
    verify_agreed(context, context.ledger.rounds[closed_round])


def test_an_auditor_that_has_not_agreed_does_not_open(
    county: FakeCounty, desks: dict[str, Desk], closed_round: bytes
) -> None:
    run_all([desks[name] for name in ("a1", "a2", "a3")], 2)
    context = desks["a4"].context
    desks["a4"].sync()
    with pytest.raises(StateError, match="has not agreed"):
        sign_opening(context, context.ledger.rounds[closed_round])
    assert context.state.slot(SlotKind.OPENING, closed_round) is None


def test_the_same_bytes_are_sent_however_often(
    county: FakeCounty, desks: dict[str, Desk], closed_round: bytes
) -> None:
    link = desks["a1"].context.link
    sent: list[tuple[bytes, tuple[bytes, ...]]] = []

    def fail(entry: bytes, sums: Sequence[bytes]) -> int:
        sent.append((entry, tuple(sums)))
        raise LinkError("unavailable", "gone", is_temporary=True)

    replace_method(link, "submit_opening", fail)
    run_all(list(desks.values()), 3)
    assert len(sent) >= 2
    assert len(set(sent)) == 1
    assert desks["a1"].state.secret(SecretKind.ROUND_KEY, closed_round) is None


def test_keys_are_gone_before_anything_is_sent(
    county: FakeCounty, desks: dict[str, Desk], closed_round: bytes
) -> None:
    desk, link = desks["a1"], desks["a1"].context.link
    honest = link.submit_opening
    seen: list[bool] = []

    def look(entry: bytes, sums: Sequence[bytes]) -> int:
        seen.append(desk.state.secret(SecretKind.ROUND_KEY, closed_round) is None)
        return honest(entry, sums)

    replace_method(link, "submit_opening", look)
    run_all(list(desks.values()), 3)
    assert seen == [True]


def _agreed_by_all(desks: dict[str, Desk], closed_round: bytes) -> Desk:
    """Bring a round to where a1 may open, without letting it."""
    replace_method(desks["a1"].context.link, "get_boxes", lambda _round: [])
    run_all(list(desks.values()), 2)
    desk = desks["a1"]
    honest = type(desk.context.link).get_boxes
    replace_method(desk.context.link, "get_boxes", lambda wanted: honest(desk.context.link, wanted))
    desk.sync()
    assert desk.state.secret(SecretKind.ROUND_KEY, closed_round) is not None
    return desk


def test_signing_an_opening_destroys_the_keys_itself(desks: dict[str, Desk], closed_round: bytes) -> None:
    desk = _agreed_by_all(desks, closed_round)
    sign_opening(desk.context, desk.context.ledger.rounds[closed_round])
    assert desk.state.secret(SecretKind.ROUND_KEY, closed_round) is None
    assert desk.state.secret(SecretKind.DRAW, closed_round) is None


def test_an_agreement_to_another_close_opens_nothing(desks: dict[str, Desk], closed_round: bytes) -> None:
    """The log has one close a round; a second one in memory is not what this auditor agreed to."""
    desk = _agreed_by_all(desks, closed_round)
    row = desk.context.ledger.rounds[closed_round]
    assert row.close is not None
    row.close = replace(row.close, digest=bytes(32))
    with pytest.raises(StateError, match="has not agreed to the close"):
        verify_agreed(desk.context, row)


def test_a_damaged_stored_sum_is_never_sent(
    county: FakeCounty, desks: dict[str, Desk], opened_round: bytes
) -> None:
    desk = desks["a1"]
    row = county.round(opened_round)
    subset = row.subsets_of("a1")[0]
    path = desk.state.directory / "sums" / opened_round.hex() / f"{subset}.sum"
    data = bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(StateError, match="missing or damaged"):
        stored_answer(desk.state, row)
    path.unlink()
    with pytest.raises(StateError, match="missing or damaged"):
        stored_answer(desk.state, row)


def test_the_stored_answer_is_what_the_log_names(
    county: FakeCounty, desks: dict[str, Desk], opened_round: bytes
) -> None:
    row = county.round(opened_round)
    answer = stored_answer(desks["a1"].state, row)
    assert answer is not None
    named = [sum_digest for _, sum_digest in row.openings["a1"].statement.sums]
    assert [hashlib.sha256(encoded).digest() for encoded in answer[1]] == named


def test_an_auditor_away_until_the_release_destroys_its_key_and_says_nothing(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    county.collect(round_id)
    county.fix_candidates(round_id)
    three = [desks[name] for name in ("a1", "a2", "a3")]
    run_all(three, 1)
    county.close(round_id)
    run_all(three, 3)
    county.release_real(round_id)
    desks["a4"].step()
    assert desks["a4"].state.secret(SecretKind.ROUND_KEY, round_id) is None
    assert desks["a4"].state.slot(SlotKind.DECISION, round_id) is None
    assert "a4" not in county.round(round_id).abandons


def test_a_withheld_box_of_s_waits(
    county: FakeCounty, desks: dict[str, Desk], closed_round: bytes, tmp_path: Path
) -> None:
    link = desks["a1"].context.link
    honest = link.get_boxes
    replace_method(link, "get_boxes", lambda wanted: list(honest(wanted))[1:])
    run_all(list(desks.values()), 3)
    assert "a1" not in county.round(closed_round).openings
    assert desks["a1"].state.secret(SecretKind.ROUND_KEY, closed_round) is not None
    assert "CheckError" in desks["a1"].step()[-1].detail
