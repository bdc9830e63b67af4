"""A backup through its real file: consistent, private, and no way to forget a charge, a report or a noise."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from fakes_backup import BackedHouse, without_processes
from fakes_vault import KEY, Crash, plan_of, pupils

from node.errors import BackupError, VaultRefusal
from node.vault.enrol import load_floors
from node.vault.errors import AttemptError, VaultError
from node.vault.store import VaultStore
from plan.layout import build_layout
from protos.convert import LogPage
from protos.errors import LedgerError

COST = build_layout(plan_of()).claimed_rho
STAGES = ("nothing", "charged", "released", "acknowledged")


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BackedHouse]:
    without_processes(monkeypatch, tmp_path)
    opened = BackedHouse(tmp_path / "school")
    yield opened
    opened.store.close()


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The vector of an undisturbed school: same keys, same log, same records."""
    opened = BackedHouse(tmp_path_factory.mktemp("reference"))
    round_id = opened.start_round()
    opened.release(round_id)
    vector = opened.payload(round_id).vector
    opened.store.close()
    return vector


def play(house: BackedHouse, round_id: bytes) -> None:
    """Release, log, hand over receipt and log."""
    house.release(round_id)
    if house.desk.outgoing() is not None:
        house.desk.on_receipt(house.submit())
    house.sync()


def backup_at(house: BackedHouse, round_id: bytes, stage: str, out: Path) -> Path:
    """Play a round to its end, and give the backup that was made at a stage of it."""
    if stage == "charged":
        house.watch()
        house.stop_at = lambda name, _at: _die(name) if name == "after charge" else None
        with pytest.raises(Crash):
            house.release(round_id)
        house.stop_at = lambda _name, _at: None
        house.restart()
    elif stage != "nothing":
        house.release(round_id)
        if stage == "acknowledged":
            house.desk.on_receipt(house.submit())
    backup = house.keep(out)
    play(house, round_id)
    return backup


def _die(name: str) -> None:
    raise Crash(name)


def spent(house: BackedHouse) -> Fraction:
    parts = house.desk.enrolled()
    return parts.account.read("2026-2027", load_floors(house.store).rho_year, parts.mirror).spent


def logged_vectors(house: BackedHouse, round_id: bytes) -> list[bytes]:
    return [row.statement.vector for row in house.federation.round(round_id).attempts_of(house.node)]


def journal(house: BackedHouse) -> list[str]:
    return [record.kind for record in house.desk.enrolled().journal.verify()]


def report_of(house: BackedHouse) -> dict[str, Any]:
    return dict(house.call("rounds")["rounds"][0]["report"])


# -- never twice -------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", STAGES)
def test_backup_release_restore_release_gives_the_same_or_nothing(
    house: BackedHouse, reference: bytes, tmp_path: Path, stage: str
) -> None:
    round_id = house.start_round()
    backup = backup_at(house, round_id, stage, tmp_path / "b")
    sent = logged_vectors(house, round_id)
    house.come_back(backup, tmp_path / "new")
    house.sync()
    assert spent(house) == COST
    if stage in ("nothing", "charged"):
        assert report_of(house)["state"] == "lost"
        with pytest.raises(AttemptError) as caught:
            house.release(round_id)
        assert caught.value.code == "already-logged"
    else:
        assert house.release(round_id)["is_new"] == 0
        assert reference in bytes(house.store.query("SELECT payload FROM report")[0][0])
    assert house.desk.outgoing() is None
    assert logged_vectors(house, round_id) == sent
    assert spent(house) == COST


@pytest.mark.parametrize("stage", STAGES)
def test_a_log_that_hides_the_later_report_gets_the_same_vector(
    house: BackedHouse, reference: bytes, tmp_path: Path, stage: str
) -> None:
    round_id = house.start_round()
    size = house.federation.ledger.size
    backup = backup_at(house, round_id, stage, tmp_path / "b")
    house.come_back(backup, tmp_path / "new")
    federation = house.federation
    note = federation.checkpoint(sorted(federation.witnesses)[: federation.quorum], house.now, size)
    page = LogPage(0, tuple(federation.entries[:size]), note, note)
    house.desk.on_log(page.start, list(page.entries), page.latest, page.cosigned)
    house.release(round_id)
    assert house.payload(round_id).vector == reference
    if stage in ("nothing", "charged"):  # HPKE sealed it anew: another report of the same vector
        with pytest.raises(LedgerError):
            house.submit()
    house.sync()
    assert len(logged_vectors(house, round_id)) == 1
    assert spent(house) == COST


