"""How exact a plan's results will be: intervals after least squares, and how many cells can be shown.

For each table, with the noise that so many reports leave and all equalities between the tables:

1. `cell`: half the width of the 95 % interval of a typical cell (the median);
2. `stage` and `county`: of one class in a whole stage or county. A class is one code of the last dimension
   and, where there is one, of the set-valued dimension: in grade × sex × level "level 3 of primary school";
3. `total`: of all pupils that the table counts; a table over a set has none, a pupil may be counted twice;
4. `shown`: the expected share of cells that the display rule of `privacy.display` lets through.

Cells that no pupil can be in are left out. The intervals follow from the noise alone; what is shown rests on
a forecast (`plan.forecast`) too.

Spec: privacy.md, "What a plan must be able to show before it opens" and "Estimation".
"""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plan.codes import stage_of
from plan.forecast import Forecast, forecast_table
from plan.identities import equalities
from plan.layout import Layout, TableLayout
from privacy.intervals import Z95
from privacy.least_squares import LeastSquares

Floats = NDArray[np.float64]

LEAST_SHOWN: Final = 0.30
"""A table of which fewer cells can be shown is not worth its noise; it needs a reason."""

_VERDICTS: Final = ((0.75, "good"), (0.50, "fair"), (LEAST_SHOWN, "poor"), (0.0, "useless"))
_FILLED: Final = 1.0  # a cell with fewer expected pupils counts as empty


@dataclass(frozen=True, slots=True)
class TablePrediction:
    """What is expected of one table; half-widths are in pupils, or in the units of a table of sums.

    Attributes:
        id: of the table.
        cells: those that a pupil can be in.
        raw: half-width of a cell of this table alone.
        cell, stage, county, total: as in the module; None where there is no such sum.
        filled: share of the cells in which at least one pupil is expected.
        shown: share of the cells that are expected to be shown.
    """

    id: str
    cells: int
    raw: float
    cell: float
    stage: float | None
    county: float | None
    total: float | None
    filled: float
    shown: float

    @property
    def verdict(self) -> str:
        """`good`, `fair`, `poor` or `useless`, by the share that can be shown."""
        return next(word for least, word in _VERDICTS if self.shown >= least)


@dataclass(frozen=True, slots=True)
class Half:
    """Half-widths of the 95 % intervals of a table, as in `TablePrediction`."""

    cell: float
    stage: float | None
    county: float | None
    total: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Margins:
    """The sums of a table that are asked about; each is an array of weights, shape (sums, layout.cells)."""

    stage: Floats
    county: Floats
    total: Floats


def estimator(layout: Layout, reports: int) -> LeastSquares:
    """Return the estimator of a round to which so many schools report."""
    return LeastSquares(noise_variances(layout, reports), equalities(layout))


def noise_variances(layout: Layout, reports: int) -> Floats:
    """Return the variance of the noise in each released cell, shape (cells,)."""
    return np.concatenate(
        [np.full(table.cells, float(table.released_variance(reports))) for table in layout.tables]
    )


def half_widths(layout: Layout, reports: int) -> dict[str, Half]:
    """Return the half-widths of every table by its id; they need no forecast."""
    model, raw = estimator(layout, reports), noise_variances(layout, reports)
    errors = np.sqrt(model.variances())
    return {table.id: _half(layout, table, model, raw, errors) for table in layout.tables}


def _half(layout: Layout, table: TableLayout, model: LeastSquares, raw: Floats, errors: Floats) -> Half:
    mine = errors[table.offset : table.end]
    found = margins(layout, table)
    sums = {name: typical_error(model, raw, getattr(found, name)) for name in Margins.__slots__}
    return Half(
        cell=Z95 * statistics.median(mine[mine > 0].tolist()),
        **{name: None if error is None else Z95 * error for name, error in sums.items()},
    )


