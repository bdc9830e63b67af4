"""Single cells: student numbers, days, scores, labels; and that a refusal keeps nothing of the cell."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pytest

from node.vault.importing.errors import CellError
from node.vault.importing.parsers import (
    make_parsers,
    parse_date,
    parse_duration,
    parse_month,
    parse_student_no,
)
from node.vault.importing.profile import parse_profile
from node.vault.importing.rows import is_tested
from plan.codebook import parse_codebook_toml

EXAMPLES = Path(__file__).parents[3] / "examples"
NUMBER = "G11010519491231002X"


def parsers():
    profile = parse_profile((EXAMPLES / "profiles/platform.toml").read_bytes())
    codebook = parse_codebook_toml((EXAMPLES / "codebooks/mht.toml").read_bytes())
    return make_parsers(profile, codebook, "2026-2027")


def refusal(field: str, cell: object) -> str:
    with pytest.raises(CellError) as caught:
        parsers()[field](cell)
    return caught.value.code


@pytest.mark.parametrize(
    "text",
    [NUMBER, NUMBER.lower(), f" {NUMBER}\u200b", f'="{NUMBER}"', f"'{NUMBER}", "Ｇ110105 19491231 002Ｘ"],
)
def test_student_numbers_are_read_as_people_write_them(text):
    assert parse_student_no(text) == NUMBER


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        (1.1010519491231e17, "student-no-damaged"),
        (10**15, "student-no-damaged"),
        (float("inf"), "student-no-damaged"),
        ("1.10105E+17", "student-no-damaged"),
        ("1E17", "student-no-damaged"),
        (10**15 - 1, "student-no-form"),
        (float("nan"), "student-no-form"),
        (3, "student-no-form"),
        ("110105194912310021", "student-no-letter"),
        (NUMBER[:-1], "student-no-form"),
        (NUMBER + "1", "student-no-form"),
        (NUMBER.replace("G", "A"), "student-no-form"),
        (NUMBER[:5] + "X" + NUMBER[6:], "student-no-form"),
        (NUMBER[:5] + "٣" + NUMBER[6:], "student-no-form"),
        ("", "empty-cell"),
        ("\u3000\u200b", "empty-cell"),
        (True, "not-text"),
        (dt.date(2026, 1, 1), "not-text"),
    ],
)
def test_student_numbers_of_other_forms_are_refused(cell, code):
    with pytest.raises(CellError) as caught:
        parse_student_no(cell)
    assert caught.value.code == code
    assert NUMBER[1:6] not in str(caught.value)


@pytest.mark.parametrize("year", ["2026-2027"])
def test_days_of_the_school_year_only(year):
    for day in (dt.date(2026, 9, 1), dt.date(2027, 8, 31)):
        assert parse_date(day, year) == day
        assert parse_date(dt.datetime(day.year, day.month, day.day, 9, 30), year) == day
    for day in (dt.date(2026, 8, 31), dt.date(2027, 9, 1)):
        with pytest.raises(CellError) as caught:
            parse_date(day, year)
        assert caught.value.code == "date-range"
    assert parse_date(" ", year) is None


@pytest.mark.parametrize(
    "cell", ["昨天", "2026-13-01", "2026-09-31", "20-9-2026", 462850.0, 9.5, dt.time(9), True, "２０２６-0"]
)
def test_what_is_no_day_is_refused(cell):
    with pytest.raises(CellError) as caught:
        parse_date(cell, "2026-2027")
    assert caught.value.code in ("date-form", "not-text")


@pytest.mark.parametrize(
    ("cell", "score"),
    [
        (34, "34"),
        (34.0, "34"),
        ("34", "34"),
        (" ３４．５ ", "34.5"),
        (12.299999999999999, "12.3"),
        (0, "0"),
        (90, "90"),
        ("", None),
    ],
)
def test_scores(cell, score):
    assert parsers()["total"](cell) == (None if score is None else Decimal(score))


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        (90.01, "score-range"),
        (-0.5, "score-range"),
        ("91", "score-range"),
        (float("nan"), "not-a-number"),
        (float("inf"), "not-a-number"),
        (1e300, "not-a-number"),
        (True, "not-a-number"),
        ("34 分钟", "not-a-number"),
        ("1e1", "not-a-number"),
        ("3,4", "not-a-number"),
        (dt.timedelta(1), "not-a-number"),
        (dt.datetime(2026, 1, 1), "not-a-number"),
    ],
)
def test_scores_that_are_none_are_refused(cell, code):
    assert refusal("total", cell) == code


def test_a_cell_that_equals_a_known_one_is_not_taken_for_it():
    parse = parsers()["total"]
    assert parse(1.0) == 1
    with pytest.raises(CellError):
        parse(True)


@pytest.mark.parametrize(
    ("field", "cell", "value"),
    [
        ("sex", "男", "1"),
        ("sex", "", "9"),
        ("grade", "九年级", "9"),
        ("grade", "中职一", "V1"),
        ("family", "单亲（离异）", "2"),
        ("absence", "", None),
        ("absence", "请假", "4"),
        ("guardian_consent", " ", "9"),
        ("level", "三级 预警", "3"),
        ("level", "", None),
    ],
)
def test_labels(field, cell, value):
    assert parsers()[field](cell) == value


@pytest.mark.parametrize(
    ("field", "cell", "code"),
    [
        ("left_behind", "1", "bare-number"),
        ("left_behind", 1.0, "bare-number"),
        ("sex", "男的", "unmapped-label"),
        ("sex", "#N/A", "formula-error"),
        ("grade", "", "empty-cell"),
        ("grade", 9, "bare-number"),
        ("level", "3", "bare-number"),
        ("level", 3, "bare-number"),
        ("level", "四级", "unmapped-level"),
        ("level", False, "not-text"),
        ("sex", dt.date(2026, 1, 2), "not-text"),
    ],
)
def test_labels_that_nothing_explains_are_refused(field, cell, code):
    assert refusal(field, cell) == code


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, False),
        ({"level": None, "total": None, "administered_on": dt.date(2026, 9, 1)}, False),
        ({"level": "9", "total": None}, False),
        ({"level": "0"}, True),
        ({"total": Decimal(0)}, True),
        ({"factor.learning": Decimal(3), "level": None}, True),
        ({"validity": "2"}, True),
        ({"validity": "1"}, False),
    ],
)
def test_what_tells_of_a_test(values, expected):
    assert is_tested(values) is expected


@pytest.mark.parametrize(
    ("cell", "unit", "seconds"),
    [
        ("123秒", "s", 123),
        ("2分3秒", "s", 123),
        ("1小时2分3秒", "s", 3723),
        ("2 分钟", "s", 120),
        ("00:02:03", "s", 123),
        ("１２３", "s", 123),
        (123, "s", 123),
        (123.6, "s", 123),
        (2, "min", 120),
        (2.5, "min", 150),
        ("2分3秒", "min", 123),
        (dt.time(0, 2, 3), "s", 123),
        (dt.timedelta(seconds=123), "s", 123),
        ("", "s", None),
        ("-", "s", None),
    ],
)
def test_durations(cell, unit, seconds):
    assert parse_duration(cell, unit) == seconds


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        (dt.time(2, 3), "duration-form"),
        ("2:03", "duration-form"),
        ("约两分钟", "duration-form"),
        ("-5", "duration-form"),
        ("秒", "duration-form"),
        (-5, "duration-form"),
        (86_401, "number-range"),
        (dt.timedelta(days=-1), "number-range"),
        (dt.date(2026, 9, 20), "not-text"),
        (True, "not-text"),
        (float("nan"), "duration-form"),
        (float("inf"), "duration-form"),
    ],
)
def test_what_is_no_duration_is_refused(cell, code):
    with pytest.raises(CellError) as caught:
        parse_duration(cell)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "cell",
    [
        "2015-09",
        "2015.9",
        "201509",
        "2015年9月",
        "2015-09-03",
        "20150903",
        dt.date(2015, 9, 3),
        42250,
        201509.0,
    ],
)
def test_months_of_birth(cell):
    assert parse_month(cell, "2026-2027") == "201509"


@pytest.mark.parametrize("cell", ["15-9", "9月", "2015-13", "1915-09", "2026-09", 9, dt.time(9), "很久"])
def test_what_is_no_month_of_birth_is_refused(cell):
    with pytest.raises(CellError) as caught:
        parse_month(cell, "2026-2027")
    assert caught.value.code == "birth-form"
