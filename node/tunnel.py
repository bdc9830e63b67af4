"""A TCP connection to the county for `doctor`: direct, or through an HTTP proxy that takes CONNECT.

The egress does the same inside gRPC and tells no more than UNAVAILABLE; here the proxy's answer is read.
"""

from __future__ import annotations

import re
import socket

from node.config import NodeConfig

MAX_ANSWER_BYTES = 16 * 1024
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: |\r)")


class TunnelError(Exception):
    """The proxy gave no tunnel; `status` is its HTTP status, 0 where its answer was none."""

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status


def open_way(config: NodeConfig, address: str, timeout_s: float) -> socket.socket:
    """Connect to the county as the egress would.

    Args:
        config: the node's; says whether there is a proxy.
        address: IP address of the proxy, or of the county where there is none.
        timeout_s: limit of each step, in seconds.

    Raises:
        TunnelError: the proxy answered, and refused.
        OSError: no connection.
    """
    found = socket.create_connection((address, config.hop[1]), timeout_s)
    if not config.proxy:
        return found
    try:
        found.sendall(f"CONNECT {config.address} HTTP/1.1\r\nHost: {config.address}\r\n\r\n".encode("ascii"))
        status = _read_status(found)
        if not 200 <= status < 300:
            raise TunnelError(status)
    except BaseException:
        found.close()
        raise
    return found


def _read_status(connection: socket.socket) -> int:
    """Read an answer's head, byte by byte at its end so that nothing of what follows is taken."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        part = connection.recv(1)
        if not part or len(head) >= MAX_ANSWER_BYTES:
            raise TunnelError(0)
        head += part
    match = _STATUS.match(head)
    return int(match[1]) if match else 0
