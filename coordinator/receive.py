"""Take one school's report: check everything, store it and log it in one commit, answer.

Reports that wait at the same moment are one group (``coordinator.group_commit``): checked one
after the other by one thread, committed together, answered after the commit. Order, for one
(round, node, attempt):

1. The certificate's node id is the one that the header names.
2. Before the write lock: the length is exactly the plan's; vector and boxes are those that the
   header names; every element is canonical; the header's signature is verified.
3. Under the write lock: is the slot taken? The same bytes get the same receipt, other bytes are
   refused for ever. The round is approved, within its window and not past its candidates. The
   ledger checks roster, signature, attempt and predecessor.
4. Entries, vectors and boxes are one transaction, on disk before any of them is answered.

A header names the digest of everything else in its payload, so two payloads of the round's
length with the same header and right contents are the same bytes. A payload that fails step 2
is told first what step 3 would have told it. The receipt is a tlog-proof with the log's
signature. In DAP's words: the Leader's upload step.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from coordinator import schema
from coordinator.errors import (
    AlreadyReportedError,
    CoordinatorError,
    ElementRangeError,
    IdentityMismatchError,
    NotRosteredError,
    ReportLengthError,
    ReportRefusedError,
    RoundClosedError,
    RoundExpiredError,
    RoundNotOpenError,
    StatementRefusedError,
    StoreAwayError,
    StoreError,
)
from coordinator.group_commit import GroupCommit
from coordinator.log_book import LogBook, View
from coordinator.prepared import insert_row_once
from coordinator.retention import UNUSED, is_deleted
from crypto.errors import CryptoError, FieldRangeError
from crypto.field64 import verify_encoded
from crypto.merkle import leaf_hash
from plan.errors import phrase
from protos.entry import Entry, parse_entry
from protos.errors import LedgerError, PayloadError, ProtocolError
from protos.ledger import Ledger
from protos.report_payload import ReportPayload, note_of, parse_payload, verify_contents
from protos.round_log import RoundLog, RoundState
from protos.statements import Report

TRIES = 3
_INSERT_VECTOR = insert_row_once(schema.vectors)
_INSERT_BOXES = insert_row_once(schema.boxes)


@dataclass(frozen=True, slots=True)
class _Arrived:
    """A payload as it came, and the node id of the certificate that it came with."""

    node_id: str
    data: bytes


@dataclass(frozen=True, slots=True)
class _Checked:
    """A report that waits for the write lock: its header and what it names, compared."""

    entry: Entry
    report: Report
    payload: ReportPayload


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a report stands in a log that is on disk."""

    ledger: Ledger
    position: int


class Receiver:
    """Takes reports for one log; threads share it."""

    def __init__(self, book: LogBook) -> None:
        self._book = book
        self._commits: GroupCommit[_Arrived, bytes] = GroupCommit(self._commit)

    def receive(self, node_id: str, data: bytes) -> bytes:
        """Take a report payload from a node; return its receipt.

        Args:
            node_id: from the caller's certificate.
            data: the payload (``protos.report_payload``).

        Raises:
            CoordinatorError: one class for each cause, see the module's list; nothing has changed.
        """
        return self._commits.submit(_Arrived(node_id, data))

    def _commit(self, group: Sequence[_Arrived]) -> list[bytes | Exception]:
        checked = [self._check(arrived) for arrived in group]
        if all(isinstance(row, CoordinatorError) for row in checked):
            return [row for row in checked if isinstance(row, CoordinatorError)]
        placed = self._place(checked)
        newest = max((row for row in placed if isinstance(row, _Place)), key=_position, default=None)
        if newest is not None:
            self._book.note_signed(newest.ledger, newest.position + 1)  # once for all receipts of the group
        return [
            self._book.receipt(row.ledger, row.position) if isinstance(row, _Place) else row for row in placed
        ]

    def _place(self, checked: Sequence[_Checked | CoordinatorError]) -> list[_Place | CoordinatorError]:
        """Append what may be appended, in one commit.

        A commit that was cut off has happened or has not: the same again finds out, and ends the same way.
        """
        for tries_left in reversed(range(TRIES)):
            try:
                with self._book.writing("append report") as view:
                    return [_take(view, row) if isinstance(row, _Checked) else row for row in checked]
            except StoreAwayError:
                if not tries_left:
                    raise
        raise StoreError(phrase("database: cannot be reached"))

    def _check(self, arrived: _Arrived) -> _Checked | CoordinatorError:
        try:
            entry, report = _header(arrived.data)
            _check_identity(arrived.node_id, report)
            round_log = self._book.round_terms(report.round)
            try:
                payload = _check_contents(arrived.data, report, round_log)
            except CoordinatorError:
                self._check_state(report)
                raise
        except CoordinatorError as err:
            return err
        _verify_early(entry, report, round_log)
        return _Checked(entry, report, payload)

    def _check_state(self, report: Report) -> None:
        """Raise what is wrong with a report's slot or round, whatever its contents are."""
        with self._book.reading() as view:
            round_log = view.round(report.round)
            if (report.node, report.attempt) in round_log.reports:
                raise _other_bytes(report)
            _check_round(view, round_log, report)


