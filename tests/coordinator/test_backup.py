"""A backup of the middle of a round: what the log has beyond it is found, mended or refused, never forked."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from fakes_coordinator import County, small_config

from auditor.mirror import Mirror
from bench.postgres_server import PostgresServer
from coordinator import schema
from coordinator.cli import coordinator
from coordinator.desk import Desk
from coordinator.errors import LogRolledBackError
from coordinator.high_water import FILE_NAME as HEAD
from coordinator.high_water import HighWater
from coordinator.sealed_file import seal_file
from protos.bodies import parse_release_body
from protos.card import parse_card

PASSPHRASE = "correct horse battery staple"


@pytest.fixture(autouse=True)
def cheap_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argon2id's limits for a person's passphrase take half a second each time."""
    monkeypatch.setattr("nacl.pwhash.argon2id.OPSLIMIT_MODERATE", 1)
    monkeypatch.setattr("nacl.pwhash.argon2id.MEMLIMIT_MODERATE", 8192)


def run(*words: object) -> Result:
    return CliRunner().invoke(coordinator, [str(word) for word in words], catch_exceptions=False)


def answer(result: Result) -> dict[str, object]:
    return dict(json.loads(result.output))


def findings(result: Result) -> list[dict[str, object]]:
    """What is wrong, but that the tests' server does not flush."""
    rows = answer(result)["findings"]
    assert isinstance(rows, list)
    return [row for row in rows if row["code"] != "fsync-off"]


def codes(result: Result) -> list[object]:
    return [row["code"] for row in findings(result)]


class Spoilt:
    """A county whose database was backed up after three reports, went on to the candidates, and was lost."""

    def __init__(self, county: County, tmp_path: Path) -> None:
        self.county = county
        self.round_id = county.round_id
        self.file = tmp_path / "county.backup"
        self.words = tmp_path / "passphrase"
        self.words.write_text(PASSPHRASE + "\n")
        county.report(self.round_id, ["s01", "s02", "s03"])
        self.backup()
        self.receipts = county.report(self.round_id, ["s04", "s05", "s06"])
        county.desk.tick()  # candidates; published as nobody has cosigned yet
        self.size = county.ledger().size
        self.entries = county.desk.get_log(0, 1000).entries
        county.desk.close()

    def backup(self) -> None:
        result = run(
            "backup", "--out", self.file, "--passphrase-file", self.words, "--dir", self.county.directory
        )
        assert result.exit_code == 0, result.output

    def restore(self, *words: object, directory: Path | None = None) -> Result:
        at = directory or self.county.directory
        return run("restore", self.file, "--passphrase-file", self.words, "--dir", at, "--json", *words)

    def finish(self) -> None:
        """Take the round to its end on the restored database."""
        county = self.county
        county.desk = county.open()
        county.desk.tick()
        county.check(self.round_id)
        county.desk.tick()
        county.agree(self.round_id)
        county.answer(self.round_id)
        county.desk.tick()
        release = county.round(self.round_id).release
        assert release is not None
        assert [v for table in parse_release_body(release.body) for v in table.sums] == county.truth()


def empty(county: County, server: PostgresServer | None) -> None:
    """Lose the database: a new one is asked for by its name in coordinator.toml."""
    if county.config.database:
        assert server is not None
        path = county.directory / "coordinator.toml"
        fresh = server.database()
        path.write_text(path.read_text().replace(county.config.database, fresh))
        county.config = county.config.model_copy(update={"database": fresh})


