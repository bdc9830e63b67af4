"""Sum many vectors and mask streams in O(cells) memory, at nearly the speed of the cipher.

protocol.md, "Speed recipe". The sum of k words is held as (s, c): s wraps at 2^64, c counts the wraps, and
s + c·2^64 ≡ s + c·(2^32 - 1) modulo p is reduced once, at the end. A chunk of the stream stays in the cache:
encrypt a reused buffer of zeros into it, look at its maximum, add it. A word at or above p is met once in
2^32 words; then the chunk is refilled by the same rejection sampling as `xof.sample_vec`, so both give the
same elements.
"""

import numpy as np
from numpy.typing import NDArray

from crypto.errors import ParameterError
from crypto.field64 import ELEMENT_BYTES, MODULUS, FieldVector, check_vector, reduce_once
from crypto.xof import MIN_BOUND, XofHmacSha256Aes128

CHUNK_CELLS = 1 << 15
_CTR_SLACK_BYTES = 16  # update_into asks for block size - 1 spare bytes
_MAX_CARRIES = 255  # a uint8 counter is flushed before it can wrap
_MAX_TERMS = 1 << 32  # keeps c·(2^32 - 1) below 2^64
_EPSILON = np.uint64(2**32 - 1)


class MaskSum:
    """A running sum modulo p of report shares and expanded masks.

    Args:
        cells: length of every vector, at least 1.
        bound: the modulus; tests lower it to force the rejection path.

    Raises:
        ParameterError: no cells, or a bound outside 2^62..p.
    """

    def __init__(self, cells: int, *, bound: int = MODULUS) -> None:
        """Start with the zero vector and allocate the working buffers."""
        if cells < 1:
            raise ParameterError("a sum has at least one cell")
        if not MIN_BOUND <= bound <= MODULUS:
            raise ParameterError("a sampling bound lies outside 2^62..p")
        self._cells = cells
        self._bound = bound
        self._wrapped = np.zeros(cells, np.uint64)
        self._carries = np.zeros(cells, np.uint8)
        self._flushed = np.zeros(cells, np.uint64)
        self._num_pending = 0
        self._num_terms = 0
        chunk = min(cells, CHUNK_CELLS)
        self._zeros = memoryview(bytes(chunk * ELEMENT_BYTES))
        self._stream = memoryview(bytearray(chunk * ELEMENT_BYTES + _CTR_SLACK_BYTES))
        self._words: FieldVector = np.frombuffer(self._stream, dtype="<u8", count=chunk)
        self._has_wrapped = np.empty(chunk, np.bool_)

    def add_vector(self, v: FieldVector) -> None:
        """Add a vector of canonical elements, shape (cells,).

        Raises:
            ShapeMismatchError, FieldRangeError: it is not such a vector; the sum is unchanged.
        """
        check_vector(v, self._cells)
        self._begin_term()
        for start in range(0, self._cells, CHUNK_CELLS):
            self._add_words(start, v[start : start + CHUNK_CELLS])

    def add_mask(self, seed: bytes, dst: bytes, binder: bytes) -> None:
        """Add the vector that `XofHmacSha256Aes128(seed, dst, binder).next_vec(cells)` gives.

        Raises:
            ParameterError: dst is too long; the sum is unchanged.
        """
        xof = XofHmacSha256Aes128(seed, dst, binder)
        self._begin_term()
        for start in range(0, self._cells, CHUNK_CELLS):
            words = self._words[: self._cells - start]
            size_bytes = len(words) * ELEMENT_BYTES
            xof.next_into(self._zeros[:size_bytes], self._stream[: size_bytes + _CTR_SLACK_BYTES])
            if words.max() >= self._bound:
                words = self._refill(words, xof)
            self._add_words(start, words)

    def value(self) -> FieldVector:
        """Return the sum so far as canonical elements, shape (cells,); more may be added afterwards."""
        extra = (self._flushed + self._carries) * _EPSILON
        total = self._wrapped + extra
        total += (total < extra) * _EPSILON  # wrapped: total is below 2^64 - 2^33 and cannot wrap again
        return reduce_once(total)

    def _begin_term(self) -> None:
        if self._num_terms + 1 >= _MAX_TERMS:
            raise ParameterError("a sum has fewer than 2^32 terms")
        self._num_terms += 1
        if self._num_pending == _MAX_CARRIES:
            self._flushed += self._carries
            self._carries.fill(0)
            self._num_pending = 0
        self._num_pending += 1

    def _add_words(self, start: int, words: FieldVector) -> None:
        """Add one chunk and count, cell by cell, where the sum wrapped (it is then below what was added)."""
        stop = start + len(words)
        total, carries = self._wrapped[start:stop], self._carries[start:stop]
        has_wrapped = self._has_wrapped[: len(words)]
        np.add(total, words, out=total)
        np.less(total, words, out=has_wrapped)
        np.add(carries, has_wrapped.view(np.uint8), out=carries)

    def _refill(self, words: NDArray[np.uint64], xof: XofHmacSha256Aes128) -> FieldVector:
        """Drop the words that rejection sampling drops and read as many more from the stream."""
        kept = words[words < np.uint64(self._bound)]
        return np.concatenate((kept, xof.next_vec(len(words) - len(kept), self._bound)))
