"""Make a report with each interpreter and replay it with every other one, however that one is run.

    run.py [--python PATH]… [--json]

Each interpreter needs the packages of requirements-node.lock. A report is made by one and replayed by all:
with several hash seeds, in several locales (compiled for this run with `localedef`, where it is there),
without UTF-8 mode, and with -O and -OO; so are reports that were themselves made under the oddest of these.
Every replay runs in a confined vault. A locale that this machine cannot make is shown as SKIP.

Exit 1: a replay that does not say PASS with all its checks passed, or a vault that does not reach L3.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SCHOOL = HERE / "school.py"
CHECKS = 12
LOCALES = (("tr_TR", "UTF-8"), ("zh_CN", "UTF-8"), ("zh_CN", "GB18030"), ("de_DE", "ISO-8859-1"))
SEEDS = ("0", "1", "4294967295", "random")
SKIP = "SKIP"


@dataclass(frozen=True)
class Way:
    """One way to run a vault: environment and flags of its Python; None: this machine cannot."""

    name: str
    words: tuple[str, ...] | None


@dataclass(frozen=True)
class Row:
    """How one replay came out."""

    made_by: str
    replayed_by: str
    way: str
    outcome: str
    passed: int
    level: str

    @property
    def is_right(self) -> bool:
        """Whether it is what it must be."""
        return self.outcome == SKIP or (self.outcome, self.passed, self.level) == ("PASS", CHECKS, "L3")


def ways(locales: Path) -> list[Way]:
    """List the ways, with the locales that could be compiled below a folder."""
    found = [Way("plain", ())]
    found += [Way(f"hash seed {seed}", (f"PYTHONHASHSEED={seed}",)) for seed in SEEDS]
    found += [Way(f"locale {name}", (f"LC_ALL={name}", "PYTHONUTF8=0")) for name in ("C", "POSIX", "C.UTF-8")]
    for language, charset in LOCALES:
        name = f"{language}.{charset}"
        words = (f"LOCPATH={locales}", f"LC_ALL={name}", f"LANG={name}", "PYTHONUTF8=0")
        found.append(Way(f"locale {name}", words if compile_locale(locales, language, charset) else None))
    found += [Way(flag, (flag,)) for flag in ("-O", "-OO")]
    found.append(Way("-bb", ("-bb",)))
    odd = (f"LOCPATH={locales}", "LC_ALL=tr_TR.UTF-8", "PYTHONHASHSEED=7", "-OO")
    found.append(Way("-OO, Turkish, seed 7", odd if (locales / "tr_TR.UTF-8").is_dir() else None))
    return found


def compile_locale(folder: Path, language: str, charset: str) -> bool:
    """Compile a locale; False where the machine has no `localedef` or not its source."""
    target = folder / f"{language}.{charset}"
    if target.is_dir():
        return True
    tool = shutil.which("localedef")
    if tool is None:
        return False
    command = [tool, "-c", "-i", language, "-f", charset, str(target)]
    return subprocess.run(command, capture_output=True, check=False).returncode <= 1 and target.is_dir()


def run_school(python: str, action: str, folder: Path, words: tuple[str, ...]) -> dict[str, Any]:
    """Run `school.py` with an interpreter."""
    environ = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)}
    command = [python, str(SCHOOL), action, str(folder), *words]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        return {"outcome": f"exit {done.returncode}: {done.stderr.strip()[-200:]}", "checks": []}
    return dict(json.loads(done.stdout))


def version_of(python: str) -> str:
    """Ask an interpreter who it is."""
    code = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def row_of(made_by: str, python: str, way: Way, folder: Path) -> Row:
    """Replay one report in one way."""
    version = version_of(python)
    if way.words is None:
        return Row(made_by, version, way.name, SKIP, 0, "")
    answer = run_school(python, "replay", folder, way.words)
    passed = sum(check["result"] == "PASS" for check in answer["checks"])
    return Row(made_by, version, way.name, str(answer["outcome"]), passed, str(answer.get("confinement", "")))


def matrix(pythons: list[str], folder: Path) -> Iterator[Row]:
    """Make a report with each interpreter, plainly and oddly, and replay it with every one."""
    locales = folder / "locales"
    locales.mkdir()
    known = ways(locales)
    plain, oddest = known[0], known[-1]
    for number, maker in enumerate(pythons):
        for made in (plain, oddest):
            if made.words is None:
                continue
            made_by, school = f"{version_of(maker)} {made.name}", folder / f"{number}-{known.index(made)}"
            answer = run_school(maker, "make", school, made.words)
            if "bytes" not in answer:
                yield Row(made_by, "-", "make", str(answer["outcome"]), 0, "")
                continue
            for python in pythons:
                for way in known if made is plain else (plain, oddest):
                    yield row_of(made_by, python, way, school)


def show(rows: list[Row]) -> Iterator[str]:
    """Give the table: a line for each way, a column for each pair of maker and replayer."""
    pairs = list(dict.fromkeys((row.made_by, row.replayed_by) for row in rows))
    found = {(row.made_by, row.replayed_by, row.way): row for row in rows}
    for number, (made_by, replayed_by) in enumerate(pairs, 1):
        yield f"  [{number}] made by {made_by}, replayed by {replayed_by}"
    yield "  " + f"{'':28s}" + "".join(f"{f'[{number}]':>7s}" for number in range(1, len(pairs) + 1))
    for way in dict.fromkeys(row.way for row in rows):
        cells = [found.get((*pair, way)) for pair in pairs]
        yield f"  {way:28s}" + "".join(f"{cell.outcome[:6] if cell else '':>7s}" for cell in cells)
    yield from (f"  {row}" for row in rows if not row.is_right)


def main() -> int:
    """Run the matrix and print it."""
    parser = argparse.ArgumentParser(description="Replays across interpreters, hash seeds, locales and -O.")
    parser.add_argument("--python", action="append", default=[], help="an interpreter; default: this one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fedscreen-matrix-") as folder:
        rows = list(matrix(options.python or [sys.executable], Path(folder)))
    if options.json:
        print(json.dumps([{**row.__dict__, "is_right": row.is_right} for row in rows]))
    else:
        print("\n".join(show(rows)))
    wrong = [row for row in rows if not row.is_right]
    skipped = sum(row.outcome == SKIP for row in rows)
    print(f"{len(rows) - len(wrong) - skipped} PASS, {len(wrong)} not, {skipped} skipped", file=sys.stderr)
    return 1 if wrong or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
