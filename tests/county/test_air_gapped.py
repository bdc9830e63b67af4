"""Whole rounds with auditors that never touch the network: commands and files only, the same release."""

from __future__ import annotations

import json
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from county_sums import expected_sum, opened_sum
from fakes_county import CountySimulator
from fakes_sticks import Sticks, no_sockets

from auditor.cli import auditor as auditor_group
from auditor.config import AuditorFolder, read_config, write_config
from auditor.policy import parse_auditor_policy
from auditor.verify.run import verify_bundle
from coordinator.cli import coordinator as county_group
from protos.round_log import RoundState

Stage = tuple[CountySimulator, bytes]


def serve_schools(county: CountySimulator) -> None:
    for node_id in county.node_ids:
        county.serve_node(node_id)


def others_work(county: CountySimulator, times: int = 1) -> None:
    """Let the coordinator and the three auditors on the network work; they never wait for the fourth."""
    for _ in range(times):
        for name in ("a1", "a2", "a3"):
            county.auditors[name].step()
        county.coordinator.tick()


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


def test_one_auditor_of_four_by_stick(
    enrolled: CountySimulator, county_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    county = enrolled
    sticks = Sticks(county, county_folder / "sticks", monkeypatch)
    sticks.seclude(["a4"])
    round_id = county.publish()
    for name in ("a1", "a2", "a3"):
        county.auditors[name].approve(round_id)
    sticks.trip("a4")
    county.work(max_passes=3)
    for node_id in county.node_ids:
        county.release(node_id, round_id)
    serve_schools(county)
    for code in ("close", "agreements"):
        others_work(county)
        assert sticks.trip("a4")["a4"]["next"][0]["next"] == code
    others_work(county, times=3)
    told = sticks.trip("a4")["a4"]
    assert [row["event"] for row in told["events"]] == ["cosigned", "opening"]
    row = county.round(round_id)
    assert all("a4" in found for found in (row.approvals, row.checked, row.agreements, row.openings))
    assert county.is_state(round_id, RoundState.RELEASED)()
    assert np.array_equal(opened_sum(county, round_id), expected_sum(county, round_id, county.node_ids))
    assert sticks.num_trips == 4


def test_a_round_opens_without_the_auditor_whose_stick_is_late(
    reported: Stage, county_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has approved, then stays away; when it comes back the round is over, and its key goes."""
    county, round_id = reported
    sticks = Sticks(county, county_folder / "sticks", monkeypatch)
    sticks.seclude(["a4"])
    for _ in range(8):
        county.now += timedelta(seconds=61)
        others_work(county)
    assert county.is_state(round_id, RoundState.RELEASED)()
    told = sticks.trip("a4")["a4"]
    assert [row["event"] for row in told["events"]] == ["cosigned", "destroyed"]
    assert told["next"] == []


def test_the_guard_notices_a_connection(
    enrolled: CountySimulator, county_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command on the network's way fails under it."""
    Sticks(enrolled, county_folder / "sticks", monkeypatch).seclude(["a1"])
    folder = AuditorFolder(enrolled.root / "a1")
    for name in ("tls.crt", "ca.crt"):
        (folder.keys / name).write_bytes(b"x")
    write_config(folder, read_config(folder).model_copy(update={"address": "127.0.0.1:9"}))
    with no_sockets(), pytest.raises(AssertionError, match="gRPC channel"):
        run(auditor_group, "status", "--dir", folder.root)
    with no_sockets(), pytest.raises(AssertionError, match="socket"):
        socket.create_connection(("127.0.0.1", 9))


def run(group: click.Group, *words: object) -> dict[str, Any]:
    found = CliRunner().invoke(group, [*map(str, words), "--json"], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return dict(json.loads(found.stdout))


def test_a_federation_is_founded_by_files_alone(tmp_path: Path) -> None:
    """Request, grant, first roster and the next pair of keys: nothing but files goes to and fro."""
    county, auditor, stick = (tmp_path / name for name in ("county", "auditor", "stick"))
    stick.mkdir()
    settings = ("--set", "quorum = 1", "--set", "tuples = [[1, 1, 0, 1]]")
    run(county_group, "init", "--federation", "f1", "--demo", *settings, "--dir", county)
    made = ("--federation", "f1", "--id", "a1", "--operator", "university")
    with no_sockets():
        request = run(auditor_group, "init", *made, "--dir", auditor)["request"]
    run(county_group, "approve", request, "--out", stick, "--propose", "--dir", county)
    run(county_group, "approve", request, "--out", stick, "--dir", county)
    (grant,) = [path for path in stick.iterdir() if "grant" in path.name]
    told = run(county_group, "card", "--dir", county)["fingerprint"]

    def go() -> dict[str, Any]:
        run(county_group, "offline", "trip", stick, "--auditor", "a1", "--dir", county)
        with no_sockets():
            found = run(auditor_group, "offline", "trip", stick, "--yes", "--dir", auditor)
        run(county_group, "offline", "trip", stick, "--auditor", "a1", "--dir", county)
        return found

    with no_sockets():
        run(auditor_group, "join", "--grant", grant, "--fingerprint", told, "--dir", auditor)
    assert [row["what"] for row in go()["signed"]] == ["roster"]
    assert [row["event"] for row in go()["events"]] == ["cosigned"]
    with no_sockets():
        rolled = run(auditor_group, "keys", "roll", "--out", tmp_path / "roll.json", "--dir", auditor)["file"]
    run(county_group, "approve", rolled, "--out", stick, "--propose", "--dir", county)
    assert [row["what"] for row in go()["signed"]] == ["roster"]
    after = go()
    assert (after["new_entries"], [row["event"] for row in after["events"]]) == (1, ["cosigned"])
    assert run(county_group, "roster", "status", "--dir", county)["in_force"]["serial"] == 2
