"""Health and metrics over plain HTTP, for this machine alone.

| path | answers |
| --- | --- |
| `/healthz` | 200 as long as the process runs |
| `/readyz` | 200 while calls should come here, else 503; its body: ready, starting, draining or store |
| `/metrics` | Prometheus text (``coordinator.metrics``) |

It listens on a loopback address only, answers GET and HEAD, takes a
request that arrives whole within two seconds, and at most `MAX_REQUESTS` at a time. A name in the Host
header that is not this machine's is refused, so that a web page cannot have a browser read it.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from coordinator.errors import ConfigError
from plan.errors import phrase

MAX_REQUESTS = 8
REQUEST_S = 2.0
LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
Answer = tuple[int, str, bytes]  # status, content type, body
TEXT = "text/plain; charset=utf-8"
METRICS_TEXT = "text/plain; version=0.0.4; charset=utf-8"


def answers(reason: Callable[[], str], metrics: Callable[[], bytes]) -> Mapping[str, Callable[[], Answer]]:
    """Make the table of paths."""

    def ready() -> Answer:
        word = reason()
        return (200 if word == "ready" else 503), TEXT, f"{word}\n".encode()

    return {
        "/healthz": lambda: (200, TEXT, b"alive\n"),
        "/readyz": ready,
        "/metrics": lambda: (200, METRICS_TEXT, metrics()),
    }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 16

    def __init__(self, host: str, port: int, table: Mapping[str, Callable[[], Answer]]) -> None:
        self.table = table
        self._free = threading.BoundedSemaphore(MAX_REQUESTS)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        end = threading.Timer(REQUEST_S, _read_no_more, (request,))  # a drip keeps every single read in time
        end.daemon = True
        end.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            end.cancel()
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: who broke off is no business of the log."""


def _read_no_more(request: socket.socket) -> None:
    with suppress(OSError):  # it is over
        request.shutdown(socket.SHUT_RD)


class _Handler(BaseHTTPRequestHandler):
    timeout = REQUEST_S
    protocol_version = "HTTP/1.0"
    server_version = "fedscreen"
    sys_version = ""
    server: _Server

    def do_GET(self) -> None:
        self._answer(is_with_body=True)

    def do_HEAD(self) -> None:
        self._answer(is_with_body=False)

    def _answer(self, *, is_with_body: bool) -> None:
        make = self.server.table.get(self.path)
        if not _is_local(self.headers.get("Host", "")):
            found: Answer = (421, TEXT, b"wrong host\n")
        else:
            found = make() if make else (404, TEXT, b"no such path\n")
        status, kind, body = found
        self.send_response(status)
        for name, value in (
            ("Content-Type", kind),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ):
            self.send_header(name, value)
        self.end_headers()
        if is_with_body:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: a scrape every few seconds is no event."""


def _is_local(host_header: str) -> bool:
    name = host_header if host_header.endswith("]") else host_header.rpartition(":")[0] or host_header
    return name in LOCAL_NAMES or is_loopback(name)


def is_loopback(host: str) -> bool:
    """Tell whether a host, as it stands in host:port, is this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


@contextmanager
def serving(listen: str, table: Mapping[str, Callable[[], Answer]]) -> Iterator[int]:
    """Answer HTTP on host:port until the block ends; gives the port. Nothing is done for an empty `listen`.

    Raises:
        ConfigError: the address cannot be bound.
    """
    if not listen:
        yield 0
        return
    host, _, port = listen.rpartition(":")
    if not (port.isdigit() and is_loopback(host)):
        raise ConfigError(
            phrase("admin_listen: expected host:port of this machine alone, e.g. 127.0.0.1:50081")
        )
    try:
        server = _Server(host.strip("[]"), int(port), table)
    except (OSError, OverflowError) as err:
        raise ConfigError(
            phrase("admin_listen: %(listen)s cannot be bound; is another server running?", listen=listen)
        ) from err
    thread = threading.Thread(target=server.serve_forever, args=(0.2,), name="admin", daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
