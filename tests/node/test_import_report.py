"""The report of an import's problems: every problem in each kind of file, in words, without a pupil."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from node.errors import ConfigError
from node.import_report import encode_report
from node.vault.importing.errors import RowIssue
from node.vault.importing.reader import read_sheets

ISSUES = [
    RowIssue("roster", 3, "D", "unmapped-label", "年级"),
    RowIssue("ledger.single", 7, "", "total-line", severity="warning", sheet=2),
    RowIssue("screening", 5, "E", "score-range", "总分<b>&", (("high", "90"), ("low", "0"))),
]
ANSWER = {
    "issues": [issue.as_json() for issue in ISSUES],
    "refused": 1,
    "dry_run": 0,
    "school_year": "2026-2027",
    "wave": "A",
    "census_date": "2026-09-30",
}


def expected() -> list[list[str]]:
    return [
        ["error", "roster", "", "3", "D", "年级", ISSUES[0].message, ISSUES[0].advice],
        ["warning", "ledger single", "2", "7", "", "", ISSUES[1].message, ISSUES[1].advice],
        ["error", "screening results", "", "5", "E", "总分<b>&", ISSUES[2].message, ISSUES[2].advice],
    ]


def test_csv_has_every_problem_and_a_mark_for_spreadsheet_programs() -> None:
    data = encode_report(ANSWER, Path("a.CSV"))
    assert data.startswith(b"\xef\xbb\xbf")
    assert list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))[1:] == expected()


def test_workbook_can_be_read_back() -> None:
    (sheet,) = read_sheets("roster", encode_report(ANSWER, Path("a.xlsx")))
    rows = [[str(int(cell)) if isinstance(cell, float) else cell for cell in row] for row in sheet.rows[1:]]
    assert rows == expected()


def test_page_shows_every_problem_and_no_markup_of_the_file() -> None:
    page = encode_report(ANSWER, Path("a.html")).decode()
    for issue in ISSUES:
        assert issue.advice.replace("'", "&#x27;").replace('"', "&quot;") in page
    assert "总分&lt;b&gt;&amp;" in page
    assert "<script" not in page
    assert "http" not in page


def test_another_ending_is_refused() -> None:
    with pytest.raises(ConfigError):
        encode_report(ANSWER, Path("a.docx"))
