"""Nodes that are built to leak: what each can say to its friend, and what finds it out.

| leak | found by | here, or where else |
| --- | --- | --- |
| low bits of the masked vector | replay 7, 10, 11 | here |
| seeds of its own choice | replay 7, 8, 10, 11 | here |
| a message in place of the noise | replay 7, 10, 11; rehearsal 9, 10 | here, test_audit_rehearse.py |
| noise drawn again until a digest fits | replay 7, 10, 11 | here |
| the input commitment as a free field | replay 9, 11 | tests/node/vault/test_replay_tampering.py |
| a name, number or score in report, frame, message | self-test | tests/node/test_audit_selftest.py |
| padding of frames | egress and county refuse; self-test 4, 5 | here, tests/node/test_audit_selftest.py |
| padding on the line, another destination | flow check | here |
| sending again | flow check | here |
| attempts | counted in the log, at most four | here |
| HPKE's encapsulation | NOT found | here: the replay passes |
| a message in place of the program's digest | site record, install verify | here: the replay passes |
| records edited before they are counted | NOT found by a replay | here: the replay passes |

Capacities: docs/covert-channels.md.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes_vault import SchoolHouse, pupils

from auditor.flow_check import FIRST, LOOK, PACKET, Flow, Network, check_flows, parse_network, report_bytes
from crypto.derivation import seed_commitment
from crypto.field64 import MODULUS, parse_vector
from crypto.sharing import mask_vector
from node.errors import NodeError
from node.frames import FrameError, report_shape
from node.vault import release
from node.vault.derive import Derived
from protos.errors import PayloadError
from protos.report_payload import ReportPayload, parse_payload

sys.path.insert(0, str(Path(__file__).parent))

import egress_bytes

MESSAGE = b"\xc5"
Patch = pytest.MonkeyPatch
Program = Callable[[Patch, list[Derived]], None]
Reader = Callable[[SchoolHouse, bytes, ReportPayload, list[Derived]], bytes]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[SchoolHouse]:
    opened = SchoolHouse(tmp_path)
    yield opened
    opened.store.close()


def send(house: SchoolHouse, round_id: bytes) -> ReportPayload:
    """Release and deliver; give what the county got."""
    house.release(round_id)
    payload = house.payload(round_id)
    house.submit()
    house.sync()
    return payload


def failing(house: SchoolHouse, round_id: bytes, attempt: int = 0) -> list[int]:
    answer = house.call("recompute", round=round_id.hex(), attempt=attempt)
    return [check["number"] for check in answer["checks"] if check["result"] == "FAIL"]


# ---------------------------------------------------------------- programs that leak, and their friends


def wrapped(change: Callable[[Derived], Derived]) -> Program:
    """Be a program that changes what it has derived, before it signs."""

    def program(patch: Patch, kept: list[Derived]) -> None:
        honest = release.derive

        def derive(*arguments: Any) -> Derived:
            kept.append(change(honest(*arguments)))
            return kept[-1]

        patch.setattr(release, "derive", derive)

    return program


def bits(message: bytes) -> list[int]:
    return [byte >> place & 1 for byte in message for place in range(8)]


def into_low_bits(derived: Derived) -> Derived:
    values = np.frombuffer(derived.vector, "<u8").copy()
    for cell, bit in enumerate(bits(MESSAGE)):
        values[cell] = values[cell] & ~np.uint64(1) | np.uint64(bit)
    return replace(derived, vector=values.tobytes())


def from_low_bits(_house: SchoolHouse, _round: bytes, payload: ReportPayload, _kept: list[Derived]) -> bytes:
    """The county reads the first bit of each cell."""
    return bytes([sum((payload.vector[8 * cell] & 1) << cell for cell in range(8))])


def choose_seeds(patch: Patch, _kept: list[Derived]) -> None:
    patch.setattr(
        "node.vault.derive.derivation.seeds",
        lambda _secret, subsets: {subset: MESSAGE + bytes([subset]) * 31 for subset in subsets},
    )


def from_seeds(house: SchoolHouse, round_id: bytes, _payload: ReportPayload, _kept: list[Derived]) -> bytes:
    """An auditor reads its seeds; here whoever can guess them knows them by their commitments."""
    header = house.federation.round(round_id).reports[(house.node, 0)].statement
    subset, commitment = header.seeds[0]
    return bytes(
        byte
        for byte in range(256)
        if seed_commitment(round_id, house.node, 0, subset, bytes([byte]) + bytes([subset]) * 31)
        == commitment
    )


def write_into_noise(patch: Patch, kept: list[Derived]) -> None:
    def draw_noise(layout: Any, _secret: bytes) -> Any:
        noise = np.zeros((layout.num_vectors, layout.cells), np.int64)
        noise[0, :8] = bits(MESSAGE)
        return noise

    patch.setattr("node.vault.derive.draw_noise", draw_noise)
    wrapped(lambda derived: derived)(patch, kept)


def from_noise(house: SchoolHouse, round_id: bytes, payload: ReportPayload, kept: list[Derived]) -> bytes:
    """Auditors who collude take the masks off; the tables that they want are there too."""
    terms = house.federation.round(round_id).terms
    n, t, cells = len(terms.auditors), terms.threshold, terms.cells
    masks = mask_vector(np.zeros(cells, np.int64), kept[-1].seeds, round_id, n, t)
    numbers = zip(parse_vector(payload.vector, cells), masks, strict=True)
    opened = [(int(value) - int(mask)) % MODULUS for value, mask in numbers]
    preview = house.call("preview", round=round_id.hex())
    exact = [cell["count"] * table["scale"] for table in preview["tables"] for cell in table["cells"]]
    found = [value - count for value, count in zip(opened, exact, strict=True)]
    return bytes([sum(bit << place for place, bit in enumerate(found[:8]))])


def grind_noise(patch: Patch, kept: list[Derived]) -> None:
    """Draw again and again until the digest of the vector, which everybody sees, begins as it should."""
    from node.vault import derive as deriving

    honest_key = deriving.derivation.noise_key
    counter = [0]
    patch.setattr(
        "node.vault.derive.derivation.noise_key",
        lambda secret, index: hashlib.sha256(honest_key(secret, index) + counter[0].to_bytes(2)).digest(),
    )
    honest = release.derive

    def derive(*arguments: Any) -> Derived:
        for counter[0] in range(1 << 16):
            kept.append(honest(*arguments))
            if kept[-1].vector_digest[:1] == MESSAGE:
                break
        return kept[-1]

    patch.setattr(release, "derive", derive)


def from_digest(house: SchoolHouse, round_id: bytes, _payload: ReportPayload, _kept: list[Derived]) -> bytes:
    """Everybody reads the header."""
    return house.federation.round(round_id).reports[(house.node, 0)].statement.vector[:1]


LEAKS: dict[str, tuple[Program, Reader, list[int]]] = {
    "low bits": (wrapped(into_low_bits), from_low_bits, [7, 10, 11]),
    "seeds": (choose_seeds, from_seeds, [7, 8, 10, 11]),
    "noise": (write_into_noise, from_noise, [7, 10, 11]),
    "noise ground": (grind_noise, from_digest, [7, 10, 11]),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_leak_that_works_is_found_by_the_replay(
    house: SchoolHouse, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The friend reads the message, the county takes the report, and the replay says which checks fail."""
    program, read, expected = LEAKS[name]
    round_id, kept = house.start_round(), []
    with monkeypatch.context() as patch:
        program(patch, kept)
        payload = send(house, round_id)
    assert read(house, round_id, payload, kept) == MESSAGE
    assert failing(house, round_id) == expected


