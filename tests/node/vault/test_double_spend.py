"""Never two noisy vectors for one charge and attempt, and an account that is right, whatever happens.

The writes of a round at a school are: the *charge*, its *journal* record, the report's journal record, the
report itself, which is the *outbox* too, and the *acknowledgement* (receipt), then the page of the log. Each
test lets something happen at or between them, plays the round to its end, and `assert_settled` compares
bytes: one vector, equal to that of an undisturbed school, ever offered or stored; one charge; the account is
the union of charges and log.

Elsewhere: crashes around commits, threads, records that change in between (test_release.py); every durable
write of all parties of a county (tests/county/test_crashes.py); processes killed in a running county
(tests/demo/test_kills.py); what is refunded and what predecessors spent (test_account.py).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from fakes_vault import Crash, plan_of, pupils
from watched_vault import WatchedHouse

import node.vault.release as release_module
from node.vault.enrol import load_floors
from node.vault.errors import AccountError, AttemptError, VaultError
from plan.layout import build_layout
from protos.convert import LogPage
from protos.errors import LedgerError

ROOT = Path(__file__).resolve().parents[3]
YEAR = "2026-2027"
COST = build_layout(plan_of()).claimed_rho
WRITES = ("charge", "journal", "journal", "report", "receipt", "log_entry", "checkpoint", "checkpoint")
POINTS = [
    *("before row of charge", "after row of charge", "before row of journal", "after row of journal"),
    *("before charge", "after charge"),
    *("before row of journal", "after row of journal", "before row of report", "after row of report"),
    *("before report", "after report"),
    *("before row of receipt", "after row of receipt", "before receipt", "after receipt"),
    *("before row of log_entry", "after row of log_entry"),
    *("before row of checkpoint", "after row of checkpoint") * 2,
    *("before log page", "after log page"),
]
POINT_IDS = [f"{place}-{name.replace(' ', '-')}" for place, name in enumerate(POINTS)]


@pytest.fixture
def watched(tmp_path: Path) -> WatchedHouse:
    """A school with its records, ready to release `round_of` its federation."""
    folder = tmp_path / "school"
    folder.mkdir()
    return WatchedHouse(folder)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The vector that an undisturbed release makes: same keys, same log, same records."""
    house = WatchedHouse(tmp_path_factory.mktemp("reference"))
    round_id = house.start_round()
    house.release(round_id)
    vector = house.payload(round_id).vector
    house.store.close()
    return vector


def deliver(house: WatchedHouse) -> bytes | None:
    """Do egress' part once: offer, log, hand over receipt and page; returns what was offered."""
    payload = house.desk.outgoing()
    if payload is not None:
        house.desk.on_receipt(house.submit())
    house.sync()
    return payload


def play(house: WatchedHouse, round_id: bytes) -> set[bytes]:
    """Release and deliver; returns every payload that was offered."""
    house.release(round_id)
    payload = deliver(house)
    return set() if payload is None else {payload}


def play_twice(house: WatchedHouse, round_id: bytes) -> None:
    """Play, and play again with a newer checkpoint each time."""
    for _ in range(2):
        play(house, round_id)
        house.sync(now=house.now + timedelta(seconds=len(house.points)))


def rows(house: WatchedHouse, table: str) -> int:
    return len(house.store.query(f"SELECT 1 FROM {table}"))


def kinds(house: WatchedHouse) -> list[str]:
    parts = house.desk.enrolled()
    return [record.kind for record in parts.journal.verify() if record.kind in ("charge", "report")]


def spent(house: WatchedHouse) -> Fraction:
    parts = house.desk.enrolled()
    account = parts.account.read(YEAR, load_floors(house.store).rho_year, parts.mirror)
    return account.spent


def logged_vectors(house: WatchedHouse, round_id: bytes) -> list[bytes]:
    """The digests of this school's vectors in the log, by attempt."""
    return [row.statement.vector for row in house.federation.round(round_id).attempts_of(house.node)]


