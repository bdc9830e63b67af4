"""gRPC in: mTLS identity, message → own values, the desk's answer → message, error → status.

The synchronous server with a thread pool. Nothing but this module and ``protos.convert`` touches
protobuf messages. A refusal carries the stable word of its error class in the trailing metadata
``fedscreen-code``; its text names ids and sizes only.

| status | for |
| --- | --- |
| INVALID_ARGUMENT | the bytes themselves are wrong: sending them again is useless |
| ALREADY_EXISTS | other bytes stand in this once-only slot |
| FAILED_PRECONDITION | too late, or not agreed, released or opened yet |
| UNAVAILABLE | not yet open, or the database is busy: try again |
| NOT_FOUND, PERMISSION_DENIED, UNAUTHENTICATED | as they say |
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import NoReturn, TypeVar, cast

import grpc

from coordinator import errors
from coordinator.config import Config
from coordinator.desk import Desk
from coordinator.identity import identify
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
    errors.NoGenesisError: _Code.FAILED_PRECONDITION,
    errors.UnknownProposalError: _Code.NOT_FOUND,
    errors.UnknownRoundError: _Code.NOT_FOUND,
    errors.SignatureRefusedError: _Code.INVALID_ARGUMENT,
    errors.ReportRefusedError: _Code.INVALID_ARGUMENT,
    errors.ReportLengthError: _Code.INVALID_ARGUMENT,
    errors.ElementRangeError: _Code.INVALID_ARGUMENT,
    errors.StatementRefusedError: _Code.INVALID_ARGUMENT,
    errors.OpeningRefusedError: _Code.INVALID_ARGUMENT,
    errors.AlreadyReportedError: _Code.ALREADY_EXISTS,
    errors.AlreadyStatedError: _Code.ALREADY_EXISTS,
    errors.RoundNotOpenError: _Code.UNAVAILABLE,
    errors.RoundExpiredError: _Code.FAILED_PRECONDITION,
    errors.RoundClosedError: _Code.FAILED_PRECONDITION,
    errors.NotYetAgreedError: _Code.FAILED_PRECONDITION,
    errors.NotReleasedError: _Code.FAILED_PRECONDITION,
    errors.NotOpenedError: _Code.FAILED_PRECONDITION,
    errors.BoxesDeletedError: _Code.FAILED_PRECONDITION,
}
_PRIVATE = _Code.UNAVAILABLE  # of the coordinator's own trouble (store, files): no text goes out


class _Answering:
    """What the three services share: the desk, the caller's identity, the mapping of errors."""

    def __init__(self, desk: Desk, now: Callable[[], datetime]) -> None:
        self._desk = desk
        self._now = now

    def _caller(self, context: grpc.ServicerContext, role: str | None) -> str:
        shown = cast(Mapping[str, Sequence[bytes]], context.auth_context()).get("x509_pem_cert", ())
        caller = identify(shown[0] if shown else None, self._desk.home.config.federation, self._now())
        if role is not None and caller.role != role:
            raise errors.WrongRoleError(
                phrase(
                    "this call is for an %(role)s, the certificate is for a %(caller_role)s",
                    role=role,
                    caller_role=caller.role,
                )
            )
        return caller.id

    def _call(self, context: grpc.ServicerContext, role: str | None, work: Callable[[str], T]) -> T:
        try:
            return work(self._caller(context, role))
        except (errors.CoordinatorError, ConvertError) as err:
            _refuse(context, err)

    def _stream(
        self, context: grpc.ServicerContext, role: str, work: Callable[[str], Iterator[T]]
    ) -> Iterator[T]:
        try:
            yield from work(self._caller(context, role))
        except (errors.CoordinatorError, ConvertError) as err:
            _refuse(context, err)


def _refuse(context: grpc.ServicerContext, err: Exception) -> NoReturn:
    status = STATUS.get(type(err), _PRIVATE)
    code = err.code if isinstance(err, errors.CoordinatorError) else "malformed"
    if type(err) in STATUS:
        _LOGGER.info("refused: %s", code)
        text = str(err)
    else:
        _LOGGER.error("cannot answer: %s (%s)", code, err)
        text = "the coordinator cannot answer now; try again"
    context.set_trailing_metadata(((CODE_KEY, code),))
    context.abort(status, text)


class _LogService(_Answering, stubs.LogServiceServicer):
    """Reading the log: any enrolled node or auditor."""

    def GetLog(self, request: pb.GetLogRequest, context: grpc.ServicerContext) -> pb.GetLogResponse:  # noqa: N802
        def work(_caller: str) -> pb.GetLogResponse:
            return convert.encode_log_page(self._desk.get_log(*convert.parse_get_log_request(request)))

        return self._call(context, None, work)


class _NodeService(_Answering, stubs.NodeServiceServicer):
    """What a school's egress may do."""

    def SubmitReport(  # noqa: N802
        self, request: pb.SubmitReportRequest, context: grpc.ServicerContext
    ) -> pb.SubmitReportResponse:
        def work(node: str) -> pb.SubmitReportResponse:
            payload = convert.parse_submit_report_request(request)
            return pb.SubmitReportResponse(receipt=self._desk.submit_report(node, payload))

        return self._call(context, "node", work)


