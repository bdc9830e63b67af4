"""95 % intervals of noisy sums and rates.

The noise of a release is a sum of independent discrete Gaussians of known variance, so a sum of cells has an
exactly known standard error and is normal to far better than the width of an interval. All of it is
post-processing.

Spec: privacy.md, "Estimation", points 1 and 3.
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from privacy.errors import PrivacyError

Z95 = 1.959963984540054
"""The 97.5 % point of the normal distribution."""

MIN_DENOMINATOR = 30
"""No rate is given on a denominator whose lower bound is below this."""


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
        interval: 95 %, clipped to [0, 1].
    """

    value: float
    se: float
    interval: Interval


def rate(
    numerator: Fraction,
    denominator: Fraction,
    *,
    numerator_variance: Fraction,
    denominator_variance: Fraction,
    covariance: Fraction,
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
    if floor < MIN_DENOMINATOR:
        raise PrivacyError(f"floor of a denominator: expected at least {MIN_DENOMINATOR}, found {floor}")
    if min(numerator_variance, denominator_variance) < 0 or (
        covariance**2 > numerator_variance * denominator_variance
    ):
        raise PrivacyError(
            "variances of a rate: expected variances >= 0 and a covariance within their product"
        )
    if sum_interval(denominator, math.sqrt(denominator_variance)).low < floor:
        return None
    value = numerator / denominator
    spread = numerator_variance - 2 * value * covariance + value**2 * denominator_variance
    se = math.sqrt(spread) / float(denominator)
    raw = sum_interval(value, se)
    clipped = Interval(min(max(raw.low, 0.0), 1.0), min(max(raw.high, 0.0), 1.0))
    return Rate(float(value), se, clipped)
