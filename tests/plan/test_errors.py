"""Problems: their words can be translated, and an error holds all of them."""

import pytest

from plan.errors import DocumentError, PlanError, Problem, phrase, raise_if

ONE = Problem(
    "trust.quorum", phrase("the number %(n)s", n=9), phrase("at most %(n)s", n=7), phrase("ask the auditors")
)
OTHER = Problem("", phrase("nothing"), phrase("TOML"))


def test_a_problem_reads_as_one_english_line() -> None:
    assert str(ONE) == "trust.quorum: found the number 9; allowed: at most 7 (ask the auditors)"
    assert str(OTHER) == "the file: found nothing; allowed: TOML"


def test_every_phrase_of_a_problem_is_translated() -> None:
    words = {
        "%(key)s: found %(found)s; allowed: %(allowed)s": "%(key)s:发现 %(found)s,允许 %(allowed)s",
        "the number %(n)s": "数字 %(n)s",
        "at most %(n)s": "最多 %(n)s",
        "ask the auditors": "请问督查方",
        "the file": "文件",
    }

    def translate(text: str) -> str:
        return words.get(text, text)

    assert ONE.text(translate) == "trust.quorum:发现 数字 9,允许 最多 7 (请问督查方)"
    assert OTHER.text(translate).startswith("文件:")


def test_a_value_with_a_percent_sign_stays_as_it_is() -> None:
    assert str(phrase("the text %(value)s", value="50% %(x)s")) == "the text 50% %(x)s"


def test_an_error_holds_all_problems_and_shows_the_first() -> None:
    with pytest.raises(PlanError) as caught:
        raise_if(DocumentError, [ONE, OTHER])
    error = caught.value
    assert isinstance(error, DocumentError)
    assert error.problems == (ONE, OTHER)
    assert str(error).splitlines() == [str(ONE), str(OTHER)]
    assert (error.key, error.found, error.allowed) == ("trust.quorum", "the number 9", "at most 7")
    assert error.advice == "ask the auditors"
    assert DocumentError(OTHER).advice == ""


def test_no_problem_raises_nothing() -> None:
    raise_if(DocumentError, iter(()))
