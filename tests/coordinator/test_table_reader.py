"""Spreadsheets from outside: read within bounds, or refused before they cost memory."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from contextlib import suppress

import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from coordinator import table_reader
from coordinator.errors import FileError
from coordinator.table_reader import guarded, read_tables

SHEET = "xl/worksheets/sheet1.xml"


def book(rows: list[list[object]], **options: object) -> bytes:
    target = io.BytesIO()
    made = xlsxwriter.Workbook(target, {"in_memory": True, "strings_to_formulas": False})
    sheet = made.add_worksheet("表")
    for place, row in enumerate(rows):
        sheet.write_row(place, 0, row)
    hidden = made.add_worksheet("选项")
    hidden.write_string(0, 0, "hidden")
    hidden.hide()
    made.close()
    return target.getvalue()


def repacked(
    data: bytes, change: Callable[[dict[str, bytes]], None], method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    change(parts)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target.getvalue()


def sheet_of(cells: str) -> Callable[[dict[str, bytes]], None]:
    def change(parts: dict[str, bytes]) -> None:
        xml = f"<worksheet><sheetData>{cells}</sheetData></worksheet>"
        parts[SHEET] = xml.encode()

    return change


def test_a_workbook_gives_its_visible_cells_as_people_see_them() -> None:
    sheets = read_tables(book([["学校", "数"], ["=1+1", 12], ["甲", 1.5], [True, 0.1 + 0.2]]))
    assert [sheet.title for sheet in sheets] == ["表"]
    assert sheets[0].rows == (("学校", "数"), ("=1+1", "12"), ("甲", "1.5"), ("1", "0.3"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
def test_text_files_are_read_as_programs_write_them(encoding: str, delimiter: str) -> None:
    text = f"学校条件\r\n编号{delimiter}名称\r\ns01{delimiter}第一小学\r\n\r\n"
    assert read_tables(text.encode(encoding))[0].rows == (
        ("学校条件",),
        ("编号", "名称"),
        ("s01", "第一小学"),
    )


@pytest.mark.parametrize("text", ["=1+1", "+8", "-8", "@x", "=cmd|' /C calc'!A0"])
def test_disarmed_cells_come_back_as_they_were(text: str) -> None:
    assert guarded(text)[0] == "'"
    line = f'a,"{guarded(text)}"\r\n'
    assert read_tables(line.encode())[0].rows[0][1] == text.strip()


def test_other_cells_are_not_touched() -> None:
    assert guarded("第一小学") == "第一小学"
    assert read_tables(b"a,'b")[0].rows == (("a", "'b"),)


def shared_texts(parts: dict[str, bytes]) -> None:
    cells = (f'<row r="{n}"><c r="A{n}" t="s"><v>0</v></c></row>' for n in range(1, 3000))
    sheet_of("".join(cells))(parts)
    parts["xl/sharedStrings.xml"] = b"<sst><si><t>" + b"x" * 30_000 + b"</t></si></sst>"


def many_parts(parts: dict[str, bytes]) -> None:
    parts.update({f"xl/p{n}.xml": b"" for n in range(300)})


def cut_sheet(parts: dict[str, bytes]) -> None:
    parts[SHEET] = b"<worksheet><sheetData><row r='1'"


FAR = '<row r="1"><c r="XFD1048576"><v>1</v></c></row>'
HOSTILE: dict[str, bytes] = {
    "empty": b"",
    "blank": b"  \r\n ",
    "noise": bytes(range(256)) * 40,
    "nul": b"a,b\0c",
    "lone-surrogate": b"\xff\xfe\x00\xd8",
    "pdf": b"%PDF-1.7\xff\xfe\xfa" + b"\x80" * 99,
    "old-xls": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
    "zip-cut": book([["a"]])[:-40],
    "zip-of-nothing": repacked(book([["a"]]), dict.clear),
    "quote-open": b'a,"b\r\n' + b"c" * 200_000,
    "wide-csv": b"," * 400 + b"\r\n",
    "long-csv": b"a\r\n" * 25_001,
    "too-large": b"a" * (table_reader.MAX_FILE_BYTES + 1),
    "far-cell": repacked(book([["a"]]), sheet_of(FAR)),
    "far-cell-prefixed": repacked(book([["a"]]), sheet_of(FAR.replace("<c ", "<x:c x:t='n' "))),
    "wide-row": repacked(book([["a"]]), sheet_of('<row r="1"><c r="XFD1"><v>1</v></c></row>')),
    "far-row": repacked(book([["a"]]), sheet_of('<row r="999999999"><c r="A1"><v>1</v></c></row>')),
    "no-refs": repacked(book([["a"]]), sheet_of("<row>" + "<c><v>1</v></c>" * 20_000 + "</row>")),
    "long-ref": repacked(book([["a"]]), sheet_of('<row r="1"><c r="AAAAAAAAAAA1"><v>1</v></c></row>')),
    "utf16-sheet": repacked(
        book([["a"]]), lambda parts: parts.update({SHEET: parts[SHEET].decode().encode("utf-16")})
    ),
    "entities": repacked(
        book([["a"]]),
        lambda parts: parts.update({SHEET: b"<!DOCTYPE x [<!ENTITY a 'b'>]>" + parts[SHEET]}),
    ),
    "bomb": repacked(book([["a"]]), lambda parts: parts.update({"xl/x.xml": b" " * (50 << 20)})),
    "shared-text": repacked(book([["a"]]), shared_texts),
    "many-parts": repacked(book([["a"]]), many_parts),
    "lzma": repacked(book([["a"]]), lambda _parts: None, zipfile.ZIP_LZMA),
    "not-xml": repacked(book([["a"]]), cut_sheet),
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_hostile_files_are_refused_in_words(data: bytes) -> None:
    with pytest.raises(FileError) as caught:
        read_tables(data)
    assert len(str(caught.value)) < 300


def test_a_password_is_named() -> None:
    data = bytearray(book([["a"]]))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        place = archive.start_dir
    while data[place : place + 4] == b"PK\x01\x02":
        data[place + 8] |= 1
        sizes = (data[place + at : place + at + 2] for at in (28, 30, 32))
        place += 46 + sum(int.from_bytes(size, "little") for size in sizes)
    with pytest.raises(FileError, match="password"):
        read_tables(bytes(data))


WHOLE = book([["学校", "数"], ["甲", 12], ["乙", 1.5]])


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255), st.booleans())
def test_a_spoilt_workbook_is_read_or_refused_and_nothing_else(place: int, change: int, is_cut: bool) -> None:
    data = bytearray(WHOLE)
    data[place] ^= change
    with suppress(FileError):
        read_tables(bytes(data[:place] if is_cut else data))


@given(st.integers(0, 400), st.integers(1, 255))
def test_a_spoilt_sheet_inside_a_workbook_too(place: int, change: int) -> None:
    def spoil(parts: dict[str, bytes]) -> None:
        xml = bytearray(parts[SHEET])
        xml[place % len(xml)] ^= change
        parts[SHEET] = bytes(xml)

    with suppress(FileError):
        read_tables(repacked(WHOLE, spoil))
