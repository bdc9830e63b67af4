"""Subsets and parameters: set equivocation works on exactly what validate_parameters refuses."""

from itertools import combinations, product
from math import comb

import numpy as np
import pytest

from crypto import derivation, sharing
from crypto.errors import ParameterError
from crypto.field64 import FieldVector, add, centre_lift, subtract
from crypto.mask_sum import MaskSum
from crypto.replication import covers, rank, subsets, subsets_with, validate_parameters

PAIRS = [(n, t) for n in range(1, 8) for t in range(1, n + 1)]
ROUND_ID = bytes(32)


@pytest.mark.parametrize(
    "parameters",
    [(3, 3, 2, 3), (4, 3, 1, 3), (5, 4, 2, 4), (7, 5, 2, 5), (1, 1, 0, 1), (2, 2, 1, 2)],
    ids=str,
)
def test_the_documented_choices_pass(parameters: tuple[int, int, int, int]) -> None:
    validate_parameters(*parameters)


@pytest.mark.parametrize(
    ("parameters", "rule"),
    [
        ((0, 0, 0, 0), "t <= n"),
        ((3, 0, 0, 3), "1 <= t"),
        ((3, 4, 0, 3), "t <= n"),
        ((8, 5, 0, 5), "n <= 7"),
        ((4, 3, -1, 3), "0 <= f"),
        ((4, 3, 3, 4), "f <= t - 1"),
        ((1, 1, 1, 1), "f <= t - 1"),
        ((3, 2, 1, 2), "t > (n + f)/2"),
        ((4, 2, 0, 3), "t > (n + f)/2"),
        ((5, 4, 3, 4), "t > (n + f)/2"),
        ((4, 3, 2, 4), "t > (n + f)/2"),
        ((4, 3, 1, 2), "q > (n + f)/2"),
        ((5, 4, 1, 3), "q > (n + f)/2"),
        ((5, 5, 0, 4), "t <= q"),
        ((4, 3, 1, 5), "q <= n"),
        ((3, 2, 0, 4), "q <= n"),
    ],
    ids=str,
)
def test_a_broken_rule_is_named(parameters: tuple[int, int, int, int], rule: str) -> None:
    with pytest.raises(ParameterError) as caught:
        validate_parameters(*parameters)
    assert rule in str(caught.value)


def test_q_abandons_prove_that_a_round_never_opens() -> None:
    for n, t, f, q in product(range(1, 8), repeat=4):
        if is_valid(n, t, f, q):
            assert n - q + f < t


@pytest.mark.parametrize(("n", "t"), PAIRS)
def test_any_t_auditors_hold_every_seed_and_fewer_do_not(n: int, t: int) -> None:
    assert len(subsets(n, t)) == comb(n, t - 1) <= 254
    for size in range(n + 1):
        for indices in combinations(range(n), size):
            held = {subset for index in indices for subset in subsets_with(index, n, t)}
            assert covers(indices, n, t) == (held == set(subsets(n, t))) == (size >= t)


@pytest.mark.parametrize(("n", "t"), PAIRS)
def test_subsets_ascend_and_rank_is_their_position(n: int, t: int) -> None:
    listed = subsets(n, t)
    assert list(listed) == [mask for mask in range(1 << n) if mask.bit_count() == n - t + 1]
    assert [rank(subset, n, t) for subset in listed] == list(range(len(listed)))
    for index in range(n):
        assert subsets_with(index, n, t) == tuple(mask for mask in listed if mask & (1 << index))
        assert len(subsets_with(index, n, t)) == comb(n - 1, t - 1)


def test_an_auditor_counts_once_and_strangers_do_not_count() -> None:
    assert not covers([0, 0, 0], 4, 3)
    assert not covers([0, 1, 4, -1], 4, 3)


@pytest.mark.parametrize("subset", [0, 1, 7, 15, 17, -3])
def test_a_subset_of_another_size_has_no_rank(subset: int) -> None:
    with pytest.raises(ParameterError):
        rank(subset, 4, 3)


