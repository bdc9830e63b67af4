"""The bound for sums of discrete Gaussians: against the sums themselves, and against another evaluation."""

import itertools
import math
import time
from fractions import Fraction

import mpmath
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.errors import NoiseParameterError
from privacy.sum_of_noises import MAX_SCHOOLS, MAX_TERM_S2, tau, tau_of, variance_of


def reference(variances):
    """10 * sum of exp(-2 pi^2 / (1/s + 1/S)) with 150 digits, in the order given."""
    with mpmath.workdps(150):
        total, partial = mpmath.mpf(0), mpmath.mpf(0)
        for s2 in variances:
            if partial:
                total += mpmath.exp(-2 * mpmath.pi**2 / (1 / mpmath.mpf(s2) + 1 / partial))
            partial += s2
        return 10 * total


def as_real(value):
    return mpmath.mpf(value.numerator) / value.denominator


def weights(s2, far):
    return {k: mpmath.exp(-mpmath.mpf(k * k) / (2 * s2)) for k in range(-far, far + 1)}


def normalised(table):
    total = mpmath.fsum(table.values())
    return {k: value / total for k, value in table.items()}


def convolve(one, other, far):
    return {
        z: mpmath.fsum(value * other[z - k] for k, value in one.items() if z - k in other)
        for z in range(-far, far + 1)
    }


@pytest.mark.parametrize("variances", [(1, 1), (1, 2), (2, 1, 1), (3, 2, 1), (1, 1, 1, 1), (2, 2)])
def test_the_bound_holds_for_the_sums_themselves(variances):
    """sup |log P[sum = z] / P[one Gaussian = z]| by convolution with 60 digits is at most half of tau."""
    with mpmath.workdps(60):
        far = 40
        total = normalised(weights(variances[0], far))
        for s2 in variances[1:]:
            total = convolve(total, normalised(weights(s2, far)), far)
        one = normalised(weights(sum(variances), 3 * far))
        worst = max(abs(mpmath.log(total[z] / one[z])) for z in range(-12, 13))
        bound = as_real(tau_of(tuple((s2, 1) for s2 in variances))) / 2
        assert worst <= bound
        assert worst >= bound / 5 or len(variances) > 2  # and it is no idle bound


@pytest.mark.parametrize("s2", [1, 2, 9, 17, 400])
@pytest.mark.parametrize("h", [1, 2, 3, 60, 2000])
def test_equal_variances_give_the_formula_of_equal_variances(s2, h):
    with mpmath.workdps(150):
        exact = 10 * mpmath.fsum(
            mpmath.exp(-2 * mpmath.pi**2 * s2 * mpmath.mpf(k) / (k + 1)) for k in range(1, h)
        )
        gap = as_real(tau(s2, h)) - exact
        assert 0 <= gap <= exact * mpmath.mpf("1e-9") + 20 * h * mpmath.mpf(2) ** -256
    assert tau(s2, h) == tau_of(((s2, h),))


TERMS = st.lists(st.tuples(st.integers(1, 40), st.integers(1, 6)), min_size=1, max_size=5)


@settings(deadline=None, max_examples=60)
@given(groups=TERMS)
def test_groups_are_what_their_terms_are_and_no_order_changes_them(groups):
    split = tuple((s2, 1) for s2, count in groups for _ in range(count))
    expected = tau_of(tuple(groups))
    assert tau_of(split) == tau_of(tuple(reversed(split))) == expected
    assert variance_of(groups) == variance_of(split)


@settings(deadline=None, max_examples=40)
@given(groups=TERMS)
def test_it_is_an_upper_bound_of_the_formula_in_falling_order(groups):
    variances = sorted((s2 for s2, count in groups for _ in range(count)), reverse=True)
    with mpmath.workdps(150):
        exact, bound = reference(variances), as_real(tau_of(tuple(groups)))
        steps = 20 * len(variances) * mpmath.mpf(2) ** -256
        assert exact <= bound <= exact * (1 + mpmath.mpf("1e-9")) + steps


@pytest.mark.parametrize("variances", [(9, 10, 20), (9, 9, 50), (30, 12, 12, 9)])
def test_the_falling_order_is_the_tightest(variances):
    with mpmath.workdps(150):
        falling = reference(sorted(variances, reverse=True))
        assert all(falling <= reference(order) for order in itertools.permutations(variances))


def test_it_is_negligible_from_s_3_on_for_any_ladder_of_any_number_of_schools():
    worst = tuple((9, MAX_SCHOOLS) for _ in range(13))
    started = time.process_time()
    assert tau_of(worst) <= 10 * 13 * MAX_SCHOOLS * Fraction(math.ceil(2**256 * math.exp(-88.8)), 2**256)
    assert tau_of(worst) < Fraction(1, 10**37)
    assert tau_of(((MAX_TERM_S2, MAX_SCHOOLS), (9, MAX_SCHOOLS))) < Fraction(1, 10**69)
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "terms",
    [
        (), ((0, 2),), ((9, 0),), ((9, 2), (-1, 1)), ((MAX_TERM_S2 + 1, 1),), ((9, MAX_SCHOOLS + 1),),
        ((9.0, 2),), ((9, True),),
    ],
)  # fmt: skip
def test_it_refuses_what_it_cannot_bound(terms):
    with pytest.raises(NoiseParameterError):
        tau_of(terms)
