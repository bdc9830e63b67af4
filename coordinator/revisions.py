"""Which revision of the schema a database has, and what to do when it is not this program's.

1. The revision stands in ``alembic_version``; a SQLite file from before that has ``schema_version`` 2 in
   ``meta`` and is revision 0001.
2. An older SQLite file is upgraded when it is opened: first a copy is kept beside it, then all steps are one
   transaction. A crash leaves the old file, or the new one.
3. An older PostgreSQL database is upgraded only by ``fedscreen coordinator store upgrade``: other
   coordinators may be at work on it, and its administrator makes the copy.
4. A newer one, or one that is not ours, is refused.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection

from coordinator import schema
from coordinator.backend import Backend
from coordinator.backend_sqlite import SqliteBackend
from coordinator.durable import DurableHook, sync_folder
from coordinator.errors import SchemaVersionError, StoreError
from plan.errors import phrase

OLDER = ("0001", "0002")  # oldest first; each has its file in coordinator/migrations/versions
FIRST = {"2": "0001"}  # `schema_version` of before the migrations
COPY_SUFFIX = ".before-"
_TABLE = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def read_revision(connection: Connection) -> str:
    """Read a database's revision; empty when it is no coordinator's."""
    inspector = sa.inspect(connection)
    if inspector.has_table(_TABLE.name):
        return str(connection.execute(sa.select(_TABLE.c.version_num)).scalar() or "")
    if not inspector.has_table(schema.meta.name):
        return ""
    query = sa.select(schema.meta.c.value).where(schema.meta.c.key == "schema_version")
    found = str(connection.execute(query).scalar() or "")
    return FIRST.get(found, found)


def stamp(connection: Connection, revision: str) -> None:
    """Write down which revision a database has whose tables were just made."""
    _TABLE.create(connection, checkfirst=True)
    connection.execute(sa.delete(_TABLE))
    connection.execute(sa.insert(_TABLE).values(version_num=revision))


def check_revision(backend: Backend, durable: DurableHook) -> None:
    """Refuse a database of another revision, or upgrade it where that is safe.

    Raises:
        StoreError: it is no coordinator's database.
        SchemaVersionError: its revision is another one; says what to do.
    """
    found = _read(backend)
    if found in OLDER and isinstance(backend, SqliteBackend):
        upgrade(backend, durable)
        return
    if found == schema.REVISION:
        return
    if not found:
        raise StoreError(
            phrase(
                "%(name)s: not a coordinator's database (%(reason)s)",
                name=backend.name,
                reason=phrase("it has no tables; run 'fedscreen coordinator init', or restore a backup"),
            )
        )
    if found in OLDER:
        raise SchemaVersionError(
            phrase(
                "%(name)s: schema revision %(found)s, this program needs %(needed)s; make a copy, stop every "
                "coordinator, then run 'fedscreen coordinator store upgrade'",
                name=backend.name,
                found=found,
                needed=schema.REVISION,
            )
        )
    raise SchemaVersionError(
        phrase(
            "%(name)s: schema revision %(found)s, this program knows %(needed)s; use the program "
            "that wrote it",
            name=backend.name,
            found=found,
            needed=schema.REVISION,
        )
    )


def _read(backend: Backend) -> str:
    try:
        with backend.reading() as connection:
            return read_revision(connection)
    except sa.exc.DatabaseError as err:
        raise StoreError(
            phrase(
                "%(name)s: not a coordinator's database (%(reason)s)", name=backend.name, reason=str(err.orig)
            )
        ) from err


def upgrade(backend: Backend, durable: DurableHook) -> tuple[str, str]:
    """Bring a database to this program's revision; return the old and the new one.

    Raises:
        SchemaVersionError: it is newer than this program, or no coordinator's.
    """
    is_file = isinstance(backend, SqliteBackend)
    with backend.writing() as connection:
        found = read_revision(connection)
        if found == schema.REVISION:
            return found, found
        if found not in OLDER:
            raise SchemaVersionError(
                phrase(
                    "%(name)s: schema revision %(found)s cannot be upgraded", name=backend.name, found=found
                )
            )
        if isinstance(backend, SqliteBackend):
            keep_copy(backend.path, found)
        stamp(connection, found)
        migrate(connection)
        durable("before upgrade")
    durable("after upgrade")
    if is_file:
        backend.forget_deleted()
    return found, schema.REVISION


def migrate(connection: Connection) -> None:
    """Take every step that a database lacks, within the transaction of the connection."""
    from alembic import command  # takes a quarter of a second to load, once in a database's life
    from alembic.config import Config

    connection.execute(sa.select(1))  # so that Alembic sees that it is within a transaction
    config = Config()
    config.set_main_option("script_location", "coordinator:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def keep_copy(path: Path, revision: str) -> Path:
    """Copy a SQLite database beside itself, whole or not at all; a copy that is there already is kept."""
    target = path.with_name(f"{path.name}{COPY_SUFFIX}{revision}")
    if not target.exists():
        unfinished = target.with_name(f".{target.name}.new")
        copy_file(path, unfinished)
        unfinished.replace(target)
        sync_folder(target.parent)
    return target


def copy_file(path: Path, target: Path) -> None:
    """Copy a SQLite database as it is at one moment, while others write, into a new file of mode 600."""
    target.unlink(missing_ok=True)
    target.touch(mode=0o600)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE").close()
