"""Who has taken over whom, by every roster of the chain."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes_federation import TinyFederation

from protos.bodies import RosterBody
from protos.lineage import lineage, successions


def roster(**succeeds: tuple[str, ...]) -> RosterBody:
    body = TinyFederation().roster_body(())
    nodes = [row for row in TinyFederation().all_roster_nodes() if row.id in succeeds]
    return replace(body, nodes=tuple(replace(row, succeeds=succeeds[row.id]) for row in nodes))


def test_a_school_that_took_over_nobody_stands_alone() -> None:
    known = successions([roster(s1=(), s2=())])
    assert known == {}
    assert lineage(known, "s1") == {"s1"}


def test_predecessors_of_predecessors_count_and_others_do_not() -> None:
    known = successions([roster(s1=("s2",), s2=("s3",), s4=("s5",))])
    assert lineage(known, "s1") == {"s1", "s2", "s3"}
    assert lineage(known, "s2") == {"s2", "s3"}
    assert lineage(known, "s3") == {"s3"}


def test_every_roster_of_the_chain_counts() -> None:
    known = successions([roster(s2=("s3",)), roster(s1=("s2",)), roster(s1=("s4",))])
    assert lineage(known, "s1") == {"s1", "s2", "s3", "s4"}


@pytest.mark.parametrize("start", ["s1", "s2"])
def test_a_circle_ends(start: str) -> None:
    known = successions([roster(s1=("s2",)), roster(s2=("s1",))])
    assert lineage(known, start) == {"s1", "s2"}
