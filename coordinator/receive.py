"""Take one school's report: check everything, store it and log it in one commit, answer.

Order, for one (round, node, attempt):

1. The certificate's node id is the one that the header names.
2. Is the slot taken? The same bytes get the same receipt, other bytes are refused for ever.
3. The round is known, approved, within its window and not past its candidates.
4. The length is exactly the plan's; vector and boxes are those that the header names; every
   element is canonical.
5. Under the write lock the ledger checks header, signature, attempt and predecessor; then
   entry, vector and boxes are one transaction, on disk before the answer.

The receipt is a tlog-proof with the log's signature. In DAP's words: the Leader's upload step.
"""

from __future__ import annotations

import hashlib
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from coordinator import schema
from coordinator.errors import (
    AlreadyReportedError,
    ElementRangeError,
    IdentityMismatchError,
    NotRosteredError,
    ReportLengthError,
    ReportRefusedError,
    RoundClosedError,
    RoundExpiredError,
    RoundNotOpenError,
    StatementRefusedError,
)
from coordinator.log_book import LogBook, View
from crypto.errors import CryptoError, FieldRangeError
from crypto.field64 import parse_vector
from crypto.note import parse_note
from plan.errors import phrase
from protos.errors import PayloadError, ProtocolError
from protos.report_payload import ReportPayload, note_of, parse_payload, verify_contents
from protos.round_log import RoundLog
from protos.statements import Report, digest, parse_statement

_TABLE = schema.reports
_SLOT = sa.select(_TABLE.c.position, _TABLE.c.payload_sha256).where(
    _TABLE.c.round == sa.bindparam("at_round"),
    _TABLE.c.node == sa.bindparam("at_node"),
    _TABLE.c.attempt == sa.bindparam("at_attempt"),
)
_INSERT_REPORT, _INSERT_BOXES = sa.insert(_TABLE), sa.insert(schema.boxes)


def receive_report(book: LogBook, node_id: str, data: bytes) -> bytes:
    """Take a report payload from a node; return its receipt.

    Args:
        book: the log and database.
        node_id: from the caller's certificate.
        data: the payload (``protos.report_payload``).

    Raises:
        CoordinatorError: one class for each cause, see the module's list; nothing has changed.
    """
    text, report = _header(data)
    if report.node != node_id:
        raise IdentityMismatchError(
            phrase(
                "certificate of node %(node_id)s, report of node %(node)s", node_id=node_id, node=report.node
            )
        )
    payload_sha256 = hashlib.sha256(data).digest()
    with book.reading() as view:
        position = _taken_slot(view.connection, report, payload_sha256)
        if position is not None:
            return book.receipt(view.ledger, position)
        round_log = view.round(report.round)
        _check_round(view, round_log, report)
        sizes = round_log.terms.cells, round_log.box_bytes, round_log.num_auditors
    payload = _check_contents(data, report, *sizes)
    with book.writing("append report") as view:
        position = _taken_slot(view.connection, report, payload_sha256)
        if position is None:
            _check_window(view.round(report.round), view.now)
            position = _store(view, report, digest(text), payload, payload_sha256)
        ledger = view.ledger
    return book.receipt(ledger, position)


def _header(data: bytes) -> tuple[str, Report]:
    try:
        text = parse_note(note_of(data)).text
        report = parse_statement(text)
    except (ProtocolError, CryptoError) as err:
        raise ReportRefusedError(phrase("report header: %(reason)s", reason=err)) from err
    if not isinstance(report, Report):
        raise ReportRefusedError(
            phrase("report header: expected a report, found a %(type)s", type=report.TYPE)
        )
    return text, report


def _taken_slot(connection: Connection, report: Report, payload_sha256: bytes) -> int | None:
    key = {"at_round": report.round, "at_node": report.node, "at_attempt": report.attempt}
    row = connection.execute(_SLOT, key).first()
    if row is None:
        return None
    if row.payload_sha256 != payload_sha256:
        raise AlreadyReportedError(
            phrase(
                "node %(node)s, attempt %(attempt)s: other bytes stand in the log; a correction "
                "is a new attempt",
                node=report.node,
                attempt=report.attempt,
            )
        )
    return int(row.position)


def _check_round(view: View, round_log: RoundLog, report: Report) -> None:
    if round_log.roster.node(report.node) is None or report.node in view.ledger.revoked_nodes:
        raise NotRosteredError(
            phrase("node %(node)s: not in this round's roster, or revoked", node=report.node)
        )
    if not round_log.is_approved:
        raise RoundNotOpenError(phrase("this round waits for its auditors' approvals"))
    if round_log.candidates is not None:
        raise RoundClosedError(phrase("the candidates of this round are fixed; no further report counts"))
    _check_window(round_log, view.now)


def _check_window(round_log: RoundLog, now: datetime) -> None:
    if now < round_log.terms.opens:
        raise RoundNotOpenError(
            phrase("this round takes reports from %(opens)s on", opens=round_log.terms.opens.isoformat())
        )
    if now >= round_log.terms.closes:
        raise RoundExpiredError(
            phrase("this round took reports until %(closes)s", closes=round_log.terms.closes.isoformat())
        )


def _check_contents(data: bytes, report: Report, cells: int, box_bytes: int, num_boxes: int) -> ReportPayload:
    try:
        payload = parse_payload(data, cells, box_bytes, num_boxes)
    except PayloadError as err:
        raise ReportLengthError(err) from err
    try:
        verify_contents(payload, report)
        parse_vector(payload.vector, cells)
    except FieldRangeError as err:
        raise ElementRangeError(
            phrase("report of %(node)s: %(reason)s", node=report.node, reason=err)
        ) from err
    except (PayloadError, CryptoError) as err:
        raise ReportRefusedError(
            phrase("report of %(node)s: %(reason)s", node=report.node, reason=err)
        ) from err
    return payload


def _store(
    view: View, report: Report, text_digest: bytes, payload: ReportPayload, payload_sha256: bytes
) -> int:
    try:
        position = view.append(payload.note, b"")
    except StatementRefusedError as err:
        raise ReportRefusedError(
            phrase("report of %(node)s: %(reason)s", node=report.node, reason=err)
        ) from err
    row = {
        "round": report.round,
        "node": report.node,
        "attempt": report.attempt,
        "position": position,
        "digest": text_digest,
        "payload_sha256": payload_sha256,
        "vector": payload.vector,
    }
    view.connection.execute(_INSERT_REPORT, row)
    boxes = [
        {"round": report.round, "position": position, "auditor": auditor, "box": box}
        for (auditor, _), box in zip(report.boxes, payload.boxes, strict=True)
    ]
    view.connection.execute(_INSERT_BOXES, boxes)
    return position
