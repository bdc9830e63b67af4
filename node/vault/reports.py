"""The reports that this node has released, and where each of them stands.

States of a report: ``waiting`` (to be sent, or sent and not seen in the log) → ``logged`` (seen there) →
``cosigned`` (below a checkpoint that a quorum of auditors cosigned) → closed: ``in-set``, ``excluded`` or
``superseded`` → ``released``. A report is ``dead`` when it can never be logged any more: the candidates
are fixed, the round is abandoned, or the log has another report of this node under the same attempt (a backup
was restored).

At most one report waits at a time: a header names this node's previous report in the log, so a second one
before the first is logged could name a report that never gets there, and would then be stuck itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from node.vault.mirror import Mirror
from node.vault.store import VaultStore
from protos.ledger import Logged, RoundLog, RoundState
from protos.statements import Report


class ReportState(Enum):
    """Where a stored report stands."""

    WAITING = "waiting"
    LOGGED = "logged"
    COSIGNED = "cosigned"
    IN_SET = "in-set"
    EXCLUDED = "excluded"
    SUPERSEDED = "superseded"
    RELEASED = "released"
    DEAD = "dead"


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A released report as it stands in the store.

    Attributes:
        round_id, attempt: which report.
        set_id: the records it was counted from.
        tag: xm; tells tables apart, never leaves.
        digest: SHA-256 of the header's text.
        journal_seq: its record in the journal.
        released, released_by: when and by whom.
    """

    round_id: bytes
    attempt: int
    set_id: int
    tag: bytes = field(repr=False)
    digest: bytes
    journal_seq: int
    released: str
    released_by: str


_SELECT = "SELECT round, attempt, set_id, tag, digest, journal_seq, released, released_by FROM report"


def _read(row: tuple[Any, ...]) -> StoredReport:
    round_id, attempt, set_id, tag, digest, journal_seq, released, released_by = row
    return StoredReport(
        bytes(round_id), attempt, set_id, bytes(tag), bytes(digest), journal_seq, released, released_by
    )


def all_reports(store: VaultStore) -> list[StoredReport]:
    """List every stored report, oldest first."""
    return [_read(row) for row in store.query(_SELECT + " ORDER BY journal_seq")]


def reports_of(store: VaultStore, round_id: bytes) -> list[StoredReport]:
    """List the stored reports of a round by attempt."""
    return [_read(row) for row in store.query(_SELECT + " WHERE round = ? ORDER BY attempt", (round_id,))]


def payload_of(store: VaultStore, report: StoredReport) -> bytes:
    """Read the stored bytes of a report: what is sent, every time the same."""
    row = store.one(
        "SELECT payload FROM report WHERE round = ? AND attempt = ?", (report.round_id, report.attempt)
    )
    return b"" if row is None or row[0] is None else bytes(row[0])


def add_report(store: VaultStore, report: StoredReport, payload: bytes) -> None:
    """Store a report with its bytes, inside the caller's transaction; this is the outbox too."""
    store.execute(
        "INSERT INTO report (round, attempt, set_id, tag, digest, payload, journal_seq, released,"
        " released_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            report.round_id,
            report.attempt,
            report.set_id,
            report.tag,
            report.digest,
            payload,
            report.journal_seq,
            report.released,
            report.released_by,
        ),
    )


def find_logged(mirror: Mirror, report: StoredReport, node: str) -> Logged[Report] | None:
    """Find exactly this report in the log."""
    round_log = mirror.ledger.rounds.get(report.round_id)
    logged = round_log.reports.get((node, report.attempt)) if round_log else None
    return logged if logged is not None and logged.digest == report.digest else None


def state_of(mirror: Mirror, report: StoredReport, node: str) -> ReportState:
    """Tell where a report stands, by this node's copy of the log."""
    round_log = mirror.ledger.rounds.get(report.round_id)
    if round_log is None:
        return ReportState.WAITING
    logged = find_logged(mirror, report, node)
    if logged is None:
        is_taken = (node, report.attempt) in round_log.reports
        is_over = round_log.candidates is not None or round_log.is_dead
        return ReportState.DEAD if is_taken or is_over else ReportState.WAITING
    closed = _state_in_close(round_log, report)
    if closed is not None:
        return closed
    return ReportState.COSIGNED if logged.index < mirror.trusted_size else ReportState.LOGGED


def waiting_report(store: VaultStore, mirror: Mirror, node: str) -> StoredReport | None:
    """Find the report that is on its way and not yet seen in the log."""
    return next(
        (row for row in all_reports(store) if state_of(mirror, row, node) is ReportState.WAITING), None
    )


def unconfirmed_report(store: VaultStore, mirror: Mirror, node: str) -> StoredReport | None:
    """Find the oldest report that is not yet seen below a cosigned checkpoint: it is (re-)sent."""
    unconfirmed = (ReportState.WAITING, ReportState.LOGGED)
    return next((row for row in all_reports(store) if state_of(mirror, row, node) in unconfirmed), None)


def _state_in_close(round_log: RoundLog, report: StoredReport) -> ReportState | None:
    if round_log.candidates is not None and report.digest not in {
        name.digest for name in round_log.candidate_names()
    }:
        return ReportState.SUPERSEDED
    body = round_log.close_body()
    if body is None:
        return None
    if report.digest not in {name.digest for name in body.set}:
        return ReportState.EXCLUDED
    return ReportState.RELEASED if round_log.state is RoundState.RELEASED else ReportState.IN_SET
