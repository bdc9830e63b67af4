"""From the bytes of a spreadsheet file to the tables of its sheets.

This runs inside the confined vault: it opens nothing, it is given bytes, and every module that it
needs is loaded at the top (a codec that Python would fetch on first use would be refused later).

What a file is, its first bytes say, not its name: platforms call csv text `.xls`, and people rename.
A workbook is a zip of XML parts, and both can be made to explode. The order for one is:

1. the zip's directory is bounded (parts, declared bytes), then the parts of a plain table are
   unpacked by us, up to the declared size and with their checksum: a lying size is damage;
2. cells without a value are taken out, so that a format down to row 1,048,576 does no harm;
3. each sheet's cell references are bounded before anything allocates a grid for them, because one
   cell at XFD1048576 makes a grid of 17 thousand million cells;
4. only those measured parts, packed anew without compression, reach the workbook reader.

Rows and columns are counted as a spreadsheet program shows them.
"""

from __future__ import annotations

import encodings.cp437  # zipfile decodes old file names with it, on first use
import io
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from itertools import islice, pairwise

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum, SheetVisibleEnum

from node.vault.importing import compound
from node.vault.importing.cells import NOT_COMPUTED, Cell, column_letters, is_blank
from node.vault.importing.errors import ImportingError, RowIssue, refuse_file
from node.vault.importing.text_table import MAX_COLUMNS, MAX_ROWS, read_text_table
from node.vault.importing.xls import XlsError, read_xls

MAX_FILE_BYTES = 32 << 20
MAX_UNPACKED_BYTES = 64 << 20
MAX_PARTS = 500
MAX_CELLS = 1_500_000
MAX_TAGS = 8_000_000  # in one part; a table of MAX_CELLS has not so many
MAX_CELL_CHARS = 32_767  # what a spreadsheet program lets a cell hold
MAX_SHARED_TEXT_BYTES = 512 << 20  # longest shared text x text cells: each cell gets its own copy

_NEEDED_CODECS = (encodings.cp437,)
_ZIP_MAGIC = b"PK\x03\x04"
_ROOT_PARTS = frozenset({"[content_types].xml", "_rels/.rels"})
_LEFT_OUT = re.compile(r"xl/(drawings|media|charts|theme|printersettings|externallinks|embeddings|comments)")
# The workbook reader takes attributes without a space between them and any prefix of a tag: so do these.
_PREFIX = rb"<(?:[^\s<>/=:\"']+:)?"
# The letter comes first, what must not stand before it second: so the search leaps from letter to letter.
_REF = rb"r(?<![A-Za-z0-9_:.-]r)\s*=\s*[\"']"
_ROW_REF = re.compile(_REF + rb"[A-Za-z]{0,4}([0-9]{1,12})[\"']")
_COLUMN_REF = re.compile(_REF + rb"([A-Za-z]{1,8})[0-9]")
_FAR_REF = re.compile(_REF + rb"(?:[A-Za-z]{9}|[A-Za-z]{0,8}[0-9]{13})")
_ROW_TAG = re.compile(_PREFIX + rb"row[\s/>]")
_CELL_TAG = re.compile(_PREFIX + rb"c[\s/>]")
_TYPE_IS = rb"t(?<![A-Za-z0-9_:.-]t)\s*=\s*[\"']"
_TEXT_CELL = re.compile(_TYPE_IS + rb"s[\"']")
_ERROR_WORD = re.compile(rb"=\s*[\"']e[\"']")
_ERROR_TYPE = re.compile(rb"(" + _PREFIX + rb"c\s(?:[^<>]*\s)?t\s*=\s*[\"'])e([\"'])")
_SHARED_ITEM = re.compile(_PREFIX + rb"si[\s/>]")
_SHEET_PART = re.compile(r"xl/worksheets/[^/]*\.xml\Z")
_BLANK_CELL = re.compile(_PREFIX + rb"c\s[^<>]*/>")
_BLANK_ROW = re.compile(_PREFIX + rb"row\s[^<>]*(?:/>|>\s*</[^<>]*>)")
_PLACED_CELL = re.compile(_PREFIX + rb"c\s(?:[^<>]*\s)?r\s*=")
_PLACED_ROW = re.compile(_PREFIX + rb"row\s(?:[^<>]*\s)?r\s*=")
_DIMENSION = re.compile(_PREFIX + rb"dimension(?:\s[^<>]*)?(?:/>|>\s*</[^<>]*>)")
_HEAD_BYTES = 4096
_FORMULA = re.compile(_PREFIX + rb"f[\s/>]")
_FORMULA_CELL = re.compile(
    rb"<((?:[^\s<>/=:\"']+:)?)c((?:\s[^<>]*)?)>\s*"
    + (_PREFIX + rb"f(?:\s[^<>]*)?(?:/>|>[^<]*</[^<>]*>)\s*")
    + (rb"(?:" + _PREFIX + rb"v\s*(?:/>|>\s*(0?(?:\.0+)?)\s*</[^<>]*>)\s*)?</[^<>]*>")
)
_TYPE = re.compile(rb"\st\s*=\s*[\"']([^\"']*)[\"']")
_NEVER_SAVED = re.compile(rb"fullCalcOnLoad\s*=\s*[\"'](?:1|true)[\"']")
_PAGE = re.compile(rb"\s*(?:<[!?a-z]|mime-version:|from: <saved by|x-document-type:)", re.IGNORECASE)
_ANSWER = re.compile(rb"\s*(?:\{\s*[\"}]|\[\s*[\[{\]])")
_OLD_MAGIC = (
    b"\x09\x00\x04\x00",
    b"\x09\x02\x06\x00",
    b"\x09\x04\x06\x00",
    b"\x09\x08\x08\x00",
    b"\x09\x08\x10\x00",
)
_OTHER_MAGIC = (
    *(b"%PDF", b"{\\rtf", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b", b"\x89PNG", b"\xff\xd8\xff", b"GIF8"),
    *(b"\x7fELF", b"SQLite format 3"),
)
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True, repr=False)
class Sheet:
    """One sheet's cells; row i of the list is row i + 1 of the sheet. Holds pupils' data.

    Attributes:
        number: 1-based place in the workbook.
        title: its name; empty for a text file.
        is_hidden: whether a spreadsheet program does not show it.
        rows: up to the last row with a filled cell; merged ranges are filled downwards.
    """

    number: int
    title: str
    is_hidden: bool
    rows: list[list[Cell]] = field(repr=False)


