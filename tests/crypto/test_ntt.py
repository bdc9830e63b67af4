"""Roots of unity and transforms against their definition in big integers."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import crypto.ntt
from crypto.errors import FieldRangeError, ParameterError, ShapeMismatchError
from crypto.field64 import MODULUS, FieldVector, multiply
from crypto.ntt import GENERATOR, inverse_ntt, multiply_polynomials, ntt, powers, root

P = 18446744069414584321
elements = st.one_of(st.sampled_from([0, 1, P - 1, 2**32, 2**32 - 1]), st.integers(0, P - 1))
polynomials = st.integers(0, 5).flatmap(lambda k: st.lists(elements, min_size=1 << k, max_size=1 << k))


def vector(values: list[int]) -> FieldVector:
    return np.array(values, dtype=np.uint64)


def evaluate(coefficients: list[int], x: int) -> int:
    return sum(value * pow(x, i, P) for i, value in enumerate(coefficients)) % P


def test_the_generator_is_that_of_the_draft_and_has_order_2_to_the_32() -> None:
    assert pow(7, 4294967295, P) == GENERATOR == root(32)
    assert pow(GENERATOR, 2**32, P) == 1
    assert pow(GENERATOR, 2**31, P) == P - 1


def test_every_root_is_the_square_of_the_next() -> None:
    roots = [root(k) for k in range(33)]
    assert roots[:3] == [1, P - 1, 2**48]  # (2^48)^2 = 2^96 = -1
    assert all(big * big % P == small for small, big in pairwise(roots))


@pytest.mark.parametrize("log_order", [-1, 33])
def test_there_is_no_root_of_another_order(log_order: int) -> None:
    with pytest.raises(ParameterError, match="order"):
        root(log_order)


@given(elements, st.integers(0, 40))
def test_powers_are_those_of_big_integers(base: int, count: int) -> None:
    assert powers(base, count).tolist() == [pow(base, i, P) for i in range(count)]


@pytest.mark.parametrize(("base", "count"), [(-1, 2), (P, 2), (2, -1)])
def test_powers_of_what_is_no_element_are_refused(base: int, count: int) -> None:
    with pytest.raises(ParameterError):
        powers(base, count)


@given(polynomials)
@settings(deadline=None)
def test_the_transform_evaluates_at_the_powers_of_the_root_in_order(coefficients: list[int]) -> None:
    n = len(coefficients)
    w, s = root(n.bit_length() - 1), root(n.bit_length())
    at_powers = [evaluate(coefficients, pow(w, i, P)) for i in range(n)]
    between = [evaluate(coefficients, s * pow(w, i, P)) for i in range(n)]
    assert ntt(vector(coefficients)).tolist() == at_powers
    assert ntt(vector(coefficients), is_shifted=True).tolist() == between


@given(polynomials)
@settings(deadline=None)
def test_the_inverse_brings_the_coefficients_back(coefficients: list[int]) -> None:
    assert inverse_ntt(ntt(vector(coefficients))).tolist() == coefficients
    assert ntt(inverse_ntt(vector(coefficients))).tolist() == coefficients


@given(st.lists(elements, max_size=12), st.lists(elements, max_size=12))
@settings(deadline=None)
def test_products_of_polynomials_are_convolutions(a: list[int], b: list[int]) -> None:
    product = [0] * (len(a) + len(b) - 1 if a and b else 0)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            product[i + j] = (product[i + j] + x * y) % P
    assert multiply_polynomials(vector(a), vector(b)).tolist() == product


def test_values_at_all_and_at_the_points_between_are_the_doubled_transform() -> None:
    coefficients = powers(5, 64)
    doubled = ntt(np.concatenate((coefficients, np.zeros(64, np.uint64))))
    assert doubled[0::2].tolist() == ntt(coefficients).tolist()
    assert doubled[1::2].tolist() == ntt(coefficients, is_shifted=True).tolist()


def test_a_large_transform_of_a_sparse_polynomial_is_a_list_of_powers() -> None:
    # the values of x^3 at the powers of w are the powers of w^3
    n = 1 << 14
    coefficients = np.zeros(n, np.uint64)
    coefficients[3] = 1
    w = root(14)
    assert np.array_equal(ntt(coefficients), powers(pow(w, 3, MODULUS), n))
    assert np.array_equal(multiply(ntt(coefficients), powers(pow(w, n - 3, P), n)), np.ones(n, np.uint64))


@pytest.mark.parametrize("length", [0, 3, 5, 6, 7, 12, 1023])
def test_a_length_that_is_no_power_of_two_is_refused(length: int) -> None:
    for transform in (ntt, inverse_ntt):
        with pytest.raises(ShapeMismatchError, match=f"found {length}"):
            transform(np.zeros(length, np.uint64))


def test_the_largest_order_is_transformed_and_not_shifted(monkeypatch: pytest.MonkeyPatch) -> None:
    # as if the field had roots of order 2^3 and no more
    monkeypatch.setattr(crypto.ntt, "GENERATOR", root(3))
    monkeypatch.setattr(crypto.ntt, "LOG_GENERATOR_ORDER", 3)
    coefficients = vector([3, 1, 4, 1, 5, 9, 2, 6])
    values = ntt(coefficients)
    assert values.tolist() == [evaluate(coefficients.tolist(), pow(root(3), i, P)) for i in range(8)]
    assert inverse_ntt(values).tolist() == coefficients.tolist()
    assert len(ntt(coefficients[:4], is_shifted=True)) == 4
    with pytest.raises(ShapeMismatchError, match="no root of twice this order"):
        ntt(coefficients, is_shifted=True)
    with pytest.raises(ShapeMismatchError, match="found 16"):
        ntt(np.zeros(16, np.uint64))


@pytest.mark.parametrize(("a", "b"), [([], [1, 2, 3]), ([1, 2, 3], []), ([], []), ([], [7])], ids=str)
def test_a_product_with_no_coefficients_has_none(a: list[int], b: list[int]) -> None:
    assert multiply_polynomials(vector(a), vector(b)).tolist() == []


def test_a_factor_is_checked_even_where_the_other_has_no_coefficients() -> None:
    for factors in ((vector([P]), vector([])), (vector([]), vector([P]))):
        with pytest.raises(FieldRangeError):
            multiply_polynomials(*factors)


def test_an_argument_is_not_changed() -> None:
    coefficients = powers(3, 8)
    ntt(coefficients)
    inverse_ntt(coefficients)
    assert coefficients.tolist() == powers(3, 8).tolist()


def test_elements_that_are_not_canonical_and_other_types_are_refused() -> None:
    bad = vector([0, P])
    for call in (ntt, inverse_ntt, lambda v: multiply_polynomials(v, v)):
        with pytest.raises(FieldRangeError):
            call(bad)
        with pytest.raises(ShapeMismatchError):
            call(np.zeros(2, np.int64))
        with pytest.raises(ShapeMismatchError):
            call(np.zeros((2, 2), np.uint64))
