"""Find the table in a file: which sheet, which row is its header, which column is which field.

1. The sheet that the profile names, by name or number; `*` for all that have the table. Without one, the
   only sheet with every column that must be there; several such sheets are a question, not a guess.
2. The header is the row, among the first 20, with the most of the profile's headers. Rows directly above or
   below it that hold further headers, in columns where it has none, belong to it: a header of two tiers
   with merged cells. A profile may give the row instead.
3. Of the headers that mean one field, the first in the profile that the table has wins; the same one twice
   is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from node.vault.importing.cells import MAX_TEXT_CHARS, Cell, column_letters, is_blank
from node.vault.importing.errors import ImportingError, IssueList, RowIssue, refuse_file
from node.vault.importing.parsers import Parser
from node.vault.importing.profile import TablePlace, match_key
from node.vault.importing.reader import Sheet

SEARCHED_ROWS: Final = 20
MAX_HEADER_TIERS: Final = 3
LEAST_HEADERS: Final = 2
ALL_SHEETS: Final = "*"
WHO: Final = frozenset({"student_no", "local_no", "name"})

_REQUIRED_WORDS: Final = ("(必填)", "(必填项)", "(选填)", "[必填]")


@dataclass(frozen=True, slots=True)
class Column:
    """A declared column that a file has: its field, 0-based place, header as the profile spells it."""

    field: str
    index: int
    header: str
    parse: Parser


@dataclass(frozen=True, slots=True)
class FoundTable:
    """A table with its header found.

    Attributes:
        sheet: number of the sheet for messages; 0 where the file has only one.
        header_rows: 0-based first row of the header, and the row behind its last.
        columns: the declared columns that are there, by field.
    """

    sheet: int
    rows: list[list[Cell]] = field(repr=False)
    header_rows: tuple[int, int]
    columns: Mapping[str, Column]

    @property
    def header_row(self) -> int:
        """Give the 1-based last row of the header, for messages."""
        return self.header_rows[1]

    @property
    def width(self) -> int:
        """Give the number of columns that the header has."""
        first, end = self.header_rows
        return max((len(row) for row in self.rows[first:end]), default=0)


def header_key(cell: Cell) -> str:
    """Normalise a header for comparing: as labels are, without the marks of columns that must be filled."""
    if not isinstance(cell, str) or not cell or len(cell) > MAX_TEXT_CHARS:
        return ""
    key = match_key(cell)
    for word in _REQUIRED_WORDS:
        key = key.removesuffix(word).removeprefix(word)
    return key.strip("*※★:")


def find_tables(
    file: str,
    sheets: Sequence[Sheet],
    place: TablePlace,
    headers: Mapping[str, Sequence[str]],
    parsers: Mapping[str, Parser],
    needed: frozenset[str],
    issues: IssueList,
) -> list[FoundTable]:
    """Find the table in each sheet that is meant; one, unless the profile takes all sheets.

    Args:
        file: the part that the file plays, for messages.
        sheets: of the file.
        place: what the profile says about sheet and row.
        headers: field → its headers, the preferred one first.
        parsers: field → its parser.
        needed: fields without which a sheet is not this table.
        issues: takes a warning of sheets that look like this table and are not read.

    Raises:
        ImportingError: no header, no such sheet, several sheets that could be meant, or a header twice.
    """
    known = {header_key(alias): name for name, aliases in headers.items() for alias in aliases}
    meant = _named_sheets(file, sheets, place.sheet)
    blocks = [(sheet, _header_block(sheet.rows, known, place.header_row, needed)) for sheet in meant]
    found = [(sheet, block) for sheet, block in blocks if block is not None]
    if not found:
        if place.header_row:
            raise refuse_file(file, "header-missing", expected=str(place.header_row))
        raise refuse_file(file, "header-not-found", allowed=str(SEARCHED_ROWS))
    whole = [item for item in found if needed <= _fields(item[0].rows, item[1], known)]
    if place.sheet == ALL_SHEETS:
        chosen = whole or found[:1]
    else:
        chosen = [_choose(file, whole, found, known)]
    if place.sheet in ("", ALL_SHEETS):
        _warn_of_others(file, [item for item in found if item not in chosen], known, issues)
    is_one = len(sheets) == 1
    return [
        _found_table(file, sheet, block, headers, parsers, 0 if is_one else sheet.number)
        for sheet, block in chosen
    ]


_Block = tuple[int, int]


def _named_sheets(file: str, sheets: Sequence[Sheet], name: str) -> list[Sheet]:
    if name in ("", ALL_SHEETS):
        return [sheet for sheet in sheets if not sheet.is_hidden] or list(sheets)
    named = [sheet for sheet in sheets if match_key(sheet.title) == match_key(name)]
    if not named and name.isascii() and name.isdigit():
        named = [sheet for sheet in sheets if sheet.number == int(name)]
    if not named:
        raise refuse_file(file, "sheet-missing")
    return named[:1]


def _choose(
    file: str,
    whole: list[tuple[Sheet, _Block]],
    found: list[tuple[Sheet, _Block]],
    known: Mapping[str, str],
) -> tuple[Sheet, _Block]:
    """Choose the only sheet with the whole table, or the nearest one, which will tell what it lacks."""
    if len(whole) > 1:
        numbers = ", ".join(str(sheet.number) for sheet, _block in whole)
        raise refuse_file(file, "which-sheet", expected=numbers)
    if whole:
        return whole[0]
    return max(found, key=lambda item: len(_fields(item[0].rows, item[1], known)))


def _warn_of_others(
    file: str, others: list[tuple[Sheet, _Block]], known: Mapping[str, str], issues: IssueList
) -> None:
    """Warn of sheets that name pupils and are not read, such as a class whose sheet lacks a column."""
    numbers = [
        str(sheet.number)
        for sheet, block in others
        if _fields(sheet.rows, block, known) & WHO and len(sheet.rows) > block[1]
    ]
    if numbers:
        values = (("expected", ", ".join(numbers)),)
        issues.add(RowIssue(file, 0, "", "sheet-left-out", values=values, severity="warning"))


def _header_block(
    rows: list[list[Cell]], known: Mapping[str, str], header_row: int, needed: frozenset[str]
) -> _Block | None:
    """Find the header's rows: 0-based first row, and the row behind the last."""
    if header_row:
        if header_row > len(rows) or not any(header_key(cell) for cell in rows[header_row - 1]):
            return None
        return header_row - 1, header_row
    return find_header(rows, known, needed)


