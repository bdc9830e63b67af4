"""Calls to the coordinator over mTLS, with the generated stubs and nothing above them.

There is no name service on this side of the wall: the address comes resolved, and the name that the
certificate must carry comes with it. With a proxy the address is the proxy's, and the coordinator's
"host:port" is text in a CONNECT request; TLS runs inside of the tunnel, so the proxy sees no more than a
wire-tapper. Proxies named in the environment are never used.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from node.errors import LinkError, _
from node.frames import LogPage
from protos import fedscreen_v1_pb2 as pb
from protos import fedscreen_v1_pb2_grpc as stubs

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
MAX_ENTRIES = 1024
MAX_CHECKPOINT_BYTES = 64 * 1024
_WORD = re.compile(r"[a-z0-9-]{1,60}")
# The definite answers: the same bytes would be refused again. Everything else is tried again.
DEFINITE = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.DATA_LOSS,
        grpc.StatusCode.UNAUTHENTICATED,
    }
)
DEFINITE_NUMBERS = frozenset(int(code.value[0]) for code in DEFINITE)


@dataclass(frozen=True, slots=True)
class Credentials:
    """This node's TLS key and certificate and the federation's CA, all PEM."""

    key: bytes = field(repr=False)
    certificate: bytes
    ca: bytes


def read_credentials(folder: Path) -> Credentials:
    """Read tls.key, tls.crt and ca.crt.

    Raises:
        LinkError: one of them is missing.
    """
    try:
        parts = [(folder / name).read_bytes() for name in ("tls.key", "tls.crt", "ca.crt")]
    except OSError as err:
        raise LinkError(
            _("the node's certificate cannot be read (%(reason)s)"),
            _("Run 'fedscreen node accept' with the file that the county sent."),
            details={"reason": err.strerror or ""},
        ) from err
    return Credentials(*parts)


class CallError(Exception):
    """A call failed; `code` says how, `word` is the county's stable word for it, and nothing else is kept."""

    def __init__(self, code: grpc.StatusCode, word: str = "") -> None:
        super().__init__(code.name)
        self.code = code
        self.word = word

    @property
    def number(self) -> int:
        """The gRPC status code as a number, 0 to 16."""
        return int(self.code.value[0])

    @property
    def is_definite(self) -> bool:
        """Whether the same call would fail again."""
        return self.code in DEFINITE


class Coordinator:
    """An mTLS channel to the coordinator.

    Args:
        address: IPv4 or IPv6 address.
        port: TCP port.
        server_name: the name in the coordinator's certificate.
        credentials: this node's key and certificate, and the CA.
        timeout_s: limit of one call, in seconds.
        tunnel_to: the coordinator's "host:port" where `address` is a proxy's; empty for none.
    """

    def __init__(
        self,
        address: str,
        port: int,
        server_name: str,
        credentials: Credentials,
        timeout_s: float,
        tunnel_to: str = "",
    ) -> None:
        self._timeout_s = timeout_s
        self._channel = grpc.secure_channel(
            target(address, port),
            grpc.ssl_channel_credentials(credentials.ca, credentials.key, credentials.certificate),
            options=_channel_options(server_name, tunnel_to),
        )
        self._certificates = stubs.CertificateServiceStub(self._channel)  # type: ignore[no-untyped-call,unused-ignore]
        self._log = stubs.LogServiceStub(self._channel)  # type: ignore[no-untyped-call,unused-ignore]
        self._node = stubs.NodeServiceStub(self._channel)  # type: ignore[no-untyped-call,unused-ignore]

    def get_log(self, start: int) -> LogPage:
        """Fetch the log from a position on.

        Raises:
            CallError: no answer, or (DATA_LOSS) one that is not what was asked for.
        """
        request = pb.GetLogRequest(start=start, max_entries=MAX_ENTRIES)
        try:
            answer = self._log.GetLog(request, timeout=self._timeout_s)
        except grpc.RpcError as err:
            raise CallError(_code(err)) from None
        checkpoints = (answer.latest, answer.cosigned)
        too_long = any(len(note) > MAX_CHECKPOINT_BYTES for note in checkpoints)
        if answer.start != start or len(answer.entries) > MAX_ENTRIES or too_long:
            raise CallError(grpc.StatusCode.DATA_LOSS)
        entries = tuple((row.entry, row.body) for row in answer.entries)
        return LogPage(start, entries, *checkpoints)

    def submit_report(self, payload: bytes) -> bytes:
        """Hand in a report payload; give the receipt.

        Raises:
            CallError: no answer, or a refusal.
        """
        try:
            answer = self._node.SubmitReport(pb.SubmitReportRequest(payload=payload), timeout=self._timeout_s)
        except grpc.RpcError as err:
            raise CallError(_code(err)) from None
        return bytes(answer.receipt)

    def renew(self, csr: str) -> bytes:
        """Ask for a new certificate of this node's TLS key; give the grant file.

        Raises:
            CallError: no answer, or a refusal.
        """
        try:
            answer = self._certificates.Renew(pb.RenewRequest(csr=csr), timeout=self._timeout_s)
        except grpc.RpcError as err:
            raise CallError(_code(err), _word(err)) from None
        return bytes(answer.grant)


