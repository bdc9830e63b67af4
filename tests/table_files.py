"""Bytes of spreadsheet files, written by hand: what Excel, WPS and web exports make, and what they break.

`xlsx`, `xls` and `text` write a list of rows; the rest wraps or spoils bytes. Everything is small and depends
on its arguments alone.
"""

from __future__ import annotations

import csv
import datetime as dt
import html
import io
import struct
import zipfile
from collections.abc import Mapping, Sequence

Value = str | int | float | bool | dt.date | None
Rows = Sequence[Sequence[Value]]
Merge = tuple[int, int, int, int]

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_EPOCH = dt.date(1899, 12, 30)
SECTOR = 512
END, FREE, FAT_SECTOR = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


def serial(day: dt.date) -> int:
    """Give the number by which a spreadsheet stores a day."""
    return (day - _EPOCH).days


def text(rows: Rows, encoding: str = "utf-8", separator: str = ",", end: str = "\r\n") -> bytes:
    """Write separated values."""
    target = io.StringIO(newline="")
    cells = [["" if cell is None else cell for cell in row] for row in rows]
    csv.writer(target, delimiter=separator, lineterminator=end).writerows(cells)
    return target.getvalue().encode(encoding)


def column(index: int) -> str:
    """Name a 0-based column."""
    return (chr(ord("A") + index // 26 - 1) if index >= 26 else "") + chr(ord("A") + index % 26)


def xlsx(
    *sheets: Rows,
    titles: Sequence[str] = (),
    hidden: Sequence[int] = (),
    merged: Sequence[Merge] = (),
    extra: str = "",
    prefix: str = "",
    strings: bool = True,
    plain_dates: bool = False,
) -> bytes:
    """Write a workbook.

    Args:
        titles, hidden: of the sheets; places count from 0.
        merged: ranges of the first sheet as (top, left, bottom, right), 0-based.
        extra: XML put behind the rows of the first sheet.
        prefix: of all tags, as some writers have one.
        strings: shared texts; else inline ones.
        plain_dates: days without a date format.
    """
    shared: dict[str, int] = {}
    names = [*titles, *(f"Sheet{n}" for n in range(len(titles) + 1, len(sheets) + 1))]
    style = 0 if plain_dates else 1
    parts = {
        f"xl/worksheets/sheet{n}.xml": _sheet_xml(
            rows, merged if n == 1 else (), extra if n == 1 else "", shared if strings else None, style
        )
        for n, rows in enumerate(sheets, start=1)
    }
    entries = "".join(
        f'<sheet name="{html.escape(name)}" sheetId="{n}" r:id="r{n}"'
        f"{' state=' + chr(34) + 'hidden' + chr(34) if n - 1 in hidden else ''}/>"
        for n, name in enumerate(names, start=1)
    )
    parts["xl/workbook.xml"] = (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATIONS}"><sheets>{entries}</sheets></workbook>'
    )
    parts["xl/_rels/workbook.xml.rels"] = _relationships(
        [(f"r{n}", "worksheet", f"worksheets/sheet{n}.xml") for n in range(1, len(sheets) + 1)]
        + [("rs", "styles", "styles.xml"), ("rt", "sharedStrings", "sharedStrings.xml")]
    )
    parts["_rels/.rels"] = _relationships([("r1", "officeDocument", "xl/workbook.xml")])
    parts["xl/styles.xml"] = (
        f'<styleSheet xmlns="{_MAIN}"><cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
        "</styleSheet>"
    )
    items = "".join(f'<si><t xml:space="preserve">{html.escape(item)}</t></si>' for item in shared)
    parts["xl/sharedStrings.xml"] = f'<sst xmlns="{_MAIN}">{items}</sst>'
    parts["[Content_Types].xml"] = (
        f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="xml" ContentType="application/xml"/>'
        "</Types>"
    )
    if prefix:
        parts = {name: _prefixed(xml, prefix) if "worksheets" in name else xml for name, xml in parts.items()}
    return zipped(
        {name: b'<?xml version="1.0" encoding="UTF-8"?>\n' + xml.encode() for name, xml in parts.items()}
    )


def zipped(parts: Mapping[str, bytes]) -> bytes:
    """Write a zip archive with fixed times."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def _prefixed(xml: str, prefix: str) -> str:
    import re

    tagged = re.sub(r"<(/?)(\w)", rf"<\1{prefix}:\2", xml)
    return tagged.replace("xmlns=", f"xmlns:{prefix}=")


def _relationships(entries: list[tuple[str, str, str]]) -> str:
    items = "".join(f'<Relationship Id="{i}" Type="{_RELATIONS}/{t}" Target="{f}"/>' for i, t, f in entries)
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{items}</Relationships>'


def _sheet_xml(
    rows: Rows, merged: Sequence[Merge], extra: str, shared: dict[str, int] | None, style: int
) -> str:
    body = []
    for r, row in enumerate(rows, start=1):
        cells = "".join(
            _cell_xml(f"{column(c)}{r}", value, shared, style)
            for c, value in enumerate(row)
            if value is not None
        )
        body.append(f'<row r="{r}">{cells}</row>')
    ranges = "".join(f'<mergeCell ref="{column(w)}{n + 1}:{column(e)}{s + 1}"/>' for n, w, s, e in merged)
    merges = f"<mergeCells>{ranges}</mergeCells>" if merged else ""
    return f'<worksheet xmlns="{_MAIN}"><sheetData>{"".join(body)}{extra}</sheetData>{merges}</worksheet>'


def _cell_xml(ref: str, value: Value, shared: dict[str, int] | None, style: int) -> str:
    if isinstance(value, bool):
        return f'<c r="{ref}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, dt.date):
        return f'<c r="{ref}" s="{style}"><v>{serial(value)}</v></c>'
    if isinstance(value, (int, float)):
        return f'<c r="{ref}"><v>{value!r}</v></c>'
    if isinstance(value, str) and value.startswith("#") and value.endswith(("!", "A", "?")):
        return f'<c r="{ref}" t="e"><v>{value}</v></c>'
    if shared is None:
        return (
            f'<c r="{ref}" t="inlineStr"><is><t xml:space="preserve">{html.escape(str(value))}</t></is></c>'
        )
    return f'<c r="{ref}" t="s"><v>{shared.setdefault(str(value), len(shared))}</v></c>'


# ---------------------------------------------------------------- .xls


def xls(
    *sheets: Rows,
    titles: Sequence[str] = (),
    hidden: Sequence[int] = (),
    merged: Sequence[Merge] = (),
    password: bool = False,
) -> bytes:
    """Write an old workbook (BIFF8): shared texts, numbers, days, truth values, merged ranges."""
    names = [*titles, *(f"Sheet{n}" for n in range(len(titles) + 1, len(sheets) + 1))]
    texts: dict[str, int] = {}
    bodies = [_xls_sheet(rows, texts, merged if n == 0 else ()) for n, rows in enumerate(sheets)]
    head = _record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0005, 0, 0, 0, 0))
    head += _record(0x002F, bytes(54)) if password else b""
    head += _record(0x00E0, struct.pack("<HH16x", 0, 0)) + _record(0x00E0, struct.pack("<HH16x", 0, 14))
    tail = _shared_texts(list(texts)) + _record(0x000A, b"")
    size = sum(4 + 6 + 2 + 2 * len(name) for name in names)
    at = len(head) + size + len(tail)
    entries = b""
    for n, (name, body) in enumerate(zip(names, bodies, strict=True)):
        state = 1 if n in hidden else 0
        entries += _record(
            0x0085, struct.pack("<IBBBB", at, state, 0, len(name), 1) + name.encode("utf-16-le")
        )
        at += len(body)
    return compound({"Workbook": head + entries + tail + b"".join(bodies)})


def _record(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, len(body)) + body


def _shared_texts(texts: list[str]) -> bytes:
    """Write the shared texts; a full record goes on in CONTINUE records, also in the middle of a text."""
    out, body, kind = b"", struct.pack("<II", len(texts), len(texts)), 0x00FC
    for item in texts:
        if len(body) > 8000:
            out, body, kind = out + _record(kind, body), b"", 0x003C
        body += struct.pack("<HB", len(item), 1)
        half = item if len(body) < 7900 else item[: len(item) // 2]
        body += half.encode("utf-16-le")
        if half != item:
            out, body, kind = (
                out + _record(kind, body),
                b"\x01" + item[len(half) :].encode("utf-16-le"),
                0x003C,
            )
    return out + _record(kind, body)


def _xls_sheet(rows: Rows, texts: dict[str, int], merged: Sequence[Merge]) -> bytes:
    out = _record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0010, 0, 0, 0, 0))
    out += _record(
        0x0200, struct.pack("<IIHHH", 0, 0xFFFFFFFF, 0, 0xFFFF, 0)
    )  # a lie; nobody should believe it
    for r, row in enumerate(rows):
        for c, value in enumerate(row):
            out += _xls_cell(r, c, value, texts)
    ranges = b"".join(struct.pack("<HHHH", top, bottom, left, right) for top, left, bottom, right in merged)
    out += _record(0x00E5, struct.pack("<H", len(merged)) + ranges) if merged else b""
    return out + _record(0x000A, b"")


def _xls_cell(r: int, c: int, value: Value, texts: dict[str, int]) -> bytes:
    if value is None:
        return _record(0x0201, struct.pack("<HHH", r, c, 0))
    if isinstance(value, bool):
        return _record(0x0205, struct.pack("<HHHBB", r, c, 0, value, 0))
    if isinstance(value, dt.date):
        return _record(0x0203, struct.pack("<HHHd", r, c, 1, serial(value)))
    if isinstance(value, int) and abs(value) < 1 << 29:
        return _record(0x027E, struct.pack("<HHHi", r, c, 0, value << 2 | 2))
    if isinstance(value, (int, float)):
        return _record(0x0203, struct.pack("<HHHd", r, c, 0, value))
    if value.startswith("#") and value.endswith(("!", "A", "?")):
        return _record(0x0205, struct.pack("<HHHBB", r, c, 0, 0x2A, 1))
    return _record(0x00FD, struct.pack("<HHHI", r, c, 0, texts.setdefault(value, len(texts))))


def compound(streams: Mapping[str, bytes]) -> bytes:
    """Write a compound file (OLE2) whose streams all lie in ordinary sectors."""
    chains, data, fat = [], b"", []
    for name, stream in streams.items():
        padded = stream.ljust(max(4096, -(-len(stream) // SECTOR) * SECTOR), b"\0")
        start, count = len(fat), len(padded) // SECTOR
        fat += [*range(start + 1, start + count), END]
        data += padded
        chains.append((name, start, max(4096, len(stream))))
    directory_at = len(fat)
    entries = [_entry("Root Entry", 5, END, 0, child=1), *(_entry(n, 2, s, z) for n, s, z in chains)]
    directory = b"".join(entries).ljust(-(-len(entries) * 128 // SECTOR) * SECTOR, b"\0")
    count = len(directory) // SECTOR
    fat += [*range(directory_at + 1, directory_at + count), END]
    num_fats = 1
    while (len(fat) + num_fats) * 4 > num_fats * SECTOR:
        num_fats += 1
    fat_at = len(fat)
    fat += [FAT_SECTOR] * num_fats
    table = struct.pack(f"<{len(fat)}I", *fat).ljust(num_fats * SECTOR, b"\xff")
    places = struct.pack("<109I", *(fat_at + n if n < num_fats else FREE for n in range(109)))
    header = struct.pack(
        "<8s16xHHHHH6xIIIIIIIII",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        62,
        3,
        0xFFFE,
        9,
        6,
        0,
        num_fats,
        directory_at,
        0,
        4096,
        END,
        0,
        END,
        0,
    )
    return header + places + data + directory + table


def _entry(name: str, kind: int, start: int, size: int, child: int = FREE) -> bytes:
    encoded = (name + "\0").encode("utf-16-le")
    fields = struct.pack("<HBBIII36xIQ", len(encoded), kind, 1, FREE, FREE, child, start, size)
    return encoded.ljust(64, b"\0") + fields
