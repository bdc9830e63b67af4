"""Which language people are spoken to in: zh_CN first, English on request.

`FEDSCREEN_LANG` decides; without it a locale that names English gives English, everything else
gives Chinese. What programs read (`--json`, logs, exit codes) is English and never translated.
"""

from __future__ import annotations

import gettext
from collections.abc import Mapping, MutableMapping
from pathlib import Path

DOMAIN = "fedscreen"
LOCALE_DIR = Path(__file__).resolve().parent / "locale"


def choose_language(environ: Mapping[str, str]) -> str:
    """Pick the language from the environment: `zh_CN` or `en`."""
    wanted = environ.get("FEDSCREEN_LANG", "")
    if wanted:
        return "en" if wanted.lower().startswith("en") else "zh_CN"
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if environ.get(name):
            return "en" if environ[name].lower().startswith("en") else "zh_CN"
    return "zh_CN"


def speak(environ: MutableMapping[str, str]) -> None:
    """Set the language for this process and its children, before any message is looked up.

    `gettext` reads `LANGUAGE` at every call and falls back to the (English) message ids.
    """
    environ["LANGUAGE"] = choose_language(environ)
    gettext.bindtextdomain(DOMAIN, str(LOCALE_DIR))
    gettext.textdomain(DOMAIN)
