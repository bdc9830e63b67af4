"""Every earlier database comes to this program's tables, whole or not at all, and goes on."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from fakes_coordinator import County, Crash, small_config

from bench.postgres_server import PostgresServer
from coordinator import schema
from coordinator.errors import SchemaVersionError
from coordinator.revisions import OLDER, keep_copy, migrate, read_revision, stamp, upgrade
from coordinator.store import Place, Store, read_meta


@pytest.fixture
def place(address: str, tmp_path: Path) -> Place:
    return sa.engine.make_url(address) if address else tmp_path / "c.db"


def differences(store: Store) -> list[object]:
    """What a database lacks or has beyond `schema.metadata`."""
    with store.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, schema.metadata))


def empty_store(place: Place) -> Store:
    if isinstance(place, Path):
        place.touch()
    return Store(place, check=False)


def test_all_steps_together_make_the_tables_of_the_schema(place: Place) -> None:
    store = empty_store(place)
    with store.writing("x") as connection:
        stamp(connection, "")
        connection.exec_driver_sql("DELETE FROM alembic_version")
        migrate(connection)
    assert differences(store) == []
    with store.reading() as connection:
        assert read_revision(connection) == schema.REVISION
    store.close()


def test_a_new_database_has_the_tables_of_the_schema(place: Place) -> None:
    store = Store(place, create=True)
    assert differences(store) == []
    with store.writing("x") as connection:
        connection.exec_driver_sql("DROP TABLE vectors")
    assert differences(store) != []
    store.close()


def test_the_list_of_revisions_is_that_of_the_steps() -> None:
    config = Config()
    config.set_main_option("script_location", "coordinator:migrations")
    steps = ScriptDirectory.from_config(config)
    assert steps.get_current_head() == schema.REVISION
    assert tuple(step.revision for step in steps.walk_revisions())[:0:-1] == OLDER


def make_old(path: Path, county: County) -> None:
    """Turn a county's SQLite file into what a program of before the migrations wrote."""
    round_id = county.round_id
    reports = county.round(round_id).reports
    rows = [(reports.position_of(slot), reports.contents_of(slot).vector) for slot in reports]
    county.desk.close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE reports (position INTEGER NOT NULL PRIMARY KEY, vector BLOB NOT NULL)")
        for position, digest in rows:
            data = db.execute("SELECT data FROM vectors WHERE digest = ?", (digest,)).fetchone()[0]
            db.execute("INSERT INTO reports VALUES (?, ?)", (position, data))
        kept = {
            *("meta", "entries", "enrolments", "proposals", "proposal_signatures", "cosignatures", "reports"),
            *("boxes", "sums", "close_requests"),
        }
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            if name not in kept:
                db.execute(f"DROP TABLE {name}")
        db.execute("UPDATE meta SET value = '2' WHERE key = 'schema_version'")


def test_a_file_of_before_the_migrations_goes_on_in_the_middle_of_its_round(collecting: County) -> None:
    path = collecting.directory / "coordinator.db"
    round_id = collecting.round_id
    receipts = collecting.report(round_id)
    make_old(path, collecting)
    collecting.desk = collecting.open()
    assert differences(collecting.desk._store) == []
    assert collecting.report(round_id) == receipts
    collecting.desk.tick()
    collecting.check(round_id)
    collecting.desk.tick()
    collecting.agree(round_id)
    collecting.answer(round_id)
    collecting.desk.tick()
    assert collecting.desk.round_status(round_id)["state"] == "released"
    copy = path.with_name("coordinator.db.before-0001")
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute("SELECT count(*) FROM reports").fetchone() == (len(collecting.schools),)
    assert copy.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("when", ["before upgrade", "after upgrade"])
def test_an_upgrade_that_is_cut_off_leaves_the_old_tables_or_the_new_ones(
    collecting: County, when: str
) -> None:
    path = collecting.directory / "coordinator.db"
    collecting.report(collecting.round_id, ["s01"])
    make_old(path, collecting)

    def crash(step: str) -> None:
        if step == when:
            raise Crash

    with pytest.raises(Crash):
        Store(path, crash)
    with closing(sqlite3.connect(path)) as db:
        names = {row[0] for row in db.execute("SELECT name FROM sqlite_master")}
    assert ("reports" in names, "vectors" in names) == ((True, False), (False, True))[when == "after upgrade"]
    collecting.desk = collecting.open()
    assert list(collecting.round(collecting.round_id).reports) == [("s01", 0)]


def test_a_copy_that_is_kept_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    Store(path, create=True).close()
    copy = keep_copy(path, "0001")
    before = copy.read_bytes()
    with Store(path).writing("x") as connection:
        connection.exec_driver_sql("INSERT INTO meta VALUES ('a', 'b')")
    assert keep_copy(path, "0001").read_bytes() == before


def test_an_older_server_database_is_upgraded_by_command_only(
    make_county: Callable[..., County], server: PostgresServer
) -> None:
    county = make_county(config=small_config(database=server.database()))
    store = county.desk._store
    with store.writing("x") as connection:
        stamp(connection, "0002")
        connection.exec_driver_sql("DROP TABLE members")
    with pytest.raises(SchemaVersionError, match="store upgrade"):
        county.open()
    opened = county.desk.home.open_store(check=False)
    assert upgrade(opened.backend, lambda _step: None) == ("0002", schema.REVISION)
    assert upgrade(opened.backend, lambda _step: None) == (schema.REVISION, schema.REVISION)
    assert differences(opened) == []
    opened.close()
    county.reopen()


def test_a_program_of_before_the_migrations_reads_that_it_is_too_old(place: Place) -> None:
    store = Store(place, create=True)
    with store.reading() as connection:
        assert read_meta(connection, "schema_version") == "3"
    store.close()
