"""Opening the sum: exact, replicas compared, bounds checked, damage found, boxes gone."""

import sqlite3
from collections.abc import Callable

import numpy as np
import pytest
from fakes_coordinator import County, Crash, School, small_config, small_plan

from coordinator import errors
from coordinator.combine import sum_of_bounds, tables_outside
from coordinator.plan_view import published_plan
from coordinator.structured_log import content_of
from protos.bodies import Refusal, ReportName, parse_release_body
from protos.round_log import RoundLog

THIRD = "rowid = 3"  # the county sends s01, s02, s03 …


def sums_of(round_log: RoundLog) -> list[int]:
    assert round_log.release is not None
    return [value for table in parse_release_body(round_log.release.body) for value in table.sums]


def test_the_sum_is_exact(released: County) -> None:
    round_log = released.round(released.round_id)
    assert sums_of(round_log) == released.truth()
    statement = round_log.release.statement  # type: ignore[union-attr]
    assert (statement.status, statement.replicas) == ("ok", 2)
    assert (statement.reports_in, statement.reports_out) == (6, 0)
    assert [name for name, _ in statement.openings] == ["a1", "a2", "a3", "a4"]


def test_one_auditor_away(agreed: County) -> None:
    agreed.answer(agreed.round_id, ["a1", "a2", "a4"])
    assert agreed.desk.tick() == ()
    assert agreed.desk.round_status(agreed.round_id)["reason"] == "waiting-for-more-openings"
    agreed.advance(seconds=60)
    agreed.desk.tick()
    round_log = agreed.round(agreed.round_id)
    assert sums_of(round_log) == agreed.truth()
    assert round_log.release.statement.replicas == 1  # type: ignore[union-attr]


def test_two_auditors_away_waits_and_says_for_whom(agreed: County) -> None:
    agreed.answer(agreed.round_id, ["a1", "a2"])
    agreed.advance(days=30)
    assert agreed.desk.tick() == ()
    status = agreed.desk.round_status(agreed.round_id)
    assert (status["reason"], status["waiting_for"]) == ("waiting-for-openings", ["a3", "a4"])
    agreed.answer(agreed.round_id, ["a4"])
    agreed.advance(seconds=60)
    agreed.desk.tick()
    assert sums_of(agreed.round(agreed.round_id)) == agreed.truth()


def test_excluded_and_corrected_reports(collecting: County) -> None:
    round_id = collecting.round_id
    collecting.report(round_id)
    collecting.desk.submit_report("s02", collecting.payload("s02", round_id, 1))
    collecting.desk.tick()
    row = collecting.round(round_id).reports[("s05", 0)]
    collecting.check(round_id, refused=[Refusal(ReportName("s05", 0, row.digest), "seed-seen")])
    collecting.desk.tick()
    collecting.agree(round_id)
    collecting.answer(round_id)
    collecting.desk.tick()
    round_log = collecting.round(round_id)
    expected = collecting.truth(["s01", "s02", "s03", "s04", "s06"], {"s02": 1})
    assert sums_of(round_log) == expected
    assert round_log.release.statement.reports_out == 1  # type: ignore[union-attr]


def test_a_liar_that_cannot_be_named_blocks_the_release(agreed: County) -> None:
    agreed.answer(agreed.round_id, liars=["a2"])
    agreed.advance(days=1)
    assert agreed.desk.tick() == ()
    status = agreed.desk.round_status(agreed.round_id)
    assert status["reason"] == "replica-mismatch"
    assert "a2" in status["waiting_for"]  # type: ignore[operator]
    assert agreed.round(agreed.round_id).release is None


def test_consistent_lies_out_of_bounds_are_corrupt(agreed: County) -> None:
    """Three auditors together return a wrong sum for a subset that all three of its holders share."""
    round_id = agreed.round_id
    names = ["a1", "a2", "a3", "a4"]
    wrong = {name: dict(agreed.sums(name, round_id)) for name in names}
    subset = min(set(wrong["a1"]) & set(wrong["a2"]))
    lie = np.full(31, 2**40, np.uint64).tobytes()
    for name in names:
        if subset in wrong[name]:
            wrong[name][subset] = lie
    for name in names:
        agreed._sums[(name, round_id)] = wrong[name]
    agreed.answer(round_id)
    agreed.desk.tick()
    release = agreed.round(round_id).release
    assert release is not None
    assert release.statement.status == "corrupt"
    assert parse_release_body(release.body) == ()
    assert agreed.desk.round_status(round_id)["reason"] == "corrupt"
    with pytest.raises(errors.NotReleasedError, match="corrupt"):
        agreed.desk.export_results(round_id, agreed.directory / "out")


