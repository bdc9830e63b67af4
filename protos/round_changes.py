"""What may change in a round after its plan: a later deadline, its end by the county, its release's standing.

1. ``extension``: the coordinator asks for a later deadline, before the candidates; at most three a round,
   each later than the deadline in force, and at most 60 days after the plan's own.
2. ``extended``: one auditor of the plan grants the newest extension. It is in force with q of them: the
   window is among the terms that the auditors approved, and their round keys live as long as it does.
3. ``cancel``: the county ends a round that has no release. Afterwards nothing follows but votes and
   openings that were signed before, and abandons. With a successor it is a reissue, and only a round
   without reports is reissued.
4. ``correction``: says how a release is to be read since; each names the one before it. A withdrawn
   release stays withdrawn; all that may follow is the round whose numbers take its place.

No number is ever opened anew. Why these rules: docs/adr/0019-changes-of-a-round.md. I/O-free; no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from crypto.note import VerifierKey
from protos.bodies import RosterBody
from protos.errors import LedgerError
from protos.fields import ZERO_DIGEST
from protos.report_table import Logged
from protos.round_log import REVOKED, RoundLog
from protos.statements import Cancel, Correction, Extended, Extension

MAX_EXTENSION = timedelta(days=60)
CANCELLED = "cancelled"
WITHDRAWN = "withdrawn"
Change = Extension | Extended | Cancel | Correction
CHANGES = (Extension, Extended, Cancel, Correction)
_Apply = Callable[[Logged[Any]], None]


def rule_change(
    round_log: RoundLog,
    change: Change,
    rounds: Mapping[bytes, RoundLog],
    revoked_auditors: Mapping[str, int],
    in_force: RosterBody,
) -> tuple[tuple[VerifierKey, ...], _Apply]:
    """Check that a change may come next; give who must have signed it and what it does to the round.

    Args:
        round_log: the round that it names.
        change: the statement.
        rounds: every round of the log by its id.
        revoked_auditors: id → position of the revocation.
        in_force: the roster in force: a release may be corrected years after its plan's keys.

    Raises:
        LedgerError: it may not; the code says why.
    """
    if isinstance(change, Extended):
        return _rule_extended(round_log, change, revoked_auditors)
    coordinator = (round_log.roster.coordinator,)
    if isinstance(change, Extension):
        check_extension(round_log, change)
        return coordinator, round_log.changes.extensions.append
    if isinstance(change, Correction):
        check_correction(round_log, change, rounds)
        return (in_force.coordinator,), round_log.changes.corrections.append
    check_cancel(round_log, change, rounds)
    return coordinator, round_log.changes.end_by


def _rule_extended(
    round_log: RoundLog, granted: Extended, revoked_auditors: Mapping[str, int]
) -> tuple[tuple[VerifierKey, ...], _Apply]:
    auditor = round_log.roster.auditor(granted.auditor)
    if auditor is None or granted.auditor not in round_log.terms.auditors:
        raise LedgerError("not-an-auditor", f"{granted.auditor} is no auditor of this plan")
    if granted.auditor in revoked_auditors:
        raise LedgerError(REVOKED, f"{granted.auditor} is revoked")
    check_extended(round_log, granted)

    def apply(entry: Logged[Any]) -> None:
        round_log.changes.extended.setdefault(granted.extension, {})[granted.auditor] = entry

    return (auditor.statement,), apply


def _check_collecting(round_log: RoundLog) -> None:
    if round_log.changes.cancel is not None:
        raise LedgerError(CANCELLED, "the county has ended this round")
    if round_log.can_never_open:
        raise LedgerError("aborted", "too many auditors have abandoned this round")
    if not round_log.is_approved:
        raise LedgerError("not-approved", "not all auditors of the plan have approved")
    if round_log.candidates is not None:
        raise LedgerError("too-late", "the candidates of this round are fixed")


def check_extension(round_log: RoundLog, extension: Extension) -> None:
    """Check that a later deadline may be asked for."""
    _check_collecting(round_log)
    expected = len(round_log.changes.extensions) + 1
    if extension.serial != expected:
        raise LedgerError("wrong-extension", f"extension {extension.serial}, the next one is {expected}")
    latest = round_log.terms.closes + MAX_EXTENSION
    if not round_log.closes < extension.closes <= latest:
        raise LedgerError(
            "wrong-extension", f"expected a deadline after {round_log.closes} and at most {latest}"
        )


def check_extended(round_log: RoundLog, granted: Extended) -> None:
    """Check that an auditor may grant an extension: the newest, once."""
    _check_collecting(round_log)
    if not round_log.changes.extensions or round_log.changes.extensions[-1].digest != granted.extension:
        raise LedgerError("wrong-extension", "not the newest extension of this round")
    if granted.auditor in round_log.changes.extended.get(granted.extension, {}):
        raise LedgerError("second-extended", f"{granted.auditor} has granted this extension already")
    if granted.auditor in round_log.abandons:
        raise LedgerError("abandoned", f"{granted.auditor} has abandoned this round")


def check_cancel(round_log: RoundLog, cancel: Cancel, rounds: Mapping[bytes, RoundLog]) -> None:
    """Check that the county may end a round: before the release, once; reissued only without reports."""
    if round_log.changes.cancel is not None:
        raise LedgerError("second-cancel", "the county has ended this round already")
    if round_log.release is not None:
        raise LedgerError("too-late", "this round has a release; withdraw that")
    if cancel.close != (round_log.close.digest if round_log.close else ZERO_DIGEST):
        raise LedgerError("wrong-close", "no such close in this round")
    if cancel.successor == ZERO_DIGEST:
        return
    successor = rounds.get(cancel.successor)
    if successor is None or successor.terms.serial <= round_log.terms.serial:
        raise LedgerError("wrong-successor", "the successor is no later round of this log")
    if round_log.reports:
        raise LedgerError("has-reports", "a round that has reports cannot be reissued")


def check_correction(round_log: RoundLog, correction: Correction, rounds: Mapping[bytes, RoundLog]) -> None:
    """Check that a release may be corrected or withdrawn."""
    if round_log.release is None or round_log.release.statement.status != "ok":
        raise LedgerError("not-released", "this round has released no numbers")
    if correction.release != round_log.release.digest:
        raise LedgerError("wrong-release", "not the release of this round")
    last = round_log.changes.corrections[-1].digest if round_log.changes.corrections else ZERO_DIGEST
    if correction.previous != last:
        raise LedgerError("wrong-previous", "the correction does not name the one before it")
    tables = [line.table for line in round_log.terms.noise_lines]
    if list(correction.tables) != [name for name in tables if name in set(correction.tables)]:
        raise LedgerError("wrong-tables", "the tables are not of the plan, each once, in its order")
    if correction.tables and correction.status == WITHDRAWN:
        raise LedgerError("wrong-tables", "a release is withdrawn as a whole")
    _check_replacement(round_log, correction, rounds)


def _check_replacement(round_log: RoundLog, correction: Correction, rounds: Mapping[bytes, RoundLog]) -> None:
    if correction.successor == ZERO_DIGEST:
        if round_log.changes.is_withdrawn:
            raise LedgerError(WITHDRAWN, "this release is withdrawn; only its successor may be named")
        return
    if round_log.changes.is_withdrawn and (correction.status == WITHDRAWN or correction.tables):
        raise LedgerError(WITHDRAWN, "this release is withdrawn; only its successor may be named")
    other = rounds.get(correction.successor)
    is_released = other is not None and other.release is not None and other.release.statement.status == "ok"
    if other is None or not is_released or other.terms.serial <= round_log.terms.serial:
        raise LedgerError("wrong-successor", "the successor is no later round with released numbers")
