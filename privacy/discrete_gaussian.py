"""Draw discrete Gaussian noise by an exact table, byte for byte the same on every machine.

The normative sampler. With s = sqrt(s2), B = floor(14 s) + 1 and F the distribution function of N_Z(0, s2):

1. C_k = floor(2^128 F(k)) for k = -B .. B-1, and C_B = 2^128;
2. per cell, in order: u = the next 16 bytes of the stream, little-endian; value = min{k : u < C_k}.

The stream is XofHmacSha256Aes128(noise key, dst(usage 32), empty binder); the caller builds it, this room
only reads from it. Everything on this path is integer arithmetic: no libm, no platform's float, no library's
random generator; and the search takes the same steps whatever it finds.

How the floors are proved. Weights w_j = exp(-j^2 / (2 s2)) come from two recurrences in fixed point that only
ever round down, so a computed weight lies in [w_j - 6 j^2, w_j] steps (each of the two exponentials starts at
most 3 steps low, the ratio then loses at most 4 steps per j). Summed, and with the tail beyond the last
weight, every partial sum is low by less than 4 (N + 1)^3 steps, N being the number of weights. A threshold is
accepted only if both ends of the resulting interval have the same floor; else all is computed again with more
bits.

Spec: privacy.md, "The sampler (normative)"; protocol.md, "Node: from table to report". Proof note, with the
preconditions and where each is enforced: docs/proofs/sampler.md.
"""

import hashlib
import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from privacy.errors import NoiseParameterError

XOF_USAGE = 32
"""The usage number in the domain-separation tag of the noise stream (privacy.md)."""

BYTES_PER_CELL = 16
"""Stream bytes read per cell; fixed, so that the length read does not depend on a value."""

SMALLEST_S2 = Fraction(1, 4)
LARGEST_S2 = 4096**2

_START_BITS = 320  # at s = 4096 an interval is then 2^-139 steps of a threshold wide
_MORE_BITS = 128
_CHUNK_CELLS = 1 << 16


def table_bound(s2: int | Fraction) -> int:
    """Return B = floor(14 s) + 1: every sample lies in [-B, B].

    Raises:
        NoiseParameterError: s2 is not an integer or Fraction from 1/4 to 4096^2.
    """
    if isinstance(s2, bool) or not isinstance(s2, int | Fraction) or not SMALLEST_S2 <= s2 <= LARGEST_S2:
        raise NoiseParameterError(f"s2: expected a rational from {SMALLEST_S2} to {LARGEST_S2}, found {s2!r}")
    return math.isqrt(math.floor(196 * s2)) + 1


@lru_cache(maxsize=16, typed=True)
def thresholds(s2: int | Fraction) -> tuple[int, ...]:
    """Compute C_k for k = -B .. B.

    Args:
        s2: the variance; plans use integers, tests also fractions.

    Returns:
        2B + 1 integers in [0, 2^128], not decreasing, the last 2^128.

    Raises:
        NoiseParameterError: s2 is out of range.

    Spec: privacy.md, "The sampler (normative)".
    """
    return _thresholds_from(s2, _START_BITS)


def _thresholds_from(s2: int | Fraction, bits: int) -> tuple[int, ...]:
    """Compute the thresholds, starting with `bits` bits and adding more until every floor is proved."""
    bound = table_bound(s2)
    while (upper := _upper_half(Fraction(s2), bound, bits)) is None:
        bits += _MORE_BITS
    half = 1 << 127
    # F(-k-1) = 1 - F(k), and no value of F below 1 is a multiple of 2^-128, so its floor is one less
    lower = [half - g - 1 for g in reversed(upper)]
    return (*lower, *(half + g for g in upper), 1 << 128)


def _upper_half(s2: Fraction, bound: int, bits: int) -> list[int] | None:
    """Return floor(2^128 (F(k) - 1/2)) for k = 0 .. bound-1, or None if `bits` bits do not prove them all."""
    one = 1 << bits
    weight = one
    ratio = _exp_below(1 / (2 * s2), bits)
    ratio_step = _exp_below(1 / s2, bits)
    running = one >> 1  # half the weight of 0
    partial = []  # half the weight of 0 plus the weights of 1 .. k
    num_weights = 0
    while weight:
        partial.append(running)
        weight = weight * ratio >> bits
        ratio = ratio * ratio_step >> bits
        running += weight
        num_weights += 1
    if num_weights <= bound:
        return None
    slack = 4 * (num_weights + 1) ** 3
    total = 2 * running
    result = []
    for value in partial[:bound]:
        floor_low, rest = divmod(value << 128, total + 2 * slack)
        if rest == 0 or ((value + slack) << 128) // total != floor_low:
            return None
        result.append(floor_low)
    return result


def _exp_below(exponent: Fraction, bits: int) -> int:
    """Return a lower bound of 2^bits * exp(-exponent) that is at most 3 too small; 0 < exponent <= 4.

    Taylor series with 32 guard bits: each of the fewer than 2^12 terms is off by less than 8 guard steps.
    """
    numerator, denominator = exponent.numerator, exponent.denominator
    term = total = 1 << (bits + 32)
    index = 0
    while term:
        index += 1
        term = term * numerator // (denominator * index)
        total += -term if index & 1 else term
    return (total >> 32) - 1


