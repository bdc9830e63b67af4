"""The unbiased noisy tables of a release.

Values are exact: an integer sum in scaled units over a power of two. They are archived as they are, negative
ones included; rounding and withholding belong to `privacy.display`. There is no type for exact tables here:
those exist only inside a school's vault.

Spec: privacy.md, "Estimation", point 1.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product

from plan.layout import Layout, TableLayout
from privacy.accountant import MAX_SCHOOLS
from results.errors import ReleaseError, SelectionError

_TABLE_KEYS = {"id", "scale", "s2", "sums"}


@dataclass(frozen=True, slots=True)
class NoisyTable:
    """One table of one release.

    Attributes:
        release: round id as hex; numbers of different releases never meet in one rate.
        layout: its dimensions, codes, filters and noise, from the plan.
        reports_in: number of schools whose noise is in every cell, |S|.
        sums: noisy counts times the layout's scale, one per cell.
        tier: of a turnout ladder: how many steps of the noise were taken out again; None for as many as
            `reports_in` schools of as many operators give.

    Raises:
        ReleaseError: another number of cells, no integers, or an impossible number of reports.
    """

    release: str
    layout: TableLayout
    reports_in: int
    sums: tuple[int, ...] = field(repr=False)
    tier: int | None = None

    def __post_init__(self) -> None:
        if type(self.reports_in) is not int or not 1 <= self.reports_in <= MAX_SCHOOLS:
            raise ReleaseError(f"reports in: expected 1 to {MAX_SCHOOLS}, found {self.reports_in!r}")
        if len(self.sums) != self.cells:
            raise ReleaseError(f"table {self.id}: expected {self.cells} cells, found {len(self.sums)}")
        if not all(type(value) is int for value in self.sums):
            raise ReleaseError(f"table {self.id}: expected integers as sums")

    @property
    def id(self) -> str:
        """Name of the table in the plan."""
        return self.layout.id

    @property
    def dims(self) -> tuple[str, ...]:
        """Names of its dimensions, outermost first."""
        return self.layout.dims

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.layout.cells

    @property
    def cell_variance(self) -> Fraction:
        """Variance of the noise in one cell, in counts squared, exactly."""
        return self.layout.released_variance(self.reports_in, self.tier)

    @property
    def s2(self) -> int:
        """Variance that each school left in a cell, in scaled units."""
        tier = self.layout.tier(self.reports_in) if self.tier is None else self.tier
        return self.layout.noise.left_at(tier)

    @property
    def se(self) -> float:
        """Standard error of one cell, in counts."""
        return math.sqrt(self.cell_variance)

    def value(self, index: int) -> Fraction:
        """Return the noisy count of a cell; may be negative."""
        return Fraction(self.sums[index], self.layout.noise.scale)

    def codes_of(self, dimension: str) -> tuple[str, ...]:
        """Return the codes of a dimension in cell order.

        Raises:
            SelectionError: the table does not have it.
        """
        if dimension not in self.dims:
            raise SelectionError(
                f"table {self.id} has no dimension {dimension!r}, only {', '.join(self.dims)}"
            )
        return self.layout.codes[self.dims.index(dimension)]

    def select(self, selection: Mapping[str, Collection[str]]) -> tuple[int, ...]:
        """Return the cells whose codes are selected, ascending; dimensions not named are summed over.

        Raises:
            SelectionError: a dimension or a code that the table does not have, or no code.
        """
        for name, wanted in selection.items():
            known = self.codes_of(name)
            if not wanted or not set(wanted) <= set(known):
                raise SelectionError(
                    f"table {self.id}, dimension {name}: expected codes out of {', '.join(known)}, "
                    f"found {', '.join(sorted(set(wanted) - set(known))) or 'none'}"
                )
        places, stride = [], self.cells
        for name, codes in zip(self.dims, self.layout.codes, strict=True):
            stride //= len(codes)
            wanted = selection.get(name, codes)
            places.append([at * stride for at, code in enumerate(codes) if code in wanted])
        return tuple(sum(cell) for cell in product(*places))


def build_tables(
    layout: Layout, released: Sequence[Mapping[str, object]], *, release: str, reports_in: int
) -> tuple[NoisyTable, ...]:
    """Put the opened sums of a release into the tables of its plan.

    Args:
        layout: of the plan that the release names.
        released: the release body's tables, each {"id", "scale", "s2", "sums"}, sums in scaled units.
        release: round id as hex.
        reports_in: |S|, from the release statement.

    Returns:
        One table per table of the layout, in its order.

    Raises:
        ReleaseError: other tables, another order, noise or number of cells than the plan says.
    """
    if len(released) != len(layout.tables):
        raise ReleaseError(f"release: expected {len(layout.tables)} tables, found {len(released)}")
    return tuple(
        NoisyTable(release, table, reports_in, _sums_of(table, row), _tier_of(table, row))
        for table, row in zip(layout.tables, released, strict=True)
    )


def _tier_of(table: TableLayout, row: Mapping[str, object]) -> int:
    """Find the tier that leaves the variance that the release states; the log's rules tie it to the close."""
    tiers = range(len(table.noise.components))
    return next((tier for tier in tiers if table.noise.left_at(tier) == row.get("s2")), 0)


def _sums_of(table: TableLayout, row: Mapping[str, object]) -> tuple[int, ...]:
    left = table.noise.left_at(_tier_of(table, row))
    expected = {"id": table.id, "scale": table.noise.scale, "s2": left}
    if set(row) != _TABLE_KEYS or any(row[key] != value for key, value in expected.items()):
        found = {key: row.get(key) for key in expected}
        raise ReleaseError(f"release, table {table.id}: expected {expected} and sums, found {found}")
    sums = row["sums"]
    if not isinstance(sums, list | tuple):
        raise ReleaseError(f"release, table {table.id}: expected a list of sums")
    return tuple(sums)
