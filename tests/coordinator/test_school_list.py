"""A county's list of schools: Chinese headers, three encodings, every finding with its place."""

from __future__ import annotations

import io
import re
import zipfile

import pytest
import xlsxwriter

from coordinator.school_list import EXAMPLE, choices, encode_list_template, read_school_list
from coordinator.table_reader import read_tables

HEAD = "学校标识,学校名称,单位,学制,部署形式,学校类型,城乡,县区,学生数"
ROW = "5325010001,河口小学,河口小学,六三,学校自存,小学,城区,530101,860"
CENTRE = "5301010002,山脚教学点,中心小学,五四,中心校,教学点,乡村,530101,17"


def book(*rows: str) -> bytes:
    target = io.BytesIO()
    with xlsxwriter.Workbook(target, {"in_memory": True}) as made:
        sheet = made.add_worksheet("名单")
        for at, row in enumerate(rows):
            for place, cell in enumerate(row.split(",")):
                sheet.write_string(at, place, cell)
    return target.getvalue()


def csv_in(encoding: str, *rows: str) -> bytes:
    return "\r\n".join(rows).encode(encoding)


def sheet_xml(data: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(data)) as made:
        return made.read("xl/worksheets/sheet1.xml").decode()


def row_with(name: str, word: str) -> str:
    return ",".join(({**EXAMPLE, "id": "n1", name: word}).values())


@pytest.mark.parametrize(
    "data",
    [
        csv_in("utf-8-sig", HEAD, ROW, CENTRE),
        csv_in("gb18030", HEAD, ROW, CENTRE),
        csv_in("utf-16", HEAD.replace(",", "\t"), ROW.replace(",", "\t"), CENTRE.replace(",", "\t")),
        book(HEAD, ROW, CENTRE),
        book("2026年全县学校名单", HEAD, ROW, CENTRE),
    ],
    ids=["utf-8", "gb18030", "utf-16 tabs", "xlsx", "xlsx with a title"],
)
def test_a_list_from_a_chinese_spreadsheet(data: bytes) -> None:
    schools, findings = read_school_list(data)
    assert findings == []
    first, second = schools
    assert (first.id, first.operator, first.system) == ("5325010001", "河口小学", "6-3")
    assert first.attributes == {
        "deployment": "a",
        "school_type": "primary",
        "urban_rural": "1",
        "county": "530101",
        "pupils": "860",
    }
    assert (second.operator, second.system, second.attributes["name"]) == ("中心小学", "5-4", "山脚教学点")
    assert (second.attributes["deployment"], second.attributes["school_type"]) == ("c", "point")


def test_every_finding_of_every_row_is_told_with_its_place() -> None:
    rows = [
        ROW,
        ROW,
        "N 3,第三小学,,六三,学校自存,小学,城区,530101,1",
        "n4,,,,,,,,",
        "n5,第五小学,,七二,云上,大学,海边,530101,许多",
    ]
    _, findings = read_school_list(csv_in("gb18030", HEAD, *rows))
    assert sorted((item.row, item.column) for item in findings) == [
        (3, "学校标识"),
        (4, "学校标识"),
        (5, "学校名称"),
        (6, "城乡"),
        (6, "学制"),
        (6, "学校类型"),
        (6, "学生数"),
        (6, "部署形式"),
    ]


@pytest.mark.parametrize(
    ("data", "place"),
    [
        (csv_in("utf-8", "学校,地址", "一,二"), (1, "")),
        (csv_in("utf-8", HEAD), (2, "")),
        (csv_in("utf-8", HEAD + ",身份证件号", ROW + ",1"), (1, "身份证件号")),
        (csv_in("utf-8", HEAD + ",学校标识", ROW + ",1"), (1, "学校标识")),
        (csv_in("utf-8", HEAD, ROW + ",1"), (2, "")),
    ],
    ids=["other headers", "no school", "a column too much", "a column twice", "a cell too much"],
)
def test_lists_that_are_none(data: bytes, place: tuple[int, str]) -> None:
    _, findings = read_school_list(data)
    assert place in [(item.row, item.column) for item in findings]


def test_the_template_has_no_school_and_the_same_bytes_each_time() -> None:
    schools, findings = read_school_list(encode_list_template())
    assert schools == []
    assert [(item.row, str(item.problem)) for item in findings] == [(2, "the list has no school")]
    assert encode_list_template() == encode_list_template()


def test_the_template_explains_itself_in_a_second_sheet() -> None:
    listed, guide = read_tables(encode_list_template())
    assert [list(row) for row in listed.rows if any(row)] == [HEAD.split(",")]
    assert [row[0] for row in guide.rows[1:10]] == HEAD.split(",")
    told = {row[0]: row[2] for row in guide.rows[1:10] if row[2]}
    assert told["部署形式"] == "学校保管、平台托管、中心校代管"
    assert [row[3] for row in guide.rows[1:10]] == list(EXAMPLE.values())


@pytest.mark.parametrize("name", ["system", "deployment", "school_type", "urban_rural"])
def test_what_a_drop_down_offers_is_read_and_is_what_findings_name(name: str) -> None:
    title = dict(zip(EXAMPLE, HEAD.split(","), strict=True))[name]
    offered = re.findall(r"<formula1>\"([^<]*)\"</formula1>", sheet_xml(encode_list_template()))
    assert ",".join(choices(name)) in offered
    assert EXAMPLE[name] in choices(name)
    for word in choices(name):
        assert read_school_list(csv_in("utf-8", HEAD, row_with(name, word)))[1] == []
    (found,) = read_school_list(csv_in("utf-8", HEAD, row_with(name, "云上")))[1]
    assert (found.column, str(found.problem).endswith(" " + ", ".join(choices(name)))) == (title, True)


def test_the_example_left_in_makes_no_invitation() -> None:
    example = ",".join(EXAMPLE.values())
    for row in (example, example.replace("第一小学,第一小学", "第一小学,中心小学"), "5301010001,第一小学"):
        _, findings = read_school_list(csv_in("utf-8", HEAD, CENTRE, row))
        assert [(item.row, item.column) for item in findings] == [(3, "学校标识")]
        assert "example" in str(findings[0].problem)


def test_the_explanations_put_first_are_not_taken_for_the_list() -> None:
    target = io.BytesIO()
    with xlsxwriter.Workbook(target, {"in_memory": True}) as made:
        made.add_worksheet("填写说明").write_row(0, 0, ["列", "怎么填", "可填的值", "示例"])
        sheet = made.add_worksheet("学校名单")
        for at, row in enumerate((HEAD, ROW)):
            sheet.write_row(at, 0, row.split(","))
    schools, findings = read_school_list(target.getvalue())
    assert ([row.id for row in schools], findings) == (["5325010001"], [])