def test_boxes_are_deleted_at_the_release(agreed: County) -> None:
    box = dict(agreed.desk.get_boxes("a1", agreed.round_id)).popitem()[1]
    agreed.answer(agreed.round_id)
    agreed.desk.tick()
    with pytest.raises(errors.BoxesDeletedError):
        agreed.desk.get_boxes("a1", agreed.round_id)
    files = list(agreed.directory.glob("coordinator.db*"))
    assert files
    assert not any(box[100:200] in file.read_bytes() for file in files)


def test_the_release_and_the_deletion_are_one_commit(agreed: County) -> None:
    def crash(step: str) -> None:
        if step == "after append release":
            raise Crash

    agreed.answer(agreed.round_id)
    agreed.durable = crash
    with pytest.raises(Crash):
        agreed.desk.tick()
    agreed.desk.close()
    connection = sqlite3.connect(agreed.directory / "coordinator.db")
    assert connection.execute("SELECT count(*) FROM boxes").fetchone() == (0,)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        (f"UPDATE vectors SET data = zeroblob(248) WHERE {THIRD}", "vector of s03"),
        (f"UPDATE vectors SET data = zeroblob(240) WHERE {THIRD}", "vector of s03"),
        ("UPDATE sums SET data = zeroblob(248) WHERE subset = 3", "sum 3"),
        ("DELETE FROM sums WHERE subset = 3", "sum 3"),
    ],
)
def test_damage_on_disk_is_found_and_nothing_released(
    agreed: County, statement: str, named: str, caplog: pytest.LogCaptureFixture
) -> None:
    agreed.answer(agreed.round_id)
    with sqlite3.connect(agreed.directory / "coordinator.db") as connection:
        connection.execute(statement)
    connection.close()
    assert agreed.desk.tick() == ()
    assert content_of(caplog.records[-1])["code"] == "store"
    with pytest.raises(errors.StoreError, match=named):  # which of them, a person asks by `store check`
        list(agreed.desk._drive(agreed.round_id))
    assert agreed.round(agreed.round_id).release is None


def test_bounds_to_the_unit(collecting: County) -> None:
    layout = published_plan(collecting.round(collecting.round_id)).layout
    table = layout.tables[0]
    z = int((196 * table.noise.s2 * 6) ** 0.5) + 1
    high = table.noise.scale * 100 + z

    def outside(value: int, at: int = 0) -> tuple[str, ...]:
        values = np.zeros(layout.cells, np.int64)
        values[at] = value
        return tables_outside(layout, values, 6, 100)

    assert outside(-z) == outside(high) == ()
    assert outside(-z - 1) == outside(high + 1) == (table.id,)
    assert outside(-(2**50), table.cells) == (layout.tables[1].id,)


def test_bounds_of_schools(make_county: Callable[..., County]) -> None:
    county = make_county(num_schools=6, config=small_config(school_bound=7))
    texts = {"s01": "1200", "s02": "none", "s03": "-5", "s04": "99999999999", "s05": "٣"}
    for name, text in texts.items():
        county.schools[name] = School(name, f"of {name}", (("pupils", text),))
    county.found()
    body = county.ledger().roster.body
    assert sum_of_bounds(body, ["s01"], 7) == 1200
    assert sum_of_bounds(body, ["s02", "s03", "s04", "s05", "s06"], 7) == 35
    assert sum_of_bounds(body, [], 7) == 0


def test_a_small_public_bound_catches_a_large_sum(make_county: Callable[..., County]) -> None:
    county = make_county(config=small_config(school_bound=1))
    county.agreed()
    county.answer(county.round_id)
    county.desk.tick()
    release = county.round(county.round_id).release
    assert release is not None
    assert release.statement.status == "corrupt"


def test_the_window_of_the_plan_does_not_bind_the_opening(agreed: County) -> None:
    agreed.clock = small_plan().closes
    agreed.answer(agreed.round_id)
    agreed.desk.tick()
    assert sums_of(agreed.round(agreed.round_id)) == agreed.truth()
