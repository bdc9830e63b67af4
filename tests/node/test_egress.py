"""The egress: a real process behind its wall, a real mTLS server, and the parts one by one."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from fakes_desk import report
from fakes_log_server import SERVER_NAME, LogServer, Pair, make_ca, make_node, make_server
from wall_support import EGRESS_UID, TESTS, make_folder

from node.config import NodeFolder
from node.egress import outbox, send
from node.egress.client import CallError, Coordinator, Credentials, read_credentials, target
from node.egress.outbox import Outbox, digest_of
from node.egress.send import pause_s, send_one
from node.errors import LinkError
from node.frames import EGRESS_SENDS, Frame, Kind, LogPage, parse_link, parse_log, read_frame, write_frame
from node.launch import child_environment

UNAVAILABLE = 14


class Process:
    """A running egress and the frames that it sent."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.frames: list[Frame] = []
        self.has_ended = False
        self.changed = threading.Condition()
        assert process.stdout is not None
        self._stdout = process.stdout.fileno()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while (frame := read_frame(self._stdout, EGRESS_SENDS)) is not None:
            with self.changed:
                self.frames.append(frame)
                self.changed.notify_all()
        with self.changed:
            self.has_ended = True
            self.changed.notify_all()

    def send(self, kind: Kind, payload: bytes = b"") -> None:
        assert self.process.stdin is not None
        write_frame(self.process.stdin.fileno(), kind, payload)

    def of(self, kind: Kind) -> list[bytes]:
        return [frame.payload for frame in self.frames if frame.kind is kind]

    def wait(self, condition: Callable[[], object], timeout_s: float = 20.0) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, timeout_s), "it did not happen in time"

    def links(self) -> list[tuple[str, int]]:
        return [(parse_link(payload).call, parse_link(payload).status) for payload in self.of(Kind.LINK)]

    def join(self) -> None:
        self._reader.join(10)


@contextmanager
def egress(
    folder: NodeFolder, port: int, *, address: str = "127.0.0.1", name: str = SERVER_NAME, poll_s: float = 0.1
) -> Iterator[Process]:
    user = ["--uid", str(EGRESS_UID)] if EGRESS_UID else []
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "node.egress.worker", "--dir", str(folder.root), "--address", address),
            *("--port", str(port), "--server-name", name, "--poll-s", str(poll_s), "--timeout-s", "5", *user),
        ],
        env=child_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    with process:
        running = Process(process)
        try:
            running.wait(lambda: running.frames or running.has_ended)
            yield running
        finally:
            if process.stdin is not None:
                process.stdin.close()
            process.wait(10)
            running.join()


@pytest.fixture
def served() -> Iterator[tuple[LogServer, int]]:
    fake = LogServer(entries=[(b"entry %d" % number, b"body") for number in range(5)], latest=b"note")
    server, port = fake.serve()
    yield fake, port
    server.stop(0).wait()


@pytest.mark.process
def test_log_is_passed_on_page_by_page_then_empty_pages(
    served: tuple[LogServer, int], tmp_path: Path
) -> None:
    fake, port = served
    with egress(make_folder(tmp_path / "node", fake), port) as running:
        assert running.frames[0].payload[:2] == b"L3"
        running.send(Kind.START)
        running.wait(lambda: len(running.of(Kind.LOG)) >= 4)
        pages = [parse_log(payload) for payload in running.of(Kind.LOG)]
    assert pages[0] == LogPage(0, tuple(fake.entries[:3]), b"note", b"")
    assert pages[1] == LogPage(3, tuple(fake.entries[3:]), b"note", b"")
    assert pages[2] == LogPage(5, (), b"note", b"")
    assert running.links()[0] == ("log", 0)
    assert fake.identities[0] == b"spiffe://county/node/school-1"
    assert running.process.returncode == 0


@pytest.mark.process
def test_start_again_begins_at_the_beginning(served: tuple[LogServer, int], tmp_path: Path) -> None:
    fake, port = served
    with egress(make_folder(tmp_path / "node", fake), port, poll_s=30.0) as running:
        running.send(Kind.START)
        running.wait(lambda: len(running.of(Kind.LOG)) >= 3)
        running.send(Kind.START)
        running.wait(lambda: len(running.of(Kind.LOG)) >= 6, 5.0)
    assert [parse_log(payload).start for payload in running.of(Kind.LOG)][:6] == [0, 3, 5, 0, 3, 5]


