"""Change crypto/ and privacy/ in every small way and see whether their tests notice: `make mutate`.

    run.py [--module NAME]… [--sample N --seed S] [--jobs N] [--own] [--json]
    run.py --text NAME=FILE…      run the tests of a module on another text of it, once for each

Each mutant of `mutants.py` runs in a forked child that imports the changed module instead of the real one and
then collects and runs the module's own tests, up to the first failure. What survives them and is not listed
in `survivors.toml` meets the tests of those who use it (`ALL_TESTS`). Hypothesis is derandomised, so that a
run repeats. A module of crypto/ has its plain name, one of privacy/ is `privacy.NAME`; without --module all
of crypto/ is run and `PRIVACY`, whose survivors are all listed.

Exit 1: less than 90 % of a module's mutants noticed, an unlisted survivor, or a listed one that was noticed
or is there no more. A mutant that needs four times the processor time of its tests, or more memory than they
get, counts as noticed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from types import CodeType

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from mutation.child import (  # noqa: E402
    PRELOADED_WITH_PRIVACY,
    BrokenRunError,
    outcome,
    outcome_of,
    path_of,
    preload,
    start,
)
from mutation.mutants import Mutant, MutatedModule  # noqa: E402

FLOOR_PERCENT = 90
SURVIVORS = HERE / "survivors.toml"
KINDS = ("equivalent", "speed", "unreachable")
TESTS = ROOT / "tests"
PRIVACY = ("privacy.display", "privacy.intervals", "privacy.sensitivity", "privacy.year_account")
VALUES = "test_values.py"  # of every module's dataclasses
OWN_TESTS = {  # where they are not test_<module>.py alone
    "__init__": (VALUES,),
    "checkpoint": ("test_checkpoint.py", VALUES),
    "note": ("test_note.py", VALUES),
    "policy": ("test_policy.py", VALUES),
    "tlog_proof": ("test_tlog_proof.py", VALUES),
    "prio3_shares": ("test_prio3_vectors.py",),
    "privacy.accountant": ("test_accountant.py", "test_ladder.py", VALUES),
    "privacy.ladder": ("test_ladder.py", "test_accountant.py", VALUES),
}
ALL_TESTS = {
    "crypto": (TESTS / "crypto", TESTS / "protos"),
    "privacy": (
        TESTS / "privacy" / "test_accountant.py",
        TESTS / "plan" / "test_layout.py",
        TESTS / "results",
    ),
}
MIN_CPU_S = 3


@dataclass
class Score:
    """How the mutants of one module fared."""

    module: str
    mutants: int = 0
    killed: int = 0
    timeouts: int = 0  # among the killed
    survived: int = 0
    listed: Counter[str] = field(default_factory=Counter)  # survivors by the kind of their reason
    complaints: list[str] = field(default_factory=list)

    @property
    def percent(self) -> float:
        """How many mutants were noticed."""
        return 100 * self.killed / self.mutants if self.mutants else 100.0


@dataclass(frozen=True)
class Listed:
    """An entry of `survivors.toml`: changes of one line that no test can notice, and why."""

    where: str
    line: str
    changes: tuple[str, ...]
    kind: str
    reason: str


# -- one module ----------------------------------------------------------------------------------


def own_tests(module: str) -> list[Path]:
    """List the test files that are about a module.

    Raises:
        BrokenRunError: one is not there.
    """
    path = path_of(module)
    names = OWN_TESTS.get(module, (f"test_{path.stem}.py", *((VALUES,) if "." in module else ())))
    paths = [TESTS / path.parent.name / name for name in names]
    missing = [path.name for path in paths if not path.exists()]
    if missing:
        raise BrokenRunError(f"the tests of {module} are not there: {', '.join(missing)}; see OWN_TESTS")
    return paths


def cpu_limit(module: str, code: CodeType, tests: Sequence[Path]) -> int:
    """Run the tests without a change: four times their processor time, in seconds, is what a mutant gets.

    Raises:
        BrokenRunError: they fail as they are.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    if outcome(module, code, tests, cpu_s=600) != "survived":
        raise BrokenRunError(f"the tests of {module} fail without a mutant")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return max(
        MIN_CPU_S, math.ceil(4 * (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime))
    )


def outcomes(
    module: str, mutated: MutatedModule, mutants: Sequence[Mutant], tests: Sequence[Path], jobs: int
) -> Iterator[tuple[Mutant, str]]:
    """Run the tests on every mutant, `jobs` at a time."""
    cpu_s = cpu_limit(module, mutated.code(), tests)
    running: dict[int, Mutant] = {}
    for mutant in mutants:
        running[start(module, mutated.code(mutant), tests, cpu_s)] = mutant
        if len(running) == jobs:
            yield _reap(running)
    while running:
        yield _reap(running)


def _reap(running: dict[int, Mutant]) -> tuple[Mutant, str]:
    pid, status = os.wait()
    return running.pop(pid), outcome_of(status)


