"""The way through an HTTP proxy: settings, the egress behind it, refusals, what `doctor` says of them."""

from __future__ import annotations

import errno
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from fakes_desk import report
from fakes_log_server import SERVER_NAME, LogServer
from fakes_proxy import ConnectProxy
from wall_support import EGRESS_UID, make_config, make_folder, running, supervised, wait_until

from node import doctor_link, tunnel
from node.cli import node as group
from node.config import NodeConfig, parse_config, write_config
from node.doctor import FAIL, OK, WARN
from node.errors import ConfigError, SuperviseError
from node.launch import child_environment, egress_command
from node.setup import change_proxy
from node.supervise import resolve
from node.tunnel import TunnelError

COUNTY = "county.invalid:50080"
UNAVAILABLE = 14


@pytest.fixture
def county() -> Iterator[tuple[LogServer, int]]:
    fake = LogServer(entries=[(b"entry", b"body")])
    server, port = fake.serve()
    yield fake, port
    server.stop(0).wait()


def behind(proxy: ConnectProxy) -> NodeConfig:
    return make_config(address=COUNTY, server_name=SERVER_NAME, proxy=f"127.0.0.1:{proxy.port}")


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize("text", ["proxy", "http://proxy:3128", "me:secret@proxy:3128", "proxy:0", "proxy:x"])
def test_anything_but_host_and_port_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="proxy"):
        make_config(proxy=text)


def test_settings_of_before_have_no_proxy() -> None:
    config = parse_config(b'federation = "county"\nnode = "school-1"\nkey_source = "credential"\n')
    assert (config.proxy, config.service_account) == ("", "")


def test_the_proxy_is_whom_the_egress_connects_to() -> None:
    config = make_config(address=COUNTY, server_name=SERVER_NAME)
    assert config.hop == ("county.invalid", 50080)
    assert replace(config, proxy="[::1]:3128").hop == ("::1", 3128)


def test_the_countys_name_is_not_looked_up_behind_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def look_up(host: str, port: int, **_rest: object) -> list[object]:
        asked.append((host, port))
        raise OSError(errno.ENOENT, "no such name")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(SuperviseError, match=r"proxy's name proxy\.school") as caught:
        resolve(make_config(address=COUNTY, server_name=SERVER_NAME, proxy="proxy.school:3128"))
    assert asked == [("proxy.school", 3128)]
    assert caught.value.code == "resolve"


def test_the_wall_lets_the_egress_to_the_proxys_port_only(tmp_path: Path) -> None:
    config = make_config(address=COUNTY, server_name=SERVER_NAME, proxy="10.0.0.9:3128")
    command = egress_command(make_folder(tmp_path / "node"), config, "10.0.0.9")
    assert command[command.index("--port") + 1] == "3128"
    assert command[command.index("--tunnel-to") + 1] == COUNTY
    assert "--tunnel-to" not in egress_command(
        make_folder(tmp_path / "direct"), replace(config, proxy=""), "10.0.0.8"
    )


@pytest.mark.parametrize(
    ("given", "kept"),
    [("http://proxy.school:3128/", "proxy.school:3128"), ("10.0.0.9:8080", "10.0.0.9:8080"), ("none", "")],
)
def test_setup_changes_the_proxy_of_a_node_that_is_there(tmp_path: Path, given: str, kept: str) -> None:
    folder = make_folder(tmp_path / "node")
    before = make_config(address=COUNTY, server_name=SERVER_NAME, proxy="old:1")
    write_config(folder, before)
    found = CliRunner().invoke(group, ["setup", "--proxy", given, "--dir", str(folder.root), "--json"])
    assert found.exit_code == 0, found.output
    assert json.loads(found.stdout)["step"] == "ready"
    assert parse_config(folder.config.read_bytes()) == replace(before, proxy=kept)


def test_a_password_is_refused_and_not_repeated(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "node")
    write_config(folder, make_config(address=COUNTY, server_name=SERVER_NAME))
    kept = folder.config.read_bytes()
    arguments = ["setup", "--proxy", "http://me:hunter2@proxy:3128", "--dir", str(folder.root)]
    found = CliRunner().invoke(group, arguments)
    assert found.exit_code == 2
    assert "hunter2" not in found.output
    assert folder.config.read_bytes() == kept


def test_a_malformed_proxy_changes_nothing(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "node")
    config = make_config()
    write_config(folder, config)
    with pytest.raises(ConfigError):
        change_proxy(folder, "no port")
    assert parse_config(folder.config.read_bytes()) == config


# ---------------------------------------------------------------- the egress behind it


@pytest.mark.process
def test_reports_go_through_the_proxy_by_the_countys_name(
    county: tuple[LogServer, int], tmp_path: Path
) -> None:
    """The county's name resolves nowhere on this machine: only the proxy knows where it is."""
    fake, port = county
    folder = make_folder(tmp_path / "node", fake)
    with ConnectProxy({COUNTY: ("127.0.0.1", port)}).serve() as proxy:
        config = behind(proxy)
        with supervised(folder, 1, address=COUNTY, proxy=config.proxy):
            fake.wait_for(lambda: fake.reports)
            wait_until(lambda: running(folder).get("link", {}).get("report", {}).get("status") == 0)
            level = running(folder)["egress"]["level"]
    assert fake.reports == [report()]
    assert level == "L3"
    head = proxy.requests[0]
    assert head.startswith(b"CONNECT county.invalid:50080 HTTP/1.1\r\n")
    assert b"authorization" not in head.lower()
    assert fake.identities[0] == b"spiffe://county/node/school-1"  # TLS with the county itself


