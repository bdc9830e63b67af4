"""Frames on the pipes: exact bytes, bounds, and everything that is refused."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator

import pytest
from fakes_desk import report
from hypothesis import given
from hypothesis import strategies as st

from node import frames
from node.errors import FrameError
from node.frames import (
    EGRESS_SENDS,
    LIMITS,
    RUN_VAULT_SENDS,
    RUN_VAULT_TAKES,
    Kind,
    LinkState,
    LogPage,
    ReportSizes,
    encode_data,
    encode_frame,
    encode_link,
    encode_log,
    encode_object,
    encode_response,
    parse_data,
    parse_link,
    parse_log,
    parse_object,
    parse_response,
    read_frame,
    report_shape,
    write_frame,
)

EVERY = frozenset(LIMITS)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read_end, write_end = os.pipe()
    yield read_end, write_end
    for end in (read_end, write_end):
        try:
            os.close(end)
        except OSError:
            continue


def test_bytes_of_a_frame() -> None:
    assert encode_frame(Kind.RECEIPT, b"ab") == b"FSF1\x13\x00\x00\x00\x02ab"
    assert encode_frame(Kind.START) == b"FSF1\x18\x00\x00\x00\x00"


def test_large_frame_crosses_a_pipe(pipe: tuple[int, int]) -> None:
    payload = os.urandom(3_000_000)
    writer = threading.Thread(target=write_frame, args=(pipe[1], Kind.LOG, payload))
    writer.start()
    frame = read_frame(pipe[0], {Kind.LOG})
    writer.join()
    assert frame is not None
    assert frame.payload == payload
    assert "payload" not in repr(frame)


def test_closed_pipe_between_frames_is_the_end(pipe: tuple[int, int]) -> None:
    write_frame(pipe[1], Kind.END)
    os.close(pipe[1])
    assert read_frame(pipe[0], {Kind.END}) is not None
    assert read_frame(pipe[0], {Kind.END}) is None


@pytest.mark.parametrize("kept", range(1, 11))
def test_cut_off_frame_is_refused(pipe: tuple[int, int], kept: int) -> None:
    os.write(pipe[1], encode_frame(Kind.RECEIPT, b"ab")[:kept])
    os.close(pipe[1])
    with pytest.raises(FrameError, match="middle"):
        read_frame(pipe[0], {Kind.RECEIPT})


@pytest.mark.parametrize(
    "data",
    [
        b"FSF2\x13\x00\x00\x00\x02ab",
        b"\x00SF1\x13\x00\x00\x00\x02ab",
        b"FSF1\x00\x00\x00\x00\x02ab",
        b"FSF1\xff\x00\x00\x00\x02ab",
        b"FSF1\x12\x00\x00\x00\x02ab",
        b"FSF1\x03\x00\x00\x00\x02ab",
        b"FSF1\x13\x00\x00\x00\x00",
        b"FSF1\x13\xff\xff\xff\xff",
        b"GET / HTTP/1.1\r\n",
    ],
    ids=[
        "version",
        "magic",
        "kind 0",
        "kind 255",
        "not allowed",
        "reserved",
        "too short",
        "too long",
        "http",
    ],
)
def test_malformed_frame_is_refused(pipe: tuple[int, int], data: bytes) -> None:
    os.write(pipe[1], data)
    with pytest.raises(FrameError):
        read_frame(pipe[0], {Kind.RECEIPT})


@pytest.mark.parametrize("kind", sorted(EVERY))
def test_length_bounds_of_every_kind(kind: Kind) -> None:
    low, high = LIMITS[kind]
    for length in {low - 1, high + 1} - {-1}:
        with pytest.raises(FrameError, match="allowed are"):
            frames.parse_header(struct.pack(">4sBI", b"FSF1", kind, length), EVERY)
        if length < 100_000:
            with pytest.raises(FrameError, match="allowed are"):
                encode_frame(kind, bytes(length))
    assert frames.parse_header(struct.pack(">4sBI", b"FSF1", kind, high), EVERY) == (kind, high)


def test_enrol_is_reserved() -> None:
    with pytest.raises(FrameError, match="reserved"):
        encode_frame(Kind.ENROL, b"x")
    with pytest.raises(FrameError, match="reserved"):
        frames.parse_header(b"FSF1\x03\x00\x00\x00\x01", {Kind.ENROL})


def test_vault_in_run_mode_may_say_two_things() -> None:
    assert {Kind.READY, Kind.REPORT} == RUN_VAULT_SENDS
    assert {Kind.KEY, Kind.LOG, Kind.RECEIPT} == RUN_VAULT_TAKES
    assert Kind.REPORT not in EGRESS_SENDS


# ---------------------------------------------------------------- LOG

PAGE = LogPage(7, ((b"entry", b"body"), (b"", b""), (b"e", b"")), b"latest", b"cosigned")


@pytest.mark.parametrize("page", [PAGE, LogPage(0, (), b"", b""), LogPage(2**40, ((b"x", b""),), b"", b"c")])
def test_log_page_round_trip(page: LogPage) -> None:
    assert parse_log(encode_log(page)) == page


@pytest.mark.parametrize("kept", range(len(encode_log(PAGE))))
def test_cut_off_log_page_is_refused(kept: int) -> None:
    with pytest.raises(FrameError):
        parse_log(encode_log(PAGE)[:kept])


@pytest.mark.parametrize(
    "payload",
    [
        encode_log(PAGE) + b"x",
        struct.pack(">QI", 0, 4097) + bytes(4 * 2 * 4098),
        struct.pack(">QI", 0, 0xFFFFFFFF),
        struct.pack(">QI", 2**60, 0) + bytes(8),
        struct.pack(">QII", 0, 0, 0xFFFFFFFF) + bytes(8),
    ],
    ids=["trailing", "too many", "far too many", "far away", "long blob"],
)
def test_malformed_log_page_is_refused(payload: bytes) -> None:
    with pytest.raises(FrameError):
        parse_log(payload)


@given(st.binary(max_size=200))
def test_hostile_log_page_raises_only_frame_errors(payload: bytes) -> None:
    try:
        page = parse_log(payload)
    except FrameError:
        return
    assert encode_log(page) == payload


# ---------------------------------------------------------------- REPORT


def test_report_shape_reads_round_and_size() -> None:
    shape = report_shape(report(cells=4, boxes=8))
    assert shape.round_id == "ab" * 32
    assert shape.size_bytes == len(report(cells=4, boxes=8))


def with_note(note: bytes, rest: bytes = bytes(40)) -> bytes:
    return struct.pack(">I", len(note)) + note + rest


GOOD = b"fedscreen/report/v1\nround " + b"ab" * 32 + b"\ncells 4\nsize 40\n\nsignature\n"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\0\0\0",
        with_note(GOOD)[:-1],
        with_note(GOOD) + b"\0",
        with_note(GOOD.replace(b"report/v1", b"report/v2")),
        with_note(GOOD.replace(b"report", b"records")),
        with_note(GOOD.replace(b"round", b"rounds")),
        with_note(GOOD.replace(b"ab" * 32, b"AB" * 32)),
        with_note(GOOD.replace(b"ab" * 32, b"ab" * 31)),
        with_note(GOOD.replace(b"cells 4", b"cells 6")),
        with_note(GOOD.replace(b"cells 4", b"cells 04")),
        with_note(GOOD.replace(b"cells 4", b"cells -4")),
        with_note(GOOD.replace(b"size 40", b"size 41")),
        with_note(GOOD.replace(b"size 40", b"size")),
        with_note(GOOD.replace(b"size 40", b"size 99999999999")),
        with_note(b"", bytes(40)),
        with_note(GOOD + bytes(20 * 1024)),
        struct.pack(">I", 0xFFFFFFFF) + GOOD,
        b"13812345678" * 20,
    ],
)
def test_anything_but_a_report_is_refused(payload: bytes) -> None:
    with pytest.raises(FrameError):
        report_shape(payload)


def test_one_size_per_round() -> None:
    sizes = ReportSizes()
    sizes.verify(report(fill=1))
    sizes.verify(report(fill=2))
    sizes.verify(report(round_id="cd" * 32, cells=9))
    with pytest.raises(FrameError, match="earlier one"):
        sizes.verify(report(cells=5))
    with pytest.raises(FrameError, match="earlier one"):
        sizes.verify(report(boxes=9))
    sizes.verify(report(fill=3))


def test_rounds_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReportSizes, "MAX_ROUNDS", 2)
    sizes = ReportSizes()
    sizes.verify(report(round_id="01" * 32))
    sizes.verify(report(round_id="02" * 32))
    with pytest.raises(FrameError, match="more than 2"):
        sizes.verify(report(round_id="03" * 32))
    sizes.verify(report(round_id="01" * 32))


# ---------------------------------------------------------------- LINK, DATA, COMMAND, RESPONSE


@pytest.mark.parametrize("state", [LinkState("log", 0, bytes(32)), LinkState("report", 16, b"\x07" * 32)])
def test_link_round_trip(state: LinkState) -> None:
    assert parse_link(encode_link(state)) == state
    assert len(encode_link(state)) == frames.LINK_BYTES


@pytest.mark.parametrize("payload", [b"", bytes(33), bytes(35), b"\x02" + bytes(33), b"\x00\x11" + bytes(32)])
def test_malformed_link_is_refused(payload: bytes) -> None:
    with pytest.raises(FrameError):
        parse_link(payload)


@pytest.mark.parametrize(("name", "chunk"), [("roster", b""), ("学籍", b"\x00\xff"), ("x" * 64, b"y" * 1000)])
def test_data_round_trip(name: str, chunk: bytes) -> None:
    assert parse_data(encode_data(name, chunk)) == (name, chunk)


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\x05abcd", b"\x41" + b"x" * 70, b"\x01\xff"])
def test_malformed_data_is_refused(payload: bytes) -> None:
    with pytest.raises(FrameError):
        parse_data(payload)


@pytest.mark.parametrize("name", ["", "x" * 65, "学" * 22])
def test_data_needs_a_short_name(name: str) -> None:
    with pytest.raises(FrameError):
        encode_data(name, b"")


@pytest.mark.parametrize("blobs", [{}, {"a": b""}, {"receipt": b"\x00\x01", "学": b"xyz"}])
def test_response_round_trip(blobs: dict[str, bytes]) -> None:
    header = {"ok": True, "answer": {"姓名": 1}}
    assert parse_response(encode_response(header, blobs)) == (header, blobs)


def raw_response(head: bytes, rest: bytes = b"") -> bytes:
    return struct.pack(">I", len(head)) + head + rest


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\0\0\0",
        raw_response(b"[]"),
        raw_response(b"{}"),
        raw_response(b"\xff"),
        raw_response(b'{"blobs":1}'),
        raw_response(b'{"blobs":[1]}'),
        raw_response(b'{"blobs":[["a"]]}'),
        raw_response(b'{"blobs":[["a",-1]]}'),
        raw_response(b'{"blobs":[["a",true]]}', b"x"),
        raw_response(b'{"blobs":[["a",2]]}', b"x"),
        raw_response(b'{"blobs":[["a",1]]}', b"xy"),
        raw_response(b'{"blobs":[["a",1],["a",1]]}', b"xy"),
        struct.pack(">I", 99) + b"{}",
    ],
)
def test_malformed_response_is_refused(payload: bytes) -> None:
    with pytest.raises(FrameError):
        parse_response(payload)


@pytest.mark.parametrize("payload", [b"", b"[1]", b"null", b"{", b"\xff\xfe", b"[" * 5000, b'{"a":1}x'])
def test_anything_but_an_object_is_refused(payload: bytes) -> None:
    with pytest.raises(FrameError):
        parse_object(payload)


def test_object_has_no_infinities() -> None:
    with pytest.raises(ValueError, match="compliant"):
        encode_object({"x": float("nan")})
    assert parse_object(encode_object({"学": [1, "x"]})) == {"学": [1, "x"]}
