"""Charts that the spreadsheet program draws, from cells right of the printed page.

A number that is withheld is an empty cell, so that nothing is drawn for it. Fills have patterns, lines have
markers; error bars are the 95 % intervals, cut at 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from xlsxwriter.chart import Chart
from xlsxwriter.utility import xl_range_abs
from xlsxwriter.workbook import Workbook
from xlsxwriter.worksheet import Worksheet

from paper.charts.svg import FILLS
from paper.charts.values import Value
from paper.document import Drawing
from paper.text import cell_words, clean

_FONT: Final = {"name": "Microsoft YaHei", "size": 10}
_SMALL: Final = {**_FONT, "size": 9}
_PATTERNS: Final = ("light_upward_diagonal", "dotted_grid", "", "light_horizontal", "light_vertical")
_LINE_LOOKS: Final = (
    ("#1F5F8B", "square", "solid"),
    ("#A8382B", "triangle", "dash"),
    ("#4D6B2F", "diamond", "round_dot"),
    ("#52616F", "circle", "long_dash_dot"),
)


@dataclass(frozen=True, slots=True)
class _Data:
    """Where a drawing's numbers stand: a column of names, then value, minus and plus per line."""

    sheet: str
    row: int
    column: int
    num_rows: int

    def range(self, offset: int) -> str:
        """Give a column's cells as a formula; the name of a sheet has no quote in it."""
        cells = xl_range_abs(
            self.row + 2, self.column + offset, self.row + 1 + self.num_rows, self.column + offset
        )
        return f"='{self.sheet}'!{cells}"


def draw(
    book: Workbook,
    sheet: Worksheet,
    drawing: Drawing,
    name: str,
    place: tuple[int, int],
    spot: tuple[int, int],
    size: tuple[int, int],
) -> int:
    """Draw a chart; write its data; return how many columns they take.

    Args:
        name: of the sheet.
        place: first row and column of the data.
        spot: row of the chart, and how many pixels it stands from the left.
        size: of the chart, in pixels.
    """
    row, column = place
    data = _Data(name, row, column, len(drawing.categories))
    width = _write_data(sheet, drawing, data)
    chart = _MAKERS[drawing.kind](book, drawing, data)
    chart.set_title(
        {"name": cell_words(drawing.title, 120), "name_font": {**_FONT, "size": 12}, "overlay": False}
    )
    chart.set_size({"width": size[0], "height": size[1]})
    told = {"description": clean(_described(drawing), 1000), "object_position": 1, "x_offset": spot[1]}
    sheet.insert_chart(spot[0], 0, chart, told)
    return width + 1


def _write_data(sheet: Worksheet, drawing: Drawing, data: _Data) -> int:
    """Write names, numbers and the lengths of error bars."""
    sheet.write_string(data.row, data.column, cell_words(drawing.title, 60))
    for place, category in enumerate(drawing.categories):
        sheet.write_string(data.row + 2 + place, data.column, cell_words(category, 40))
    at = data.column + 1
    for name, values in _columns(drawing):
        for offset, head in enumerate((name, f"{name} -", f"{name} +")):
            sheet.write_string(data.row + 1, at + offset, cell_words(head, 60))
        for place, value in enumerate(values):
            if value is not None:
                cells = (value.value, round(value.value - value.low, 6), value.margin)
                for offset, number in enumerate(cells):
                    sheet.write_number(data.row + 2 + place, at + offset, number)
        at += 3
    return at - data.column


def _columns(drawing: Drawing) -> list[tuple[str, tuple[Value | None, ...]]]:
    columns = [(line.name, line.values) for line in drawing.lines]
    if drawing.kind == "funnel":
        known = [value.value for value in drawing.lines[0].values if value]
        most = max(known, default=0.0)
        gaps = tuple(value and Value((most - value.value) / 2) for value in drawing.lines[0].values)
        columns.insert(0, (" ", gaps))
    return columns


def _stacked(book: Workbook, drawing: Drawing, data: _Data) -> Chart:
    chart = book.add_chart({"type": "bar", "subtype": "stacked"})
    for place, line in enumerate(drawing.lines):
        chart.add_series(_series(data, 3 * place, line.name) | _fill(place) | {"gap": 60})
    _axes(chart, drawing, is_sideways=True)
    return chart


