"""The promise "no raw record leaves a node", with real processes: two schools, from files to receipt.

Everything that crosses a pipe between vault and egress is recorded by the supervisor, everything that
arrives is recorded behind TLS by the server, and nothing that was planted in the records is found in it.
"""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from canaries import find_canaries, spellings
from click.testing import CliRunner
from fakes_federation import TinyFederation
from fakes_log_server import SERVER_NAME, LogServer
from fakes_vault import plan_of
from wall_support import EGRESS_UID, KEY, TESTS, VAULT_UID, make_config, make_folder, pids, wait_until

from crypto.merkle import inclusion_proof
from crypto.note import parse_vkey
from crypto.tlog_proof import TlogProof, encode_proof, parse_proof, verify_proof
from node.cli import node as group
from node.config import NodeConfig, NodeFolder, write_config
from node.frames import EGRESS_SENDS, RUN_VAULT_SENDS, Frame, Kind, read_frame
from node.launch import egress_command
from node.session import open_vault
from node.supervise import Supervisor
from plan.codebook import parse_codebook_toml
from plan.document import PlanDocument, encode_body
from plan.layout import build_layout
from plan.published import noise_rows
from plan.publishing import use_codebook
from privacy.year_account import school_year_of
from protos import fedscreen_v1_pb2 as pb
from protos.bodies import RosterNode, sorted_attributes
from protos.report_payload import note_of

pytestmark = pytest.mark.process
EXAMPLES = TESTS.parent / "examples"
NODES = ("school-1", "school-2")
TODAY = datetime.now(UTC).replace(microsecond=0)


def student_no(node: str, place: int) -> str:
    return f"G9900012014090{NODES.index(node)}{place:03d}X"


def name_of(node: str, place: int) -> str:
    return f"欧阳{'甲乙丙丁戊己庚辛壬癸'[place % 10]}{'山水'[NODES.index(node)]}"


def files_of(node: str) -> dict[str, bytes]:
    """Two very different schools: 200 pupils without findings; 7 with the highest level each."""
    num_pupils, level = (200, 0) if node == NODES[0] else (7, 4)
    roster, screening = ["学籍号,姓名,年级,监护人同意"], ["学籍号,测评日期,总分,预警等级"]
    for place in range(num_pupils):
        roster.append(
            f"{student_no(node, place)},{name_of(node, place)},{'七年级' if place % 2 else '八年级'},同意"
        )
        screening.append(f"{student_no(node, place)},{TODAY:%Y-%m-%d},{level},{level}")
    return {
        "roster.csv": "\n".join(roster).encode(),
        "screening.csv": "\n".join(screening).encode(),
        "profile.toml": (EXAMPLES / "profiles/addhealth.toml").read_bytes(),
        "codebook.toml": (EXAMPLES / "codebooks/addhealth.toml").read_bytes(),
    }


def canaries_of(node: str) -> list[str]:
    places = (0, 3, 6)
    return [*(student_no(node, place) for place in places), *(name_of(node, place) for place in places)]


@dataclass
class County(LogServer):
    """A coordinator over a `TinyFederation`: real log, real receipts, every message kept."""

    federation: TinyFederation = field(default_factory=lambda: TinyFederation(kind="production"))
    messages: list[tuple[str, str, bytes]] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def GetLog(self, request: Any, context: Any) -> Any:
        self._keep("GetLog", request, context)
        with self.lock:
            page = self.federation.page(request.start, None, datetime.now(UTC).replace(microsecond=0))
        answer = pb.GetLogResponse(start=page.start, latest=page.latest, cosigned=page.cosigned)
        answer.entries.extend(pb.LogEntry(entry=entry, body=body) for entry, body in page.entries)
        return answer

    def SubmitReport(self, request: Any, context: Any) -> Any:
        self._keep("SubmitReport", request, context)
        federation, entry = self.federation, note_of(request.payload)
        with self.lock:
            if entry not in [known for known, _body in federation.entries]:
                federation.ledger.append(entry, b"")
                federation.entries.append((entry, b""))
            index = [known for known, _body in federation.entries].index(entry)
            hashes = inclusion_proof(federation.ledger.leaves, index, federation.ledger.size)
            receipt = encode_proof(TlogProof(index, hashes, federation.checkpoint()))
        with self.changed:
            self.reports.append(request.payload)
            self.changed.notify_all()
        return pb.SubmitReportResponse(receipt=receipt)

    def _keep(self, call: str, request: Any, context: Any) -> None:
        metadata = repr(sorted(context.invocation_metadata())).encode()
        with self.lock:
            self.messages.append((context.peer(), call, request.SerializeToString() + metadata))


