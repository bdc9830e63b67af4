"""A small picture of growth, written by hand as SVG: two panels over one logarithmic axis of sizes.

The left panel is logarithmic, so that what grows in proportion is a straight line; the right one is linear
from zero. Lines are labelled at their ends. The same figures give the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 900, 380
TOP, BOTTOM, PANEL, LEFTS = 64, 320, 280, (64, 490)
FONTS = "system-ui, 'DejaVu Sans', sans-serif"
INK, FAINT = "#333", "#d8d8d8"
LABEL_GAP = 15  # smallest distance between two labels at the ends of lines


@dataclass(frozen=True, slots=True)
class Series:
    """A line: its name, its colour and one value for each size."""

    name: str
    colour: str
    values: Sequence[float]


Panel = tuple[str, Sequence[Series]]
Scale = Callable[[float], float]


def draw(title: str, x_name: str, sizes: Sequence[int], logarithmic: Panel, linear: Panel) -> str:
    """Draw the two panels.

    Args:
        title: one line above.
        x_name: what the sizes count.
        sizes: ascending, at least two.
        logarithmic: name of the left panel's axis, and its lines; values above zero.
        linear: the same of the right panel.
    """
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="{FONTS}" font-size="13" fill="{INK}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(LEFTS[0], 24, title, 'font-size="16" font-weight="600"'),
    ]
    for left, panel, is_log in zip(LEFTS, (logarithmic, linear), (True, False), strict=True):
        parts += _panel(left, x_name, sizes, panel, is_log)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(left: int, x_name: str, sizes: Sequence[int], panel: Panel, is_log: bool) -> list[str]:
    name, series = panel
    values = [value for line in series for value in line.values]
    ticks = _decades(min(values), max(values)) if is_log else _steps(max(values))
    y = _scale(ticks[0], ticks[-1], BOTTOM, TOP, is_log)
    x = _scale(sizes[0], sizes[-1], left, left + PANEL, True)
    parts = [_text(left, TOP - 16, name, 'font-weight="600"')]
    for tick in ticks:
        parts.append(_line([(left, y(tick)), (left + PANEL, y(tick))], FAINT, 1))
        parts.append(_text(left - 8, y(tick) + 4, f"{tick:g}", 'text-anchor="end"'))
    for size in sizes:
        parts.append(_text(x(size), BOTTOM + 20, f"{size:,}", 'text-anchor="middle"'))
    parts.append(_text(left + PANEL / 2, BOTTOM + 42, x_name, 'text-anchor="middle"'))
    labels = _spread([y(line.values[-1]) for line in series])
    for line, label_y in zip(series, labels, strict=True):
        points = [(x(size), y(value)) for size, value in zip(sizes, line.values, strict=True)]
        parts.append(_line(points, line.colour, 2.5))
        parts += [f'<circle cx="{px:.1f}" cy="{py:.1f}" r="3.5" fill="{line.colour}"/>' for px, py in points]
        parts.append(_text(left + PANEL + 10, label_y + 4, line.name, f'fill="{line.colour}"'))
    return parts


def _scale(low: float, high: float, start: float, stop: float, is_log: bool) -> Scale:
    measure: Scale = log10 if is_log else float
    span = (stop - start) / (measure(high) - measure(low))
    return lambda value: start + (measure(value) - measure(low)) * span


def _decades(low: float, high: float) -> list[float]:
    return [10.0**power for power in range(floor(log10(low)), ceil(log10(high)) + 1)]


def _steps(high: float) -> list[float]:
    step = 10.0 ** floor(log10(high))
    step = next(part for part in (step / 5, step / 2, step, 2 * step) if high / part <= 6)
    return [step * index for index in range(ceil(high / step) + 1)]


def _spread(heights: list[float]) -> list[float]:
    """Move labels that would cover each other apart, downwards, keeping their order."""
    placed = dict.fromkeys(range(len(heights)), 0.0)
    last = float("-inf")
    for index in sorted(placed, key=lambda index: heights[index]):
        last = placed[index] = max(heights[index], last + LABEL_GAP)
    return list(placed.values())


def _text(x: float, y: float, words: str, attributes: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{escape(words)}</text>'


def _line(points: Sequence[tuple[float, float]], colour: str, width: float) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'
