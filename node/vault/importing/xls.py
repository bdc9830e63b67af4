"""Read an old .xls workbook (BIFF8, Excel 97 to 2003, and what WPS saves under that name) from bytes.

The cells are kept by their place and only then put into a grid, so that neither a DIMENSIONS record nor a
formatted cell far below the table asks for memory; texts are shared, not copied. Formulas give the value
that the program stored. What is not needed for a table of values is skipped.

Spec: [MS-XLS] 2.4; the container is `importing.compound`.
"""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from node.vault.errors import VaultError
from node.vault.importing.cells import Cell
from node.vault.importing.compound import CompoundError, open_compound

MAX_SHEETS: Final = 100
MAX_COLUMNS: Final = 256
MAX_FORMAT_CHARS: Final = 255
MAX_TEXTS: Final = 1_500_000
FAILED_FORMULA: Final = "#N/A"

_BOF, _EOF, _CONTINUE, _FILEPASS, _DATEMODE = 0x0809, 0x000A, 0x003C, 0x002F, 0x0022
_BOUNDSHEET, _SST, _XF, _FORMAT, _MERGED = 0x0085, 0x00FC, 0x00E0, 0x041E, 0x00E5
_LABEL_SST, _LABEL, _NUMBER, _RK, _MULRK, _BOOLERR = 0x00FD, 0x0204, 0x0203, 0x027E, 0x00BD, 0x0205
_FORMULA, _STRING = 0x0006, 0x0207
_BIFF8: Final = 0x0600
_WORKSHEET: Final = 0x0010
_EPOCH_1900, _EPOCH_1904 = dt.datetime(1899, 12, 30), dt.datetime(1904, 1, 1)
_MAX_SERIAL: Final = 2_958_465  # 31 December 9999
_DATE_FORMATS: Final = frozenset((*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)))


class XlsError(VaultError):
    """The bytes are no workbook that can be read; `code` is a code of `importing.errors.MESSAGES`."""

    CODE = "xls-damaged"


@dataclass(slots=True)
class XlsSheet:
    """One worksheet: cells by (row, column), 0-based; `merged` ranges as (top, left, bottom, right)."""

    title: str
    is_hidden: bool
    cells: dict[tuple[int, int], Cell] = field(default_factory=dict, repr=False)
    merged: list[tuple[int, int, int, int]] = field(default_factory=list)


@dataclass(slots=True)
class _Globals:
    """What the workbook's first part says for all sheets."""

    sheets: list[tuple[int, str, bool]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    xf_formats: list[int] = field(default_factory=list)
    formats: dict[int, str] = field(default_factory=dict)
    epoch: dt.datetime = _EPOCH_1900
    date_xfs: frozenset[int] = frozenset()


_Record = tuple[int, list[bytes]]


def read_xls(data: bytes) -> list[XlsSheet]:
    """Read all worksheets of an .xls workbook.

    Raises:
        XlsError: protected by a password, older than Excel 97, no workbook at all, or damaged.
    """
    try:
        return _read(data)
    except (struct.error, IndexError, UnicodeDecodeError, OverflowError, CompoundError) as err:
        raise XlsError("the workbook is damaged") from err


def _read(data: bytes) -> list[XlsSheet]:
    container = open_compound(data)
    if container.has("EncryptedPackage"):
        raise XlsError("the workbook is encrypted", code="password")
    if not container.has("Workbook"):
        code = "xls-too-old" if container.has("Book") else "not-a-table"
        raise XlsError("no workbook of Excel 97 or later", code=code)
    stream = container.read("Workbook")
    shared = _read_globals(stream)
    ends = _ends([start for start, _title, _is_hidden in shared.sheets], len(stream))
    sheets = []
    for start, title, is_hidden in shared.sheets[:MAX_SHEETS]:
        sheet = XlsSheet(title, is_hidden)
        _read_sheet(stream[: ends[start]], start, sheet, shared)
        sheets.append(sheet)
    return sheets


def _ends(starts: list[int], size: int) -> dict[int, int]:
    """Give where each sheet must end at the latest, so that no byte is read as part of two sheets."""
    ordered = sorted(starts)
    if len(set(ordered)) != len(ordered):
        raise XlsError("two sheets begin at the same place")
    return dict(zip(ordered, [*ordered[1:], size], strict=True))


def _records(stream: bytes, start: int) -> Iterator[_Record]:
    """Give the records from `start` to the matching EOF, each with what continues it."""
    at, pending, depth = start, None, 0
    while at + 4 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, at)
        body = stream[at + 4 : at + 4 + size]
        if len(body) != size:
            raise XlsError("a record is cut off")
        at += 4 + size
        if kind == _CONTINUE and pending is not None:
            pending[1].append(body)
            continue
        if pending is not None:
            yield pending
        pending = (kind, [body])
        depth += (kind == _BOF) - (kind == _EOF)
        if depth == 0:
            yield pending
            return
    raise XlsError("the workbook ends in the middle")


