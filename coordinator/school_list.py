"""A county's list of schools as a spreadsheet: what each column means, and what is wrong with each row.

The list comes from Excel or WPS: xlsx, or csv in UTF-8, UTF-16 or GB18030, with Chinese or English headers
in any order. Every row is looked at and every finding told with its place; a list with one finding makes
nothing.

| header | English | becomes |
| --- | --- | --- |
| 学校标识 | id | the node's id, for ever |
| 学校名称 | name | the operator, or the attribute `name` where 单位 is given and another |
| 单位 | operator | who runs it: schools of one unit count once as independent |
| 学制 | system | 六三 or 五四 |
| 部署形式 | deployment | 学校保管, 平台托管, 中心校代管 (a, b, c) |
| 学校类型 | school_type | point, primary, nine-year, junior, complete, senior, vocational, special |
| 城乡 | urban_rural | 1 city, 2 town, 3 village |
| 县区 | county | as it is |
| 学生数 | pupils | a whole number: bounds what one school can add |

Another column with an English id as its header is an attribute of that name.

The template's columns offer `choices`, one word a code, and findings name the same. Other usual words and the
codes are read too, because lists also come out of other systems.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from coordinator.members import attribute_problem
from coordinator.table_reader import TableSheet, read_tables
from plan.errors import Phrase, phrase
from protos.bodies import MAX_WORDS
from protos.fields import ID_PATTERN
from protos.invitation import MAX_ATTRIBUTES, SYSTEMS

MAX_SCHOOLS: Final = 20_000
HEAD_ROWS: Final = 5
_FIXED_DATE: Final = datetime(2026, 1, 1)
COLUMNS: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("id", "学校标识", ("学校标识码", "学校编号", "标识", "学校id")),
    ("name", "学校名称", ("名称", "school", "school_name")),
    ("operator", "单位", ("举办单位", "运营单位", "管理单位")),
    ("system", "学制", ()),
    ("deployment", "部署形式", ("部署方式",)),
    ("school_type", "学校类型", ("办学类型",)),
    ("urban_rural", "城乡", ("城乡类型", "城乡分类")),
    ("county", "县区", ("区县", "县(市、区)", "县（市、区）", "县市区")),
    ("pupils", "学生数", ("在校生数", "学生人数")),
)
WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "system": {"六三": "6-3", "六三制": "6-3", "63": "6-3", "五四": "5-4", "五四制": "5-4", "54": "5-4"},
    "deployment": {
        **dict.fromkeys(("学校保管", "学校", "学校自存", "校内", "校内部署", "学校部署"), "a"),
        **dict.fromkeys(("平台托管", "平台", "平台部署"), "b"),
        **dict.fromkeys(("中心校代管", "中心校", "中心学校", "中心校部署"), "c"),
    },
    "school_type": {
        "教学点": "point",
        "小学": "primary",
        **dict.fromkeys(("九年一贯制", "九年一贯制学校"), "nine-year"),
        **dict.fromkeys(("初中", "初级中学"), "junior"),
        **dict.fromkeys(("完全中学", "完中"), "complete"),
        **dict.fromkeys(("高中", "高级中学"), "senior"),
        **dict.fromkeys(("中职", "中等职业学校", "职业学校", "职业技术学校", "职高"), "vocational"),
        **dict.fromkeys(("特殊教育", "特殊教育学校", "特校"), "special"),
    },
    "urban_rural": {
        **dict.fromkeys(("城区", "城市"), "1"),
        **dict.fromkeys(("镇区", "镇", "县镇"), "2"),
        **dict.fromkeys(("乡村", "农村", "村"), "3"),
    },
}
EXAMPLE: Final[Mapping[str, str]] = {
    "id": "5301010001",
    "name": "第一小学",
    "operator": "第一小学",
    "system": "六三",
    "deployment": "学校保管",
    "school_type": "小学",
    "urban_rural": "城区",
    "county": "530101",
    "pupils": "860",
}
"""A school that does not exist, for the template's second sheet."""
GUIDE: Final[Mapping[str, str]] = {
    "id": "必填。小写字母、数字、点、下划线、短横，1至63个字符；一经使用永不改变",
    "name": "必填。学校全称；名册公开，不写电话和个人姓名",
    "operator": "由谁举办或管理。一个单位办几所学校的填同一个；空着即与学校名称相同",
    "system": "空着按六三",
    "deployment": "数据放在哪里",
    "school_type": "决定出现在哪些表中",
    "urban_rural": "",
    "county": "县（市、区）代码或名称",
    "pupils": "在校学生数，整数",
}
"""What each column is for, as the template's second sheet says it."""


