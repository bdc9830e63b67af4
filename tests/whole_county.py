"""Schools with real processes on a log that lives in the test: what several tests of whole nodes share.

`County` is a coordinator over a `TinyFederation`; `School` is one node's directory with its supervisor and
its commands; `enrol` and `publish` make them ready for a round.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from fakes_federation import TinyFederation
from fakes_log_server import SERVER_NAME, LogServer
from fakes_vault import plan_of
from wall_support import EGRESS_UID, KEY, TESTS, VAULT_UID, make_config, make_folder

from crypto.merkle import inclusion_proof
from crypto.note import parse_vkey
from crypto.tlog_proof import TlogProof, encode_proof
from node.cli import node as group
from node.config import NodeConfig, NodeFolder, write_config
from node.frames import EGRESS_SENDS, RUN_VAULT_SENDS, Frame, read_frame
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
        at = 2 if arguments[0] in ("audit", "recovery") else 1
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
