"""The report as a workbook: a sheet for each section, A4 landscape, who made it and why on every page.

Every text is written as a text (`write_string`), so that none is taken for a formula or a link, whatever a
roster holds. The same report gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any, Final

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from node.local_report.document import (
    Cell,
    Document,
    Section,
    Share,
    Table,
    cell_text,
    display_width,
    is_word,
)

A4: Final = 9
MAX_SHEET_NAME: Final = 31
LAST_MERGED: Final = 3
COVER_WIDTH: Final = 100
MAX_HEADER_CHARS: Final = 120
MIN_WIDTH, MAX_WIDTH = 9, 44
_NOT_IN_NAMES: Final = str.maketrans(dict.fromkeys("[]:*?/\\'"))
FONT: Final = {"font_name": "Microsoft YaHei", "font_size": 10}
HEADER_CHARS: Final = 20  # a longer header wraps
LINE_POINTS: Final = 15
MAX_ONE_PAGE_ROWS: Final = 48
_LINED: Final = {"border": 1, "border_color": "#D5DCE4", "valign": "top"}
_HEADER: Final = {**_LINED, "bold": True, "bg_color": "#EEF2F6", "text_wrap": True, "valign": "vcenter"}
_FORMATS: Final[dict[str, dict[str, Any]]] = {
    "title": {"bold": True, "font_size": 16},
    "soft": {"font_color": "#5B6B7C"},
    "mark": {"bold": True, "font_color": "#A02B2B"},
    "section": {"bold": True, "font_size": 12, "font_color": "#1F5F8B"},
    "header": {**_HEADER, "align": "right"},
    "heading": {**_HEADER, "align": "left"},
    "name": {**_LINED, "text_wrap": True},
    "number": {**_LINED, "num_format": "0"},
    "share": {**_LINED, "num_format": "0.0%"},
    "range": {**_LINED, "align": "right"},
    "small": {**_LINED, "align": "right", "font_color": "#5B6B7C"},
    "figure": {**_LINED, "bold": True, "align": "right"},
    "wrap": {"text_wrap": True, "valign": "top", "font_color": "#5B6B7C"},
}
_TOTAL: Final = {"bold": True, "bg_color": "#F7F9FB"}


def encode_workbook(document: Document) -> bytes:
    """Write the report as an xlsx workbook."""
    target = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    book: Workbook = xlsxwriter.Workbook(
        target, {**options, "default_format_properties": dict(FONT)}
    )  # it is changed
    book.set_properties({"title": document.title, "comments": document.watermark, "created": document.date})
    writer = _Writer(book, document)
    writer.cover()
    for section in document.sections:
        writer.section(section)
    book.close()
    return target.getvalue()


def sheet_names(titles: Iterable[str]) -> list[str]:
    """Give each title a name that a sheet may have, all different."""
    names: list[str] = []
    for title in titles:
        base = title.translate(_NOT_IN_NAMES).strip()[:MAX_SHEET_NAME] or "-"
        name, number = base, 2
        while name.lower() in {known.lower() for known in names}:
            name, number = f"{base[: MAX_SHEET_NAME - 4]} ({number})", number + 1
        names.append(name)
    return names


class _Writer:
    """One workbook in the making."""

    def __init__(self, book: Workbook, document: Document) -> None:
        self._book = book
        self._document = document
        self._formats: dict[str, Format] = {name: book.add_format(_FORMATS[name]) for name in _FORMATS}
        self._formats |= {
            f"{name}!": book.add_format({**_FORMATS[name], **_TOTAL})
            for name in ("name", "number", "share", "range", "small")
        }
        names = [document.title, *(section.title for section in document.sections)]
        self._names = iter(sheet_names(names))

    def cover(self) -> None:
        """Write the first sheet: heading, facts, figures, notes, lines to sign."""
        sheet, document = self._sheet(), self._document
        sheet.set_column(0, 0, 30)
        sheet.set_column(1, 1, 26)
        sheet.set_column(2, 3, 22)
        self._text(sheet, 0, 0, document.title, "title")
        self._text(sheet, 1, 0, document.subtitle, "soft")
        self._text(sheet, 2, 0, document.mark, "mark")
        self._text(sheet, 2, 1, document.watermark, "mark")
        row = 4
        for name, value in (*document.facts, *document.figures):
            self._text(sheet, row, 0, name, "name")
            self._text(sheet, row, 1, value, "figure")
            row += 1
        row = self._paragraphs(sheet, row + 1, (document.warning, *document.notes, *document.footers))
        for at, name in enumerate(document.sign):
            self._text(sheet, row + 2, at, f"{name}:", "soft")

    def section(self, section: Section) -> None:
        """Write one section's sheet."""
        sheet = self._sheet()
        self._text(sheet, 0, 0, section.title, "title")
        self._text(sheet, 1, 0, f"{self._document.mark} · {self._document.watermark}", "mark")
        row = 3
        if section.note:
            self._text(sheet, row, 0, section.note, "soft")
            row += 2
        widths: dict[int, int] = {}
        for table in section.tables:
            row = self._table(sheet, row, table, widths) + 1
        shown = {at: min(max(width, MIN_WIDTH), MAX_WIDTH) for at, width in widths.items()}
        for at, width in shown.items():
            sheet.set_column(at, at, width)
        last = max((*shown, LAST_MERGED))
        width = sum(shown.get(at, MIN_WIDTH) for at in range(last + 1))
        row = self._paragraphs(sheet, row, self._document.footers, last, width)
        if row <= MAX_ONE_PAGE_ROWS:
            sheet.fit_to_pages(1, 1)

    def _sheet(self) -> Worksheet:
        sheet: Worksheet = self._book.add_worksheet(next(self._names))
        sheet.set_landscape()
        sheet.set_paper(A4)
        sheet.fit_to_pages(1, 0)
        sheet.set_margins(left=0.5, right=0.5, top=0.7, bottom=0.7)
        sheet.hide_gridlines(2)
        mark = f"{self._document.mark} · {self._document.watermark}"[:MAX_HEADER_CHARS].replace("&", "&&")
        sheet.set_header(f"&C{mark}")
        sheet.set_footer("&R&P / &N")
        return sheet

    def _table(self, sheet: Worksheet, row: int, table: Table, widths: dict[int, int]) -> int:
        if table.title:
            self._text(sheet, row, 0, table.title, "section")
            row += 1
        lines = 1
        for at, text in enumerate(table.header):
            is_name = at < table.num_heads or any(is_word(cells[at]) for cells in table.rows)
            self._text(sheet, row, at, text, "heading" if is_name else "header")
            widths[at] = max(widths.get(at, 0), min(display_width(text) + 2, HEADER_CHARS))
            lines = max(lines, -(-display_width(text) // (HEADER_CHARS - 2)))
        sheet.set_row(row, LINE_POINTS * lines + 4)
        first = row + 1
        for place, cells in enumerate(table.rows):
            end = "!" if table.has_total and place == len(table.rows) - 1 else ""
            for at, cell in enumerate(cells):
                self._cell(sheet, first + place, at, cell, end, is_name=at < table.num_heads)
                widths[at] = max(widths.get(at, 0), display_width(cell_text(cell)) + 2)
        row = first + len(table.rows)
        self._bars(sheet, first, table)
        if table.note:
            self._text(sheet, row, 0, table.note, "soft")
            row += 1
        return row

    def _bars(self, sheet: Worksheet, first: int, table: Table) -> None:
        """Let a spreadsheet program draw shares as bars."""
        last = first + len(table.rows) - 1
        bar = {"type": "data_bar", "bar_color": "#CFE2F0", "bar_solid": True}
        limits = {"min_type": "num", "min_value": 0, "max_type": "num", "max_value": 1}
        for at in range(len(table.header)):
            if any(isinstance(row[at], Share) for row in table.rows):
                sheet.conditional_format(first, at, last, at, {**bar, **limits})

    def _cell(self, sheet: Worksheet, row: int, at: int, cell: Cell, end: str, *, is_name: bool) -> None:
        if isinstance(cell, Share):
            sheet.write_number(row, at, round(cell.value, 6), self._formats[f"share{end}"])
        elif isinstance(cell, int):
            sheet.write_number(row, at, cell, self._formats[f"number{end}"])
        else:
            kind = "small" if cell is None else "name" if is_name or is_word(cell) else "range"
            self._text(sheet, row, at, cell_text(cell), f"{kind}{end}")

    def _paragraphs(
        self,
        sheet: Worksheet,
        row: int,
        texts: Iterable[str],
        last: int = LAST_MERGED,
        width: int = COVER_WIDTH,
    ) -> int:
        """Write texts across the columns up to `last`, which are `width` characters wide together."""
        for text in filter(None, texts):
            sheet.merge_range(row, 0, row, last, "", self._formats["wrap"])
            self._text(sheet, row, 0, text, "wrap")
            sheet.set_row(row, LINE_POINTS * -(-display_width(text) * 10 // (9 * width)))
            row += 1
        return row

    def _text(self, sheet: Worksheet, row: int, at: int, text: str, kind: str) -> None:
        sheet.write_string(row, at, text, self._formats[kind])