@pytest.fixture
def spoilt(
    make_county: Callable[..., County], address: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Spoilt:
    county = make_county(config=small_config(database=address))
    county.collecting()
    found = Spoilt(county, tmp_path)
    empty(county, request.getfixturevalue("server") if address else None)
    return found


def test_a_restored_round_is_mended_from_the_published_log_and_ends_with_the_same_sum(spoilt: Spoilt) -> None:
    result = spoilt.restore()
    found = answer(result)
    assert (result.exit_code, found["appended"], found["size"]) == (1, 4, spoilt.size)
    assert codes(result) == ["vectors-missing", "boxes-missing"]
    assert findings(result)[0]["ids"] == ["s04", "s05", "s06"]
    county = spoilt.county
    county.desk = county.open()
    assert county.report(spoilt.round_id, ["s04", "s05", "s06"]) == spoilt.receipts
    county.desk.close()
    assert codes(run("store", "check", "--dir", county.directory, "--json")) == []
    spoilt.finish()
    assert county.desk.get_log(0, 1000).entries[: spoilt.size] == spoilt.entries


def test_without_the_newest_copy_nothing_goes_on(spoilt: Spoilt, tmp_path: Path) -> None:
    """The published folder ends before what was signed: every command refuses, and nothing is signed."""
    directory = spoilt.county.directory
    newest = tmp_path / "newest"
    shutil.copytree(directory / "log", newest)
    shutil.rmtree(directory / "log")
    (directory / "log").mkdir()
    head = (directory / HEAD).read_bytes()
    result = spoilt.restore()
    assert (result.exit_code, codes(result)[0]) == (1, "behind-signed")
    with pytest.raises(LogRolledBackError):
        spoilt.county.open()
    for words in (("round", "status"), ("card",), ("log", "export", tmp_path / "out")):
        assert answer(run(*words, "--dir", directory, "--json"))["error"] == "log-rolled-back"
    repaired = run("store", "repair", "--dir", directory, "--json")
    assert (repaired.exit_code, answer(repaired)["error"]) == (1, "log-rolled-back")
    assert (directory / HEAD).read_bytes() == head
    repaired = run("store", "repair", "--log", newest, "--dir", directory, "--json")
    assert answer(repaired)["appended"] == 4
    spoilt.county.desk = spoilt.county.open()
    assert spoilt.county.report(spoilt.round_id, ["s04", "s05", "s06"]) == spoilt.receipts


class DeskLink:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def get_log(self, start: int, max_entries: int) -> object:
        return self._desk.get_log(start, max_entries)


def test_an_auditors_own_copy_mends_too(collecting: County, tmp_path: Path) -> None:
    spoilt = Spoilt(collecting, tmp_path)
    collecting.desk = collecting.open()
    mirror = Mirror(tmp_path / "mirror", parse_card(collecting.desk.card_text()))
    mirror.sync(DeskLink(collecting.desk))  # type: ignore[arg-type]
    collecting.desk.close()
    shutil.rmtree(collecting.directory / "log")
    (collecting.directory / "log").mkdir()
    assert answer(spoilt.restore("--log", tmp_path / "mirror"))["appended"] == 4
    collecting.desk = collecting.open()
    assert collecting.ledger().size == spoilt.size


def test_a_log_that_went_on_otherwise_is_never_mended(collecting: County, tmp_path: Path) -> None:
    """Somebody went on from the backup on another machine: two logs, and no command picks one."""
    spoilt = Spoilt(collecting, tmp_path)
    other = tmp_path / "other"
    assert spoilt.restore("--alone", directory=other).exit_code == 0
    forked = County(other)
    forked.report(spoilt.round_id, ["s06", "s05"])
    forked.desk.tick()
    forked.desk.close()
    result = run("store", "check", "--log", other / "log", "--dir", collecting.directory, "--json")
    assert codes(result) == ["other-log"]
    result = run("store", "repair", "--log", other / "log", "--dir", collecting.directory, "--json")
    assert answer(result)["error"] == "log-rolled-back"
    collecting.desk = collecting.open()
    assert collecting.ledger().size == spoilt.size


def test_a_new_folder_asks_for_a_copy_of_the_log(spoilt: Spoilt, tmp_path: Path) -> None:
    result = spoilt.restore(directory=tmp_path / "new")
    assert (result.exit_code, answer(result)["error"]) == (1, "backup")
    assert not (tmp_path / "new" / "coordinator.toml").exists()


def test_a_county_moves_from_a_file_to_a_server(
    collecting: County, tmp_path: Path, server: PostgresServer
) -> None:
    spoilt = Spoilt(collecting, tmp_path)
    log = collecting.directory / "log"
    new = tmp_path / "new"
    spoilt.restore("--log", log, "--database", server.database(), directory=new)
    for path in collecting.directory.glob("*.payload"):
        shutil.copy(path, new)
    spoilt.county = County(new)
    assert spoilt.county.desk._store.is_shared
    assert HighWater(new / HEAD).read().size == spoilt.size
    assert spoilt.county.report(spoilt.round_id, ["s04", "s05", "s06"]) == spoilt.receipts
    spoilt.county.desk.close()
    spoilt.finish()
    spoilt.county.desk.close()


def test_what_is_replaced_is_kept(collecting: County, tmp_path: Path) -> None:
    spoilt = Spoilt(collecting, tmp_path)
    before = (collecting.directory / "coordinator.db").read_bytes()
    spoilt.restore()
    kept = list(collecting.directory.glob("coordinator.db.replaced-*Z"))
    assert [path.read_bytes() for path in kept] == [before]


def test_nothing_is_restored_under_a_running_coordinator(collecting: County, tmp_path: Path) -> None:
    spoilt = Spoilt(collecting, tmp_path)
    collecting.desk = collecting.open()
    assert "stop it first" in str(answer(spoilt.restore())["message"])
    assert list(collecting.directory.glob("coordinator.db.replaced-*")) == []
    assert "stop it first" in str(
        answer(run("store", "repair", "--dir", collecting.directory, "--json"))["message"]
    )


def test_a_backup_is_private_sealed_and_never_written_over(collecting: County, tmp_path: Path) -> None:
    spoilt = Spoilt(collecting, tmp_path)
    data = spoilt.file.read_bytes()
    assert stat.S_IMODE(spoilt.file.stat().st_mode) == 0o600
    secret = (collecting.directory / "keys" / "log.key").read_bytes().strip()
    assert secret not in data
    assert b"SQLite format" not in data
    result = run("backup", "--out", spoilt.file, "--plain", "--dir", collecting.directory, "--json")
    assert answer(result)["error"] == "backup"
    assert spoilt.file.read_bytes() == data
    plain = tmp_path / "plain"
    result = run("backup", "--out", plain, "--plain", "--dir", collecting.directory)
    assert result.exit_code == 0
    assert secret in plain.read_bytes()
    assert stat.S_IMODE(plain.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".backup")] == []


