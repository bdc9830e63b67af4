"""From the bytes of an xlsx or csv file to a table of cells.

This runs inside the confined vault: it opens nothing, it is given bytes, and every module that it
needs is loaded at the top (a codec that Python would fetch on first use would be refused later).

A workbook is a zip of XML parts, and both can be made to explode. The order is:

1. the name's ending says what the file wants to be, its first bytes must agree;
2. the zip's directory is bounded (parts, declared bytes), then the parts of a plain table are
   unpacked by us, up to the declared size and with their checksum: a lying size is damage;
3. each sheet's cell references are bounded before anything allocates a grid for them, because one
   cell at XFD1048576 makes a grid of 17 thousand million cells;
4. only those measured parts, packed anew without compression, reach the workbook reader.

Rows and columns are counted as a spreadsheet program shows them.
"""

from __future__ import annotations

import csv
import datetime as dt
import encodings.cp437  # zipfile decodes old file names with it, on first use
import io
import re
import struct
import unicodedata
import zipfile
import zlib
from dataclasses import dataclass

from python_calamine import CalamineError, CalamineWorkbook

from node.vault.importing.errors import refuse_file

MAX_FILE_BYTES = 32 << 20
MAX_UNPACKED_BYTES = 64 << 20
MAX_PARTS = 500
MAX_ROWS = 50_000
MAX_COLUMNS = 200
MAX_CELLS = 1_500_000
MAX_SHARED_TEXT_BYTES = 512 << 20  # longest shared text x text cells: each cell gets its own copy

Cell = str | int | float | bool | dt.date | dt.datetime | dt.time | dt.timedelta

_NEEDED_CODECS = (encodings.cp437,)
_ZIP_MAGIC = b"PK\x03\x04"
_OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ROOT_PARTS = frozenset({"[content_types].xml", "_rels/.rels"})
_LEFT_OUT = re.compile(r"xl/(drawings|media|charts|theme|printersettings|externallinks|embeddings|comments)")
# The workbook reader takes attributes without a space between them and any prefix of a tag: so do these.
_PREFIX = rb"<(?:[^\s<>/=:\"']+:)?"
_REF = rb"(?<![A-Za-z0-9_:.-])r\s*=\s*[\"']"
_ROW_REF = re.compile(_REF + rb"[A-Za-z]{0,4}([0-9]{1,12})[\"']")
_COLUMN_REF = re.compile(_REF + rb"([A-Za-z]{1,8})[0-9]")
_FAR_REF = re.compile(_REF + rb"(?:[A-Za-z]{9}|[A-Za-z]{0,8}[0-9]{13})")
_ROW_TAG = re.compile(_PREFIX + rb"row[\s/>]")
_CELL_TAG = re.compile(_PREFIX + rb"c[\s/>]")
_TEXT_CELL = re.compile(rb"(?<![A-Za-z0-9_:.-])t\s*=\s*[\"']s[\"']")
_ERROR_CELL = re.compile(
    _PREFIX + rb"c\s(?=[^<>]*\st\s*=\s*[\"']e[\"'])(?:[^<>]*\sr=|r=)[\"']([A-Z]{1,4})([0-9]{1,12})"
)
_SHARED_ITEM = re.compile(_PREFIX + rb"si[\s/>]")
_ZERO_WIDTH = dict.fromkeys((0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x00AD, 0x200E, 0x200F))


@dataclass(frozen=True, slots=True, repr=False)
class Table:
    """The cells of one file; row i of the list is row i + 1 of the sheet. Holds pupils' data."""

    rows: list[list[Cell]]

    @property
    def num_rows(self) -> int:
        """Give the number of rows up to the last one with a filled cell."""
        return len(self.rows)


def read_table(file: str, data: bytes, name: str, sheet: str = "") -> Table:
    """Read an xlsx workbook or a UTF-8 csv file (with or without a byte order mark).

    Args:
        file: the part that the file plays, for messages.
        data: the whole file.
        name: its name; only the ending counts.
        sheet: the name of the sheet; empty for the first. A csv file has no sheets.

    Raises:
        ImportingError: the file is something else, damaged, or larger than the bounds above.
    """
    if not data:
        raise refuse_file(file, "file-empty")
    if len(data) > MAX_FILE_BYTES:
        raise refuse_file(file, "file-too-large", allowed=str(MAX_FILE_BYTES))
    if name.lower().endswith(".xlsx"):
        rows = _read_xlsx(file, data, sheet)
    elif name.lower().endswith(".csv"):
        rows = _read_csv(file, data)
    else:
        raise refuse_file(file, "file-type")
    while rows and all(isinstance(cell, str) and not clean_text(cell) for cell in rows[-1]):
        rows.pop()
    return Table(rows)


