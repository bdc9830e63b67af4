"""Files on a stick instead of gRPC, for nodes without a network: the log out, reports in, receipts out.

| gRPC | file |
| --- | --- |
| `GetLog` | `log_file`: the cosigned log with its bodies (``protos.log_file``) |
| `SubmitReport`, the payload | the same bytes, one file a report |
| `SubmitReport`, the receipt | the same bytes, one file a report |

A report file goes through the same ``Receiver``: every check is the same one. Only step 1, the
certificate's node id, has no certificate to read; the id is taken from the header itself. Nothing
is lost by that, for the certificate is not what a report is believed for:

1. The ledger takes a header only with exactly one good signature, by the report key that the
   plan's roster gives that node (``protos.ledger``); the header names round, attempt, vector and
   boxes by digest. Whoever carries the file cannot change a bit, nor make one for another node.
2. The same bytes are the same report whoever brings them: a copied or stolen file puts into the log
   what the school has released, in its own slot, once.
3. A node that must not report any more is revoked in the log, which both ways ask.

So an expired, lost or not yet renewed certificate does not stop a file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from coordinator.errors import NotCosignedError, ReportRefusedError
from coordinator.log_book import LogBook
from coordinator.receive import Receiver
from coordinator.witnesses import cosigned_checkpoint
from crypto.checkpoint import parse_checkpoint
from crypto.errors import CryptoError
from crypto.note import cosignature_time, parse_note
from plan.errors import phrase
from protos.entry import parse_entry
from protos.errors import ProtocolError
from protos.ledger import Ledger
from protos.log_file import LogFile
from protos.report_payload import note_of
from protos.statements import Report

RELEASED_WITHIN = timedelta(hours=24)  # a school's own rule: node/vault/check_round.py, check 2


@dataclass(frozen=True, slots=True)
class Receipt:
    """The receipt of one report: which report, and the log-signed tlog-proof that answers it."""

    round_id: bytes
    node: str
    attempt: int
    proof: bytes


def log_file(book: LogBook, federation: str, start: int = 0) -> tuple[LogFile, datetime]:
    """Read the cosigned log from a position on, as one file for nodes; and until when they release with it.

    Args:
        book: the log.
        federation: its id.
        start: position of the first entry; 0 gives the whole log.

    Raises:
        NotCosignedError: no checkpoint has a quorum of cosignatures, or none beyond `start`.
    """
    with book.reading() as view:
        note = cosigned_checkpoint(book, view) if view.has_genesis else b""
        size = parse_checkpoint(parse_note(note).text).size if note else 0
        if not note or start > size:
            raise NotCosignedError(
                phrase(
                    "the auditors have cosigned %(size)s entries, a file from entry %(start)s on would be "
                    "empty; let the auditors' watch run, then export again",
                    size=size,
                    start=start,
                )
            )
        until = cosigned_at(view.ledger, note, size) + RELEASED_WITHIN
        return LogFile(federation, start, tuple(view.entries(start, size)), note), until


def cosigned_at(ledger: Ledger, note: bytes, size: int) -> datetime:
    """Tell when a quorum had signed a cosigned checkpoint, as a node counts it: the q-th newest time."""
    keys = {key.key_id for key in ledger.cosigners_at(size)}
    signatures = [row for row in parse_note(note).signatures if row.key_id in keys]
    newest_first = sorted((cosignature_time(row) for row in signatures), reverse=True)
    return datetime.fromtimestamp(newest_first[ledger.roster_at(size).statement.quorum - 1], UTC)


def take_report_file(receiver: Receiver, data: bytes) -> Receipt:
    """Take a report payload that came as a file; the same bytes again give the same receipt.

    Raises:
        CoordinatorError: as ``Receiver.receive``; nothing has changed.
    """
    report = _header_of(data)
    return Receipt(report.round, report.node, report.attempt, receiver.receive(report.node, data))


def _header_of(data: bytes) -> Report:
    """Read whom a payload's header names; nothing of it is verified here."""
    try:
        statement = parse_entry(note_of(data)).statement
    except (ProtocolError, CryptoError) as err:
        raise _no_report(err) from err
    if not isinstance(statement, Report):
        raise _no_report(statement.TYPE)
    return statement


def _no_report(reason: Exception | str) -> ReportRefusedError:
    return ReportRefusedError(
        phrase(
            "this is no report file, or it was not copied completely (%(reason)s); copy it again from "
            "the school",
            reason=reason,
        )
    )


def receipts(book: LogBook, round_id: bytes) -> Iterator[Receipt]:
    """Give the receipt of every report of a round, ascending by node and attempt.

    Raises:
        UnknownRoundError: the log has no such plan.
    """
    with book.reading() as view:
        reports = view.round(round_id).reports
        places = [(slot, reports.position_of(slot)) for slot in sorted(reports)]
        ledger = view.ledger
    for (node, attempt), position in places:
        yield Receipt(round_id, node, attempt, book.receipt(ledger, position))
