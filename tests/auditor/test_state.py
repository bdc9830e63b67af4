"""The durable state: slots are filled once, whole or not at all, wherever a crash falls."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from auditor.durable import create_exclusively, replace_durably
from auditor.errors import BusyError, SlotTakenError, StateError
from auditor.state import SecretKind, SlotKind, State

ROUND = bytes(range(32))
OTHER_ROUND = bytes(32)
REPOSITORY = Path(__file__).resolve().parents[2]


class Crash(Exception):
    """The process dies here."""


class CrashAt:
    """A `durable` hook that dies at its n-th call."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.steps: list[str] = []

    def __call__(self, step: str) -> None:
        self.steps.append(step)
        if len(self.steps) == self.number:
            raise Crash(step)


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state")


def test_a_slot_returns_what_was_signed(state: State) -> None:
    assert state.slot(SlotKind.DECISION, ROUND) is None
    assert state.fill_slot(SlotKind.DECISION, ROUND, b"agreement") == b"agreement"
    assert state.slot(SlotKind.DECISION, ROUND) == b"agreement"
    assert state.slot(SlotKind.DECISION, OTHER_ROUND) is None
    assert state.slot(SlotKind.OPENING, ROUND) is None


def test_a_slot_survives_a_restart(state: State) -> None:
    state.fill_slot(SlotKind.APPROVAL, ROUND, b"signed")
    assert State(state.directory).slot(SlotKind.APPROVAL, ROUND) == b"signed"


def test_the_same_bytes_again_are_a_repeat(state: State) -> None:
    state.fill_slot(SlotKind.DECISION, ROUND, b"agreement")
    assert state.fill_slot(SlotKind.DECISION, ROUND, b"agreement") == b"agreement"


def test_other_bytes_find_the_slot_taken(state: State) -> None:
    state.fill_slot(SlotKind.DECISION, ROUND, b"agreement")
    with pytest.raises(SlotTakenError, match="already signed a decision"):
        state.fill_slot(SlotKind.DECISION, ROUND, b"abandon")
    assert state.slot(SlotKind.DECISION, ROUND) == b"agreement"


@pytest.mark.parametrize("number", range(1, 4))
@pytest.mark.parametrize("after", [b"agreement", b"abandon"], ids=["same", "other"])
def test_a_crash_while_filling_leaves_one_decision(tmp_path: Path, number: int, after: bytes) -> None:
    directory = tmp_path / "state"
    State(directory)
    with pytest.raises(Crash):
        State(directory, durable=CrashAt(number)).fill_slot(SlotKind.DECISION, ROUND, b"agreement")
    state = State(directory)
    survived = state.slot(SlotKind.DECISION, ROUND)
    assert survived == (b"agreement" if number == 3 else None)
    if survived in (None, after):
        assert state.fill_slot(SlotKind.DECISION, ROUND, after) == after
    else:
        with pytest.raises(SlotTakenError):
            state.fill_slot(SlotKind.DECISION, ROUND, after)
        assert state.slot(SlotKind.DECISION, ROUND) == b"agreement"


def test_every_durable_write_reports_before_and_after(tmp_path: Path) -> None:
    steps = CrashAt(0)
    State(tmp_path / "state", durable=steps).fill_slot(SlotKind.CHECKED, ROUND, b"x")
    assert steps.steps[:3] == ["instance before", "instance staged", "instance after"]
    assert steps.steps[3:] == ["slot-checked before", "slot-checked staged", "slot-checked after"]


@pytest.mark.parametrize("position", [0, 30, 45, 80, -1], ids=["magic", "instance", "sum", "sum2", "content"])
def test_a_damaged_slot_is_refused(state: State, position: int) -> None:
    state.fill_slot(SlotKind.DECISION, ROUND, b"agreement bytes")
    path = state.directory / "slots" / f"{ROUND.hex()}.decision"
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(StateError):
        state.slot(SlotKind.DECISION, ROUND)
    with pytest.raises(StateError):
        state.fill_slot(SlotKind.DECISION, ROUND, b"abandon")


@pytest.mark.parametrize("size", [0, 1, 40])
def test_a_torn_slot_is_refused(state: State, size: int) -> None:
    state.fill_slot(SlotKind.DECISION, ROUND, b"agreement bytes")
    path = state.directory / "slots" / f"{ROUND.hex()}.decision"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(StateError, match="damaged"):
        state.slot(SlotKind.DECISION, ROUND)


def test_a_lost_instance_id_gets_a_new_one_and_the_old_slots_are_refused(state: State) -> None:
    state.fill_slot(SlotKind.APPROVAL, ROUND, b"signed")
    (state.directory / "instance").unlink()
    restored = State(state.directory)
    assert restored.instance != state.instance
    with pytest.raises(StateError, match="another instance"):
        restored.slot(SlotKind.APPROVAL, ROUND)


@pytest.mark.parametrize("content", [b"", b"short", bytes(17)])
def test_an_instance_file_of_another_length_is_refused(state: State, content: bytes) -> None:
    (state.directory / "instance").write_bytes(content)
    with pytest.raises(StateError, match="16 bytes expected"):
        State(state.directory)


