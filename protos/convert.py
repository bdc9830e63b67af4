"""gRPC messages to own values and back: every length, range and encoding check is here.

Nothing else than this module, ``service.py`` and ``client.py`` touches protobuf messages. What
passes here is well-formed; whether it is true is checked where statements are read.
"""

from __future__ import annotations

from dataclasses import dataclass

from protos import fedscreen_v1_pb2 as pb
from protos.errors import ConvertError
from protos.fields import ID_PATTERN
from protos.statements import MAX_AUDITORS, MAX_BODY_BYTES, MAX_CELLS, MAX_ENTRY_BYTES

MAX_PAGE_ENTRIES = 1024
MAX_PAGE_BYTES = 3 * 1024 * 1024
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_CHECKPOINT_BYTES = 8 * 1024
MAX_LINE_BYTES = 1024
MAX_PAYLOAD_BYTES = 16 * 1024 * 1024
MAX_RECEIPT_BYTES = 16 * 1024
MAX_BOX_BYTES = 8 * 1024
MAX_PROPOSALS = 64
DIGEST_BYTES = 32
CELL_BYTES = 8


@dataclass(frozen=True, slots=True)
class LogPage:
    """A piece of the log: (entry, body) pairs from `start` on, and the newest checkpoints.

    `latest` is log-signed with the cosignatures it has so far; `cosigned` has a quorum, or is empty.
    """

    start: int
    entries: tuple[tuple[bytes, bytes], ...]
    latest: bytes
    cosigned: bytes


@dataclass(frozen=True, slots=True)
class Proposal:
    """A roster that waits for signatures: text, body, the signature lines so far."""

    text: str
    body: bytes
    signatures: tuple[str, ...]


def _size(value: bytes | str, low: int, high: int, what: str) -> None:
    if not low <= len(value) <= high:
        raise ConvertError(f"{what}: {len(value)} bytes, expected {low} to {high}")


def _digest(value: bytes, what: str) -> bytes:
    _size(value, DIGEST_BYTES, DIGEST_BYTES, what)
    return value


def _line(value: str, what: str) -> str:
    _size(value, 1, MAX_LINE_BYTES, what)
    if "\n" in value:
        raise ConvertError(f"{what}: expected one line")
    return value


def parse_get_log_request(message: pb.GetLogRequest) -> tuple[int, int]:
    """Read (start, max_entries); the latter is cut to what one page may hold."""
    if message.max_entries < 1:
        raise ConvertError("max_entries: expected at least 1")
    return message.start, min(message.max_entries, MAX_PAGE_ENTRIES)


def encode_log_page(page: LogPage) -> pb.GetLogResponse:
    """Write a page of the log."""
    entries = [pb.LogEntry(entry=entry, body=body) for entry, body in page.entries]
    return pb.GetLogResponse(start=page.start, entries=entries, latest=page.latest, cosigned=page.cosigned)


def parse_log_page(message: pb.GetLogResponse) -> LogPage:
    """Read a page of the log."""
    _size(message.latest, 0, MAX_CHECKPOINT_BYTES, "latest")
    _size(message.cosigned, 0, MAX_CHECKPOINT_BYTES, "cosigned")
    if len(message.entries) > MAX_PAGE_ENTRIES:
        raise ConvertError(f"entries: {len(message.entries)}, at most {MAX_PAGE_ENTRIES}")
    for row in message.entries:
        _size(row.entry, 1, MAX_ENTRY_BYTES, "entry")
        _size(row.body, 0, MAX_BODY_BYTES, "body")
    entries = tuple((row.entry, row.body) for row in message.entries)
    return LogPage(message.start, entries, message.latest, message.cosigned)


def parse_submit_report_request(message: pb.SubmitReportRequest) -> bytes:
    """Read a report payload's bytes; its exact length is checked against the round later."""
    _size(message.payload, 1, MAX_PAYLOAD_BYTES, "payload")
    return message.payload


def parse_submit_report_response(message: pb.SubmitReportResponse) -> bytes:
    """Read a receipt's bytes."""
    _size(message.receipt, 1, MAX_RECEIPT_BYTES, "receipt")
    return message.receipt


def encode_proposals(proposals: tuple[Proposal, ...]) -> pb.ListProposalsResponse:
    """Write the waiting rosters."""
    rows = [
        pb.Proposal(text=row.text.encode(), body=row.body, signatures=row.signatures) for row in proposals
    ]
    return pb.ListProposalsResponse(proposals=rows)


def parse_proposals(message: pb.ListProposalsResponse) -> tuple[Proposal, ...]:
    """Read the waiting rosters."""
    if len(message.proposals) > MAX_PROPOSALS:
        raise ConvertError(f"proposals: {len(message.proposals)}, at most {MAX_PROPOSALS}")
    return tuple(_parse_proposal(row) for row in message.proposals)


