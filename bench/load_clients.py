"""Light schools for ``bench/load.py``: everything is made beforehand, each connection is a fresh one.

Run as a program it is one process of them: it makes certificates and reports, prints ``ready``, waits for
a line on stdin, works, and prints what it saw as one line of JSON. What it may do:

report     connect (TLS 1.3, both certificates, no earlier session), hand the report in, close
handshake  connect as far as the server's first HTTP/2 frame, and close: what a connection alone costs
idle       the same, but all connections stay until the next line on stdin
poll       on one connection a school ask for the log's end, some times: what an open channel's call costs
"""

from __future__ import annotations

import argparse
import json
import resource
import socket
import ssl
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import grpc

from bench.processes import connect, drive
from bench.served_county import client_credentials, make_report, node_name
from coordinator import ca
from coordinator.desk import Desk
from coordinator.home import Home, load_home
from protos import fedscreen_v1_pb2 as pb
from protos.card import parse_card
from protos.ledger import Ledger
from protos.round_log import RoundLog

SUBMIT = "/fedscreen.v1.NodeService/SubmitReport"
GET_LOG = "/fedscreen.v1.LogService/GetLog"
CALL_S = 120.0
TRIES = 8
PAUSE_S = 0.25
POLLS = 4
RETRIED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
# the client's half of what opens an HTTP/2 connection: preface and an empty SETTINGS frame
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
Tls = tuple[bytes, bytes]


def main() -> int:
    """Be one process of clients."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("work", choices=("report", "handshake", "idle", "poll"))
    parser.add_argument("folder", type=Path, help="the coordinator's folder: its CA makes the certificates")
    parser.add_argument("ports", type=int, nargs="+", metavar="PORT", help="of one coordinator or more")
    parser.add_argument("--first", type=int, required=True, help="place of the first school")
    parser.add_argument("--stop", type=int, required=True)
    parser.add_argument("--in-flight", type=int, default=32, help="schools of this process at a time")
    options = parser.parse_args()
    raise_file_limit()
    home, names = load_home(options.folder), [node_name(at) for at in range(options.first, options.stop)]
    if options.work == "idle":
        return idle(home, options.ports[0], names)
    tasks = _tasks(options.work, home, options.ports, names)
    _say("ready")
    sys.stdin.readline()
    start = time.monotonic()
    rows: list[dict[str, Any]] = []
    drive([partial(_timed, task, rows) for task in tasks], options.in_flight)
    _say(json.dumps({"wall_s": time.monotonic() - start, "rows": rows}))
    return 0


def _tasks(work: str, home: Home, ports: Sequence[int], names: Sequence[str]) -> list[Callable[[], int]]:
    tls = [_credentials(home, name) for name in names]
    if work == "report":
        round_log = read_round(home.directory)
        messages = [
            pb.SubmitReportRequest(payload=make_report(round_log, name)).SerializeToString() for name in names
        ]
        return [
            partial(_hand_in, home, ports[at % len(ports) :] + ports[: at % len(ports)], pair, data)
            for at, (pair, data) in enumerate(zip(tls, messages, strict=True))
        ]
    if work == "poll":
        return [partial(_poll, connect(ports[0], home, pair)) for pair in tls]
    return [partial(_connect_and_close, home, ports[0], _context(home, pair)) for pair in tls]


def _timed(task: Callable[[], int], rows: list[dict[str, Any]]) -> None:
    start = time.monotonic()
    tries = task()
    rows.append({"s": time.monotonic() - start, "tries": tries})


def _hand_in(home: Home, ports: Sequence[int], tls: Tls, message: bytes) -> int:
    """Send one report over a connection of its own; return how many tries it took."""
    for tries in range(1, TRIES + 1):
        channel = connect(ports[(tries - 1) % len(ports)], home, tls)
        try:
            put = channel.unary_unary(SUBMIT, _registered_method=False)
            if not pb.SubmitReportResponse.FromString(put(message, timeout=CALL_S)).receipt:
                raise RuntimeError("no receipt")
            return tries
        except grpc.RpcError as err:
            if err.code() not in RETRIED or tries == TRIES:
                raise
        finally:
            channel.close()
        time.sleep(PAUSE_S * tries)
    raise AssertionError


def _poll(channel: grpc.Channel) -> int:
    call = channel.unary_unary(GET_LOG, _registered_method=False)
    for _ in range(POLLS):
        call(pb.GetLogRequest(start=10**9, max_entries=1).SerializeToString(), timeout=CALL_S)
    return 1


def _connect_and_close(home: Home, port: int, context: ssl.SSLContext) -> int:
    _open(home, port, context).close()
    return 1


def _open(home: Home, port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Connect until the server has sent its SETTINGS: the handshake is done on both sides then."""
    plain = socket.create_connection(("127.0.0.1", port), CALL_S)
    secure = context.wrap_socket(plain, server_hostname=home.config.server_name)
    secure.sendall(HELLO)
    if not secure.recv(9):
        raise RuntimeError("the coordinator closed the connection")
    return secure


def idle(home: Home, port: int, names: Sequence[str]) -> int:
    """Open a connection a name and leave it; certificates are shared, memory is what counts here."""
    shared = [_context(home, _credentials(home, name)) for name in names[:50]]
    _say("ready")
    sys.stdin.readline()
    start = time.monotonic()
    kept = [_open(home, port, shared[at % len(shared)]) for at in range(len(names))]
    _say(json.dumps({"wall_s": time.monotonic() - start, "open": len(kept)}))
    sys.stdin.readline()
    closed = sum(_is_closed(one) for one in kept)
    _say(json.dumps({"closed": closed}))
    return 0


def _is_closed(connection: ssl.SSLSocket) -> bool:
    connection.setblocking(False)
    try:
        while data := connection.recv(4096):
            del data
    except ssl.SSLWantReadError:
        return False
    except OSError:
        return True
    return True


def read_round(folder: Path) -> RoundLog:
    """Read the newest round of a coordinator's folder from its log."""
    desk = Desk(folder)
    try:
        ledger = Ledger(parse_card(desk.card_text()))
        for entry, body in desk.get_log(0, 100).entries:
            ledger.append(entry, body)
    finally:
        desk.close()
    return list(ledger.rounds.values())[-1]


def raise_file_limit() -> int:
    """Let this process open as many files as the system lets it; return how many."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def _credentials(home: Home, name: str) -> Tls:
    return client_credentials(home, "node", name, ca.new_key())


def _context(home: Home, tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=home.authority.certificate_pem)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.set_alpn_protocols(["h2"])
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        file.write(tls[0] + tls[1])
        file.flush()
        context.load_cert_chain(file.name)
    return context


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
