"""The database: whole commits or none, version checked, hook around every commit, deletion for good."""

import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from coordinator import schema
from coordinator.errors import SchemaVersionError, StoreError
from coordinator.revisions import stamp
from coordinator.store import Store, driver_of, insert_once, read_meta, upsert, write_meta


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Store(tmp_path / "c.db", create=True).close()
    return tmp_path / "c.db"


def test_an_exception_rolls_everything_back(path: Path) -> None:
    store = Store(path)

    def fail() -> None:
        with store.writing("x") as connection:
            write_meta(connection, "a", "1")
            raise KeyError("stop")

    with pytest.raises(KeyError):
        fail()
    with store.reading() as connection:
        assert read_meta(connection, "a") is None
    store.close()


def test_the_hook_stands_before_and_after_the_commit(path: Path) -> None:
    steps: list[str] = []
    reader = sqlite3.connect(path)

    def hook(step: str) -> None:
        rows = reader.execute("SELECT count(*) FROM meta WHERE key = 'a'").fetchone()[0]
        steps.append(f"{step}: {rows}")

    store = Store(path, hook)
    with store.writing("put") as connection:
        write_meta(connection, "a", "1")
    assert steps == ["before put: 0", "after put: 1"]
    store.close()
    reader.close()


def test_a_commit_is_flushed(path: Path) -> None:
    store = Store(path)
    with store.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA secure_delete").scalar() == 1
    store.close()


def test_a_reader_sees_one_moment_by_the_driver_too(path: Path) -> None:
    store, other = Store(path), Store(path)
    count = "SELECT count(*) FROM meta"
    with store.reading() as connection:
        before = driver_of(connection).execute(count).fetchone()
        with other.writing("put") as writer:
            write_meta(writer, "a", "1")
        assert driver_of(connection).execute(count).fetchone() == before
    with store.reading() as connection:
        assert driver_of(connection).execute(count).fetchone() != before
    store.close()
    other.close()


def test_deleted_rows_are_nowhere_on_disk(path: Path) -> None:
    secret = b"a sealed box that must be gone" * 40
    store = Store(path)
    with store.writing("put") as connection:
        row = {"round": b"r" * 32, "position": 1, "boxes": secret}
        connection.execute(sa.insert(schema.boxes).values(**row))
    with store.writing("delete") as connection:
        connection.execute(sa.delete(schema.boxes))
    store.empty_wal()
    found = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert secret[:30] not in found
    store.close()


def test_two_writers_wait_for_each_other(path: Path) -> None:
    stores = [Store(path), Store(path)]

    def add(store: Store) -> None:
        for _ in range(20):
            with store.writing("add") as connection:
                value = int(read_meta(connection, "n") or "0")
                write_meta(connection, "n", str(value + 1))

    threads = [threading.Thread(target=add, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with stores[0].reading() as connection:
        assert read_meta(connection, "n") == "40"
    for store in stores:
        store.close()


def test_insert_once_keeps_the_first_and_upsert_the_last(path: Path) -> None:
    store = Store(path)
    key = {"size": 1, "auditor": "a1"}
    with store.writing("x") as connection:
        assert insert_once(connection, schema.cosignatures, key | {"time_s": 1, "line": "one"})
        assert not insert_once(connection, schema.cosignatures, key | {"time_s": 2, "line": "two"})
        line = sa.select(schema.cosignatures.c.line)
        assert connection.execute(line).scalar() == "one"
        upsert(connection, schema.cosignatures, key, {"time_s": 3, "line": "three"})
        assert connection.execute(line).scalar() == "three"
    store.close()


def test_another_schema_version_is_refused(path: Path) -> None:
    store = Store(path)
    with store.writing("x") as connection:
        stamp(connection, "999")
    store.close()
    with pytest.raises(SchemaVersionError, match="999"):
        Store(path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "c.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match="not a coordinator's database"):
        Store(tmp_path / "c.db")


def test_an_empty_database_is_refused(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "c.db").close()
    (tmp_path / "c.db").touch()
    with pytest.raises(StoreError):
        Store(tmp_path / "c.db")


@pytest.mark.parametrize("create", [True, False])
def test_create_and_open_are_not_confused(path: Path, create: bool) -> None:
    target = path if create else path.with_name("missing.db")
    with pytest.raises(StoreError):
        Store(target, create=create)


def test_a_write_by_either_way_of_running_statements_is_one(path: Path) -> None:
    store = Store(path)

    def write(name: str, failure: Exception | None) -> None:
        with store.writing("x") as connection:
            driver_of(connection).execute("INSERT INTO meta VALUES (?, 'driver')", (f"{name} 1",))
            write_meta(connection, f"{name} 2", "composed")
            if failure is not None:
                raise failure

    def write_by_driver(name: str, failure: Exception) -> None:
        with store.writing("x") as connection:
            driver_of(connection).execute("INSERT INTO meta VALUES (?, 'driver')", (name,))
            raise failure

    with pytest.raises(KeyError):
        write("a", KeyError("stop"))
    with pytest.raises(KeyError):
        write_by_driver("c", KeyError("stop"))
    write("b", None)
    other = sqlite3.connect(path)
    names = [row[0] for row in other.execute("SELECT key FROM meta WHERE key != 'schema_version'")]
    assert names == ["b 1", "b 2"]
    other.close()
    store.close()


def test_writers_of_one_process_wait_for_each_other(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coordinator.backend_sqlite.BUSY_TIMEOUT_S", 0.01)
    store = Store(path)
    with store.writing("first") as connection:
        write_meta(connection, "a", "1")
        with pytest.raises(StoreError, match="locked"), store.writing("second"):
            pass
    with store.reading() as connection:
        assert read_meta(connection, "a") == "1"
    store.close()


def test_an_interrupt_within_a_write_stays_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLAlchemy closes the connection then; nothing is written, and the next write has another one."""
    store = Store(tmp_path / "coordinator.db", create=True)
    dialect = store.backend.engine.dialect
    note = sa.insert(schema.meta).values(key="note", value="x")

    def interrupted(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(dialect, "do_execute", interrupted)
        with pytest.raises(KeyboardInterrupt), store.writing("note") as connection:
            connection.execute(note)
    with store.writing("note") as connection:
        assert connection.execute(note).rowcount == 1
    store.close()
