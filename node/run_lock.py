"""One running node a folder: a lock that ends with the process that holds it, however that ends.

The file running.lock stays where it is; only the system's lock on it counts. Who holds it writes its pid and
since when into the file, for whoever is refused.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from node.config import NodeFolder
from node.errors import Detail, SuperviseError, _

_MAX_BYTES = 400
_LOCKED_BYTE = 1 << 20  # Windows keeps others from reading a locked byte, so it lies behind what is written


@contextmanager
def hold_folder(folder: NodeFolder) -> Iterator[None]:
    """Be the one that runs this folder's node.

    Raises:
        SuperviseError: a node runs there already; says which process, and since when (UTC).
        OSError: the file cannot be opened or locked.
    """
    descriptor = os.open(folder.run_lock, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
    try:
        if not _lock(descriptor):
            raise _refusal(os.read(descriptor, _MAX_BYTES))
        with contextlib.suppress(OSError):  # a full disk must not stop the node
            _write(descriptor)
        yield
    finally:
        os.close(descriptor)


def require_free(folder: NodeFolder) -> None:
    """Refuse where a node runs already, before anybody is asked for a passphrase. Raises SuperviseError."""
    with hold_folder(folder):
        pass


def _lock(descriptor: int) -> bool:
    """Take the lock without waiting; False where another process has it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
            try:
                msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
            finally:
                os.lseek(descriptor, 0, os.SEEK_SET)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _write(descriptor: int) -> None:
    values = {"supervisor": os.getpid(), "since": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    os.ftruncate(descriptor, 0)
    os.write(descriptor, json.dumps(values).encode())


def _refusal(data: bytes) -> SuperviseError:
    advice = _("One is enough: see 'fedscreen node status'. To start it anew, end that one first.")
    try:
        values: dict[str, Any] = dict(json.loads(data))
        details: dict[str, Detail] = {"pid": int(values["supervisor"]), "since": str(values["since"])}
    except (ValueError, TypeError, KeyError):
        return SuperviseError(_("a node runs in this folder already"), advice, code="already-running")
    return SuperviseError(
        _("a node runs in this folder already: process %(pid)d, since %(since)s"),
        advice,
        code="already-running",
        details=details,
    )
