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

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from node import cli_budget, cli_text, follow_up_words
from node.cell_words import ENGLISH, cell_word, title_of
from node.local_report import words as report_words
from node.vault.follow_up_form import LABELS
from plan import words
from plan.codes import GRADE, LEVEL, UNKNOWN

LANGUAGES: Final[Mapping[str, str]] = {"zh_CN": "中文", "en": "English"}
TAGS: Final[Mapping[str, str]] = {"zh_CN": "zh-CN", "en": "en"}
TEMPLATES: Final = Path(__file__).with_name("templates")
STATIC: Final = Path(__file__).with_name("static")

CODES: Final[Mapping[str, Mapping[str, str]]] = {**LABELS, "level": LEVEL, "grade": GRADE}

_LOCK = threading.RLock()


def default_language(environ: Mapping[str, str]) -> str:
    """Give the language in which this process was started (`fedscreen.language.speak` set it)."""
    return "en" if environ.get("LANGUAGE", "").lower().startswith("en") else "zh_CN"


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
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
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
        "percent": lambda part, whole: float(Fraction(part) / Fraction(whole)) if Fraction(whole) else 1.0,
    }
    environment.filters |= {
        "fill": cli_text.fill,
        "decimal": cli_text.rational,
        "minute": minute,
        "day": lambda text: minute(text)[:10],
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


def _word(table: str, code: Any) -> str:
    """Say a stable code in the reader's language; `table` is a name of `plan.words`."""
    return _in_words(words, table, code)


def _in_words(module: ModuleType, table: str, code: Any) -> str:
    return words.word(getattr(module, table), str(code), gettext.gettext)
