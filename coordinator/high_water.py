"""How far this folder's coordinator has signed its log: a file outside the database.

A checkpoint that was signed can never be taken back. If the database is later put back to an earlier state, a
backup or a server that lost commits, going on would sign other trees of sizes that were signed already. So
before a checkpoint leaves, its size and root are written here, on disk; and no view of the log is used that
does not contain the newest of them.

``log.head`` holds two records of one line, written in turn, each with its own check: a crash in the middle
of one leaves the other. All processes on a folder share it under a lock of the file. It is part of no backup.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from coordinator.errors import LogRolledBackError
from plan.errors import phrase

FILE_NAME = "log.head"
SLOT_BYTES = 4096
_MAGIC = "fedscreen/head/v1"
_CHECK_CHARS = 16


@dataclass(frozen=True, slots=True)
class Head:
    """A size of the log and the root of its tree there."""

    size: int
    root: bytes


class HighWater:
    """The file of one folder. Threads and processes may share it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._known = Head(0, b"")

    @property
    def known(self) -> Head:
        """The newest head that this process has read or written."""
        return self._known

    def read(self) -> Head:
        """Read the newest head; size 0 if nothing was signed yet."""
        try:
            with self._open(os.O_RDONLY, fcntl.LOCK_SH) as descriptor:
                found = max(_slots(descriptor), key=lambda head: head.size)
        except FileNotFoundError:
            found = Head(0, b"")
        with self._lock:
            if found.size > self._known.size:
                self._known = found
        return found

    def raise_to(self, size: int, root: bytes) -> None:
        """Write down that a checkpoint is about to be signed; returns when it is on disk.

        Raises:
            LogRolledBackError: another tree of this size was signed.
        """
        with self._lock:
            if size < self._known.size:
                return  # whoever asks has a view that contains the known head: LogBook sees to it
            if size > self._known.size:
                self._known = self._write(Head(size, root))
            if size == self._known.size and root != self._known.root:
                raise LogRolledBackError(
                    phrase(
                        "%(path)s: another tree of %(size)s entries was signed; never go on from this "
                        "database: run 'fedscreen coordinator store check'",
                        path=self.path,
                        size=size,
                    )
                )

    def _write(self, head: Head) -> Head:
        """Write a head over the older of the two; give the newest, which another process may have written."""
        with self._open(os.O_RDWR | os.O_CREAT, fcntl.LOCK_EX) as descriptor:
            slots = _slots(descriptor)
            newest = max(slots, key=lambda slot: slot.size)
            if newest.size >= head.size:
                return newest
            place = 0 if slots[0].size <= slots[1].size else 1
            os.pwrite(descriptor, _encode(head), place * SLOT_BYTES)
            os.fdatasync(descriptor)
        return head

    @contextmanager
    def _open(self, flags: int, lock: int) -> Iterator[int]:
        descriptor = os.open(self.path, flags, 0o644)
        try:
            fcntl.flock(descriptor, lock)
            yield descriptor
        finally:
            os.close(descriptor)


def _encode(head: Head) -> bytes:
    text = f"{_MAGIC} {head.size} {head.root.hex()}"
    return f"{text} {_check(text)}\n".encode()


def _check(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_CHECK_CHARS]


def _slots(descriptor: int) -> tuple[Head, Head]:
    return _parse(os.pread(descriptor, SLOT_BYTES, 0)), _parse(os.pread(descriptor, SLOT_BYTES, SLOT_BYTES))


def _parse(data: bytes) -> Head:
    """Read one record; size 0 for one that is absent or was cut short."""
    line = data.split(b"\n")[0].decode("ascii", "replace")
    text, _, check = line.rpartition(" ")
    words = text.split(" ")
    if len(words) != 3 or words[0] != _MAGIC or check != _check(text):
        return Head(0, b"")
    return Head(int(words[1]), bytes.fromhex(words[2]))
