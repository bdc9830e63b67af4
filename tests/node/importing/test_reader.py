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
from node.vault.importing.errors import ImportingError
from node.vault.importing.reader import clean_text, column_letters, read_table

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


def code_of(data: bytes, name: str = "x.xlsx", sheet: str = "") -> str:
    with pytest.raises(ImportingError) as caught:
        read_table("roster", data, name, sheet)
    assert caught.value.issues[0].file == "roster"
    return caught.value.code


def test_workbook_and_csv_give_rows_as_a_spreadsheet_counts_them():
    table = read_table("roster", xlsx([[], [], [None, "a", 3, 4.5, True, dt.date(2026, 9, 1)]]), "A.XLSX")
    assert table.rows[:2] == [[""] * 6] * 2
    assert table.rows[2] == ["", "a", 3.0, 4.5, True, dt.date(2026, 9, 1)]
    table = read_table("roster", b'\n\n,a\r\n"b\nc",d\n\n , \n', "a.csv")
    assert table.rows == [[], [], ["", "a"], ["b\nc", "d"]]


def test_sheet_is_chosen_by_name_and_is_the_first_without_one():
    data = xlsx(sheets=("说明", "名册"))
    assert read_table("roster", data, "a.xlsx", "名册").num_rows == 3
    assert read_table("roster", data, "a.xlsx").num_rows == 3
    assert code_of(data, sheet="成绩") == "sheet-missing"


def test_table_does_not_show_its_cells():
    assert "G1" not in repr(read_table("roster", xlsx(), "a.xlsx"))


@pytest.mark.parametrize(
    ("data", "name", "code"),
    [
        (b"", "a.xlsx", "file-empty"),
        (b"", "a.csv", "file-empty"),
        (b"a,b\n", "a.txt", "file-type"),
        (b"a,b\n", "a", "file-type"),
        (b"a,b\n", "xlsx", "file-type"),
        (b"a,b\n", "a.xlsx", "not-xlsx"),
        (b"%PDF-1.7", "a.xlsx", "not-xlsx"),
        (b"PK\x03\x04 and no more", "a.xlsx", "xlsx-damaged"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "a.xlsx", "old-xls"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "a.xls", "file-type"),
        ("学籍号,姓名\n".encode("gbk"), "a.csv", "not-utf8"),
        ("学籍号,姓名\n".encode("utf-16"), "a.csv", "not-utf8"),
        ("a,b\n".encode("utf-16-le"), "a.csv", "not-utf8"),
        (b'a,b\n"c,d\n', "a.csv", "csv-damaged"),
        (b'a,b\n"c"d,e\n', "a.csv", "csv-damaged"),
        (b"a," + b"b" * 200_000, "a.csv", "csv-damaged"),
        (xlsx(), "a.csv", "csv-is-xlsx"),
        (b"a\n" * (reader.MAX_ROWS + 1), "a.csv", "too-many-rows"),
        (b"," * reader.MAX_COLUMNS, "a.csv", "too-many-columns"),
    ],
)
def test_what_is_no_table_is_refused(data, name, code):
    assert code_of(data, name) == code


def test_larger_files_are_not_even_looked_at(monkeypatch):
    monkeypatch.setattr(reader, "MAX_FILE_BYTES", 100)
    assert code_of(b"a" * 101, "a.csv") == "file-too-large"


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
        ('<row r="2"><c r="B2" t="e"><v>#N/A</v></c></row>', "formula-error"),
        ("<row r='2'><c s='1' t='e' r='B2'><v>#N/A</v></c></row>", "formula-error"),
    ],
)
def test_sheet_that_needs_a_huge_grid_or_holds_an_error_is_refused(cells, code):
    assert code_of(repacked(xlsx(), sheet=sheet_of(cells))) == code


def test_formula_error_is_told_by_its_place():
    data = repacked(xlsx(), sheet=sheet_of('<row r="7"><c r="AB7" t="e"><v>#REF!</v></c></row>'))
    with pytest.raises(ImportingError) as caught:
        read_table("roster", data, "a.xlsx")
    issue = caught.value.issues[0]
    assert (issue.row, issue.column) == (7, "AB")


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
    assert code_of(bytes(data)) == "xlsx-damaged"


def test_pictures_and_macros_are_never_unpacked():
    data = io.BytesIO(xlsx())
    with zipfile.ZipFile(data, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/image1.png", bytes(2 * reader.MAX_UNPACKED_BYTES))
        archive.writestr("xl/vbaProject.bin", b"macro")
    assert read_table("roster", data.getvalue(), "a.xlsx").num_rows == 3


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
                read_table("roster", bytes(spoilt[:end]), "a.xlsx")


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
                read_table("roster", repacked(xlsx(), **{name: bytes(spoilt)}), "a.xlsx")


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
