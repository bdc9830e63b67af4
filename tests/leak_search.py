"""Evidence of what leaves a node: files, frames and messages; `node.audit_spellings` searches them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from node.audit_spellings import FORMATS, Search, of_numbers, of_text, spell
from node.frames import HEADER

__all__ = ["FORMATS", "Search", "of_numbers", "of_text", "spell"]


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
