"""Generalised least squares against two independent computations, and the promises of its docstring."""

import hashlib
import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from privacy.errors import PrivacyError
from privacy.least_squares import Equality, LeastSquares

Floats = NDArray[np.float64]

# the workload of design page privacy.md, "Estimation", point 2: sizes of the attributes, and the tables
SIZES = {"county": 13, "stage": 4, "grade": 9, "sex": 2, "alert": 4, "lb": 2, "sp": 2}
WORKLOAD = (
    ("grade", "sex", "alert"),
    ("alert", "lb", "sp", "stage"),
    ("county", "alert"),
    ("county", "stage", "alert"),
    ("county", "lb", "alert"),
    ("stage", "sex", "alert"),
)


def random_system(seed: int) -> tuple[Floats, list[Equality], Floats]:
    """Return variances, equalities (some redundant, some with an empty side) and A."""
    rng = np.random.default_rng(seed)
    cells, rows = int(rng.integers(2, 30)), int(rng.integers(1, 15))
    matrix = rng.choice([-1, 0, 0, 1], size=(rows, cells))
    matrix[-1] = matrix[0]
    equalities: list[Equality] = [
        (np.flatnonzero(row > 0).tolist(), np.flatnonzero(row < 0).tolist()) for row in matrix
    ]
    return rng.uniform(0.1, 50, cells), equalities, matrix.astype(float)


def projection(variances: Floats, matrix: Floats) -> Floats:
    spread = np.diag(variances)
    inverse = np.linalg.pinv(matrix @ spread @ matrix.T)
    return np.asarray(np.eye(len(variances)) - spread @ matrix.T @ inverse @ matrix)


@pytest.mark.parametrize("seed", range(40))
def test_it_is_the_projection_that_numpy_computes(seed: int) -> None:
    variances, equalities, matrix = random_system(seed)
    rng = np.random.default_rng(1000 + seed)
    expected = projection(variances, matrix)
    spread = expected @ np.diag(variances)
    solver = LeastSquares(variances, equalities)
    values, targets = rng.normal(size=(3, len(variances))), rng.normal(size=(2, len(variances)))
    assert np.allclose(solver.estimate(values), values @ expected.T)
    assert np.allclose(solver.estimate(values[0]), expected @ values[0])
    assert np.allclose(solver.variances(), np.diag(spread))
    assert np.allclose(solver.influence(targets), targets @ expected)
    assert np.allclose(solver.influence(targets[1]), targets[1] @ expected)
    assert math.isclose(
        solver.covariance(targets[0], targets[1]), targets[0] @ spread @ targets[1], abs_tol=1e-9
    )


def product_tables() -> tuple[list[int], list[Equality]]:
    """Return the cells of each table of the workload and every equality of shared margins of two tables."""
    indices, start = [], 0
    for table in WORKLOAD:
        shape = [SIZES[name] for name in table]
        indices.append(np.arange(start, start + math.prod(shape)).reshape(shape))
        start += math.prod(shape)
    equalities: list[Equality] = []
    for one, other in itertools.combinations(range(len(WORKLOAD)), 2):
        shared = sorted(set(WORKLOAD[one]) & set(WORKLOAD[other]))
        sides = []
        for at in (one, other):
            axes = [WORKLOAD[at].index(name) for name in shared]
            rows = math.prod(SIZES[name] for name in shared)
            sides.append(np.moveaxis(indices[at], axes, range(len(axes))).reshape(rows, -1))
        equalities += [(left.tolist(), right.tolist()) for left, right in zip(*sides, strict=True)]
    return [cells.size for cells in indices], equalities


def residual_basis_variances(tables: Sequence[tuple[str, ...]], variance: float) -> list[float]:
    """Return each table's cell variance by the closed form of complete product tables."""
    closure = {part for table in tables for r in range(len(table) + 1) for part in _subsets(table, r)}
    spread = {}
    for part in closure:
        precision = sum(
            1 / (variance * math.prod(SIZES[name] for name in table if name not in part))
            for table in tables
            if part <= set(table)
        )
        spread[part] = 1 / precision
    return [
        sum(
            spread[part]
            * math.prod((SIZES[name] - 1) / SIZES[name] for name in part)
            * math.prod(1 / SIZES[name] ** 2 for name in table if name not in part)
            for part in closure
            if part <= set(table)
        )
        for table in tables
    ]


def _subsets(table: tuple[str, ...], size: int) -> list[frozenset[str]]:
    return [frozenset(part) for part in itertools.combinations(table, size)]


