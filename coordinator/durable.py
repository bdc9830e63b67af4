"""Write files so that a crash leaves the old bytes or the new ones, never a mixture."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

DurableHook = Callable[[str], None]


def ignore_step(_step: str) -> None:
    """Do nothing: the hook of a real run. Tests pass one that stops at a chosen step."""


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
