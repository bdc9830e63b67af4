"""An empirical audit of the whole path from a school's records to the released numbers, and of its mutants.

    python bench/audit.py                    every case and every mutant, 408,240 runs a side
    python bench/audit.py --json             one line of JSON each
    python bench/audit.py partition          only the cases whose name begins so

Each run is one pupil's: two school files differ in this pupil's record, go through the product (see
`bench/audit_path.py`), and the attack guesses from the released numbers which of the two it was. It knows all
other records, and answers by the likelihood ratio of the pupil's cells against a threshold: the median of the
first tenth of the runs, tried on the others. Clopper-Pearson bounds at 99.95 % on both of its hit rates give
a lower bound on mu (Gaussian differential privacy) that is wrong once in a thousand audits.

A right mechanism of cost rho has mu = sqrt(2 rho) up to the rounding of its noise; its bound lies between
95 % and 100 % of that. A mutant is caught when its bound lies above the claim. Keys are derived from fixed
labels, so a result repeats; for fresh keys a right mechanism would come out above its claim less than once in
a thousand audits, and below 95 % of it (at 408,240 runs) less than once in a million. The exit code is 0 if
all is as it should be.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, norm  # type: ignore[import-untyped]

from bench.audit_path import (
    CODEBOOK,
    SCHOOLS,
    SEAT_DIMS,
    Experiment,
    Faulty,
    Pair,
    Vector,
    make_plan,
    released,
    rounds,
)
from plan.layout import Layout, TableLayout
from plan.record import Record
from privacy.accountant import size_noise
from privacy.discrete_gaussian import Sampler

ROUNDS = 90
MISSED = 0.0005  # of each of the two bounds
LEAST, MOST = 0.95, 1.0
Scores = NDArray[Any]


@dataclass(frozen=True)
class Trial:
    """One mechanism to be audited: the product, or the product with one fault.

    Attributes:
        name: case and fault.
        experiment: the neighbouring pairs and the plan that is claimed.
        change: what a fault makes of the layout that the nodes draw by.
        file: what a fault makes of a school's records before they are counted.
        faulty: what a fault changes while a school derives its report.
        is_sound: whether the claim should hold.
        schools: how many report, without the one that colludes: it tells all that it sent.
        too_high: by how much the close's tier is too high.
    """

    name: str
    experiment: Experiment
    is_sound: bool = False
    change: Callable[[Layout], Layout] = lambda layout: layout
    file: Callable[[list[Record]], list[Record]] = lambda records: records
    faulty: Faulty = lambda _school: nullcontext()
    schools: int = SCHOOLS
    too_high: int = 0

    @property
    def tier(self) -> int:
        """The tier of the close: what the layout says for these schools and one that colludes."""
        return self.experiment.layout.tier(self.schools + 1) + self.too_high

    @property
    def claimed_mu(self) -> float:
        """What the plan's own layout claims."""
        return math.sqrt(2 * self.experiment.layout.claimed_rho)

    def scores(self, num_rounds: int) -> tuple[Scores, Scores]:
        """Play rounds with each of the two files; the attack's scores, one a seat and round."""
        experiment = self.experiment
        layout = self.change(experiment.layout)
        x = [experiment.count(self.file(list(records)), layout) for records in experiment.files]
        others = [x[number % 2] for number in range(self.schools - 1)]
        attack = _attack(experiment, layout, x[0], x[1])
        known = sum(others) + (x[0] + x[1]) / 2
        found = []
        for side in (0, 1):
            played = rounds(experiment.document, layout, f"{self.name} {side}", num_rounds)
            xs = [x[side], *others]
            found.append(
                np.concatenate([attack(released(r, xs, self.tier, self.faulty) - known) for r in played])
            )
        return found[0], found[1]


def _attack(
    experiment: Experiment, layout: Layout, before: Vector, after: Vector
) -> Callable[[NDArray[Any]], Scores]:
    """Make the likelihood ratio's statistic: per seat, the cells' values weighted by change / variance."""
    variance = np.concatenate([np.full(table.cells, table.noise.s2) for table in layout.tables])
    weights, seats, num = (after - before) / variance, experiment.seat_of, len(experiment.seats)
    return lambda values: np.bincount(seats, weights * values, num)


@dataclass(frozen=True, slots=True)
class Result:
    """What an audit found. runs: of each side, after those that chose the threshold."""

    name: str
    runs: int
    claimed_mu: float
    mu_low: float
    is_sound: bool
    ok: bool


def audit(trial: Trial, num_rounds: int = ROUNDS) -> Result:
    """Play, attack, bound."""
    before, after = trial.scores(num_rounds)
    low, runs = mu_lower_bound(before, after)
    claimed = trial.claimed_mu
    is_ok = LEAST * claimed <= low <= MOST * claimed if trial.is_sound else low > claimed
    return Result(trial.name, runs, round(claimed, 5), round(low, 4), trial.is_sound, bool(is_ok))


