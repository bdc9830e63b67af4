"""The workbook for paper schools: prefilled from the roster, filled in, imported again with its profile."""

from __future__ import annotations

import html
import io
import re
import zipfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import table_files as make
from fakes_vault import SchoolHouse
from python_calamine import CalamineWorkbook

from node.template_book import BLANK_ROWS, SHEET, encode_template
from node.template_columns import HEADER_ROW, Column, template_columns, template_profile
from node.vault.errors import CommandError
from node.vault.import_file import ImportContext, ImportResult, import_files
from node.vault.importing.errors import ImportingError
from node.vault.importing.profile import CODED, parse_profile
from plan.codes import UNKNOWN

CODEBOOKS = Path(__file__).parents[2] / "examples/codebooks"
MHT = (CODEBOOKS / "mht.toml").read_bytes()
ROSTER: list[list[make.Value]] = [
    ["示例中学学籍名册"],
    ["序号", "学籍号", "姓名", "性别", "年级", "班级", "出生日期", "家长是否同意", "是否留守"],
    [
        1,
        "G990001201509010010",
        "=HYPERLINK(1)",
        "男",
        "初一",
        "初一(1)班",
        date(2013, 5, 1),
        "同意",
        "单亲留守",
    ],
    [2, "G990001201509010029", "@乙·买买提", "女", "初二", "2班", None, "同意", "?"],
    [3, "G990001201509010037", "丙", "女生", "初三", "", None, "不同意", "否"],
    [4, "G990001201509010045", "丁", "", "八年级", "2班", None, "同意", ""],
]


@pytest.fixture
def house(tmp_path: Path) -> SchoolHouse:
    return SchoolHouse(tmp_path, is_enrolled=False)


def ask(
    house: SchoolHouse, roster: bytes | None = None, codebook: bytes = MHT, **fields: str
) -> dict[str, Any]:
    files = {"codebook": codebook, **({"roster": roster} if roster is not None else {})}
    return house.call("template", files, **fields)


def book_of(answer: Mapping[str, Any]) -> tuple[bytes, tuple[Column, ...], bytes]:
    columns = template_columns(answer)
    return encode_template(answer, columns), columns, template_profile(answer, columns).encode()


def fill(data: bytes, columns: tuple[Column, ...], rows: Mapping[int, Mapping[str, make.Value]]) -> bytes:
    """Type into cells as a spreadsheet program does: texts inline, numbers and days as numbers."""
    place = {column.header: make.column(at) for at, column in enumerate(columns)}
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "xl/worksheets/sheet1.xml":
                xml = content.decode()
                for number, cells in rows.items():
                    for header, value in cells.items():
                        xml = typed(xml, f"{place[header]}{HEADER_ROW + number}", value)
                content = xml.encode()
            new.writestr(name, content)
    return target.getvalue()


def typed(xml: str, cell: str, value: make.Value) -> str:
    if isinstance(value, date):
        value = make.serial(value)
    text = str(value)
    if isinstance(value, int | float):
        inner = f"><v>{text}</v></c>"
    else:
        inner = f' t="inlineStr"><is><t>{html.escape(text)}</t></is></c>'
    changed, count = re.subn(rf'(<c r="{cell}" s="\d+")(?:/>|[^>]*>.*?</c>)', lambda m: m[1] + inner, xml)
    assert count == 1, cell
    return changed


def imported(book: bytes, profile: bytes, codebook: bytes = MHT) -> ImportResult:
    context = ImportContext(
        record_secret=bytes(32),
        school_year="2026-2027",
        wave="A",
        census_date=date(2026, 9, 5),
        school_system="6-3",
    )
    return import_files(
        {"roster": book, "screening": book, "profile": profile, "codebook": codebook}, context
    )


def by_grade(result: ImportResult) -> dict[str, Any]:
    return {record.grade: record for record in result.records}


SCORES = dict.fromkeys(
    ["学习焦虑", "对人焦虑", "孤独倾向", "自责倾向", "过敏倾向", "身体症状", "恐怖倾向", "冲动倾向"], 3
)


def test_a_filled_in_workbook_is_imported_right_with_its_own_profile(house: SchoolHouse) -> None:
    book, columns, profile = book_of(ask(house, make.xlsx(ROSTER[:5])))
    done = {"测评情况": "已测", "测评日期": date(2026, 9, 20), "效度": "有效", "总分": 33, **SCORES}
    filled = fill(
        book,
        columns,
        {
            1: {
                **done,
                "学习焦虑": 12,
                "预警等级": "需要关注",
                "已复核": "是",
                "重点群体": "留守、残疾",
                "复核日期": date(2026, 9, 23),
                "预警库": "新增",
                "转介去向": "妇幼",
                "就读方式": "住校",
            },
            2: {"测评情况": "已测", "测评日期": date(2026, 9, 21), "效度": "无效"},
            3: {"测评情况": "请假"},
        },
    )
    result = imported(filled, profile)
    assert result.issues == ()
    found = by_grade(result)
    assert (found["7"].disposition, found["7"].level1, str(found["7"].total)) == ("1", "2", "33")
    assert found["7"].factors_high == {"learning"}
    assert (found["7"].days_to_review, found["7"].reviewed, found["7"].pool, found["7"].ref_dest) == (
        3,
        "1",
        "1",
        "3",
    )
    assert (found["7"].groups, found["7"].boarding, found["7"].left_behind) == ({"g1", "g6"}, "2", "1")
    assert (found["8"].disposition, found["8"].validity, found["8"].left_behind) == ("2", "2", UNKNOWN)
    assert (found["9"].disposition, found["9"].guardian_consent, found["9"].sex) == ("4", "2", "2")