@pytest.mark.process
def test_report_is_handed_in_once_and_the_receipt_comes_back(
    served: tuple[LogServer, int], tmp_path: Path
) -> None:
    fake, port = served
    with egress(make_folder(tmp_path / "node", fake), port) as running:
        running.send(Kind.START)
        for _index in range(5):
            running.send(Kind.REPORT, report())
        running.wait(lambda: running.of(Kind.RECEIPT))
        running.send(Kind.REPORT, report())
        running.send(Kind.REPORT, report(fill=9))
        running.wait(lambda: len(running.of(Kind.RECEIPT)) == 2)
    assert fake.reports == [report(), report(fill=9)]
    assert running.of(Kind.RECEIPT) == [b"receipt", b"receipt"]
    assert ("report", 0) in running.links()


@pytest.mark.process
@pytest.mark.parametrize(
    "frames",
    [
        [(Kind.REPORT, b"13812345678" * 10)],
        [(Kind.REPORT, report() + b"x")],
        [(Kind.REPORT, report()), (Kind.REPORT, report(cells=5))],
        [(Kind.LOG, bytes(20))],
        [(Kind.RECEIPT, b"x")],
        [(Kind.KEY, bytes(32))],
    ],
    ids=["no report", "rides along", "two sizes", "log", "receipt", "key"],
)
def test_any_other_frame_ends_the_egress(
    served: tuple[LogServer, int], tmp_path: Path, frames: list[tuple[Kind, bytes]]
) -> None:
    fake, port = served
    with egress(make_folder(tmp_path / "node", fake), port) as running:
        for kind, payload in frames:
            running.send(kind, payload)
        assert running.process.wait(10) == 1
        assert running.process.stderr is not None
        assert running.process.stderr.read() == b"egress: FrameError[frame]\n"
    assert fake.reports == []


@pytest.mark.process
def test_definite_refusal_is_told_by_code_and_not_repeated(
    served: tuple[LogServer, int], tmp_path: Path
) -> None:
    fake, port = served
    fake.fail_report = [grpc.StatusCode.INVALID_ARGUMENT] * 9
    with egress(make_folder(tmp_path / "node", fake), port) as running:
        running.send(Kind.START)
        running.send(Kind.REPORT, report())
        running.wait(lambda: ("report", 3) in running.links())
        running.send(Kind.REPORT, report())
        running.wait(lambda: len(running.of(Kind.LOG)) > 6)
    assert len(fake.fail_report) == 8
    link = next(parse_link(payload) for payload in running.of(Kind.LINK) if payload[0] == 1)
    assert link.digest == digest_of(report())


@pytest.mark.process
def test_no_answer_is_tried_again(served: tuple[LogServer, int], tmp_path: Path) -> None:
    fake, port = served
    fake.fail_report = [
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    ]
    fake.fail_log = [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNKNOWN]
    with egress(make_folder(tmp_path / "node", fake), port) as running:
        running.send(Kind.START)
        running.send(Kind.REPORT, report())
        running.wait(lambda: running.of(Kind.RECEIPT) and running.of(Kind.LOG))
        running.wait(lambda: ("report", 0) in running.links())  # told after the receipt
    assert fake.reports == [report()]
    assert [link for link in running.links() if link[0] == "report"] == [
        ("report", UNAVAILABLE),
        ("report", 13),
        ("report", 8),
        ("report", 0),
    ]


@pytest.mark.process
def test_page_of_another_position_is_not_passed_on(served: tuple[LogServer, int], tmp_path: Path) -> None:
    fake, port = served
    fake.lie_start = 1
    with egress(make_folder(tmp_path / "node", fake), port) as running:
        running.send(Kind.START)
        running.wait(lambda: ("log", 15) in running.links())
    assert running.of(Kind.LOG) == []


@pytest.mark.process
def test_coordinator_with_an_ipv6_address(tmp_path: Path) -> None:
    fake = LogServer(entries=[(b"entry", b"")])
    try:
        server, port = fake.serve("[::1]:0")
    except RuntimeError:
        pytest.skip("this machine has no IPv6")
    with egress(make_folder(tmp_path / "node", fake), port, address="::1") as running:
        running.send(Kind.START)
        running.wait(lambda: running.of(Kind.LOG))
    server.stop(0).wait()


def foreign_server(ca: Pair) -> tuple[Pair, str]:
    del ca
    return make_server(make_ca("another CA")), SERVER_NAME


def wrong_name(ca: Pair) -> tuple[Pair, str]:
    return make_server(ca, "another.test"), SERVER_NAME


def expired_client(ca: Pair) -> tuple[Pair, str]:
    return make_server(ca), "expired"


def foreign_client(ca: Pair) -> tuple[Pair, str]:
    return make_server(ca), "foreign"


