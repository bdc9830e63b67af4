"""A coordinator that publishes a wrong sum, a second one, or asks again until the noise is gone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from county_sums import assert_released, expected_sum, finish, opened_sum
from fakes_attacks import ForgedLog, assert_refused, log_statement
from fakes_county import CountySimulator
from fakes_vault import plan_of, pupils
from forged_plans import approve_blindly, log_plan

from auditor.bundle_write import write_bundle
from auditor.errors import RefusalError
from auditor.policy import parse_auditor_policy
from auditor.verify.outcome import Outcome, Verdict
from auditor.verify.run import verify_bundle
from coordinator.errors import StatementRefusedError
from node.vault.errors import AccountError, AttemptError
from plan.table_spec import TableSpec
from protos.bodies import TableSums, encode_release_body, parse_release_body
from protos.round_log import RoundState
from protos.statements import Release, body_ref

Stage = tuple[CountySimulator, bytes]
Tables = tuple[TableSums, ...]


# --- a wrong sum ------------------------------------------------------------------------------


def release_in(county: CountySimulator, round_id: bytes) -> tuple[Release, Tables]:
    """The release of a county where everybody was honest."""
    release = county.round(round_id).release
    assert release is not None
    return release.statement, parse_release_body(release.body)


@pytest.fixture(scope="module")
def honest_release(
    stages: Callable[[str], CountySimulator],
) -> tuple[Release, Tables]:
    """What the coordinator of the stage `opened` releases when it is honest."""
    county = CountySimulator.reopen(stages("released").root, stages("released"), when_needed=True)
    (round_id,) = county.coordinator.round_ids()
    found = release_in(county, round_id)
    county.close()
    return found


def with_sums(release: Release, tables: Tables) -> tuple[Release, bytes]:
    """The same release with other numbers."""
    body = encode_release_body(tables)
    return replace(release, body=body_ref(body)), body


def one_unit_more(tables: Tables) -> Tables:
    first = tables[0]
    return (replace(first, sums=(first.sums[0] + 1, *first.sums[1:])), *tables[1:])


def two_cells_exchanged(tables: Tables) -> Tables:
    last = tables[-1]
    return (*tables[:-1], replace(last, sums=(last.sums[1], last.sums[0], *last.sums[2:])))


def all_zero(tables: Tables) -> Tables:
    return tuple(replace(row, sums=(0,) * len(row.sums)) for row in tables)


def unchanged(tables: Tables) -> Tables:
    return tables


def bundle_verdict(county: CountySimulator, auditor_id: str, folder: Path) -> Verdict:
    """Write an auditor's bundle and verify it offline under that auditor's policy."""
    write_bundle(county.auditors[auditor_id].context, folder)
    return verify_bundle(folder, parse_auditor_policy(county.policy_text))


@pytest.mark.parametrize(
    ("lie", "failed"),
    [
        (one_unit_more, ["arithmetic"]),
        (two_cells_exchanged, ["arithmetic"]),
        (all_zero, ["arithmetic"]),
        (unchanged, []),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_wrong_sum_is_found_in_every_auditors_bundle(
    opened: Stage,
    honest_release: tuple[Release, Tables],
    tmp_path: Path,
    lie: Callable[[Tables], Tables],
    failed: list[str],
) -> None:
    """The log's rules accept the release: its numbers are in no statement but this. The vectors tell."""
    county, round_id = opened
    release, tables = honest_release
    log_statement(county, *with_sums(release, lie(tables)))
    assert county.work()
    assert county.round(round_id).state is RoundState.RELEASED
    for auditor_id in ("a1", "a4"):
        verdict = bundle_verdict(county, auditor_id, tmp_path / auditor_id)
        assert [row.name for row in verdict.checks if row.outcome is Outcome.FAIL] == failed
        assert [row.name for row in verdict.checks if row.outcome is Outcome.SKIPPED] == []
        assert verdict.exit_code == (1 if failed else 0)
    correct = np.array_equal(opened_sum(county, round_id), expected_sum(county, round_id, county.node_ids))
    assert correct is not bool(failed)


