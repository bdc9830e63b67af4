"""A county's list of schools: Chinese headers, three encodings, every finding with its place."""

from __future__ import annotations

import io

import pytest
import xlsxwriter

from coordinator.school_list import encode_list_template, read_school_list

HEAD = "学校标识,学校名称,单位,学制,部署形式,学校类型,城乡,县区,学生数"
ROW = "5301010001,第一小学,第一小学,六三,学校自存,小学,城区,530101,860"
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
    assert (first.id, first.operator, first.system) == ("5301010001", "第一小学", "6-3")
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


def test_the_template_is_a_list_and_the_same_bytes_each_time() -> None:
    schools, findings = read_school_list(encode_list_template())
    assert findings == []
    assert [row.id for row in schools] == ["5301010001"]
    assert encode_list_template() == encode_list_template()
