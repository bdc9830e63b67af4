"""Intervals of sums and rates: their formulas, their coverage, and what gets no rate."""

import math
from fractions import Fraction

import numpy as np
import pytest

from privacy.discrete_gaussian import Sampler
from privacy.errors import PrivacyError
from privacy.intervals import MIN_DENOMINATOR, Z95, Interval, rate, sum_interval

SCALE, S2, SCHOOLS = 64, 2561, 12
CELL_VARIANCE = Fraction(S2 * SCHOOLS, SCALE**2)


def test_interval_of_a_sum_is_symmetric_and_may_be_negative():
    interval = sum_interval(Fraction(3), 10.0)
    assert (interval.low + interval.high) / 2 == pytest.approx(3)
    assert interval.low < 0
    assert interval.half_width == pytest.approx(19.59964, abs=1e-5)


def test_an_interval_is_scaled_moved_and_clipped():
    assert Interval(1.0, 3.0).scaled(2.5) == Interval(2.5, 7.5)
    assert Interval(-1.0, 3.0).moved(0.25) == Interval(-0.75, 3.25)
    assert Interval(-1.0, 3.0).within(0.0, 1.0) == Interval(0.0, 1.0)


@pytest.mark.parametrize("se", [-1.0, -0.01, math.inf, math.nan])
def test_a_standard_error_that_is_none_is_refused(se):
    with pytest.raises(PrivacyError, match="standard error"):
        sum_interval(10, se)


@pytest.mark.parametrize(("low", "high"), [(1.0, 0.0), (math.nan, 1.0)])
def test_a_reversed_interval_is_refused(low, high):
    with pytest.raises(PrivacyError):
        Interval(low, high)


def _noise(stream, cells: int, rounds: int) -> np.ndarray:
    """Return noise in counts, shape (rounds, cells), of SCHOOLS schools."""
    sampler = Sampler(S2)
    total = sum(sampler.sample(stream, cells * rounds) for _ in range(SCHOOLS))
    return np.asarray(total).reshape(rounds, cells) / SCALE


def test_intervals_of_ten_thousand_rounds_cover_the_truth(make_stream):
    """Cells and margins of 6 cells; expected 95 %, and 94 to 96 % has a false alarm of 4e-6."""
    noise = _noise(make_stream(41), 6, 10_000)
    se = math.sqrt(CELL_VARIANCE)
    for errors, error_se in ((noise[:, 0], se), (noise.sum(axis=1), se * math.sqrt(6))):
        covered = np.mean(np.abs(errors) <= sum_interval(0, error_se).half_width)
        assert 0.94 <= covered <= 0.96


@pytest.mark.parametrize("is_part", [True, False], ids=["same-table", "other-table"])
@pytest.mark.parametrize(("part", "rest"), [(60, 340), (700, 80), (20, 1500)])
def test_rate_intervals_of_ten_thousand_rounds_cover_the_truth(make_stream, is_part, part, rest):
    """Numerator as one cell of the denominator's table, or as a cell of an independent table."""
    noise = _noise(make_stream(42), 3, 10_000)
    numerators = part + noise[:, 0]
    denominators = part + rest + (noise[:, 0] + noise[:, 1] if is_part else noise[:, 1] + noise[:, 2])
    covered = 0
    for a, b in zip(numerators.tolist(), denominators.tolist(), strict=True):
        result = rate(
            Fraction(a),
            Fraction(b),
            numerator_variance=CELL_VARIANCE,
            denominator_variance=2 * CELL_VARIANCE,
            covariance=CELL_VARIANCE if is_part else Fraction(0),
        )
        assert result is not None
        covered += result.interval.low <= part / (part + rest) <= result.interval.high
    assert 0.94 <= covered / 10_000 <= 0.96


def test_rate_by_hand():
    result = rate(
        Fraction(50),
        Fraction(200),
        numerator_variance=Fraction(9),
        denominator_variance=Fraction(25),
        covariance=Fraction(9),
    )
    assert result is not None
    assert result.value == 0.25
    assert result.se == pytest.approx(math.sqrt(9 - 2 * 0.25 * 9 + 0.0625 * 25) / 200)
    assert result.interval.high - result.value == pytest.approx(Z95 * result.se)


def _rate(numerator, denominator, var_numerator, var_denominator, covariance):
    return rate(
        Fraction(numerator),
        Fraction(denominator),
        numerator_variance=Fraction(var_numerator),
        denominator_variance=Fraction(var_denominator),
        covariance=Fraction(covariance),
    )


def test_interval_of_a_rate_stays_between_0_and_1():
    high, low = _rate(199, 200, 9, 9, 0), _rate(-3, 200, 9, 9, 0)
    assert high.interval.high == 1.0
    assert low.interval.low == 0.0
    assert low.value < 0  # the archive keeps it
    assert _rate(-90, 200, 9, 9, 0).interval == Interval(0.0, 0.0)


@pytest.mark.parametrize("denominator", [-500, 0, 1, 29, 30, 49])
def test_no_rate_on_a_denominator_that_may_be_below_30(denominator):
    assert _rate(1, denominator, 100, 100, 0) is None


def test_the_floor_of_the_denominator_is_on_its_lower_bound():
    assert _rate(10, MIN_DENOMINATOR, 0, 0, 0).value == pytest.approx(1 / 3)
    assert _rate(10, MIN_DENOMINATOR + Fraction("19.6"), 0, 100, 0) is not None
    assert _rate(10, MIN_DENOMINATOR + Fraction("19.59"), 0, 100, 0) is None


def test_the_floor_of_the_denominator_can_be_raised_but_not_lowered():
    options = {
        "numerator_variance": Fraction(0),
        "denominator_variance": Fraction(0),
        "covariance": Fraction(0),
    }
    assert rate(Fraction(10), Fraction(99), floor=100, **options) is None
    assert rate(Fraction(10), Fraction(100), floor=100, **options) is not None
    with pytest.raises(PrivacyError, match="at least 30"):
        rate(Fraction(10), Fraction(100), floor=29, **options)


@pytest.mark.parametrize(
    ("var_numerator", "var_denominator", "covariance"),
    [(-1, 1, 0), (1, -1, 0), (-1, -1, 0), (-1, 0, 0), (1, 1, 2), (1, 1, -2), (0, 5, 1)],
)
def test_variances_that_cannot_be_are_refused(var_numerator, var_denominator, covariance):
    with pytest.raises(PrivacyError):
        _rate(100, 200, var_numerator, var_denominator, covariance)


def test_a_product_of_computed_variances_may_be_off_by_a_billionth():
    just, too_much = 1 / (1 + Fraction(99, 10**11)), 1 / (1 + Fraction(101, 10**11))
    found = _rate(200, 200, just, 1, 1)
    assert (found.value, found.se) == (1.0, 0.0)  # the variance of the quotient is then not below 0 either
    with pytest.raises(PrivacyError):
        _rate(200, 200, too_much, 1, 1)
