"""How often the 95 % intervals of a round hold the truth, at several turnouts, over thousands of rounds.

A county of 90 schools with the tables of autumn-full and a turnout ladder. The released cells are simulated
(`bench.simulated_rounds`); everything behind them is the product's: which cells count whom, least squares,
variances and covariances, intervals, rates, differences. Per turnout and kind of number:

    cells     every estimated cell
    margins   every table summed to the codes of one dimension, and to one number
    levels    stage x alert level, and alert level
    rates     every rate of the catalogue, for the county and per stage, on bases large enough
    changes   levels and rates of this round less those of another one, of other pupils

Shown are the mean, lowest and highest coverage of the kind's numbers, the largest bias in Monte-Carlo
standard errors (a quotient of noisy numbers has some of its own on a small base), and the variance of a
released cell over that of a trusted curator's at the same rho. Then what least squares gains: how much
narrower a level of a stage is than table A3 alone gives it, and that no cell is wider than released. Exit 0
if all is within the targets.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import numpy as np
from numpy.typing import NDArray

from bench.simulated_rounds import released_rounds, simulated_plan, true_cells
from plan.codes import STAGE
from plan.layout import Layout, build_layout
from privacy.intervals import MIN_DENOMINATOR, Rate, rate, sum_interval
from results.amounts import Amount, difference_of
from results.catalogue import CATALOGUE, LEVELS, Indicator
from results.estimator import Estimator, estimator_of
from results.indicators import Keys, choices
from results.pupils import Population, find_cells

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SCHOOLS, MIN_REPORTS, PUPILS = 90, 63, 30_000
TURNOUTS = (0.70, 0.85, 1.0)
BATCH = 500
ROUNDS = 10_000

WITHIN = 0.01  # 94 to 96 %: 4.6 standard deviations of one number's coverage over 1e4 rounds
MAX_BIAS = 5.0  # Monte-Carlo standard errors, over some thousand numbers: a false alarm below 1e-3
MAX_VARIANCE_RATIO = 1.1
NARROWER = 0.35
_SAFE = 12.0  # standard errors between a base and the floor of denominators
_OF_RATIOS = 0.05  # standard errors that the delta method may be off in the mean, for bases as small as that


@dataclass(frozen=True, slots=True)
class Count:
    """A number of pupils: the cells that are summed, the truth, and the variance of the estimate."""

    cells: tuple[int, ...]
    truth: float
    variance: float

    def of(self, estimates: Floats) -> Floats:
        """Return the estimate of each round."""
        return np.asarray(estimates[:, list(self.cells)].sum(axis=1))

    def amounts(self, estimates: Floats) -> list[Amount]:
        """Return each round's estimate with its variance."""
        return [Amount(value, self.variance) for value in self.of(estimates).tolist()]


@dataclass(frozen=True, slots=True)
class Share:
    """A rate: two counts, and their covariance."""

    part: Count
    base: Count
    covariance: float

    @property
    def is_safe(self) -> bool:
        """Whether no round of a simulation will find the base too small for a rate."""
        return self.base.truth >= MIN_DENOMINATOR + _SAFE * math.sqrt(self.base.variance)

    @property
    def truth(self) -> float:
        """The true rate."""
        return self.part.truth / self.base.truth

    def rates(self, estimates: Floats) -> list[Rate]:
        """Return each round's rate, as the product computes it."""
        pairs = zip(self.part.of(estimates).tolist(), self.base.of(estimates).tolist(), strict=True)
        found = [
            rate(
                part,
                base,
                numerator_variance=self.part.variance,
                denominator_variance=self.base.variance,
                covariance=self.covariance,
            )
            for part, base in pairs
        ]
        if None in found:
            raise RuntimeError("a base of fewer than 30 pupils: take more pupils")
        return [item for item in found if item is not None]


class County:
    """The numbers that are looked at, of one layout, number of reports and pupils."""

    def __init__(self, layout: Layout, truth: Ints, reports: int) -> None:
        self.layout, self.truth, self.reports = layout, truth, reports
        variances = tuple(table.released_variance(reports) for table in layout.tables)
        self.estimator: Estimator = estimator_of(layout, variances)

    def estimates(self, rounds: int, rng: np.random.Generator) -> Floats:
        """Simulate rounds and estimate their cells; shape (rounds, cells)."""
        return self.estimator.estimate(released_rounds(self.layout, self.truth, self.reports, rounds, rng))

    def margins(self) -> list[Count]:
        """Return every table of single-valued dimensions summed to each code, and to one number."""
        groups: dict[tuple[str, str, str], list[int]] = {}
        for table in (table for table in self.layout.tables if not table.multi):
            for index in range(table.cells):
                for name, code in (("", ""), *table.keys(index).items()):
                    groups.setdefault((table.id, name, code), []).append(table.offset + index)
        return [self._count(tuple(cells)) for cells in groups.values()]

    def levels(self) -> list[Count]:
        """Return the pupils of each alert level, in all and by stage."""
        found = (self.find(population, place) for place in _PLACES for population in LEVELS.values())
        return [count for count in found if count is not None]

    def rates(self) -> list[Share]:
        """Return the rates of the catalogue, in all and by stage."""
        found = []
        for entry in CATALOGUE:
            for keys, parts in self._keys(entry) if entry.base else ():
                part = self.find(entry.counted, {**keys, **parts})
                base = self.find(entry.base or entry.counted, keys)
                if part and base:
                    found.append(Share(part, base, self.estimator.covariance(part.cells, base.cells)))
        return found

    def _keys(self, entry: Indicator) -> Iterator[tuple[Keys, Keys]]:
        """Yield the codes of each number of an indicator: of numerator and base, of the numerator alone."""
        for place in _PLACES:
            for whole in choices(entry.each, self.layout.scope):
                for parts in choices(entry.parts, self.layout.scope):
                    yield {**place, **whole}, parts

    def find(self, people: Population, keys: Keys) -> Count | None:
        """Return a population's number of some codes, or None if the tables do not tell."""
        _, cells = find_cells(self.estimator, people, keys)
        return self._count(cells) if cells else None

    def _count(self, cells: tuple[int, ...]) -> Count:
        return Count(cells, float(self.truth[list(cells)].sum()), self.estimator.covariance(cells, cells))


