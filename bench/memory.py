"""Resident memory of coordinator and auditor after a whole round of 10,000 reports, against one of 100.

Each round is real and in processes of its own: `coordinator.serve` with its driver, three auditors' desks
over mutual TLS that follow the log while reports come, check, agree and open; a roster of the same
number of schools in both rounds, each reporting school over a connection of its own; 10,000 cells,
so 80 KB and four boxes a report. Taken are the resident set when the round is released (``now``) and its
peak since the process started: receiving, handing boxes out, closing, combining and publishing are
all in it. The database of 10,000 reports takes 0.9 GB and is removed.

As a program with ``auditor FOLDER PORT NAME`` it is one auditor that works at each line it reads.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from os import urandom
from pathlib import Path

if str(Path(__file__).resolve().parent.parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import grpc
from cryptography.hazmat.primitives.asymmetric import ec

from auditor.client import GrpcLink
from auditor.config import AuditorConfig
from auditor.desk import Desk as AuditorDesk
from auditor.keys import AuditorKeys, TlsFiles
from auditor.policy import default_policy, parse_auditor_policy
from bench.processes import ROOT, connect, drive, resident_bytes, running
from bench.row import Row, make_row
from bench.served_county import (
    AUDITORS,
    FEDERATION,
    client_credentials,
    make_county,
    make_report,
    node_name,
    signing_key,
)
from coordinator import ca
from coordinator.desk import Desk
from coordinator.errors import RoundClosedError
from coordinator.home import Home, load_home
from protos import fedscreen_v1_pb2 as pb
from protos.card import parse_card
from protos.ledger import Ledger
from protos.round_log import RoundLog

CELLS = 10_000
FEW, MANY, QUICK_MANY = 100, 10_000, 1_000
IN_FLIGHT = 8
STEP_REPORTS = 500
TARGET = 1.2
MAX_STEPS = 40
SERVER = "bench/served_county.py"
SUBMIT = "/fedscreen.v1.NodeService/SubmitReport"


def main(*words: str) -> int:
    """Measure and print; with ``auditor …`` be one."""
    if words[:1] == ("auditor",):
        return be_auditor(Path(words[1]), int(words[2]), words[3])
    for row in rows(quick="quick" in words):
        print(row)
    return 0


def rows(quick: bool) -> list[Row]:
    """Measure both processes after a small and a large round."""
    many = QUICK_MANY if quick else MANY
    few_bytes, many_bytes = (_round_of(num_reports, many) for num_reports in (FEW, many))
    return [
        make_row(
            f"{who} memory {many} / {FEW} reports, {moment}",
            many,
            CELLS,
            ours,
            few_bytes[who, moment],
            TARGET,
        )
        for (who, moment), ours in many_bytes.items()
    ]


def _round_of(num_reports: int, num_nodes: int) -> dict[tuple[str, str], int]:
    """Run a round; resident bytes of the coordinator and of the largest auditor, after it and at its peak."""
    with tempfile.TemporaryDirectory(prefix="bench-memory-") as name, ExitStack() as stack:
        folder = Path(name)
        round_id = make_county(folder / "county", num_nodes, CELLS, is_approved=False, tick_s=1.0)
        home = load_home(folder / "county")
        pid, port = stack.enter_context(running(SERVER, str(folder / "county")))
        auditors = [stack.enter_context(_auditor(folder, port, name)) for name in AUDITORS]
        for auditor in auditors:
            _work(auditor)
        round_log = _read_round(home, round_id)
        for first in range(0, num_reports, STEP_REPORTS):
            _send(home, port, round_log, range(first, min(first + STEP_REPORTS, num_reports)))
            for auditor in auditors[:3]:
                _work(auditor)
        _finish(folder / "county", round_id, auditors[:3])
        coordinator, others = resident_bytes(pid), [resident_bytes(row.pid) for row in auditors[:3]]
        return {
            (who, moment): value
            for moment in ("now", "peak")
            for who, value in (
                ("coordinator", coordinator[moment]),
                ("auditor", max(o[moment] for o in others)),
            )
        }


def _read_round(home: Home, round_id: bytes) -> RoundLog:
    desk = Desk(home.directory)
    try:
        ledger = Ledger(parse_card(desk.card_text()))
        for entry, body in desk.get_log(0, 100).entries:
            ledger.append(entry, body)
    finally:
        desk.close()
    return ledger.rounds[round_id]


def _send(home: Home, port: int, round_log: RoundLog, places: range) -> None:
    key = ca.new_key()
    drive([partial(_send_one, home, port, round_log, node_name(place), key) for place in places], IN_FLIGHT)


def _send_one(home: Home, port: int, round_log: RoundLog, name: str, key: ec.EllipticCurvePrivateKey) -> None:
    payload = make_report(round_log, name)
    with connect(port, home, client_credentials(home, "node", name, key)) as channel:
        submit: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(SUBMIT)
        submit(pb.SubmitReportRequest(payload=payload).SerializeToString(), timeout=60)


def _finish(folder: Path, round_id: bytes, auditors: list[subprocess.Popen[str]]) -> None:
    desk = Desk(folder)
    try:
        with suppress(RoundClosedError):  # where every school has reported, the coordinator closes by itself
            desk.request_close(round_id, without_missing=True)
        for _ in range(MAX_STEPS):
            time.sleep(1.2)
            for auditor in auditors:
                _work(auditor)
            if desk.round_status(round_id)["is_over"]:
                break
        if desk.round_status(round_id)["reason"] != "released":
            raise RuntimeError("the round was not released")
    finally:
        desk.close()


@contextmanager
def _auditor(folder: Path, port: int, name: str) -> Iterator[subprocess.Popen[str]]:
    words = [sys.executable, "bench/memory.py", "auditor", str(folder), str(port), name]
    with subprocess.Popen(words, stdin=-1, stdout=-1, cwd=ROOT, text=True) as child:
        try:
            yield child
        finally:
            if child.stdin:
                child.stdin.close()
            child.wait(60)


def _work(auditor: subprocess.Popen[str]) -> None:
    if auditor.stdin is None or auditor.stdout is None:
        raise RuntimeError("an auditor without pipes")
    auditor.stdin.write("work\n")
    auditor.stdin.flush()
    if auditor.stdout.readline() != "done\n":
        raise RuntimeError("an auditor failed")


def be_auditor(folder: Path, port: int, name: str) -> int:
    """Approve what there is and take every step, once for each line of standard input."""
    home = load_home(folder / "county")
    desk = Desk(home.directory)
    card = parse_card(desk.card_text())
    desk.close()
    key, certificate = client_credentials(home, "auditor", name, ca.new_key())
    config = AuditorConfig(
        federation=FEDERATION,
        id=name,
        operator=f"operator {name}",
        address=f"127.0.0.1:{port}",
        server_name=home.config.server_name,
        timeout_s=120.0,
    )
    with GrpcLink(config, TlsFiles(key, certificate, home.authority.certificate_pem.encode())) as link:
        auditor = AuditorDesk(
            folder / name,
            config=config,
            keys=AuditorKeys(signing_key("auditor", name), signing_key("witness", name)),
            card=card,
            policy=parse_auditor_policy(default_policy(card)),
            link=link,
            now=lambda: datetime.now(UTC),
            entropy=urandom,
        )
        for _ in sys.stdin:
            auditor.sync()
            for round_id, row in list(auditor.context.ledger.rounds.items()):
                if name not in row.approvals:
                    auditor.approve(round_id)
            for event in auditor.step():
                if event.kind in ("error", "refused"):
                    print(event.kind, event.detail, file=sys.stderr)
            print("done", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