def _lines(book: Workbook, drawing: Drawing, data: _Data) -> Chart:
    chart = book.add_chart({"type": "line"})
    for place, line in enumerate(drawing.lines):
        colour, mark, dash = _LINE_LOOKS[place % len(_LINE_LOOKS)]
        look = {
            "line": {"color": colour, "width": 1.75, "dash_type": dash},
            "marker": {"type": mark, "size": 7, "fill": {"color": colour}, "border": {"color": colour}},
            "y_error_bars": _error_bars(data, 3 * place, colour),
        }
        chart.add_series(_series(data, 3 * place, line.name) | look)
    chart.show_blanks_as("gap")
    _axes(chart, drawing, is_sideways=False)
    return chart


def _bars(book: Workbook, drawing: Drawing, data: _Data) -> Chart:
    chart = book.add_chart({"type": "bar"})
    for place, line in enumerate(drawing.lines):
        look = {
            "fill": {"color": "#7BA7C9"},
            "border": {"color": "#1F5F8B"},
            "gap": 60,
            "y_error_bars": _error_bars(data, 3 * place, "#1D2733"),
        }
        chart.add_series(_series(data, 3 * place, line.name) | look)
    _axes(chart, drawing, is_sideways=True)
    chart.set_legend({"none": True})
    return chart


def _funnel(book: Workbook, drawing: Drawing, data: _Data) -> Chart:
    chart = book.add_chart({"type": "bar", "subtype": "stacked"})
    hidden = {"fill": {"none": True}, "border": {"none": True}, "gap": 30}
    chart.add_series(_series(data, 0, " ") | hidden)
    look = {"fill": {"color": "#9DBFD9"}, "border": {"color": "#1F5F8B"}, "gap": 30}
    label = {"data_labels": {"value": True, "font": _SMALL, "position": "center"}}
    chart.add_series(_series(data, 3, drawing.lines[0].name) | look | label)
    _axes(chart, drawing, is_sideways=True)
    chart.set_x_axis({"visible": False, "major_gridlines": {"visible": False}})
    chart.set_legend({"none": True})
    return chart


def _fill(place: int) -> dict[str, Any]:
    """Give a fill with a pattern of its own; the most severe is solid."""
    pattern, edge = _PATTERNS[place], {"border": {"color": "#1D2733", "width": 0.75}}
    if not pattern:
        return {"fill": {"color": FILLS[place]}, **edge}
    return {"pattern": {"pattern": pattern, "fg_color": "#FFFFFF", "bg_color": FILLS[place]}, **edge}


def _series(data: _Data, offset: int, name: str) -> dict[str, Any]:
    return {
        "name": cell_words(name, 60) or " ",
        "categories": data.range(0),
        "values": data.range(1 + offset),
    }


def _error_bars(data: _Data, offset: int, colour: str) -> dict[str, Any]:
    return {
        "type": "custom",
        "plus_values": data.range(3 + offset),
        "minus_values": data.range(2 + offset),
        "line": {"color": colour, "width": 1},
    }


def _axes(chart: Chart, drawing: Drawing, *, is_sideways: bool) -> None:
    """Set the axes: names along one, numbers from 0 along the other."""
    values = {
        "min": 0,
        "name": cell_words(drawing.unit, 20).lstrip("'"),
        "name_font": _SMALL,
        "num_font": _SMALL,
        "major_gridlines": {"visible": True, "line": {"color": "#C9D2DB"}},
    }
    names: dict[str, Any] = {"num_font": _SMALL}
    if is_sideways:  # the first name stands above, and the numbers stay below
        chart.set_x_axis({**values, "label_position": "high"})
        chart.set_y_axis({**names, "reverse": True})
    else:
        chart.set_x_axis(names)
        chart.set_y_axis(values)
    chart.set_legend({"position": "bottom", "font": _FONT})


def _described(drawing: Drawing) -> str:
    """Say a chart in words, for those who do not see it."""
    said = []
    for line in drawing.lines:
        named = zip(drawing.categories, line.values, strict=True)
        said.append(f"{line.name}: " + ", ".join(f"{name} {v.words if v else '—'}" for name, v in named))
    return "; ".join((drawing.title, *said))


_MAKERS: Final[Mapping[str, Callable[[Workbook, Drawing, _Data], Chart]]] = {
    "stacked": _stacked,
    "lines": _lines,
    "bars": _bars,
    "funnel": _funnel,
}