_PLACES: tuple[Keys, ...] = ({}, *({"stage": codes} for codes in (*STAGE, "primary+junior")))


class Tally:
    """How often the intervals of some numbers held the truth, and how far the estimates were off."""

    def __init__(self) -> None:
        self._hits: dict[int, int] = {}
        self._sigmas: dict[int, float] = {}
        self._rounds: dict[int, int] = {}

    def add(self, place: int, truth: float, found: Sequence[Amount | Rate]) -> None:
        """Take in the rounds of one number."""
        inside = sum(item.interval.low <= truth <= item.interval.high for item in found)
        off = math.fsum((item.value - truth) / item.se for item in found)
        self._take(place, inside, off, len(found))

    def add_counts(self, place: int, count: Count, estimates: Floats) -> None:
        """Take in the rounds of a count, all at once."""
        se = math.sqrt(count.variance)
        errors = count.of(estimates) - count.truth
        inside = int(np.count_nonzero(np.abs(errors) <= sum_interval(0.0, se).half_width))
        self._take(place, inside, float(errors.sum()) / se, len(errors))

    def _take(self, place: int, inside: int, sigmas: float, rounds: int) -> None:
        for kept, new in ((self._hits, inside), (self._rounds, rounds)):
            kept[place] = kept.get(place, 0) + new
        self._sigmas[place] = self._sigmas.get(place, 0.0) + sigmas

    def summary(self) -> dict[str, float]:
        """Return the mean, lowest and highest coverage, and the largest bias."""
        covered = [self._hits[place] / rounds for place, rounds in self._rounds.items()]
        bias = [abs(self._sigmas[place]) / math.sqrt(rounds) for place, rounds in self._rounds.items()]
        return {
            "numbers": len(covered),
            "mean": round(math.fsum(covered) / len(covered), 4),
            "lowest": round(min(covered), 4),
            "highest": round(max(covered), 4),
            "bias": round(max(bias), 2),
        }


KINDS = ("cells", "margins", "levels", "rates", "changes")


def measure_turnout(
    layout: Layout, truths: Sequence[Ints], turnout: float, rounds: int, seed: int
) -> dict[str, object]:
    """Simulate rounds at one turnout, of two sets of pupils; return what is shown of it."""
    reports = math.ceil(round(turnout * SCHOOLS, 6))
    now, then = (County(layout, truth, reports) for truth in truths)
    tallies = _simulate(now, then, rounds, np.random.default_rng(seed))
    ratios = [
        table.released_variance(reports) * 2 * table.noise.rho / table.delta_sq for table in layout.tables
    ]
    return {
        "turnout": turnout,
        "reports": reports,
        "tier": layout.tier(reports),
        "variance_ratio": round(float(max(ratios)), 4),
        **{name: tallies[name].summary() for name in KINDS},
    }


def _simulate(now: County, then: County, rounds: int, rng: np.random.Generator) -> dict[str, Tally]:
    every = np.flatnonzero(now.estimator.variances)
    cells = [Count((int(at),), float(now.truth[at]), float(now.estimator.variances[at])) for at in every]
    counts = {"cells": cells, "margins": now.margins(), "levels": now.levels()}
    tallies = {name: Tally() for name in KINDS}
    levels = list(zip(now.levels(), then.levels(), strict=True))
    rates = [two for two in zip(now.rates(), then.rates(), strict=True) if all(one.is_safe for one in two)]
    for start in range(0, rounds, BATCH):
        size = min(BATCH, rounds - start)
        new, old = now.estimates(size, rng), then.estimates(size, rng)
        for name, numbers in counts.items():
            for place, count in enumerate(numbers):
                tallies[name].add_counts(place, count, new)
        for place, (late, early) in enumerate(levels):
            rises = [*map(difference_of, late.amounts(new), early.amounts(old))]
            tallies["changes"].add(place, late.truth - early.truth, rises)
        for place, (late_share, early_share) in enumerate(rates):
            later, earlier = late_share.rates(new), early_share.rates(old)
            tallies["rates"].add(place, late_share.truth, later)
            rises = [*map(_change, later, earlier)]
            tallies["changes"].add(len(levels) + place, late_share.truth - early_share.truth, rises)
    return tallies


