"""Pages in the reader's language: templates, and the words of codes.

Each language has its own environment with its own catalogue; nothing here depends on the process's language,
so pages in both are made at the same time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment

from coordinator.account_rules import ROLE_WORDS
from pages.speech import (
    LANGUAGES,
    TAGS,
    default_language,
    make_environment,
    minute,
    sentence,
    translator,
)
from plan import words
from plan.errors import Phrase, told

TEMPLATES: Final = Path(__file__).with_name("templates")
STATIC: Final = Path(__file__).with_name("static")


def _(message: str) -> str:
    """Mark a word for the translation catalogue."""
    return message


ACTIONS: Final[Mapping[str, str]] = {
    "log-in": _("log-in"),
    "log-out": _("log-out"),
    "set-up": _("first passphrase"),
    "change-passphrase": _("passphrase changed"),
    "propose-second": _("second factor begun"),
    "confirm-second": _("second factor switched on"),
    "drop-second": _("second factor switched off"),
    "end-sessions": _("other sessions ended"),
    "add-account": _("account made"),
    "enable-account": _("account let in"),
    "disable-account": _("account shut"),
    "give-role": _("role given"),
    "issue-code": _("set-up code issued"),
    "unlock-account": _("account unlocked"),
    "close-round": _("early close asked for"),
    "read-board": _("reporting board read"),
    "take-missing-list": _("list of missing schools taken"),
    "read-results": _("results read"),
    "take-report": _("report taken"),
    "save-facts": _("facts of a school saved"),
    "save-progress": _("progress statement saved"),
    "take-journal": _("journal taken"),
    "read-journal": _("journal read"),
}
"""What stands in the journal."""

OUTCOMES: Final[Mapping[str, str]] = {"done": _("done"), "asked": _("asked for"), "refused": _("refused")}

SAID: Final[Mapping[str, str]] = {
    "logged-out": _("You are logged out."),
    "passphrase": _("Your passphrase is changed; your other sessions have ended."),
    "second-off": _("No second factor is asked for any more."),
    "sessions": _("Your other sessions have ended."),
    "account": _("The account is made. The security administrator gives it a role and a set-up code."),
    "enabled": _("The account may log in again."),
    "disabled": _("The account may no longer log in, and its sessions have ended."),
    "role": _("The role is given; whoever used the account is logged out."),
    "unlocked": _("The account may try again at once."),
    "closing": _("The early close is asked for; the coordinator does it at its next look."),
    "facts": _("The facts are saved."),
    "progress": _("The statement is saved."),
}
"""Sentences for the top of the page after a form."""

BOARD_STATES: Final[Mapping[str, str]] = {
    "reported": _("reported"),
    "missing": _("missing"),
    "overdue": _("overdue"),
    "excluded": _("left out"),
    "revoked": _("revoked"),
}
"""Where a school stands on the reporting board."""

PARTIES: Final[Mapping[str, str]] = {
    "node": _("school"),
    "auditor": _("auditor"),
    "ca": _("certificate authority"),
    "server": _("server"),
}
"""Whose certificate it is."""

CLASSES: Final[Mapping[str, str]] = {
    "internal": _("internal"),
    "on-request": _("on request"),
    "public": _("public"),
}
"""Release classes of a plan."""

FACT_WORDS: Final[Mapping[str, str]] = {
    "是": "yes",
    "否": "no",
    "不适用": "not applicable",
    "城区": "city",
    "镇区": "town",
    "乡村": "village",
    "小学高段": "primary",
    "小学": "primary",
    "初中": "junior",
    "高中": "senior",
    "中职": "vocational",
    "办公接待": "office",
    "个体辅导": "individual",
    "团体辅导": "group",
    "沙盘": "sandplay",
    "宣泄": "release",
    "学校": "school",
    "年级": "grade",
    "班级": "class",
    "无": "none",
    "1万元以下": "below 10,000 yuan",
    "1万至5万元": "10,000 to 50,000 yuan",
    "5万至10万元": "50,000 to 100,000 yuan",
    "10万元及以上": "100,000 yuan or more",
    "人": "people",
    "个": "number",
    "小时": "hours",
    "课时": "lessons",
    "次": "times",
    "场": "times",
    "学时": "hours",
}
"""English words of the codes and units of a school's conditions, for readers of English."""

KINDS: Final[Mapping[str, str]] = {
    "xlsx": _("workbook (xlsx)"),
    "csv.zip": _("tables (csv)"),
    "json": _("data (json)"),
    "html": _("brief (html)"),
    "pdf": _("brief (pdf)"),
    "docx": _("brief (docx)"),
}
"""Reports to take away."""

TABLES: Final[Mapping[str, Mapping[str, str]]] = {
    "role": ROLE_WORDS,
    "party": PARTIES,
    "kind": KINDS,
    "standing": words.STANDINGS,
    "class": CLASSES,
    "action": ACTIONS,
    "outcome": OUTCOMES,
    "board": BOARD_STATES,
    "state": words.ROUND_STATES,
    "reason": words.REASONS,
    "statement": words.STATEMENTS,
    "verdict": words.VERDICTS,
}


@functools.cache
def make_templates(language: str) -> Environment:
    """Load and compile every template for a language."""
    environment = make_environment([TEMPLATES])
    catalogue = translator(language)
    environment.install_gettext_callables(catalogue.gettext, catalogue.ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.globals |= {
        "languages": LANGUAGES,
        "tags": TAGS,
        "language": language,
        "word": word_of(catalogue.gettext),
        "fact_word": lambda chinese: FACT_WORDS.get(chinese, chinese) if language == "en" else chinese,
    }
    environment.filters |= {
        "minute": minute,
        "day": lambda moment: minute(moment)[:10],
        "short": lambda text: str(text)[:16],
        "phrase": functools.partial(_text, catalogue.gettext),
        "sentence": sentence,
        "tr": catalogue.gettext,
    }
    for name in environment.list_templates(extensions=["html"]):
        environment.get_template(name)
    return environment


def _text(translate: Callable[[str], str], words_: Phrase) -> str:
    return words_.text(translate)


def word_of(translate: Callable[[str], str]) -> Callable[[str, Any], str]:
    """Give the function that says a code of a table of `TABLES`."""
    return lambda table, code: words.word(TABLES[table], str(code), translate)


def refusal(err: Exception, translate: Callable[[str], str]) -> str:
    """Say why something was refused."""
    return sentence(told(err, translate))


__all__ = [
    "LANGUAGES",
    "SAID",
    "STATIC",
    "TABLES",
    "default_language",
    "make_templates",
    "minute",
    "refusal",
    "sentence",
    "translator",
    "word_of",
]
