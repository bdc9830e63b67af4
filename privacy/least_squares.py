"""Generalised least squares: the best unbiased estimates of noisy cells between which equalities are known.

Given y = x + noise with independent noise of known variances V = diag(v), and A x = 0 (a row of A says that
two sums of cells are equal, or that one sum is 0), the estimate is

    x̂ = y - V Aᵀ (A V Aᵀ)⁺ A y,        Cov(x̂) = V - V Aᵀ (A V Aᵀ)⁺ A V.

Proof note (Gauss-Markov under linear constraints; Aitken 1936; Rao, Linear Statistical Inference, 4a.9).
x̂ is the minimiser of (x - y)ᵀ V⁻¹ (x - y) under A x = 0 (Lagrange), so A x̂ = 0. With
P = I - V Aᵀ (A V Aᵀ)⁺ A: P x = x wherever A x = 0, so x̂ = P y is unbiased. P V = V Pᵀ and P P = P, so
Cov(x̂) = P V Pᵀ = P V, and V - P V = V Aᵀ (A V Aᵀ)⁺ A V is positive semidefinite: no weighted sum of cells
gets wider than the same sum of the raw cells. Any other linear unbiased estimate of wᵀx is (w + Aᵀu)ᵀ y
for some u, and Cov(x̂, Aᵀu · y) = P V Aᵀ u = 0, so its variance is wᵀP V w plus something non-negative. For
Gaussian noise x̂ is also the maximum likelihood estimate; nothing here needs the noise to be Gaussian.

Preconditions, and where they are held: the equalities are true of every possible set of records
(`plan.identities`, with a test over random records); the noise of different cells is independent and has the
variances given (each cell has its own draws of the stream; `TableLayout.released_variance`). It is
post-processing: it reads noisy values only.

Rounding. Coordinator and auditor write the same bytes from these numbers, so the result must not depend on
the machine: only element-wise IEEE operations, sums in a fixed order (`np.add.accumulate`, `math.fsum`) and
elimination steps in a fixed order. No matrix product, `np.sum` or LAPACK: those sum in an order of their own.

How: cells with the same column in A are one class. The equalities fall apart into blocks that share no cell.
In a block the equalities are ordered by length, and A V Aᵀ = L D Lᵀ by elimination over its non-zero entries
only. An equality that depends on the ones before it has no pivot left (`_TOLERANCE`) and is dropped.

Spec: privacy.md, "Estimation", point 2. Where the preconditions are enforced: docs/proofs/least-squares.md.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privacy.errors import PrivacyError

Equality = tuple[Sequence[int], Sequence[int]]
"""Cells whose sums are equal; the right side may be empty: then the sum is 0."""

Floats = NDArray[np.float64]
_Column = tuple[tuple[int, int], ...]  # (equality, coefficient) of the cells of one class

_TOLERANCE = 1e-10
"""Part of an equality's own variance that must be left after the ones before it; rounding leaves 1e-14."""


class LeastSquares:
    """The estimator of one set of variances and equalities; it holds no values."""

    def __init__(self, variances: Floats, equalities: Sequence[Equality]) -> None:
        """Factorise the equalities.

        Args:
            variances: of each cell's noise, above 0; shape (cells,).
            equalities: positions of cells; redundant ones are fine.

        Raises:
            PrivacyError: a variance that is not above 0 and finite, or a position that is no cell.
        """
        self._raw = np.array(variances, dtype=np.float64)
        if self._raw.ndim != 1 or not bool(np.all(np.isfinite(self._raw) & (self._raw > 0))):
            raise PrivacyError("variances: expected one number above 0 for each cell")
        columns = _columns(equalities, len(self._raw))
        members: dict[_Column, list[int]] = {}
        for cell, column in columns.items():
            members.setdefault(column, []).append(cell)
        self._blocks = tuple(_blocks(members, self._raw))

    def estimate(self, values: Floats) -> Floats:
        """Return the estimates of raw noisy values; shape (cells,), or (rounds, cells) for several rounds."""
        found = self._checked(values).copy()
        for block in self._blocks:
            for cells, pull in zip(block.members, block.pull(block.sums(found)), strict=True):
                found[cells] -= self._raw[cells][:, None] * pull
        return _like(found, values)

    def variances(self) -> Floats:
        """Return the variance of each estimate; shape (cells,), never above the raw one."""
        found = self._raw.copy()
        for block in self._blocks:
            for cells, gain in zip(block.members, block.gains(), strict=True):
                raw = self._raw[cells]
                found[cells] = np.maximum(raw - raw * raw * gain, 0.0)
        return found

    def covariance(self, one: Floats, other: Floats) -> float:
        """Return the covariance of two weighted sums of estimates; weights of shape (cells,)."""
        return math.fsum((self.influence(one) * self._raw * other).tolist())

    def influence(self, targets: Floats) -> Floats:
        """Return the weight of each raw cell in the estimates of weighted sums of cells.

        Args:
            targets: weights; shape (cells,) or (sums, cells).

        Returns:
            As `targets`: Pᵀ targets. The variance of a sum is Σ influence² · raw variance.
        """
        found = self._checked(targets).copy()
        for block in self._blocks:
            pulls = block.pull(block.sums(self._raw[:, None] * found))
            for cells, pull in zip(block.members, pulls, strict=True):
                found[cells] -= pull
        return _like(found, targets)

    def _checked(self, values: Floats) -> Floats:
        """Return values with a row per cell and a column per round."""
        found = np.atleast_2d(np.asarray(values, dtype=np.float64))
        if found.ndim != 2 or found.shape[1] != len(self._raw):
            raise PrivacyError(f"values: expected {len(self._raw)} cells, found shape {np.shape(values)}")
        return np.ascontiguousarray(found.T)


