"""Check the agreement: what answers give away, every state of a round, the real auditor beside the model.

    python tests/model/check.py                 everything; exit 0 if all of it holds
    python tests/model/check.py --mutant NAME   one reason left out; exit 1, with a counterexample in words
    python tests/model/check.py --json          the figures for programs

docs/agreement.md says what is checked and why it is enough.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from model.attack import split_in_three, split_in_two, unit  # noqa: E402
from model.equivocation import (  # noqa: E402
    families_agree,
    find,
    is_above_bound,
    isolates_by_any_number_of_sets,
    mismatches,
    nine_auditors_isolate_the_victim,
    parameters,
)
from model.explore import TWO_SETS, Bounds, Result, explore  # noqa: E402
from model.machine import Mutant  # noqa: E402
from model.replay import Disagreement, replay  # noqa: E402

MEMORY = Path("/dev/shm")
ONE_CANDIDATES = Bounds(other_candidates=False, losses=False, garbling=False, expiry=False)
BOUNDS = {  # enough for the shortest counterexample
    Mutant.WRITE_AFTER_SEND: ONE_CANDIDATES,
    Mutant.NO_CHECKED: Bounds(forks=False, losses=False),
    Mutant.LOW_QUORUM: ONE_CANDIDATES,
    Mutant.RESTORED_SIGNS: ONE_CANDIDATES._replace(losses=True),
    Mutant.NAMED_ONLY: Bounds(forks=False, losses=False),
}


def check_equivocation(max_auditors: int = 7) -> dict[str, object]:
    """Look at every way to show two or three sets, and at any number of sets for a single school."""
    rows = list(parameters(max_auditors))
    wrong = mismatches(max_auditors)
    wrong += [f"classes differ at {row}" for row in rows for k in (2, 3) if not families_agree(*row, k)]
    for n, t, f in rows:
        if is_above_bound(n, t, f) and isolates_by_any_number_of_sets(n - f, n - t + 1):
            wrong.append(f"many sets isolate a school at n={n}, t={t}, f={f}")
    attacked = list(_attacks(max_auditors, wrong))
    if not nine_auditors_isolate_the_victim():
        wrong.append("the example of nine auditors does not work")
    choices = sum(find(*row, 3).choices for row in rows)
    return {"parameters": len(rows), "choices": choices, "attacks": len(attacked), "wrong": wrong}


def _attacks(max_auditors: int, wrong: list[str]) -> Iterator[tuple[int, int, int]]:
    """Carry the attack out at the largest t that is refused, and where three sets open two sums."""
    victim = 3
    for n, f in product(range(2, max_auditors + 1), range(max_auditors)):
        t = (n + f) // 2
        if f < t < n:
            coordinator = split_in_two(n, t, f, victim)
            found = coordinator.combination(unit(victim, 6))
            if found is None or found.tolist() != coordinator.county.tables[victim].tolist():
                wrong.append(f"the attack fails at n={n}, t={t}, f={f}")
            yield n, t, f
    three = split_in_three(4, 3, 1)
    found = three.combination((1,) * 5 + (0,) * 5)
    if found is None or found.tolist() != three.county.tables[:5].sum(axis=0).tolist():
        wrong.append("three sets do not open two sums at n=4, t=3, f=1")


def check_mutant(mutant: Mutant) -> Result:
    """Explore a protocol with one reason left out, as far as its counterexample needs."""
    stop_at = None if mutant in (Mutant.NO_CHECKED, Mutant.NAMED_ONLY) else TWO_SETS
    return explore(mutant, BOUNDS[mutant], stop_at)


def check_replays(num_lives: int) -> dict[str, object]:
    """Let the real auditor live stretches of the model's life."""
    logging.disable(logging.CRITICAL)  # what the auditor refuses is meant
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        try:
            done = replay(Path(folder), num_lives)
        except Disagreement as err:
            return {"lives": num_lives, "wrong": [str(err)]}
    return {
        "lives": done.num_lives,
        "turns": done.num_turns,
        "events": done.events.total(),
        "crashes": done.crashes.total(),
        "wrong": [],
    }


def main() -> int:
    """Run what was asked for; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mutant", choices=[row.value for row in Mutant])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--replays", type=int, default=60, help="lives of the real auditor (default 60)")
    arguments = parser.parse_args()
    figures: dict[str, object] = {}
    with _timed(figures):
        if arguments.mutant:
            result = check_mutant(Mutant(arguments.mutant))
        else:
            figures["equivocation"] = check_equivocation()
            result = explore()
            figures["replays"] = check_replays(arguments.replays)
        figures["model"] = _figures(result)
    ok = result.ok and all(not row.get("wrong") for row in figures.values() if isinstance(row, dict))
    figures["ok"] = ok
    print(json.dumps(figures, indent=1) if arguments.json else _told(figures, result))
    return 0 if ok else 1


@contextmanager
def _timed(figures: dict[str, object]) -> Iterator[None]:
    start = time.perf_counter()
    yield
    figures["seconds"] = round(time.perf_counter() - start, 1)


def _figures(result: Result) -> dict[str, object]:
    return {
        "mutant": result.mutant.value if result.mutant else None,
        "states": result.num_states,
        "transitions": result.num_transitions,
        "counts": dict(result.counts.most_common()),
        "counterexamples": result.traces,
    }


def _told(figures: dict[str, object], result: Result) -> str:
    lines = []
    equivocation, replays = figures.get("equivocation"), figures.get("replays")
    if isinstance(equivocation, dict):
        lines.append(
            f"answers over different sets: {equivocation['parameters']} tuples (n, t, f), "
            f"{equivocation['choices']} choices of sets and auditors, "
            f"{equivocation['attacks']} attacks carried out"
        )
        lines += [f"  WRONG {row}" for row in equivocation["wrong"]]
    lines.append(f"model: {result.num_states} states, {result.num_transitions} transitions")
    lines += [f"  {count:>8} {what}" for what, count in result.counts.most_common()]
    for claim, trace in result.traces.items():
        lines.append(f"  VIOLATED: {claim}")
        lines += [f"    {number:>2}. {step}" for number, step in enumerate(trace)]
    if isinstance(replays, dict):
        lines.append("the real auditor: " + ", ".join(f"{v} {k}" for k, v in replays.items() if k != "wrong"))
        lines += [f"  WRONG {row}" for row in replays["wrong"]]
    verdict = "all of it holds" if figures["ok"] else "NOT all of it holds"
    return "\n".join([*lines, f"{verdict} ({figures['seconds']} s)"])


if __name__ == "__main__":
    sys.exit(main())
