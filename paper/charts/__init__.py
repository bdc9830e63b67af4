"""Charts as SVG text: pure functions from numbers and words to one `<svg>` element, for pages and for print.

1. Words come in translated; nothing here knows a language. Every text is escaped.
2. No script, no style sheet, no reference outside of the element: presentation attributes only, so that a
   page with a strict content policy can hold one. Ids start with `ChartText.name`, one per page.
3. A chart says everything in words, too: `<title>`, and in `<desc>` every number with its interval.
4. Nothing is told by colour alone: fills differ in pattern and lightness, lines in marker and dash, and
   numbers stand beside what is drawn. Error bars are 95 % intervals.
5. What is withheld is not drawn; its place says so.
"""

from paper.charts.bars import bars
from paper.charts.counties import county_grid
from paper.charts.funnel import funnel
from paper.charts.lines import Series, lines
from paper.charts.matrix import matrix
from paper.charts.stacked import Bar, stacked_bars
from paper.charts.values import ChartText, Value

__all__ = [
    "Bar",
    "ChartText",
    "Series",
    "Value",
    "bars",
    "county_grid",
    "funnel",
    "lines",
    "matrix",
    "stacked_bars",
]
