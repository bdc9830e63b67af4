"""Sum many vectors and mask streams in O(cells) memory, at nearly the speed of the cipher.

protocol.md, "Speed recipe". A sum of k words is held as (s, c): s wraps at 2^64, c counts the wraps, and
s + c·2^64 ≡ s + c·(2^32 - 1) modulo p is reduced once, at the end. Any 64-bit words are summed exactly.

1. The vector is cut into equal chunks whose working memory stays in a core's cache, and the next chunk is
   begun only when a group of streams has been added to this one: then the sum stays in the cache too.
2. Short vectors share a tile: one call of numpy costs as much as adding two thousand words, so the streams
   fill the rows of a tile and its upper half is added to its lower half until one row is left.
3. A word at or above p is met once in 2^32 words; then its row is filled again by the same rejection sampling
   as `xof.sample_vec`, so both give the same elements.
"""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crypto.errors import ParameterError
from crypto.field64 import ELEMENT_BYTES, MODULUS, FieldVector, check_shape, check_vector, reduce_once
from crypto.xof import MIN_BOUND, XofHmacSha256Aes128, sample_vec

CHUNK_CELLS = 40_960  # of a vector, and of a tile: 320 KiB, which stay in a level-2 cache with sum and flags
MIN_ROWS, MAX_ROWS = 4, 32
MIN_GROUP = 8  # streams that are advanced together through the chunks of a long vector
_CTR_SLACK_BYTES = 16  # update_into asks for block size - 1 spare bytes
_CACHE_LINE_BYTES = 64  # numpy adds words that straddle cache lines a third slower
_LINE_WORDS = _CACHE_LINE_BYTES // ELEMENT_BYTES
_MAX_CARRIES = 255  # a uint8 counter is flushed before it can wrap
_MAX_TERMS = 1 << 32  # keeps c·(2^32 - 1) below 2^64
_EPSILON = np.uint64(2**32 - 1)
_add, _less = np.add, np.less  # looked up some hundred thousand times in a round

Flags: TypeAlias = NDArray[np.bool_]
Bytes: TypeAlias = NDArray[np.uint8]


class _Chunk(NamedTuple):
    """Some cells of the sum, and where the streams write their words for them."""

    start: int
    stop: int
    total: FieldVector
    carries: Bytes
    zeros: memoryview
    rows: tuple[memoryview, ...]


class _Fold(NamedTuple):
    """How the first 2^j rows of a tile become one: each step adds one half to the other."""

    num_rows: int
    words: FieldVector
    steps: tuple[tuple[FieldVector, FieldVector, Flags], ...]
    row_sum: FieldVector
    last_wraps: Flags
    counts: tuple[tuple[Bytes, Bytes], ...]
    num_wraps: Bytes


