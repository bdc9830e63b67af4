"""The log as one file: one spelling, and every interrupted or damaged copy is told as such."""

from __future__ import annotations

import hashlib
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protos.errors import LogFileError
from protos.log_file import FIRST_LINE, LogFile, encode_log_file, parse_log_file

SMALL = LogFile("county-1", 7, ((b"entry one", b"body"), (b"entry two", b"")), b"checkpoint")
pairs = st.tuples(st.binary(min_size=1, max_size=40), st.binary(max_size=40))


def code_of(data: bytes) -> str:
    with pytest.raises(LogFileError) as caught:
        parse_log_file(data)
    return caught.value.code


def sealed(data: bytes) -> bytes:
    return data + hashlib.sha256(data).digest()


@given(st.integers(0, 2**40), st.lists(pairs, max_size=5), st.binary(max_size=60))
def test_parse_is_the_inverse_of_encode(start: int, entries: list[tuple[bytes, bytes]], note: bytes) -> None:
    file = LogFile("honghe", start, tuple(entries), note)
    assert parse_log_file(encode_log_file(file)) == file
    assert file.size == start + len(entries)


def test_every_shorter_copy_is_cut_off() -> None:
    data = encode_log_file(SMALL)
    head = data.index(b"\n\n") + 2
    assert {code_of(data[:size]) for size in range(head, len(data))} == {"cut-off"}
    assert {code_of(data[:size]) for size in range(head)} == {"not-a-log-file"}


def test_every_flipped_bit_is_noticed() -> None:
    data = encode_log_file(SMALL)
    for place in range(len(data) * 8):
        spoilt = bytearray(data)
        spoilt[place // 8] ^= 1 << place % 8
        assert code_of(bytes(spoilt)) in ("damaged", "cut-off", "not-a-log-file")


def test_nothing_rides_along_behind_the_last_part() -> None:
    data = encode_log_file(SMALL)
    assert code_of(sealed(data[:-32] + b"13812345678")) == "damaged"


def test_a_tail_of_zeros_or_more_bytes_is_damage() -> None:
    data = encode_log_file(SMALL)
    assert code_of(data[:-40] + bytes(40)) == "damaged"
    assert code_of(data + b"x") == "damaged"


@pytest.mark.parametrize(
    "data",
    [b"", b"\n", b"PK\x03\x04", FIRST_LINE.encode() + b"\n", b"\xff" * 5000, os.urandom(3000)],
    ids=["empty", "line feed", "zip", "first line", "ff", "random"],
)
def test_other_files_are_not_log_files(data: bytes) -> None:
    assert code_of(data) == "not-a-log-file"


@pytest.mark.parametrize(
    "head",
    [
        "federation a b\nstart 0\nentries 0\nbytes 4\n\n",
        "federation X\nstart 0\nentries 0\nbytes 4\n\n",
        "federation a\nstart 00\nentries 0\nbytes 4\n\n",
        "federation a\nstart -1\nentries 0\nbytes 4\n\n",
        "federation a\nstart 0\nentries 1e3\nbytes 4\n\n",
        "federation a\nstart 0\nentries 0\nbytes 0\n\n",
        "federation a\nstart 0\nentries 0\nbytes 4\nmore 1\n\n",
        "start 0\nfederation a\nentries 0\nbytes 4\n\n",
    ],
)
def test_a_head_has_one_spelling(head: str) -> None:
    good = "federation a\nstart 0\nentries 0\nbytes 4\n\n"
    assert parse_log_file(sealed(f"{FIRST_LINE}\n{good}".encode() + bytes(4))).entries == ()
    assert code_of(sealed(f"{FIRST_LINE}\n{head}".encode() + bytes(4))) == "not-a-log-file"


@pytest.mark.parametrize(
    ("entries", "content"),
    [
        (0, b"\0\0\0\x09four"),
        (0, b"\xff\xff\xff\xff"),
        (0, b"\0\0\0"),
        (1, b"\0\0\0\x01e\0\0\0\x00"),
        (0, b"\0\0\0\x01e\0\0\0\x00\0\0\0\x00"),
        (1, b"\0\0\0\x00\0\0\0\x00\0\0\0\x00"),
        (9_999_999_999, b"\0\0\0\x00"),
        (1, b"\0\0\x60\x01" + bytes(0x6001) + bytes(8)),
        (0, b"\0\x01\0\x01" + bytes(0x10001)),
    ],
    ids=["too long", "wild", "half a length", "no checkpoint", "too few named", "empty entry", "too many",
         "huge entry", "huge checkpoint"],
)  # fmt: skip
def test_a_file_whose_parts_do_not_add_up(entries: int, content: bytes) -> None:
    head = f"{FIRST_LINE}\nfederation a\nstart 0\nentries {entries}\nbytes {len(content)}\n\n"
    assert code_of(sealed(head.encode() + content)) == "damaged"
