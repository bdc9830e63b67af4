"""Read a compound file (OLE2), the container of .xls workbooks and of encrypted .xlsx ones.

Only what a workbook needs: the directory's names and one stream by name. Every chain is followed at
most once through every sector, so a chain that bites its tail ends in an error and not in a loop.

Spec: [MS-CFB] versions 3 and 4.
"""

from __future__ import annotations

import encodings.utf_16_le  # names are in it; it may not be fetched later
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from node.vault.errors import VaultError

MAGIC: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

_NEEDED_CODECS = (encodings.utf_16_le,)
_HEADER_BYTES: Final = 512
_ENTRY_BYTES: Final = 128
_NUM_HEADER_FATS: Final = 109
_FREE: Final = 0xFFFFFFFA  # this and everything above is no sector
_MINI_BYTES: Final = 64
_MAX_ENTRIES: Final = 4096
_STREAM, _ROOT = 2, 5


class CompoundError(VaultError):
    """The bytes are no whole compound file."""

    CODE = "compound"


def _damaged() -> CompoundError:
    return CompoundError("the compound file is damaged")


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    kind: int
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class CompoundFile:
    """An opened compound file: its named streams and what is needed to read one.

    Attributes:
        entries: by name in lower case; the names that a directory has twice keep the first.
    """

    data: bytes = field(repr=False)
    sector_bytes: int
    fat: tuple[int, ...] = field(repr=False)
    mini_fat: tuple[int, ...] = field(repr=False)
    mini_below: int
    entries: dict[str, _Entry] = field(repr=False)

    def has(self, name: str) -> bool:
        """Say whether there is a stream of that name."""
        entry = self.entries.get(name.lower())
        return entry is not None and entry.kind == _STREAM

    def read(self, name: str) -> bytes:
        """Read a stream.

        Raises:
            CompoundError: there is none, or its chain is broken.
        """
        entry = self.entries.get(name.lower())
        if entry is None or entry.kind != _STREAM or entry.size > len(self.data):
            raise _damaged()
        if entry.size >= self.mini_below:
            return _join(self.data, self.fat, entry.start, self.sector_bytes, self.sector_bytes, entry.size)
        root = next((found for found in self.entries.values() if found.kind == _ROOT), None)
        if root is None or root.size > len(self.data):
            raise _damaged()
        mini = _join(self.data, self.fat, root.start, self.sector_bytes, self.sector_bytes, root.size)
        return _join(mini, self.mini_fat, entry.start, _MINI_BYTES, 0, entry.size)


def open_compound(data: bytes) -> CompoundFile:
    """Read header, allocation tables and directory.

    Raises:
        CompoundError: these are not whole.
    """
    if not data.startswith(MAGIC) or len(data) < _HEADER_BYTES:
        raise _damaged()
    major, order, shift = struct.unpack_from("<HHH", data, 26)
    (first_dir,) = struct.unpack_from("<I", data, 48)
    mini_below, first_mini, num_minis, first_difat, num_difats = struct.unpack_from("<IIIII", data, 56)
    if (major, order, shift) not in ((3, 0xFFFE, 9), (4, 0xFFFE, 12)) or mini_below > 1 << 20:
        raise _damaged()
    size = 1 << shift
    fat = tuple(_read_fat(data, size, first_difat, num_difats))
    directory = _join(data, fat, first_dir, size, size, None)
    minis = _join(data, fat, first_mini, size, size, None) if num_minis else b""
    mini_fat = struct.unpack(f"<{len(minis) // 4}I", minis[: len(minis) // 4 * 4])
    return CompoundFile(data, size, fat, mini_fat, mini_below, _read_directory(directory, major))


def _read_fat(data: bytes, size: int, first_difat: int, num_difats: int) -> Iterator[int]:
    places = list(struct.unpack_from(f"<{_NUM_HEADER_FATS}I", data, 76))
    sector, seen = first_difat, 0
    while sector < _FREE and seen < num_difats:
        block = _sector(data, sector, size)
        numbers = struct.unpack(f"<{size // 4}I", block)
        places += numbers[:-1]
        sector, seen = numbers[-1], seen + 1
        if seen > len(data) // size:
            raise _damaged()
    if len(places) > max(_NUM_HEADER_FATS, len(data) // size):
        raise _damaged()  # one table would be read over and over
    for place in places:
        if place < _FREE:
            yield from struct.unpack(f"<{size // 4}I", _sector(data, place, size))


def _sector(data: bytes, number: int, size: int, first: int | None = None) -> bytes:
    """Give a sector; the first one starts at `first`, by default behind a header of one sector."""
    start = (size if first is None else first) + number * size
    block = data[start : start + size]
    if not block:
        raise _damaged()
    return block.ljust(size, b"\0")  # writers cut the last sector short


def _join(data: bytes, fat: tuple[int, ...], start: int, size: int, first: int, length: int | None) -> bytes:
    """Put the sectors of a chain together, up to `length` bytes (None: the whole chain)."""
    parts: list[bytes] = []
    sector, needed = start, len(fat) if length is None else -(-length // size)
    while sector < _FREE and len(parts) < needed:
        if sector >= len(fat):
            raise _damaged()
        parts.append(_sector(data, sector, size, first))
        sector = fat[sector]
    if length is None:
        if sector < _FREE:
            raise _damaged()
        return b"".join(parts)
    if len(parts) < needed:
        raise _damaged()
    return b"".join(parts)[:length]


def _read_directory(data: bytes, major: int) -> dict[str, _Entry]:
    entries: dict[str, _Entry] = {}
    for place in range(min(len(data) // _ENTRY_BYTES, _MAX_ENTRIES)):
        block = data[place * _ENTRY_BYTES : (place + 1) * _ENTRY_BYTES]
        name_bytes, kind = struct.unpack_from("<HB", block, 64)
        start, size = struct.unpack_from("<IQ", block, 116)
        if kind not in (_STREAM, _ROOT) or not 2 <= name_bytes <= 64:
            continue
        name = block[: name_bytes - 2].decode("utf-16-le", "replace").lower()
        if major == 3:
            size &= 0xFFFFFFFF  # version 3 leaves rubbish in the upper half
        entries.setdefault(name, _Entry(name, kind, start, size))
    return entries
