"""Size the noise of a table and account for it in zero-concentrated differential privacy (zCDP).

Order of use:
1. `size_noise` turns a table's share of rho into a scale and an integer variance s2 per school;
2. `claimed_rho` computes what a set of tables really costs, from the integers alone; the vault charges that,
   never the number in the plan;
3. `epsilon` and `total_delta` translate for people who read (epsilon, delta).

h = min_reports - colluding_schools honest schools each add an independent discrete Gaussian N_Z(0, s2) to
counts multiplied by `scale`. More honest schools only add noise, which is post-processing. Everything that is
charged or compared is an exact rational, rounded up; floats appear only in what is shown.

Spec: privacy.md, "Noise"; Kairouz, Liu, Steinke 2021 (arXiv 2102.06387), Theorem 1; Canonne, Kamath, Steinke
2020 (arXiv 2004.00010), Proposition 12.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache

from privacy.errors import NoiseParameterError

DEFAULT_SCALE = 64
"""Counts are multiplied by this before noise is added: lossless, and fine enough for s >= 3."""

MAX_SCALE = 1 << 20
"""Largest scale; keeps scale * counts * schools far inside Field64."""

MIN_S2 = 3**2
"""Smallest variance per school and cell (scaled units): below s = 3 the tau term stops being negligible."""

MAX_S2 = 4096**2
"""Largest variance per school and cell: the sampler's table has 28 s entries."""

MAX_CELLS = 1 << 20
"""Most cells of one table; `size_noise` reserves the tau term of that many."""

MAX_SCHOOLS = 1 << 18
"""Most honest schools whose sum is accounted; all of China's screened schools fit."""

RHO_GRID = 10**15
"""The cost of a table is rounded up to a multiple of 1 / RHO_GRID, so that it prints as a short decimal."""

_TAU_GRID = 1 << 256  # tau is rounded up to a multiple of 2^-256: smaller values only make large fractions
_PI_SQUARED_FLOOR = Decimal(
    "9.869604401089358618834490999876151135313699407240790626413349376220044822419205243"
)
_EXP = Context(prec=110, Emin=-(10**17), Emax=10**17)


@dataclass(frozen=True, slots=True)
class TableNoise:
    """The noise that each school adds to every cell of one table.

    Attributes:
        scale: counts are multiplied by this power of two first.
        s2: variance of the discrete Gaussian in scaled units, `MIN_S2` to `MAX_S2`.
        rho: the share of the plan's rho that the table was given; its real cost is at most that.
    """

    scale: int
    s2: int
    rho: Fraction

    def __post_init__(self) -> None:
        _check_int("scale", self.scale, 1, MAX_SCALE)
        if self.scale & (self.scale - 1):
            raise NoiseParameterError(f"scale: expected a power of two, found {self.scale}")
        _check_int("s2", self.s2, MIN_S2, MAX_S2)
        _check_rho("rho", self.rho)

    def standard_error(self, reports: int, cells: int = 1) -> float:
        """Return the standard error, in counts, of a sum of `cells` cells over `reports` schools."""
        return math.sqrt(Fraction(self.s2 * reports * cells, self.scale**2))


@dataclass(frozen=True, slots=True)
class ClaimInput:
    """What the cost of one table depends on.

    Attributes:
        delta_sq, delta_1: squared L2 and L1 sensitivity in counts, before scaling.
        scale, s2: as in `TableNoise`.
        cells: number of cells of the table.
    """

    delta_sq: int
    delta_1: int
    scale: int
    s2: int
    cells: int

    def __post_init__(self) -> None:
        _check_int("delta_sq", self.delta_sq, 1, 1 << 60)
        _check_int("delta_1", self.delta_1, 1, 1 << 60)
        _check_int("scale", self.scale, 1, MAX_SCALE)
        _check_int("s2", self.s2, MIN_S2, MAX_S2)
        _check_int("cells", self.cells, 1, MAX_CELLS)


def _check_int(name: str, value: int, low: int, high: int) -> None:
    if type(value) is not int or not low <= value <= high:
        raise NoiseParameterError(f"{name}: expected an integer from {low} to {high}, found {value!r}")


def _check_rho(name: str, value: Fraction) -> None:
    if not isinstance(value, Fraction) or value <= 0:
        raise NoiseParameterError(f"{name}: expected a positive Fraction, found {value!r}")


@lru_cache(maxsize=256, typed=True)
def tau(s2: int, h: int) -> Fraction:
    """Bound how far a sum of h discrete Gaussians is from one discrete Gaussian.

    Args:
        s2: variance of each term in scaled units, at least 1.
        h: number of terms, 1 to `MAX_SCHOOLS`.

    Returns:
        10 * sum over k = 1 .. h-1 of exp(-2 pi^2 s2 k/(k+1)), rounded up to a multiple of 2^-256.
        0 for h = 1.

    Raises:
        NoiseParameterError: an argument is out of range.
    """
    _check_int("s2", s2, 1, MAX_S2)
    _check_int("h", h, 1, MAX_SCHOOLS)
    total = 0
    for k in range(1, h):
        term = _tau_term(s2, k)
        if term == 1:  # the terms fall with k: every later one rounds up to the same single step
            total += h - k
            break
        total += term
    return Fraction(10 * total, _TAU_GRID)


