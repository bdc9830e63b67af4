"""The indicators of a prefecture: counties' releases of one plan added up, at no further cost.

Numerators and bases are added over the counties, then divided; never an average of counties' rates. The noise
of the counties is independent, so variances and covariances add. A number that one of the counties cannot
give is left out. Counties are added, never put in an order.

Spec: privacy.md, "Topology".
"""

import math
from collections.abc import Sequence

from privacy.display import show_count, show_rate
from privacy.intervals import rate, sum_interval
from results.combining import Part, check_parts
from results.indicators import IndicatorValue, indicators
from results.rows import Row, make_row


def total_indicators(parts: Sequence[Part]) -> tuple[IndicatorValue, ...]:
    """Compute the catalogue's indicators over several counties, in its order.

    Args:
        parts: releases of different schools.

    Raises:
        SelectionError: releases that may not be added up (`results.combining`).
    """
    check_parts(parts)
    floor = max(part.release.display_floor for part in parts)
    base_floor = max(part.release.denominator_floor for part in parts)
    first, *others = [{_key(value): value for value in indicators(part.release)} for part in parts]
    return tuple(
        _total([value, *(other[key] for other in others)], floor, base_floor)
        for key, value in first.items()
        if all(key in other for other in others)
    )


def _key(value: IndicatorValue) -> tuple[object, ...]:
    return (value.indicator.id, *sorted(value.keys.items()))


def _total(values: Sequence[IndicatorValue], floor: int, base_floor: int) -> IndicatorValue:
    first = values[0]
    sources = tuple(dict.fromkeys(name for value in values for name in value.sources))
    if first.indicator.base is None:
        row = _sum([value.row for value in values])
        shown = show_count(row.released, row.se, floor=floor)
        return IndicatorValue(first.indicator, first.keys, row, shown, sources)
    counted, base = _sum([value.counted for value in values]), _sum([value.base for value in values])
    covariance = math.fsum(value.covariance for value in values)
    share = rate(
        counted.released,
        base.released,
        numerator_variance=counted.se**2,
        denominator_variance=base.se**2,
        covariance=covariance,
        floor=base_floor,
    )
    row_of_rate = None
    if share is not None:
        row_of_rate = make_row(first.keys, 100 * share.value, 100 * share.se, share.interval.scaled(100))
    ends = (counted, base, covariance)
    return IndicatorValue(first.indicator, first.keys, row_of_rate, show_rate(share), sources, *ends)


def _sum(rows: Sequence[Row | None]) -> Row:
    found = [row for row in rows if row is not None]
    value = math.fsum(row.released for row in found)
    se = math.sqrt(math.fsum(row.se**2 for row in found))
    return make_row(found[0].keys, value, se, sum_interval(value, se))
