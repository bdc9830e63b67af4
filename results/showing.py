"""How numbers of a release are printed: rounded, with ±, withheld, or "—" where there can be nobody.

1. A structural zero (no pupil can be there) is "—".
2. What the display rules withhold is "<10" if its interval ends below 10, else 样本过小. A number is never
   negative: it would be 0, and is withheld like any small one.
3. A count is rounded to a multiple of 5. Its margin is rounded up and widened by what the rounding moved, so
   that value ± margin always holds the 95 % interval.
4. Rates have one decimal, their margin is rounded up.

Pure functions for workbook, brief and pages; the archive is not rounded. Spec: privacy.md, "Estimation" 4.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from privacy.display import SAMPLE_TOO_SMALL, Shown
from results.indicators import IndicatorValue
from results.report_parts import CellReport, TableReport
from results.rows import Row

STEP: Final = 5
"""Counts are printed as multiples of this."""

SMALL: Final = 10
"""A withheld count whose interval ends below this is printed as "<10"."""

ZERO: Final = "—"
BELOW: Final = f"<{SMALL}"


class Kind(StrEnum):
    """What a cell of a printed table is."""

    NUMBER = "number"
    SMALL = "small"
    WITHHELD = "withheld"
    ZERO = "zero"


@dataclass(frozen=True, slots=True)
class Display:
    """A number as it is printed.

    Attributes:
        kind: a number, or why there is none.
        value: the rounded number; None if there is none.
        margin: half-width to print behind ±; None without a number.
        decimals: digits after the point, of both.
    """

    kind: Kind
    value: float | None = None
    margin: float | None = None
    decimals: int = 0

    def text(self, withheld: str = SAMPLE_TOO_SMALL) -> str:
        """Return what stands in the cell; `withheld` are the words of the reader's language."""
        if self.value is not None:
            return f"{self.value:.{self.decimals}f}"
        return {Kind.ZERO: ZERO, Kind.SMALL: BELOW}.get(self.kind, withheld)

    def margin_text(self) -> str:
        """Return what stands in the ± column; empty without a number."""
        return "" if self.margin is None else f"±{self.margin:.{self.decimals}f}"


def rounded(value: float, step: int = STEP) -> int:
    """Round a count to a multiple of `step`, halves up; what is negative after the noise is 0."""
    return max(step * math.floor(value / step + 0.5), 0)


def display_count(row: Row | None, shown: Shown, *, is_zero: bool = False, step: int = STEP) -> Display:
    """Say how a count is printed.

    Args:
        row: the number with its interval; None if a release class does not hold it.
        shown: what the display rules say of it.
        is_zero: whether nobody can be counted there.
    """
    if is_zero:
        return Display(Kind.ZERO)
    if row is None or shown.is_withheld:
        is_small = row is not None and row.high95 < SMALL
        return Display(Kind.SMALL if is_small else Kind.WITHHELD)
    value = rounded(row.released, step)
    return Display(Kind.NUMBER, value, math.ceil(max(value - row.low95, row.high95 - value)))


def display_rate(shown: Shown) -> Display:
    """Say how a rate or a mean is printed."""
    if shown.value is None:
        return Display(Kind.WITHHELD)
    return Display(Kind.NUMBER, shown.value, shown.margin, 1)


def display_value(value: IndicatorValue, step: int = STEP) -> Display:
    """Say how a number of an indicator is printed."""
    if value.indicator.base is not None:
        return display_rate(value.shown)
    is_zero = value.row is not None and value.row.released == value.row.se == 0
    return display_count(value.row, value.shown, is_zero=is_zero, step=step)


def display_cell(table: TableReport, cell: CellReport, step: int = STEP) -> Display:
    """Say how a cell of a table is printed: the estimate from all tables, not the released cell."""
    if table.number and not cell.is_zero:
        return display_rate(cell.shown)
    return display_count(cell.estimate, cell.shown, is_zero=cell.is_zero, step=step)


def as_shown(value: IndicatorValue, step: int = STEP) -> Shown:
    """Return a number as it is printed, in the form of `Shown`: a count rounded to `step`."""
    found = display_value(value, step)
    return value.shown if found.value is None else Shown(found.value, found.margin)
