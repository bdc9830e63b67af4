"""From the cells of a table to checked values, one row after the other.

Nothing is guessed and nothing is imported half: a header that no alias names is left alone, a cell
that a declared column holds is either understood or an issue. The order for each file is:

1. find the header row and the declared columns in it (`find_columns`);
2. skip rows without any filled cell; read each declared cell with its field's parser (`read_rows`);
3. for a row of the platform: a pupil who was tested has everything that a result needs.

A parser takes a cell and returns a value, or raises `CellError`, which holds no part of the cell.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, TypeAlias

from node.vault.importing.errors import CellError, IssueList, RowIssue, refuse_file
from node.vault.importing.profile import CODED, NO_GROUP, ImportProfile, TablePlace, match_key
from node.vault.importing.reader import Cell, Table, clean_text, column_letters
from plan.codebook import Codebook
from plan.codes import UNKNOWN, school_year_of
from plan.errors import CodebookError
from plan.record import MAX_DAYS, MAX_DURATION_S
from plan.scores import ScoreRange, encode_score, parse_score

Value: TypeAlias = str | int | Decimal | dt.date | frozenset[str] | None
Parser: TypeAlias = Callable[[Cell], Value]

FACTOR_PREFIX: Final = "factor."
EXACT_DIGITS: Final = 15  # a spreadsheet stores numbers with no more, the rest is lost

_STUDENT_NO = re.compile(r"[GLJ][0-9]{17}[0-9X]\Z", re.ASCII)
_EXPONENT = re.compile(r"[0-9](\.[0-9]+)?E\+?[0-9]+\Z", re.ASCII)
_DATE = re.compile(r"([0-9]{4})[-/.年]([0-9]{1,2})[-/.月]([0-9]{1,2})日?(?: [0-9]{1,2}:[0-9:]+)?\Z", re.ASCII)
_COMPACT_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})\Z", re.ASCII)
_NUMBER = re.compile(r"([0-9]{1,9})(?:\.0+)?(?:秒|天|s)?\Z", re.ASCII)
_DIGITS = re.compile(r"[0-9]+(\.[0-9]+)?\Z", re.ASCII)
_SEPARATORS = re.compile(r"[,、;/|]")


@dataclass(frozen=True, slots=True)
class Column:
    """A declared column that a file has: its field, 0-based place, header as the profile spells it."""

    field: str
    index: int
    header: str
    parse: Parser


@dataclass(frozen=True, slots=True, repr=False)
class PupilRow:
    """The values of one row by field; a cell that was refused is absent. Holds a pupil's data."""

    file: str
    row: int
    values: dict[str, Value]

    def text(self, name: str) -> str:
        """Give a text value, empty if the row has none."""
        value = self.values.get(name)
        return value if isinstance(value, str) else ""


@dataclass(frozen=True, slots=True, repr=False)
class PupilRows:
    """All rows of one file, with the columns that they were read from."""

    columns: Mapping[str, Column]
    rows: list[PupilRow] = field(default_factory=list)


def make_parsers(profile: ImportProfile, codebook: Codebook, school_year: str) -> dict[str, Parser]:
    """Give the parser of every declared field and of every factor (`factor.<id>`)."""
    parsers: dict[str, Parser] = {
        "student_no": parse_student_no,
        "administered_on": _Memory(lambda cell: parse_date(cell, school_year)),
        "level": _Memory(lambda cell: _parse_level(cell, codebook, profile.levels)),
        "level2": _Memory(lambda cell: _parse_level(cell, codebook, profile.levels)),
        "days_to_review": _Memory(lambda cell: parse_number(cell, MAX_DAYS)),
        "duration_s": _Memory(lambda cell: parse_number(cell, MAX_DURATION_S)),
        "total": _score_parser(codebook.total),
        "groups": _Memory(lambda cell: _parse_groups(cell, profile.values["groups"])),
    }
    if codebook.validity is not None:
        parsers["validity_score"] = _score_parser(codebook.validity.range)
    for name in CODED.keys() - {"groups"}:
        if name in profile.values:
            parsers[name] = _code_parser(name, profile.values[name])
    for factor in codebook.factors:
        parsers[FACTOR_PREFIX + factor.id] = _score_parser(factor.range)
    return parsers


