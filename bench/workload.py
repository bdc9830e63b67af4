"""The workload experiment of privacy.md: six overlapping tables of one county round, 532 cells, rho = 0.5.

Four ways to spend the same rho, with add-remove neighbours; each figure is the root mean square error of a
cell, averaged over the tables:

    raw            equal shares, every table by itself
    gls_equal      equal shares, then `privacy.least_squares` over all tables
    gls_optimised  the shares of `privacy.allocation`, then least squares
    optimum        the best any Gaussian mechanism can do for these tables (ResidualPlanner's closed form)

The first three come from the product's own code, the last one from the formula alone. With `--json` one line.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator, Sequence
from itertools import combinations, product
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import numpy as np

from privacy.allocation import Workload, allocate
from privacy.least_squares import Equality, LeastSquares

RHO = 0.5
SIZES = {"county": 13, "stage": 4, "grade": 9, "sex": 2, "alert": 4, "left-behind": 2, "single-parent": 2}
TABLES = (
    ("grade", "sex", "alert"),
    ("alert", "left-behind", "single-parent", "stage"),
    ("county", "alert"),
    ("county", "stage", "alert"),
    ("county", "left-behind", "alert"),
    ("stage", "sex", "alert"),
)
TARGETS = {"raw": 2.449, "gls_equal": 2.10, "gls_optimised": 2.06, "optimum": 2.029}


def cells(table: Sequence[str]) -> int:
    """Number of cells of a table."""
    return math.prod(SIZES[name] for name in table)


def equalities() -> Iterator[Equality]:
    """Every two tables have the same sums over what they share."""
    starts = np.cumsum([0, *(cells(table) for table in TABLES)])
    for (one, left), (other, right) in combinations(enumerate(TABLES), 2):
        shared = [name for name in left if name in right]
        first, second = (_groups(table, shared) for table in (left, right))
        for key, members in first.items():
            yield (
                [int(starts[one]) + at for at in members],
                [int(starts[other]) + at for at in second[key]],
            )


def _groups(table: Sequence[str], shared: Sequence[str]) -> dict[tuple[int, ...], list[int]]:
    found: dict[tuple[int, ...], list[int]] = {}
    for at, codes in enumerate(product(*(range(SIZES[name]) for name in table))):
        key = tuple(codes[table.index(name)] for name in shared)
        found.setdefault(key, []).append(at)
    return found


def rmse(shares: Sequence[float] | None) -> float:
    """Average over the tables of a cell's variance after least squares, as a root; None: raw, equal."""
    costs = [1 / (2 * RHO) for _ in TABLES]
    equal = [1 / len(TABLES)] * len(TABLES)
    per_table = [cost / share for cost, share in zip(costs, shares or equal, strict=True)]
    raw = np.repeat(per_table, [cells(table) for table in TABLES])
    variances = raw if shares is None else LeastSquares(raw, list(equalities())).variances()
    edges = np.cumsum([cells(table) for table in TABLES])[:-1]
    return math.sqrt(float(np.mean([part.mean() for part in np.split(variances, edges)])))


def optimum() -> float:
    """ResidualPlanner (Xiao, He, Zhang, Kifer 2023): variances per residual that minimise the sum.

    A residual A costs p_A / variance with p_A = Π (n-1)/n; it adds p_A · Π 1/n² · variance to each cell of
    a table that contains it.
    """
    residuals = sorted(
        {part for table in TABLES for size in range(len(table) + 1) for part in _parts(table, size)}
    )
    total = 0.0
    for residual in residuals:
        cost = math.prod((SIZES[name] - 1) / SIZES[name] for name in residual)
        used = sum(
            cost / math.prod(SIZES[name] ** 2 for name in table if name not in residual)
            for table in TABLES
            if set(residual) <= set(table)
        )
        total += math.sqrt(cost * used / len(TABLES))
    return total / math.sqrt(2 * RHO)


def _parts(table: Sequence[str], size: int) -> Iterator[tuple[str, ...]]:
    return combinations(sorted(table), size)


def measure() -> dict[str, float]:
    """The four figures."""
    sizes = tuple(cells(table) for table in TABLES)
    workload = Workload(tuple(1 / (2 * RHO) for _ in TABLES), sizes, list(equalities()), {})
    equal = [1 / len(TABLES)] * len(TABLES)
    return {
        "raw": rmse(None),
        "gls_equal": rmse(equal),
        "gls_optimised": rmse(allocate(workload).shares),
        "optimum": optimum(),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures; exit 0 if all are within their targets, else 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", action="store_true", help="one line for programs")
    options = parser.parse_args(argv)
    found = {name: round(value, 4) for name, value in measure().items()}
    if options.json:
        print(json.dumps(found))
    else:
        print(f"{'shares and estimation':24}{'RMSE':>8}{'target':>9}")
        for name, value in found.items():
            print(f"{name:24}{value:8.3f}{TARGETS[name]:9.3f}")
    return 0 if all(value <= TARGETS[name] + 5e-4 for name, value in found.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
