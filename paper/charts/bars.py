"""Bars with error bars: one number per name, such as the share of pupils with a high factor."""

from __future__ import annotations

from collections.abc import Sequence

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
)
from paper.charts.values import ChartText, Value, described, told

ROW, THICK = 30, 16
LABEL_WIDTH, RIGHT = 190, 130
FILL, ACCENT_EDGE = "#7ba7c9", "#1f5f8b"


def bars(text: ChartText, items: Sequence[tuple[str, Value | None]], most: float = float("inf")) -> str:
    """Draw horizontal bars in the order given, with their 95 % intervals.

    Args:
        text: the chart's words.
        items: names and numbers; None is withheld.
        most: where the axis ends at the latest.
    """
    sheet = Sheet(text, TITLE_HEIGHT + ROW * len(items) + 26)
    marks = axis(max((value.high for _name, value in items if value), default=0), most)
    scale = (sheet.width - LABEL_WIDTH - RIGHT) / marks[-1]
    end = TITLE_HEIGHT + ROW * len(items)
    for tick in marks:
        x = LABEL_WIDTH + tick * scale
        sheet.line([(x, TITLE_HEIGHT), (x, end)], LINE)
        sheet.write(x, end + 16, f"{short(tick)}{text.unit}", anchor="middle", size=NOTE_SIZE, colour=SOFT)
    for place, (name, value) in enumerate(items):
        _bar(sheet, TITLE_HEIGHT + ROW * place, name, value, scale, text)
    return sheet.finish(described((told(name, value, text) for name, value in items), text))


def _bar(sheet: Sheet, y: float, name: str, value: Value | None, scale: float, text: ChartText) -> None:
    middle = y + ROW / 2
    sheet.write(LABEL_WIDTH - 10, middle + 5, clipped(name, LABEL_WIDTH - 12), anchor="end")
    if value is None:
        sheet.write(LABEL_WIDTH + 8, middle + 5, text.withheld, colour=SOFT)
        return
    sheet.box(LABEL_WIDTH, middle - THICK / 2, value.value * scale, THICK, FILL, ACCENT_EDGE)
    low, high = LABEL_WIDTH + value.low * scale, LABEL_WIDTH + value.high * scale
    if value.margin:
        sheet.line([(low, middle), (high, middle)], INK, 1.6)
        for x in (low, high):
            sheet.line([(x, middle - 5), (x, middle + 5)], INK, 1.6)
    sheet.write(high + 8, middle + 5, f"{value.words}{text.unit}")
