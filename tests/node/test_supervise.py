"""The supervisor with real processes on both sides: a fake desk, a real egress, a real mTLS server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from fakes_desk import fake_vault, report
from fakes_log_server import SERVER_NAME, LogServer
from wall_support import (
    EGRESS_UID,
    IS_ROOT,
    KEY,
    TESTS,
    VAULT_UID,
    make_config,
    make_folder,
    pids,
    running,
    supervised,
    wait_until,
)

from node import supervise
from node.config import NodeFolder, write_config
from node.errors import ConfinementError, SuperviseError
from node.frames import (
    EGRESS_SENDS,
    RUN_VAULT_SENDS,
    Frame,
    Kind,
    LogPage,
    encode_log,
    parse_log,
    read_frame,
    report_shape,
)
from node.supervise import Slot, Supervisor, resolve

pytestmark = pytest.mark.process
ENTRIES = [(b"entry %d" % number, b"body") for number in range(7)]


@pytest.fixture
def coordinator() -> Iterator[tuple[LogServer, int]]:
    fake = LogServer(entries=list(ENTRIES))
    server, port = fake.serve()
    yield fake, port
    server.stop(0).wait()


def frames_in(path: Path, kinds: frozenset[Kind]) -> list[Frame]:
    found = []
    descriptor = os.open(path, os.O_RDONLY)
    try:
        while (frame := read_frame(descriptor, kinds)) is not None:
            found.append(frame)
    finally:
        os.close(descriptor)
    return found


def test_report_goes_out_and_receipt_comes_back(
    coordinator: tuple[LogServer, int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fake, port = coordinator
    folder = make_folder(tmp_path / "node", fake)
    with supervised(folder, port, record=tmp_path / "frames"):
        fake.wait_for(lambda: fake.reports)
        wait_until(lambda: running(folder).get("link", {}).get("report", {}).get("status") == 0)
        values = running(folder)
        vault, egress = pids(folder) or (0, 0)
        status = Path(f"/proc/{vault}/status").read_text()
        links = [os.readlink(f"/proc/{vault}/fd/{name}") for name in os.listdir(f"/proc/{vault}/fd")]
    lines = capfd.readouterr().out.splitlines()
    assert lines.count("connected with the county") == 1
    assert lines.count(f"report delivered, round {report_shape(report()).round_id[:16]}") == 1
    assert lines[-1] == "stopped"
    assert fake.reports == [report()]
    assert fake.identities[0] == b"spiffe://county/node/school-1"
    assert (values["vault"]["level"], values["egress"]["level"]) == ("L3", "L3")
    assert "Seccomp:\t2" in status
    assert "NoNewPrivs:\t1" in status
    assert not any("socket" in link for link in links)
    from_vault = frames_in(tmp_path / "frames" / "from-vault.frames", RUN_VAULT_SENDS)
    from_egress = frames_in(tmp_path / "frames" / "from-egress.frames", EGRESS_SENDS)
    assert {frame.kind for frame in from_vault} == {Kind.REPORT}
    assert {frame.kind for frame in from_egress} == {Kind.LOG, Kind.RECEIPT, Kind.LINK}
    assert not folder.running.exists()
    for pid in (vault, egress):
        assert not Path(f"/proc/{pid}").exists()
    if IS_ROOT:
        assert (folder.vault / "vault.db").stat().st_uid == VAULT_UID
        assert (folder.egress / "tls.key").stat().st_uid == EGRESS_UID


def test_same_report_is_not_sent_with_every_page(coordinator: tuple[LogServer, int], tmp_path: Path) -> None:
    fake, port = coordinator
    with supervised(make_folder(tmp_path / "node", fake), port):
        fake.wait_for(lambda: fake.reports)
        seen = len(fake.starts)
        fake.wait_for(lambda: len(fake.starts) > seen + 5)
    assert len(fake.reports) == 1


@pytest.mark.parametrize("victim", ["vault", "egress"])
def test_killed_side_is_started_anew_and_sees_the_log_from_its_beginning(
    coordinator: tuple[LogServer, int], tmp_path: Path, victim: str
) -> None:
    fake, port = coordinator
    folder = make_folder(tmp_path / "node", fake)
    with supervised(folder, port):
        before = wait_until(lambda: pids(folder))
        fake.wait_for(lambda: len(fake.starts) > 5)
        seen = len(fake.starts)
        index = ["vault", "egress"].index(victim)
        os.kill(before[index], signal.SIGKILL)
        after = wait_until(lambda: (found := pids(folder)) and found[index] != before[index] and found)
        assert after[1 - index] == before[1 - index]
        fake.wait_for(lambda: 0 in fake.starts[seen:])
        fake.wait_for(lambda: fake.starts[-1] == len(ENTRIES))
        assert running(folder)[victim]["starts"] == 2


def test_error_in_the_desk_is_named_without_its_value(
    coordinator: tuple[LogServer, int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fake, port = coordinator
    folder = make_folder(tmp_path / "node", fake)
    (folder.vault / "behaviour").write_text("crash on log")
    with supervised(folder, port):
        fake.wait_for(lambda: fake.reports)
        wait_until(lambda: running(folder).get("vault", {}).get("starts") == 2)
    printed = "".join(capfd.readouterr())
    assert "vault: ValueError at fakes_desk:" in printed
    assert "13812345678" not in printed


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("two sizes", "the earlier one of its round had"),
        ("rides along", "its header says"),
        ("bad start", "does not carry frames"),
    ],
)
def test_vault_that_sends_anything_else_is_ended(
    coordinator: tuple[LogServer, int],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    behaviour: str,
    message: str,
) -> None:
    fake, port = coordinator
    folder = make_folder(tmp_path / "node", fake)
    (folder.vault / "behaviour").write_text(behaviour)
    with supervised(folder, port):
        wait_until(lambda: running(folder).get("vault", {}).get("starts", 0) > 1)
    assert message in capfd.readouterr().out
    assert all(payload == report() for payload in fake.reports)


def test_coordinator_that_comes_back_gets_the_report(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    fake = LogServer(entries=list(ENTRIES))
    server, port = fake.serve()
    folder = make_folder(tmp_path / "node", fake)
    fake.fail_report = [grpc.StatusCode.UNAVAILABLE] * 2
    with supervised(folder, port):
        fake.wait_for(lambda: len(fake.fail_report) < 2)
        server.stop(0).wait()
        wait_until(lambda: running(folder).get("link", {}).get("log", {}).get("status") == 14)
        server, _port = fake.serve(f"127.0.0.1:{port}")
        fake.wait_for(lambda: fake.reports)
    server.stop(0).wait()
    assert fake.reports == [report()]
    lines = capfd.readouterr().out.splitlines()
    assert "the county does not answer or refuses (fetching the log): code 14; it is tried again" in lines
    assert lines.count("connected with the county") == 2


def test_refusal_is_kept_as_a_code_only(coordinator: tuple[LogServer, int], tmp_path: Path) -> None:
    fake, port = coordinator
    fake.fail_report = [grpc.StatusCode.PERMISSION_DENIED] * 99
    folder = make_folder(tmp_path / "node", fake)
    with supervised(folder, port, record=tmp_path / "frames"):
        state = wait_until(lambda: running(folder).get("link", {}).get("report"))
        seen = len(fake.starts)
        fake.wait_for(lambda: len(fake.starts) > seen + 5)
    assert state["status"] == 7
    assert len(fake.fail_report) == 98
    assert b"must not get" not in (tmp_path / "frames" / "from-egress.frames").read_bytes()


def test_wrong_key_ends_everything(coordinator: tuple[LogServer, int], tmp_path: Path) -> None:
    fake, port = coordinator
    folder = make_folder(tmp_path / "node", fake)
    config = make_config(address=f"127.0.0.1:{port}", server_name=SERVER_NAME)
    supervisor = Supervisor(folder, config, bytes(32), vault=fake_vault(TESTS, VAULT_UID))
    with pytest.raises(SuperviseError, match=r"WrongKeyError\[wrong-key\]"):
        supervisor.run()


def test_confinement_that_fails_ends_everything_with_70(
    coordinator: tuple[LogServer, int], tmp_path: Path
) -> None:
    fake, port = coordinator
    folder = make_folder(tmp_path / "node", fake)
    config = make_config(address=f"127.0.0.1:{port}", server_name=SERVER_NAME)
    refuses = [sys.executable, "-c", "import os; os.write(2, b'vault: it leaks\\n'); os._exit(70)"]
    supervisor = Supervisor(folder, config, KEY, vault=lambda *_rest: refuses)
    with pytest.raises(ConfinementError, match="it leaks") as caught:
        supervisor.run()
    assert caught.value.EXIT == 70


def start_main(folder: NodeFolder, key: bytes = KEY, *options: str, **more: str) -> subprocess.Popen[bytes]:
    environ = {"PYTHONPATH": str(TESTS.parent), "PYTHONUNBUFFERED": "1", **more}
    process = subprocess.Popen(
        [sys.executable, "-m", "node.supervise", "--dir", str(folder.root), *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environ,
    )
    assert process.stdin is not None
    process.stdin.write(key)
    process.stdin.close()
    process.stdin = None
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_sides_end_with_the_supervisor(
    coordinator: tuple[LogServer, int], tmp_path: Path, number: signal.Signals
) -> None:
    fake, port = coordinator
    folder = make_folder(tmp_path / "node", fake)
    write_config(folder, make_config(address=f"127.0.0.1:{port}", server_name=SERVER_NAME))
    process = start_main(folder)
    found = wait_until(lambda: pids(folder) or process.poll())
    assert isinstance(found, tuple), process.communicate()
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == (-9 if number == signal.SIGKILL else 0)
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in found))


def write_catalogue(folder: Path, words: dict[str, str]) -> list[str]:
    """Compile a catalogue of Chinese words; give the options that name it."""
    from babel.messages import Catalog
    from babel.messages.mofile import write_mo

    place = folder / "zh_CN" / "LC_MESSAGES"
    place.mkdir(parents=True)
    catalogue = Catalog(locale="zh_CN")
    for text, said in words.items():
        catalogue.add(text, said)
    with (place / "words.mo").open("wb") as stream:
        write_mo(stream, catalogue)
    return ["--catalogue", "words", str(folder)]


def test_it_speaks_the_language_of_the_command(coordinator: tuple[LogServer, int], tmp_path: Path) -> None:
    fake, port = coordinator
    folder = make_folder(tmp_path / "node", fake)
    write_config(folder, make_config(address=f"127.0.0.1:{port}", server_name=SERVER_NAME))
    words = {"%(side)s: running, confinement %(level)s": "%(side)s：%(level)s", "egress": "出口"}
    options = write_catalogue(tmp_path / "words", {**words, "connected with the county": "已连接"})
    process = start_main(folder, KEY, *options, LANGUAGE="zh_CN", PYTHONUTF8="1")
    assert process.stdout is not None
    lines: list[str] = []
    while "已连接" not in lines and (line := process.stdout.readline()):
        lines.append(line.decode().strip())
    process.send_signal(signal.SIGTERM)
    out, _err = process.communicate(timeout=20)
    assert "出口：L3" in lines
    assert out.decode().splitlines()[-1] == "stopped"


def test_a_second_supervisor_is_refused_and_disturbs_nothing(
    coordinator: tuple[LogServer, int], tmp_path: Path
) -> None:
    fake, port = coordinator
    folder = make_folder(tmp_path / "node", fake)
    with supervised(folder, port):
        before = wait_until(lambda: pids(folder))
        second = start_main(folder)
        _out, err = second.communicate(timeout=20)
        assert second.returncode == 1
        assert f"already-running: a node runs in this folder already: process {os.getpid()}," in err.decode()
        assert pids(folder) == before


def test_supervisor_stays_small(coordinator: tuple[LogServer, int], tmp_path: Path) -> None:
    code = "import node.supervise, sys; print(sorted({name.split('.')[0] for name in sys.modules}))"
    environ = {"PYTHONPATH": str(TESTS.parent)}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environ)
    for heavy in (
        "numpy",
        "grpc",
        "click",
        "pydantic",
        "cryptography",
        "nacl",
        "sqlcipher3",
        "asyncio",
        "ssl",
    ):
        assert f"'{heavy}'" not in found.stdout.decode()


@pytest.mark.parametrize(
    ("key", "changes", "message"),
    [
        (b"short", {"address": "127.0.0.1:1", "server_name": "x"}, "database key on stdin"),
        (KEY + b"x", {"address": "127.0.0.1:1", "server_name": "x"}, "database key on stdin"),
        (KEY, {}, "does not know its coordinator"),
        (KEY, {"address": "127.0.0.1:1"}, "does not know its coordinator"),
    ],
)
def test_bad_start_is_refused(tmp_path: Path, key: bytes, changes: dict[str, str], message: str) -> None:
    folder = make_folder(tmp_path / "node")
    write_config(folder, make_config(**changes))
    _out, err = start_main(folder, key).communicate(timeout=20)
    assert message in err.decode()


def test_name_that_is_not_known_is_tried_again(
    coordinator: tuple[LogServer, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, port = coordinator
    real = socket.getaddrinfo
    calls: list[float] = []

    def fails_first(*arguments: object, **options: object) -> object:
        calls.append(time.monotonic())
        if len(calls) == 1:
            raise socket.gaierror("no such name")
        return real("127.0.0.1", port, type=socket.SOCK_STREAM)

    monkeypatch.setattr(supervise.socket, "getaddrinfo", fails_first)
    folder = make_folder(tmp_path / "node", fake)
    with supervised(folder, port):
        fake.wait_for(lambda: fake.reports)
    assert len(calls) == 2
    assert calls[1] - calls[0] >= supervise.FIRST_PAUSE_S


def test_unknown_name_is_an_error_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object, **options: object) -> object:
        raise socket.gaierror("no such name")

    monkeypatch.setattr(supervise.socket, "getaddrinfo", fails)
    with pytest.raises(SuperviseError, match=r"county\.example.*Check the network"):
        resolve(make_config(address="county.example:443"))


def test_pages_on_their_way_to_an_ended_vault_are_held_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervisor = Supervisor(make_folder(tmp_path / "node"), make_config(), KEY)
    delivered: list[int] = []

    def take(_slot: Slot, frame: Frame) -> bool:
        delivered.append(parse_log(frame.payload).start)
        return True

    monkeypatch.setattr(Slot, "deliver", take)
    for start in (50, 53, 0, 3, 6):
        page = encode_log(LogPage(start, ((b"entry", b""),), b"", b""))
        supervisor._from_egress(Frame(Kind.LOG, page))
    assert delivered == [0, 3, 6]


def test_pauses_grow_are_capped_and_shrink_after_a_calm_time() -> None:
    slot = Slot("vault")
    found = [slot.pause_s(0.0) for _index in range(12)]
    assert found[:4] == [0.2, 0.4, 0.8, 1.6]
    assert found[-1] == supervise.LONGEST_PAUSE_S
    assert slot.pause_s(supervise.CALM_S + 1) == 0.2
