"""Problems: their words can be translated, and an error holds all of them."""

from pathlib import Path

import pytest

from plan.errors import (
    DocumentError,
    PhrasedError,
    PhraseError,
    PlanError,
    Problem,
    encode_phrase,
    parse_phrase,
    phrase,
    phrase_of,
    raise_if,
    told,
)

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


NESTED = phrase("%(what)s is %(count)s", what=phrase("the %(thing)s", thing="file"), count=3)


def shout(msgid: str) -> str:
    """Translate as gettext does: the message id alone, places left as they are."""
    return {"%(what)s is %(count)s": "%(what)s IST %(count)s", "the %(thing)s": "DAS %(thing)s"}.get(
        msgid, msgid
    )


def test_a_phrase_in_a_phrase_is_translated_with_it() -> None:
    assert str(NESTED) == "the file is 3"
    assert NESTED.text(shout) == "DAS file IST 3"


def test_a_phrase_travels_as_text_and_is_translated_elsewhere() -> None:
    assert parse_phrase(encode_phrase(NESTED)) == NESTED
    assert parse_phrase(encode_phrase(NESTED)).text(shout) == "DAS file IST 3"


@pytest.mark.parametrize("text", ["", "no JSON", "{}", "[1]", '{"msgid": "x"}'])
def test_a_text_that_is_no_phrase_is_not_read(text: str) -> None:
    with pytest.raises(PhraseError):
        parse_phrase(text)


def test_an_error_in_a_place_is_shown_by_its_own_phrase() -> None:
    inner = PhrasedError(NESTED)
    assert phrase("no: %(reason)s", reason=inner).text(shout) == "no: DAS file IST 3"
    assert phrase("no: %(reason)s", reason=ValueError("100 % odd")).text(shout) == "no: 100 % odd"


def test_values_of_other_kinds_are_written_out() -> None:
    assert str(phrase("%(a)s %(b)s", a=Path("x"), b=None)) == "x None"


def test_words_that_are_no_phrase_stay_as_they_are() -> None:
    assert phrase_of("50 %").text(shout) == "50 %"
    assert str(PhrasedError("50 %")) == "50 %"
    assert phrase_of(PhrasedError(NESTED)) == NESTED


def test_told_uses_the_phrase_and_says_that_other_errors_are_not_valid() -> None:
    assert told(PhrasedError(NESTED), shout) == "DAS file IST 3"
    assert told(ValueError("bytes"), shout) == "not valid (bytes)"


def test_all_problems_of_a_plan_are_told() -> None:
    error = PlanError(Problem("a", NESTED, phrase("b"), phrase("c")), Problem("", phrase("d"), phrase("e")))
    assert told(error, str) == str(error)
    assert told(error, shout).splitlines() == [
        "a: found DAS file IST 3; allowed: b (c)",
        "the file: found d; allowed: e",
    ]
