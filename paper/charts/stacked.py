"""Stacked bars: what share of each stage is at which level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paper.charts.svg import (
    INK,
    LINE,
    NOTE_SIZE,
    SOFT,
    TITLE_HEIGHT,
    Sheet,
    axis,
    clipped,
    short,
    text_width,
)
from paper.charts.values import ChartText, Value, described, told

ROW, THICK = 44, 24
LEGEND = 26
LABEL_WIDTH, RIGHT = 150, 130


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: its parts in the order of the legend, and what is written behind it.

    Attributes:
        parts: None for a part that is withheld.
        total: the whole, with its interval; drawn as an error bar at the end.
    """

    label: str
    parts: tuple[Value | None, ...]
    total: Value | None = None


def stacked_bars(text: ChartText, legend: Sequence[str], rows: Sequence[Bar], most: float = 100.0) -> str:
    """Draw horizontal stacked bars.

    Args:
        text: the chart's words.
        legend: names of the parts, mild to severe.
        rows: the bars, from above.
        most: where the axis ends at the latest, such as 100 for percent.
    """
    sheet = Sheet(text, TITLE_HEIGHT + LEGEND + ROW * len(rows) + 28)
    ends = [max(sum(p.value for p in row.parts if p), row.total.high if row.total else 0) for row in rows]
    marks = axis(max(ends, default=0), most)
    scale = (sheet.width - LABEL_WIDTH - RIGHT) / marks[-1]
    _legend(sheet, legend)
    begin, end = TITLE_HEIGHT + LEGEND, TITLE_HEIGHT + LEGEND + ROW * len(rows)
    for tick in marks:
        x = LABEL_WIDTH + tick * scale
        sheet.line([(x, begin), (x, end)], LINE)
        sheet.write(x, end + 16, f"{short(tick)}{text.unit}", anchor="middle", size=NOTE_SIZE, colour=SOFT)
    for place, row in enumerate(rows):
        _bar(sheet, begin + ROW * place, row, scale, text)
    return sheet.finish(described((_said(row, legend, text) for row in rows), text))


def _legend(sheet: Sheet, legend: Sequence[str]) -> None:
    x = float(LABEL_WIDTH)
    for place, name in enumerate(legend):
        sheet.box(x, TITLE_HEIGHT, 14, 14, sheet.fill(place), INK)
        sheet.write(x + 20, TITLE_HEIGHT + 12, name)
        x += 20 + text_width(name) + 24


def _bar(sheet: Sheet, y: float, row: Bar, scale: float, text: ChartText) -> None:
    sheet.write(LABEL_WIDTH - 10, y + 25, clipped(row.label, LABEL_WIDTH - 12), anchor="end")
    x, above = float(LABEL_WIDTH), y + (ROW - THICK) / 2
    for place, part in enumerate(row.parts):
        if part is None:
            continue
        width = part.value * scale
        sheet.box(x, above, width, THICK, sheet.fill(place), INK)
        label = f"{part.value:.1f}%" if text.unit == "%" else f"{part.value:g}"
        if width > text_width(label, NOTE_SIZE) + 8:
            middle = x + width / 2
            sheet.box(
                middle - text_width(label, NOTE_SIZE) / 2 - 2,
                above + 4,
                text_width(label, NOTE_SIZE) + 4,
                15,
                "#fff",
            )
            sheet.write(middle, above + 16, label, anchor="middle", size=NOTE_SIZE)
        x += width
    words = row.total.words + text.unit if row.total else text.withheld
    if row.total:
        _whisker(sheet, LABEL_WIDTH, above + THICK + 5, row.total, scale)
        x = max(x, LABEL_WIDTH + row.total.high * scale)
    sheet.write(x + 8, y + 26, clipped(words, sheet.width - x - 8))


def _whisker(sheet: Sheet, begin: float, y: float, value: Value, scale: float) -> None:
    low, high = begin + value.low * scale, begin + value.high * scale
    sheet.line([(low, y), (high, y)], INK, 1.6)
    for x in (low, high):
        sheet.line([(x, y - 3), (x, y + 3)], INK, 1.6)


def _said(row: Bar, legend: Sequence[str], text: ChartText) -> str:
    parts = [told(name, part, text) for name, part in zip(legend, row.parts, strict=True)]
    whole = f" ({row.total.words}{text.unit})" if row.total else ""
    return f"{row.label}{whole}: {', '.join(parts)}"
