"""A report as words and numbers, from which any form can be written: heading, figures, sections, footers."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from datetime import datetime
from gettext import gettext as _

from node.local_report import words


@dataclass(frozen=True, slots=True)
class Share:
    """A share of two printed counts, 0 to 1; shown in percent."""

    value: float

    @property
    def text(self) -> str:
        """Give the share as people read it."""
        return f"{100 * self.value:.1f} %"


Cell = str | int | Share | None
"""None is a cell that is not printed because it is too small."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table; the first `num_heads` columns name the row."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    num_heads: int = 1
    has_total: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """One part of the report."""

    title: str
    tables: tuple[Table, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A report, ready for any form.

    Attributes:
        mark: the class of the document, such as 内部.
        watermark: who made it, when and why; stands on every page.
        facts: what the report is about, name and value.
        figures: the most important numbers, name and value.
        sign: names of the lines for signatures.
        is_secret: whether it holds exact numbers or names.
        date: day it was made, for the file's own properties.
    """

    title: str
    subtitle: str
    mark: str
    watermark: str
    facts: tuple[tuple[str, str], ...]
    figures: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    notes: tuple[str, ...]
    footers: tuple[str, ...]
    sign: tuple[str, ...]
    is_secret: bool
    date: datetime
    warning: str = ""
    language: str = "zh-CN"


def cell_text(cell: Cell) -> str:
    """Give a cell as text."""
    if cell is None:
        return _(words.TOO_SMALL)
    return cell.text if isinstance(cell, Share) else str(cell)


def is_word(cell: Cell) -> bool:
    """Say whether a cell holds words, which stand on the left; numbers stand on the right."""
    return isinstance(cell, str) and not cell[:1].isdigit()


def display_width(text: str) -> int:
    """Give how many narrow characters wide a text is shown; a Chinese one takes two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)
