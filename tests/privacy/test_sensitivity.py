"""Sensitivity: the formulas, what they refuse, and a search for records that break the bound."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.errors import PrivacyError, SensitivityError
from privacy.sensitivity import (
    MAX_CAP,
    MAX_RANGE,
    Neighbouring,
    count_table_l1_sensitivity,
    count_table_sensitivity,
    numeric_sum_l1_sensitivity,
    numeric_sum_sensitivity,
)

REPLACE, ADD = Neighbouring.REPLACE_ONE, Neighbouring.ADD_REMOVE


@pytest.mark.parametrize(
    ("cap", "neighbouring", "squared", "absolute"),
    [(1, REPLACE, 2, 2), (8, REPLACE, 16, 16), (4, REPLACE, 8, 8), (1, ADD, 1, 1), (8, ADD, 8, 8)],
)
def test_count_table_costs_the_square_root_of_the_cells_touched(cap, neighbouring, squared, absolute):
    assert count_table_sensitivity(cap, neighbouring) == squared
    assert count_table_l1_sensitivity(cap, neighbouring) == absolute


@pytest.mark.parametrize(
    ("low", "high", "neighbouring", "squared", "absolute"),
    [(0, 90, REPLACE, 16200, 180), (-5, 5, REPLACE, 200, 20), (10, 13, ADD, 9, 3)],
)
def test_numeric_sum_costs_its_range_not_its_largest_value(low, high, neighbouring, squared, absolute):
    assert numeric_sum_sensitivity(low, high, neighbouring) == squared
    assert numeric_sum_l1_sensitivity(low, high, neighbouring) == absolute


@pytest.mark.parametrize("cap", [0, -1, MAX_CAP + 1, 1.0, True, None, "1"])
def test_cap_out_of_range_is_refused(cap):
    with pytest.raises(SensitivityError, match=r"cap: expected an integer from 1"):
        count_table_sensitivity(cap, REPLACE)
    with pytest.raises(SensitivityError, match=r"cap: expected an integer from 1"):
        count_table_l1_sensitivity(cap, REPLACE)


@pytest.mark.parametrize("relation", ["replace-one", "both", None, 2])
def test_relation_that_is_not_the_enum_is_refused(relation):
    with pytest.raises(SensitivityError, match="'replace-one', 'add-remove'"):
        count_table_sensitivity(1, relation)


@pytest.mark.parametrize(
    ("low", "high"), [(0, 0), (5, 4), (0, MAX_RANGE + 1), (0.0, 1), (0, True), (-MAX_RANGE, MAX_RANGE)]
)
def test_range_that_bounds_nothing_is_refused(low, high):
    with pytest.raises(PrivacyError):
        numeric_sum_sensitivity(low, high, REPLACE)


@pytest.mark.parametrize(
    ("low", "high", "name"),
    [
        (-MAX_RANGE - 1, -MAX_RANGE, "low"),
        (0.0, 1, "low"),
        (MAX_RANGE, MAX_RANGE + 1, "high"),
        (0, True, "high"),
        (5, 5, "high - low"),
        (-1, MAX_RANGE, "high - low"),
    ],
)
def test_the_end_that_is_out_of_range_is_named(low, high, name):
    for function in (numeric_sum_sensitivity, numeric_sum_l1_sensitivity):
        with pytest.raises(SensitivityError, match=f"^{name}: expected an integer"):
            function(low, high, REPLACE)


def test_the_largest_cap_and_the_widest_range_are_allowed():
    assert count_table_sensitivity(65_536, REPLACE) == 131_072
    assert MAX_CAP == 65_536
    for low in (0, -1_048_576, -5):
        assert numeric_sum_sensitivity(low, low + 1_048_576, ADD) == 1_048_576**2
    assert MAX_RANGE == 1_048_576


def _counts(touched: set[int]) -> np.ndarray:
    table = np.zeros(24, dtype=np.int64)
    table[list(touched)] += 1
    return table


@given(
    st.integers(1, 8).flatmap(
        lambda cap: st.tuples(st.just(cap), *[st.sets(st.integers(0, 23), max_size=cap)] * 2)
    )
)
def test_no_exchange_of_one_record_moves_a_count_table_further(case):
    cap, before, after = case
    change = _counts(after) - _counts(before)
    assert int(change @ change) <= count_table_sensitivity(cap, REPLACE)
    assert int(np.abs(change).sum()) <= count_table_l1_sensitivity(cap, REPLACE)
    alone = _counts(after)
    assert int(alone @ alone) <= count_table_sensitivity(cap, ADD)


def test_the_bound_is_reached_by_disjoint_cells():
    change = _counts(set(range(8))) - _counts(set(range(8, 16)))
    assert int(change @ change) == count_table_sensitivity(8, REPLACE)


_value = st.none() | st.integers(-200, 200)


@given(st.integers(-50, 50), st.integers(1, 90), _value, _value, st.integers(0, 5), st.integers(0, 5))
def test_no_exchange_of_one_record_moves_a_numeric_sum_further(
    low, width, before, after, cell_before, cell_after
):
    high = low + width

    def contribution(value, cell):
        table = np.zeros(6, dtype=np.int64)
        table[cell] = 0 if value is None else min(max(value, low), high) - low
        return table

    change = contribution(after, cell_after) - contribution(before, cell_before)
    assert int(change @ change) <= numeric_sum_sensitivity(low, high, REPLACE)
    assert int(np.abs(change).sum()) <= numeric_sum_l1_sensitivity(low, high, REPLACE)
    assert int(change @ change) != 2 * width**2 or numeric_sum_sensitivity(low, high, REPLACE) == 2 * width**2