def read_sheets(file: str, data: bytes, encoding: str = "auto") -> list[Sheet]:
    """Read an xlsx or xls workbook, or a text file of separated values.

    Args:
        file: the part that the file plays, for messages.
        data: the whole file.
        encoding: of a text file, one of `importing.text_table.ENCODINGS`.

    Raises:
        ImportingError: the file is something else, damaged, protected, or larger than the bounds above.
    """
    if not data:
        raise refuse_file(file, "file-empty")
    if len(data) > MAX_FILE_BYTES:
        raise refuse_file(file, "file-too-large", allowed=f"{MAX_FILE_BYTES >> 20} MiB")
    if data.startswith(_ZIP_MAGIC):
        sheets = _read_xlsx(file, data)
    elif data.startswith(compound.MAGIC):
        sheets = _read_xls(file, data)
    elif data.startswith(_OTHER_MAGIC):
        raise refuse_file(file, "not-a-table")
    elif data.startswith(_OLD_MAGIC):
        raise refuse_file(file, "xls-too-old")
    elif _ANSWER.match(_plain(data)):
        raise refuse_file(file, "server-answer")
    elif _PAGE.match(_plain(data)):
        raise refuse_file(file, "web-page")
    else:
        sheets = [Sheet(1, "", False, read_text_table(file, data, encoding))]
    for sheet in sheets:
        while sheet.rows and all(is_blank(cell) for cell in sheet.rows[-1]):
            sheet.rows.pop()
    return sheets


def _plain(data: bytes) -> bytes:
    """Give the beginning of a file as if it were ASCII, to look for what a web page begins with."""
    start = data[:400]
    return (
        start[2:].replace(b"\0", b"")
        if start.startswith(_UTF16_MARKS)
        else start.removeprefix(b"\xef\xbb\xbf")
    )


def _read_xls(file: str, data: bytes) -> list[Sheet]:
    try:
        found = read_xls(data)
    except XlsError as err:
        raise refuse_file(file, err.code) from None
    sheets, num_cells = [], 0
    for number, sheet in enumerate(found, start=1):
        last_row = 1 + max((row for row, _column in sheet.cells), default=-1)
        width = 1 + max((column for _row, column in sheet.cells), default=-1)
        if last_row > MAX_ROWS or num_cells + last_row * width > MAX_CELLS:
            raise refuse_file(file, "too-many-rows", allowed=str(MAX_ROWS))
        num_cells += last_row * width
        rows: list[list[Cell]] = [[""] * width for _ in range(last_row)]
        for (row, column), cell in sheet.cells.items():
            rows[row][column] = cell
        _bound_texts(file, 0 if len(found) == 1 else number, rows)
        _fill_merged(rows, sheet.merged)
        sheets.append(Sheet(number, sheet.title, sheet.is_hidden, rows))
    return sheets


