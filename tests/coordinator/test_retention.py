"""What has served is deleted when the protocol says, once, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from fakes_coordinator import County, small_config

from coordinator import schema
from coordinator.errors import VectorsDeletedError
from coordinator.retention import BOXES, SUMS, UNUSED, VECTORS, prune
from protos.bodies import Refusal


def stored(county: County) -> tuple[int, int, int]:
    """How many vectors, boxes and mask sums the database has."""
    with county.desk._store.reading() as connection:
        tables = (schema.vectors, schema.boxes, schema.sums)
        vectors, boxes, sums = (
            int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())
            for table in tables
        )
    return vectors, boxes, sums


def pruned(county: County, **words: bool) -> list[tuple[str, int]]:
    rows = prune(county.desk.book, county.desk.home.config, **words)
    return [(row.what, row.num_rows) for row in rows]


def test_a_round_is_pruned_in_two_steps(make_county: Callable[..., County], address: str) -> None:
    county = make_county(config=small_config(database=address, keep_vectors_days=10))
    round_id = county.collecting()
    county.report(round_id)
    county.desk.submit_report("s01", county.payload("s01", round_id, 1))  # supersedes the first
    assert pruned(county) == []
    assert stored(county)[0] == 7
    for step in (county.check, county.agree, county.answer):
        county.desk.tick()
        step(round_id)
    county.desk.tick()
    county.desk._pruned_at = None
    county.desk.tick()
    assert stored(county)[:2] == (6, 0)
    vectors = dict(county.desk.get_vectors("a1", round_id))
    assert len(vectors) == 6
    county.advance(days=9, hours=23)
    assert pruned(county) == []
    county.advance(hours=2)
    assert pruned(county, is_rehearsal=True) == [(VECTORS, 6), (SUMS, 12)]
    assert stored(county) == (6, 0, 12)
    assert pruned(county) == [(VECTORS, 6), (SUMS, 12)]
    assert pruned(county) == []
    assert stored(county) == (0, 0, 0)
    for ask in (lambda: county.desk.get_vectors("a1", round_id), lambda: county.desk.get_sums(round_id)):
        with pytest.raises(VectorsDeletedError):
            list(ask())


def test_a_round_that_ended_without_a_release_keeps_nothing(collecting: County) -> None:
    round_id = collecting.round_id
    collecting.report(round_id, ["s01", "s02"])
    collecting.advance(days=365)
    assert pruned(collecting) == [(UNUSED, 2), (BOXES, 2)]
    assert stored(collecting) == (0, 0, 0)
    collecting.desk.submit_report("s01", collecting.payload("s01", round_id))  # its receipt again
    assert stored(collecting) == (0, 0, 0)


@pytest.mark.parametrize("num_refusing", [1, 2])
def test_nothing_is_deleted_while_an_auditor_that_is_away_may_save_the_round(
    collecting: County, num_refusing: int
) -> None:
    """a1 refuses everything: with a4's check three others can close; where a2 refuses too, nobody can."""
    round_id = collecting.round_id
    collecting.report(round_id)
    collecting.desk.tick()
    refused = [Refusal(name, "seed-mismatch") for name in collecting.round(round_id).candidate_names()]
    collecting.check(round_id, ["a1", "a2"][:num_refusing], refused)
    collecting.check(round_id, ["a2", "a3"][num_refusing - 1 :])
    collecting.advance(days=2)
    collecting.desk._pruned_at = None
    collecting.desk.tick()
    if num_refusing == 2:
        assert stored(collecting) == (0, 0, 0)
        return
    assert stored(collecting) == (6, 6, 0)
    collecting.check(round_id, ["a4"])
    assert collecting.desk.rounds.leave_out(round_id) == ("a1",)
    collecting.desk.tick()
    assert collecting.round(round_id).close is not None
    assert stored(collecting) == (6, 6, 0)


def test_a_vector_that_another_round_has_too_is_kept(released: County) -> None:
    round_id = released.round_id
    kept = released.round(round_id).reports.contents_of(("s01", 0)).vector
    from coordinator import retention

    def elsewhere(_view: object, _round_log: object) -> set[bytes]:
        return {kept}

    original = retention._needed_elsewhere
    retention._needed_elsewhere = elsewhere  # type: ignore[assignment]
    try:
        released.advance(days=500)
        assert (VECTORS, 5) in pruned(released)
    finally:
        retention._needed_elsewhere = original
    assert stored(released)[0] == 1
