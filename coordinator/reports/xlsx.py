"""A report as a workbook: a sheet for each part, A4 landscape, with charts that a spreadsheet program draws.

1. Every text is written as a text and is cleaned by `text.cell_words`: none is taken for a formula or a link,
   neither here nor when the sheet is saved as csv.
2. An estimate takes two cells, the number and its margin (±); both are numbers. What is withheld is a word.
3. What a chart is drawn from stands on its own sheet, right of what is printed; where a number is withheld
   the cell is empty.
4. The same report gives the same bytes: constant dates, no clock.
"""

from __future__ import annotations

import io
from datetime import datetime
from typing import Any, Final

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from coordinator.reports.xlsx_charts import draw
from paper.document import (
    ABSENT,
    DASH,
    Cell,
    Document,
    Drawing,
    Figure,
    Head,
    Paragraph,
    Part,
    Table,
)
from paper.text import cell_words, clean, display_width

A4: Final = 9
FONT: Final = {"font_name": "Microsoft YaHei", "font_size": 10}
LINE_POINTS: Final = 15
ROW_PIXELS, CHART_PIXELS, MAX_CHART_PIXELS = 20, 330, 900
MAX_ONE_PAGE_ROWS: Final = 62
MIN_WIDTH, PLAIN_WIDTH = 100, 12
BLANK: Final = "_" * 20
NAME_WIDTHS: Final = (14, 38)
TEXT_WIDTHS: Final = (14, 72)
WRAPPED_HEADER, NARROW = 12, 8
LATE_TEXT_WIDTH: Final = 44  # of a column that has several before it
FIGURE_WIDTH, MARGIN_WIDTH = 11, 8
MAX_HEADER_CHARS: Final = 200
_LINED: Final = {"border": 1, "border_color": "#B9C3CD", "valign": "vcenter"}
_HEADER: Final = {**_LINED, "bold": True, "bg_color": "#EEF2F6", "text_wrap": True, "align": "center"}
_FORMATS: Final[dict[str, dict[str, Any]]] = {
    "title": {"bold": True, "font_size": 16, "align": "center", "valign": "vcenter"},
    "subtitle": {"align": "center", "font_color": "#52616F"},
    "soft": {"font_color": "#52616F"},
    "right": {"font_color": "#52616F", "align": "right"},
    "mark": {"bold": True, "font_color": "#A02B2B"},
    "section": {"bold": True, "font_size": 11, "font_color": "#1F5F8B"},
    "header": _HEADER,
    "name": {**_LINED, "text_wrap": True},
    "text": {**_LINED, "text_wrap": True},
    "count": {**_LINED, "num_format": "0"},
    "rate": {**_LINED, "num_format": "0.0"},
    "exact": {**_LINED, "num_format": "General"},
    "listed": {**_LINED, "num_format": "General", "align": "left"},
    "margin0": {**_LINED, "num_format": "0", "font_color": "#52616F"},
    "margin1": {**_LINED, "num_format": "0.0", "font_color": "#52616F"},
    "small": {**_LINED, "align": "center", "font_color": "#52616F"},
    "body": {"text_wrap": True, "valign": "top"},
    "note": {"text_wrap": True, "valign": "top", "font_color": "#52616F", "font_size": 9},
    "warning": {"text_wrap": True, "valign": "top", "font_color": "#A02B2B", "bold": True},
}
_KINDS: Final = {"body": "body", "item": "body", "note": "note", "warning": "warning"}


def encode_xlsx(document: Document) -> bytes:
    """Write a report as an xlsx workbook."""
    target = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    book: Workbook = xlsxwriter.Workbook(target, {**options, "default_format_properties": dict(FONT)})
    head = document.head
    day = datetime(head.day.year, head.day.month, head.day.day)
    title = f"{head.place} {head.title} {head.subtitle}"
    comment = f"{head.mark} · {head.notice}"
    book.set_properties({"title": clean(title, 200), "comments": clean(comment, 200), "created": day})
    formats = {name: book.add_format(values) for name, values in _FORMATS.items()}
    for part in document.parts:
        _Writer(book, book.add_worksheet(part.name), formats, head).write(part)
    book.close()
    return target.getvalue()


