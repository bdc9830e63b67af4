"""Finds identifiers that nobody planted: ID and student numbers, mobile phone numbers, names of a roster.

Looked for is `[GLJ]?` and an ID number with a possible birthday and its check character; eleven digits of a
Chinese mobile number that stand alone; each name of two characters or more. Data is read as it is, backwards,
and as what hex, base64 (every alignment) or percent-encoding in it stands for; in each of these views as
UTF-8, UTF-16 (both orders), GB18030 and with full-width digits. Kinds and places are told, never a value.

False alarms: a hex digest holds a "valid" ID number once in some two million; random bytes practically never.
Spec: docs/on-site-audit.md "What the search finds".
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from datetime import date

from node.audit_spellings import Search, of_text

ID_NUMBER, PHONE, NAME = "id-number", "phone", "name"
KINDS = frozenset({ID_NUMBER, PHONE, NAME})
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK = "10X98765432"
_OLDEST_YEAR, _LATEST_YEAR = 1920, 2100

_ID = re.compile(rb"(?=(?<![0-9])(\d{17}[\dXx])(?![0-9]))")
_PHONE = re.compile(rb"(?<![0-9A-Za-z])1[3-9]\d{9}(?![0-9A-Za-z])")
_HEX = re.compile(rb"[0-9a-fA-F]{22,}")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}")
_PERCENT = re.compile(rb"(?:%[0-9A-Fa-f]{2}|[0-9A-Za-z._~+-]){11,}")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_FULL_WIDTH = {chr(0xFF10 + digit).encode(): str(digit).encode() for digit in range(10)}
_WIDE = (re.compile(rb"(?:[0-9A-Za-z]\0){11,}"), re.compile(rb"(?:\0[0-9A-Za-z]){11,}"))


def is_id_number(text: str) -> bool:
    """Tell whether 18 characters are an ID number: 17 digits with a possible birthday, and their check."""
    if not re.fullmatch(r"[0-9]{17}[0-9Xx]", text):
        return False
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, text, strict=False))
    try:
        born = date(int(text[6:10]), int(text[10:12]), int(text[12:14]))
    except ValueError:
        return False
    return _OLDEST_YEAR <= born.year <= _LATEST_YEAR and _CHECK[total % 11] == text[17].upper()


class IdentifierScan:
    """Looks for identifiers of a kind.

    Args:
        names: of the roster; one of a single character is not looked for.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        patterns: dict[str, bytes] = {}
        for name in {name.strip() for name in names}:
            if len(name) > 1:
                patterns |= of_text(name, name)
        self._names = Search(patterns)

    def find(self, data: bytes) -> set[str]:
        """Name the kinds of identifiers that stand in `data`: id-number, phone, name."""
        found = {NAME} if self._names.find(data) else set()
        for view in _views(data):
            found |= {kind for kind in (ID_NUMBER, PHONE) if kind not in found and _HAS[kind](view)}
        return found

    def find_in(self, parts: Iterable[tuple[str, bytes]]) -> list[str]:
        """Name the kinds in labelled data, with the label; equal data is read once."""
        known: set[bytes] = set()
        found: list[str] = []
        for label, data in parts:
            if data not in known:
                known.add(data)
                found += [f"{label}: {kind}" for kind in sorted(self.find(data))]
        return found


def _has_id_number(view: bytes) -> bool:
    return any(is_id_number(match[1].decode("ascii")) for match in _ID.finditer(view))


def _has_phone(view: bytes) -> bool:
    return _PHONE.search(view) is not None


_HAS = {ID_NUMBER: _has_id_number, PHONE: _has_phone}


def _views(data: bytes) -> Iterator[bytes]:
    """Give the data as it is, and what is encoded in it, each read forwards and backwards."""
    for plain in (data, *_decoded(data)):
        for view in (plain, *_narrowed(plain)):
            yield view
            yield view[::-1]


def _narrowed(data: bytes) -> Iterator[bytes]:
    """Give what UTF-16 and full-width digits say in plain digits."""
    for pattern in _WIDE:
        for match in pattern.finditer(data):
            yield match[0].replace(b"\0", b"")
    if b"\xef\xbc" in data:
        for wide, digit in _FULL_WIDTH.items():
            data = data.replace(wide, digit)
        yield data


def _decoded(data: bytes) -> Iterator[bytes]:
    """Give what hex, base64 and percent-encoding in the data stand for, at every alignment."""
    for match in _HEX.finditer(data):
        for shift in range(2):
            run = match[0][shift:]
            yield binascii.unhexlify(run[: len(run) // 2 * 2])
    for match in _BASE64.finditer(data):
        run = match[0].replace(b"-", b"+").replace(b"_", b"/")
        for shift in range(4):
            part = run[shift:]
            yield base64.b64decode(
                part[: len(part) // 4 * 4] if len(part) % 4 == 1 else part + b"=" * (-len(part) % 4)
            )
    for match in _PERCENT.finditer(data):
        if b"%" in match[0]:
            yield _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), match[0])
