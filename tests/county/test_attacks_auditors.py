"""Lying, restored and robbed auditors."""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from county_sums import assert_released
from fakes_attacks import (
    ForgedLog,
    assert_refused,
    auditor_key,
    close_digest,
    sign_as,
)
from fakes_county import CountySimulator

import auditor.answer_masks
from auditor.answer_masks import compute_sums
from auditor.context import Context
from auditor.desk import Event
from auditor.errors import AbstainError, StateError
from auditor.state import SecretKind
from coordinator.errors import (
    AlreadyStatedError,
    OpeningRefusedError,
    StatementRefusedError,
)
from crypto.field64 import MODULUS, encode_vector, parse_vector
from crypto.sealing import ROUND_SECRET_BYTES, round_public_key
from node.vault.errors import RoundRefusedError
from protos.bodies import TableSums, encode_release_body
from protos.round_log import RoundLog, RoundState, fewest_replicas
from protos.statements import Opening, Release, body_ref

Stage = tuple[CountySimulator, bytes]
ALL = ("a1", "a2", "a3", "a4")


# --- two approvals ----------------------------------------------------------------------------


def second_approval(county: CountySimulator, round_id: bytes) -> bytes:
    """Another approval of a4, with another round key and nonce."""
    first = county.round(round_id).approvals["a4"].statement
    key = round_public_key(secrets.token_bytes(ROUND_SECRET_BYTES))
    return sign_as(replace(first, round_key=key, nonce=secrets.token_bytes(32)), auditor_key(county, "a4"))


def test_a_second_approval_is_refused_by_everybody(collecting: Stage) -> None:
    county, round_id = collecting
    entry = second_approval(county, round_id)
    with pytest.raises(AlreadyStatedError) as caught:
        county.coordinator.submit_statement("a4", entry, b"")
    assert isinstance(caught.value.__cause__, StatementRefusedError)
    assert caught.value.__cause__.reason == "second-approval"
    log = ForgedLog(county)
    log.add_note(entry)
    assert_refused(county, log, "second-approval")
    for node_id in county.node_ids:
        county.release(node_id, round_id)
    assert_released(county, round_id, county.node_ids)


def test_a_school_that_is_shown_the_other_approval_waits_and_comes_back(enrolled: CountySimulator) -> None:
    """With another nonce its masks would be other ones; it releases nothing that is not witnessed."""
    county = enrolled
    round_id = county.publish()
    for desk in county.auditors.values():
        desk.approve(round_id)
    log = ForgedLog(county)
    log.entries.pop()
    log.add_note(second_approval(county, round_id))
    log.cosign("a4")
    page = log.page()
    county.nodes["s01"].on_log(page.start, list(page.entries), page.latest, page.cosigned)
    with pytest.raises(RoundRefusedError) as caught:
        county.release("s01", round_id)
    assert caught.value.code == "not-cosigned"
    county.work()
    for node_id in county.node_ids:
        county.release(node_id, round_id)
    assert_released(county, round_id, county.node_ids)


# --- silence ----------------------------------------------------------------------------------


@pytest.mark.parametrize("silent", ["a2", "a4"])
def test_an_auditor_that_missed_the_close_takes_the_place_of_one_that_is_silent_after_it(
    reported: Stage, silent: str
) -> None:
    """a1 is away for longer than the coordinator waits for its check; back, it checks late and agrees."""
    county, round_id = reported
    county.coordinator.tick()
    county.absent = {"a1"}
    for auditor_id in ALL[1:]:
        county.auditors[auditor_id].step()
    county.now += timedelta(minutes=5)
    county.coordinator.tick()
    county.absent = {"a1", silent}
    county.work(max_passes=8)
    status = county.coordinator.round_status(round_id)
    assert (status["reason"], status["waiting_for"]) == ("waiting-for-agreements", ["a1", silent])
    county.absent = {silent}
    county.work(max_passes=8)
    county.now += timedelta(minutes=5)  # the coordinator waits a while for the fourth
    assert_released(county, round_id, county.node_ids)
    row = county.round(round_id)
    assert row.close is not None
    assert [name for name, _ in row.close.statement.checked] == ["a2", "a3", "a4"]
    assert set(row.agreements) == set(row.openings) == set(ALL) - {silent}
    assert not row.abandons