# --- another release --------------------------------------------------------------------------


def test_a_second_release_is_refused_by_everybody(released: Stage) -> None:
    county, round_id = released
    release, tables = release_in(county, round_id)
    second, body = with_sums(release, one_unit_more(tables))
    with pytest.raises(StatementRefusedError) as caught:
        log_statement(county, second, body)
    assert caught.value.reason == "second-release"
    log = ForgedLog(county)
    log.add(second, body)
    assert_refused(county, log, "second-release")
    assert county.coordinator.tick() == ()
    assert_released(county, round_id, county.node_ids)


def fewer(names: tuple[tuple[str, bytes], ...], number: int) -> tuple[tuple[str, bytes], ...]:
    """Only some of the statements that a release rests on."""
    return names[:number]


FORGED: dict[str, tuple[Callable[[Release], dict[str, object]], str]] = {
    "two agreements": (lambda release: {"agreements": fewer(release.agreements, 2)}, "wrong-agreements"),
    "two openings": (lambda release: {"openings": fewer(release.openings, 2)}, "wrong-openings"),
    "an opening of nobody": (
        lambda release: {"openings": (*release.openings[:3], ("a4", bytes(32)))},
        "wrong-openings",
    ),
    "more replicas": (lambda release: {"replicas": release.replicas + 1}, "wrong-replicas"),
    "more reports": (lambda release: {"reports_in": release.reports_in + 1}, "wrong-release"),
    "a smaller cost": (lambda release: {"rho": release.rho / 2}, "wrong-release"),
    "another close": (lambda release: {"close": bytes(32)}, "wrong-close"),
    "corrupt with tables": (lambda release: {"status": "corrupt"}, "wrong-tables"),
}


@pytest.mark.parametrize("lie", FORGED)
def test_a_release_that_rests_on_less_is_refused_by_everybody(
    opened: Stage, honest_release: tuple[Release, Tables], lie: str
) -> None:
    county, _ = opened
    release, tables = honest_release
    log = ForgedLog(county)
    make, code = FORGED[lie]
    statement, body = with_sums(release, tables)
    log.add(replace(statement, **make(release)), body)  # type: ignore[arg-type]
    assert_refused(county, log, code)


# --- asking again -----------------------------------------------------------------------------


def dressed_up(first: TableSpec) -> dict[str, TableSpec]:
    """The same question in other words: all of it, or a part."""
    other = replace(first, id="B1", title="另一张表")
    return {
        "another name": other,
        "dimensions exchanged": replace(other, dims=first.dims[::-1]),
        "a filter that keeps everybody": replace(other, where=(("sex", ("1", "2", "9")),)),
        "one half of the pupils": replace(other, where=(("sex", ("1",)),)),
    }


@pytest.mark.parametrize("words", dressed_up(plan_of().tables[0]))
def test_no_auditor_approves_a_plan_that_asks_the_same_again(reported: Stage, words: str) -> None:
    county, round_id = reported
    n, t, f, q = county.tuple_
    draft = plan_of(
        id="second",
        tables=(dressed_up(plan_of().tables[0])[words],),
        num_auditors=n,
        threshold=t,
        collude=f,
        quorum=q,
        rho=Fraction(1, 20),
    )
    again = county.coordinator.publish_plan(draft)
    with pytest.raises(RefusalError) as caught:
        county.auditors["a1"].approve(again)
    assert caught.value.code == "second-plan"
    if words == "another name":
        assert_released(county, round_id, county.node_ids)


def ask_again(county: CountySimulator, days: int) -> bytes:
    """Publish the same plan once more, and let all auditors approve it without looking."""
    round_id = log_plan(county, closes=county.now + timedelta(days=days))
    approve_blindly(county, round_id)
    county.work()
    return round_id


