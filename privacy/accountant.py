"""Size the noise of a table and account for it in zero-concentrated differential privacy (zCDP).

Order of use:
1. `size_noise` turns a table's share of rho into a scale and an integer variance s2 per school;
2. `claimed_rho` computes what a set of tables really costs, from the integers alone; the vault charges that,
   never the number in the plan;
3. `epsilon` and `total_delta` translate for people who read (epsilon, delta).

h = min_reports - colluding_schools honest schools each add an independent discrete Gaussian N_Z(0, s2) to
counts multiplied by `scale`. More honest schools only add noise, which is post-processing. Everything that is
charged or compared is an exact rational, rounded up; floats appear only in what is shown.

With a turnout ladder (`privacy.ladder`) a school's noise is a sum of components, and the more schools report
the more components are taken out of the sum. What is charged is the most that any tier costs.

Spec: privacy.md, "Noise"; Kairouz, Liu, Steinke 2021 (arXiv 2102.06387), Theorem 1; Canonne, Kamath, Steinke
2020 (arXiv 2004.00010), Proposition 12.
Proof note: docs/proofs/sum-of-noises.md.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from privacy.errors import NoiseParameterError
from privacy.ladder import component_variances, left_at, terms_at, verify_tiers
from privacy.sum_of_noises import MAX_SCHOOLS, Terms, tau, tau_of, variance_of

__all__ = [
    "DEFAULT_SCALE",
    "MAX_CELLS",
    "MAX_S2",
    "MAX_SCALE",
    "MAX_SCHOOLS",
    "MIN_S2",
    "RHO_GRID",
    "ClaimInput",
    "TableNoise",
    "claimed_rho",
    "compose",
    "epsilon",
    "size_noise",
    "table_rho",
    "tau",
    "total_delta",
]

DEFAULT_SCALE = 64
"""Counts are multiplied by this before noise is added: lossless, and fine enough for s >= 3."""

MAX_SCALE = 1 << 20
"""Largest scale; keeps scale * counts * schools far inside Field64."""

MIN_S2 = 3**2
"""Smallest variance of a school's noise in a cell, and of each component of it (scaled units): below s = 3
the tau term stops being negligible."""

MAX_S2 = 4096**2
"""Largest variance per school and cell: the sampler's table has 28 s entries."""

MAX_CELLS = 1 << 20
"""Most cells of one table; `size_noise` reserves the tau term of that many."""

RHO_GRID = 10**15
"""The cost of a table is rounded up to a multiple of 1 / RHO_GRID, so that it prints as a short decimal."""

_FINE_S2 = 100  # z_0 of a ladder has this many units a component, so that rounding them up adds below 1 %


@dataclass(frozen=True, slots=True)
class TableNoise:
    """The noise that each school adds to every cell of one table.

    Attributes:
        scale: counts are multiplied by this power of two first.
        s2: variance of all that a school adds to a cell, in scaled units, `MIN_S2` to `MAX_S2`.
        rho: the share of the plan's rho that the table was given; its real cost is at most that.
        steps: variances of w_1 .. w_L of a turnout ladder; the rest of s2 is z_0's. Empty without a ladder.
    """

    scale: int
    s2: int
    rho: Fraction
    steps: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _check_int("scale", self.scale, 1, MAX_SCALE)
        if self.scale & (self.scale - 1):
            raise NoiseParameterError(f"scale: expected a power of two, found {self.scale}")
        _check_components(self.s2, self.steps)
        _check_rho("rho", self.rho)

    @property
    def components(self) -> tuple[int, ...]:
        """Variances of z_0, w_1, .., w_L: what a school draws, each for itself. (s2,) without a ladder."""
        return (self.s2 - sum(self.steps), *self.steps)

    def left_at(self, tier: int) -> int:
        """Return the variance that one school leaves in an opened cell at a tier, in scaled units.

        Raises:
            NoiseParameterError: there is no such tier.
        """
        return left_at(self.components, tier)

    def standard_error(self, reports: int, cells: int = 1, tier: int = 0) -> float:
        """Return the standard error, in counts, of a sum of `cells` cells over `reports` schools."""
        return math.sqrt(Fraction(self.left_at(tier) * reports * cells, self.scale**2))


@dataclass(frozen=True, slots=True)
class ClaimInput:
    """What the cost of one table depends on.

    Attributes:
        delta_sq, delta_1: squared L2 and L1 sensitivity in counts, before scaling.
        scale, s2, steps: as in `TableNoise`.
        cells: number of cells of the table.
        tiers: h, m_1, .., m_L of the ladder; empty without one.
    """

    delta_sq: int
    delta_1: int
    scale: int
    s2: int
    cells: int
    steps: tuple[int, ...] = ()
    tiers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _check_int("delta_sq", self.delta_sq, 1, 1 << 60)
        _check_int("delta_1", self.delta_1, 1, 1 << 60)
        _check_int("scale", self.scale, 1, MAX_SCALE)
        _check_components(self.s2, self.steps)
        _check_int("cells", self.cells, 1, MAX_CELLS)
        if len(self.tiers) != (len(self.steps) + 1 if self.steps else 0):
            raise NoiseParameterError(
                f"tiers: expected one more than the {len(self.steps)} steps of a ladder, found {self.tiers}"
            )

    def terms(self, h: int) -> tuple[Terms, ...]:
        """Return what honest schools leave in an opened cell, for each tier: the noise that is counted on.

        Raises:
            NoiseParameterError: the ladder is not one over h schools.
        """
        tiers = self.tiers or (h,)
        verify_tiers(self.tiers, h)
        components = (self.s2 - sum(self.steps), *self.steps)
        return tuple(terms_at(components, tiers, tier) for tier in range(len(tiers)))