def document() -> PlanDocument:
    window = {"opens": TODAY - timedelta(hours=1), "closes": TODAY + timedelta(days=20)}
    plan = plan_of(school_year=school_year_of(TODAY.date()), census_date=TODAY.date(), **window)
    return use_codebook(plan, parse_codebook_toml((EXAMPLES / "codebooks/addhealth.toml").read_bytes()))


@dataclass
class School:
    """One node's directory, its supervisor, and its commands."""

    node: str
    folder: NodeFolder
    config: NodeConfig
    frames: Path
    supervisor: Supervisor
    thread: threading.Thread | None = None

    def start(self) -> None:
        self.thread = threading.Thread(target=self.supervisor.run)
        self.thread.start()

    def stop(self) -> None:
        self.supervisor.stop()
        if self.thread is not None:
            self.thread.join(30)

    def run(self, *arguments: str) -> dict[str, Any]:
        command = [*arguments, "--json"]
        at = 2 if arguments[0] == "audit" else 1
        found = CliRunner().invoke(group, [*command[:at], "--dir", str(self.folder.root), *command[at:]])
        assert found.exit_code == 0, found.output
        return dict(json.loads(found.stdout))

    def recorded(self, side: str) -> list[Frame]:
        frames, kinds = [], RUN_VAULT_SENDS if side == "vault" else EGRESS_SENDS
        descriptor = os.open(self.frames / f"from-{side}.frames", os.O_RDONLY)
        try:
            while (frame := read_frame(descriptor, kinds)) is not None:
                frames.append(frame)
        finally:
            os.close(descriptor)
        return frames


@dataclass
class Whole:
    """Two schools that have reported, stopped again, and everything that was seen of them."""

    county: County
    schools: list[School]
    round_id: str
    status: dict[str, dict[str, Any]]
    replays: dict[str, dict[str, Any]]


def enrol(root: Path, county: County, port: int, place: int) -> tuple[School, RosterNode]:
    node, federation = NODES[place], county.federation
    folder = make_folder(root / node, county)
    users = (VAULT_UID + 10 * (place + 1), EGRESS_UID + 10 * (place + 1)) if VAULT_UID else (0, 0)
    config = make_config(
        federation=federation.federation,
        node=node,
        vault_uid=users[0],
        egress_uid=users[1],
        address=f"127.0.0.1:{port}",
        server_name=SERVER_NAME,
    )
    write_config(folder, config)
    init = {"operator": f"operator {place}", "attributes": {"county": "530101"}, "system": "6-3"}
    with open_vault(folder, config, KEY) as vault:
        vault.call({"command": "init", "federation": federation.federation, "node": node, **init})
        identity, _files = vault.call({"command": "identity"})
        vault.call({"command": "accept", "card_text": federation.card_text})
    row = RosterNode(
        node,
        identity["operator"],
        parse_vkey(identity["report_key"]),
        bytes.fromhex(identity["master"]),
        sorted_attributes(identity["attributes"]),
        (),
    )
    supervisor = Supervisor(folder, config, KEY, record_frames=root / f"frames-{node}")
    return School(node, folder, config, root / f"frames-{node}", supervisor), row


def publish(federation: TinyFederation) -> str:
    plan = document()
    layout = build_layout(plan)
    terms = {"opens": plan.opens, "closes": plan.closes, "min_group": 5}
    round_id = federation.publish(encode_body(plan), layout.cells, noise_rows(layout), **terms)
    federation.approve(round_id)
    return round_id.hex()


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