def find_columns(
    file: str,
    table: Table,
    place: TablePlace,
    headers: Mapping[str, Sequence[str]],
    parsers: Mapping[str, Parser],
) -> dict[str, Column]:
    """Find which of the fields have a column in this file; the first header of a list that exists wins.

    Raises:
        ImportingError: no header row, or two columns with the header of one field.
    """
    cells = table.rows[place.header_row - 1] if table.num_rows >= place.header_row else []
    found: dict[str, int] = {}
    doubled: dict[str, int] = {}
    for index, cell in enumerate(cells):
        key = match_key(cell) if isinstance(cell, str) else ""
        if key and found.setdefault(key, index) != index:
            doubled[key] = index
    if not found:
        raise refuse_file(file, "header-missing", expected=str(place.header_row))
    columns = {}
    for name, aliases in headers.items():
        header = next((alias for alias in aliases if match_key(alias) in found), None)
        if header is None:
            continue
        key = match_key(header)
        if key in doubled:
            first, second = column_letters(found[key]), column_letters(doubled[key])
            raise refuse_file(file, "double-column", row=place.header_row, first=first, second=second)
        columns[name] = Column(name, found[key], header, parsers[name])
    return columns


def read_rows(
    file: str, table: Table, place: TablePlace, columns: Mapping[str, Column], issues: IssueList
) -> PupilRows:
    """Read every row below the header; refused cells become issues.

    Raises:
        ImportingError: there is no row at all.
    """
    read = PupilRows(columns)
    width = len(table.rows[place.header_row - 1])
    for number, cells in enumerate(table.rows[place.header_row :], start=place.header_row + 1):
        if all(_is_blank(cell) for cell in cells):
            continue
        if any(not _is_blank(cell) for cell in cells[width:]):
            # One comma too many in a csv file shifts every value after it.
            issues.add(RowIssue(file, number, column_letters(width), "cell-past-header"))
        values: dict[str, Value] = {}
        for column in columns.values():
            try:
                values[column.field] = column.parse(cells[column.index] if column.index < len(cells) else "")
            except CellError as err:
                issues.add(cell_issue(file, number, column, err.code, err.values))
        read.rows.append(PupilRow(file, number, values))
    if not read.rows:
        raise refuse_file(file, "no-rows")
    return read


def cell_issue(
    file: str, row: int, column: Column | None, code: str, values: tuple[tuple[str, str], ...] = ()
) -> RowIssue:
    """Make the issue of one cell; without a column, of the row."""
    if column is None:
        return RowIssue(file, row, "", code, values=values)
    return RowIssue(file, row, column_letters(column.index), code, column.header, values)


def is_tested(values: Mapping[str, Value]) -> bool:
    """Say whether a platform row tells of a test: a score, a level 0 to 3 or a failed validity.

    A row with a date only, or with a level that the codebook maps to 9, tells of none.
    """
    if values.get("level") not in (None, UNKNOWN) or values.get("validity") == "2":
        return True
    return any(isinstance(value, Decimal) for value in values.values())


def check_results(read: PupilRows, issues: IssueList) -> None:
    """Check rule 3 on every row of the platform: a result is whole, and it is no retest."""
    factors = [name for name in read.columns if name.startswith(FACTOR_PREFIX)]
    for row in read.rows:
        if row.text("sitting") == "3":
            column = read.columns.get("sitting")
            issues.add(cell_issue(row.file, row.row, column, "retest-row"))
        if not is_tested(row.values):
            continue
        is_invalid = row.text("validity") == "2" or row.text("level") == UNKNOWN
        needed = ("administered_on",) if is_invalid else ("administered_on", "level", "total", *factors)
        for name in needed:
            if name in row.values and row.values[name] is None:
                issues.add(cell_issue(row.file, row.row, read.columns[name], "empty-cell"))


def parse_student_no(cell: Cell) -> str:
    """Read a student number (学籍号): G, L or J and 18 characters, in capitals.

    Raises:
        CellError: empty, stored as a number (whose last digits a spreadsheet loses), or another form.
    """
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        is_damaged = abs(cell) >= 10**EXACT_DIGITS
        raise CellError("student-no-damaged" if is_damaged else "student-no-form")
    text = clean_text(_text_of(cell)).replace(" ", "").upper()
    if not text:
        raise CellError("empty-cell")
    if text.startswith('="') and text.endswith('"'):  # how exports keep a csv column from becoming numbers
        text = text[2:-1]
    text = text.removeprefix("'")
    if _EXPONENT.match(text):
        raise CellError("student-no-damaged")
    if not _STUDENT_NO.match(text):
        raise CellError("student-no-form")
    return text