@pytest.mark.process
@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", b"HTTP/1.1 403 Forbidden\r\n\r\n", b""],
    ids=["407", "403", "cut off"],
)
def test_a_proxy_that_refuses_keeps_the_report_and_no_other_way_is_tried(
    county: tuple[LogServer, int], tmp_path: Path, answer: bytes
) -> None:
    fake, port = county
    folder = make_folder(tmp_path / "node", fake)
    with ConnectProxy({}, answer).serve() as proxy:
        address = f"127.0.0.1:{port}"  # could be reached directly, if anything tried
        with supervised(folder, port, proxy=f"127.0.0.1:{proxy.port}"):
            wait_until(lambda: running(folder).get("link", {}).get("log", {}).get("status") == UNAVAILABLE)
            wait_until(lambda: len(proxy.requests) > 1)
    assert fake.starts == []
    assert fake.reports == []
    assert all(head.startswith(b"CONNECT " + address.encode()) for head in proxy.requests)


@pytest.mark.process
def test_a_dead_proxy_is_tried_again(county: tuple[LogServer, int], tmp_path: Path) -> None:
    fake, port = county
    with socket.create_server(("127.0.0.1", 0)) as gone:
        dead = gone.getsockname()[1]
    folder = make_folder(tmp_path / "node", fake)
    with supervised(folder, port, proxy=f"127.0.0.1:{dead}"):
        wait_until(lambda: running(folder).get("link", {}).get("log", {}).get("status") == UNAVAILABLE)
    assert fake.starts == []


ATTEMPT = """
import encodings.idna, socket, sys
from pathlib import Path
from node import confine
folder, uid, proxy, county = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
confine.confine_egress(folder, uid or None, "L3", proxy)
for port in (proxy, county):
    with socket.socket() as tried:
        tried.settimeout(5)
        print(tried.connect_ex(("127.0.0.1", port)), flush=True)
"""


@pytest.mark.process
def test_behind_a_proxy_the_county_itself_cannot_be_reached(
    county: tuple[LogServer, int], tmp_path: Path
) -> None:
    """An egress confined for the proxy's port gets EACCES from the kernel at the county's own."""
    fake, port = county
    folder = make_folder(tmp_path / "node", fake)
    with ConnectProxy().serve() as proxy:
        done = subprocess.run(
            [sys.executable, "-c", ATTEMPT, *map(str, (folder.egress, EGRESS_UID, proxy.port, port))],
            env=child_environment(),
            input=b"",
            capture_output=True,
            check=True,
        )
    assert [int(line) for line in done.stdout.split()] == [0, errno.EACCES]


# ---------------------------------------------------------------- doctor


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "keeps no proxy password"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "allow CONNECT"),
        (b"HTTP/1.1 503 Service Unavailable\r\n\r\n", "503"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "no HTTP proxy"),
        (b"", "no HTTP proxy"),
    ],
    ids=["407", "403", "503", "ssh", "nothing"],
)
def test_what_a_proxy_refuses_is_told(answer: bytes, word: str) -> None:
    with ConnectProxy({}, answer).serve() as proxy:
        found = doctor_link.check_way(behind(proxy), "127.0.0.1")
    assert (found.name, found.state) == ("connection", FAIL)
    shown = found.as_json()
    assert word in shown["message"] + shown["advice"]


def test_a_proxy_that_knows_no_way_is_told() -> None:
    with ConnectProxy().serve() as proxy:
        found = doctor_link.check_way(behind(proxy), "127.0.0.1")
    assert found.state == FAIL
    assert found.details["status"] == 502


def test_a_dead_proxy_is_told_as_such() -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    config = make_config(address=COUNTY, server_name=SERVER_NAME, proxy=f"127.0.0.1:{port}")
    found = doctor_link.check_way(config, "127.0.0.1")
    assert found.state == FAIL
    assert "proxy" in found.as_json()["advice"]


def test_through_a_good_proxy_the_handshake_is_with_the_county(
    county: tuple[LogServer, int], tmp_path: Path
) -> None:
    fake, port = county
    folder = make_folder(tmp_path / "node", fake)
    with ConnectProxy({COUNTY: ("127.0.0.1", port)}).serve() as proxy:
        config = behind(proxy)
        assert doctor_link.check_way(config, "127.0.0.1").state == OK
        assert doctor_link.check_tls(folder, config, "127.0.0.1").state == OK
        proxy.answer = b"HTTP/1.1 403 Forbidden\r\n\r\n"
        assert doctor_link.check_tls(folder, config, "127.0.0.1").state == FAIL


def test_an_endless_answer_is_cut_off() -> None:
    class Endless:
        taken = 0

        def recv(self, size: int) -> bytes:
            self.taken += size
            assert self.taken < 100_000
            return b"x" * size

    with pytest.raises(TunnelError):
        tunnel._read_status(Endless())  # type: ignore[arg-type]


def test_nothing_behind_the_answer_is_taken(county: tuple[LogServer, int]) -> None:
    """What the county says first may come in one packet with the proxy's answer."""
    with ConnectProxy({}, b"HTTP/1.1 299 fine\r\nA: b\r\n\r\nfirst words").serve() as proxy:
        way = tunnel.open_way(behind(proxy), "127.0.0.1", 5.0)
        with way:
            assert way.recv(100) == b"first words"


def test_a_proxy_of_the_environment_is_named_and_the_right_way_to_set_it() -> None:
    found = doctor_link.check_proxy({"HTTPS_PROXY": "http://me:hunter2@proxy"})
    assert found.state == WARN
    assert "hunter2" not in json.dumps(found.as_json())
    assert "--proxy" in found.advice
    assert doctor_link.check_proxy({"HTTPS_PROXY": "x"}, "proxy:3128").state == OK
