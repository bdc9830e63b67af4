"""Real `kill -9` of every kind of process at different steps, in a county of real processes.

Whatever is killed and whenever: every report stands in the log once, there is one release, it verifies,
every school has its receipt and was charged once. One county plays all rounds.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from county_processes import CountyProcesses, county
from demo_commands import run_command
from process_list import needs_proc

from crypto.canonical import parse_json
from crypto.note import parse_note
from crypto.tlog_proof import parse_proof, verify_proof
from node.errors import NodeError
from plan.layout import build_layout
from protos.round_log import RoundState
from protos.statements import Release, Report, parse_statement
from results.release import read_release

pytestmark = [pytest.mark.process, needs_proc]

SCHOOLS = ["s01", "s02", "s03", "s04", "s05"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CountyProcesses]:
    with county(tmp_path_factory.mktemp("county")) as running:
        yield running


def check_result(running: CountyProcesses, round_id: bytes, bundle: Path) -> None:
    """One report a school, one release, PASS, a receipt and one charge for every school, the true sums."""
    ledger = running.ledger()
    round_log = ledger.rounds[round_id]
    assert round_log.state is RoundState.RELEASED
    assert sorted(round_log.reports) == [(school, 0) for school in SCHOOLS]
    statements = Counter(
        type(statement) for statement in statements_of(running) if statement.round == round_id
    )
    assert (statements[Report], statements[Release]) == (len(SCHOOLS), 1)
    release = round_log.release
    assert release is not None
    assert (release.statement.reports_in, release.statement.status) == (5, "ok")
    verdict = running.verify(bundle)
    assert verdict.exit_code == 0, [check for check in verdict.checks if check.outcome.value != "PASS"]
    _check_receipts(running, round_id)
    _check_sums(running, round_id)
    for node in running.nodes.values():
        charged = [entry for year in node.call("status")["account"] for entry in year["rounds"]]
        assert charged.count(round_id.hex()) == 1
        assert node.call("check_store")["damaged"] == []


def statements_of(running: CountyProcesses) -> list[Report | Release]:
    """The reports and releases of the whole log, as the coordinator's tiles have it."""
    page = running.desk.get_log(0, 4096)
    found = [parse_statement(parse_note(entry).text) for entry, _body in page.entries]
    return [statement for statement in found if isinstance(statement, Report | Release)]


def _check_receipts(running: CountyProcesses, round_id: bytes) -> None:
    card, entries = running.ledger().card, running.desk.get_log(0, 4096).entries
    witnesses = [row.cosigner for row in card.auditors]
    for node_id, data in running.receipts(round_id).items():
        proof = parse_proof(data)
        entry = entries[proof.index][0]
        verify_proof(proof, entry, card.log, witnesses, card.quorum)
        assert f"\nnode {node_id}\n".encode() in entry
        assert round_id.hex().encode() in entry


def _check_sums(running: CountyProcesses, round_id: bytes) -> None:
    """Beyond 5.5 sigma once in 40,000 rounds."""
    release = running.round(round_id).release
    assert release is not None
    body = parse_json(release.body)
    assert isinstance(body, dict)
    found = read_release(running.plan, body["tables"], release=round_id.hex(), reports_in=5)  # type: ignore[arg-type]
    truth, layout = running.truth(), build_layout(running.plan)
    for noisy, place in zip(found.tables, layout.tables, strict=True):
        released = np.array([float(noisy.value(index)) for index in range(place.cells)])
        error = released - truth[place.offset : place.offset + place.cells]
        assert np.abs(error / noisy.se).max() < 5.5


def test_whatever_is_killed_the_result_is_the_same(running: CountyProcesses, tmp_path: Path) -> None:
    round_id = running.start_round()
    _kill_while_reports_wait(running, round_id)
    _kill_when_reports_are_logged(running, round_id)
    _kill_a_command_in_the_middle(running, round_id)
    _kill_while_checking_and_opening(running, round_id)
    assert running.wait_released(round_id)["state"] == "released"
    killed = Counter(running.kills)
    assert min(killed[kind] for kind in ("coordinator", "vault", "egress", "supervisor", "auditor")) >= 3
    check_result(running, round_id, tmp_path / "bundle")


