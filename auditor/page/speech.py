"""The auditor's pages in the reader's language: templates, and the words of codes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment

from auditor.trip import printable
from pages import speech as shared
from pages.speech import LANGUAGES, TAGS, minute, sentence, translator
from plan import words
from plan.errors import Phrase, phrase_of

TEMPLATES: Final = Path(__file__).with_name("templates")
STATIC: Final = Path(__file__).with_name("static")


def _(message: str) -> str:
    """Mark a word for the translation catalogue."""
    return message


ROLES: Final[Mapping[str, str]] = {"keeper": _("key keeper"), "inspector": _("inspector, without keys")}
"""Who sits at the page."""

WORKS: Final[Mapping[str, str]] = {
    "sitting": _("second sitting"),
    "watch": _("watch"),
    "verify": _("verifying a bundle"),
    "bundle": _("writing a bundle"),
    "evidence": _("making an evidence pack"),
    "draw": _("drawing schools"),
    "trip": _("a trip by stick"),
}
"""What takes longer than a page."""

RELEASE_CLASSES: Final[Mapping[str, str]] = {
    "internal": _("internal"),
    "on-request": _("on request"),
    "public": _("public"),
}
"""Release classes of a plan."""

PROFILES: Final[Mapping[str, str]] = {
    "cn-minors-annual": _("yearly audit of minors' personal information"),
    "mlps3": _("multi-level protection, level 3"),
}
"""What an evidence pack is for."""

SIGNED: Final[Mapping[str, str]] = {
    "roster": _("roster"),
    "plan": _("plan"),
    "deadline": _("later deadline"),
}
"""What is signed at a trip."""

TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "profile": PROFILES,
    "signed": SIGNED,
    "item": words.TRIP_ITEMS,
    "role": ROLES,
    "work": WORKS,
    "class": RELEASE_CLASSES,
    "state": words.ROUND_STATES,
    "statement": words.STATEMENTS,
    "event": words.EVENTS,
    "check": words.CHECKS,
    "reason": words.CHANGE_REASONS,
    "party": words.PARTIES,
}


@functools.cache
def make_templates(language: str) -> Environment:
    """Load and compile every template for a language."""
    environment = shared.make_environment([TEMPLATES])
    catalogue = translator(language)
    environment.install_gettext_callables(catalogue.gettext, catalogue.ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.globals |= {
        "languages": LANGUAGES,
        "tags": TAGS,
        "language": language,
        "word": word_of(catalogue.gettext),
    }
    environment.filters |= {
        "minute": minute,
        "day": lambda moment: minute(moment)[:10],
        "short": lambda text: (text.hex() if isinstance(text, bytes) else str(text))[:16],
        "hex": lambda data: data.hex(),
        "phrase": functools.partial(_text, catalogue.gettext),
        "sentence": sentence,
        "rho": rho,
        "printable": printable,
    }
    for name in environment.list_templates(extensions=["html"]):
        environment.get_template(name)
    return environment


def _text(translate: Callable[[str], str], message: Phrase | Exception | str) -> str:
    return phrase_of(message).text(translate)


def word_of(translate: Callable[[str], str]) -> Callable[[str, Any], str]:
    """Give the function that says a code of a table of `TABLES`."""
    return lambda table, code: words.word(TABLES[table], str(code), translate)


def rho(value: Fraction) -> str:
    """Show a cost so that people can compare it with a bound."""
    return f"{float(value):.4g}"
