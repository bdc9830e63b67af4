"""An empirical audit of the whole noise mechanism, and of five mutants that it has to catch.

400,000 runs on neighbouring inputs; the attack guesses by a threshold at the median; Clopper-Pearson bounds
at 99.9 % turn its hit rates into a lower bound on mu (Gaussian DP). A sound mechanism with rho = 1/2 claims
mu = 1.
False alarm for the right mechanism: below 0.1 % per fresh seed; the seeds are fixed.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import beta, norm

from privacy.accountant import ClaimInput, claimed_rho, size_noise
from privacy.discrete_gaussian import Sampler
from privacy.sensitivity import Neighbouring, count_table_sensitivity

RUNS, SCHOOLS = 400_000, 10
DELTA_SQ = count_table_sensitivity(1, Neighbouring.ADD_REMOVE)
NOISE = size_noise(DELTA_SQ, Fraction(1, 2), SCHOOLS)


def _mechanism(stream, count: int, *, honest: int = SCHOOLS, width: float = 1.0) -> np.ndarray:
    """Return RUNS noisy values of one cell, in scaled units."""
    sampler = Sampler(NOISE.s2)
    total = np.zeros(RUNS)
    for _ in range(honest):
        total += sampler.sample(stream, RUNS)
    return count * NOISE.scale + width * total


def _mu_lower_bound(without: np.ndarray, with_pupil: np.ndarray) -> float:
    """Bound mu from below at 99.9 %; the threshold is chosen on one half and tested on the other."""
    half = RUNS // 2
    threshold = np.median(np.concatenate((without[:half], with_pupil[:half])))
    false = int((without[half:] > threshold).sum())
    true = int((with_pupil[half:] > threshold).sum())
    rest = RUNS - half
    false_high = beta.ppf(0.9995, false + 1, rest - false)
    true_low = beta.ppf(0.0005, true, rest - true + 1)
    return float(norm.ppf(true_low) - norm.ppf(false_high))


def _claimed_mu() -> float:
    rho = claimed_rho([ClaimInput(DELTA_SQ, DELTA_SQ, NOISE.scale, NOISE.s2, 1)], SCHOOLS)
    return math.sqrt(2 * rho)


def test_the_mechanism_leaks_what_it_claims_and_not_more(make_stream):
    claimed = _claimed_mu()
    bound = _mu_lower_bound(_mechanism(make_stream(31), 10), _mechanism(make_stream(32), 11))
    assert claimed == pytest.approx(1, abs=1e-3)
    assert 0.95 * claimed <= bound <= claimed


@pytest.mark.parametrize(
    ("count", "options"),
    [
        (11, {"honest": SCHOOLS // 2}),
        (12, {}),
        (11, {"width": 1 / math.sqrt(7)}),
        (11, {"width": 0.85}),
        (11, {"honest": SCHOOLS - 2}),
    ],
    ids=[
        "half-the-schools-silent",
        "pupil-counted-twice",
        "root-of-tables-missing",
        "15-percent-less",
        "two-silent",
    ],
)
def test_the_audit_catches_a_mutant(make_stream, count, options):
    bound = _mu_lower_bound(
        _mechanism(make_stream(33), 10, **options), _mechanism(make_stream(34), count, **options)
    )
    assert bound > _claimed_mu()


def test_a_replaced_pupil_costs_the_claim_over_two_cells(make_stream):
    """Under replace-one the best attack looks at the difference of the two cells that the pupil may be in."""
    delta_sq = count_table_sensitivity(1, Neighbouring.REPLACE_ONE)
    noise = size_noise(delta_sq, Fraction(1, 2), SCHOOLS)
    sampler = Sampler(noise.s2)

    def difference(stream, change: int) -> np.ndarray:
        total = np.full(RUNS, float(change * noise.scale))
        for _ in range(SCHOOLS):
            total += sampler.sample(stream, RUNS)
            total -= sampler.sample(stream, RUNS)
        return total

    bound = _mu_lower_bound(difference(make_stream(35), -1), difference(make_stream(36), 1))
    assert (
        0.95
        <= bound
        <= math.sqrt(2 * claimed_rho([ClaimInput(delta_sq, 2, noise.scale, noise.s2, 2)], SCHOOLS))
    )
