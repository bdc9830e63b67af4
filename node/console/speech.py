"""Pages in the reader's language: templates, and the words that come in them.

The commands' own functions (`node.cli_text` and others) speak the language that `LANGUAGE` names, and so do
the templates; it is set for the time of one page, under a lock, because it belongs to the whole process.
"""

from __future__ import annotations

import functools
import gettext
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from jinja2 import Environment

from node import cli_budget, cli_text, cli_words, follow_up_words
from node.cell_words import ENGLISH, cell_word, title_of
from node.errors import _ as N_  # translated where it is shown
from node.local_report import words as report_words
from node.vault.follow_up_form import LABELS
from pages.speech import LANGUAGES, TAGS, make_environment, sentence
from plan import words
from plan.codes import FIELD_CODES, GRADE, LEVEL, UNKNOWN

TEMPLATES: Final = Path(__file__).with_name("templates")
STATIC: Final = Path(__file__).with_name("static")

LINKS: Final[Mapping[str, str]] = {"log": N_("the county's log"), "report": N_("sending a report")}
"""What a node asks the county for."""
ON_A_PAGE: Final[Mapping[str, str]] = {
    "Correct the value and run the command again.": N_("Correct the value and send the form again."),
    "Correct the command and run it again.": N_("Correct the value and send the form again."),
    "Nothing is half done: run the command again.": N_("Nothing is half done: try again."),
    "Close it in other programs and give the command again; nothing was changed.": N_(
        "Close it in other programs and try again; nothing was changed."
    ),
    "Free some space on it and run the command again; nothing is lost and nothing is half done.": N_(
        "Free some space on it and try again; nothing is lost and nothing is half done."
    ),
}
"""Advice that speaks of a command, as it reads on a page."""
CODES: Final[Mapping[str, Mapping[str, str]]] = {**FIELD_CODES, **LABELS, "level": LEVEL, "grade": GRADE}

_LOCK = threading.RLock()


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Speak a language for a while; others wait."""
    with _LOCK:
        before = os.environ.get("LANGUAGE")
        os.environ["LANGUAGE"] = language
        try:
            yield
        finally:
            if before is None:
                del os.environ["LANGUAGE"]
            else:
                os.environ["LANGUAGE"] = before


@functools.cache
def make_templates() -> Environment:
    """Load and compile every template, so that the first page is as fast as the others."""
    environment = make_environment([TEMPLATES])
    environment.install_gettext_callables(gettext.gettext, gettext.ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.globals |= {
        "languages": LANGUAGES,
        "tags": TAGS,
        "word": _word,
        "follow_up_word": lambda table, code: _in_words(follow_up_words, table, code),
        "role_word": role_word,
        "title_of": title_of,
        "code_word": code_word,
        "cell_word": cell_word,
        "wave_word": wave_word,
        "class_word": class_word,
        "handed_word": handed_word,
        "link_word": link_word,
        "floor_word": lambda name: _in_words(cli_words, "FLOORS", name),
        "percent": lambda part, whole: float(Fraction(part) / Fraction(whole)) if Fraction(whole) else 1.0,
    }
    environment.filters |= {
        "fill": fill,
        "decimal": cli_text.rational,
        "minute": minute,
        "day": lambda text: minute(text)[:10],
        "sentence": sentence,
        "part": cli_text.part_name,
        "short": lambda text: str(text)[: cli_text.SHORT],
        "issue": cli_text.issue_words,
        "ranges": cli_text.ranges,
        "source": cli_budget.source,
    }
    for name in environment.list_templates(extensions=["html"]):
        environment.get_template(name)
    return environment


def minute(text: str) -> str:
    """Show a UTC time as this computer's own, to the minute."""
    try:
        return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M")
    except (TypeError, ValueError):
        return str(text)


def fill(template: str, details: Mapping[str, Any]) -> str:
    """Translate a message and fill it in; what it says about commands is said about forms."""
    return cli_text.fill(ON_A_PAGE.get(template, template), details)


def role_word(role: str) -> str:
    """Say a role in the reader's language."""
    return words.word(words.ROLE_WORDS, role, gettext.gettext)


def code_word(field: str, code: str) -> str:
    """Say a code of a pupil's record: its label in Chinese; in other languages the report's words."""
    if os.environ.get("LANGUAGE") == "zh_CN":
        return CODES.get(field, {}).get(code, code)
    plain = {"0": report_words.NO, "1": report_words.YES, UNKNOWN: report_words.UNKNOWN}
    labels = CODES.get(field, {})
    return gettext.gettext(ENGLISH.get(field, plain).get(code, labels.get(code, code)))


def wave_word(code: str) -> str:
    """Say a wave in the reader's language."""
    return words.word(report_words.WAVES, code, gettext.gettext)


def link_word(call: str) -> str:
    """Say what a node asks the county for."""
    return words.word(LINKS, call, gettext.gettext)


def class_word(grade: str, number: str) -> str:
    """Say grade and class; a class that has a name keeps it."""
    found = code_word("grade", grade)
    if not number:
        return found
    if not number.isdigit():
        return f"{found} {number}"
    return gettext.gettext(N_("%(grade)s, class %(number)s")) % {"grade": found, "number": number}


def handed_word(field: str, text: str) -> str:
    """Say a field of a hand-over file, which has codes with their Chinese labels."""
    code, _sign, label = text.partition(" ")
    return code_word(field, code) if FIELD_CODES.get(field, {}).get(code) == label else text


def _word(table: str, code: Any) -> str:
    """Say a stable code in the reader's language; `table` is a name of `plan.words`."""
    return _in_words(words, table, code)


def _in_words(module: ModuleType, table: str, code: Any) -> str:
    return words.word(getattr(module, table), str(code), gettext.gettext)
