"""Roots of unity of Field64 and the number theoretic transform (draft-irtf-cfrg-vdaf-20 section 6.1.2).

Field64 has a subgroup of order 2^32; `root(k)` generates its part of order 2^k. A polynomial of n = 2^k
coefficients, lowest first, and its n values at the powers of `root(k)`, in the order of the powers, are two
forms of one thing: `ntt` and `inverse_ntt` lead from one to the other. Proofs of validity multiply in the
second form; the measurement-share layer needs neither.
"""

import numpy as np

from crypto.errors import ParameterError, ShapeMismatchError
from crypto.field64 import MODULUS, FieldVector, add, check_vector, multiply, subtract

LOG_GENERATOR_ORDER = 32  # draft-irtf-cfrg-vdaf-20 section 6.1.3: GEN_ORDER = 2^32
GENERATOR = pow(7, 4294967295, MODULUS)  # the same section: gen() = 7^4294967295


def root(log_order: int) -> int:
    """Return the root of unity of order 2^log_order: gen()^(GEN_ORDER / 2^log_order).

    Raises:
        ParameterError: not 0 <= log_order <= 32.
    """
    if not 0 <= log_order <= LOG_GENERATOR_ORDER:
        raise ParameterError(f"a root's order is 2^0 to 2^{LOG_GENERATOR_ORDER}, not 2^{log_order}")
    return pow(GENERATOR, 1 << (LOG_GENERATOR_ORDER - log_order), MODULUS)


def powers(base: int, count: int) -> FieldVector:
    """Return base^0, base^1, … base^(count - 1), doubling the list at each step.

    Raises:
        ParameterError: a negative count, or a base outside 0..p - 1.
    """
    if count < 0 or not 0 <= base < MODULUS:
        raise ParameterError("powers: expected a count of 0 or more and a base below the modulus")
    result = np.ones(min(count, 1), np.uint64)
    while len(result) < count:
        factor = np.full(len(result), pow(base, len(result), MODULUS), np.uint64)
        result = np.concatenate((result, multiply(result, factor)))[:count]
    return result


def ntt(coefficients: FieldVector, *, is_shifted: bool = False) -> FieldVector:
    """Evaluate a polynomial at the n powers of the n-th root of unity, n its number of coefficients.

    Args:
        coefficients: lowest first, shape (n,), n a power of two up to 2^32.
        is_shifted: evaluate at s·w^i with s the 2n-th root instead: the points between.

    Returns:
        P(w^0), P(w^1), … P(w^(n-1)), or P(s·w^i), shape (n,).

    Raises:
        ShapeMismatchError: n is no power of two, or too large.
        FieldRangeError: a coefficient is not canonical.
    """
    check_vector(coefficients)
    log_n = _log2(len(coefficients))
    if is_shifted and log_n == LOG_GENERATOR_ORDER:
        raise ShapeMismatchError("there is no root of twice this order to shift by")
    values = coefficients[_bit_reversed(log_n)]
    for level in range(1, log_n + 1):
        first = root(level + 1) if is_shifted else 1
        values = _butterflies(values, _geometric(first, root(level), 1 << (level - 1)))
    return values


def inverse_ntt(values: FieldVector) -> FieldVector:
    """Interpolate: return the n coefficients, lowest first; the exact inverse of `ntt`.

    Evaluating at the powers of 1/w is evaluating at those of w, read from the end.

    Raises:
        ShapeMismatchError, FieldRangeError: as `ntt`.
    """
    transformed = ntt(values)
    backwards = np.concatenate((transformed[:1], transformed[:0:-1]))
    return multiply(backwards, np.full(len(values), pow(len(values), -1, MODULUS), np.uint64))


def multiply_polynomials(a: FieldVector, b: FieldVector) -> FieldVector:
    """Multiply two polynomials given by their coefficients, lowest first; of none, there are none.

    Raises:
        ShapeMismatchError, FieldRangeError: not vectors of canonical elements, or a product that is too long.
    """
    check_vector(a)
    check_vector(b)
    if not len(a) or not len(b):
        return np.empty(0, np.uint64)
    length = len(a) + len(b) - 1
    n = 1 << (length - 1).bit_length()
    a_values, b_values = ntt(_padded(a, n)), ntt(_padded(b, n))
    return inverse_ntt(multiply(a_values, b_values))[:length]


def _butterflies(values: FieldVector, twiddles: FieldVector) -> FieldVector:
    """Join neighbouring blocks of evaluations: P(x) = even(x²) + x·odd(x²), P(-x) = even(x²) - x·odd(x²)."""
    half = len(twiddles)
    blocks = values.reshape(-1, 2, half)
    even = blocks[:, 0].ravel()
    odd = multiply(blocks[:, 1].ravel(), np.tile(twiddles, len(blocks)))
    joined = np.stack((add(even, odd).reshape(-1, half), subtract(even, odd).reshape(-1, half)), axis=1)
    return joined.ravel()


def _geometric(first: int, ratio: int, count: int) -> FieldVector:
    return multiply(powers(ratio, count), np.full(count, first, np.uint64))


def _bit_reversed(log_n: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """The positions 0 … 2^log_n - 1 with their bits in reverse order."""
    positions = np.zeros(1, np.intp)
    for _ in range(log_n):
        positions = np.concatenate((2 * positions, 2 * positions + 1))
    return positions


def _padded(a: FieldVector, n: int) -> FieldVector:
    return np.concatenate((a, np.zeros(n - len(a), np.uint64)))


def _log2(n: int) -> int:
    log_n = n.bit_length() - 1
    if n != 1 << max(log_n, 0) or log_n > LOG_GENERATOR_ORDER:
        raise ShapeMismatchError(f"a transform has a power of two up to 2^32 of values, found {n}")
    return log_n
