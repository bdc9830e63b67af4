"""A round with a turnout ladder in one process: right at every turnout, one combination only, ever."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from county_sums import assert_released, expected_sum, finish, layout_of, opened_sum, scaled_counts
from fakes_attacks import close_of, log_statement
from fakes_county import CountySimulator
from fakes_vault import plan_of

from auditor.agree import verify_close
from auditor.answer_masks import compute_sums, sign_opening, stored_answer
from auditor.bundle_write import write_bundle
from auditor.errors import RefusalError, StateError
from auditor.policy import parse_auditor_policy
from auditor.signing import stored_entry
from auditor.state import SlotKind
from auditor.verify.outcome import Outcome
from auditor.verify.run import verify_bundle
from coordinator.combine import combine
from coordinator.errors import StatementRefusedError
from plan.layout import Layout
from protos.ledger import RoundLog
from protos.statements import digest, encode_statement
from results.tables import build_tables

SCHOOLS = 7
TURNOUTS = (5, 6, 7)  # of 7 schools, one of which may collude: h = 4, so tiers 0, 1 and 2
SIGMAS = 5.0  # a fair sum of squares lies further out once in a million


@pytest.fixture(scope="session")
def laddered(county_root: Path) -> CountySimulator:
    """A county of seven schools whose round has begun, with tiers for 5, 6 and 7 reports; closed."""
    county = CountySimulator(county_root / "laddered", schools=SCHOOLS)
    county.work()
    county.start_round(plan_of(tiers=None))
    county.close()
    return county


@pytest.fixture
def county(laddered: CountySimulator, county_folder: Path) -> Iterator[CountySimulator]:
    """An open copy of it."""
    copy = laddered.copy_to(county_folder / "county")
    yield copy
    copy.close()


def report_of(county: CountySimulator, schools: int) -> tuple[bytes, list[str]]:
    """Let the first so many schools report, and ask for the close."""
    (round_id,) = county.coordinator.round_ids()
    nodes = county.node_ids[:schools]
    for node_id in nodes:
        county.release(node_id, round_id)
        county.serve_node(node_id)
    county.absent |= set(county.node_ids) - set(nodes)
    if schools < SCHOOLS:
        county.coordinator.request_close(round_id, without_missing=True)
    return round_id, nodes


def layout_in(county: CountySimulator, round_id: bytes) -> Layout:
    return layout_of(county.round(round_id))


def test_the_plan_states_its_tiers_and_every_steps_noise(county: CountySimulator) -> None:
    (round_id,) = county.coordinator.round_ids()
    terms = county.round(round_id).terms
    layout = layout_in(county, round_id)
    assert terms.tiers == (5, 6)
    assert layout.tiers == (4, 5, 6)
    assert [(table, step) for table, step, _, _ in terms.steps] == [
        (table.id, step) for table in layout.tables for step in (1, 2)
    ]
    assert layout.claimed_rho <= terms.rho


@pytest.mark.parametrize("schools", TURNOUTS)
def test_the_sum_of_every_tier_is_exact_and_its_noise_is_what_the_layout_says(
    county: CountySimulator, schools: int
) -> None:
    round_id, nodes = report_of(county, schools)
    assert_released(county, round_id, nodes)
    row, layout, tier = county.round(round_id), layout_in(county, round_id), schools - 5
    assert row.close is not None
    assert row.close.statement.tier == tier == layout.tier(schools)
    truth = np.sum([scaled_counts(county, row, node_id) for node_id in nodes], axis=0)
    squares = 0.0
    for table, released in zip(layout.tables, county.released_tables(round_id), strict=True):
        assert released.s2 == table.noise.left_at(tier)
        assert table.released_variance(schools) == Fraction(schools * released.s2, table.noise.scale**2)
        assert table.released_variance(schools) < table.released_variance(schools, tier=0) or tier == 0
        noise = np.array(released.sums) - truth[table.offset : table.end]
        squares += float((noise.astype(float) ** 2).sum()) / (schools * released.s2)
    # the noise is drawn from secrets that a test cannot fix: alarms once in 10^6 runs
    assert abs(squares - layout.cells) < SIGMAS * math.sqrt(2 * layout.cells) + 14


@pytest.mark.parametrize("schools", TURNOUTS)
def test_results_are_read_with_the_variance_of_the_tier(county: CountySimulator, schools: int) -> None:
    round_id, _ = report_of(county, schools)
    finish(county, round_id, max_passes=400)
    layout = layout_in(county, round_id)
    released: list[dict[str, Any]] = [
        {"id": row.table, "scale": row.scale, "s2": row.s2, "sums": list(row.sums)}
        for row in county.released_tables(round_id)
    ]
    for table in build_tables(layout, released, release="00", reports_in=schools):
        assert table.tier == schools - 5
        assert table.cell_variance == table.layout.released_variance(schools)
        target = Fraction(table.layout.delta_sq) / (2 * table.layout.noise.rho)
        assert 1 <= table.cell_variance / target < Fraction(schools, schools - 1) * Fraction(1001, 1000)


def test_two_schools_of_one_operator_count_once_for_the_tier(county_folder: Path) -> None:
    """Both may be among those that add no noise; so they do not raise the tier together."""

    class Chain(CountySimulator):
        def init_fields(self, node_id: str) -> dict[str, object]:
            operator = "school s01" if node_id == "s02" else f"school {node_id}"
            return {**super().init_fields(node_id), "operator": operator}

    county = Chain(county_folder, schools=SCHOOLS)
    county.work()
    county.start_round(plan_of(tiers=(5,)))
    round_id, nodes = report_of(county, 6)  # five operators
    finish(county, round_id, max_passes=400)
    close = county.round(round_id).close
    assert close is not None
    assert (close.statement.reports, close.statement.tier) == (6, 0)
    layout = layout_in(county, round_id)
    assert layout.tier(6) == 1
    assert [row.s2 for row in county.released_tables(round_id)] == [
        table.noise.left_at(0) for table in layout.tables
    ]
    assert not np.array_equal(opened_sum(county, round_id), expected_sum(county, round_id, nodes))
    county.close()


# --- one combination, ever --------------------------------------------------------------------


def until_checked(county: CountySimulator) -> tuple[bytes, RoundLog]:
    """Six reports, candidates fixed, every auditor has checked."""
    round_id, _ = report_of(county, 6)
    county.coordinator.tick()
    for auditor in county.auditors.values():
        auditor.step()
    return round_id, county.round(round_id)


@pytest.mark.parametrize("tier", [0, 2, 3])
def test_the_log_takes_no_close_at_another_tier(county: CountySimulator, tier: int) -> None:
    round_id, row = until_checked(county)
    statement, body = close_of(row, sorted(row.checked), tier=tier)
    with pytest.raises(StatementRefusedError) as caught:
        log_statement(county, statement, body)
    assert caught.value.reason == "wrong-set"
    assert county.round(round_id).close is None


def test_the_log_takes_no_second_close_at_another_tier(county: CountySimulator) -> None:
    _, row = until_checked(county)
    log_statement(county, *close_of(row, sorted(row.checked)))
    with pytest.raises(StatementRefusedError) as caught:
        log_statement(county, *close_of(row, sorted(row.checked), tier=2))
    assert caught.value.reason == "second-close"


def close_at(county: CountySimulator, round_id: bytes, name: str, tier: int) -> RoundLog:
    """The round as an auditor reads it, its close exchanged for one at another tier, digest included."""
    desk = county.auditors[name]
    desk.sync()
    row = desk.context.ledger.rounds[round_id]
    assert row.close is not None
    statement = replace(row.close.statement, tier=tier)
    text = encode_statement(statement)
    row.close = replace(row.close, statement=statement, text=text, digest=digest(text))
    return row


@pytest.mark.parametrize("tier", [0, 2])
def test_an_auditor_recomputes_the_tier_whatever_the_log_let_in(county: CountySimulator, tier: int) -> None:
    round_id, row = until_checked(county)
    log_statement(county, *close_of(row, sorted(row.checked)))
    lied_to = close_at(county, round_id, "a1", tier)
    context = county.auditors["a1"].context
    checked = stored_entry(context.state, SlotKind.CHECKED, round_id)
    with pytest.raises(RefusalError) as caught:
        verify_close(context, lied_to, checked)
    assert caught.value.code == "wrong-set"


def test_who_agreed_to_one_tier_opens_no_other(county: CountySimulator) -> None:
    round_id, row = until_checked(county)
    log_statement(county, *close_of(row, sorted(row.checked)))
    for auditor in county.auditors.values():
        auditor.step()  # everybody agrees
    county.one_pass()
    before = county.auditors["a1"].context.ledger.rounds[round_id].close
    lied_to = close_at(county, round_id, "a1", 2)
    with pytest.raises(StateError, match="has not agreed"):
        sign_opening(county.auditors["a1"].context, lied_to)
    lied_to.close = before
    nodes = county.node_ids[:6]
    assert_released(county, round_id, nodes)


def test_who_has_answered_answers_with_the_same_bytes_and_can_compute_nothing_else(
    county: CountySimulator,
) -> None:
    round_id, nodes = report_of(county, 6)
    assert_released(county, round_id, nodes)
    context = county.auditors["a1"].context
    row = context.ledger.rounds[round_id]
    answer = stored_answer(context.state, row)
    assert answer is not None
    assert [len(data) for data in answer[1]] == [
        8 * row.terms.cells
    ] * 3  # a vector a subset, no step by itself
    lied_to = close_at(county, round_id, "a1", 2)
    again = stored_answer(context.state, lied_to)
    assert again is not None
    assert again[1] == answer[1]
    with pytest.raises(StateError, match="no round key"):
        compute_sums(context, lied_to)
    with pytest.raises(StateError, match="has not agreed"):
        sign_opening(context, lied_to)


def test_sums_of_another_tier_do_not_open_the_round(county: CountySimulator) -> None:
    """An auditor that takes out another step than the close says gives garbage, which nobody publishes."""
    round_id, nodes = report_of(county, 6)
    assert_released(county, round_id, nodes)
    row = county.round(round_id)
    assert row.close is not None
    row.close = replace(row.close, statement=replace(row.close.statement, tier=0))
    with county.coordinator._book.store.reading() as connection:
        combined = combine(connection, row, layout_of(row), ("a1", "a2", "a3"), 1000)
    assert combined.outside == tuple(table.id for table in layout_of(row).tables)


def test_an_auditors_bundle_verifies_and_with_another_sum_it_does_not(
    county: CountySimulator, tmp_path: Path
) -> None:
    round_id, nodes = report_of(county, SCHOOLS)
    assert_released(county, round_id, nodes)
    county.work()
    folder = tmp_path / "bundle"
    write_bundle(county.auditors["a1"].context, folder)
    results = verify(county, folder)
    assert set(results.values()) == {Outcome.PASS}
    row = county.round(round_id)
    vector = next((folder / "reports" / round_id.hex()).iterdir())
    data = vector.read_bytes()
    step = 8 * row.terms.cells
    vector.write_bytes(data[:step] + data[2 * step :] + data[step : 2 * step])  # its steps in another order
    failed = {name for name, outcome in verify(county, folder).items() if outcome is Outcome.FAIL}
    assert failed >= {"vectors", "arithmetic"}


def verify(county: CountySimulator, folder: Path) -> dict[str, Outcome]:
    """Every check of a bundle and how it came out."""
    verdict = verify_bundle(folder, parse_auditor_policy(county.policy_text))
    return {check.name: check.outcome for check in verdict.checks}
