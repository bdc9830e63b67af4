"""The sum less the steps of a turnout ladder: exact, at every tier, and never anything else."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crypto.errors import ParameterError, ShapeMismatchError
from crypto.field64 import MODULUS, FieldVector, add, from_signed, subtract
from crypto.mask_sum import MaskSum
from crypto.replication import rank, subsets, subsets_with
from crypto.sharing import (
    LADDER_USAGE,
    MAX_STEPS,
    add_report_mask,
    add_report_masks,
    mask_vector,
    step_usage,
    unmask,
)
from crypto.tier_sum import TierSum
from crypto.xof import XofHmacSha256Aes128, format_dst

ROUND_ID = hashlib.sha256(b"round").digest()
N, T = 4, 3


def seed_of(*label: object) -> bytes:
    return hashlib.sha256(repr(label).encode()).digest()


def seeds_of(school: int) -> dict[int, bytes]:
    return {subset: seed_of(school, subset) for subset in subsets(N, T)}


def stream(seed: bytes, subset: int, usage: int, cells: int) -> FieldVector:
    binder = bytes([1 + rank(subset, N, T)])
    return XofHmacSha256Aes128(seed, format_dst(usage, ROUND_ID), binder).next_vec(cells)


def masked_report(rows: np.ndarray, school: int) -> FieldVector:
    """y, w_1 .. w_L of one school, one behind the other; `rows` are x + noise and each w_k."""
    seeds = seeds_of(school)
    return np.concatenate(
        [mask_vector(row, seeds, ROUND_ID, N, T, step=step) for step, row in enumerate(rows)]
    )


@pytest.mark.parametrize(("step", "usage"), [(0, 1), (1, 17), (2, 18), (12, 28)])
def test_every_step_has_a_usage_of_its_own(step: int, usage: int) -> None:
    assert step_usage(step) == usage


def test_no_usage_of_a_step_is_the_noise_streams() -> None:
    assert max(step_usage(step) for step in range(MAX_STEPS + 1)) < 32
    assert LADDER_USAGE == 16


@pytest.mark.parametrize("step", [-1, MAX_STEPS + 1])
def test_there_is_no_other_step(step: int) -> None:
    row, message = np.zeros(2, np.int64), f"lies in 0..12, found {step}"
    with pytest.raises(ParameterError, match=message):
        step_usage(step)
    with pytest.raises(ParameterError, match=message):
        mask_vector(row, seeds_of(0), ROUND_ID, N, T, step=step)
    acc = MaskSum(2)
    with pytest.raises(ParameterError, match=message):
        add_report_masks(acc, 3, (seed_of(0, 3),), ROUND_ID, N, T, step=step)
    assert acc.value().tolist() == [0, 0]


@pytest.mark.parametrize("step", [0, 1, 5])
def test_a_steps_vector_is_masked_by_the_streams_of_its_usage(step: int) -> None:
    row = np.array([5, -7, 0], np.int64)
    expected = from_signed(row)
    for subset, seed in seeds_of(1).items():
        expected = subtract(expected, stream(seed, subset, 16 + step if step else 1, 3))
    assert np.array_equal(mask_vector(row, seeds_of(1), ROUND_ID, N, T, step=step), expected)
    acc = MaskSum(3)
    add_report_masks(acc, 6, (seed_of(1, 6),), ROUND_ID, N, T, step=step)
    assert np.array_equal(acc.value(), stream(seed_of(1, 6), 6, 16 + step if step else 1, 3))


@settings(deadline=None, max_examples=25)
@given(
    schools=st.integers(1, 5),
    steps=st.integers(0, 4),
    cells=st.integers(1, 9),
    tier=st.integers(0, 4),
    number=st.integers(0, 2**32 - 1),
)
def test_what_is_opened_is_the_sum_without_the_steps_up_to_the_tier(
    schools: int, steps: int, cells: int, tier: int, number: int
) -> None:
    tier = min(tier, steps)
    rows = np.random.default_rng(number).integers(-(2**40), 2**40, (schools, 1 + steps, cells))
    total = TierSum(cells, tier)
    assert total.num_elements == (1 + tier) * cells
    for school in range(schools):
        total.add_report(masked_report(rows[school], school)[: total.num_elements])
    answers = []
    for subset in subsets(N, T):
        answer = TierSum(cells, tier)
        answer.add_masks(subset, [seed_of(school, subset) for school in range(schools)], ROUND_ID, N, T)
        answers.append(answer.value())
    expected = rows[:, 0].sum(axis=0) - rows[:, 1 : 1 + tier].sum(axis=(0, 1))
    assert np.array_equal(unmask(total.value(), answers), expected)


def test_an_answer_is_the_combination_of_the_streams() -> None:
    seeds, cells, tier = [seed_of(school, 5) for school in range(3)], 4, 2
    answer = TierSum(cells, tier)
    answer.add_masks(5, seeds[:1], ROUND_ID, N, T)
    answer.add_masks(5, seeds[1:], ROUND_ID, N, T)
    expected = np.zeros(cells, np.uint64)
    for seed in seeds:
        expected = add(expected, stream(seed, 5, 1, cells))
        for usage in (17, 18):
            expected = subtract(expected, stream(seed, 5, usage, cells))
    assert np.array_equal(answer.value(), expected)


def test_tier_0_is_the_plain_sum() -> None:
    answer, plain = TierSum(6, 0), MaskSum(6)
    for school in range(3):
        answer.add_masks(9, [seed_of(school, 9)], ROUND_ID, N, T)
        add_report_mask(plain, 9, seed_of(school, 9), ROUND_ID, N, T)
    assert np.array_equal(answer.value(), plain.value())
    answer.add_report(np.arange(6, dtype=np.uint64))
    plain.add_vector(np.arange(6, dtype=np.uint64))
    assert np.array_equal(answer.value(), plain.value())


def test_the_extremes_of_counts_and_noise_do_not_wrap() -> None:
    most, steps = 2**62 // (5 * 13), MAX_STEPS
    rows = np.full((5, 1 + steps, 2), most, np.int64)
    rows[:, 1:, :] *= -1
    rows[:, :, 1] *= -1
    total = TierSum(2, steps)
    for school in range(5):
        total.add_report(masked_report(rows[school], school))
    answers = []
    for subset in subsets(N, T):
        answer = TierSum(2, steps)
        answer.add_masks(subset, [seed_of(school, subset) for school in range(5)], ROUND_ID, N, T)
        answers.append(answer.value())
    assert unmask(total.value(), answers).tolist() == [5 * 13 * most, -5 * 13 * most]


def test_values_may_be_read_while_more_comes() -> None:
    total = TierSum(1, 1)
    total.add_report(np.array([3, MODULUS - 1], np.uint64))
    assert total.value().tolist() == [4]
    total.add_report(np.array([0, 9], np.uint64))
    assert total.value().tolist() == [MODULUS - 5]


@pytest.mark.parametrize("tier", [-1, MAX_STEPS + 1])
def test_there_is_no_other_tier(tier: int) -> None:
    with pytest.raises(ParameterError, match=f"lies in 0..12, found {tier}"):
        TierSum(3, tier)


@pytest.mark.parametrize(
    "elements",
    [np.zeros(5, np.uint64), np.zeros(7, np.uint64), np.zeros(6, np.int64), np.zeros((2, 3), np.uint64)],
    ids=["short", "long", "signed", "in two dimensions"],
)
def test_reports_of_another_shape_are_refused_and_change_nothing(elements: np.ndarray) -> None:
    total = TierSum(3, 1)
    with pytest.raises(ShapeMismatchError):
        total.add_report(elements)
    assert total.value().tolist() == [0, 0, 0]


def test_a_bad_seed_or_subset_changes_nothing() -> None:
    total = TierSum(3, 1)
    with pytest.raises(ParameterError):
        total.add_masks(3, [bytes(31)], ROUND_ID, N, T)
    with pytest.raises(ParameterError):
        total.add_masks(1, [bytes(32)], ROUND_ID, N, T)
    assert total.value().tolist() == [0, 0, 0]


def test_a_masked_step_looks_uniform_to_who_lacks_one_seed() -> None:
    """All auditors but those of one subset know every other mask; what is left hides the step and y."""
    rows, cells = np.zeros((2, 2000), np.int64), 2000
    report = masked_report(rows, 7)
    unknown = next(subset for subset in subsets(N, T) if subset not in subsets_with(0, N, T))
    left = report
    for subset, seed in seeds_of(7).items():
        if subset != unknown:
            known = np.concatenate([stream(seed, subset, usage, cells) for usage in (1, 17)])
            left = add(left, known)
    y, w_1 = left[:cells], left[cells:]
    assert not np.array_equal(y, w_1)
    for vector in (y, w_1, subtract(y, w_1)):
        bits = (vector >> np.uint64(63)).sum()  # false alarm at 6 sigma: 2e-9, of a fixed draw
        assert abs(int(bits) - cells // 2) < 6 * (cells / 4) ** 0.5