@dataclass(frozen=True, slots=True)
class EnrolmentPort:
    """Where a school without a certificate enrols, by its token: the server alone shows a certificate."""

    address: str
    port: int
    server_name: str
    roots: bytes
    timeout_s: float
    tunnel_to: str = ""

    def enrol(self, token: str, request: bytes) -> bytes:
        """Hand in a request with its token; give the grant file.

        Raises:
            CallError: no answer, or a refusal.
        """
        options = _channel_options(self.server_name, self.tunnel_to)
        credentials = grpc.ssl_channel_credentials(self.roots)
        with grpc.secure_channel(target(self.address, self.port), credentials, options=options) as channel:
            stub = stubs.EnrolmentServiceStub(channel)  # type: ignore[no-untyped-call,unused-ignore]
            message = pb.EnrolRequest(token=token, request=request)
            try:
                answer = stub.Enrol(message, timeout=self.timeout_s)
            except grpc.RpcError as err:
                raise CallError(_code(err), _word(err)) from None
        return bytes(answer.grant)


def _channel_options(server_name: str, tunnel_to: str) -> list[tuple[str, str | int]]:
    # gRPC's own proxy settings would look the proxy's name up; the tunnel is what they come down to.
    tunnel: list[tuple[str, str | int]] = [("grpc.http_connect_server", tunnel_to)] if tunnel_to else []
    return [
        ("grpc.ssl_target_name_override", server_name),
        ("grpc.default_authority", server_name),
        ("grpc.enable_http_proxy", 0),
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.min_reconnect_backoff_ms", 1000),
        ("grpc.max_reconnect_backoff_ms", 5000),
        *tunnel,
    ]


def target(address: str, port: int) -> str:
    """Write a gRPC target that needs no name service.

    Raises:
        LinkError: not an IP address.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError as err:
        raise LinkError(_("expected an IP address, the egress has no name service")) from err
    return f"ipv4:{found}:{port}" if found.version == 4 else f"ipv6:[{found}]:{port}"


def _code(err: grpc.RpcError) -> grpc.StatusCode:
    read = getattr(err, "code", None)  # every error of a call has it, the type does not say so
    code = read() if callable(read) else None
    return code if isinstance(code, grpc.StatusCode) else grpc.StatusCode.UNKNOWN


def _word(err: grpc.RpcError) -> str:
    """Read the county's word for a refusal: a short code, or nothing."""
    read = getattr(err, "trailing_metadata", None)
    pairs = (read() if callable(read) else None) or ()
    found = next((str(value) for key, value in pairs if key == "fedscreen-code"), "")
    return found if _WORD.fullmatch(found) else ""
