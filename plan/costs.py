"""What a round costs, seen in every way that somebody may ask for.

A plan claims one relation of neighbouring data sets; the same noise gives a figure under the other too. And
its cost rests on other schools' noise: what is left without it is a school's own share.

Spec: privacy.md, "What a cost means" and "Trust".
"""

from dataclasses import replace
from fractions import Fraction

from plan.layout import Layout, TableLayout
from privacy.accountant import ClaimInput, claimed_rho
from privacy.discrete_gaussian import sampler_distance
from privacy.sensitivity import Neighbouring, sides


def rho_under(layout: Layout, neighbouring: Neighbouring) -> Fraction:
    """Compute what a round costs under a relation, from the integers of its noise, rounded up.

    For the relation of the plan that is its claim.
    """
    claims = [_under(table.claim, layout.neighbouring, neighbouring) for table in layout.tables]
    return claimed_rho(claims, layout.noise_schools)


def rho_alone(layout: Layout, neighbouring: Neighbouring) -> Fraction:
    """Compute what one vector costs somebody's pupils when all that protects it is its own school's noise.

    That is so towards whoever can unmask a single report: the county together with enough auditors to open
    (`threshold`). Of a ladder only z_0 is left, because such a coalition opens the steps too.
    """
    claims = [_under(_alone(table), layout.neighbouring, neighbouring) for table in layout.tables]
    return claimed_rho(claims, 1)


def drawn_distance(layout: Layout, schools: int) -> Fraction:
    """Bound the total variation distance between what so many schools draw and the noise that is claimed.

    The sum over tables, cells, components and schools of `sampler_distance`. Only honest schools matter, so
    the number of enrolled schools is on the safe side.
    """
    each = (
        table.cells * sum((sampler_distance(s2) for s2 in table.noise.components), Fraction(0))
        for table in layout.tables
    )
    return schools * sum(each, Fraction(0))


def _under(claim: ClaimInput, stated: Neighbouring, asked: Neighbouring) -> ClaimInput:
    """Return a claim with the sensitivities of another relation."""
    return replace(
        claim,
        delta_sq=claim.delta_sq // sides(stated) * sides(asked),
        delta_1=claim.delta_1 // sides(stated) * sides(asked),
    )


def _alone(table: TableLayout) -> ClaimInput:
    noise = table.noise
    return ClaimInput(table.delta_sq, table.delta_1, noise.scale, noise.components[0], table.cells)
