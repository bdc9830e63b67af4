"""The search of the audit commands finds every spelling and identifier, and nothing where nothing is."""

from __future__ import annotations

import base64
import hashlib
import struct
from urllib.parse import quote

import pytest

from node.audit_identifiers import ID_NUMBER, NAME, PHONE, IdentifierScan, is_id_number
from node.audit_spellings import ENCODINGS, Search, of_code, of_numbers, of_text

NAMES = ("欧阳麴犇", "张三丰")
NUMBER = "G11010519491231002X"  # the number of the standard's own example
MOBILE = "13812345678"


@pytest.mark.parametrize(
    ("text", "is_right"),
    [
        ("11010519491231002X", True),
        ("11010519491231002x", True),
        ("110105194912310021", False),
        ("11010519491331002X", False),
        ("11010517491231002X", False),
        ("1101051949123100", False),
        ("11010519491231002Ⅹ", False),
        ("", False),
    ],
)
def test_id_numbers_are_told_by_their_check_and_birthday(text: str, is_right: bool) -> None:
    assert is_id_number(text) is is_right


def writings(text: str, encoding: str) -> dict[str, bytes]:
    """Ways to write a text, with other bytes around it."""
    raw = text.encode(encoding)
    found = {"plain": raw, "hex": raw.hex().encode(), "HEX": raw.hex().upper().encode()}
    found["percent"] = "".join(f"%{byte:02x}" for byte in raw).encode()
    found["url"] = quote(raw).encode()
    for shift in range(3):
        around = b"\x80" * shift + raw + b"\x80\x81"
        found[f"base64 {shift}"] = base64.b64encode(around)
        found[f"base64url {shift}"] = base64.urlsafe_b64encode(around)
    return found


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(
    ("text", "kind"),
    [(NUMBER, ID_NUMBER), (NUMBER[1:], ID_NUMBER), (MOBILE, PHONE)],
    ids=["G", "plain", "phone"],
)
def test_the_scanner_finds_identifiers_in_every_writing(text: str, kind: str, encoding: str) -> None:
    scan = IdentifierScan()
    for name, written in writings(text, encoding).items():
        assert scan.find(b'{"a": "' + written + b'"}') == {kind}, name
    for name, written in writings(text[::-1], encoding).items():
        assert kind in scan.find(b'{"a": "' + written + b'"}'), f"{name} backwards"


def test_the_scanner_finds_full_width_digits_and_names() -> None:
    wide = "".join(chr(0xFF10 + int(char)) for char in MOBILE)
    assert IdentifierScan().find(f"<{wide}>".encode()) == {PHONE}
    scan = IdentifierScan([*NAMES, "李"])
    for encoding in ENCODINGS:
        assert scan.find(b"\xff" + NAMES[1].encode(encoding) + b"\xff") == {NAME}
    assert scan.find("李".encode()) == set()  # one character is no identifier


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T12:18:22Z 20261122121822 1763813902000",
        "13812345678901",
        "a13812345678",
        "12812345678",
        "110105194912310021",
        "1101051949123100290",
        "cells 652, bytes 6934, pid 138123",
    ],
)
def test_the_scanner_leaves_other_numbers_alone(text: str) -> None:
    assert IdentifierScan(NAMES).find(text.encode()) == set()


def test_no_false_alarm_in_noise_and_digests() -> None:
    noise = b"".join(hashlib.sha256(struct.pack(">I", number)).digest() for number in range(8_000))
    digests = b"\n".join(noise[at : at + 32].hex().encode() for at in range(0, len(noise), 32))
    scan = IdentifierScan(NAMES)
    search = Search({**of_text(NAMES[0]), **of_code(NUMBER), **of_code(MOBILE)})
    for data in (noise, digests, base64.b64encode(noise)):
        assert scan.find(data) == set()
        assert search.find(data) == set()


def test_a_code_is_also_found_backwards_and_as_an_integer() -> None:
    search = Search(of_code(NUMBER[1:-1]) | of_code(MOBILE))
    for form in ("<Q", ">Q"):
        assert search.find(b"\x01" + struct.pack(form, int(NUMBER[1:-1])) + b"\x01")
        assert search.find(struct.pack(form, int(MOBILE)))
    for encoding in ENCODINGS:
        assert search.find(MOBILE[::-1].encode(encoding))
        assert search.find(NUMBER[1:-1][::-1].encode(encoding).hex().encode())


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_text_is_found_in_every_writing(encoding: str) -> None:
    search = Search(of_text(NAMES[0]))
    for name, written in writings(NAMES[0], encoding).items():
        assert search.find(b"\0\0" + written + b"\0\0"), name


def test_an_empty_search_finds_nothing() -> None:
    assert Search({}).find(b"anything at all") == set()
    assert Search(of_numbers("row", [1, 2, 3, 4, 5, 6])).find(b"") == set()
