"""A coordinator that publishes a wrong sum, or a second one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from county_sums import assert_released, expected_sum, opened_sum
from fakes_attacks import ForgedLog, assert_refused, log_statement
from fakes_county import CountySimulator

from auditor.bundle_write import write_bundle
from auditor.policy import parse_auditor_policy
from auditor.verify.outcome import Outcome, Verdict
from auditor.verify.run import verify_bundle
from coordinator.errors import StatementRefusedError
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