class MaskSum:
    """A running sum modulo p of report shares and expanded masks.

    Args:
        cells: length of every vector, at least 1.
        bound: the modulus; tests lower it to force the rejection path.

    Raises:
        ParameterError: no cells, or a bound outside 2^62..p.
    """

    def __init__(self, cells: int, *, bound: int = MODULUS) -> None:
        """Start with the zero vector and allocate the working memory."""
        if cells < 1:
            raise ParameterError("a sum has at least one cell")
        if not MIN_BOUND <= bound <= MODULUS:
            raise ParameterError("a sampling bound lies outside 2^62..p")
        self._cells = cells
        self._bound = np.uint64(bound)
        self._num_terms = 0
        self._num_pending = 0
        num_chunks = -(-cells // CHUNK_CELLS)
        self._width = _whole_lines(-(-cells // num_chunks))
        self._wrapped = _aligned(num_chunks * self._width * ELEMENT_BYTES).view(np.uint64)
        self._carries = _aligned(num_chunks * self._width)
        self._flushed = np.zeros(cells, np.uint64)
        self._max_rows = _tile_rows(self._width)
        self._wraps = _aligned(self._max_rows * self._width).reshape(self._max_rows, self._width)
        self._zeros = _aligned(self._width * ELEMENT_BYTES).data.toreadonly()
        memory = _aligned(self._max_rows * self._width * ELEMENT_BYTES + _CTR_SLACK_BYTES)
        self._tile = memory[:-_CTR_SLACK_BYTES].view(np.uint64).reshape(self._max_rows, self._width)
        self._chunks = tuple(self._cut(start, memory.data) for start in range(0, cells, self._width))
        self._pieces = tuple(self._piece(chunk) for chunk in self._chunks)
        folds = {1 << j: self._fold(1 << j) for j in range(self._max_rows.bit_length())}
        self._folds = {k: folds[1 << (k - 1).bit_length()] for k in range(1, self._max_rows + 1)}

    def add_vector(self, v: FieldVector) -> None:
        """Add a vector of canonical elements, shape (cells,).

        Raises:
            ShapeMismatchError, FieldRangeError: it is not such a vector; the sum is unchanged.
        """
        check_vector(v, self._cells)
        self.add_words(v)

    def add_words(self, v: FieldVector) -> None:
        """Add a vector of any 64-bit words, each standing for its remainder modulo p, shape (cells,).

        For whoever knows already that the elements are canonical: the coordinator checked them on receipt and
        finds the vector unchanged by its digest.

        Raises:
            ShapeMismatchError: another type or length; the sum is unchanged.
        """
        check_shape(v, self._cells)
        self._check_terms(1)
        self._begin_terms(1)
        for cells, total, carries, has_wrapped, wraps in self._pieces:
            words = v[cells]
            _add(total, words, total)
            _less(total, words, has_wrapped)
            _add(carries, wraps, carries)

    def add_mask(self, seed: bytes, dst: bytes, binder: bytes) -> None:
        """Add the vector that `XofHmacSha256Aes128(seed, dst, binder).next_vec(cells)` gives.

        Raises:
            ParameterError: dst is too long; the sum is unchanged.
        """
        self.add_masks((seed,), dst, binder)

    def add_masks(self, seeds: Sequence[bytes], dst: bytes, binder: bytes) -> None:
        """Add the masks of many seeds; faster than one by one where vectors have few thousand cells.

        Raises:
            ParameterError: dst is too long, or too many terms; the sum is unchanged.
        """
        self._check_terms(len(seeds))
        group = max(MIN_GROUP, self._max_rows)
        for first in range(0, len(seeds), group):
            streams = XofHmacSha256Aes128.many(seeds[first : first + group], dst, binder)
            self._begin_terms(len(streams))
            for chunk in self._chunks:
                self._add_tiles(chunk, streams)

    def value(self) -> FieldVector:
        """Return the sum so far as canonical elements, shape (cells,); more may be added afterwards."""
        extra = (self._flushed + self._carries[: self._cells]) * _EPSILON
        total = self._wrapped[: self._cells] + extra
        total += (total < extra) * _EPSILON  # wrapped: total is below 2^64 - 2^33 and cannot wrap again
        return reduce_once(total)

    def _check_terms(self, count: int) -> None:
        if self._num_terms + count >= _MAX_TERMS:
            raise ParameterError("a sum has fewer than 2^32 terms")

    def _begin_terms(self, count: int) -> None:
        self._num_terms += count
        if self._num_pending + count > _MAX_CARRIES:
            self._flushed += self._carries[: self._cells]
            self._carries.fill(0)
            self._num_pending = 0
        self._num_pending += count

    def _add_tiles(self, chunk: _Chunk, streams: Sequence[XofHmacSha256Aes128]) -> None:
        """Write each stream's next words into a row, fold the rows of a tile into one, and add it to the sum.

        What is left over in a row behind the chunk's last word is added behind the chunk's last cell, where
        nobody reads it. A sum wrapped where it is below what was added.
        """
        start, stop, total, carries, zeros, rows = chunk
        for first in range(0, len(streams), self._max_rows):
            part = streams[first : first + self._max_rows]
            for stream, row in zip(part, rows, strict=False):
                stream.next_into(zeros, row)
            num_rows, words, steps, row_sum, wraps, counts, num_wraps = self._folds[len(part)]
            if len(part) < num_rows:
                self._tile[len(part) : num_rows] = 0
            if words[words.argmax()] >= self._bound:  # argmax starts up faster than max
                self._refill(stop - start, part)
            for upper, lower, has_wrapped in steps:
                _add(upper, lower, upper)
                _less(upper, lower, has_wrapped)
            _add(total, row_sum, total)
            _less(total, row_sum, wraps)
            for upper_counts, lower_counts in counts:
                _add(upper_counts, lower_counts, upper_counts)
            _add(carries, num_wraps, carries)

    def _refill(self, size: int, streams: Sequence[XofHmacSha256Aes128]) -> None:
        """Drop the words that rejection sampling drops and read as many more from their stream."""
        for row, stream in zip(self._tile, streams, strict=False):
            kept = row[:size][row[:size] < self._bound]
            row[: len(kept)] = kept
            row[len(kept) : size] = sample_vec(stream, size - len(kept), int(self._bound))

    def _cut(self, start: int, memory: memoryview) -> _Chunk:
        stop = min(start + self._width, self._cells)
        row_bytes, size_bytes = self._width * ELEMENT_BYTES, (stop - start) * ELEMENT_BYTES
        starts = range(0, self._max_rows * row_bytes, row_bytes)
        rows = tuple(memory[at : at + size_bytes + _CTR_SLACK_BYTES] for at in starts)
        total = self._wrapped[start : start + self._width]
        carries = self._carries[start : start + self._width]
        return _Chunk(start, stop, total, carries, self._zeros[:size_bytes], rows)

    def _piece(self, chunk: _Chunk) -> tuple[slice, FieldVector, Bytes, Flags, Bytes]:
        """The cells of a chunk without what lies behind them, for vectors that end where the sum ends."""
        size = chunk.stop - chunk.start
        wraps = self._wraps[0, :size]
        cells = slice(chunk.start, chunk.stop)
        return cells, chunk.total[:size], chunk.carries[:size], wraps.view(np.bool_), wraps

    def _fold(self, num_rows: int) -> _Fold:
        tile, wraps = self._tile, self._wraps
        steps, counts, done, half = [], [], 0, num_rows // 2
        while half:
            flags = wraps[done : done + half].reshape(-1).view(np.bool_)
            steps.append((tile[:half].reshape(-1), tile[half : 2 * half].reshape(-1), flags))
            counts.append((wraps[:half].reshape(-1), wraps[half : 2 * half].reshape(-1)))
            done, half = done + half, half // 2
        words, last_wraps = tile[:num_rows].reshape(-1), wraps[done].view(np.bool_)
        return _Fold(num_rows, words, tuple(steps), tile[0], last_wraps, tuple(counts), wraps[0])


def _aligned(num_bytes: int) -> Bytes:
    """Allocate zeros that start on a cache line."""
    memory = np.zeros(num_bytes + _CACHE_LINE_BYTES, np.uint8)
    start = -memory.ctypes.data % _CACHE_LINE_BYTES
    return memory[start : start + num_bytes]


def _whole_lines(words: int) -> int:
    return -(-words // _LINE_WORDS) * _LINE_WORDS


def _tile_rows(width: int) -> int:
    """A power of two; two rows are slower than one, which needs no counting of flags."""
    rows = min(MAX_ROWS, CHUNK_CELLS // width)
    return 1 << (rows.bit_length() - 1) if rows >= MIN_ROWS else 1