def _check_int(name: str, value: int, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise NoiseParameterError(f"{name}: expected an integer from {low} to {high}, found {value!r}")


def _check_components(s2: int, steps: tuple[int, ...]) -> None:
    """Check a school's variance and each component of it."""
    _check_int("s2", s2, MIN_S2, MAX_S2)
    for step in steps:
        _check_int("a step's s2", step, MIN_S2, MAX_S2)
    if steps:
        _check_int("z_0's s2", s2 - sum(steps), MIN_S2, MAX_S2)


def _check_rho(name: str, value: Fraction) -> None:
    if not isinstance(value, Fraction) or value <= 0:
        raise NoiseParameterError(f"{name}: expected a positive Fraction, found {value!r}")


def size_noise(delta_sq: int, rho_table: Fraction, h: int, tiers: tuple[int, ...] = ()) -> TableNoise:
    """Choose scale and variance per school so that a table costs at most its share of rho.

    The target is sigma^2 = delta_sq / (2 rho) for the sum over h schools. The scale is 64, doubled until s >=
    3 and halved (whole counts stay exact) while s > 4096; s2 is ceil(scale^2 sigma^2 / h), raised by the
    little that the tau term of a table of `MAX_CELLS` cells needs. So the claims of a plan's tables never add
    up to more than its rho.

    With a ladder every component is at least 3, and the scale is doubled until rounding the components up
    adds less than 1 %; what the tau term needs is added to z_0, which is in every tier.

    Args:
        delta_sq: squared L2 sensitivity in counts.
        rho_table: the table's share of the round's rho.
        h: honest schools that are assumed to add noise.
        tiers: h, m_1, .., m_L of a turnout ladder; empty for none.

    Returns:
        The noise; a pure function of the arguments.

    Raises:
        NoiseParameterError: an argument is out of range, or no scale gives 3 <= s <= 4096.
    """
    _check_int("delta_sq", delta_sq, 1, 1 << 60)
    _check_rho("rho_table", rho_table)
    _check_int("h", h, 1, MAX_SCHOOLS)
    verify_tiers(tiers, h)
    steps = tiers or (h,)
    scale = DEFAULT_SCALE
    while scale < MAX_SCALE and not _is_fine(_components(delta_sq, rho_table, steps, scale)):
        scale *= 2
    while scale > 1 and sum(_components(delta_sq, rho_table, steps, scale)) > MAX_S2:
        scale //= 2
    components = _components(delta_sq, rho_table, steps, scale)
    if min(components) < MIN_S2 or sum(components) > MAX_S2:
        raise NoiseParameterError(
            f"a table of squared sensitivity {delta_sq} with rho {rho_table} over {h} schools needs "
            f"s2 = {' + '.join(map(str, components))} at scale {scale}, allowed is {MIN_S2} to {MAX_S2}; "
            "change the table's weight or the plan's rho"
        )
    return TableNoise(scale, sum(components), rho_table, components[1:])


def _is_fine(components: tuple[int, ...]) -> bool:
    """Say whether a scale gives components that are large enough."""
    is_ladder = len(components) > 1
    return min(components) >= MIN_S2 and (not is_ladder or components[0] >= _FINE_S2 * len(components))


def _components(delta_sq: int, rho_table: Fraction, tiers: tuple[int, ...], scale: int) -> tuple[int, ...]:
    """Return the components whose claim is at most `rho_table` in each tier; the least z_0 that does it."""
    variance = Fraction(delta_sq * scale**2) / (2 * rho_table)
    z_0, *steps = component_variances(variance, tiers)
    if min((z_0, *steps)) < MIN_S2 or z_0 + sum(steps) > MAX_S2:
        return (z_0, *steps)
    # only form 1, so that Delta_1 is not needed; its tau term is below 1e-30 and matters for exact quotients
    while any(
        _round_up(_form_linear(delta_sq * scale**2, terms_at((z_0, *steps), tiers, tier), MAX_CELLS) / 2)
        > rho_table
        for tier in range(len(tiers))
    ):
        z_0 += 1
    return (z_0, *steps)


def _round_up(rho: Fraction) -> Fraction:
    return Fraction(math.ceil(rho * RHO_GRID), RHO_GRID)


def _form_linear(delta_sq: int, terms: Terms, cells: int) -> Fraction:
    """Return Delta^2/V + 2 tau d, in scaled units; V is the variance of all terms."""
    return Fraction(delta_sq, variance_of(terms)) + 2 * tau_of(terms) * cells


def _sqrt_up(value: Fraction) -> Fraction:
    """Return an upper bound of the square root, closer than 2^-300 of its size or of 1."""
    shift = 1 << 600
    return Fraction(math.isqrt(math.ceil(value * shift)) + 1, 1 << 300)


def table_rho(table: ClaimInput, h: int) -> Fraction:
    """Compute what one table costs in zCDP.

    With V = h s^2, e^2 is the least of Delta^2/V + 2 tau d, Delta^2/V + 2 tau Delta_1/sqrt(V) + tau^2 d and
    (Delta/sqrt(V) + tau sqrt(d))^2; each is a valid bound, so taking the least is free. With a ladder V and
    tau are those of what is left at a tier, and the cost is that of the dearest tier.

    Args:
        table: sensitivities in counts, scale, variance and cells.
        h: honest schools that are assumed to add noise.

    Returns:
        e^2 / 2, rounded up to a multiple of 1 / `RHO_GRID`.

    Raises:
        NoiseParameterError: h is out of range, or the ladder does not begin with it.
    """
    return max(_sum_rho(table, terms) for terms in table.terms(h))


def _sum_rho(table: ClaimInput, terms: Terms) -> Fraction:
    """What a table costs if the sum of these terms is all the noise."""
    gap, variance = tau_of(terms), variance_of(terms)
    spread_up = _sqrt_up(Fraction(1, variance))
    delta_sq = table.delta_sq * table.scale**2
    delta_1 = table.delta_1 * table.scale
    exact = Fraction(delta_sq, variance)
    forms = (
        _form_linear(delta_sq, terms, table.cells),
        exact + 2 * gap * delta_1 * spread_up + gap**2 * table.cells,
        exact + 2 * gap * _sqrt_up(exact * table.cells) + gap**2 * table.cells,
    )
    return _round_up(min(forms) / 2)


def claimed_rho(tables: Sequence[ClaimInput], h: int) -> Fraction:
    """Compute what releasing all tables of a round costs, from the integers that define the noise.

    Args:
        tables: every table of the round; a pupil may be in all of them, so the costs add up.
        h: min_reports - colluding_schools.

    Returns:
        The sum of `table_rho`, never below the true cost.

    Raises:
        NoiseParameterError: there is no table, or h is out of range.
    """
    if not tables:
        raise NoiseParameterError("a round needs at least 1 table, found 0")
    return compose(table_rho(table, h) for table in tables)


def compose(rhos: Iterable[Fraction]) -> Fraction:
    """Add up the costs of releases on the same pupils (zCDP composes by addition)."""
    return sum(rhos, Fraction(0))


def epsilon(rho: Fraction, delta: float) -> float:
    """Translate rho-zCDP into the smallest epsilon of (epsilon, delta)-DP that the Renyi route proves.

    Minimises alpha rho + ln(1 - 1/alpha) - (ln delta + ln alpha)/(alpha - 1) over alpha > 1; every alpha
    gives a valid bound, so an imperfect minimum errs on the safe side.

    Args:
        rho: a zCDP bound, 0 <= rho <= 1000.
        delta: 0 < delta < 1.

    Returns:
        epsilon, rounded up.

    Raises:
        NoiseParameterError: an argument is out of range.
    """
    if not 0 <= rho <= 1000:
        raise NoiseParameterError(f"rho: expected 0 to 1000, found {rho!r}")
    if not 0 < delta < 1:
        raise NoiseParameterError(f"delta: expected a number between 0 and 1, found {delta!r}")
    if rho == 0:
        return 0.0
    cost = float(rho)

    def bound(log_excess: float) -> float:
        excess = math.exp(log_excess)  # alpha - 1
        alpha = 1 + excess
        return alpha * cost + math.log(excess / alpha) - (math.log(delta) + math.log(alpha)) / excess

    # the added 1e-12 covers the float error of the formula, whose terms are no larger than a few epsilon
    return max(0.0, _minimum(bound, -12.0, 40.0) * (1 + 1e-12) + 1e-12)


def _minimum(function: Callable[[float], float], low: float, high: float) -> float:
    """Return the least value found by a grid of 1/4 and a golden-section search around its best point."""
    steps = round(4 * (high - low))
    best = min((low + i / 4 for i in range(steps + 1)), key=function)
    left, right = best - 0.25, best + 0.25
    golden = (math.sqrt(5) - 1) / 2
    for _ in range(60):
        inner_left, inner_right = right - golden * (right - left), left + golden * (right - left)
        if function(inner_left) < function(inner_right):
            right = inner_right
        else:
            left = inner_left
    return function((left + right) / 2)


def total_delta(delta: float, epsilon_value: float, distance: Fraction) -> float:
    """Add what the sampler's total variation costs to delta.

    Args:
        delta: of the (epsilon, delta) statement for the exact mechanism.
        epsilon_value: its epsilon.
        distance: sampler distance summed over cells and schools (`discrete_gaussian.sampler_distance`).

    Returns:
        delta + (1 + e^epsilon) * distance, rounded up.
    """
    return math.nextafter(delta + (1 + math.exp(epsilon_value)) * float(distance) * (1 + 1e-12), math.inf)
