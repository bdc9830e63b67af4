"""A relay between the schools' egresses and the coordinator: it ends TLS, keeps every message, passes it on.

It stands where a curious telephone company would have to stand with the county's own keys: it shows the
coordinator's certificate to whoever calls, and calls the coordinator in the caller's name, with a certificate
that the federation's CA made for it. Message bytes are never changed. The tests read what it kept.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc

from coordinator import ca

MAX_BYTES = 64 << 20
_OPTIONS = [("grpc.max_receive_message_length", MAX_BYTES), ("grpc.max_send_message_length", MAX_BYTES)]


@dataclass(frozen=True)
class Message:
    """One message as it stood on the wire inside TLS, or what went beside it ("metadata", "error")."""

    caller: str
    method: str
    part: str
    data: bytes


@dataclass
class Relay:
    """Listens on a free loopback port until `stop`.

    Attributes:
        home: the coordinator's folder, with the CA's and the server's keys.
        federation: its id, part of every party's name.
        target: host:port of the coordinator.
        server_name: the name in its certificate.
    """

    home: Path
    federation: str
    target: str
    server_name: str
    messages: list[Message] = field(default_factory=list)
    port: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _channels: dict[str, grpc.Channel] = field(default_factory=dict)
    _server: grpc.Server | None = None

    def start(self) -> Relay:
        """Bind and serve."""
        key, certificate = self.home / "keys" / "server.key", self.home / "server.pem"
        credentials = grpc.ssl_server_credentials(
            [(key.read_bytes(), certificate.read_bytes())],
            root_certificates=(self.home / "ca.pem").read_bytes(),
            require_client_auth=True,
        )
        self._server = grpc.server(ThreadPoolExecutor(16), options=_OPTIONS)
        self._server.add_generic_rpc_handlers((_Everything(self),))
        self.port = self._server.add_secure_port("127.0.0.1:0", credentials)
        self._server.start()
        return self

    def stop(self) -> None:
        """End every connection."""
        if self._server is not None:
            self._server.stop(0).wait()
        for channel in self._channels.values():
            channel.close()

    def kept(self) -> list[Message]:
        """Give what was seen so far."""
        with self._lock:
            return list(self.messages)

    def keep(self, caller: str, method: str, part: str, data: bytes) -> None:
        """Keep one message."""
        with self._lock:
            self.messages.append(Message(caller, method, part, data))

    def channel(self, caller: str) -> grpc.Channel:
        """Give the connection to the coordinator in a caller's name (its SPIFFE URI)."""
        with self._lock:
            if caller not in self._channels:
                self._channels[caller] = self._connect(caller)
            return self._channels[caller]

    def _connect(self, caller: str) -> grpc.Channel:
        authority = ca.load_authority(
            (self.home / "ca.pem").read_bytes(), (self.home / "keys" / "ca.key").read_bytes()
        )
        key = ca.new_key()
        certificate = ca.issue_client(authority, _signing_request(key), caller, 1, datetime.now(UTC))
        credentials = grpc.ssl_channel_credentials(
            authority.certificate_pem.encode(), ca.key_pem(key), certificate.encode()
        )
        options = [*_OPTIONS, ("grpc.ssl_target_name_override", self.server_name)]
        return grpc.secure_channel(self.target, credentials, options)


def _signing_request(key: Any) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization

    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


class _Everything(grpc.GenericRpcHandler):
    """Takes any call of one request and one answer; schools make no other."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def service(self, handler_call_details: Any) -> Any:
        method = str(handler_call_details.method)
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self._pass(method, request, context)
        )

    def _pass(self, method: str, request: bytes, context: Any) -> bytes:
        relay, caller = self._relay, _caller(context)
        relay.keep(caller, method, "request", request)
        relay.keep(caller, method, "metadata", _encode(context.invocation_metadata()))
        send: Callable[..., bytes] = relay.channel(caller).unary_unary(method)
        try:
            answer = send(request, timeout=20)
        except grpc.RpcError as err:
            failed: Any = err
            trailing = failed.trailing_metadata() or ()
            relay.keep(
                caller, method, "error", f"{failed.code()} {failed.details()}".encode() + _encode(trailing)
            )
            context.set_trailing_metadata([pair for pair in trailing if not pair[0].startswith("grpc-")])
            context.abort(failed.code(), failed.details())
        relay.keep(caller, method, "response", answer)
        return answer


def _caller(context: Any) -> str:
    names: Sequence[bytes] = context.auth_context().get("x509_subject_alternative_name", ())
    return next((name.decode() for name in names if name.startswith(b"spiffe://")), "")


def _encode(metadata: Any) -> bytes:
    return repr(sorted((key, value) for key, value in metadata)).encode()