@dataclass(frozen=True, slots=True)
class ListedSchool:
    """One row of a list: its place, id, operator, system, and public attributes."""

    row: int
    id: str
    operator: str
    system: str
    attributes: dict[str, str]


@dataclass(frozen=True, slots=True)
class ListFinding:
    """What is wrong at a place of the list: the row as the spreadsheet numbers it, the column's header."""

    row: int
    column: str
    problem: Phrase


def read_school_list(data: bytes) -> tuple[list[ListedSchool], list[ListFinding]]:
    """Read a list of schools and say everything that is wrong with it.

    Raises:
        FileError: it is no spreadsheet that can be read.
    """
    sheets = [sheet for sheet in read_tables(data) if any(any(row) for row in sheet.rows)]
    if not sheets:
        return [], [ListFinding(1, "", phrase("the list is empty"))]
    with_head = (sheet for sheet in sheets if any(map(_is_head, sheet.rows[:HEAD_ROWS])))
    return _read_sheet(next(with_head, sheets[0]))


def _read_sheet(sheet: TableSheet) -> tuple[list[ListedSchool], list[ListFinding]]:
    place = next((at for at, row in enumerate(sheet.rows[:HEAD_ROWS]) if _is_head(row)), None)
    if place is None:
        problem = phrase("no row of headers; expected at least %(names)s", names="学校标识, 学校名称")
        return [], [ListFinding(1, "", problem)]
    headers, findings = _headers(place + 1, sheet.rows[place])
    schools = []
    below = enumerate(sheet.rows[place + 1 :], place + 2)
    rows = [(number, row) for number, row in below if any(item.strip() for item in row)]
    if len(rows) > MAX_SCHOOLS:
        return [], [ListFinding(rows[-1][0], "", phrase("at most %(most)s schools", most=MAX_SCHOOLS))]
    for number, row in rows:
        values = {name: row[at].strip() for at, name in headers.items() if at < len(row)}
        if any(cell.strip() for at, cell in enumerate(row) if at not in headers):
            findings.append(ListFinding(number, "", phrase("a cell without a header; take it out")))
        school, problems = _read_row(number, values)
        schools.append(school)
        findings += problems
    if not rows:
        findings.append(ListFinding(place + 2, "", phrase("the list has no school")))
    return schools, [*findings, *_twice(schools)]


def _is_head(row: Sequence[str]) -> bool:
    names = {_column_of(cell) for cell in row}
    return "id" in names and bool(names & {"name", "operator"})


def _column_of(header: str) -> str:
    text = header.strip().strip("*").replace(" ", "").replace("\ufeff", "")
    for name, title, others in COLUMNS:
        if text.lower() == name or text == title or text in others or text.lower() in others:
            return name
    return text if ID_PATTERN.match(text) else ""


def _headers(row: int, cells: Sequence[str]) -> tuple[dict[int, str], list[ListFinding]]:
    found: dict[int, str] = {}
    findings = []
    for at, cell in enumerate(cells):
        if not cell.strip():
            continue
        name = _column_of(cell)
        if not name:
            found[at] = f"?{at}"
            findings.append(ListFinding(row, cell[:40], phrase("a column that is not known; take it out")))
        elif name in found.values():
            findings.append(ListFinding(row, cell[:40], phrase("this column stands there twice")))
        else:
            found[at] = name
    return found, findings


def _read_row(row: int, values: Mapping[str, str]) -> tuple[ListedSchool, list[ListFinding]]:
    values = {name: value for name, value in values.items() if not name.startswith("?")}
    known = {name: WORDS.get(name, {}).get(value, value) for name, value in values.items()}
    name, operator = known.pop("name", ""), known.pop("operator", "")
    node, system = known.pop("id", ""), known.pop("system", "") or SYSTEMS[0]
    attributes = {key: value for key, value in known.items() if value}
    if name and operator and name != operator:
        attributes["name"] = name
    school = ListedSchool(row, node, operator or name, system, attributes)
    return school, [ListFinding(row, _title(key), problem) for key, problem in _problems(school)]


