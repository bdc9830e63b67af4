"""The gRPC link over real mTLS on loopback: every call, malformed answers, refusals, wrong certificates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from auditor.client import CODE_KEY, GrpcLink, connect
from auditor.config import AuditorConfig
from auditor.errors import LinkError
from auditor.keys import TlsFiles
from protos import fedscreen_v1_pb2 as pb
from protos import fedscreen_v1_pb2_grpc as stubs

NAME = "coordinator.county-1"
DIGEST = bytes(range(32))


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


class Authority:
    """Issues certificates for this test."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")])
        self.pem = self._issue(self.name, self.key.public_key(), is_ca=True)

    def issue(self, name: str) -> tuple[bytes, bytes]:
        """Make a key and a certificate (PEM) for a DNS name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        return _pem(key), self._issue(subject, key.public_key(), name=name)

    def _issue(
        self, subject: x509.Name, public: ec.EllipticCurvePublicKey, *, is_ca: bool = False, name: str = "ca"
    ) -> bytes:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class Scripted(stubs.AuditorServiceServicer, stubs.LogServiceServicer):
    """Answers as the test says, and remembers what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[Any] = []
        self.refusal: tuple[grpc.StatusCode, str, str] | None = None

    def _answer(self, name: str, request: object, context: grpc.ServicerContext) -> Any:
        self.asked.append(request)
        if self.refusal is not None:
            code, word, text = self.refusal
            context.set_trailing_metadata(((CODE_KEY, word),))
            context.abort(code, text)
        return self.answers[name]

    def GetLog(self, request: pb.GetLogRequest, context: grpc.ServicerContext) -> Any:
        return self._answer("GetLog", request, context)

    def ListProposals(self, request: pb.ListProposalsRequest, context: grpc.ServicerContext) -> Any:
        return self._answer("ListProposals", request, context)

    def SignRoster(self, request: pb.SignRosterRequest, context: grpc.ServicerContext) -> Any:
        return self._answer("SignRoster", request, context)

    def SubmitCosignature(self, request: pb.SubmitCosignatureRequest, context: grpc.ServicerContext) -> Any:
        return self._answer("SubmitCosignature", request, context)

    def SubmitStatement(self, request: pb.SubmitStatementRequest, context: grpc.ServicerContext) -> Any:
        return self._answer("SubmitStatement", request, context)

    def SubmitOpening(self, request: pb.SubmitOpeningRequest, context: grpc.ServicerContext) -> Any:
        return self._answer("SubmitOpening", request, context)

    def GetBoxes(self, request: pb.GetBoxesRequest, context: grpc.ServicerContext) -> Iterator[Any]:
        yield from self._answer("GetBoxes", request, context)

    def GetVectors(self, request: pb.GetVectorsRequest, context: grpc.ServicerContext) -> Iterator[Any]:
        yield from self._answer("GetVectors", request, context)

    def GetSums(self, request: pb.GetSumsRequest, context: grpc.ServicerContext) -> Iterator[Any]:
        yield from self._answer("GetSums", request, context)


class Served:
    """A running server and what a client needs to reach it."""

    def __init__(self) -> None:
        self.authority = Authority()
        self.service = Scripted()
        self.server = grpc.server(ThreadPoolExecutor(4))
        stubs.add_AuditorServiceServicer_to_server(self.service, self.server)
        stubs.add_LogServiceServicer_to_server(self.service, self.server)
        credentials = grpc.ssl_server_credentials(
            [self.authority.issue(NAME)], self.authority.pem, require_client_auth=True
        )
        self.port = self.server.add_secure_port("127.0.0.1:0", credentials)
        self.server.start()

    def config(self, **changes: Any) -> AuditorConfig:
        """An auditor's configuration for this server."""
        values: dict[str, object] = {"address": f"127.0.0.1:{self.port}", "server_name": NAME, "timeout_s": 5}
        return AuditorConfig.model_validate(
            {"federation": "county-1", "id": "a1", "operator": "o", **values, **changes}
        )

    def tls(self, authority: Authority | None = None) -> TlsFiles:
        """A client's key and certificate."""
        key, certificate = (authority or self.authority).issue("a1")
        return TlsFiles(key, certificate, self.authority.pem)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    running = Served()
    yield running
    running.server.stop(0).wait()


@pytest.fixture
def service(served: Served) -> Scripted:
    served.service.answers.clear()
    served.service.asked.clear()
    served.service.refusal = None
    return served.service


@pytest.fixture
def link(served: Served, service: Scripted) -> Iterator[GrpcLink]:
    with connect(served.config(), served.tls()) as opened:
        yield opened


