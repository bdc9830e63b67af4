"""Say what a cost in zCDP means for one pupil: as a bet, and as (epsilon, delta).

The bet. Two data sets differ in one pupil's record; somebody tossed a fair coin which of the two it was and,
after everything has been published, guesses. Without any release he is right half of the time. Let p and q be
the probabilities that he names the first data set when it was the first, and when it was the second. He is
right with probability w = (p + 1 - q)/2. What he says is one bit made from the release, so

    (2 w - 1) ln(w / (1 - w)) = KL(w, 1 - w) <= (KL(p, q) + KL(q, p)) / 2 <= rho

first by convexity of the divergence KL of two coins (average the pairs (p, q) and (1 - q, 1 - p)), then
because rho-zCDP bounds the divergence of the two releases in both directions by alpha rho for every
alpha > 1, which for alpha -> 1 is KL. `guess_bound` solves the left side for w. Randomised response with that
w is rho-zCDP, so rho alone does not allow a smaller number. Gaussian noise does: it is mu-GDP with
mu = sqrt(2 rho), and then w = Phi(mu / 2) (`gaussian_guess`; Dong, Roth, Su 2019, arXiv 1905.02383).
A sum of discrete Gaussians is not exactly a Gaussian, so people are shown the first number, which is proved
for it.

What comes from the sampler's total variation distance eta is added: eta to w, (1 + e^epsilon) eta to delta.
A single release may convince more than w says: that is what (epsilon, delta) bounds.

Spec: privacy.md, "What a cost means".
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from statistics import NormalDist

from privacy.accountant import epsilon, total_delta
from privacy.errors import NoiseParameterError

DELTA = 1e-6
"""The delta that epsilon is shown at."""

_ROUND_UP = 1 + 1e-12  # covers the float error of the few operations behind it


@dataclass(frozen=True, slots=True)
class Risk:
    """What a cost means for one pupil.

    Attributes:
        rho: the cost in zCDP.
        distance: total variation distance of the samplers behind it, summed over cells and schools.
        epsilon: of (epsilon, total_delta)-DP.
        delta, total_delta: the delta of the exact mechanism, and with the sampler's distance.
        guess: how often a fair bet on one pupil's record is won at most, 1/2 to 1.
        gaussian_guess: the same for Gaussian noise of this rho.
    """

    rho: Fraction
    distance: Fraction
    epsilon: float
    delta: float
    total_delta: float
    guess: float
    gaussian_guess: float


def risk_of(rho: Fraction, distance: Fraction = Fraction(0), delta: float = DELTA) -> Risk:
    """Translate a cost into what people can read.

    Args:
        rho: a zCDP bound, 0 to 1000.
        distance: the sampler's distance, summed over everything that was drawn.
        delta: what epsilon is shown at, between 0 and 1.

    Raises:
        NoiseParameterError: an argument is out of range.
    """
    if not 0 <= distance <= 1:
        raise NoiseParameterError(f"distance: expected 0 to 1, found {distance!r}")
    epsilon_value = epsilon(rho, delta)
    return Risk(
        rho=rho,
        distance=distance,
        epsilon=epsilon_value,
        delta=delta,
        total_delta=min(1.0, total_delta(delta, min(epsilon_value, 700.0), distance)),
        guess=min(1.0, guess_bound(rho) + math.nextafter(float(distance), math.inf)),
        gaussian_guess=gaussian_guess(rho),
    )


def guess_bound(rho: Fraction) -> float:
    """Bound how often a fair bet on one pupil's record is won under rho-zCDP.

    Args:
        rho: a zCDP bound, 0 to 1000.

    Returns:
        The w from 1/2 to 1 with (2 w - 1) ln(w / (1 - w)) = rho, rounded up.

    Raises:
        NoiseParameterError: rho is out of range.

    Example:
        >>> round(guess_bound(Fraction(1, 2)), 4)
        0.7395
    """
    _check_rho(rho)
    if rho == 0:
        return 0.5
    cost = float(rho) * _ROUND_UP
    low, high = (
        0.0,
        cost + 2 * math.sqrt(cost) + 2,
    )  # of ln(w / (1 - w)): e tanh(e/2) >= cost at the upper end
    for _ in range(200):
        middle = (low + high) / 2
        if middle * math.tanh(middle / 2) < cost:
            low = middle
        else:
            high = middle
    return min(1.0, _ROUND_UP / (1 + math.exp(-high)))


def gaussian_guess(rho: Fraction) -> float:
    """Return how often the bet is won against Gaussian noise that costs exactly rho: Phi(sqrt(rho / 2)).

    Raises:
        NoiseParameterError: rho is out of range.
    """
    _check_rho(rho)
    return NormalDist().cdf(math.sqrt(rho / 2))


def times_in_100(guess: float) -> int:
    """Write a probability as "so many times in 100", rounded up."""
    return min(100, math.ceil(guess * 100 - 1e-9))


def _check_rho(rho: Fraction) -> None:
    if not 0 <= rho <= 1000:
        raise NoiseParameterError(f"rho: expected 0 to 1000, found {rho!r}")