def _read_globals(stream: bytes) -> _Globals:
    shared = _Globals()
    for place, (kind, bodies) in enumerate(_records(stream, 0)):
        body = bodies[0]
        if place == 0 and (kind != _BOF or struct.unpack_from("<H", body)[0] != _BIFF8):
            raise XlsError("not BIFF8", code="xls-too-old" if kind & 0xFF == 0x09 else "xls-damaged")
        if kind == _FILEPASS:
            raise XlsError("the workbook is encrypted", code="password")
        if kind == _DATEMODE and struct.unpack_from("<H", body)[0]:
            shared.epoch = _EPOCH_1904
        elif kind == _BOUNDSHEET:
            start, visibility, sheet_type = struct.unpack_from("<IBB", body)
            if sheet_type == 0:
                shared.sheets.append((start, _short_text(body[6:]), visibility & 3 != 0))
        elif kind == _SST:
            shared.texts = list(_read_texts(bodies))
        elif kind == _XF:
            shared.xf_formats.append(struct.unpack_from("<H", body, 2)[0])
        elif kind == _FORMAT:
            shared.formats[struct.unpack_from("<H", body)[0]] = _long_text(body[2:])
    dates = {number for number in set(shared.xf_formats) if _is_date(number, shared.formats)}
    shared.date_xfs = frozenset(place for place, number in enumerate(shared.xf_formats) if number in dates)
    return shared


def _is_date(number: int, formats: dict[int, str]) -> bool:
    if number not in formats:
        return number in _DATE_FORMATS
    return is_date_format(formats[number][:MAX_FORMAT_CHARS])


def is_date_format(text: str) -> bool:
    """Say whether a number format shows a date or a time: y, m, d, h or s outside of quotes and brackets."""
    shown, is_quoted, place = [], False, 0
    while place < len(text):
        char = text[place]
        if char == '"':
            is_quoted = not is_quoted
        elif char in "\\_*" and not is_quoted:
            place += 1
        elif not is_quoted:
            shown.append(char)
        place += 1
    plain, is_inside, kept = "".join(shown).lower(), False, []
    for char in plain:
        is_inside = char == "[" or (is_inside and char != "]")
        if not is_inside and char != "]":
            kept.append(char)
    first = "".join(kept).split(";")[0]
    return "general" not in first and any(char in "ymdhs" for char in first)


def _short_text(body: bytes) -> str:
    return _decode(body[2:], body[0], is_wide=bool(body[1] & 1))


def _long_text(body: bytes) -> str:
    size, flags = struct.unpack_from("<HB", body)
    return _decode(body[3:], size, is_wide=bool(flags & 1))


def _decode(body: bytes, num_chars: int, *, is_wide: bool) -> str:
    chars = body[: num_chars * (1 + is_wide)]
    if len(chars) != num_chars * (1 + is_wide):
        raise XlsError("a text is cut off")
    # Half of a surrogate pair is no reason to refuse a name; what is compared will just not match.
    return chars.decode("utf-16-le", "replace") if is_wide else chars.decode("latin-1")


def _read_texts(bodies: list[bytes]) -> Iterator[str]:
    """Read the shared texts; one that crosses into a CONTINUE record starts there with new flags."""
    reader = _Pieces(bodies)
    (num_unique,) = struct.unpack_from("<I", bodies[0], 4)
    reader.at = 8
    if num_unique > MAX_TEXTS:
        raise XlsError("more shared texts than cells")
    for _ in range(num_unique):
        size, flags = struct.unpack("<HB", reader.take(3))
        num_runs = struct.unpack("<H", reader.take(2))[0] if flags & 8 else 0
        num_extra = struct.unpack("<I", reader.take(4))[0] if flags & 4 else 0
        yield reader.take_text(size, is_wide=bool(flags & 1))
        reader.skip(4 * num_runs + num_extra)


