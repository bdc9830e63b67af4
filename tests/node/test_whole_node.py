"""The promise "no raw record leaves a node", with real processes: two schools, from files to receipt.

Everything that crosses a pipe between vault and egress is recorded by the supervisor, everything that
arrives is recorded behind TLS by the server, and nothing that was planted in the records is found in it.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from canaries import find_canaries, spellings
from fakes_log_server import SERVER_NAME, LogServer
from wall_support import KEY, TESTS, make_config, make_folder, pids, wait_until
from whole_county import County, School, enrol, files_of, name_of, publish, student_no

from crypto.tlog_proof import parse_proof, verify_proof
from node.config import NodeConfig, NodeFolder
from node.frames import Kind
from node.launch import egress_command
from node.supervise import Supervisor
from protos.report_payload import note_of

pytestmark = pytest.mark.process


def canaries_of(node: str) -> list[str]:
    places = (0, 3, 6)
    return [*(student_no(node, place) for place in places), *(name_of(node, place) for place in places)]


@dataclass
class Whole:
    """Two schools that have reported, stopped again, and everything that was seen of them."""

    county: County
    schools: list[School]
    round_id: str
    status: dict[str, dict[str, Any]]
    replays: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    root = tmp_path_factory.mktemp("whole")
    patch = pytest.MonkeyPatch()
    (root / "fedscreen-database-key").write_bytes(KEY)
    patch.setenv("CREDENTIALS_DIRECTORY", str(root))
    county = County()
    server, port = county.serve()
    schools, rows = zip(*(enrol(root, county, port, place) for place in range(2)), strict=True)
    county.federation.roster_nodes = rows
    county.federation.join()
    round_id = publish(county.federation)
    found = Whole(county, list(schools), round_id, {}, {})
    try:
        for school in schools:
            use(school, found)
        yield found
    finally:
        for school in schools:
            school.stop()
        server.stop(0).wait()
        patch.undo()


def use(school: School, whole: Whole) -> None:
    """One school's way: run, import, preview, release, sent, receipt, replay."""
    school.start()
    wait_until(lambda: pids(school.folder))
    wait_until(lambda: [row for row in school.run("rounds")["rounds"] if row["is_cosigned"]])
    options = []
    for name, data in files_of(school.node).items():
        path = school.folder.root / name
        path.write_bytes(data)
        options += [f"--{name.split('.')[0]}", str(path)]
    assert school.run("import", *options)["imported"] == 1
    assert school.run("preview", whole.round_id[:8])["tables"]
    released = school.run("release", whole.round_id[:8], "--by", "王老师")
    assert (released["attempt"], released["is_new"]) == (0, 1)
    expected = ["immediate", "cosigned"]
    wait_until(lambda: school.run("rounds")["rounds"][0]["report"]["receipts"] == expected)
    school.run("receipt", whole.round_id[:8])
    whole.status[school.node] = school.run("status")
    whole.replays[school.node] = school.run("audit", "replay", whole.round_id[:8])
    if school is whole.schools[0]:  # while it runs; both lie in its folder, where canaries are looked for
        school.run("backup", "--out", str(school.folder.root / "school.backup"))
        school.run("recovery", "make", "--out", str(school.folder.root / "school.recovery"))
    school.stop()


def test_both_schools_have_reported_behind_the_whole_wall(whole: Whole) -> None:
    for school in whole.schools:
        status = whole.status[school.node]
        report = status["rounds"][0]["report"]
        assert report["receipts"] == ["immediate", "cosigned"]
        assert status["running"]["vault"]["level"] == status["running"]["egress"]["level"] == "L3"
        assert status["running"]["vault"]["starts"] == 1
    levels = {
        line for line in note_of(whole.county.reports[0]).decode().splitlines() if "confinement" in line
    }
    assert levels == {"confinement L3"}


def test_replay_in_the_vault_gives_the_same_bytes(whole: Whole) -> None:
    for school in whole.schools:
        assert whole.replays[school.node]["outcome"] == "PASS"
        assert {row["result"] for row in whole.replays[school.node]["checks"]} == {"PASS"}


def test_backup_of_a_running_node_becomes_the_same_node(whole: Whole, tmp_path: Path) -> None:
    school = whole.schools[0]
    new = replace(school, folder=NodeFolder(tmp_path / "new"))
    assert new.run("restore", str(school.folder.root / "school.backup"))["newer"] == []
    report = new.run("rounds")["rounds"][0]["report"]
    assert report == whole.status[school.node]["rounds"][0]["report"]
    assert new.run("audit", "replay", whole.round_id[:8])["outcome"] == "PASS"


