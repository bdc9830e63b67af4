"""The gRPC side of `auditor.link`: mTLS to the coordinator, messages checked by `protos.convert`.

Synchronous stubs on one channel. A bad, expired or missing certificate all look like UNAVAILABLE
from here, so the message says what to look at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import cast

import grpc

from auditor.config import AuditorConfig
from auditor.errors import LinkError
from auditor.keys import TlsFiles
from plan.errors import Phrase, phrase
from protos import convert
from protos import fedscreen_v1_pb2 as pb
from protos import fedscreen_v1_pb2_grpc as stubs
from protos.errors import ConvertError

CODE_KEY = "fedscreen-code"  # trailing metadata: the coordinator's stable word for a refusal
_TEMPORARY = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.CANCELLED,
    }
)
_OPTIONS: tuple[tuple[str, int | str], ...] = (
    ("grpc.max_receive_message_length", convert.MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", convert.MAX_MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)
_LOOPBACK = ("127.", "[::1]", "localhost:")


class GrpcLink:
    """`auditor.link.CoordinatorLink` over mutual TLS. Use as a context manager."""

    def __init__(self, config: AuditorConfig, tls: TlsFiles) -> None:
        if not config.address:
            raise LinkError(
                "not-joined", phrase("no coordinator yet; run 'fedscreen auditor join'"), is_temporary=False
            )
        self._options = list(_OPTIONS)
        if config.server_name:
            self._options.append(("grpc.ssl_target_name_override", config.server_name))
        if config.address.startswith(_LOOPBACK):
            self._options.append(
                ("grpc.enable_http_proxy", 0)
            )  # a proxy cannot reach this machine's own ports
        self._address = config.address
        self._timeout_s = config.timeout_s
        self._connect(tls)

    def _connect(self, tls: TlsFiles) -> None:
        credentials = grpc.ssl_channel_credentials(tls.ca, tls.key, tls.certificate)
        self._channel = grpc.secure_channel(self._address, credentials, options=self._options)
        self._log = stubs.LogServiceStub(self._channel)
        self._auditor = stubs.AuditorServiceStub(self._channel)
        self._certificates = stubs.CertificateServiceStub(self._channel)

    def use(self, tls: TlsFiles) -> None:
        """Go on with another certificate, on a channel of its own."""
        self._channel.close()
        self._connect(tls)

    def renew(self, csr_pem: str) -> bytes:
        """Ask for a new certificate of this auditor's TLS key; gives the grant file."""
        with self._calling("Renew"):
            answer = self._certificates.Renew(pb.RenewRequest(csr=csr_pem), timeout=self._timeout_s)
            return convert.parse_grant_message(answer)

    def __enter__(self) -> GrpcLink:
        """Return the link."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the channel."""
        self._channel.close()

    def get_log(self, start: int, max_entries: int) -> convert.LogPage:
        """Read the log from a position on."""
        request = pb.GetLogRequest(start=start, max_entries=max_entries)
        with self._calling("GetLog"):
            return convert.parse_log_page(self._log.GetLog(request, timeout=self._timeout_s))

    def list_proposals(self) -> Sequence[convert.Proposal]:
        """List rosters that wait for signatures."""
        with self._calling("ListProposals"):
            request = pb.ListProposalsRequest()
            return convert.parse_proposals(self._auditor.ListProposals(request, timeout=self._timeout_s))

    def sign_roster(self, digest: bytes, line: str) -> bool:
        """Add this auditor's signature line to a waiting roster."""
        request = pb.SignRosterRequest(digest=digest, signature=line)
        with self._calling("SignRoster"):
            return bool(self._auditor.SignRoster(request, timeout=self._timeout_s).is_logged)

    def submit_cosignature(self, size: int, line: str) -> None:
        """Add a witness cosignature to the checkpoint of a size."""
        request = pb.SubmitCosignatureRequest(size=size, cosignature=line)
        with self._calling("SubmitCosignature"):
            self._auditor.SubmitCosignature(request, timeout=self._timeout_s)

    def submit_statement(self, entry: bytes, body: bytes) -> int:
        """Log a statement signed by this auditor."""
        request = pb.SubmitStatementRequest(entry=entry, body=body)
        with self._calling("SubmitStatement"):
            return int(self._auditor.SubmitStatement(request, timeout=self._timeout_s).index)

    def submit_opening(self, entry: bytes, sums: Sequence[bytes]) -> int:
        """Log an opening and hand over its sums."""
        request = pb.SubmitOpeningRequest(entry=entry, sums=sums)
        with self._calling("SubmitOpening"):
            return int(self._auditor.SubmitOpening(request, timeout=self._timeout_s).index)

    def get_boxes(self, round_id: bytes) -> Iterable[tuple[bytes, bytes]]:
        """Stream this auditor's sealed boxes of a round."""
        request = pb.GetBoxesRequest(round_id=round_id)
        with self._calling("GetBoxes"):
            for message in self._auditor.GetBoxes(request, timeout=self._timeout_s):
                yield convert.parse_box(message)

    def get_vectors(self, round_id: bytes) -> Iterable[tuple[bytes, bytes]]:
        """Stream the masked vectors of the closed set."""
        request = pb.GetVectorsRequest(round_id=round_id)
        with self._calling("GetVectors"):
            for message in self._auditor.GetVectors(request, timeout=self._timeout_s):
                yield convert.parse_vector_message(message)

    def get_sums(self, round_id: bytes) -> Iterable[tuple[str, int, bytes]]:
        """Stream the mask sums of a released round."""
        request = pb.GetSumsRequest(round_id=round_id)
        with self._calling("GetSums"):
            for message in self._auditor.GetSums(request, timeout=self._timeout_s):
                yield convert.parse_sum_message(message)

    @contextmanager
    def _calling(self, method: str) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as err:
            raise self._link_error(method, err) from err
        except ConvertError as err:
            raise LinkError(
                "malformed",
                phrase(
                    "%(method)s: the coordinator's answer is malformed (%(reason)s)",
                    method=method,
                    reason=err,
                ),
                is_temporary=False,
            ) from err

    def _link_error(self, method: str, err: grpc.RpcError) -> LinkError:
        call = cast(grpc.Call, err)  # what a stub raises is both
        code, detail = call.code(), str(call.details())
        words = [str(value) for key, value in call.trailing_metadata() or () if key == CODE_KEY]
        shown: Phrase = phrase("%(detail)s", detail=detail)
        if code is grpc.StatusCode.UNAVAILABLE:
            shown = phrase(
                "no answer from %(address)s: is the coordinator running, is the port open, and is this "
                "auditor's certificate still valid? (%(detail)s)",
                address=self._address,
                detail=detail,
            )
        word = words[0] if words else code.name.lower().replace("_", "-")
        return LinkError(
            word,
            phrase("%(method)s: %(what)s", method=method, what=shown),
            is_temporary=code in _TEMPORARY,
        )


def connect(config: AuditorConfig, tls: TlsFiles) -> GrpcLink:
    """Open a link to the coordinator that the configuration names."""
    return GrpcLink(config, tls)


__all__ = ["GrpcLink", "connect"]
