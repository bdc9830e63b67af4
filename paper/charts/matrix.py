"""A matrix as a heat table: from the level of autumn to the level of spring."""

from __future__ import annotations

from collections.abc import Sequence

from paper.charts.svg import INK, NOTE_SIZE, SOFT, TITLE_HEIGHT, Sheet, clipped
from paper.charts.values import ChartText, Value, described, told

LABEL_WIDTH, ROW, HEAD = 156, 40, 46
_LIGHT, _DARK = (246, 249, 252), (88, 137, 178)


def matrix(
    text: ChartText,
    row_title: str,
    column_title: str,
    rows: Sequence[str],
    columns: Sequence[str],
    cells: Sequence[Sequence[Value | None]],
) -> str:
    """Draw a table whose cells are the darker the larger their share of the row; the diagonal has a frame.

    Args:
        text: the chart's words.
        row_title, column_title: what the rows and the columns are.
        rows, columns: their names, in the same order.
        cells: a number per row and column; None is withheld.
    """
    sheet = Sheet(text, TITLE_HEIGHT + HEAD + ROW * len(rows) + 6)
    width = (sheet.width - LABEL_WIDTH) / max(len(columns), 1)
    top = TITLE_HEIGHT + HEAD
    sheet.write(0, top - 6, clipped(row_title, LABEL_WIDTH - 8, NOTE_SIZE), size=NOTE_SIZE, colour=SOFT)
    middle = LABEL_WIDTH + (sheet.width - LABEL_WIDTH) / 2
    sheet.write(middle, TITLE_HEIGHT + 12, column_title, anchor="middle", size=NOTE_SIZE, colour=SOFT)
    for place, name in enumerate(columns):
        x = LABEL_WIDTH + width * (place + 0.5)
        sheet.write(x, top - 6, clipped(name, width - 4), anchor="middle", bold=True)
    for at, (name, row) in enumerate(zip(rows, cells, strict=True)):
        y = top + ROW * at
        sheet.write(0, y + 25, clipped(name, LABEL_WIDTH - 8), bold=True)
        whole = sum(value.value for value in row if value)
        for place, value in enumerate(row):
            _cell(sheet, (LABEL_WIDTH + width * place, y, width), value, whole, text, is_same=at == place)
    said = (
        f"{name}: {', '.join(told(column, v, text) for column, v in zip(columns, row, strict=True))}"
        for name, row in zip(rows, cells, strict=True)
    )
    return sheet.finish(described(said, text))


def _cell(
    sheet: Sheet,
    place: tuple[float, float, float],
    value: Value | None,
    whole: float,
    text: ChartText,
    *,
    is_same: bool,
) -> None:
    x, y, width = place
    share = value.value / whole if value and whole > 0 else 0.0
    sheet.box(x + 1, y + 1, width - 2, ROW - 2, shade(share), INK if is_same else "#fff")
    if value is None:
        sheet.write(
            x + width / 2,
            y + 25,
            clipped(text.withheld, width - 6, 12),
            anchor="middle",
            size=12,
            colour=SOFT,
        )
        return
    sheet.write(x + width / 2, y + 25, clipped(value.words, width - 6), anchor="middle")


def shade(share: float) -> str:
    """Give the colour of a share from 0 to 1; dark ink stays readable on each."""
    part = min(max(share, 0.0), 1.0)
    channels = (round(light + (dark - light) * part) for light, dark in zip(_LIGHT, _DARK, strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in channels)
