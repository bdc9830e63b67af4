"""A grid of counties, for a prefecture: one tile each, in the order given, never ranked."""

from __future__ import annotations

from collections.abc import Sequence

from paper.charts.matrix import shade
from paper.charts.svg import INK, SOFT, TITLE_HEIGHT, WIDTH, Sheet, clipped
from paper.charts.values import ChartText, Value, described, told

COLUMNS, TILE = 4, 66


def county_grid(text: ChartText, tiles: Sequence[tuple[str, Value | None]]) -> str:
    """Draw one tile per county, the darker the larger its number.

    Args:
        text: the chart's words.
        tiles: names and numbers, in a fixed order such as that of the division codes; None is withheld.
    """
    num_rows = -(-len(tiles) // COLUMNS)
    sheet = Sheet(text, TITLE_HEIGHT + TILE * max(num_rows, 1) + 4)
    most = max((value.value for _name, value in tiles if value), default=0) or 1.0
    width = WIDTH / COLUMNS
    for place, (name, value) in enumerate(tiles):
        x, y = width * (place % COLUMNS), TITLE_HEIGHT + TILE * (place // COLUMNS)
        share = 0.9 * value.value / most if value else 0.0
        sheet.box(x + 2, y + 2, width - 4, TILE - 4, shade(share), INK)
        sheet.write(x + width / 2, y + 27, clipped(name, width - 16), anchor="middle", bold=True)
        words = f"{value.words}{text.unit}" if value else text.withheld
        colour = INK if value else SOFT
        sheet.write(x + width / 2, y + 48, clipped(words, width - 16), anchor="middle", colour=colour)
    return sheet.finish(described((told(name, value, text) for name, value in tiles), text))
