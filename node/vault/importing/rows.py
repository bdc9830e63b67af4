"""From the cells of a table to checked values, one row after the other.

Nothing is guessed and nothing is imported half: a header that no alias names is left alone, a cell
that a declared column holds is either understood or an issue. The order for each row below the header is:

1. a row without any filled cell is skipped, and so is one that only has a number in front (序号);
2. a row that tells of no pupil (a total, a remark, the header once more) is left out with a warning;
3. each declared cell is read with its field's parser;
4. for a row of the platform: a pupil who was tested has everything that a result needs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from node.vault.importing.cells import (
    NOT_COMPUTED,
    Cell,
    clean_text,
    column_letters,
    is_blank,
    says_nothing,
)
from node.vault.importing.errors import CellError, IssueList, RowIssue, Severity, refuse_file
from node.vault.importing.headers import Column, FoundTable, header_key
from node.vault.importing.parsers import FACTOR_PREFIX, Value
from plan.codes import UNKNOWN

IDENTITY: Final = ("student_no", "local_no", "name")
RETEST_CODE: Final = "3"
MAX_REMARK_CELLS: Final = 4
MAX_HEADER_MARKS: Final = 8  # spaces, stars and (必填) around a header

_TOTAL = re.compile(
    r".{0,12}?(?:总计|合计|小计|共计|累计|平均)|总数|总人数|人数|均分|均值|最高|最低|标准差|百分比|占比"
    r"|(?:及格|优秀|合格|参测|完成|有效|检出|覆盖)率|[0-9]+ ?[人名]\Z|total|sum|average",
    re.IGNORECASE,
)
_REMARK = re.compile(
    r"[*※★▲●]? ?(?:\(?注\)?[:.]|备注|说明|注意|填表|填报|制表|审核|打印|导出|学校\(盖章\)"
    r"|单位|校长|班主任|负责人|联系|日期:|第 ?\d+ ?页|共 ?\d+|以下空白|以下无|以上|本页|本表|---"
    r"|.{0,20}?(?:打印|签字|签名|盖章))"
)


@dataclass(frozen=True, slots=True, repr=False)
class PupilRow:
    """The values of one row by field; a cell that was refused is absent. Holds a pupil's data."""

    file: str
    row: int
    values: dict[str, Value]
    sheet: int = 0
    columns: Mapping[str, Column] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Give a text value, empty if the row has none."""
        value = self.values.get(name)
        return value if isinstance(value, str) else ""

    def known(self, name: str) -> str:
        """Give a code that says something: empty for none and for unknown."""
        value = self.text(name)
        return "" if value == UNKNOWN and name != "grade" else value

    def issue(
        self,
        code: str,
        name: str = "",
        values: tuple[tuple[str, str], ...] = (),
        severity: Severity = "error",
    ) -> RowIssue:
        """Make an issue of this row, at the column of a field if the file has one."""
        column = self.columns.get(name)
        if column is None:
            return RowIssue(self.file, self.row, "", code, "", values, severity, self.sheet)
        place = column_letters(column.index)
        return RowIssue(self.file, self.row, place, code, column.header, values, severity, self.sheet)


@dataclass(frozen=True, slots=True, repr=False)
class PupilRows:
    """All rows of one file, with the columns that they were read from and how many rows told of no pupil."""

    columns: Mapping[str, Column]
    rows: list[PupilRow] = field(default_factory=list)
    num_left_out: int = 0


def read_rows(file: str, tables: Sequence[FoundTable], issues: IssueList) -> PupilRows:
    """Read every row below the header of each table; refused cells become issues.

    Raises:
        ImportingError: there is no row at all.
    """
    rows: list[PupilRow] = []
    num_left_out = 0
    for table in tables:
        keys = {column.index: header_key(column.header) for column in table.columns.values()}
        for number, cells in enumerate(table.rows[table.header_rows[1] :], start=table.header_row + 1):
            if all(map(is_blank, cells)) or _is_only_numbered(cells, keys):
                continue
            code = _tells_of_no_pupil(cells, table, keys)
            if code:
                num_left_out += 1
                issues.add(RowIssue(file, number, "", code, severity="warning", sheet=table.sheet))
                continue
            rows.append(_read_row(file, table, number, cells, issues))
    if not rows:
        raise refuse_file(file, "no-rows")
    return PupilRows(tables[0].columns, rows, num_left_out)


def _read_row(file: str, table: FoundTable, number: int, cells: list[Cell], issues: IssueList) -> PupilRow:
    row = PupilRow(file, number, {}, table.sheet, table.columns)
    width = table.width
    if any(not is_blank(cell) for cell in cells[width:]):
        # One comma too many in a csv file shifts every value after it.
        issues.add(RowIssue(file, number, column_letters(width), "cell-past-header", sheet=table.sheet))
        return row  # what stands in the wrong column would only make further issues
    for column in table.columns.values():
        try:
            row.values[column.field] = column.parse(cells[column.index] if column.index < len(cells) else "")
        except CellError as err:
            issues.add(row.issue(err.code, column.field, err.values))
    return row


def _tells_of_no_pupil(cells: list[Cell], table: FoundTable, keys: Mapping[int, str]) -> str:
    """Give the code of a warning for a total, a remark or a second header; empty for any other row."""
    if _is_header(cells, keys):
        return "header-again"
    identity = [_cell_of(cells, table.columns[name]) for name in IDENTITY if name in table.columns]
    if not all(map(_names_nobody, identity)):
        return ""
    if all(is_blank(cell) or cell == 0 for cell in cells):
        return "total-line"  # sums that were filled down below the last pupil
    filled = [clean_text(cell) for cell in cells if isinstance(cell, str) and not is_blank(cell)]
    if any(_TOTAL.match(text) for text in filled):
        return "total-line"
    num_cells = sum(not is_blank(cell) for cell in cells)
    is_remark = filled and num_cells <= MAX_REMARK_CELLS and _REMARK.match(filled[0])
    return "total-line" if is_remark else ""


def _is_header(cells: list[Cell], keys: Mapping[int, str]) -> bool:
    """Say whether a row is the header once more; nearly every row is not by its length alone."""
    for index, key in keys.items():
        cell = cells[index] if index < len(cells) else ""
        if (
            not isinstance(cell, str)
            or abs(len(cell) - len(key)) > MAX_HEADER_MARKS
            or header_key(cell) != key
        ):
            return False
    return len(keys) > 1


def _is_only_numbered(cells: list[Cell], keys: Mapping[int, str]) -> bool:
    """Say whether a row has only a number in a column of its own: 序号, formulas go on below the pupils."""
    if any(index < len(cells) and not is_blank(cells[index]) for index in keys):
        return False
    filled = [cell for cell in cells if not is_blank(cell) and cell != NOT_COMPUTED]
    if len(filled) != 1:
        return not filled
    return isinstance(filled[0], float) or (isinstance(filled[0], str) and clean_text(filled[0]).isdecimal())


def _cell_of(cells: list[Cell], column: Column) -> Cell:
    return cells[column.index] if column.index < len(cells) else ""


def _names_nobody(cell: Cell) -> bool:
    """Say whether a cell of an identity column is empty, or holds the words of a total or remark instead."""
    if says_nothing(cell):
        return True
    if not isinstance(cell, str):
        return False
    text = clean_text(cell)
    return _TOTAL.match(text) is not None or _REMARK.match(text) is not None


def is_tested(values: Mapping[str, Value]) -> bool:
    """Say whether a platform row tells of a test: a score, a level 0 to 3 or a failed validity.

    A row with a date only, or with a level that the codebook maps to 9, tells of none.
    """
    if values.get("level") not in (None, UNKNOWN) or values.get("validity") == "2":
        return True
    return any(isinstance(value, Decimal) for value in values.values())


def check_results(read: PupilRows, issues: IssueList) -> None:
    """Check rule 4 on every row of the platform: a result is whole."""
    factors = [name for name in read.columns if name.startswith(FACTOR_PREFIX)]
    for row in read.rows:
        if not is_tested(row.values):
            continue
        is_invalid = row.text("validity") == "2" or row.text("level") == UNKNOWN
        needed = ("administered_on",) if is_invalid else ("administered_on", "level", "total", *factors)
        if row.text("sitting") == RETEST_CODE:
            needed = ("administered_on", "level")  # a retest is often shorter: what counts is its level
        for name in needed:
            if name in row.values and row.values[name] is None:
                issues.add(row.issue("empty-cell", name))
