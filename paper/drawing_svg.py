"""A document's drawings as SVG, for every form that does not draw by itself."""

from __future__ import annotations

from paper.charts import Bar, ChartText, Series, bars, funnel, lines, matrix, stacked_bars
from paper.document import Drawing


def svg_of(drawing: Drawing, withheld: str) -> str:
    """Draw a chart; `withheld` stands where a number is not shown."""
    text = ChartText(drawing.name, drawing.title, drawing.unit, withheld, drawing.note)
    if drawing.kind == "stacked":
        return stacked_bars(text, [line.name for line in drawing.lines], _bars_of(drawing))
    if drawing.kind == "lines":
        return lines(text, drawing.categories, [Series(line.name, line.values) for line in drawing.lines])
    if drawing.kind == "matrix":
        names, cells = [line.name for line in drawing.lines], [line.values for line in drawing.lines]
        return matrix(text, *drawing.axes, names, drawing.categories, cells)
    items = list(zip(drawing.categories, drawing.lines[0].values, strict=True))
    return bars(text, items, 100.0) if drawing.kind == "bars" else funnel(text, items)


def _bars_of(drawing: Drawing) -> list[Bar]:
    rows = []
    for place, name in enumerate(drawing.categories):
        total = drawing.totals[place] if drawing.totals else None
        rows.append(Bar(name, tuple(line.values[place] for line in drawing.lines), total))
    return rows
