"""Read a copy of the log, whoever kept it, to compare the database with it or to mend it from it.

| what | where it comes from |
| --- | --- |
| a static folder with ``checkpoint`` | the published log, `log export`, a web server's copy |
| a folder with ``log/`` in it | an auditor's bundle |
| a folder with ``entries`` and ``latest`` | an auditor's own copy, in its state folder |
| a file | `outbox export` |

A copy is believed because every statement in it is signed and follows from those before it
(``protos.ledger``), and because its checkpoint is signed by this log's key; nothing else is trusted.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from coordinator.errors import FileError
from crypto.checkpoint import Checkpoint, parse_checkpoint
from crypto.errors import CryptoError
from crypto.note import parse_note
from crypto.tiles import TILE_WIDTH, entries_path, parse_entries
from plan.errors import phrase
from protos.card import FederationCard
from protos.errors import LedgerError, ProtocolError
from protos.ledger import Ledger
from protos.log_file import MAX_LOG_FILE_BYTES, parse_log_file
from protos.statements import MAX_BODY_BYTES, MAX_ENTRY_BYTES, body_of, parse_statement

_LENGTH = struct.Struct(">I")
Entry = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class LogCopy:
    """A copy of the log from its first entry on, read and believed.

    Attributes:
        place: where it was read.
        ledger: what it says.
        entries: (entry, body) of every position.
    """

    place: Path
    ledger: Ledger
    entries: tuple[Entry, ...]


def read_copy(place: Path, card: FederationCard) -> LogCopy:
    """Read a copy, whole.

    Raises:
        FileError: there is none, it is damaged, or it is not of this federation.
    """
    try:
        entries, note = _read(place)
        ledger = Ledger(card)
        for entry, body in entries:
            ledger.append(entry, body)
        ledger.verify_checkpoint(note, 0)
    except (OSError, CryptoError, ProtocolError) as err:
        position = f" ({err.code})" if isinstance(err, LedgerError) else ""
        raise FileError(
            phrase(
                "%(place)s: no whole copy of this log: %(reason)s%(code)s",
                place=place,
                reason=str(err),
                code=position,
            )
        ) from err
    return LogCopy(place, ledger, tuple(entries))


def _read(place: Path) -> tuple[list[Entry], bytes]:
    if place.is_file():
        return _log_file(place)
    if (place / "entries").is_file() and (place / "latest").is_file():
        return _mirror(place)
    folder = place / "log" if (place / "log" / "checkpoint").is_file() else place
    note = (folder / "checkpoint").read_bytes()
    return list(_static(folder, _size_of(note).size)), note


def _size_of(note: bytes) -> Checkpoint:
    return parse_checkpoint(parse_note(note).text)


def _log_file(place: Path) -> tuple[list[Entry], bytes]:
    if place.stat().st_size > MAX_LOG_FILE_BYTES:
        raise FileError(phrase("%(place)s: no log file", place=place))
    file = parse_log_file(place.read_bytes())
    if file.start:
        raise FileError(
            phrase(
                "%(place)s: begins at entry %(start)s; export the whole log", place=place, start=file.start
            )
        )
    return list(file.entries), file.cosigned


def _static(folder: Path, size: int) -> Iterator[Entry]:
    for first in range(0, size, TILE_WIDTH):
        width = min(TILE_WIDTH, size - first)
        for entry in parse_entries((folder / entries_path(first // TILE_WIDTH, width)).read_bytes(), width):
            yield entry, _body(folder, entry)


def _body(folder: Path, entry: bytes) -> bytes:
    ref = body_of(parse_statement(parse_note(entry).text))
    if ref is None:
        return b""
    data = (folder / "blob" / ref.sha256.hex()).read_bytes()
    return data if hashlib.sha256(data).digest() == ref.sha256 else b""


def _mirror(folder: Path) -> tuple[list[Entry], bytes]:
    """Read the file that ``auditor.mirror`` keeps, up to its newest checkpoint."""
    note = (folder / "latest").read_bytes()
    data = (folder / "entries").read_bytes()
    entries, at = [], 0
    for _ in range(_size_of(note).size):
        entry, at = _part(data, at, MAX_ENTRY_BYTES)
        body, at = _part(data, at, MAX_BODY_BYTES)
        entries.append((entry, body))
    return entries, note


def _part(data: bytes, at: int, limit: int) -> tuple[bytes, int]:
    if at + _LENGTH.size > len(data):
        raise OSError("cut off")
    size = _LENGTH.unpack_from(data, at)[0]
    end = at + _LENGTH.size + size
    if size > limit or end > len(data):
        raise OSError("cut off")
    return data[at + _LENGTH.size : end], end