def _parse_proposal(row: pb.Proposal) -> Proposal:
    _size(row.text, 1, MAX_ENTRY_BYTES, "proposal text")
    _size(row.body, 1, MAX_BODY_BYTES, "proposal body")
    if len(row.signatures) > 2 * MAX_AUDITORS + 1:
        raise ConvertError(f"signatures: {len(row.signatures)}, at most {2 * MAX_AUDITORS + 1}")
    try:
        text = row.text.decode("utf-8")
    except UnicodeDecodeError as err:
        raise ConvertError("proposal text: expected UTF-8") from err
    return Proposal(text, row.body, tuple(_line(line, "signature") for line in row.signatures))


def parse_sign_roster_request(message: pb.SignRosterRequest) -> tuple[bytes, str]:
    """Read (roster digest, signature line)."""
    return _digest(message.digest, "digest"), _line(message.signature, "signature")


def parse_submit_cosignature_request(message: pb.SubmitCosignatureRequest) -> tuple[int, str]:
    """Read (tree size, cosignature line)."""
    if message.size < 1:
        raise ConvertError("size: expected at least 1")
    return message.size, _line(message.cosignature, "cosignature")


def parse_submit_statement_request(message: pb.SubmitStatementRequest) -> tuple[bytes, bytes]:
    """Read (entry, body)."""
    _size(message.entry, 1, MAX_ENTRY_BYTES, "entry")
    _size(message.body, 0, MAX_BODY_BYTES, "body")
    return message.entry, message.body


def parse_submit_opening_request(message: pb.SubmitOpeningRequest) -> tuple[bytes, tuple[bytes, ...]]:
    """Read (entry, encoded sums); their exact size and digests are checked against the round later."""
    _size(message.entry, 1, MAX_ENTRY_BYTES, "entry")
    if not 1 <= len(message.sums) <= 2**MAX_AUDITORS:
        raise ConvertError(f"sums: {len(message.sums)}, expected 1 to {2**MAX_AUDITORS}")
    for row in message.sums:
        _check_vector(row, "sum")
    return message.entry, tuple(message.sums)


def _check_vector(value: bytes, what: str) -> bytes:
    _size(value, CELL_BYTES, CELL_BYTES * MAX_CELLS, what)
    if len(value) % CELL_BYTES:
        raise ConvertError(f"{what}: {len(value)} bytes, expected a multiple of {CELL_BYTES}")
    return value


def parse_round_request(
    message: pb.GetBoxesRequest | pb.GetVectorsRequest | pb.GetSumsRequest,
) -> bytes:
    """Read the round id of a request for boxes, vectors or sums."""
    return _digest(message.round_id, "round_id")


def parse_box(message: pb.GetBoxesResponse) -> tuple[bytes, bytes]:
    """Read (report digest, box)."""
    _size(message.box, 1, MAX_BOX_BYTES, "box")
    return _digest(message.report, "report"), message.box


def parse_vector_message(message: pb.GetVectorsResponse) -> tuple[bytes, bytes]:
    """Read (report digest, encoded vector)."""
    return _digest(message.report, "report"), _check_vector(message.vector, "vector")


def parse_sum_message(message: pb.GetSumsResponse) -> tuple[str, int, bytes]:
    """Read (auditor, subset, encoded sum)."""
    if not ID_PATTERN.match(message.auditor) or not 1 <= message.subset < 2**MAX_AUDITORS:
        raise ConvertError("sum: expected an auditor's id and a subset")
    return message.auditor, message.subset, _check_vector(message.sum, "sum")


MAX_REQUEST_FILE_BYTES = 256 * 1024
MAX_CSR_BYTES = 16 * 1024
MAX_TOKEN_CHARS = 64


def parse_renew_request(message: pb.RenewRequest) -> str:
    """Read the signing request of a renewal."""
    _size(message.csr, 1, MAX_CSR_BYTES, "csr")
    return message.csr


def parse_enrol_request(message: pb.EnrolRequest) -> tuple[str, bytes]:
    """Read (token, request file) of an enrolment online."""
    _size(message.token, 1, MAX_TOKEN_CHARS, "token")
    _size(message.request, 1, MAX_REQUEST_FILE_BYTES, "request")
    return message.token, message.request


def parse_grant_message(message: pb.RenewResponse | pb.EnrolResponse) -> bytes:
    """Read the grant file of an answer."""
    _size(message.grant, 1, MAX_REQUEST_FILE_BYTES, "grant")
    return message.grant
