"""A coordinator of a few lines: mTLS on loopback, a log in a list, receipts; for tests of the egress."""

from __future__ import annotations

import datetime
import ipaddress
import threading
from concurrent import futures
from dataclasses import dataclass, field
from typing import Any

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protos import fedscreen_v1_pb2 as pb
from protos import fedscreen_v1_pb2_grpc as stubs

SERVER_NAME = "coordinator.test"


@dataclass(frozen=True)
class Pair:
    """A P-256 key and its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)


def make_ca(name: str = "test CA") -> Pair:
    return _issue(name, None, is_ca=True, sans=[])


def make_server(ca: Pair, name: str = SERVER_NAME) -> Pair:
    names: list[x509.GeneralName] = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    return _issue(name, ca, is_ca=False, sans=names)


def make_node(
    ca: Pair, federation: str = "county", node: str = "school-1", *, days: int = 30, key: Any = None
) -> Pair:
    uri = x509.UniformResourceIdentifier(f"spiffe://{federation}/node/{node}")
    return _issue(node, ca, is_ca=False, sans=[uri], days=days, key=key)


def _issue(
    name: str,
    issuer: Pair | None,
    *,
    is_ca: bool,
    sans: list[x509.GeneralName],
    days: int = 30,
    key: Any = None,
) -> Pair:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=100))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName(sans), critical=False)
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    return Pair(key, builder.sign(issuer.key if issuer else key, hashes.SHA256()))


@dataclass
class LogServer(stubs.LogServiceServicer, stubs.NodeServiceServicer):
    """Serves a log and takes reports. `fail_log`, `fail_report`: status codes to answer with, in order."""

    ca: Pair = field(default_factory=make_ca)
    entries: list[tuple[bytes, bytes]] = field(default_factory=list)
    latest: bytes = b""
    cosigned: bytes = b""
    page: int = 3
    fail_log: list[grpc.StatusCode] = field(default_factory=list)
    fail_report: list[grpc.StatusCode] = field(default_factory=list)
    lie_start: int = 0
    receipt: bytes = b"receipt"
    reports: list[bytes] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    identities: list[bytes] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def GetLog(self, request: Any, context: Any) -> Any:
        with self.changed:
            self.starts.append(request.start)
            self.identities += context.auth_context().get("x509_subject_alternative_name", [])
            self.changed.notify_all()
            if self.fail_log:
                context.abort(self.fail_log.pop(0), "a text that must not get anywhere")
            rows = self.entries[request.start : request.start + self.page]
        answer = pb.GetLogResponse(
            start=request.start + self.lie_start, latest=self.latest, cosigned=self.cosigned
        )
        answer.entries.extend(pb.LogEntry(entry=entry, body=body) for entry, body in rows)
        return answer

    def SubmitReport(self, request: Any, context: Any) -> Any:
        with self.changed:
            if self.fail_report:
                code = self.fail_report.pop(0)
                self.changed.notify_all()
                context.abort(code, "a text that must not get anywhere")
            self.reports.append(request.payload)
            self.changed.notify_all()
        return pb.SubmitReportResponse(receipt=self.receipt)

    def wait_for(self, condition: Any, timeout_s: float = 20.0) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, timeout_s), "it did not happen in time"

    def serve(self, address: str = "127.0.0.1:0", certificate: Pair | None = None) -> tuple[grpc.Server, int]:
        server = grpc.server(futures.ThreadPoolExecutor(4))
        stubs.add_LogServiceServicer_to_server(self, server)
        stubs.add_NodeServiceServicer_to_server(self, server)
        pair = certificate or make_server(self.ca)
        credentials = grpc.ssl_server_credentials(
            [(pair.key_pem, pair.certificate_pem)], self.ca.certificate_pem, require_client_auth=True
        )
        port = server.add_secure_port(address, credentials)
        server.start()
        return server, port
