"""Editing a plan's file: one value changes, everything else stays byte for byte."""

from __future__ import annotations

import tomllib

import pytest

from fedscreen.planning.plan_file import read_plan_file, ready_names
from fedscreen.planning.toml_edit import TomlText

SAMPLE = """# heading
# 第二行

title = "甲 # 不是注释"      # 注释
grades = [                # several lines
    "4",  # with [ in a comment
    "5",
]
list = ["a]", 'b["']
empty = ""
nested = [
    [5]
]
last = 1

[window]
opens = 2026-10-12T08:00:00+08:00
# about the next section

[[tables]]
id = "A1"
where = { a = [1, 2] }

# about A2
[[tables]]
id = "A2"
weight = "7/25"                   # σ ≈ 30
[[tables]]
id = "A3"
"""

COLUMN = SAMPLE.split("\n")[3].rindex("#")


def changed(section: str, key: str, value: str, item: str = "") -> tuple[list[str], list[str]]:
    """Lines taken out and lines put in."""
    text = TomlText(SAMPLE)
    text.set(section, key, value, item)
    before, after = SAMPLE.split("\n"), str(text).split("\n")
    start = next(
        (at for at, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), len(before)
    )
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    return before[start : len(before) - end], after[start : len(after) - end]


@pytest.mark.parametrize(
    ("section", "key", "value", "item", "old", "new"),
    [
        (
            "",
            "title",
            '"乙"',
            "",
            ['title = "甲 # 不是注释"      # 注释'],
            ['title = "乙"'.ljust(COLUMN) + "# 注释"],
        ),
        ("", "empty", '"x"', "", ['empty = ""'], ['empty = "x"']),
        ("", "list", "[]", "", ['list = ["a]", \'b["\']'], ["list = []"]),
        ("", "last", "2", "", ["last = 1"], ["last = 2"]),
        ("window", "closes", "1", "", [], ["closes = 1"]),
        ("tables", "weight", '"1"', "A2", ['weight = "7/25"                   # σ ≈ 30'], None),
        ("tables", "weight", '"2"', "A1", [], ['weight = "2"']),
        ("tables", "weight", '"2"', "A3", [], ['weight = "2"']),
        ("new", "key", "1", "", [], None),
    ],
)
def test_one_value_changes(
    section: str, key: str, value: str, item: str, old: list[str], new: list[str] | None
) -> None:
    before, after = changed(section, key, value, item)
    assert before == old
    if new is not None:
        assert after == new
    text = TomlText(SAMPLE)
    text.set(section, key, value, item)
    found = tomllib.loads(str(text))
    place = found[section] if section else found
    if item:
        place = next(table for table in place if table["id"] == item)
    assert place[key] == tomllib.loads(f"x = {value}")["x"]


def test_a_value_of_several_lines_is_replaced_as_one() -> None:
    text = TomlText(SAMPLE)
    text.set("", "grades", '["9"]')
    found = tomllib.loads(str(text))
    assert found == tomllib.loads(SAMPLE) | {"grades": ["9"]}


def test_a_comment_keeps_its_column() -> None:
    text = TomlText(SAMPLE)
    text.set("tables", "weight", '"1"', "A2")
    assert 'weight = "1"                      # σ ≈ 30' in str(text)


def test_blocks_are_replaced_removed_and_added() -> None:
    text = TomlText(SAMPLE)
    text.remove("tables", "A2")
    assert "about A2" not in str(text)
    assert "about the next section" in str(text)
    text.append(["[[tables]]", 'id = "A9"'])
    assert [table["id"] for table in tomllib.loads(str(text))["tables"]] == ["A1", "A3", "A9"]
    text.replace_blocks("tables", ["[[tables]]", 'id = "only"'])
    assert [table["id"] for table in tomllib.loads(str(text))["tables"]] == ["only"]
    assert str(text).startswith("# heading\n# 第二行\n")


def test_removing_what_is_not_there_changes_nothing() -> None:
    text = TomlText(SAMPLE)
    text.remove("tables", "A7")
    assert str(text) == SAMPLE


@pytest.mark.parametrize("name", ready_names())
def test_ready_plans_can_be_edited_everywhere(name: str) -> None:
    original = read_plan_file(name).decode()
    plain = tomllib.loads(original)
    assert str(TomlText(original)) == original
    for table in plain["tables"]:
        text = TomlText(original)
        text.set("tables", "weight", '"3/7"', table["id"])
        found = tomllib.loads(str(text))
        expected = tomllib.loads(original)
        next(item for item in expected["tables"] if item["id"] == table["id"])["weight"] = "3/7"
        assert found == expected
        gone = TomlText(original)
        gone.remove("tables", table["id"])
        assert tomllib.loads(str(gone))["tables"] == [item for item in plain["tables"] if item is not table]
