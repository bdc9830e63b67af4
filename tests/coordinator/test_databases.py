"""SQLite and PostgreSQL behave alike; a server that goes away is waited for, named, never half believed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from fakes_coordinator import County, small_config

from bench.postgres_server import PostgresServer
from coordinator import schema
from coordinator.config import parse_config
from coordinator.durable import exclusive
from coordinator.errors import ConfigError, FileError, SchemaVersionError, StoreAwayError, StoreError
from coordinator.home import place_of
from coordinator.log_book import LogBook
from coordinator.prepared import driver_of, insert_row, insert_row_once
from coordinator.publish_log import published_checkpoint
from coordinator.revisions import stamp
from coordinator.store import Place, Store, insert_once, read_meta, upsert, write_meta

SECRET = "correct horse battery"


@pytest.fixture
def place(address: str, tmp_path: Path) -> Place:
    found = sa.engine.make_url(address) if address else tmp_path / "c.db"
    Store(found, create=True).close()
    return found


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    opened = Store(place)
    yield opened
    opened.close()


@pytest.fixture
def shared(server: PostgresServer) -> Iterator[Store]:
    """A store on PostgreSQL."""
    url = sa.engine.make_url(server.database())
    Store(url, create=True).close()
    opened = Store(url)
    yield opened
    opened.close()


def end_all_connections(store: Store) -> None:
    """Do what a restart of the server does to its clients."""
    with store.backend.engine.connect() as connection:
        others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid != pg_backend_pid()"
        connection.exec_driver_sql(f"{others} AND datname = current_database()")


def test_an_exception_rolls_everything_back(store: Store) -> None:
    def fail() -> None:
        with store.writing("x") as connection:
            write_meta(connection, "a", "1")
            insert_row(schema.vectors).run(connection, b"d" * 32, b"v")
            raise KeyError("stop")

    with pytest.raises(KeyError):
        fail()
    with store.reading() as connection:
        assert read_meta(connection, "a") is None
        assert connection.execute(sa.select(schema.vectors)).first() is None


def test_the_hook_stands_around_a_commit_that_changes_something(place: Place) -> None:
    steps: list[str] = []
    other = Store(place)

    def hook(step: str) -> None:
        with other.reading() as connection:
            steps.append(f"{step}: {read_meta(connection, 'a')}")

    store = Store(place, hook)
    with store.writing("put") as connection:
        write_meta(connection, "a", "1")
    with store.writing("look") as connection:
        assert read_meta(connection, "a") == "1"
        insert_once(connection, schema.meta, {"key": "a", "value": "2"})
    assert steps == ["before put: None", "after put: 1"]
    store.close()
    other.close()


def test_a_reader_sees_one_moment(place: Place, store: Store) -> None:
    other = Store(place)
    with store.reading() as connection:
        assert read_meta(connection, "a") is None
        with other.writing("put") as writer:
            write_meta(writer, "a", "1")
        assert read_meta(connection, "a") is None
        assert driver_of(connection).execute("SELECT 1 FROM meta WHERE key = 'a'").fetchone() is None
    with store.reading() as connection:
        assert read_meta(connection, "a") == "1"
    other.close()


def test_writers_of_two_processes_wait_for_each_other(place: Place) -> None:
    stores = [Store(place), Store(place)]

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


def test_insert_once_keeps_the_first_and_upsert_the_last(store: Store) -> None:
    key = {"size": 1, "auditor": "a1"}
    line = sa.select(schema.cosignatures.c.line)
    with store.writing("x") as connection:
        assert insert_once(connection, schema.cosignatures, key | {"time_s": 1, "line": "one"})
        assert not insert_once(connection, schema.cosignatures, key | {"time_s": 2, "line": "two"})
        assert connection.execute(line).scalar() == "one"
        upsert(connection, schema.cosignatures, key, {"time_s": 3, "line": "three"})
        assert connection.execute(line).scalar() == "three"


def test_the_same_vector_is_stored_once(store: Store) -> None:
    put = insert_row_once(schema.vectors)
    with store.writing("x") as connection:
        put.run(connection, b"d" * 32, b"vector")
    with store.writing("x") as connection:
        put.run(connection, b"d" * 32, b"vector")
    with store.reading() as connection:
        assert connection.execute(sa.select(schema.vectors.c.data)).scalars().all() == [b"vector"]


def test_milliseconds_fit(store: Store) -> None:
    with store.writing("x") as connection:
        connection.execute(sa.insert(schema.close_requests).values(round=b"r", requested_ms=1 << 41))
        assert connection.execute(sa.select(schema.close_requests.c.requested_ms)).scalar() == 1 << 41


def test_a_database_of_a_newer_program_is_refused(place: Place, store: Store) -> None:
    with store.writing("x") as connection:
        stamp(connection, "9999")
    with pytest.raises(SchemaVersionError, match="9999"):
        Store(place)


def test_create_is_refused_where_tables_are(place: Place) -> None:
    with pytest.raises(StoreError, match="exists already"):
        Store(place, create=True)


def test_an_empty_server_database_says_what_to_do(server: PostgresServer) -> None:
    with pytest.raises(StoreError, match="coordinator init"):
        Store(sa.engine.make_url(server.database()))


# -- a server that goes away --------------------------------------------------------------------


def test_a_connection_that_was_cut_is_replaced(shared: Store) -> None:
    with shared.reading() as connection:
        read_meta(connection, "a")
    end_all_connections(shared)
    with shared.writing("put") as connection:
        write_meta(connection, "a", "1")
    end_all_connections(shared)
    with shared.reading() as connection:
        assert read_meta(connection, "a") == "1"


@pytest.mark.parametrize("by_driver", [True, False], ids=["driver", "composed"])
def test_a_write_that_is_cut_off_is_refused_and_leaves_nothing(shared: Store, by_driver: bool) -> None:
    def write() -> None:
        with shared.writing("put") as connection:
            write_meta(connection, "a", "1")
            end_all_connections(shared)
            if by_driver:
                insert_row(schema.vectors).run(connection, b"d" * 32, b"v")
            else:
                write_meta(connection, "b", "1")

    with pytest.raises(StoreAwayError):
        write()
    with shared.reading() as connection:
        assert read_meta(connection, "a") is None


def test_a_commit_that_is_cut_off_is_refused(shared: Store) -> None:
    def write() -> None:
        with shared.writing("put") as connection:
            write_meta(connection, "a", "1")
            end_all_connections(shared)

    with pytest.raises(StoreAwayError):
        write()


def test_a_server_that_restarts_is_waited_for(server: PostgresServer, shared: Store) -> None:
    server.stop()
    starting = threading.Timer(0.5, server.start)
    starting.start()
    with shared.writing("put") as connection:
        write_meta(connection, "a", "1")
    starting.join()


def test_a_server_that_stays_away_is_named_without_its_password(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("coordinator.backend_postgres.AWAY_S", 0.3)
    url = sa.engine.make_url(server.database()).set(password=SECRET)
    Store(url, create=True).close()
    store = Store(url)
    server.stop()
    try:
        started_s = time.monotonic()
        with pytest.raises(StoreAwayError, match="is PostgreSQL running") as caught, store.reading():
            pass
        assert time.monotonic() - started_s > 0.2
        started_s = time.monotonic()
        with pytest.raises(StoreAwayError), store.reading():  # known to be away: nobody queues up
            pass
        assert time.monotonic() - started_s < 0.2
    finally:
        server.start()
    assert SECRET not in f"{caught.value!s} {caught.value!r} {caplog.text} {store.backend.name}"
    store.close()


def test_a_group_of_reports_survives_a_cut_connection(
    make_county: Callable[..., County], server: PostgresServer
) -> None:
    """Cut off right at the commit: asking again finds out whether it happened, and one report stands."""
    county = make_county(config=small_config(database=server.database()))
    round_id = county.collecting()
    cuts = iter(["before append report", "after append report"])
    wanted = next(cuts)

    def cut(step: str) -> None:
        nonlocal wanted
        if step == wanted:
            wanted = next(cuts, "")
            end_all_connections(county.desk._store)

    county.durable = cut
    receipts = county.report(round_id)
    county.durable = lambda _step: None
    assert wanted == ""
    assert county.report(round_id) == receipts
    assert len(county.round(round_id).reports) == len(county.schools)


def test_two_coordinators_on_one_database_take_every_step_once(
    make_county: Callable[..., County], address: str, tmp_path: Path
) -> None:
    county = make_county(config=small_config(database=address))
    first = county.desk
    second = county.open()  # on the same folder; another process would do the same
    try:
        round_id = county.collecting()
        for place, name in enumerate(county.schools):
            county.desk = (first, second)[place % 2]
            county.report(round_id, [name])
        for step in (county.check, county.agree, county.answer):
            threads = [threading.Thread(target=desk.tick) for desk in (first, second)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            county.desk = second
            step(round_id)
        first.tick()
        assert second.tick() == ()
        kinds = [entry.split(b"\n")[0].split(b"/")[1] for entry, _ in second.get_log(0, 1000).entries]
        assert [kinds.count(kind) for kind in (b"report", b"candidates", b"close", b"release")] == [
            6,
            1,
            1,
            1,
        ]
    finally:
        county.desk = first
        second.close()


# -- coordinator.toml ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        f"postgresql+psycopg://u:{SECRET}@host/name",
        f"postgresql+psycopg://u@host/name?password={SECRET}",
        "postgresql://u@host/name",
        "mysql://u@host/name",
        "postgresql+psycopg://u@host",
        "coordinator.db",
    ],
)
def test_an_address_with_a_password_or_of_another_kind_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match="database") as caught:
        parse_config(f'federation = "a"\ndatabase = "{value}"'.encode())
    assert SECRET not in str(caught.value)


def test_the_password_comes_from_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    config = parse_config(b'federation = "a"\ndatabase = "postgresql+psycopg://u@host/name"')
    (tmp_path / "keys").mkdir()
    path = tmp_path / "keys" / "database.password"
    path.write_text(SECRET + "\n")
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        place_of(tmp_path, config)
    path.chmod(0o600)
    found = place_of(tmp_path, config)
    assert isinstance(found, sa.URL)
    assert found.password == SECRET
    assert SECRET not in str(found)


def test_a_database_of_another_coordinator_is_refused(
    make_county: Callable[..., County], server: PostgresServer
) -> None:
    address = server.database()
    make_county(config=small_config(database=address))
    with pytest.raises(ConfigError, match="another coordinator"):
        make_county(config=small_config(database=address))


def test_what_was_signed_stays_in_every_view(make_county: Callable[..., County], address: str) -> None:
    """The database is put back while the coordinator runs: it refuses, whatever it is asked."""
    county = make_county(config=small_config(database=address))
    round_id = county.collecting()
    county.report(round_id, ["s01"])
    store = county.desk._store
    with store.writing("put back") as connection:
        last = sa.select(sa.func.max(schema.entries.c.position)).scalar_subquery()
        connection.execute(sa.delete(schema.entries).where(schema.entries.c.position == last))
    with pytest.raises(StoreError, match="entries were signed"):
        county.desk.get_log(0, 1)
    with pytest.raises(StoreError, match="entries were signed"):
        county.report(round_id, ["s02"])
    with pytest.raises(StoreError, match="entries were signed"):
        county.reopen()
    stranger = LogBook(store, county.desk.home.log_key, lambda: county.clock)
    with stranger.reading() as view:
        assert view.ledger.size > 0


def test_a_coordinator_that_lags_behind_the_folder_signs_no_other_tree(
    make_county: Callable[..., County], address: str
) -> None:
    """The database is put back while two processes run, and the one that goes on has not signed that far."""
    county = make_county(config=small_config(database=address))
    round_id = county.collecting()
    first, second = county.desk, county.open()
    try:
        county.report(round_id, ["s01"])
        second.get_log(0, 1)
        county.report(round_id, ["s02", "s03"])  # signed by the first process alone
        store = first._store
        with store.writing("put back") as connection:
            newest = sa.select(sa.func.max(schema.entries.c.position) - 2).scalar_subquery()
            cut = connection.execute(sa.select(newest)).scalar_one()
            connection.execute(sa.delete(schema.entries).where(schema.entries.c.position > cut))
        county.desk = second
        with pytest.raises(StoreError, match="entries were signed"):
            county.report(round_id, ["s04"])
    finally:
        county.desk = first
        second.close()


def test_no_commit_returns_before_it_is_on_the_servers_disk(server: PostgresServer) -> None:
    """Whatever the server or the address say: off becomes on, and what is more than on stays."""
    address = server.database()
    for asked, found in (("off", "on"), ("remote_apply", "remote_apply"), ("local", "local")):
        url = sa.engine.make_url(address)
        options = f"{url.query['options']} -csynchronous_commit={asked}"
        store = Store(url.update_query_dict({"options": options}), check=False)
        with store.writing("x") as connection:
            assert connection.exec_driver_sql("SHOW synchronous_commit").scalar() == found
            assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "30s"
        with store.reading() as connection:
            assert connection.exec_driver_sql("SHOW transaction_isolation").scalar() == "repeatable read"
            assert connection.exec_driver_sql("SHOW transaction_read_only").scalar() == "on"
        store.close()


def test_a_lock_that_is_held_for_long_is_said(shared: Store) -> None:
    other = Store(shared.place)
    with shared.writing("first") as connection:
        write_meta(connection, "a", "1")
        with other.backend.engine.connect() as waiting:
            waiting.exec_driver_sql("SET lock_timeout = '50ms'")
            waiting.commit()
        with pytest.raises(StoreError, match="lock timeout"), other.writing("second"):
            pass
    other.close()


def test_one_publishes_at_a_time(collecting: County, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coordinator.durable.WAIT_S", 0.05)
    folder = collecting.directory / "log"
    collecting.report(collecting.round_id, ["s01"])
    with (
        exclusive(folder.with_name("log.lock")),
        pytest.raises(FileError, match="another process"),
    ):
        collecting.desk.tick()
    before = published_checkpoint(folder)
    collecting.desk.tick()
    after = published_checkpoint(folder)
    assert after is not None
    assert before is None or before.size < after.size