@pytest.mark.process
@pytest.mark.parametrize("case", [foreign_server, wrong_name, expired_client, foreign_client])
def test_wrong_certificate_gets_no_connection(
    case: Callable[[Pair], tuple[Pair, str]], tmp_path: Path
) -> None:
    fake = LogServer(entries=[(b"entry", b"")])
    certificate, what = case(fake.ca)
    server, port = fake.serve(certificate=certificate)
    folder = make_folder(tmp_path / "node", fake)
    if what in ("expired", "foreign"):
        pair = make_node(fake.ca, days=-1) if what == "expired" else make_node(make_ca())
        (folder.egress / "tls.key").write_bytes(pair.key_pem)
        (folder.egress / "tls.crt").write_bytes(pair.certificate_pem)
    with egress(folder, port) as running:
        running.send(Kind.START)
        running.send(Kind.REPORT, report())
        running.wait(lambda: ("log", UNAVAILABLE) in running.links())
        running.wait(lambda: ("report", UNAVAILABLE) in running.links())
    server.stop(0).wait()
    assert fake.starts == []
    assert fake.reports == []


@pytest.mark.process
@pytest.mark.parametrize("missing", ["tls.key", "tls.crt", "ca.crt"])
def test_missing_certificate_is_an_error(tmp_path: Path, missing: str) -> None:
    folder = make_folder(tmp_path / "node", LogServer())
    (folder.egress / missing).unlink()
    with egress(folder, 9999) as running:
        assert running.process.wait(10) == 1
        assert running.process.stderr is not None
        assert b"node accept" in running.process.stderr.read()


@pytest.mark.process
def test_coordinator_that_stays_away_ends_the_egress_so_that_its_name_is_looked_up_again(
    tmp_path: Path,
) -> None:
    folder = make_folder(tmp_path / "node", LogServer())
    patched = (
        "import sys; from node.egress import worker; worker.UNREACHABLE_S = 0.3; sys.exit(worker.main())"
    )
    user = ["--uid", str(EGRESS_UID)] if EGRESS_UID else []
    where = ["--address", "127.0.0.1", "--port", "1", "--server-name", SERVER_NAME, "--poll-s", "0.1"]
    process = subprocess.Popen(
        [sys.executable, "-c", patched, "--dir", str(folder.root), *where, *user],
        env=child_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    with process:
        running = Process(process)
        running.send(Kind.START)
        assert process.wait(20) == 75
        running.join()
    assert ("log", UNAVAILABLE) in running.links()


@pytest.mark.process
def test_egress_knows_nothing_of_records() -> None:
    code = (
        "import node.egress.worker as w, sys; w.load_late_modules(); print('\\n'.join(sorted(sys.modules)))"
    )
    environ = {"PYTHONPATH": str(TESTS.parent)}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environ)
    names = found.stdout.decode().split()
    rooms = {
        name for name in names if name.split(".")[0] in ("plan", "privacy", "results", "crypto", "numpy")
    }
    assert not rooms
    assert not [
        name for name in names if name.startswith("node.vault") or "sqlite" in name or "sqlcipher" in name
    ]
    assert [name for name in names if name.startswith("protos.")] == [
        "protos.fedscreen_v1_pb2",
        "protos.fedscreen_v1_pb2_grpc",
    ]


# ---------------------------------------------------------------- without processes


@pytest.mark.parametrize(
    ("address", "expected"), [("10.1.2.3", "ipv4:10.1.2.3:443"), ("fd00::1", "ipv6:[fd00::1]:443")]
)
def test_target_needs_no_name_service(address: str, expected: str) -> None:
    assert target(address, 443) == expected


@pytest.mark.parametrize("address", ["coordinator", "", "10.1.2", "10.1.2.3:1", "[::1]", "localhost"])
def test_name_is_no_target(address: str) -> None:
    with pytest.raises(LinkError, match="IP address"):
        target(address, 443)


def test_outbox_keeps_the_newest_offer() -> None:
    box = Outbox()
    assert box.take(0.0) is None
    assert box.offer(b"one", 0.0)
    assert box.offer(b"two", 0.0)
    assert box.take(0.0) == b"two"
    assert box.take(0.0) is None


def test_outbox_waits_before_it_sends_again() -> None:
    box = Outbox()
    box.offer(b"one", 0.0)
    box.put_off(digest_of(b"one"), 60.0)
    assert box.take(0.0) is None
    assert not box.offer(b"one", 59.9)
    assert box.offer(b"other", 59.9)
    assert box.offer(b"one", 60.0)
    assert box.take(0.0) == b"one"


