"""Errors of the plan room; callers catch `PlanError`.

Every problem names the key path, what was found there, what is allowed and, where it helps, what to do.
The words are `Phrase`s: an English message id with its values apart, so that a command can show them in
the reader's language (`str` gives English). No problem repeats a value of a pupil's record.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

MAX_PHRASE_DEPTH: Final = 16
_PLACE = re.compile(r"%(?:%|\(([A-Za-z_][A-Za-z0-9_]*)\)s)")


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence and the values that go into it, kept apart for translation.

    Attributes:
        msgid: the English text with `%(name)s` places.
        values: pairs of a place's name and its value; a phrase in a place is translated with the whole.
    """

    msgid: str
    values: tuple[tuple[str, str | int | Phrase], ...] = ()

    def text(self, translate: Callable[[str], str] = str) -> str:
        """Return the sentence; `translate` is a gettext function (English without one)."""
        return translate(self.msgid) % {
            name: value.text(translate) if isinstance(value, Phrase) else value for name, value in self.values
        }

    def __str__(self) -> str:
        return self.text()


def encode_phrase(words: Phrase) -> str:
    """Write a phrase as JSON, to be translated by another process; `parse_phrase` is the inverse."""

    def plain(value: str | int | Phrase) -> object:
        if not isinstance(value, Phrase):
            return value
        return {"msgid": value.msgid, "values": {name: plain(item) for name, item in value.values}}

    return json.dumps(plain(words), ensure_ascii=False)


def parse_phrase(text: str) -> Phrase:
    """Read a phrase that `encode_phrase` wrote; filling it in takes no more room than its text.

    Raises:
        PhraseError: the text is no such phrase.
    """
    try:
        return _made(json.loads(text), MAX_PHRASE_DEPTH)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as err:
        raise PhraseError(Problem("", phrase("another value"), phrase("a JSON object"))) from err


def _made(value: dict[str, Any], depth: int) -> Phrase:
    msgid, values = value["msgid"], value["values"]
    places = [name for name in _PLACE.findall(msgid) if name]
    if not depth or "%" in _PLACE.sub("", msgid) or len(set(places)) < len(places):
        raise ValueError("not a template of %(name)s places, each once, or nested too deep")
    "".join([msgid, *values]).encode("utf-8")  # a lone surrogate could not be printed
    if set(value) != {"msgid", "values"} or not set(places) <= set(values):
        raise ValueError("not a template with the values of its places")
    return Phrase(msgid, tuple((name, _made_value(item, depth)) for name, item in values.items()))


def _made_value(item: object, depth: int) -> str | int | Phrase:
    if isinstance(item, dict):
        return _made(item, depth - 1)
    if not isinstance(item, str | int) or isinstance(item, bool):
        raise TypeError("a place holds text, a whole number or a phrase")
    str(item).encode("utf-8")
    return item


def phrase(msgid: str, /, **values: object) -> Phrase:
    """Make a phrase; message extraction looks for calls of this name.

    An error in a place is shown by its own phrase where it has one; any other value as `str` writes it.
    """
    return Phrase(msgid, tuple((name, _shown(value)) for name, value in values.items()))


def _shown(value: object) -> str | int | Phrase:
    if isinstance(value, Exception):
        return phrase_of(value)
    return value if isinstance(value, str | int | Phrase) else str(value)


def phrase_of(message: object) -> Phrase:
    """Give the phrase of a message or an error; words that are none stay as they are."""
    found = getattr(message, "phrase", message)
    return found if isinstance(found, Phrase) else Phrase("%(text)s", (("text", str(message)),))


def told(error: Exception, translate: Callable[[str], str]) -> str:
    """Say an error in the reader's language.

    What has no phrase speaks of bytes that are malformed or altered; its details stay English.
    """
    if isinstance(getattr(error, "phrase", None), Phrase):
        return phrase_of(error).text(translate)
    return phrase("not valid (%(details)s)", details=str(error)).text(translate)


class PhrasedError(Exception):
    """An error whose message is a phrase, so that a command can show it in the reader's language.

    `str` gives English.

    Attributes:
        phrase: the message.
    """

    def __init__(self, message: Phrase | Exception | str) -> None:
        self.phrase = phrase_of(message)
        super().__init__(str(self.phrase))


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        key: path of the key, such as `tables.A6.touch`; "" for the file as a whole.
        found: what stands there.
        allowed: what may stand there.
        advice: what to do, where that is not obvious.
    """

    key: str
    found: Phrase
    allowed: Phrase
    advice: Phrase | None = None

    @property
    def phrase(self) -> Phrase:
        """The problem as one line."""
        line = phrase(
            "%(key)s: found %(found)s; allowed: %(allowed)s",
            key=self.key or phrase("the file"),
            found=self.found,
            allowed=self.allowed,
        )
        return phrase("%(problem)s (%(advice)s)", problem=line, advice=self.advice) if self.advice else line

    def text(self, translate: Callable[[str], str] = str) -> str:
        """Return the problem as one line."""
        return self.phrase.text(translate)

    def __str__(self) -> str:
        return self.text()


class PlanError(Exception):
    """Base of everything this room refuses. Holds all problems that were found, not only the first.

    Attributes:
        problems: at least one, in the order of the file.
    """

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))

    @property
    def phrase(self) -> Phrase:
        """All problems, one a line."""
        named = [(f"p{place}", problem.phrase) for place, problem in enumerate(self.problems)]
        return Phrase("\n".join(f"%({name})s" for name, _ in named), tuple(named))

    @property
    def key(self) -> str:
        """Key path of the first problem."""
        return self.problems[0].key

    @property
    def found(self) -> str:
        """What the first problem found, in English."""
        return str(self.problems[0].found)

    @property
    def allowed(self) -> str:
        """What the first problem's key may hold, in English."""
        return str(self.problems[0].allowed)

    @property
    def advice(self) -> str:
        """What to do about the first problem, in English; may be empty."""
        return str(self.problems[0].advice or "")


class DocumentError(PlanError):
    """A plan file, a published plan body or a change to a plan is not valid."""


class PhraseError(PlanError):
    """A text is not a phrase that another process wrote."""


class CodebookError(PlanError):
    """A codebook is not valid, or a label or score is none that it knows."""


class RecordError(PlanError):
    """A screening record breaks the schema or does not fit the plan. Names fields, never their values."""


class LayoutError(PlanError):
    """A plan has no vector layout yet, or a vector is not one of this layout."""


def raise_if(error: type[PlanError], problems: Iterable[Problem]) -> None:
    """Raise `error` with all problems, if there are any."""
    found = tuple(problems)
    if found:
        raise error(*found)
