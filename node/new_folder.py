"""A node's folder that comes into being whole or not at all: for restoring and recovering.

Everything is made in a folder beside the one that was asked for, and put in its place when it is complete.
So an interrupted restore leaves at most a folder whose name begins with a dot.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from node.config import NodeConfig, NodeFolder, file_error
from node.enrolment import pick_users
from node.errors import ConfigError, _

LEFT_OVER_S = 600
FILES = {
    "node.toml": "node.toml",
    "tls.key": "egress/tls.key",
    "tls.crt": "egress/tls.crt",
    "ca.crt": "egress/ca.crt",
    "vault.db": "vault/vault.db",
}
"""What a backup calls a file, and where it lies in a node's folder."""


@contextmanager
def new_folder(target: NodeFolder) -> Iterator[NodeFolder]:
    """Give a folder beside `target`; put it in its place when the block ends, remove it if that raises.

    Raises:
        ConfigError: something lies at `target` already, or no folder can be made there.
    """
    verify_unused(target)
    beside = target.root.with_name(f".{target.root.name}.new-{os.getpid()}")
    folder = NodeFolder(beside)
    try:
        target.root.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_over(target)
        for path in (beside, folder.vault, folder.egress, folder.receipts):
            path.mkdir(mode=0o700)
        yield folder
        verify_unused(target)
        with suppress(FileNotFoundError):
            target.root.rmdir()
        os.replace(beside, target.root)
        _sync_folder(target.root.parent)
    except OSError as err:
        shutil.rmtree(beside, ignore_errors=True)
        raise _cannot(target.root, err) from err
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def verify_unused(target: NodeFolder) -> None:
    """Refuse a folder in which anything lies.

    Raises:
        ConfigError: it is not empty.
    """
    try:
        is_used = any(target.root.iterdir())
    except FileNotFoundError:
        is_used = False
    except OSError as err:
        raise _cannot(target.root, err) from err
    if is_used:
        raise ConfigError(
            _("%(folder)s is not empty; nothing is restored over what is there"),
            _("Give a new folder with --dir, and keep the old one until the new one works."),
            code="folder-used",
            details={"folder": str(target.root)},
        )


def _remove_left_over(target: NodeFolder) -> None:
    """Remove what an interrupted restore into this folder left."""
    for path in target.root.parent.glob(f".{target.root.name}.new-*"):
        if time.time() - path.stat().st_mtime > LEFT_OVER_S:
            shutil.rmtree(path, ignore_errors=True)


def sync_files(folder: NodeFolder) -> None:
    """Make the files of a new folder durable."""
    for path in folder.root.rglob("*"):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
    for path in (folder.vault, folder.egress, folder.root):
        _sync_folder(path)


def fit_users(config: NodeConfig, entropy: Callable[[int], bytes]) -> NodeConfig:
    """Give a node's settings users of this machine: new ones if root runs it, else none."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    vault_uid, egress_uid = pick_users(entropy) if is_root else (0, 0)
    return replace(config, vault_uid=vault_uid, egress_uid=egress_uid)


def _sync_folder(path: Path) -> None:
    if hasattr(os, "O_DIRECTORY"):
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _cannot(path: Path, err: OSError) -> ConfigError:
    found = file_error(err, str(path))
    if found.code == "disk-full":
        return found
    return ConfigError(
        _("%(folder)s cannot be made (%(reason)s)"),
        _("Choose a folder on a local disk that you may write to."),
        details={"folder": str(path), "reason": err.strerror or ""},
    )
