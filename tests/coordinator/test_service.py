"""gRPC over real mTLS on loopback: identity from the certificate, every refusal with its status."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from fakes_coordinator import County, csr, sign, tls_key, tls_key_pem

from coordinator import ca, errors
from coordinator.home import server_credentials
from coordinator.service import CODE_KEY, STATUS, make_server
from crypto.field64 import MODULUS
from crypto.note import parse_note
from protos import convert
from protos import fedscreen_v1_pb2 as pb
from protos import fedscreen_v1_pb2_grpc as stubs
from protos.card import parse_card
from protos.errors import ConvertError

Code = grpc.StatusCode
CALL_TIMEOUT_S = 20.0
SHIFT = [timedelta(0)]  # how far the server's clock is ahead of the real one


@dataclass
class Party:
    """A caller with its channel."""

    log: stubs.LogServiceStub
    node: stubs.NodeServiceStub
    auditor: stubs.AuditorServiceStub


@contextmanager
def serving(county: County) -> Iterator[int]:
    certificate, key = server_credentials(county.desk.home, ("127.0.0.1",), datetime.now(UTC))
    server, port = make_server(
        county.desk, certificate, key, "127.0.0.1:0", lambda: datetime.now(UTC) + SHIFT[0]
    )
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()


@contextmanager
def calling(county: County, port: int, key: bytes | None, certificate: str | None) -> Iterator[Party]:
    credentials = grpc.ssl_channel_credentials(
        county.desk.home.authority.certificate_pem.encode(),
        key,
        certificate.encode() if certificate else None,
    )
    options = [
        ("grpc.ssl_target_name_override", county.config.server_name),
        ("grpc.enable_http_proxy", 0),
        ("grpc.max_send_message_length", -1),
    ]
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
        yield Party(
            stubs.LogServiceStub(channel), stubs.NodeServiceStub(channel), stubs.AuditorServiceStub(channel)
        )


def certify(county: County, uri: str) -> str:
    """Issue a certificate that is valid by the real clock, which TLS looks at."""
    name = uri.rpartition("/")[2]
    return ca.issue_client(county.desk.home.authority, csr(name), uri, 90, datetime.now(UTC))


@contextmanager
def as_party(county: County, port: int, name: str) -> Iterator[Party]:
    role = "node" if name in county.schools else "auditor"
    with calling(
        county, port, tls_key_pem(name), certify(county, ca.uri_of("county-1", role, name))
    ) as found:
        yield found


@contextmanager
def refused(code: grpc.StatusCode, word: str = "") -> Iterator[None]:
    with pytest.raises(grpc.RpcError) as caught:
        yield
    assert caught.value.code() is code, caught.value.details()
    if word:
        found = [(item.key, str(item.value)) for item in caught.value.trailing_metadata() or ()]
        assert (CODE_KEY, word) in found


@pytest.fixture
def running(collecting: County) -> Iterator[tuple[County, int]]:
    SHIFT[0] = timedelta(0)
    with serving(collecting) as port:
        yield collecting, port


def test_a_whole_round_over_the_wire(running: tuple[County, int]) -> None:
    county, port = running
    round_id = county.round_id
    for name in county.schools:
        with as_party(county, port, name) as party:
            request = pb.SubmitReportRequest(payload=county.payload(name, round_id))
            first = party.node.SubmitReport(request, timeout=CALL_TIMEOUT_S).receipt
            assert party.node.SubmitReport(request, timeout=CALL_TIMEOUT_S).receipt == first
    county.desk.tick()
    county.check(round_id)
    county.desk.tick()
    county.agree(round_id)
    for name, auditor in county.auditors.items():
        with as_party(county, port, name) as party:
            stream = party.auditor.GetBoxes(pb.GetBoxesRequest(round_id=round_id), timeout=CALL_TIMEOUT_S)
            boxes = dict(convert.parse_box(message) for message in stream)
            sums = auditor.sums(county.round(round_id), boxes)
            entry = sign(auditor.opening(county.round(round_id), sums), auditor.key)
            opening = pb.SubmitOpeningRequest(entry=entry, sums=list(sums.values()))
            index = party.auditor.SubmitOpening(opening, timeout=CALL_TIMEOUT_S).index
            assert party.auditor.SubmitOpening(opening, timeout=CALL_TIMEOUT_S).index == index
            vectors = party.auditor.GetVectors(
                pb.GetVectorsRequest(round_id=round_id), timeout=CALL_TIMEOUT_S
            )
            assert len(list(vectors)) == 6
    county.desk.tick()
    with as_party(county, port, "a1") as party:
        sums_stream = party.auditor.GetSums(pb.GetSumsRequest(round_id=round_id), timeout=CALL_TIMEOUT_S)
        assert len([convert.parse_sum_message(message) for message in sums_stream]) == 12
        page = convert.parse_log_page(party.log.GetLog(pb.GetLogRequest(start=0, max_entries=500)))
        assert len(page.entries) == county.ledger().size
        assert county.ledger().verify_checkpoint(page.latest, 0).size == len(page.entries)


def test_enrolment_to_genesis_over_the_wire(county: County) -> None:
    county.enrol()
    county.desk.propose_roster()
    with serving(county) as port:
        for name, auditor in county.auditors.items():
            with as_party(county, port, name) as party:
                answer = party.auditor.ListProposals(pb.ListProposalsRequest(), timeout=CALL_TIMEOUT_S)
                (proposal,) = convert.parse_proposals(answer)
                digest = county.desk.propose_roster()
                request = pb.SignRosterRequest(digest=digest, signature=auditor.key.sign(proposal.text))
                is_logged = party.auditor.SignRoster(request, timeout=CALL_TIMEOUT_S).is_logged
                assert is_logged == (name == "a4")
        with as_party(county, port, "a2") as party:
            page = party.log.GetLog(pb.GetLogRequest(start=0, max_entries=9), timeout=CALL_TIMEOUT_S)
            assert page.cosigned == b""
            assert parse_note(page.latest).text.startswith(parse_card(county.desk.card_text()).log.name)


# -- who may come in -----------------------------------------------------------------------------


def test_without_a_client_certificate(running: tuple[County, int]) -> None:
    county, port = running
    with calling(county, port, None, None) as party, refused(Code.UNAVAILABLE):
        party.log.GetLog(pb.GetLogRequest(max_entries=1), timeout=CALL_TIMEOUT_S)


def test_a_certificate_of_another_federation(
    running: tuple[County, int], make_county: Callable[..., County]
) -> None:
    county, port = running
    pem = certify(make_county(), "spiffe://county-1/node/s01")
    with calling(county, port, tls_key_pem("s01"), pem) as party, refused(Code.UNAVAILABLE):
        party.log.GetLog(pb.GetLogRequest(max_entries=1), timeout=CALL_TIMEOUT_S)


@pytest.mark.parametrize(
    "uri",
    [
        "spiffe://county-2/node/s01",
        "spiffe://county-1/coordinator/coordinator",
        "spiffe://county-1/node",
        "https://county-1/node/s01",
    ],
)
def test_a_certificate_of_our_ca_for_somebody_else(running: tuple[County, int], uri: str) -> None:
    county, port = running
    pem = ca.issue_client(county.desk.home.authority, csr("s01"), uri, 90, datetime.now(UTC))
    with calling(county, port, tls_key_pem("s01"), pem) as party, refused(Code.UNAUTHENTICATED, "caller"):
        party.log.GetLog(pb.GetLogRequest(max_entries=1), timeout=CALL_TIMEOUT_S)


def test_a_certificate_that_expires_while_the_channel_is_open(running: tuple[County, int]) -> None:
    county, port = running
    with as_party(county, port, "s01") as party:
        party.log.GetLog(pb.GetLogRequest(max_entries=1), timeout=CALL_TIMEOUT_S)
        SHIFT[0] = timedelta(days=91)
        with refused(Code.UNAUTHENTICATED, "caller"):
            party.log.GetLog(pb.GetLogRequest(max_entries=1), timeout=CALL_TIMEOUT_S)


def test_roles_do_not_mix(running: tuple[County, int]) -> None:
    county, port = running
    payload = county.payload("s01", county.round_id)
    with as_party(county, port, "a1") as party, refused(Code.PERMISSION_DENIED, "wrong-role"):
        party.node.SubmitReport(pb.SubmitReportRequest(payload=payload), timeout=CALL_TIMEOUT_S)
    with as_party(county, port, "s01") as party:
        with refused(Code.PERMISSION_DENIED, "wrong-role"):
            list(party.auditor.GetBoxes(pb.GetBoxesRequest(round_id=county.round_id), timeout=CALL_TIMEOUT_S))
        with refused(Code.PERMISSION_DENIED, "wrong-role"):
            party.auditor.ListProposals(pb.ListProposalsRequest(), timeout=CALL_TIMEOUT_S)


def test_one_school_cannot_report_for_another(running: tuple[County, int]) -> None:
    county, port = running
    payload = county.payload("s02", county.round_id)
    with as_party(county, port, "s01") as party, refused(Code.PERMISSION_DENIED, "identity-mismatch"):
        party.node.SubmitReport(pb.SubmitReportRequest(payload=payload), timeout=CALL_TIMEOUT_S)
    assert county.round(county.round_id).reports == {}


# -- what may come in ----------------------------------------------------------------------------


def test_wrong_lengths_and_elements(running: tuple[County, int]) -> None:
    county, port = running
    payload = county.payload("s01", county.round_id)
    with as_party(county, port, "s01") as party:

        def submit(data: bytes) -> None:
            party.node.SubmitReport(pb.SubmitReportRequest(payload=data), timeout=CALL_TIMEOUT_S)

        with refused(Code.INVALID_ARGUMENT, "malformed"):
            submit(b"")
        for data in (payload[:-1], payload + b"\0"):
            with refused(Code.INVALID_ARGUMENT, "report-length"):
                submit(data)
        large = county.schools["s01"].payload(
            county.ledger(), county.round_id, spoil=lambda vector: MODULUS.to_bytes(8, "little") + vector[8:]
        )
        with refused(Code.INVALID_ARGUMENT, "element-range"):
            submit(large)
        submit(payload)
        other = county.schools["s01"].payload(county.ledger(), county.round_id)
        with refused(Code.ALREADY_EXISTS, "already-reported"):
            submit(other)


def test_malformed_requests(running: tuple[County, int]) -> None:
    county, port = running
    with as_party(county, port, "a1") as party:
        calls: list[Callable[[], object]] = [
            lambda: party.log.GetLog(pb.GetLogRequest(max_entries=0)),
            lambda: list(party.auditor.GetBoxes(pb.GetBoxesRequest(round_id=b"short"))),
            lambda: party.auditor.SignRoster(pb.SignRosterRequest(digest=bytes(31), signature="x")),
            lambda: party.auditor.SubmitCosignature(pb.SubmitCosignatureRequest(size=0, cosignature="x")),
            lambda: party.auditor.SubmitStatement(pb.SubmitStatementRequest()),
            lambda: party.auditor.SubmitOpening(pb.SubmitOpeningRequest(entry=b"x")),
        ]
        for call in calls:
            with refused(Code.INVALID_ARGUMENT, "malformed"):
                call()
        with refused(Code.NOT_FOUND, "unknown-round"):
            list(party.auditor.GetVectors(pb.GetVectorsRequest(round_id=bytes(32))))
        with refused(Code.FAILED_PRECONDITION, "not-opened"):
            list(party.auditor.GetVectors(pb.GetVectorsRequest(round_id=county.round_id)))


def test_trouble_of_our_own_tells_nothing_outside(
    running: tuple[County, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    county, port = running

    def fail(*_arguments: object) -> None:
        raise errors.StoreError("/srv/county/coordinator.db: disk I/O error")

    with as_party(county, port, "s01") as party:
        monkeypatch.setattr(county.desk, "get_log", fail)
        with pytest.raises(grpc.RpcError) as caught:
            party.log.GetLog(pb.GetLogRequest(max_entries=1), timeout=CALL_TIMEOUT_S)
    assert caught.value.code() is Code.UNAVAILABLE
    assert "county" not in (caught.value.details() or "")


def test_the_table_has_every_error_that_a_call_can_raise() -> None:
    inside_only = {
        errors.CoordinatorError, errors.ConfigError, errors.StoreError, errors.SchemaVersionError,
        errors.LogRolledBackError, errors.TokenRefusedError,
        errors.AlreadyEnrolledError, errors.RosterError, errors.PlanRefusedError, errors.SchoolsMissingError,
        errors.TooFewReportsError, errors.GroupTooSmallError,
        errors.ReplicaMismatchError, errors.FsckError, errors.NotCosignedError, errors.FileError,
        errors.RosterUnchangedError, errors.FactsRefusedError, errors.WithdrawnError, errors.RoundEndedError,
        errors.StoreAwayError, errors.ExtraMissingError, errors.BackupError,
        errors.HasReportsError, errors.ExtensionRefusedError, errors.YearRefusedError,
        errors.ReportError, errors.RosterWaitsError,
    }  # fmt: skip
    every = {
        item
        for item in vars(errors).values()
        if isinstance(item, type) and issubclass(item, errors.CoordinatorError)
    }
    assert every - inside_only == set(STATUS) - {ConvertError}
    codes = [item.code for item in every]
    assert len(set(codes)) == len(codes)


def test_a_second_server_on_the_port_is_refused(running: tuple[County, int]) -> None:
    county, port = running
    certificate, key = server_credentials(county.desk.home, (), datetime.now(UTC))
    with pytest.raises(errors.ConfigError, match="cannot be bound"):
        make_server(county.desk, certificate, key, f"127.0.0.1:{port}", lambda: county.clock)


def test_a_client_notices_another_server(running: tuple[County, int]) -> None:
    county, port = running
    impostor = ca.create_authority("county-1", datetime.now(UTC), tls_key("impostor"))
    credentials = grpc.ssl_channel_credentials(
        impostor.certificate_pem.encode(), tls_key_pem("s01"), impostor.certificate_pem.encode()
    )
    options = [("grpc.ssl_target_name_override", county.config.server_name), ("grpc.enable_http_proxy", 0)]
    with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel, refused(Code.UNAVAILABLE):
        stubs.LogServiceStub(channel).GetLog(pb.GetLogRequest(max_entries=1), timeout=CALL_TIMEOUT_S)
