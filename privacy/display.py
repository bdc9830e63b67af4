"""How a noisy number is shown to people.

Non-negative, rounded, and withheld as "样本过小" (sample too small) where the half-width of the 95 % interval
exceeds half the value or the value is below the display floor. This is a rule for reading noisy values, not a
protection: thresholding true counts at a node would break linearity and leak. The archive keeps every value,
negatives included.

Spec: privacy.md, "Estimation", point 4.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from privacy.errors import PrivacyError
from privacy.intervals import Rate, sum_interval

DISPLAY_FLOOR = 11
"""Counts below this are never shown."""

SAMPLE_TOO_SMALL = "样本过小"
"""Shown in place of a withheld number in every Chinese table."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A number as people see it, or the fact that it is withheld.

    Attributes:
        value: rounded, from 0; None if withheld. Counts are whole; rates (in percent) and means
            have one decimal.
        margin: half-width of the 95 % interval, rounded up at the same place; None if withheld.
    """

    value: float | None
    margin: float | None

    @property
    def is_withheld(self) -> bool:
        """Say whether the number is too uncertain or too small to show."""
        return self.value is None

    def text(self, withheld: str = SAMPLE_TOO_SMALL) -> str:
        """Return `value ± margin`, or the given words if the number is withheld."""
        if self.value is None or self.margin is None:
            return withheld
        return f"{self.value} ± {self.margin}"


WITHHELD = Shown(None, None)
"""The one value of a withheld number."""


def show_count(value: Fraction | float, se: float, *, floor: int = DISPLAY_FLOOR, step: int = 1) -> Shown:
    """Apply the display rule to a noisy count.

    Args:
        value: the unbiased noisy count.
        se: its standard error in counts.
        floor: the display floor, at least `DISPLAY_FLOOR`.
        step: round to a multiple of this many pupils.

    Returns:
        The shown count and its margin, or `WITHHELD`.

    Raises:
        PrivacyError: the floor is below `DISPLAY_FLOOR`, or the step below 1.
    """
    if floor < DISPLAY_FLOOR or step < 1:
        raise PrivacyError(
            f"display: expected a floor of at least {DISPLAY_FLOOR} and a step of at least 1, "
            f"found {floor} and {step}"
        )
    half_width = sum_interval(value, se).half_width
    if value < floor or half_width > value / 2:
        return WITHHELD
    return Shown(step * math.floor(value / step + Fraction(1, 2)), step * math.ceil(half_width / step))


def show_rate(rate: Rate | None) -> Shown:
    """Apply the display rule to a rate, in percent with one decimal.

    A rate is withheld if its denominator was too small (None) or the interval's half-width exceeds half of
    it.
    """
    if rate is None:
        return WITHHELD
    half_width = sum_interval(rate.value, rate.se).half_width
    if half_width > rate.value / 2:
        return WITHHELD
    return Shown(min(math.floor(rate.value * 1000 + 0.5), 1000) / 10, math.ceil(half_width * 1000) / 10)


def show_mean(mean: Rate | None) -> Shown:
    """Apply the display rule to a mean of numbers, with one decimal.

    A mean is withheld if it is of too few pupils (None) or the interval's half-width exceeds half of it.
    """
    if mean is None:
        return WITHHELD
    half_width = sum_interval(mean.value, mean.se).half_width
    if half_width > mean.value / 2:
        return WITHHELD
    return Shown(math.floor(mean.value * 10 + 0.5) / 10, math.ceil(half_width * 10) / 10)
