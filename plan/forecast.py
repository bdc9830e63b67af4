"""How many pupils each cell of a plan is expected to count, before anything is collected.

The pupils of each stage are split by the rates of `plan.assumptions` into the states of `plan.chances`:

1. grade, sex, left-behind status, family, disposition and first level jointly; the plan's consent policy is
   applied;
2. everything else given these, each by itself: boarding by stage, score and high factors by level, follow-up
   by level, groups by status and family. A table over two of these takes them as independent;
3. roster attributes in equal parts: which school has which is not known here.

Given the expected number, a cell is taken to vary like a sum over independent pupils. A plan for 六三 and
五四 schools is forecast with the first of its systems.

Spec: privacy.md, "What a plan must be able to show before it opens".
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plan import assumptions as assumed
from plan.chances import Core
from plan.codes import STAGE, stage_of
from plan.errors import LayoutError, Problem, phrase
from plan.layout import Layout, TableLayout
from plan.reading import describe

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Forecast:
    """What a plan's cells are expected to hold.

    Attributes:
        means: expected value of each cell, shape (cells,): pupils, or the sum of a table of sums.
        variances: how much the true value itself may vary from county to county, squared.
    """

    means: Floats
    variances: Floats


def screened_stages(layout: Layout) -> tuple[str, ...]:
    """Return the stages of the grades that a plan screens, in order."""
    found = {stage_of(grade, layout.scope.systems[0]) for grade in layout.scope.grades}
    return tuple(stage for stage in STAGE if stage in found)


def share_out(pupils: int, layout: Layout) -> dict[str, float]:
    """Split a county's screened pupils over the stages by the assumed shares."""
    stages = screened_stages(layout)
    total = sum(assumed.STAGE_SHARES[stage] for stage in stages)
    return {stage: pupils * assumed.STAGE_SHARES[stage] / total for stage in stages}


def forecast(layout: Layout, pupils: Mapping[str, float]) -> Forecast:
    """Forecast every cell of a layout.

    Args:
        pupils: by stage, in the grades that the plan screens; a stage that is not named has none.

    Raises:
        LayoutError: a stage that the plan does not screen, or a negative number.
    """
    core = _core(layout, pupils)
    tables = [_table(core, table) for table in layout.tables]
    return Forecast(*(np.concatenate([pair[place] for pair in tables]) for place in (0, 1)))


def forecast_table(layout: Layout, pupils: Mapping[str, float], table: TableLayout) -> Forecast:
    """Forecast the cells of one table of a layout; arguments and errors as `forecast`."""
    return Forecast(*_table(_core(layout, pupils), table))


def _core(layout: Layout, pupils: Mapping[str, float]) -> Core:
    stages = screened_stages(layout)
    for stage, number in pupils.items():
        if stage not in stages or not (math.isfinite(number) and number >= 0):
            allowed = phrase("0 or more pupils for the stages %(names)s", names=", ".join(stages))
            raise LayoutError(Problem("pupils", describe(stage), allowed))
    return Core(layout, pupils)


def _table(core: Core, table: TableLayout) -> tuple[Floats, Floats]:
    """Return mean and variance of each cell of a table."""
    weight = core.pupils * core.instrument_share(table)
    for name, kept in table.where:
        if name not in table.dims:
            weight = weight * core.columns(table, name, kept).sum(axis=0)
    rows = [core.columns(table, name, codes) for name, codes in zip(table.dims, table.codes, strict=True)]
    if not table.sum:
        means = np.concatenate(list(_cells(weight, rows)))
        return means, means
    first, second = core.moments(table)
    mean, square = (np.concatenate(list(_cells(weight * moment, rows))) for moment in (first, second))
    return mean, square


def _cells(weight: Floats, rows: Sequence[Floats]) -> Iterator[Floats]:
    """Yield the expected values in cell order, a run of the last dimension at a time."""
    if len(rows) == 1:
        yield rows[0] @ weight
        return
    for row in rows[0]:
        yield from _cells(weight * row, rows[1:])
