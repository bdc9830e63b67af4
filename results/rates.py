"""Rates of pupils, always of one release.

Spec: privacy.md, "Estimation", point 3.
"""

from privacy.intervals import MIN_DENOMINATOR, Rate, rate
from results.estimates import Estimate, covariance


def rate_of(numerator: Estimate, denominator: Estimate, *, floor: int = MIN_DENOMINATOR) -> Rate | None:
    """Divide two counts of the same release, with a 95 % interval by the delta method.

    Args:
        numerator: pupils who are all in the denominator.
        denominator: the base.
        floor: fewest pupils in the base, at least `MIN_DENOMINATOR`.

    Returns:
        The rate as a fraction of 1, or None if the base may be below the floor.

    Raises:
        SelectionError: the counts come from different releases, so other schools may be in each.
    """
    return rate(
        numerator.value,
        denominator.value,
        numerator_variance=numerator.variance,
        denominator_variance=denominator.variance,
        covariance=covariance(numerator, denominator),
        floor=floor,
    )