def test_when_all_auditors_approve_blindly_the_schools_account_ends_it(reported: Stage) -> None:
    """Each round costs 1/5 of at most 1/2 a year, so that the third one is not answered."""
    county, first = reported
    assert county.work(county.is_state(first, RoundState.RELEASED))
    second = ask_again(county, 2)
    county.release("s01", second)
    county.serve_node("s01")
    third = ask_again(county, 3)
    with pytest.raises(AccountError) as caught:
        county.release("s01", third)
    assert caught.value.code == "account-exceeded"
    assert county.nodes["s01"].outgoing() is None
    assert not county.round(third).reports
    assert not np.array_equal(
        expected_sum(county, first, ["s01"]), expected_sum(county, second, ["s01"])
    )  # the same pupils under other noise: two answers are what the account counts


def test_a_report_asked_for_again_is_the_same_bytes(collecting: Stage) -> None:
    """The coordinator says that it lost the report; the person at the school releases again."""
    county, round_id = collecting
    county.release("s01", round_id)
    payload = county.nodes["s01"].outgoing()
    assert payload is not None
    receipt = county.coordinator.submit_report("s01", payload)
    for restart in (False, True):
        if restart:
            county.restart("s01")
        answer, _ = county.nodes["s01"].handle(
            {"command": "release", "round": round_id.hex(), "by": "校长"}, {}
        )
        assert answer["is_new"] == 0
        assert county.nodes["s01"].outgoing() == payload
        assert county.coordinator.submit_report("s01", payload) == receipt
    assert len(county.round(round_id).attempts_of("s01")) == 1
    for node_id in county.node_ids[1:]:
        county.release(node_id, round_id)
    assert_released(county, round_id, county.node_ids)


def test_a_school_restored_from_a_backup_answers_once(collecting: Stage, tmp_path: Path) -> None:
    """Its store has forgotten the report and the charge; the log has not."""
    county, round_id = collecting
    county.stores["s01"].close()
    shutil.copytree(county.root / "s01", tmp_path / "backup")
    county.open_node("s01")
    for node_id in county.node_ids:
        county.release(node_id, round_id)
        county.serve_node(node_id)
    county.stores["s01"].close()
    shutil.rmtree(county.root / "s01")
    shutil.copytree(tmp_path / "backup", county.root / "s01")
    county.open_node("s01")
    county.serve_node("s01")
    with pytest.raises(AttemptError) as caught:
        county.release("s01", round_id)
    assert caught.value.code == "already-logged"
    assert county.nodes["s01"].outgoing() is None
    status, _ = county.nodes["s01"].handle({"command": "status"}, {})
    assert [row["spent"] != "0" for row in status["account"]] == [True]
    assert_released(county, round_id, county.node_ids)


def test_a_school_makes_four_attempts_at_most(collecting: Stage) -> None:
    """Every attempt is another table under other noise; each is logged, and a fifth is never made."""
    county, round_id = collecting
    for attempt in range(5):
        county.import_pupils("s01", pupils(20 + attempt, shift=attempt))
        if attempt == 4:
            break
        county.release("s01", round_id)
        county.serve_node("s01")
        county.work()
    with pytest.raises(AttemptError) as caught:
        county.release("s01", round_id)
    assert caught.value.code == "no-attempt-left"
    rows = county.round(round_id).attempts_of("s01")
    assert [row.statement.attempt for row in rows] == [0, 1, 2, 3]
    assert len({row.statement.vector for row in rows}) == 4
    county.import_pupils("s01", pupils(23, shift=3))
    for node_id in county.node_ids[1:]:
        county.release(node_id, round_id)
    finish(county, round_id)
    rest = expected_sum(county, round_id, county.node_ids[1:])
    assert np.array_equal(opened_sum(county, round_id), rest + expected_sum(county, round_id, ["s01"], 3))
