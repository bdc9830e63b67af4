"""Write files so that a crash leaves the old bytes or the new ones, whole, and a power cut keeps them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from auditor.errors import SlotTakenError
from plan.errors import phrase

Durable = Callable[[str], None]


def ignore_durable(_step: str) -> None:
    """Do nothing: the `durable` hook of a process that injects no faults."""


def make_private_directory(path: Path) -> None:
    """Create a directory, and its parents, for the owner only; sync the parent."""
    if path.is_dir():
        return
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    sync_directory(path.parent)


def create_exclusively(path: Path, content: bytes, step: str, durable: Durable = ignore_durable) -> None:
    """Create a file that must not exist, whole or not at all, and sync file and folder.

    The bytes are written and synced under a temporary name and linked to the final one, which
    fails if it exists; a crash leaves either nothing or the complete file.

    Raises:
        SlotTakenError: the file exists.
    """
    durable(f"{step} before")
    staged = _stage(path, content)
    durable(f"{step} staged")
    try:
        os.link(staged, path)
    except FileExistsError as err:
        raise SlotTakenError(phrase("%(path)s: exists already and is never replaced", path=path)) from err
    finally:
        staged.unlink(missing_ok=True)
    sync_directory(path.parent)
    durable(f"{step} after")


def replace_durably(path: Path, content: bytes, step: str, durable: Durable = ignore_durable) -> None:
    """Replace a file's content atomically and sync file and folder."""
    durable(f"{step} before")
    staged = _stage(path, content)
    durable(f"{step} staged")
    staged.replace(path)
    sync_directory(path.parent)
    durable(f"{step} after")


def _stage(path: Path, content: bytes) -> Path:
    staged = path.with_name(f"{path.name}.tmp")
    staged.unlink(missing_ok=True)  # left by a crash; the lock keeps others away
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return staged


def sync_directory(path: Path) -> None:
    """Make a directory's entries durable; Windows does it with the file itself."""
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
