"""The record file: durable, private, and clear about what is wrong with it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from node.vault.errors import DamagedStoreError, StoreError, WrongKeyError
from node.vault.store import VaultStore

KEY = bytes(range(32))
PAGE_BYTES = 4096


class Crash(BaseException):
    """Stands for the process being killed at this point."""


def fill(path: Path) -> None:
    store = VaultStore(path, KEY)
    with store.transaction("fill"):
        for number in range(40):
            store.put_setting(f"row-{number}", bytes([number]) * 3000)
    store.close()


def read_everything(path: Path) -> None:
    store = VaultStore(path, KEY)
    try:
        for number in range(40):
            store.setting(f"row-{number}")
        store.query("PRAGMA integrity_check")
    finally:
        store.close()


def test_committed_values_are_there_after_reopening(tmp_path: Path) -> None:
    fill(tmp_path / "vault.db")
    store = VaultStore(tmp_path / "vault.db", KEY)
    assert store.setting("row-7") == bytes([7]) * 3000
    assert store.setting("unknown") is None
    store.close()


def test_the_file_is_private_and_its_content_is_not_readable(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    store = VaultStore(path, KEY)
    with store.transaction("write"):
        store.put_setting("canary", b"G510502200901011234" * 200)
    files = sorted(tmp_path.iterdir())
    assert {file.name for file in files} >= {"vault.db", "vault.db-wal"}
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)
    assert all(b"G5105022009" not in file.read_bytes() for file in files)
    store.close()
    assert b"G5105022009" not in path.read_bytes()


def test_write_ahead_log_with_full_synchronisation(tmp_path: Path) -> None:
    store = VaultStore(tmp_path / "vault.db", KEY)
    assert store.query("PRAGMA journal_mode")[0][0] == "wal"
    assert store.query("PRAGMA synchronous")[0][0] == 2
    assert store.query("PRAGMA temp_store")[0][0] == 2
    assert store.query("PRAGMA secure_delete")[0][0] == 1
    store.close()


def test_another_key_is_refused_and_nothing_is_printed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fill(tmp_path / "vault.db")
    before = (tmp_path / "vault.db").read_bytes()
    with pytest.raises(WrongKeyError) as caught:
        VaultStore(tmp_path / "vault.db", bytes(32))
    assert caught.value.code == "wrong-key"
    assert KEY.hex() not in str(caught.value)
    assert (tmp_path / "vault.db").read_bytes() == before
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == ""


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_key_of_another_length_is_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(WrongKeyError):
        VaultStore(tmp_path / "vault.db", bytes(size))


@pytest.mark.parametrize("page", [1, 2, 9, 20])
def test_one_flipped_bit_names_its_page_and_is_not_taken_for_a_wrong_key(tmp_path: Path, page: int) -> None:
    path = tmp_path / "vault.db"
    fill(path)
    data = bytearray(path.read_bytes())
    data[(page - 1) * PAGE_BYTES + 200] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedStoreError) as caught:
        read_everything(path)
    assert f"page {page}" in str(caught.value)
    assert path.read_bytes() == bytes(data)


def _cut(data: bytearray, size: int) -> bytearray:
    return data[:size]


def _zeroes(data: bytearray, start: int, size: int) -> bytearray:
    return data[:start] + bytes(size) + data[start + size :]


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda data: _zeroes(data, 8 * PAGE_BYTES + 2048, 2048), "page 9)"),
        (lambda data: _zeroes(data, 8 * PAGE_BYTES, PAGE_BYTES), "page 9)"),
        (lambda data: _zeroes(data, PAGE_BYTES - 80, 16), "page 1)"),
        (lambda data: _zeroes(data, 6 * PAGE_BYTES - 64, 64), "page 6)"),
        (lambda data: _cut(data, len(data) - 1000), "has an invalid size of 3096 bytes"),
        (lambda data: _cut(data, len(data) // 2 + 100), "has an invalid size of 100 bytes"),
        (lambda data: _cut(data, 100), "page 1 has an invalid size"),
        (lambda data: _cut(data, len(data) - PAGE_BYTES), "structure"),
        (
            lambda data: (
                data[: 8 * PAGE_BYTES]
                + data[9 * PAGE_BYTES : 10 * PAGE_BYTES]
                + data[8 * PAGE_BYTES : 9 * PAGE_BYTES]
                + data[10 * PAGE_BYTES :]
            ),
            "page 9; HMAC verification failed for page 10",
        ),
    ],
    ids=["torn", "lost", "nonce", "tag", "short", "half", "100-bytes", "a-page-short", "swapped"],
)
def test_torn_pages_are_named_with_the_untouched_file_and_what_to_do(
    tmp_path: Path, spoil: Callable[[bytearray], bytearray], named: str
) -> None:
    path = tmp_path / "vault.db"
    fill(path)
    data = bytes(spoil(bytearray(path.read_bytes())))
    path.write_bytes(data)
    with pytest.raises(DamagedStoreError) as caught:
        read_everything(path)
    assert named in str(caught.value)
    assert "vault.db" in str(caught.value)
    assert "restore the newest backup" in caught.value.advice
    assert path.read_bytes() == data
    assert [file.name for file in tmp_path.iterdir()] == ["vault.db"]


def test_a_flipped_bit_in_the_salt_looks_like_another_key_and_the_advice_covers_both(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    fill(path)
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)
    with pytest.raises(WrongKeyError) as caught:
        VaultStore(path, KEY)
    assert "restore a backup" in caught.value.advice
    assert path.read_bytes() == bytes(data)


@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_flipped_bit_in_the_write_ahead_log_gives_one_committed_state_never_a_mixture(
    tmp_path: Path, part: float
) -> None:
    """A killed process leaves commits there; a spoilt one ends it, and all before it holds whole."""
    path, copy = tmp_path / "vault.db", tmp_path / "copy"
    copy.mkdir()
    store = VaultStore(path, KEY)
    for number in range(5):
        with store.transaction("write"):
            store.put_setting("a", bytes([number]) * 3000)
            store.put_setting("b", bytes([number]) * 3000)
    for name in ("vault.db", "vault.db-wal"):  # as it is on the disk after a kill
        (copy / name).write_bytes((tmp_path / name).read_bytes())
    store.close()
    wal = bytearray((copy / "vault.db-wal").read_bytes())
    wal[int(len(wal) * part)] ^= 1
    (copy / "vault.db-wal").write_bytes(wal)
    again = VaultStore(copy / "vault.db", KEY)
    assert again.setting("a") == again.setting("b")
    assert again.damaged_pages() == ()
    again.close()


def test_a_copy_is_whole_private_and_of_this_moment(tmp_path: Path) -> None:
    fill(tmp_path / "vault.db")
    store = VaultStore(tmp_path / "vault.db", KEY)
    store.copy_into(tmp_path / "copy.db")
    with store.transaction("later"):
        store.put_setting("row-7", b"later")
    copy = VaultStore(tmp_path / "copy.db", KEY)
    assert copy.setting("row-7") == bytes([7]) * 3000
    assert copy.damaged_pages() == ()
    assert (tmp_path / "copy.db").stat().st_mode & 0o077 == 0
    with pytest.raises(StoreError):
        store.copy_into(tmp_path / "copy.db")
    assert copy.setting("row-8") == bytes([8]) * 3000
    copy.close()
    store.close()


def test_no_copy_is_made_of_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    fill(path)
    data = bytearray(path.read_bytes())
    data[-2000] ^= 1
    path.write_bytes(data)
    store = VaultStore(path, KEY)
    with pytest.raises(DamagedStoreError):
        store.copy_into(tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()
    store.close()


def test_a_torn_last_page_is_named(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    fill(path)
    path.write_bytes(path.read_bytes()[:-1000])
    store = VaultStore(path, KEY)
    assert store.damaged_pages() != ()
    store.close()


def test_a_sound_file_has_no_damaged_pages(tmp_path: Path) -> None:
    fill(tmp_path / "vault.db")
    store = VaultStore(tmp_path / "vault.db", KEY)
    assert store.damaged_pages() == ()
    store.close()


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    store = VaultStore(tmp_path / "vault.db", KEY)
    with store.transaction("version"):
        store.execute("PRAGMA user_version = 99")
    store.close()
    with pytest.raises(StoreError, match="store-version"):
        VaultStore(tmp_path / "vault.db", KEY)


def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be created"):
        VaultStore(tmp_path / "nowhere" / "vault.db", KEY)


def test_the_hook_is_called_around_each_commit(tmp_path: Path) -> None:
    steps: list[str] = []
    store = VaultStore(tmp_path / "vault.db", KEY, durable=steps.append)
    with store.transaction("one"):
        store.put_setting("a", b"1")
    assert steps == ["before create store", "after create store", "before one", "after one"]
    store.close()


@pytest.mark.parametrize(("point", "expected"), [("before write", None), ("after write", b"new")])
def test_a_crash_around_a_commit_leaves_all_or_nothing(
    tmp_path: Path, point: str, expected: bytes | None
) -> None:
    def crash(step: str) -> None:
        if step == point:
            raise Crash

    store = VaultStore(tmp_path / "vault.db", KEY, durable=crash)
    with pytest.raises(Crash), store.transaction("write"):
        store.put_setting("x", b"new")
    store.close()
    again = VaultStore(tmp_path / "vault.db", KEY)
    assert again.setting("x") == expected
    again.close()


def _write_half(store: VaultStore) -> None:
    store.put_setting("x", b"half")
    store.execute("no such statement")


def test_an_exception_rolls_back_and_the_store_stays_usable(tmp_path: Path) -> None:
    store = VaultStore(tmp_path / "vault.db", KEY)
    with pytest.raises(StoreError), store.transaction("write"):
        _write_half(store)
    assert store.setting("x") is None
    with store.transaction("write"):
        store.put_setting("x", b"whole")
    assert store.setting("x") == b"whole"
    store.close()


def test_a_change_outside_a_transaction_is_refused(tmp_path: Path) -> None:
    store = VaultStore(tmp_path / "vault.db", KEY)
    with pytest.raises(StoreError, match="outside a transaction"):
        store.put_setting("x", b"1")
    with pytest.raises(StoreError, match="outside a transaction"):
        store.execute_many("DELETE FROM setting WHERE name = ?", [("x",)])
    store.close()


def test_a_transaction_inside_another_is_refused(tmp_path: Path) -> None:
    store = VaultStore(tmp_path / "vault.db", KEY)
    with pytest.raises(StoreError, match="outer"), store.transaction("inner"), store.transaction("outer"):
        pass
    store.close()


def test_two_processes_take_turns(tmp_path: Path) -> None:
    path = tmp_path / "vault.db"
    VaultStore(path, KEY).close()

    def add_one(store: VaultStore) -> None:
        with store.transaction("add"):
            value = int(store.setting("sum") or b"0")
            store.put_setting("sum", str(value + 1).encode())

    def work() -> None:
        store = VaultStore(path, KEY)
        for _ in range(20):
            add_one(store)
        store.close()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = VaultStore(path, KEY)
    assert store.setting("sum") == b"60"
    store.close()


@pytest.mark.parametrize("table", ["charge", "report", "journal"])
def test_what_happened_cannot_be_deleted(tmp_path: Path, table: str) -> None:
    store = VaultStore(tmp_path / "vault.db", KEY)
    rows = {
        "charge": ("INSERT INTO charge VALUES (?, '2025-2026', '1/5', 'now')", (b"r",)),
        "report": ("INSERT INTO report VALUES (?, 0, 1, x'', x'', x'', 0, 'now', 'Li')", (b"r",)),
        "journal": ("INSERT INTO journal VALUES (0, ?, x'', x'', x'')", (b"p",)),
    }
    with store.transaction("fill"):
        store.execute(
            "INSERT INTO record_set VALUES (1, '2025-2026', 'A', '2025-09-01', 1, 0, x'', x'', 'now')"
        )
        store.execute(*rows[table])
    with pytest.raises(StoreError), store.transaction("delete"):
        store.execute(f"DELETE FROM {table}")
    assert len(store.query(f"SELECT * FROM {table}")) == 1
    store.close()
