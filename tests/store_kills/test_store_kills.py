"""A short run of `tests/store_kills/run.py`, and what its checks notice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from store_kills.load import Run, run_kills
from store_kills.parties import report_of
from store_kills.run import is_harmed, lines_of

from bench.postgres_server import postgres_server
from coordinator.desk import Desk

pytestmark = pytest.mark.process


def test_two_coordinators_are_killed_and_a_server_restarted(tmp_path: Path) -> None:
    """Both kinds of disturbance in one short run: two kills, then a restart of the server at every step."""
    with postgres_server() as server:
        outcome = run_kills(tmp_path, server, 12, 1, restarts=True)
    assert not is_harmed(outcome), lines_of(outcome)
    assert outcome.disturbances == 5
    assert outcome.counts.acknowledged == 12 + 3 * 4
    assert len(outcome.counts.by_port) == 2


def test_the_checks_notice_what_is_wrong(tmp_path: Path) -> None:
    """Receipts of others, reports that are missing, no release."""
    with postgres_server() as server:
        run = Run(tmp_path, server, 5, "spoilt")
        round_log, desk = run.round_log(), Desk(tmp_path / "a")
        first, second, third = run.names[:3]
        receipts = {name: desk.submit_report(name, report_of(round_log, name)) for name in (first, second)}
        for folder in ("a", "b"):
            desk.export_log(tmp_path / folder / "log")
        desk.close()
        run._receipts = {first: receipts[second], second: receipts[second], third: receipts[first]}
        run.look()
    problems = run.result.problems
    assert problems[0] == "2 reports in the log"
    assert [line.split(":")[0] for line in problems[1:3]] == [first, third]
    assert problems[3:] == ["0 agreements", "0 openings", "0 checked", "no release"]
    assert is_harmed(run.result)
    run.result.problems.clear()
    assert not is_harmed(run.result)
    run.result.counts.fail("s000001: refused")
    assert is_harmed(run.result)
