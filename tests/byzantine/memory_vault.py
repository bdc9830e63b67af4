"""A vault's record file in memory: the real `VaultStore`, its database without a file and without a key.

A crash before a commit rolls back, as on disk; a crash after it loses nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlcipher3 import dbapi2 as sqlcipher

from node.vault.store import VaultStore


class MemoryVault(VaultStore):
    """A record file that is gone when it is closed.

    Args:
        template: filled before, copied into this one.
    """

    def __init__(self, template: MemoryVault | None = None) -> None:
        self._path = Path("memory.db")
        self._key = bytes(32)
        self._durable = lambda _step: None
        self._is_writing = False
        self._connection = self._connect()
        if template is None:
            self._bring_up(0)
        else:
            template._connection.backup(self._connection)
        self._run("PRAGMA foreign_keys = ON")

    def hook(self, durable: Any) -> None:
        """Set what is called before and after every commit."""
        self._durable = durable

    def _connect(self) -> Any:
        return sqlcipher.connect(":memory:", isolation_level=None, cached_statements=128)
