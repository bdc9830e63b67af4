"""Counts of pupils as sums of consistent cells, with exact variances and covariances.

`best_estimate` finds a table that counts exactly the pupils asked for, by the plan's own semantics
(`plan.populations`), and sums its consistent cells. Every other table that counts them gives the same number,
because the estimates are consistent; the result is unbiased, has the least variance of all linear estimates
from the round's tables, and that variance is exact. It is post-processing and costs no privacy.

Spec: privacy.md, "Estimation", points 2 and 3.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from plan.populations import Selection
from privacy.intervals import Interval, sum_interval
from results.errors import SelectionError
from results.release import Release


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """An unbiased estimate of a number of pupils.

    Attributes:
        release: that it comes from.
        cells: positions in the vector of the cells that are summed, ascending.
        sources: ids of all tables that count these pupils.

    Raises:
        SelectionError: no cell.
    """

    release: Release
    cells: tuple[int, ...]
    sources: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.cells:
            raise SelectionError("an estimate needs at least one cell")

    @property
    def value(self) -> float:
        """The estimated count; may be negative."""
        return math.fsum(self.release.estimates[list(self.cells)].tolist())

    @property
    def variance(self) -> float:
        """Variance of the noise, in counts squared."""
        return max(covariance(self, self), 0.0)

    @property
    def se(self) -> float:
        """Standard error, in counts."""
        return math.sqrt(self.variance)

    @property
    def interval(self) -> Interval:
        """95 % interval; may reach below zero."""
        return sum_interval(self.value, self.se)


def covariance(one: Estimate, other: Estimate) -> float:
    """Return the covariance of the noise of two estimates, in counts squared.

    Raises:
        SelectionError: they come from different releases, so the same schools are not in both.
    """
    if one.release.id != other.release.id or one.release.estimator is not other.release.estimator:
        raise SelectionError("numbers of different releases may not be combined")
    return one.release.estimator.covariance(one.cells, other.cells)


def best_estimate(release: Release, alternatives: Iterable[Selection]) -> Estimate | None:
    """Estimate how many pupils are meant by a selection, from all tables of a release.

    Args:
        alternatives: selections that describe the same pupils in different words.

    Returns:
        The estimate of least variance, or None if no table counts exactly these pupils.
    """
    sources, cells = release.estimator.find(alternatives)
    return Estimate(release, cells, sources) if cells else None