def parse_date(cell: Cell, school_year: str) -> dt.date | None:
    """Read a day of the school year; None for an empty cell.

    Raises:
        CellError: no date, or one of another school year.
    """
    if isinstance(cell, dt.datetime):
        day = cell.date()
    elif isinstance(cell, dt.date):
        day = cell
    else:
        text = clean_text(_text_of(cell))
        if not text:
            return None
        match = _DATE.match(text) or _COMPACT_DATE.match(text)
        if match is None:
            raise CellError("date-form")
        try:
            day = dt.date(int(match[1]), int(match[2]), int(match[3]))
        except ValueError:
            raise CellError("date-form") from None  # its message would repeat the cell
    if school_year_of(day) != school_year:
        raise CellError("date-range", expected=school_year)
    return day


def parse_number(cell: Cell, most: int) -> int | None:
    """Read a whole number from 0 to `most`, with or without its unit (秒, 天); None for an empty cell.

    Raises:
        CellError: another number, or none.
    """
    text = clean_text(_text_of(cell)).replace(" ", "")
    if not text:
        return None
    match = _NUMBER.match(text)
    if match is None:
        raise CellError("not-whole")
    if int(match[1]) > most:
        raise CellError("number-range", most=str(most))
    return int(match[1])


class _Memory:
    """A parser that remembers its values: a column has few different ones. Refusals are not kept."""

    def __init__(self, parse: Parser) -> None:
        self._parse = parse
        self._known: dict[tuple[type, Cell], Value] = {}

    def __call__(self, cell: Cell) -> Value:
        key = (type(cell), cell)  # True, 1 and 1.0 are equal but not the same answer
        if key not in self._known:
            self._known[key] = self._parse(cell)
        return self._known[key]


def _is_blank(cell: Cell) -> bool:
    return isinstance(cell, str) and (not cell or not clean_text(cell))


def _text_of(cell: Cell) -> str:
    """Give a text or number cell as text; a whole number has no decimal point."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool) or not isinstance(cell, (int, float)):
        raise CellError("not-text")
    return str(int(cell)) if cell == cell // 1 else repr(cell)


def _code_parser(name: str, labels: Mapping[str, str]) -> Parser:
    has_unknown = UNKNOWN in CODED[name] and name != "grade"  # the "9" of a grade is the ninth

    def parse(cell: Cell) -> Value:
        key = match_key(_text_of(cell))
        if key in labels:
            return labels[key]
        if key:
            raise CellError("bare-number" if _DIGITS.match(key) else "unmapped-label")
        if has_unknown:
            return UNKNOWN
        if name in ("absence", "sitting"):
            return None
        raise CellError("empty-cell")

    return _Memory(parse)


def _parse_groups(cell: Cell, labels: Mapping[str, str]) -> frozenset[str]:
    """Read a cell that names several groups, apart by comma, semicolon, 、, / or |."""
    codes = set()
    for part in _SEPARATORS.split(clean_text(_text_of(cell))):
        key = match_key(part)
        if key and key not in labels:
            raise CellError("bare-number" if _DIGITS.match(key) else "unmapped-label")
        if key:
            codes.add(labels[key])
    return frozenset(codes - {NO_GROUP})


def _parse_level(cell: Cell, codebook: Codebook, label_set: str) -> str | None:
    label = match_key(_text_of(cell))
    if not label:
        return None
    try:
        return codebook.level_of(label, label_set)
    except CodebookError:
        if any(known.level_of(label) is not None for known in codebook.label_sets):
            raise CellError("ambiguous-level") from None
        raise CellError("bare-number" if _DIGITS.match(label) else "unmapped-level") from None


def _score_parser(allowed: ScoreRange) -> Parser:
    low, high = encode_score(allowed.low), encode_score(allowed.high)

    def parse(cell: Cell) -> Value:
        if isinstance(cell, float):
            cell = round(cell, 4)  # a formula's 12.299999999999999 is 12.3
        try:
            text = clean_text(_text_of(cell))
            score = parse_score(text) if text else None
        except (ValueError, OverflowError, CellError):
            raise CellError("not-a-number") from None
        if score is not None and not allowed.contains(score):
            raise CellError("score-range", low=low, high=high)
        return score

    return _Memory(parse)
