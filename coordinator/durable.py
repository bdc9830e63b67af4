"""Write files so that a crash leaves the old bytes or the new ones, never a mixture."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from coordinator.errors import FileError
from plan.errors import phrase

WAIT_S = 10.0
POLL_S = 0.02
IN_USE_NAME = "in-use.lock"

DurableHook = Callable[[str], None]


def ignore_step(_step: str) -> None:
    """Do nothing: the hook of a real run. Tests pass one that stops at a chosen step."""


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Keep other processes and threads that ask for the same lock file out; it ends with the process.

    Raises:
        FileError: somebody has held it for long.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        give_up = time.monotonic() + WAIT_S
        while not _is_locked(descriptor):
            if time.monotonic() > give_up:
                raise FileError(
                    phrase("%(path)s: held by another process for %(wait)s s", path=path, wait=WAIT_S)
                )
            time.sleep(POLL_S)
        yield
    finally:
        os.close(descriptor)


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def sync_folder(folder: Path) -> None:
    """Flush a folder's own entries, so that a rename in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(
    path: Path,
    data: bytes,
    durable: DurableHook,
    *,
    mode: int = 0o644,
    is_new: bool = False,
    scratch: Path | None = None,
) -> None:
    """Write a file whole: temporary name, fsync, atomic rename, fsync of the folder.

    Args:
        path: where; its folder exists.
        data: the whole content.
        durable: called before and after.
        mode: permission bits; 0o600 for keys.
        is_new: refuse to replace an existing file (FileExistsError).
        scratch: folder on the same file system for the temporary name; default: beside the file.
    """
    durable(f"before {path.name}")
    temporary = (scratch or path.parent) / f".{path.name}.{os.getpid()}.{threading.get_ident()}.new"
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            os.link(temporary, path)
        else:
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
    durable(f"after {path.name}")


class InUse:
    """Says that a process works on a folder, until it is closed or the process ends."""

    def __init__(self, directory: Path) -> None:
        """Say so; waits for nobody.

        Raises:
            FileError: a backup is being restored into the folder.
        """
        self._descriptor = os.open(directory / IN_USE_NAME, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError as err:
            self.close()
            raise FileError(
                phrase("%(directory)s: a backup is being restored into it", directory=directory)
            ) from err

    def close(self) -> None:
        """Say no more."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


@contextmanager
def unused(directory: Path) -> Iterator[None]:
    """Keep every process away from a folder.

    Raises:
        FileError: a process works on it.
    """
    descriptor = os.open(directory / IN_USE_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as err:
        raise FileError(
            phrase("%(directory)s: a coordinator works on it; stop it first", directory=directory)
        ) from err
    finally:
        os.close(descriptor)
