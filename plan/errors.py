"""Errors of the plan room; callers catch `PlanError`.

Every problem names the key path, what was found there, what is allowed and, where it helps, what to do.
The words are `Phrase`s: an English message id with its values apart, so that a command can show them in
the reader's language (`str` gives English). No problem repeats a value of a pupil's record.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence and the values that go into it, kept apart for translation.

    Attributes:
        msgid: the English text with `%(name)s` places.
        values: pairs of a place's name and its value.
    """

    msgid: str
    values: tuple[tuple[str, str | int], ...] = ()

    def text(self, translate: Callable[[str], str] = str) -> str:
        """Return the sentence; `translate` is a gettext function (English without one)."""
        return translate(self.msgid) % dict(self.values)

    def __str__(self) -> str:
        return self.text()


def phrase(msgid: str, /, **values: str | int) -> Phrase:
    """Make a phrase; message extraction looks for calls of this name."""
    return Phrase(msgid, tuple(values.items()))


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

    def text(self, translate: Callable[[str], str] = str) -> str:
        """Return the problem as one line."""
        line = phrase(
            "%(key)s: found %(found)s; allowed: %(allowed)s",
            key=self.key or phrase("the file").text(translate),
            found=self.found.text(translate),
            allowed=self.allowed.text(translate),
        ).text(translate)
        return f"{line} ({self.advice.text(translate)})" if self.advice else line

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
