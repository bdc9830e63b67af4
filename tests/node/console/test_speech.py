"""Words of the pages: no code, and no language that the reader did not choose."""

from __future__ import annotations

import pytest

from node.cell_words import cell_word, title_of
from node.console.speech import ON_A_PAGE, class_word, code_word, fill, handed_word, sentence, speaking


@pytest.mark.parametrize(
    ("dimension", "english", "chinese"),
    [("left_behind", "left behind", "是否留守"), ("disposition", "test taken", "测评情况"), ("x", "x", "x")],
)
def test_a_dimension_has_a_word(dimension: str, english: str, chinese: str) -> None:
    for language, expected in (("en", english), ("zh_CN", chinese)):
        with speaking(language):
            assert title_of(dimension) == expected


def test_a_band_of_scores_is_counted_in_the_readers_language() -> None:
    with speaking("en"):
        assert cell_word("band", "0", "第 1 段") == "band 1"
    with speaking("zh_CN"):
        assert cell_word("band", "0", "第 1 段") == "第 1 段"


@pytest.mark.parametrize("code", ["1", "2", "3"])
def test_who_rechecked_is_neither_yes_nor_chinese(code: str) -> None:
    with speaking("en"):
        said = code_word("recheck_by", code)
    assert said.isascii()
    assert said not in ("yes", code)


@pytest.mark.parametrize(
    ("grade", "number", "expected"),
    [("6", "1", "Grade 6, class 1"), ("6", "", "Grade 6"), ("6", "实验班", "Grade 6 实验班")],
)
def test_grade_and_class_are_told_apart(grade: str, number: str, expected: str) -> None:
    with speaking("en"):
        assert class_word(grade, number) == expected


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        ("grade", "4 四年级", "Grade 4"),
        ("name", "4 四年级", "4 四年级"),
        ("grade", "4 其他", "4 其他"),
        ("total", "31", "31"),
    ],
)
def test_a_field_that_is_handed_over_has_its_word_alone(field: str, text: str, expected: str) -> None:
    with speaking("en"):
        assert handed_word(field, text) == expected


def test_a_page_speaks_of_forms() -> None:
    with speaking("en"):
        for advice in ON_A_PAGE:
            assert "command" not in fill(advice, {})
        assert fill("%(days)s days, then run the command", {"days": 3}) == "3 days, then run the command"


@pytest.mark.parametrize(("text", "expected"), [("ab c", "Ab c"), ("", ""), ("Ab", "Ab"), ("没有", "没有")])
def test_a_message_begins_with_a_capital(text: str, expected: str) -> None:
    assert sentence(text) == expected
