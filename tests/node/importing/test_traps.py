"""Every trap file imports right or is refused by its row and column; none half, none with a pupil's value."""

from __future__ import annotations

import datetime as dt
import importlib.util
import sys
from pathlib import Path

import pytest

from node.vault.import_file import ImportContext, ImportResult, import_files
from plan.record import Record


def _load_traps():
    path = Path(__file__).with_name("traps.py")
    spec = importlib.util.spec_from_file_location("import_traps", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["import_traps"] = module
    spec.loader.exec_module(module)
    return module


traps = _load_traps()
CASES = {name: (school, trap) for name, school, trap in traps.schools()}
CANARIES = [*traps.NAMES, "G990001201", "某某", "紫色", "学前班", "阿依", "9901"]


def run(school) -> ImportResult:
    context = ImportContext(
        b"\x07" * 32, "2026-2027", "A", dt.date(2026, 9, 30), "6-3", "require", school.sheets
    )
    return import_files(school.files(), context)


@pytest.fixture(scope="module")
def good() -> tuple[Record, ...]:
    result = run(traps.School())
    assert result.issues == ()
    assert [record.disposition for record in result.records] == ["1"] * 6 + ["4", "3"]
    assert result.records[0].duration_s == 123
    return result.records


def test_there_are_at_least_sixty_traps():
    assert len(CASES) >= 60


@pytest.mark.parametrize("name", CASES)
def test_trap(name, good):
    school, trap = CASES[name]
    result = run(school)
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


def test_what_traps_change_in_records():
    records = run(CASES["ledger of single parents"][0]).records
    assert (records[1].groups, records[1].family) == ({"g2"}, "2")
    records = run(CASES["list of parents who refused"][0]).records
    assert (records[7].disposition, records[7].guardian_consent) == ("6", "2")
    result = run(CASES["consent by class"][0])
    assert {record.guardian_consent for record in result.records} == {"1"}
    assert result.provenance.as_json()["consent_forms"] == [
        {"form": "2026-1", "date": "2026-09-01", "classes": 4}
    ]
    records = run(CASES["dashes for nothing"][0]).records
    assert (records[1].duration_s, records[7].disposition) == (None, "3")