def score_of(
    module: str, listed: Sequence[Listed], chosen: Random | None, sample: int, jobs: int, *, own_only: bool
) -> Score:
    """Run all mutants of a module, or a sample, and hold the survivors against the list."""
    path = path_of(module)
    mutated = MutatedModule(path.read_text(encoding="utf-8"), str(path))
    mutants = list(mutated.mutants)
    if chosen is not None:
        mutants = sorted(chosen.sample(mutants, min(sample, len(mutants))), key=lambda mutant: mutant.number)
    score = Score(module, len(mutants))
    entries = {(entry.where, entry.line, change): entry for entry in listed for change in entry.changes}
    gone = entries.keys() - {mutant.key for mutant in mutated.mutants}
    score.complaints += [f"listed and not there any more: {' | '.join(key)}" for key in sorted(gone)]
    survivors = []
    ends = outcomes(module, mutated, mutants, own_tests(module), jobs) if mutants else ()
    for mutant, end in ends:
        score.timeouts += end == "timeout"
        entry = entries.get(mutant.key)
        if end == "survived" and entry is None:
            survivors.append(mutant)
        elif end == "survived" and entry is not None:
            score.listed[entry.kind] += 1
        elif entry is not None:
            score.complaints.append(f"listed and yet noticed: {' | '.join(mutant.key)}")
    if not own_only:
        survivors = _survivors_of_all(module, mutated, survivors, jobs)
    score.complaints += [f"survives, not listed: {m.line_number}: {' | '.join(m.key)}" for m in survivors]
    score.survived = len(survivors) + score.listed.total()
    score.killed = score.mutants - score.survived
    return score


def _survivors_of_all(
    module: str, mutated: MutatedModule, mutants: Sequence[Mutant], jobs: int
) -> list[Mutant]:
    if not mutants:
        return []
    ends = outcomes(module, mutated, mutants, ALL_TESTS[path_of(module).parent.name], jobs)
    return sorted((m for m, end in ends if end == "survived"), key=lambda mutant: mutant.number)


def load_survivors(path: Path = SURVIVORS) -> dict[str, list[Listed]]:
    """Read the list of survivors, by module.

    Raises:
        BrokenRunError: an entry has no known kind, or no reason.
    """
    by_module: dict[str, list[Listed]] = {}
    for entry in tomllib.loads(path.read_text(encoding="utf-8")).get("survivor", []):
        module = entry.pop("module")
        listed = Listed(**{"where": "", **entry, "changes": tuple(entry["changes"])})
        if listed.kind not in KINDS or not listed.reason.strip():
            raise BrokenRunError(
                f"survivors.toml: {module}, {listed.line}: expected a reason, and a kind of {KINDS}"
            )
        by_module.setdefault(module, []).append(listed)
    return by_module


# -- the command ---------------------------------------------------------------------------------


def run_modules(arguments: argparse.Namespace) -> int:
    """Run the mutants of some modules or all; a table, or JSON lines."""
    os.nice(15)
    listed = load_survivors()
    modules = arguments.module or [
        *sorted(path.stem for path in path_of("__init__").parent.glob("*.py")),
        *PRIVACY,
    ]
    strangers = {module for module in (*listed, *modules) if not path_of(module).exists()}
    if strangers:
        raise BrokenRunError(
            f"modules that are not there are named here or in survivors.toml: {', '.join(sorted(strangers))}"
        )
    is_bad = False
    scores, first = [], time.monotonic()
    for module in modules:
        began = time.monotonic()
        chosen = Random(f"{arguments.seed}/{module}") if arguments.sample else None
        score = score_of(
            module, listed.get(module, []), chosen, arguments.sample, arguments.jobs, own_only=arguments.own
        )
        scores.append(score)
        is_bad |= bool(score.complaints) or score.percent < FLOOR_PERCENT
        _print(score, time.monotonic() - began, arguments.json)
    if not arguments.json:
        _print(_sum(scores), time.monotonic() - first, is_json=False)
    return int(is_bad)


def _sum(scores: Sequence[Score]) -> Score:
    total = Score("all")
    for score in scores:
        total.mutants += score.mutants
        total.killed += score.killed
        total.timeouts += score.timeouts
        total.survived += score.survived
        total.listed += score.listed
    return total


def _print(score: Score, seconds: float, is_json: bool) -> None:
    if is_json:
        print(json.dumps(asdict(score) | {"percent": round(score.percent, 1)}), flush=True)
        return
    reasons = ", ".join(f"{count} {kind}" for kind, count in sorted(score.listed.items()))
    print(
        f"{score.module:26} {score.mutants:5} mutants  {score.killed:5} noticed ({score.timeouts} by time)"
        f"  {score.survived:4} survive  {score.percent:5.1f} %  {seconds:5.0f} s  {reasons}",
        flush=True,
    )
    for complaint in score.complaints:
        print(f"    {complaint}", flush=True)


def run_texts(texts: Sequence[str]) -> int:
    """Run the tests of a module on other texts of it; one line for each says what came of it."""
    for text in texts:
        module, _, path = text.partition("=")
        code = compile(Path(path).read_text(encoding="utf-8"), str(path_of(module)), "exec")
        print(module, outcome(module, code, own_tests(module), cpu_s=60), flush=True)
    return 0


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description="mutation testing of crypto/ and privacy/")
    parser.add_argument("--module", action="append", help="only this one (repeatable)")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="at most N mutants of each module")
    parser.add_argument("--seed", type=int, default=0, help="which ones")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time")
    parser.add_argument("--own", action="store_true", help="spare survivors the other modules' tests")
    parser.add_argument("--json", action="store_true", help="one JSON object a module")
    parser.add_argument("--text", action="append", metavar="NAME=FILE", help="another text of a module")
    arguments = parser.parse_args()
    needs_privacy = not arguments.module or any("." in name for name in arguments.module)
    preload(PRELOADED_WITH_PRIVACY if needs_privacy and not arguments.text else ())
    try:
        return run_texts(arguments.text) if arguments.text else run_modules(arguments)
    except BrokenRunError as err:
        print(f"mutation run is broken: {err}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
