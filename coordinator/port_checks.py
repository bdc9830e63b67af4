"""What a check of this machine asks about ports and limits; nothing is changed and nobody else is called.

``coordinator doctor`` shows it. Each answer is one word, or a number.
"""

from __future__ import annotations

import errno
import http.client
import socket
from typing import Literal

from coordinator.admin_http import is_loopback

ASK_S = 2.0
FILES_OF_ITS_OWN = 64  # database, log, libraries, sockets that wait
Port = Literal["free", "in-use", "not-here", "not-allowed"]


def check_port(listen: str) -> Port:
    """Tell whether a server could listen on host:port now.

    ``in-use``: somebody does already, perhaps the coordinator itself. ``not-here``: no address of this
    machine. ``not-allowed``: a port below 1024 without the right to it.
    """
    host, _, port = listen.rpartition(":")
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host.strip("[]"), int(port)))
            probe.listen(1)
        except PermissionError:
            return "not-allowed"
        except OSError as err:
            return "in-use" if err.errno == errno.EADDRINUSE else "not-here"
    return "free"


def ask_ready(admin_listen: str) -> str:
    """Ask a running coordinator how it stands: ready, starting, draining, store; else silent or not-ours."""
    host, _, port = admin_listen.rpartition(":")
    if not is_loopback(host):
        return "not-ours"
    connection = http.client.HTTPConnection(host.strip("[]"), int(port), timeout=ASK_S)
    try:
        connection.request("GET", "/readyz")
        word = connection.getresponse().read(32).decode("ascii", "replace").strip()
    except (OSError, http.client.HTTPException):
        return "silent"
    finally:
        connection.close()
    return word if word in ("ready", "starting", "draining", "store") else "not-ours"


def num_connections_allowed() -> int:
    """Tell how many connections the system lets this process hold at once; 0 where that cannot be asked."""
    try:
        import resource  # not on Windows
    except ImportError:
        return 0
    soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(0, soft - FILES_OF_ITS_OWN)
