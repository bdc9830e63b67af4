"""Noise sizes, the tau term, claims against dp-accounting, and what is refused."""

import math
from fractions import Fraction

import dp_accounting
import mpmath
import numpy as np
import pytest
from dp_accounting.rdp import RdpAccountant
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.accountant import (
    MAX_S2,
    MIN_S2,
    ClaimInput,
    TableNoise,
    _sqrt_up,
    claimed_rho,
    compose,
    epsilon,
    size_noise,
    table_rho,
    tau,
    total_delta,
)
from privacy.errors import NoiseParameterError


def _tau_reference(s2: int, h: int) -> mpmath.mpf:
    with mpmath.workdps(150):
        return 10 * mpmath.fsum(
            mpmath.exp(-2 * mpmath.pi**2 * s2 * mpmath.mpf(k) / (k + 1)) for k in range(1, h)
        )


@pytest.mark.parametrize("h", [1, 2, 3, 8, 60, 2000])
@pytest.mark.parametrize("s2", [1, 2, 9, 10, 17, 18, 400])
def test_tau_is_an_upper_bound_within_one_part_in_1e9(s2, h):
    exact, bound = _tau_reference(s2, h), tau(s2, h)
    with mpmath.workdps(150):
        gap = mpmath.mpf(bound.numerator) / bound.denominator - exact
        assert gap >= 0
        assert gap <= exact * mpmath.mpf("1e-9") + 20 * h * mpmath.mpf(2) ** -256


def test_tau_is_negligible_from_s_3_on_for_any_number_of_schools():
    assert tau(9, 1) == 0
    assert tau(9, 2) == tau(9, 2) > 0
    assert tau(9, 1 << 18) < Fraction(1, 10**37)
    assert tau(MAX_S2, 1 << 18) < Fraction(1, 10**70)


@pytest.mark.parametrize(
    ("s2", "h"), [(0, 2), (-9, 2), (9, 0), (9, (1 << 18) + 1), (9.0, 2), (9, True), (MAX_S2 + 1, 2)]
)
def test_tau_refuses_what_it_cannot_bound(s2, h):
    with pytest.raises(NoiseParameterError):
        tau(s2, h)


def test_default_scale_and_the_variance_of_the_trusted_curator():
    noise = size_noise(2, Fraction(1, 31), 8)  # sigma^2 = 31
    assert (noise.scale, noise.s2) == (64, 15873)  # 64^2 * 31 / 8 = 15872, and one step for the tau term
    assert noise.standard_error(8) == pytest.approx(math.sqrt(31), rel=1e-4)
    assert noise.standard_error(32, cells=9) == pytest.approx(6 * math.sqrt(31), rel=1e-4)


def test_a_quotient_that_is_not_whole_is_rounded_up_once():
    assert size_noise(2, Fraction(1, 5), 7).s2 == math.ceil(Fraction(64**2 * 5, 7))


def test_scale_is_doubled_until_the_noise_is_at_least_3():
    noise = size_noise(2, Fraction(500), 10)
    assert noise.scale > 64
    assert MIN_S2 <= noise.s2 < 4 * MIN_S2 + 1


def test_scale_is_halved_while_the_table_would_be_too_long():
    noise = size_noise(2, Fraction(1, 10**5), 2)
    assert noise.scale == 16
    assert noise.s2 <= MAX_S2 < 4 * noise.s2


@pytest.mark.parametrize(
    ("delta_sq", "rho", "h"),
    [
        (0, Fraction(1, 5), 4),
        (-2, Fraction(1, 5), 4),
        (2, Fraction(0), 4),
        (2, Fraction(-1, 5), 4),
        (2, 0.2, 4),
        (2, Fraction(1, 5), 0),
        (2.0, Fraction(1, 5), 4),
        (2, Fraction(1, 10**12), 2),
        (2, Fraction(10**12), 4),
    ],
    ids=[
        "no-sensitivity", "negative-sensitivity", "rho-zero", "rho-negative", "rho-float", "no-school",
        "float-sensitivity", "too-much-noise", "too-little-noise",
    ],
)  # fmt: skip
def test_size_noise_refuses(delta_sq, rho, h):
    with pytest.raises(NoiseParameterError):
        size_noise(delta_sq, rho, h)