class _Writer:
    """One sheet in the making."""

    def __init__(self, book: Workbook, sheet: Worksheet, formats: dict[str, Format], head: Head) -> None:
        self._book = book
        self._sheet = sheet
        self._formats = formats
        self._head = head
        self._row = 0
        self._widths: dict[int, float] = {}
        self._last = 1

    def write(self, part: Part) -> None:
        """Write a whole part."""
        tables = [block for block in part.blocks if isinstance(block, Table)]
        self._last = max([self._last, *(_num_columns(table) - 1 for table in tables)])
        for table in tables:
            self._measure(table)
        while self._width() < MIN_WIDTH:
            self._last += 1
        for at in range(self._last + 1):
            self._sheet.set_column(at, at, self._widths.get(at, PLAIN_WIDTH))
        self._page()
        self._top(part)
        drawings: list[Drawing] = []
        for before, block in zip((None, *part.blocks), part.blocks, strict=False):
            if isinstance(block, Table):
                self._row += isinstance(before, Paragraph)
                self._table(block)
            elif isinstance(block, Paragraph):
                self._paragraph(block.text, _KINDS[block.kind])
            elif block.kind != "matrix":
                drawings.append(block)
        self._drawings(drawings, part.name)
        self._row += 1
        for text in (self._head.notice, *self._head.footers):
            self._paragraph(text, "note")
        self._sheet.print_area(0, 0, self._row, self._last)
        if self._row <= MAX_ONE_PAGE_ROWS:
            self._sheet.fit_to_pages(1, 1)

    def _page(self) -> None:
        sheet, head = self._sheet, self._head
        sheet.set_landscape()
        sheet.set_paper(A4)
        sheet.fit_to_pages(1, 0)
        sheet.set_margins(left=0.5, right=0.5, top=0.8, bottom=0.7)
        sheet.hide_gridlines(2)
        left, right = (_header_text(text) for text in (head.place, head.mark))
        sheet.set_header(f"&L&9{left}&R&9&B{right}")
        sheet.set_footer(f"&L&8{_header_text(f'{head.mark} · {head.notice}')}&R&8&P / &N")

    def _top(self, part: Part) -> None:
        """Write the heading, who fills it in, and the unit."""
        sheet, head = self._sheet, self._head
        self._merged(part.title, "title")
        sheet.set_row(0, 26)
        self._merged(f"{head.place} · {head.subtitle}", "subtitle")
        colon = "：" if head.language.startswith("zh") else ": "
        self._merged(" ".join(f"{name}{colon}{BLANK}" for name in head.sign), "soft")
        self._text(self._row, 0, f"{head.mark} · {head.notice}", "mark")
        if part.unit:
            self._text(self._row, self._last, part.unit, "right")
        self._row += 2

    def _measure(self, table: Table) -> None:
        """Widen columns for a table's names and texts; figures have a width of their own."""
        at = 0
        for place, column in enumerate(table.columns):
            if column.kind == "figure":
                self._widen(at, FIGURE_WIDTH)
                self._widen(at + 1, MARGIN_WIDTH)
                at += 2
                continue
            least, most = NAME_WIDTHS if column.kind == "name" else TEXT_WIDTHS
            least = least if place == 0 else NARROW
            most = min(most, LATE_TEXT_WIDTH) if place > 3 else most
            cells = (display_width(_plain(row[place])) for row in table.rows)
            title = display_width(column.name) if column.kind == "name" else 0
            wide = max(title if place == 0 else min(title, WRAPPED_HEADER), *cells, 0) + 2
            self._widen(at, FIGURE_WIDTH if column.kind == "number" else min(max(wide, least), most))
            at += 1

    def _widen(self, at: int, width: float) -> None:
        self._widths[at] = max(self._widths.get(at, 0), width)

    def _table(self, table: Table) -> None:
        if table.title:
            self._text(self._row, 0, table.title, "section")
            self._row += 1
        at, lines = 0, 1
        for column in table.columns:
            self._text(self._row, at, column.name, "header")
            lines = max(lines, -(-display_width(column.name) // int(self._widths[at])))
            at += 1
            if column.kind == "figure":
                self._text(self._row, at, "±", "header")
                at += 1
        self._sheet.set_row(self._row, LINE_POINTS * lines + 4)
        self._row += 1
        for row in table.rows:
            self._table_row(table, row)
        if table.note:
            self._paragraph(table.note, "note")
        self._row += 1

    def _table_row(self, table: Table, row: tuple[Cell, ...]) -> None:
        at, lines = 0, 1
        for column, cell in zip(table.columns, row, strict=True):
            if column.kind == "figure":
                self._figure(at, cell)
                at += 2
                continue
            if isinstance(cell, int | float):
                kind = "listed" if column.kind == "text" else "exact"
                self._sheet.write_number(self._row, at, cell, self._formats[kind])
            else:
                kind = "small" if cell is ABSENT else "text" if column.kind == "text" else "name"
                self._text(self._row, at, _plain(cell), kind)
                lines = max(lines, -(-display_width(_plain(cell)) // max(int(self._widths[at]) - 1, 1)))
            at += 1
        if lines > 1:
            self._sheet.set_row(self._row, LINE_POINTS * lines + 2)
        if table.is_shaded:
            scale = {"type": "2_color_scale", "min_color": "#F6F9FC", "max_color": "#8FB4D0"}
            self._sheet.conditional_format(self._row, 1, self._row, at - 1, scale)
        self._row += 1

    def _figure(self, at: int, cell: Cell) -> None:
        """Write a number and its margin, or one word for both."""
        if not isinstance(cell, Figure):
            self._text(self._row, at, _plain(cell), "small")
            self._text(self._row, at + 1, "", "small")
            return
        if cell.value is None:
            self._text(self._row, at, cell.display.text(self._head.withheld), "small")
            self._text(self._row, at + 1, "", "small")
            return
        kind = "rate" if cell.decimals else "count"
        self._sheet.write_number(self._row, at, cell.value, self._formats[kind])
        self._sheet.write_number(self._row, at + 1, cell.margin, self._formats[f"margin{cell.decimals}"])

    def _drawings(self, drawings: list[Drawing], sheet_name: str) -> None:
        """Draw charts below what is there, two beside each other; their data go to the right of the page."""
        column = self._last + 3
        pixels = sum(self._pixels(at) for at in range(self._last + 1))
        size = (pixels // 2 - 8 if len(drawings) > 1 else min(pixels, MAX_CHART_PIXELS), CHART_PIXELS)
        for place, drawing in enumerate(drawings):
            spot = (self._row, 0 if place % 2 == 0 else pixels // 2 + 8)
            column += draw(self._book, self._sheet, drawing, sheet_name, (self._row, column), spot, size)
            if place % 2 == 1 or place == len(drawings) - 1:
                self._row += -(-CHART_PIXELS // ROW_PIXELS) + 1

    def _pixels(self, at: int) -> int:
        return int(self._widths.get(at, PLAIN_WIDTH) * 7 + 5)

    def _paragraph(self, text: str, kind: str) -> None:
        width, row = self._width(), self._row
        self._merged(text, kind)
        lines = -(-display_width(clean(text)) * 10 // int(9 * width))
        self._sheet.set_row(row, LINE_POINTS * max(lines, 1))

    def _width(self) -> float:
        """Give how wide the page is, in characters."""
        return sum(self._widths.get(at, PLAIN_WIDTH) for at in range(self._last + 1))

    def _merged(self, text: str, kind: str) -> None:
        self._sheet.merge_range(self._row, 0, self._row, self._last, "", self._formats[kind])
        self._text(self._row, 0, text, kind)
        self._row += 1

    def _text(self, row: int, at: int, text: str, kind: str) -> None:
        self._sheet.write_string(row, at, cell_words(text), self._formats[kind])


def _num_columns(table: Table) -> int:
    return sum(2 if column.kind == "figure" else 1 for column in table.columns)


def _plain(cell: Cell) -> str:
    """Give a cell that is no estimate as text."""
    return DASH if cell is ABSENT or isinstance(cell, Figure) else str(cell)


def _header_text(text: str) -> str:
    """Make a text fit for the margin of a page, where & begins a code."""
    return clean(text, MAX_HEADER_CHARS // 2).replace("&", "&&")
