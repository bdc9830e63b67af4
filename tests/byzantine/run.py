"""Run the Byzantine county: many seeds, one seed with its trace, or every planted bug.

    python tests/byzantine/run.py --seeds 2000 --steps 1000000
    python tests/byzantine/run.py --seed 17                       # one seed, with its trace
    python tests/byzantine/run.py --mutant fork-cosigned          # until it is found
    python tests/byzantine/run.py --mutants                       # all of them, with a table

Exit codes: 0 all is well (with --mutants: every one was found); 1 an invariant was violated (or a planted bug
was not found in time); 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from byzantine.judge import Violation  # noqa: E402
from byzantine.memory_disk import disk_in_memory  # noqa: E402
from byzantine.mutants import MUTANTS, planted  # noqa: E402
from byzantine.speed import remembering  # noqa: E402
from byzantine.world import CHAOS, World  # noqa: E402

PROGRESS_SEEDS = 100
LIMIT_S = 300.0


@dataclass
class Tally:
    """What a run came to."""

    seeds: int = 0
    steps: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    rounds: Counter[str] = field(default_factory=Counter)
    failures: list[tuple[int, str, list[str]]] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, other: Tally) -> None:
        """Take another run's figures."""
        self.seeds += other.seeds
        self.steps += other.steps
        self.by_kind += other.by_kind
        self.rounds += other.rounds
        self.failures += other.failures


@contextmanager
def prepared(mutant: str = "") -> Iterator[None]:
    """Make ready what every seed needs; plant a bug."""
    logging.disable(logging.CRITICAL)
    try:
        with disk_in_memory(), planted(mutant) if mutant else nullcontext(), remembering():
            yield
    finally:
        logging.disable(logging.NOTSET)


def live(seed: int, tally: Tally, *, chaos: int = CHAOS, is_traced: bool = False) -> None:
    """Live one seed and add what it came to."""
    world = None
    try:
        world = World(seed, chaos=chaos, trace=print if is_traced else None)
        world.run()
    except Violation as err:
        tally.failures.append((seed, str(err), list(world.events) if world else []))
    except Exception as err:  # whatever else comes out of the product is a violation, too
        text = "".join(traceback.format_exception(err)[-3:])
        tally.failures.append(
            (seed, f"crash: {type(err).__name__}: {err}\n{text}", list(world.events) if world else [])
        )
    tally.seeds += 1
    if world is not None:
        tally.steps += world.steps
        tally.by_kind += world.by_kind
        for log in world.logs:
            tally.rounds.update(row.state.value for row in log.ledger.rounds.values())


def run_seeds(
    first: int, last: int, *, mutant: str = "", limit_s: float = 0.0, is_quiet: bool = False
) -> Tally:
    """Live seeds in this process, until one fails where a bug is planted; then seconds are of CPU time."""
    clock = time.process_time if mutant else time.perf_counter
    tally, start = Tally(), clock()
    with prepared(mutant):
        for seed in range(first, last):
            live(seed, tally)
            tally.seconds = clock() - start
            if mutant and (tally.failures or tally.seconds > limit_s):
                break
            if not is_quiet and tally.seeds % PROGRESS_SEEDS == 0:
                print(
                    f"seeds {first}..{seed}: {tally.steps} steps, {tally.seconds:.0f} s,"
                    f" {len(tally.failures)} failed",
                    flush=True,
                )
    return tally


def run_many(args: argparse.Namespace) -> int:
    """Live as many seeds as were asked for, and more of them until there are steps enough."""
    start, total = time.perf_counter(), Tally()
    first, batch = args.first, args.seeds
    while total.seeds < args.seeds or total.steps < args.steps:
        for tally in _in_processes(first, first + batch, args.processes, args.json):
            total.add(tally)
        first, batch = first + batch, 200
    total.seconds = time.perf_counter() - start
    report(total, args.json)
    return 1 if total.failures else 0


def _in_processes(first: int, last: int, processes: int, is_quiet: bool) -> list[Tally]:
    if processes == 1:
        return [run_seeds(first, last, is_quiet=is_quiet)]
    size = -(-(last - first) // processes)
    parts = [(at, min(at + size, last)) for at in range(first, last, size)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        return pool.starmap(run_seeds, parts)


def report(total: Tally, is_json: bool) -> None:
    """Print figures, and every failing seed with its last events."""
    if is_json:
        print(
            json.dumps(
                {
                    "seeds": total.seeds,
                    "steps": total.steps,
                    "seconds": round(total.seconds, 1),
                    "by_kind": dict(total.by_kind),
                    "rounds": dict(total.rounds),
                    "failures": [{"seed": seed, "violation": text} for seed, text, _ in total.failures],
                }
            )
        )
        return
    for seed, text, events in total.failures[:10]:
        print(f"\nseed {seed}: {text}")
        print("\n".join(f"    {event}" for event in events[-25:]))
        print(f"again, with its trace: python tests/byzantine/run.py --seed {seed}")
    each = 1000 * total.seconds / max(1, total.steps)
    print(f"{total.seeds} seeds, {total.steps} steps in {total.seconds:.0f} s ({each:.2f} ms a step)")
    print(f"  steps: {dict(total.by_kind)}")
    print(f"  rounds of all histories: {dict(total.rounds)}")
    print(f"  violated: {len(total.failures)}")


def run_mutants(names: list[str], limit_s: float, is_json: bool) -> int:
    """Look for every planted bug."""
    rows = []
    for name in names:
        tally = run_seeds(0, 1 << 30, mutant=name, limit_s=limit_s, is_quiet=True)
        found = tally.failures[0][1].splitlines()[0] if tally.failures else ""
        rows.append(
            {"mutant": name, "found": found, "seconds": round(tally.seconds, 1), "seeds": tally.seeds}
        )
        if not is_json:
            print(
                f"{name:32} {tally.seconds:6.1f} s {tally.seeds:5} seeds  {found or 'NOT FOUND'}"[:170],
                flush=True,
            )
    if is_json:
        print(json.dumps(rows))
    return 0 if all(row["found"] for row in rows) else 1


def main() -> int:
    """Read the arguments."""
    parser = argparse.ArgumentParser(description="The Byzantine county.")
    parser.add_argument("--seeds", type=int, default=2000, help="at least so many")
    parser.add_argument("--steps", type=int, default=0, help="and at least so many steps")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, help="only this one, with its trace")
    parser.add_argument("--mutant", choices=sorted(MUTANTS), help="plant this bug")
    parser.add_argument("--mutants", action="store_true", help="plant every bug in turn")
    parser.add_argument("--limit", type=float, default=LIMIT_S, help="CPU seconds for a planted bug")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if args.seed is not None:
        tally = Tally()
        with prepared(args.mutant or ""):
            live(args.seed, tally, is_traced=not args.json)
        report(tally, args.json)
        return 1 if tally.failures else 0
    if args.mutant or args.mutants:
        return run_mutants([args.mutant] if args.mutant else list(MUTANTS), args.limit, args.json)
    return run_many(args)


if __name__ == "__main__":
    raise SystemExit(main())
