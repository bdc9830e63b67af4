"""Vectors over Field64, the integers modulo p = 2^64 - 2^32 + 1 (draft-irtf-cfrg-vdaf-20 section 6.1).

A vector is a one-dimensional uint64 array of canonical elements, that is each below p. On the wire an element
is eight bytes little-endian. 2^64 ≡ 2^32 - 1 modulo p: a lost carry is mended by adding 2^32 - 1.
`crypto.ntt` has its roots of unity and polynomials.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from crypto.errors import FieldRangeError, ParameterError, ShapeMismatchError

FieldVector: TypeAlias = NDArray[np.uint64]

MODULUS = 2**64 - 2**32 + 1  # draft-irtf-cfrg-vdaf-20 section 6.1.3, Field64
ELEMENT_BYTES = 8
MAX_LIFT = MODULUS // 2

_P = np.uint64(MODULUS)
_EPSILON = np.uint64(2**32 - 1)  # 2^64 mod p
_HALF = np.uint64(MAX_LIFT)
_LOW = np.uint64(2**32 - 1)  # mask of the low half of a word
_SHIFT = np.uint64(32)


def encode_vector(v: FieldVector) -> bytes:
    """Encode a vector, eight bytes little-endian per element.

    Raises:
        ShapeMismatchError, FieldRangeError: not a vector of canonical elements.
    """
    check_vector(v)
    return v.astype("<u8", copy=False).tobytes()


def parse_vector(data: bytes, cells: int) -> FieldVector:
    """Parse a vector of a known number of cells; the exact inverse of `encode_vector`. The array is a copy.

    Raises:
        ShapeMismatchError: another length than 8 bytes per cell.
        FieldRangeError: an element is not below p.
    """
    if len(data) != cells * ELEMENT_BYTES:
        raise ShapeMismatchError(f"{cells} cells are {cells * ELEMENT_BYTES} bytes, found {len(data)}")
    v = np.frombuffer(data, dtype="<u8").astype(np.uint64)
    check_vector(v)
    return v


def verify_encoded(data: bytes, cells: int) -> None:
    """Check that bytes are an encoded vector of this number of cells, without a copy of it.

    Raises:
        ShapeMismatchError, FieldRangeError: as `parse_vector`.
    """
    if len(data) != cells * ELEMENT_BYTES:
        raise ShapeMismatchError(f"{cells} cells are {cells * ELEMENT_BYTES} bytes, found {len(data)}")
    check_vector(np.frombuffer(data, dtype="<u8"))


def check_vector(v: FieldVector, cells: int | None = None) -> None:
    """Check element type, dimension, canonical elements and, where given, the number of cells.

    Raises:
        ShapeMismatchError: not a one-dimensional uint64 array, or of another length.
        FieldRangeError: an element is not below p.
    """
    check_shape(v, cells)
    if v.size and v.max() >= _P:
        raise FieldRangeError(f"cell {int(np.argmax(v >= _P))} is not below the modulus 2^64 - 2^32 + 1")


def check_shape(v: FieldVector, cells: int | None = None) -> None:
    """Check element type, dimension and, where given, the number of cells.

    Raises:
        ShapeMismatchError: not a one-dimensional uint64 array, or of another length.
    """
    if v.dtype != np.uint64 or v.ndim != 1:
        raise ShapeMismatchError(f"expected uint64 cells in one dimension, found {v.dtype} in {v.ndim}")
    if cells is not None and len(v) != cells:
        raise ShapeMismatchError(f"expected {cells} cells, found {len(v)}")


def add(a: FieldVector, b: FieldVector) -> FieldVector:
    """Add two vectors of one length, element by element, modulo p."""
    check_vector(a)
    check_vector(b, len(a))
    total = a + b  # wraps at 2^64; a sum of two canonical elements wraps at most once
    total += (total < a) * _EPSILON
    return reduce_once(total)


def subtract(a: FieldVector, b: FieldVector) -> FieldVector:
    """Subtract b from a, element by element, modulo p."""
    check_vector(a)
    check_vector(b, len(a))
    return a - b - (a < b) * _EPSILON  # a borrow took 2^64 = p + (2^32 - 1) instead of p


def negate(a: FieldVector) -> FieldVector:
    """Return -a modulo p, element by element."""
    check_vector(a)
    return np.where(a == 0, a, _P - a)


def multiply(a: FieldVector, b: FieldVector) -> FieldVector:
    """Multiply two vectors of one length, element by element, modulo p."""
    check_vector(a)
    check_vector(b, len(a))
    return _reduce_product(*_wide_product(a, b))


def _wide_product(a: FieldVector, b: FieldVector) -> tuple[FieldVector, FieldVector]:
    """Return the 128-bit products as (high, low) words: schoolbook on halves of 32 bits."""
    a_low, a_high = a & _LOW, a >> _SHIFT
    b_low, b_high = b & _LOW, b >> _SHIFT
    cross, other = a_high * b_low, a_low * b_high
    middle = (a_low * b_low >> _SHIFT) + (cross & _LOW) + (other & _LOW)  # below 3·2^32
    return a_high * b_high + (cross >> _SHIFT) + (other >> _SHIFT) + (middle >> _SHIFT), a * b


def _reduce_product(high: FieldVector, low: FieldVector) -> FieldVector:
    """Reduce high·2^64 + low modulo p, by 2^64 ≡ 2^32 - 1 and 2^96 ≡ -1."""
    top = high >> _SHIFT
    rest = low - top
    rest -= (low < top) * _EPSILON  # a borrow left at least 2^64 - 2^32: no second one
    middle = (high & _LOW) * _EPSILON
    total = rest + middle
    total += (total < middle) * _EPSILON  # a carry left less than 2^64 - 2^33: no second one
    return reduce_once(total)


def power(a: FieldVector, exponent: int) -> FieldVector:
    """Raise every element to one exponent; 0 to the 0 is 1.

    Raises:
        ParameterError: a negative exponent (see `inverse`).
        ShapeMismatchError, FieldRangeError: not a vector of canonical elements.
    """
    check_vector(a)
    if exponent < 0:
        raise ParameterError(f"an exponent is 0 or more, found {exponent}")
    result = np.ones_like(a)
    for bit in bin(exponent)[2:]:
        result = multiply(result, result)
        if bit == "1":
            result = multiply(result, a)
    return result


def inverse(a: FieldVector) -> FieldVector:
    """Invert every element, with one inversion and about three products an element.

    Neighbours are inverted together: 1/x = y·1/(xy) and 1/y = x·1/(xy), pair by pair, level by level.

    Raises:
        FieldRangeError: an element is zero or not canonical.
        ShapeMismatchError: not a one-dimensional uint64 array.
    """
    check_vector(a)
    if not a.all():
        raise FieldRangeError(f"cell {int(np.argmin(a != 0))} is zero, which has no inverse")
    return _invert_pairs(a)


def _invert_pairs(a: FieldVector) -> FieldVector:
    if len(a) <= 1:
        return np.array([pow(int(element), -1, MODULUS) for element in a], dtype=np.uint64)
    even = a if len(a) % 2 == 0 else np.append(a, np.uint64(1))
    left, right = even[0::2], even[1::2]
    of_products = _invert_pairs(multiply(left, right))
    result = np.empty_like(even)
    result[0::2], result[1::2] = multiply(of_products, right), multiply(of_products, left)
    return result[: len(a)]


def reduce_once(words: FieldVector) -> FieldVector:
    """Bring arbitrary 64-bit words (all below 2p) into canonical form."""
    return words - (words >= _P) * _P


def from_signed(x: NDArray[np.int64]) -> FieldVector:
    """Represent signed integers of magnitude at most p // 2; the inverse of `centre_lift`.

    Raises:
        ShapeMismatchError: not a one-dimensional int64 array.
        FieldRangeError: a magnitude is too large to be lifted back.
    """
    if x.dtype != np.int64 or x.ndim != 1:
        raise ShapeMismatchError(f"expected int64 cells in one dimension, found {x.dtype} in {x.ndim}")
    if x.size and not -MAX_LIFT <= int(x.min()) <= int(x.max()) <= MAX_LIFT:
        raise FieldRangeError("a cell's magnitude is above p // 2")
    return x.astype(np.uint64) - (x < 0) * _EPSILON  # the cast adds 2^64 = p + (2^32 - 1) to a negative one


def centre_lift(v: FieldVector) -> NDArray[np.int64]:
    """Read elements above p // 2 as negative; every result fits int64.

    Raises:
        ShapeMismatchError, FieldRangeError: not a vector of canonical elements.
    """
    check_vector(v)
    return (v + (v > _HALF) * _EPSILON).view(np.int64)  # + (2^64 - p): two's complement of v - p
