"""Several releases of one federation or more, over time: IND-05 累计测评人次, and one number over the waves.

人次 counts a pupil once for each wave: it adds up 实测人数 of different rounds. Their noise is independent,
so the variances add. A wave of a federation counts once, whichever of its rounds gives the number.

Spec: domain.md b1 (200余万人次); privacy.md, "Topology".
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from plan.errors import phrase
from privacy.display import DISPLAY_FLOOR, show_count
from privacy.intervals import sum_interval
from results.catalogue import CUMULATIVE
from results.errors import SelectionError
from results.indicators import IndicatorValue
from results.report_model import ReportModel
from results.report_parts import WITHDRAWN, ReportHead
from results.rows import make_row

TESTED = "IND-03"


def cumulative(models: Sequence[ReportModel]) -> IndicatorValue | None:
    """Add up 实测人数 of several releases: IND-05, in 人次.

    Returns:
        The sum over the releases, or None if one of them does not tell who was tested.

    Raises:
        SelectionError: no release, a withdrawn one, or a wave of a federation twice.
    """
    if not models:
        raise SelectionError(phrase("person-times: expected one release or more, found none"))
    _check_waves([model.head for model in models])
    found = [model.value(TESTED) for model in models]
    rows = [item.row for item in found if item is not None and item.row is not None]
    if len(rows) < len(models):
        return None
    value, se = math.fsum(row.released for row in rows), math.hypot(*(row.se for row in rows))
    floor = max(DISPLAY_FLOOR, *(model.head.display_floor for model in models))
    sources = tuple(f"{model.head.school_year} {model.head.wave}" for model in models)
    row = make_row({}, value, se, sum_interval(value, se))
    return IndicatorValue(CUMULATIVE, {}, row, show_count(value, se, floor=floor), sources)


def with_cumulative(model: ReportModel, earlier: Sequence[ReportModel]) -> ReportModel:
    """Return a report with IND-05 over its own and earlier releases, at its place in the catalogue.

    Raises:
        SelectionError: as `cumulative`.
    """
    found = cumulative([*earlier, model])
    if found is None:
        return model
    kept = [value for value in model.indicators if value.indicator.entry != CUMULATIVE.id]
    place = sum(value.indicator.entry < CUMULATIVE.id for value in kept)
    return replace(model, indicators=(*kept[:place], found, *kept[place:]))


@dataclass(frozen=True, slots=True)
class Point:
    """One number at one wave; `value` is None where the release does not have it."""

    head: ReportHead
    value: IndicatorValue | None


def trend(models: Sequence[ReportModel], indicator: str, **keys: str) -> tuple[Point, ...]:
    """Return one number of an indicator over several releases, by census date.

    Withdrawn releases are left out. Points are comparable as far as `results.comparing` says.
    """
    kept = [model for model in models if model.head.status != WITHDRAWN]
    ordered = sorted(kept, key=lambda model: (model.head.census_date, model.head.serial))
    return tuple(Point(model.head, model.value(indicator, **keys)) for model in ordered)


def _check_waves(heads: Sequence[ReportHead]) -> None:
    if any(head.status == WITHDRAWN for head in heads):
        raise SelectionError(phrase("person-times: expected releases that stand, found a withdrawn one"))
    waves = {(head.federation, head.school_year, head.wave) for head in heads}
    if len(waves) != len(heads):
        raise SelectionError(
            phrase("person-times: expected every wave of a federation once, found one twice")
        )
