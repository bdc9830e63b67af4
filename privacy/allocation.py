"""Share a round's rho among its tables so that the intervals after least squares are narrow.

Table j with the share w_j of rho (the shares add up to 1) has cells of variance v_j = a_j / w_j, where a_j =
Delta_j^2 / (2 rho). After `privacy.least_squares` the variance of a weighted sum x of cells is

    Var_x(v) = min over linear unbiased estimates b of Σ_j v_j · Σ_{c in j} b_c².        (*)

Proof note.
1. (*) is Gauss-Markov: which b are unbiased depends on the equalities alone, not on v. So Var_x is a minimum
   of linear functions of v with coefficients ≥ 0: concave, monotone, and homogeneous (Var(kv) = k Var(v)).
2. Majorise, minimise. With S_xj = Σ_{c in j} b_c² of the best b at the present v, Var_x(v') is at most
   Σ_j S_xj v'_j for every v', with equality at v. The step w_j ∝ sqrt(a_j · S_xj), which by Cauchy-Schwarz
   minimises the right side over all shares, therefore never makes Var_x larger. The same holds for sums of
   variances and for a mean of standard errors, sums of sqrt(Var): the root is concave and increasing, so its
   tangent is the majoriser and S_xj gets the factor 1 / (2 sqrt(Var_x)).
3. No wrong valley. As a function of the shares (of the precisions w_j / a_j) 1/Var_x is concave, being the
   infimum of linear functions over the b' with b'x = 1 (the parallel sum). So Var_x and sqrt(Var_x) are
   convex, and so are sums of them and root mean squares: where the steps come to rest is a best place.
4. The largest interval is the maximum over weights u of the u-mean (Sion: convex in w, linear in u). Weights
   are multiplied up where an interval is wide; the best shares met are kept.

Shares are proposals: whatever comes out is a valid plan, and its cost is computed from its integers as for
every other.

Spec: privacy.md, "Estimation", point 2.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from privacy.errors import PrivacyError
from privacy.least_squares import Equality, LeastSquares

Floats = NDArray[np.float64]
Objective = Literal["mean", "max"]

MAX_CELLS = 6_000
"""Most cells of a round that are optimised: each step estimates every cell by itself."""

_MOST_STEPS = 400
_SETTLED = 3e-5  # largest change of a share at which the steps have come to rest


@dataclass(frozen=True, slots=True)
class Workload:
    """The tables that share rho, and what is known about their sums.

    Attributes:
        costs: a_j for each table: the variance of one raw cell if the table had all of rho; above 0.
        sizes: number of cells of each table, in the order of the vector.
        equalities: as for `LeastSquares`.
        held: tables, by place, whose share stays as given; their own intervals do not count.

    Raises:
        PrivacyError: no table, a cost that is not above 0, too many cells, or shares held that leave nothing.
    """

    costs: tuple[float, ...]
    sizes: tuple[int, ...]
    equalities: Sequence[Equality]
    held: Mapping[int, float]

    def __post_init__(self) -> None:
        if not self.costs or len(self.costs) != len(self.sizes):
            raise PrivacyError("allocation: expected a cost and a number of cells for each table")
        if min(self.costs) <= 0 or min(self.sizes) < 1 or sum(self.sizes) > MAX_CELLS:
            raise PrivacyError(
                f"allocation: expected costs above 0 and 1 to {MAX_CELLS} cells, found {sum(self.sizes)}"
            )
        is_known = all(0 <= place < len(self.costs) and share > 0 for place, share in self.held.items())
        if not is_known or len(self.held) >= len(self.costs) or sum(self.held.values()) >= 1:
            raise PrivacyError("allocation: the shares that are held leave nothing to share out")

    @property
    def free(self) -> tuple[int, ...]:
        """Places of the tables whose share is to be chosen."""
        return tuple(place for place in range(len(self.costs)) if place not in self.held)


@dataclass(frozen=True, slots=True)
class Allocation:
    """Shares of rho, and the standard error of a cell (root mean square over a table) that they give."""

    shares: tuple[float, ...]
    errors: tuple[float, ...]


def allocate(workload: Workload, objective: Objective = "mean") -> Allocation:
    """Choose the shares that make the mean, or the largest, interval over the tables narrowest.

    A table counts with the root mean square of its cells' standard errors after least squares.

    Returns:
        Shares in the order of the tables; those that are held stand as given, all add up to 1.
    """
    influence = _Influence(workload)
    steps = _max_steps(workload, influence) if objective == "max" else _mean_steps(workload, influence)
    best, least = equal_shares(workload), math.inf
    for shares, value in steps:
        if value < least:
            best, least = shares, value
    return Allocation(tuple(best.tolist()), tuple(influence.errors(best).tolist()))


def evaluate(workload: Workload, shares: Sequence[float]) -> Allocation:
    """Return the standard errors that given shares lead to; the shares are scaled to add up to 1."""
    found = np.array(shares, dtype=np.float64)
    if found.shape != (len(workload.costs),) or not bool(np.all(found > 0)):
        raise PrivacyError("allocation: expected a share above 0 for each table")
    found = found / found.sum()
    return Allocation(tuple(found.tolist()), tuple(_Influence(workload).errors(found).tolist()))


def equal_shares(workload: Workload) -> Floats:
    """Return what is not held in equal parts."""
    left = 1 - sum(workload.held.values())
    return np.array(
        [workload.held.get(place, left / len(workload.free)) for place in range(len(workload.costs))]
    )


class _Influence:
    """How much of each table's variance is in the cells of each table, for given shares."""

    def __init__(self, workload: Workload) -> None:
        self._costs = np.array(workload.costs)
        self._sizes = workload.sizes
        self._starts = np.concatenate(([0], np.cumsum(workload.sizes)[:-1]))
        self._equalities = workload.equalities

    def table(self, shares: Floats) -> Floats:
        """Return S: [t, j] is the mean over the cells of t of Σ_{c in j} b_c², for the best b."""
        variances = np.repeat(self._costs / shares, self._sizes)
        model = LeastSquares(variances, self._equalities)
        rows = []
        for start, size in zip(self._starts.tolist(), self._sizes, strict=True):
            weights = model.influence(np.eye(size, len(variances), start))
            rows.append(np.add.reduceat(weights * weights, self._starts, axis=1).mean(axis=0))
        return np.array(rows)

    def errors(self, shares: Floats) -> Floats:
        """Return the root mean square standard error of each table's cells."""
        found: Floats = np.sqrt(self.table(shares) @ (self._costs / shares))
        return found