def _bound_texts(file: str, number: int, rows: list[list[Cell]]) -> None:
    """Refuse a text that no program lets a cell hold, before anything normalises it."""
    for place, row in enumerate(rows, start=1):
        for index, cell in enumerate(row):
            if isinstance(cell, str) and len(cell) > MAX_CELL_CHARS:
                values = (("allowed", str(MAX_CELL_CHARS)),)
                letters = column_letters(index)
                raise ImportingError(
                    RowIssue(file, place, letters, "text-too-long", values=values, sheet=number)
                )


def _fill_merged(rows: list[list[Cell]], merged: list[tuple[int, int, int, int]]) -> None:
    """Give each row of a merged range its value; across columns a value stays where it is."""
    filled = 0
    for top, left, bottom, _right in merged:
        if top >= len(rows) or left >= len(rows[top]):
            continue
        for row in rows[top + 1 : min(bottom, len(rows) - 1) + 1]:
            filled += 1
            if filled <= MAX_CELLS and left < len(row) and is_blank(row[left]):
                row[left] = rows[top][left]


def _read_xlsx(file: str, data: bytes) -> list[Sheet]:
    parts = _unpack(file, data)
    _bound_sheets(file, parts)
    try:
        packed = _pack(parts)
        parts.clear()  # a large sheet is some ten times its packed size
        with CalamineWorkbook.from_filelike(packed) as workbook:
            return _sheets_of(file, workbook)
    except CalamineError as err:
        raise refuse_file(file, "xlsx-damaged") from err
    except ImportingError:
        raise
    except BaseException as err:
        # A Rust panic in the reader is no Exception; anything else that is none must pass.
        if type(err).__name__ != "PanicException":
            raise
        raise refuse_file(file, "xlsx-damaged") from None


def _sheets_of(file: str, workbook: CalamineWorkbook) -> list[Sheet]:
    sheets: list[Sheet] = []
    num_cells, is_one = 0, len(workbook.sheets_metadata) == 1
    if len(workbook.sheets_metadata) > MAX_PARTS:
        raise refuse_file(file, "xlsx-damaged")
    for number, found in enumerate(workbook.sheets_metadata, start=1):
        if found.typ != SheetTypeEnum.WorkSheet:
            continue
        sheet: CalamineSheet = workbook.get_sheet_by_name(found.name)
        rows: list[list[Cell]] = sheet.to_python(skip_empty_area=False)
        num_cells += len(rows) * len(rows[0]) if rows else 0
        if num_cells > MAX_CELLS:  # each part has been measured, but a list of sheets may name it many times
            raise refuse_file(file, "too-many-rows", allowed=str(MAX_ROWS))
        _bound_texts(file, 0 if is_one else number, rows)
        merged = [
            (top, left, bottom, right) for (top, left), (bottom, right) in sheet.merged_cell_ranges or ()
        ]
        _fill_merged(rows, merged)
        sheets.append(Sheet(number, found.name, found.visible != SheetVisibleEnum.Visible, rows))
    return sheets


def _unpack(file: str, data: bytes) -> dict[str, bytes]:
    """Unpack the parts that a plain table consists of, within the bounds."""
    parts: dict[str, bytes] = {}
    names: set[str] = set()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            names = {_part_name(info.filename) for info in members}
            wanted = {_part_name(info.filename): info for info in members}
            if len(members) > MAX_PARTS or len(wanted) != len(members):
                raise refuse_file(file, "xlsx-damaged")
            wanted = {name: info for name, info in wanted.items() if _is_kept(name)}
            if sum(info.file_size for info in wanted.values()) > MAX_UNPACKED_BYTES:
                raise refuse_file(file, "xlsx-bomb", allowed=f"{MAX_UNPACKED_BYTES >> 20} MiB")
            for info in wanted.values():
                if info.flag_bits & 1:
                    raise refuse_file(file, "password")
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise refuse_file(file, "xlsx-damaged")
                with archive.open(info) as part:  # read() would unpack all that a lying size hides
                    parts[info.filename.replace("\\", "/")] = part.read(info.file_size + 1)
    except (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, EOFError, ValueError, OSError) as err:
        raise refuse_file(file, "xlsx-damaged") from err
    if "xl/workbook.xml" not in {name.lower() for name in parts}:
        kinds = {"xl/workbook.bin": "other-workbook", "content.xml": "other-workbook"}
        raise refuse_file(file, next((code for name, code in kinds.items() if name in names), "not-xlsx"))
    if any(xml.count(b"<") > MAX_TAGS for xml in parts.values()):
        raise refuse_file(file, "too-many-rows", allowed=str(MAX_ROWS))
    is_saved = not any(
        _NEVER_SAVED.search(xml) for name, xml in parts.items() if name.lower() == "xl/workbook.xml"
    )
    return {name: _values_only(name, xml, is_saved=is_saved) for name, xml in parts.items()}


