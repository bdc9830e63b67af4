"""Read a small spreadsheet or csv file into rows of text; hostile files are refused before they cost memory.

Order for a workbook (xlsx):
1. the zip's directory is bounded, then only the parts of a plain table are unpacked, each up to its declared
   size;
2. cell references are bounded before anything makes a grid of them: one cell at XFD1048576 would make one of
   17 thousand million cells;
3. the measured parts, packed anew without compression, reach the workbook reader.

A text file is UTF-8, UTF-16 with its mark, or GB18030 (which Excel writes on a Chinese system), with commas,
tabs or semicolons. Macros, links and pictures are never looked at. Formulas give the value that was saved.
"""

from __future__ import annotations

import csv
import io
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from coordinator.errors import FileError
from plan.errors import Phrase, phrase

MAX_FILE_BYTES: Final = 8 << 20
MAX_UNPACKED_BYTES: Final = 48 << 20
MAX_PARTS: Final = 300
MAX_ROWS: Final = 25_000
MAX_COLUMNS: Final = 300
MAX_CELLS: Final = 1_500_000
MAX_CELL_CHARS: Final = 32_767
MAX_SHARED_TEXT_BYTES: Final = 64 << 20  # longest shared text x text cells: each cell gets its own copy
HEAD_LINES: Final = 5
MAX_TAGS: Final = 4_000_000

_ZIP_MAGIC = b"PK\x03\x04"
_OLD_MAGIC = b"\xd0\xcf\x11\xe0"
_ROOT_PARTS = frozenset({"[content_types].xml", "_rels/.rels"})
_LEFT_OUT = re.compile(r"xl/(drawings|media|charts|theme|printersettings|externallinks|embeddings|comments)")
_REF = rb"r(?<![A-Za-z0-9_:.-]r)\s*=\s*[\"']"
_ROW_REF = re.compile(_REF + rb"[A-Za-z]{0,4}([0-9]{1,12})[\"']")
_COLUMN_REF = re.compile(_REF + rb"([A-Za-z]{1,8})[0-9]")
_FAR_REF = re.compile(_REF + rb"(?:[A-Za-z]{9}|[A-Za-z]{0,8}[0-9]{13})")
_TAG = rb"<(?:[^\s<>/=:\"']+:)?"
_ROW_TAG = re.compile(_TAG + rb"row[\s/>]")
_CELL_TAG = re.compile(_TAG + rb"c[\s/>]")
_PLACED_CELL = re.compile(_TAG + rb"c\s(?:[^<>]*\s)?r\s*=")
_SHARED_ITEM = re.compile(_TAG + rb"si[\s/>]")


@dataclass(frozen=True, slots=True)
class TableSheet:
    """One visible sheet: its name (empty for a text file) and its rows, row i as row i + 1 of the sheet."""

    title: str
    rows: tuple[tuple[str, ...], ...]


def read_tables(data: bytes) -> tuple[TableSheet, ...]:
    """Read every visible sheet of a file.

    Raises:
        FileError: it is no spreadsheet that is read here, damaged, protected, or too large.
    """
    if len(data) > MAX_FILE_BYTES:
        raise FileError(
            phrase("the file has more than %(most)s MiB; send only the form", most=MAX_FILE_BYTES >> 20)
        )
    if data.startswith(_ZIP_MAGIC):
        return _read_workbook(data)
    if data.startswith(_OLD_MAGIC):
        raise FileError(
            phrase("the file is an old .xls, or protected by a password; save it as .xlsx without a password")
        )
    return (TableSheet("", _read_text(data)),)


def _damaged(reason: Phrase) -> FileError:
    advice = phrase("open it in Excel or WPS, save it as .xlsx and try again")
    return FileError(phrase("the file cannot be read: %(reason)s; %(advice)s", reason=reason, advice=advice))


# -- workbooks ------------------------------------------------------------------------------------


def _read_workbook(data: bytes) -> tuple[TableSheet, ...]:
    from python_calamine import (
        CalamineError,
        CalamineWorkbook,
        SheetTypeEnum,
        SheetVisibleEnum,
    )

    packed = _pack(_measured(_unpack(data)))
    try:
        with CalamineWorkbook.from_filelike(packed) as workbook:
            found = [
                item
                for item in workbook.sheets_metadata[:MAX_PARTS]
                if item.typ == SheetTypeEnum.WorkSheet and item.visible == SheetVisibleEnum.Visible
            ]
            sheets = []
            for item in found:
                rows = workbook.get_sheet_by_name(item.name).to_python(skip_empty_area=False)
                sheets.append(TableSheet(item.name, _texts(rows)))
            return tuple(sheets)
    except CalamineError as err:
        raise _damaged(phrase("the workbook is damaged")) from err
    except BaseException as err:
        # a Rust panic in the reader is no Exception; anything else that is none must pass
        if type(err).__name__ != "PanicException":
            raise
        raise _damaged(phrase("the workbook is damaged")) from None