def test_the_workload_of_the_design_has_the_published_error() -> None:
    sizes, equalities = product_tables()
    assert sum(sizes) == 532
    raw = float(len(WORKLOAD))  # rho = 0.5 add-remove, split equally: sigma² = 6
    found = LeastSquares(np.full(532, raw), equalities).variances()
    tables = np.split(found, np.cumsum(sizes)[:-1])
    expected = residual_basis_variances(WORKLOAD, raw)
    for table, variance in zip(tables, expected, strict=True):
        assert np.allclose(table, variance)
    assert round(math.sqrt(raw), 3) == 2.449
    assert round(math.sqrt(sum(float(table[0]) for table in tables) / len(tables)), 3) == 2.079


@pytest.mark.parametrize("seed", range(10))
def test_no_cell_and_no_sum_gets_wider(seed: int) -> None:
    variances, equalities, _ = random_system(seed)
    solver = LeastSquares(variances, equalities)
    assert np.all(solver.variances() <= variances)
    for target in np.random.default_rng(seed).normal(size=(5, len(variances))):
        assert solver.covariance(target, target) <= float(np.sum(target**2 * variances)) * (1 + 1e-12)


def test_the_estimates_keep_every_equality() -> None:
    for seed in range(10):
        variances, equalities, matrix = random_system(seed)
        values = 1e5 * np.random.default_rng(seed).normal(size=len(variances))
        assert np.allclose(matrix @ LeastSquares(variances, equalities).estimate(values), 0, atol=1e-8)


def test_two_equal_cells_are_weighed_by_precision() -> None:
    solver = LeastSquares(np.array([1.0, 3.0]), [([0], [1])])
    assert solver.estimate(np.array([0.0, 4.0])).tolist() == [1.0, 1.0]
    assert solver.variances().tolist() == [0.75, 0.75]


def test_a_structural_zero_is_known_and_helps_the_rest() -> None:
    solver = LeastSquares(np.ones(4), [([0], []), ([0, 1], [2, 3])])
    assert solver.estimate(np.array([5.0, 1.0, 1.0, 0.0])).tolist() == [0.0, 1.0, 1.0, 0.0]
    assert solver.variances()[0] == 0.0
    assert solver.variances()[1] == pytest.approx(2 / 3)


def test_redundant_equalities_change_nothing() -> None:
    variances, values = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([9.0, 1.0, 7.0, 3.0, 2.0])
    few: list[Equality] = [([0], [1]), ([2], [3])]
    many = [*few, ([1], [0]), ([0, 2], [1, 3]), ([0, 4], [1, 4]), ([], [])]
    one, other = LeastSquares(variances, few), LeastSquares(variances, many)
    assert np.allclose(one.estimate(values), other.estimate(values), rtol=1e-12)
    assert np.allclose(one.variances(), other.variances(), rtol=1e-12)


def test_thousands_of_equalities_between_margins() -> None:
    county, group = 150, 20
    table = np.arange(county * group).reshape(county, group)
    equalities: list[Equality] = [([3000 + at], table[at].tolist()) for at in range(county)]
    equalities += [([3150 + at], table[:, at].tolist()) for at in range(group)]
    equalities += [(table[at, :2].tolist(), [3170 + at]) for at in range(county)] * 10
    solver = LeastSquares(np.ones(3320), equalities)
    found = solver.estimate(np.random.default_rng(3).normal(size=3320))
    assert found[3000:3150].sum() == pytest.approx(found[3150:3170].sum())
    assert solver.variances().max() <= 1


def test_the_same_bytes_everywhere() -> None:
    """The digest was made once; another machine, numpy or number of rounds at a time must give it, too."""
    sizes, equalities = product_tables()
    variances = np.repeat(np.arange(1, len(sizes) + 1) / 7, sizes)
    solver = LeastSquares(variances, equalities)
    values = (np.arange(532.0) * 7919 % 1009 - 504) / 64
    found = solver.estimate(values)
    assert np.array_equal(solver.estimate(np.stack([-values, values, values]))[1], found)
    digest = hashlib.sha256(found.astype("<f8").tobytes() + solver.variances().astype("<f8").tobytes())
    assert digest.hexdigest()[:16] == "2dc554461c516a1c"


@pytest.mark.parametrize(
    "variances", [[1.0, 0.0], [1.0, -1.0], [1.0, math.nan], [1.0, math.inf], [[1.0]]], ids=str
)
def test_variances_that_are_none_are_refused(variances: list[float]) -> None:
    with pytest.raises(PrivacyError):
        LeastSquares(np.array(variances), [])


@pytest.mark.parametrize("cell", [-1, 2])
def test_a_position_that_is_no_cell_is_refused(cell: int) -> None:
    with pytest.raises(PrivacyError):
        LeastSquares(np.ones(2), [([0], [cell])])


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 2, 2)], ids=str)
def test_values_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(PrivacyError):
        LeastSquares(np.ones(2), []).estimate(np.zeros(shape))
