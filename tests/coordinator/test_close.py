"""Candidates and close: at the deadline, when all are there, on request; S follows from the log."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from fakes_coordinator import County, School, small_plan

from coordinator import errors
from protos.bodies import Refusal, ReportName
from protos.round_log import RoundState

FIVE = ["s01", "s02", "s03", "s04", "s05"]


def name_of(county: County, school: str, attempt: int = 0) -> ReportName:
    row = county.round(county.round_id).reports[(school, attempt)]
    return ReportName(school, attempt, row.digest)


def reason(county: County) -> object:
    return county.desk.round_status(county.round_id)["reason"]


def test_nothing_is_fixed_while_a_school_is_missing(collecting: County) -> None:
    collecting.report(collecting.round_id, FIVE)
    assert collecting.desk.tick() == ()
    status = collecting.desk.round_status(collecting.round_id)
    assert (status["state"], status["waiting_for"]) == ("collecting", ["s06"])
    assert status["not_reported"] == ["s06"]


def test_all_have_reported(collecting: County) -> None:
    collecting.report(collecting.round_id)
    collecting.desk.tick()
    assert [row.node for row in collecting.round(collecting.round_id).candidate_names()] == [*FIVE, "s06"]


def test_the_deadline(collecting: County) -> None:
    collecting.report(collecting.round_id, FIVE)
    collecting.clock = small_plan().closes - timedelta(seconds=1)
    assert collecting.desk.tick() == ()
    collecting.clock = small_plan().closes
    collecting.desk.tick()
    assert [row.node for row in collecting.round(collecting.round_id).candidate_names()] == FIVE


def test_the_highest_attempt_counts(collecting: County) -> None:
    collecting.report(collecting.round_id)
    collecting.desk.submit_report("s02", collecting.payload("s02", collecting.round_id, 1))
    collecting.desk.tick()
    names = collecting.round(collecting.round_id).candidate_names()
    assert [(row.node, row.attempt) for row in names][:3] == [("s01", 0), ("s02", 1), ("s03", 0)]


def test_early_close_only_without_the_missing_when_said(collecting: County) -> None:
    collecting.report(collecting.round_id, FIVE)
    with pytest.raises(errors.SchoolsMissingError, match="s06") as caught:
        collecting.desk.request_close(collecting.round_id)
    assert caught.value.nodes == ("s06",)
    assert collecting.desk.tick() == ()
    for _ in range(2):
        collecting.desk.request_close(collecting.round_id, without_missing=True)
    collecting.reopen().tick()
    assert len(collecting.round(collecting.round_id).candidate_names()) == 5
    with pytest.raises(errors.RoundClosedError, match="closed already: the list of the 5 schools"):
        collecting.desk.request_close(collecting.round_id)


def test_a_round_that_is_over_says_how_it_ended(released: County) -> None:
    with pytest.raises(errors.RoundClosedError, match="results stand in the log"):
        released.desk.request_close(released.round_id)


def test_a_round_that_the_county_ended_is_not_closed(collecting: County) -> None:
    collecting.report(collecting.round_id)
    collecting.desk.rounds.cancel(collecting.round_id, "wrong-codebook")
    with pytest.raises(errors.RoundClosedError, match="ended without results"):
        collecting.desk.request_close(collecting.round_id)


def test_early_close_needs_min_reports(collecting: County) -> None:
    collecting.report(collecting.round_id, FIVE[:4])
    with pytest.raises(errors.TooFewReportsError, match="asks for 5"):
        collecting.desk.request_close(collecting.round_id, without_missing=True)


def test_early_close_needs_an_open_round(county: County) -> None:
    county.found()
    round_id = county.publish()
    with pytest.raises(errors.RoundNotOpenError):
        county.desk.request_close(round_id)
    with pytest.raises(errors.UnknownRoundError):
        county.desk.request_close(bytes(32))


def test_too_few_at_the_deadline_ends_the_round(collecting: County) -> None:
    collecting.report(collecting.round_id, FIVE[:4])
    collecting.clock = small_plan().closes
    collecting.desk.tick()
    assert collecting.round(collecting.round_id).candidates is None
    status = collecting.desk.round_status(collecting.round_id)
    assert (status["state"], status["reason"], status["is_over"]) == ("aborted", "too-few-reports", True)


def test_unapproved_at_the_deadline_ends_the_round(county: County) -> None:
    county.found()
    round_id = county.publish()
    county.approve(round_id, ["a1", "a2", "a3"])
    assert county.desk.round_status(round_id)["waiting_for"] == ["a4"]
    county.clock = small_plan().closes
    assert county.desk.round_status(round_id)["reason"] == "expired-before-approval"


def test_a_quorum_of_checks_waits_for_the_rest_for_a_while(collecting: County) -> None:
    collecting.report(collecting.round_id)
    collecting.desk.tick()
    collecting.check(collecting.round_id, ["a1", "a3"])
    assert collecting.desk.tick() == ()
    assert reason(collecting) == "waiting-for-checks"
    collecting.check(collecting.round_id, ["a4"])
    assert collecting.desk.tick() == ()
    assert collecting.desk.round_status(collecting.round_id)["waiting_for"] == ["a2"]
    assert reason(collecting) == "waiting-for-more-checks"
    collecting.advance(seconds=59)
    assert collecting.desk.tick() == ()
    collecting.advance(seconds=1)
    collecting.desk.tick()
    close = collecting.round(collecting.round_id).close
    assert close is not None
    assert [name for name, _ in close.statement.checked] == ["a1", "a3", "a4"]


def test_all_checks_close_at_once(collecting: County) -> None:
    collecting.report(collecting.round_id)
    collecting.desk.tick()
    collecting.check(collecting.round_id)
    assert len(collecting.desk.tick()) == 1
    assert reason(collecting) == "waiting-for-agreements"


def test_what_an_auditor_refuses_is_left_out(collecting: County) -> None:
    collecting.report(collecting.round_id)
    collecting.desk.tick()
    refusal = Refusal(name_of(collecting, "s03"), "box-unopenable")
    collecting.check(collecting.round_id, ["a1", "a2", "a3"])
    collecting.check(collecting.round_id, ["a4"], [refusal])
    collecting.desk.tick()
    close_body = collecting.round(collecting.round_id).close_body()
    assert close_body is not None
    assert [row.node for row in close_body.set] == ["s01", "s02", "s04", "s05", "s06"]
    assert close_body.excluded == (refusal,)
    assert collecting.desk.round_status(collecting.round_id)["excluded"] == [["s03", "box-unopenable"]]


def test_too_few_after_the_checks_ends_the_round(collecting: County) -> None:
    collecting.report(collecting.round_id)
    collecting.desk.tick()
    refused = [Refusal(name_of(collecting, school), "seed-mismatch") for school in ("s03", "s04")]
    collecting.check(collecting.round_id, refused=refused)
    collecting.desk.tick()
    assert collecting.round(collecting.round_id).close is None
    assert reason(collecting) == "too-few-reports"
    with pytest.raises(errors.BoxesDeletedError):
        list(collecting.desk.get_boxes("a1", collecting.round_id))


def test_a_group_that_became_too_small_ends_the_round(make_county: Callable[..., County]) -> None:
    county = make_county(num_schools=11)
    for place, name in enumerate(county.schools):
        grade = "7" if place < 6 else "8"
        county.schools[name] = School(name, f"school {place}", (("grade", grade),))
    county.found()
    round_id = county.desk.publish_plan(small_plan(min_reports=5))
    county.approve(round_id)
    county.report(round_id)
    county.desk.tick()
    county.check(round_id, ["a1", "a2"])
    county.check(round_id, ["a3", "a4"], [Refusal(name_of(county, "s11"), "seed-mismatch")])
    county.desk.tick()
    assert reason(county) == "group-too-small"
    assert county.round(round_id).close is None


def test_a_quorum_that_abandons_ends_the_round(collecting: County) -> None:
    collecting.report(collecting.round_id)
    collecting.abandon(collecting.round_id, ["a1", "a2"])
    collecting.desk.tick()
    assert collecting.round(collecting.round_id).state is RoundState.ABORTED
    assert reason(collecting) == "abandoned"


def test_ticks_of_two_processes_do_each_step_once(collecting: County) -> None:
    other = collecting.open()
    collecting.report(collecting.round_id)
    assert len(other.tick()) == 1
    assert collecting.desk.tick() == ()
    collecting.check(collecting.round_id)
    assert len(collecting.desk.tick()) == 1
    assert other.tick() == ()
    other.close()
