"""The turnout ladder's numbers: tiers, components, what each tier costs and what variance it leaves."""

import math
from fractions import Fraction

import numpy as np
import pytest

from crypto import sharing
from privacy.accountant import (
    MAX_S2,
    MIN_S2,
    ClaimInput,
    TableNoise,
    claimed_rho,
    size_noise,
    table_rho,
)
from privacy.discrete_gaussian import Sampler
from privacy.errors import NoiseParameterError
from privacy.ladder import (
    MAX_STEPS,
    WIDEST_RATIO,
    choose_tiers,
    component_variances,
    left_at,
    terms_at,
    tier_of,
    verify_tiers,
)
from privacy.sum_of_noises import MAX_SCHOOLS, tau_of, variance_of
from protos import statement_base

SIZES = [(8, 1), (10, 1), (14, 1), (20, 1), (25, 1), (26, 1), (28, 1), (40, 2), (60, 1), (90, 1), (100, 2),
         (200, 1), (1000, 5), (100_000, 1)]  # fmt: skip


def ladder_of(schools, colluding, percent):
    """Tiers from h on, for a floor of so many per cent of the schools."""
    h = max(5, -(-percent * schools // 100)) - colluding
    return (h, *choose_tiers(h, colluding, schools))


@pytest.mark.parametrize(("schools", "colluding"), SIZES)
@pytest.mark.parametrize("percent", [65, 80, 95])
def test_a_chosen_ladder_leaves_at_most_8_percent_too_much_at_every_turnout(schools, colluding, percent):
    tiers = ladder_of(schools, colluding, percent)
    assert list(tiers) == sorted(set(tiers))
    assert tiers[-1] == schools - colluding or len(tiers) == 1
    assert len(tiers) - 1 <= MAX_STEPS
    turnouts = (
        range(tiers[0] + colluding, schools + 1) if schools <= 1000 else [schools, *_edges(tiers, colluding)]
    )
    worst = max(Fraction(s, tiers[tier_of(tiers, s - colluding)]) for s in turnouts)
    floor = Fraction(tiers[0] + colluding, tiers[0])  # nothing is better at the fewest reports
    assert worst <= max(WIDEST_RATIO, floor) + (0 if colluding == 1 else Fraction(1, 50))


def _edges(tiers, colluding):
    return [tier + colluding + d for tier in tiers for d in (0, -1) if tier + d >= tiers[0]]


def test_known_ladders():
    assert choose_tiers(19, 1, 25) == (20, 21, 22, 23, 24)
    assert choose_tiers(71, 1, 90) == (72, 77, 83, 89)
    assert choose_tiers(64, 1, 100) == (65, 70, 75, 80, 86, 92, 99)
    assert choose_tiers(4, 1, 5) == ()
    assert choose_tiers(4, 1, 4) == ()


@pytest.mark.parametrize(
    ("h", "colluding", "schools", "tiers"),
    [
        (18, 5, 40, (19, 20, 21, 22, 24, 26, 28, 31, 35)),
        (14, 2, 47, (15, 16, 17, 19, 21, 23, 25, 28, 31, 35, 40, 45)),
        (28, 5, 68, (29, 30, 31, 33, 35, 37, 40, 43, 47, 52, 57, 63)),
        (25, 2, 75, (26, 28, 30, 33, 36, 39, 43, 47, 52, 58, 65, 73)),
    ],
)
def test_where_the_steps_would_run_out_the_ratio_widens_by_the_least_that_is_enough(
    h, colluding, schools, tiers
):
    """A plan is published once: another choice would be another plan."""
    assert choose_tiers(h, colluding, schools) == tiers


def test_all_rooms_agree_how_many_steps_a_ladder_may_have():
    assert MAX_STEPS == sharing.MAX_STEPS == statement_base.MAX_STEPS == 12
    assert MAX_S2 == statement_base.MAX_S2


@pytest.mark.parametrize(
    "tiers", [(), (19, 20), (19, *range(20, 31)), (19, *range(20, 32)), (19, MAX_SCHOOLS)]
)
def test_ladders_up_to_the_bounds_are_taken(tiers):
    verify_tiers(tiers, 19)


def test_with_many_colluding_schools_the_ratio_widens_before_the_steps_run_out():
    tiers = (20, *choose_tiers(20, 20, 200))
    assert len(tiers) - 1 <= MAX_STEPS
    assert max(Fraction(s, tiers[tier_of(tiers, s - 20)]) for s in range(40, 201)) <= 2


@pytest.mark.parametrize(
    ("honest", "tier"), [(0, 0), (18, 0), (19, 0), (20, 0), (21, 1), (24, 1), (25, 2), (99, 2)]
)
def test_the_tier_is_the_highest_that_enough_honest_schools_reach(honest, tier):
    assert tier_of((19, 21, 25), honest) == tier


def test_without_a_ladder_every_turnout_is_tier_0():
    assert tier_of((), 0) == tier_of((), 500) == 0
    assert component_variances(Fraction(31, 2), (4,)) == (4,)


@pytest.mark.parametrize(
    "tiers",
    [(19,), (18, 20), (19, 19), (19, 21, 20), (20, 19), (19, MAX_SCHOOLS + 1), (19, *range(20, 33))],
)
def test_tiers_that_are_no_ladder_are_refused(tiers):
    with pytest.raises(NoiseParameterError):
        verify_tiers(tiers, 19)
    with pytest.raises(NoiseParameterError):
        size_noise(2, Fraction(1, 60), 19, tiers)


def test_the_components_of_a_tier_add_up_to_the_trusted_curators_variance():
    v, tiers = Fraction(1000), (4, 5, 8)
    components = component_variances(v, tiers)
    assert components == (125, 50, 75)  # 1000/8, 1000/4 - 1000/5, 1000/5 - 1000/8
    assert [left_at(components, tier) for tier in range(3)] == [250, 200, 125]
    assert [terms_at(components, tiers, tier) for tier in range(3)] == [
        ((125, 4), (50, 4), (75, 4)),
        ((125, 5), (75, 5)),
        ((125, 8),),
    ]
    assert [variance_of(terms_at(components, tiers, tier)) for tier in range(3)] == [1000, 1000, 1000]


@pytest.mark.parametrize("tier", [-1, 3, True, 1.0])
def test_there_is_no_other_tier(tier):
    with pytest.raises(NoiseParameterError):
        left_at((125, 50, 75), tier)


@pytest.mark.parametrize(("schools", "colluding"), SIZES)
@pytest.mark.parametrize("rho", [Fraction(1, 5), Fraction(5, 157), Fraction(1, 2000)])
def test_every_tier_costs_what_the_table_was_given_and_no_tier_wastes_more_than_a_percent(
    schools, colluding, rho
):
    tiers = ladder_of(schools, colluding, 80)
    if len(tiers) == 1:
        pytest.skip("every school must report")
    noise = size_noise(2, rho, tiers[0], tiers)
    table = ClaimInput(2, 2, noise.scale, noise.s2, 100, noise.steps, tiers)
    assert min(noise.components) >= MIN_S2
    assert sum(noise.components) == noise.s2 <= MAX_S2
    assert rho * Fraction(98, 100) <= table_rho(table, tiers[0]) <= rho
    target = Fraction(2 * noise.scale**2) / (2 * rho)
    for tier, honest in enumerate(tiers):
        assert target <= honest * noise.left_at(tier) <= target * Fraction(101, 100)


def test_the_dearest_tier_is_charged():
    """A ladder whose highest tier is too narrow: only that one costs more, and it is what is claimed."""
    narrow = ClaimInput(2, 2, 64, 15000 + 4000 + 4000, 10, (4000, 4000), (4, 5, 6))
    sums = ((4, 23_000), (5, 19_000), (6, 15_000))
    alone = [table_rho(ClaimInput(2, 2, 64, s2, 10), honest) for honest, s2 in sums]
    assert max(alone) == alone[2] > alone[0] > alone[1]
    assert max(alone) <= table_rho(narrow, 4) <= max(alone) + Fraction(1, 10**12)
    assert claimed_rho([narrow, narrow], 4) == 2 * table_rho(narrow, 4)


def test_the_tau_of_a_tier_is_that_of_all_its_terms(monkeypatch):
    seen = []

    def spy(terms):
        seen.append(terms)
        return tau_of(terms)

    monkeypatch.setattr("privacy.accountant.tau_of", spy)
    table_rho(ClaimInput(2, 2, 64, 60, 10, (20, 30), (4, 5, 6)), 4)
    assert set(seen) == {((10, 4), (20, 4), (30, 4)), ((10, 5), (30, 5)), ((10, 6),)}


def test_the_scale_is_raised_until_every_component_is_wide_enough():
    plain = size_noise(2, Fraction(1, 64), 800)
    laddered = size_noise(2, Fraction(1, 64), 800, (800, 805, 999))
    assert plain.scale == 64
    assert laddered.scale > 64
    assert min(laddered.components) >= MIN_S2


def test_a_ladder_that_no_scale_fits_is_refused():
    with pytest.raises(NoiseParameterError, match="change the table's weight"):
        size_noise(2, Fraction(1, 64), 2, (2, 199_999, 200_000))


def test_a_ladder_over_another_number_of_schools_is_refused():
    table = ClaimInput(2, 2, 64, 60, 10, (20,), (4, 5))
    with pytest.raises(NoiseParameterError, match="rising from h = 5"):
        table_rho(table, 5)


@pytest.mark.parametrize(
    ("s2", "steps", "tiers"),
    [
        (60, (20,), ()),
        (60, (), (4, 5)),
        (60, (20, 20), (4, 5)),
        (60, (8,), (4, 5)),
        (60, (52,), (4, 5)),
        (60, (60,), (4, 5)),
        (MAX_S2 + 1, (20,), (4, 5)),
    ],
    ids=["no tiers", "no steps", "too many steps", "narrow step", "narrow z_0", "no z_0", "too wide"],
)
def test_claims_of_no_ladder_are_refused(s2, steps, tiers):
    with pytest.raises(NoiseParameterError):
        ClaimInput(2, 2, 64, s2, 10, steps, tiers)


def test_a_tables_noise_says_its_components_and_what_a_tier_leaves():
    noise = TableNoise(64, 60, Fraction(1, 5), (20, 30))
    assert noise.components == (10, 20, 30)
    assert [noise.left_at(tier) for tier in range(3)] == [60, 40, 10]
    assert noise.standard_error(4, tier=2) == math.sqrt(40) / 64
    assert noise.standard_error(4) == math.sqrt(240) / 64
    assert TableNoise(64, 60, Fraction(1, 5)).components == (60,)
    with pytest.raises(NoiseParameterError):
        TableNoise(64, 60, Fraction(1, 5), (55,))


def test_draws_of_the_components_have_the_variance_of_every_tier():
    """Seven schools, 40,000 cells: each tier's sum of squares within 6 sigma (2e-9), tiers 15 % apart."""
    schools, cells, tiers = 7, 40_000, (4, 5, 6)
    noise = size_noise(2, Fraction(1, 60), 4, tiers)
    drawn = np.zeros((3, cells), np.int64)
    for step, s2 in enumerate(noise.components):
        stream = np.random.default_rng(step)
        for _ in range(schools):
            drawn[step] += Sampler(s2).sample(stream.bytes, cells)
    for tier in range(3):
        left = drawn[0] + drawn[tier + 1 :].sum(axis=0)
        ratio = float((left.astype(float) ** 2).mean()) / (schools * noise.left_at(tier))
        assert abs(ratio - 1) < 6 * math.sqrt(2 / cells)
