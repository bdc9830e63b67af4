"""gRPC in: mTLS identity, message → own values, the desk's answer → message, error → status.

The synchronous server with a thread pool. Nothing but this module and ``protos.convert`` touches
protobuf messages. Every call comes through ``coordinator.gate``, which knows the caller, and which hands
every error back to `_refuse`. A refusal carries the stable word of its error class in the trailing
metadata ``fedscreen-code``; its text names ids and sizes only.

| status | for |
| --- | --- |
| INVALID_ARGUMENT | the bytes themselves are wrong: sending them again is useless |
| ALREADY_EXISTS | other bytes stand in this once-only slot |
| FAILED_PRECONDITION | too late, or not agreed, released or opened yet |
| UNAVAILABLE | not yet open, about to stop, or the database is busy: try again |
| RESOURCE_EXHAUSTED | too many calls or bytes (``coordinator.limits``), or too large a message |
| NOT_FOUND, PERMISSION_DENIED, UNAUTHENTICATED | as they say |
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import NoReturn, TypeVar

import grpc
from grpc_health.v1 import health_pb2_grpc  # type: ignore[import-untyped,unused-ignore]

from coordinator import errors
from coordinator.config import Config
from coordinator.desk import Desk
from coordinator.gate import Gate, House, current_caller
from coordinator.health import SERVICES, HealthService, Readiness
from coordinator.metrics import Measures
from coordinator.structured_log import fields
from coordinator.tls import ServerTls, credentials_of
from plan.errors import phrase
from protos import convert
from protos import fedscreen_v1_pb2 as pb
from protos import fedscreen_v1_pb2_grpc as stubs
from protos.errors import ConvertError

CODE_KEY = "fedscreen-code"
_LOGGER = logging.getLogger("fedscreen." + __name__)
_Code = grpc.StatusCode
T = TypeVar("T")

STATUS: dict[type[Exception], grpc.StatusCode] = {
    ConvertError: _Code.INVALID_ARGUMENT,
    errors.CallerError: _Code.UNAUTHENTICATED,
    errors.WrongRoleError: _Code.PERMISSION_DENIED,
    errors.IdentityMismatchError: _Code.PERMISSION_DENIED,
    errors.NotRosteredError: _Code.PERMISSION_DENIED,
    errors.RevokedError: _Code.PERMISSION_DENIED,
    errors.CertificateDeniedError: _Code.UNAUTHENTICATED,
    errors.DrainingError: _Code.UNAVAILABLE,
    errors.TooManyCallsError: _Code.RESOURCE_EXHAUSTED,
    errors.QuotaUsedError: _Code.RESOURCE_EXHAUSTED,
    errors.NoGenesisError: _Code.FAILED_PRECONDITION,
    errors.UnknownProposalError: _Code.NOT_FOUND,
    errors.UnknownRoundError: _Code.NOT_FOUND,
    errors.SignatureRefusedError: _Code.INVALID_ARGUMENT,
    errors.ReportRefusedError: _Code.INVALID_ARGUMENT,
    errors.ReportLengthError: _Code.INVALID_ARGUMENT,
    errors.ElementRangeError: _Code.INVALID_ARGUMENT,
    errors.StatementRefusedError: _Code.INVALID_ARGUMENT,
    errors.OpeningRefusedError: _Code.INVALID_ARGUMENT,
    errors.EnrolmentRefusedError: _Code.PERMISSION_DENIED,
    errors.CertificateError: _Code.INVALID_ARGUMENT,
    errors.AlreadyReportedError: _Code.ALREADY_EXISTS,
    errors.AlreadyStatedError: _Code.ALREADY_EXISTS,
    errors.RoundNotOpenError: _Code.UNAVAILABLE,
    errors.RoundExpiredError: _Code.FAILED_PRECONDITION,
    errors.RoundClosedError: _Code.FAILED_PRECONDITION,
    errors.NotYetAgreedError: _Code.FAILED_PRECONDITION,
    errors.NotReleasedError: _Code.FAILED_PRECONDITION,
    errors.NotOpenedError: _Code.FAILED_PRECONDITION,
    errors.BoxesDeletedError: _Code.FAILED_PRECONDITION,
    errors.VectorsDeletedError: _Code.FAILED_PRECONDITION,
}
_PRIVATE = _Code.UNAVAILABLE  # of the coordinator's own trouble (store, files): no text goes out


class _Answering:
    """What the three services share: the desk, and the caller whom the gate has let in."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def _caller(self, role: str | None) -> str:
        caller = current_caller()
        if role is not None and caller.role != role:
            raise errors.WrongRoleError(
                phrase(
                    "this call is for an %(role)s, the certificate is for a %(caller_role)s",
                    role=role,
                    caller_role=caller.role,
                )
            )
        return caller.id

    def _call(self, role: str | None, work: Callable[[str], T]) -> T:
        return work(self._caller(role))

    def _stream(self, role: str, work: Callable[[str], Iterator[T]]) -> Iterator[T]:
        yield from work(self._caller(role))


