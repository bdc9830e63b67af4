"""The county moves deadlines, ends and reissues rounds, corrects releases; each once, for all to read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from fakes_coordinator import FEDERATION, County, Crash, small_config, small_plan

from coordinator.change_round import NewTerms
from coordinator.errors import (
    CoordinatorError,
    ExtensionRefusedError,
    HasReportsError,
    NotReleasedError,
    PlanRefusedError,
    RoundClosedError,
    RoundEndedError,
    RoundExpiredError,
    RoundNotOpenError,
    WithdrawnError,
    YearRefusedError,
)
from plan.document import PlanDocument
from protos.bodies import Refusal
from protos.round_log import RoundState
from protos.statements import Extended


def closes(county: County) -> datetime:
    return county.round(county.round_id).closes


def grant(county: County, names: tuple[str, ...] = ("a1", "a2", "a3")) -> None:
    newest = county.round(county.round_id).changes.extensions[-1]
    for name in names:
        county.state(name, Extended(FEDERATION, county.round_id, name, newest.digest))


def status(county: County) -> dict[str, object]:
    return county.desk.round_status(county.round_id)


def test_a_report_after_the_old_deadline_counts_once_a_quorum_has_granted_the_later_one(
    collecting: County,
) -> None:
    collecting.report(collecting.round_id, ["s01", "s02", "s03", "s04"])
    old = closes(collecting)
    collecting.clock = old - timedelta(hours=2)
    later = old + timedelta(days=5)
    assert collecting.desk.rounds.extend(collecting.round_id, later, "schools-missing") == (
        "a1",
        "a2",
        "a3",
        "a4",
    )
    grant(collecting, ("a1",))
    assert collecting.desk.rounds.extend(collecting.round_id, later, "schools-missing") == ("a2", "a3", "a4")
    collecting.clock = old + timedelta(hours=2)
    assert status(collecting)["reason"] == "waiting-for-extension"
    assert status(collecting)["waiting_for"] == ["a2", "a3", "a4"]
    collecting.desk.tick()
    with pytest.raises(RoundExpiredError):
        collecting.report(collecting.round_id, ["s05"])
    grant(collecting, ("a2", "a4"))
    assert (status(collecting)["reason"], status(collecting)["closes"]) == (
        "waiting-for-reports",
        later.isoformat(),
    )
    collecting.report(collecting.round_id, ["s05"])
    collecting.clock = later
    collecting.desk.tick()
    candidates = collecting.round(collecting.round_id).candidates
    assert candidates is not None
    assert [row.node for row in collecting.round(collecting.round_id).candidate_names()][-1] == "s05"


def test_without_grants_the_round_ends_at_the_deadline_that_was_asked_for(collecting: County) -> None:
    later = closes(collecting) + timedelta(days=5)
    collecting.desk.rounds.extend(collecting.round_id, later, "holiday")
    collecting.clock = later
    assert status(collecting)["reason"] == "too-few-reports"
    with pytest.raises(RoundEndedError):
        collecting.desk.rounds.extend(collecting.round_id, later + timedelta(days=1), "holiday")


def test_enough_reports_at_the_deadline_are_counted_whatever_was_asked_for(collecting: County) -> None:
    collecting.report(collecting.round_id, ["s01", "s02", "s03", "s04", "s05"])
    collecting.desk.rounds.extend(collecting.round_id, closes(collecting) + timedelta(days=5), "holiday")
    collecting.clock = closes(collecting)
    collecting.desk.tick()
    assert collecting.round(collecting.round_id).candidates is not None


@pytest.mark.parametrize("days", [-1, 0, 61])
def test_deadlines_that_the_rules_do_not_allow(collecting: County, days: int) -> None:
    with pytest.raises(ExtensionRefusedError):
        collecting.desk.rounds.extend(collecting.round_id, closes(collecting) + timedelta(days=days), "other")


def test_a_draft_is_reissued_and_not_extended(county: County) -> None:
    county.found()
    round_id = county.publish()
    with pytest.raises(RoundNotOpenError):
        county.desk.rounds.extend(round_id, closes(county) + timedelta(days=1), "other")


def test_an_expired_plan_is_published_anew_with_a_later_window(county: County) -> None:
    county.found()
    old = county.publish()
    county.clock = closes(county) + timedelta(days=1)
    assert status(county)["reason"] == "expired-before-approval"
    terms = NewTerms(opens=county.clock, closes=county.clock + timedelta(days=30))
    new = county.desk.rounds.reissue(old, terms)
    assert county.desk.rounds.reissue(old, terms) == new
    assert county.desk.round_status(old)["reason"] == "reissued"
    assert county.desk.round_status(old)["ended"] == {"reason": "reissued", "successor": new.hex()}
    county.approve(new)
    assert county.round(new).state is RoundState.COLLECTING
    assert county.round(new).plan.body == county.round(old).plan.body


def test_another_allowed_tuple_before_any_report(make_county: Callable[..., County]) -> None:
    config = small_config(quorum=4, tuples=((4, 3, 1, 3), (3, 3, 2, 3)))
    county = make_county(config=config)
    county.found()
    old = county.publish()
    county.approve(old, ["a1", "a2", "a4"])  # a3 is away
    new = county.desk.rounds.reissue(old, NewTerms(tuple_=(3, 3, 2, 3), auditors=("a1", "a2", "a4")))
    assert county.round(new).terms.auditors == ("a1", "a2", "a4")
    county.approve(new, ["a1", "a2", "a4"])
    county.report(new)
    county.desk.tick()
    assert county.round(new).candidates is not None
    assert county.round(old).state is RoundState.ABORTED


def test_what_may_not_be_reissued(collecting: County) -> None:
    old = collecting.round_id
    with pytest.raises(PlanRefusedError, match="new terms"):
        collecting.desk.rounds.reissue(old, NewTerms())
    with pytest.raises(PlanRefusedError):
        collecting.desk.rounds.reissue(old, NewTerms(tuple_=(5, 4, 2, 4)))
    collecting.report(old, ["s01"])
    with pytest.raises(HasReportsError):
        collecting.desk.rounds.reissue(old, NewTerms(closes=closes(collecting) + timedelta(days=3)))
    assert collecting.desk.round_ids() == (old,)


def test_the_county_ends_a_round_and_its_boxes_are_deleted(collecting: County) -> None:
    round_id = collecting.round_id
    collecting.report(round_id, ["s01"])
    assert collecting.desk.rounds.cancel(round_id, "wrong-codebook") is not None
    assert collecting.desk.rounds.cancel(round_id, "wrong-codebook") is None
    with pytest.raises(RoundEndedError):
        collecting.desk.rounds.cancel(round_id, "other")
    collecting.desk.tick()
    assert (status(collecting)["state"], status(collecting)["reason"]) == ("aborted", "cancelled")
    assert list(collecting.desk.rounds.overdue(round_id, {})) == []
    with pytest.raises(CoordinatorError):
        collecting.desk.get_boxes("a1", round_id)
    with pytest.raises(RoundClosedError):
        collecting.report(round_id, ["s02"])


def test_a_withdrawn_release_is_not_shown_as_valid(released: County, tmp_path: Path) -> None:
    round_id = released.round_id
    released.desk.export_results(round_id, tmp_path / "valid")
    valid = json.loads((tmp_path / "valid" / "release.json").read_text("utf-8"))
    assert (valid["status"], "corrections" in valid) == ("ok", False)
    released.desk.rounds.correct(round_id, "corrected", "wrong-records", tables=["A3"])
    assert released.desk.rounds.correct(round_id, "corrected", "wrong-records", tables=["A3"]) is None
    released.desk.export_results(round_id, tmp_path / "corrected")
    found = json.loads((tmp_path / "corrected" / "release.json").read_text("utf-8"))
    assert found["status"] == "corrected"
    assert [(row["tables"], row["reason"]) for row in found["corrections"]] == [(["A3"], "wrong-records")]
    assert found["tables"] == valid["tables"]
    released.desk.rounds.correct(round_id, "withdrawn", "school-miscounted")
    with pytest.raises(WithdrawnError, match="school-miscounted"):
        released.desk.export_results(round_id, tmp_path / "refused")
    assert not (tmp_path / "refused").exists()
    released.desk.export_results(round_id, tmp_path / "withdrawn", with_withdrawn=True)
    found = json.loads((tmp_path / "withdrawn" / "release.json").read_text("utf-8"))
    assert (found["status"], len(found["corrections"])) == ("withdrawn", 2)
    assert status(released)["standing"] == "withdrawn"
    with pytest.raises(RoundEndedError):
        released.desk.rounds.cancel(round_id, "other")


def test_nothing_to_correct_before_a_release(collecting: County) -> None:
    with pytest.raises(NotReleasedError):
        collecting.desk.rounds.correct(collecting.round_id, "withdrawn", "other")


def year_plan(number: int, **changes: object) -> PlanDocument:
    plan = small_plan(id=f"small-{number}", rho=small_plan().rho / 4)
    return replace(plan, **changes)  # type: ignore[arg-type]


def test_a_years_plans_are_published_all_or_none(county: County) -> None:
    county.found()
    ids = county.desk.rounds.publish_year([year_plan(1), year_plan(2)])
    assert county.desk.round_ids() == ids
    assert county.desk.rounds.publish_year([year_plan(1), year_plan(2)]) == ids
    costly = year_plan(3, rho=small_plan().rho * 2)
    with pytest.raises(YearRefusedError):
        county.desk.rounds.publish_year([year_plan(4), costly])
    with pytest.raises(YearRefusedError, match="id"):
        county.desk.rounds.publish_year([year_plan(1, title="again")])
    assert county.desk.round_ids() == ids
    county.desk.rounds.cancel(ids[0], "wrong-terms")
    again = county.desk.rounds.publish_year([year_plan(1, title="again")])
    assert county.desk.round_ids() == (*ids, *again)


def test_the_list_of_missing_schools(collecting: County) -> None:
    collecting.report(collecting.round_id, ["s01", "s02"])
    collecting.clock = closes(collecting) - timedelta(days=3, hours=1)
    rows = collecting.desk.rounds.overdue(collecting.round_id, {"s04": "王老师"})
    assert [row.node for row in rows] == ["s03", "s04", "s05", "s06"]
    assert {row.days_left for row in rows} == {3}
    assert [row.contact for row in rows] == ["", "王老师", "", ""]
    assert "小计划" in collecting.desk.rounds.letter(collecting.round_id)


def refuse(county: County, auditor: str, *nodes: str) -> None:
    names = [name for name in county.round(county.round_id).candidate_names() if name.node in nodes]
    county.check(county.round_id, [auditor], [Refusal(name, "seed-mismatch") for name in names])


def test_a_person_decides_whether_one_auditor_that_refuses_too_much_is_left_out(collecting: County) -> None:
    round_id = collecting.round_id
    collecting.report(round_id)
    collecting.desk.tick()
    with pytest.raises(RoundEndedError):
        collecting.desk.rounds.leave_out(round_id)
    collecting.check(round_id, ["a1", "a2", "a4"])
    refuse(collecting, "a3", "s01", "s02")
    collecting.desk.tick()
    assert (status(collecting)["reason"], status(collecting)["waiting_for"]) == ("checks-disagree", ["a3"])
    assert collecting.round(round_id).close is None
    assert collecting.desk.rounds.leave_out(round_id) == ("a3",)
    collecting.desk.tick()
    close = collecting.round(round_id).close
    assert close is not None
    assert [name for name, _ in close.statement.checked] == ["a1", "a2", "a4"]
    collecting.agree(round_id, ["a1", "a2", "a4"])
    collecting.answer(round_id, ["a1", "a2", "a4"])
    collecting.advance(hours=1)
    collecting.desk.tick()
    assert collecting.round(round_id).state is RoundState.RELEASED


def test_all_checks_are_named_where_they_leave_enough(collecting: County) -> None:
    collecting.report(collecting.round_id)
    collecting.desk.tick()
    collecting.check(collecting.round_id, ["a1", "a2", "a4"])
    refuse(collecting, "a3", "s01")
    collecting.desk.tick()
    close = collecting.round(collecting.round_id).close
    assert close is not None
    assert (len(close.statement.checked), close.statement.reports) == (4, 5)


# -- stopped at every durable write ---------------------------------------------------------------


def change_everything(county: County, insist: Callable[[Callable[[], object]], object]) -> list[str]:
    """Ask for a later deadline, reissue, end, release, correct and withdraw; each until it comes back."""
    first = county.round_id
    later = closes(county) + timedelta(days=3)
    insist(lambda: county.desk.rounds.extend(first, later, "holiday"))
    insist(lambda: grant(county))
    draft = insist(lambda: county.desk.publish_plan(small_plan(id="draft")))
    assert isinstance(draft, bytes)
    terms = NewTerms(closes=later)
    second = insist(lambda: county.desk.rounds.reissue(draft, terms))
    assert isinstance(second, bytes)
    insist(lambda: county.desk.rounds.cancel(second, "no-longer-needed"))
    insist(lambda: county.report(first))
    insist(lambda: county.desk.tick())  # noqa: PLW0108
    insist(lambda: county.check(first))
    insist(lambda: county.desk.tick())  # noqa: PLW0108
    insist(lambda: county.agree(first))
    insist(lambda: county.answer(first))
    insist(lambda: county.desk.tick())  # noqa: PLW0108
    insist(lambda: county.desk.rounds.correct(first, "corrected", "wrong-records"))
    insist(lambda: county.desk.rounds.correct(first, "withdrawn", "wrong-records"))
    pages = county.desk.get_log(0, 10_000).entries
    return [entry.split(b"/")[1].decode() for entry, _ in pages]


def test_a_process_that_dies_at_every_write_says_everything_once(
    make_county: Callable[..., County],
) -> None:
    told: list[list[str]] = []
    crashes: list[str] = []
    for is_crashing in (False, True):
        county = make_county()
        county.collecting()
        steps: set[str] = set()

        def die_once(step: str, seen: set[str] = steps) -> None:
            if step not in seen:
                seen.add(step)
                crashes.append(step)
                raise Crash

        def insist(task: Callable[[], object], county: County = county, steps: set[str] = steps) -> object:
            steps.clear()
            for _ in range(50):
                try:
                    return task()
                except Crash:
                    county.reopen()
            raise AssertionError("no progress")

        if is_crashing:
            county.durable = die_once
        told.append(change_everything(county, insist))
    assert told[0] == told[1]
    assert len(crashes) > 20
    assert Counter(told[0])["correction"] == 2
    assert (Counter(told[0])["cancel"], Counter(told[0])["extension"]) == (2, 1)
