"""Files that are what they say, and files that are not, or that would unpack to more than fits."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import random
import zipfile
import zlib

import pytest
import xlsxwriter

from node.vault.importing import reader
from node.vault.importing.cells import clean_text, column_letters
from node.vault.importing.errors import ImportingError
from node.vault.importing.reader import Sheet, read_sheets

ROWS = [["学籍号", "分数"], ["G1", 3], [None, 4.5]]


def xlsx(rows=ROWS, sheets=("Sheet1",)) -> bytes:
    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True, "default_date_format": "yyyy-mm-dd"})
    for title in sheets:
        sheet = book.add_worksheet(title)
        for row, cells in enumerate(rows):
            for column, cell in enumerate(cells):
                if cell is not None:
                    sheet.write(row, column, cell)
    book.close()
    return target.getvalue()


def repacked(data: bytes, **changes: bytes) -> bytes:
    """The workbook with some parts replaced; `sheet` and `strings` stand for their paths."""
    paths = {
        "sheet": "xl/worksheets/sheet1.xml",
        "strings": "xl/sharedStrings.xml",
        "workbook": "xl/workbook.xml",
    }
    replaced = {paths[name]: content for name, content in changes.items()}
    target = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(data)) as source,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for info in source.infolist():
            new.writestr(info.filename, replaced.get(info.filename, source.read(info)))
    return target.getvalue()


def sheet_of(cells: str) -> bytes:
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return f'<worksheet xmlns="{space}"><sheetData>{cells}</sheetData></worksheet>'.encode()


def first_sheet(data: bytes) -> Sheet:
    return read_sheets("roster", data)[0]


def code_of(data: bytes) -> str:
    with pytest.raises(ImportingError) as caught:
        read_sheets("roster", data)
    assert caught.value.issues[0].file == "roster"
    return caught.value.code


def test_workbook_and_csv_give_rows_as_a_spreadsheet_counts_them():
    sheet = first_sheet(xlsx([[], [], [None, "a", 3, 4.5, True, dt.date(2026, 9, 1)]]))
    assert sheet.rows[:2] == [[""] * 6] * 2
    assert sheet.rows[2] == ["", "a", 3.0, 4.5, True, dt.date(2026, 9, 1)]
    sheet = first_sheet(b'\n\n,a\r\n"b\nc",d\n\n , \n')
    assert sheet.rows == [[], [], ["", "a"], ["b\nc", "d"]]


def test_every_sheet_is_read_with_its_name_and_place():
    found = read_sheets("roster", xlsx(sheets=("说明", "名册")))
    assert [(sheet.number, sheet.title, len(sheet.rows)) for sheet in found] == [
        (1, "说明", 3),
        (2, "名册", 3),
    ]


def test_sheet_does_not_show_its_cells():
    assert "G1" not in repr(first_sheet(xlsx()))


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "file-empty"),
        (b"%PDF-1.7", "not-a-table"),
        (b"\x89PNG\r\n", "not-a-table"),
        (b"Rar!\x1a\x07", "not-a-table"),
        (b"<html><table><tr><td>1</td></tr></table>", "web-page"),
        (b"\xef\xbb\xbf\r\n <!DOCTYPE html>", "web-page"),
        ("<table>".encode("utf-16"), "web-page"),
        (b'<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?>', "web-page"),
        (b"MIME-Version: 1.0\n", "web-page"),
        (b"PK\x03\x04 and no more", "xlsx-damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "xls-damaged"),
        (b"\xff" * 100, "file-not-text"),
        (b"\x80\x81\x82\x00\x03\x04\x05\x06\x07\x08\xff", "file-not-text"),
        ("学籍号,姓名,年级\n".encode() + b"\xff\xfe", "text-damaged"),
        ("学籍号,姓\ufffd\n".encode(), "text-damaged"),
        ("学籍号,锟斤拷\n".encode("gb18030"), "text-damaged"),
        (b'a,b\n"c,d\n', "csv-damaged"),
        (b'a,b\n"c"d,e\n', "csv-damaged"),
        (b"a," + b"b" * 200_000, "csv-damaged"),
        (b"a\n" * 50_001, "too-many-rows"),
        (b"," * 200 + b"a", "too-many-columns"),
    ],
)
def test_what_is_no_table_is_refused(data, code):
    assert code_of(data) == code


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030", "gbk"]
)
@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=ascii)
def test_text_of_every_usual_encoding_and_separator_gives_the_same_rows(encoding, separator, end):
    rows = [["学籍号", "姓名", "等级"], ["G1", "欧阳·测", "重点关注"], ["G2", "张㐂", ""]]
    text = end.join(separator.join(row) for row in rows) + end
    if encoding == "gbk":
        text = text.replace("㐂", "三")
        rows[2][1] = "张三"
    rows[2].pop()
    assert first_sheet(text.encode(encoding)).rows == rows


def test_the_declared_encoding_is_used_and_a_mark_that_contradicts_it_is_refused():
    data = "学籍号\n名\n".encode("gb18030")
    assert read_sheets("roster", data, "gb18030")[0].rows == [["学籍号"], ["名"]]
    with pytest.raises(ImportingError) as caught:
        read_sheets("roster", data, "utf-8")
    assert caught.value.code == "text-damaged"
    with pytest.raises(ImportingError) as caught:
        read_sheets("roster", b"\xef\xbb\xbfa", "gb18030")
    assert caught.value.code == "encoding-differs"


def test_a_line_that_names_the_separator_and_texts_in_formula_quotes_are_understood():
    assert first_sheet(b'sep=;\r\na;b,c\r\n="001";d\r\n').rows == [["a", "b,c"], ["001", "d"]]


def test_trailing_control_characters_are_no_text():
    assert first_sheet(b"a,b\n1,2\n\x1a").rows == [["a", "b"], ["1", "2"]]


def test_larger_files_are_not_even_looked_at(monkeypatch):
    monkeypatch.setattr(reader, "MAX_FILE_BYTES", 100)
    assert code_of(b"a" * 101) == "file-too-large"


def test_other_zip_files_are_no_workbooks():
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("word/document.xml", b"<w/>")
    assert code_of(target.getvalue()) == "not-xlsx"


def test_zip_bomb_is_refused_before_it_unpacks():
    bomb = repacked(xlsx(), strings=b"<sst>" + b" " * reader.MAX_UNPACKED_BYTES)
    assert len(bomb) < 200_000
    assert code_of(bomb) == "xlsx-bomb"


def test_lying_size_in_the_directory_is_damage():
    data = bytearray(repacked(xlsx(), strings=b"<sst>" + b" " * 1000 + b"</sst>"))
    for marker, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = data.find(b"xl/sharedStrings.xml", data.find(marker))
        while at >= 0:
            start = data.rfind(marker, 0, at)
            if start >= 0:
                data[start + offset : start + offset + 4] = (10).to_bytes(4, "little")
            at = data.find(b"xl/sharedStrings.xml", at + 1)
    assert code_of(bytes(data)) == "xlsx-damaged"


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        (
            '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="A1048576"><v>1</v></c></row>',
            "too-many-rows",
        ),
        ("<row r='1048576'><c r='A1048576'><v>1</v></c></row>", "too-many-rows"),
        ('<row r="1"><c r="XFD1"><v>1</v></c></row>', "too-many-columns"),
        ('<row r="1"><c r = "XFD1"><v>1</v></c></row>', "too-many-columns"),
        ('<row r="1"><c r="ZZZZZZZ1"><v>1</v></c></row>', "too-many-columns"),
        ("<row>" + "<c/>" * 300 + "</row>", "too-many-columns"),
        ("<row/>" * 60_000, "too-many-rows"),
        ('<row r="20000"><c r="GR20000"><v>1</v></c></row>', "too-many-rows"),
        (
            '<row r="1"><c r="GR1"><v>1</v></c></row><row r="20000"><c r="A20000"><v>1</v></c></row>',
            "too-many-rows",
        ),
    ],
)
def test_sheet_that_needs_a_huge_grid_is_refused(cells, code):
    assert code_of(repacked(xlsx(), sheet=sheet_of(cells))) == code


def test_failed_formula_is_text_that_says_so():
    cells = """<row r="1"><c r="A1" t="e"><v>#REF!</v></c><c s='1' t='e' r='B1'><v>#N/A</v></c></row>"""
    assert first_sheet(repacked(xlsx(), sheet=sheet_of(cells))).rows == [["#REF!", "#N/A"]]


