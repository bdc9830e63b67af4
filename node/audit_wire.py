"""Where the egress of a trial ends: the stand-in county's server on loopback, behind a relay that keeps all.

    egress ──TCP──> WireRelay ──TCP──> CountyServer (TLS ends here)

The relay sees what anybody on the line would see, the server the messages inside TLS and their metadata.
Both keep everything that comes from the egress, in the order of arrival, and change nothing. Keys and
certificates are made for one trial.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from crypto.errors import CryptoError
from node.audit_checks import AuditError
from node.audit_county import StandInCounty
from protos import fedscreen_v1_pb2 as pb
from protos.errors import ProtocolError

LOOPBACK = "127.0.0.1"
SERVER_NAME = "county.trial.invalid"
PIECE_BYTES = 64 * 1024
MAX_BYTES = 32 * 1024 * 1024
_DAYS = 2
_GET_LOG, _SUBMIT = "GetLog", "SubmitReport"


@dataclass(slots=True)
class Evidence:
    """What was kept: label and bytes, in order; used from several threads."""

    parts: list[tuple[str, bytes]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def keep(self, label: str, data: bytes) -> None:
        """Keep one piece."""
        with self._lock:
            self.parts.append((label, data))

    def of(self, label: str) -> list[bytes]:
        """Give the pieces under a label."""
        with self._lock:
            return [data for name, data in self.parts if name == label]

    def all(self) -> list[tuple[str, bytes]]:
        """Give each piece, and the pieces under one label in a row, in case one was cut in two."""
        with self._lock:
            parts = list(self.parts)
        joined: dict[str, list[bytes]] = {}
        for label, data in parts:
            joined.setdefault(label, []).append(data)
        return [*parts, *((label, b"".join(pieces)) for label, pieces in joined.items() if len(pieces) > 1)]


class TrialAuthority:
    """The CA of one trial."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("trial CA")
        builder = _builder(self._name, self._name, self._key.public_key())
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        self._certificate = builder.add_extension(constraints, critical=True).sign(self._key, hashes.SHA256())

    @property
    def pem(self) -> bytes:
        """The CA certificate."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the certificate, as the card pins it."""
        return self._certificate.fingerprint(hashes.SHA256())

    def certify(
        self, public_key: ec.EllipticCurvePublicKey, name: x509.GeneralName, *, is_server: bool
    ) -> bytes:
        """Certify a key under a name; give PEM."""
        usage = ExtendedKeyUsageOID.SERVER_AUTH if is_server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            _builder(_name("trial"), self._name, public_key)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName([name]), critical=False)
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=_DAYS))
    )


class CountyServer(grpc.GenericRpcHandler):
    """Serves a stand-in county's log and takes reports; keeps every message that arrives.

    Args:
        county: the county.
        authority: its CA.
        evidence: where messages are kept.

    Attributes:
        reports: payloads that the county took; `num_refused` counts what it did not take.
    """

    def __init__(self, county: StandInCounty, authority: TrialAuthority, evidence: Evidence) -> None:
        self._county, self._evidence = county, evidence
        self._lock = threading.Lock()
        self.reports: list[bytes] = []
        self.num_refused = 0
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        certificate = authority.certify(key.public_key(), x509.DNSName(SERVER_NAME), is_server=True)
        credentials = grpc.ssl_server_credentials(
            [(pem, certificate)], root_certificates=authority.pem, require_client_auth=True
        )
        options = [("grpc.max_receive_message_length", MAX_BYTES), ("grpc.so_reuseport", 0)]
        self._server = grpc.server(ThreadPoolExecutor(4), options=options)
        self._server.add_generic_rpc_handlers((self,))
        self.port = self._server.add_secure_port(f"{LOOPBACK}:0", credentials)
        self._server.start()

    def service(self, handler_call_details: Any) -> Any:
        """Take any call of one request and one answer."""
        method = str(handler_call_details.method).rpartition("/")[2]
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self._answer(method, request, context)
        )

    def _answer(self, method: str, request: bytes, context: Any) -> bytes:
        self._evidence.keep(f"message {method}", request)
        metadata = sorted((str(key), str(value)) for key, value in context.invocation_metadata())
        self._evidence.keep(f"metadata of {method}", repr(metadata).encode())
        try:
            with self._lock:
                if method == _GET_LOG:
                    return self._log(request)
                if method == _SUBMIT:
                    return self._receipt(request)
        except (AuditError, CryptoError, ProtocolError):
            self.num_refused += 1
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "refused")
        return bytes(context.abort(grpc.StatusCode.UNIMPLEMENTED, "no such call"))

    def _log(self, request: bytes) -> bytes:
        page = self._county.page(pb.GetLogRequest.FromString(request).start)
        answer = pb.GetLogResponse(start=page.start, latest=page.latest, cosigned=page.cosigned)
        answer.entries.extend(pb.LogEntry(entry=entry, body=body) for entry, body in page.entries)
        return answer.SerializeToString()

    def _receipt(self, request: bytes) -> bytes:
        payload = bytes(pb.SubmitReportRequest.FromString(request).payload)
        receipt = self._county.take_report(payload)
        self.reports.append(payload)
        return pb.SubmitReportResponse(receipt=receipt).SerializeToString()

    def stop(self) -> None:
        """End every connection."""
        self._server.stop(0).wait()


class WireRelay:
    """Passes TCP bytes on to a port of this machine and keeps what comes from the caller.

    Args:
        port: where to.
        evidence: where the bytes are kept.
    """

    def __init__(self, port: int, evidence: Evidence) -> None:
        self._target, self._evidence = port, evidence
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def stop(self) -> None:
        """Close the listener and every connection."""
        with self._lock:
            sockets = [self._listener, *self._open]
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                caller, _address = self._listener.accept()
                county = socket.create_connection((LOOPBACK, self._target))
            except OSError:
                return  # closed
            with self._lock:
                self._open += [caller, county]
            self._start(caller, county, self._keep)
            self._start(county, caller, lambda _data: None)

    def _keep(self, data: bytes) -> None:
        self._evidence.keep("wire", data)

    def _start(self, source: socket.socket, sink: socket.socket, keep: Callable[[bytes], None]) -> None:
        threading.Thread(target=_pass_on, args=(source, sink, keep), daemon=True).start()


def _pass_on(source: socket.socket, sink: socket.socket, keep: Callable[[bytes], None]) -> None:
    """Copy one direction until it ends."""
    with suppress(OSError):
        while data := source.recv(PIECE_BYTES):
            keep(data)
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