@pytest.mark.parametrize(("n", "t"), [(0, 0), (3, 0), (3, 4), (8, 8), (-1, 1)])
def test_no_subsets_without_valid_n_and_t(n: int, t: int) -> None:
    with pytest.raises(ParameterError):
        subsets(n, t)


@pytest.mark.parametrize("index", [-1, 4])
def test_a_stranger_holds_no_subsets(index: int) -> None:
    with pytest.raises(ParameterError):
        subsets_with(index, 4, 3)


def is_valid(n: int, t: int, f: int, q: int) -> bool:
    try:
        validate_parameters(n, t, f, q)
    except ParameterError:
        return False
    return True


def equivocations(n: int, t: int, f: int) -> list[tuple[int, ...]]:
    """Every way to show set 0 or set 1 to the honest auditors f..n-1 that exposes the difference of the sets.

    Auditors 0..f-1 collude. For each seed that they lack, both sums of its masks must have been answered.
    """
    unknown = [subset for subset in subsets(n, t) if subset & ((1 << f) - 1) == 0]
    return [
        shown
        for shown in product((0, 1), repeat=n - f)
        if all({shown[i - f] for i in range(f, n) if subset >> i & 1} == {0, 1} for subset in unknown)
    ]


@pytest.mark.parametrize(("n", "t"), PAIRS)
def test_brute_force_set_equivocation_works_exactly_where_the_rule_is_broken(n: int, t: int) -> None:
    for f in range(t):
        assert bool(equivocations(n, t, f)) == (2 * t <= n + f)
        for q in range(1, n + 1):
            assert not (equivocations(n, t, f) and is_valid(n, t, f, q))


def test_two_quorums_share_an_honest_auditor() -> None:
    for n, t, f, q in product(range(1, 6), repeat=4):
        if is_valid(n, t, f, q):
            for a, b in product(combinations(range(n), q), repeat=2):
                assert len(set(a) & set(b)) > f


def answers(
    seeds: list[dict[int, bytes]], cells: int, auditor: int, shown: list[int], n: int, t: int
) -> dict[int, FieldVector]:
    """What an honest auditor returns for the set of reports it is shown: its sums, once."""
    sums = {subset: MaskSum(cells) for subset in subsets_with(auditor, n, t)}
    for school, (subset, acc) in product(shown, sums.items()):
        sharing.add_report_mask(acc, subset, seeds[school][subset], ROUND_ID, n, t)
    return {subset: acc.value() for subset, acc in sums.items()}


@pytest.mark.parametrize(("n", "t", "f"), [(3, 2, 1), (4, 2, 0), (5, 3, 1), (5, 4, 3)])
def test_the_attack_takes_one_schools_table_and_is_refused(n: int, t: int, f: int) -> None:
    tables = np.random.default_rng(1).integers(0, 300, (6, 9), dtype=np.int64)
    seeds = [derivation.seeds(bytes([i]) * 32, subsets(n, t)) for i in range(6)]
    victim, everybody = 4, list(range(6))
    y = sharing.mask_vector(tables[victim], seeds[victim], ROUND_ID, n, t)
    shown = equivocations(n, t, f)[0]
    sets = ([i for i in everybody if i != victim], everybody)
    returned = [answers(seeds, 9, auditor, sets[shown[auditor - f]], n, t) for auditor in range(f, n)]
    for subset in subsets(n, t):
        if subset & ((1 << f) - 1):  # a colluding auditor holds the seed
            mask = answers(seeds, 9, (subset & -subset).bit_length() - 1, [victim], n, t)[subset]
        else:
            with_victim = next(r[subset] for r, s in zip(returned, shown, strict=True) if s and subset in r)
            without = next(r[subset] for r, s in zip(returned, shown, strict=True) if not s and subset in r)
            mask = subtract(with_victim, without)
        y = add(y, mask)
    assert centre_lift(y).tolist() == tables[victim].tolist()
    assert not any(is_valid(n, t, f, q) for q in range(1, n + 1))
