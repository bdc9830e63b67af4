"""Field64 vectors against big integers, at every edge of the 64-bit words."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from crypto.errors import FieldRangeError, ParameterError, ShapeMismatchError
from crypto.field64 import (
    MODULUS,
    FieldVector,
    add,
    centre_lift,
    encode_vector,
    from_signed,
    inverse,
    multiply,
    negate,
    parse_vector,
    power,
    subtract,
    verify_encoded,
)

P = 18446744069414584321
EDGES = [
    0,
    1,
    2,
    2**32 - 2,
    2**32 - 1,
    2**32,
    2**32 + 1,
    2**33 - 1,
    P // 2 - 1,
    P // 2,
    P // 2 + 1,
    2**63 - 1,
    2**63,
    P - 2**32 - 1,
    P - 2**32,
    P - 2**32 + 1,
    P - 2,
    P - 1,
]
elements = st.one_of(st.sampled_from(EDGES), st.integers(0, P - 1))
vectors = st.lists(elements, max_size=9)


def vector(values: list[int]) -> FieldVector:
    return np.array(values, dtype=np.uint64)


def test_the_modulus_is_that_of_field64() -> None:
    assert MODULUS == P == 2**32 * 4294967295 + 1


def test_arithmetic_is_exact_at_every_pair_of_edges() -> None:
    pairs = [(a, b) for a in EDGES for b in EDGES]
    a, b = vector([pair[0] for pair in pairs]), vector([pair[1] for pair in pairs])
    assert add(a, b).tolist() == [(x + y) % P for x, y in pairs]
    assert subtract(a, b).tolist() == [(x - y) % P for x, y in pairs]
    assert negate(a).tolist() == [-x % P for x, _ in pairs]
    assert multiply(a, b).tolist() == [x * y % P for x, y in pairs]


@given(st.lists(st.tuples(elements, elements), max_size=9))
def test_arithmetic_is_exact(pairs: list[tuple[int, int]]) -> None:
    a, b = vector([pair[0] for pair in pairs]), vector([pair[1] for pair in pairs])
    assert add(a, b).tolist() == [(x + y) % P for x, y in pairs]
    assert subtract(a, b).tolist() == [(x - y) % P for x, y in pairs]
    assert negate(a).tolist() == [-x % P for x, _ in pairs]
    assert multiply(a, b).tolist() == [x * y % P for x, y in pairs]
    for result in (add(a, b), subtract(a, b), negate(a), multiply(a, b)):
        assert result.dtype == np.uint64


def test_products_are_exact_wherever_their_halves_carry_or_borrow() -> None:
    # words whose 32-bit halves are all combinations of the extremes: each branch of the reduction is met
    halves = [0, 1, 2, 2**31, 2**32 - 2, 2**32 - 1]
    words = [word for high in halves for low in halves if (word := high << 32 | low) < P]
    pairs = [(a, b) for a in words for b in words]
    products = multiply(vector([a for a, _ in pairs]), vector([b for _, b in pairs]))
    assert products.tolist() == [a * b % P for a, b in pairs]


def test_products_of_many_elements_are_exact() -> None:
    generator = np.random.default_rng(64)
    a, b = (generator.integers(0, P, 20_000, dtype=np.uint64) for _ in range(2))
    assert multiply(a, b).tolist() == [x * y % P for x, y in zip(a.tolist(), b.tolist(), strict=True)]


@given(vectors, st.one_of(st.sampled_from([0, 1, 2, P - 2, P - 1]), st.integers(0, 2**70)))
def test_powers_are_exact(values: list[int], exponent: int) -> None:
    assert power(vector(values), exponent).tolist() == [pow(value, exponent, P) for value in values]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 7, 8, 13, 64, 100])
def test_every_element_is_inverted_whatever_their_number(count: int) -> None:
    values = [EDGES[1:][i % (len(EDGES) - 1)] + i // len(EDGES) for i in range(count)]
    values = [value % P or 1 for value in values]
    assert inverse(vector(values)).tolist() == [pow(value, -1, P) for value in values]


@given(st.lists(st.integers(1, P - 1), max_size=9))
@settings(max_examples=20)
def test_inversion_is_the_draft_power_p_minus_2(values: list[int]) -> None:
    assert inverse(vector(values)).tolist() == power(vector(values), P - 2).tolist()


@pytest.mark.parametrize("values", [[0], [5, 0], [0, 5], [1, 2, 0, 4, 0]], ids=str)
def test_zero_has_no_inverse(values: list[int]) -> None:
    with pytest.raises(FieldRangeError, match=f"cell {values.index(0)} is zero"):
        inverse(vector(values))


@pytest.mark.parametrize("exponent", [-1, -P])
def test_a_negative_exponent_is_refused(exponent: int) -> None:
    with pytest.raises(ParameterError, match="0 or more"):
        power(vector([2]), exponent)


def test_arguments_of_arithmetic_are_not_changed() -> None:
    a, b = vector(EDGES), vector(EDGES[::-1])
    for operation in (add, subtract, multiply):
        operation(a, b)
    negate(a), power(a, 3), inverse(a[1:])
    assert (a.tolist(), b.tolist()) == (EDGES, EDGES[::-1])


@given(vectors)
def test_encoding_is_little_endian_and_round_trips(values: list[int]) -> None:
    data = encode_vector(vector(values))
    assert data == b"".join(value.to_bytes(8, "little") for value in values)
    assert parse_vector(data, len(values)).tolist() == values
    verify_encoded(data, len(values))


@pytest.mark.parametrize("value", [-(P // 2), -(2**32), -2, -1, 0, 1, 2, P // 2])
def test_a_signed_value_is_its_remainder(value: int) -> None:
    assert from_signed(np.array([value])).tolist() == [value % P]
    assert centre_lift(vector([value % P])).tolist() == [value]


@given(st.lists(st.integers(-(P // 2), P // 2), max_size=9))
def test_centre_lift_is_the_inverse_of_from_signed(values: list[int]) -> None:
    signed = np.array(values, dtype=np.int64)
    assert from_signed(signed).tolist() == [value % P for value in values]
    assert centre_lift(from_signed(signed)).tolist() == values
    assert centre_lift(from_signed(signed)).dtype == np.int64


@given(vectors)
def test_centre_lift_reads_above_half_the_modulus_as_negative(values: list[int]) -> None:
    assert centre_lift(vector(values)).tolist() == [v - P if v > P // 2 else v for v in values]


def test_a_parsed_vector_is_a_writable_copy() -> None:
    parsed = parse_vector(bytes(16), 2)
    parsed += np.uint64(1)
    assert parsed.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("data", "cells"),
    [(b"", 1), (bytes(8), 0), (bytes(8), 2), (bytes(7), 1), (bytes(17), 2), (bytes(8), -1)],
    ids=repr,
)
def test_bytes_of_another_length_are_refused(data: bytes, cells: int) -> None:
    for read in (parse_vector, verify_encoded):
        with pytest.raises(ShapeMismatchError, match=f"found {len(data)}"):
            read(data, cells)


@pytest.mark.parametrize("value", [P, P + 1, 2**64 - 1])
def test_an_element_that_is_not_canonical_is_refused(value: int) -> None:
    for read in (parse_vector, verify_encoded):
        with pytest.raises(FieldRangeError, match="cell 1 "):
            read(bytes(8) + value.to_bytes(8, "little") + bytes(8), 3)
    bad, good = vector([0, value, 0]), vector([0, 0, 0])
    calls: list[Callable[[], object]] = [
        lambda: encode_vector(bad),
        lambda: add(bad, good),
        lambda: add(good, bad),
        lambda: subtract(good, bad),
        lambda: subtract(bad, good),
        lambda: negate(bad),
        lambda: multiply(bad, good),
        lambda: multiply(good, bad),
        lambda: power(bad, 0),
        lambda: inverse(bad),
        lambda: centre_lift(bad),
    ]
    for call in calls:
        with pytest.raises(FieldRangeError):
            call()


def test_vectors_of_different_lengths_are_refused_and_not_broadcast() -> None:
    for operation in (add, subtract, multiply):
        with pytest.raises(ShapeMismatchError, match="expected 3 cells, found 1"):
            operation(vector([1, 2, 3]), vector([1]))


@pytest.mark.parametrize("dtype", [np.int64, np.uint32, np.float64, np.bool_])
def test_another_element_type_is_refused(dtype: type) -> None:
    wrong: NDArray[Any] = np.zeros(2, dtype=dtype)
    calls: list[Callable[[NDArray[Any]], object]] = [encode_vector, negate, centre_lift, inverse]
    calls += [lambda v: power(v, 2), lambda v: add(vector([0, 0]), v), lambda v: multiply(vector([0, 0]), v)]
    for call in calls:
        with pytest.raises(ShapeMismatchError):
            call(wrong)
    with pytest.raises(ShapeMismatchError):
        encode_vector(np.zeros((2, 2), dtype=np.uint64))
    with pytest.raises(ShapeMismatchError):
        from_signed(np.zeros(2, dtype=np.uint64))
    with pytest.raises(ShapeMismatchError, match="int64 in 2"):
        from_signed(np.zeros((2, 2), dtype=np.int64))


@pytest.mark.parametrize("value", [P // 2 + 1, -(P // 2) - 1, 2**63 - 1, -(2**63)])
def test_a_signed_value_that_cannot_be_lifted_back_is_refused(value: int) -> None:
    with pytest.raises(FieldRangeError):
        from_signed(np.array([0, value], dtype=np.int64))
