"""What a report costs the coordinator: a whole put over mutual TLS against a bare echo of the same bytes.

ours: `coordinator.serve` in its own process takes real reports of 10,000 cells under (4,3) from a
client process: mTLS identity, header parsed and its signature verified, ledger rules, length,
every digest, every element canonical, slot, log append, commit, signed receipt. reference: a gRPC
server with mutual TLS, the same threads and connections, that sends each payload back as it came
and looks at nothing. Both are CPU time (user and system) of the server process's threads by
``/proc/<pid>/task/*/schedstat``, divided by the number of calls; the servers take turns, and the
best of some passes counts.

With fsync every answer waits for the disk (`synchronous=FULL`); without it the same code runs
under `synchronous=OFF`. Calls that wait together share a commit (`coordinator/group_commit.py`).
"""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from math import inf
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import grpc

from bench.processes import connect, cpu_seconds, drive, running
from bench.row import Row, make_row
from bench.served_county import client_credentials, make_county, make_report, node_name
from coordinator import ca
from coordinator.desk import Desk
from coordinator.home import Home, load_home
from crypto.note import parse_note
from protos import fedscreen_v1_pb2 as pb
from protos.card import parse_card
from protos.fields import ZERO_DIGEST
from protos.ledger import Ledger
from protos.report_payload import note_of
from protos.round_log import RoundLog
from protos.statements import digest

CELLS = 10_000
NODES_A_PASS = 48
PASSES, QUICK_PASSES = 8, 3
ATTEMPTS = 4
IN_FLIGHT = 16  # divides NODES_A_PASS, so that one thread sends all attempts of a school, in order
SERVER = "bench/served_county.py"
ECHO = "/bench/Echo"
SUBMIT = "/fedscreen.v1.NodeService/SubmitReport"
WARM_UP = "/fedscreen.v1.LogService/GetLog"
TARGETS = {"no fsync": 2.0, "fsync": 2.7}


def main(*words: str) -> int:
    """Measure and print; with ``echo FOLDER`` be the reference server."""
    if words[:1] == ("echo",):
        return serve_echo(load_home(Path(words[1])))
    for row in rows(quick="quick" in words):
        print(row)
    return 0


def rows(quick: bool) -> list[Row]:
    """Measure puts with and without fsync against the echo; the best of some passes for each."""
    passes = QUICK_PASSES if quick else PASSES
    with tempfile.TemporaryDirectory(prefix="bench-receive-") as name:
        folder = Path(name)
        round_id = make_county(folder / "no fsync", NODES_A_PASS * passes, CELLS)
        shutil.copytree(folder / "no fsync", folder / "fsync")
        best = _measure_all(folder, round_id, passes)
    reference = best.pop("echo")
    return [
        make_row(
            f"report put / bare echo ({name})",
            NODES_A_PASS * ATTEMPTS,
            CELLS,
            value,
            reference,
            TARGETS[name],
        )
        for name, value in best.items()
    ]


def _measure_all(folder: Path, round_id: bytes, passes: int) -> dict[str, float]:
    """CPU seconds a call of the three servers, which take turns so that a busy machine is fair to all."""
    home, key = load_home(folder / "no fsync"), ca.new_key()
    round_log = _round_of(folder / "no fsync", round_id)
    best = {"echo": inf, "no fsync": inf, "fsync": inf}
    with ExitStack() as stack:
        servers = {
            "echo": stack.enter_context(running("bench/receive.py", "echo", str(home.directory))),
            "no fsync": stack.enter_context(running(SERVER, str(folder / "no fsync"), "no-fsync")),
            "fsync": stack.enter_context(running(SERVER, str(folder / "fsync"))),
        }
        for turn in range(passes):
            names = [node_name(place) for place in range(turn * NODES_A_PASS, (turn + 1) * NODES_A_PASS)]
            tls = [client_credentials(home, "node", name, key) for name in names]
            requests = [_attempts(round_log, name) for name in names]
            for name, server in servers.items():
                best[name] = min(best[name], _measure(server, home, tls, requests, is_echo=name == "echo"))
    return best


def _round_of(folder: Path, round_id: bytes) -> RoundLog:
    desk = Desk(folder)
    try:
        ledger = Ledger(parse_card(desk.card_text()))
        for entry, body in desk.get_log(0, 100).entries:
            ledger.append(entry, body)
    finally:
        desk.close()
    return ledger.rounds[round_id]


def _attempts(round_log: RoundLog, name: str) -> list[bytes]:
    made: list[bytes] = []
    previous = ZERO_DIGEST
    for attempt in range(ATTEMPTS):
        made.append(make_report(round_log, name, attempt, previous))
        previous = digest(parse_note(note_of(made[-1])).text)
    return made


def _measure(
    server: tuple[int, int],
    home: Home,
    tls: list[tuple[bytes, bytes]],
    requests: list[list[bytes]],
    *,
    is_echo: bool,
) -> float:
    """CPU seconds that a server spends on one call over connections that are made already."""
    pid, port = server
    channels = [connect(port, home, pair) for pair in tls]
    messages = requests if is_echo else [[_message(item) for item in row] for row in requests]
    hello = b"x" if is_echo else pb.GetLogRequest(start=0, max_entries=1).SerializeToString()
    calls = _calls(channels, ECHO if is_echo else WARM_UP)
    drive([partial(call, hello) for call in calls], IN_FLIGHT)
    puts = _calls(channels, ECHO if is_echo else SUBMIT)
    tasks = [
        partial(put, row[attempt])
        for attempt in range(ATTEMPTS)
        for put, row in zip(puts, messages, strict=True)
    ]
    before = cpu_seconds(pid)
    drive(tasks, IN_FLIGHT)
    spent = cpu_seconds(pid) - before
    for channel in channels:
        channel.close()
    return spent / len(tasks)


def _calls(channels: list[grpc.Channel], method: str) -> list[grpc.UnaryUnaryMultiCallable[bytes, bytes]]:
    return [channel.unary_unary(method) for channel in channels]


def _message(payload: bytes) -> bytes:
    return pb.SubmitReportRequest(payload=payload).SerializeToString()


def serve_echo(home: Home) -> int:
    """Be the reference: answer each call with its own bytes."""
    certificate, key = ca.issue_server(
        home.authority, home.config.federation, home.config.server_name, (), datetime.now(UTC)
    )
    handler: grpc.RpcMethodHandler[bytes, bytes]
    handler = grpc.unary_unary_rpc_method_handler(lambda request, _context: request)
    server = grpc.server(ThreadPoolExecutor(home.config.threads))
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench", {"Echo": handler}),))
    credentials = grpc.ssl_server_credentials(
        [(key, certificate.encode())], home.authority.certificate_pem.encode(), require_client_auth=True
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # before gRPC starts threads
    server.start()
    print(port, flush=True)
    signal.sigwait({signal.SIGTERM})
    server.stop(1).wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
