"""A workbook part by part, so that a test can write what one program or another really puts into it."""

from __future__ import annotations

import datetime as dt
import html
import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping

import table_files as make
from trap_school import School, Table, both

HEAD = b'<?xml version="1.0" encoding="UTF-8"?>\n'
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/spreadsheetml/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
Parts = dict[str, bytes]
Cell = Callable[[str, make.Value], str]
SHEET = "xl/worksheets/sheet1.xml"


def plain_cell(ref: str, value: make.Value) -> str:
    """Write a cell as most libraries do that keep no shared texts."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return f'<c r="{ref}" t="b"><v>{int(value)}</v></c>'
    if isinstance(value, dt.date):
        return f'<c r="{ref}" s="1"><v>{make.serial(value)}</v></c>'
    if isinstance(value, (int, float)):
        return f'<c r="{ref}"><v>{value!r}</v></c>'
    return f'<c r="{ref}" t="inlineStr"><is><t xml:space="preserve">{html.escape(str(value))}</t></is></c>'


def sheet_xml(
    rows: make.Rows, cell: Cell = plain_cell, *, before: str = "", after: str = "", row_attributes: str = ""
) -> bytes:
    """Write a sheet: `before` stands in front of its rows, `after` behind them."""
    lines = "".join(
        f'<row r="{r}"{row_attributes}>'
        + "".join(cell(f"{make.column(c)}{r}", value) for c, value in enumerate(row))
        + "</row>"
        for r, row in enumerate(rows, start=1)
    )
    xml = f'<worksheet xmlns="{MAIN}">{before}<sheetData>{lines}</sheetData>{after}</worksheet>'
    return HEAD + xml.encode()


def book(sheet: bytes, *, workbook: str = "", styles: str = "", state: str = "") -> Parts:
    """Give the parts of a workbook with one sheet; `workbook` is XML in front of its list of sheets."""
    styles = styles or '<cellXfs count="2"><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs>'
    texts = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
        '<Default Extension="xml" ContentType="application/xml"/></Types>',
        "_rels/.rels": _relationships(("r1", "officeDocument", "xl/workbook.xml")),
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}">{workbook}'
        f'<sheets><sheet name="Sheet1" sheetId="1"{state} r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": _relationships(
            ("r1", "worksheet", "worksheets/sheet1.xml"), ("r2", "styles", "styles.xml")
        ),
        "xl/styles.xml": f'<styleSheet xmlns="{MAIN}">{styles}</styleSheet>',
    }
    return {
        **{name: HEAD + text.encode() for name, text in texts.items()},
        "xl/worksheets/sheet1.xml": sheet,
    }


def _relationships(*entries: tuple[str, str, str]) -> str:
    items = "".join(f'<Relationship Id="{i}" Type="{RELATIONS}/{t}" Target="{f}"/>' for i, t, f in entries)
    return f'<Relationships xmlns="{PACKAGE}/relationships">{items}</Relationships>'


def shared(parts: Parts, items: list[str]) -> Parts:
    """Add shared texts, each as the XML inside of its item."""
    xml = f'<sst xmlns="{MAIN}">' + "".join(f"<si>{item}</si>" for item in items) + "</sst>"
    name = "xl/_rels/workbook.xml.rels"
    entry = f'<Relationship Id="r9" Type="{RELATIONS}/sharedStrings" Target="sharedStrings.xml"/>'.encode()
    return {
        **parts,
        name: parts[name].replace(b"</Relationships>", entry + b"</Relationships>"),
        "xl/sharedStrings.xml": HEAD + xml.encode(),
    }


def changed(parts: Parts, name: str, *pairs: tuple[str, str]) -> Parts:
    """Replace texts in one part; each must be there."""
    data = parts[name]
    for old, new in pairs:
        if old.encode() not in data:
            raise ValueError(f"{name} has no {old}")
        data = data.replace(old.encode(), new.encode())
    return {**parts, name: data}


def streamed(parts: Mapping[str, bytes]) -> bytes:
    """Zip as a program that cannot go back: sizes stand behind each part, in a data descriptor."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, data) -> int:
            self.data += bytes(data)
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return bytes(pipe.data)


def zip64(parts: Mapping[str, bytes]) -> bytes:
    """Zip with 64-bit sizes, as programs do that do not know how much will come."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as part:
                part.write(data)
    return target.getvalue()


def raw_zip(entries: list[tuple[str, bytes]], *, flags: int = 0, method: int = 8, crc_off: int = 0) -> bytes:
    """Zip without any rule: names twice, flags that are not true, checksums that are wrong."""
    out, directory = b"", b""
    for name, data in entries:
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = packer.compress(data) + packer.flush() if method == 8 else data
        crc = (zlib.crc32(data) + crc_off) & 0xFFFFFFFF
        fields = (20, flags, method, 0, 0x21, crc, len(packed), len(data), len(name.encode()), 0)
        directory += struct.pack("<IH5H3I5H2I", 0x02014B50, 20, *fields, 0, 0, 0, 0, len(out)) + name.encode()
        out += struct.pack("<I5H3I2H", 0x04034B50, *fields) + name.encode() + packed
    end = struct.pack("<I4H2IH", 0x06054B50, 0, 0, len(entries), len(entries), len(directory), len(out), 0)
    return out + directory + end


def in_both(write: Callable[[Table], Parts]) -> Callable[[School], None]:
    """Write both tables as zips of these parts."""
    return both(lambda rows: make.zipped(write(rows)))


def of_table(rows: Table, cell: Cell = plain_cell, **about: str) -> Parts:
    """Give the parts of a workbook with a table; the rest is for `sheet_xml`."""
    return book(sheet_xml(rows, cell, **about))
