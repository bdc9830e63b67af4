"""A record file of an older format: brought up whole, with the older file kept, whatever happens."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2 as sqlcipher

from node.vault import migrations
from node.vault import store as store_module
from node.vault.errors import StoreError
from node.vault.migrations import copy_name, statements_from
from node.vault.schema import FORMAT_1, SCHEMA_VERSION
from node.vault.store import VaultStore

KEY = bytes(range(32))


class Crash(BaseException):
    """Stands for the process being killed at this point."""


def connect(path: Path) -> sqlcipher.Connection:
    connection = sqlcipher.connect(str(path), isolation_level=None)
    connection.execute(f"PRAGMA key = \"x'{KEY.hex()}'\"")
    return connection


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file of format 1 with a charge and a journal row, part of it in the write-ahead log."""
    path = tmp_path / "vault.db"
    path.touch(0o600)
    connection = connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    for statement in FORMAT_1:
        connection.execute(statement)
    connection.execute("PRAGMA user_version = 1")
    connection.execute("INSERT INTO charge VALUES (x'01', '2026-2027', '1/5', '2026-09-08T00:00:00Z')")
    connection.execute("INSERT INTO journal VALUES (0, x'00', x'01', x'02', x'03')")
    connection.close()
    return path


def tables(path: Path) -> set[str]:
    connection = connect(path)
    names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    return names


def charges(path: Path) -> list[tuple[object, ...]]:
    connection = connect(path)
    rows = [tuple(row) for row in connection.execute("SELECT school_year, rho FROM charge")]
    connection.close()
    return rows


def test_a_new_file_and_a_migrated_one_have_the_same_tables(old: Path, tmp_path: Path) -> None:
    VaultStore(old, KEY).close()
    VaultStore(tmp_path / "new.db", KEY).close()
    assert tables(old) == tables(tmp_path / "new.db")
    assert charges(old) == [("2026-2027", "1/5")]


def test_the_older_file_is_kept_whole_and_private(old: Path) -> None:
    VaultStore(old, KEY).close()
    kept = copy_name(old, 1)
    assert "role_key" not in tables(kept)
    assert charges(kept) == [("2026-2027", "1/5")]
    assert kept.stat().st_mode & 0o077 == 0


def test_nothing_is_copied_for_a_file_of_this_format(tmp_path: Path) -> None:
    for _again in range(2):
        VaultStore(tmp_path / "vault.db", KEY).close()
    assert not list(tmp_path.glob("*.format-*"))


@pytest.mark.parametrize("at", ["before migrate store", "after migrate store"])
def test_a_crash_leaves_the_old_or_the_new_format(old: Path, at: str) -> None:
    def durable(step: str) -> None:
        if step == at:
            raise Crash(step)

    with pytest.raises(Crash):
        VaultStore(old, KEY, durable=durable)
    assert ("role_key" in tables(old)) == at.startswith("after")
    VaultStore(old, KEY).close()
    assert "role_key" in tables(old)
    assert charges(old) == charges(copy_name(old, 1)) == [("2026-2027", "1/5")]


def test_without_room_for_the_copy_nothing_is_changed(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path, _version: int) -> Path:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store_module, "keep_copy", full)
    with pytest.raises(StoreError) as caught:
        VaultStore(old, KEY)
    assert caught.value.code == "store-full"
    assert "role_key" not in tables(old)


def test_half_a_copy_is_not_left(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(migrations.os, "fsync", refuse)
    with pytest.raises(OSError, match="Input/output"):
        migrations.keep_copy(old, 1)
    assert sorted(path.name for path in old.parent.iterdir() if "format" in path.name) == []


def test_every_format_is_reached_from_every_one() -> None:
    assert statements_from(SCHEMA_VERSION) == ()
    assert statements_from(0) == (*FORMAT_1, *statements_from(1))
