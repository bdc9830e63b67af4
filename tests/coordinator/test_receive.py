"""Receiving a report: once for ever, whole or not at all, each refusal with its own error."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from fakes_coordinator import START, County, School, small_plan

from coordinator import errors
from crypto.field64 import MODULUS
from crypto.tlog_proof import parse_proof, verify_proof
from protos.report_payload import note_of


def send(county: County, name: str = "s01", /, **changes: object) -> bytes:
    payload = county.schools[name].payload(county.ledger(), county.round_id, **changes)  # type: ignore[arg-type]
    return county.desk.submit_report(name, payload)


def test_the_receipt_proves_that_the_header_is_logged(collecting: County) -> None:
    payload = collecting.payload("s01", collecting.round_id)
    receipt = parse_proof(collecting.desk.submit_report("s01", payload))
    log_key = collecting.desk.home.log_key.verifier
    checkpoint = verify_proof(receipt, note_of(payload), log_key, (), 0)
    assert checkpoint.size == collecting.ledger().size
    assert checkpoint.root == collecting.ledger().root()


def test_the_same_bytes_get_the_same_receipt_for_ever(collecting: County) -> None:
    payload = collecting.payload("s01", collecting.round_id)
    first = collecting.desk.submit_report("s01", payload)
    collecting.report(collecting.round_id)
    size = collecting.ledger().size
    collecting.desk.tick()  # candidates
    assert collecting.desk.submit_report("s01", payload) == first
    assert collecting.reopen().submit_report("s01", payload) == first
    collecting.advance(days=300)
    assert collecting.desk.submit_report("s01", payload) == first
    assert collecting.ledger().size == size + 1
    assert len(collecting.round(collecting.round_id).reports) == 6


def test_other_bytes_for_the_same_attempt_are_refused(collecting: County) -> None:
    send(collecting)
    with pytest.raises(errors.AlreadyReportedError, match="attempt 0"):  # HPKE makes other boxes every time
        send(collecting)
    assert len(collecting.round(collecting.round_id).reports) == 1


def test_a_correction_is_a_new_attempt(collecting: County) -> None:
    for attempt in range(4):
        send(collecting, attempt=attempt)
    reports = collecting.round(collecting.round_id).reports
    assert sorted(reports) == [("s01", attempt) for attempt in range(4)]


def test_attempts_come_in_order(collecting: County) -> None:
    with pytest.raises(errors.ReportRefusedError, match="wrong-attempt"):
        send(collecting, attempt=1)


def test_the_certificate_must_be_the_nodes_own(collecting: County) -> None:
    payload = collecting.payload("s01", collecting.round_id)
    with pytest.raises(errors.IdentityMismatchError):
        collecting.desk.submit_report("s02", payload)


def change(place: int) -> Callable[[bytes], bytes]:
    """Change one byte."""

    def apply(data: bytes) -> bytes:
        spoilt = bytearray(data)
        spoilt[place] ^= 1
        return bytes(spoilt)

    return apply


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda data: data[:-1], errors.ReportLengthError),
        (lambda data: data + b"\0", errors.ReportLengthError),
        (lambda data: data[: 4 + len(note_of(data))], errors.ReportLengthError),
        (lambda data: b"", errors.ReportRefusedError),
        (lambda data: data[:3], errors.ReportRefusedError),
        (lambda data: b"\xff\xff\xff\xff" + data[4:], errors.ReportRefusedError),
        (change(10), errors.ReportRefusedError),
        (change(-1), errors.ReportRefusedError),
        (lambda data: change(4 + len(note_of(data)))(data), errors.ReportRefusedError),
        (lambda data: change(2 + len(note_of(data)))(data), errors.ReportRefusedError),
    ],
    ids=[
        "one byte short", "one byte long", "header only", "nothing", "no length", "wild length",
        "type of the header", "last box", "vector", "signature",
    ],
)  # fmt: skip
def test_spoilt_bytes_change_nothing(
    collecting: County, spoil: Callable[[bytes], bytes], error: type[Exception]
) -> None:
    before = collecting.ledger().size
    payload = collecting.payload("s01", collecting.round_id)
    with pytest.raises(error):
        collecting.desk.submit_report("s01", spoil(payload))
    assert collecting.ledger().size == before
    collecting.desk.submit_report("s01", payload)


@pytest.mark.parametrize("value", [MODULUS, MODULUS + 1, 2**64 - 1])
def test_an_element_that_is_not_canonical(collecting: County, value: int) -> None:
    with pytest.raises(errors.ElementRangeError):
        send(collecting, spoil=lambda vector: vector[:16] + value.to_bytes(8, "little") + vector[24:])
    assert collecting.round(collecting.round_id).reports == {}


def test_the_largest_canonical_element_passes(collecting: County) -> None:
    last = (MODULUS - 1).to_bytes(8, "little")
    send(collecting, spoil=lambda vector: vector[:16] + last + vector[24:])


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"round": bytes(32)}, errors.UnknownRoundError),
        ({"cells": 32}, errors.ReportRefusedError),
        ({"size": 7}, errors.ReportRefusedError),
        ({"vector": bytes(32)}, errors.ReportRefusedError),
        ({"approvals": bytes(32)}, errors.ReportRefusedError),
        ({"roster": bytes(32)}, errors.ReportRefusedError),
        ({"previous": b"\1" * 32}, errors.ReportRefusedError),
        ({"federation": "county-2"}, errors.ReportRefusedError),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_header_is_refused(
    collecting: County, changes: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        send(collecting, "s01", **changes)
    assert collecting.round(collecting.round_id).reports == {}


def test_another_schools_signature_is_refused(collecting: County) -> None:
    impostor = School("s01", "school 1")
    payload = impostor.payload(collecting.ledger(), collecting.round_id)
    other = School("s02", "school 2").payload(collecting.ledger(), collecting.round_id, node="s01")
    with pytest.raises(errors.ReportRefusedError):
        collecting.desk.submit_report("s01", other)
    collecting.desk.submit_report("s01", payload)


def test_a_statement_that_is_no_report(collecting: County) -> None:
    entry, _ = collecting.desk.get_log(1, 1).entries[0]
    with pytest.raises(errors.ReportRefusedError, match="found a plan"):
        collecting.desk.submit_report("s01", len(entry).to_bytes(4, "big") + entry)


def test_a_school_outside_the_roster(collecting: County) -> None:
    stranger = School("s99", "school 99")
    payload = stranger.payload(collecting.ledger(), collecting.round_id)
    with pytest.raises(errors.NotRosteredError):
        collecting.desk.submit_report("s99", payload)


def test_before_all_have_approved(county: County) -> None:
    county.found()
    round_id = county.publish()
    county.approve(round_id, ["a1", "a2", "a3"])
    with pytest.raises(errors.RoundNotOpenError, match="approvals"):
        send(county)


def test_before_and_after_the_window(collecting: County) -> None:
    payload = collecting.payload("s01", collecting.round_id)
    collecting.clock = small_plan().closes
    with pytest.raises(errors.RoundExpiredError):
        collecting.desk.submit_report("s01", payload)
    collecting.clock = START.replace(day=1)
    with pytest.raises(errors.RoundNotOpenError, match="from"):
        collecting.desk.submit_report("s01", payload)


def test_after_the_candidates(collecting: County) -> None:
    collecting.report(collecting.round_id, ["s01", "s02", "s03", "s04", "s05"])
    late = collecting.payload("s06", collecting.round_id)
    collecting.desk.request_close(collecting.round_id, without_missing=True)
    collecting.desk.tick()
    with pytest.raises(errors.RoundClosedError):
        collecting.desk.submit_report("s06", late)


def test_no_message_says_more_than_ids_and_sizes(collecting: County) -> None:
    payload = collecting.payload("s01", collecting.round_id)
    with pytest.raises(errors.CoordinatorError) as caught:
        collecting.desk.submit_report("s01", payload[:-1])
    assert payload[-33:-1].hex() not in str(caught.value)
    assert hashlib.sha256(payload).hexdigest() not in str(caught.value)


def test_many_at_once_through_two_processes_make_one_log(collecting: County) -> None:
    payloads = {name: collecting.payload(name, collecting.round_id) for name in collecting.schools}
    desks = [collecting.desk, collecting.open()]

    def submit(task: tuple[int, str]) -> bytes:
        place, name = task
        return desks[place % 2].submit_report(name, payloads[name])

    tasks = [(place, name) for place, name in enumerate([*payloads, *reversed(payloads)])]
    with ThreadPoolExecutor(6) as pool:
        receipts = dict.fromkeys(payloads, b"")
        for (_, name), receipt in zip(tasks, pool.map(submit, tasks), strict=True):
            assert receipts[name] in (b"", receipt)
            receipts[name] = receipt
    assert len(collecting.round(collecting.round_id).reports) == 6
    assert desks[0].get_log(0, 100) == desks[1].get_log(0, 100)
    desks[1].close()