def test_a_correction_after_a_restore_is_the_next_attempt_and_names_the_lost_report(
    house: BackedHouse, tmp_path: Path
) -> None:
    round_id = house.start_round()
    backup = house.keep(tmp_path / "b")
    play(house, round_id)
    house.come_back(backup, tmp_path / "new")
    house.sync()
    house.save(pupils(shift=1))
    assert house.release(round_id)["attempt"] == 1
    house.desk.on_receipt(house.submit())
    house.sync()
    assert len(logged_vectors(house, round_id)) == 2
    assert len(set(logged_vectors(house, round_id))) == 2
    assert spent(house) == COST
    states = [row["state"] for row in house.call("rounds")["rounds"][0]["attempts"]]
    assert states == ["lost", "cosigned"]


def test_two_copies_that_run_both_get_one_report_into_the_log(
    house: BackedHouse, reference: bytes, tmp_path: Path
) -> None:
    round_id = house.start_round()
    backup = house.keep(tmp_path / "b")
    twin = BackedHouse(tmp_path / "twin", house.federation, is_enrolled=False)
    twin.come_back(backup, tmp_path / "new")
    for copy in (house, twin):
        copy.release(round_id)
        assert copy.payload(round_id).vector == reference
    play(house, round_id)
    with pytest.raises(LedgerError):
        twin.submit()
    twin.sync()
    assert twin.desk.outgoing() is None
    assert (report_of(twin)["state"], spent(twin), spent(house)) == ("dead", COST, COST)
    assert len(logged_vectors(house, round_id)) == 1
    twin.store.close()


def test_two_copies_in_two_rounds_cannot_both_go_on_from_the_same_report(
    house: BackedHouse, tmp_path: Path
) -> None:
    """A header names this node's report before it in the log: what the other copy sent is always seen."""
    house.save(pupils())
    first, second = (_small_round(house, number) for number in (1, 2))
    twin = BackedHouse(tmp_path / "twin", house.federation, is_enrolled=False)
    twin.come_back(house.keep(tmp_path / "b"), tmp_path / "new")
    twin.release(second)
    play(house, first)
    with pytest.raises(LedgerError, match="previous"):
        twin.submit()
    twin.sync()
    assert spent(twin) == 2 * spent(house)  # its own charge stands, the other's is in the log
    twin.store.close()


def _small_round(house: BackedHouse, number: int) -> bytes:
    round_id = house.publish(replace(plan_of(rho=Fraction(1, 10)), id=f"small-{number}"))
    house.federation.approve(round_id)
    house.sync()
    return round_id


# -- the copy ----------------------------------------------------------------------------------


def test_a_backup_holds_one_moment_whatever_is_written_meanwhile(house: BackedHouse, tmp_path: Path) -> None:
    house.save(pupils(3))
    other = VaultStore(house.folder / "vault.db", KEY)
    with other.transaction("before"):
        other.put_setting("before", b"1")
    with other.transaction("unfinished"):
        other.put_setting("unfinished", b"1")
        house.store.copy_into(tmp_path / "copy.db")
    with other.transaction("later"):
        other.put_setting("later", b"1")
    found = VaultStore(tmp_path / "copy.db", KEY)
    assert [found.setting(name) for name in ("before", "unfinished", "later")] == [b"1", None, None]
    assert found.damaged_pages() == ()
    found.close()
    other.close()


