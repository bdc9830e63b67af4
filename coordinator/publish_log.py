"""The published log: a static folder that any web server or USB stick can carry.

::

    checkpoint             newest checkpoint with a quorum of cosignatures (before the first: log-signed)
    tile/<L>/<N>[.p/<W>]   hashes (c2sp.org/tlog-tiles)
    tile/entries/<N>[…]    statements with their signatures
    blob/<hex sha256>      bodies

Order of writing: bodies, tiles, then the checkpoint, each file whole (temporary name, fsync,
rename): a reader never meets a checkpoint without what it commits to, and a crash is mended by
publishing again. Everything follows from the database; what is there already is kept.

A published checkpoint that the database cannot explain means that an old copy of the database
was restored. Then nothing is written, and the log must not go on: ``LogRolledBackError``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import overload

import sqlalchemy as sa

from coordinator import schema
from coordinator.durable import DurableHook, exclusive, write_file
from coordinator.errors import LogRolledBackError
from coordinator.log_book import LogBook, View
from coordinator.witnesses import cosigned_checkpoint, latest_checkpoint
from crypto.checkpoint import Checkpoint, parse_checkpoint
from crypto.errors import CryptoError
from crypto.note import parse_note
from crypto.tiles import changed_tiles
from plan.errors import phrase

CHECKPOINT = "checkpoint"
BLOB = "blob"
_TABLE = schema.entries


class _Entries(Sequence[bytes]):
    """The first entries of the log, read when asked for; they never change."""

    def __init__(self, book: LogBook, size: int) -> None:
        self._book = book
        self._size = size

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if not isinstance(index, slice):
            return self._book.read_entry(range(self._size)[index])
        wanted = range(self._size)[index]
        if wanted.step != 1:
            return [self._book.read_entry(position) for position in wanted]
        query = sa.select(_TABLE.c.entry).order_by(_TABLE.c.position)
        query = query.where(_TABLE.c.position >= wanted.start, _TABLE.c.position < wanted.stop)
        with self._book.store.reading() as connection:
            found = [bytes(entry) for entry in connection.execute(query).scalars()]
        return found if len(found) == len(wanted) else [self._book.read_entry(place) for place in wanted]

    def bodies(self, start: int) -> Iterator[bytes]:
        """Give every body from a position on."""
        query = sa.select(_TABLE.c.position).order_by(_TABLE.c.position)
        query = query.where(_TABLE.c.position >= start, _TABLE.c.position < self._size)
        with self._book.store.reading() as connection:
            places = connection.execute(query.where(sa.func.length(_TABLE.c.body) > 0)).scalars().all()
        for position in places:
            yield self._book.read_body(position)


def published_checkpoint(folder: Path) -> Checkpoint | None:
    """Read the checkpoint in the folder; None when there is none that can be read."""
    try:
        return parse_checkpoint(parse_note((folder / CHECKPOINT).read_bytes()).text)
    except (OSError, CryptoError):
        return None


def verify_not_rolled_back(view: View, folder: Path, published: Checkpoint | None) -> None:
    """Check that the database explains what was published.

    Args:
        view: the database, as read after `published` was.
        folder: where that was, for the message.
        published: the folder's checkpoint, read *before* the database: another process may append and
            publish at any moment, and what it published later is no evidence against an earlier reading.

    Raises:
        LogRolledBackError: it has fewer entries, or others.
    """
    if published is None or published.size == 0:
        return
    size = view.ledger.size if view.has_genesis else 0
    if published.size > size:
        raise LogRolledBackError(
            phrase(
                "%(folder)s: %(size)s entries were published, the database has %(stored)s; an old "
                "copy was restored: restore the newest one, never go on from this",
                folder=folder,
                size=published.size,
                stored=size,
            )
        )
    if view.ledger.root(published.size) != published.root:
        raise LogRolledBackError(
            phrase(
                "%(folder)s: the published tree of %(size)s entries is another one",
                folder=folder,
                size=published.size,
            )
        )


def publish_shared(book: LogBook, folder: Path, durable: DurableHook) -> int:
    """Publish into a folder that other processes publish into as well, one after the other.

    ``<name>.lock`` beside it is held meanwhile: two at once could put an older checkpoint over a newer one.

    Raises:
        LogRolledBackError: as `publish_log`.
        FileError: another process has held the lock for long.
    """
    with exclusive(folder.with_name(f"{folder.name}.lock")):
        return publish_log(book, folder, durable)


def publish_log(book: LogBook, folder: Path, durable: DurableHook) -> int:
    """Bring a folder up to the newest publishable checkpoint; return its size.

    Any folder will do: an empty one becomes a whole copy of the log. Beside it, ``<name>.new``
    holds files that are being written, so that the folder itself never shows one.

    Raises:
        LogRolledBackError: the folder shows what the database does not have.
    """
    seen = published_checkpoint(folder)
    with book.reading() as view:
        if not view.has_genesis:
            return 0
        verify_not_rolled_back(view, folder, seen)
        note = cosigned_checkpoint(book, view) or latest_checkpoint(book, view)
        new = parse_checkpoint(parse_note(note).text)
        old = published_checkpoint(folder)
        old_size = old.size if old else 0
        if new.size < old_size or _reads(folder / CHECKPOINT) == note:
            return old_size
        leaves, entries = view.ledger.leaves, _Entries(book, new.size)
    scratch = folder.with_name(f"{folder.name}.new")
    scratch.mkdir(parents=True, exist_ok=True)
    for body in entries.bodies(old_size):
        _write_new(folder / BLOB / hashlib.sha256(body).hexdigest(), body, durable, scratch)
    for path, data in changed_tiles(leaves, entries, old_size, new.size):
        _write_new(folder / path, data, durable, scratch)
    _write_new(folder / CHECKPOINT, note, durable, scratch)
    with suppress(OSError):
        scratch.rmdir()  # another process may be writing there
    return new.size


def _write_new(path: Path, data: bytes, durable: DurableHook, scratch: Path) -> None:
    if _reads(path) == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, data, durable, scratch=scratch)


def _reads(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None
