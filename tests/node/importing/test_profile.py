"""Profiles: the ready ones, and every way in which one can be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.vault.importing.errors import ImportingError
from node.vault.importing.profile import match_key, parse_profile

PROFILES = Path(__file__).parents[3] / "examples" / "profiles"

GOOD = """
id = "p"
version = "1"
title = "t"
optional = ["absence"]
[roster]
header_row = 2
sheet = "名册"
[columns]
student_no = ["学籍号"]
grade = ["年级"]
level = ["等级"]
total = ["总分", "得分"]
administered_on = ["日期"]
absence = ["原因"]
[factors]
learning = ["学习焦虑"]
[values.grade]
"四 年级" = 4
"中职一" = "V1"
[values.absence]
"请假" = 4
"""


def problems(text: str | bytes) -> list[str]:
    with pytest.raises(ImportingError) as caught:
        parse_profile(text if isinstance(text, bytes) else text.encode())
    assert {issue.code for issue in caught.value.issues} == {"profile-invalid"}
    return [dict(issue.values)["place"] for issue in caught.value.issues]


@pytest.mark.parametrize("name", ["platform", "addhealth"])
def test_ready_profiles_are_valid(name):
    profile = parse_profile((PROFILES / f"{name}.toml").read_bytes())
    assert profile.id == name
    assert len(profile.digest) == 32


def test_good_profile_is_read():
    profile = parse_profile(GOOD.encode())
    assert profile.values["grade"] == {"四年级": "4", "中职一": "v1".upper()}
    assert profile.columns["total"] == ("总分", "得分")
    assert (profile.roster.sheet, profile.roster.header_row) == ("名册", 2)
    assert (profile.screening.sheet, profile.screening.header_row) == ("", 0)
    assert (profile.join, profile.levels, profile.optional) == ("student_no", "", {"absence"})


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ('id = "p"', "", "id"),
        ('id = "p"', 'id = "P 1"', "id"),
        ('title = "t"', "title = 3", "title"),
        ('version = "1"', "", "version"),
        ('id = "p"', 'id = "p"\nencoding = "gbk"', "encoding"),
        ('id = "p"', 'id = "p"\njoin = "name"', "join"),
        ("header_row = 2", "header_row = 51", "roster.header_row"),
        ("header_row = 2", "header_row = true", "roster.header_row"),
        ("header_row = 2", "header_rows = 2", "roster.header_rows"),
        ('grade = ["年级"]', "", "columns.grade"),
        ('student_no = ["学籍号"]', "", "columns.student_no"),
        ('level = ["等级"]', 'level = "等级"', "columns.level"),
        ('level = ["等级"]', "level = []", "columns.level"),
        ('level = ["等级"]', 'level = [""]', "columns.level"),
        ('level = ["等级"]', 'level = ["等级"]\nnickname = ["小名"]', "columns.nickname"),
        ('level = ["等级"]', 'level = ["等级"]\nphone = ["电话"]', "columns.phone"),
        ('id = "p"', 'id = "p"\njoin = "auto"', "join"),
        ('id = "p"', 'id = "p"\nduration_unit = "h"', "duration_unit"),
        ('id = "p"', 'id = "p"\nschool_codes = [1]', "school_codes"),
        ("header_row = 2", 'encoding = "big5"', "roster.encoding"),
        ("[columns]", '[[ledgers]]\nname = "单亲"\n[columns]', "ledgers.#1.name"),
        ("[columns]", '[[ledgers]]\nname = "a"\ngroups = ["g8"]\n[columns]', "ledgers.#1.groups"),
        ("[columns]", '[[ledgers]]\nname = "a"\nset = { family = 7 }\n[columns]', "ledgers.#1.set"),
        ("[columns]", '[[ledgers]]\nname = "a"\nset = { total = 7 }\n[columns]', "ledgers.#1.set"),
        ("[columns]", '[[ledgers]]\nname = "a"\n[[ledgers]]\nname = "a"\n[columns]', "ledgers.#2.name"),
        ('level = ["等级"]', 'level = ["总 分"]', "columns.total"),
        ('level = ["等级"]', 'level = ["等级"]\nsex = ["性别"]', "values.sex"),
        ('learning = ["学习焦虑"]', 'learning = ["等级"]', "factors.learning"),
        ('learning = ["学习焦虑"]', 'Learning = ["学习焦虑"]', "factors.Learning"),
        ('optional = ["absence"]', 'optional = ["level"]', "optional"),
        ('optional = ["absence"]', 'optional = ["sex"]', "optional"),
        ('optional = ["absence"]', 'optional = "absence"', "optional"),
        ('"中职一" = "V1"', '"中职一" = "V4"', "values.grade"),
        ('"中职一" = "V1"', '"四年级" = 5', "values.grade"),
        ('"中职一" = "V1"', '"中职一" = 1.0', "values.grade"),
        ('"请假" = 4', '"已测" = 1', "values.absence"),
        ("[values.absence]", '[values.level]\n"三级" = 3\n[values.absence]', "values.level"),
        ("[values.absence]", '[levels]\n"三级" = 3\n[values.absence]', "levels"),
    ],
)
def test_wrong_profile_is_refused_by_its_key(old, new, place):
    assert old in GOOD
    assert place in problems(GOOD.replace(old, new))


@pytest.mark.parametrize(
    "data",
    [b"\xff\xfe", b"id = ", "id = '名册'".encode("gbk"), b"a = 1\na = 2", b"[" * 5000, b" " * 300_000],
    ids=["utf-16", "cut off", "gbk", "key twice", "deep", "large"],
)
def test_what_is_no_toml_is_refused(data):
    assert problems(data)


def test_all_problems_are_told_at_once():
    text = GOOD.replace('grade = ["年级"]', "").replace("header_row = 2", "header_row = -1")
    assert {"columns.grade", "roster.header_row"} <= set(problems(text))


def test_headers_and_labels_are_compared_without_what_nobody_sees():
    assert match_key(" 总\u200b分（标准分） ") == match_key("总分(标准分)")
    assert match_key("ID 号") == match_key("id号")
