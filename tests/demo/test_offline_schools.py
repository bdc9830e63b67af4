"""A county of real processes in which half of the schools never touch the network.

Their nodes never run, their certificates have expired, and everything goes by the commands and a folder that
stands for a USB stick. What comes out verifies like any other round.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from county_processes import CountyProcesses, county
from leak_search import Search, files_below, of_text
from process_list import needs_proc, wait_for

from coordinator import ca
from coordinator.cli import coordinator as coordinator_group
from coordinator.home import load_home
from fedscreen.demo.federation import FEDERATION
from node import enrolment
from node.cli import node as node_group
from node.egress.client import CallError, Coordinator, read_credentials
from plan.layout import build_layout
from protos.report_payload import note_of

pytestmark = [pytest.mark.process, needs_proc]
OFFLINE = ("s01", "s03", "s05")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CountyProcesses]:
    with county(tmp_path_factory.mktemp("county"), schools=6, offline=OFFLINE) as running:
        yield running


def run_county(running: CountyProcesses, *arguments: object) -> dict[str, Any]:
    folder = running.federation.coordinator_folder
    command = [*map(str, arguments), "--dir", str(folder), "--json"]
    found = CliRunner().invoke(coordinator_group, command, catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return dict(json.loads(found.stdout))


def run_node(running: CountyProcesses, node_id: str, *arguments: object, code: int = 0) -> dict[str, Any]:
    node = running.nodes[node_id]
    command = [*map(str, arguments), "--dir", str(node.folder.root), "--json"]
    environ = {"CREDENTIALS_DIRECTORY": str(node.credentials)}
    found = CliRunner().invoke(node_group, command, catch_exceptions=False, env=environ)
    assert found.exit_code == code, found.output
    return dict(json.loads(found.stdout))


def let_expire(running: CountyProcesses, node_id: str) -> None:
    """Exchange a school's certificate for one that has run out."""
    node = running.nodes[node_id]
    home = load_home(running.federation.coordinator_folder)
    csr = enrolment.certificate_request(node.folder, node.config)
    uri = ca.uri_of(FEDERATION, "node", node_id)
    long_ago = datetime.now(UTC) - timedelta(days=500)
    pem = ca.issue_client(home.authority, csr, uri, 400, long_ago)
    (node.folder.egress / enrolment.TLS_CERTIFICATE).write_text(pem)


def assert_refused_over_the_network(running: CountyProcesses, node_id: str) -> None:
    """The county takes no call under that certificate; the same call of another school is answered."""
    for name, is_answered in ((node_id, False), ("s02", True)):
        node = running.nodes[name]
        credentials = read_credentials(node.folder.egress)
        link = Coordinator("127.0.0.1", node.config.port, node.config.server_name, credentials, 5.0)
        if is_answered:
            assert link.get_log(0).entries
            continue
        with pytest.raises(CallError) as caught:
            link.get_log(0)
        assert not caught.value.is_definite  # no answer at all: TLS ends it


def is_cosigned(running: CountyProcesses) -> bool:
    page = running.desk.get_log(0, 1)
    return page.cosigned != b"" and page.cosigned.split(b"\n")[1] == page.latest.split(b"\n")[1]


def fetch_log(running: CountyProcesses, stick: Path) -> Path:
    """Put what the auditors have cosigned on the stick."""
    wait_for("everything is cosigned", partial(is_cosigned, running))
    run_county(running, "outbox", "export", "--out", stick / "log")
    return stick / "log"


def test_half_of_the_schools_by_stick(running: CountyProcesses, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    for node_id in OFFLINE:
        let_expire(running, node_id)
    assert run_node(running, node_id, "run", code=1)["error"] == "certificate"
    assert_refused_over_the_network(running, node_id)
    round_id = running.federation.publish(running.plan)
    running.federation.approve(round_id)
    fetch_log(running, stick)
    for node_id in OFFLINE:
        run_node(running, node_id, "log", "import", stick / "log")
    for node in running.nodes.values():
        node.import_files(running.plan)
        wait_for(f"{node.id} has read the round", partial(node.knows, round_id))
        running.release(node.id, round_id)
        if node.id in OFFLINE:
            run_node(running, node.id, "outbox", "export", "--out", stick / "reports")
    reports = sorted((stick / "reports").iterdir())
    assert [path.name.split("-")[0] for path in reports] == list(OFFLINE)
    taken = run_county(running, "report", "import", *reports, "--receipts", stick / "receipts")
    assert taken["refused"] == 0
    assert running.wait_released(round_id)["state"] == "released"
    for node_id in OFFLINE:
        receipt = next((stick / "receipts").glob(f"{node_id}-*"))
        run_node(running, node_id, "receipt", "import", receipt)
    fetch_log(running, stick)
    for node_id in OFFLINE:
        running.nodes[node_id].call("log_import", files={"log": stick / "log"})
    check_round(running, round_id, tmp_path / "bundle")
    check_stick(running, stick, reports)


def check_round(running: CountyProcesses, round_id: bytes, bundle: Path) -> None:
    """All six are in, the bundle passes, every school has its receipts, the sums are near the truth."""
    verdict = running.verify(bundle)
    assert verdict.exit_code == 0, [check for check in verdict.checks if check.outcome.value != "PASS"]
    round_log = running.round(round_id)
    assert sorted(node for node, _attempt in round_log.reports) == sorted(running.nodes)
    close = round_log.close_body()
    assert close is not None
    assert [name.node for name in close.set] == sorted(running.nodes)
    assert close.excluded == ()
    assert {check.outcome.value for check in verdict.checks} == {"PASS"}
    assert round_log.release is not None
    assert (round_log.release.statement.reports_in, round_log.release.statement.status) == (6, "ok")
    for node_id in OFFLINE:
        node = running.nodes[node_id]
        row = node.call("rounds")["rounds"][0]["report"]
        assert (row["state"], row["receipts"]) == ("released", ["immediate", "cosigned"])
        assert node.call("outbox_export")["reports"] == []
        assert run_node(running, node_id, "status")["certificate_days"] < 0
    assert run_node(running, node.id, "receipt", round_id.hex()[:12])["kind"] == "cosigned"
    assert node.call("recompute", round=round_id.hex(), attempt=0)["outcome"] == "PASS"
    check_sums(running, round_log.release.body)


def check_sums(running: CountyProcesses, body: bytes) -> None:
    """No cell is further from the truth than fourteen deviations of its noise."""
    layout, truth = build_layout(running.plan), running.truth()
    sums = {row["id"]: row["sums"] for row in json.loads(body)["tables"]}
    for table in layout.tables:
        exact = truth[table.offset : table.offset + table.cells] * table.noise.scale
        away = np.abs(np.array(sums[table.id]) - exact)
        assert away.max() <= 14 * (table.noise.s2 * 6) ** 0.5 + 1


def check_stick(running: CountyProcesses, stick: Path, reports: list[Path]) -> None:
    """On the stick there is what would have gone over the network, in its one size, and no pupil."""
    assert len({path.stat().st_size - len(note_of(path.read_bytes())) for path in reports}) == 1
    patterns: dict[str, bytes] = {}
    for node in running.nodes.values():
        for row in node.school.roster[1:6]:
            patterns |= of_text(str(row[0])) | of_text(str(row[1]))
    assert len(patterns) > 1000
    assert Search(patterns).find_in(files_below(stick)) == []
