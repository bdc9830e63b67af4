"""Facts of one school: read strictly, refused with the field's name, never about pupils in difficulty."""

from __future__ import annotations

import re
from datetime import date
from fractions import Fraction

import pytest
from fakes_facts import WHOLE, YEAR, facts
from hypothesis import given
from hypothesis import strategies as st

from plan.codes import GROUP
from results.facts import (
    FIELDS,
    SECTIONS,
    FactsError,
    condition_rows,
    field_of_header,
    is_about_difficulty,
    parse_facts,
)


def refused(**changes: object) -> list[str]:
    """Give the fields that a change makes wrong."""
    with pytest.raises(FactsError) as caught:
        facts(**changes)
    return [problem.key for problem in caught.value.problems]


def test_a_whole_form_is_read_with_every_kind_of_value() -> None:
    found = facts()
    assert (found.school_name, found.stages, found.is_rural) == ("第一小学", ("primary",), False)
    assert found.number("room_open_hours_week") == Fraction(21, 2)
    assert found.values["vendor_nda_until"] == date(2027, 8, 31)
    assert found.shown("room_functions") == "个体辅导、团体辅导"
    assert found.shown("vendor_nda") == "是"
    assert found.shown("hotline") == ""
    assert found.number("hotline") is None


def test_what_json_holds_is_read_back_the_same() -> None:
    found = facts()
    assert parse_facts("s01", YEAR, found.plain()) == found
    assert all(isinstance(value, int | str | list) for value in found.plain().values())


def test_what_a_form_shows_is_read_back_the_same() -> None:
    found = facts(urban_rural="3", room_functions=["office"], funds_yuan_band="1-5")
    assert parse_facts("s01", YEAR, {name: found.shown(name) for name in FIELDS}) == found


@pytest.mark.parametrize(
    ("name", "given_value", "expected"),
    [
        ("n_students", "８００", 800),
        ("n_students", " 800 ", 800),
        ("n_students", "800.0", 800),
        ("stages", "小学、初中", ("primary", "junior")),
        ("stages", "初中; 小学", ("primary", "junior")),
        ("stages", ["junior", "primary"], ("primary", "junior")),
        ("urban_rural", "镇 区", "2"),
        ("is_boarding", "是", "1"),
        ("vendor_nda_until", "2027年8月31日", date(2027, 8, 31)),
        ("vendor_nda_until", "2027/8/31", date(2027, 8, 31)),
        ("room_open_hours_week", "0", Fraction(0)),
        ("home_visit_coverage_pct", "95", 95),
        ("instruments_used", "MHT、PHQ-9、MHT", ("MHT", "PHQ-9")),
    ],
)
def test_what_people_write_is_understood(name: str, given_value: object, expected: object) -> None:
    assert facts(**{name: given_value}).values[name] == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_students", -1),
        ("n_students", 30_001),
        ("n_students", "八百"),
        ("n_students", "800人"),
        ("n_students", "8e2"),
        ("n_students", "=8"),
        ("n_students", "0x20"),
        ("n_students", "٣"),
        ("n_students", "1_000"),
        ("n_students", "799.5"),
        ("n_students", 10**40),
        ("n_students", True),
        ("n_students", 1.5),
        ("n_students", {"n": 1}),
        ("n_students", "9" * 5_000),
        ("room_open_hours_week", "10.55"),
        ("room_open_hours_week", "nan"),
        ("room_open_hours_week", "-1"),
        ("room_open_hours_week", "101"),
        ("home_visit_coverage_pct", 93),
        ("urban_rural", "郊区"),
        ("urban_rural", "9"),
        ("stages", "大学"),
        ("stages", "小学、大学"),
        ("stages", [["primary"]]),
        ("room_standard", "大概"),
        ("vendor_nda_until", "2027-02-31"),
        ("vendor_nda_until", "明年"),
        ("vendor_nda_until", "1999-01-01"),
        ("school_code", "12345"),
        ("school_code", ["3153250001", "x"]),
        ("county_code", "53250"),
        ("school_name", "学" * 81),
        ("school_name", "一小\u202e"),
        ("school_name", "一小\n张三"),
        ("platform_vendor", "联系人13800001111"),
        ("platform_vendor", "G53250120150101001X"),
        ("instruments_used", "、".join(f"量表{n}" for n in range(21))),
    ],
)
def test_anything_else_is_refused_with_its_field_and_never_repeated(name: str, value: object) -> None:
    with pytest.raises(FactsError) as caught:
        facts(**{name: value})
    assert {problem.key for problem in caught.value.problems} == {name}
    if isinstance(value, str) and len(value) > 2:
        assert value not in str(caught.value)