def test_two_states_have_two_instance_ids(tmp_path: Path) -> None:
    assert State(tmp_path / "a").instance != State(tmp_path / "b").instance


def test_a_secret_is_made_once_and_destroyed_for_ever(state: State) -> None:
    assert state.keep_secret(SecretKind.ROUND_KEY, ROUND, b"k" * 96) == b"k" * 96
    assert state.keep_secret(SecretKind.ROUND_KEY, ROUND, b"z" * 96) == b"k" * 96
    assert state.destroy_secret(SecretKind.ROUND_KEY, ROUND)
    assert not state.destroy_secret(SecretKind.ROUND_KEY, ROUND)
    assert state.secret(SecretKind.ROUND_KEY, ROUND) is None
    with pytest.raises(StateError, match="never made again"):
        state.keep_secret(SecretKind.ROUND_KEY, ROUND, b"n" * 96)


def test_destroying_overwrites_the_file_itself(state: State) -> None:
    state.keep_secret(SecretKind.ROUND_KEY, ROUND, b"k" * 96)
    path = state.directory / "secrets" / f"{ROUND.hex()}.round-key"
    second_name = state.directory / "kept"
    os.link(path, second_name)
    state.destroy_secret(SecretKind.ROUND_KEY, ROUND)
    assert not path.exists()
    assert second_name.read_bytes() == bytes(96)


@pytest.mark.parametrize("number", range(2, 8))
def test_a_crash_while_destroying_never_gives_the_secret_back(tmp_path: Path, number: int) -> None:
    state = State(tmp_path / "state")
    state.keep_secret(SecretKind.ROUND_KEY, ROUND, b"k" * 96)
    hook = CrashAt(number)
    dying = State(state.directory, durable=hook)
    try:
        dying.destroy_secret(SecretKind.ROUND_KEY, ROUND)
    except Crash:
        after = State(state.directory)
        tombstone = state.directory / "secrets" / f"{ROUND.hex()}.round-key.destroyed"
        assert after.secret(SecretKind.ROUND_KEY, ROUND) == (None if tombstone.exists() else b"k" * 96)
        after.destroy_secret(SecretKind.ROUND_KEY, ROUND)
    assert not (state.directory / "secrets" / f"{ROUND.hex()}.round-key").exists()
    assert State(state.directory).secret(SecretKind.ROUND_KEY, ROUND) is None


def test_file_and_folder_are_synced_before_the_write_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    steps: list[str] = []

    def fsync(descriptor: int) -> None:
        mode = os.fstat(descriptor).st_mode
        steps.append("folder" if stat.S_ISDIR(mode) else f"file of {os.fstat(descriptor).st_size}")

    monkeypatch.setattr(os, "fsync", fsync)
    create_exclusively(path, b"content", "x", steps.append)
    replace_durably(path, b"longer content", "x", steps.append)
    assert steps == [
        *("x before", "file of 7", "x staged", "folder", "x after"),
        *("x before", "file of 14", "x staged", "folder", "x after"),
    ]


def test_a_stored_sum_never_changes(state: State) -> None:
    state.keep_sum(ROUND, 3, b"sum")
    state.keep_sum(ROUND, 3, b"sum")
    with pytest.raises(SlotTakenError, match="another mask sum"):
        state.keep_sum(ROUND, 3, b"mus")
    assert state.stored_sum(ROUND, 3) == b"sum"
    assert state.stored_sum(ROUND, 5) is None


def test_exclusive_create_leaves_nothing_behind_when_taken(tmp_path: Path) -> None:
    path = tmp_path / "file"
    create_exclusively(path, b"first", "x")
    with pytest.raises(SlotTakenError):
        create_exclusively(path, b"second", "x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"first"


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_replaced_record_is_the_old_or_the_new_one(tmp_path: Path, number: int) -> None:
    path = tmp_path / "record"
    replace_durably(path, b"old", "x")
    with pytest.raises(Crash):
        replace_durably(path, b"new", "x", CrashAt(number))
    assert path.read_bytes() == (b"new" if number == 3 else b"old")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")
def test_files_and_folders_are_for_the_owner_only(state: State) -> None:
    state.keep_secret(SecretKind.DRAW, ROUND, b"d" * 32)
    for path in [state.directory, *state.directory.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_the_lock_keeps_another_object_out(state: State) -> None:
    other = State(state.directory)
    with (
        state.locked(),
        state.locked(),
        pytest.raises(BusyError, match="another process"),
        other.locked(0.05),
    ):
        pass
    with other.locked(0.05):
        pass


def test_the_lock_keeps_another_process_out_and_dies_with_its_holder(state: State) -> None:
    program = textwrap.dedent(
        f"""
        import sys, time
        from pathlib import Path
        from auditor.state import State
        with State(Path({str(state.directory)!r})).locked():
            print("held", flush=True)
            time.sleep(60)
        """
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=REPOSITORY) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(BusyError), state.locked(0.05):
            pass
        process.kill()
        process.wait()
    with state.locked(0.5):
        pass