def mu_lower_bound(before: Scores, after: Scores) -> tuple[float, int]:
    """Bound mu from below, in all but one of a thousand audits; also the number of runs it rests on."""
    first = len(before) // 10
    threshold = np.median(np.concatenate((before[:first], after[:first])))
    runs = len(before) - first
    false, true = int((before[first:] > threshold).sum()), int((after[first:] > threshold).sum())
    false_high = beta.ppf(1 - MISSED, false + 1, runs - false)
    true_low = beta.ppf(MISSED, true, runs - true + 1)
    return float(norm.ppf(true_low) - norm.ppf(false_high)), runs


# -- the cases -----------------------------------------------------------------------------------

_SEAT = ", ".join(f'"{name}"' for name in SEAT_DIMS)
_PARTITION = f"""
[[tables]]
id = "A1"
title = "一"
dims = [{_SEAT}, "sex"]
where = {{ sex = [1, 2] }}
[[tables]]
id = "A2"
title = "二"
dims = ["sex", "ref_dest", "family", "boarding", "left_behind", "grade"]
where = {{ sex = [1, 2] }}
weight = 2
"""
_MULTI = f"""
[[tables]]
id = "A3"
title = "三"
dims = [{_SEAT}, "group"]
multi = "group"
touch = 3
"""
_SUMS = f"""
[[tables]]
id = "A4"
title = "四"
dims = [{_SEAT}, "sex"]
where = {{ sex = [1, 2] }}
sum = "total"
range = [5, 10]
"""
_LADDER = "ladder = [5, 7]"  # honest schools; h = 4 before them
_TESTED = {
    "disposition": "1",
    "instrument": "mht",
    "codebook": CODEBOOK,
    "administered_on": date(2026, 9, 8),
    "level1": "1",
}
_HIGH_ONE = {**_TESTED, "sex": "1", "total": Decimal("75.5")}  # another group and another value: both are 10
_HIGH_TWO = {**_TESTED, "sex": "2", "total": Decimal("9.5")}
_LAST = frozenset({"g5", "g6", "g7", "g9"})
_ALL = frozenset({"g1", "g2", "g3", "g4"}) | _LAST  # only the first three count
RELATIONS = ("replace-one", "add-remove")


def experiment(tables: str, relation: str, pair: Pair, trust: str = "") -> Experiment:
    """Put a case together; under add-remove the pupil is not there before."""
    is_added = relation == "add-remove"
    return Experiment(make_plan(tables, relation, trust), (None if is_added else pair[0], pair[1]))


def trials() -> Iterator[Trial]:
    """List every case, and behind it its mutants."""
    for relation in RELATIONS:
        partition = experiment(_PARTITION, relation, ({"sex": "1"}, {"sex": "2"}))
        yield from _with_mutants(f"partition, {relation}", partition)
        multi = experiment(_MULTI, relation, ({"groups": _ALL}, {"groups": _LAST}))
        yield from _with_mutants(f"multi-valued, {relation}", multi)
        capped = experiment(_MULTI, relation, ({"groups": frozenset()}, {"groups": _ALL}))
        name = f"multi-valued, {relation}: the cap is not enforced"
        yield Trial(name, capped, change=_without_cap)
        yield from _sums(relation)
    yield from _ladder()


def _sums(relation: str) -> Iterator[Trial]:
    name, found = f"numeric sum, {relation}", experiment(_SUMS, relation, (_HIGH_ONE, _HIGH_TWO))
    yield from _with_mutants(name, found)
    yield Trial(f"{name}: values are not measured from lo", found, change=_uncentred)
    if relation == "replace-one":
        yield Trial(f"{name}: the range is counted once", found, change=_range_once)


def _ladder() -> Iterator[Trial]:
    found = experiment(_PARTITION, "replace-one", ({"sex": "1"}, {"sex": "2"}), _LADDER)
    tiers = found.layout.tiers
    for tier, schools in enumerate(tiers):
        yield Trial(f"turnout ladder, tier {tier}", found, is_sound=True, schools=schools)
    for tier, schools in enumerate(tiers[:-1]):
        yield Trial(f"turnout ladder, tier {tier}: a tier is skipped", found, schools=schools, too_high=1)
    steps = frozenset(table.noise.components[-1] for table in found.layout.tables)
    name = "turnout ladder, tier 0: the last step is not drawn"
    yield Trial(name, found, faulty=lambda _school: _silent_at(steps))