def _refuse(context: grpc.ServicerContext, err: Exception) -> NoReturn:
    status, code = STATUS.get(type(err), _PRIVATE), errors.code_of(err)
    if type(err) in STATUS:
        _LOGGER.info("refused", extra=fields(code=code, status=status.name))
        text = str(err)
    else:
        _LOGGER.error("cannot answer", extra=fields(code=code), exc_info=err)
        text = "the coordinator cannot answer now; try again"
    context.set_trailing_metadata(((CODE_KEY, code),))
    context.abort(status, text)


class _LogService(_Answering, stubs.LogServiceServicer):
    """Reading the log: any enrolled node or auditor."""

    def GetLog(self, request: pb.GetLogRequest, _context: grpc.ServicerContext) -> pb.GetLogResponse:  # noqa: N802
        def work(_caller: str) -> pb.GetLogResponse:
            return convert.encode_log_page(self._desk.get_log(*convert.parse_get_log_request(request)))

        return self._call(None, work)


class _NodeService(_Answering, stubs.NodeServiceServicer):
    """What a school's egress may do."""

    def SubmitReport(  # noqa: N802
        self, request: pb.SubmitReportRequest, _context: grpc.ServicerContext
    ) -> pb.SubmitReportResponse:
        def work(node: str) -> pb.SubmitReportResponse:
            payload = convert.parse_submit_report_request(request)
            return pb.SubmitReportResponse(receipt=self._desk.submit_report(node, payload))

        return self._call("node", work)


class _CertificateService(_Answering, stubs.CertificateServiceServicer):
    """Certificates of who is enrolled: a node or an auditor asks for its own."""

    def Renew(self, request: pb.RenewRequest, _context: grpc.ServicerContext) -> pb.RenewResponse:  # noqa: N802
        caller = current_caller()

        def work(party: str) -> pb.RenewResponse:
            csr_pem = convert.parse_renew_request(request)
            return pb.RenewResponse(grant=self._desk.renew_certificate(caller.role, party, csr_pem))

        return self._call(None, work)


class _AuditorService(_Answering, stubs.AuditorServiceServicer):
    """What an auditor may do."""

    def ListProposals(  # noqa: N802
        self, request: pb.ListProposalsRequest, _context: grpc.ServicerContext
    ) -> pb.ListProposalsResponse:
        del request

        def work(auditor: str) -> pb.ListProposalsResponse:
            return convert.encode_proposals(self._desk.list_proposals(auditor))

        return self._call("auditor", work)

    def SignRoster(  # noqa: N802
        self, request: pb.SignRosterRequest, _context: grpc.ServicerContext
    ) -> pb.SignRosterResponse:
        def work(auditor: str) -> pb.SignRosterResponse:
            is_logged = self._desk.sign_roster(auditor, *convert.parse_sign_roster_request(request))
            return pb.SignRosterResponse(is_logged=is_logged)

        return self._call("auditor", work)

    def SubmitCosignature(  # noqa: N802
        self, request: pb.SubmitCosignatureRequest, _context: grpc.ServicerContext
    ) -> pb.SubmitCosignatureResponse:
        def work(auditor: str) -> pb.SubmitCosignatureResponse:
            self._desk.submit_cosignature(auditor, *convert.parse_submit_cosignature_request(request))
            return pb.SubmitCosignatureResponse()

        return self._call("auditor", work)

    def SubmitStatement(  # noqa: N802
        self, request: pb.SubmitStatementRequest, _context: grpc.ServicerContext
    ) -> pb.SubmitStatementResponse:
        def work(auditor: str) -> pb.SubmitStatementResponse:
            entry, body = convert.parse_submit_statement_request(request)
            return pb.SubmitStatementResponse(index=self._desk.submit_statement(auditor, entry, body))

        return self._call("auditor", work)

    def SubmitOpening(  # noqa: N802
        self, request: pb.SubmitOpeningRequest, _context: grpc.ServicerContext
    ) -> pb.SubmitOpeningResponse:
        def work(auditor: str) -> pb.SubmitOpeningResponse:
            entry, sums = convert.parse_submit_opening_request(request)
            return pb.SubmitOpeningResponse(index=self._desk.submit_opening(auditor, entry, sums))

        return self._call("auditor", work)

    def GetBoxes(  # noqa: N802
        self, request: pb.GetBoxesRequest, _context: grpc.ServicerContext
    ) -> Iterator[pb.GetBoxesResponse]:
        def work(auditor: str) -> Iterator[pb.GetBoxesResponse]:
            for report, box in self._desk.get_boxes(auditor, convert.parse_round_request(request)):
                yield pb.GetBoxesResponse(report=report, box=box)

        return self._stream("auditor", work)

    def GetVectors(  # noqa: N802
        self, request: pb.GetVectorsRequest, _context: grpc.ServicerContext
    ) -> Iterator[pb.GetVectorsResponse]:
        def work(auditor: str) -> Iterator[pb.GetVectorsResponse]:
            for report, vector in self._desk.get_vectors(auditor, convert.parse_round_request(request)):
                yield pb.GetVectorsResponse(report=report, vector=vector)

        return self._stream("auditor", work)

    def GetSums(  # noqa: N802
        self, request: pb.GetSumsRequest, _context: grpc.ServicerContext
    ) -> Iterator[pb.GetSumsResponse]:
        def work(_auditor: str) -> Iterator[pb.GetSumsResponse]:
            for auditor, subset, data in self._desk.get_sums(convert.parse_round_request(request)):
                yield pb.GetSumsResponse(auditor=auditor, subset=subset, sum=data)

        return self._stream("auditor", work)


