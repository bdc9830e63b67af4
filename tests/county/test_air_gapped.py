"""Whole rounds with auditors that never touch the network: commands and files only, the same release."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from county_sums import expected_sum, opened_sum
from fakes_county import CountySimulator
from fakes_sticks import Sticks

from auditor.policy import parse_auditor_policy
from auditor.verify.run import verify_bundle
from protos.round_log import RoundState

Stage = tuple[CountySimulator, bytes]


def serve_schools(county: CountySimulator) -> None:
    for node_id in county.node_ids:
        county.serve_node(node_id)


def test_all_auditors_by_stick(
    enrolled: CountySimulator, county_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    county, names = enrolled, enrolled.auditor_ids
    sticks = Sticks(county, county_folder / "sticks", monkeypatch)
    sticks.seclude(names)
    round_id = county.publish()

    first = sticks.trip(*names)
    assert {row["signed"][0]["id"] for row in first.values()} == {round_id.hex()}
    assert first["a1"]["next"][0]["next"] == "approvals"
    second = sticks.trip(*names)
    assert second["a1"]["next"][0]["next"] == "reports"
    assert [(row["what"], row["code"]) for row in second["a1"]["told"]] == [
        ("statement", "taken"),
        ("cosignature", "taken"),
    ]

    serve_schools(county)
    for node_id in county.node_ids:
        county.release(node_id, round_id)
    serve_schools(county)
    county.coordinator.tick()
    for code in ("close", "agreements", "cosignatures", "release"):
        told = sticks.trip(*names)
        assert {row["next"][0]["next"] for row in told.values()} == {code}, code
    assert county.is_state(round_id, RoundState.RELEASED)()
    assert np.array_equal(opened_sum(county, round_id), expected_sum(county, round_id, county.node_ids))

    assert sticks.trip(*names)["a1"]["next"] == []
    sticks.trip("a1", options=["--bundle"])
    out = county_folder / "bundle"
    assert sticks.auditor("a1", "bundle", sticks.stick("a1"), out)["kind"] == "auditor"
    verdict = verify_bundle(out, parse_auditor_policy(county.policy_text))
    assert verdict.exit_code == 0
    assert {check.outcome.value for check in verdict.checks} == {"PASS"}
