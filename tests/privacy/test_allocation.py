"""Sharing rho among tables: what the proof note of `privacy.allocation` promises; the known experiment."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench import workload as experiment
from privacy.allocation import MAX_CELLS, Workload, allocate, equal_shares, evaluate
from privacy.errors import PrivacyError
from privacy.least_squares import Equality, LeastSquares


def two_margins(held: dict[int, float] | None = None, costs: tuple[float, ...] = (1.0, 1.0, 4.0)) -> Workload:
    """A 3 x 4 table, its rows by themselves, and a table that shares nothing."""
    rows: list[Equality] = [(range(4 * row, 4 * row + 4), [12 + row]) for row in range(3)]
    return Workload(costs, (12, 3, 5), rows, held or {})


def errors_by_least_squares(workload: Workload, shares: tuple[float, ...]) -> list[float]:
    raw = np.repeat(np.array(workload.costs) / np.array(shares), workload.sizes)
    variances = LeastSquares(raw, workload.equalities).variances()
    return [math.sqrt(part.mean()) for part in np.split(variances, np.cumsum(workload.sizes)[:-1])]


def test_the_errors_are_those_of_the_estimator() -> None:
    workload = two_margins()
    shares = (0.5, 0.2, 0.3)
    found = evaluate(workload, shares)
    assert found.errors == pytest.approx(errors_by_least_squares(workload, shares), rel=1e-9)
    assert found.errors[2] == pytest.approx(math.sqrt(4 / 0.3))


@pytest.mark.parametrize("objective", ["mean", "max"])
def test_no_shares_nearby_are_better(objective: str) -> None:
    workload = two_margins()
    aim = max if objective == "max" else lambda errors: sum(errors) / 3
    found = allocate(workload, objective)  # type: ignore[arg-type]
    assert sum(found.shares) == pytest.approx(1)
    best = aim(found.errors)
    random = np.random.default_rng(5)
    for _ in range(40):
        other = np.array(found.shares) * np.exp(random.normal(0, 0.2, 3))
        assert best <= aim(evaluate(workload, other.tolist()).errors) * (1 + 1e-3)
    assert best < aim(evaluate(workload, equal_shares(workload).tolist()).errors) * 0.99


def test_without_equalities_the_shares_are_known() -> None:
    workload = Workload((1.0, 8.0), (10, 20), [], {})
    mean, largest = allocate(workload), allocate(workload, "max")
    assert mean.shares[1] / mean.shares[0] == pytest.approx(2, rel=1e-3)  # w ~ a^(1/3)
    assert largest.shares[1] / largest.shares[0] == pytest.approx(8, rel=1e-3)  # w ~ a


def test_held_shares_stay_and_their_table_does_not_count() -> None:
    found = allocate(two_margins({2: 0.05}))
    assert found.shares[2] == pytest.approx(0.05)
    alone = Workload((1.0, 1.0), (12, 3), two_margins().equalities, {})
    assert found.shares[0] / found.shares[1] == pytest.approx(
        allocate(alone).shares[0] / allocate(alone).shares[1], rel=1e-3
    )


def test_repeated_equalities_change_nothing() -> None:
    once = two_margins()
    twice = Workload(once.costs, once.sizes, [*once.equalities, *once.equalities], {})
    assert allocate(twice).shares == pytest.approx(allocate(once).shares, rel=1e-4)


@pytest.mark.parametrize(
    ("costs", "sizes", "held"),
    [
        ((), (), {}),
        ((1.0,), (1, 2), {}),
        ((0.0, 1.0), (1, 2), {}),
        ((1.0, 1.0), (0, 2), {}),
        ((1.0, 1.0), (1, MAX_CELLS), {}),
        ((1.0, 1.0), (1, 2), {0: 0.5, 1: 0.5}),
        ((1.0, 1.0), (1, 2), {0: 1.0}),
        ((1.0, 1.0), (1, 2), {2: 0.1}),
        ((1.0, 1.0), (1, 2), {0: 0.0}),
    ],
    ids=[
        "none",
        "sizes",
        "no_cost",
        "no_cell",
        "too_many",
        "all_held",
        "nothing_left",
        "unknown",
        "held_zero",
    ],
)
def test_workloads_that_cannot_be_shared_out(
    costs: tuple[float, ...], sizes: tuple[int, ...], held: dict[int, float]
) -> None:
    with pytest.raises(PrivacyError, match="allocation"):
        Workload(costs, sizes, [], held)


@pytest.mark.parametrize("shares", [(1.0,), (1.0, 0.0, 1.0)])
def test_shares_must_fit_the_tables(shares: tuple[float, ...]) -> None:
    with pytest.raises(PrivacyError, match="share above 0"):
        evaluate(two_margins(), shares)


def test_the_experiment_of_the_design_comes_out() -> None:
    found = experiment.measure()
    assert found["raw"] == pytest.approx(2.449, abs=1e-3)
    assert found["gls_equal"] == pytest.approx(2.079, abs=1e-3)
    assert found["gls_optimised"] <= 2.06
    assert found["optimum"] == pytest.approx(2.029, abs=1e-3)
    assert found["optimum"] < found["gls_optimised"] < found["gls_equal"] < found["raw"]