def test_padding_a_frame_is_refused_at_the_wall_and_at_the_county(house: SchoolHouse) -> None:
    round_id = house.start_round()
    house.release(round_id)
    payload, terms = house.desk.outgoing(), house.federation.round(round_id).terms
    assert payload is not None
    assert report_shape(payload).size_bytes == len(payload)
    box_bytes = house.federation.round(round_id).box_bytes
    for padded in (payload + MESSAGE, payload + bytes(8), payload[:-1]):
        with pytest.raises(FrameError):
            report_shape(padded)
        with pytest.raises(PayloadError):
            parse_payload(padded, terms.num_elements, box_bytes, len(terms.auditors))


def test_attempts_say_two_bits_and_stand_in_the_log(house: SchoolHouse) -> None:
    """Another table is needed for another attempt, each is logged, and after four there is no more."""
    round_id = house.start_round()
    send(house, round_id)
    again = house.desk.outgoing()
    house.release(round_id)
    assert house.desk.outgoing() == again
    for shift in (1, 2, 3):
        house.save(pupils(shift=shift))
        send(house, round_id)
    assert house.federation.ledger.rounds[round_id].reports.num_attempts(house.node) == 4
    house.save(pupils(shift=4))
    with pytest.raises(NodeError):
        house.release(round_id)


# ---------------------------------------------------------------- what a replay does not find