def _step(workload: Workload, gradient: Floats) -> Floats:
    """Return the shares w_j ∝ sqrt(a_j · gradient_j), those held apart."""
    shares = np.sqrt(np.array(workload.costs) * gradient)
    free = list(workload.free)
    left = 1 - sum(workload.held.values())
    shares *= left / shares[free].sum()
    for place, share in workload.held.items():
        shares[place] = share
    return shares


def _mean_steps(workload: Workload, influence: _Influence) -> Iterator[tuple[Floats, float]]:
    """Yield shares and their mean standard error, each no larger than the one before."""
    costs, free = np.array(workload.costs), list(workload.free)
    shares = equal_shares(workload)
    for _ in range(_MOST_STEPS):
        table = influence.table(shares)
        errors = np.sqrt(table @ (costs / shares))
        yield shares, float(errors[free].mean())
        new = _step(workload, (1 / errors[free]) @ table[free])
        is_settled = float(np.max(np.abs(new - shares))) < _SETTLED
        shares = new
        if is_settled:
            return


def _max_steps(workload: Workload, influence: _Influence) -> Iterator[tuple[Floats, float]]:
    """Yield shares and their largest standard error; the best of them is kept by the caller."""
    costs, free = np.array(workload.costs), list(workload.free)
    shares, weights = equal_shares(workload), np.full(len(free), 1.0 / len(free))
    for _ in range(_MOST_STEPS):
        table = influence.table(shares)
        variances = (table @ (costs / shares))[free]
        yield shares, math.sqrt(float(variances.max()))
        weights = weights * variances / float(variances.max())
        weights /= weights.sum()
        new = _step(workload, weights @ table[free])
        is_settled = float(np.max(np.abs(new - shares))) < _SETTLED
        shares = new
        if is_settled:
            return


__all__ = ["MAX_CELLS", "Allocation", "Objective", "Workload", "allocate", "equal_shares", "evaluate"]
