"""One open vault for as long as the console runs.

Rules:

1. Every call runs in the same thread: the vault is killed by the kernel when the thread that started it ends,
   and a conversation is used by one thread.
2. One command at a time; the next one waits.
3. A vault that died is opened anew at the next command. A command that only reads is given once more; one
   that changes something is not, because a person has to see what became of it first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from typing import Any, Final, Protocol

from node.errors import NodeError, SessionError

READING: Final = frozenset(
    {"identity", "status", "rounds", "roles", "budget", "preview", "receipt", "records_summary"}
)

Answer = tuple[dict[str, Any], dict[str, bytes]]
_DIED = "session"


class Vault(Protocol):
    """What a console asks of an open vault; `node.session.VaultSession` is one."""

    def call(self, command: Mapping[str, Any], files: Mapping[str, bytes] | None = None) -> Answer:
        """Give one command and its files; take the answer. Raises NodeError."""


OpenVault = Callable[[], AbstractContextManager[Vault]]


class VaultKeeper:
    """Keeps one vault open, and opens it again when it has died.

    Args:
        open_vault: starts a confined vault.
    """

    def __init__(self, open_vault: OpenVault) -> None:
        self._open_vault = open_vault
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vault")
        self._opened: AbstractContextManager[Vault] | None = None
        self._vault: Vault | None = None

    def call(self, command: Mapping[str, Any], files: Mapping[str, bytes] | None = None) -> Answer:
        """Give a command to the vault.

        Raises:
            NodeError: it is refused, or the vault cannot be opened or has died.
        """
        return self._thread.submit(self._call, dict(command), files).result()

    def ask(self, name: str, /, **fields: Any) -> dict[str, Any]:
        """Give a command without files, and take the values of its answer."""
        return self.call({"command": name, **fields})[0]

    def close(self) -> None:
        """End the vault and the thread."""
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    def _call(self, command: dict[str, Any], files: Mapping[str, bytes] | None) -> Answer:
        try:
            return self._open().call(command, files)
        except SessionError as err:
            self._close()
            if err.code != _DIED or command.get("command") not in READING:
                raise
        return self._open().call(command, files)

    def _open(self) -> Vault:
        if self._vault is None:
            self._opened = self._open_vault()
            self._vault = self._opened.__enter__()
        return self._vault

    def _close(self) -> None:
        opened, self._opened, self._vault = self._opened, None, None
        if opened is not None:
            with suppress(NodeError, OSError):
                opened.__exit__(None, None, None)
