"""A report as words and numbers, from which any form is written: a workbook of sheets, a brief of chapters.

Numbers come rounded as people may see them, with their margins; nothing here or behind knows more. Texts that
people wrote (names, titles) are cleaned where a document is made, see `paper.text`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final, Literal, TypeAlias

from paper.charts.values import Value
from results.showing import Display


@dataclass(frozen=True, slots=True)
class Figure:
    """An estimated number as it is printed: rounded, with its margin, or why there is none."""

    display: Display

    @property
    def value(self) -> float | None:
        """The rounded number; None if there is none to print."""
        return self.display.value

    @property
    def margin(self) -> float:
        """Half-width of its 95 % interval."""
        return self.display.margin or 0

    @property
    def decimals(self) -> int:
        """How many decimals are written."""
        return self.display.decimals


ABSENT: Final = None
"""A cell that the plan does not count: a structural zero, written as a dash."""

Cell: TypeAlias = str | int | float | Figure | None
ColumnKind: TypeAlias = Literal["name", "text", "figure", "number"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; a workbook gives a `figure` two, the second for the margin.

    Attributes:
        share: of the page's width beside the other columns; 0 for one that follows from the cells.
    """

    name: str
    kind: ColumnKind = "figure"
    share: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """One table.

    Attributes:
        is_shaded: the rows of these tables are shaded by the size of their numbers (a heat table).
        is_whole: its rows stand on one page; for tables of a few rows.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    is_shaded: bool = False
    is_whole: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A series of numbers of a drawing, one per category."""

    name: str
    values: tuple[Value | None, ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart as data; workbooks draw it themselves, every other form takes the SVG.

    Attributes:
        kind: what is drawn; a `matrix` is a heat table, so a workbook shades its table instead.
        name: unique in the document; letters, digits, hyphens.
        totals: of a `stacked` drawing: the whole of each bar.
        axes: names of rows and columns of a `matrix`.
    """

    kind: Literal["stacked", "lines", "bars", "funnel", "matrix"]
    name: str
    title: str
    unit: str
    categories: tuple[str, ...]
    lines: tuple[Line, ...]
    totals: tuple[Value | None, ...] = ()
    axes: tuple[str, str] = ("", "")
    note: str = ""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A sentence or several; `note` is smaller, `item` stands in a list, `warning` has a frame, `code` is one
    line for a machine."""

    text: str
    kind: Literal["body", "note", "item", "warning", "code"] = "body"


Block: TypeAlias = Table | Drawing | Paragraph


@dataclass(frozen=True, slots=True)
class Part:
    """A sheet of a workbook, or a chapter of a brief.

    Attributes:
        name: of the sheet's tab; empty for a chapter.
        title: its heading.
        unit: what its numbers count; empty for none.
        is_annex: whether it stands behind the body.
    """

    title: str
    blocks: tuple[Block, ...]
    name: str = ""
    unit: str = ""
    is_annex: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """What stands on every page of a document, and on its first.

    Attributes:
        title, subtitle: its heading.
        place: who made it: the federation's title.
        mark: the release class.
        notice: that these are estimates.
        facts: what it is about, name and value.
        sign: names of the lines to fill in by hand.
        footers: the standing sentences.
        day: for the file's own properties.
        language: as pages name it, such as `zh-CN`.
        withheld: stands for a number that is too small or too uncertain.
        alarms: names of the facts that nobody may read past; their values are red.
    """

    title: str
    subtitle: str
    place: str
    mark: str
    notice: str
    facts: tuple[tuple[str, str], ...]
    sign: tuple[str, ...]
    footers: tuple[str, ...]
    day: date
    language: str
    withheld: str
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report."""

    head: Head
    parts: tuple[Part, ...]


DASH: Final = "—"


def figure_text(figure: Figure, withheld: str) -> str:
    """Write an estimate with its margin, or the words for what is withheld."""
    words = figure.display.text(withheld)
    return words if figure.value is None else f"{words} ± {figure.margin:.{figure.decimals}f}"


def cell_text(cell: Cell, withheld: str) -> str:
    """Write any cell."""
    if cell is ABSENT:
        return DASH
    if isinstance(cell, Figure):
        return figure_text(cell, withheld)
    return f"{cell:g}" if isinstance(cell, float) else str(cell)