@settings(max_examples=60)
@given(
    st.integers(1, 40),
    st.fractions(Fraction(1, 10**4), Fraction(2), max_denominator=10**6),
    st.integers(1, 300),
    st.integers(1, 1 << 20),
)
def test_a_sized_table_costs_at_most_its_share_and_hardly_less(delta_sq, rho, h, cells):
    noise = size_noise(delta_sq, rho, h)
    cost = claimed_rho([ClaimInput(delta_sq, delta_sq, noise.scale, noise.s2, cells)], h)
    assert cost <= rho
    assert cost >= rho * (1 - Fraction(3, noise.s2))  # ceil and the one step for tau


def test_a_plan_of_thirds_never_claims_more_than_its_rho():
    rho, weights = Fraction(1, 3), [1, 1, 2, 3]
    tables = []
    for weight in weights:
        noise = size_noise(2, rho * Fraction(weight, sum(weights)), 9)
        tables.append(ClaimInput(2, 2, noise.scale, noise.s2, 100))
    assert rho - Fraction(1, 1000) < claimed_rho(tables, 9) <= rho


@pytest.mark.parametrize(
    ("table", "h"),
    [
        (ClaimInput(2, 2, 64, 15872, 100), 8),
        (ClaimInput(16, 16, 64, 460800, 96), 8),
        (ClaimInput(2, 2, 1, 9, 1), 1),
    ],
)
def test_claim_equals_the_trusted_curators_gaussian_in_dp_accounting(table, h):
    """The peer knows the continuous Gaussian of noise multiplier sigma/Delta: rho = 1 / (2 multiplier^2)."""
    multiplier = math.sqrt(h * table.s2 / (table.delta_sq * table.scale**2))
    accountant = RdpAccountant(orders=[2.0, 3.0, 10.0])
    accountant.compose(dp_accounting.GaussianDpEvent(multiplier))
    rho = float(table_rho(table, h))
    for order, renyi in zip([2.0, 3.0, 10.0], accountant._rdp, strict=True):
        assert renyi == pytest.approx(order * rho, rel=1e-6)


@pytest.mark.parametrize(
    "rho", [Fraction(1, 2), Fraction(1, 5), Fraction(1, 20), Fraction(1, 1000), Fraction(3)]
)
@pytest.mark.parametrize("delta", [1e-6, 1e-9, 1e-2])
def test_epsilon_equals_dp_accounting_to_1e_6(rho, delta):
    ours = epsilon(rho, delta)
    # the peer minimises over a list of orders, so it gets a fine one around the best
    centre = 1 + math.sqrt(math.log(1 / delta) / rho)
    orders = [1 + (centre - 1) * 1.0005**i for i in range(-3000, 3000)]
    accountant = RdpAccountant(orders=orders)
    accountant.compose(dp_accounting.ZCDpEvent(float(rho)))
    theirs = accountant.get_epsilon(delta)
    assert ours == pytest.approx(theirs, abs=1e-6)
    assert ours <= theirs + 1e-9


def test_epsilon_of_the_yearly_cap_is_the_figure_in_the_design():
    assert epsilon(Fraction(1, 2), 1e-6) == pytest.approx(5.2215, abs=1e-4)
    assert epsilon(Fraction(0), 1e-6) == 0


@pytest.mark.parametrize("rho", [Fraction(1, 50), Fraction(1, 2)])
def test_epsilon_is_never_below_the_exact_gaussian(rho):
    """The Gaussian is mu-GDP with mu = sqrt(2 rho); its exact epsilon is a floor for any conversion."""
    mu, value = mpmath.sqrt(2 * mpmath.mpf(rho.numerator) / rho.denominator), epsilon(rho, 1e-6)
    exact_delta = mpmath.ncdf(-value / mu + mu / 2) - mpmath.e**value * mpmath.ncdf(-value / mu - mu / 2)
    assert exact_delta < 1e-6


@pytest.mark.parametrize(
    ("rho", "delta"),
    [(-1, 1e-6), (1001, 1e-6), (Fraction(1, 2), 0), (Fraction(1, 2), 1), (Fraction(1, 2), -1)],
)
def test_epsilon_refuses(rho, delta):
    with pytest.raises(NoiseParameterError):
        epsilon(Fraction(rho), delta)


def test_claims_add_up_and_are_short_decimals():
    one = ClaimInput(2, 2, 64, 15873, 100)
    assert claimed_rho([one, one, one], 8) == 3 * table_rho(one, 8)
    assert 10**15 % table_rho(one, 8).denominator == 0
    assert compose([]) == 0