def _values_only(name: str, xml: bytes, *, is_saved: bool) -> bytes:
    """Take out of a sheet what only has a format; let a cell show a formula's failure, or lack of a value.

    Args:
        name: of the part.
        xml: its content.
        is_saved: False if no spreadsheet program has saved the workbook since a library wrote it: a library
            that computes nothing may write 0 as the value of each formula.
    """
    if not _SHEET_PART.match(name.lower()):
        return xml
    # Libraries write the dimension wrongly, and nothing needs it.
    xml = _DIMENSION.sub(b"", xml[:_HEAD_BYTES], count=1) + xml[_HEAD_BYTES:]

    def shown(cell: re.Match[bytes]) -> bytes:
        prefix, attributes, value = cell[1], cell[2], cell[3]
        kind = _TYPE.search(attributes)
        if (kind is not None and kind[1] == b"str") or (value and is_saved):
            return cell[0]  # an empty text is a value, and so is a zero that somebody has seen
        attributes = _TYPE.sub(b"", attributes)
        text = NOT_COMPUTED.encode()
        return b'<%bc%b t="str"><%bv>%b</%bv></%bc>' % (prefix, attributes, prefix, text, prefix, prefix)

    if _FORMULA.search(xml):
        xml = _FORMULA_CELL.sub(shown, xml)
    has_blanks = _BLANK_CELL.search(xml) or _BLANK_ROW.search(xml)
    if has_blanks and len(_CELL_TAG.findall(xml)) == len(_PLACED_CELL.findall(xml)):
        # Without a place in each cell, the place of one depends on those before it.
        xml = _BLANK_CELL.sub(b"", xml)
        if len(_ROW_TAG.findall(xml)) == len(_PLACED_ROW.findall(xml)):
            xml = _BLANK_ROW.sub(b"", xml)
    return _ERROR_TYPE.sub(rb"\1str\2", xml) if _ERROR_WORD.search(xml) else xml


def _part_name(name: str) -> str:
    return name.replace("\\", "/").lower()


def _is_kept(name: str) -> bool:
    if name in _ROOT_PARTS:
        return True
    return name.startswith("xl/") and name.endswith((".xml", ".rels")) and not _LEFT_OUT.match(name)


def _pack(parts: dict[str, bytes]) -> io.BytesIO:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    packed.seek(0)
    return packed


def _bound_sheets(file: str, parts: dict[str, bytes]) -> None:
    """Refuse sheets whose cells would need a grid, or texts, beyond the bounds."""
    longest, text_cells, num_cells = 0, 0, 0
    for name, xml in parts.items():
        if b"\0" in xml:  # UTF-16 would hide everything that is searched for here
            raise refuse_file(file, "xlsx-damaged")
        if name.lower().endswith("sharedstrings.xml"):
            longest = max(map(len, _SHARED_ITEM.split(xml)))
        elif name.lower().endswith(".xml"):
            num_cells += _bound_grid(file, xml)
            text_cells += len(_TEXT_CELL.findall(xml))
    if num_cells > MAX_CELLS:
        raise refuse_file(file, "too-many-rows", allowed=str(MAX_ROWS))
    if longest * text_cells > MAX_SHARED_TEXT_BYTES:
        raise refuse_file(file, "xlsx-bomb", allowed=f"{MAX_SHARED_TEXT_BYTES >> 20} MiB")


def _bound_grid(file: str, xml: bytes) -> int:
    """Give the number of cells of a sheet's grid, if it is in bounds."""
    if _FAR_REF.search(xml):
        raise refuse_file(file, "xlsx-damaged")
    starts = [found.start() for found in islice(_ROW_TAG.finditer(xml), MAX_ROWS + 1)]
    if len(starts) > MAX_ROWS:
        raise refuse_file(file, "too-many-rows", allowed=str(MAX_ROWS))
    last_row = max(len(starts), max(map(int, set(_ROW_REF.findall(xml))), default=0))
    widest = max(len(_CELL_TAG.findall(xml, *span)) for span in pairwise([0, *starts, len(xml)]))
    last_column = max(widest, max(map(_column_number, set(_COLUMN_REF.findall(xml))), default=0))
    if last_row > MAX_ROWS:
        raise refuse_file(file, "too-many-rows", allowed=str(MAX_ROWS))
    if last_column > MAX_COLUMNS:
        raise refuse_file(file, "too-many-columns", allowed=str(MAX_COLUMNS))
    return last_row * last_column


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - ord("A") + 1
    return number
