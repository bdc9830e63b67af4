"""P5: asking again never averages the noise away.

Noise is a function of round and table: the same report comes back byte for byte, however often it is asked
for, after a restart, and from a school that was restored from a backup. A second round over the same pupils
is refused by the auditors, and where all of them approve without looking, by the school's own account.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from county_sums import assert_released, expected_sum, finish, opened_sum
from fakes_county import CountySimulator
from fakes_vault import plan_of, pupils
from forged_plans import approve_blindly, log_plan

from auditor.errors import RefusalError
from node.vault.errors import AccountError, AttemptError
from plan.table_spec import TableSpec
from protos.round_log import RoundState

Stage = tuple[CountySimulator, bytes]


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