@dataclass(frozen=True, slots=True)
class Service:
    """A server that is bound, and what watches over it."""

    server: grpc.Server
    port: int
    gate: Gate
    readiness: Readiness
    measures: Measures


def make_service(
    desk: Desk, tls: Callable[[], ServerTls], listen: str, now: Callable[[], datetime]
) -> Service:
    """Make the gRPC server, bound but not started.

    Args:
        desk: the coordinator.
        tls: asked at every handshake.
        listen: host:port.
        now: the clock, UTC, by which certificates expire.

    Raises:
        ConfigError: the address cannot be bound.
    """
    config = desk.home.config
    readiness, measures = Readiness(desk.probe), Measures()
    house = House(config.federation, desk.verify_caller, readiness.is_draining, now)
    gate = Gate(house, config.limits, _refuse, measures)
    server = grpc.server(
        ThreadPoolExecutor(max_workers=config.threads, thread_name_prefix="call"),
        interceptors=[gate],
        options=_options(config),
        maximum_concurrent_rpcs=config.limits.calls_waiting,
    )
    stubs.add_LogServiceServicer_to_server(_LogService(desk), server)
    stubs.add_NodeServiceServicer_to_server(_NodeService(desk), server)
    stubs.add_AuditorServiceServicer_to_server(_AuditorService(desk), server)
    stubs.add_CertificateServiceServicer_to_server(_CertificateService(desk), server)
    health_pb2_grpc.add_HealthServicer_to_server(HealthService(readiness), server)
    if config.reflection:
        _reflect(server)
    return Service(server, _bind(server, credentials_of(tls), listen), gate, readiness, measures)


def make_server(
    desk: Desk, certificate_pem: bytes, key_pem: bytes, listen: str, now: Callable[[], datetime]
) -> tuple[grpc.Server, int]:
    """Make the server of `make_service` with a certificate that stays; return it and its port."""
    tls = ServerTls(certificate_pem, key_pem, desk.home.ring.roots_pem())
    service = make_service(desk, lambda: tls, listen, now)
    service.readiness.serve()
    return service.server, service.port


def _bind(server: grpc.Server, credentials: grpc.ServerCredentials, listen: str) -> int:
    try:
        port = server.add_secure_port(listen, credentials)
    except RuntimeError as err:
        raise _not_bound(listen) from err
    if port == 0:
        raise _not_bound(listen)
    return int(port)


def _not_bound(listen: str) -> errors.ConfigError:
    return errors.ConfigError(
        phrase("listen: %(listen)s cannot be bound; is another server running?", listen=listen)
    )


def _reflect(server: grpc.Server) -> None:
    """Tell callers which methods there are; loaded only where the switch is on."""
    from grpc_reflection.v1alpha import reflection  # type: ignore[import-untyped,unused-ignore]

    names = [name for name in SERVICES if name]
    reflection.enable_server_reflection((*names, "grpc.health.v1.Health", reflection.SERVICE_NAME), server)


def _options(config: Config) -> list[tuple[str, int]]:
    limits = config.limits
    message_bytes = min(convert.MAX_MESSAGE_BYTES, limits.message_mib * 2**20)
    return [
        ("grpc.so_reuseport", int(config.share_port)),  # else a second server on this port must fail
        ("grpc.max_receive_message_length", message_bytes),
        ("grpc.max_send_message_length", message_bytes),
        ("grpc.max_metadata_size", limits.header_kib * 1024),
        ("grpc.absolute_max_metadata_size", limits.header_kib * 1024),
        ("grpc.max_concurrent_streams", limits.streams_per_connection),
        ("grpc.server_handshake_timeout_ms", _ms(limits.handshake_s)),
        ("grpc.max_connection_idle_ms", _ms(limits.idle_s)),
        ("grpc.max_connection_age_ms", _ms(config.max_connection_age_s)),
        ("grpc.max_connection_age_grace_ms", _ms(config.drain_s)),
        ("grpc.keepalive_time_ms", _ms(limits.ping_s)),
        ("grpc.keepalive_timeout_ms", _ms(limits.ping_timeout_s)),
        ("grpc.http2.min_ping_interval_without_data_ms", _ms(limits.least_ping_s)),
        ("grpc.keepalive_permit_without_calls", 1),
    ]


def _ms(seconds: float) -> int:
    return min(round(seconds * 1000), 2**31 - 1)  # more means "never" to gRPC
