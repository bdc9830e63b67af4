"""The steps of follow-up as bars around a middle line, the widest first as given."""

from __future__ import annotations

from collections.abc import Sequence

from paper.charts.svg import SOFT, TITLE_HEIGHT, Sheet, clipped
from paper.charts.values import ChartText, Value, described, told

ROW, THICK = 36, 26
LABEL_WIDTH, RIGHT = 205, 150
FILL, EDGE = "#9dbfd9", "#1f5f8b"


def funnel(text: ChartText, steps: Sequence[tuple[str, Value | None]]) -> str:
    """Draw how many pupils reached each step; steps are counted by themselves and need not shrink.

    Args:
        text: the chart's words.
        steps: names and numbers, in the order of the work; None is withheld.
    """
    sheet = Sheet(text, TITLE_HEIGHT + ROW * len(steps) + 6)
    most = max((value.value for _name, value in steps if value), default=0) or 1.0
    room = sheet.width - LABEL_WIDTH - RIGHT
    middle = LABEL_WIDTH + room / 2
    for place, (name, value) in enumerate(steps):
        y = TITLE_HEIGHT + ROW * place
        sheet.write(LABEL_WIDTH - 10, y + 23, clipped(name, LABEL_WIDTH - 12), anchor="end")
        if value is None:
            sheet.write(middle, y + 23, text.withheld, anchor="middle", colour=SOFT)
            continue
        width = room * value.value / most
        sheet.box(middle - width / 2, y + (ROW - THICK) / 2, width, THICK, FILL, EDGE)
        sheet.write(sheet.width - RIGHT + 12, y + 23, clipped(f"{value.words} {text.unit}", RIGHT - 14))
    return sheet.finish(described((told(name, value, text) for name, value in steps), text))
