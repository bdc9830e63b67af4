"""The county's spreadsheets: prefilled with drop-downs, imported whole, every finding with row and column."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence

import pytest
import xlsxwriter
from fakes_coordinator import School
from fakes_facts import WHOLE, YEAR, facts

from coordinator import sheet_template
from coordinator.errors import FactsRefusedError, FileError
from coordinator.facts_sheet import (
    Finding,
    facts_template,
    letters,
    progress_template,
    read_facts_sheet,
    read_progress_sheet,
)
from coordinator.sheet_forms import FACTS_FORM, PROGRESS_FORM, by_county
from coordinator.table_reader import read_tables
from protos.bodies import RosterNode
from results.facts import ATTESTATIONS, DECLARATION, FIELDS

ROUND = bytes(range(32))


def node(node_id: str, operator: str, **attributes: str) -> RosterNode:
    key = School(node_id, operator).key.verifier
    return RosterNode(node_id, operator, key, bytes(32), tuple(sorted(attributes.items())), ())


NODES = (
    node("s01", "第一小学", county="532501", school_type="primary", urban_rural="1"),
    node(
        "s02",
        "第二中学",
        county="532501",
        school_type="nine-year",
        urban_rural="镇区",
        reporting_group="城关镇",
    ),
    node("s03", "=cmd|' /C calc'!A0", county="532502", school_type="other"),
)
REQUIRED = [name for name, row in FIELDS.items() if row.is_required]
HEADERS = ["学校编号", *(FIELDS[name].header for name in REQUIRED)]


def answer(school: RosterNode, **changes: str) -> list[str]:
    values = {name: facts().shown(name) for name in REQUIRED} | {"school_name": school.operator} | changes
    return [school.id, *(values[name] for name in REQUIRED)]


def csv(rows: Sequence[Sequence[str]], title: str = f"学校条件填报表 {YEAR}") -> bytes:
    return "\r\n".join([title, *(",".join(row) for row in rows)]).encode("gb18030")


def findings(
    data: bytes, nodes: Sequence[RosterNode] = NODES, year: str = YEAR
) -> list[tuple[int, str, str]]:
    with pytest.raises(FactsRefusedError) as caught:
        read_facts_sheet(data, year, nodes)
    found = [item for item in caught.value.problems if isinstance(item, Finding)]
    assert len(found) == len(caught.value.problems)
    assert all(item.phrase.text() for item in found)
    return [(item.row, item.column, item.problem.key) for item in found]


def test_the_template_has_each_school_prefilled_from_the_roster() -> None:
    rows = read_tables(facts_template(YEAR, NODES, (), ("do this",)))[0].rows
    assert YEAR in rows[0][0]
    head = dict(zip(rows[2], range(200), strict=False))
    assert [row[head["学校编号"]] for row in rows[3:]] == ["s01", "s02", "s03"]
    assert [row[head["学段*"]] for row in rows[3:]] == ["小学", "小学、初中", ""]
    assert [row[head["城乡*"]] for row in rows[3:]] == ["城区", "镇区", ""]
    assert [row[head["行政区划码"]] for row in rows[3:]] == ["532501", "532501", "532502"]
    assert rows[4][head["片区/镇街/学区"]] == "城关镇"
    assert rows[5][head["学校名称"]] == "=cmd|' /C calc'!A0"


def test_a_school_of_an_operator_with_several_goes_by_its_own_name() -> None:
    nodes = [node("p1", "中心学校", name="东山教学点"), node("p2", "中心学校", name="西山教学点")]
    rows = [HEADERS, answer(nodes[0], school_name="东山教学点"), answer(nodes[1], school_name="中心学校")]
    assert [found[2] for found in findings(csv(rows), nodes)] == ["school_name"]
    found = read_facts_sheet(csv(rows[:2]), YEAR, nodes)
    assert [row.school_name for row in found] == ["东山教学点"]


def parts(data: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist() if name.endswith(".xml")}


def test_every_choice_has_its_list_and_every_number_its_range() -> None:
    xml = parts(facts_template(YEAR, NODES, (), ()))["xl/worksheets/sheet1.xml"]
    kinds = [row.kind for row in FIELDS.values()]
    assert xml.count('type="list"') == kinds.count("choice") + kinds.count("choices")
    assert xml.count('type="whole"') == kinds.count("count")
    assert xml.count('type="decimal"') == kinds.count("decimal")


def test_nothing_in_a_template_is_a_formula_and_the_rules_stand_in_it() -> None:
    found = parts(facts_template(YEAR, NODES, (), ("do this",)))
    assert not any("<f>" in xml for name, xml in found.items() if "worksheets" in name)
    assert "do this" in found["xl/sharedStrings.xml"]
    assert DECLARATION[:20] in found["xl/sharedStrings.xml"]


def test_the_same_input_gives_the_same_bytes() -> None:
    stored = [facts("s01")]
    font = dict(sheet_template.FONT)
    assert facts_template(YEAR, NODES, stored, ("a",)) == facts_template(YEAR, NODES, stored, ("a",))
    assert (
        font == sheet_template.FONT == {"font_name": "宋体", "font_size": 11}
    )  # no workbook changes the next


def test_an_untouched_template_is_no_answer_and_no_finding() -> None:
    assert read_facts_sheet(facts_template(YEAR, NODES, (), ()), YEAR, NODES) == ()


def test_what_was_stored_comes_back_from_the_sheet() -> None:
    stored = facts("s01", school_name="第一小学")
    data = facts_template(YEAR, NODES, [stored], ())
    assert read_facts_sheet(data, "", NODES) == (stored,)


def test_a_csv_of_the_required_columns_is_enough() -> None:
    found = read_facts_sheet(csv([HEADERS, answer(NODES[0]), answer(NODES[1])]), YEAR, NODES)
    assert [(row.node, row.school_name) for row in found] == [("s01", "第一小学"), ("s02", "第二中学")]
    assert found[0].values["n_students"] == WHOLE["n_students"]


def test_every_wrong_cell_is_named_by_row_and_column() -> None:
    rows = [HEADERS, answer(NODES[0], n_students="很多"), answer(NODES[1], room_standard="?", n_classes="")]
    assert findings(csv(rows)) == [
        (3, letters(HEADERS.index(FIELDS["n_students"].header)), "n_students"),
        (4, letters(HEADERS.index(FIELDS["n_classes"].header)), "n_classes"),
        (4, letters(HEADERS.index(FIELDS["room_standard"].header)), "room_standard"),
    ]


def test_findings_speak_the_words_of_the_sheet_and_repeat_no_cell() -> None:
    with pytest.raises(FactsRefusedError) as caught:
        read_facts_sheet(csv([HEADERS, answer(NODES[0], n_students="张三抑郁")]), YEAR, NODES)
    assert "row 3, column F: 在校学生数(人)" in str(caught.value)
    assert "张三" not in str(caught.value)


@pytest.mark.parametrize("header", ["留守儿童人数", "重点关注人数", "学生姓名", "二级预警", "建档人数"])
def test_a_column_about_pupils_in_difficulty_is_refused_even_when_empty(header: str) -> None:
    rows = [[*HEADERS, header], [*answer(NODES[0]), ""]]
    assert [(row, column) for row, column, _key in findings(csv(rows))] == [(2, letters(len(HEADERS)))]


HOSTILE_ROWS = {
    "stranger": ([["s99", *answer(NODES[0])[1:]]], "node"),
    "total": ([answer(NODES[0]), ["合计", "", "", "", "", "800"]], "node"),
    "twice": ([answer(NODES[0]), answer(NODES[0])], "node"),
    "sorted-apart": ([["s01", *answer(NODES[1])[1:]]], "school_name"),
    "no-id": ([["", *answer(NODES[0])[1:]]], "node"),
    "outside": ([[*answer(NODES[0]), "备注"]], "node"),
    "outside-alone": ([["s01", "第一小学", *[""] * (len(HEADERS) - 2), "备注"]], "node"),
}


@pytest.mark.parametrize(("rows", "key"), HOSTILE_ROWS.values(), ids=HOSTILE_ROWS)
def test_rows_that_are_of_no_school_are_findings(rows: list[list[str]], key: str) -> None:
    assert [found[2] for found in findings(csv([HEADERS, *rows]))] == [key]


@pytest.mark.parametrize("extra", ["备注", "在校学生数", "n_students"])
def test_unknown_and_doubled_columns_are_findings(extra: str) -> None:
    rows = [[*HEADERS, extra], [*answer(NODES[0]), ""]]
    assert [(row, column) for row, column, _key in findings(csv(rows))] == [(2, letters(len(HEADERS)))]


def test_the_sheet_of_another_year_is_not_taken() -> None:
    data = facts_template("2025-2026", NODES, (), ())
    with pytest.raises(FileError, match="2025-2026"):
        read_facts_sheet(data, YEAR, NODES)
    two_years = csv([HEADERS], f"{YEAR} 2025-2026")
    with pytest.raises(FileError):
        read_facts_sheet(two_years, "", NODES)


def test_a_sheet_without_a_year_needs_one() -> None:
    data = csv([HEADERS, answer(NODES[0])], "学校条件")
    assert len(read_facts_sheet(data, YEAR, NODES)) == 1
    with pytest.raises(FileError, match="--year"):
        read_facts_sheet(data, "", NODES)


@pytest.mark.parametrize(
    "data", [b"a,b\r\nc,d", csv([HEADERS[1:], answer(NODES[0])[1:]]), csv([["学校编号"], ["s01"]])]
)
def test_a_file_that_is_no_form_is_refused(data: bytes) -> None:
    with pytest.raises(FileError, match="header row"):
        read_facts_sheet(data, YEAR, NODES)


def test_findings_are_bounded() -> None:
    nodes = [node(f"n{number}", f"学校{number}") for number in range(300)]
    rows = [HEADERS, *(answer(item, n_students="x") for item in nodes)]
    assert len(findings(csv(rows), nodes)) == 200


def test_an_excel_that_people_filled_in_is_read() -> None:
    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True})
    sheet = book.add_worksheet("x")
    sheet.write(0, 0, "填报说明")
    sheet = book.add_worksheet("学校条件")
    sheet.write_row(0, 0, [f"县教育局 {YEAR} 学年"])
    sheet.write_row(1, 0, HEADERS)
    values: list[object] = [*answer(NODES[0])]
    values[HEADERS.index(FIELDS["n_students"].header)] = 800
    sheet.write_row(2, 0, values)
    book.close()
    assert len(read_facts_sheet(target.getvalue(), "", NODES)) == 1


def test_schools_are_parted_by_county() -> None:
    assert {key: [row.id for row in rows] for key, rows in by_county(NODES).items()} == {
        "532501": ["s01", "s02"],
        "532502": ["s03"],
    }


def test_columns_of_both_forms_are_found_by_their_headers() -> None:
    for form in (FACTS_FORM, PROGRESS_FORM):
        assert [form.find(row.header) for row in form.columns] == [row.name for row in form.columns]
    assert {row.name for row in PROGRESS_FORM.columns} >= set(ATTESTATIONS)


PROGRESS_HEADERS = ["学校编号", "学校名称", "测评覆盖率档次", "测评已开始", "校长姓名", "填报日期"]


def test_progress_sheets_are_read_for_their_round() -> None:
    data = progress_template(ROUND, NODES, ())
    assert read_progress_sheet(data, ROUND, "A", NODES) == ()
    with pytest.raises(FileError):
        read_progress_sheet(data, bytes(32), "A", NODES)
    rows = [PROGRESS_HEADERS, ["s01", "第一小学", "95%及以上", "是", "王校长", "2026/10/21"]]
    found = read_progress_sheet(csv(rows, ROUND.hex()[:16]), ROUND, "A", NODES)
    assert [(row.node, row.band, row.wave) for row in found] == [("s01", "ge95", "A")]


def test_a_progress_sheet_takes_no_numbers_and_no_results() -> None:
    rows = [[*PROGRESS_HEADERS, "预警人数"], ["s01", "第一小学", "97%", "是", "王校长", "2026-10-21", "3"]]
    with pytest.raises(FactsRefusedError) as caught:
        read_progress_sheet(csv(rows, ""), ROUND, "A", NODES)
    assert len(caught.value.problems) == 2


def test_letters_are_those_of_a_sheet() -> None:
    assert [letters(at) for at in (0, 25, 26, 51, 52, 701, 702)] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]
