"""P4: what is published is rho-zCDP per pupil and round, and the school-year account refuses beyond its cap.

The noise that is in a released sum is taken out of it again and held against the plan's; rho is recomputed
from the plan with nothing of ours; the account is tried by a county where every auditor approves whatever
comes.
"""

from __future__ import annotations

from datetime import timedelta
from fractions import Fraction

import numpy as np
import pytest
from county_sums import layout_of, opened_sum, scaled_counts
from fakes_county import CountySimulator
from fakes_vault import plan_of
from forged_plans import approve_blindly, log_plan

from auditor.errors import RefusalError
from node.vault.errors import AccountError
from privacy.discrete_gaussian import Sampler

Stage = tuple[CountySimulator, bytes]


def test_rho_of_the_plan_is_what_its_noise_costs(released: Stage) -> None:
    """Bun and Steinke: rho = Delta^2 / (2 sigma^2), added up; h honest schools carry the noise.

    Under replace-one a pupil moves two cells of a partition by one count each: Delta^2 = 2 scale^2.
    """
    county, round_id = released
    row = county.round(round_id)
    honest = row.terms.min_reports - row.terms.colluding_schools
    cost = Fraction(0)
    for table in layout_of(row).tables:
        squared = 2 * table.noise.scale**2
        cost += Fraction(squared, 2 * honest) / Fraction(table.noise.components[0])
    assert cost <= row.terms.rho
    assert cost > row.terms.rho * Fraction(9, 10)  # and the budget is not wasted


def test_the_sum_holds_the_noise_that_the_plan_promises(released: Stage) -> None:
    """Mean square of released minus true counts over its variance; six schools, 46 cells.

    Chi-square with 46 degrees of freedom lies in (11, 120) but for 5e-8 on either side.
    """
    county, round_id = released
    row = county.round(round_id)
    truth = sum(scaled_counts(county, row, node_id) for node_id in county.node_ids)
    noise = opened_sum(county, round_id) - truth
    total = 0.0
    for table in layout_of(row).tables:
        variance = float(table.noise.components[0]) * len(county.node_ids)
        total += float(np.sum(noise[table.offset : table.end].astype(float) ** 2)) / variance
    assert 11 < total < 120


def test_the_sampler_draws_the_discrete_gaussian_itself() -> None:
    """Frequencies of 60,000 draws at sigma^2 = 4 against exp(-x^2 / 8): chi-square of 13 cells, 1e-9."""
    stream = np.random.default_rng(20261122)
    drawn = Sampler(4).sample(stream.bytes, 60_000)
    cells = np.arange(-6, 7)
    weights = np.exp(-(np.arange(-60, 61).astype(float) ** 2) / 8)
    share = np.exp(-(cells.astype(float) ** 2) / 8) / weights.sum()
    found = np.array([(drawn == cell).sum() for cell in cells])
    assert float((((found - 60_000 * share) ** 2) / (60_000 * share)).sum()) < 70


def test_beyond_the_years_cap_no_auditor_approves_and_no_school_answers(released: Stage) -> None:
    """Each round costs 1/5 of at most 1/2 a year: a third one is refused by both, each for itself."""
    county, _ = released
    second = county.coordinator.publish_plan(dearer(county, 1))
    with pytest.raises(RefusalError) as refused:
        county.auditors["a1"].approve(second)
    assert refused.value.code in {"max-rho", "max-rho-year"}
    for days in (2, 3):
        round_id = log_plan(county, closes=county.now + timedelta(days=days))
        approve_blindly(county, round_id)
        county.work()
        if days == 2:
            county.release("s01", round_id)
            county.serve_node("s01")
    with pytest.raises(AccountError) as caught:
        county.release("s01", round_id)
    assert caught.value.code == "account-exceeded"
    assert county.nodes["s01"].outgoing() is None


def dearer(county: CountySimulator, number: int) -> object:
    """A plan that alone would cost more than is left of the year."""
    n, t, f, q = county.tuple_
    return plan_of(
        id=f"dear-{number}", num_auditors=n, threshold=t, collude=f, quorum=q, min_group=5, rho=Fraction(2, 5)
    )