def _tau_term(s2: int, k: int) -> int:
    """Return exp(-2 pi^2 s2 k/(k+1)) in steps of 2^-256, rounded up."""
    # pi^2 is cut at 80 digits and the exponent stays below 1e9: a relative error below 1e-70, which the
    # factor covers
    exponent = _EXP.divide(_EXP.multiply(_PI_SQUARED_FLOOR, Decimal(2 * s2 * k)), Decimal(k + 1))
    bound = _EXP.multiply(_EXP.exp(_EXP.minus(exponent)), Decimal("1.000000000001"))
    if bound < Decimal("1e-78"):  # below 2^-257, without building a number of millions of digits
        return 1
    return int(_EXP.multiply(bound, Decimal(_TAU_GRID))) + 1


def size_noise(delta_sq: int, rho_table: Fraction, h: int) -> TableNoise:
    """Choose scale and variance per school so that a table costs at most its share of rho.

    The target is sigma^2 = delta_sq / (2 rho) for the sum over h schools. The scale is 64, doubled until s >=
    3 and halved (whole counts stay exact) while s > 4096; s2 is ceil(scale^2 sigma^2 / h), raised by the
    little that the tau term of a table of `MAX_CELLS` cells needs. So the claims of a plan's tables never add
    up to more than its rho.

    Args:
        delta_sq: squared L2 sensitivity in counts.
        rho_table: the table's share of the round's rho.
        h: honest schools that are assumed to add noise.

    Returns:
        The noise; a pure function of the arguments.

    Raises:
        NoiseParameterError: an argument is out of range, or no scale gives 3 <= s <= 4096.
    """
    _check_int("delta_sq", delta_sq, 1, 1 << 60)
    _check_rho("rho_table", rho_table)
    _check_int("h", h, 1, MAX_SCHOOLS)
    scale = DEFAULT_SCALE
    while scale < MAX_SCALE and _variance(delta_sq, rho_table, h, scale) < MIN_S2:
        scale *= 2
    while scale > 1 and _variance(delta_sq, rho_table, h, scale) > MAX_S2:
        scale //= 2
    s2 = _variance(delta_sq, rho_table, h, scale)
    if not MIN_S2 <= s2 <= MAX_S2:
        raise NoiseParameterError(
            f"a table of squared sensitivity {delta_sq} with rho {rho_table} over {h} schools needs "
            f"s2 = {s2} at scale {scale}, allowed is {MIN_S2} to {MAX_S2}; "
            "change the table's weight or the plan's rho"
        )
    return TableNoise(scale, s2, rho_table)


def _variance(delta_sq: int, rho_table: Fraction, h: int, scale: int) -> int:
    """Return the smallest s2 from ceil(scale^2 sigma^2 / h) on whose claim is at most `rho_table`."""
    s2 = math.ceil(Fraction(delta_sq * scale**2) / (2 * rho_table * h))
    if not MIN_S2 <= s2 <= MAX_S2:
        return s2
    # only form 1, so that Delta_1 is not needed; its tau term is below 1e-30 and matters for exact quotients
    while _round_up(_form_linear(delta_sq * scale**2, s2, h, MAX_CELLS) / 2) > rho_table:
        s2 += 1
    return s2


def _round_up(rho: Fraction) -> Fraction:
    return Fraction(math.ceil(rho * RHO_GRID), RHO_GRID)


def _form_linear(delta_sq: int, s2: int, h: int, cells: int) -> Fraction:
    """Return Delta^2/(h s^2) + 2 tau d, in scaled units."""
    return Fraction(delta_sq, h * s2) + 2 * tau(s2, h) * cells


def _sqrt_up(value: Fraction) -> Fraction:
    """Return an upper bound of the square root, closer than 2^-300 of its size or of 1."""
    shift = 1 << 600
    return Fraction(math.isqrt(math.ceil(value * shift)) + 1, 1 << 300)


def table_rho(table: ClaimInput, h: int) -> Fraction:
    """Compute what one table costs in zCDP.

    e^2 is the least of Delta^2/(h s^2) + 2 tau d, Delta^2/(h s^2) + 2 tau Delta_1/(sqrt(h) s) + tau^2 d and
    (Delta/(sqrt(h) s) + tau sqrt(d))^2; each is a valid bound, so taking the least is free.

    Args:
        table: sensitivities in counts, scale, variance and cells.
        h: honest schools that are assumed to add noise.

    Returns:
        e^2 / 2, rounded up to a multiple of 1 / `RHO_GRID`.

    Raises:
        NoiseParameterError: h is out of range.
    """
    gap = tau(table.s2, h)
    spread_up = _sqrt_up(Fraction(1, h * table.s2))  # 1 / (sqrt(h) s)
    delta_sq = table.delta_sq * table.scale**2
    delta_1 = table.delta_1 * table.scale
    exact = Fraction(delta_sq, h * table.s2)
    forms = (
        _form_linear(delta_sq, table.s2, h, table.cells),
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
