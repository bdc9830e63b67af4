"""What a round and a school year cost, against dp-accounting: to 1e-6 in epsilon.

The peer is told the trusted curator's Gaussian noise of every table (which the sum of the schools' noise is
as good as, see docs/proofs); it composes Renyi divergences order by order, and takes the best of a fine list
of orders. We compose one number, rho.
"""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import dp_accounting
import pytest
from dp_accounting.rdp import RdpAccountant

import plan
from plan.document import parse_plan_toml
from plan.layout import Layout, build_layout
from plan.publishing import resolve
from privacy.accountant import compose, epsilon

READY = sorted((Path(plan.__file__).parent / "ready").glob("*.toml"))
SCHOOLS = 60


def layout_of(path: Path) -> Layout:
    return build_layout(resolve(parse_plan_toml(path.read_bytes()), SCHOOLS))


def event_of(layout: Layout) -> dp_accounting.DpEvent:
    """The Gaussian noise of every table, from its integers; with a ladder at the dearest tier."""
    events = []
    for table in layout.tables:
        honest = layout.tiers or (layout.noise_schools,)
        variance = min(m * table.noise.left_at(tier) for tier, m in enumerate(honest))
        multiplier = math.sqrt(Fraction(variance, table.delta_sq * table.noise.scale**2))
        events.append(dp_accounting.GaussianDpEvent(multiplier))
    return dp_accounting.ComposedDpEvent(events)


def epsilon_of_peer(event: dp_accounting.DpEvent, delta: float, rho: float) -> float:
    centre = math.sqrt(math.log(1 / delta) / rho)
    accountant = RdpAccountant(orders=[1 + centre * 1.0005**i for i in range(-3000, 3000)])
    accountant.compose(event)
    return float(accountant.get_epsilon(delta))


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_a_round_of_every_ready_plan(path: Path) -> None:
    layout = layout_of(path)
    rho = layout.claimed_rho
    for delta in (1e-6, 1e-9):
        theirs = epsilon_of_peer(event_of(layout), delta, float(rho))
        assert epsilon(rho, delta) == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("delta", [1e-5, 1e-6, 1e-9])
def test_a_school_year_of_several_rounds(delta: float) -> None:
    layouts = [layout_of(path) for path in READY]
    rho = compose(layout.claimed_rho for layout in layouts)
    event = dp_accounting.ComposedDpEvent([event_of(layout) for layout in layouts])
    theirs = epsilon_of_peer(event, delta, float(rho))
    assert epsilon(rho, delta) == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("times", [1, 2, 12])
def test_the_same_round_again_and_again(times: int) -> None:
    layout = layout_of(READY[0])
    rho = compose([layout.claimed_rho] * times)
    event = dp_accounting.SelfComposedDpEvent(event_of(layout), times)
    assert epsilon(rho, 1e-6) == pytest.approx(epsilon_of_peer(event, 1e-6, float(rho)), abs=1e-6)


def test_composition_of_epsilons_would_say_more() -> None:
    """Adding up epsilons is valid too, and dearer: rho is what the account keeps."""
    rhos = [layout_of(path).claimed_rho for path in READY]
    assert epsilon(compose(rhos), 1e-6) < sum(epsilon(rho, 1e-6 / len(rhos)) for rho in rhos)
