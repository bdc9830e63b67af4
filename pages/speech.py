"""Pages in the reader's language: an environment of templates for each, and times as people read them.

Each language has its own environment with its own catalogue; nothing here depends on the process's language,
so pages in both are made at the same time.
"""

from __future__ import annotations

import gettext
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from plan.errors import told

DOMAIN: Final = "fedscreen"
LANGUAGES: Final[Mapping[str, str]] = {"zh_CN": "中文", "en": "English"}
TAGS: Final[Mapping[str, str]] = {"zh_CN": "zh-CN", "en": "en"}
TEMPLATES: Final = Path(__file__).with_name("templates")
STATIC: Final = Path(__file__).with_name("static")


def translator(language: str) -> gettext.NullTranslations:
    """Give a language's catalogue; English where there is none."""
    return gettext.translation(DOMAIN, gettext.bindtextdomain(DOMAIN), [language], fallback=True)


def default_language(environ: Mapping[str, str]) -> str:
    """Give the language in which this process was started (`fedscreen.language.speak` set it)."""
    return "en" if environ.get("LANGUAGE", "").lower().startswith("en") else "zh_CN"


def make_environment(folders: Sequence[Path]) -> Environment:
    """Make an environment over templates of these folders and the shared ones; nothing is compiled yet."""
    return Environment(
        loader=FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )


def refusal(err: Exception, catalogue: gettext.NullTranslations) -> str:
    """Say why something was refused."""
    return sentence(told(err, catalogue.gettext))


def minute(moment: object) -> str:
    """Show a time as this computer's own, to the minute: a datetime, ISO text, or milliseconds."""
    if isinstance(moment, int):
        moment = datetime.fromtimestamp(moment / 1000, UTC)
    try:
        found = moment if isinstance(moment, datetime) else datetime.fromisoformat(str(moment))
    except ValueError:
        return str(moment)
    return found.astimezone().strftime("%Y-%m-%d %H:%M")


def sentence(text: str) -> str:
    """Begin a message with a capital letter; commands print it behind a word, pages do not."""
    return text[:1].upper() + text[1:]
