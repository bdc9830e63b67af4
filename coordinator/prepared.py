"""Statements that run for every report: composed once for each kind of database, run by the driver.

Composing a statement costs more than running it, so these few go past SQLAlchemy. They are still written
in its language, once, and mean the same in SQLite and in PostgreSQL.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Protocol, cast

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import psycopg

POSTGRESQL = "postgresql"


class Rows(Protocol):
    """What a driver gives for a statement that was run."""

    def fetchone(self) -> Any:
        """Give the next row as a tuple, or None."""


class Driver(Protocol):
    """A driver's connection, as far as these statements use it."""

    def execute(self, sql: str, values: tuple[object, ...] = (), /) -> Rows:
        """Run one statement."""


def driver_of(connection: Connection) -> Driver:
    """Give the driver's connection."""
    return cast(Driver, connection.connection.driver_connection)


class Prepared:
    """One statement. Its values come in the order in which its parameters stand."""

    def __init__(self, statement: sa.Select[Any] | sa.Insert, on_postgresql: sa.Insert | None = None) -> None:
        """Take a select, or the insert of a whole row with the columns in the table's order.

        Args:
            statement: for every kind of database.
            on_postgresql: instead, where the two say it differently.
        """
        self._statement = statement
        self._other = statement if on_postgresql is None else on_postgresql

    def run(self, connection: Connection, *values: object) -> Rows:
        """Run it in the transaction of a connection that ``Store`` gave."""
        is_postgresql = connection.dialect.name == POSTGRESQL
        return driver_of(connection).execute(self._postgresql if is_postgresql else self._sqlite, values)

    @cached_property
    def _sqlite(self) -> str:
        return str(self._statement.compile(dialect=sqlite.dialect()))

    @cached_property
    def _postgresql(self) -> str:
        dialect = psycopg.dialect(paramstyle="format")  # type: ignore[no-untyped-call]
        return str(self._other.compile(dialect=dialect))


def insert_row(table: sa.Table) -> Prepared:
    """Prepare the insert of a whole row."""
    return Prepared(sa.insert(table))


def insert_row_once(table: sa.Table) -> Prepared:
    """Prepare the insert of a whole row that does nothing if the key is there."""
    return Prepared(
        sqlite.insert(table).on_conflict_do_nothing(), postgresql.insert(table).on_conflict_do_nothing()
    )
