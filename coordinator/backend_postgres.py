"""The coordinator's database in PostgreSQL, for several coordinators at once.

1. A write takes one advisory lock of the database first, so writers of all processes wait for each other
   and each sees all that was committed before; the lock ends with its transaction, also if its process dies.
2. ``synchronous_commit`` is switched on where the server has it off: a commit that returned survives a
   power cut of the server. A server that does more (``remote_apply``) is left as it is.
3. A reader's view is one snapshot (``REPEATABLE READ``, read only).
4. A server that is away is waited for some seconds before a transaction begins, never within one: whether a
   commit that was cut off has happened is for the caller to see, by asking again.
5. A process that stops for long within a transaction loses it (``idle_in_transaction_session_timeout``).

The password is never in coordinator.toml: it comes from ``keys/database.password``, or from where every
PostgreSQL program takes it (``PGPASSWORD``, ``~/.pgpass``, a certificate, the socket's owner).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from coordinator.errors import ExtraMissingError, StoreAwayError, StoreError
from coordinator.prepared import driver_of
from plan.errors import phrase

DRIVER_NAME: Final = "postgresql+psycopg"
WRITE_LOCK: Final = 0x46534352  # "FSCR"
AWAY_S = 15.0  # a restart of the server takes about two
LOCK_TIMEOUT_MS: Final = 30_000
IDLE_TIMEOUT_MS: Final = 60_000
CONNECT_TIMEOUT_S: Final = 5
_SETTINGS: Final = (
    f"-c lock_timeout={LOCK_TIMEOUT_MS} -c idle_in_transaction_session_timeout={IDLE_TIMEOUT_MS}"
)
_AWAY_STATES: Final = ("08", "57P")  # connection exceptions; shutdown, crash, starting up
_LOGGER = logging.getLogger("fedscreen." + __name__)


class PostgresBackend:
    """The connections of one process to one PostgreSQL database."""

    def __init__(self, url: sa.URL) -> None:
        """Make the pool; nothing is connected yet.

        Raises:
            ExtraMissingError: the driver is not installed.
        """
        self.name = f"{url.host or url.query.get('host', 'localhost')}/{url.database or ''}"
        self._failures = _failures()
        defaults = {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "fedscreen"}
        settings = f"{_SETTINGS} {url.query.get('options', '')}"  # the administrator's count: they come last
        self.engine = sa.create_engine(
            url,
            connect_args={key: value for key, value in defaults.items() if key not in url.query}
            | {"options": settings.strip()},
            pool_pre_ping=True,
            pool_use_lifo=True,
            isolation_level="READ COMMITTED",  # a writer looks after it has the lock
            max_overflow=20,
            hide_parameters=True,
        )
        sa.event.listen(self.engine, "connect", _insist_on_durability)
        self._readers = self.engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._away_since: float | None = None

    def is_new(self) -> bool:
        """Tell whether nothing of a coordinator is in it."""
        with self.reading() as connection:
            return not sa.inspect(connection).has_table("meta")

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give one consistent view."""
        with self._transaction(self._readers, "SELECT 1") as connection:
            yield connection

    @contextmanager
    def looking(self) -> Iterator[Connection]:
        """Give a reader's connection: the server's rules for one hold for a lone statement too."""
        with self.reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Run one write transaction under the lock."""
        with self._transaction(self.engine, f"SELECT pg_advisory_xact_lock({WRITE_LOCK})") as connection:
            yield connection

    @contextmanager
    def _transaction(self, engine: sa.Engine, first: str) -> Iterator[Connection]:
        connection = self._begin(engine, first)
        try:
            yield connection
            connection.commit()
        except self._failures as err:
            _drop(connection)
            raise self._refusal(err) from err
        except BaseException:
            _roll_back(connection)
            raise
        finally:
            with suppress(*self._failures):
                connection.close()

    def _begin(self, engine: sa.Engine, first: str) -> Connection:
        """Connect and run the first statement; wait for a server that is away."""
        pause_s = 0.05
        while True:
            connection = None
            try:
                connection = engine.connect()
                connection.begin()
                driver_of(connection).execute(first)
            except self._failures as err:
                if connection is not None:
                    _drop(connection)
                refusal = self._refusal(err)
                if not isinstance(refusal, StoreAwayError) or not self._is_worth_waiting():
                    raise refusal from err
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, 1.0)
            else:
                self._away_since = None
                return connection

    def _is_worth_waiting(self) -> bool:
        """Wait only in the first seconds of an absence: later calls shall not queue up behind it."""
        if self._away_since is None:
            self._away_since = time.monotonic()
            _LOGGER.warning("database: away")
        return time.monotonic() - self._away_since < AWAY_S

    def _refusal(self, err: BaseException) -> StoreError:
        cause = getattr(err, "orig", None) or err
        state = getattr(cause, "sqlstate", None)
        lines = str(cause).strip().splitlines()
        reason = getattr(getattr(cause, "diag", None), "message_primary", None) or (
            lines[-1] if lines else ""
        )
        if state is None or state.startswith(_AWAY_STATES):
            return StoreAwayError(
                phrase(
                    "database %(name)s: cannot be reached (%(reason)s); is PostgreSQL running, and is its "
                    "address in coordinator.toml right?",
                    name=self.name,
                    reason=reason,
                )
            )
        return StoreError(phrase("database %(name)s: %(reason)s", name=self.name, reason=reason))

    def change_mark(self, connection: Connection) -> int:
        """Tell whether the transaction has got a number, as it does with its first change."""
        row = driver_of(connection).execute("SELECT pg_current_xact_id_if_assigned() IS NOT NULL").fetchone()
        return int(row[0])

    def forget_deleted(self) -> None:
        """Have deleted rows' space cleared; what the server's own WAL keeps: docs/county-storage.md."""
        with (
            suppress(*self._failures),
            self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        ):
            for table in ("boxes", "vectors", "sums"):
                connection.exec_driver_sql(f"VACUUM {table}")


def _failures() -> tuple[type[BaseException], ...]:
    try:
        import psycopg
    except ImportError as err:
        raise ExtraMissingError(
            phrase(
                "database: PostgreSQL needs the driver; run: pip install 'fedscreen[coordinator,postgres]'"
            )
        ) from err
    return (
        sa.exc.OperationalError,
        sa.exc.InterfaceError,
        sa.exc.InternalError,
        sa.exc.ProgrammingError,
        sa.exc.TimeoutError,
        psycopg.OperationalError,
        psycopg.InterfaceError,
        psycopg.InternalError,
        psycopg.ProgrammingError,
    )


def _insist_on_durability(connection: Any, _record: object) -> None:
    """Let no commit return before it is on the server's disk."""
    if connection.execute("SHOW synchronous_commit").fetchone()[0] == "off":
        connection.execute("SET synchronous_commit = on")
    connection.commit()


def _roll_back(connection: Connection) -> None:
    try:
        connection.rollback()
    except sa.exc.SQLAlchemyError:
        _drop(connection)


def _drop(connection: Connection) -> None:
    """Give a connection up that may be dead; the next call takes another one."""
    with suppress(sa.exc.SQLAlchemyError):
        connection.invalidate()
    with suppress(sa.exc.SQLAlchemyError):
        connection.close()