def thresholds_digest(table: tuple[int, ...]) -> bytes:
    """Return the SHA-256 that stands in the plan.

    It is taken over every threshold in order, each as 17 bytes little-endian.
    """
    return hashlib.sha256(b"".join(c.to_bytes(17, "little") for c in table)).digest()


def sampler_distance(s2: int | Fraction) -> Fraction:
    """Bound the total variation distance between one drawn value and N_Z(0, s2).

    Each of the 2B + 1 probabilities is off by less than 2^-128, which makes half of their sum; what lies
    beyond B has mass at most 2 exp(-B^2 / (2 s2)) < 2^-140.

    Returns:
        (2B + 1) 2^-129 + 2^-140: 2^-122 at s = 3, 2^-117 at s = 128, 2^-112 at s = 4096.

    Raises:
        NoiseParameterError: s2 is out of range.
    """
    return Fraction(2 * table_bound(s2) + 1, 1 << 129) + Fraction(1, 1 << 140)


class Sampler:
    """The table of one variance, ready to draw from.

    Attributes:
        s2: the variance in scaled units.
        bound: B; every value lies in [-B, B].
        digest: SHA-256 of the thresholds, as in the plan (`thresholds_digest`).
    """

    __slots__ = ("_high", "_low", "_num_compared", "_steps", "bound", "digest", "s2")

    def __init__(self, s2: int | Fraction) -> None:
        table = thresholds(s2)
        self.s2 = s2
        self.bound = table_bound(s2)
        self.digest = thresholds_digest(table)
        # the last threshold is above every u, so it is never compared; the words behind fill up a power of 2
        self._num_compared = len(table) - 1
        self._steps = [1 << place for place in reversed(range(self._num_compared.bit_length()))]
        self._high = np.full(2 * self._steps[0] - 1, 0xFFFF_FFFF_FFFF_FFFF, dtype=np.uint64)
        self._high[: self._num_compared] = [c >> 64 for c in table[:-1]]
        self._low = np.array([c & 0xFFFF_FFFF_FFFF_FFFF for c in table[:-1]], dtype=np.uint64)

    def sample(self, stream: Callable[[int], bytes], cells: int) -> NDArray[np.int64]:
        """Draw one value per cell.

        Args:
            stream: returns the next so many bytes of the noise stream; 16 * cells bytes are read in all.
            cells: how many values, at least 1.

        Returns:
            The noise in scaled units, shape (cells,), each in [-bound, bound].

        Raises:
            NoiseParameterError: `cells` is below 1, or the stream ran short.

        Privacy: whoever knows the stream knows the noise; the key behind it never leaves the vault.
        """
        if type(cells) is not int or cells < 1:
            raise NoiseParameterError(f"cells: expected an integer of at least 1, found {cells!r}")
        values = np.empty(cells, dtype=np.int64)
        for start in range(0, cells, _CHUNK_CELLS):
            stop = min(start + _CHUNK_CELLS, cells)
            values[start:stop] = self._draw(stream, stop - start)
        return values

    def _draw(self, stream: Callable[[int], bytes], cells: int) -> NDArray[np.int64]:
        data = stream(BYTES_PER_CELL * cells)
        if len(data) != BYTES_PER_CELL * cells:
            raise NoiseParameterError(
                f"noise stream: expected {BYTES_PER_CELL * cells} bytes, found {len(data)}"
            )
        words = np.frombuffer(data, dtype="<u8").astype(np.uint64, copy=False).reshape(cells, 2)
        low, high = words[:, 0], np.ascontiguousarray(words[:, 1])
        # the number of thresholds <= u, by high words alone; equal high words are settled below
        count = self._count(high)
        before = self._high[np.maximum(count - 1, 0)]
        for i in np.flatnonzero((count > 0) & (before == high)):
            first = int(np.searchsorted(self._high, high[i], side="left"))
            tied = self._low[first : int(count[i])]
            count[i] = first + int(np.searchsorted(tied, low[i], side="right"))
        return count - self.bound

    def _count(self, words: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Count the thresholds whose high word is at most each word.

        A binary search without a branch: the same steps for every word, so that the time of a draw does not
        tell how large the noise is (`np.searchsorted` does, a little), as far as the table fits into a cache.
        """
        count = np.zeros(words.size, dtype=np.int64)
        place, found = np.empty_like(count), np.empty_like(words)
        is_below = np.empty(words.size, dtype=np.bool_)
        for step in self._steps:
            np.add(count, step - 1, out=place)
            np.take(self._high, place, out=found, mode="clip")  # never clips; it spares numpy a copy
            np.less_equal(found, words, out=is_below)
            np.add(count, is_below * np.int64(step), out=count)
        return np.minimum(count, self._num_compared)
