"""Printing sentences to a terminal: Chinese has no spaces to break a line at."""

from __future__ import annotations

from collections.abc import Iterable
from gettext import gettext as _

from rich.console import Console
from rich.text import Text


def say(console: Console, words: str, style: str = "") -> None:
    """Print a sentence; one with Chinese in it is left to the terminal to break."""
    has_chinese = any("\u4e00" <= char <= "\u9fff" for char in words)
    console.print(Text(words, style=style), soft_wrap=has_chinese)


def say_rows(console: Console, rows: Iterable[tuple[str, str]]) -> None:
    """Print names and values, one a line."""
    for name, value in rows:
        say(console, _("%(name)s: %(found)s") % {"name": name, "found": value})
