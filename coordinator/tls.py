"""The server's side of TLS: its own certificate, and whose clients are let in, as they are now.

Both may change while the process runs: the certificate is renewed when a third of its time is left, and a CA
is rolled over by a command of another process. gRPC asks at every handshake; the files are looked at again
after `LOOK_S`. A folder that cannot be read just then keeps what was good a moment ago.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import grpc

from coordinator.errors import CoordinatorError
from coordinator.home import Home, server_credentials
from coordinator.structured_log import fields

_LOGGER = logging.getLogger("fedscreen." + __name__)
LOOK_S = 2.0


@dataclass(frozen=True, slots=True)
class ServerTls:
    """What a handshake needs, all PEM."""

    certificate: bytes
    key: bytes = field(repr=False)
    roots: bytes


class TlsFiles:
    """Reads a coordinator's folder, not more often than every `LOOK_S`; threads share it."""

    def __init__(self, home: Home, hosts: tuple[str, ...], now: Callable[[], datetime]) -> None:
        """Read for the first time, and make a certificate where there is none.

        Args:
            home: the folder.
            hosts: names or addresses that the server listens on.
            now: the clock, UTC.
        """
        self._home, self._hosts, self._now = home, hosts, now
        self._lock = threading.Lock()
        self._current = self._read()
        self._looked_s = time.monotonic()

    def current(self) -> ServerTls:
        """Give what is valid now."""
        with self._lock:
            if time.monotonic() - self._looked_s >= LOOK_S:
                self._looked_s = time.monotonic()
                try:
                    self._current = self._read()
                except (CoordinatorError, OSError) as err:
                    _LOGGER.error("certificates cannot be read", extra=fields(error=type(err).__name__))
            return self._current

    def _read(self) -> ServerTls:
        certificate, key = server_credentials(self._home, self._hosts, self._now())
        return ServerTls(certificate, key, self._home.ring.roots_pem())


def credentials_of(
    current: Callable[[], ServerTls], *, is_for_clients: bool = True
) -> grpc.ServerCredentials:
    """Make credentials that ask `current` at every handshake.

    Args:
        current: gives certificate, key and roots as they are now.
        is_for_clients: ask for a client's certificate, and refuse who shows none.
    """
    known = current()

    def changed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal known
        found = current()
        if found == known:
            return None  # as before
        known = found
        return _configuration(found, is_for_clients)

    first = _configuration(known, is_for_clients)
    return grpc.dynamic_ssl_server_credentials(first, changed, is_for_clients)  # type: ignore[arg-type,unused-ignore]


def _configuration(tls: ServerTls, is_for_clients: bool) -> grpc.ServerCertificateConfiguration:
    roots = tls.roots if is_for_clients else None
    return grpc.ssl_server_certificate_configuration([(tls.key, tls.certificate)], roots)
