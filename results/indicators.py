"""The indicators of screening: who was to be tested, who was, and how many need help.

Every indicator states its unit and its base. Rates are computed from released counts after the noise,
numerator and base from the same release; nothing here asks a school for anything.

IND-02 is given with and without pupils on leave in its base. `CATALOGUE` is the list; its ids are stable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from plan.codes import GRADE, SEX, STAGE
from plan.populations import Selection
from privacy.display import Shown, show_count, show_rate
from results.estimates import Estimate, best_estimate
from results.rates import rate_of
from results.release import Release
from results.rows import Row, estimate_row, make_row

BREAKDOWNS: Mapping[str, Mapping[str, str]] = {"stage": STAGE, "grade": GRADE, "sex": SEX}
"""The dimensions that indicators are broken down by, with their codes in order."""

JOIN = "+"
"""Joins the codes of a key that stands for several."""


@dataclass(frozen=True, slots=True)
class Population:
    """A set of pupils: a zh name, and every way in which a plan's tables may describe it."""

    name: str
    alternatives: tuple[Selection, ...]


def _population(name: str, *alternatives: Mapping[str, str]) -> Population:
    """Name a population; codes are separated by blanks."""
    return Population(
        name,
        tuple({dim: frozenset(codes.split()) for dim, codes in choice.items()} for choice in alternatives),
    )


# 请假, 免测 and 借读/转出/已排除 (4, 5, 7) are deducted; 同意未登记 (8) is no refusal and is shown apart
EXPECTED = _population("应测人数", {"disposition": "1 2 3 6"})
EXPECTED_OR_ON_LEAVE = _population("应测人数(含请假)", {"disposition": "1 2 3 4 6"})
EXPECTED_AND_WILLING = _population("应测人数(不计未同意)", {"disposition": "1 2 3"})
NO_CONSENT_RECORDED = _population("同意未登记人数", {"disposition": "8"})
TESTED = _population("实测人数", {"disposition": "1 2"})
VALID = _population("有效测评人数", {"disposition": "1"}, {"level": "0 1 2 3"}, {"alert": "low high"})
LEVELS: Mapping[str, Population] = {
    "0": _population("一般观察人数", {"level": "0"}),
    "1": _population("一般关注人数", {"level": "1"}),
    "2": _population("需要关注人数", {"level": "2"}),
    "3": _population("重点关注人数", {"level": "3"}),
    "9": _population("无效/未评定人数", {"disposition": "2"}, {"disposition": "1 2", "level": "9"}),
}
"""Tested pupils by alert level; together they are `TESTED`."""

AT_LEAST_1 = _population("一般关注及以上人数", {"level": "1 2 3"})
AT_LEAST_2 = _population("需要关注及以上人数", {"level": "2 3"}, {"alert": "high"})


@dataclass(frozen=True, slots=True)
class Indicator:
    """One entry of the catalogue.

    Attributes:
        id: as in the catalogue; variants of one entry have a suffix after a slash.
        name: zh.
        counted: the pupils counted, or the numerator.
        base: the denominator, or None for a count.
        by: dimensions that it is broken down by, besides the total.
    """

    id: str
    name: str
    counted: Population
    base: Population | None
    by: tuple[str, ...]

    @property
    def unit(self) -> str:
        """人 for counts, % for rates."""
        return "人" if self.base is None else "%"

    @property
    def definition(self) -> str:
        """What is counted, over which base, in zh."""
        return self.counted.name if self.base is None else f"{self.counted.name} ÷ {self.base.name}"


_LEVEL_DIMS = ("stage", "grade", "sex")