def test_every_call_carries_its_values(link: GrpcLink, service: Scripted) -> None:
    service.answers = {
        "GetLog": pb.GetLogResponse(start=3, entries=[pb.LogEntry(entry=b"e", body=b"b")], latest=b"l"),
        "ListProposals": pb.ListProposalsResponse(
            proposals=[pb.Proposal(text=b"t\n", body=b"{}", signatures=["s"])]
        ),
        "SignRoster": pb.SignRosterResponse(is_logged=True),
        "SubmitCosignature": pb.SubmitCosignatureResponse(),
        "SubmitStatement": pb.SubmitStatementResponse(index=7),
        "SubmitOpening": pb.SubmitOpeningResponse(index=8),
        "GetBoxes": [pb.GetBoxesResponse(report=DIGEST, box=b"box")],
        "GetVectors": [pb.GetVectorsResponse(report=DIGEST, vector=bytes(16))],
        "GetSums": [pb.GetSumsResponse(auditor="a2", subset=3, sum=bytes(8))],
    }
    page = link.get_log(3, 10)
    assert (page.start, page.entries, page.latest, page.cosigned) == (3, ((b"e", b"b"),), b"l", b"")
    (proposal,) = link.list_proposals()
    assert (proposal.text, proposal.body, proposal.signatures) == ("t\n", b"{}", ("s",))
    assert link.sign_roster(DIGEST, "line") is True
    link.submit_cosignature(5, "line")
    assert link.submit_statement(b"entry", b"body") == 7
    assert link.submit_opening(b"entry", [bytes(8), bytes(8)]) == 8
    assert list(link.get_boxes(DIGEST)) == [(DIGEST, b"box")]
    assert list(link.get_vectors(DIGEST)) == [(DIGEST, bytes(16))]
    assert list(link.get_sums(DIGEST)) == [("a2", 3, bytes(8))]
    assert service.asked == [
        pb.GetLogRequest(start=3, max_entries=10),
        pb.ListProposalsRequest(),
        pb.SignRosterRequest(digest=DIGEST, signature="line"),
        pb.SubmitCosignatureRequest(size=5, cosignature="line"),
        pb.SubmitStatementRequest(entry=b"entry", body=b"body"),
        pb.SubmitOpeningRequest(entry=b"entry", sums=[bytes(8), bytes(8)]),
        pb.GetBoxesRequest(round_id=DIGEST),
        pb.GetVectorsRequest(round_id=DIGEST),
        pb.GetSumsRequest(round_id=DIGEST),
    ]


@pytest.mark.parametrize(
    ("method", "answer", "call"),
    [
        ("GetLog", pb.GetLogResponse(latest=bytes(9000)), lambda link: link.get_log(0, 1)),
        ("GetLog", pb.GetLogResponse(entries=[pb.LogEntry()]), lambda link: link.get_log(0, 1)),
        (
            "ListProposals",
            pb.ListProposalsResponse(proposals=[pb.Proposal(text=b"\xff", body=b"{}")]),
            lambda link: link.list_proposals(),
        ),
        (
            "GetBoxes",
            [pb.GetBoxesResponse(report=b"short", box=b"x")],
            lambda link: list(link.get_boxes(DIGEST)),
        ),
        (
            "GetVectors",
            [pb.GetVectorsResponse(report=DIGEST, vector=bytes(7))],
            lambda link: list(link.get_vectors(DIGEST)),
        ),
        (
            "GetSums",
            [pb.GetSumsResponse(auditor="A", subset=1, sum=bytes(8))],
            lambda link: list(link.get_sums(DIGEST)),
        ),
        (
            "GetSums",
            [pb.GetSumsResponse(auditor="a", subset=0, sum=bytes(8))],
            lambda link: list(link.get_sums(DIGEST)),
        ),
    ],
)
def test_a_malformed_answer_is_refused(
    link: GrpcLink, service: Scripted, method: str, answer: object, call: Callable[[GrpcLink], object]
) -> None:
    service.answers[method] = answer
    with pytest.raises(LinkError) as caught:
        call(link)
    assert caught.value.code == "malformed"
    assert not caught.value.is_temporary


@pytest.mark.parametrize(
    ("status", "is_temporary"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, False),
        (grpc.StatusCode.INVALID_ARGUMENT, False),
        (grpc.StatusCode.ALREADY_EXISTS, False),
        (grpc.StatusCode.UNAUTHENTICATED, False),
        (grpc.StatusCode.FAILED_PRECONDITION, True),
        (grpc.StatusCode.UNAVAILABLE, True),
    ],
)
def test_a_refusal_keeps_the_coordinators_word(
    link: GrpcLink, service: Scripted, status: grpc.StatusCode, is_temporary: bool
) -> None:
    service.refusal = (status, "some-word", "the text")
    with pytest.raises(LinkError, match="the text") as caught:
        link.get_log(0, 1)
    assert (caught.value.code, caught.value.is_temporary) == ("some-word", is_temporary)
    with pytest.raises(LinkError, match="the text"):
        list(link.get_boxes(DIGEST))


def test_nobody_at_the_address_is_temporary_and_says_what_to_look_at(served: Served) -> None:
    config = served.config(address="127.0.0.1:1", timeout_s=1)
    message = "certificate still valid"
    with connect(config, served.tls()) as link, pytest.raises(LinkError, match=message) as caught:
        link.get_log(0, 1)
    assert caught.value.is_temporary


def test_a_certificate_of_another_federation_is_not_answered(served: Served) -> None:
    with connect(served.config(timeout_s=2), served.tls(Authority())) as link, pytest.raises(LinkError):
        link.get_log(0, 1)


def test_another_server_name_is_not_talked_to(served: Served) -> None:
    config = served.config(server_name="another", timeout_s=2)
    with connect(config, served.tls()) as link, pytest.raises(LinkError):
        link.get_log(0, 1)


def test_before_join_there_is_no_link(served: Served) -> None:
    with pytest.raises(LinkError, match="auditor join"):
        connect(served.config(address=""), served.tls())