def test_names_and_numbers_are_texts_and_never_formulas(house: SchoolHouse) -> None:
    book, _columns, _profile = book_of(ask(house, make.xlsx(ROSTER)))
    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()
        assert "<f>" not in sheet
        assert "hyperlink" not in sheet.lower()
    rows = CalamineWorkbook.from_filelike(io.BytesIO(book)).get_sheet_by_name(SHEET).to_python()
    assert [row[:3] for row in rows[2:4]] == [
        ["G990001201509010010", "=HYPERLINK(1)", "男"],
        ["G990001201509010029", "@乙·买买提", "女"],
    ]
    assert [row[3] for row in rows[2:6]] == ["七年级", "八年级", "九年级", "八年级"]
    assert [row[4] for row in rows[2:4]] == ["初一(1)班", "2班"]


def test_an_empty_workbook_has_rows_to_fill_in_and_imports_what_is_typed(house: SchoolHouse) -> None:
    book, columns, profile = book_of(ask(house, codebook=(CODEBOOKS / "phq9.toml").read_bytes()))
    assert {"name", "absence", "level"} <= {column.field for column in columns}
    row = {"全国学籍号": "G990001201509010010", "姓名": "甲", "年级": "高一", "监护人同意": "同意"}
    filled = fill(
        book,
        columns,
        {
            BLANK_ROWS - 1: {
                **row,
                "测评日期": date(2026, 9, 20),
                "总分": 12,
                "预警等级": columns_label(columns, "2"),
            }
        },
    )
    result = imported(filled, profile, (CODEBOOKS / "phq9.toml").read_bytes())
    assert [issue.code for issue in result.issues if issue.severity == "error"] == []
    (record,) = result.records
    assert (record.grade, record.level1, record.total) == ("10", "2", 12)


def columns_label(columns: tuple[Column, ...], code: str) -> str:
    return next(column.labels[code] for column in columns if column.field == "level")


@pytest.mark.parametrize("path", sorted(CODEBOOKS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_ready_codebook_gives_a_profile_that_is_valid_and_knows_every_label(
    house: SchoolHouse, path: Path
) -> None:
    answer = ask(house, make.xlsx(ROSTER), path.read_bytes())
    _book, columns, text = book_of(answer)
    profile = parse_profile(text)
    for column in columns:
        if column.field in CODED:
            assert set(profile.values[column.field].values()) == set(column.labels)
            assert len(profile.values[column.field]) == len(column.labels)
    assert {"0", "1", "2", "3"} <= answer["labels"].keys()


def test_the_same_roster_gives_the_same_bytes(house: SchoolHouse) -> None:
    answer = ask(house, make.xlsx(ROSTER))
    assert book_of(answer) == book_of(answer)


@pytest.mark.parametrize(
    ("row", "at", "value", "code"),
    [
        (2, 1, 990001201509010010, "student-no-damaged"),
        (3, 1, "G990001201509010010", "duplicate-pupil"),
        (4, 4, "学前班", "unmapped-label"),
        (4, 4, "", "empty-cell"),
    ],
)
def test_a_row_that_could_not_be_imported_again_is_told_and_no_name_comes_back(
    house: SchoolHouse, row: int, at: int, value: make.Value, code: str
) -> None:
    table = [list(cells) for cells in ROSTER]
    table[row][at] = value
    answer = ask(house, make.xlsx(table))
    assert (answer["refused"], answer["pupils"]) == (1, [])
    assert [(issue["row"], issue["code"]) for issue in answer["issues"]] == [(row + 1, code)]
    assert "HYPERLINK" not in str(answer)


def test_a_file_without_numbers_is_no_roster(house: SchoolHouse) -> None:
    with pytest.raises(ImportingError) as refused:
        ask(house, make.xlsx([["姓名", "班级"], ["甲", "1班"]]))
    assert [issue.code for issue in refused.value.issues] == ["missing-column", "missing-column"]


def test_a_codebook_whose_sets_differ_needs_a_name(house: SchoolHouse) -> None:
    text = MHT.decode().replace('"需要关注" = 2', "").replace('"一般观察" = 0', "")
    only_tiers = re.sub(
        r'"(?!正常"|一级"|二级"|三级"|无效)[^"\n]*" = \d\n', "", text.split("[[levels]]", 1)[1]
    )
    codebook = (text.split("[[levels]]", 1)[0] + "[[levels]]" + only_tiers).encode()
    with pytest.raises(CommandError) as refused:
        ask(house, codebook=codebook)
    assert refused.value.code == "which-levels"
    answer = ask(house, codebook=codebook, levels="first-is-severe")
    assert (answer["labels"]["3"], answer["labels"]["1"], answer["levels"]) == (
        "一级",
        "三级",
        "first-is-severe",
    )
    assert 'levels = "first-is-severe"' in book_of(answer)[2].decode()


def test_a_file_that_is_no_codebook_is_refused(house: SchoolHouse) -> None:
    with pytest.raises(CommandError) as refused:
        ask(house, codebook=b"id = 1")
    assert refused.value.code == "codebook-invalid"
