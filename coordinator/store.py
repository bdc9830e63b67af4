"""The coordinator's database: SQLite in its folder, or PostgreSQL that several coordinators share.

Rules:
1. A write is one transaction, alone among all processes; it commits whole or not at all.
2. A commit that returned is on disk.
3. A reader sees one moment.
4. The schema's revision is checked when the database is opened (``coordinator.migrations``): an older SQLite
   file is brought up to date and a copy of it kept, an older PostgreSQL database only by command, and a
   newer one is refused.
5. The ``durable`` hook is called before and after every commit that changes a row, so that
   tests can stop there.

How each kind of database does that: ``coordinator.backend_sqlite``, ``coordinator.backend_postgres``.
Report vectors are rows, not files: then a report, its boxes and its log entry are one commit
and one fsync, and there is nothing to sweep up after a crash.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from coordinator import schema
from coordinator.backend import Backend
from coordinator.backend_postgres import PostgresBackend
from coordinator.backend_sqlite import SqliteBackend
from coordinator.durable import DurableHook, ignore_step
from coordinator.errors import StoreError
from coordinator.prepared import POSTGRESQL, driver_of
from coordinator.revisions import check_revision, stamp
from plan.errors import phrase

__all__ = ["FILE_NAME", "Place", "Store", "driver_of", "insert_once", "read_meta", "upsert", "write_meta"]

FILE_NAME = "coordinator.db"
Place = Path | sa.URL
"""Where a database is: a SQLite file, or PostgreSQL's address."""


class Store:
    """One open database. Safe to share between threads; each call takes its own connection."""

    def __init__(
        self, place: Place, durable: DurableHook = ignore_step, *, create: bool = False, check: bool = True
    ) -> None:
        """Open the database, or create it.

        Args:
            place: a file, or an address with the driver ``postgresql+psycopg``.
            durable: called before and after every commit.
            create: make the tables; there must be none.
            check: compare the schema's revision; commands that mend it do so themselves.

        Raises:
            StoreError: it is missing (or already there, with `create`), or is no database.
            StoreAwayError: PostgreSQL cannot be reached.
            SchemaVersionError: it was written by another version.
        """
        if isinstance(place, Path) and create == place.exists():
            text = phrase("%(path)s: exists already", path=place)
            raise StoreError(text if create else phrase("%(path)s: no such database", path=place))
        self._durable = durable
        self.place = place
        self.backend: Backend = SqliteBackend(place) if isinstance(place, Path) else PostgresBackend(place)
        try:
            if create:
                self.create()
            if check:
                check_revision(self.backend, durable)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close every connection."""
        self.backend.close()

    @property
    def is_shared(self) -> bool:
        """Whether other machines can work on it."""
        return self.backend.engine.dialect.name == POSTGRESQL

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give one consistent view of the database."""
        with self.backend.reading() as connection:
            yield connection

    @contextmanager
    def looking(self) -> Iterator[Connection]:
        """Give a connection for one prepared statement; for what every call asks, as it costs a tenth."""
        with self.backend.looking() as connection:
            yield connection

    @contextmanager
    def writing(self, step: str) -> Iterator[Connection]:
        """Run one write transaction; it commits when the block ends without an exception.

        Args:
            step: a name for the durable hook, e.g. ``append report``.
        """
        is_changed = False
        with self.backend.writing() as connection:
            if self._durable is ignore_step:
                yield connection
                return
            before = self.backend.change_mark(connection)
            yield connection
            is_changed = self.backend.change_mark(connection) != before
            if is_changed:
                self._durable(f"before {step}")
        if is_changed:
            self._durable(f"after {step}")

    def empty_wal(self) -> None:
        """Take deleted rows off the disk, as far as the database can."""
        self.backend.forget_deleted()

    def create(self, *note: str) -> None:
        """Make the tables in an empty database.

        Args:
            note: a key and a value to note in it.

        Raises:
            StoreError: they are there.
        """
        with self.writing("create database") as connection:
            if sa.inspect(connection).has_table(schema.meta.name):
                raise StoreError(phrase("%(path)s: exists already", path=self.backend.name))
            schema.metadata.create_all(connection)
            stamp(connection, schema.REVISION)
            write_meta(connection, "schema_version", str(schema.SCHEMA_VERSION))
            if note:
                write_meta(connection, note[0], note[1])


def read_meta(connection: Connection, key: str) -> str | None:
    """Read one named value."""
    value = connection.execute(sa.select(schema.meta.c.value).where(schema.meta.c.key == key)).scalar()
    return None if value is None else str(value)


def write_meta(connection: Connection, key: str, value: str) -> None:
    """Set one named value."""
    upsert(connection, schema.meta, {"key": key}, {"value": value})


def _insert(connection: Connection, table: sa.Table) -> sqlite.Insert | postgresql.Insert:
    is_postgresql = connection.dialect.name == POSTGRESQL
    return postgresql.insert(table) if is_postgresql else sqlite.insert(table)


def upsert(connection: Connection, table: sa.Table, key: dict[str, Any], values: dict[str, Any]) -> None:
    """Insert a row, or set `values` in the row that has this key."""
    statement = _insert(connection, table).values(**key, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))


def insert_once(connection: Connection, table: sa.Table, row: dict[str, Any]) -> bool:
    """Insert a row unless its key is there; return whether it was inserted."""
    first = next(iter(table.primary_key.columns))
    statement = _insert(connection, table).values(**row).on_conflict_do_nothing().returning(first)
    return connection.execute(statement).first() is not None
