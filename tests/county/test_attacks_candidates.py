"""S is a function of the log: nobody left out, nobody twice, never too small, never one school's group."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from county_sums import assert_released, expected_sum, finish, opened_sum
from fakes_attacks import (
    ForgedLog,
    LyingSchool,
    assert_refused,
    candidates_of,
    close_of,
    log_statement,
    name_of,
    newest_names,
)
from fakes_county import CountySimulator
from fakes_vault import plan_of, pupils

from auditor.state import SecretKind
from coordinator.errors import (
    AlreadyReportedError,
    GroupTooSmallError,
    IdentityMismatchError,
    ReportRefusedError,
    StatementRefusedError,
    TooFewReportsError,
)
from protos.bodies import CloseBody, Refusal, ReportName
from protos.round_log import RoundLog, RoundState, closed_set
from protos.statements import Close

Stage = tuple[CountySimulator, bytes]
ALL = ("a1", "a2", "a3", "a4")
Names = list[ReportName]

# --- candidates that somebody chose -----------------------------------------------------------

CHOSEN: dict[str, tuple[Callable[[RoundLog], Names], int, str]] = {
    "a school left out": (lambda row: newest_names(row)[:-1], 0, "wrong-candidates"),
    "an older attempt": (lambda row: [name_of(row, "s01"), *newest_names(row)[1:]], 0, "wrong-candidates"),
    "one school twice": (lambda row: [name_of(row, "s01"), *newest_names(row)], 0, "bad-body"),
    "in another order": (lambda row: newest_names(row)[::-1], 0, "bad-body"),
    "another school's report": (
        lambda row: [*newest_names(row)[:-1], replace(newest_names(row)[0], node="s06")],
        0,
        "wrong-candidates",
    ),
    "the log cut before a report": (lambda row: newest_names(row)[1:], -1, "wrong-log-size"),
    "nobody": (lambda row: [], 0, "wrong-candidates"),
}


@pytest.fixture
def reported_again(reported: Stage) -> Stage:
    """School s01 has corrected its records and reported a second time."""
    county, round_id = reported
    for auditor in county.auditors.values():
        auditor.step()
    county.serve_node("s01")
    county.import_pupils("s01", pupils(33, shift=2))
    county.release("s01", round_id)
    county.serve_node("s01")
    assert ("s01", 1) in county.round(round_id).reports
    return county, round_id


@pytest.mark.parametrize("choice", CHOSEN)
def test_candidates_that_somebody_chose_are_refused(reported_again: Stage, choice: str) -> None:
    county, round_id = reported_again
    log = ForgedLog(county)
    choose, shift, code = CHOSEN[choice]
    log.add(*candidates_of(county.round(round_id), choose(county.round(round_id)), log.size + shift))
    assert_refused(county, log, code)


def test_of_two_attempts_the_newer_one_counts_once(reported_again: Stage) -> None:
    county, round_id = reported_again
    finish(county, round_id)
    rest = expected_sum(county, round_id, county.node_ids[1:])
    assert np.array_equal(opened_sum(county, round_id), rest + expected_sum(county, round_id, ["s01"], 1))


@pytest.mark.parametrize("attempt", [1, 3])
def test_a_school_that_skips_an_attempt_is_refused(collecting: Stage, attempt: int) -> None:
    county, round_id = collecting
    liar = LyingSchool(county, "s06", round_id)
    with pytest.raises(ReportRefusedError) as caught:
        liar.send(liar.payload(attempt=attempt))
    assert isinstance(caught.value.__cause__, StatementRefusedError)
    assert caught.value.__cause__.reason == "wrong-attempt"


def test_a_second_report_under_the_same_attempt_is_refused(collecting: Stage) -> None:
    county, round_id = collecting
    liar = LyingSchool(county, "s06", round_id)
    liar.send(liar.payload())
    with pytest.raises(AlreadyReportedError) as caught:
        liar.send(liar.payload(confinement="L0"))
    assert caught.value.code == "already-reported"
    for node_id in county.node_ids:
        if node_id != "s06":
            county.release(node_id, round_id)
    assert_released(county, round_id, county.node_ids)  # the first one counts


def test_a_report_in_another_schools_name_is_refused(collecting: Stage) -> None:
    county, round_id = collecting
    liar = LyingSchool(county, "s06", round_id)
    with pytest.raises(IdentityMismatchError) as caught:
        liar.send(liar.payload(node="s05"))
    assert caught.value.code == "identity-mismatch"
    with pytest.raises(ReportRefusedError) as forged:  # under a stolen certificate, without the report key
        county.coordinator.submit_report("s05", liar.payload(node="s05"))
    assert isinstance(forged.value.__cause__, StatementRefusedError)
    assert forged.value.__cause__.reason == "wrong-signers"


# --- a close that somebody chose --------------------------------------------------------------


def honest(row: RoundLog) -> CloseBody:
    """What the close must say."""
    return closed_set(row, ALL)


def without_last(row: RoundLog, code: str = "") -> CloseBody:
    """The same without the last school, with or without an invented reason."""
    body = honest(row)
    return CloseBody(body.set[:-1], (Refusal(body.set[-1], code),) if code else ())


FORGED: dict[str, tuple[Callable[[RoundLog], tuple[Close, bytes]], str]] = {
    "a school left out": (lambda row: close_of(row, ALL, without_last(row)), "wrong-set"),
    "an invented refusal": (lambda row: close_of(row, ALL, without_last(row, "copied-seed")), "wrong-set"),
    "one school alone": (lambda row: close_of(row, ALL, CloseBody(honest(row).set[:1], ())), "wrong-set"),
    "too few checks": (lambda row: close_of(row, ALL[:2]), "wrong-checked"),
    "checks of nobody": (
        lambda row: close_of(row, ALL, checked=tuple((name, bytes(32)) for name in ALL)),
        "wrong-checked",
    ),
    "other candidates": (lambda row: close_of(row, ALL, candidates=bytes(32)), "wrong-candidates"),
    "another number of reports": (lambda row: close_of(row, ALL, reports=5), "wrong-set"),
    "another tier": (lambda row: close_of(row, ALL, tier=1), "wrong-set"),
}


@pytest.mark.parametrize("lie", FORGED)
def test_a_close_that_is_no_function_of_the_log_is_refused(checked: Stage, lie: str) -> None:
    county, round_id = checked
    log = ForgedLog(county)
    make, code = FORGED[lie]
    log.add(*make(county.round(round_id)))
    assert_refused(county, log, code)


def test_the_round_goes_on_after_forged_candidates_and_closes(reported: Stage) -> None:
    county, round_id = reported
    log = ForgedLog(county)
    log.add(*candidates_of(county.round(round_id), newest_names(county.round(round_id))[1:], log.size))
    assert_refused(county, log, "wrong-candidates")
    county.coordinator.tick()
    for auditor in county.auditors.values():
        auditor.step()
    log = ForgedLog(county)
    log.add(*FORGED["a school left out"][0](county.round(round_id)))
    assert_refused(county, log, "wrong-set")
    assert_released(county, round_id, county.node_ids)


def test_an_auditor_whose_check_is_passed_over_can_answer_and_agrees(checked: Stage) -> None:
    """It refuses nothing in S: leaving its check out of the close gains nothing."""
    county, round_id = checked
    log_statement(county, *close_of(county.round(round_id), ALL[:3]))
    assert_released(county, round_id, county.node_ids)
    row = county.round(round_id)
    assert set(row.agreements) == set(row.openings) == set(ALL)


def test_an_auditor_whose_refusal_is_passed_over_abandons(collecting: Stage) -> None:
    """It cannot answer for S; the others go on, and it answers for nothing."""
    county, round_id = collecting
    for node_id in county.node_ids[:-1]:
        county.release(node_id, round_id)
        county.serve_node(node_id)
    liar = LyingSchool(county, "s06", round_id)
    liar.send(liar.payload(boxes={"a4": bytes(len(liar.boxes["a4"]))}))
    county.coordinator.tick()
    for auditor in county.auditors.values():
        auditor.step()
    log_statement(county, *close_of(county.round(round_id), ALL[:3]))
    county.work(max_passes=8)
    county.now += timedelta(minutes=5)
    assert_released(county, round_id, county.node_ids)
    row = county.round(round_id)
    assert {name: logged.statement.reason for name, logged in row.abandons.items()} == {"a4": "not-named"}
    assert set(row.openings) == set(ALL[:3])
    assert county.auditors["a4"].state.secret(SecretKind.ROUND_KEY, round_id) is None


# --- S too small ------------------------------------------------------------------------------


def report_of(county: CountySimulator, round_id: bytes, *node_ids: str) -> None:
    """Let these schools report, and nobody else."""
    county.absent |= set(county.node_ids) - set(node_ids)
    for node_id in node_ids:
        county.release(node_id, round_id)
        county.serve_node(node_id)


def assert_too_small(county: CountySimulator, round_id: bytes) -> None:
    """Check that nobody closes over the reports that there are, and that the round ends unopened."""
    with pytest.raises(TooFewReportsError) as caught:
        county.coordinator.request_close(round_id, without_missing=True)
    assert caught.value.code == "too-few-reports"
    row, size = county.round(round_id), ForgedLog(county).size
    log_statement(county, *candidates_of(row, newest_names(row), size))  # itself no lie: all that there is
    for auditor in county.auditors.values():
        auditor.step()
    log = ForgedLog(county)
    log.add(*close_of(county.round(round_id), ALL))
    assert_refused(county, log, "too-few-reports")
    county.coordinator.tick()
    assert county.coordinator.round_status(round_id)["reason"] == "too-few-reports"
    assert not county.round(round_id).close


def test_four_schools_are_never_opened_and_get_their_charge_back(collecting: Stage) -> None:
    county, round_id = collecting
    report_of(county, round_id, *county.node_ids[:4])
    assert_too_small(county, round_id)
    county.now = county.round(round_id).terms.closes + timedelta(days=61)
    county.work()
    row = county.round(round_id)
    assert {logged.statement.reason for logged in row.abandons.values()} <= {"expired", "never-opens"}
    assert row.is_refundable
    assert row.state is RoundState.ABORTED
    county.serve_node("s01")
    status, _ = county.nodes["s01"].handle({"command": "status"}, {})
    assert [account["spent"] for account in status["account"]] == ["0"]


class SybilCounty(CountySimulator):
    """s05 and s06 are two names of one school."""

    def init_fields(self, node_id: str) -> dict[str, object]:
        fields = super().init_fields(node_id)
        return fields | {"operator": "school s05"} if node_id == "s06" else fields


@pytest.fixture
def sybils(county_folder: Path) -> Iterator[SybilCounty]:
    county = SybilCounty(county_folder / "sybils")
    yield county
    county.close()


def test_two_names_of_one_school_count_once(sybils: SybilCounty) -> None:
    round_id = sybils.start_round()
    report_of(sybils, round_id, "s02", "s03", "s04", "s05", "s06")
    assert_too_small(sybils, round_id)


class GroupCounty(CountySimulator):
    """Five mixed schools and five girls' schools; a table counts by sex."""

    def init_fields(self, node_id: str) -> dict[str, object]:
        kind = "2" if node_id > "s05" else "mixed"
        return super().init_fields(node_id) | {"attributes": {"county": "530101", "sex": kind}}


@pytest.fixture
def groups(county_folder: Path) -> Iterator[GroupCounty]:
    county = GroupCounty(county_folder / "groups", schools=10)
    yield county
    county.close()


def test_a_group_of_one_school_is_left_out_of_the_sum(groups: GroupCounty) -> None:
    """Of the girls' schools one alone reports: the sum by sex would show its numbers."""
    with pytest.raises(GroupTooSmallError) as caught:
        groups.publish(plan_of(min_group=6))
    assert caught.value.code == "group-too-small"
    round_id = groups.start_round()
    mixed = groups.node_ids[:5]
    report_of(groups, round_id, *mixed, "s06")
    groups.coordinator.request_close(round_id, without_missing=True)
    assert_released(groups, round_id, mixed)
    body = groups.round(round_id).close_body()
    assert body is not None
    assert [(row.report.node, row.code) for row in body.excluded] == [("s06", "min-group")]
