"""P2: nobody outside sees a school's table; only the sum over one set S of enough operators is opened.

What the coordinator and f auditors hold of one school is put together with the product's own masks: what is
left in every cell is uniform, and as likely under any other table. With one auditor more than f, fewer than
t, it is still so; with t of them it is the table. Below `min_reports`, and for two names of one operator,
nothing is opened. Two sets, second answers: `test_p03_opens_once.py`; the linear algebra:
`tests/model/equivocation.py`.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from county_sums import expected_sum, secret_of
from fakes_attacks import (
    ForgedLog,
    assert_refused,
    candidates_of,
    close_of,
    log_statement,
    newest_names,
)
from fakes_county import CountySimulator
from numpy.typing import NDArray

from coordinator.errors import TooFewReportsError
from crypto.derivation import seeds
from crypto.field64 import MODULUS, add, centre_lift, parse_vector
from crypto.mask_sum import MaskSum
from crypto.replication import subsets, subsets_with
from crypto.sharing import add_report_mask
from protos.report_payload import parse_payload

Stage = tuple[CountySimulator, bytes]
SCHOOL = "s01"


def put_together(county: CountySimulator, round_id: bytes, colluders: tuple[int, ...]) -> NDArray[np.uint64]:
    """Add to a school's masked vector every mask that these auditors know."""
    row = county.round(round_id)
    n, t = len(row.terms.auditors), row.terms.threshold
    known = {subset for index in colluders for subset in subsets_with(index, n, t)}
    own = seeds(secret_of(county, row, SCHOOL), subsets(n, t))
    masks = MaskSum(row.terms.cells)
    for subset in sorted(known):
        add_report_mask(masks, subset, own[subset], round_id, n, t)
    return np.asarray(add(vector_of(county, round_id), masks.value()))


def vector_of(county: CountySimulator, round_id: bytes) -> NDArray[np.uint64]:
    """The masked vector that the school's report has."""
    row = county.round(round_id)
    payload = county.nodes[SCHOOL].outgoing()
    assert payload is not None
    parts = parse_payload(payload, row.terms.cells, row.box_bytes, len(row.terms.auditors))
    return parse_vector(parts.vector, row.terms.cells)


def test_fewer_than_t_auditors_and_the_coordinator_hold_uniform_numbers(collecting: Stage) -> None:
    """Each of the 46 cells is as if drawn from all of the field.

    A value below 2^40 in size is what a table is; under the promise one cell of 11 x 46 is that by accident
    with a probability below 506 * 2^41 / 2^64 < 2^-14. The mean over the field is tested at 6
    standard errors.
    """
    county, round_id = collecting
    county.release(SCHOOL, round_id)
    for colluders in [(), *combinations(range(4), 1), *combinations(range(4), 2)]:
        left = put_together(county, round_id, colluders)
        assert np.abs(centre_lift(left)).min() > 2**40
        mean = float(np.mean(left / float(MODULUS)))
        assert abs(mean - 0.5) < 6 / np.sqrt(12 * left.size)


def test_t_auditors_hold_the_table_and_that_is_said(collecting: Stage) -> None:
    """The other side of the promise: whoever reads "not promised" reads the truth."""
    county, round_id = collecting
    county.release(SCHOOL, round_id)
    for colluders in combinations(range(4), 3):
        left = put_together(county, round_id, colluders)
        assert np.array_equal(centre_lift(left), expected_sum(county, round_id, [SCHOOL]))


@pytest.mark.parametrize("num_schools", [1, 4])
def test_too_few_schools_are_opened_by_nobody(collecting: Stage, num_schools: int) -> None:
    """Also when the coordinator lies about it: every auditor and every school refuses the close."""
    county, round_id = collecting
    for node_id in county.node_ids[:num_schools]:
        county.release(node_id, round_id)
        county.serve_node(node_id)
    with pytest.raises(TooFewReportsError):
        county.coordinator.request_close(round_id, without_missing=True)
    row = county.round(round_id)
    log_statement(county, *candidates_of(row, newest_names(row), county.ledger().size))
    for auditor in county.auditors.values():
        auditor.step()
    log = ForgedLog(county)
    log.add(*close_of(county.round(round_id), ["a1", "a2", "a3", "a4"]))
    assert_refused(county, log, "too-few-reports")
    assert not county.round(round_id).openings
