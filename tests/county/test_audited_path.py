"""What the privacy audit plays (bench/audit_path.py) is what a county does: the same sums, cell by cell.

The county has all that the audit leaves out: boxes, signatures, a log, files, agreement on the set.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from county_sums import layout_of, opened_sum, scaled_counts
from fakes_county import CountySimulator

from bench.audit_path import Round, combine
from node.vault.derive import derive
from node.vault.enrol import load_identity
from node.vault.release import recipe_of
from plan.published import read_published

Stage = tuple[CountySimulator, bytes]


def test_the_audited_path_and_a_county_release_the_same_numbers(at_stage: Callable[[str], Stage]) -> None:
    county, round_id = at_stage("released")
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
        for node_id in county.node_ids
    ]
    played = combine(Round(layout_of(round_log), round_log.terms, round_id), reports)
    assert np.array_equal(played, opened_sum(county, round_id))
    one_less = combine(Round(layout_of(round_log), round_log.terms, round_id), reports[1:])
    assert not np.array_equal(one_less, opened_sum(county, round_id))
