"""Every way in which a planted text or row of numbers would plausibly be written, and the search for all.

A text is looked for as UTF-8, UTF-16 (both orders) and GB18030; a number of digits also backwards and as an
integer; numbers in a row as decimal text with the usual separators and as 1, 2, 4 and 8-byte integers and
8-byte floats (both orders). Each of these also in hex and percent-encoding (both cases) and base64 (all three
alignments, both alphabets). What is compressed or encrypted is not found: that is what the wall and the
replay are for.

No names of schools and no secrets: it sees what the caller gives. Used by `audit selftest` and the tests.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Sequence
from urllib.parse import quote_from_bytes

import numpy as np

ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "gb18030")
LEAST_BYTES = 6
PREFIX_BYTES = 4
SEPARATORS = (",", ", ", ";", "\t", " ", "|")
FORMATS = ("B", "<H", ">H", "<I", ">I", "<Q", ">Q", "<d", ">d")
_DIGITS = "0123456789"
_MAX_U64 = (1 << 64) - 1


def spell(name: str, raw: bytes) -> dict[str, bytes]:
    """Spell some bytes: plain, hex, percent-encoded, and what of their base64 no neighbour changes."""
    found = {name: raw, f"{name} hex": raw.hex().encode(), f"{name} HEX": raw.hex().upper().encode()}
    found |= {
        f"{name} percent": "".join(f"%{byte:02x}" for byte in raw).encode(),
        f"{name} PERCENT": "".join(f"%{byte:02X}" for byte in raw).encode(),
    }
    quoted = quote_from_bytes(raw).encode()
    if quoted != raw:
        found[f"{name} url"] = quoted
    for shift in range(3):
        # The first and last group depend on what stands beside the text.
        whole = base64.b64encode(bytes(shift) + raw)
        inner = whole[4 if shift else 0 : len(whole) - (4 if (shift + len(raw)) % 3 else 0)]
        found[f"{name} base64 +{shift}"] = inner
        found[f"{name} base64url +{shift}"] = inner.replace(b"+", b"-").replace(b"/", b"_")
    return {key: value for key, value in found.items() if len(value) >= LEAST_BYTES}


def of_text(text: str, name: str = "") -> dict[str, bytes]:
    """Spell a text."""
    found: dict[str, bytes] = {}
    for encoding in ENCODINGS:
        found |= spell(f"{name or text} {encoding}", text.encode(encoding))
    return found


def of_code(text: str, name: str = "") -> dict[str, bytes]:
    """Spell a number of many digits, which may have letters around it: also backwards and as an integer."""
    label = name or text
    found = of_text(text, label) | of_text(text[::-1], f"{label} backwards")
    digits = "".join(char for char in text if char in _DIGITS)
    if len(digits) > 8 and int(digits) <= _MAX_U64:
        for form in ("<Q", ">Q"):
            found |= spell(f"{label} {form}", struct.pack(form, int(digits)))
    return found


def of_numbers(name: str, numbers: Sequence[int], formats: Sequence[str] = FORMATS) -> dict[str, bytes]:
    """Spell some numbers in a row; at least six, so that no other data looks the same by chance."""
    found: dict[str, bytes] = {}
    for separator in SEPARATORS:
        found |= of_text(separator.join(str(number) for number in numbers), f"{name} {separator!r}")
    for form in formats:
        if form == "B" and max(numbers) > 255:
            continue
        raw = b"".join(struct.pack(form, number) for number in numbers).strip(b"\0")
        found |= spell(f"{name} {form}", raw)
    return found


class Search:
    """Searches data for all spellings of all canaries in one pass.

    Args:
        patterns: name of a spelling → its bytes, at least `LEAST_BYTES`.
    """

    def __init__(self, patterns: dict[str, bytes]) -> None:
        # first bytes → length → pattern → names: a hit costs one look for each length, not for each pattern
        self._by_prefix: dict[int, dict[int, dict[bytes, list[str]]]] = {}
        for name, pattern in patterns.items():
            lengths = self._by_prefix.setdefault(int.from_bytes(pattern[:PREFIX_BYTES], "little"), {})
            lengths.setdefault(len(pattern), {}).setdefault(pattern, []).append(name)
        self._prefixes = np.array(sorted(self._by_prefix), dtype=np.uint32)

    def find(self, data: bytes) -> set[str]:
        """Name every spelling that stands in `data`."""
        if len(data) < PREFIX_BYTES or not len(self._prefixes):
            return set()
        single = np.frombuffer(data, dtype=np.uint8).astype(np.uint32)
        words = single[:-3] | single[1:-2] << 8 | single[2:-1] << 16 | single[3:] << 24
        places = np.minimum(np.searchsorted(self._prefixes, words), len(self._prefixes) - 1)
        found: set[str] = set()
        for at in np.flatnonzero(self._prefixes[places] == words):
            for length, known in self._by_prefix[int(words[at])].items():
                found.update(known.get(data[at : at + length], ()))
        return found

    def find_in(self, parts: Iterable[tuple[str, bytes]]) -> list[str]:
        """Name every spelling in labelled data, with its label; equal data is read once."""
        known: set[bytes] = set()
        found: list[str] = []
        for label, data in parts:
            if data not in known:
                known.add(data)
                found += [f"{label}: {name}" for name in sorted(self.find(data))]
        return found


def find_canaries(data: bytes, canaries: Iterable[str]) -> list[str]:
    """Name the spellings of planted texts that stand in `data`, one by one: the slow and obvious way."""
    return [name for canary in canaries for name, spelling in of_text(canary).items() if spelling in data]
