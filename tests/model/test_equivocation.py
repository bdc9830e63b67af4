"""Set equivocation without the agreement: exact bounds, for every n up to 5 here, up to 7 in check.py."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from model.attack import Coordinator, County, split_in_three, split_in_two, unit
from model.equivocation import (
    families_agree,
    find,
    is_above_bound,
    isolates_by_any_number_of_sets,
    mismatches,
    nine_auditors_isolate_the_victim,
    parameters,
    shown_sets,
)
from model.linear import intersection, is_in_span, null_space, reduced_rows

from crypto.errors import ParameterError
from crypto.field64 import MODULUS
from crypto.replication import validate_parameters

VICTIM = 3
AT_THE_BOUND = [
    (n, (n + f) // 2, f) for n in range(2, 8) for f in range(n - 1) if (n + f) // 2 > f
]  # the largest t that is refused


def test_every_choice_of_two_and_three_sets_follows_the_bounds() -> None:
    assert mismatches(5) == []


def test_a_wrong_bound_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.equivocation.is_above_bound", lambda n, t, f: 2 * t >= n + f)
    assert len(mismatches(4)) > 3


@pytest.mark.parametrize("num_sets", [2, 3])
def test_classes_stand_for_every_assignment_of_sets_to_auditors(num_sets: int) -> None:
    assert all(families_agree(*row, num_sets) for row in parameters(5))


def test_all_venn_diagrams_are_looked_at() -> None:
    """Counted by hand for two: S ≠ S′, both non-empty: overlapping, disjoint, nested (two ways)."""
    assert len(list(shown_sets(2))) == 4
    assert len(list(shown_sets(3))) == 96
    assert find(4, 3, 1, 3).choices == 2 * 4 + 96


def test_the_default_tuple_with_two_sets_and_with_a_disjoint_union() -> None:
    two, three = find(4, 3, 1, 2), find(4, 3, 1, 3)
    assert (two.two_sums, two.isolates) == (False, False)
    assert (three.two_sums, three.two_sums_independent, three.isolates) == (True, False, False)


def test_one_auditor_answers_for_one_set() -> None:
    row = find(1, 1, 0, 3)
    assert (row.two_sums, row.isolates) == (False, False)


@pytest.mark.parametrize(
    ("honest", "s"), [(m, s) for m in range(1, 7) for s in range(1, m + 1) if 2 * s <= m + 1]
)
def test_no_number_of_sets_isolates_a_school_above_the_bound(honest: int, s: int) -> None:
    assert not isolates_by_any_number_of_sets(honest, s)


def test_with_nine_auditors_the_bound_alone_would_not_do() -> None:
    assert nine_auditors_isolate_the_victim()
    assert is_above_bound(9, 5, 0)
    with pytest.raises(ParameterError, match="n <= 7"):
        validate_parameters(9, 5, 0, 5)


@pytest.mark.parametrize("row", AT_THE_BOUND, ids=str)
def test_at_the_bound_the_victims_table_comes_out_and_the_tuple_is_refused(row: tuple[int, int, int]) -> None:
    n, t, f = row
    coordinator = split_in_two(n, t, f, VICTIM)
    found = coordinator.combination(unit(VICTIM, 6))
    assert found is not None
    assert found.tolist() == coordinator.county.tables[VICTIM].tolist()
    for q in range(1, n + 1):
        with pytest.raises(ParameterError):
            validate_parameters(n, t, f, q)


@pytest.mark.parametrize("row", [(n, t + 1, f) for n, t, f in AT_THE_BOUND], ids=str)
def test_one_above_the_bound_the_same_attack_gives_one_sum_only(row: tuple[int, int, int]) -> None:
    coordinator = split_in_two(*row, VICTIM)
    sums = [coordinator.combination(tuple(int(i != VICTIM or both) for i in range(6))) for both in (0, 1)]
    assert sum(found is not None for found in sums) <= 1
    assert coordinator.combination(unit(VICTIM, 6)) is None
    validate_parameters(*row, row[0])


def test_three_sets_open_two_sums_at_the_default_tuple() -> None:
    """Why the agreement is needed although t > (n + f)/2: P, Q, their union, each to one honest auditor."""
    coordinator = split_in_three(4, 3, 1)
    tables = coordinator.county.tables
    for weights in ((1,) * 5 + (0,) * 5, (0,) * 5 + (1,) * 5):
        found = coordinator.combination(weights)
        assert found is not None
        assert found.tolist() == sum(w * row for w, row in zip(weights, tables, strict=True)).tolist()
    assert all(coordinator.combination(unit(i, 10)) is None for i in range(10))


def test_with_the_agreement_exactly_one_sum_comes_out() -> None:
    """All honest auditors answer for one set: whatever f auditors add, the sum over it and nothing else."""
    for n, t, f in parameters(5):
        coordinator = Coordinator(County(n, t, 4), f)
        for auditor in range(f, n):
            coordinator.show(auditor, [0, 2, 3])
        opened = [w for w in product((0, 1), repeat=4) if any(w) and coordinator.combination(w) is not None]
        assert opened == [(1, 0, 1, 1)]


def test_t_colluding_auditors_need_no_answers() -> None:
    coordinator = Coordinator(County(4, 3, 3), 3)
    found = coordinator.combination(unit(1, 3))
    assert found is not None
    assert found.tolist() == coordinator.county.tables[1].tolist()


def test_an_honest_auditor_answers_once() -> None:
    coordinator = Coordinator(County(4, 3, 3), 1)
    coordinator.show(1, [0, 1])
    with pytest.raises(ValueError, match="answered already"):
        coordinator.show(1, [0])


def test_the_linear_algebra_on_cases_by_hand() -> None:
    assert reduced_rows([(2, 4), (1, 2)]) == [(1, 2)]
    assert null_space([(1, 1, 0)], 3) == [(MODULUS - 1, 1, 0), (0, 0, 1)]
    assert is_in_span((1, 1), [(1, 0), (0, 1)])
    assert not is_in_span((0, 1), [(1, 0)])
    assert intersection([[(1, 0, 0), (0, 1, 0)], [(0, 1, 0), (0, 0, 1)]], 3) == [(0, 1, 0)]
    for rows in combinations([(1, 0, 1), (0, 1, 1), (1, 1, 0)], 2):
        assert all(
            sum(a * b for a, b in zip(row, vector, strict=True)) % MODULUS == 0
            for row in rows
            for vector in null_space(rows, 3)
        )
