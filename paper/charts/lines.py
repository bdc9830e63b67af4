"""Lines with error bars: a rate over the grades, one line per group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from paper.charts.svg import (
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

HEIGHT, LEFT, RIGHT, LEGEND, FOOT = 240, 52, 16, 26, 46
STYLES = (("#1f5f8b", ""), ("#a8382b", "6 3"), ("#4d6b2f", "2 3"), ("#52616f", "8 3 2 3"))
MARK = 4.5


@dataclass(frozen=True, slots=True)
class Series:
    """One line: a name, and a number per category; None is withheld."""

    name: str
    values: tuple[Value | None, ...]


def lines(text: ChartText, categories: Sequence[str], series: Sequence[Series], most: float = 100.0) -> str:
    """Draw lines over categories, with 95 % intervals; where a number is withheld the line breaks.

    Args:
        text: the chart's words.
        categories: names below the axis.
        series: the lines; markers and dashes tell them apart.
        most: where the axis ends at the latest.
    """
    sheet = Sheet(text, TITLE_HEIGHT + LEGEND + HEIGHT + FOOT)
    known = [value for row in series for value in row.values if value]
    marks = axis(max((value.high for value in known), default=0), most)
    begin = TITLE_HEIGHT + LEGEND
    bottom, scale = begin + HEIGHT, HEIGHT / marks[-1]
    for tick in marks:
        y = bottom - tick * scale
        sheet.line([(LEFT, y), (sheet.width - RIGHT, y)], LINE)
        sheet.write(LEFT - 8, y + 4, f"{short(tick)}{text.unit}", anchor="end", size=NOTE_SIZE, colour=SOFT)
    step = (sheet.width - LEFT - RIGHT) / max(len(categories), 1)
    for place, name in enumerate(categories):
        shown = clipped(name, step - 2, NOTE_SIZE)
        sheet.write(LEFT + step * (place + 0.5), bottom + 18, shown, anchor="middle", size=NOTE_SIZE)
    _withheld(sheet, categories, series, step, bottom, text)
    _legend(sheet, series)
    for number, row in enumerate(series):
        shift = (number - (len(series) - 1) / 2) * 11
        _line(sheet, number, list(_places(row, step, shift, bottom, scale)))
    return sheet.finish(described((_said(row, categories, text) for row in series), text))


def _said(row: Series, categories: Sequence[str], text: ChartText) -> str:
    named = zip(categories, row.values, strict=True)
    return f"{row.name}: {', '.join(told(name, value, text) for name, value in named)}"


_Spot = tuple[float, float, float, float]


def _places(row: Series, step: float, shift: float, bottom: float, scale: float) -> Iterator[_Spot | None]:
    """Yield x, y and the ends of the error bar of each number."""
    for place, value in enumerate(row.values):
        if value is None:
            yield None
            continue
        x = LEFT + step * (place + 0.5) + shift
        low, high = bottom - value.low * scale, bottom - value.high * scale
        yield x, bottom - value.value * scale, low, high


def _line(sheet: Sheet, number: int, spots: list[_Spot | None]) -> None:
    colour, dash = STYLES[number % len(STYLES)]
    for one, other in pairwise(spots):
        if one and other:
            sheet.line([one[:2], other[:2]], colour, 1.8, dash)
    for spot in spots:
        if spot:
            x, y, low, high = spot
            sheet.line([(x, low), (x, high)], colour, 1.2)
            for end in (low, high):
                sheet.line([(x - 4, end), (x + 4, end)], colour, 1.2)
            _mark(sheet, number, x, y)


def _mark(sheet: Sheet, number: int, x: float, y: float) -> None:
    colour = STYLES[number % len(STYLES)][0]
    shapes = (
        [(x - MARK, y - MARK), (x + MARK, y - MARK), (x + MARK, y + MARK), (x - MARK, y + MARK)],
        [(x, y - MARK - 1), (x + MARK + 1, y + MARK), (x - MARK - 1, y + MARK)],
        [(x, y - MARK - 1), (x + MARK + 1, y), (x, y + MARK + 1), (x - MARK - 1, y)],
        [(x - MARK - 1, y - MARK), (x + MARK + 1, y - MARK), (x, y + MARK + 1)],
    )
    sheet.shape(shapes[number % len(shapes)], "#fff" if number % 2 else colour, colour)


def _legend(sheet: Sheet, series: Sequence[Series]) -> None:
    x, y = float(LEFT), TITLE_HEIGHT + 7.0
    for number, row in enumerate(series):
        colour, dash = STYLES[number % len(STYLES)]
        sheet.line([(x, y), (x + 30, y)], colour, 1.8, dash)
        _mark(sheet, number, x + 15, y)
        sheet.write(x + 36, y + 5, row.name)
        x += 36 + text_width(row.name) + 24


def _withheld(
    sheet: Sheet,
    categories: Sequence[str],
    series: Sequence[Series],
    step: float,
    bottom: float,
    text: ChartText,
) -> None:
    """Write below a category that numbers of it are not shown."""
    for place in range(len(categories)):
        if any(row.values[place] is None for row in series):
            x = LEFT + step * (place + 0.5)
            words = clipped(text.withheld, step - 2, 10)
            sheet.write(x, bottom + 34, words, anchor="middle", size=10, colour=SOFT)
