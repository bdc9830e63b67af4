"""Write the sheets that schools or township offices fill in: drop-downs, ranges, required cells in colour.

Names from the roster are written as texts, so that none is taken for a formula. The lists of the drop-downs
stand on a hidden sheet. The same roster and answers give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from gettext import gettext as _
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

from coordinator.errors import FileError
from coordinator.sheet_forms import HEADER_ROW, SheetColumn, SheetForm
from plan.errors import phrase

if TYPE_CHECKING:
    from xlsxwriter.format import Format
    from xlsxwriter.workbook import Workbook
    from xlsxwriter.worksheet import Worksheet

GUIDE_SHEET: Final = "填写说明"
LISTS_SHEET: Final = "选项"
CREATED: Final = datetime(2026, 1, 1)  # the same input gives the same bytes
FONT: Final = {"font_name": "宋体", "font_size": 11}
A4: Final = 9
ONE_PAGE_COLUMNS: Final = 12
"""A sheet of so few columns is printed one page wide."""
BANDS: Final = ("#DCE9F3", "#FCE9D5", "#E6EFDD", "#EFE3F0")
MISSING_COLOUR: Final = "#F8C9A4"


def encode_template(
    form: SheetForm, of: str, rows: Sequence[Mapping[str, str]], notes: Sequence[str]
) -> bytes:
    """Write one workbook.

    Args:
        form: the kind of sheet.
        of: school year, or id of the round; stands in the title and is read again at the import.
        rows: column name → text, one row a school.
        notes: what to do, in the reader's language, one paragraph each.

    Raises:
        FileError: the library for workbooks is not installed.
    """
    target = io.BytesIO()
    book = _new_book(target)
    book.set_properties({"title": f"{form.title} {of}", "created": CREATED})
    writer = _Writer(book, form, of, rows)
    writer.table()
    writer.guide(notes)
    writer.lists()
    book.close()
    return target.getvalue()


def _new_book(target: io.BytesIO) -> Workbook:
    try:
        from xlsxwriter.workbook import Workbook
    except ImportError as err:
        raise FileError(phrase("this needs xlsxwriter: pip install 'fedscreen[coordinator]'")) from err
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    # a copy: the library writes into it, and the next workbook would have other bytes
    return Workbook(target, {**options, "default_format_properties": dict(FONT)})


class _Writer:
    """One workbook in the making."""

    def __init__(self, book: Workbook, form: SheetForm, of: str, rows: Sequence[Mapping[str, str]]) -> None:
        self._book, self._form, self._of, self._rows = book, form, of, rows
        self._last = HEADER_ROW + max(len(rows), 1) - 1  # from 0
        line = {"border": 1, "border_color": "#C8D0D8"}
        self._text = book.add_format({**line, "num_format": "@"})
        self._known = book.add_format({**line, "num_format": "@", "bg_color": "#EEF1F4"})
        self._number = book.add_format(line)
        self._sheet: Worksheet = book.add_worksheet(form.sheet)
        self._guide: Worksheet = book.add_worksheet(GUIDE_SHEET)
        self._lists: Worksheet = book.add_worksheet(LISTS_SHEET)

    def table(self) -> None:
        """Write title, sections, headers, what is known of each school, and rules for what is typed."""
        self._title()
        self._headers()
        for at, column in enumerate(self._form.columns):
            self._sheet.set_column(at, at, column.width)
            for place, row in enumerate(self._rows):
                self._cell(HEADER_ROW + place, at, column, row.get(column.name, ""))
            self._rule(at, column)
        self._page()

    def _title(self) -> None:
        form = self._book.add_format({"bold": True, "font_size": 14})
        self._sheet.write_string(0, 0, f"{self._form.title} {self._of} (内部)", form)

    def _headers(self) -> None:
        at = 0
        for place, (section, group) in enumerate(groupby(self._form.columns, key=lambda row: row.section)):
            columns = list(group)
            colour = BANDS[place % len(BANDS)]
            head = {"bold": True, "border": 1, "bg_color": colour, "text_wrap": True, "valign": "top"}
            form = self._book.add_format(head)
            if len(columns) > 1:
                self._sheet.merge_range(1, at, 1, at + len(columns) - 1, "", form)
            self._sheet.write_string(1, at, section, form)
            for offset, column in enumerate(columns):
                self._sheet.write_string(HEADER_ROW - 1, at + offset, column.header, form)
            at += len(columns)
        self._sheet.set_row(HEADER_ROW - 1, 62)

    def _cell(self, row: int, at: int, column: SheetColumn, text: str) -> None:
        if column.numbers is not None:
            if text:
                self._sheet.write_number(row, at, float(text), self._number)
            else:
                self._sheet.write_blank(row, at, None, self._number)
            return
        self._sheet.write_string(row, at, text, self._known if at < 2 else self._text)

    def _rule(self, at: int, column: SheetColumn) -> None:
        place = (HEADER_ROW, at, self._last, at)
        rule = self._rule_of(at, column)
        if rule:
            self._sheet.data_validation(*place, {"ignore_blank": True, **rule})
        if column.is_required:
            missing = {"type": "blanks", "format": self._colour()}
            self._sheet.conditional_format(*place, missing)

    def _colour(self) -> Format:
        return self._book.add_format({"bg_color": MISSING_COLOUR})

    def _rule_of(self, at: int, column: SheetColumn) -> dict[str, Any]:
        if column.labels:
            from xlsxwriter.utility import xl_range_abs

            source = f"={LISTS_SHEET}!{xl_range_abs(1, at, len(column.labels), at)}"
            rule: dict[str, Any] = {"validate": "list", "source": source}
            if column.is_several:
                rule |= {"show_error": False, "input_title": column.header[:32]}
                rule |= {"input_message": _("Several: part them by 、")}
            return rule | {"error_title": column.header[:32], "error_message": _("Choose from the list.")}
        if column.numbers is not None:
            low, high, has_decimals = column.numbers
            message = _("A number from %(low)s to %(high)s.") % {"low": low, "high": high}
            kind = "decimal" if has_decimals else "integer"
            words = {"error_title": column.header[:32], "error_message": message}
            return {"validate": kind, "criteria": "between", "minimum": low, "maximum": high, **words}
        return {}

    def _page(self) -> None:
        self._sheet.freeze_panes(HEADER_ROW, 2)
        self._sheet.set_landscape()
        self._sheet.set_paper(A4)
        if len(self._form.columns) <= ONE_PAGE_COLUMNS:
            self._sheet.fit_to_pages(1, 0)
        self._sheet.repeat_rows(0, HEADER_ROW - 1)
        self._sheet.repeat_columns(0, 1)
        self._sheet.set_footer("&P / &N")

    def guide(self, notes: Sequence[str]) -> None:
        """Write what to do."""
        self._guide.set_column(0, 0, 100)
        title = self._book.add_format({"bold": True, "font_size": 14})
        plain = self._book.add_format({"text_wrap": True, "valign": "top"})
        self._guide.write_string(0, 0, f"{self._form.title} {self._of}", title)
        for row, text in enumerate(notes, start=2):
            self._guide.write_string(row, 0, text, plain)
            self._guide.set_row(row, 17 * (1 + len(text.encode()) // 120))

    def lists(self) -> None:
        """Write the lists of the drop-downs, out of sight."""
        for at, column in enumerate(self._form.columns):
            self._lists.write_string(0, at, column.header)
            for row, label in enumerate(column.labels, start=1):
                self._lists.write_string(row, at, label)
        self._lists.hide()