def test_nothing_unsealed_is_written_where_the_backup_goes(
    collecting: County, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stick keeps what was deleted on it, and a process may be killed before it deletes anything."""
    stick = tmp_path / "stick"
    stick.mkdir()
    words = tmp_path / "passphrase"
    words.write_text(PASSPHRASE + "\n")
    seen: list[set[str]] = []

    def seal(*arguments: Any) -> None:
        seal_file(*arguments)
        seen.append({path.name for path in stick.rglob("*") if path.is_file()})

    monkeypatch.setattr("coordinator.backup.seal_file", seal)
    result = run("backup", "--out", stick / "b", "--passphrase-file", words, "--dir", collecting.directory)
    assert result.exit_code == 0, result.output
    assert seen == [{"sealed"}]
    assert [path.name for path in stick.iterdir()] == ["b"]
    assert not list(collecting.directory.glob(".backup-*"))


def test_a_spoilt_backup_changes_nothing(collecting: County, tmp_path: Path) -> None:
    file = tmp_path / "b"
    run("backup", "--out", file, "--plain", "--dir", collecting.directory)
    collecting.desk.close()
    data = file.read_bytes()
    file.write_bytes(data[:5000] + bytes([data[5000] ^ 1]) + data[5001:])
    before = sorted(path.name for path in collecting.directory.iterdir())
    result = run("restore", file, "--dir", collecting.directory, "--json")
    assert (result.exit_code, answer(result)["error"]) == (1, "backup")
    assert sorted(path.name for path in collecting.directory.iterdir()) == before


def test_another_passphrase_and_another_county_are_refused(
    collecting: County, make_county: Callable[..., County], tmp_path: Path
) -> None:
    spoilt = Spoilt(collecting, tmp_path)
    wrong = tmp_path / "wrong"
    wrong.write_text("another")
    result = run("restore", spoilt.file, "--passphrase-file", wrong, "--dir", collecting.directory, "--json")
    assert "another passphrase" in str(answer(result)["message"])
    other = make_county()
    other.desk.close()
    assert "another coordinator" in str(
        answer(spoilt.restore("--alone", directory=other.directory))["message"]
    )


def lose(county: County, *statements: str) -> Sequence[object]:
    with county.desk._store.writing("lose") as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    county.desk.close()
    return codes(run("store", "check", "--dir", county.directory, "--json"))


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("DELETE FROM enrolments WHERE id = 's02'", "enrolments-missing"),
        ("DELETE FROM sums WHERE auditor = 'a2'", "sums-missing"),
        ("UPDATE vectors SET data = zeroblob(248) WHERE rowid = 2", "vectors-damaged"),
        ("DELETE FROM vectors", "vectors-missing"),
        ("UPDATE entries SET entry = body WHERE position = 3", "log-damaged"),
    ],
)
def test_the_check_finds_what_is_lost(released: County, statement: str, code: str) -> None:
    assert lose(released, statement) == [code]


def test_the_check_of_a_whole_database_finds_nothing(released: County) -> None:
    assert lose(released) == []


def test_sums_that_were_lost_are_taken_again(agreed: County) -> None:
    round_id = agreed.round_id
    agreed.answer(round_id)
    with agreed.desk._store.writing("lose") as connection:
        connection.execute(sa.delete(schema.sums))
    agreed.answer(round_id)
    agreed.desk.tick()
    assert agreed.round(round_id).release is not None


def test_a_server_that_does_not_flush_is_found(
    make_county: Callable[..., County], server: PostgresServer
) -> None:
    county = make_county(config=small_config(database=server.database()))
    result = run("store", "check", "--dir", county.directory, "--json")
    assert [row["code"] for row in answer(result)["findings"]] == ["fsync-off"]  # type: ignore[attr-defined]
