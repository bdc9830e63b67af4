"""The first page of a release: coverage by stage, and pupils by stage and alert level, with 95 % intervals.

Its numbers are IND-01 to IND-04 and IND-07 of `results.catalogue.CATALOGUE`.
"""

from dataclasses import dataclass

from plan.codes import STAGE
from privacy.display import Shown, show_count
from results.catalogue import CATALOGUE, LEVELS, NO_CONSENT
from results.indicators import IndicatorValue, breakdown
from results.pupils import estimate
from results.release import Release
from results.rows import Row, estimate_row

_COVERAGE_IDS = ("IND-01", "IND-02", "IND-02/leave", "IND-02b", "IND-03", "IND-04")
_COVERAGE = (*(entry for entry in CATALOGUE if entry.id in _COVERAGE_IDS), NO_CONSENT)


@dataclass(frozen=True, slots=True)
class LevelCount:
    """Tested pupils of one stage (or of all) at one alert level.

    Attributes:
        row: keys `level` and, but for the total, `stage`; pupils.
        shown: the same as people may see it.
        sources: ids of the tables that it was computed from.
    """

    row: Row
    shown: Shown
    sources: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """Return the count for a json file."""
        return {**self.row.as_dict(), "shown": self.shown.text(), "tables": list(self.sources)}


@dataclass(frozen=True, slots=True)
class Summary:
    """What a county reads first.

    Attributes:
        coverage: indicators of testing, for the county and per stage.
        levels: pupils per alert level (0, 1, 2, 3, 9), for the county and per stage.
    """

    coverage: tuple[IndicatorValue, ...]
    levels: tuple[LevelCount, ...]

    def as_dict(self) -> dict[str, object]:
        """Return the summary for a json file."""
        return {
            "coverage": [value.as_dict() for value in self.coverage],
            "levels": [count.as_dict() for count in self.levels],
        }


def summarise(release: Release) -> Summary:
    """Compute coverage and level x stage from a release.

    Returns:
        What the tables can give; a plan without level tables has no `levels`.
    """
    coverage = tuple(value for entry in _COVERAGE for value in breakdown(entry, ("stage",), release))
    places: list[dict[str, str]] = [{}, *({"stage": stage} for stage in STAGE)]
    levels = []
    for keys in places:
        for level, population in LEVELS.items():
            count = estimate(release, population, keys)
            if count is not None:
                row = estimate_row({**keys, "level": level}, count)
                shown = show_count(count.value, count.se, floor=release.display_floor)
                levels.append(LevelCount(row, shown, count.sources))
    return Summary(coverage, tuple(levels))
