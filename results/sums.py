"""Totals and means of numbers: what the tables of sums say.

A cell of such a table is Σ (clamp(v) - lo) over its pupils, plus noise; a missing number adds 0. With N̂, the
consistent estimate of the pupils of the same cells from the tables that count them,

    total = sum + lo · N̂        Var = Var(sum) + lo² Var(N̂)
    mean = lo + sum / N̂         by the delta method; none if N̂ may be below the floor of denominators.

The noise of sums is independent of that of counts. A missing number therefore counts as lo; the plan chooses
a range whose lower end means that, or filters such pupils out. Of `total` only valid tests have one, and
they are who is counted.

Spec: privacy.md, "Sensitivity" and "Estimation", point 3.
"""

import math
from dataclasses import dataclass

from plan.populations import Selection
from privacy.intervals import Rate, ratio
from results.amounts import Amount
from results.errors import SelectionError
from results.estimates import Estimate
from results.release import Release
from results.tables import NoisyTable


@dataclass(frozen=True, slots=True)
class NumberOf:
    """What selected cells of a table of sums say about their pupils.

    Attributes:
        pupils: how many they are; None if no table counts exactly them.
        total: sum of the clamped numbers; None if lo is not 0 and the pupils are not known.
        mean: of the clamped numbers, interval within the range; None without pupils, or too few of them.
    """

    pupils: Estimate | None
    total: Amount | None
    mean: Rate | None


def number_of(release: Release, table: NoisyTable, selection: Selection) -> NumberOf:
    """Estimate total and mean of a table's number over the pupils of selected cells.

    Args:
        selection: per dimension of the table the codes meant; dimensions that are not named are summed over.

    Raises:
        SelectionError: no table of sums, or a dimension or code that it does not have.
    """
    if table.layout.range is None:
        raise SelectionError(f"table {table.id} counts pupils; expected a table with 'sum'")
    cells = table.select(selection)
    low, high = table.layout.range
    raw = Amount(float(sum(table.value(cell) for cell in cells)), float(len(cells) * table.cell_variance))
    sources, found = release.estimator.find_pupils(table.layout, selection)
    if not found:
        return NumberOf(None, None if low else raw, None)
    pupils = Estimate(release, found, sources)
    total = Amount(math.fsum((raw.value, low * pupils.value)), raw.variance + low * low * pupils.variance)
    mean = ratio(
        raw.value,
        pupils.value,
        numerator_variance=raw.variance,
        denominator_variance=pupils.variance,
        covariance=0.0,
        floor=release.denominator_floor,
    )
    if mean is not None:
        mean = Rate(low + mean.value, mean.se, mean.interval.moved(low).within(low, high))
    return NumberOf(pupils, total, mean)