def predict(layout: Layout, reports: int, expected: Forecast, floor: int) -> tuple[TablePrediction, ...]:
    """Predict every table.

    Args:
        reports: schools whose reports are in the sum.
        expected: what the cells hold.
        floor: the plan's display floor.
    """
    model = estimator(layout, reports)
    errors = np.sqrt(model.variances())
    raw = noise_variances(layout, reports)
    return tuple(_predict(layout, table, model, raw, errors, expected, floor) for table in layout.tables)


def predict_shown(
    layout: Layout, reports: int, pupils: Mapping[str, float], floor: int, table: TableLayout
) -> float:
    """Predict only what `TablePrediction.shown` of one table would be."""
    expected = forecast_table(layout, pupils, table)
    errors = np.sqrt(estimator(layout, reports).variances()[table.offset : table.end])
    return _shown(expected.means, expected.variances, errors, floor)


def _shown(means: Floats, variances: Floats, errors: Floats, floor: int) -> float:
    possible = errors > 0
    chances = shown_chances(means[possible], variances[possible], errors[possible], floor)
    return float(chances.mean())


def _predict(
    layout: Layout,
    table: TableLayout,
    model: LeastSquares,
    raw: Floats,
    errors: Floats,
    expected: Forecast,
    floor: int,
) -> TablePrediction:
    here = slice(table.offset, table.end)
    mine, means = errors[here], expected.means[here]
    half = _half(layout, table, model, raw, errors)
    return TablePrediction(
        id=table.id,
        cells=int((mine > 0).sum()),
        raw=Z95 * math.sqrt(raw[table.offset]),
        cell=half.cell,
        stage=half.stage,
        county=half.county,
        total=half.total,
        filled=float((means[mine > 0] >= _FILLED).mean()),
        shown=_shown(means, expected.variances[here], mine, floor),
    )


def typical_error(model: LeastSquares, raw: Floats, weights: Floats) -> float | None:
    """Return the median standard error of some sums after least squares; None without any."""
    if not len(weights):
        return None
    influence = model.influence(weights)
    return float(np.median(np.sqrt((influence * influence * raw).sum(axis=1))))


def shown_chances(means: Floats, variances: Floats, errors: Floats, floor: int) -> Floats:
    """Return the chance that each cell is shown, noise and the true value both being random.

    The rule: the noisy value is at least the floor, and at least twice the half-width of its interval.
    """
    least = np.maximum(floor, 2 * Z95 * errors)
    scaled = (means - least) / np.sqrt(errors * errors + variances)
    return np.array([0.5 * math.erfc(-value / math.sqrt(2)) for value in scaled.tolist()])


def margins(layout: Layout, table: TableLayout) -> Margins:
    """Return the sums of a table over all but its class: by stage, and in the whole county; and all of it."""
    stages = {grade: stage_of(grade, layout.scope.systems[0]) for grade in layout.scope.grades}
    classes = {name for name in (table.dims[-1], table.multi) if name and name not in ("stage", "grade")}
    by_stage: dict[tuple[str, ...], Floats] = {}
    by_county: dict[tuple[str, ...], Floats] = {}
    for index in range(table.cells):
        codes = table.keys(index)
        kind = tuple(codes[name] for name in table.dims if name in classes)
        by_county.setdefault(kind, np.zeros(layout.cells))[table.offset + index] = 1.0
        stage = _stage(codes, stages)
        if stage:
            by_stage.setdefault((stage, *kind), np.zeros(layout.cells))[table.offset + index] = 1.0
    total = np.zeros((0 if table.multi else 1, layout.cells))
    total[:, table.offset : table.end] = 1.0
    return Margins(_stack(by_stage, layout), _stack(by_county, layout), total)


def _stage(codes: Mapping[str, str], stages: Mapping[str, str]) -> str:
    return codes["stage"] if "stage" in codes else stages.get(codes.get("grade", ""), "")


def _stack(sums: Mapping[tuple[str, ...], Floats], layout: Layout) -> Floats:
    return np.array(list(sums.values())) if sums else np.zeros((0, layout.cells))