# --- wrong mask sums --------------------------------------------------------------------------


def let_lie(monkeypatch: pytest.MonkeyPatch, liar: str, num_sums: int) -> None:
    """One auditor adds 1 to the first cell of its first sums, before it signs and stores them."""

    def lying_sums(context: Context, round_log: RoundLog) -> dict[int, bytes]:
        sums = compute_sums(context, round_log)
        if context.id == liar:
            for subset in list(sums)[:num_sums]:
                vector = parse_vector(sums[subset], round_log.terms.cells)
                vector[0] = (int(vector[0]) + 1) % MODULUS
                sums[subset] = encode_vector(vector)
        return sums

    monkeypatch.setattr(auditor.answer_masks, "compute_sums", lying_sums)


@pytest.mark.parametrize("num_sums", [1, 3])
def test_a_wrong_mask_sum_is_seen_and_nothing_is_published(
    agreed: Stage, monkeypatch: pytest.MonkeyPatch, num_sums: int
) -> None:
    """With (4, 3) four replies show that somebody lies and do not prove who: t + 2e = 5 would."""
    county, round_id = agreed
    let_lie(monkeypatch, "a2", num_sums)
    assert not county.work(county.is_state(round_id, RoundState.RELEASED), max_passes=80)
    status = county.coordinator.round_status(round_id)
    assert status["reason"] == "replica-mismatch"
    assert "a2" in str(status["waiting_for"])
    row = county.round(round_id)
    assert len(row.openings) == 4
    assert row.release is None
    log = ForgedLog(county)
    log.add(*release_of(row, list(ALL)))
    assert_refused(county, log, "replica-mismatch")


def release_of(row: RoundLog, openers: list[str]) -> tuple[Release, bytes]:
    """A release with zeros that names these openings."""
    share = row.terms.cells // len(row.terms.noise)
    sizes = [share] * (len(row.terms.noise) - 1)
    sizes.append(row.terms.cells - sum(sizes))
    tables = [
        TableSums(line.table, line.scale, line.s2, (0,) * size)
        for line, size in zip(row.terms.noise_lines, sizes, strict=True)
    ]
    body = encode_release_body(tables)
    assert row.close is not None
    release = Release(
        federation=row.terms.federation,
        round=row.round_id,
        close=row.close.digest,
        status="ok",
        replicas=fewest_replicas(row, openers),
        reports_in=row.close.statement.reports,
        reports_out=0,
        rho=row.terms.rho,
        agreements=tuple((name, row.agreements[name].digest) for name in sorted(row.agreements)),
        openings=tuple((name, row.openings[name].digest) for name in openers),
        body=body_ref(body),
    )
    return release, body