def test_formats_far_below_the_table_are_no_rows():
    blank = "".join(
        f'<row r="{n}" s="1"><c r="A{n}" s="1"/><c r="XFD{n}" s="1"/></row>' for n in (5, 1048576)
    )
    cells = f'<row r="1"><c r="A1"><v>1</v></c></row>{blank}'
    assert first_sheet(repacked(xlsx(), sheet=sheet_of(cells))).rows == [[1.0]]


def test_one_long_text_in_many_cells_is_refused():
    text = "x" * 30_000
    cells = "".join(f'<row r="{n}"><c r="A{n}" t="s"><v>0</v></c></row>' for n in range(1, 20_000))
    strings = (
        f'<sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><si><t>{text}</t></si></sst>'
    )
    assert code_of(repacked(xlsx(), sheet=sheet_of(cells), strings=strings.encode())) == "xlsx-bomb"


def test_parts_in_utf16_are_refused():
    assert code_of(repacked(xlsx(), sheet=sheet_of("").decode().encode("utf-16"))) == "xlsx-damaged"


def test_part_twice_is_refused():
    data = io.BytesIO(xlsx())
    with zipfile.ZipFile(data, "a") as archive:
        archive.writestr("XL/workbook.xml", b"<workbook/>")
    assert code_of(data.getvalue()) == "xlsx-damaged"