def _with_mutants(name: str, found: Experiment) -> Iterator[Trial]:
    yield Trial(name, found, is_sound=True)
    yield Trial(f"{name}: half of the schools add no noise", found, faulty=_silent)
    yield Trial(f"{name}: 15 percent less noise", found, faulty=_narrow)
    yield Trial(f"{name}: a pupil is counted twice", found, file=_twice)
    if len(found.layout.tables) > 1:
        yield Trial(f"{name}: every table gets the whole rho", found, change=_whole_rho_each)
    if any(table.multi for table in found.layout.tables):
        yield Trial(f"{name}: noise for one touched cell", found, change=_noise_for_one_cell)


# -- the mutants ---------------------------------------------------------------------------------


def _silent(school: int) -> AbstractContextManager[object]:
    if school >= SCHOOLS // 2:
        return nullcontext()
    return mock.patch.object(Sampler, "sample", lambda _self, _stream, cells: np.zeros(cells, dtype=np.int64))


def _silent_at(variances: Collection[int]) -> AbstractContextManager[object]:
    """Draw nothing where the variance is one of these."""
    draw = Sampler.sample

    def sample(self: Sampler, stream: Callable[[int], bytes], cells: int) -> Vector:
        return np.zeros(cells, dtype=np.int64) if self.s2 in variances else draw(self, stream, cells)

    return mock.patch.object(Sampler, "sample", sample)


def _narrow(_school: int) -> AbstractContextManager[object]:
    draw = Sampler.sample

    def narrower(self: Sampler, stream: Callable[[int], bytes], cells: int) -> Vector:
        values: Vector = np.rint(0.85 * draw(self, stream, cells)).astype(np.int64)
        return values

    return mock.patch.object(Sampler, "sample", narrower)


def _twice(records: list[Record]) -> list[Record]:
    """Give every pupil a second record, as when a repeated key is not noticed."""
    return [*records, *(replace(record, rec_key=bytes([255]) + record.rec_key[1:]) for record in records)]


def _change_tables(layout: Layout, change: Callable[[TableLayout], TableLayout]) -> Layout:
    return replace(layout, tables=tuple(change(table) for table in layout.tables))


def _whole_rho_each(layout: Layout) -> Layout:
    """Forget that the tables share rho: each is drawn as if it were alone (sqrt of T missing)."""
    rho = sum((table.noise.rho for table in layout.tables), Fraction(0))
    return _change_tables(
        layout, lambda table: replace(table, noise=size_noise(table.delta_sq, rho, layout.noise_schools))
    )


def _noise_for_one_cell(layout: Layout) -> Layout:
    """Forget that a pupil touches several cells: the sensitivity of a partition."""
    return _change_tables(
        layout,
        lambda table: replace(
            table, noise=size_noise(table.delta_sq // table.touch, table.noise.rho, layout.noise_schools)
        ),
    )


def _range_once(layout: Layout) -> Layout:
    """Forget that a pupil who changes group takes a value out of one cell and puts one into another."""
    return _change_tables(
        layout,
        lambda table: replace(
            table, noise=size_noise(table.delta_sq // 2, table.noise.rho, layout.noise_schools)
        ),
    )


def _uncentred(layout: Layout) -> Layout:
    """Add clamp(v) to a cell, not clamp(v) - lo: then 2 range^2 is too little, here by 4."""
    return _change_tables(
        layout, lambda table: replace(table, range=(0, table.range[1] if table.range else 0))
    )


def _without_cap(layout: Layout) -> Layout:
    return _change_tables(layout, lambda table: replace(table, touch=len(table.codes[-1])))


# -- the command ---------------------------------------------------------------------------------


def main(argv: Sequence[str] | None = None) -> int:
    """Audit, print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="beginnings of names; all if none")
    parser.add_argument(
        "--rounds", type=int, default=ROUNDS, help="rounds a side, 5,040 runs each, a tenth for the threshold"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args(argv)
    is_ok = True
    for trial in trials():
        if options.names and not trial.name.startswith(tuple(options.names)):
            continue
        result = audit(trial, options.rounds)
        is_ok &= result.ok
        print(_as_json(result) if options.json else _as_line(result), flush=True)
    return 0 if is_ok else 1


def _as_json(result: Result) -> str:
    return json.dumps({name: getattr(result, name) for name in Result.__slots__}, ensure_ascii=False)


def _as_line(result: Result) -> str:
    words = {(True, True): "holds", (False, True): "caught", (True, False): "WRONG", (False, False): "MISSED"}
    share = result.mu_low / result.claimed_mu
    verdict = words[result.is_sound, result.ok]
    figures = f"mu >= {result.mu_low:6.3f} = {share:5.3f} of the claim  ({result.runs} runs)"
    return f"{result.name:62} {figures}  {verdict}"


if __name__ == "__main__":
    sys.exit(main())
