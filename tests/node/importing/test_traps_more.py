"""The further trap files: each imports right or is refused by its row and column, and no cell is repeated."""

from __future__ import annotations

import datetime as dt
import importlib.util
import sys
import time
from pathlib import Path

import pytest
from trap_school import NAMES, School, TrapSet

from node.vault.import_file import ImportContext, ImportResult, import_files
from plan.record import Record

MODULES = sorted(Path(__file__).parent.glob("traps_more_*.py"))
MAX_S = 5
TODAY = dt.date(2026, 10, 31)
CANARIES = [
    *NAMES,
    "G990001201",
    "某某",
    "99000120150901",
    "110101201",
    "5.10502",
    "阿卜杜拉",
    "缺考",
    "紫色",
]


def _load(path: Path) -> TrapSet:
    spec = importlib.util.spec_from_file_location(f"import_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    found = module.TRAPS
    assert isinstance(found, TrapSet)
    return found


SETS = {path.stem.removeprefix("traps_more_"): _load(path) for path in MODULES}
CASES = [(kind, name) for kind, traps in SETS.items() for name in traps.traps]


def run(school: School) -> ImportResult:
    context = ImportContext(
        b"\x07" * 32, "2026-2027", "A", dt.date(2026, 9, 30), "6-3", "require", school.sheets, TODAY
    )
    return import_files(school.files(), context)


@pytest.fixture(scope="module")
def good() -> tuple[Record, ...]:
    return run(School()).records


def test_there_are_at_least_a_hundred_traps() -> None:
    assert len(CASES) >= 100


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_trap(kind: str, name: str, good: tuple[Record, ...]) -> None:
    school, trap = SETS[kind].lay(name), SETS[kind].traps[name]
    began = time.monotonic()
    result = run(school)
    assert time.monotonic() - began < MAX_S
    found = {(issue.file, issue.row, issue.column, issue.code) for issue in result.issues}
    assert found == set(trap.places)
    assert result.is_refused is trap.is_refused
    if trap.is_refused:
        assert (result.records, result.counts) == ((), {})
        assert all(issue.advice for issue in result.issues)
    elif not trap.changes_records:
        assert result.records == good
    said = repr(result) + repr(result.counts) + "".join(str(issue.as_json()) for issue in result.issues)
    assert not [canary for canary in CANARIES if canary in said]
