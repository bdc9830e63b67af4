"""Shard and unshard: the sum comes back for every (n, t), and only with every mask."""

import secrets
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from vectors_dir import own

from crypto import derivation
from crypto.errors import CryptoError, FieldRangeError, ParameterError, ShapeMismatchError
from crypto.field64 import (
    MAX_LIFT,
    MODULUS,
    FieldVector,
    encode_vector,
    from_signed,
    parse_vector,
    subtract,
)
from crypto.mask_sum import MaskSum
from crypto.replication import covers, subsets, subsets_with
from crypto.sharing import (
    MASK_USAGE,
    _sum_streams,
    add_report_mask,
    add_report_masks,
    mask_vector,
    unmask,
)
from crypto.xof import XofHmacSha256Aes128, format_dst

PAIRS = [(n, t) for n in range(1, 8) for t in range(1, n + 1)]
ROUND_ID = bytes(range(32))


def mask_sum(seeds: list[dict[int, bytes]], subset: int, cells: int, n: int, t: int) -> FieldVector:
    acc = MaskSum(cells)
    for school in seeds:
        add_report_mask(acc, subset, school[subset], ROUND_ID, n, t)
    return acc.value()


def sum_of(vectors: list[FieldVector]) -> FieldVector:
    acc = MaskSum(len(vectors[0]))
    for vector in vectors:
        acc.add_vector(vector)
    return acc.value()


@pytest.mark.parametrize(("n", "t"), PAIRS)
@given(data=st.data())
@settings(max_examples=5, deadline=None)
def test_unshard_of_shard_is_the_sum(n: int, t: int, data: st.DataObject) -> None:
    bound = MAX_LIFT // 4
    rows = st.lists(st.integers(-bound, bound), min_size=4, max_size=4)
    tables = [np.array(row, dtype=np.int64) for row in data.draw(st.lists(rows, min_size=1, max_size=4))]
    seeds = [{subset: secrets.token_bytes(32) for subset in subsets(n, t)} for _ in tables]
    ys = [mask_vector(x, seed, ROUND_ID, n, t) for x, seed in zip(tables, seeds, strict=True)]
    masks = [mask_sum(seeds, subset, 4, n, t) for subset in subsets(n, t)]
    assert unmask(sum_of(ys), masks).tolist() == np.sum(tables, axis=0).tolist()


@pytest.mark.parametrize(("n", "t"), [(4, 3), (5, 4), (7, 5)])
def test_any_t_auditors_open_and_no_fewer(n: int, t: int) -> None:
    x = np.arange(-3, 3, dtype=np.int64)
    seeds = derivation.seeds(bytes(32), subsets(n, t))
    y = mask_vector(x, seeds, ROUND_ID, n, t)
    for size in range(n + 1):
        for indices in combinations(range(n), size):
            held = {subset for index in indices for subset in subsets_with(index, n, t)}
            opened = unmask(y, [mask_sum([seeds], subset, 6, n, t) for subset in sorted(held)])
            assert (opened.tolist() == x.tolist()) == covers(indices, n, t) == (size >= t)


def test_known_answers() -> None:
    vector = own("masks.json")
    n, t, round_id = vector["n"], vector["t"], bytes.fromhex(vector["round_id"])
    cells = len(vector["measurement"])
    measurement = np.array(vector["measurement"], dtype=np.int64)
    for school in vector["schools"]:
        seeds = {int(subset): bytes.fromhex(seed) for subset, seed in school["seeds"].items()}
        assert encode_vector(mask_vector(measurement, seeds, round_id, n, t)).hex() == school["y"]
    mask_sums = [parse_vector(bytes.fromhex(data), cells) for data in vector["mask_sums"].values()]
    result = unmask(parse_vector(bytes.fromhex(vector["sum_y"]), cells), mask_sums)
    assert result.tolist() == vector["result"] == [2 * value for value in vector["measurement"]]


def test_a_report_share_is_the_measurement_minus_every_stream() -> None:
    seeds = derivation.seeds(bytes(32), subsets(4, 3))
    y = mask_vector(np.array([5, -5], dtype=np.int64), seeds, ROUND_ID, 4, 3).tolist()
    dst = format_dst(MASK_USAGE, ROUND_ID)
    streams = [
        XofHmacSha256Aes128(seed, dst, bytes([1 + position])).next_vec(2).tolist()
        for position, seed in enumerate(seeds.values())
    ]
    assert y == [(value - sum(stream[i] for stream in streams)) % MODULUS for i, value in enumerate((5, -5))]


@pytest.mark.parametrize("cells", [1, 4095, 4096, 4097, 9000])
@pytest.mark.parametrize(
    "bound", [MODULUS, 1 << 63, 1 << 62], ids=["p", "half is dropped", "most is dropped"]
)
def test_a_table_of_any_length_is_masked_with_the_streams_as_they_are_sampled(cells: int, bound: int) -> None:
    seeds = derivation.seeds(bytes(32), subsets(4, 3))
    x = np.arange(-7, cells - 7, dtype=np.int64) << 30
    expected = from_signed(x)
    for position, seed in enumerate(seeds.values()):
        stream = XofHmacSha256Aes128(seed, format_dst(MASK_USAGE, ROUND_ID), bytes([1 + position]))
        expected = subtract(expected, stream.next_vec(cells, bound))
    assert mask_vector(x, seeds, ROUND_ID, 4, 3, bound=bound).tolist() == expected.tolist()
    assert x[0] == -7 << 30  # the caller's table is left as it was