def test_another_process_may_write_while_the_copy_is_read(
    house: BackedHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.vault.backup.PIECE_BYTES", 8192)
    house.save(pupils())
    other = VaultStore(house.folder / "vault.db", KEY)
    handle = house.desk.handle

    def busy(command: Any, files: Any) -> Any:
        with other.transaction("meanwhile"):
            other.put_setting("meanwhile", os.urandom(3000))
        return handle(command, files)

    monkeypatch.setattr(house.desk, "handle", busy)
    backup = house.keep(tmp_path / "b")
    other.close()
    house.come_back(backup, tmp_path / "new")
    assert len(house.store.query("SELECT 1 FROM record")) == 30
    assert house.call("check_store")["damaged"] == []


def test_the_copy_is_private_and_removed(house: BackedHouse) -> None:
    answer = house.call("backup_begin")
    copy = house.folder / answer["name"]
    assert copy.stat().st_mode & 0o077 == 0
    assert copy.stat().st_size == answer["bytes"]
    assert b"SQLite format 3" not in copy.read_bytes()
    house.call("backup_end", name=answer["name"])
    house.call("backup_end", name=answer["name"])
    assert not copy.exists()


@pytest.mark.parametrize(
    "name", ["vault.db", "../school/vault/vault.db", "snapshot-0.db", "snapshot-" + "0" * 16]
)
def test_only_a_copy_is_handed_out(house: BackedHouse, name: str) -> None:
    for command in ({"command": "backup_read", "offset": 0}, {"command": "backup_end"}):
        with pytest.raises(VaultRefusal) as caught:
            house.session.call({**command, "name": name})
        assert caught.value.code == "no-snapshot"
    assert (house.folder / "vault.db").exists()


def test_a_copy_that_a_killed_command_left_is_removed_later(house: BackedHouse) -> None:
    old = house.folder / house.call("backup_begin")["name"]
    young = house.folder / house.call("backup_begin")["name"]
    past = (house.now - timedelta(hours=2)).timestamp()
    os.utime(old, (past, past))
    os.utime(young, (house.now.timestamp(), house.now.timestamp()))
    house.call("backup_begin")
    assert (old.exists(), young.exists()) == (False, True)


def test_backup_and_restore_stand_in_the_journal(house: BackedHouse, tmp_path: Path) -> None:
    backup = house.keep(tmp_path / "b")
    assert journal(house)[-1] == "backup"
    assert house.call("status")["safety"]["backup"].startswith("2026-")
    house.come_back(backup, tmp_path / "new")
    assert journal(house)[-2:] == ["backup", "restore"]
    assert house.call("status")["safety"]["restored"].startswith("2026-")
    assert house.call("check_store")["damaged"] == []


@pytest.mark.parametrize(
    "point", ["before backup", "after backup", "before backup made", "after backup made"]
)
def test_a_crash_while_backing_up_leaves_the_vault_whole(
    house: BackedHouse, tmp_path: Path, point: str
) -> None:
    house.stop_at = lambda name, _at: _die(name) if name == point else None
    with pytest.raises(Crash):
        house.keep(tmp_path / "b")
    house.stop_at = lambda _name, _at: None
    house.restart()
    assert house.call("check_store")["damaged"] == []
    house.keep(tmp_path / "again")
    house.come_back(tmp_path / "again", tmp_path / "new")


def test_a_damaged_record_file_gives_no_backup(house: BackedHouse, tmp_path: Path) -> None:
    house.save(pupils(300))
    house.store.close()
    path = house.folder / "vault.db"
    data = bytearray(path.read_bytes())
    data[-2000] ^= 1
    path.write_bytes(data)
    house.open()
    with pytest.raises(VaultRefusal) as caught:
        house.keep(tmp_path / "b")
    assert caught.value.code == "store-damaged"
    assert not (tmp_path / "b").exists()
    assert [item.name for item in house.folder.iterdir() if item.name.startswith("snapshot")] == []
    assert path.read_bytes()[-4096:] == bytes(data)[-4096:]


def test_a_copy_that_vanishes_is_no_short_backup(
    house: BackedHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.vault.backup.PIECE_BYTES", 8192)
    handle, calls = house.desk.handle, []

    def cut(command: Any, files: Any) -> Any:
        calls.append(command["command"])
        if calls.count("backup_read") == 2:
            return {}, {"piece": b""}
        return handle(command, files)

    monkeypatch.setattr(house.desk, "handle", cut)
    with pytest.raises(BackupError, match="expected"):
        house.keep(tmp_path / "b")
    assert not (tmp_path / "b").exists()
    assert calls[-1] == "backup_end"
    monkeypatch.undo()
    assert house.call("status")["safety"]["backup"] == ""


def test_a_restored_journal_that_is_broken_is_refused(house: BackedHouse, tmp_path: Path) -> None:
    with house.store.transaction("tamper"):
        house.store.execute("DROP TRIGGER journal_no_update")
        house.store.execute("UPDATE journal SET previous = ? WHERE seq = 1", (bytes(32),))
    backup = house.keep(tmp_path / "b")
    with pytest.raises(VaultRefusal) as caught:
        house.come_back(backup, tmp_path / "new")
    assert caught.value.code == "journal-broken"
    assert not (tmp_path / "new").exists()
    house.open()


def test_the_vault_errors_of_a_backup_are_of_its_room() -> None:
    assert not issubclass(BackupError, VaultError)
