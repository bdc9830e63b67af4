"""Trip files: what was written is read, whatever is not whole or not one is refused as such."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fakes_federation import fake_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.note import KeyType, SigningKey
from crypto.sealing import ROUND_PUBLIC_BYTES
from protos import stick, trip_file
from protos import trip_records as records
from protos.convert import Proposal
from protos.errors import ConvertError, TripFileError
from protos.trip_file import TO_AUDITOR, TO_COORDINATOR, Parts, Record, TripFile, TripHead, write_trip

HEAD = TripHead(TO_AUDITOR, "county-1", "a1", datetime(2026, 9, 1, 7, 30, tzinfo=UTC))
SAMPLE: list[Record] = [
    (1, (b"12345678", b"", b"x")),
    (2, (b"entry", b"")),
    (4, (b"a" * 300,)),
    (2, (b"e", b"b")),
]


def encode(content: list[Record], head: TripHead = HEAD) -> bytes:
    stream = io.BytesIO()
    assert write_trip(stream, head, content) == len(stream.getvalue())
    return stream.getvalue()


def read(data: bytes) -> TripFile:
    return TripFile(io.BytesIO(data))


def code_of(data: bytes) -> str:
    with pytest.raises(TripFileError) as caught:
        read(data)
    return caught.value.code


parts = st.lists(st.binary(max_size=40), max_size=4).map(tuple)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 255), parts), max_size=8))
def test_what_is_written_is_read(content: list[Record]) -> None:
    file = read(encode(content))
    assert file.head == HEAD
    for kind in {kind for kind, _parts in content}:
        expected = [row for found, row in content if found == kind]
        assert list(file.parts(kind)) == expected
        assert file.count(kind) == len(expected)
        assert list(file.parts(kind, 1, 2)) == expected[1:2]
    assert list(file.parts(0)) == []


def test_a_file_cut_anywhere_is_refused() -> None:
    data = encode(SAMPLE)
    head = data.index(b"\n\n") + 2
    assert {code_of(data[:size]) for size in range(head)} == {"not-a-trip-file"}
    assert {code_of(data[:size]) for size in range(head, len(data))} == {"cut-off"}
    assert code_of(data + b"\0") == "damaged"
    assert code_of(data[: head + 9] + bytes(len(data) - head - 9)) == "damaged"


def test_a_file_with_any_byte_changed_is_refused() -> None:
    data = encode(SAMPLE)
    for place in range(len(data)):
        spoilt = bytearray(data)
        spoilt[place] ^= 1
        try:
            assert code_of(bytes(spoilt)) in ("not-a-trip-file", "cut-off", "damaged"), place
        except OverflowError:
            pytest.fail(str(place))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"fedscreen/trip-file/v1", b"fedscreen/trip-file/v2"),
        (b"for auditor", b"for nobody"),
        (b"county-1", b"../../x"),
        (b"auditor a1\n", b"auditor /etc\n"),
        (b"2026-09-01", b"2026-13-01"),
    ],
)
def test_a_wrong_head_is_no_trip_file(old: bytes, new: bytes) -> None:
    assert code_of(encode(SAMPLE).replace(old, new, 1)) == "not-a-trip-file"


def test_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trip_file, "MAX_RECORDS", 3)
    assert code_of(encode(SAMPLE)) == "too-large"
    monkeypatch.setattr(trip_file, "MAX_RECORD_BYTES", 100)
    assert code_of(encode([(1, (bytes(101),))])) == "damaged"
    assert code_of(encode([(1, (bytes(60), bytes(41)))])) == "damaged"
    assert read(encode([(1, (bytes(60), bytes(40)))])).count(1) == 1
    monkeypatch.setattr(trip_file, "MAX_TRIP_BYTES", 200)
    with pytest.raises(TripFileError):
        encode(SAMPLE)


# --- on the stick ---------------------------------------------------------------------------------


def test_names_on_a_stick(tmp_path: Path) -> None:
    assert stick.to_auditor_path(tmp_path, "a1").name == "to-a1.trip"
    assert stick.from_auditor_path(tmp_path, "a1").name == "from-a1.trip"


def _link(path: Path) -> None:
    target = path.with_name("target")
    target.write_bytes(encode(SAMPLE))
    path.symlink_to(target)


@pytest.mark.parametrize(
    ("put", "code"),
    [
        (lambda path: None, "no-file"),
        (_link, "not-a-file"),
        (lambda path: path.mkdir(), "not-a-file"),
        (os.mkfifo, "not-a-file"),
        (lambda path: path.symlink_to("/dev/zero"), "not-a-file"),
        (lambda path: path.symlink_to("nowhere"), "not-a-file"),
    ],
    ids=["nothing", "link", "folder", "pipe", "device", "dangling"],
)
def test_only_a_regular_file_is_opened(tmp_path: Path, put: Callable[[Path], object], code: str) -> None:
    path = tmp_path / "to-a1.trip"
    put(path)
    with pytest.raises(TripFileError) as caught:
        stick.open_on_stick(path)
    assert caught.value.code == code


def test_a_file_larger_than_a_stick_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "to-a1.trip"
    with path.open("wb") as stream:
        stream.truncate(2**32)
    with pytest.raises(TripFileError) as caught:
        stick.open_on_stick(path)
    assert caught.value.code == "too-large"


# --- records --------------------------------------------------------------------------------------

D = bytes(range(32))
TOLD = records.Told(records.STATEMENT, D, "already-stated", "one line")
GOOD: list[tuple[Callable[[Parts], object], Parts, object]] = [
    (records.parse_log, records.log_parts(records.LogHead(3, b"l", b"")), records.LogHead(3, b"l", b"")),
    (records.parse_entry_record, (b"e", b""), (b"e", b"")),
    (
        records.parse_proposal_record,
        records.proposal_parts(Proposal("t", b"b", ("l",))),
        Proposal("t", b"b", ("l",)),
    ),
    (records.parse_box_record, (D, D, b"box"), (D, D, b"box")),
    (records.parse_told, records.told_parts(TOLD), TOLD),
    (records.parse_cosignature, records.cosignature_parts(7, "line"), (7, "line")),
    (records.parse_roster_line, (D, b"line"), (D, "line")),
    (records.parse_opening, (b"e", bytes(16)), (b"e", (bytes(16),))),
    (records.parse_vector_record, (D, D, bytes(2000)), (D, D, bytes(2000))),
    (records.parse_sum_record, (D, b"a1", b"\3", bytes(2000)), (D, "a1", 3, bytes(2000))),
]


@pytest.mark.parametrize(("parse", "given_parts", "value"), GOOD)
def test_a_record_is_read(parse: Callable[[Parts], object], given_parts: Parts, value: object) -> None:
    assert parse(given_parts) == value
    for wrong in (given_parts[:1], (), (b"", *given_parts[1:])):
        with pytest.raises(ConvertError):
            parse(wrong)


BAD: list[tuple[Callable[[Parts], object], Parts]] = [
    (records.parse_cosignature, (bytes(8), b"line")),
    (records.parse_cosignature, (b"\xff" * 8, b"line")),
    (records.parse_cosignature, (bytes(7) + b"\1", b"two\nlines")),
    (records.parse_cosignature, (bytes(7) + b"\1", b"\xff")),
    (records.parse_roster_line, (D, b"x" * 2000)),
    (records.parse_opening, (b"e", bytes(15))),
    (records.parse_opening, (b"e", bytes(0))),
    (records.parse_sum_record, (D, b"../x", b"\3", bytes(2000))),
    (records.parse_sum_record, (D, b"a1", b"\0", bytes(2000))),
    (records.parse_vector_record, (D, D, bytes(100))),
    (records.parse_box_record, (D, D, bytes(9000))),
    (records.parse_told, (b"\1", D, b"taken", b"")),
    (records.parse_told, (b"\x12", D, b"TAKEN", b"")),
    (records.parse_told, (b"\x12", D, b"taken", b"\x1b[2J")),
    (records.parse_told, (b"\x12", D, b"taken", b"\xff")),
    (records.parse_proposal_record, (b"\xff", b"b")),
    (records.parse_proposal_record, (b"t", b"b", *[b"l"] * 100)),
    (records.parse_log, (bytes(8), bytes(9000), b"")),
]


@pytest.mark.parametrize(("parse", "bad"), BAD)
def test_a_bad_record_is_refused(parse: Callable[[Parts], object], bad: Parts) -> None:
    with pytest.raises(ConvertError):
        parse(bad)


def test_what_a_terminal_might_act_upon_is_not_written() -> None:
    told = records.Told(records.STATEMENT, D, "malformed", "red\x1b[31m\nnext\u202eline" + "x" * 5000)
    message = records.parse_told(records.told_parts(told)).message
    assert message.startswith("red[31mnextline")
    assert len(message) == records.MAX_MESSAGE_CHARS


# --- the trip key ---------------------------------------------------------------------------------


def test_a_trip_key_is_taken_only_from_the_auditor_that_signed_it() -> None:
    signer, other = (SigningKey("k", KeyType.ED25519, fake_bytes(name)) for name in ("one", "two"))
    key = fake_bytes("key", ROUND_PUBLIC_BYTES)
    good = records.sign_trip_key("f", "a1", key, signer)
    assert records.verify_trip_key("f", "a1", good, signer.verifier) == key
    exchanged = (fake_bytes("mine", ROUND_PUBLIC_BYTES), good[1])
    cases = [
        ("g", "a1", good, signer),
        ("f", "a2", good, signer),
        ("f", "a1", good, other),
        ("f", "a1", exchanged, signer),
        ("f", "a1", (good[0], b"no line"), signer),
        ("f", "a1", (good[0][:-1], good[1]), signer),
    ]
    for federation, name, row, by in cases:
        with pytest.raises(ConvertError):
            records.verify_trip_key(federation, name, row, by.verifier)


def test_heads_of_both_ways() -> None:
    head = TripHead(TO_COORDINATOR, "f", "a1", HEAD.made)
    assert read(encode([], head)).head == head
