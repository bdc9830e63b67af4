"""The consistent estimates of a release as rows, for `estimates/*.csv` and the `estimates` of release.json.

A table of counts gives one row per cell: the estimate from all tables of the round, its standard error and
95 % interval, and for people the same rounded from 0 and as the display rules let it be shown. Unrounded
estimates may be negative, like the released cells, which stay in `tables/` as they are.

A table of sums gives per cell the pupils, and total and mean of their number; what cannot be said is empty.
"""

import math
from collections.abc import Iterator, Mapping
from itertools import chain

from privacy.display import show_count, show_mean
from privacy.intervals import Interval, sum_interval
from results.release import Release
from results.sums import number_of
from results.tables import NoisyTable

Cell = Mapping[str, object]

_NUMBERS = ("", "_se", "_low95", "_high95")


def estimate_columns(table: NoisyTable) -> tuple[str, ...]:
    """Return the columns behind the codes of a cell, in order."""
    if not table.layout.sum:
        return ("estimate", "se", "low95", "high95", "rounded", "shown")
    return (*chain(*(_names(part) for part in ("pupils", "total", "mean"))), "shown")


def estimate_rows(release: Release, table: NoisyTable) -> Iterator[tuple[Mapping[str, str], Cell]]:
    """Yield the codes of each cell of a table, in cell order, and its values by column."""
    for index in range(table.cells):
        keys = table.layout.keys(index)
        yield keys, (_sum_cell if table.layout.sum else _count_cell)(release, table, index)


def _count_cell(release: Release, table: NoisyTable, index: int) -> Cell:
    at = table.layout.offset + index
    value, se = float(release.estimates[at]), math.sqrt(release.estimator.variances[at])
    interval = sum_interval(value, se)
    return {
        "estimate": value,
        "se": se,
        "low95": interval.low,
        "high95": interval.high,
        "rounded": max(math.floor(value + 0.5), 0),
        "shown": show_count(value, se, floor=release.display_floor).text(),
    }


def _sum_cell(release: Release, table: NoisyTable, index: int) -> Cell:
    found = number_of(release, table, {name: {code} for name, code in table.layout.keys(index).items()})
    values: dict[str, object] = {}
    for part, number in (("pupils", found.pupils), ("total", found.total), ("mean", found.mean)):
        values |= _four(part, None if number is None else (number.value, number.se, number.interval))
    return values | {"shown": show_mean(found.mean).text()}


def _names(part: str) -> tuple[str, ...]:
    return tuple(part + suffix for suffix in _NUMBERS)


def _four(part: str, number: tuple[float, float, Interval] | None) -> dict[str, object]:
    if number is None:
        return dict.fromkeys(_names(part))
    value, se, interval = number
    return dict(zip(_names(part), (value, se, interval.low, interval.high), strict=True))