def assert_settled(house: WatchedHouse, round_id: bytes, reference: bytes, offered: set[bytes]) -> None:
    """One vector, one charge, one record of each in the journal, the account is the union of both sources."""
    stored = [bytes(row[0]) for row in house.store.query("SELECT payload FROM report")]
    assert len(stored) == 1
    assert offered <= set(stored)
    assert reference in stored[0]
    assert len(logged_vectors(house, round_id)) == 1
    assert (rows(house, "charge"), rows(house, "receipt")) == (1, 1)
    assert kinds(house) == ["charge", "report"]
    assert spent(house) == COST
    assert house.desk.outgoing() is None
    assert house.call("check_store")["damaged"] == []
    assert house.call("recompute", round=round_id.hex(), attempt=0)["outcome"] == "PASS"


# -- crashes -----------------------------------------------------------------------------------


def test_the_writes_of_a_round_are_those_that_are_crashed_below(
    watched: WatchedHouse, reference: bytes
) -> None:
    round_id = watched.start_round()
    watched.watch()
    offered = play(watched, round_id)
    assert watched.points == POINTS
    assert tuple(name[14:] for name in POINTS if name.startswith("before row of ")) == WRITES
    assert_settled(watched, round_id, reference, offered)


@pytest.mark.parametrize("point", range(len(POINTS)), ids=POINT_IDS)
def test_a_crash_right_before_and_right_after_every_write(
    watched: WatchedHouse, reference: bytes, point: int
) -> None:
    round_id = watched.start_round()
    watched.watch(point)
    offered: set[bytes] = set()
    with pytest.raises(Crash):
        offered |= play(watched, round_id)
    watched.restart()
    offered |= {payload for payload in (watched.desk.outgoing(),) if payload is not None}
    assert rows(watched, "charge") <= 1
    assert rows(watched, "report") <= rows(watched, "charge")  # no noise without its charge
    assert spent(watched) == (COST if rows(watched, "charge") else 0)
    offered |= play(watched, round_id)
    assert_settled(watched, round_id, reference, offered)


