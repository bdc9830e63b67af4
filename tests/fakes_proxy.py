"""A tiny HTTP proxy on loopback that takes CONNECT: for tests of the way to the county."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class ConnectProxy:
    """Answers CONNECT with `answer`; after a 200 it passes bytes on to the place that `names` gives."""

    names: dict[str, tuple[str, int]] = field(default_factory=dict)
    answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n"
    requests: list[bytes] = field(default_factory=list)
    port: int = 0

    @contextmanager
    def serve(self) -> Iterator[ConnectProxy]:
        """Listen on loopback until the block ends."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port = listener.getsockname()[1]
            thread = threading.Thread(target=self._accept, args=(listener,), daemon=True)
            thread.start()
            try:
                yield self
            finally:
                with contextlib.suppress(OSError):
                    listener.shutdown(socket.SHUT_RDWR)
                thread.join(10)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _peer = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):  # whoever asked may be gone already
            head = b""
            while not head.endswith(b"\r\n\r\n") and (part := client.recv(1)):
                head += part
            if not head:
                return
            self.requests.append(head)
            if not self.answer.startswith(b"HTTP/1.1 200"):
                client.sendall(self.answer)
                return
            place = self.names.get(head.split(b" ")[1].decode())
            if place is None:
                client.sendall(b"HTTP/1.1 502 Bad Gateway\r\n\r\n")
                return
            with socket.create_connection(place) as server:
                client.sendall(self.answer)
                back = threading.Thread(target=_pump, args=(server, client), daemon=True)
                back.start()
                _pump(client, server)
                back.join(10)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
