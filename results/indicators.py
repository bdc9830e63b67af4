"""The numbers of the catalogue's indicators: computed from released counts after the noise, with intervals.

Every indicator states its unit and its base (`results.catalogue`). Numerator and base of a rate are of the
same release; their covariance is that of the consistent estimates.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from plan.codes import GRADE, SEX, STAGE
from plan.dimensions import DIMENSIONS
from plan.populations import INSTRUMENT
from plan.table_spec import Scope
from privacy.display import Shown, show_count, show_rate
from results.catalogue import CATALOGUE, SUPPORT, Indicator
from results.estimates import Estimate, covariance
from results.pupils import JOIN, estimate
from results.rates import rate_of
from results.release import Release
from results.rows import Row, estimate_row, make_row

BREAKDOWNS: Mapping[str, Mapping[str, str]] = {
    "stage": STAGE,
    "grade": GRADE,
    "sex": SEX,
    "level": DIMENSIONS["level"].codes,
}
"""The dimensions that indicators are broken down by, with their codes in order; roster attributes besides."""

Keys = Mapping[str, str]

_SCORED = ("factor", "band")
_INSTRUMENT = "instrument"  # in the keys of a number, where a plan has several


@dataclass(frozen=True, slots=True)
class IndicatorValue:
    """One number of an indicator.

    Attributes:
        indicator: the catalogue's entry, with unit and base.
        row: keys (empty for the total) and the number with its interval, in the indicator's unit: pupils, or
            percent. None for a rate whose base is too small.
        shown: the same as people may see it.
        sources: ids of the tables that it was computed from.
        counted, base: numerator and denominator of a rate, with their own intervals; None for a count.
        covariance: of the noise of these two, in pupils squared.
    """

    indicator: Indicator
    keys: Mapping[str, str]
    row: Row | None
    shown: Shown
    sources: tuple[str, ...]
    counted: Row | None = None
    base: Row | None = None
    covariance: float = 0.0

    def as_dict(self) -> dict[str, object]:
        """Return the value for a json file."""
        numbers = self.row.as_dict() if self.row else {"keys": dict(self.keys), "released": None}
        return {
            "id": self.indicator.id,
            "name": self.indicator.name,
            "unit": self.indicator.unit,
            "definition": self.indicator.definition,
            **numbers,
            "shown": self.shown.text(),
            "tables": list(self.sources),
        }


def compute(
    indicator: Indicator, keys: Keys, release: Release, parts: Keys | None = None
) -> IndicatorValue | None:
    """Compute one number of an indicator, or None if the tables of the round cannot give it.

    Args:
        keys: codes of the pupils of numerator and base alike.
        parts: further codes of the pupils counted, not of the base.
    """
    whole = {**keys, **(parts or {})}
    counted = estimate(release, indicator.counted, _told(whole))
    if counted is None:
        return None
    if indicator.base is None:
        shown = show_count(counted.value, counted.se, floor=release.display_floor)
        return IndicatorValue(indicator, whole, estimate_row(whole, counted), shown, counted.sources)
    of_base = {name: code for name, code in whole.items() if name in keys or name == _INSTRUMENT}
    base = estimate(release, indicator.base, _told(of_base), counted.sources)
    return None if base is None else _rate(indicator, whole, counted, base)


def _told(keys: Keys) -> Keys:
    """Say which instrument the test was of, as `plan.populations` calls it."""
    return {INSTRUMENT if name == _INSTRUMENT else name: code for name, code in keys.items()}


def _rate(indicator: Indicator, keys: Keys, counted: Estimate, base: Estimate) -> IndicatorValue:
    share = rate_of(counted, base, floor=base.release.denominator_floor)
    sources = tuple(dict.fromkeys((*counted.sources, *base.sources)))
    row = None
    if share is not None:
        row = make_row(keys, 100 * share.value, 100 * share.se, share.interval.scaled(100))
    ends = (estimate_row(keys, counted), estimate_row(keys, base), covariance(counted, base))
    return IndicatorValue(indicator, keys, row, show_rate(share), sources, *ends)


def breakdown(indicator: Indicator, by: Sequence[str], release: Release) -> list[IndicatorValue]:
    """Compute the total of an indicator and its numbers per code of some dimensions.

    Stages that only grades can tell, and that share a grade (六三 and 五四 schools in one plan), come as one
    number, such as `primary+junior`, if they cannot be had apart.
    """
    found = _numbers(indicator, {}, release)
    for name in by:
        parts = {
            code: _numbers(indicator, {name: code}, release) for code in _codes(name, release.layout.scope)
        }
        found += [value for values in parts.values() for value in values]
        if name == "stage":
            missing = [stages for stages in _shared_stages(release) if not any(parts[s] for s in stages)]
            for stages in missing:
                found += _numbers(indicator, {"stage": JOIN.join(stages)}, release)
    return found


def _numbers(indicator: Indicator, place: Keys, release: Release) -> list[IndicatorValue]:
    """Compute the numbers of one place: one, or one for each code of `each` and `parts`."""
    values = (
        compute(indicator, {**place, **whole}, release, parts)
        for whole in choices(indicator.each, release.layout.scope)
        for parts in choices(indicator.parts, release.layout.scope)
    )
    return [value for value in values if value is not None]


def choices(dims: Sequence[str], scope: Scope) -> Iterator[dict[str, str]]:
    """Yield every combination of codes of some dimensions, of one instrument if their codes depend on it."""
    if not any(name in _SCORED for name in dims):
        for codes in product(*(_codes(name, scope) for name in dims)):
            yield dict(zip(dims, codes, strict=True))
        return
    instruments = scope.instruments
    for item in instruments:
        named = {_INSTRUMENT: item.id} if len(instruments) > 1 else {}
        known = {"factor": [factor for factor, _ in item.factors], "band": [*DIMENSIONS["band"].codes]}
        for codes in product(*(known.get(name) or _codes(name, scope) for name in dims)):
            yield {**named, **dict(zip(dims, codes, strict=True))}


def _codes(name: str, scope: Scope) -> Sequence[str]:
    """Return the codes of a dimension, in order; none of a roster attribute that the plan does not use."""
    if name in DIMENSIONS:
        return tuple(BREAKDOWNS.get(name) or DIMENSIONS[name].codes)
    return tuple(code for code, _ in dict(scope.attributes).get(name, ()))


def _shared_stages(release: Release) -> list[tuple[str, ...]]:
    """Return the sets of stages that share a grade, each in the order of `STAGE`."""
    shared = {stages for stages in release.grade_stages.values() if len(stages) > 1}
    return sorted(tuple(stage for stage in STAGE if stage in stages) for stages in shared)


def indicators(release: Release) -> tuple[IndicatorValue, ...]:
    """Compute every indicator of the catalogue that the tables of a round can give.

    Returns:
        Per indicator the total, then its breakdowns, in the order of the catalogue.
    """
    return _compute_all(CATALOGUE, release)


def support(release: Release) -> tuple[IndicatorValue, ...]:
    """Compute the further numbers that reports show, as `indicators`."""
    return _compute_all(SUPPORT, release)


def _compute_all(entries: Sequence[Indicator], release: Release) -> tuple[IndicatorValue, ...]:
    asked = (entry for entry in entries if not entry.waves or release.wave in entry.waves.split())
    return tuple(value for entry in asked for value in breakdown(entry, _by(entry, release), release))


def _by(indicator: Indicator, release: Release) -> tuple[str, ...]:
    """Name the dimensions of an indicator, and the roster attributes that the plan's tables may have."""
    attributes = [name for name, _ in release.layout.scope.attributes]
    return tuple(dict.fromkeys((*indicator.by, *attributes)))