def test_outbox_remembers_a_bounded_number() -> None:
    box = Outbox()
    for number in range(outbox.MAX_REMEMBERED + 10):
        box.put_off(digest_of(b"%d" % number), 1000.0 + number)
    assert len(box._not_before_s) == outbox.MAX_REMEMBERED
    assert not box.offer(b"%d" % (outbox.MAX_REMEMBERED + 9), 0.0)


class Answers:
    """A coordinator that answers as told."""

    def __init__(self, *answers: bytes | grpc.StatusCode) -> None:
        self.answers = list(answers)
        self.payloads: list[bytes] = []

    def submit_report(self, payload: bytes) -> bytes:
        self.payloads.append(payload)
        answer = self.answers.pop(0)
        if isinstance(answer, grpc.StatusCode):
            raise CallError(answer)
        return answer


@pytest.mark.parametrize(
    ("answer", "status", "kinds", "is_put_off"),
    [
        (b"receipt", 0, [Kind.RECEIPT, Kind.LINK], True),
        (b"", 15, [Kind.LINK], True),
        (bytes(256 * 1024 + 1), 15, [Kind.LINK], True),
        (grpc.StatusCode.ALREADY_EXISTS, 6, [Kind.LINK], True),
        (grpc.StatusCode.PERMISSION_DENIED, 7, [Kind.LINK], True),
        (grpc.StatusCode.UNAUTHENTICATED, 16, [Kind.LINK], True),
        (grpc.StatusCode.UNAVAILABLE, 14, [Kind.LINK], False),
        (grpc.StatusCode.DEADLINE_EXCEEDED, 4, [Kind.LINK], False),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, 8, [Kind.LINK], False),
        (grpc.StatusCode.ABORTED, 10, [Kind.LINK], False),
        (grpc.StatusCode.INTERNAL, 13, [Kind.LINK], False),
    ],
)
def test_every_answer_has_its_consequence(
    answer: bytes | grpc.StatusCode, status: int, kinds: list[Kind], is_put_off: bool
) -> None:
    box, emitted = Outbox(), list[tuple[Kind, bytes]]()
    found = send_one(Answers(answer), box, b"payload", lambda kind, payload: emitted.append((kind, payload)))
    assert found == status
    assert [kind for kind, _payload in emitted] == kinds
    assert (digest_of(b"payload") in box._not_before_s) == is_put_off
    assert send.is_retried(status) == (not is_put_off)


class Stop(Exception):
    """Ends an endless loop in a test."""


def test_pauses_follow_failures_and_a_newer_report_replaces_the_old_one() -> None:
    box, pauses = Outbox(), list[float]()
    coordinator = Answers(grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE, b"receipt")

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            box.offer(b"newer", 0.0)

    def emit(kind: Kind, payload: bytes) -> None:
        if kind is Kind.RECEIPT:
            raise Stop

    box.offer(b"older", 0.0)
    with pytest.raises(Stop):
        send.send_all(coordinator, box, emit, sleep)
    assert coordinator.payloads == [b"older", b"older", b"newer"]
    assert 0.125 <= pauses[0] <= 0.25 <= pauses[1] <= 0.5


def test_pauses_double_are_capped_and_differ() -> None:
    bounds = [(0.5 * full, full) for full in (1.0, 2.0, 4.0, 8.0, 10.0, 10.0)]
    for number, (low, high) in enumerate(bounds, 1):
        found = {pause_s(number, 1.0, 10.0) for _index in range(20)}
        assert all(low <= value <= high for value in found)
        assert len(found) > 1
    assert pause_s(10_000, 1.0, 10.0) <= 10.0


def test_credentials_are_not_shown(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "node", LogServer())
    found = read_credentials(folder.egress)
    assert isinstance(found, Credentials)
    assert "PRIVATE" not in repr(found)


@pytest.mark.process
def test_call_without_a_server_is_unavailable(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "node", LogServer())
    coordinator = Coordinator("127.0.0.1", 1, SERVER_NAME, read_credentials(folder.egress), 1.0)
    with pytest.raises(CallError) as caught:
        coordinator.get_log(0)
    assert caught.value.number == UNAVAILABLE
    assert not caught.value.is_definite


@pytest.mark.process
def test_proxy_of_the_environment_is_not_used(
    served: tuple[LogServer, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    fake, port = served
    folder = make_folder(tmp_path / "node", fake)
    coordinator = Coordinator("127.0.0.1", port, SERVER_NAME, read_credentials(folder.egress), 5.0)
    assert coordinator.get_log(0).start == 0
    assert not {name for name in child_environment() if "proxy" in name.lower()}
