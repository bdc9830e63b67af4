"""Every reason and every refusal has words and advice, in English and in Chinese."""

from __future__ import annotations

import gettext
from importlib.resources import files

import pytest

from auditor import agree
from coordinator import errors
from coordinator.advice import ABANDON_REASONS, REFUSALS, ROUND_ADVICE, advice_for, refusal_advice
from coordinator.cli_rounds import _DELAYS, _ENDINGS, _FLAWS
from coordinator.round import Reason
from plan.words import CHANGE_REASONS, REASONS, STANDINGS

REASON_CODES = [*(reason.value for reason in Reason), "at-work"]
ERROR_CODES = sorted(
    {
        item.code
        for item in vars(errors).values()
        if isinstance(item, type) and issubclass(item, errors.CoordinatorError)
    }
)


@pytest.fixture(scope="module")
def chinese() -> gettext.GNUTranslations:
    with files("fedscreen").joinpath("locale/zh_CN/LC_MESSAGES/fedscreen.mo").open("rb") as file:
        return gettext.GNUTranslations(file)


@pytest.mark.parametrize("code", REASON_CODES)
def test_every_reason_has_a_word_and_advice(code: str) -> None:
    assert REASONS[code]
    assert advice_for(code)


def test_no_advice_is_for_a_code_that_does_not_exist() -> None:
    assert sorted(ROUND_ADVICE) == sorted(REASON_CODES)
    assert sorted(REFUSALS) == ERROR_CODES


@pytest.mark.parametrize("code", ERROR_CODES)
def test_every_error_has_a_word_and_advice(code: str) -> None:
    assert REFUSALS[code][0]
    assert refusal_advice(code)


def test_every_reason_to_abandon_has_words() -> None:
    codes = {
        agree.NOT_NAMED, agree.WRONG_SET, agree.TOO_FEW_REPORTS, agree.SMALL_GROUP, agree.EXPIRED,
        agree.NEVER_OPENS, agree.CANCELLED,
    }  # fmt: skip
    assert set(ABANDON_REASONS) == codes


def test_every_reason_of_a_change_has_words() -> None:
    assert {*_DELAYS, *_ENDINGS, *_FLAWS, "reissued"} <= set(CHANGE_REASONS)


def test_all_of_it_is_there_in_chinese(chinese: gettext.GNUTranslations) -> None:
    words = [
        *ROUND_ADVICE.values(),
        *(text for pair in REFUSALS.values() for text in pair),
        *ABANDON_REASONS.values(),
        *CHANGE_REASONS.values(),
        *STANDINGS.values(),
        *REASONS.values(),
    ]
    assert [text for text in words if chinese.gettext(text) == text] == []
