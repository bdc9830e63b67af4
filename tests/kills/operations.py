"""What is killed, and what must be true right after the kill and after the command was given again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from fakes_vault import KEY
from kills.scenes import BY, NUM_PUPILS, Stage, State, _connect, read_state
from kills.tracing import Traced

from node.vault.migrations import copy_name

SETTLE_S = 0.3


class SpoiltError(AssertionError):
    """A kill did harm."""


def require(is_true: object, what: str) -> None:
    """Raise SpoiltError unless it is true."""
    if not is_true:
        raise SpoiltError(what)


@dataclass(frozen=True)
class Operation:
    """One kind of work.

    Attributes:
        name: for the table.
        stage: the folder it starts from.
        line: its command line for a folder.
        between: checks what a kill left: (stage, folder, state before, state now).
        end: checks what stands when the command was given again: (stage, folder, undisturbed, before, now).
        is_service: it runs until it is told to stop.
        again: the command line after a kill, where that is another one.
    """

    name: str
    stage: str
    line: Callable[[Stage, Path], list[str]]
    between: Callable[[Stage, Path, State, State], None]
    end: Callable[[Stage, Path, State, State, State], None]
    is_service: bool = False
    again: Callable[[Stage, Path], list[str]] | None = None

    def run(self, stage: Stage, folder: Path, kill_at: int | None) -> Traced:
        """Run it, followed from call to call, killed at a point or to its end."""
        return stage.trace(self.line(stage, folder), kill_at, **self._service(stage))

    def finish(self, stage: Stage, folder: Path) -> int:
        """Give the command again, to its end, as a person would; returns its exit code."""
        return stage.finish((self.again or self.line)(stage, folder), **self._service(stage))

    def _service(self, stage: Stage) -> dict[str, Any]:
        return {"stdin": KEY, "stop_when": _delivered(stage)} if self.is_service else {}


def _delivered(stage: Stage) -> Callable[[], bool]:
    """True a little after the node, from now on, has read the log up to its own report."""
    since: list[float] = []
    stage.county.starts.clear()

    def is_delivered() -> bool:
        county = stage.county
        if county.reports and len(county.federation.entries) in county.starts:
            since.append(time.monotonic())
        return bool(since) and time.monotonic() > since[0] + SETTLE_S

    return is_delivered


# ---------------------------------------------------------------- what must be true


def _always(before: State, now: State) -> None:
    require(now.damaged == (), f"damaged: {now.damaged}")
    require(now.journal[: len(before.journal)] == before.journal, "the journal lost what it had")
    require(len(now.charges) == len(set(now.charges)) <= 1, f"{len(now.charges)} charges")
    require(set(before.charges) <= set(now.charges), "a charge was taken back")
    require(set(before.payloads) <= set(now.payloads), "the bytes of a report changed")


def _after_import(_stage: Stage, _folder: Path, before: State, now: State) -> None:
    require(now.num_records in (before.num_records, NUM_PUPILS), f"{now.num_records} records: half an import")
    require(sum(row[2] for row in now.sets) == now.num_records, "a set counts other records than there are")


def _imported(_stage: Stage, _folder: Path, undisturbed: State, _before: State, now: State) -> None:
    require({row[1:] for row in now.sets} == {row[1:] for row in undisturbed.sets}, "other records")
    require(now.num_records == NUM_PUPILS, f"{now.num_records} records")
    more = now.journal[len(undisturbed.journal) :]
    require(set(more) <= set(undisturbed.journal) and len(more) <= 1, f"journal: {now.journal}")


def _after_release(_stage: Stage, _folder: Path, _before: State, now: State) -> None:
    require(len(now.reports) <= 1, f"{len(now.reports)} reports")
    require(len(now.charges) >= len(now.reports), "a report without a charge")


def _released(stage: Stage, _folder: Path, undisturbed: State, _before: State, now: State) -> None:
    require(len(now.charges) == 1, f"{len(now.charges)} charges")
    require([row[0] for row in now.reports] == [0], f"attempts {now.reports}")
    require(now.journal == undisturbed.journal, f"journal: {now.journal}")
    vectors = [state.vectors(stage.county.federation, stage.round_id) for state in (now, undisturbed)]
    require(vectors[0] == vectors[1] and len(vectors[0]) == 1, "another noisy vector")


def _after_send(stage: Stage, _folder: Path, before: State, now: State) -> None:
    require(now.payloads == before.payloads, "the report's bytes changed")
    require(set(stage.county.reports) <= set(before.payloads), "other bytes were sent")


def _sent(stage: Stage, folder: Path, undisturbed: State, before: State, now: State) -> None:
    _after_send(stage, folder, before, now)
    require(set(stage.county.reports) == set(before.payloads), "not sent, or other bytes")
    require(now.states == undisturbed.states, f"state {now.states}, undisturbed {undisturbed.states}")
    # The immediate receipt is lost with whom it was for; the one made from the cosigned log is not.
    require(set(now.receipts) <= set(undisturbed.receipts), f"receipts {now.receipts}")


def _after_migration(_stage: Stage, folder: Path, before: State, now: State) -> None:
    require(replace(now, damaged=()) == replace(before, damaged=()), "migration lost something")
    path = folder / "vault" / "vault.db"
    version = format_of(path)
    require(version in (1, 2), f"format {version}")
    if version == 2:
        require(format_of(copy_name(path, 1)) == 1, "no copy of the older file")


def _migrated(_stage: Stage, folder: Path, undisturbed: State, before: State, now: State) -> None:
    _after_migration(_stage, folder, before, now)
    require(format_of(folder / "vault" / "vault.db") == 2, "not migrated")
    require(now == undisturbed, "another content than without a kill")


def _backup_line(stage: Stage, folder: Path) -> list[str]:
    """A new name each time: a backup is never written over."""
    out = folder / "backups"
    out.mkdir(exist_ok=True)
    return stage.command("backup", folder, "--out", str(out / f"{len(list(out.iterdir()))}.backup"))


def _after_backup(_stage: Stage, _folder: Path, before: State, now: State) -> None:
    grown = len(now.journal) - len(before.journal)
    require(grown <= 2, f"{grown} new rows in the journal")
    require(replace(now, journal=()) == replace(before, journal=()), "a backup changed the record file")


def _backed_up(stage: Stage, folder: Path, undisturbed: State, before: State, now: State) -> None:
    """Every file under a backup's own name restores, whenever its command was killed."""
    _after_backup(stage, folder, before, now)
    files = sorted((folder / "backups").glob("[0-9]*.backup"))
    require(files, "no backup")
    for file in files:
        target = folder / f"restored-{file.stem}"
        code = stage.finish(stage.command("restore", target, str(file)))
        require(code == 0, f"a backup does not restore: {said(stage)}")
        _after_restore(stage, target, before, read_state(target))


