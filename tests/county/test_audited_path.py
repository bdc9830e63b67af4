"""What the privacy audit plays (bench/audit_path.py) is what a county does: the same sums, cell by cell.

The county has all that the audit leaves out: boxes, signatures, a log, files, agreement on the set.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from county_sums import Numbers, finish, opened_sum, scaled_counts
from fakes_county import CountySimulator
from fakes_vault import plan_of

from bench.audit_path import Round, combine
from node.vault.derive import derive
from node.vault.enrol import load_identity
from node.vault.release import recipe_of
from plan.published import read_published

Stage = tuple[CountySimulator, bytes]


def play(county: CountySimulator, round_id: bytes, node_ids: Sequence[str]) -> Numbers:
    """Play the round of some schools again by the audited path, from their own secrets."""
    round_log = county.round(round_id)
    published = read_published(round_log.terms, round_log.plan.body)
    reports = [
        derive(
            recipe_of(node_id, round_log, published),
            load_identity(county.stores[node_id]).master,
            scaled_counts(county, round_log, node_id),
            0,
            bytes(32),  # the digest of the rows goes into a commitment, into no number
        )
        for node_id in node_ids
    ]
    tier = published.layout.tier(len(node_ids))
    return combine(Round(published.layout, round_log.terms, round_id), reports, tier)


def test_the_audited_path_and_a_county_release_the_same_numbers(at_stage: Callable[[str], Stage]) -> None:
    county, round_id = at_stage("released")
    assert np.array_equal(play(county, round_id, county.node_ids), opened_sum(county, round_id))
    assert not np.array_equal(play(county, round_id, county.node_ids[1:]), opened_sum(county, round_id))


@pytest.mark.parametrize("num_schools", [5, 6])
def test_so_they_do_on_a_turnout_ladder(enrolled: CountySimulator, num_schools: int) -> None:
    """Four honest schools are enough, and a fifth is a step of the ladder."""
    county, reporting = enrolled, enrolled.node_ids[:num_schools]
    round_id = county.publish(plan_of(tiers=(5,)))
    for auditor in county.auditors.values():
        auditor.approve(round_id)
    county.work()
    for node_id in reporting:
        county.release(node_id, round_id)
    county.work()
    county.now = county.round(round_id).terms.closes  # nobody else comes
    finish(county, round_id)
    close = county.round(round_id).close
    assert close is not None
    assert close.statement.tier == num_schools - 5
    assert np.array_equal(play(county, round_id, reporting), opened_sum(county, round_id))