def _kill_while_reports_wait(running: CountyProcesses, round_id: bytes) -> None:
    """Nothing is released yet; then three reports wait, and the coordinator is away."""
    running.kill_side("s01", "vault")
    running.kill_side("s02", "egress")
    running.kill("node-s03")
    running.start("node-s03")
    running.kill("coordinator")
    for node_id in ("s01", "s02", "s03"):
        running.release(node_id, round_id)
    running.kill_side("s01", "egress")
    running.kill_side("s02", "vault")
    running.kill("node-s03")
    running.start("coordinator")
    running.start("node-s03")
    running.wait_reported(round_id, "s01", "s02", "s03")


def _kill_when_reports_are_logged(running: CountyProcesses, round_id: bytes) -> None:
    """Just logged: some sides have the receipt, some not; two auditors are away from here on."""
    running.kill("auditor-a3")
    running.kill("auditor-a4")
    running.kill_side("s03", "vault")
    running.kill_side("s03", "egress")
    running.kill("node-s01")
    running.start("node-s01")
    assert running.status(round_id)["not_reported"] == ["s04", "s05"]


def _kill_a_command_in_the_middle(running: CountyProcesses, round_id: bytes) -> None:
    """The command vault dies somewhere in `release`; the person gives the command again."""
    node = running.nodes["s04"]
    assert node.vault is not None
    process = node.vault._side.process
    records = node.call("preview", round=round_id.hex())["records"]

    def kill() -> None:
        time.sleep(0.03)
        process.kill()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        node.call("release", round=round_id.hex(), by="校长", records=records)
    except (NodeError, OSError):
        running.kills.append("command")
    killer.join()
    node.close()
    node.open()
    running.release("s04", round_id)
    running.wait_reported(round_id, "s04")
    running.release("s05", round_id)


def _kill_while_checking_and_opening(running: CountyProcesses, round_id: bytes) -> None:
    """Two of four auditors are away: the round stands still in checking, and again before the opening."""
    running.wait_for_auditors(round_id, "waiting-for-checks", "a3", "a4")
    running.kill("coordinator")
    running.kill("auditor-a1")
    running.start("coordinator")
    running.start("auditor-a1")
    running.start("auditor-a3")
    running.wait_stated(round_id, "a3", "checked")
    running.freeze("auditor-a3")  # it has checked: the set is closed, a1 and a2 agree, and a third is missing
    running.wait_for_auditors(round_id, "waiting-for-agreements", "a3", "a4")
    running.kill("auditor-a2")
    running.kill("coordinator")
    assert not running.status(round_id)["is_over"]
    running.start("coordinator")
    running.thaw("auditor-a3")
    running.start("auditor-a2")
    running.wait_stated(round_id, "a2", "opening")
    running.start("auditor-a4")


def test_one_auditor_may_be_away_two_are_waited_for(running: CountyProcesses, tmp_path: Path) -> None:
    """After all have approved."""
    round_id = running.start_round(census_in_days=1)
    running.stop("auditor-a3")
    running.stop("auditor-a4")
    for node_id in SCHOOLS:
        running.release(node_id, round_id)
    running.wait_for_auditors(round_id, "waiting-for-checks", "a3", "a4")
    time.sleep(2.0)  # much longer than any pause of those who are there
    shown = run_command("coordinator", "round", "status", "--dir", running.federation.coordinator_folder)
    assert shown.returncode == 0
    assert "a3" in shown.stdout
    assert "a4" in shown.stdout
    told = run_command(
        "coordinator", "round", "status", "--dir", running.federation.coordinator_folder, "--json"
    )
    values = json.loads(told.stdout)
    assert (values["round"], values["state"]) == (round_id.hex(), "checking")
    assert (values["reason"], values["waiting_for"]) == ("waiting-for-checks", ["a3", "a4"])
    running.start("auditor-a3")
    assert running.wait_released(round_id)["state"] == "released"
    openings = running.round(round_id).openings
    assert sorted(openings) == ["a1", "a2", "a3"]
    running.start("auditor-a4")  # a receipt needs three cosignatures, and it was away only for this
    check_result(running, round_id, tmp_path / "bundle")
