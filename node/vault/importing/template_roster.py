"""Read a roster for the workbook that a paper school fills in: as it is spelt, with labels that are known.

No profile is needed: headers and labels are those of `importing.guess_words`. What the workbook must have to
be imported again, a student number and a grade that is understood, is checked here row by row; every other
cell is copied as the roster spells it, or left empty where its label is not known, for a person to choose.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Final

from node.vault.importing.cells import Cell, clean_text, says_nothing, text_of
from node.vault.importing.errors import ROSTER, CellError, ImportingError, IssueList, RowIssue
from node.vault.importing.guess_words import HEADERS, JUNIOR_GRADES, LABELS
from node.vault.importing.headers import FoundTable, find_tables
from node.vault.importing.parsers import Parser, parse_student_no
from node.vault.importing.profile import NO_ABSENCE, NO_GROUP, TablePlace, match_key
from node.vault.importing.reader import read_sheets
from node.vault.importing.rows import PupilRows, read_rows
from plan.codes import UNKNOWN

COPIED: Final = ("student_no", "local_no", "name", "sex", "grade", "class_no", "birth_ym")
LABELLED: Final = ("guardian_consent", "absence", "boarding", "left_behind", "family", "migrant", "groups")
NEEDED: Final = frozenset({"student_no", "grade"})
NOTHING: Final = frozenset({UNKNOWN, NO_ABSENCE, NO_GROUP})

RosterRow = dict[str, str]


def read_template_roster(
    data: bytes, system: str, sheet: str = ""
) -> tuple[list[RosterRow], tuple[RowIssue, ...]]:
    """Read a roster.

    Args:
        data: the file.
        system: school system, for 初一 … 初四.
        sheet: name or number; empty: the one with the table; "*": all that have it.

    Returns:
        For each pupil the texts of `COPIED` (the grade as its code) and the codes of `LABELLED`, without
        what the roster does not say; and what is wrong, by row and column: then the rows are not to be used.

    Raises:
        ImportingError: the file is no table, or has no student number or grade.
    """
    issues = IssueList()
    headers: dict[str, Sequence[str]] = {name: HEADERS[name] for name in (*COPIED, *LABELLED)}
    place = TablePlace(sheet=sheet)
    tables = find_tables(ROSTER, read_sheets(ROSTER, data), place, headers, _parsers(system), NEEDED, issues)
    lacking = [name for name in COPIED if name in NEEDED - tables[0].columns.keys()]
    if lacking:
        raise ImportingError(*(_missing(tables[0], name) for name in lacking))
    read = read_rows(ROSTER, tables, issues)
    _check_doubles(read, issues)
    return [{name: str(value) for name, value in row.values.items() if value} for row in read.rows], (
        issues.listed()
    )


def _missing(table: FoundTable, name: str) -> RowIssue:
    expected = (("expected", ", ".join(HEADERS[name])),)
    return RowIssue(ROSTER, table.header_row, "", "missing-column", values=expected, sheet=table.sheet)


def _parsers(system: str) -> Mapping[str, Parser]:
    grades = {**LABELS["grade"], **JUNIOR_GRADES[system]}
    parsers: dict[str, Parser] = dict.fromkeys(COPIED, _copy)
    parsers |= {name: _label_parser(LABELS[name]) for name in ("sex", *LABELLED)}
    return parsers | {"student_no": parse_student_no, "grade": _grade_parser(grades)}


def _copy(cell: Cell) -> str | None:
    """Take a cell as people see it, without what they cannot see."""
    if isinstance(cell, dt.datetime):
        cell = cell.date()
    text = cell.isoformat() if isinstance(cell, dt.date) else clean_text(text_of(cell))
    return None if says_nothing(text) else text


def _label_parser(labels: Mapping[str, str]) -> Parser:
    known = {match_key(label): code for label, code in labels.items() if code not in NOTHING}

    def parse(cell: Cell) -> str | None:
        return known.get(match_key(text_of(cell))) if isinstance(cell, str | int | float) else None

    return parse


def _grade_parser(labels: Mapping[str, str]) -> Parser:
    known = {match_key(label): code for label, code in labels.items()}

    def parse(cell: Cell) -> str:
        key = match_key(text_of(cell))
        if key not in known:
            raise CellError("unmapped-label" if key else "empty-cell")
        return known[key]

    return parse


def _check_doubles(read: PupilRows, issues: IssueList) -> None:
    first: dict[str, int] = {}
    for row in read.rows:
        number = row.text("student_no")
        if number and first.setdefault(number, row.row) != row.row:
            issues.add(row.issue("duplicate-pupil", "student_no", (("first", str(first[number])),)))
