"""The journal: grows only, hides its content, and shows any change."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node.vault.errors import JournalError, StoreError
from node.vault.journal import Journal, JournalRecord
from node.vault.store import VaultStore

KEY = bytes(range(32))
NOW = datetime(2025, 11, 1, 8, 0, tzinfo=UTC)


def record(number: int) -> JournalRecord:
    return JournalRecord(NOW, "李老师", "report", f"round-{number}", "ok", {"counts": [number, 2, 3]})


@pytest.fixture
def store(tmp_path: Path) -> Iterator[VaultStore]:
    opened = VaultStore(tmp_path / "vault.db", bytes(32))
    yield opened
    opened.close()


@pytest.fixture
def journal(store: VaultStore) -> Journal:
    return Journal(store, KEY, secrets.token_bytes)


def append(store: VaultStore, journal: Journal, count: int) -> None:
    with store.transaction("append"):
        for number in range(count):
            journal.append(record(number))


def tamper(store: VaultStore, statement: str) -> None:
    """Change a row behind the journal's back, as somebody with the database key could."""
    with store.transaction("tamper"):
        store.execute("DROP TRIGGER journal_no_update")
        store.execute("DROP TRIGGER journal_no_delete")
        store.execute(statement)


def test_records_come_back_in_order(store: VaultStore, journal: Journal) -> None:
    append(store, journal, 5)
    assert list(journal.verify()) == [record(number) for number in range(5)]
    assert journal.read(3) == record(3)


def test_an_empty_journal_is_sound(journal: Journal) -> None:
    assert list(journal.verify()) == []


def test_equal_records_are_sealed_differently(store: VaultStore, journal: Journal) -> None:
    with store.transaction("append"):
        journal.append(record(1))
        journal.append(record(1))
    rows = store.query("SELECT nonce, sealed FROM journal")
    assert len({bytes(row[0]) for row in rows}) == 2
    assert len({bytes(row[1]) for row in rows}) == 2
    assert all(b"counts" not in bytes(row[1]) for row in rows)


def test_an_append_needs_the_callers_transaction(journal: Journal) -> None:
    with pytest.raises(StoreError, match="outside a transaction"):
        journal.append(record(1))


def _append_and_fail(store: VaultStore, journal: Journal) -> None:
    journal.append(record(1))
    store.execute("no such statement")


def test_a_rolled_back_append_is_not_there(store: VaultStore, journal: Journal) -> None:
    append(store, journal, 1)
    with pytest.raises(StoreError), store.transaction("append"):
        _append_and_fail(store, journal)
    append(store, journal, 1)
    assert len(list(journal.verify())) == 2


@pytest.mark.parametrize("statement", ["UPDATE journal SET sealed = x''", "DELETE FROM journal"])
def test_the_journal_can_only_grow(store: VaultStore, journal: Journal, statement: str) -> None:
    append(store, journal, 2)
    with pytest.raises(StoreError), store.transaction("change"):
        store.execute(statement)
    assert len(list(journal.verify())) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM journal WHERE seq = 0",
        "DELETE FROM journal WHERE seq = 1",
        "UPDATE journal SET seq = 9 WHERE seq = 2",
        "UPDATE journal SET sealed = zeroblob(length(sealed)) WHERE seq = 1",
        "UPDATE journal SET nonce = zeroblob(24) WHERE seq = 1",
        "UPDATE journal SET previous = zeroblob(32) WHERE seq = 2",
        "UPDATE journal SET digest = zeroblob(32) WHERE seq = 2",
        "UPDATE journal SET sealed = (SELECT sealed FROM journal WHERE seq = 0),"
        " nonce = (SELECT nonce FROM journal WHERE seq = 0) WHERE seq = 1",
    ],
)
def test_every_change_is_noticed(store: VaultStore, journal: Journal, statement: str) -> None:
    append(store, journal, 3)
    tamper(store, statement)
    with pytest.raises(JournalError):
        list(journal.verify())


def test_another_key_opens_nothing(store: VaultStore, journal: Journal) -> None:
    append(store, journal, 1)
    with pytest.raises(JournalError):
        Journal(store, bytes(32), secrets.token_bytes).read(0)


def test_a_missing_record_is_named(journal: Journal) -> None:
    with pytest.raises(JournalError, match="no record 4"):
        journal.read(4)


def test_a_short_key_and_a_short_nonce_are_refused(store: VaultStore) -> None:
    with pytest.raises(JournalError):
        Journal(store, bytes(16), secrets.token_bytes)
    with pytest.raises(JournalError), store.transaction("append"):
        Journal(store, KEY, lambda _: b"").append(record(1))


def test_an_error_and_a_repr_hold_no_content(store: VaultStore, journal: Journal) -> None:
    append(store, journal, 1)
    assert "counts" not in repr(record(1))
    with pytest.raises(JournalError) as caught:
        Journal(store, bytes(32), secrets.token_bytes).read(0)
    assert "round-0" not in str(caught.value)
