"""The log as a static folder (c2sp.org/tlog-tiles): tiles of hashes and bundles of entries.

A tile holds up to 256 hashes of one level: leaves at level 0, above it the roots of full tiles of the level
below. An entry bundle holds the entries of one level-0 tile. A partial tile's path ends in `.p/<width>`; an
empty tile does not exist.
"""

import re
from collections.abc import Iterator, Sequence

from crypto.errors import DecodeError, ParameterError
from crypto.merkle import HASH_BYTES, tree_root

TILE_WIDTH = 256
MAX_LEVEL = 63
MAX_ENTRY_BYTES = 0xFFFF
MAX_INDEX = (1 << 63) - 1
_MAX_INDEX_DIGITS = 21  # seven groups
_LEVEL_BITS = 8
_INDEX = r"((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
_TILE_PATH = re.compile(rf"tile/(0|[1-9][0-9]?)/{_INDEX}")
_ENTRIES_PATH = re.compile(rf"tile/entries/{_INDEX}")


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """Return the path of a hash tile: `tile/<level>/<index>[.p/<width>]`.

    Raises:
        ParameterError: level outside 0..63, index outside 0..2^63-1, or width outside 1..256.
    """
    if not 0 <= level <= MAX_LEVEL:
        raise ParameterError(f"a tile's level lies in 0..{MAX_LEVEL}")
    return f"tile/{level}/{_encode_index(index, width)}"


def entries_path(index: int, width: int = TILE_WIDTH) -> str:
    """Return the path of an entry bundle: `tile/entries/<index>[.p/<width>]`.

    Raises:
        ParameterError: index outside 0..2^63-1, or width outside 1..256.
    """
    return f"tile/entries/{_encode_index(index, width)}"


def _encode_index(index: int, width: int) -> str:
    if not 0 <= index <= MAX_INDEX or not 1 <= width <= TILE_WIDTH:
        raise ParameterError(f"no tile with index {index} and width {width}")
    digits = str(index)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    *groups, last = (digits[at : at + 3] for at in range(0, len(digits), 3))
    suffix = "" if width == TILE_WIDTH else f".p/{width}"
    return "".join(f"x{group}/" for group in groups) + last + suffix


def parse_tile_path(path: str) -> tuple[int, int, int]:
    """Parse a hash tile's path into (level, index, width); the exact inverse of `tile_path`.

    Raises:
        DecodeError: it is no such path.
    """
    match = _TILE_PATH.fullmatch(path)
    if match is None or int(match[1]) > MAX_LEVEL:
        raise DecodeError("not the path of a hash tile")
    return int(match[1]), *_parse_index(match[2], match[3])


def parse_entries_path(path: str) -> tuple[int, int]:
    """Parse an entry bundle's path into (index, width); the exact inverse of `entries_path`.

    Raises:
        DecodeError: it is no such path.
    """
    match = _ENTRIES_PATH.fullmatch(path)
    if match is None:
        raise DecodeError("not the path of an entry bundle")
    return _parse_index(match[1], match[2])


def _parse_index(groups: str, partial: str | None) -> tuple[int, int]:
    digits = groups.replace("x", "").replace("/", "")
    if len(digits) > _MAX_INDEX_DIGITS or int(digits) > MAX_INDEX:
        raise DecodeError("a tile's index is 2^63 or more")
    index = int(digits)
    width = TILE_WIDTH if partial is None else int(partial)
    if width > TILE_WIDTH or (partial is not None and width == TILE_WIDTH):
        raise DecodeError(f"a partial tile's width lies in 1..{TILE_WIDTH - 1}")
    if groups.startswith("x000"):
        raise DecodeError("a tile's index has a leading group of zeros")
    return index, width


def encode_entries(entries: Sequence[bytes]) -> bytes:
    """Encode an entry bundle: u16be length ‖ entry, for each.

    Raises:
        ParameterError: more than 256 entries, or one longer than 65,535 bytes.
    """
    if len(entries) > TILE_WIDTH or any(len(entry) > MAX_ENTRY_BYTES for entry in entries):
        raise ParameterError(f"a bundle has at most {TILE_WIDTH} entries of at most {MAX_ENTRY_BYTES} bytes")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def parse_entries(data: bytes, count: int) -> tuple[bytes, ...]:
    """Parse an entry bundle of a known number of entries; the exact inverse of `encode_entries`.

    Raises:
        DecodeError: it is cut short, or bytes are left over.
    """
    entries: list[bytes] = []
    at = 0
    for _ in range(count):
        start = at + 2
        at = start + int.from_bytes(data[at:start], "big")
        if at > len(data):
            raise DecodeError(f"an entry bundle ends within entry {len(entries)} of {count}")
        entries.append(data[start:at])
    if at != len(data):
        raise DecodeError(f"an entry bundle of {count} entries has {len(data) - at} bytes too many")
    return tuple(entries)


def parse_tile(data: bytes, width: int) -> tuple[bytes, ...]:
    """Parse a hash tile of a known width into its hashes.

    Raises:
        DecodeError: another length than 32 bytes per hash.
    """
    if len(data) != width * HASH_BYTES:
        raise DecodeError(f"a tile of width {width} has {width * HASH_BYTES} bytes, found {len(data)}")
    return tuple(data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES))


def changed_tiles(
    leaves: Sequence[bytes], entries: Sequence[bytes], old_size: int, new_size: int
) -> Iterator[tuple[str, bytes]]:
    """Yield (path, contents) of every tile and bundle of the tree of `new_size` that `old_size` did not have.

    Written in this order, before the checkpoint, a reader never meets a checkpoint without its tiles. With
    `old_size` 0 it is the whole folder.

    Raises:
        ParameterError: not 0 <= old_size <= new_size <= number of leaves and of entries.
    """
    if not 0 <= old_size <= new_size <= min(len(leaves), len(entries)):
        raise ParameterError(f"cannot grow from {old_size} to {new_size}: the log has {len(leaves)} leaves")
    for first, last, index in _changed(old_size, new_size):
        yield entries_path(index, last - first), encode_entries(entries[first:last])
    for level in range(MAX_LEVEL + 1):
        span_bits = _LEVEL_BITS * level
        if new_size >> span_bits == 0:
            return
        for first, last, index in _changed(old_size >> span_bits, new_size >> span_bits):
            subtrees = (leaves[i << span_bits : (i + 1) << span_bits] for i in range(first, last))
            yield tile_path(level, index, last - first), b"".join(map(tree_root, subtrees))


def _changed(old_count: int, new_count: int) -> Iterator[tuple[int, int, int]]:
    """Yield (first, last, tile index) of each tile that differs between two numbers of hashes of a level."""
    if old_count == new_count:
        return
    for first in range(old_count - old_count % TILE_WIDTH, new_count, TILE_WIDTH):
        yield first, min(first + TILE_WIDTH, new_count), first // TILE_WIDTH
