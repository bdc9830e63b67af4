"""MaskSum against big-integer sums of singly sampled streams: every chunk edge, flush and rejection."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import crypto.mask_sum
from crypto.errors import FieldRangeError, ParameterError, ShapeMismatchError
from crypto.field64 import MODULUS
from crypto.mask_sum import MaskSum
from crypto.xof import MIN_BOUND, XofHmacSha256Aes128


def seed(number: int) -> bytes:
    return number.to_bytes(32, "big")


def reference(num_masks: int, cells: int, bound: int = MODULUS) -> list[int]:
    total = [0] * cells
    for number in range(num_masks):
        elements = XofHmacSha256Aes128(seed(number), b"dst", b"binder").next_vec(cells, bound).tolist()
        total = [a + b for a, b in zip(total, elements, strict=True)]
    return [value % MODULUS for value in total]


def summed(num_masks: int, cells: int, bound: int = MODULUS) -> list[int]:
    acc = MaskSum(cells, bound=bound)
    for number in range(num_masks):
        acc.add_mask(seed(number), b"dst", b"binder")
    values: list[int] = acc.value().tolist()
    return values


@pytest.mark.parametrize("cells", [1, 2, 3, 15, 16, 17, 31, 32, 33, 100])
@pytest.mark.parametrize("bound", [MODULUS, 1 << 63, MIN_BOUND], ids=["modulus", "half", "quarter"])
def test_masks_are_summed_exactly_at_every_chunk_edge(
    monkeypatch: pytest.MonkeyPatch, cells: int, bound: int
) -> None:
    monkeypatch.setattr(crypto.mask_sum, "CHUNK_CELLS", 16)
    assert summed(5, cells, bound) == reference(5, cells, bound)


def test_a_word_equal_to_the_bound_is_rejected() -> None:
    words = XofHmacSha256Aes128(seed(0), b"dst", b"binder").next_vec(40).tolist()
    bound = next(word for word in words if word > MODULUS // 2)
    accepted = [word for word in words if word < bound]
    assert reference(1, 3, bound) == summed(1, 3, bound) == accepted[:3]
    largest = max(
        words
    )  # nothing else is rejected, so only the word that equals the bound can start a refill
    assert words.index(largest) < 36
    assert summed(1, 36, largest) == [word for word in words if word < largest][:36]


def test_the_real_chunk_size_is_summed_exactly() -> None:
    cells = 2 * crypto.mask_sum.CHUNK_CELLS + 5
    assert summed(2, cells) == reference(2, cells)
    assert summed(2, cells, (1 << 64) - (1 << 53)) == reference(2, cells, (1 << 64) - (1 << 53))


@pytest.mark.parametrize("num_terms", [254, 255, 256, 510, 511, 765, 1021])
def test_carries_survive_every_flush_of_the_counter(num_terms: int) -> None:
    # p - 1 wraps at every addition but the first, so each counter reaches its limit
    largest = np.full(3, MODULUS - 1, dtype=np.uint64)
    acc = MaskSum(3)
    for _ in range(num_terms):
        acc.add_vector(largest)
    assert acc.value().tolist() == [num_terms * (MODULUS - 1) % MODULUS] * 3


def test_many_masks_are_summed_exactly() -> None:
    assert summed(600, 4) == reference(600, 4)


@given(st.lists(st.lists(st.integers(0, MODULUS - 1), min_size=3, max_size=3), max_size=12))
@settings(max_examples=50)
def test_vectors_are_summed_exactly_and_the_sum_may_be_read_at_any_time(rows: list[list[int]]) -> None:
    acc = MaskSum(3)
    total = [0, 0, 0]
    for row in rows:
        acc.add_vector(np.array(row, dtype=np.uint64))
        total = [(a + b) % MODULUS for a, b in zip(total, row, strict=True)]
        assert acc.value().tolist() == total
    assert acc.value().tolist() == total


@pytest.mark.parametrize("row", [[0, 0, 0], [MODULUS - 1] * 3, [1, 2**32 - 1, 2**32]], ids=str)
def test_the_last_reduction_is_canonical(row: list[int]) -> None:
    acc = MaskSum(3)
    acc.add_vector(np.array(row, dtype=np.uint64))
    acc.add_vector(np.array([(MODULUS - value) % MODULUS for value in row], dtype=np.uint64))
    assert acc.value().tolist() == [0, 0, 0]


def test_reading_the_value_gives_a_copy() -> None:
    acc = MaskSum(2)
    acc.value()[:] = 7
    assert acc.value().tolist() == [0, 0]


def test_an_addend_is_not_changed() -> None:
    row = np.array([1, MODULUS - 1], dtype=np.uint64)
    acc = MaskSum(2)
    for _ in range(3):
        acc.add_vector(row)
    assert row.tolist() == [1, MODULUS - 1]


def test_a_refused_addend_leaves_the_sum_unchanged() -> None:
    acc = MaskSum(2)
    acc.add_vector(np.array([3, 4], dtype=np.uint64))
    with pytest.raises(FieldRangeError):
        acc.add_vector(np.array([0, MODULUS], dtype=np.uint64))
    shapes: list[NDArray[Any]] = [np.zeros(1, "u8"), np.zeros(3, "u8"), np.zeros((1, 2), "u8"), np.zeros(2)]
    for wrong in shapes:
        with pytest.raises(ShapeMismatchError):
            acc.add_vector(wrong)
    with pytest.raises(ParameterError):
        acc.add_mask(seed(1), bytes(256), b"")
    assert acc.value().tolist() == [3, 4]


@pytest.mark.parametrize("cells", [0, -1])
def test_a_sum_without_cells_is_refused(cells: int) -> None:
    with pytest.raises(ParameterError):
        MaskSum(cells)


@pytest.mark.parametrize("bound", [0, MIN_BOUND - 1, MODULUS + 1])
def test_a_bound_out_of_range_is_refused(bound: int) -> None:
    with pytest.raises(ParameterError):
        MaskSum(1, bound=bound)


def test_a_sum_refuses_more_terms_than_its_last_reduction_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crypto.mask_sum, "_MAX_TERMS", 3)
    acc = MaskSum(1)
    acc.add_mask(seed(0), b"", b"")
    acc.add_mask(seed(0), b"", b"")
    with pytest.raises(ParameterError, match="terms"):
        acc.add_mask(seed(0), b"", b"")


@pytest.mark.parametrize("cells", [1, 7, 8, 9, 31, 100, 1280, 1281])
@pytest.mark.parametrize("num_masks", [0, 1, 2, 3, 5, 31, 32, 33, 70])
def test_many_masks_at_once_are_the_same_sum(cells: int, num_masks: int) -> None:
    acc = MaskSum(cells)
    acc.add_masks([seed(number) for number in range(num_masks)], b"dst", b"binder")
    assert acc.value().tolist() == reference(num_masks, cells)


@pytest.mark.parametrize("num_masks", [1, 3, 4, 7, 8, 9, 20])
@pytest.mark.parametrize("cells", [3, 9, 10, 23, 41])
def test_rejected_words_in_any_row_of_a_tile_are_replaced(
    monkeypatch: pytest.MonkeyPatch, cells: int, num_masks: int
) -> None:
    monkeypatch.setattr(crypto.mask_sum, "CHUNK_CELLS", 40)
    for bound in (1 << 63, (1 << 64) - (1 << 60)):
        acc = MaskSum(cells, bound=bound)
        acc.add_masks([seed(number) for number in range(num_masks)], b"dst", b"binder")
        assert acc.value().tolist() == reference(num_masks, cells, bound)


def test_masks_and_words_of_any_size_share_a_sum_over_every_flush() -> None:
    acc = MaskSum(5)
    words = np.array([0, 1, MODULUS, 2**64 - 1, 2**63], dtype=np.uint64)
    for _ in range(300):
        acc.add_words(words)
    acc.add_masks([seed(number) for number in range(300)], b"dst", b"binder")
    expected = [(300 * int(w) + m) % MODULUS for w, m in zip(words, reference(300, 5), strict=True)]
    assert acc.value().tolist() == expected


def test_too_many_masks_at_once_leave_the_sum_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crypto.mask_sum, "_MAX_TERMS", 40)
    acc = MaskSum(2)
    with pytest.raises(ParameterError, match="terms"):
        acc.add_masks([seed(number) for number in range(40)], b"dst", b"binder")
    assert acc.value().tolist() == [0, 0]
    with pytest.raises(ShapeMismatchError):
        acc.add_words(np.zeros(3, np.uint64))


@pytest.mark.parametrize("chunk_cells", [4, 16, 64])
@pytest.mark.parametrize("cells", [1, 8, 15, 16, 17, 33, 100])
def test_words_and_masks_meet_in_every_chunk(
    monkeypatch: pytest.MonkeyPatch, chunk_cells: int, cells: int
) -> None:
    monkeypatch.setattr(crypto.mask_sum, "CHUNK_CELLS", chunk_cells)
    acc = MaskSum(cells)
    words = np.arange(cells, dtype=np.uint64) - np.uint64(2)  # the first two lie at the end of the words
    for _ in range(3):
        acc.add_words(words)
    acc.add_masks([seed(number) for number in range(5)], b"dst", b"binder")
    expected = [(3 * int(w) + m) % MODULUS for w, m in zip(words, reference(5, cells), strict=True)]
    assert acc.value().tolist() == expected


@pytest.mark.parametrize(
    "words",
    [[2**64 - 1, 2**64 - 1, 1], [2**64 - 1, 1, 2**64 - 1], [2**64 - 1, 1], [2**64 - 1] * 4, [0, 0]],
    ids=["wraps again", "wraps again in another order", "nothing is left", "four", "zeros"],
)
def test_the_carries_are_added_exactly_where_that_wraps_too(words: list[int]) -> None:
    acc = MaskSum(2)
    for word in words:
        acc.add_words(np.array([word, 0], dtype=np.uint64))
    assert acc.value().tolist() == [sum(words) % MODULUS, 0]


@pytest.mark.parametrize("max_terms", [1, 2, 3, 4, 7])
def test_every_vector_counts_as_one_term(monkeypatch: pytest.MonkeyPatch, max_terms: int) -> None:
    monkeypatch.setattr(crypto.mask_sum, "_MAX_TERMS", max_terms)
    acc = MaskSum(1)
    for _ in range(max_terms - 1):
        acc.add_words(np.ones(1, np.uint64))
    with pytest.raises(ParameterError, match="fewer than 2\\^32 terms"):
        acc.add_words(np.ones(1, np.uint64))
    with pytest.raises(ParameterError, match="fewer than 2\\^32 terms"):
        acc.add_mask(seed(0), b"", b"")
    assert acc.value().tolist() == [max_terms - 1]


def test_a_sum_has_fewer_than_2_to_the_32_terms() -> None:
    acc = MaskSum(1)
    acc._num_terms = 2**32 - 2
    acc.add_words(np.ones(1, np.uint64))
    with pytest.raises(ParameterError, match="terms"):
        acc.add_words(np.ones(1, np.uint64))


def test_carries_are_flushed_as_late_as_their_counter_allows() -> None:
    acc = MaskSum(1)
    largest = np.full(1, 2**64 - 1, np.uint64)
    for num_flushed in (0, 254, 509):
        for _ in range(255):  # the first word of all wraps nothing
            acc.add_words(largest)
            assert acc._flushed.tolist() == [num_flushed]


@pytest.mark.parametrize(
    ("width", "rows"),
    [
        (8, 32),
        (1280, 32),
        (1288, 16),
        (2560, 16),
        (2568, 8),
        (5120, 8),
        (10_240, 4),
        (10_248, 1),
        (40_960, 1),
    ],
)
def test_a_tile_has_as_many_rows_as_stay_in_the_cache(
    monkeypatch: pytest.MonkeyPatch, width: int, rows: int
) -> None:
    monkeypatch.setattr(crypto.mask_sum, "CHUNK_CELLS", 40_960)
    assert crypto.mask_sum._tile_rows(width) == rows


@pytest.mark.parametrize(
    ("cells", "num_chunks", "width"),
    [(1, 1, 8), (8, 1, 8), (9, 1, 16), (40_960, 1, 40_960), (40_961, 2, 20_488), (100_000, 3, 33_336)],
)
def test_a_vector_is_cut_into_equal_chunks_of_whole_cache_lines(
    monkeypatch: pytest.MonkeyPatch, cells: int, num_chunks: int, width: int
) -> None:
    monkeypatch.setattr(crypto.mask_sum, "CHUNK_CELLS", 40_960)
    acc = MaskSum(cells)
    assert [chunk.start for chunk in acc._chunks] == [i * width for i in range(num_chunks)]
    assert acc._chunks[-1].stop == cells
    held: list[NDArray[Any]] = [chunk.total for chunk in acc._chunks]
    held += [acc._carries, acc._tile, acc._wraps]
    assert all(array.ctypes.data % 64 == 0 for array in held)
    assert all(len(chunk.total) == len(chunk.carries) == width for chunk in acc._chunks)


def test_streams_of_a_long_vector_are_advanced_together(monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[int] = []
    monkeypatch.setattr(crypto.mask_sum, "CHUNK_CELLS", 40_960)
    monkeypatch.setattr(MaskSum, "_add_tiles", lambda self, chunk, streams: groups.append(len(streams)))
    for cells in (40_961, 5_000):
        MaskSum(cells).add_masks([seed(number) for number in range(20)], b"", b"")
    assert groups == [8, 8, 8, 8, 4, 4, 8, 8, 4]  # two chunks, then one
