"""A school whose vault is backed up and restored through real files, in one process.

`BackedHouse` is a `WatchedHouse` in a node's folder: `keep` writes a backup as `fedscreen node backup` does,
`come_back` makes a new folder of one as `fedscreen node restore` does, `recovery` and `recover` the same with
the recovery file. Only the wall is missing: the vault is a desk of this process.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from fakes_federation import fake_bytes
from fakes_vault import KEY, LATER, SOFTWARE
from watched_vault import WatchedHouse

import node.backup
import node.recovery
from node.backup import make_backup, restore_backup
from node.config import NodeConfig, NodeFolder, write_config
from node.errors import VaultRefusal
from node.recovery import RecoveryFile, make_file, recover_node
from node.recovery_code import format_code
from node.vault.desk import Desk
from node.vault.errors import VaultError
from node.vault.store import VaultStore

CODE = format_code(fake_bytes("code", 16))
_NUMBER = itertools.count()


def entropy(size: int) -> bytes:
    """Give bytes that are never the same twice, and not secret."""
    return fake_bytes(f"backup {next(_NUMBER)}", size)


class DeskSession:
    """What a command has of its vault, without a process between."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def call(
        self, command: Mapping[str, Any], files: Mapping[str, bytes | Path] | None = None
    ) -> tuple[dict[str, Any], dict[str, bytes]]:
        """Give a command; a refusal comes as it would over the pipe."""
        contents = {
            name: data.read_bytes() if isinstance(data, Path) else data
            for name, data in (files or {}).items()
        }
        try:
            return self.desk.handle(command, contents)
        except VaultError as err:
            raise VaultRefusal(err.message, err.advice, code=err.code, details=err.details) from err


class BackedHouse(WatchedHouse):
    """A school in a node's folder `root`; its record file lies in ``root/vault``."""

    def __init__(self, root: Path, *arguments: Any, **options: Any) -> None:
        for path in (root, root / "vault", root / "egress", root / "receipts"):
            path.mkdir(exist_ok=True, parents=True)
        super().__init__(root / "vault", *arguments, **options)
        self.config = NodeConfig(self.federation.federation, self.node, "credential")
        write_config(self.node_folder, self.config)
        (root / "egress" / "tls.key").write_bytes(b"a TLS key")

    @property
    def node_folder(self) -> NodeFolder:
        """The node's folder."""
        return NodeFolder(self.folder.parent)

    @property
    def session(self) -> DeskSession:
        """What a command would talk to."""
        return DeskSession(self.desk)

    def keep(self, out: Path) -> Path:
        """Write a backup while the vault is open."""
        make_backup(self.session, self.node_folder, self.config, KEY, out, entropy)  # type: ignore[arg-type]
        return out

    def come_back(self, backup: Path, root: Path, **options: Any) -> dict[str, Any]:
        """Go on in a new folder that is restored from a backup; the old folder stays as it is."""
        self.store.close()
        found = restore_backup(
            backup, NodeFolder(root), lambda _header, _folder: (KEY, "credential"), entropy, **options
        )
        self.folder = root / "vault"
        self.open()
        return found

    def recovery(self) -> RecoveryFile:
        """Make a recovery file under `CODE`."""
        return make_file(self.session, self.node_folder, KEY, "code", CODE, entropy)  # type: ignore[arg-type]

    def recover(self, file: RecoveryFile, root: Path, **options: Any) -> dict[str, Any]:
        """Go on in a new folder that is made of a recovery file alone."""
        self.store.close()
        found = recover_node(file, CODE, NodeFolder(root), entropy, lambda: "", **options)
        self.folder = root / "vault"
        self.open()
        return found


@contextmanager
def open_here(folder: NodeFolder, _config: NodeConfig, key: bytes) -> Iterator[DeskSession]:
    """Stand for `node.session.open_vault`: a desk of this process."""
    store = VaultStore(folder.vault / "vault.db", key)
    try:
        yield DeskSession(Desk(store, entropy=entropy, now=lambda: _now[0], level="L3", software=SOFTWARE))
    finally:
        store.close()


_now: list[datetime] = [LATER]


def without_processes(patch: pytest.MonkeyPatch, credentials: Path) -> None:
    """Let restores open their vaults in this process, with `KEY` as the systemd credential."""
    (credentials / "fedscreen-database-key").write_bytes(KEY)
    patch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    patch.setattr(node.backup, "open_vault", open_here)
    patch.setattr(node.recovery, "open_vault", open_here)