def test_with_seven_auditors_the_liar_is_named_and_the_others_open(
    county_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With (7, 5) seven replies are t + 2e: one liar is found and set aside."""
    county = CountySimulator(county_folder / "seven", schools=5, auditors=7, tuple_=(7, 5, 2, 5), quorum=5)
    round_id = county.start_round()
    let_lie(monkeypatch, "a2", 4)
    for node_id in county.node_ids:
        county.release(node_id, round_id)
    assert_released(county, round_id, county.node_ids)
    release = county.round(round_id).release
    assert release is not None
    assert [name for name, _ in release.statement.openings] == ["a1", "a3", "a4", "a5", "a6", "a7"]
    assert county.coordinator.round_status(round_id)["liars"] == ["a2"]
    county.close()


def opening_with(county: CountySimulator, round_id: bytes, sums: list[bytes]) -> Opening:
    """An opening of a4 that names these sums."""
    row = county.round(round_id)
    draw = county.auditors["a4"].state.secret(SecretKind.DRAW, round_id)
    assert draw is not None
    named = zip(row.subsets_of("a4"), (hashlib.sha256(data).digest() for data in sums), strict=True)
    return Opening(row.terms.federation, round_id, "a4", close_digest(row), draw, tuple(named))


@pytest.mark.parametrize(
    ("named", "sent"),
    [
        (bytes(368), bytes(367) + b"\1"),
        (bytes(367), bytes(367)),
        (bytes(376), bytes(376)),
        (b"\xff" * 368, b"\xff" * 368),
        (MODULUS.to_bytes(8, "little") + bytes(360), MODULUS.to_bytes(8, "little") + bytes(360)),
    ],
    ids=["other than named", "too short", "too long", "all ones", "p"],
)
def test_a_malformed_mask_sum_is_refused(agreed: Stage, named: bytes, sent: bytes) -> None:
    county, round_id = agreed
    assert county.round(round_id).terms.cells == 46
    opening = opening_with(county, round_id, [named] * 3)
    with pytest.raises(OpeningRefusedError) as caught:
        county.coordinator.submit_opening("a4", sign_as(opening, auditor_key(county, "a4")), [sent] * 3)
    assert caught.value.code == "opening-refused"
    assert not county.round(round_id).openings


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"draw": bytes(32)}, "wrong-draw"),
        ({"close": bytes(32)}, "wrong-close"),
        ({"sums": ()}, "wrong-sums"),
    ],
    ids=["draw", "close", "sums"],
)
def test_an_opening_of_something_else_is_refused_by_everybody(
    agreed: Stage, changes: dict[str, object], code: str
) -> None:
    county, round_id = agreed
    opening = replace(opening_with(county, round_id, [bytes(368)] * 3), **changes)  # type: ignore[arg-type]
    log = ForgedLog(county)
    log.add(opening, b"", auditor_key(county, "a4"))
    assert_refused(county, log, code)


# --- a restored auditor -----------------------------------------------------------------------


def restore(county: CountySimulator, folder: Path, auditor_id: str = "a1") -> None:
    """Put an auditor's folder back as it was copied."""
    shutil.rmtree(county.root / auditor_id)
    shutil.copytree(folder, county.root / auditor_id)
    county.restart(auditor_id)


def lose_instance(folder: Path) -> None:
    (folder / "state" / "instance").unlink()


def other_instance(folder: Path) -> None:
    (folder / "state" / "instance").write_bytes(bytes(16))


def lose_slots(folder: Path) -> None:
    shutil.rmtree(folder / "state" / "slots")


def lose_state(folder: Path) -> None:
    shutil.rmtree(folder / "state")


def spoil_a_slot(folder: Path) -> None:
    path = next((folder / "state" / "slots").glob("*.approval"))
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))


RESTORED: list[tuple[Callable[[Path], None], str]] = [
    (lose_instance, "another instance of this state"),
    (other_instance, "another instance of this state"),
    (lose_slots, "another instance of this state"),
    (lose_state, "another instance of this state"),
    (spoil_a_slot, "the slot is damaged"),
]


def errors(events: list[Event]) -> list[str]:
    """What could not be done."""
    return [event.detail for event in events if event.kind == "error"]


@pytest.mark.parametrize(("harm", "message"), RESTORED, ids=lambda value: getattr(value, "__name__", ""))
def test_a_restored_auditor_abstains_and_the_others_open(
    closed: Stage, tmp_path: Path, harm: Callable[[Path], None], message: str
) -> None:
    """It may have signed before the loss; whatever it is asked for this round, it signs nothing again."""
    county, round_id = closed
    shutil.copytree(county.root / "a1", tmp_path / "a1")
    harm(tmp_path / "a1")
    restore(county, tmp_path / "a1")
    events = county.auditors["a1"].step()
    assert message in errors(events)[0]
    with pytest.raises((AbstainError, StateError)):
        county.auditors["a1"].approve(round_id)
    county.work(max_passes=8)
    county.now += timedelta(minutes=5)  # the coordinator waits a while for the fourth
    assert_released(county, round_id, county.node_ids)
    row = county.round(round_id)
    assert "a1" not in {**row.agreements, **row.abandons}
    assert set(row.openings) == {"a2", "a3", "a4"}


def test_an_auditor_restored_from_before_its_vote_cannot_vote_otherwise(
    closed: Stage, tmp_path: Path
) -> None:
    """The state as it was before the agreement, its instance id gone as in every honest backup."""
    county, round_id = closed
    shutil.copytree(county.root / "a1", tmp_path / "a1")
    lose_instance(tmp_path / "a1")
    county.auditors["a1"].step()
    agreement = county.round(round_id).agreements["a1"].digest
    restore(county, tmp_path / "a1")
    assert "another instance" in errors(county.auditors["a1"].step())[0]
    assert_released(county, round_id, county.node_ids)
    assert county.round(round_id).agreements["a1"].digest == agreement
    assert "a1" not in county.round(round_id).openings
