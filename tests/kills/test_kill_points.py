"""A short run of `tests/kills/run.py`, and what its checks notice."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from kills.operations import (
    OPERATIONS,
    Operation,
    SpoiltError,
    _after_import,
    _after_release,
    _after_send,
    _always,
    _imported,
    _released,
    choose,
    kill_once,
    undisturbed,
)
from kills.run import Row, table
from kills.scenes import Stage, State
from kills.tracing import can_trace, run

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not can_trace(), reason="system calls cannot be followed on this machine"),
]
BY_NAME = {operation.name: operation for operation in OPERATIONS}
STATE = State((), ("init",), ((1, "aa", 60),), 60, ("r1",), ((0, "d1"),), (b"bytes",), (), ("waiting",))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    root = tmp_path_factory.mktemp("kills")
    for folder in (root, *root.parents[:2]):
        folder.chmod(0o755)  # the vault's own user passes through
    found = Stage(root)
    yield found
    found.close()


@pytest.mark.parametrize(("name", "part"), [("release", 0.72), ("send", 0.5)])
def test_killed_and_given_again_it_ends_as_if_nothing_had_been(stage: Stage, name: str, part: float) -> None:
    """`release` near the end of its transactions, `send` in the middle; `run.py` draws 200 such points."""
    operation = BY_NAME[name]
    reference = undisturbed(stage, operation)
    assert reference.points > 50
    outcome = kill_once(stage, operation, reference, int(reference.points * part))
    assert outcome.killed_at
    assert outcome.problem == ""


SPOILT: dict[str, tuple[Callable[[State], object], str]] = {
    "a damaged page": (lambda now: _always(STATE, replace(now, damaged=("page 3",))), "damaged"),
    "a lost journal row": (lambda now: _always(STATE, replace(now, journal=())), "lost"),
    "a second charge": (lambda now: _always(STATE, replace(now, charges=("r1", "r2"))), "2 charges"),
    "a charge twice": (lambda now: _always(STATE, replace(now, charges=("r1", "r1"))), "2 charges"),
    "a charge taken back": (lambda now: _always(STATE, replace(now, charges=())), "taken back"),
    "other bytes": (lambda now: _always(STATE, replace(now, payloads=(b"other",))), "bytes"),
    "half an import": (
        lambda now: _after_import(None, Path(), STATE, replace(now, num_records=31)),  # type: ignore[arg-type]
        "half an import",
    ),
    "another set": (
        lambda now: _imported(None, Path(), STATE, STATE, replace(now, sets=((1, "bb", 60),))),  # type: ignore[arg-type]
        "other records",
    ),
    "a report without a charge": (
        lambda now: _after_release(None, Path(), STATE, replace(now, charges=())),  # type: ignore[arg-type]
        "without a charge",
    ),
    "a second attempt": (
        lambda now: _released(None, Path(), STATE, STATE, replace(now, reports=((0, "d1"), (1, "d2")))),  # type: ignore[arg-type]
        "attempts",
    ),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_a_kill_may_not_do_is_noticed(name: str) -> None:
    check, words = SPOILT[name]
    with pytest.raises(SpoiltError, match=words):
        check(STATE)


def test_bytes_that_differ_from_the_stored_ones_are_noticed(stage: Stage) -> None:
    stage.county.reports.clear()
    _after_send(stage, Path(), STATE, STATE)
    stage.county.reports.append(b"other")
    with pytest.raises(SpoiltError, match="other bytes"):
        _after_send(stage, Path(), STATE, STATE)
    stage.county.reports.clear()


WRITES_TWICE = (
    "import os, subprocess; os.write(1, b'a'); subprocess.run(['/bin/echo', 'b']); os.write(1, b'c')"
)


@pytest.mark.parametrize(
    ("point", "expected"), [(0, b""), (1, b"a"), (2, b"a"), (3, b"ab\n"), (None, b"ab\nc")]
)
def test_tracer_kills_before_and_after_each_call_of_each_process(
    tmp_path: Path, point: int | None, expected: bytes
) -> None:
    out = tmp_path / "out"
    line, place = [sys.executable, "-IBSc", WRITES_TWICE], _place(tmp_path, point)
    # gRPC, where another test of this worker has loaded it, writes to standard error between fork and exec
    found = run(line, place, dict(os.environ), out=out, errors=tmp_path / "errors")
    assert out.read_bytes() == expected
    assert (found.killed_at == "") == (point is None)
    assert found.exit_code == (0 if point is None else -9)


def _place(tmp_path: Path, write: int | None) -> int | None:
    """Find the point of the n-th half of a write: other calls are points too."""
    if write is None:
        return None
    line, place = [sys.executable, "-IBSc", WRITES_TWICE], 0
    while True:
        found = run(line, place, dict(os.environ), out=tmp_path / "tried")
        if found.killed_at.endswith(" write"):
            write -= 1
            if write < 0:
                return place
        place += 1


def test_points_are_drawn_once_each_and_again_the_same() -> None:
    from random import Random

    assert choose(10, Random("x")) == choose(10, Random("x")) != choose(10, Random("y"))
    assert sorted(choose(10, Random(1))) == list(range(10))


def test_table_names_what_was_harmed() -> None:
    row = Row("release", 100)
    from kills.operations import Outcome

    row.add(Outcome(7, "before fsync", "2 charges", True))
    row.add(Outcome(8, "after fsync"))
    row.add(Outcome(9, ""))
    lines = table([row])
    assert (row.kills, row.not_reached, row.harmed, row.calls["fsync"]) == (2, 1, 1, 2)
    assert "2 charges" in lines[2]
    assert lines[-1] == "2 kills, 1 did harm"


def test_every_operation_of_the_promise_is_killed() -> None:
    assert {"import", "release", "send", "backup", "migration"} <= set(BY_NAME)
    assert all(isinstance(operation, Operation) for operation in OPERATIONS)
