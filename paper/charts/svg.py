"""A sheet to draw on: the few SVG elements that charts need, and the scale of an axis."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from html import escape
from typing import Final

from paper.charts.values import ChartText
from paper.text import clean

WIDTH: Final = 720
FONTS: Final = (
    "Source Han Sans SC, Noto Sans CJK SC, Microsoft YaHei, PingFang SC, WenQuanYi Micro Hei, "
    "Droid Sans Fallback, sans-serif"
)
INK: Final = "#1d2733"
SOFT: Final = "#52616f"
LINE: Final = "#c9d2db"
ACCENT: Final = "#1f5f8b"
FILLS: Final = ("#f0c96b", "#e08b3e", "#a8382b", "#8d99a6", "#5c7fa3")
"""From mild to severe, then others; each darker than the one before and with a pattern of its own."""

SIZE: Final = 13
NOTE_SIZE: Final = 11
MAX_STEPS: Final = 5
TITLE_HEIGHT: Final = 34
NOTE_HEIGHT: Final = 24
_STRIPES: Final = (
    '<path d="M0 8L8 0" stroke="#fff" stroke-width="1.4"/>',
    '<path d="M0 0L8 8M0 8L8 0" stroke="#fff" stroke-width="1"/>',
    "",
    '<path d="M0 4H8" stroke="#fff" stroke-width="1.6"/>',
    '<path d="M4 0V8" stroke="#fff" stroke-width="1.6"/>',
)


def text_width(text: str, size: float = SIZE) -> float:
    """Estimate how wide a text is drawn; a Chinese character is as wide as it is high."""
    return sum(size if unicodedata.east_asian_width(char) in "WF" else 0.56 * size for char in text)


def clipped(text: str, width: float, size: float = SIZE) -> str:
    """Shorten a text that would be drawn wider than a width."""
    if text_width(text, size) <= width:
        return text
    room = width - text_width("…", size)
    for place, char in enumerate(text):
        room -= text_width(char, size)
        if room < 0:
            return text[:place] + "…"
    return text


def axis(highest: float, most: float = math.inf) -> list[float]:
    """Give the places of an axis's lines from 0: steps of 1, 2, 2.5 or 5 times a power of ten, five at most.

    Args:
        highest: what must lie on the axis.
        most: where it ends at the latest, such as 100 for percent.
    """
    highest = min(highest, most) if highest > 0 else 1.0
    power = 10.0 ** math.floor(math.log10(highest / MAX_STEPS))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if MAX_STEPS * factor * power >= highest)
    return [step * place for place in range(math.ceil(highest / step - 1e-9) + 1)]


def short(number: float) -> str:
    """Write a length or a tick without needless digits."""
    return f"{number:.2f}".rstrip("0").rstrip(".")


class Sheet:
    """One drawing in the making; units are CSS pixels."""

    def __init__(self, text: ChartText, height: float, width: float = WIDTH) -> None:
        self._text = text
        self.width = width
        self.height = height + (NOTE_HEIGHT if text.note else 0)
        self._parts: list[str] = []
        self._patterns: set[int] = set()
        self.write(0, 20, clipped(text.title, width, 15), size=15, bold=True)
        if text.note:
            self.write(0, self.height - 7, clipped(text.note, width, NOTE_SIZE), size=NOTE_SIZE, colour=SOFT)

    def fill(self, place: int) -> str:
        """Give the fill of a series: a colour with a pattern."""
        place %= len(FILLS)
        self._patterns.add(place)
        return f"url(#{self._text.name}-f{place})"

    def box(self, x: float, y: float, width: float, height: float, fill: str, edge: str = "") -> None:
        """Draw a rectangle."""
        line = f' stroke="{edge}"' if edge else ""
        size = f'x="{short(x)}" y="{short(y)}" width="{short(max(width, 0))}" height="{short(height)}"'
        self._parts.append(f'<rect {size} fill="{fill}"{line}/>')

    def line(
        self, points: Sequence[tuple[float, float]], colour: str = INK, width: float = 1.0, dash: str = ""
    ) -> None:
        """Draw a line through points."""
        path = " ".join(f"{short(x)},{short(y)}" for x, y in points)
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{short(width)}"{dashes}/>'
        )

    def shape(self, points: Sequence[tuple[float, float]], fill: str, edge: str) -> None:
        """Draw a filled polygon."""
        path = " ".join(f"{short(x)},{short(y)}" for x, y in points)
        self._parts.append(f'<polygon points="{path}" fill="{fill}" stroke="{edge}"/>')

    def write(
        self,
        x: float,
        y: float,
        words: str,
        *,
        anchor: str = "start",
        size: float = SIZE,
        colour: str = INK,
        bold: bool = False,
    ) -> None:
        """Write a text; y is its base line."""
        weight = ' font-weight="bold"' if bold else ""
        place = f'x="{short(x)}" y="{short(y)}" text-anchor="{anchor}" font-size="{short(size)}"'
        self._parts.append(f'<text {place} fill="{colour}"{weight}>{_safe(words)}</text>')

    def finish(self, description: str) -> str:
        """Give the whole element."""
        name = self._text.name
        patterns = "".join(
            f'<pattern id="{name}-f{place}" width="8" height="8" patternUnits="userSpaceOnUse">'
            f'<rect width="8" height="8" fill="{FILLS[place]}"/>{_STRIPES[place]}</pattern>'
            for place in sorted(self._patterns)
        )
        size = f'viewBox="0 0 {short(self.width)} {short(self.height)}"'
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} width="{short(self.width)}" '
            f'height="{short(self.height)}" role="img" aria-labelledby="{name}-t {name}-d" '
            f'font-family="{FONTS}"><title id="{name}-t">{_safe(self._text.title)}</title>'
            f'<desc id="{name}-d">{_safe(description)}</desc>'
            f"{f'<defs>{patterns}</defs>' if patterns else ''}{''.join(self._parts)}</svg>"
        )


def _safe(text: str) -> str:
    """Escape a text for SVG; characters that are no print, or turn the direction, go."""
    return escape(clean(text), quote=True)