def _restore_line(stage: Stage, folder: Path) -> list[str]:
    if not (folder / "a.backup").exists():
        code = stage.finish(stage.command("backup", folder, "--out", str(folder / "a.backup")))
        require(code == 0, f"no backup: {said(stage)}")
    return stage.command("restore", folder / "restored", str(folder / "a.backup"))


def _restore_again(stage: Stage, folder: Path) -> list[str]:
    """What a person does: a folder that is whole is taken as it is, else the command is given again."""
    if (folder / "restored").exists():
        return stage.command("status", folder / "restored")
    return _restore_line(stage, folder)


def _after_restore(_stage: Stage, folder: Path, before: State, now: State) -> None:
    require(now.journal[-1] == "restore", f"journal: {now.journal}")
    require(replace(now, journal=()) == replace(before, journal=()), "another content than was backed up")


def _during_restore(stage: Stage, folder: Path, before: State, _now: State) -> None:
    if (folder / "restored").exists():
        _after_restore(stage, folder, before, read_state(folder / "restored"))


def _restored(stage: Stage, folder: Path, _undisturbed: State, before: State, _now: State) -> None:
    _after_restore(stage, folder, before, read_state(folder / "restored"))


def format_of(path: Path) -> int:
    """Read a record file's format without bringing it up."""
    connection = _connect(path)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


OPERATIONS = (
    Operation(
        "import",
        "enrolled",
        lambda stage, folder: stage.command("import", folder, *stage.files),
        _after_import,
        _imported,
    ),
    Operation(
        "release",
        "imported",
        lambda stage, folder: stage.command("release", folder, stage.round_id.hex()[:16], "--by", BY),
        _after_release,
        _released,
    ),
    Operation(
        "send",
        "released",
        lambda stage, folder: stage.supervise(folder),
        _after_send,
        _sent,
        is_service=True,
    ),
    Operation(
        "migration",
        "older",
        lambda stage, folder: stage.command("status", folder),
        _after_migration,
        _migrated,
    ),
    Operation("backup", "released", _backup_line, _after_backup, _backed_up),
    Operation("restore", "released", _restore_line, _during_restore, _restored, again=_restore_again),
)


# ---------------------------------------------------------------- one operation


@dataclass
class Outcome:
    """What became of one kill.

    Attributes:
        point: where it was asked for.
        killed_at: the call; empty when the operation was over before.
        problem: what was spoilt; empty if nothing.
        had_report: whether a report was stored by then, whose bytes had to stay.
    """

    point: int
    killed_at: str
    problem: str = ""
    had_report: bool = False


@dataclass(frozen=True)
class Reference:
    """An undisturbed run: how many points it has, what stood before and what afterwards."""

    points: int
    before: State
    after: State


def undisturbed(stage: Stage, operation: Operation) -> Reference:
    """Run an operation without a kill."""
    with stage.copy_of(operation.stage) as folder:
        before = read_state(folder)
        traced = operation.run(stage, folder, None)
        require(traced.exit_code == 0, f"{operation.name} fails without a kill: {said(stage)}")
        after = read_state(folder)
        operation.end(stage, folder, after, before, after)
    return Reference(traced.points, before, after)


def kill_once(stage: Stage, operation: Operation, reference: Reference, point: int) -> Outcome:
    """Kill an operation at a point, look, give the command again, look again."""
    with stage.copy_of(operation.stage) as folder:
        traced = operation.run(stage, folder, point)
        outcome = Outcome(point, traced.killed_at)
        try:
            now = read_state(folder)
            outcome.had_report = bool(now.payloads)
            _always(reference.before, now)
            operation.between(stage, folder, reference.before, now)
            code = operation.finish(stage, folder)
            require(code == 0, f"given again it ends with {code}: {said(stage)}")
            end = read_state(folder)
            _always(now, end)
            operation.end(stage, folder, reference.after, reference.before, end)
        except Exception as err:
            outcome.problem = f"{type(err).__name__}: {err}"
        return outcome


def said(stage: Stage) -> str:
    """The end of what the last command printed."""
    return (stage.root / "last.out").read_text("utf-8", "replace")[-400:]


def choose(points: int, random: Random) -> list[int]:
    """Put all points in a random order."""
    return random.sample(range(points), points)