def test_not_found_grinding_the_encapsulation(house: SchoolHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few bits a box by sealing again until it fits; the replay passes (docs/covert-channels.md)."""
    honest = release.seal

    def seal(*arguments: Any) -> bytes:
        while (box := honest(*arguments))[0] >> 5 != MESSAGE[0] >> 5:
            pass
        return box

    round_id = house.start_round()
    with monkeypatch.context() as patch:
        patch.setattr(release, "seal", seal)
        payload = send(house, round_id)
    assert {box[0] >> 5 for box in payload.boxes} == {MESSAGE[0] >> 5}
    assert failing(house, round_id) == []


def test_not_found_records_edited_before_they_are_counted(house: SchoolHouse) -> None:
    """A replay begins with the stored records: that they are the platform's file is another question."""
    round_id = house.start_round()
    house.save(pupils(shift=1))
    send(house, round_id)
    assert failing(house, round_id) == []


def test_not_found_a_message_in_place_of_the_programs_digest(
    house: SchoolHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replay takes it from the header; whoever compares it with the release's file of digests sees it."""
    honest, round_id = release.build_header, house.start_round()
    with monkeypatch.context() as patch:
        patch.setattr(
            release,
            "build_header",
            lambda *arguments, **fields: honest(*arguments, **{**fields, "software": MESSAGE * 32}),
        )
        send(house, round_id)
    assert house.federation.round(round_id).reports[(house.node, 0)].statement.software == MESSAGE * 32
    assert failing(house, round_id) == []


# ---------------------------------------------------------------- on the line

MANIFEST = b"""
format = "fedscreen/flows/v1"
county = ["203.0.113.5"]
allowed = ["203.0.113.9"]
poll_s = 3600
connections_a_day = 1
retries = 1
tolerance_percent = 5
[schools]
school-1 = ["10.1.0.7"]
"""
DAY = 24


@pytest.fixture
def line(house: SchoolHouse) -> tuple[SchoolHouse, bytes, Network, int]:
    """A delivered report, and its payload's bytes."""
    round_id = house.start_round()
    house.release(round_id)
    payload = house.desk.outgoing()
    assert payload is not None
    house.submit()
    return house, round_id, parse_network(MANIFEST), len(payload)


def day(line: tuple[SchoolHouse, bytes, Network, int], pad: int = 0, sent: int = 1, **ends: Any) -> Any:
    """Check one day of a school that looks once an hour, each look padded, and sends its report so often."""
    house, round_id, network, payload = line
    round_log = house.federation.round(round_id)
    start = round_log.terms.opens
    flows = [Flow(start, "10.1.0.7", "203.0.113.5", FIRST // 2)]
    hours = [start + timedelta(hours=hour, minutes=5) for hour in range(DAY)]
    flows += [Flow(hour, "10.1.0.7", "203.0.113.5", LOOK * 3 // 4 + pad) for hour in hours]
    flows += [Flow(start, "10.1.0.7", "203.0.113.5", report_bytes(payload) * 9 // 10)] * sent
    if ends:
        flows.append(replace(flows[0], **ends))
    window = start, start + timedelta(hours=DAY)
    return check_flows(house.federation.ledger, round_log, network, flows, window)


def test_the_line_of_an_honest_school_passes(line: tuple[SchoolHouse, bytes, Network, int]) -> None:
    found = day(line)
    assert found.outcome == "PASS", found
    (row,) = found.schools
    assert row.unexplained_bits < row.room_bits


def test_padding_retries_and_other_destinations_are_found(
    line: tuple[SchoolHouse, bytes, Network, int],
) -> None:
    """What exceeds the room that the row tells; a smaller leak is the next test's."""
    assert day(line, pad=1_000).outcome == "FAIL"
    assert day(line, sent=12).outcome == "FAIL"
    elsewhere = day(line, dst="198.51.100.1", num_bytes=1)
    assert elsewhere.outcome == "FAIL"
    assert dict(elsewhere.unknown) == {("10.1.0.7", "198.51.100.1"): 1}


def test_what_fits_into_the_tolerance_is_told(line: tuple[SchoolHouse, bytes, Network, int]) -> None:
    """A leak below the tolerance passes; the row says how many bits it may have been."""
    honest, leaking = (day(line, pad=pad).schools[0] for pad in (0, 20))
    assert leaking.result == "PASS"
    assert leaking.unexplained_bits - honest.unexplained_bits == 8 * 20 * DAY
    allowed = day(line, dst="203.0.113.9", num_bytes=700).schools[0]
    assert allowed.unexplained_bits - honest.unexplained_bits == 8 * 700


def test_a_report_that_was_not_seen_here_is_no_pass(line: tuple[SchoolHouse, bytes, Network, int]) -> None:
    house, round_id, network, _payload = line
    found = check_flows(house.federation.ledger, house.federation.round(round_id), network, [])
    assert (found.schools[0].result, found.outcome) == ("SKIPPED", "INCOMPLETE")


@pytest.mark.process
def test_the_models_numbers_cover_the_real_egress(monkeypatch: pytest.MonkeyPatch) -> None:
    """TCP payload as measured, and a packet's head for everything that is sent or acknowledged."""
    monkeypatch.setattr(egress_bytes, "SETTLE_S", 0.04)
    found: Any = egress_bytes.measure((9_000,), 3)
    assert 1_500 < found["first"] + 12 * PACKET < FIRST
    assert 60 < max(found["looks"]) + 4 * PACKET < LOOK
    assert 9_000 < found["reports"][9_000] < report_bytes(9_000) - PACKET * 8