class _AuditorService(_Answering, stubs.AuditorServiceServicer):
    """What an auditor may do."""

    def ListProposals(  # noqa: N802
        self, request: pb.ListProposalsRequest, context: grpc.ServicerContext
    ) -> pb.ListProposalsResponse:
        del request

        def work(auditor: str) -> pb.ListProposalsResponse:
            return convert.encode_proposals(self._desk.list_proposals(auditor))

        return self._call(context, "auditor", work)

    def SignRoster(  # noqa: N802
        self, request: pb.SignRosterRequest, context: grpc.ServicerContext
    ) -> pb.SignRosterResponse:
        def work(auditor: str) -> pb.SignRosterResponse:
            is_logged = self._desk.sign_roster(auditor, *convert.parse_sign_roster_request(request))
            return pb.SignRosterResponse(is_logged=is_logged)

        return self._call(context, "auditor", work)

    def SubmitCosignature(  # noqa: N802
        self, request: pb.SubmitCosignatureRequest, context: grpc.ServicerContext
    ) -> pb.SubmitCosignatureResponse:
        def work(auditor: str) -> pb.SubmitCosignatureResponse:
            self._desk.submit_cosignature(auditor, *convert.parse_submit_cosignature_request(request))
            return pb.SubmitCosignatureResponse()

        return self._call(context, "auditor", work)

    def SubmitStatement(  # noqa: N802
        self, request: pb.SubmitStatementRequest, context: grpc.ServicerContext
    ) -> pb.SubmitStatementResponse:
        def work(auditor: str) -> pb.SubmitStatementResponse:
            entry, body = convert.parse_submit_statement_request(request)
            return pb.SubmitStatementResponse(index=self._desk.submit_statement(auditor, entry, body))

        return self._call(context, "auditor", work)

    def SubmitOpening(  # noqa: N802
        self, request: pb.SubmitOpeningRequest, context: grpc.ServicerContext
    ) -> pb.SubmitOpeningResponse:
        def work(auditor: str) -> pb.SubmitOpeningResponse:
            entry, sums = convert.parse_submit_opening_request(request)
            return pb.SubmitOpeningResponse(index=self._desk.submit_opening(auditor, entry, sums))

        return self._call(context, "auditor", work)

    def GetBoxes(  # noqa: N802
        self, request: pb.GetBoxesRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.GetBoxesResponse]:
        def work(auditor: str) -> Iterator[pb.GetBoxesResponse]:
            for report, box in self._desk.get_boxes(auditor, convert.parse_round_request(request)):
                yield pb.GetBoxesResponse(report=report, box=box)

        return self._stream(context, "auditor", work)

    def GetVectors(  # noqa: N802
        self, request: pb.GetVectorsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.GetVectorsResponse]:
        def work(auditor: str) -> Iterator[pb.GetVectorsResponse]:
            for report, vector in self._desk.get_vectors(auditor, convert.parse_round_request(request)):
                yield pb.GetVectorsResponse(report=report, vector=vector)

        return self._stream(context, "auditor", work)

    def GetSums(  # noqa: N802
        self, request: pb.GetSumsRequest, context: grpc.ServicerContext
    ) -> Iterator[pb.GetSumsResponse]:
        def work(_auditor: str) -> Iterator[pb.GetSumsResponse]:
            for auditor, subset, data in self._desk.get_sums(convert.parse_round_request(request)):
                yield pb.GetSumsResponse(auditor=auditor, subset=subset, sum=data)

        return self._stream(context, "auditor", work)


def make_server(
    desk: Desk, certificate_pem: bytes, key_pem: bytes, listen: str, now: Callable[[], datetime]
) -> tuple[grpc.Server, int]:
    """Make the gRPC server, bound but not started; return it and its port.

    Raises:
        ConfigError: the address cannot be bound.
    """
    config = desk.home.config
    server = grpc.server(
        ThreadPoolExecutor(max_workers=config.threads, thread_name_prefix="call"), options=_options(config)
    )
    stubs.add_LogServiceServicer_to_server(_LogService(desk, now), server)
    stubs.add_NodeServiceServicer_to_server(_NodeService(desk, now), server)
    stubs.add_AuditorServiceServicer_to_server(_AuditorService(desk, now), server)
    credentials = grpc.ssl_server_credentials(
        [(key_pem, certificate_pem)],
        root_certificates=desk.home.authority.certificate_pem.encode(),
        require_client_auth=True,
    )
    try:
        port = server.add_secure_port(listen, credentials)
    except RuntimeError as err:
        raise errors.ConfigError(
            phrase("listen: %(listen)s cannot be bound; is another server running?", listen=listen)
        ) from err
    if port == 0:
        raise errors.ConfigError(
            phrase("listen: %(listen)s cannot be bound; is another server running?", listen=listen)
        )
    return server, int(port)


def _options(config: Config) -> list[tuple[str, int]]:
    return [
        ("grpc.so_reuseport", 0),  # a second server on this port must fail, not share it
        ("grpc.max_receive_message_length", convert.MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", convert.MAX_MESSAGE_BYTES),
        ("grpc.max_connection_age_ms", round(config.max_connection_age_s * 1000)),
        ("grpc.max_connection_age_grace_ms", round(config.drain_s * 1000)),
        ("grpc.http2.min_ping_interval_without_data_ms", 20_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
