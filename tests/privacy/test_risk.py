"""What a cost means: the bet is bounded, the bound is reached, and Gaussian noise stays below it."""

import math
from fractions import Fraction

import mpmath
import pytest
from dp_accounting.pld import privacy_loss_distribution
from hypothesis import given
from hypothesis import strategies as st

from privacy.accountant import ClaimInput, epsilon, table_rho
from privacy.errors import NoiseParameterError
from privacy.risk import DELTA, gaussian_guess, guess_bound, risk_of, times_in_100

RHOS = [Fraction(1, 1000), Fraction(1, 20), Fraction(1, 5), Fraction(1, 2), Fraction(3), Fraction(20)]


def renyi_of_coins(p, q, alpha):
    """Renyi divergence of order alpha of two coins, to 60 digits."""
    p, q = mpmath.mpf(p), mpmath.mpf(q)
    return mpmath.log(p**alpha * q ** (1 - alpha) + (1 - p) ** alpha * (1 - q) ** (1 - alpha)) / (alpha - 1)


@pytest.mark.parametrize("rho", RHOS)
def test_the_bound_is_reached_by_randomised_response_of_that_rho(rho):
    """A coin that is right with probability w costs exactly rho, so no smaller w would be a bound."""
    with mpmath.workdps(60):
        won = mpmath.mpf(guess_bound(rho))
        orders = [1 + mpmath.mpf(10) ** (k / 4) for k in range(-24, 13)]
        costs = [renyi_of_coins(won, 1 - won, order) / order for order in orders]
    if won < 1 - 1e-9:
        assert float(max(costs)) == pytest.approx(float(rho), rel=1e-4)
        assert costs == sorted(costs, reverse=True)


@given(st.floats(0.001, 0.999), st.floats(0.001, 0.999))
def test_no_pair_of_coins_within_rho_wins_more_often(p, q):
    """Any test of the two data sets is a pair of coins; its cost is at least their divergence."""
    won = (p + 1 - q) / 2
    if won <= 0.5:
        return
    cost = max(a * math.log(a / b) + (1 - a) * math.log((1 - a) / (1 - b)) for a, b in ((p, q), (q, p)))
    assert guess_bound(Fraction(cost)) >= won * (1 - 1e-9)


@pytest.mark.parametrize("rho", [Fraction(1, 50), Fraction(1, 5), Fraction(1, 2), Fraction(2)])
def test_gaussian_guess_equals_dp_accounting(rho):
    """The bet is won (1 + TV)/2 of the time, and TV is delta at epsilon 0."""
    pld = privacy_loss_distribution.from_gaussian_mechanism(
        standard_deviation=1 / math.sqrt(2 * rho), value_discretization_interval=1e-4
    )
    assert gaussian_guess(rho) == pytest.approx((1 + pld.get_delta_for_epsilon(0.0)) / 2, abs=1e-5)


@pytest.mark.parametrize("rho", RHOS)
def test_gaussian_noise_stays_below_the_bound(rho):
    assert 0.5 < gaussian_guess(rho) <= guess_bound(rho)


@pytest.mark.parametrize(("s2", "h", "shift"), [(9, 1, 1), (9, 4, 3), (16, 3, 8), (25, 2, 1)])
def test_the_exact_sum_of_discrete_gaussians_keeps_the_bound_of_its_claim(s2, h, shift):
    """The bet is worked out from the exact convolution; the Gaussian figure is close but no bound."""
    reach = math.isqrt(196 * s2) + 1
    with mpmath.workdps(40):
        one = [mpmath.exp(-mpmath.mpf(k * k) / (2 * s2)) for k in range(-reach, reach + 1)]
        total = [mpmath.mpf(1)]
        for _ in range(h):
            longer = [mpmath.mpf(0)] * (len(total) + len(one) - 1)
            for i, left in enumerate(total):
                for j, right in enumerate(one):
                    longer[i + j] += left * right
            total = longer
        padded = [*total, *([mpmath.mpf(0)] * shift)]
        moved = [*([mpmath.mpf(0)] * shift), *total]
        distance = sum(abs(a - b) for a, b in zip(padded, moved, strict=True)) / 2 / sum(total)
    won = (1 + float(distance)) / 2
    rho = table_rho(ClaimInput(shift**2, shift, 1, s2, 1), h)
    assert won <= guess_bound(rho)
    assert won == pytest.approx(gaussian_guess(rho), rel=5e-3)
    assert (won > gaussian_guess(rho)) is (shift % 2 == 1)  # a window of an odd number of points is heavier


def test_the_year_at_its_cap():
    risk = risk_of(Fraction(1, 2))
    assert (risk.delta, risk.total_delta) == (DELTA, pytest.approx(DELTA))
    assert risk.epsilon == epsilon(Fraction(1, 2), DELTA)
    assert risk.guess == pytest.approx(0.739549, abs=1e-6)
    assert risk.gaussian_guess == pytest.approx(0.691462, abs=1e-6)
    assert times_in_100(risk.guess) == 74


def test_nothing_released_leaves_the_bet_fair():
    risk = risk_of(Fraction(0))
    assert (risk.guess, risk.gaussian_guess, risk.epsilon) == (0.5, 0.5, 0.0)
    assert times_in_100(risk.guess) == 50


def test_the_samplers_distance_is_added_to_the_bet_and_to_delta():
    plain, moved = risk_of(Fraction(1, 5)), risk_of(Fraction(1, 5), Fraction(1, 100))
    assert moved.guess == pytest.approx(plain.guess + 0.01)
    assert moved.total_delta == pytest.approx(DELTA + (1 + math.exp(plain.epsilon)) / 100)
    assert risk_of(Fraction(1, 5), Fraction(1, 1 << 100)).total_delta > DELTA
    assert risk_of(Fraction(1000), Fraction(1)).total_delta == risk_of(Fraction(3), Fraction(1)).guess == 1


@given(st.fractions(0, 1000), st.fractions(0, 1000))
def test_a_larger_cost_never_reads_smaller(one, other):
    low, high = sorted((one, other))
    assert 0.5 <= guess_bound(low) <= guess_bound(high) <= 1


@pytest.mark.parametrize(("guess", "times"), [(0.5, 50), (0.5001, 51), (0.74, 74), (0.7401, 75), (1.0, 100)])
def test_times_in_100_are_rounded_up(guess, times):
    assert times_in_100(guess) == times


@pytest.mark.parametrize("rho", [Fraction(-1, 10), Fraction(1001)])
def test_a_cost_out_of_range_is_refused(rho):
    for function in (guess_bound, gaussian_guess, risk_of):
        with pytest.raises(NoiseParameterError, match="rho"):
            function(rho)


@pytest.mark.parametrize("distance", [Fraction(-1, 100), Fraction(2)])
def test_a_distance_that_is_none_is_refused(distance):
    with pytest.raises(NoiseParameterError, match="distance"):
        risk_of(Fraction(1, 2), distance)
