"""Every check of a round by itself, on a log that was changed after it was read.

The log's own rules refuse most of these already; the verifier recomputes them all the same, so that
a fault in one of the two does not go unnoticed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from fakes_auditors import FakeCounty, joined_county, run_all

from auditor.bundle_write import write_bundle
from auditor.policy import parse_auditor_policy
from auditor.verify import privacy, sums
from auditor.verify import round as rounds
from auditor.verify.bundle_files import BundleFiles
from auditor.verify.log import BundleLog
from auditor.verify.outcome import CheckFailed, CheckSkipped, Verdict
from auditor.verify.run import LOG_CHECKS
from plan.errors import Phrase, phrase
from plan.published import thresholds_sha256
from protos.bodies import (
    CloseBody,
    encode_candidates_body,
    encode_close_body,
    encode_release_body,
    parse_release_body,
)
from protos.bundle import Manifest
from protos.ledger import RoundLog
from protos.statements import Abandon, Agreement

MANIFEST = Manifest("auditor", {})


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A good bundle and the policy that goes with it."""
    folder = tmp_path_factory.mktemp("rounds")
    county = joined_county()
    desks = [county.desk(name, folder / name) for name in sorted(county.auditors)]
    round_id = county.publish_plan()
    for desk in desks:
        desk.approve(round_id)
    county.collect(round_id)
    county.fix_candidates(round_id)
    run_all(desks, 1)
    county.close(round_id)
    run_all(desks, 3)
    county.release_real(round_id)
    run_all(desks, 2)
    write_bundle(desks[0].context, folder / "bundle")
    return folder / "bundle", county.policy_text()


@pytest.fixture
def log(bundle: tuple[Path, str]) -> BundleLog:
    """The log of the good bundle, read."""
    read = BundleLog(BundleFiles(bundle[0]), parse_auditor_policy(bundle[1]))
    verdict = Verdict()
    for name, check in LOG_CHECKS:
        assert verdict.run(name, lambda check=check: check(read)), name  # type: ignore[misc]
    return read


def _round(log: BundleLog) -> RoundLog:
    return next(iter(log.whole_ledger().rounds.values()))


def _change(row: Any, **changes: Any) -> Any:
    """Change the statement of a logged entry."""
    return replace(row, statement=replace(row.statement, **changes))


def _late_approval(row: RoundLog) -> None:
    row.approvals["a1"] = replace(row.approvals["a1"], index=10_000)


def _missing_approval(row: RoundLog) -> None:
    del row.approvals["a2"]


def _report_of_other_approvals(row: RoundLog) -> None:
    row.reports[("s1", 0)] = _change(row.reports[("s1", 0)], approvals=bytes(32))


def _report_of_other_cells(row: RoundLog) -> None:
    row.reports[("s1", 0)] = _change(row.reports[("s1", 0)], cells=30)


def _report_of_a_stranger(row: RoundLog) -> None:
    row.reports[("s99", 0)] = row.reports[("s1", 0)]


def _report_after_the_candidates(row: RoundLog) -> None:
    assert row.candidates is not None
    row.reports[("s1", 0)] = replace(row.reports[("s1", 0)], index=row.candidates.index + 1)


def _attempts_out_of_order(row: RoundLog) -> None:
    first = row.reports[("s1", 0)]
    row.reports[("s1", 1)] = replace(_change(first, attempt=1), index=first.index - 1)


def _school_left_out_of_the_candidates(row: RoundLog) -> None:
    assert row.candidates is not None
    row.candidates = replace(row.candidates, body=encode_candidates_body(row.candidate_names()[1:]))


def _other_log_size(row: RoundLog) -> None:
    row.candidates = _change(row.candidates, log_size=5)


def _school_neither_in_nor_out(row: RoundLog) -> None:
    body = row.close_body()
    assert body is not None
    assert row.close is not None
    row.close = replace(row.close, body=encode_close_body(CloseBody(body.set[1:], ())))


def _too_few_checks_named(row: RoundLog) -> None:
    assert row.close is not None
    row.close = _change(row.close, checked=row.close.statement.checked[:2])


def _more_reports_needed(row: RoundLog) -> None:
    row.plan = _change(row.plan, min_reports=7)


def _another_tier(row: RoundLog) -> None:
    row.close = _change(row.close, tier=1)


def _a_step_that_the_plan_has_not(row: RoundLog) -> None:
    row.plan = _change(row.plan, steps=((row.terms.noise[0][0], 1, 900, thresholds_sha256(900)),))


def _agreement_to_another_close(row: RoundLog) -> None:
    row.agreements["a1"] = _change(row.agreements["a1"], close=bytes(32))


def _opened_before_the_agreements(row: RoundLog) -> None:
    row.openings["a1"] = replace(row.openings["a1"], index=1)


def _other_draw(row: RoundLog) -> None:
    row.openings["a1"] = _change(row.openings["a1"], draw=bytes(32))


