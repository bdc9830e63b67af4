"""In which language a report speaks: its own, whatever the process around it speaks.

Messages are the catalogue's, marked with `_` as everywhere; `Speech.say` looks them up in the report's
language. Labels of codes are Chinese where the plan defines them and have English words in `words.py`.
"""

from __future__ import annotations

import functools
import gettext
from dataclasses import dataclass
from typing import Final

from paper.errors import PaperError
from plan.errors import phrase

DOMAIN: Final = "fedscreen"
CHINESE: Final = "zh_CN"
ENGLISH: Final = "en"
LANGUAGES: Final = (CHINESE, ENGLISH)
_TAGS: Final = {CHINESE: "zh-CN", ENGLISH: "en"}


@dataclass(frozen=True, slots=True)
class Speech:
    """One language of reports: `zh_CN` or `en`."""

    language: str

    def say(self, message: str) -> str:
        """Translate a message of the catalogue."""
        if self.language == ENGLISH:
            return message
        return _catalogue(gettext.bindtextdomain(DOMAIN)).gettext(message)

    @property
    def is_chinese(self) -> bool:
        """Say whether labels are taken as the plan writes them."""
        return self.language == CHINESE

    @property
    def tag(self) -> str:
        """The language as pages and documents name it."""
        return _TAGS[self.language]

    def choose(self, chinese: str, english: str) -> str:
        """Choose between words that are written in both languages."""
        return chinese if self.is_chinese else english


def speech_of(language: str) -> Speech:
    """Give the speech of a language.

    Raises:
        PaperError: a language that reports do not speak.
    """
    if language not in LANGUAGES:
        raise PaperError(
            phrase("language of a report: expected zh_CN or en, found '%(found)s'", found=language[:20])
        )
    return Speech(language)


@functools.lru_cache(maxsize=4)
def _catalogue(folder: str) -> gettext.NullTranslations:
    try:
        return gettext.translation(DOMAIN, folder, [CHINESE])
    except OSError as err:
        raise PaperError(
            phrase("no Chinese catalogue in %(folder)s; install the package whole", folder=folder)
        ) from err
