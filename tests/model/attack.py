"""The attack of docs/agreement.md carried out with the product's own sharing, masks and field.

A coordinator with f auditors shows sets to honest auditors, each of which answers once for what it is shown,
as an auditor without the agreement would. `Coordinator.combination` computes Σ λ_i x_i for every λ that
docs/agreement.md says can be computed, from nothing but reports, the colluders' seeds and those answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from model.linear import Vector, is_in_span, reduced_rows
from numpy.typing import NDArray

from crypto.derivation import seeds
from crypto.field64 import MODULUS, FieldVector, add, centre_lift
from crypto.mask_sum import MaskSum
from crypto.replication import subsets, subsets_with
from crypto.sharing import add_report_mask, mask_vector

ROUND_ID = bytes(range(32))
CELLS = 7
Answer = Mapping[int, FieldVector]


@dataclass
class County:
    """Schools with tables and reports under (n, t); what is secret stays in here.

    Attributes:
        tables: one row a school, noise included.
        vectors: y of every school, which the coordinator has.
    """

    n: int
    t: int
    num_schools: int
    tables: NDArray[np.int64] = field(init=False, repr=False)
    vectors: list[FieldVector] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Make tables, seeds and reports."""
        self.tables = np.random.default_rng(1).integers(-9, 300, (self.num_schools, CELLS), dtype=np.int64)
        self._seeds = [seeds(bytes([i]) * 32, subsets(self.n, self.t)) for i in range(self.num_schools)]
        self.vectors = [
            mask_vector(table, keys, ROUND_ID, self.n, self.t)
            for table, keys in zip(self.tables, self._seeds, strict=True)
        ]

    def answer(self, auditor: int, shown: Sequence[int]) -> Answer:
        """What an honest auditor returns for a set: one sum of masks a subset."""
        sums = {subset: MaskSum(CELLS) for subset in subsets_with(auditor, self.n, self.t)}
        for school in shown:
            for subset, total in sums.items():
                add_report_mask(total, subset, self._seeds[school][subset], ROUND_ID, self.n, self.t)
        return {subset: total.value() for subset, total in sums.items()}

    def seeds_of(self, auditor: int) -> list[Mapping[int, bytes]]:
        """The seeds that an auditor holds, by school: what a colluder gives away."""
        held = subsets_with(auditor, self.n, self.t)
        return [{subset: keys[subset] for subset in held} for keys in self._seeds]


@dataclass
class Coordinator:
    """What the adversary has: reports, the seeds of auditors 0..f−1, one answer of each other auditor.

    Attributes:
        shown: auditor → the set that it was shown, as an indicator over the schools.
        answers: auditor → what it returned.
    """

    county: County
    f: int
    shown: dict[int, Vector] = field(default_factory=dict)
    answers: dict[int, Answer] = field(default_factory=dict)

    def show(self, auditor: int, chosen: Sequence[int]) -> None:
        """Show a set to an honest auditor and keep its only answer."""
        if auditor in self.answers or auditor < self.f:
            raise ValueError(f"auditor {auditor} colludes or has answered already")
        self.shown[auditor] = tuple(int(i in chosen) for i in range(self.county.num_schools))
        self.answers[auditor] = self.county.answer(auditor, chosen)

    def combination(self, weights: Vector) -> NDArray[np.int64] | None:
        """Compute Σ weight_i · x_i, or None where the answers do not determine it."""
        total = _weighted(weights, self.county.vectors)
        for subset in subsets(self.county.n, self.county.t):
            masks = self._masks(subset, weights)
            if masks is None:
                return None
            total = add(total, masks)
        return centre_lift(total)

    def _masks(self, subset: int, weights: Vector) -> FieldVector | None:
        """Compute Σ weight_i · M_{i,A} for one subset A: from a colluder's seeds, or from answers."""
        colluder = next((a for a in range(self.f) if subset >> a & 1), None)
        if colluder is not None:
            return _weighted(weights, self._expand(colluder, subset))
        holders = [a for a in self.answers if subset >> a & 1]
        coefficients = solve([self.shown[a] for a in holders], weights)
        if coefficients is None:
            return None
        return _weighted(coefficients, [self.answers[a][subset] for a in holders])

    def _expand(self, colluder: int, subset: int) -> list[FieldVector]:
        vectors = []
        for keys in self.county.seeds_of(colluder):
            total = MaskSum(CELLS)
            add_report_mask(total, subset, keys[subset], ROUND_ID, self.county.n, self.county.t)
            vectors.append(total.value())
        return vectors


def solve(rows: Sequence[Vector], target: Vector) -> Vector | None:
    """Find c with Σ c_a · row_a = target modulo p, None if there is none."""
    if not is_in_span(target, rows):
        return None
    columns = [(*column, value) for column, value in zip(zip(*rows, strict=True), target, strict=True)]
    solution = [0] * len(rows)
    for row in reduced_rows(columns):
        solution[next(i for i, value in enumerate(row) if value)] = row[-1]
    return tuple(solution)


def _weighted(weights: Sequence[int], vectors: Sequence[FieldVector]) -> FieldVector:
    cells = [
        sum(weight * int(value) for weight, value in zip(weights, column, strict=True)) % MODULUS
        for column in zip(*vectors, strict=True)
    ]
    return np.array(cells or [0] * CELLS, dtype=np.uint64)


def unit(place: int, width: int) -> Vector:
    """The combination that is one school alone."""
    return tuple(int(i == place) for i in range(width))


def split_in_two(n: int, t: int, f: int, victim: int, num_schools: int = 6) -> Coordinator:
    """Show all schools to one half of the honest auditors and all but the victim to the other."""
    coordinator = Coordinator(County(n, t, num_schools), f)
    everybody = list(range(num_schools))
    half = f + (n - f + 1) // 2
    for auditor in range(f, n):
        coordinator.show(auditor, [i for i in everybody if auditor < half or i != victim])
    return coordinator


def split_in_three(n: int, t: int, f: int, num_schools: int = 10) -> Coordinator:
    """Show one half of the schools, the other half, and all, each to a third of the honest auditors."""
    coordinator = Coordinator(County(n, t, num_schools), f)
    everybody = list(range(num_schools))
    parts = (everybody[: num_schools // 2], everybody[num_schools // 2 :], everybody)
    for auditor in range(f, n):
        coordinator.show(auditor, parts[auditor % 3])
    return coordinator