def _replicas_differ(row: RoundLog) -> None:
    sums = row.openings["a1"].statement.sums
    row.openings["a1"] = _change(row.openings["a1"], sums=((sums[0][0], bytes(32)), *sums[1:]))


def _replicas_stated_wrongly(row: RoundLog) -> None:
    row.release = _change(row.release, replicas=3)


def _openings_do_not_cover(row: RoundLog) -> None:
    assert row.release is not None
    row.release = _change(row.release, openings=row.release.statement.openings[:2])


def _other_plan_body(row: RoundLog) -> None:
    row.plan = replace(row.plan, body=row.plan.body.replace(b"A1", b"B1"))


def _other_rho(row: RoundLog) -> None:
    row.plan = _change(row.plan, rho=Fraction(1, 10))


Tampering = Callable[[RoundLog], None]


@pytest.mark.parametrize(
    ("check", "tamper"),
    [
        (rounds.check_plans, _other_plan_body),
        (rounds.check_plans, _other_rho),
        (rounds.check_approvals, _late_approval),
        (rounds.check_approvals, _missing_approval),
        (rounds.check_reports, _report_of_other_approvals),
        (rounds.check_reports, _report_of_other_cells),
        (rounds.check_reports, _report_of_a_stranger),
        (rounds.check_reports, _report_after_the_candidates),
        (rounds.check_reports, _attempts_out_of_order),
        (rounds.check_receipts, _report_after_the_candidates),
        (rounds.check_candidates, _school_left_out_of_the_candidates),
        (rounds.check_candidates, _other_log_size),
        (rounds.check_checked, _school_neither_in_nor_out),
        (rounds.check_close, _school_neither_in_nor_out),
        (rounds.check_close, _too_few_checks_named),
        (rounds.check_close, _more_reports_needed),
        (rounds.check_close, _another_tier),
        (rounds.check_votes, _agreement_to_another_close),
        (rounds.check_votes, _opened_before_the_agreements),
        (rounds.check_openings, _other_draw),
        (rounds.check_openings, _replicas_differ),
        (rounds.check_openings, _replicas_stated_wrongly),
        (rounds.check_openings, _openings_do_not_cover),
        (privacy.check_noise, _other_rho),
        (privacy.check_noise, _a_step_that_the_plan_has_not),
        (privacy.check_results, _replicas_stated_wrongly),
    ],
    ids=lambda value: value.__name__.removeprefix("check_").strip("_"),
)
def test_what_was_changed_is_found(
    log: BundleLog, check: Callable[[BundleLog], Phrase], tamper: Tampering
) -> None:
    check(log)
    tamper(_round(log))
    verdict = Verdict()
    verdict.run("it", lambda: check(log))
    assert verdict.exit_code == 1, verdict.checks[0].detail


def test_a_second_answer_anywhere_in_the_history_is_found(log: BundleLog) -> None:
    agreement = next(row for row in log.statements if isinstance(row, Agreement))
    abandon = Abandon(agreement.federation, agreement.round, agreement.auditor, agreement.close, "expired")
    log.statements.append(abandon)
    with pytest.raises(CheckFailed, match="answered twice"):
        rounds.check_votes(log)


def test_a_second_close_anywhere_in_the_history_is_found(log: BundleLog) -> None:
    close = _round(log).close
    assert close is not None
    log.statements.append(close.statement)
    with pytest.raises(CheckFailed, match="2 closes"):
        rounds.check_close(log)


@pytest.mark.parametrize("part", ["release", "plan"])
def test_another_rho_is_found(log: BundleLog, part: str) -> None:
    row = _round(log)
    if part == "release":
        row.release = _change(row.release, rho=Fraction(1, 6))
    else:
        row.plan = _change(row.plan, rho=Fraction(1, 3))
        row.release = _change(row.release, rho=Fraction(1, 3))
    with pytest.raises(CheckFailed, match="rho"):
        privacy.check_rho(log)


def test_another_sum_in_the_release_is_found(log: BundleLog) -> None:
    row = _round(log)
    assert row.release is not None
    tables = list(parse_release_body(row.release.body))
    tables[0] = replace(tables[0], sums=(tables[0].sums[0] + 1, *tables[0].sums[1:]))
    row.release = replace(row.release, body=encode_release_body(tables))
    with pytest.raises(CheckFailed, match="another result"):
        sums.check_arithmetic(log, MANIFEST)


def _succeed(log: BundleLog, **succeeds: tuple[str, ...]) -> None:
    """Let schools of the newest roster take over others."""
    ledger = log.whole_ledger()
    state = ledger.roster
    nodes = tuple(replace(row, succeeds=succeeds.get(row.id, ())) for row in state.body.nodes)
    ledger.chain.states[-1] = replace(state, body=replace(state.body, nodes=nodes))


