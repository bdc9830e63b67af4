"""A port of this machine's loopback, and a server that tells nobody what it is."""

from __future__ import annotations

import logging
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp

LOOPBACK: Final = "127.0.0.1"
MAX_REQUESTS_AT_ONCE: Final = 64


def listen(host: str, port: int, backlog: int = 64) -> socket.socket:
    """Take a port so that no other program shares it; port 0 for any that is free.

    Raises:
        OSError: it is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener


def make_server(
    app: ASGIApp,
    certificate: Path | None = None,
    key: Path | None = None,
    *,
    most_at_once: int = MAX_REQUESTS_AT_ONCE,
) -> uvicorn.Server:
    """Make a server that tells nobody what it is and logs no request."""
    quiet: Mapping[str, Any] = {"log_config": None, "access_log": False, "server_header": False}
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        proxy_headers=False,
        limit_concurrency=most_at_once,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=3,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        **quiet,
    )
    return uvicorn.Server(config)


def run(server: uvicorn.Server, listener: socket.socket) -> None:
    """Answer until the process is told to stop. Nothing of this process is logged from here on."""
    logging.disable(logging.CRITICAL)  # a parser's complaint repeats what it was given
    try:
        server.run(sockets=[listener])
    finally:
        listener.close()
