"""What a node's commands print for people."""

from typing import Any

import pytest

from node import cli_text
from node.errors import NodeError
from node.vault.errors import RecordsError, shown_as
from plan.errors import phrase


def issue(row: int, *, column: str = "E", first: str = "", severity: str = "error") -> dict[str, Any]:
    return {
        "file": "screening",
        "row": row,
        "column": column,
        "header": "测评日期",
        "code": "duplicate-pupil" if first else "date-form",
        "severity": severity,
        "message": "",
        "advice": "",
        "values": {"first": first} if first else {},
    }


def import_text(*issues: dict[str, Any]) -> list[str]:
    values = {"wave": "A", "school_year": "2026-2027", "census_date": "2026-09-30", "refused": 1}
    return list(cli_text.import_lines({**values, "issues": list(issues)}))


def test_an_issue_is_told_by_its_place_and_with_advice() -> None:
    lines = import_text(issue(7))
    assert lines[0].startswith(
        "error: screening results, row 7, column E, “测评日期”: The cell is not a date"
    )
    assert lines[1] == "  Set the column's format to date."


def test_alike_issues_are_told_once_with_all_their_rows() -> None:
    lines = import_text(*(issue(row) for row in (2, 3, 4, 9, 11, 12)))
    assert "6 rows (2-4, 9, 11-12)" in lines[0]
    assert len(lines) == 4


@pytest.mark.parametrize(
    "other",
    [issue(3, column="F"), issue(3, severity="warning"), issue(3, first="2")],
    ids=["column", "severity", "code"],
)
def test_issues_that_differ_stay_apart(other: dict[str, Any]) -> None:
    lines = import_text(issue(2), other)
    assert sum(": screening results, row" in line for line in lines) == 2


def test_issues_stand_in_order_under_the_file_that_was_given_with_the_advice_once() -> None:
    answer = {"wave": "A", "school_year": "2026-2027", "census_date": "2026-09-30", "refused": 1}
    answer["issues"] = [issue(10), issue(8, first="3"), issue(9, column="F")]
    lines = list(cli_text.import_lines(answer, {"screening": "导出.csv"}))
    heads = [line for line in lines if line.startswith("error")]
    assert [line.split(", row ")[1].split(",")[0] for line in heads] == ["8", "9", "10"]
    assert all("screening results 导出.csv, row" in line for line in heads)
    assert lines.count("  Set the column's format to date.") == 1


def test_an_import_says_how_many_are_tested_and_what_it_replaced() -> None:
    counts = {"roster_rows": 9, "screening_rows": 0, "matched": 0, "records": 9}
    values = {"wave": "A", "school_year": "2026-2027", "census_date": "2026-09-30", "refused": 0}
    values |= {"issues": [], "counts": counts, "dry_run": 0, "is_new": 1, "replaced": 8, "tested": 0}
    lines = [
        line.strip() for line in cli_text.import_lines(values | {"before": {"pupils": 12, "tested": 11}})
    ]
    assert "0 pupils are tested" in lines
    assert "the import before: 12 pupils, 11 of them tested" in lines
    assert "records of 8 of these pupils were replaced" in lines
    assert not [line for line in cli_text.import_lines(values) if "before" in line or "replaced" in line]


def test_how_the_files_met_the_follow_up_form_is_told() -> None:
    counts = {"roster_rows": 9, "screening_rows": 9, "matched": 9, "records": 9}
    form = {"kept": 3, "differ": 2, "not_applied": 0, "off_roster": 1}
    values = {"wave": "A", "school_year": "2026-2027", "census_date": "2026-09-30", "refused": 0}
    values |= {"issues": [], "counts": counts, "dry_run": 0, "is_new": 1, "form": form}
    lines = [line.strip() for line in cli_text.import_lines(values)]
    assert "follow-up form: 3 typed values are kept" in lines
    assert "2 more although the files say something else: what was typed stands" in lines
    assert "entries about 1 pupils wait who are not on the roster" in lines
    assert not [line for line in lines if "no consent" in line]


def test_many_ranges_are_cut() -> None:
    line = import_text(*(issue(row) for row in range(2, 60, 2)))[0]
    assert "29 rows (2, 4, " in line
    assert " …)" in line


def test_a_phrase_in_details_fills_the_template() -> None:
    words = phrase("found %(what)s", what=phrase("the file"))
    err = RecordsError("not fit (%(reason)s)", "Do %(reason)s.", details={**shown_as("reason", words)})
    assert list(cli_text.error_lines(err)) == ["refused: not fit (found the file)", "  Do found the file."]


def test_a_template_without_details_may_hold_a_percent_sign() -> None:
    assert list(cli_text.error_lines(NodeError("100 % wrong"))) == ["refused: 100 % wrong"]