@pytest.mark.parametrize("name", [row.name for row in FIELDS.values() if row.is_required])
@pytest.mark.parametrize("empty", [None, "", " \u200b ", []])
def test_what_must_be_answered_cannot_be_left_out(name: str, empty: object) -> None:
    assert refused(**{name: empty}) == [name]


def test_every_problem_is_told_at_once() -> None:
    assert refused(n_students="x", urban_rural="x", stages=None, hotline="x") == [
        "stages",
        "urban_rural",
        "n_students",
        "hotline",
    ]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"n_students_g4plus": 801}, "n_students_g4plus"),
        ({"n_boarders": 801}, "n_boarders"),
        ({"class_officer_classes": 21}, "class_officer_classes"),
        ({"cert_B_headteachers": 21}, "cert_B_headteachers"),
        ({"cert_C_teachers_n": 61}, "cert_C_teachers_n"),
        ({"teacher_full": 61}, "teacher_full"),
        ({"teacher_cert": 3}, "teacher_cert"),
        ({"vendor_nda": "0"}, "vendor_nda_until"),
        ({"vendor_nda": None}, "vendor_nda_until"),
    ],
)
def test_values_that_contradict_each_other_are_refused(changes: dict[str, object], field: str) -> None:
    assert refused(**changes) == [field]


def test_a_part_is_not_compared_with_what_was_not_answered() -> None:
    assert facts(teachers_n=None).values["teacher_full"] == 1


@pytest.mark.parametrize("year", ["2026", "2026-2028", "26-27", "2026-2027 ", "2026_2027", "二〇二六"])
def test_other_school_years_are_refused(year: str) -> None:
    with pytest.raises(FactsError) as caught:
        parse_facts("s01", year, WHOLE)
    assert [problem.key for problem in caught.value.problems] == ["year"]


def test_an_unknown_field_is_refused_with_the_nearest_known_one() -> None:
    with pytest.raises(FactsError) as caught:
        parse_facts("s01", YEAR, {**WHOLE, "n_student": 3})
    assert "n_students" in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "n_left_behind",
        "留守儿童人数",
        "单亲(离异)学生数",
        "困境学生",
        "重点关注人数",
        "二级预警",
        "心理障碍学生数",
        "转介人数",
        "已建档人数",
        "个体辅导人次",
        "学生姓名",
        "high_risk_pupils",
        "预\u200b警人数",
        *GROUP.values(),
    ],
)
def test_a_count_of_pupils_in_difficulty_is_not_a_fact(name: str) -> None:
    assert is_about_difficulty(name)
    with pytest.raises(FactsError) as caught:
        parse_facts("s01", YEAR, {**WHOLE, name: 3})
    assert "plans C and D" in str(caught.value)


def test_no_field_asks_about_pupils_in_difficulty() -> None:
    assert not [
        row.name
        for row in FIELDS.values()
        if re.search("留守|单亲|困境|残疾|重点|障碍|高危|抑郁|自伤", row.zh)
    ]
    pupils = [row.name for row in FIELDS.values() if row.unit == "人" and "学生" in row.zh]
    assert pupils == ["n_students", "n_students_g4plus"]


def test_fields_are_whole() -> None:
    for name, row in FIELDS.items():
        assert row.name == name
        assert row.section in SECTIONS
        assert row.en
        assert row.header.startswith(row.zh)
        assert bool(row.codes) == (row.kind in ("choice", "choices"))
        assert row.low <= row.high
    assert len(FIELDS) >= 50


def test_every_header_finds_its_field_and_no_other() -> None:
    for row in FIELDS.values():
        for text in (row.zh, row.header, row.name, row.en, f" {row.zh} *", row.zh.replace("(", "（")):
            assert field_of_header(text) == row
    assert field_of_header("备注") is None


def test_facts_by_school_are_for_the_internal_class_only() -> None:
    headers, rows = condition_rows([facts("s02"), facts("s01", school_name="第〇小学")], "internal")
    assert len(headers) == len(rows[0])
    assert [row[0] for row in rows] == ["第〇小学", "第一小学"]
    assert not any("管理员账号" in header for header in headers)
    for other in ("public", "on-request", "", "INTERNAL"):
        with pytest.raises(FactsError):
            condition_rows([facts()], other)


ANYTHING = st.text() | st.integers() | st.none() | st.lists(st.text())


@given(st.dictionaries(st.sampled_from([*FIELDS, "x", ""]), ANYTHING))
def test_no_input_does_anything_but_be_read_or_refused(raw: dict[str, object]) -> None:
    problems = ()
    try:
        found = parse_facts("s01", YEAR, {**WHOLE, **raw})
    except FactsError as err:
        problems = err.problems
    else:
        assert parse_facts("s01", YEAR, found.plain()) == found
    assert all(problem.text() for problem in problems)
