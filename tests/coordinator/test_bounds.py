"""No honest sum is too large for the field, whatever a plan asks for: extremes come back exactly."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_samples import ready_plan

from coordinator.combine import tables_outside
from crypto.derivation import seeds as derive_seeds
from crypto.field64 import MAX_LIFT
from crypto.mask_sum import MaskSum
from crypto.replication import subsets
from crypto.sharing import add_report_mask, mask_vector, unmask
from plan.errors import LayoutError
from plan.layout import Layout, build_layout
from plan.rules import MAX_REPORTS
from plan.table_spec import TableSpec
from privacy.discrete_gaussian import table_bound
from privacy.sensitivity import MAX_RANGE

MOST_PUPILS = 1_000_000  # of one school, the largest `pupils` that is believed
ROUND_ID = bytes(32)


def layout_of(width: int, rho: Fraction, schools: int) -> Layout:
    """Lay out a table of counts and one of sums."""
    count = TableSpec(id="N", title="表", dims=("sex",))
    total = TableSpec(id="M", title="表", dims=("sex",), sum="duration_s", range=(0, width))
    plan = replace(ready_plan(), tables=(count, total), rho=rho, min_reports=schools)
    return build_layout(plan)


@given(
    st.integers(1, MAX_RANGE),
    st.fractions(Fraction(1, 1000), Fraction(1, 2), max_denominator=1000),
    st.integers(5, MAX_REPORTS),
)
@settings(max_examples=150, deadline=None)
def test_the_largest_sum_of_the_largest_federation_fits_the_field(
    width: int, rho: Fraction, schools: int
) -> None:
    """What bounds it is the sampler: scale * (hi - lo) is at most 4096 * sqrt(h * rho)."""
    try:
        layout = layout_of(width, rho, schools)
    except LayoutError:
        return  # it would need more noise than the sampler has: no such plan can be published
    for table in layout.tables:
        most = table.noise.scale * table.per_pupil * MOST_PUPILS * MAX_REPORTS
        assert most + MAX_REPORTS * table_bound(table.noise.s2) < MAX_LIFT


@pytest.mark.parametrize("width", [1, 90, 3_660, 20_000])
def test_extremes_of_counts_and_sums_go_through_mask_and_unmask(width: int) -> None:
    layout = layout_of(width, Fraction(1, 2), 100)
    extremes = np.zeros((3, layout.cells), np.int64)
    pupils = 100 * MOST_PUPILS
    for table in layout.tables:
        z = int((196 * table.noise.s2 * 100) ** 0.5)
        most = table.noise.scale * table.per_pupil * pupils
        extremes[0, table.offset], extremes[1, table.offset + 1] = most + z, -z
        extremes[2, table.offset] = -most // 3  # another school's noise and count, far below zero
    seeds = [derive_seeds(bytes([school]) * 32, subsets(4, 3)) for school in range(3)]
    total = MaskSum(layout.cells)
    for row, school in zip(extremes, seeds, strict=True):
        total.add_vector(mask_vector(row, school, ROUND_ID, 4, 3))
    masks = []
    for subset in subsets(4, 3):
        mask = MaskSum(layout.cells)
        for school in seeds:
            add_report_mask(mask, subset, school[subset], ROUND_ID, 4, 3)
        masks.append(mask.value())
    opened = unmask(total.value(), masks)
    assert opened.tolist() == extremes.sum(axis=0).tolist()
    assert tables_outside(layout, opened - extremes[2], 100, pupils) == ()
    assert tables_outside(layout, opened - 2 * extremes[2], 100, pupils) == ("N", "M")
