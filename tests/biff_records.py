"""An old workbook record by record (BIFF8), so that a test can write what programs really put into it."""

from __future__ import annotations

import datetime as dt
import struct
from collections.abc import Callable, Sequence

import table_files as make

BOF = struct.pack("<HHHHII", 0x0600, 0x0010, 0, 0, 0, 0)
Cell = Callable[[int, int, make.Value], bytes]


def record(kind: int, body: bytes = b"") -> bytes:
    """Write one record."""
    return struct.pack("<HH", kind, len(body)) + body


def label(row: int, column: int, value: make.Value) -> bytes:
    """Write a cell with its text in it, narrow where it can be, as programs without shared texts do."""
    if value is None:
        return b""
    if isinstance(value, bool):
        return record(0x0205, struct.pack("<HHHBB", row, column, 0, value, 0))
    if isinstance(value, dt.date):
        return record(0x0203, struct.pack("<HHHd", row, column, 1, make.serial(value)))
    if isinstance(value, (int, float)):
        return record(0x0203, struct.pack("<HHHd", row, column, 0, value))
    return record(0x0204, struct.pack("<HHH", row, column, 0) + text(value))


def text(value: str) -> bytes:
    """Write a text with its length, one byte for each character if that is enough."""
    units = len(value.encode("utf-16-le")) // 2
    if value.isascii():
        return struct.pack("<HB", units, 0) + value.encode("latin-1")
    return struct.pack("<HB", units, 1) + value.encode("utf-16-le")


def formula(row: int, column: int, value: make.Value) -> bytes:
    """Write a formula with the value that the program has stored."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        stored = struct.pack("<d", value)
    else:
        stored = struct.pack("<BxBxxxH", {None: 3, True: 1, False: 1}.get(value, 0), value is True, 0xFFFF)
    body = struct.pack("<HHH", row, column, 0) + stored + struct.pack("<HIH", 0, 0, 0)
    tail = record(0x0207, text(value)) if isinstance(value, str) else b""
    return record(0x0006, body) + tail


def sheet(rows: make.Rows, cell: Cell = label, *, before: bytes = b"", after: bytes = b"") -> bytes:
    """Write a sheet."""
    cells = b"".join(cell(r, c, value) for r, row in enumerate(rows) for c, value in enumerate(row))
    return record(0x0809, BOF) + before + cells + after + record(0x000A)


def workbook(
    sheets: Sequence[bytes], *, more: bytes = b"", formats: Sequence[int] = (0, 14), state: int = 0,
    stream: str = "Workbook", starts: Sequence[int] | None = None,
) -> bytes:  # fmt: skip
    """Write a workbook: `more` are records of its first part; `starts` lies about where the sheets begin."""
    head = record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0005, 0, 0, 0, 0)) + more
    head += b"".join(record(0x00E0, struct.pack("<HH16x", 0, number)) for number in formats)
    names = [f"Sheet{n + 1}" for n in range(len(starts or sheets))]
    at = len(head) + sum(4 + 8 + len(name) for name in names) + 4
    places = []
    for body in sheets:
        places.append(at)
        at += len(body)
    entries = b"".join(
        record(0x0085, struct.pack("<IBBBB", place, state, 0, len(name), 0) + name.encode())
        for name, place in zip(names, [places[n] for n in starts] if starts else places, strict=True)
    )
    return make.compound({stream: head + entries + record(0x000A) + b"".join(sheets)})