def _report_only(log: BundleLog, *schools: str) -> None:
    """Make as many rounds of the one that is there, in each of which only one school has reported."""
    rounds_there = log.whole_ledger().rounds
    row = _round(log)
    rounds_there.clear()
    for number, school in enumerate(schools):
        reports = {name: entry for name, entry in row.reports.items() if name[0] == school}
        round_id = bytes([number]) * 32
        rounds_there[round_id] = replace(row, round_id=round_id, reports=reports)  # type: ignore[arg-type]


def _accounts(log: BundleLog) -> dict[tuple[str, str], Fraction]:
    ledger = log.whole_ledger()
    return privacy.year_accounts(ledger, list(ledger.rounds.values()))


def test_the_rounds_of_a_year_add_up_per_school(log: BundleLog) -> None:
    cost = next(iter(_accounts(log).values()))
    _report_only(log, "s1", "s1", "s2")
    assert _accounts(log) == {("s1", "2026-2027"): 2 * cost, ("s2", "2026-2027"): cost}
    assert "2 accounts" in str(privacy.check_account(log))
    _report_only(log, "s1", "s1", "s1")
    with pytest.raises(CheckFailed, match="s1: rho"):
        privacy.check_account(log)


def test_the_year_counts_predecessors(log: BundleLog) -> None:
    """s2 succeeds s1 and s3: what all of them cost counts for the pupils who moved."""
    _report_only(log, "s1", "s2", "s3")
    privacy.check_account(log)
    _succeed(log, s2=("s1", "s3"))
    with pytest.raises(CheckFailed, match="s2: rho"):
        privacy.check_account(log)


def test_a_round_counts_once_for_schools_that_have_become_one(log: BundleLog) -> None:
    """A pupil was in one of the reports; the node's own vault counts the union by round too."""
    before = set(_accounts(log).values())
    _succeed(log, s2=("s1", "s3"))
    assert set(_accounts(log).values()) == before
    privacy.check_account(log)


def test_a_predecessor_that_has_left_the_roster_still_counts(log: BundleLog) -> None:
    """s2 took over s3, which had taken over s1 and has gone; s1 is linked by an older roster alone."""
    ledger = log.whole_ledger()
    _report_only(log, "s1", "s2", "s3")
    _succeed(log, s3=("s1",))
    state = ledger.roster
    nodes = tuple(replace(row, succeeds=("s3",)) for row in state.body.nodes if row.id == "s2")
    ledger.chain.states.append(replace(state, body=replace(state.body, nodes=nodes)))
    with pytest.raises(CheckFailed, match="s2: rho"):
        privacy.check_account(log)


def test_a_successor_without_reports_of_its_own_has_an_account(log: BundleLog) -> None:
    _report_only(log, "s1", "s3")
    _succeed(log, s2=("s1", "s3"))
    accounts = _accounts(log)
    assert accounts["s2", "2026-2027"] == accounts["s1", "2026-2027"] + accounts["s3", "2026-2027"]


def test_several_attempts_are_one_round(log: BundleLog) -> None:
    row, before = _round(log), _accounts(log)
    row.reports[("s1", 1)] = _change(row.reports[("s1", 0)], attempt=1)
    assert _accounts(log) == before


def test_an_abandoned_round_costs_nothing(log: BundleLog) -> None:
    row = _round(log)
    row.abandons = {name: row.agreements[name] for name in ("a1", "a2", "a3")}  # type: ignore[misc]
    with pytest.raises(CheckSkipped, match="no reports to account for"):
        privacy.check_account(log)


@pytest.mark.parametrize("check", [check for _, check in rounds.ROUND_CHECKS])
def test_a_log_without_rounds_proves_nothing(check: Callable[[BundleLog], Phrase]) -> None:
    county = FakeCounty()
    empty = BundleLog(BundleFiles(Path("nowhere")), None)
    empty.ledger = county.ledger
    with pytest.raises(CheckSkipped):
        check(empty)


@pytest.mark.parametrize("check", [check for _, check in sums.SUM_CHECKS])
def test_without_a_manifest_or_in_public_there_is_no_arithmetic(
    log: BundleLog, check: Callable[[BundleLog, Manifest | None], Phrase]
) -> None:
    with pytest.raises(CheckSkipped):
        check(log, None)
    with pytest.raises(CheckSkipped, match="public"):
        check(log, Manifest("public", {}))


@pytest.mark.parametrize("check", [check for _, check in rounds.ROUND_CHECKS])
def test_a_log_that_broke_off_is_failed_by_the_check_of_that_statement_and_skipped_by_others(
    log: BundleLog, check: Callable[[BundleLog], Phrase]
) -> None:
    position = next(index for index, row in enumerate(log.statements) if isinstance(row, Agreement))
    log.stopped_at, log.stopped_by = position, phrase("second-vote: twice")
    with pytest.raises(CheckFailed if check is rounds.check_votes else CheckSkipped):
        check(log)