CATALOGUE: tuple[Indicator, ...] = (
    Indicator("IND-01", "应测人数", EXPECTED, None, ("stage", "grade", "sex")),
    Indicator("IND-02", "测评覆盖率", TESTED, EXPECTED, ("stage", "grade")),
    Indicator("IND-02/leave", "测评覆盖率(含请假)", TESTED, EXPECTED_OR_ON_LEAVE, ("stage", "grade")),
    Indicator("IND-02b", "覆盖率(不计未同意)", TESTED, EXPECTED_AND_WILLING, ("stage",)),
    Indicator("IND-03", "实测人数", TESTED, None, ("stage",)),
    Indicator("IND-04", "有效率", VALID, TESTED, ("stage",)),
    Indicator("IND-07/1", "一般关注检出人数", LEVELS["1"], None, _LEVEL_DIMS),
    Indicator("IND-07/2", "需要关注检出人数", LEVELS["2"], None, _LEVEL_DIMS),
    Indicator("IND-07/3", "重点关注检出人数", LEVELS["3"], None, _LEVEL_DIMS),
    Indicator("IND-08/1+", "预警检出率(一般关注及以上)", AT_LEAST_1, VALID, _LEVEL_DIMS),
    Indicator("IND-08/2+", "预警检出率(需要关注及以上)", AT_LEAST_2, VALID, _LEVEL_DIMS),
    Indicator("IND-08/3", "预警检出率(重点关注)", LEVELS["3"], VALID, _LEVEL_DIMS),
)
"""The indicators that are computed now, in the order of the catalogue."""


@dataclass(frozen=True, slots=True)
class IndicatorValue:
    """One number of an indicator.

    Attributes:
        indicator: the catalogue's entry, with unit and base.
        row: keys (empty for the total) and the number with its interval, in the indicator's unit: pupils, or
            percent. None for a rate whose base is too small.
        shown: the same as people may see it.
        sources: ids of the tables that it was computed from.
    """

    indicator: Indicator
    keys: Mapping[str, str]
    row: Row | None
    shown: Shown
    sources: tuple[str, ...]

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


def estimate(release: Release, population: Population, keys: Mapping[str, str]) -> Estimate | None:
    """Estimate how many pupils of a population have the given codes, or None if no table says."""
    chosen = {name: frozenset(code.split(JOIN)) for name, code in keys.items()}
    choices = [{**choice, **chosen} for choice in population.alternatives]
    return best_estimate(release, choices)


def compute(indicator: Indicator, keys: Mapping[str, str], release: Release) -> IndicatorValue | None:
    """Compute one number of an indicator, or None if the tables of the round cannot give it."""
    counted = estimate(release, indicator.counted, keys)
    if counted is None:
        return None
    if indicator.base is None:
        shown = show_count(counted.value, counted.se, floor=release.display_floor)
        return IndicatorValue(indicator, keys, estimate_row(keys, counted), shown, counted.sources)
    base = estimate(release, indicator.base, keys)
    if base is None:
        return None
    share = rate_of(counted, base, floor=release.denominator_floor)
    sources = tuple(dict.fromkeys((*counted.sources, *base.sources)))
    row = None
    if share is not None:
        row = make_row(keys, 100 * share.value, 100 * share.se, share.interval.scaled(100))
    return IndicatorValue(indicator, keys, row, show_rate(share), sources)


def breakdown(indicator: Indicator, by: Sequence[str], release: Release) -> list[IndicatorValue]:
    """Compute the total of an indicator and its numbers per code of some dimensions.

    Stages that only grades can tell, and that share a grade (六三 and 五四 schools in one plan), come as one
    number, such as `primary+junior`, if they cannot be had apart.
    """
    found = [compute(indicator, {}, release)]
    for name in by:
        parts = {code: compute(indicator, {name: code}, release) for code in BREAKDOWNS[name]}
        found += parts.values()
        if name == "stage":
            missing = [stages for stages in _shared_stages(release) if not any(parts[s] for s in stages)]
            found += [compute(indicator, {"stage": JOIN.join(stages)}, release) for stages in missing]
    return [value for value in found if value is not None]


def _shared_stages(release: Release) -> list[tuple[str, ...]]:
    """Return the sets of stages that share a grade, each in the order of `STAGE`."""
    shared = {stages for stages in release.grade_stages.values() if len(stages) > 1}
    return sorted(tuple(stage for stage in STAGE if stage in stages) for stages in shared)


def indicators(release: Release) -> tuple[IndicatorValue, ...]:
    """Compute every indicator of the catalogue that the tables of a round can give.

    Returns:
        Per indicator the total, then its breakdowns, in the order of the catalogue.
    """
    return tuple(value for entry in CATALOGUE for value in breakdown(entry, entry.by, release))