def _like(found: Floats, given: Floats) -> Floats:
    return found[:, 0] if np.ndim(given) == 1 else np.ascontiguousarray(found.T)


def _columns(equalities: Sequence[Equality], cells: int) -> dict[int, _Column]:
    """Return cell → its column of A, for the cells that are in any equality, ascending."""
    columns: dict[int, dict[int, int]] = {}
    for number, (left, right) in enumerate(equalities):
        for sign, side in ((1, left), (-1, right)):
            for cell in side:
                if not 0 <= cell < cells:
                    raise PrivacyError(f"equality {number}: expected cells 0 to {cells - 1}, found {cell}")
                column = columns.setdefault(int(cell), {})
                column[number] = column.get(number, 0) + sign
    found = {}
    for cell in sorted(columns):
        kept = tuple(sorted((number, sign) for number, sign in columns[cell].items() if sign))
        if kept:  # a cell on both sides cancels out
            found[cell] = kept
    return found


def _blocks(members: dict[_Column, list[int]], raw: Floats) -> Iterator["_Block"]:
    """Yield the blocks that share no equality, in the order of their first cell."""
    parent: dict[int, int] = {}

    def root(number: int) -> int:
        while parent.setdefault(number, number) != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    for column in members:
        for number, _ in column[1:]:
            parent[root(number)] = root(column[0][0])
    together: dict[int, list[_Column]] = {}
    for column in members:
        together.setdefault(root(column[0][0]), []).append(column)
    for columns in together.values():
        yield _block(columns, [np.array(members[column], dtype=np.intp) for column in columns], raw)


def _block(columns: list[_Column], members: list[NDArray[np.intp]], raw: Floats) -> "_Block":
    """Order the equalities of a block by length and factorise them."""
    length: dict[int, int] = {}
    for column, cells in zip(columns, members, strict=True):
        for number, _ in column:
            length[number] = length.get(number, 0) + len(cells)
    place = {number: at for at, number in enumerate(sorted(length, key=lambda n: (length[n], n)))}
    signs = [
        (np.array([place[n] for n, _ in column]), np.array([float(sign) for _, sign in column]))
        for column in columns
    ]
    gram = np.zeros((len(place), len(place)))
    for (rows, sign), cells in zip(signs, members, strict=True):
        gram[np.ix_(rows, rows)] += math.fsum(raw[cells].tolist()) * sign[:, None] * sign
    return _Block(tuple(members), tuple(signs), len(place), tuple(_eliminate(gram)))


@dataclass(frozen=True, slots=True)
class _Step:
    """One elimination step: the pivot's row, its value, and what later rows take of it."""

    row: int
    pivot: float
    below: NDArray[np.intp]
    factors: Floats


def _eliminate(gram: Floats) -> Iterator[_Step]:
    """Yield the steps of L D Lᵀ, leaving out dependent rows; the matrix is used up."""
    least = _TOLERANCE * np.diagonal(gram)
    for row in range(len(gram)):
        pivot = float(gram[row, row])
        if pivot <= least[row]:
            gram[row, :] = gram[:, row] = 0.0
            continue
        below = row + 1 + np.flatnonzero(gram[row + 1 :, row])
        factors = gram[below, row] / pivot
        gram[np.ix_(below, below)] -= factors[:, None] * gram[row, below]
        yield _Step(row, pivot, below, factors)


@dataclass(frozen=True, slots=True)
class _Block:
    """Equalities that share cells with each other and with no others.

    Attributes:
        members: for each class its cells.
        signs: for each class its column of A: equalities and coefficients.
        size: number of equalities.
        steps: of the factorisation of A V Aᵀ.
    """

    members: tuple[NDArray[np.intp], ...]
    signs: tuple[tuple[NDArray[np.intp], Floats], ...]
    size: int
    steps: tuple[_Step, ...]

    def sums(self, values: Floats) -> Floats:
        """Return A times values of shape (cells, rounds)."""
        found = np.zeros((self.size, values.shape[1]))
        for cells, (rows, signs) in zip(self.members, self.signs, strict=True):
            found[rows] += signs[:, None] * np.add.accumulate(values[cells], axis=0)[-1]
        return found

    def pull(self, sums: Floats) -> Iterator[Floats]:
        """Yield for each class its row of Aᵀ (A V Aᵀ)⁺ `sums`; shape (rounds,). `sums` is used up."""
        solved = np.zeros_like(sums)
        for step in self.steps:
            sums[step.below] -= step.factors[:, None] * sums[step.row]
        for step in reversed(self.steps):
            solved[step.row] = sums[step.row] / step.pivot
            if len(step.below):
                solved[step.row] -= _in_order(step.factors[:, None] * solved[step.below])
        for rows, signs in self.signs:
            yield _in_order(signs[:, None] * solved[rows])

    def gains(self) -> Floats:
        """Return the diagonal of Aᵀ (A V Aᵀ)⁺ A, one number a class."""
        columns = np.zeros((self.size, len(self.signs)))
        for at, (rows, signs) in enumerate(self.signs):
            columns[rows, at] = signs
        gains = np.zeros(len(self.signs))
        for step in self.steps:
            columns[step.below] -= step.factors[:, None] * columns[step.row]
            gains += columns[step.row] * columns[step.row] / step.pivot
        return gains


def _in_order(terms: Floats) -> Floats:
    """Sum over the first axis, one after the other."""
    return np.asarray(np.add.accumulate(terms, axis=0)[-1], dtype=np.float64)
