"""The coordinator's database: SQLite in WAL mode, every commit on disk before it is answered.

Rules:
1. A write is one ``BEGIN IMMEDIATE`` transaction; it commits whole or not at all.
2. ``synchronous=FULL``: a commit that returned survives a power cut.
3. ``secure_delete``: deleted boxes are overwritten, and the WAL is emptied after them.
4. The schema's version is checked when the file is opened; another one is refused.
5. The ``durable`` hook is called before and after every commit that changes a row, so that
   tests can stop there.

Report vectors are rows, not files: then a report, its boxes and its log entry are one commit
and one fsync, and there is nothing to sweep up after a crash.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import Connection, event
from sqlalchemy.dialects.sqlite import insert

from coordinator import schema
from coordinator.durable import DurableHook, ignore_step
from coordinator.errors import SchemaVersionError, StoreError
from plan.errors import phrase

FILE_NAME = "coordinator.db"
BUSY_TIMEOUT_S = 30.0
PAGE_BYTES = 32_768  # a vector of 80 KB is 3 pages instead of 20, each written twice
WAL_PAGES = 128  # 4 MiB before the WAL is copied into the database
_FAILURES = (sa.exc.OperationalError, sqlite3.OperationalError)  # the latter from `driver_of`


class Store:
    """One open database. Safe to share between threads; each call takes its own connection."""

    def __init__(self, path: Path, durable: DurableHook = ignore_step, *, create: bool = False) -> None:
        """Open the database, or create it.

        Raises:
            StoreError: it is missing (or already there, with `create`), or is no database.
            SchemaVersionError: it was written by another version.
        """
        if create == path.exists():
            text = phrase("%(path)s: exists already", path=path)
            raise StoreError(text if create else phrase("%(path)s: no such database", path=path))
        self._durable = durable
        self._engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(path)),
            connect_args={"timeout": BUSY_TIMEOUT_S},
            pool_use_lifo=True,  # a connection that did not write last has to read its pages again
        )
        event.listen(self._engine, "connect", _configure)
        event.listen(self._engine, "begin", _begin)
        self._write_lock = threading.Lock()
        self._writer: Connection | None = (
            None  # of the lock's holder; to get one a call costs more than BEGIN
        )
        if create:
            self._create()
        self._check_version(path)

    def close(self) -> None:
        """Close every connection."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give one consistent view of the database.

        The transaction begins here and not at the first statement: what `driver_of` runs would not begin one.
        """
        try:
            with self._engine.connect() as connection, connection.begin():
                yield connection
        except _FAILURES as err:
            reason = getattr(err, "orig", err)
            raise StoreError(
                phrase("database: %(reason)s; is another program holding it?", reason=reason)
            ) from err

    @contextmanager
    def writing(self, step: str) -> Iterator[Connection]:
        """Run one write transaction; it commits when the block ends without an exception.

        Args:
            step: a name for the durable hook, e.g. ``append report``.
        """
        if not self._write_lock.acquire(timeout=BUSY_TIMEOUT_S):
            raise StoreError(phrase("database: %(reason)s; is another program holding it?", reason="locked"))
        try:
            with self._transaction() as connection:
                before = _num_changes(connection)
                yield connection
                is_changed = _num_changes(connection) != before
                if is_changed:
                    self._durable(f"before {step}")
        except _FAILURES as err:
            reason = getattr(err, "orig", err)
            raise StoreError(
                phrase("database: %(reason)s; is another program holding it?", reason=reason)
            ) from err
        finally:
            self._write_lock.release()
        if is_changed:
            self._durable(f"after {step}")

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """Begin and end a write by the driver; SQLAlchemy takes part if a statement of its own runs in it."""
        if self._writer is None:
            self._writer = self._engine.connect()
        connection, driver = self._writer, driver_of(self._writer)
        try:
            driver.execute("BEGIN IMMEDIATE")
            yield connection
            driver.commit()
        except BaseException:
            driver.rollback()
            raise
        finally:
            if connection.in_transaction():
                connection.rollback()  # it is over; SQLAlchemy only has to know

    def empty_wal(self) -> None:
        """Copy the WAL into the database and cut it, so that deleted rows are nowhere on disk.

        Another process that reads at this moment only puts it off; the next call does it.
        """
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").close()

    def _create(self) -> None:
        with self.writing("create database") as connection:
            schema.metadata.create_all(connection)
            write_meta(connection, "schema_version", str(schema.SCHEMA_VERSION))

    def _check_version(self, path: Path) -> None:
        try:
            with self._engine.connect() as connection:
                found = read_meta(connection, "schema_version")
        except sa.exc.DatabaseError as err:
            self.close()
            raise StoreError(
                phrase("%(path)s: not a coordinator's database (%(reason)s)", path=path, reason=err.orig)
            ) from err
        if found != str(schema.SCHEMA_VERSION):
            self.close()
            raise SchemaVersionError(
                phrase(
                    "%(path)s: schema version %(found)s, this program writes %(schema_version)s; use "
                    "the program that wrote it",
                    path=path,
                    found=found,
                    schema_version=schema.SCHEMA_VERSION,
                )
            )


def _configure(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's begin event says BEGIN, not the driver
    cursor = connection.cursor()
    for pragma in (
        f"page_size={PAGE_BYTES}",  # of a new database; it comes before the journal mode
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
        f"wal_autocheckpoint={WAL_PAGES}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def driver_of(connection: Connection) -> sqlite3.Connection:
    """Give the driver's connection, for the few statements that run for every report."""
    return cast(sqlite3.Connection, connection.connection.driver_connection)


def _num_changes(connection: Connection) -> int:
    return driver_of(connection).total_changes


def _begin(connection: Connection) -> None:
    """Begin a reader's transaction; a writer's has begun."""
    options = connection.get_execution_options()
    if options.get("isolation_level") != "AUTOCOMMIT" and not driver_of(connection).in_transaction:
        driver_of(connection).execute("BEGIN").close()


def read_meta(connection: Connection, key: str) -> str | None:
    """Read one named value."""
    value = connection.execute(sa.select(schema.meta.c.value).where(schema.meta.c.key == key)).scalar()
    return None if value is None else str(value)


def write_meta(connection: Connection, key: str, value: str) -> None:
    """Set one named value."""
    upsert(connection, schema.meta, {"key": key}, {"value": value})


def upsert(connection: Connection, table: sa.Table, key: dict[str, Any], values: dict[str, Any]) -> None:
    """Insert a row, or set `values` in the row that has this key."""
    statement = insert(table).values(**key, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))


def insert_once(connection: Connection, table: sa.Table, row: dict[str, Any]) -> bool:
    """Insert a row unless its key is there; return whether it was inserted."""
    first = next(iter(table.primary_key.columns))
    statement = insert(table).values(**row).on_conflict_do_nothing().returning(first)
    return connection.execute(statement).first() is not None