def choices(name: str) -> list[str]:
    """List the words that a column offers, one for each code; empty for a column of free text."""
    first: dict[str, str] = {}
    for word, code in WORDS.get(name, {}).items():
        first.setdefault(code, word)
    return list(first.values())


def _problems(school: ListedSchool) -> Iterator[tuple[str, Phrase]]:
    if school.id == EXAMPLE["id"] and EXAMPLE["name"] in (school.operator, school.attributes.get("name")):
        yield "id", phrase("this is the example, no school; put your own school in its place")
    if not ID_PATTERN.match(school.id):
        yield "id", phrase("expected an id of a-z 0-9 . _ - (1 to 63 characters)")
    if not 0 < len(school.operator) <= MAX_WORDS or any(sign < " " for sign in school.operator):
        yield "name", phrase("expected a name of 1 to %(most)s characters on one line", most=MAX_WORDS)
    if school.system not in SYSTEMS:
        yield "system", phrase("expected %(allowed)s", allowed=", ".join(choices("system")))
    if len(school.attributes) > MAX_ATTRIBUTES:
        yield "id", phrase("a school has at most %(most)s attributes", most=MAX_ATTRIBUTES)
    for name, value in school.attributes.items():
        problem = attribute_problem(name, value)
        if problem is not None and name in WORDS:
            problem = phrase("expected one of %(allowed)s", allowed=", ".join(choices(name)))
        if name == "pupils" and not (value.isascii() and value.isdigit() and 0 < int(value[:9]) <= 1_000_000):
            problem = phrase("expected a whole number of pupils")
        if problem is not None:
            yield name, problem


def _title(name: str) -> str:
    return next((title for own, title, _others in COLUMNS if own == name), name)


def _twice(schools: Sequence[ListedSchool]) -> Iterator[ListFinding]:
    first: dict[str, int] = {}
    for school in schools:
        if school.id and first.setdefault(school.id, school.row) != school.row:
            problem = phrase("%(id)s stands in row %(row)s already", id=school.id[:63], row=first[school.id])
            yield ListFinding(school.row, _title("id"), problem)


def encode_list_template() -> bytes:
    """Write an empty list with the choices of each column, and a sheet that explains them, as xlsx.

    Always the same bytes. The example stands in the second sheet: a row left in the first would be a school.
    """
    import xlsxwriter  # loaded when a template is asked for, not with every command

    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True, "strings_to_formulas": False})
    book.set_properties({"created": _FIXED_DATE})
    head = book.add_format({"bold": True, "bg_color": "#DDEBF7", "border": 1, "text_wrap": True})
    text = book.add_format({"num_format": "@", "text_wrap": True})
    _list_sheet(book.add_worksheet("学校名单"), head, text)
    _guide_sheet(book.add_worksheet("填写说明"), head, text)
    book.close()
    return target.getvalue()


def _list_sheet(sheet: Any, head: Any, text: Any) -> None:
    for at, (name, title, _others) in enumerate(COLUMNS):
        sheet.set_column(at, at, 30 if name in ("name", "operator") else 14, text)
        sheet.write_string(0, at, title, head)
        if name in WORDS:
            sheet.data_validation(1, at, MAX_SCHOOLS, at, {"validate": "list", "source": choices(name)})
    sheet.freeze_panes(1, 0)


def _guide_sheet(sheet: Any, head: Any, text: Any) -> None:
    """Write a row for each column of the list: lying, so that it is never read as a list itself."""
    for at, (title, width) in enumerate((("列", 12), ("怎么填", 50), ("可填的值", 50), ("示例", 14))):
        sheet.set_column(at, at, width, text)
        sheet.write_string(0, at, title, head)
    for row, (name, title, _others) in enumerate(COLUMNS, 1):
        for at, cell in enumerate((title, GUIDE[name], "、".join(choices(name)), EXAMPLE[name])):
            sheet.write_string(row, at, cell, text)
    sheet.write_string(len(COLUMNS) + 1, 0, "示例只供参照，不要抄进“学校名单”。", text)
