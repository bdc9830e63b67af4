"""What a school's ledgers hold: read from either file, withheld without consent, else refused."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Callable
from typing import Any

import pytest
from ledger_school import HEADERS, ledger_profile, school_files

from node.vault.import_file import ImportContext, ImportResult, import_files
from plan.codes import FLAG

FOLLOWED = {
    "groups": "留守、残疾",
    "found_by": "多渠道",
    "recheck": "降级",
    "recheck_by": "第三方",
    "level2": "一级预警",
    "file_built": "是",
    "carer_assigned": "否",
    "pool": "在册",
    **dict.fromkeys(FLAG, "是"),
    "days_to_review": "12 天",
    "ref_dest": "心理中心",
    "outcome": "校内随访",
    "home_visit": "是",
    "handed_over": "否",
}
CODES = {
    "groups": frozenset({"g1", "g6"}),
    "found_by": "4",
    "recheck": "1",
    "recheck_by": "2",
    "level2": "1",
    "file_built": "1",
    "carer_assigned": "0",
    "pool": "2",
    **dict.fromkeys(FLAG, "1"),
    "days_to_review": 12,
    "ref_dest": "4",
    "outcome": "5",
    "home_visit": "1",
    "handed_over": "0",
}


class School:
    """The pupils of `school_files`, whose cells a test may set; rows count from 1."""

    def __init__(self) -> None:
        self.files = school_files(12, seed=3)
        self.tables = {
            part: list(csv.reader(io.StringIO(self.files[part].decode()))) for part in ("roster", "screening")
        }
        for row in range(1, 13):  # everybody is tested with consent, and no ledger says anything
            self.set("roster", row, "监护人同意", "同意")
            self.set("roster", row, "未测原因", "")
            for name in FOLLOWED:
                self.set("roster", row, HEADERS[name], "")
        self.tables["screening"] = [
            self.tables["screening"][0],
            *(self.result_of(row) for row in range(1, 13)),
        ]

    def result_of(self, row: int) -> list[str]:
        number = self.tables["roster"][row][0]
        scores = ["1"] * 8
        return [number, "2026-10-15", "通过", "8", *scores, "三级预警", "321秒"]

    def set(self, part: str, row: int, header: str, value: str) -> None:
        table = self.tables[part]
        table[row][table[0].index(header)] = value

    def follow(self, row: int, **changes: str) -> None:
        for name, value in (FOLLOWED | changes).items():
            self.set("roster", row, HEADERS[name], value)

    def untested(self, row: int) -> None:
        del self.tables["screening"][row]

    def run(self, policy: str = "require") -> ImportResult:
        files = dict(self.files)
        for part, rows in self.tables.items():
            out = io.StringIO(newline="")
            csv.writer(out).writerows(rows)
            files[part] = out.getvalue().encode()
        context = ImportContext(b"k" * 32, "2026-2027", "A", dt.date(2026, 9, 30), "6-3", policy)
        return import_files(files, context)


def field_values(record: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(record, name) for name in names}


def test_every_column_of_the_ledgers_is_read() -> None:
    school = School()
    school.follow(1)
    result = school.run()
    assert not result.issues
    assert field_values(result.records[0], *CODES) == CODES
    assert result.records[0].duration_s == 321


def test_empty_cells_are_unknown() -> None:
    record = School().run().records[1]
    unknown = dict.fromkeys(CODES, "9") | {"groups": frozenset(), "days_to_review": None}
    assert field_values(record, *CODES) == unknown


def test_the_ledgers_may_stand_in_the_platforms_file() -> None:
    school = School()
    for row, cells in enumerate(school.tables["screening"]):
        cells += [HEADERS[name] if row == 0 else FOLLOWED[name] if row == 1 else "" for name in FOLLOWED]
    header = school.tables["roster"][0]
    kept = [place for place, title in enumerate(header) if title not in HEADERS.values()]
    school.tables["roster"] = [[cells[place] for place in kept] for cells in school.tables["roster"]]
    assert field_values(school.run().records[0], *CODES) == CODES


@pytest.mark.parametrize("consent", ["不同意", "未登记"])
def test_without_consent_only_groups_and_visits_stay(consent: str) -> None:
    school = School()
    school.follow(1, groups="留守、心理障碍")
    school.set("roster", 1, "监护人同意", consent)
    record = school.run().records[0]
    expected = dict.fromkeys(CODES, "9") | {
        "groups": frozenset({"g1"}),
        "days_to_review": None,
        "home_visit": "1",
    }
    assert field_values(record, *CODES) == expected
    assert record.duration_s is None


def test_who_refused_the_test_has_no_entry_under_either_policy() -> None:
    school = School()
    school.follow(12, groups="心理障碍", recheck="", level2="")
    school.set("roster", 12, "未测原因", "拒测")
    school.untested(12)
    record = school.run("record-only").records[11]
    assert (record.disposition, record.groups, record.file_built, record.closed) == (
        "6",
        frozenset(),
        "9",
        "9",
    )


def test_an_untested_pupil_can_stand_in_a_ledger() -> None:
    school = School()
    school.follow(12, recheck="未复测", recheck_by="", level2="")
    school.untested(12)
    record = school.run().records[11]
    assert (record.disposition, record.pool, record.recheck, record.days_to_review) == ("3", "2", "9", 12)


REFUSED: dict[str, tuple[Callable[[School], None], str]] = {
    "recheck of nobody": (lambda s: (s.follow(12, level2=""), s.untested(12))[0], "recheck-untested"),
    "level of nobody": (lambda s: (s.follow(12, recheck=""), s.untested(12))[0], "recheck-untested"),
    "unknown label": (lambda s: s.follow(1, pool="丢失"), "unmapped-label"),
    "bare number": (lambda s: s.follow(1, ref_dest="1"), "bare-number"),
    "unknown level": (lambda s: s.follow(1, level2="紫色"), "unmapped-level"),
    "half a day": (lambda s: s.follow(1, days_to_review="1.5"), "not-whole"),
    "no days": (lambda s: s.follow(1, days_to_review="很久"), "not-whole"),
    "negative days": (lambda s: s.follow(1, days_to_review="-1"), "not-whole"),
    "eleven years": (lambda s: s.follow(1, days_to_review="4000"), "number-range"),
    "two days of a test": (lambda s: s.set("screening", 1, "用时", "172800"), "number-range"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_by_its_place(name: str) -> None:
    school = School()
    spoil, code = REFUSED[name]
    spoil(school)
    result = school.run()
    assert [issue.code for issue in result.issues] == [code]
    assert result.issues[0].row > 0
    assert result.issues[0].column
    assert not result.records


def test_a_declared_column_must_be_there() -> None:
    school = School()
    school.set("roster", 0, "家访", "走访")
    assert [issue.code for issue in school.run().issues] == ["missing-column"]
    assert "家访" in ledger_profile().decode()
