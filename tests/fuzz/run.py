"""Coverage-guided fuzzing of every parser in `targets.py`: `make fuzz SECONDS=60`.

    run.py [--seconds N] [TARGET…]     share N seconds among the targets; a table; exit 1 if anything crashed
    run.py TARGET FILE…                run inputs once, to repeat a crash; needs no fuzzer
    run.py --minimise                  rewrite corpus/ from everything found so far: few, small, all coverage

The fuzzer is atheris (libFuzzer): our rooms are instrumented once, then each target runs in a forked child.
It starts from the valid inputs of `seeds.py`, the committed `corpus/` and `past/`, and what earlier runs left
in `.venv/fuzz-work/`. Of each target a MiB of every kind of long input runs first, each within 5 seconds,
which is not counted. A crash, an input of more than 10 seconds or 2 GiB ends the target and is kept.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / ".venv" / "fuzz-work"
ROOMS = ["crypto", "privacy", "plan", "results", "protos", "node", "coordinator", "auditor"]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

MAX_CORPUS_FILE_BYTES = 2048
MAX_CORPUS_FILES = 24
LONG_SECONDS = 5.0  # instrumented, on a machine that does other things too; the slowest takes 1.5
_STATUS = re.compile(rb"cov: (\d+) .*?corp: (\d+)/")
_EXECUTED = re.compile(rb"stat::number_of_executed_units:\s*(\d+)")


@dataclass(frozen=True)
class Outcome:
    """How the run of one target went; `crash` is the file that holds the input, if there is one."""

    name: str
    executions: int
    corpus: int
    edges: int
    crash: Path | None
    words: str


def kept_inputs(name: str) -> Iterator[bytes]:
    """Inputs kept in the repository: the corpus, and what once crashed."""
    for folder in (HERE / "corpus" / name, HERE / "past" / name):
        for path in sorted(folder.glob("*")):
            yield path.read_bytes()


def fuzz(name: str, seconds: float) -> Outcome:
    """Run one target in a child for some seconds."""
    folder, log = WORK / "corpus" / name, WORK / "logs" / f"{name}.log"
    crashes = WORK / "crashes" / name
    for place in (folder, log.parent, crashes):
        place.mkdir(parents=True, exist_ok=True)
    from fuzz.seeds import seeds

    for data in [*seeds()[name], *kept_inputs(name)]:
        (folder / hashlib.sha256(data).hexdigest()[:20]).write_bytes(data)
    begun, begins = os.pipe()
    child = os.fork()
    if child == 0:
        _be_child(name, seconds, folder, crashes, log, begins)
    os.close(begins)
    os.read(begun, 1)  # the fuzzer begins, or the child is gone
    os.close(begun)
    stop = threading.Timer(seconds, os.kill, (child, signal.SIGUSR1))
    stop.start()
    _, status = os.waitpid(child, 0)
    stop.cancel()
    return _outcome(name, log.read_bytes(), crashes, os.waitstatus_to_exitcode(status))


def _be_child(name: str, seconds: float, folder: Path, crashes: Path, log: Path, begins: int) -> None:
    """Become the fuzzer; never returns. The first input, which is empty, tells that it has begun."""
    import atheris

    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    from fuzz.mutate import mutate
    from fuzz.seeds import seeds
    from fuzz.targets import TARGETS, run_once

    target, valid = TARGETS[name], seeds()[name]

    def mutated(data: bytes, max_size: int, seed: int) -> bytes:
        random = Random(seed)
        if random.random() < 0.5:
            return bytes(atheris.Mutate(data, max_size))
        return mutate(random, data, valid, target.grammar)[:max_size]

    def test_one(data: bytes) -> None:
        nonlocal begins
        if begins:
            os.close(begins)
            begins = 0
        try:
            run_once(target, data)
        except Exception:
            (crashes / f"crash-{hashlib.sha256(data).hexdigest()[:12]}").write_bytes(data)
            raise

    try:
        _run_long_inputs(name, crashes)
        flags = ["-handle_usr1=1", f"-max_len={target.max_bytes}", "-timeout=10", "-rss_limit_mb=2048"]
        flags += [f"-artifact_prefix={crashes}/", "-print_final_stats=1", "-len_control=0"]
        flags += [f"-max_total_time={int(seconds) + 60}", str(folder)]  # if the parent is gone
        atheris.Setup([sys.argv[0], *flags], test_one, custom_mutator=mutated)
        atheris.Fuzz()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _run_long_inputs(name: str, crashes: Path) -> None:
    from fuzz.mutate import long_inputs
    from fuzz.seeds import seeds
    from fuzz.targets import MIB, TARGETS, run_once

    target = TARGETS[name]
    for what, data in long_inputs(seeds()[name][0], MIB).items():
        started = time.thread_time()
        run_once(target, data)
        seconds = time.thread_time() - started
        if seconds > LONG_SECONDS:
            (crashes / f"slow-{what.replace(' ', '-')}").write_bytes(data)
            raise TimeoutError(f"1 MiB of {what}: {seconds:.1f} s")


def _outcome(name: str, log: bytes, crashes: Path, code: int) -> Outcome:
    status = _STATUS.findall(log) or [(b"0", b"0")]
    executed = _EXECUTED.search(log)
    newest = sorted(crashes.glob("*"), key=lambda path: path.stat().st_mtime)
    crash = newest[-1] if code and newest else None
    lines = [
        line for line in log.decode("utf-8", "replace").splitlines() if "Error" in line or "ERROR" in line
    ]
    words = f"exit code {code}: {lines[0].strip()[:120] if lines else 'see the log'}" if code else ""
    edges, corpus = max(int(row[0]) for row in status), int(status[-1][1])
    return Outcome(name, int(executed[1]) if executed else 0, corpus, edges, crash, words)


def repeat(name: str, paths: Sequence[Path]) -> int:
    """Run inputs once; a crash shows itself as it is."""
    from fuzz.targets import TARGETS, run_once

    for path in paths:
        print(f"{name} {path}: {'taken' if run_once(TARGETS[name], path.read_bytes()) else 'refused'}")
    return 0


def minimise() -> int:
    """Keep the smallest inputs of each target that together reach every line pair that its seeds do not."""
    from fuzz.seeds import seeds
    from fuzz.targets import TARGETS

    for name, target in TARGETS.items():
        found = {path.read_bytes() for path in (WORK / "corpus" / name).glob("*")} | set(kept_inputs(name))
        reached: set[tuple[Any, ...]] = set()
        for data in seeds()[name]:
            reached |= _steps(target, data)
        folder = HERE / "corpus" / name
        for path in folder.glob("*"):
            path.unlink()
        num_kept = 0
        for data in sorted(found, key=lambda data: (len(data), data)):
            if len(data) > MAX_CORPUS_FILE_BYTES or num_kept == MAX_CORPUS_FILES:
                continue
            steps = _steps(target, data)
            if not steps <= reached:
                reached |= steps
                num_kept += 1
                folder.mkdir(parents=True, exist_ok=True)
                (folder / hashlib.sha256(data).hexdigest()[:12]).write_bytes(data)
        print(f"{name}: {num_kept} of {len(found)} kept, {len(reached)} steps")
    return 0


def _steps(target: Any, data: bytes) -> set[tuple[Any, ...]]:
    """The pairs of lines of our rooms that follow each other while a target reads an input."""
    from fuzz.targets import run_once

    found: set[tuple[Any, ...]] = set()
    last: dict[FrameType, int] = {}

    def trace(frame: FrameType, event: str, _: object) -> Any:
        path = Path(frame.f_code.co_filename)
        if event == "call" and (ROOT not in path.parents or path.parts[len(ROOT.parts)] not in ROOMS):
            return None
        found.add((frame.f_code.co_filename, last.get(frame, 0), frame.f_lineno))
        last[frame] = frame.f_lineno
        return trace

    sys.settrace(trace)
    try:
        run_once(target, data)
    finally:
        sys.settrace(None)
    return found


def main() -> int:
    """Fuzz, repeat or minimise."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together")
    parser.add_argument("--minimise", action="store_true")
    parser.add_argument("words", nargs="*", metavar="TARGET", help="targets, or one target and files")
    chosen = parser.parse_args()
    files = [Path(word) for word in chosen.words if Path(word).is_file()]
    if chosen.minimise:
        return minimise()
    if files:
        return repeat(chosen.words[0], files)
    return fuzz_all(chosen.words, chosen.seconds)


