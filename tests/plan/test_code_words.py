"""Code words beside their words: each that a plan or a roster may have is known, and shown with care."""

from __future__ import annotations

import pytest

from coordinator.members import VALUES
from fedscreen.planning.new import LADDERS
from fedscreen.planning.plan_file import ready_names
from plan.attributes import TITLES
from plan.code_words import (
    ATTRIBUTE_VALUES,
    ATTRIBUTES,
    DIMENSION_CODES,
    PLAN_CODES,
    READY_PLANS,
    attribute_words,
    beside,
    choices_note,
    code_phrase,
    listed,
)
from plan.codes import STAGE, SYSTEM
from plan.dimensions import DIMENSIONS
from plan.document import CRITICAL, RELEASE_CLASSES
from plan.record import CONSENT_POLICIES
from privacy.sensitivity import Neighbouring

WORDS = {
    "internal": "内部",
    "Type of school": "学校类型",
    "nine-year school": "九年一贯制学校",
    "%(code)s (%(word)s)": "%(code)s %(word)s",
    "%(title)s: %(value)s": "%(title)s：%(value)s",
    "Choices: %(codes)s.": "可选：%(codes)s。",
}


def chinese(text: str) -> str:
    return WORDS.get(text, text)


@pytest.mark.parametrize(
    "codes",
    [RELEASE_CLASSES, CONSENT_POLICIES, CRITICAL, LADDERS, tuple(Neighbouring), tuple(SYSTEM), tuple(STAGE)],
    ids=["release", "consent", "critical", "ladder", "neighbouring", "systems", "stages"],
)
def test_every_choice_of_a_plan_has_a_word(codes: tuple[str, ...]) -> None:
    assert set(codes) <= PLAN_CODES


def test_every_dimension_attribute_and_ready_plan_has_a_word() -> None:
    assert set(DIMENSIONS) | set(TITLES) == DIMENSION_CODES
    assert set(TITLES) <= set(ATTRIBUTES)
    assert list(READY_PLANS) == ready_names()
    assert {name: tuple(values) for name, values in ATTRIBUTE_VALUES.items()} == dict(VALUES)


def test_a_code_stands_beside_its_word_and_alone_where_the_word_says_no_more() -> None:
    assert beside("internal", chinese("internal"), chinese) == "internal 内部"
    assert beside("on-request", "on request", str) == "on-request"
    assert listed(("internal", "public"), chinese) == "internal 内部, public"


def test_help_lists_choices_only_where_the_codes_do_not_say_it_all() -> None:
    assert choices_note(("internal", "public"), str) == ""
    assert choices_note(("internal", "public"), chinese) == " 可选：internal 内部, public。"
    assert choices_note(("a",), str, {"a": "at the school"}) == " Choices: a (at the school)."


def test_a_code_is_itself_in_english_and_its_word_in_chinese() -> None:
    assert code_phrase("internal").text(str) == "internal"
    assert code_phrase("internal").text(chinese) == "内部"
    assert code_phrase("100%").text(chinese) == "100%"


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("school_type", "nine-year", "学校类型：九年一贯制学校"),
        ("school_type", "another", "学校类型：another"),
        ("own.name", "nine-year", "own.name：nine-year"),
    ],
    ids=["known", "another value", "another attribute"],
)
def test_a_public_attribute_is_said_in_words(name: str, value: str, shown: str) -> None:
    assert attribute_words(name, value, chinese) == shown
