"""The pupils of a forecast: joint states of a few facts, and the chance of every other code in each state.

Joint are grade, sex, left-behind status, family, disposition and first level, as in the demo's made-up
county. Whatever else a table may count is given as code → chance for each state. All numbers come from
`plan.assumptions`.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import product
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from plan import assumptions as assumed
from plan.codes import DISPOSITION, GROUP, SEX, TESTED, UNKNOWN, VALID, WITHOUT_CONSENT, stage_of
from plan.instrument import Instrument
from plan.layout import Layout, TableLayout
from plan.scores import NUM_BANDS

Floats = NDArray[np.float64]
Columns = dict[str, Floats]

_RESULTS: Final = (
    *((VALID, level) for level in "0123"),
    *((code, UNKNOWN) for code in DISPOSITION if code != VALID),
)
_LEVEL_ORDER: Final = "0123"


class Core:
    """The states, their expected numbers of pupils, and the codes that follow from them.

    Attributes:
        pupils: expected number in each state, shape (states,).
    """

    def __init__(self, layout: Layout, pupils: Mapping[str, float]) -> None:
        """Split the pupils of each stage (in the grades that the plan screens) over the states."""
        self._instruments = len(layout.scope.instruments)
        self._values, chances = _states(layout.scope.grades, layout.scope.systems[0], layout.consent)
        stages = self._values["stage"]
        self.pupils = np.zeros(len(chances))
        for stage, number in pupils.items():
            here = stages == stage
            grades = len(set(self._values["grade"][here].tolist()))
            self.pupils[here] = chances[here] * number / max(grades, 1)

    def has(self, name: str, codes: Sequence[str]) -> Floats:
        """Return 1.0 for the states with one of these codes of a core field."""
        return np.isin(self._values[name], list(codes)).astype(np.float64)

    def instrument_share(self, table: TableLayout) -> Floats:
        """Return the chance to be counted by a table of one instrument: each is used equally often."""
        if table.instrument is None:
            return np.ones_like(self.pupils)
        return self.has("disposition", TESTED) / self._instruments

    def columns(self, table: TableLayout, name: str, codes: Sequence[str]) -> Floats:
        """Return the chance of each code of a dimension in each state; shape (codes, states).

        Over the set-valued dimension of a table these are the chances to be counted: the first `touch`.
        """
        found = self._columns(table, name, codes)
        rows = np.array([found.get(code, np.zeros_like(self.pupils)) for code in codes])
        return _capped(rows, table.touch) if name == table.multi else rows

    def _columns(self, table: TableLayout, name: str, codes: Sequence[str]) -> Columns:
        if name in self._values:
            return {code: self.has(name, [code]) for code in codes}
        if name in assumed.BY_LEVEL:
            return self._by_level(assumed.BY_LEVEL[name], "15" if name == "review" else UNKNOWN)
        match name:
            case "alert":
                return {
                    "low": self.has("level", "01"),
                    "high": self.has("level", "23"),
                    "9": self.has("level", "9"),
                }
            case "boarding":
                boards = self._by("stage", assumed.BOARDING_RATES)
                return {"1": 1 - boards, "2": boards}
            case "band":
                return self._bands()
            case "factor":
                return self._factors(table.instrument)
            case "flag":
                return self._by_level(assumed.FLAGS, "")
            case "group":
                return self._groups()
            case "groups_held":
                many = _at_least(list(self._groups().values()), 4)
                return {"3": 1 - many, "4": many}
            case "level_before":
                return self._level_before()
        constant = {
            "migrant": {"0": 1 - assumed.MIGRANT_RATE, "1": assumed.MIGRANT_RATE},
            "home_visit": assumed.HOME_VISIT,
        }.get(name) or dict.fromkeys(codes, 1 / len(codes))  # a roster attribute: in equal parts
        return {code: np.full_like(self.pupils, share) for code, share in constant.items()}

    def _by(self, name: str, chances: Mapping[str, float]) -> Floats:
        found = np.zeros_like(self.pupils)
        for value, chance in chances.items():
            found += chance * self.has(name, [value])
        return found

    def _by_level(self, shares: Mapping[str, Mapping[str, float]], other: str) -> Columns:
        """Return the chances given the level; a level that is not named has the code `other`, if any."""
        codes = {code for row in shares.values() for code in row}
        found = {
            code: self._by("level", {level: row.get(code, 0.0) for level, row in shares.items()})
            for code in codes
        }
        if other:
            found[other] = found.get(other, 0.0) + 1 - self.has("level", list(shares))
        return found

    def _bands(self) -> Columns:
        """Tenths of the score's range; only a valid test has a score."""
        edges = np.minimum(NUM_BANDS - 1, np.arange(len(_scores(0))) * NUM_BANDS // (len(_scores(0)) - 1))
        return {
            str(band): self._by(
                "level", {level: float(_scores(int(level))[edges == band].sum()) for level in _LEVEL_ORDER}
            )
            for band in range(NUM_BANDS)
        }

    def _factors(self, instrument: Instrument | None) -> Columns:
        known = {title: share for title, _, share in assumed.FACTORS}
        return {
            code: self._by(
                "level",
                {level: _high(known.get(title, assumed.OTHER_FACTOR), int(level)) for level in _LEVEL_ORDER},
            )
            for code, title in (instrument.factors if instrument else ())
        }

    def _groups(self) -> Columns:
        found = {code: np.full_like(self.pupils, assumed.GROUPS.get(code, 0.0)) for code in GROUP}
        found["g1"] = self.has("left_behind", ("1", "2"))
        found["g2"] = self.has("family", "2")
        found["g3"] *= 1 - self.has("disposition", WITHOUT_CONSENT)
        found["g4"] = np.maximum(found["g4"], self.has("family", "4"))
        return found

    def _level_before(self) -> Columns:
        """The level of the wave before: often the same, else that of any pupil of the stage."""
        tested = np.isin(self._values["disposition"], TESTED)
        found = {UNKNOWN: np.full_like(self.pupils, assumed.NOT_TESTED_BEFORE)}
        for level in _LEVEL_ORDER:
            same = assumed.SAME_LEVEL_BEFORE * self.has("level", [level])
            usual = np.zeros_like(self.pupils)
            for stage in np.unique(self._values["stage"]):
                there = self.has("stage", [stage])
                valid = self.pupils * there * self.has("level", _LEVEL_ORDER)
                share = float((valid * self.has("level", [level])).sum()) / max(float(valid.sum()), 1e-9)
                usual += there * share
            anew = 1 - assumed.SAME_LEVEL_BEFORE * self.has("level", _LEVEL_ORDER)
            found[level] = (1 - assumed.NOT_TESTED_BEFORE) * (same + anew * usual)
        found[UNKNOWN] = np.where(tested, found[UNKNOWN], 1.0)
        return {code: np.where(tested, chance, float(code == UNKNOWN)) for code, chance in found.items()}

    def moments(self, table: TableLayout) -> tuple[Floats, Floats]:
        """Return mean and mean square of what a pupil of each state adds to a cell of a table of sums."""
        low, high = table.range or (0, 1)
        first, second = np.zeros_like(self.pupils), np.zeros_like(self.pupils)
        for where, values, chances in self._numbers(table):
            added = np.clip(np.floor(values + 0.5), low, high) - low
            first += where * float(added @ chances)
            second += where * float((added * added) @ chances)
        return first, second

    def _numbers(self, table: TableLayout) -> list[tuple[Floats, Floats, Floats]]:
        """Return (states, values, chances) of the number that a table sums; the rest has none."""
        if table.sum == "total" and table.instrument is not None:
            total = table.instrument.total
            values = float(total.low) + np.linspace(0, 1, len(_scores(0))) * float(total.high - total.low)
            return [(self.has("level", [level]), values, _scores(int(level))) for level in _LEVEL_ORDER]
        if table.sum == "days_to_review":
            days = assumed.DAYS_TO_REVIEW
            values = np.array([float(day) for day in days])
            return [(self.has("level", assumed.FOLLOWED_UP), values, np.array(list(days.values())))]
        seconds = np.arange(*assumed.DURATION_S, dtype=np.float64)
        return [(self.has("disposition", TESTED), seconds, np.full(len(seconds), 1 / len(seconds)))]


@lru_cache(maxsize=8)
def _states(
    grades: tuple[str, ...], system: str, consent: str
) -> tuple[Mapping[str, NDArray[np.str_]], Floats]:
    """Return the core fields of each state, and its chance for a pupil of its grade."""
    sexes = [code for code in SEX if code in assumed.SEX_SHARES]
    rows = [
        (grade, stage_of(grade, system), sex, left_behind, family, *result)
        for grade, sex, left_behind, family in product(grades, sexes, assumed.LEFT_BEHIND, assumed.FAMILY)
        for result in _RESULTS
    ]
    names = ("grade", "stage", "sex", "left_behind", "family", "disposition", "level")
    columns = (np.array(column) for column in zip(*rows, strict=True))
    chances = [_chance(*row[1:], consent=consent) for row in rows]
    return MappingProxyType(dict(zip(names, columns, strict=True))), np.array(chances)


def _chance(
    stage: str, sex: str, left_behind: str, family: str, disposition: str, level: str, consent: str
) -> float:
    is_older = stage in assumed.OLDER_STAGES
    statuses = assumed.LEFT_BEHIND_OLDER if is_older else assumed.LEFT_BEHIND
    found = assumed.SEX_SHARES[sex] * statuses[left_behind] * assumed.FAMILY[family]
    found *= _dispositions(consent)[disposition]
    return found * _levels(stage, sex, left_behind, family)[level] if disposition == VALID else found


@lru_cache(maxsize=4)
def _dispositions(consent: str) -> Mapping[str, float]:
    """Return the shares of the dispositions after the consent policy (`plan.record.apply_consent`)."""
    absent = {code: (low + high) / 2 for code, (low, high) in assumed.ABSENCE_RANGES.items()}
    present = 1 - sum(absent.values())
    invalid = sum(assumed.INVALID_RANGE) / 2
    found = dict.fromkeys(DISPOSITION, 0.0)
    for given, share in assumed.CONSENT.items():
        tested = present * (1.0 if given == "1" else assumed.TESTED_UNASKED)
        rows = absent | {"3": absent["3"] + present - tested}
        rows |= {VALID: tested * (1 - invalid), "2": tested * invalid}
        for code, chance in rows.items():
            found[_after_consent(code, given, consent)] += share * chance
    return found


def _after_consent(disposition: str, given: str, policy: str) -> str:
    if policy == "record-only" or given == "1":
        return disposition
    if given == "2":
        return "6" if disposition in (*TESTED, "3") else disposition
    return "8" if disposition in TESTED else disposition


@lru_cache(maxsize=1024)
def _levels(stage: str, sex: str, left_behind: str, family: str) -> Mapping[str, float]:
    """Return the shares of the levels of valid tests, over schools of different factors."""
    odds = assumed.SEX_FACTOR[sex] * math.exp(assumed.SCHOOL_SPREAD**2 / 2)
    odds *= assumed.LEFT_BEHIND_FACTOR if left_behind in ("1", "2") else 1.0
    odds *= assumed.FAMILY_FACTOR if family in assumed.NON_INTACT_FAMILIES else 1.0
    rates = [rate * odds for rate in assumed.LEVEL_RATES[stage]]
    scale = min(1.0, assumed.MOST_ALERTED / sum(rates))
    high, middle, low = (rate * scale for rate in rates)
    return {"0": 1 - high - middle - low, "1": low, "2": middle, "3": high}


def _high(share: float, level: int) -> float:
    return min(assumed.MOST_HIGH, share * assumed.HIGH_BY_LEVEL[level])


@lru_cache(maxsize=8)
def _scores(level: int) -> Floats:
    """Return the chance of each total score, 0 to the sum of the factors' highest, given the level."""
    found = np.ones(1)
    for _, highest, share in assumed.FACTORS:
        high, lowest = _high(share, level), assumed.LOWEST_HIGH
        one = np.zeros(highest + 1)
        one[:lowest] = (1 - high) / lowest
        steps = np.arange(highest - lowest + 2) / (highest - lowest + 1)
        one[lowest:] = high * np.diff(np.sqrt(steps))  # the square of a uniform number, cut into steps
        found = np.convolve(found, one)
    return found


def _capped(chances: Floats, cap: int) -> Floats:
    """Return the chance of each code to be among the first `cap` that a pupil has; the codes independent."""
    before = np.zeros((cap, chances.shape[1]))  # chance to have had 0 .. cap-1 of the codes so far
    before[0] = 1.0
    found = np.zeros_like(chances)
    for place, chance in enumerate(chances):
        found[place] = chance * before.sum(axis=0)
        moved = before * chance
        before = before * (1 - chance)
        before[1:] += moved[:-1]
    return found


def _at_least(chances: Sequence[Floats], least: int) -> Floats:
    """Return the chance to have at least so many of independent codes."""
    counted = _capped(np.array([*chances]), least).sum(axis=0)
    without = _capped(np.array([*chances]), least - 1).sum(axis=0)
    return np.asarray(counted - without)  # E min(N, least) - E min(N, least - 1)
