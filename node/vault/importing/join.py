"""Put each platform row to its pupil on the roster.

The roster says who is enrolled; the platform's file lists mostly those who were tested. They are
joined by a key that both have. Here this is the student number; a way that needs several columns
(name, sex, age, grade, class) is one more function in ``JOIN_KEYS``: it gives a key of a row, or
None for a row that has none, and everything below stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from node.vault.importing.errors import IssueList
from node.vault.importing.rows import PupilRow, PupilRows, cell_issue

JoinKey: TypeAlias = Callable[[PupilRow], Hashable | None]


def by_student_no(row: PupilRow) -> Hashable | None:
    """Join by the student number (学籍号); a row whose number was refused has no key."""
    return row.values.get("student_no")


JOIN_KEYS: Final[Mapping[str, JoinKey]] = {"student_no": by_student_no}


@dataclass(frozen=True, slots=True, repr=False)
class Pupil:
    """One enrolled pupil: the roster's row, and the platform's where there is one."""

    enrolled: PupilRow
    result: PupilRow | None


def join_rows(roster: PupilRows, screening: PupilRows, key: JoinKey, issues: IssueList) -> list[Pupil]:
    """Join both files; a pupil twice in one file, or not on the roster, becomes an issue.

    Returns:
        Every pupil of the roster in the roster's order.
    """
    enrolled = _index(roster, key, issues)
    results = _index(screening, key, issues)
    column = screening.columns.get("student_no")
    for value, row in results.items():
        if value not in enrolled:
            issues.add(cell_issue(row.file, row.row, column, "not-on-roster"))
    return [Pupil(row, results.get(value)) for value, row in enrolled.items()]


def _index(read: PupilRows, key: JoinKey, issues: IssueList) -> dict[Hashable, PupilRow]:
    index: dict[Hashable, PupilRow] = {}
    for row in read.rows:
        value = key(row)
        if value is None:
            continue
        first = index.setdefault(value, row)
        if first is not row:
            column = read.columns.get("student_no")
            issues.add(cell_issue(row.file, row.row, column, "duplicate-pupil", (("first", str(first.row)),)))
    return index