def test_receipt_is_checked_by_anyone(whole: Whole) -> None:
    federation = whole.county.federation
    witnesses = [key.verifier for key in federation.witnesses.values()]
    for school in whole.schools:
        (path,) = school.folder.receipts.iterdir()
        proof = parse_proof(path.read_bytes())
        entry = federation.entries[proof.index][0]
        assert f"node {school.node}\n" in entry.decode()
        verify_proof(proof, entry, federation.log_key.verifier, witnesses, 3)


def test_nothing_planted_is_in_any_frame_or_message(whole: Whole) -> None:
    for school in whole.schools:
        canaries = canaries_of(school.node)
        for name in ("from-vault.frames", "from-egress.frames"):
            assert find_canaries((school.frames / name).read_bytes(), canaries) == []
        for _peer, _call, message in whole.county.messages:
            assert find_canaries(message, canaries) == []


def test_nothing_planted_is_in_any_file_outside_the_vault_or_plain_in_it(whole: Whole) -> None:
    for school in whole.schools:
        mine = {school.folder.root / name for name in files_of(school.node)}
        for path in school.folder.root.rglob("*"):
            if path.is_file() and path not in mine:
                assert find_canaries(path.read_bytes(), canaries_of(school.node)) == [], path.name


def test_two_very_different_schools_send_the_same_lengths(whole: Whole) -> None:
    lengths = [
        {(frame.kind, len(frame.payload)) for frame in school.recorded("vault")} for school in whole.schools
    ]
    assert lengths[0] == lengths[1]
    assert {kind for kind, _length in lengths[0]} == {Kind.REPORT}
    assert len(lengths[0]) == 1
    calls = [len(data) for _peer, call, data in whole.county.messages if call == "SubmitReport"]
    assert len(set(calls)) == 1
    assert len(calls) == 2


LEAKING = """
import sys
sys.path.insert(0, {tests!r})
from node.egress import client, worker
honest = client.Coordinator.submit_report
client.Coordinator.submit_report = lambda self, payload: honest(self, payload + {canary!r})
sys.exit(worker.main())
"""


@pytest.mark.parametrize("spelling", ["gb18030", "utf-16-le", "utf-8 hex", "utf-8 base64 +1"])
def test_leaking_egress_is_caught_by_the_same_search(whole: Whole, tmp_path: Path, spelling: str) -> None:
    school = whole.schools[1]
    server = LogServer(ca=whole.county.ca)
    server.entries = list(whole.county.federation.entries)
    canary = canaries_of(school.node)[3]
    leak = spellings(canary)[spelling]
    handle, port = server.serve()
    config = make_config(
        federation=school.config.federation,
        node=school.node,
        vault_uid=school.config.vault_uid,
        egress_uid=school.config.egress_uid,
        address=f"127.0.0.1:{port}",
        server_name=SERVER_NAME,
    )

    def leaking(folder: NodeFolder, config: NodeConfig, address: str) -> list[str]:
        honest = egress_command(folder, config, address)
        return [honest[0], "-c", LEAKING.format(tests=str(TESTS), canary=leak), *honest[3:]]

    from fakes_desk import fake_vault

    folder = make_folder(tmp_path / "node", whole.county)
    supervisor = Supervisor(folder, config, KEY, vault=fake_vault(TESTS, config.vault_uid), egress=leaking)
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        server.wait_for(lambda: server.reports)
    finally:
        supervisor.stop()
        thread.join(30)
        handle.stop(0).wait()
    assert find_canaries(server.reports[0], [canary]) != []


@pytest.mark.parametrize("prefix", [b"", b"x", b"xy", b"xyz"])
def test_search_finds_every_spelling(prefix: bytes) -> None:
    canary = "欧阳甲山 13812345678"
    for encoding in ("utf-8", "utf-16-le", "utf-16-be", "gb18030"):
        raw = prefix + canary.encode(encoding) + b"tail"
        for data in (raw, raw.hex().encode(), base64.b64encode(raw), base64.urlsafe_b64encode(raw)):
            assert find_canaries(b"..." + data + b"...", [canary]) != []
    assert find_canaries(b"...", [canary]) == []
