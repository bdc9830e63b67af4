"""Rounds of a made-up county, thousands at a time: true cells once, released ones with the product's noise.

The noise of a released cell is the sum of what every school's sampler draws. Its distribution is computed
from the sampler's own thresholds (their differences over 2^128 are the probabilities), convolved over the
schools and, with a turnout ladder, over the components that the tier leaves. A simulated value is one draw
from that, in place of one from each school and component: the same law to about 1e-15, and fast enough for
1e4 rounds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plan.codes import TESTED, VALID, stage_of
from plan.document import PlanDocument, parse_plan_toml
from plan.layout import Layout, TableLayout
from plan.publishing import resolve
from plan.record import Record
from plan.tabulation import tabulate
from privacy.discrete_gaussian import thresholds

ROOT = Path(__file__).resolve().parent.parent
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# rates like those of a county's autumn round: assumptions, only their order of magnitude matters here
DISPOSITIONS = (0.95, 0.02, 0.005, 0.01, 0.005, 0.005, 0.0025, 0.0025)
PLAIN = {
    "sex": {"1": 0.52, "2": 0.47, "9": 0.01},
    "boarding": {"1": 0.55, "2": 0.43, "9": 0.02},
    "left_behind": {"0": 0.80, "1": 0.10, "2": 0.08, "9": 0.02},
    "family": {"1": 0.83, "2": 0.10, "3": 0.03, "4": 0.02, "9": 0.02},
}
LEVELS = {
    "primary": (0.873, 0.085, 0.030, 0.012),
    "junior": (0.802, 0.120, 0.052, 0.026),
    "senior": (0.778, 0.130, 0.060, 0.032),
    "vocational": (0.758, 0.140, 0.066, 0.036),
}
HIGH_FACTOR = 0.2


def simulated_plan(name: str, schools: int, min_reports: int, systems: Sequence[str] = ()) -> PlanDocument:
    """Return a ready plan for so many schools, with a ladder above `min_reports`; other systems if given."""
    draft = parse_plan_toml((ROOT / "plan" / "ready" / f"{name}.toml").read_bytes())
    return resolve(
        replace(draft, min_reports=min_reports, tiers=None, systems=tuple(systems) or draft.systems), schools
    )


@lru_cache(maxsize=4)
def true_cells(layout: Layout, pupils: int, seed: int) -> Ints:
    """Count made-up pupils into the cells of a layout."""
    return tabulate(layout, _pupils(layout, pupils, np.random.default_rng(seed)))


def _pupils(layout: Layout, pupils: int, rng: np.random.Generator) -> Iterator[Record]:
    scope = layout.scope
    instrument = scope.instruments[0]
    columns: dict[str, list[Any]] = {
        "grade": rng.choice(scope.grades, pupils).tolist(),
        "system": rng.choice(scope.systems, pupils).tolist(),
        "disposition": (1 + rng.choice(len(DISPOSITIONS), pupils, p=DISPOSITIONS)).astype(str).tolist(),
        **{name: rng.choice([*p], pupils, p=[*p.values()]).tolist() for name, p in PLAIN.items()},
    }
    uniform, scores = rng.random(pupils), rng.integers(0, 91, pupils)
    high = rng.random((pupils, len(instrument.factors))) < HIGH_FACTOR
    for number, values in enumerate(zip(*columns.values(), strict=True)):
        fields: dict[str, Any] = dict(zip(columns, values, strict=True))
        if fields["disposition"] in TESTED:
            fields |= {"instrument": instrument.id, "codebook": instrument.digest or "0" * 64}
            fields["administered_on"] = date(2026, 10, 12)
        if fields["disposition"] == VALID:
            shares = np.cumsum(LEVELS[stage_of(fields["grade"], fields["system"])])
            fields["level1"] = str(min(int(np.searchsorted(shares, uniform[number])), 3))
            fields["total"] = Decimal(int(scores[number]))
            factors = zip(instrument.factors, high[number], strict=True)
            fields["factors_high"] = frozenset(name for (name, _), is_high in factors if is_high)
        yield Record(rec_key=number.to_bytes(16, "big"), guardian_consent="1", **fields)


@dataclass(frozen=True, slots=True)
class CellNoise:
    """The noise of a released cell of a table, in scaled units: values from `low`, and their distribution."""

    low: int
    cumulative: Floats

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Ints:
        """Draw values."""
        return np.searchsorted(self.cumulative, rng.random(shape), side="right") + self.low


@lru_cache(maxsize=64)
def cell_noise(variances: tuple[int, ...], schools: int) -> CellNoise:
    """Work out the sum of `schools` draws of each of some variances of the product's sampler."""
    reach = math.ceil(12 * math.sqrt(schools * sum(variances)))
    size = 1 << math.ceil(math.log2(2 * reach + max(28 * math.sqrt(s2) for s2 in variances) + 8))
    spectrum = np.ones(size // 2 + 1, dtype=np.complex128)
    for s2 in variances:
        table = thresholds(s2)
        chances = np.array([(b - a) / 2**128 for a, b in zip((0, *table), table, strict=False)])
        around = np.zeros(size)
        around[(np.arange(len(chances)) - len(chances) // 2) % size] = chances
        spectrum *= np.fft.rfft(around) ** schools
    whole = np.roll(np.fft.irfft(spectrum, size), reach)[: 2 * reach + 1].clip(min=0.0)
    return CellNoise(-reach, np.cumsum(whole / whole.sum())[:-1])


def left_components(table: TableLayout, tier: int) -> tuple[int, ...]:
    """Return the variances of the draws of each school that are left in the sum at a tier."""
    first, *steps = table.noise.components
    return (first, *steps[tier:])


def released_rounds(
    layout: Layout, truth: Ints, reports: int, rounds: int, rng: np.random.Generator
) -> Floats:
    """Simulate released cells, in counts; shape (rounds, cells)."""
    tier = layout.tier(reports)
    parts = []
    for table in layout.tables:
        noise = cell_noise(left_components(table, tier), reports).draw(rng, (rounds, table.cells))
        parts.append(truth[table.offset : table.end] + noise / table.noise.scale)
    return np.concatenate(parts, axis=1)
