"""What charts are made of: a number with its interval, and the words around it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Value:
    """A number that may be shown.

    Attributes:
        value: in the chart's unit.
        margin: half-width of its 95 % interval, in the same unit; 0 for an exact number.
        text: how it is written, such as `12.5 ± 1.3`; empty for "value ± margin".
    """

    value: float
    margin: float = 0.0
    text: str = ""

    @property
    def low(self) -> float:
        """Lower end of the interval, from 0."""
        return max(self.value - self.margin, 0.0)

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.value + self.margin

    @property
    def words(self) -> str:
        """The number as it is written."""
        return self.text or (f"{self.value:g} ± {self.margin:g}" if self.margin else f"{self.value:g}")


@dataclass(frozen=True, slots=True)
class ChartText:
    """The words of a chart.

    Attributes:
        name: unique on its page; letters, digits and hyphens. Starts every id.
        title: what it shows; also drawn above it.
        unit: of the numbers, such as `%`.
        withheld: stands where a number is too small or too uncertain to show.
        note: one line below the drawing, such as what the error bars are.
    """

    name: str
    title: str
    unit: str = ""
    withheld: str = "—"
    note: str = ""


def told(label: str, value: Value | None, text: ChartText) -> str:
    """Say one number in words, for the description."""
    if value is None:
        return f"{label}: {text.withheld}"
    gap = "" if text.unit in ("", "%") else " "
    return f"{label}: {value.words}{gap}{text.unit}"


def described(parts: Iterable[str], text: ChartText) -> str:
    """Join what is said into one description."""
    return "; ".join((*parts, *((text.note,) if text.note else ())))
