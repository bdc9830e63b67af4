"""The same noise seen under both relations, alone, and with what the sampler is off by."""

from dataclasses import replace
from fractions import Fraction

import pytest
from plan_samples import ready_plan

from plan.costs import drawn_distance, rho_alone, rho_under
from plan.layout import Layout, build_layout
from privacy.accountant import ClaimInput, size_noise
from privacy.discrete_gaussian import sampler_distance
from privacy.sensitivity import Neighbouring

BOTH = (Neighbouring.REPLACE_ONE, Neighbouring.ADD_REMOVE)


def layout_of(neighbouring: Neighbouring = Neighbouring.REPLACE_ONE) -> Layout:
    return build_layout(replace(ready_plan(), neighbouring=neighbouring))


@pytest.mark.parametrize("neighbouring", BOTH)
def test_under_its_own_relation_a_round_costs_its_claim(neighbouring: Neighbouring) -> None:
    layout = layout_of(neighbouring)
    assert rho_under(layout, neighbouring) == layout.claimed_rho


def test_the_other_relation_is_half_or_twice_of_it() -> None:
    replaced, added = layout_of(), layout_of(Neighbouring.ADD_REMOVE)
    grid = Fraction(1, 10**12)
    assert abs(2 * rho_under(replaced, Neighbouring.ADD_REMOVE) - replaced.claimed_rho) < grid
    assert abs(rho_under(added, Neighbouring.REPLACE_ONE) - 2 * added.claimed_rho) < grid


def test_alone_every_one_of_the_h_schools_shares_is_missing_but_one() -> None:
    layout = layout_of()
    alone = rho_alone(layout, Neighbouring.REPLACE_ONE)
    assert float(alone / layout.claimed_rho) == pytest.approx(layout.noise_schools, rel=1e-9)
    assert float(rho_alone(layout, Neighbouring.ADD_REMOVE) / alone) == pytest.approx(0.5, rel=1e-9)


def test_alone_a_ladder_leaves_only_what_its_highest_tier_leaves() -> None:
    """Who opens a single report opens its steps too."""
    layout, tiers = layout_of(), (47, 50, 54, 59)
    noise = size_noise(2, Fraction(1, 10), 47, tiers)
    table = replace(layout.tables[0], noise=noise)
    one = replace(layout, tables=(table,))
    claim = ClaimInput(2, 2, noise.scale, noise.left_at(3), table.cells)
    assert noise.left_at(3) < noise.s2
    assert rho_alone(one, Neighbouring.REPLACE_ONE) == pytest.approx(
        Fraction(claim.delta_sq * claim.scale**2, 2 * claim.s2), rel=1e-9
    )


def test_the_distance_is_that_of_every_value_that_is_drawn() -> None:
    layout = layout_of()
    expected = sum(table.cells * sampler_distance(table.noise.s2) for table in layout.tables)
    assert drawn_distance(layout, 60) == 60 * expected
    assert drawn_distance(layout, 60) < Fraction(1, 1 << 100)


def test_the_distance_counts_the_components_of_a_ladder() -> None:
    layout = layout_of()
    noise = size_noise(2, Fraction(1, 10), 47, (47, 50, 59))
    table = replace(layout.tables[0], noise=noise)
    drawn = sum(sampler_distance(s2) for s2 in noise.components)
    assert len(noise.components) == 3
    assert drawn_distance(replace(layout, tables=(table,)), 1) == table.cells * drawn
