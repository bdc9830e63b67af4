"""A number with its standard error: what sums and differences of estimates come to."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from privacy.intervals import Interval, sum_interval


@dataclass(frozen=True, slots=True)
class Amount:
    """An estimated number.

    Attributes:
        value: in the unit of what was estimated; may be negative.
        variance: of its noise, in that unit squared.
    """

    value: float
    variance: float

    @property
    def se(self) -> float:
        """Standard error."""
        return math.sqrt(self.variance)

    @property
    def interval(self) -> Interval:
        """95 % interval; may reach below zero."""
        return sum_interval(self.value, self.se)


def total_of(amounts: Iterable[Amount]) -> Amount:
    """Add numbers whose noise is independent; the variances add, too."""
    found = list(amounts)
    return Amount(math.fsum(item.value for item in found), math.fsum(item.variance for item in found))


def difference_of(later: Amount, earlier: Amount) -> Amount:
    """Subtract numbers whose noise is independent; the variances add."""
    return Amount(later.value - earlier.value, later.variance + earlier.variance)