@pytest.mark.parametrize(
    ("table", "h"),
    [
        (ClaimInput(2, 2, 1, 9, 100), 2),
        (ClaimInput(2, 2, 1, 9, 1 << 20), 300),
        (ClaimInput(1 << 40, 1 << 50, 1, 9, 2), 300),
    ],
)
def test_every_claim_is_at_least_each_part_of_the_formula(table, h):
    """An independent evaluation with 60 digits, without any rounding up."""
    with mpmath.workdps(60):
        t = _tau_reference(table.s2, h)
        spread = 1 / mpmath.sqrt(mpmath.mpf(h) * table.s2)
        delta, delta_1 = mpmath.sqrt(table.delta_sq) * table.scale, table.delta_1 * table.scale
        first = delta**2 * spread**2 + 2 * t * table.cells
        second = delta**2 * spread**2 + 2 * t * delta_1 * spread + t**2 * table.cells
        third = (delta * spread + t * mpmath.sqrt(table.cells)) ** 2
        exact = min(first, second, third) / 2
        ours = table_rho(table, h)
        gap = mpmath.mpf(ours.numerator) / ours.denominator - exact
        assert 0 <= gap <= mpmath.mpf(10) ** -15


def test_the_tau_term_is_really_charged(monkeypatch):
    """With a large tau (the sum of very narrow Gaussians) all three forms differ, and the least is taken."""
    monkeypatch.setattr("privacy.accountant.tau_of", lambda terms: Fraction(1, 100))
    narrow = ClaimInput(2, 2, 1, 9, 4)
    e, t, d = Fraction(2, 18), Fraction(1, 100), 4
    first = e + 2 * t * d
    second = float(e) + 2 * float(t) * 2 / math.sqrt(18) + float(t) ** 2 * d
    third = (math.sqrt(e) + float(t) * math.sqrt(d)) ** 2
    assert len({round(float(first), 9), round(second, 9), round(third, 9)}) == 3
    assert float(table_rho(narrow, 2)) == pytest.approx(min(float(first), second, third) / 2, abs=1e-12)
    scaled = ClaimInput(2, 2, 4, 9, 4)
    second = float(16 * e) + 2 * float(t) * 8 / math.sqrt(18) + float(t) ** 2 * d
    assert float(table_rho(scaled, 2)) == pytest.approx(second / 2, abs=1e-12)
    wide = ClaimInput(1 << 30, 1 << 40, 1, 9, 1)
    assert float(table_rho(wide, 2)) == pytest.approx(((1 << 30) / 18 + 2 * 0.01) / 2, abs=1e-6)


@pytest.mark.parametrize(
    "values",
    [
        (0, 2, 64, 9, 1), (2, 0, 64, 9, 1), (2, 2, 0, 9, 1), (2, 2, 64, 8, 1), (2, 2, 64, 9, 0),
        (2, 2, 64, MAX_S2 + 1, 1), (2, 2, 64, 9, (1 << 20) + 1), (2, 2, 64.0, 9, 1),
    ],
)  # fmt: skip
def test_claim_input_refuses(values):
    with pytest.raises(NoiseParameterError):
        ClaimInput(*values)


def test_an_empty_round_is_refused():
    with pytest.raises(NoiseParameterError, match="at least 1 table"):
        claimed_rho([], 8)


@pytest.mark.parametrize(
    ("scale", "s2", "rho"),
    [
        (0, 9, Fraction(1)), (48, 9, Fraction(1)), (1 << 21, 9, Fraction(1)), (64, 8, Fraction(1)),
        (64, 9, Fraction(0)), (64, 9, 0.5), (64, True, Fraction(1)),
    ],
)  # fmt: skip
def test_table_noise_refuses(scale, s2, rho):
    with pytest.raises(NoiseParameterError):
        TableNoise(scale, s2, rho)


def test_the_samplers_distance_moves_delta_by_nothing_visible_but_never_down():
    distance = Fraction(652 * 1200, 1 << 112)
    assert 1e-6 < total_delta(1e-6, 5.2, distance) < 1e-6 * (1 + 1e-12)
    assert total_delta(0.0, 5.2, Fraction(1, 2)) > (1 + math.exp(5.2)) / 2


# -- the ends of every range, and the name of what is out of it -----------------------------------


@pytest.mark.parametrize(
    ("values", "name"),
    [((0, 9, Fraction(1)), "scale"), ((64, 8, Fraction(1)), "s2"), ((64, 9, Fraction(0)), "rho")],
)
def test_what_is_wrong_with_a_noise_is_named(values, name):
    with pytest.raises(NoiseParameterError, match=f"^{name}: expected"):
        TableNoise(*values)