def _change(later: Rate, earlier: Rate) -> Amount:
    return difference_of(Amount(later.value, later.se**2), Amount(earlier.value, earlier.se**2))


def measure_gain(systems: Sequence[str]) -> dict[str, float]:
    """Return how much narrower levels by stage get than A3 alone, and the widest cell over a released one."""
    layout = build_layout(simulated_plan("autumn-full", SCHOOLS, MIN_REPORTS, systems))
    county = County(layout, np.zeros(layout.cells, dtype=np.int64), SCHOOLS)
    alone = len(layout.table("A3").codes[1]) * float(layout.table("A3").released_variance(SCHOOLS))
    by_stage = [
        count.variance
        for stage in STAGE
        for population in LEVELS.values()
        if (count := county.find(population, {"stage": stage}))
    ]
    ratios = county.estimator.variances / county.estimator.raw_variances
    return {
        "narrower_least": round(1 - math.sqrt(max(by_stage) / alone), 4),
        "narrower_most": round(1 - math.sqrt(min(by_stage) / alone), 4),
        "widest_cell": round(math.sqrt(float(ratios.max())), 6),
    }


def misses(found: Mapping[str, object], rounds: int) -> Iterator[str]:
    """Yield what is not within its target."""
    slack = max(WITHIN, 5 * math.sqrt(0.95 * 0.05 / rounds))
    for row in found["turnouts"]:  # type: ignore[attr-defined]
        at = f"turnout {row['turnout']:.0%}"
        if row["variance_ratio"] > MAX_VARIANCE_RATIO:
            yield f"{at}: variance ratio {row['variance_ratio']}"
        for kind in KINDS:
            if row[kind]["lowest"] < 0.95 - slack or row[kind]["highest"] > 0.95 + slack:
                yield f"{at}: {kind} cover {row[kind]['lowest']} to {row[kind]['highest']}"
            own = _OF_RATIOS * math.sqrt(rounds) if kind in ("rates", "changes") else 0.0
            if row[kind]["bias"] > MAX_BIAS + own:
                yield f"{at}: {kind} are biased by {row[kind]['bias']} standard errors"
    for name, gain in found["gain"].items():  # type: ignore[attr-defined]
        if gain["narrower_least"] < NARROWER or gain["widest_cell"] > 1:
            yield f"{name}: {gain}"


def measure(
    rounds: int = ROUNDS, turnouts: Sequence[float] = TURNOUTS, seed: int = 20261, pupils: int = PUPILS
) -> dict[str, object]:
    """Measure everything."""
    started = time.monotonic()
    layout = build_layout(simulated_plan("autumn-full", SCHOOLS, MIN_REPORTS))
    truths = [true_cells(layout, pupils, seed + at) for at in (1, 2)]
    rows = [
        measure_turnout(layout, truths, turnout, rounds, seed + 10 * at)
        for at, turnout in enumerate(turnouts)
    ]
    gain = {name: measure_gain(systems) for name, systems in (("6-3", ["6-3"]), ("both", []))}
    return {
        "rounds": rounds,
        "schools": SCHOOLS,
        "pupils": pupils,
        "tiers": list(layout.tiers),
        "turnouts": rows,
        "gain": gain,
        "seconds": round(time.monotonic() - started, 1),
    }


def main(argv: Sequence[str] | None = None, show: Callable[[str], None] = print) -> int:
    """Measure and show; exit 0 if everything is within its target, else 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", action="store_true", help="one line for programs")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds at each turnout")
    options = parser.parse_args(argv)
    found = measure(options.rounds)
    missed = list(misses(found, options.rounds))
    if options.json:
        show(json.dumps({**found, "misses": missed}))
    else:
        for line in (*_lines(found), *(f"missed: {text}" for text in missed)):
            show(line)
    return 1 if missed else 0


def _lines(found: Mapping[str, object]) -> Iterator[str]:
    yield " turnout  sigma²  kind      numbers    mean  lowest  highest  bias"
    for row in found["turnouts"]:  # type: ignore[attr-defined]
        for kind in KINDS:
            part = row[kind]
            yield (
                f"{row['turnout']:8.0%} {row['variance_ratio']:7.3f}  {kind:8} {part['numbers']:8} "
                f"{part['mean']:7.2%} {part['lowest']:7.2%} {part['highest']:8.2%} {part['bias']:5.2f}"
            )
    for name, gain in found["gain"].items():  # type: ignore[attr-defined]
        narrower = f"{gain['narrower_least']:.1%} to {gain['narrower_most']:.1%}"
        yield f"levels of a stage, {name}: {narrower} narrower than A3, widest cell {gain['widest_cell']}"
    yield f"{found['rounds']} rounds a turnout, {found['seconds']} s"


if __name__ == "__main__":
    sys.exit(main())