def clean_text(text: str) -> str:
    """Normalise what people cannot see: full-width forms, zero-width characters, odd spaces.

    Inner runs of white space become one space; the ends are trimmed.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_ZERO_WIDTH))
    return " ".join(text.split())


def column_letters(index: int) -> str:
    """Name a 0-based column as a spreadsheet program does: 0 is A, 26 is AA."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _read_csv(file: str, data: bytes) -> list[list[Cell]]:
    if data.startswith((_ZIP_MAGIC, _OLE_MAGIC)):
        raise refuse_file(file, "csv-is-xlsx")
    try:
        text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as err:
        raise refuse_file(file, "not-utf8") from err
    if "\0" in text:
        raise refuse_file(file, "not-utf8")
    rows: list[list[Cell]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), strict=True):
            if len(rows) == MAX_ROWS:
                raise refuse_file(file, "too-many-rows", allowed=str(MAX_ROWS))
            if len(row) > MAX_COLUMNS:
                raise refuse_file(file, "too-many-columns", allowed=str(MAX_COLUMNS))
            rows.append(list(row))
    except csv.Error as err:
        raise refuse_file(file, "csv-damaged", row=len(rows) + 1) from err
    return rows


def _read_xlsx(file: str, data: bytes, sheet: str) -> list[list[Cell]]:
    if data.startswith(_OLE_MAGIC):
        raise refuse_file(file, "old-xls")
    if not data.startswith(_ZIP_MAGIC):
        raise refuse_file(file, "not-xlsx")
    parts = _unpack(file, data)
    _bound_sheets(file, parts)
    try:
        with CalamineWorkbook.from_filelike(io.BytesIO(_pack(parts))) as workbook:
            names = workbook.sheet_names
            if not names or (sheet and sheet not in names):
                raise refuse_file(file, "sheet-missing")
            found = workbook.get_sheet_by_name(sheet or names[0])
            rows: list[list[Cell]] = found.to_python(skip_empty_area=False)
    except CalamineError as err:
        raise refuse_file(file, "xlsx-damaged") from err
    except BaseException as err:
        # A Rust panic in the reader is no Exception; anything else that is none must pass.
        if type(err).__name__ != "PanicException":
            raise
        raise refuse_file(file, "xlsx-damaged") from None
    return rows


def _unpack(file: str, data: bytes) -> dict[str, bytes]:
    """Unpack the parts that a plain table consists of, within the bounds."""
    parts: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            wanted = {_part_name(info.filename): info for info in members}
            if len(members) > MAX_PARTS or len(wanted) != len(members):
                raise refuse_file(file, "xlsx-damaged")
            wanted = {name: info for name, info in wanted.items() if _is_kept(name)}
            if sum(info.file_size for info in wanted.values()) > MAX_UNPACKED_BYTES:
                raise refuse_file(file, "xlsx-bomb", allowed=f"{MAX_UNPACKED_BYTES >> 20} MiB")
            for info in wanted.values():
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise refuse_file(file, "xlsx-damaged")
                with archive.open(info) as part:  # read() would unpack all that a lying size hides
                    parts[info.filename.replace("\\", "/")] = part.read(info.file_size + 1)
    except (zipfile.BadZipFile, zlib.error, struct.error, RuntimeError, EOFError, ValueError, OSError) as err:
        raise refuse_file(file, "xlsx-damaged") from err
    if "xl/workbook.xml" not in {name.lower() for name in parts}:
        raise refuse_file(file, "not-xlsx")
    return parts


def _part_name(name: str) -> str:
    return name.replace("\\", "/").lower()


def _is_kept(name: str) -> bool:
    if name in _ROOT_PARTS:
        return True
    return name.startswith("xl/") and name.endswith((".xml", ".rels")) and not _LEFT_OUT.match(name)


def _pack(parts: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return packed.getvalue()


def _bound_sheets(file: str, parts: dict[str, bytes]) -> None:
    """Refuse a sheet whose cells would need a grid, or texts, beyond the bounds."""
    longest = 0
    text_cells = 0
    for name, xml in parts.items():
        if b"\0" in xml:  # UTF-16 would hide everything that is searched for here
            raise refuse_file(file, "xlsx-damaged")
        if name.lower().endswith("sharedstrings.xml"):
            longest = max(map(len, _SHARED_ITEM.split(xml)))
        elif name.lower().endswith(".xml"):
            _bound_grid(file, xml)
            text_cells += len(_TEXT_CELL.findall(xml))
    if longest * text_cells > MAX_SHARED_TEXT_BYTES:
        raise refuse_file(file, "xlsx-bomb", allowed=f"{MAX_SHARED_TEXT_BYTES >> 20} MiB")


def _bound_grid(file: str, xml: bytes) -> None:
    if _FAR_REF.search(xml):
        raise refuse_file(file, "xlsx-damaged")
    spans = _ROW_TAG.split(xml)
    last_row = max(len(spans) - 1, max(map(int, set(_ROW_REF.findall(xml))), default=0))
    widest = max(len(_CELL_TAG.findall(span)) for span in spans)
    last_column = max(widest, max(map(_column_number, set(_COLUMN_REF.findall(xml))), default=0))
    if last_row > MAX_ROWS:
        raise refuse_file(file, "too-many-rows", allowed=str(MAX_ROWS))
    if last_column > MAX_COLUMNS:
        raise refuse_file(file, "too-many-columns", allowed=str(MAX_COLUMNS))
    if last_row * last_column > MAX_CELLS:
        raise refuse_file(file, "too-many-rows", allowed=str(MAX_CELLS // last_column))
    found = _ERROR_CELL.search(xml)
    if found:
        raise refuse_file(file, "formula-error", row=int(found[2]), column=found[1].decode("ascii"))


def _column_number(letters: bytes) -> int:
    number = 0
    for letter in letters.upper():
        number = number * 26 + letter - ord("A") + 1
    return number
