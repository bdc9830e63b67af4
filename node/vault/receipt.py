"""Proof for the school that its report stands in the log.

Two kinds are kept. The *immediate* receipt comes with the coordinator's answer: a tlog-proof under a
checkpoint that only the log has signed. The *cosigned* one is made here, from this node's own copy of the
log, once a quorum of auditors has signed; anybody can check it offline with the federation's keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crypto.errors import CryptoError
from crypto.merkle import inclusion_proof
from crypto.note import Note, VerifierKey, encode_note, parse_note
from crypto.tlog_proof import TlogProof, encode_proof, parse_proof, verify_proof
from node.vault.errors import ReceiptError, _
from node.vault.mirror import Mirror
from node.vault.reports import StoredReport, all_reports, find_logged, payload_of, reports_of
from node.vault.store import VaultStore
from protos.errors import PayloadError
from protos.report_payload import note_of

if TYPE_CHECKING:  # a vault that only follows the log gets by without the plan and numpy
    from node.vault.parts import Parts

IMMEDIATE = "immediate"
COSIGNED = "cosigned"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt of one report: ``cosigned`` or ``immediate``, and the tlog-proof's bytes."""

    kind: str
    attempt: int
    proof: bytes


def take_receipt(store: VaultStore, log_keys: Sequence[VerifierKey], data: bytes) -> StoredReport:
    """Verify and keep an immediate receipt, inside the caller's transaction; again changes nothing.

    Args:
        store: the record file.
        log_keys: every log key that the rosters have named so far.
        data: the tlog-proof.

    Raises:
        ReceiptError: no report of this node is what it proves, or the log has not signed it.
    """
    for report in reversed(all_reports(store)):
        entry = _entry_of(store, report)
        if entry and _proves(log_keys, data, entry):
            store.execute(
                "INSERT INTO receipt (report, kind, data) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (report.digest, IMMEDIATE, data),
            )
            return report
    raise ReceiptError(
        _("the receipt proves no report of this node"),
        _("Nothing was changed; the report is sent again by itself until the log has it."),
        code="bad-receipt",
    )


def make_receipt(parts: Parts, round_id: bytes) -> Receipt:
    """Give the best receipt of the newest report of a round: cosigned if there is one.

    Raises:
        ReceiptError: nothing was released, or no receipt has come yet.
    """
    stored = reports_of(parts.store, round_id)
    if not stored:
        raise ReceiptError(
            _("this node has released nothing in round %(round)s…"),
            _("See 'fedscreen node status'."),
            code="no-report",
            details={"round": round_id.hex()[:16]},
        )
    for report in reversed(stored):
        proof = cosigned_proof(parts.mirror, report, parts.identity.node)
        if proof is not None:
            return Receipt(COSIGNED, report.attempt, proof)
    for report in reversed(stored):
        immediate = immediate_receipt(parts.store, report)
        if immediate is not None:
            return Receipt(IMMEDIATE, report.attempt, immediate)
    raise ReceiptError(
        _("the report has not arrived in the log yet"),
        _("Let the node run until 'fedscreen node status' shows it as logged."),
        code="no-receipt",
    )


def cosigned_proof(mirror: Mirror, report: StoredReport, node: str) -> bytes | None:
    """Make the tlog-proof of a report under the newest cosigned checkpoint; None before it is covered."""
    logged, trusted = find_logged(mirror, report, node), mirror.trusted
    if logged is None or trusted is None or logged.index >= trusted.size:
        return None
    hashes = inclusion_proof(mirror.ledger.leaves, logged.index, trusted.size)
    return encode_proof(TlogProof(logged.index, hashes, trusted.note))


def immediate_receipt(store: VaultStore, report: StoredReport) -> bytes | None:
    """Read the receipt that came with the coordinator's answer; None if none has come."""
    row = store.one("SELECT data FROM receipt WHERE report = ? AND kind = ?", (report.digest, IMMEDIATE))
    return None if row is None else bytes(row[0])


def _entry_of(store: VaultStore, report: StoredReport) -> bytes:
    """The log entry that this report becomes: its header note, byte for byte."""
    try:
        note: Note = parse_note(note_of(payload_of(store, report)))
    except (CryptoError, PayloadError):
        return b""
    return encode_note(note)


def _proves(log_keys: Sequence[VerifierKey], data: bytes, entry: bytes) -> bool:
    for key in log_keys:
        try:
            verify_proof(parse_proof(data), entry, key, (), 0)
        except CryptoError:
            continue
        return True
    return False
