"""Released numbers as rows: what json and csv files hold, the same at the coordinator and at an auditor.

A row has the codes of the cell, the released number, its standard error and its 95 % interval. Numbers are
the archived ones: not rounded, not clipped, not withheld (`privacy.display` does that where people read).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from plan.dimensions import DIMENSIONS
from privacy.intervals import Interval, sum_interval
from results.estimates import Estimate
from results.tables import NoisyTable

NUMBER_COLUMNS = ("released", "se", "low95", "high95")
"""Columns after the keys."""


@dataclass(frozen=True, slots=True)
class Row:
    """One released number.

    Attributes:
        keys: code per dimension, in the table's order.
        released: the noisy value; counts are exact binary fractions.
        se: standard error, in the same unit.
        low95, high95: 95 % interval.
    """

    keys: Mapping[str, str]
    released: float
    se: float
    low95: float
    high95: float

    def as_dict(self) -> dict[str, object]:
        """Return the row for a json file."""
        return {"keys": dict(self.keys), **{name: getattr(self, name) for name in NUMBER_COLUMNS}}

    def as_record(self) -> tuple[str | float, ...]:
        """Return the row for a csv file: the codes, then `NUMBER_COLUMNS`."""
        return (*self.keys.values(), self.released, self.se, self.low95, self.high95)


def make_row(keys: Mapping[str, str], value: float, se: float, interval: Interval) -> Row:
    """Make a row; the keys are copied."""
    return Row(MappingProxyType(dict(keys)), value, se, interval.low, interval.high)


def estimate_row(keys: Mapping[str, str], estimate: Estimate) -> Row:
    """Return an estimate as a row."""
    return make_row(keys, estimate.value, estimate.se, estimate.interval)


def table_rows(table: NoisyTable) -> tuple[Row, ...]:
    """Return one row per cell, in cell order."""
    se = table.se
    return tuple(
        make_row(table.layout.keys(i), float(value), se, sum_interval(value, se))
        for i, value in ((i, table.value(i)) for i in range(table.cells))
    )


def table_columns(table: NoisyTable) -> tuple[str, ...]:
    """Return the column names of a table's csv file, to stand above `Row.as_record`."""
    return (*table.dims, *NUMBER_COLUMNS)


def label_of(dimension: str, code: str) -> str:
    """Return the zh label of a code, or the code itself where the plan's instrument names it."""
    known = DIMENSIONS.get(dimension)
    return known.codes.get(code, code) if known else code
