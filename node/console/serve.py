"""The socket and the server of the console.

The address is this computer's own, 127.0.0.1, and nothing else can be asked for: a school's numbers do not go
over its network, and a log-in there would need certificates. Whoever wants the page from elsewhere comes with
a tunnel of their own (ssh -L) to the same port number.
"""

from __future__ import annotations

import socket
import threading
from typing import Final

from starlette.types import ASGIApp

from node.console.sessions import Sessions
from node.errors import ConfigError
from node.errors import _ as N_  # translated where it is shown
from pages.serve import listen, make_server, run

HOST: Final = "127.0.0.1"
BACKLOG: Final = 64
FORGET_EVERY_S: Final = 30.0


def bind(host: str, port: int) -> socket.socket:
    """Take a port of this computer's loopback.

    Args:
        host: only "127.0.0.1".
        port: 0 for any that is free.

    Raises:
        ConfigError: another host, or the port is taken.
    """
    if host != HOST:
        raise ConfigError(
            N_("the console is reached from this computer only: 127.0.0.1, not %(host)s"),
            N_("Leave --host out. From another computer use a tunnel, such as ssh -L."),
            code="loopback-only",
            details={"host": host[:100]},
        )
    try:
        return listen(HOST, port, BACKLOG)
    except OSError as err:
        raise ConfigError(
            N_("port %(port)d of this computer is taken (%(reason)s)"),
            N_("Close the console that runs already, or name another port with --port."),
            code="port",
            details={"port": port, "reason": err.strerror or ""},
        ) from err


def serve(app: ASGIApp, listener: socket.socket, sessions: Sessions) -> None:
    """Answer until the process is told to stop. Nothing of this process is logged from here on."""
    ended = threading.Event()
    threading.Thread(target=_forget, args=(sessions, ended), name="sessions", daemon=True).start()
    try:
        run(make_server(app), listener)
    finally:
        ended.set()


def _forget(sessions: Sessions, ended: threading.Event) -> None:
    while not ended.wait(FORGET_EVERY_S):
        sessions.forget_ended()
