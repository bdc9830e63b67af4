"""The workbook that a paper school fills in: a row for each pupil, drop-downs for everything that is coded.

Student numbers, names and classes are texts, so that a spreadsheet program cannot shorten or change them,
and none is taken for a formula. A row that says 已测 without day, total or level is coloured. The drop-downs
take their lists from a hidden sheet. The same pupils and codebook give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from datetime import datetime
from gettext import gettext as _
from itertools import groupby
from typing import Any, Final

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.utility import xl_col_to_name, xl_range_abs
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from node.local_report.document import display_width
from node.local_report.workbook import FONT
from node.template_columns import HEADER_ROW, SHEET, TESTED_LABEL, Column, pupil_cells

GUIDE_SHEET: Final = "填写说明"
LISTS_SHEET: Final = "选项"
BLANK_ROWS: Final = 300
SPARE_ROWS: Final = 20
CREATED: Final = datetime(2026, 1, 1)  # the same input gives the same bytes
A4: Final = 9
MAX_WIDTH: Final = 26
STUDENT_NO_CHARS: Final = 19
_BANDS: Final = {"学生": "#DCE9F3", "测评": "#FCE9D5", "基本情况": "#E6EFDD", "复测与跟进": "#EFE3F0"}


def encode_template(answer: Mapping[str, Any], columns: Sequence[Column]) -> bytes:
    """Write the workbook.

    Args:
        answer: of the vault's command ``template``: pupils by field, in the roster's order.
        columns: of `template_columns`.
    """
    target = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    book: Workbook = xlsxwriter.Workbook(target, {**options, "default_format_properties": FONT})
    book.set_properties({"title": SHEET, "created": CREATED})
    writer = _Writer(book, answer, columns)
    writer.pupils()
    writer.guide()
    writer.lists()
    book.close()
    return target.getvalue()


class _Writer:
    """One workbook in the making."""

    def __init__(self, book: Workbook, answer: Mapping[str, Any], columns: Sequence[Column]) -> None:
        self._book, self._answer, self._columns = book, answer, columns
        self._pupils: list[dict[str, str]] = answer["pupils"]
        self._last = HEADER_ROW - 1 + (len(self._pupils) + SPARE_ROWS if self._pupils else BLANK_ROWS)
        self._cell = book.add_format({"border": 1, "border_color": "#C8D0D8", "num_format": "@"})
        self._date = book.add_format({"border": 1, "border_color": "#C8D0D8", "num_format": "yyyy-mm-dd"})
        self._score = book.add_format({"border": 1, "border_color": "#C8D0D8"})
        self._sheet: Worksheet = book.add_worksheet(SHEET)
        self._guide: Worksheet = book.add_worksheet(GUIDE_SHEET)
        self._lists: Worksheet = book.add_worksheet(LISTS_SHEET)

    def pupils(self) -> None:
        """Write the table: bands, headers, what is known of each pupil, and rules for what is typed."""
        self._bands()
        cells = [pupil_cells(pupil, self._columns) for pupil in self._pupils]
        for at, column in enumerate(self._columns):
            form = {"date": self._date, "score": self._score}.get(column.kind, self._cell)
            for row in range(HEADER_ROW, self._last + 1):
                place = row - HEADER_ROW
                text = cells[place][at] if place < len(cells) else ""
                self._sheet.write_string(row, at, text, form)
            known = [display_width(row[at]) + 3 for row in cells] + [display_width(column.header) + 2]
            self._sheet.set_column(at, at, min(max(*known, 8), MAX_WIDTH))
            self._rule(at, column)
        self._mark_unfinished()
        self._page()

    def _bands(self) -> None:
        at = 0
        for band, group in groupby(self._columns, key=lambda column: column.band):
            columns = list(group)
            head = {"bold": True, "border": 1, "bg_color": _BANDS[band], "text_wrap": True, "align": "center"}
            form = self._book.add_format(head)
            self._sheet.merge_range(0, at, 0, at + len(columns) - 1, "", form)
            self._sheet.write_string(0, at, band, form)
            for place, column in enumerate(columns, start=at):
                self._sheet.write_string(HEADER_ROW - 1, place, column.header, form)
            at += len(columns)

    def _rule(self, at: int, column: Column) -> None:
        rule = self._rule_of(at, column)
        if rule:
            self._sheet.data_validation(HEADER_ROW, at, self._last, at, {"ignore_blank": True, **rule})

    def _rule_of(self, at: int, column: Column) -> dict[str, Any]:
        if column.labels:
            source = f"={LISTS_SHEET}!{xl_range_abs(1, at, len(column.labels), at)}"
            rule: dict[str, Any] = {"validate": "list", "source": source}
            if column.is_free:
                rule |= {"error_type": "information", "show_error": False}
                rule |= {"input_title": column.header, "input_message": _("Several: part them by 、")}
            return rule | {"error_title": column.header, "error_message": _("Choose from the list.")}
        words = {"error_title": column.header, "error_message": _message(column)}
        if column.kind == "date":
            days = {"minimum": datetime(2020, 1, 1), "maximum": datetime(2099, 12, 31)}
            return {"validate": "date", "criteria": "between", **days, **words}
        if column.kind == "score":
            low, high = map(float, column.scores)
            return {"validate": "decimal", "criteria": "between", "minimum": low, "maximum": high, **words}
        if column.field == "student_no":
            return {"validate": "length", "criteria": "==", "value": STUDENT_NO_CHARS, **words}
        return {}

    def _mark_unfinished(self) -> None:
        """Colour what a tested pupil's row lacks."""
        place = {column.field: at for at, column in enumerate(self._columns)}
        state = f"${xl_col_to_name(place['absence'])}{HEADER_ROW + 1}"
        form = self._book.add_format({"bg_color": "#F8C9A4"})
        needed = [name for name in ("administered_on", "total", "level") if name in place]
        valid = f',{self._letter(place["validity"])}<>"无效"' if "validity" in place else ""
        for name in needed:
            cell = f"{self._letter(place[name])}"
            also = "" if name == "administered_on" else valid
            rule = f'=AND({state}="{TESTED_LABEL}",{cell}=""{also})'
            options = {"type": "formula", "criteria": rule, "format": form}
            self._sheet.conditional_format(HEADER_ROW, place[name], self._last, place[name], options)

    def _letter(self, at: int) -> str:
        return f"${xl_col_to_name(at)}{HEADER_ROW + 1}"

    def _page(self) -> None:
        names = [column.field for column in self._columns]
        self._sheet.freeze_panes(HEADER_ROW, names.index("name") + 1)
        self._sheet.autofilter(HEADER_ROW - 1, 0, self._last, len(names) - 1)
        self._sheet.set_landscape()
        self._sheet.set_paper(A4)
        self._sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.6)
        self._sheet.repeat_rows(0, HEADER_ROW - 1)
        self._sheet.repeat_columns(0, names.index("name"))
        bands = [column.band for column in self._columns]
        self._sheet.set_v_pagebreaks(sorted({bands.index(band) for band in bands} - {0}))
        self._sheet.set_print_scale(85)
        self._sheet.set_footer(f"&L{_(SECRET_NOTE)}&R&P / &N")

    def guide(self) -> None:
        """Write what to do, and how the file is to be kept."""
        self._guide.set_column(0, 0, 100)
        title = self._book.add_format({"bold": True, "font_size": 14})
        plain = self._book.add_format({"text_wrap": True, "valign": "top"})
        red = self._book.add_format({"text_wrap": True, "bold": True, "font_color": "#A02B2B"})
        name = f"{self._answer['operator']} · {self._answer['instrument']['title']}"
        self._guide.write_string(0, 0, name, title)
        texts: list[tuple[str, Format]] = [(_(SECRET_NOTE), red)]
        texts += [(f"{number}. {_(text)}", plain) for number, text in enumerate(STEPS, start=1)]
        texts.append((_(CRISIS_NOTE), red))
        for row, (text, form) in enumerate(texts, start=2):
            self._guide.write_string(row, 0, text, form)
            self._guide.set_row(row, 17 * (1 + display_width(text) // 90))

    def lists(self) -> None:
        """Write the lists of the drop-downs, out of sight."""
        for at, column in enumerate(self._columns):
            self._lists.write_string(0, at, column.header)
            for row, label in enumerate(column.labels.values(), start=1):
                self._lists.write_string(row, at, label)
        self._lists.hide()


def _message(column: Column) -> str:
    """Say what may stand in a column."""
    if column.kind == "date":
        return _("A day such as 2026-09-20.")
    if column.kind == "score":
        return _("A number from %(low)s to %(high)s.") % {"low": column.scores[0], "high": column.scores[1]}
    return _("G, L or J and 18 characters; keep the cell a text.")


def N_(message: str) -> str:  # noqa: N802
    """Mark a message for the translation catalogue."""
    return message


SECRET_NOTE: Final = N_(
    "This file is the school's own roster with names: keep it as the roster is kept, send it to nobody, and "
    "delete it after the import."
)
CRISIS_NOTE: Final = N_(
    "This system is not for emergencies. Where a pupil may hurt themselves or others, follow the "
    "emergency plan at once, tell the guardian and see a doctor."
)
STEPS: Final = (
    N_("One row for each pupil of the roster, also for those who were not tested; delete nobody."),
    N_("Where a cell has a list, choose from it. What is not known stays empty."),
    N_("测评情况: choose 已测 only with day, total and level; orange cells are still missing."),
    N_("An invalid test: 已测, the day, and 效度 or 预警等级 无效; no scores."),
    N_(
        "Without the guardian's consent (监护人同意) a pupil is counted as consent not recorded, without a "
        "result."
    ),
    N_("复测与跟进 can be filled in later; import the file again, and the newer import counts."),
    N_("Do not change headers, the sheet's name or the order of the first two rows."),
    N_("Save as .xlsx and import it as roster and as results, with the profile that was written with it."),
)
