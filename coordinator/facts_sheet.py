"""Institution facts and progress statements as spreadsheets: a template for the county, and its import.

Order of an import:
1. `coordinator.table_reader` reads the file, within its bounds;
2. the header row is found, and each column's meaning; a column that nobody asked for is refused, and one
   about pupils in difficulty with its own words;
3. every row is matched with the roster by id and name, so that rows sorted apart are noticed;
4. every cell is read. Any finding, and nothing is taken: the findings say row, column and what to do.

A row in which only prefilled cells are filled is a school that has not answered yet; it is no finding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from coordinator.errors import FactsRefusedError, FileError
from coordinator.facts import school_name
from coordinator.sheet_forms import (
    FACTS_FORM,
    HEADER_ROW,
    NAME,
    NODE,
    NODE_HEADER,
    PROGRESS_FORM,
    SheetForm,
    prefilled_facts,
)
from coordinator.sheet_template import encode_template
from coordinator.table_reader import TableSheet, read_tables
from plan.errors import Phrase, Problem, phrase
from protos.bodies import RosterNode
from results.fact_fields import plain
from results.facts import (
    DECLARATION,
    FactsError,
    InstitutionFacts,
    ProgressStatement,
    parse_facts,
    parse_progress,
)

HEADER_SEARCH_ROWS: Final = 10
MAX_FINDINGS: Final = 200
ROUND_DIGITS: Final = 16
_YEAR = re.compile(r"(?<![0-9])20[0-9]{2}-20[0-9]{2}(?![0-9])")
_ROUND = re.compile(r"(?<![0-9a-f])[0-9a-f]{16}(?![0-9a-f])")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong in a sheet.

    Attributes:
        row: of the sheet, from 1.
        column: its letters; "" for the row as a whole.
        problem: what was found, what is allowed, what to do; its key is the field's name.
        header: the column's header in the sheet; "" where it has none.
    """

    row: int
    column: str
    problem: Problem
    header: str = ""

    @property
    def phrase(self) -> Phrase:
        """The finding as one line, in the words of the sheet."""
        problem = replace(self.problem, key=self.header or self.problem.key).phrase
        if not self.column:
            return phrase("row %(row)s: %(problem)s", row=self.row, problem=problem)
        return phrase(
            "row %(row)s, column %(column)s: %(problem)s", row=self.row, column=self.column, problem=problem
        )

    def as_dict(self) -> dict[str, object]:
        """Return the finding for JSON."""
        field = self.problem.key
        return {"row": self.row, "column": self.column, "field": field, "message": str(self.problem)}


def facts_template(
    year: str,
    nodes: Sequence[RosterNode],
    answered: Sequence[InstitutionFacts],
    notes: Sequence[str],
) -> bytes:
    """Write the sheet of school conditions of a school year: prefilled, with what is stored already."""
    stored = {row.node: row for row in answered}
    rows = [_facts_row(node, stored.get(node.id)) for node in nodes]
    return encode_template(FACTS_FORM, year, rows, (*notes, DECLARATION))


def _facts_row(node: RosterNode, facts: InstitutionFacts | None) -> Mapping[str, str]:
    known = prefilled_facts(node)
    return known | {name: facts.shown(name) for name in facts.values if name != NAME} if facts else known


def progress_template(round_id: bytes, nodes: Sequence[RosterNode], notes: Sequence[str]) -> bytes:
    """Write the sheet of progress statements of a round."""
    rows = [{NODE: node.id, NAME: school_name(node)} for node in nodes]
    return encode_template(PROGRESS_FORM, round_id.hex()[:ROUND_DIGITS], rows, notes)


def read_facts_sheet(data: bytes, year: str, nodes: Sequence[RosterNode]) -> tuple[InstitutionFacts, ...]:
    """Read a filled sheet of school conditions.

    Args:
        data: the file.
        year: school year; "" takes the one in the title.
        nodes: of the roster.

    Raises:
        FileError: the file is no table of this form.
        FactsRefusedError: with every finding; nothing may be taken.
    """
    sheet, header = _find_table(FACTS_FORM, read_tables(data))
    year = _one_of_title(_YEAR, sheet, header, year, phrase("school year"))

    def read(node: RosterNode, raw: Mapping[str, str]) -> InstitutionFacts:
        return parse_facts(node.id, year, {**raw, NAME: school_name(node)})

    return tuple(_read_rows(FACTS_FORM, sheet, header, nodes, read))


def read_progress_sheet(
    data: bytes, round_id: bytes, wave: str, nodes: Sequence[RosterNode]
) -> tuple[ProgressStatement, ...]:
    """Read a filled sheet of progress statements of a round; errors as `read_facts_sheet`."""
    sheet, header = _find_table(PROGRESS_FORM, read_tables(data))
    _one_of_title(_ROUND, sheet, header, round_id.hex()[:ROUND_DIGITS], phrase("round"))

    def read(node: RosterNode, raw: Mapping[str, str]) -> ProgressStatement:
        return parse_progress(node.id, {**raw, "wave": wave})

    return tuple(_read_rows(PROGRESS_FORM, sheet, header, nodes, read))


