"""Field64 vectors against big integers, at every edge of the 64-bit words."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from crypto.errors import FieldRangeError, ShapeMismatchError
from crypto.field64 import (
    MODULUS,
    FieldVector,
    add,
    centre_lift,
    encode_vector,
    from_signed,
    negate,
    parse_vector,
    subtract,
)

P = 18446744069414584321
EDGES = [
    0,
    1,
    2,
    2**32 - 2,
    2**32 - 1,
    2**32,
    P // 2 - 1,
    P // 2,
    P // 2 + 1,
    2**63 - 1,
    2**63,
    P - 2**32,
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


@given(st.lists(st.tuples(elements, elements), max_size=9))
def test_arithmetic_is_exact(pairs: list[tuple[int, int]]) -> None:
    a, b = vector([pair[0] for pair in pairs]), vector([pair[1] for pair in pairs])
    assert add(a, b).tolist() == [(x + y) % P for x, y in pairs]
    assert subtract(a, b).tolist() == [(x - y) % P for x, y in pairs]
    assert negate(a).tolist() == [-x % P for x, _ in pairs]
    for result in (add(a, b), subtract(a, b), negate(a)):
        assert result.dtype == np.uint64


@given(vectors)
def test_encoding_is_little_endian_and_round_trips(values: list[int]) -> None:
    data = encode_vector(vector(values))
    assert data == b"".join(value.to_bytes(8, "little") for value in values)
    assert parse_vector(data, len(values)).tolist() == values


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
    with pytest.raises(ShapeMismatchError):
        parse_vector(data, cells)


@pytest.mark.parametrize("value", [P, P + 1, 2**64 - 1])
def test_an_element_that_is_not_canonical_is_refused(value: int) -> None:
    with pytest.raises(FieldRangeError, match="cell 1 "):
        parse_vector(bytes(8) + value.to_bytes(8, "little") + bytes(8), 3)
    bad, good = vector([0, value, 0]), vector([0, 0, 0])
    calls: list[Callable[[], object]] = [
        lambda: encode_vector(bad),
        lambda: add(bad, good),
        lambda: add(good, bad),
        lambda: subtract(good, bad),
        lambda: subtract(bad, good),
        lambda: negate(bad),
        lambda: centre_lift(bad),
    ]
    for call in calls:
        with pytest.raises(FieldRangeError):
            call()


def test_vectors_of_different_lengths_are_refused_and_not_broadcast() -> None:
    for operation in (add, subtract):
        with pytest.raises(ShapeMismatchError, match="expected 3 cells, found 1"):
            operation(vector([1, 2, 3]), vector([1]))


@pytest.mark.parametrize("dtype", [np.int64, np.uint32, np.float64, np.bool_])
def test_another_element_type_is_refused(dtype: type) -> None:
    wrong: NDArray[Any] = np.zeros(2, dtype=dtype)
    for call in (encode_vector, negate, centre_lift, lambda v: add(vector([0, 0]), v)):
        with pytest.raises(ShapeMismatchError):
            call(wrong)
    with pytest.raises(ShapeMismatchError):
        encode_vector(np.zeros((2, 2), dtype=np.uint64))
    with pytest.raises(ShapeMismatchError):
        from_signed(np.zeros(2, dtype=np.uint64))


@pytest.mark.parametrize("value", [P // 2 + 1, -(P // 2) - 1, 2**63 - 1, -(2**63)])
def test_a_signed_value_that_cannot_be_lifted_back_is_refused(value: int) -> None:
    with pytest.raises(FieldRangeError):
        from_signed(np.array([0, value], dtype=np.int64))
