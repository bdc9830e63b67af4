"""The turnout ladder: noise sized for the fewest reports, less of it taken into the sum the more report.

Tiers m_0 < m_1 < ... < m_L are numbers of honest schools, m_0 = h. With v = scale^2 sigma^2 a school draws
z_0 of variance ceil(v / m_L) and w_k of variance ceil(v (1/m_(k-1) - 1/m_k)) for k = 1 .. L, all independent
and all in its report. Once it is known how many schools report, w_1 .. w_tier are taken out of the sum again:
what is left of m_tier honest schools has variance at least v, as the accountant asks for, and all schools'
is |S| / m_tier times it instead of |S| / h times.

The components of a school are written (z_0, w_1, ..., w_L); without a ladder that is its one variance.
Spec: privacy.md, "Turnout"; docs/protocol.md, "The turnout ladder".
"""

import math
from bisect import bisect_right
from fractions import Fraction
from itertools import pairwise
from typing import Final

from privacy.errors import NoiseParameterError
from privacy.sum_of_noises import MAX_SCHOOLS, Terms

MAX_STEPS: Final = 12
"""Most steps w_k of a ladder: 1.08 ^ 12 covers any turnout from 40 % on, and a report has 1 + L vectors."""

WIDEST_RATIO: Final = Fraction(27, 25)
"""A chosen ladder leaves at most this much of the trusted curator's variance in the sum, where it can."""

_RATIO_STEP: Final = Fraction(1, 200)


def verify_tiers(tiers: tuple[int, ...], h: int) -> None:
    """Check that tiers are those of a ladder over h schools; no tiers at all are no ladder.

    Raises:
        NoiseParameterError: they do not begin with h, do not rise, or are too many.
    """
    is_rising = all(low < high for low, high in pairwise(tiers))
    if tiers and not (tiers[0] == h and is_rising and tiers[-1] <= MAX_SCHOOLS and len(tiers) > 1):
        raise NoiseParameterError(f"tiers: expected 2 or more rising from h = {h}, found {tiers}")
    if len(tiers) > MAX_STEPS + 1:
        raise NoiseParameterError(f"tiers: expected at most {MAX_STEPS} above h, found {len(tiers) - 1}")


def choose_tiers(h: int, colluding: int, schools: int) -> tuple[int, ...]:
    """Choose the tiers above h for a number of schools, the highest for when all of them report.

    From the highest down, each next one is the lowest that keeps |S| / m_tier at most `WIDEST_RATIO` at every
    turnout. Where no ladder of `MAX_STEPS` does (few schools, or many that collude), the least wider ratio on
    a grid of 1/200 is kept.

    Args:
        h: min_reports - colluding.
        colluding: schools assumed to add no noise.
        schools: most schools that can report.

    Returns:
        m_1 .. m_L, rising; none where every school must report anyhow.
    """
    ratio = max(WIDEST_RATIO, Fraction(h + colluding, h))
    while (tiers := _tiers_within(ratio, h, colluding, schools - colluding)) is None:
        ratio += _RATIO_STEP
    return tiers


def _tiers_within(ratio: Fraction, h: int, colluding: int, top: int) -> tuple[int, ...] | None:
    tiers: list[int] = []
    while top > h:
        if len(tiers) == MAX_STEPS:
            return None
        tiers.append(top)
        # the fewest that serve one report less than `top`; where even top - 1 does not, nothing gets lower
        top = max(math.ceil((top + colluding - 1) / ratio), h)
    return tuple(reversed(tiers))


def tier_of(tiers: tuple[int, ...], honest: int) -> int:
    """Return the highest k with m_k <= honest; 0 without a ladder, or where there are fewer than m_0."""
    return max(bisect_right(tiers, honest) - 1, 0)


def component_variances(v: Fraction, tiers: tuple[int, ...]) -> tuple[int, ...]:
    """Return the variances of z_0, w_1, ..., w_L; for a single tier h the one variance ceil(v / h)."""
    steps = (v * (Fraction(1, low) - Fraction(1, high)) for low, high in pairwise(tiers))
    return (math.ceil(v / tiers[-1]), *(math.ceil(step) for step in steps))


def left_at(components: tuple[int, ...], tier: int) -> int:
    """Return the variance that one school leaves in the sum at a tier: z_0 and the steps above it.

    Raises:
        NoiseParameterError: there is no such tier.
    """
    if type(tier) is not int or not 0 <= tier < len(components):
        raise NoiseParameterError(f"tier: expected 0 to {len(components) - 1}, found {tier!r}")
    return components[0] + sum(components[tier + 1 :])


def terms_at(components: tuple[int, ...], tiers: tuple[int, ...], tier: int) -> Terms:
    """Return the noise that the m_tier honest schools leave in the sum, as groups of equal terms."""
    return tuple((s2, tiers[tier]) for s2 in (components[0], *components[tier + 1 :]))