def fuzz_all(names: Sequence[str], seconds: float) -> int:
    """Fuzz targets one after the other and print the table."""
    import atheris

    with contextlib.redirect_stderr(io.StringIO()), atheris.instrument_imports(include=ROOMS):
        from fuzz.targets import TARGETS
    unknown = sorted(set(names) - set(TARGETS))
    if unknown:
        print(f"no target {', '.join(unknown)}; there are {', '.join(TARGETS)}")
        return 2
    names = list(names) or list(TARGETS)
    print(f"{'target':34}{'executions':>12}{'corpus':>8}{'edges':>8}{'crashes':>9}", flush=True)
    outcomes = []
    for name in names:
        outcome = fuzz(name, seconds / len(names))
        outcomes.append(outcome)
        row = f"{name:34}{outcome.executions:12}{outcome.corpus:8}{outcome.edges:8}"
        print(f"{row}{int(bool(outcome.words)):9}", flush=True)
    crashed = [outcome for outcome in outcomes if outcome.words]
    print(f"{'together':34}{sum(row.executions for row in outcomes):12}{'':16}{len(crashed):9}")
    for outcome in crashed:
        print(f"{outcome.name}: {outcome.words}")
        print(f"  repeat: {sys.executable} {sys.argv[0]} {outcome.name} {outcome.crash}")
    return 1 if crashed else 0


if __name__ == "__main__":
    sys.exit(main())
