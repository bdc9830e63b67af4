"""Kill import, release, send, backup and migration at random points: `make kills`.

    run.py [--points N] [--seed S] [--only NAME]… [--json]

Each point is one durable step (a write, a sync, a rename …) of a real command, of its confined vault, or of a
running node's processes; there everything dies by SIGKILL. Then the record file is read whole, the
command is given again, and the record file is read again: intact, its journal whole, one charge, the noisy
vector that an undisturbed run makes, the same bytes sent. Exit 1 if any kill did harm.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ |= {"GRPC_ENABLE_FORK_SUPPORT": "0", "GRPC_VERBOSITY": "NONE"}  # read when gRPC is loaded

from kills.operations import OPERATIONS, Outcome, choose, kill_once, undisturbed  # noqa: E402
from kills.scenes import Stage  # noqa: E402
from kills.tracing import can_trace  # noqa: E402


@dataclass
class Row:
    """How one operation fared."""

    operation: str
    points: int
    kills: int = 0
    not_reached: int = 0
    with_report: int = 0
    harmed: int = 0
    seconds: float = 0.0
    calls: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count one kill."""
        self.kills += bool(outcome.killed_at)
        self.not_reached += not outcome.killed_at
        self.with_report += outcome.had_report
        self.calls[outcome.killed_at.removeprefix("before ").removeprefix("after ") or "-"] += 1
        if outcome.problem:
            self.harmed += 1
            self.problems.append(f"point {outcome.point} ({outcome.killed_at}): {outcome.problem}")


def kill_all(stage: Stage, num_points: int, seed: int, only: Sequence[str] = ()) -> list[Row]:
    """Kill every operation at its share of the points."""
    chosen = [operation for operation in OPERATIONS if not only or operation.name in only]
    rows = []
    for place, operation in enumerate(chosen):
        share = num_points // len(chosen) + (place < num_points % len(chosen))
        started_s = time.monotonic()
        reference = undisturbed(stage, operation)
        row = Row(operation.name, reference.points)
        for point in choose(reference.points, Random(f"{seed} {operation.name}")):
            if row.kills == share:
                break
            row.add(kill_once(stage, operation, reference, point))
        row.seconds = time.monotonic() - started_s
        rows.append(row)
    return rows


def table(rows: Sequence[Row]) -> list[str]:
    """Write the result for a person."""
    lines = [
        f"{'operation':<10} {'points':>7} {'kills':>6} {'over before':>12} {'harmed':>7} {'s':>6}  killed at"
    ]
    for row in rows:
        calls = ", ".join(f"{name} {count}" for name, count in row.calls.most_common(6))
        lines.append(
            f"{row.operation:<10} {row.points:>7} {row.kills:>6} {row.not_reached:>12} {row.harmed:>7}"
            f" {row.seconds:>6.0f}  {calls}"
        )
        lines += [f"  {problem}" for problem in row.problems]
    total = sum(row.kills for row in rows)
    harmed = sum(row.harmed for row in rows)
    return [*lines, f"{total} kills, {harmed} did harm"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and give the exit code."""
    parser = argparse.ArgumentParser(description="Kill a node at random points.")
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", default=[], choices=[row.name for row in OPERATIONS])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    if not can_trace():
        print("system calls cannot be followed on this machine")
        return 2
    root = Path(tempfile.mkdtemp(prefix="fedscreen-kills-"))
    try:
        stage = Stage(root)
        rows = kill_all(stage, options.points, options.seed, options.only)
        stage.close()
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(json.dumps([asdict(row) for row in rows]) if options.json else "\n".join(table(rows)))
    return int(any(row.harmed for row in rows))


if __name__ == "__main__":
    sys.exit(main())
