"""Health and metrics over HTTP: this machine only, one word each, and nobody can hold it up."""

from __future__ import annotations

import http.client
import socket
import time
from contextlib import suppress

import pytest

from coordinator import admin_http
from coordinator.admin_http import answers, is_loopback, serving
from coordinator.errors import ConfigError

WORD = ["ready"]
TABLE = answers(lambda: WORD[0], lambda: b"fedscreen_ready 1.0\n")


def ask(port: int, path: str, method: str = "GET", host: str = "") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    body = answer.read().decode()
    connection.close()
    return answer.status, body


def test_each_path_answers() -> None:
    with serving("127.0.0.1:0", TABLE) as port:
        assert ask(port, "/healthz") == (200, "alive\n")
        assert ask(port, "/metrics") == (200, "fedscreen_ready 1.0\n")
        assert ask(port, "/healthz", "HEAD") == (200, "")
        assert ask(port, "/")[0] == 404
        assert ask(port, "/healthz", "POST")[0] == 501
        for WORD[0], status in (("ready", 200), ("draining", 503), ("store", 503)):
            assert ask(port, "/readyz") == (status, f"{WORD[0]}\n")


def test_a_page_in_a_browser_cannot_read_it_under_a_name_of_its_own() -> None:
    with serving("127.0.0.1:0", TABLE) as port:
        assert ask(port, "/metrics", host="evil.example")[0] == 421
        assert ask(port, "/metrics", host=f"localhost:{port}")[0] == 200


def test_who_says_nothing_holds_up_nobody_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin_http, "MAX_REQUESTS", 3)
    monkeypatch.setattr(admin_http._Handler, "timeout", 0.3)
    with serving("127.0.0.1:0", TABLE) as port:
        silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        time.sleep(0.1)
        with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
            ask(port, "/healthz")
        time.sleep(0.5)
        assert ask(port, "/healthz")[0] == 200
        for connection in silent:
            connection.close()


def test_nothing_listens_without_an_address() -> None:
    with serving("", TABLE) as port:
        assert port == 0


@pytest.mark.parametrize(
    "listen", ["0.0.0.0:0", "192.0.2.1:80", "county.example:80", "127.0.0.1:x", "[::]:0"]
)
def test_other_addresses_than_this_machines_are_refused(listen: str) -> None:
    with pytest.raises(ConfigError, match="admin_listen"), serving(listen, TABLE):
        pass


def test_a_port_in_use_is_said() -> None:
    with (
        serving("127.0.0.1:0", TABLE) as port,
        pytest.raises(ConfigError, match="cannot be bound"),
        serving(f"127.0.0.1:{port}", TABLE),
    ):
        pass


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("[::1]", True),
        ("localhost", True),
        ("10.0.0.1", False),
        ("x", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) == expected


def test_who_sends_by_the_drop_holds_up_nobody_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each read comes in time; the whole request does not."""
    monkeypatch.setattr(admin_http, "MAX_REQUESTS", 1)
    monkeypatch.setattr(admin_http, "REQUEST_S", 0.6)
    monkeypatch.setattr(admin_http._Handler, "timeout", 0.6)
    with serving("127.0.0.1:0", TABLE) as port, socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(b"GET /healthz HTTP/1.0\r\n")
        end_s = time.monotonic() + 1.5
        while time.monotonic() < end_s:
            with suppress(OSError):
                slow.sendall(b"X-a: b\r\n")
            time.sleep(0.1)
        assert ask(port, "/healthz") == (200, "alive\n")