def _position(place: _Place) -> int:
    return place.position


def _take(view: View, checked: _Checked) -> _Place | CoordinatorError:
    """Give a report its place, the old one or a new one, or what refuses it."""
    report = checked.report
    try:
        round_log = view.round(report.round)
        slot = report.node, report.attempt
        if slot in round_log.reports:
            position = round_log.reports.position_of(slot)
            if view.ledger.leaves[position] != leaf_hash(checked.entry.data):
                return _other_bytes(report)
            _store_again(view, round_log, checked, position)
        else:
            _check_round(view, round_log, report)
            position = _store(view, checked)
    except CoordinatorError as err:
        return err
    return _Place(view.ledger, position)


def _header(data: bytes) -> tuple[Entry, Report]:
    try:
        entry = parse_entry(note_of(data))
    except (ProtocolError, CryptoError) as err:
        reason = err.__cause__ if isinstance(err, LedgerError) and err.__cause__ else err
        raise ReportRefusedError(phrase("report header: %(reason)s", reason=reason)) from err
    report = entry.statement
    if not isinstance(report, Report):
        raise ReportRefusedError(
            phrase("report header: expected a report, found a %(type)s", type=report.TYPE)
        )
    return entry, report


def _check_identity(node_id: str, report: Report) -> None:
    if report.node != node_id:
        raise IdentityMismatchError(
            phrase(
                "certificate of node %(node_id)s, report of node %(node)s", node_id=node_id, node=report.node
            )
        )


def _verify_early(entry: Entry, report: Report, round_log: RoundLog) -> None:
    """Verify the signature before the lock; what does not hold is for the ledger to refuse."""
    node = round_log.roster.node(report.node)
    if node is not None:
        with suppress(LedgerError):
            entry.verify_signers((node.report,))


def _other_bytes(report: Report) -> AlreadyReportedError:
    return AlreadyReportedError(
        phrase(
            "node %(node)s, attempt %(attempt)s: other bytes stand in the log; a correction is a new attempt",
            node=report.node,
            attempt=report.attempt,
        )
    )


def _check_round(view: View, round_log: RoundLog, report: Report) -> None:
    if round_log.roster.node(report.node) is None or report.node in view.ledger.revoked_nodes:
        raise NotRosteredError(
            phrase("node %(node)s: not in this round's roster, or revoked", node=report.node)
        )
    if not round_log.is_approved:
        raise RoundNotOpenError(phrase("this round waits for its auditors' approvals"))
    if round_log.candidates is not None:
        raise RoundClosedError(phrase("the candidates of this round are fixed; no further report counts"))
    if round_log.changes.cancel is not None:
        raise RoundClosedError(phrase("the county has ended this round; no report is taken any more"))
    _check_window(round_log, view.now)


def _check_window(round_log: RoundLog, now: datetime) -> None:
    if now < round_log.terms.opens:
        raise RoundNotOpenError(
            phrase("this round takes reports from %(opens)s on", opens=round_log.terms.opens.isoformat())
        )
    if now >= round_log.closes:
        raise RoundExpiredError(
            phrase("this round took reports until %(closes)s", closes=round_log.closes.isoformat())
        )


def _check_contents(data: bytes, report: Report, round_log: RoundLog) -> ReportPayload:
    terms = round_log.terms
    try:
        payload = parse_payload(data, terms.num_elements, round_log.box_bytes, round_log.num_auditors)
    except PayloadError as err:
        raise ReportLengthError(err) from err
    try:
        verify_contents(payload, report, terms.num_vectors)
        verify_encoded(payload.vector, terms.num_elements)
    except FieldRangeError as err:
        raise ElementRangeError(
            phrase("report of %(node)s: %(reason)s", node=report.node, reason=err)
        ) from err
    except (PayloadError, CryptoError) as err:
        raise ReportRefusedError(
            phrase("report of %(node)s: %(reason)s", node=report.node, reason=err)
        ) from err
    return payload


def _store(view: View, checked: _Checked) -> int:
    report = checked.report
    try:
        position = view.append(checked.entry, b"")
    except StatementRefusedError as err:
        raise ReportRefusedError(
            phrase("report of %(node)s: %(reason)s", node=report.node, reason=err)
        ) from err
    _store_contents(view, checked, position)
    return position


def _store_contents(view: View, checked: _Checked, position: int) -> None:
    report, payload = checked.report, checked.payload
    view.insert(_INSERT_VECTOR, report.vector, payload.vector)
    view.insert(_INSERT_BOXES, report.round, position, b"".join(payload.boxes))


def _store_again(view: View, round_log: RoundLog, checked: _Checked, position: int) -> None:
    """Put back what the database has lost: after a repair from the log it knows a report's header only."""
    is_over = round_log.state in (RoundState.RELEASED, RoundState.ABORTED)
    if not is_over and not is_deleted(view, round_log.round_id, UNUSED):
        _store_contents(view, checked, position)
