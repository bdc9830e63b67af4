"""The coordinator's database as one SQLite file in WAL mode.

1. A write is ``BEGIN IMMEDIATE``: writers of all processes wait for each other.
2. ``synchronous=FULL``: a commit that returned survives a power cut.
3. ``secure_delete``: deleted rows are overwritten, and `forget_deleted` empties the WAL after them.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import cast

import sqlalchemy as sa
from sqlalchemy import Connection, event

from coordinator.errors import StoreError
from plan.errors import phrase

BUSY_TIMEOUT_S = 30.0
EMPTY_TIMEOUT_MS = 1_000  # it is put off rather than waited for
PAGE_BYTES = 32_768  # a vector of 80 KB is 3 pages instead of 20, each written twice
WAL_PAGES = 128  # 4 MiB before the WAL is copied into the database
_FAILURES = (sa.exc.OperationalError, sqlite3.OperationalError)  # the latter from `Prepared`


class SqliteBackend:
    """One open SQLite file."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self.path = path
        self.engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(path)),
            connect_args={"timeout": BUSY_TIMEOUT_S},
            pool_use_lifo=True,  # a connection that did not write last has to read its pages again
            hide_parameters=True,
        )
        event.listen(self.engine, "connect", _configure)
        event.listen(self.engine, "begin", _begin)
        self._write_lock = threading.Lock()
        self._writer: Connection | None = (
            None  # the lock's holder's; getting one a call costs more than BEGIN
        )
        self._look_lock = threading.Lock()
        self._looker: Connection | None = None  # the same for looks, which end before another thread waits

    def is_new(self) -> bool:
        """Tell whether the file is missing or empty."""
        return not self.path.exists()

    def close(self) -> None:
        """Close every connection."""
        for connection in (self._writer, self._looker):
            if connection is not None:
                connection.close()
        self._writer = self._looker = None
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give one consistent view.

        The transaction begins here and not at the first statement: what `Prepared` runs would not begin one.
        """
        with _refusing(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def looking(self) -> Iterator[Connection]:
        """Give the connection of looks: a lone statement of the driver's is a transaction of its own."""
        with self._look_lock, _refusing():
            if self._looker is None:
                self._looker = self.engine.connect()
            yield self._looker

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Begin and end a write by the driver; SQLAlchemy takes part if a statement of its own runs in it."""
        if not self._write_lock.acquire(timeout=BUSY_TIMEOUT_S):
            raise _held("locked")
        try:
            with _refusing():
                yield from self._transaction()
        finally:
            self._write_lock.release()

    def _transaction(self) -> Iterator[Connection]:
        if self._writer is None:
            self._writer = self.engine.connect()
        connection, driver = self._writer, _driver_of(self._writer)
        try:
            driver.execute("BEGIN IMMEDIATE")
            yield connection
            driver.commit()
        except BaseException:
            with suppress(sqlite3.ProgrammingError):  # closed by an interrupt within SQLAlchemy: rolled back
                driver.rollback()
            raise
        finally:
            if connection.in_transaction():
                connection.rollback()  # it is over; SQLAlchemy only has to know

    def change_mark(self, connection: Connection) -> int:
        """Give the number of rows changed so far."""
        return _driver_of(connection).total_changes

    def forget_deleted(self) -> None:
        """Copy the WAL into the database and cut it.

        Another process that reads at this moment only puts it off; the next call does it.
        """
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql(f"PRAGMA busy_timeout={EMPTY_TIMEOUT_MS}").close()
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").close()
            connection.exec_driver_sql(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT_S * 1000)}").close()


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except _FAILURES as err:
        raise _held(getattr(err, "orig", err)) from err


def _held(reason: object) -> StoreError:
    return StoreError(phrase("database: %(reason)s; is another program holding it?", reason=str(reason)))


def _configure(connection: sqlite3.Connection, record: object) -> None:
    configure(connection, record)  # looked up at every connection: a measurement exchanges it


def configure(connection: sqlite3.Connection, _record: object) -> None:
    """Set a new connection up."""
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


def _driver_of(connection: Connection) -> sqlite3.Connection:
    return cast(sqlite3.Connection, connection.connection.driver_connection)


def _begin(connection: Connection) -> None:
    """Begin a reader's transaction; a writer's has begun."""
    options = connection.get_execution_options()
    if options.get("isolation_level") != "AUTOCOMMIT" and not _driver_of(connection).in_transaction:
        _driver_of(connection).execute("BEGIN").close()
