"""The socket and the server of the dashboard.

It listens on 127.0.0.1 unless told otherwise; on any other address only with a certificate, because a log-in
without TLS would be read on the way. Behind a reverse proxy of the same machine it stays on 127.0.0.1 and is
told the name that browsers use.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import uvicorn
from starlette.types import ASGIApp

from coordinator.dashboard.guard import Address
from coordinator.errors import ConfigError
from pages import serve as shared
from pages.serve import listen as listen_at
from plan.errors import phrase

BACKLOG: Final = 128
MAX_REQUESTS_AT_ONCE: Final = 128
_PLACE = re.compile(r"(?:\[([0-9a-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})\Z")
_PUBLIC = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?\Z")


def bind(listen: str, *, has_certificate: bool) -> socket.socket:
    """Take the port.

    Args:
        listen: host:port; port 0 for any that is free.
        has_certificate: whether TLS will be spoken there.

    Raises:
        ConfigError: it is no address, needs a certificate, or is taken.
    """
    found = _PLACE.match(listen)
    if found is None or int(found[3]) > 65535:
        raise ConfigError(phrase("listen: expected host:port, such as 127.0.0.1:8630"))
    host, port = found[1] or found[2], int(found[3])
    if not has_certificate and not _is_loopback(host):
        raise ConfigError(
            phrase(
                "%(host)s: beyond this machine only with TLS: give --certificate and --key, or stay on "
                "127.0.0.1 behind a reverse proxy",
                host=host,
            )
        )
    try:
        return listen_at(host, port, BACKLOG)
    except OSError as err:
        reason = err.strerror or type(err).__name__
        raise ConfigError(
            phrase("%(listen)s cannot be listened on: %(reason)s", listen=listen, reason=reason)
        ) from err


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def address_of(listener: socket.socket, public: str, *, has_certificate: bool) -> Address:
    """Say where browsers reach the dashboard.

    Args:
        listener: the bound socket.
        public: what is typed into a browser, such as "https://fedscreen.county.example"; "" for the
            socket's own.
        has_certificate: whether TLS is spoken on the socket.

    Raises:
        ConfigError: `public` is no such address.
    """
    if public:
        plain = public.rstrip("/")
        if not _PUBLIC.match(plain):
            raise ConfigError(phrase("public: expected https://name or https://name:port, in lower case"))
        parts = urlsplit(plain)
        return Address(parts.scheme, parts.netloc)
    host, port = listener.getsockname()[:2]
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return Address("https" if has_certificate else "http", place)


def make_server(app: ASGIApp, certificate: Path | None = None, key: Path | None = None) -> uvicorn.Server:
    """Make a server that tells nobody what it is."""
    return shared.make_server(app, certificate, key, most_at_once=MAX_REQUESTS_AT_ONCE)


def serve(
    app: ASGIApp, listener: socket.socket, certificate: Path | None = None, key: Path | None = None
) -> None:
    """Answer until the process is told to stop. Requests are not logged; the journal says who did what."""
    shared.run(make_server(app, certificate, key), listener)
