"""Bringing a record file from an older format to this one, with the older file kept.

Order, inside one transaction of the store (so that two processes take turns and a crash changes nothing):

1. everything in the write-ahead log is in the file itself (the store made a checkpoint, and holds the lock);
2. the file is copied to ``vault.db.format-N``, whole and durable, before anything is changed;
3. the statements of each later format run, and the file gets the new number.

The copy opens with the same key. It may be deleted when the new file has proved itself: `fedscreen node
check` reads the new one whole.
"""

from __future__ import annotations

import os
from pathlib import Path

from node.vault.schema import FORMATS

CHUNK_BYTES = 1 << 20


def statements_from(version: int) -> tuple[str, ...]:
    """Give the statements that lead from a format (0: no tables yet) to the newest one."""
    return tuple(statement for format_ in FORMATS[version:] for statement in format_)


def copy_name(path: Path, version: int) -> Path:
    """Name the kept copy of a record file of an older format."""
    return path.with_name(f"{path.name}.format-{version}")


def keep_copy(path: Path, version: int) -> Path:
    """Copy a record file that nobody writes to, durably; a copy of an interrupted attempt is replaced.

    Raises:
        OSError: it cannot be written; then no part of it is left.
    """
    target = copy_name(path, version)
    beside = target.with_name(target.name + ".part")
    try:
        with path.open("rb") as source, open(beside, "wb", opener=_private) as copy:
            while chunk := source.read(CHUNK_BYTES):
                copy.write(chunk)
            copy.flush()
            os.fsync(copy.fileno())
        os.replace(beside, target)
        _sync(target.parent)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    return target


def _sync(folder: Path) -> None:
    """Make the copy's name survive a power cut, as the migration that follows does."""
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