def test_a_bound_that_no_modulus_has_is_refused() -> None:
    seeds = derivation.seeds(bytes(32), subsets(4, 3))
    with pytest.raises(ParameterError, match="bound"):
        mask_vector(np.zeros(99, np.int64), seeds, ROUND_ID, 4, 3, bound=1 << 61)


def test_masks_differ_by_round_subset_and_seed() -> None:
    def mask(subset: int, seed: bytes, round_id: bytes) -> bytes:
        acc = MaskSum(2)
        add_report_mask(acc, subset, seed, round_id, 4, 3)
        return encode_vector(acc.value())

    masks = [mask(3, bytes(32), ROUND_ID), mask(5, bytes(32), ROUND_ID), mask(3, ROUND_ID, ROUND_ID)]
    masks.append(mask(3, bytes(32), bytes(32)))
    assert len(set(masks)) == 4


@pytest.mark.parametrize(
    "wrong",
    [{}, {3: bytes(32)}, dict.fromkeys((3, 5, 6, 9, 10, 13), bytes(32)), dict.fromkeys(range(16), bytes(32))],
    ids=["none", "one", "another", "more"],
)
def test_seeds_of_other_subsets_are_refused(wrong: dict[int, bytes]) -> None:
    with pytest.raises(ParameterError, match="6 subsets"):
        mask_vector(np.zeros(2, np.int64), wrong, ROUND_ID, 4, 3)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_seed_of_another_length_is_refused(length: int) -> None:
    seeds = dict.fromkeys(subsets(4, 3), bytes(32)) | {9: bytes(length)}
    with pytest.raises(ParameterError, match="32 bytes"):
        mask_vector(np.zeros(2, np.int64), seeds, ROUND_ID, 4, 3)


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_seed_of_another_length_is_not_added(length: int) -> None:
    acc = MaskSum(1)
    with pytest.raises(ParameterError, match=f"32 bytes, found {length}"):
        add_report_masks(acc, 3, [bytes(32), bytes(length)], ROUND_ID, 4, 3)
    assert acc.value().tolist() == [0]


class WrittenStream(XofHmacSha256Aes128):
    """A stream of words that are written down instead of drawn."""

    def __init__(self, words: list[int]) -> None:
        self._data = b"".join(word.to_bytes(8, "little") for word in words)
        self.next_into = self._write

    def next(self, num_bytes: int) -> bytes:
        taken, self._data = self._data[:num_bytes], self._data[num_bytes:]
        return taken

    def _write(self, zeros: memoryview, out: memoryview) -> int:
        assert len(out) >= len(zeros) + 15  # what update_into asks for, of any cipher
        out[: len(zeros)] = self.next(len(zeros))
        return len(zeros)


@pytest.mark.parametrize(
    "columns",
    [
        [[0, 0, 0], [0, 0, 0], [0, 0, 0]],
        [[MODULUS - 1, 5, 1], [MODULUS - 1, MODULUS - 5, 2], [2**33 - 1, 0, 3]],  # wraps once more at the end
        [[MODULUS, 5, 6, 7], [2**64 - 1, MODULUS, 8, 9, 10], [MODULUS - 1, 1, 2]],  # words that are dropped
    ],
    ids=["zeros", "the last carry", "words at and above the modulus"],
)
def test_streams_are_summed_exactly_at_the_edges_of_their_words(columns: list[list[int]]) -> None:
    kept = [[word for word in words if word < MODULUS][:3] for words in columns]
    [(start, total)] = _sum_streams([WrittenStream(words) for words in columns], 3, MODULUS)
    assert start == 0
    assert total.tolist() == [sum(words) % MODULUS for words in zip(*kept, strict=True)]


def test_a_table_goes_through_in_pieces_that_stay_in_the_first_cache() -> None:
    pieces = list(_sum_streams([WrittenStream([1] * 9000), WrittenStream([2] * 9000)], 9000, MODULUS))
    assert [(start, len(total)) for start, total in pieces] == [(0, 4096), (4096, 4096), (8192, 808)]
    assert all((total == 3).all() for _, total in pieces)


def test_a_mask_of_an_unknown_subset_is_refused_and_not_added() -> None:
    acc = MaskSum(1)
    for subset in (0, 7, 16, 17):
        with pytest.raises(ParameterError):
            add_report_mask(acc, subset, bytes(32), ROUND_ID, 4, 3)
    assert acc.value().tolist() == [0]


@pytest.mark.parametrize(
    "measurement",
    [
        np.zeros(2),
        np.zeros(2, np.int32),
        np.zeros((2, 2), np.int64),
        np.array(5),
        np.zeros(0, np.int64),
        np.array([-(2**63)]),
    ],
    ids=["float", "int32", "two dimensions", "no dimension", "no cells", "too large"],
)
def test_a_measurement_of_another_shape_or_range_is_refused(measurement: NDArray[Any]) -> None:
    with pytest.raises(CryptoError):
        mask_vector(measurement, dict.fromkeys(subsets(4, 3), bytes(32)), ROUND_ID, 4, 3)


def test_unmask_refuses_other_lengths_and_non_canonical_elements() -> None:
    two = np.zeros(2, np.uint64)
    with pytest.raises(ShapeMismatchError):
        unmask(two, [two, np.zeros(1, np.uint64)])
    with pytest.raises(FieldRangeError):
        unmask(two, [np.array([0, MODULUS], dtype=np.uint64)])
    with pytest.raises(FieldRangeError):
        unmask(np.array([0, MODULUS], dtype=np.uint64), [])
