"""Looks for many planted values in much recorded data, at once: what `canaries.find_canaries` does, but fast.

A canary is a text, or numbers in a row. Texts are looked for as UTF-8, UTF-16 (both orders) and GB18030;
rows of numbers as decimal text with the usual separators and as 1, 2, 4 and 8-byte integers and 8-byte floats
(both orders). Each of these also in hex (both cases) and base64 (all three alignments, both alphabets).
"""

from __future__ import annotations

import base64
import json
import sqlite3
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from canaries import ENCODINGS, LEAST_BYTES

from node.frames import HEADER

PREFIX_BYTES = 4
SEPARATORS = (",", ", ", ";", "\t", " ", "|")
FORMATS = ("B", "<H", ">H", "<I", ">I", "<Q", ">Q", "<d", ">d")


def spell(name: str, raw: bytes) -> dict[str, bytes]:
    """Spell some bytes: as they are, in hex, and the part of their base64 that no neighbour changes."""
    found = {name: raw, f"{name} hex": raw.hex().encode(), f"{name} HEX": raw.hex().upper().encode()}
    for shift in range(3):
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
    """Searches data for all spellings of all canaries in one pass."""

    def __init__(self, patterns: dict[str, bytes]) -> None:
        self._by_prefix: dict[int, list[tuple[str, bytes]]] = defaultdict(list)
        for name, pattern in patterns.items():
            self._by_prefix[int.from_bytes(pattern[:PREFIX_BYTES], "little")].append((name, pattern))
        self._prefixes = np.array(sorted(self._by_prefix), dtype=np.uint32)

    def find(self, data: bytes) -> set[str]:
        """Name every spelling that stands in `data`."""
        if len(data) < PREFIX_BYTES:
            return set()
        single = np.frombuffer(data, dtype=np.uint8).astype(np.uint32)
        words = single[:-3] | single[1:-2] << 8 | single[2:-1] << 16 | single[3:] << 24
        places = np.minimum(np.searchsorted(self._prefixes, words), len(self._prefixes) - 1)
        found: set[str] = set()
        for at in np.flatnonzero(self._prefixes[places] == words):
            for name, pattern in self._by_prefix[int(words[at])]:
                if data.startswith(pattern, int(at)):
                    found.add(name)
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


def files_below(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Give every file below a folder, and of a SQLite database also every cell for itself."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            yield str(path.relative_to(folder)), data
            if data.startswith(b"SQLite format 3\0"):
                yield f"{path.relative_to(folder)}, all cells", b"\n".join(database_cells(path))


def database_cells(path: Path) -> Iterator[bytes]:
    """Give every text and blob of a database; a page boundary may lie in the middle of one in the file."""
    connection = sqlite3.connect(path)
    try:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            for row in connection.execute(f'SELECT * FROM "{name}"'):
                yield from (cell if isinstance(cell, bytes) else str(cell).encode() for cell in row)
    finally:
        connection.close()


def frames_in(path: Path) -> list[tuple[int, bytes]]:
    """Read a recording of the supervisor: kind and payload of every frame."""
    data, at, found = path.read_bytes(), 0, []
    while at < len(data):
        _magic, kind, length = HEADER.unpack_from(data, at)
        at += HEADER.size + length
        found.append((kind, data[at - length : at]))
    return found


def write_messages(path: Path, rows: Iterable[tuple[str, str, str, bytes]]) -> None:
    """Keep messages: one JSON line each."""
    with path.open("w") as stream:
        for *names, data in rows:
            stream.write(json.dumps([*names, data.hex()]) + "\n")


def read_messages(path: Path) -> list[tuple[str, str, str, bytes]]:
    """Read what `write_messages` wrote."""
    rows = (json.loads(line) for line in path.read_text().splitlines())
    return [(caller, method, part, bytes.fromhex(data)) for caller, method, part, data in rows]