def _unpack(data: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > MAX_PARTS or len({_name(item) for item in members}) < len(members):
                raise _damaged(phrase("too many or doubled parts"))
            wanted = [item for item in members if _is_kept(_name(item))]
            if sum(item.file_size for item in wanted) > MAX_UNPACKED_BYTES:
                raise _damaged(phrase("it unpacks to too much"))
            if any(item.flag_bits & 1 for item in wanted):
                raise _damaged(phrase("it has a password"))
            parts = {}
            for item in wanted:
                if item.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise _damaged(phrase("an unusual compression"))
                with archive.open(item) as part:  # read() would unpack all that a lying size hides
                    parts[item.filename.replace("\\", "/")] = part.read(item.file_size + 1)
    except (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, EOFError, ValueError, OSError) as err:
        raise _damaged(phrase("the workbook is damaged")) from err
    if "xl/workbook.xml" not in {name.lower() for name in parts}:
        raise _damaged(phrase("it is no .xlsx workbook"))
    return parts


def _name(item: zipfile.ZipInfo) -> str:
    return item.filename.replace("\\", "/").lower()


def _is_kept(name: str) -> bool:
    if name in _ROOT_PARTS:
        return True
    return name.startswith("xl/") and name.endswith((".xml", ".rels")) and not _LEFT_OUT.match(name)


def _measured(parts: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Pass parts on whose cells fit the bounds."""
    longest = text_cells = 0
    for name, xml in parts.items():
        if b"\0" in xml or b"<!DOCTYPE" in xml or xml.count(b"<") > MAX_TAGS:  # NUL: UTF-16 would hide refs
            raise _damaged(phrase("the workbook is damaged"))
        if name.lower().endswith("sharedstrings.xml"):
            longest = max(map(len, _SHARED_ITEM.split(xml)))
        elif name.lower().startswith("xl/worksheets/") and name.lower().endswith(".xml"):
            text_cells += _bound_grid(xml)
    if longest * text_cells > MAX_SHARED_TEXT_BYTES:
        raise _damaged(phrase("its texts are too long"))
    return parts


def _bound_grid(xml: bytes) -> int:
    """Give the number of cells of a sheet if its grid is in bounds."""
    num_cells = len(_CELL_TAG.findall(xml))
    if _FAR_REF.search(xml) or len(_PLACED_CELL.findall(xml)) < num_cells:
        raise _damaged(phrase("the workbook is damaged"))
    num_rows = max([len(_ROW_TAG.findall(xml)), *map(int, set(_ROW_REF.findall(xml)))])
    num_columns = max([0, *map(_column_number, set(_COLUMN_REF.findall(xml)))])
    if num_rows > MAX_ROWS or num_columns > MAX_COLUMNS or num_rows * num_columns > MAX_CELLS:
        text = phrase(
            "a sheet has cells beyond row %(row)s or column %(column)s", row=MAX_ROWS, column=MAX_COLUMNS
        )
        raise _damaged(text)
    return num_cells


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - ord("A") + 1
    return number


def _pack(parts: Mapping[str, bytes]) -> io.BytesIO:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    packed.seek(0)
    return packed


def _texts(rows: Sequence[Sequence[object]]) -> tuple[tuple[str, ...], ...]:
    found = [tuple(cell_text(cell) for cell in row) for row in rows]
    while found and not any(found[-1]):
        found.pop()
    return tuple(found)


def cell_text(cell: object) -> str:
    """Write one cell as a person sees it: whole numbers without a point, days as 2026-09-20."""
    if isinstance(cell, bool):
        return "1" if cell else "0"
    if isinstance(cell, float):
        return f"{cell:.10g}"
    if isinstance(cell, datetime):
        return cell.date().isoformat()
    if isinstance(cell, date):
        return cell.isoformat()
    text = str(cell).strip()
    if len(text) > MAX_CELL_CHARS:
        raise _damaged(phrase("its texts are too long"))
    return text


# -- text files -----------------------------------------------------------------------------------


def _read_text(data: bytes) -> tuple[tuple[str, ...], ...]:
    text = _decoded(data)
    head = "\n".join(text.splitlines()[:HEAD_LINES])  # a title alone has none
    delimiter = max("\t,;", key=head.count)
    try:
        rows: list[list[str]] = []
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            if len(rows) >= MAX_ROWS or len(row) > MAX_COLUMNS:
                raise _damaged(phrase("it has too many rows or columns"))
            rows.append([_unquoted(cell) for cell in row])
    except csv.Error as err:
        raise _damaged(phrase("it is no table of separated values")) from err
    return _texts(rows)


def _unquoted(cell: str) -> str:
    """Take away the apostrophe that our csv files put before what a program would take for a formula."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in FORMULA_SIGNS else cell


FORMULA_SIGNS: Final = frozenset("=+-@\t\r")
"""First characters of a cell that a spreadsheet program may take for a formula."""


def guarded(text: str) -> str:
    """Write a text so that no spreadsheet program takes it for a formula when it opens a csv file."""
    return f"'{text}" if text[:1] in FORMULA_SIGNS else text


def _decoded(data: bytes) -> str:
    mark = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    for encoding in ("utf-16",) if mark else ("utf-8-sig", "gb18030"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text and text.strip():
            return text
    raise _damaged(phrase("it is neither a workbook nor text in UTF-8 or GB18030"))
