"""Fingerprints that two people compare by voice: the same 128 bits as digits and as words.

A fingerprint is the first 16 bytes of SHA-256. It is written in three ways that say exactly the same:

- eight groups of four hex digits (`01ab-…`), as on the federation card and in QR codes;
- sixteen Chinese words or sixteen English words, one a byte (`crypto.fingerprint_list`), for the telephone.

Nobody has to choose: `read_fingerprint` takes any of the three. All 128 bits are compared, so a forger has to
find a second preimage; a shorter line would invite one.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata

from crypto.errors import DecodeError
from crypto.fingerprint_list import CHINESE, ENGLISH

NUM_BYTES = 16
_LISTS = {"zh": CHINESE, "en": ENGLISH}
_GAPS = re.compile(r"[\s,，、。.;；:：·_-]+")
_HEX = re.compile(r"[0-9a-f]{32}\Z")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


def fingerprint(data: bytes) -> str:
    """Compute the line that people compare: 8 groups of 4 hex digits."""
    return _line(hashlib.sha256(data).digest()[:NUM_BYTES])


def _line(value: bytes) -> str:
    digits = value.hex()
    return "-".join(digits[start : start + 4] for start in range(0, 2 * NUM_BYTES, 4))


def fingerprint_words(line: str, language: str) -> tuple[str, ...]:
    """Give the sixteen words of a fingerprint.

    Args:
        line: as `fingerprint` writes it.
        language: `zh` or `en`.

    Raises:
        DecodeError: it is no fingerprint.
    """
    digits = line.replace("-", "")
    if not _HEX.match(digits):
        raise DecodeError("a fingerprint has 8 groups of 4 hex digits")
    return tuple(_LISTS[language][byte] for byte in bytes.fromhex(digits))


def read_fingerprint(told: str) -> str:
    """Read a fingerprint that a person typed: hex digits, Chinese words or English words.

    Upper case, gaps and punctuation between the parts do not matter.

    Returns:
        The line of hex digits.

    Raises:
        DecodeError: it is none of the three; the message says which word is not in the list.
    """
    text = unicodedata.normalize("NFKC", told).lower()
    parts = [part for part in _GAPS.split(text) if part]
    joined = "".join(parts)
    if _HEX.match(joined):
        return _line(bytes.fromhex(joined))
    if _CHINESE.match(joined):  # written with gaps between the words or without
        return _line(_read([piece for part in parts for piece in _pairs(part)], CHINESE))
    return _line(_read(parts, ENGLISH))


def _pairs(part: str) -> list[str]:
    return [part[place : place + 2] for place in range(0, len(part), 2)]


def _read(parts: list[str], known: tuple[str, ...]) -> bytes:
    if len(parts) != NUM_BYTES:
        raise DecodeError(
            f"a fingerprint has {NUM_BYTES} words, or 8 groups of 4 hex digits; found {len(parts)} parts"
        )
    for place, part in enumerate(parts, start=1):
        if part not in known:
            raise DecodeError(f"word {place} of the fingerprint is not one of the list; ask for it again")
    return bytes(known.index(part) for part in parts)
