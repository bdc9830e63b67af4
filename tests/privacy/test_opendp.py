"""OpenDP's discrete Gaussian and ours have one distribution, in both directions.

OpenDP takes its randomness from the operating system, so its draws cannot be repeated. Every limit is p >
1e-9: with the twelve comparisons here a false alarm comes once in 80 million runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import chi2

from privacy.discrete_gaussian import Sampler, table_bound, thresholds

dp = pytest.importorskip("opendp.prelude")
dp.enable_features("contrib")

SIGMAS = [Fraction(1, 2), 3, 20, 128, 679, 4000]
THEIRS, OURS = 30_000, 1_000_000
LIMIT = 1e-9
MakeStream = Callable[[int], Callable[[int], bytes]]


def opendp_draws(sigma: Fraction | int) -> np.ndarray:
    space = dp.vector_domain(dp.atom_domain(T=int)), dp.l2_distance(T=float)
    return np.array(dp.m.make_gaussian(*space, scale=float(sigma))([0] * THEIRS))


def binned(values: np.ndarray, sigma: Fraction | int) -> np.ndarray:
    """Count values in bins an eighth of sigma wide (of one integer, where sigma is small), tails together."""
    width = max(1, round(float(sigma) / 8))
    last = math.ceil(3.2 * float(sigma) / width)
    places = np.clip(np.floor_divide(values + width // 2, width), -last, last)
    return np.bincount(places.astype(np.int64) + last, minlength=2 * last + 1).astype(np.float64)


def our_probabilities(sigma: Fraction | int) -> np.ndarray:
    """The same bins of the table that we draw from, exactly as it stands in a plan."""
    table, bound = thresholds(sigma**2), table_bound(sigma**2)
    mass = np.array([float(Fraction(b - a, 1 << 128)) for a, b in zip((0, *table), table, strict=False)])
    width = max(1, round(float(sigma) / 8))
    last = math.ceil(3.2 * float(sigma) / width)
    values = np.arange(-bound, bound + 1)
    places = np.clip(np.floor_divide(values + width // 2, width), -last, last) + last
    return np.bincount(places, weights=mass, minlength=2 * last + 1)


def p_of_model(observed: np.ndarray, probabilities: np.ndarray) -> float:
    expected = probabilities * observed.sum()
    keep = expected >= 5
    o, e = (np.append(row[keep], row[~keep].sum()) for row in (observed, expected))
    is_used = e > 1e-6  # the rest of a narrow table holds nothing, and must then hold nothing
    assert o[~is_used].sum() == 0
    return float(chi2.sf(((o - e)[is_used] ** 2 / e[is_used]).sum(), is_used.sum() - 1))


def p_of_two_samples(one: np.ndarray, two: np.ndarray) -> float:
    keep = one + two >= 20
    a, b = (np.append(row[keep], row[~keep].sum()) for row in (one, two))
    a, b = a[a + b > 0], b[a + b > 0]
    ratio = math.sqrt(b.sum() / a.sum())
    return float(chi2.sf(((a * ratio - b / ratio) ** 2 / (a + b)).sum(), a.size - 1))


@pytest.mark.parametrize("sigma", SIGMAS, ids=str)
def test_one_distribution_in_both_directions(make_stream: MakeStream, sigma: Fraction | int) -> None:
    """Their draws against our table, and their draws against ours."""
    theirs = binned(opendp_draws(sigma), sigma)
    ours = binned(Sampler(sigma**2).sample(make_stream(24), OURS), sigma)
    assert p_of_model(theirs, our_probabilities(sigma)) > LIMIT
    assert p_of_two_samples(ours, theirs) > LIMIT


@pytest.mark.parametrize("sigma", [3, 128, 4000])
def test_the_comparison_would_see_ten_percent_of_width(make_stream: MakeStream, sigma: int) -> None:
    theirs = binned(opendp_draws(sigma), sigma)
    wider = Fraction(11, 10) * sigma if sigma < 4000 else Fraction(9, 10) * sigma
    wrong = binned(Sampler(wider**2).sample(make_stream(25), OURS), sigma)
    assert p_of_two_samples(wrong, theirs) < LIMIT
    assert p_of_model(theirs, wrong / wrong.sum()) < LIMIT
