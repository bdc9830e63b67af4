"""A whole round in one process: the sum is right, and faults of the network change nothing."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from county_sums import expected_sum, finish, opened_sum
from fakes_county import CountySimulator

from protos.ledger import RoundState


def test_the_opened_sum_is_exactly_counts_plus_noise(county_folder: Path) -> None:
    county = CountySimulator(county_folder)
    round_id = county.start_round()
    for node_id in county.node_ids:
        county.release(node_id, round_id)
    finish(county, round_id)
    assert np.array_equal(opened_sum(county, round_id), expected_sum(county, round_id, county.node_ids))


@pytest.mark.parametrize(
    ("auditors", "tuple_", "quorum"),
    [(3, (3, 3, 2, 3), 3), (5, (5, 4, 2, 4), 4), (7, (7, 5, 2, 5), 5)],
    ids=["3of3", "4of5", "5of7"],
)
def test_other_tuples(
    county_folder: Path, auditors: int, tuple_: tuple[int, int, int, int], quorum: int
) -> None:
    county = CountySimulator(county_folder, schools=5, auditors=auditors, tuple_=tuple_, quorum=quorum)
    round_id = county.start_round()
    for node_id in county.node_ids:
        county.release(node_id, round_id)
    finish(county, round_id)
    assert np.array_equal(opened_sum(county, round_id), expected_sum(county, round_id, county.node_ids))


def test_a_school_that_never_reports_is_left_out_at_the_request_of_the_county(county_folder: Path) -> None:
    county = CountySimulator(county_folder)
    round_id = county.start_round()
    reporting = county.node_ids[:5]
    for node_id in reporting:
        county.release(node_id, round_id)
    county.work(max_passes=6)
    assert county.coordinator.round_status(round_id)["not_reported"] == ["s06"]
    county.coordinator.request_close(round_id, without_missing=True)
    finish(county, round_id)
    assert np.array_equal(opened_sum(county, round_id), expected_sum(county, round_id, reporting))
    release = county.round(round_id).release
    assert release is not None
    assert (release.statement.reports_in, release.statement.reports_out) == (5, 0)


def test_every_second_answer_lost(county_folder: Path) -> None:
    county = CountySimulator(county_folder, schools=5)
    round_id = county.start_round()
    for node_id in county.node_ids:
        county.release(node_id, round_id)
    county.drop_every = 2
    finish(county, round_id)
    assert np.array_equal(opened_sum(county, round_id), expected_sum(county, round_id, county.node_ids))


def test_one_auditor_away_the_round_goes_on(county_folder: Path) -> None:
    county = CountySimulator(county_folder, schools=5)
    round_id = county.start_round()
    county.absent = {"a2"}
    for node_id in county.node_ids:
        county.release(node_id, round_id)
    assert county.work(county.is_state(round_id, RoundState.RELEASED), max_passes=400)
    assert np.array_equal(opened_sum(county, round_id), expected_sum(county, round_id, county.node_ids))


def test_two_auditors_away_it_waits_names_them_and_resumes(county_folder: Path) -> None:
    county = CountySimulator(county_folder, schools=5)
    round_id = county.start_round()
    county.absent = {"a2", "a4"}
    for node_id in county.node_ids:
        county.release(node_id, round_id)
    assert not county.work(county.is_state(round_id, RoundState.RELEASED), max_passes=100)
    status = county.coordinator.round_status(round_id)
    assert set(status["waiting_for"]) == {"a2", "a4"}  # type: ignore[call-overload]
    county.absent = {"a4"}
    assert county.work(county.is_state(round_id, RoundState.RELEASED), max_passes=400)
    assert np.array_equal(opened_sum(county, round_id), expected_sum(county, round_id, county.node_ids))


def test_noise_of_a_round_is_not_drawn_twice(county_folder: Path) -> None:
    """Releasing again, with or without a restart, sends the very same bytes."""
    county = CountySimulator(county_folder, schools=5)
    round_id = county.start_round()
    county.release("s01", round_id)
    first = county.nodes["s01"].outgoing()
    county.release("s01", round_id)
    county.restart("s01")
    county.release("s01", round_id)
    assert county.nodes["s01"].outgoing() == first
    assert first is not None


def test_after_a_long_rest_of_the_log_schools_still_release(county_folder: Path) -> None:
    county = CountySimulator(county_folder, schools=5)
    round_id = county.start_round()
    county.now += timedelta(days=3)
    county.work()
    for node_id in county.node_ids:
        county.release(node_id, round_id)
    finish(county, round_id)
