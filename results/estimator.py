"""How a layout's released cells become consistent estimates. Holds no released number.

Every identity of the tables that is an equality goes into one generalised least squares (`LeastSquares`), so
that each estimate uses every table that says something about it, and all tables agree. What depends on the
plan and the number of reports alone (which cells count which pupils, variances, covariances) is worked out
here once and serves any number of rounds.

Tables over a set-valued dimension, of sums, and of one of several instruments are in no equality with the
others: their estimates are their released cells.

Spec: privacy.md, "Estimation", points 2 and 3.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from plan.identities import equalities
from plan.layout import Layout, TableLayout
from plan.populations import Populations, Selection
from privacy.least_squares import LeastSquares

Floats = NDArray[np.float64]
_Asked = tuple[tuple[tuple[tuple[str, frozenset[str]], ...], ...], tuple[str, ...]]

_GRID = float(1 << 20)
"""Estimates are rounded to this part of a pupil, far below the noise: a known 0 then is 0."""

_NOTHING = 1e-9
"""Part of the released variance below which an estimate is known exactly; rounding leaves about 1e-14."""


class Estimator:
    """The estimation of one layout at given variances of the released cells."""

    def __init__(self, layout: Layout, variances: Sequence[Fraction]) -> None:
        """Set up the estimation; the equalities are factorised when they are first needed.

        Args:
            layout: of the plan; it may lack tables, its cells keep their positions.
            variances: of a released cell of each table of the layout, in counts squared.
        """
        self.layout = layout
        self.pupils = Populations(layout)
        self.raw_variances = np.ones(layout.cells)
        for table, variance in zip(layout.tables, variances, strict=True):
            self.raw_variances[table.offset : table.end] = float(variance)
        self._pulls: dict[tuple[int, ...], Mapping[int, float]] = {}
        self._cells: dict[_Asked, tuple[tuple[str, ...], tuple[int, ...]]] = {}

    @cached_property
    def solver(self) -> LeastSquares:
        """The least squares over all equalities of the tables."""
        return LeastSquares(self.raw_variances, equalities(self.layout))

    def estimate(self, raw: Floats) -> Floats:
        """Return the consistent estimates of released cells; shape (cells,) or (rounds, cells)."""
        return np.asarray(np.rint(self.solver.estimate(raw) * _GRID) / _GRID + 0.0)

    @cached_property
    def variances(self) -> Floats:
        """Variance of each estimated cell, in counts squared; never above the released cell's."""
        found = self.solver.variances()
        return np.where(found > _NOTHING * self.raw_variances, found, 0.0)

    def find(
        self, choices: Iterable[Selection], prefer: Sequence[str] = ()
    ) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Find the cells that count the pupils of a selection.

        Args:
            choices: selections that describe the same pupils in different words.
            prefer: ids of tables to take first among those over a set-valued dimension.

        Returns:
            The ids of all tables that count exactly these pupils, and positions in the vector in that one of
            them with the fewest cells; both empty if no table does. All of them give the same estimate. Over
            a set-valued dimension each table has an estimate of its own: then it is one table's alone.
        """
        words = tuple(tuple((name, frozenset(codes)) for name, codes in choice.items()) for choice in choices)
        asked = words, tuple(prefer)
        if asked not in self._cells:  # the same for every round of a plan
            self._cells[asked] = self._find([dict(choice) for choice in words], prefer)
        return self._cells[asked]

    def _find(
        self, choices: Sequence[Selection], prefer: Sequence[str]
    ) -> tuple[tuple[str, ...], tuple[int, ...]]:
        found = self._found(
            lambda table: next(filter(None, (self.pupils.cells(table, choice) for choice in choices)), ())
        )
        apart = [table.id for table in self.layout.tables if table.multi and table.id in found]
        if not apart:
            return _narrowest(found)
        return _narrowest({name: found[name] for name in [n for n in apart if n in prefer] or apart}, 1)

    def find_pupils(
        self, table: TableLayout, selection: Selection
    ) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """Find the cells that count the pupils behind selected cells of a table of sums; as `find`."""
        behind = self.pupils.behind(table, selection)
        return _narrowest(self._found(lambda other: self.pupils.counting(other, behind)))

    def _found(self, cells_in: Callable[[TableLayout], tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        found: dict[str, tuple[int, ...]] = {}
        for table in self.layout.tables:
            cells = () if table.sum else cells_in(table)
            if cells:
                found[table.id] = tuple(table.offset + cell for cell in cells)
        return found

    def covariance(self, one: tuple[int, ...], other: tuple[int, ...]) -> float:
        """Return the covariance of the sums of two groups of estimated cells, in counts squared."""
        pull = self._pull(one)
        found = math.fsum(pull.get(cell, 0.0) for cell in other)
        least = _NOTHING * math.fsum(self.raw_variances[list(one)].tolist())
        return found if abs(found) > least else 0.0

    def _pull(self, cells: tuple[int, ...]) -> Mapping[int, float]:
        """Return the covariance of a group's estimate with each estimated cell, where it is not 0."""
        if cells not in self._pulls:
            target = np.zeros(self.layout.cells)
            target[list(cells)] = 1.0
            found = self.solver.influence(target) * self.raw_variances
            self._pulls[cells] = {int(at): float(found[at]) for at in np.flatnonzero(found)}
        return self._pulls[cells]


def _narrowest(
    found: Mapping[str, tuple[int, ...]], most: int | None = None
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Return the names of the tables, of `most` only the first ones by cells, and the fewest cells."""
    names = sorted(found, key=lambda name: len(found[name])) if most else found
    return tuple(names)[:most], min(found.values(), key=len) if found else ()


@lru_cache(maxsize=16)
def estimator_of(layout: Layout, variances: tuple[Fraction, ...]) -> Estimator:
    """Return the estimator of a layout, the same one for the same arguments."""
    return Estimator(layout, variances)