def test_protected_zip_is_refused():
    data = bytearray(xlsx())
    for marker, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = data.find(marker)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(marker, at + 1)
    assert code_of(bytes(data)) == "password"


def test_pictures_and_macros_are_never_unpacked():
    data = io.BytesIO(xlsx())
    with zipfile.ZipFile(data, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/image1.png", bytes(2 * reader.MAX_UNPACKED_BYTES))
        archive.writestr("xl/vbaProject.bin", b"macro")
    assert len(first_sheet(data.getvalue()).rows) == 3


def test_any_damage_gives_a_table_or_a_refusal():
    draw = random.Random(7)
    good = xlsx()
    plain = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as source, zipfile.ZipFile(plain, "w") as new:
        for info in source.infolist():
            new.writestr(info.filename, source.read(info))
    for data in (good, plain.getvalue()):
        for _ in range(200):
            spoilt = bytearray(data)
            for _ in range(draw.randrange(1, 4)):
                spoilt[draw.randrange(len(spoilt))] = draw.randrange(256)
            end = draw.choice((len(data), draw.randrange(len(data))))
            with contextlib.suppress(ImportingError):
                read_sheets("roster", bytes(spoilt[:end]))


def test_any_damage_inside_a_part_gives_a_table_or_a_refusal():
    draw = random.Random(8)
    with zipfile.ZipFile(io.BytesIO(xlsx())) as source:
        parts = {
            name: source.read(path)
            for name, path in (
                ("sheet", "xl/worksheets/sheet1.xml"),
                ("strings", "xl/sharedStrings.xml"),
                ("workbook", "xl/workbook.xml"),
            )
        }
    for name, content in parts.items():
        for _ in range(80):
            spoilt = bytearray(content)
            for _ in range(draw.randrange(1, 5)):
                spoilt[draw.randrange(len(spoilt))] = draw.choice(b'<>"/& 0A9Zr\xff')
            with contextlib.suppress(ImportingError):
                read_sheets("roster", repacked(xlsx(), **{name: bytes(spoilt)}))


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("  a  b ", "a b"),
        ("\u3000王\u00a0某\u200b", "王 某"),
        ("Ｇ１２３（一）", "G123(一)"),
        ("\ufeff学\u00ad籍\u2060号\u200d", "学籍号"),
        ("a\tb\r\nc", "a b c"),
    ],
)
def test_invisible_differences_go_away(text, clean):
    assert clean_text(text) == clean


def test_column_letters():
    assert [column_letters(index) for index in (0, 25, 26, 51, 52, 701, 702)] == [
        *["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]
    ]


def test_checksums_are_checked():
    data = xlsx()
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        check = zlib.crc32(archive.read("xl/workbook.xml")).to_bytes(4, "little")
    assert check in data
    assert code_of(data.replace(check, bytes(4))) == "xlsx-damaged"
