"""One vault in one thread, opened anew when it has died."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from node.console.keeper import VaultKeeper
from node.errors import SessionError, VaultRefusal


class Vault:
    def __init__(self, failures: list[Exception]) -> None:
        self.failures = failures
        self.threads: set[str] = set()
        self.calls: list[str] = []

    def call(self, command: Any, files: Any = None) -> Any:
        self.threads.add(threading.current_thread().name)
        self.calls.append(command["command"])
        if self.failures:
            raise self.failures.pop(0)
        return {"done": command["command"]}, {}


class Opener:
    def __init__(self, *failures: Exception) -> None:
        self.vault = Vault(list(failures))
        self.num_opened = self.num_closed = 0

    @contextmanager
    def __call__(self) -> Iterator[Vault]:
        self.num_opened += 1
        try:
            yield self.vault
        finally:
            self.num_closed += 1


DIED = SessionError("the vault ended")


def test_all_calls_run_in_one_thread() -> None:
    opener = Opener()
    keeper = VaultKeeper(opener)
    threads = [threading.Thread(target=keeper.ask, args=("status",)) for _number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keeper.close()
    assert len(opener.vault.threads) == 1
    assert (opener.num_opened, opener.num_closed) == (1, 1)


def test_a_dead_vault_is_opened_anew_and_a_reading_command_given_again() -> None:
    opener = Opener(DIED)
    keeper = VaultKeeper(opener)
    assert keeper.ask("status") == {"done": "status"}
    assert (opener.num_opened, opener.num_closed) == (2, 1)
    keeper.close()


@pytest.mark.parametrize("name", ["import", "decide", "release", "hold", "role_add", "undo_import"])
def test_a_command_that_changes_something_is_not_given_again(name: str) -> None:
    opener = Opener(DIED)
    keeper = VaultKeeper(opener)
    with pytest.raises(SessionError):
        keeper.ask(name)
    assert opener.vault.calls == [name]
    assert keeper.ask("status") == {"done": "status"}
    assert opener.num_opened == 2
    keeper.close()


def test_a_refusal_keeps_the_vault() -> None:
    opener = Opener(VaultRefusal("no"))
    keeper = VaultKeeper(opener)
    with pytest.raises(VaultRefusal):
        keeper.ask("status")
    keeper.ask("status")
    assert opener.num_opened == 1
    keeper.close()


def test_a_vault_that_dies_twice_is_told() -> None:
    keeper = VaultKeeper(Opener(DIED, SessionError("again")))
    with pytest.raises(SessionError):
        keeper.ask("status")
    keeper.close()
