"""Kill coordinators, and their PostgreSQL, where it hurts most: `make store-kills`.

    run.py [--reports N] [--kills N] [--restarts N] [--only NAME]… [--json]

Four runs: a round killed before and after every commit and every published file, on SQLite and on PostgreSQL;
two coordinators on one PostgreSQL, each killed N times while N schools report; and that PostgreSQL restarted
under the same load. Exit 1 if any acknowledged report is not in the log once, any school was refused or left
without an answer, or the released sums are not those of the schools.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ |= {"GRPC_ENABLE_FORK_SUPPORT": "0", "GRPC_VERBOSITY": "NONE"}  # read when gRPC is loaded

from store_kills.load import Result, run_kills, run_restarts  # noqa: E402
from store_kills.transitions import Killed, kill_everywhere  # noqa: E402

from bench.postgres_server import PostgresServer, postgres_server  # noqa: E402

Outcome = Killed | Result
NAMES = ("transitions-sqlite", "transitions-postgresql", "kills", "restarts")


def runs(
    folder: Path, server: PostgresServer, reports: int, kills: int, restarts: int
) -> dict[str, Callable[[], Outcome]]:
    """Give every run by its name."""
    return {
        "transitions-sqlite": lambda: kill_everywhere(folder / "county", "sqlite", ""),
        "transitions-postgresql": lambda: kill_everywhere(folder / "county", "postgresql", server.database()),
        "kills": lambda: run_kills(folder, server, reports, kills),
        "restarts": lambda: run_restarts(folder, server, reports, restarts),
    }


def is_harmed(outcome: Outcome) -> bool:
    """Tell whether a run has shown a fault."""
    return bool(outcome.problems or (isinstance(outcome, Result) and outcome.counts.failures))


def lines_of(outcome: Outcome) -> list[str]:
    """Say a run for a person."""
    failures = outcome.counts.failures if isinstance(outcome, Result) else []
    return [outcome.line(), *(f"  {line}" for line in (*outcome.problems[:20], *failures[:20]))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and give the exit code."""
    parser = argparse.ArgumentParser(description="Kill coordinators and their database server.")
    parser.add_argument("--reports", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=10, help="of each of the two coordinators")
    parser.add_argument("--restarts", type=int, default=6)
    parser.add_argument("--only", action="append", default=[], choices=NAMES)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    root = Path(tempfile.mkdtemp(prefix="fedscreen-store-kills-"))
    outcomes: list[Outcome] = []
    try:
        with postgres_server(is_durable=True) as server:
            for name in options.only or NAMES:
                folder = root / name
                folder.mkdir()
                chosen = runs(folder, server, options.reports, options.kills, options.restarts)[name]
                outcomes.append(chosen())
                if not options.json:
                    print("\n".join(lines_of(outcomes[-1])), flush=True)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    if options.json:
        print(json.dumps([asdict(outcome) for outcome in outcomes], default=str))
    return int(any(is_harmed(outcome) for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