def find_header(
    rows: list[list[Cell]], known: Mapping[str, str], needed: frozenset[str] = frozenset()
) -> _Block | None:
    """Look for the header among the first rows; None if no row has two headers that are known.

    Args:
        rows: of a sheet.
        known: normalised header (`header_key`) → field.
        needed: the first row with all of these is the header, whatever a later one has: with two tables one
            below the other, pupils of the first would else be taken for a title.

    Returns:
        0-based first row of the header, and the row behind its last.
    """
    fields = [{known[key] for key in map(header_key, row) if key in known} for row in rows[:SEARCHED_ROWS]]
    most = max(map(len, fields), default=0)
    if most == 0:
        return None
    is_whole = [bool(needed) and needed <= found for found in fields]
    first = is_whole.index(True) if any(is_whole) else [len(found) for found in fields].index(most)
    if most < LEAST_HEADERS and sum(not is_blank(cell) for cell in rows[first]) > most:
        return None  # a word in some sentence; a list of numbers alone has nothing beside its header
    end = first + 1
    while end < len(rows) and end - first < MAX_HEADER_TIERS:
        if _holds_data(rows, (first, end), rows[end], known) or not _adds(
            rows, (first, end), rows[end], known
        ):
            break
        end += 1
    while first > 0 and end - first < MAX_HEADER_TIERS and _adds(rows, (first, end), rows[first - 1], known):
        first -= 1
    return first, end


def _holds_data(rows: list[list[Cell]], block: _Block, row: list[Cell], known: Mapping[str, str]) -> bool:
    """Say whether a row below the header has a value under one of its headers: then it is no header itself.

    Without this, a pupil with a word such as 学生 in a column that nobody reads would be taken for a header.
    """
    return any(
        index < len(row) and not is_blank(row[index]) and header_key(row[index]) != key
        for index, key in _keys(rows, block, known).items()
        if key in known
    )


def _adds(rows: list[list[Cell]], block: _Block, row: list[Cell], known: Mapping[str, str]) -> bool:
    """Say whether a row next to the header holds headers that are new, and nothing in their place above."""
    has = _fields(rows, block, known)
    keys = _keys(rows, block, known)
    new = {
        index
        for index, cell in enumerate(row)
        if (key := header_key(cell)) in known and known[key] not in has
    }
    return bool(new) and all(keys.get(index, "") not in known for index in new)


def _keys(rows: list[list[Cell]], block: _Block, known: Mapping[str, str]) -> dict[int, str]:
    """Give each column's header: the lowest of the block that the profile knows, else the lowest."""
    keys: dict[int, str] = {}
    for row in rows[block[0] : block[1]]:
        for index, cell in enumerate(row):
            key = header_key(cell)
            if key and (key in known or keys.get(index) not in known):
                keys[index] = key
    return keys


def _fields(rows: list[list[Cell]], block: _Block, known: Mapping[str, str]) -> set[str]:
    return {known[key] for key in _keys(rows, block, known).values() if key in known}


def _found_table(
    file: str,
    sheet: Sheet,
    block: _Block,
    headers: Mapping[str, Sequence[str]],
    parsers: Mapping[str, Parser],
    number: int,
) -> FoundTable:
    known = {header_key(alias): name for name, aliases in headers.items() for alias in aliases}
    places: dict[str, list[int]] = {}
    for index, key in sorted(_keys(sheet.rows, block, known).items()):
        places.setdefault(key, []).append(index)
    columns: dict[str, Column] = {}
    for name, aliases in headers.items():
        header = next((alias for alias in aliases if header_key(alias) in places), None)
        if header is None:
            continue
        indexes = places[header_key(header)]
        if len(indexes) > 1:
            first, second = column_letters(indexes[0]), column_letters(indexes[1])
            values = (("first", first), ("second", second))
            raise ImportingError(RowIssue(file, block[1], "", "double-column", header, values, sheet=number))
        columns[name] = Column(name, indexes[0], header, parsers[name])
    return FoundTable(number, sheet.rows, block, columns)