def _find_table(form: SheetForm, sheets: Sequence[TableSheet]) -> tuple[TableSheet, int]:
    """Find the sheet and the place of its header row: the first row that has the school's id and name."""
    for sheet in sheets:
        for place, row in enumerate(sheet.rows[:HEADER_SEARCH_ROWS]):
            names = {form.find(cell) for cell in row if cell}
            if {NODE, NAME} <= names:
                return sheet, place
    raise FileError(
        phrase(
            "no header row with the columns %(columns)s in the first %(rows)s rows; fill in the template",
            columns=f"{NODE_HEADER}, {FACTS_FORM.columns[1].header}",
            rows=HEADER_SEARCH_ROWS,
        )
    )


def _one_of_title(pattern: re.Pattern[str], sheet: TableSheet, header: int, wanted: str, what: Phrase) -> str:
    """Take the school year or round from the rows above the header; it must be the one that is wanted."""
    found = {text for row in sheet.rows[:header] for cell in row for text in pattern.findall(cell)}
    if len(found) > 1 or (wanted and found and found != {wanted}):
        raise FileError(
            phrase(
                "the form is of the %(what)s %(found)s, not %(wanted)s; take the right file",
                what=what,
                found=", ".join(sorted(found)),
                wanted=wanted or phrase("one alone"),
            )
        )
    if not found and not wanted:
        raise FileError(phrase("the file does not say its school year; give it with --year"))
    return wanted or found.pop()


def _read_rows(
    form: SheetForm,
    sheet: TableSheet,
    header: int,
    nodes: Sequence[RosterNode],
    read: Callable[[RosterNode, Mapping[str, str]], Any],
) -> Iterator[Any]:
    """Read every answered row, or raise with everything that is wrong."""
    columns, findings = _columns(form, sheet, header)
    known = {node.id: node for node in nodes}
    seen: set[str] = set()
    made = []
    for place, cells in enumerate(sheet.rows[header + 1 :], start=header + 2):
        row = _Row(place, columns, cells, sheet.rows[header])
        if not any(cells) or (row.node(known) and not row.answers(form)):
            continue
        problem = row.wrong_school(known, seen)
        if problem is not None:
            findings.append(problem)
            continue
        node = known[row.text(NODE)]
        seen.add(node.id)
        try:
            made.append(read(node, row.values()))
        except FactsError as err:
            findings += [row.finding(item) for item in err.problems]
    if findings:
        raise FactsRefusedError(findings[:MAX_FINDINGS])
    yield from made


def _columns(form: SheetForm, sheet: TableSheet, header: int) -> tuple[dict[str, int], list[Finding]]:
    columns: dict[str, int] = {}
    findings = []
    for at, text in enumerate(sheet.rows[header]):
        name = form.find(text) if text else None
        if text and name is None:
            findings.append(Finding(header + 1, letters(at), form.refuse(text)))
        elif name in columns:
            twice = Problem(text, phrase("a column twice"), phrase("each column once"))
            findings.append(Finding(header + 1, letters(at), twice))
        elif name is not None:
            columns[name] = at
    return columns, findings


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of a sheet and where its columns are."""

    number: int
    columns: Mapping[str, int]
    cells: Sequence[str]
    headers: Sequence[str]

    def text(self, name: str) -> str:
        at = self.columns.get(name, len(self.cells))
        return self.cells[at] if at < len(self.cells) else ""

    def values(self) -> dict[str, str]:
        """Give every filled cell that is no head of the row."""
        texts = {name: self.text(name) for name in self.columns if name not in (NODE, NAME)}
        return {name: text for name, text in texts.items() if text}

    def node(self, known: Mapping[str, RosterNode]) -> bool:
        return self.text(NODE) in known

    def answers(self, form: SheetForm) -> bool:
        """Say whether anything but the prefilled cells is filled."""
        inside = {name for name, text in self.values().items() if text and name not in form.prefilled}
        at = set(self.columns.values())
        outside = any(cell for place, cell in enumerate(self.cells) if place not in at)
        return bool(inside) or outside

    def wrong_school(self, known: Mapping[str, RosterNode], seen: set[str]) -> Finding | None:
        """Say why a row is of no school of the roster, if so."""
        node = known.get(self.text(NODE))
        if node is None:
            allowed = phrase("the id of a school in the roster")
            advice = phrase("delete notes and totals below the table; add no rows")
            return self.finding(Problem(NODE, phrase("a row of no school"), allowed, advice))
        if node.id in seen:
            return self.finding(Problem(NODE, phrase("a school twice"), phrase("each school once")))
        if plain(self.text(NAME)) != plain(school_name(node)):
            found = phrase("another name than this id's in the roster")
            advice = phrase("rows may have been sorted apart: take the template again")
            return self.finding(Problem(NAME, found, phrase("%(name)s", name=school_name(node)), advice))
        if any(cell for at, cell in enumerate(self.cells) if at not in self.columns.values()):
            found = phrase("a cell outside of the table")
            return self.finding(Problem(NODE, found, phrase("cells under a header"), phrase("delete it")))
        return None

    def finding(self, problem: Problem) -> Finding:
        at = self.columns.get(problem.key)
        if at is None:
            return Finding(self.number, "", problem)
        return Finding(self.number, letters(at), problem, self.headers[at].rstrip("*"))


def letters(at: int) -> str:
    """Give a column's letters: 0 is A, 26 is AA."""
    text = ""
    at += 1
    while at:
        at, rest = divmod(at - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


__all__ = [
    "HEADER_ROW",
    "Finding",
    "facts_template",
    "letters",
    "progress_template",
    "read_facts_sheet",
    "read_progress_sheet",
]
