"""Bound how far a sum of discrete Gaussians is from one discrete Gaussian of the same total variance.

For independent X ~ N_Z(0, a) and Y ~ N_Z(0, b) the logarithm of P[X + Y = z] / P[N_Z(0, a + b) = z] is
nowhere larger than 5 exp(-2 pi^2 / (1/a + 1/b)). Adding one term after the other to the sum gives, by
induction, the bound for any variances in any order; the order used here is that of falling variances. The
proof and its preconditions stand in docs/proofs/sum-of-noises.md.

Source: Kairouz, Liu, Steinke 2021 (arXiv 2102.06387), Theorem 1 and the convolution that it rests on.
"""

from collections.abc import Sequence
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache

from privacy.errors import NoiseParameterError

MAX_TERM_S2 = 4096**2
"""Largest variance of one term in scaled units, that of the sampler."""

MAX_SCHOOLS = 1 << 18
"""Most honest schools whose sum is accounted; all of China's screened schools fit."""

Terms = tuple[tuple[int, int], ...]
"""(variance of each term in scaled units, how many such terms); a sum of independent discrete Gaussians."""

_TAU_GRID = 1 << 256  # tau is rounded up to a multiple of 2^-256: smaller values only make large fractions
_PI_SQUARED_FLOOR = Decimal(
    "9.869604401089358618834490999876151135313699407240790626413349376220044822419205243"
)
_EXP = Context(prec=110, Emin=-(10**17), Emax=10**17)


def tau(s2: int, h: int) -> Fraction:
    """Bound the distance for h terms of one variance: 10 * sum over k < h of exp(-2 pi^2 s2 k/(k+1)).

    Raises:
        NoiseParameterError: s2 is not 1 to `MAX_TERM_S2`, or h not 1 to `MAX_SCHOOLS`.
    """
    return tau_of(((s2, h),))


def tau_of(terms: Terms) -> Fraction:
    """Bound the distance for terms of several variances.

    Args:
        terms: groups of terms in any order; a variance may occur in several.

    Returns:
        10 * sum over i of exp(-2 pi^2 / (1/s_(i+1)^2 + 1/S_i)), rounded up to a multiple of 2^-256, where
        S_i is the sum of the i largest variances. 0 for a single term.

    Raises:
        NoiseParameterError: no group, a variance that is not 1 to `MAX_TERM_S2`, or a number that is not 1 to
            `MAX_SCHOOLS`.
    """
    for s2, count in terms:
        _check_int("s2", s2, MAX_TERM_S2)
        _check_int("h", count, MAX_SCHOOLS)
    if not terms:
        raise NoiseParameterError("a sum of noises has at least one term, found none")
    return _tau_of(tuple(sorted(terms, reverse=True)))


def variance_of(terms: Sequence[tuple[int, int]]) -> int:
    """Add up the variances of all terms."""
    return sum(s2 * count for s2, count in terms)


def _check_int(name: str, value: int, high: int) -> None:
    if type(value) is not int or not 1 <= value <= high:
        raise NoiseParameterError(f"{name}: expected an integer from 1 to {high}, found {value!r}")


@lru_cache(maxsize=1024)
def _tau_of(terms: Terms) -> Fraction:
    total = partial = 0
    for s2, count in terms:
        total += _group(s2, count if partial else count - 1, partial or s2)
        partial += s2 * count
    return Fraction(10 * total, _TAU_GRID)


def _group(s2: int, count: int, partial: int) -> int:
    """Add `count` terms of one variance to a sum of variance `partial`; in steps of 2^-256, rounded up."""
    total = 0
    for index in range(count):
        step = _step(s2, partial + index * s2)
        if step == 1:  # the steps fall while the sum grows: every later one rounds up to the same
            return total + count - index
        total += step
    return total


def _step(s2: int, partial: int) -> int:
    """Return exp(-2 pi^2 / (1/s2 + 1/partial)) in steps of 2^-256, rounded up."""
    # the products are exact; pi^2 is cut at 80 digits and the exponent stays below 1e9: a relative error
    # below 1e-70, which the factor covers
    rate = Fraction(2 * s2 * partial, s2 + partial)
    product = _EXP.multiply(_PI_SQUARED_FLOOR, Decimal(rate.numerator))
    exponent = _EXP.divide(product, Decimal(rate.denominator))
    bound = _EXP.multiply(_EXP.exp(_EXP.minus(exponent)), Decimal("1.000000000001"))
    if bound < Decimal("1e-78"):  # below 2^-257, without building a number of millions of digits
        return 1
    return int(_EXP.multiply(bound, Decimal(_TAU_GRID))) + 1
