"""95 % intervals of noisy sums and rates.

The noise of a release is a sum of independent discrete Gaussians of known variance, so a sum of cells has an
exactly known standard error and is normal to far better than the width of an interval. All of it is
post-processing.

Spec: privacy.md, "Estimation", points 1 and 3.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from privacy.errors import PrivacyError

Z95 = 1.959963984540054
"""The 97.5 % point of the normal distribution."""

MIN_DENOMINATOR = 30
"""No rate is given on a denominator whose lower bound is below this."""

_ROUNDING = 1e-9
"""Relative error that a product of computed variances may have."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A 95 % interval; `low <= high`, in the unit of the value that it belongs to."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise PrivacyError(f"interval: expected low <= high, found {self.low} and {self.high}")

    @property
    def half_width(self) -> float:
        """Half the distance of the two ends."""
        return (self.high - self.low) / 2

    def scaled(self, factor: float) -> "Interval":
        """Return the interval in another unit; `factor` is positive."""
        return Interval(factor * self.low, factor * self.high)

    def moved(self, distance: float) -> "Interval":
        """Return the interval shifted."""
        return Interval(self.low + distance, self.high + distance)

    def within(self, low: float, high: float) -> "Interval":
        """Return the interval with both ends clipped to a range."""
        return Interval(min(max(self.low, low), high), min(max(self.high, low), high))


def sum_interval(value: Fraction | float, se: float) -> Interval:
    """Return value -+ 1.96 se; it may reach below zero, because the archived value is unbiased.

    Raises:
        PrivacyError: the standard error is negative or not finite.
    """
    if not (math.isfinite(se) and se >= 0):
        raise PrivacyError(f"standard error: expected a finite number from 0, found {se}")
    return Interval(float(value) - Z95 * se, float(value) + Z95 * se)


@dataclass(frozen=True, slots=True)
class Rate:
    """A share of a noisy denominator.

    Attributes:
        value: numerator / denominator, unclipped.
        se: standard error by the delta method.
        interval: 95 %; of a rate clipped to [0, 1].
    """

    value: float
    se: float
    interval: Interval


Number: TypeAlias = Fraction | float


def rate(
    numerator: Number,
    denominator: Number,
    *,
    numerator_variance: Number,
    denominator_variance: Number,
    covariance: Number,
    floor: int = MIN_DENOMINATOR,
) -> Rate | None:
    """Divide two noisy sums of the same release.

    Args:
        numerator, denominator: unbiased noisy counts; every pupil of the numerator is in the denominator.
        numerator_variance, denominator_variance, covariance: of their noise, in counts squared.
        floor: fewest pupils in the denominator, at least `MIN_DENOMINATOR`.

    Returns:
        The rate, or None if the lower end of the denominator's interval is below the floor: then the delta
        method is not valid and the rate would describe a handful of pupils.

    Raises:
        PrivacyError: the three variances are not those of two random numbers, or the floor is too low.
    """
    found = ratio(
        numerator,
        denominator,
        numerator_variance=numerator_variance,
        denominator_variance=denominator_variance,
        covariance=covariance,
        floor=floor,
    )
    return found and Rate(found.value, found.se, found.interval.within(0.0, 1.0))


def ratio(
    numerator: Number,
    denominator: Number,
    *,
    numerator_variance: Number,
    denominator_variance: Number,
    covariance: Number,
    floor: int = MIN_DENOMINATOR,
) -> Rate | None:
    """Divide any noisy sum, such as one of scores, by a noisy count; as `rate`, the interval unclipped."""
    if floor < MIN_DENOMINATOR:
        raise PrivacyError(f"floor of a denominator: expected at least {MIN_DENOMINATOR}, found {floor}")
    most = numerator_variance * denominator_variance
    if min(numerator_variance, denominator_variance) < 0 or covariance**2 > most * (1 + _ROUNDING):
        raise PrivacyError(
            "variances of a rate: expected variances >= 0 and a covariance within their product"
        )
    if sum_interval(denominator, math.sqrt(denominator_variance)).low < floor:
        return None
    value = numerator / denominator
    spread = numerator_variance - 2 * value * covariance + value**2 * denominator_variance
    se = math.sqrt(max(spread, 0)) / float(denominator)
    return Rate(float(value), se, sum_interval(value, se))
