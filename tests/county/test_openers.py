"""Who opens: every t of n auditors can, no t − 1 can; lies are seen where t + 1 reply, named where t + 2e do.

For every tuple that a federation may choose, over two rounds, with real masks; the auditors' sums and the
combination are the product's own. The schools' tables are made up and known, so the sum is known.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from itertools import combinations

import numpy as np
import pytest
from bundle_zoo.county import ZooCounty
from numpy.typing import NDArray

from coordinator.errors import ReplicaMismatchError
from coordinator.round import choose_openers, set_aside
from crypto.field64 import parse_vector
from crypto.replication import covers
from crypto.sharing import unmask
from crypto.tier_sum import TierSum
from protos.round_log import RoundLog

TUPLES = [(3, 3, 2, 3), (4, 3, 1, 3), (5, 4, 2, 4), (7, 5, 2, 5)]
ROUNDS = 2
HIDDEN = 2**40  # a table's sum is smaller; a cell under a missing mask is, with probability 2^-23


@cache
def county_of(tuple_: tuple[int, int, int, int]) -> ZooCounty:
    """A county with two rounds that every auditor has opened."""
    county = ZooCounty(num_auditors=tuple_[0], num_nodes=5, tuple_=tuple_, quorum=tuple_[3])
    county.enrol()
    for _ in range(ROUNDS):
        round_id = county.plan_round()
        county.collect(round_id)
        county.finish(round_id, is_released=False)
    return county


@pytest.fixture(params=TUPLES, ids=[f"{t}-of-{n}" for n, t, _, _ in TUPLES])
def opened(request: pytest.FixtureRequest) -> tuple[ZooCounty, list[RoundLog]]:
    county = county_of(request.param)
    rounds = list(county.ledger.rounds.values())
    assert len(rounds) == ROUNDS
    return county, rounds


def answered_by(row: RoundLog, names: Iterable[str]) -> RoundLog:
    """The round as it is when only these have opened."""
    seen = copy.copy(row)
    seen.openings = {name: row.openings[name] for name in names}
    return seen


def opened_by(county: ZooCounty, row: RoundLog, names: Iterable[str]) -> NDArray[np.int64]:
    """Add the masks that these auditors returned to the masked vectors; what is missing stays out."""
    body = row.close_body()
    assert body is not None
    total = TierSum(row.terms.cells, 0)
    for name in body.set:
        total.add_report(parse_vector(county.vectors[name.digest], row.terms.num_elements))
    held = {subset: holder for holder in names for subset in row.subsets_of(holder)}
    sums = [county.sums[row.round_id, holder, subset] for subset, holder in sorted(held.items())]
    return unmask(total.value(), [parse_vector(data, row.terms.cells) for data in sums])


def test_every_t_of_n_opens(opened: tuple[ZooCounty, list[RoundLog]]) -> None:
    county, rounds = opened
    for row in rounds:
        for names in combinations(row.terms.auditors, row.terms.threshold):
            assert choose_openers(answered_by(row, names)) == names
            assert np.array_equal(opened_by(county, row, names), county.expected(row.round_id))


def test_no_fewer_than_t_open(opened: tuple[ZooCounty, list[RoundLog]]) -> None:
    """The rule refuses, and without the rule there is nothing to be had: every cell stays masked."""
    county, rounds = opened
    for row in rounds:
        n, t = len(row.terms.auditors), row.terms.threshold
        for places in combinations(range(n), t - 1):
            names = [row.terms.auditors[place] for place in places]
            assert not covers(places, n, t)
            with pytest.raises(ReplicaMismatchError):
                choose_openers(answered_by(row, names))
            assert np.abs(opened_by(county, row, names)).min() > HIDDEN


def lying(row: RoundLog, liar: str, subsets: Iterable[int]) -> RoundLog:
    """The round with another sum of these subsets from one auditor, as its opening would name it."""
    seen = copy.copy(row)
    logged = row.openings[liar]
    wrong = set(subsets)
    sums = tuple(
        (subset, hashlib.sha256(digest).digest() if subset in wrong else digest)
        for subset, digest in logged.statement.sums
    )
    seen.openings = {**row.openings, liar: replace(logged, statement=replace(logged.statement, sums=sums))}
    return seen


def lies_of(row: RoundLog, liar: str) -> Iterator[tuple[int, ...]]:
    """One subset, and all of them."""
    own = row.subsets_of(liar)
    yield own[:1]
    yield tuple(own)


def test_a_lie_is_seen_where_one_more_than_t_reply(opened: tuple[ZooCounty, list[RoundLog]]) -> None:
    """Every liar, every choice of t + 1 that it is among: never combined as if nothing were."""
    _, rounds = opened
    row = rounds[0]
    seen = 0
    for liar in row.terms.auditors:
        for wrong in lies_of(row, liar):
            for names in combinations(row.terms.auditors, row.terms.threshold + 1):
                if liar in names:
                    with pytest.raises(ReplicaMismatchError) as caught:
                        choose_openers(answered_by(lying(row, liar, wrong), names))
                    assert liar in caught.value.auditors
                    seen += 1
    assert seen or row.terms.threshold == len(row.terms.auditors)


def test_a_liar_is_named_where_t_and_two_more_reply() -> None:
    """(7, 5): all reply, whoever lies is named alone, and the others' sum is the right one."""
    county = county_of(TUPLES[-1])
    for row in county.ledger.rounds.values():
        for liar in row.terms.auditors:
            for wrong in lies_of(row, liar):
                told = lying(row, liar, wrong)
                honest = tuple(name for name in row.terms.auditors if name != liar)
                assert (choose_openers(told), set_aside(told)) == (honest, (liar,))
                assert np.array_equal(opened_by(county, row, honest), county.expected(row.round_id))


def test_with_two_liars_nobody_is_named_wrongly() -> None:
    """(7, 5) names one: with two that lie together t + 2e is 9, and nothing is published."""
    county = county_of(TUPLES[-1])
    (row, *_) = county.ledger.rounds.values()
    for first, second in combinations(row.terms.auditors, 2):
        shared = sorted(set(row.subsets_of(first)) & set(row.subsets_of(second)))
        told = lying(lying(row, first, shared), second, shared)
        with pytest.raises(ReplicaMismatchError) as caught:
            choose_openers(told)
        assert {first, second} <= set(caught.value.auditors)
        assert set_aside(told) == ()