@pytest.mark.parametrize("place", range(5))
def test_what_is_wrong_with_a_claim_is_named_and_its_ends_are_allowed(place):
    names = ("delta_sq", "delta_1", "scale", "s2", "cells")
    least, most = (1, 1, 1, MIN_S2, 1), (1 << 60, 1 << 60, 1 << 20, MAX_S2, 1 << 20)
    assert ClaimInput(*least).cells == 1
    assert ClaimInput(*most).scale == 1 << 20
    for ends, step in ((least, -1), (most, 1)):
        wrong = [*ends[:place], ends[place] + step, *ends[place + 1 :]]
        with pytest.raises(NoiseParameterError, match=f"^{names[place]}: expected an integer from"):
            ClaimInput(*wrong)


@pytest.mark.parametrize(
    ("delta_sq", "rho", "h", "words"),
    [
        (0, Fraction(1), 4, r"^delta_sq: expected an integer from 1 to 1152921504606846976, found 0"),
        ((1 << 60) + 1, Fraction(1), 4, "^delta_sq: expected"),
        (2, Fraction(0), 4, "^rho_table: expected"),
        (2, Fraction(1), 0, "^h: expected"),
        (2, Fraction(1, 10**12), 2, "at scale 1,"),
    ],
)
def test_what_is_wrong_with_a_tables_share_is_named(delta_sq, rho, h, words):
    with pytest.raises(NoiseParameterError, match=words):
        size_noise(delta_sq, rho, h)


def test_a_ladder_that_does_not_begin_with_h_sizes_no_noise():
    with pytest.raises(NoiseParameterError, match=r"^tiers: expected"):
        size_noise(2, Fraction(1, 5), 4, (5, 7))


def test_the_narrowest_and_the_widest_noise_are_taken_at_the_usual_scale():
    for s2 in (MIN_S2, MAX_S2):
        noise = size_noise(1, Fraction(1024) / (s2 - Fraction(1, 2)), 2)  # 64^2 / (2 * 2 rho) = s2 - 1/2
        assert (noise.scale, noise.s2) == (64, s2)


def test_the_root_that_bounds_from_above_does():
    for value in (Fraction(2), Fraction(1, 3), Fraction(1, 10**9), Fraction(10**12 + 1)):
        root = _sqrt_up(value)
        assert value < root**2 < value * (1 + Fraction(1, 1 << 200))


@pytest.mark.parametrize("rho", [Fraction(1, 10**5), Fraction(1, 7), Fraction(7), Fraction(1000)])
@pytest.mark.parametrize("delta", [1e-12, 1e-6, 0.3])
def test_epsilon_is_the_least_of_the_formula_far_out_too(rho, delta):
    """A much finer search than ours, over all orders."""
    orders = 1 + np.exp(np.linspace(-12, 40, 400_001))
    with np.errstate(over="ignore"):
        values = (
            orders * float(rho) + np.log1p(-1 / orders) - (math.log(delta) + np.log(orders)) / (orders - 1)
        )
    assert epsilon(rho, delta) == pytest.approx(max(0.0, float(values.min())), rel=1e-8, abs=1e-8)


@pytest.mark.parametrize(("delta_1", "cells", "form"), [(2, 1, 3), (2, 10**6, 2), (1 << 40, 10**6, 3)])
def test_each_form_of_the_claim_is_the_least_somewhere(monkeypatch, delta_1, cells, form):
    """With a tau of 1/100: form 2 by the L1 sensitivity, form 3 by the cells, each with its cross term."""
    monkeypatch.setattr("privacy.accountant.tau_of", lambda terms: Fraction(1, 100))
    exact, t = 2 / 18, 0.01
    second = exact + 2 * t * delta_1 / math.sqrt(18) + t**2 * cells
    third = (math.sqrt(exact) + t * math.sqrt(cells)) ** 2
    assert min(second, third) == (second if form == 2 else third)
    first = exact + 2 * t * cells
    found = float(table_rho(ClaimInput(2, delta_1, 1, 9, cells), 2))
    assert found == pytest.approx(min(first, second, third) / 2, rel=1e-9)


def test_terms_below_the_grid_count_one_step_each() -> None:
    # with s2 = 16 only the first step is above the grid of 2^-256; every later one rounds up to one
    grid = Fraction(10, 1 << 256)
    assert tau(16, 1000) - tau(16, 2) == 998 * grid