class _Pieces:
    """The bodies of a record and of what continues it, read as one."""

    def __init__(self, bodies: list[bytes]) -> None:
        self._bodies = bodies
        self._index = 0
        self.at = 0

    def _next(self) -> None:
        self._index, self.at = self._index + 1, 0
        if self._index >= len(self._bodies):
            raise XlsError("the shared texts are cut off")

    def take(self, size: int) -> bytes:
        """Take bytes that writers never split."""
        if self.at == len(self._bodies[self._index]):
            self._next()
        taken = self._bodies[self._index][self.at : self.at + size]
        if len(taken) != size:
            raise XlsError("the shared texts are cut off")
        self.at += size
        return taken

    def skip(self, size: int) -> None:
        """Pass over bytes, across pieces."""
        while size > 0:
            here = min(size, len(self._bodies[self._index]) - self.at)
            self.at, size = self.at + here, size - here
            if size:
                self._next()

    def take_text(self, num_chars: int, *, is_wide: bool) -> str:
        """Take characters; every further piece begins with a byte that says how wide they are there."""
        parts = []
        while True:
            width = 1 + is_wide
            here = min(num_chars, (len(self._bodies[self._index]) - self.at) // width)
            parts.append(_decode(self._bodies[self._index][self.at :], here, is_wide=is_wide))
            self.at, num_chars = self.at + here * width, num_chars - here
            if num_chars == 0:
                return "".join(parts)
            self._next()
            is_wide = bool(self._bodies[self._index][0] & 1)
            self.at = 1


def _read_sheet(stream: bytes, start: int, sheet: XlsSheet, shared: _Globals) -> None:
    waiting: tuple[int, int] | None = None  # a formula whose text comes in the next record
    depth = 0
    for place, (kind, bodies) in enumerate(_records(stream, start)):
        body = bodies[0]
        depth += (kind == _BOF) - (kind == _EOF)
        if depth > 1:
            continue  # a chart within the sheet, which has cells of its own
        if place == 0:
            if kind != _BOF:
                raise XlsError("a sheet does not begin where the workbook says")
            if struct.unpack_from("<H", body, 2)[0] != _WORKSHEET:
                return
        elif kind == _STRING and waiting is not None:
            sheet.cells[waiting] = _formula_text(bodies)
            waiting = None
        elif kind == _MERGED:
            (num,) = struct.unpack_from("<H", body)
            for index in range(num):
                top, bottom, left, right = struct.unpack_from("<HHHH", body, 2 + 8 * index)
                sheet.merged.append((top, left, bottom, right))
        elif kind in _CELL_KINDS:
            waiting = _read_cells(kind, bodies, sheet, shared)


_CELL_KINDS: Final = frozenset((_LABEL_SST, _LABEL, _NUMBER, _RK, _MULRK, _BOOLERR, _FORMULA))


def _read_cells(kind: int, bodies: list[bytes], sheet: XlsSheet, shared: _Globals) -> tuple[int, int] | None:
    body = bodies[0]
    row, column, style = struct.unpack_from("<HHH", body)
    where = (row, column)
    if column >= MAX_COLUMNS:
        raise XlsError("a cell lies beyond the last column")
    if kind == _LABEL_SST:
        sheet.cells[where] = shared.texts[struct.unpack_from("<I", body, 6)[0]]
    elif kind == _NUMBER:
        sheet.cells[where] = _number(struct.unpack_from("<d", body, 6)[0], style, shared)
    elif kind == _RK:
        sheet.cells[where] = _number(_rk(struct.unpack_from("<I", body, 6)[0]), style, shared)
    elif kind == _MULRK:
        for index in range((len(body) - 6) // 6):
            style, packed = struct.unpack_from("<HI", body, 4 + 6 * index)
            sheet.cells[row, column + index] = _number(_rk(packed), style, shared)
    elif kind == _LABEL:
        sheet.cells[where] = _long_text(body[6:])
    elif kind == _BOOLERR:
        value, is_error = body[6], body[7]
        sheet.cells[where] = FAILED_FORMULA if is_error else bool(value)
    else:
        return _read_formula(body, where, style, sheet, shared)
    return None


def _read_formula(
    body: bytes, where: tuple[int, int], style: int, sheet: XlsSheet, shared: _Globals
) -> tuple[int, int] | None:
    """Take the stored value of a formula; give its place if the value is a text that follows."""
    if body[12:14] != b"\xff\xff":
        sheet.cells[where] = _number(struct.unpack_from("<d", body, 6)[0], style, shared)
        return None
    match body[6]:
        case 0:
            return where
        case 1:
            sheet.cells[where] = bool(body[8])
        case 2:
            sheet.cells[where] = FAILED_FORMULA
    return None


def _formula_text(bodies: list[bytes]) -> str:
    size, flags = struct.unpack_from("<HB", bodies[0])
    reader = _Pieces(bodies)
    reader.at = 3
    return reader.take_text(size, is_wide=bool(flags & 1))


def _rk(packed: int) -> float:
    """Unpack an RK number: 30 bits of a float or of a whole number, perhaps a hundred times too large."""
    if packed & 2:
        signed = packed >> 2
        number = float(signed - (1 << 30) if signed >= 1 << 29 else signed)
    else:
        number = float(struct.unpack("<d", struct.pack("<Q", (packed & 0xFFFFFFFC) << 32))[0])
    return number / 100 if packed & 1 else number


def _number(value: float, style: int, shared: _Globals) -> Cell:
    if style not in shared.date_xfs or not 0 <= value < _MAX_SERIAL:
        return value
    moment = shared.epoch + dt.timedelta(days=value)
    if value < 1:
        return (moment + dt.timedelta(microseconds=500)).time().replace(microsecond=0)
    rounded = moment + dt.timedelta(microseconds=500_000)
    return rounded.date() if rounded.time() < dt.time(0, 0, 1) else rounded.replace(microsecond=0)