@pytest.mark.parametrize("point", range(0, len(POINTS), 5), ids=POINT_IDS[::5])
def test_two_crashes_in_one_round(watched: WatchedHouse, reference: bytes, point: int) -> None:
    round_id = watched.start_round()
    for again in (point, point // 2):
        watched.watch(again)
        with pytest.raises(Crash):
            play_twice(watched, round_id)  # what is done already passes fewer points
        watched.restart()
    offered = play(watched, round_id)
    watched.sync()
    assert_settled(watched, round_id, reference, offered)


def start_process(house: WatchedHouse, round_id: bytes, point: str) -> subprocess.Popen[str]:
    """Start a real process on this (closed) vault; it waits for a line."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    process = subprocess.Popen(
        [sys.executable, "-m", "watched_vault", str(house.folder), round_id.hex(), point],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=house.folder,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def finish(process: subprocess.Popen[str]) -> str:
    out, _ = process.communicate("\n", timeout=60)
    return out.strip()


@pytest.mark.process
@pytest.mark.parametrize(
    "point", ["after row of charge", "after charge", "after row of report", "after report"]
)
def test_a_real_process_is_killed_at_a_write(watched: WatchedHouse, reference: bytes, point: str) -> None:
    round_id = watched.start_round()
    watched.store.close()
    process = start_process(watched, round_id, point)
    assert (finish(process), process.returncode) == ("", -signal.SIGKILL)
    watched.open()
    is_charged = point not in ("after row of charge",)
    assert rows(watched, "charge") == int(is_charged)
    assert rows(watched, "report") == int(point == "after report")
    offered = {payload for payload in (watched.desk.outgoing(),) if payload is not None}
    offered |= play(watched, round_id)
    assert_settled(watched, round_id, reference, offered)


# -- again, and at the same time ---------------------------------------------------------------


def test_a_replay_of_everything_changes_nothing(watched: WatchedHouse, reference: bytes) -> None:
    round_id = watched.start_round()
    offered: set[bytes] = set()
    first = watched.release(round_id)
    receipt = watched.submit()
    for _ in range(3):
        again = watched.release(round_id)
        assert (again["is_new"], again["digest"]) == (0, first["digest"])
        offered |= {payload for payload in (watched.desk.outgoing(),) if payload is not None}
        assert watched.submit() == receipt
        assert watched.desk.on_receipt(receipt)
        watched.restart()
    for _ in range(2):
        watched.sync()
        watched.desk.on_receipt(receipt)
        assert watched.release(round_id)["is_new"] == 0
    assert_settled(watched, round_id, reference, offered)


@pytest.mark.process
def test_two_real_processes_release_at_the_same_time(watched: WatchedHouse, reference: bytes) -> None:
    round_id = watched.start_round()
    watched.store.close()
    processes = [start_process(watched, round_id, "-") for _ in range(2)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    digests = {process.communicate(timeout=60)[0].strip() for process in processes}
    watched.open()
    assert digests == {watched.call("rounds")["rounds"][0]["report"]["digest"]}
    assert_settled(watched, round_id, reference, play(watched, round_id))


def quarter(house: WatchedHouse, number: int) -> bytes:
    """Start a round that costs half of the year's cap."""
    round_id = house.publish(replace(plan_of(rho=Fraction(1, 4)), id=f"quarter-{number}"))
    house.federation.approve(round_id)
    house.sync()
    return round_id


@pytest.mark.parametrize("is_delivered", [True, False], ids=["delivered", "waiting"])
def test_two_rounds_at_the_same_time_do_not_both_take_what_is_left(
    watched: WatchedHouse, monkeypatch: pytest.MonkeyPatch, is_delivered: bool
) -> None:
    """Another process charges another round after this one has read the account and before it charges."""
    house = watched
    house.save(pupils())
    play(house, quarter(house, 1))
    second, third = quarter(house, 2), quarter(house, 3)
    other = WatchedHouse(house.folder, house.federation, is_enrolled=False)
    check = release_module.check_round

    def meanwhile(parts: object, round_id: bytes) -> object:
        checked = check(parts, round_id)  # type: ignore[arg-type]
        monkeypatch.setattr(release_module, "check_round", check)
        other.release(second)
        if is_delivered:
            deliver(other)
        return checked

    monkeypatch.setattr(release_module, "check_round", meanwhile)
    with pytest.raises(VaultError) as caught:
        house.release(third)
    assert caught.value.code == ("account-exceeded" if is_delivered else "report-waiting")
    assert Fraction(49, 100) < spent(house) <= Fraction(1, 2)
    assert (rows(house, "charge"), rows(house, "report")) == (2, 2)
    deliver(house)
    with pytest.raises(AccountError):
        house.release(third)
    assert (rows(house, "charge"), rows(house, "report")) == (2, 2)
    other.store.close()


# -- clocks, backups, an old log ---------------------------------------------------------------


@pytest.mark.parametrize("back", [timedelta(hours=2), timedelta(days=40), timedelta(days=3650)], ids=str)
def test_a_clock_that_is_set_back_gives_neither_a_vector_nor_an_account_anew(
    watched: WatchedHouse, reference: bytes, back: timedelta
) -> None:
    round_id = watched.start_round()
    offered = play(watched, round_id)
    watched.now -= back
    watched.restart()
    assert watched.release(round_id)["is_new"] == 0
    assert_settled(watched, round_id, reference, offered)
    later = watched.publish(replace(plan_of(), id="later"))
    watched.federation.approve(later)
    watched.sync(now=watched.now + back)
    watched.release(later)
    assert spent(watched) == 2 * COST  # of the same year
    assert {row[0] for row in watched.store.query("SELECT school_year FROM charge")} == {YEAR}


STAGES = ("nothing", "charged", "released", "acknowledged")


def backup_at(house: WatchedHouse, round_id: bytes, stage: str) -> Path:
    """Play a round to its end, and give the backup that was made at a stage of it."""
    if stage == "charged":
        house.watch(POINTS.index("after charge"))
        with pytest.raises(Crash):
            house.release(round_id)
    elif stage != "nothing":
        house.release(round_id)
        if stage == "acknowledged":
            house.desk.on_receipt(house.submit())
    backup = house.back_up()
    play(house, round_id)
    return backup


def old_page(house: WatchedHouse, size: int) -> LogPage:
    """What a coordinator shows that hides everything from `size` on: auditors had cosigned it so."""
    federation = house.federation
    note = federation.checkpoint(sorted(federation.witnesses)[: federation.quorum], house.now, size)
    return LogPage(0, tuple(federation.entries[:size]), note, note)


def show(house: WatchedHouse, page: LogPage) -> None:
    house.desk.on_log(page.start, list(page.entries), page.latest, page.cosigned)


@pytest.mark.parametrize("stage", STAGES)
def test_a_restored_backup_with_the_log_showing_the_later_report(
    watched: WatchedHouse, reference: bytes, stage: str
) -> None:
    round_id = watched.start_round()
    backup = backup_at(watched, round_id, stage)
    sent = logged_vectors(watched, round_id)
    watched.restore(backup)
    watched.sync()
    assert spent(watched) == COST  # from the log, whatever the backup knows
    if stage in ("nothing", "charged"):
        with pytest.raises(AttemptError) as caught:
            watched.release(round_id)
        assert caught.value.code == "already-logged"
        assert rows(watched, "report") == 0
    else:
        assert watched.release(round_id)["is_new"] == 0
        assert reference in bytes(watched.store.query("SELECT payload FROM report")[0][0])
    assert watched.desk.outgoing() is None
    assert logged_vectors(watched, round_id) == sent
    assert spent(watched) == COST


@pytest.mark.parametrize("stage", STAGES)
def test_a_restored_backup_and_a_log_that_hides_the_later_report(
    watched: WatchedHouse, reference: bytes, stage: str
) -> None:
    """The node makes the same vector again, byte for byte; no second report is logged beside the first."""
    round_id = watched.start_round()
    size = watched.federation.ledger.size
    backup = backup_at(watched, round_id, stage)
    sent = logged_vectors(watched, round_id)
    watched.restore(backup)
    show(watched, old_page(watched, size))
    watched.release(round_id)
    assert watched.payload(round_id).vector == reference
    assert spent(watched) == COST
    if stage in ("nothing", "charged"):  # HPKE sealed it anew: another report, the same vector
        with pytest.raises(LedgerError):
            watched.submit()
    watched.sync()
    assert watched.desk.outgoing() is None
    assert logged_vectors(watched, round_id) == sent
    assert spent(watched) == COST
    assert (rows(watched, "charge"), rows(watched, "report")) == (1, 1)


def test_a_restored_backup_and_a_log_that_hides_a_round_let_no_other_round_into_the_log(
    watched: WatchedHouse,
) -> None:
    """An account that was shown too little is right again, and what it let through counts nowhere."""
    house = watched
    house.save(pupils())
    play(house, quarter(house, 1))
    second, third = quarter(house, 2), quarter(house, 3)
    size = house.federation.ledger.size
    backup = house.back_up()
    play(house, second)
    house.restore(backup)
    show(house, old_page(house, size))
    house.release(third)
    with pytest.raises(LedgerError, match="previous"):
        house.submit()  # its header names the report before the hidden one
    house.sync()
    assert logged_vectors(house, third) == []
    assert spent(house) > Fraction(1, 2)  # all three are counted: nothing more goes out this year
    with pytest.raises(VaultError):
        house.release(quarter(house, 4))


@pytest.mark.parametrize("stage", STAGES[1:])
def test_an_older_log_shown_to_a_school_that_knows_better(
    watched: WatchedHouse, reference: bytes, stage: str
) -> None:
    round_id = watched.start_round()
    size = watched.federation.ledger.size
    backup = backup_at(watched, round_id, stage)
    backup.unlink()
    page = old_page(watched, size)
    shown: list[Callable[[], None]] = [lambda: show(watched, page), lambda: watched.restart() and None]
    for step in (*shown, *shown):
        step()
        assert spent(watched) == COST
        assert watched.desk.outgoing() is None
        assert watched.release(round_id)["is_new"] == 0
    assert_settled(watched, round_id, reference, set())


def test_a_copy_of_the_whole_folder_makes_the_same_vector(
    watched: WatchedHouse, reference: bytes, tmp_path: Path
) -> None:
    """Two machines with one vault: what they send differs in the sealing alone, and one of it is logged."""
    round_id = watched.start_round()
    watched.store.close()
    shutil.copytree(watched.folder, tmp_path / "copy")
    watched.open()
    twin = WatchedHouse(tmp_path / "copy", watched.federation, is_enrolled=False)
    for house in (watched, twin):
        house.release(round_id)
        assert house.payload(round_id).vector == reference
    deliver(watched)
    with pytest.raises(LedgerError):
        twin.submit()
    twin.sync()
    assert twin.desk.outgoing() is None
    assert spent(twin) == spent(watched) == COST
    assert len(logged_vectors(watched, round_id)) == 1
    twin.store.close()
