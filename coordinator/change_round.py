"""What the county may change in a round after its plan: deadline, plan, end, and how the release is read.

1. `request_extension`: logs a later deadline that the auditors are asked for; it holds with q grants.
   Only while the round still takes reports, or misses them: a round that has ended stays ended.
2. `reissue`: logs another plan (trust tuple, auditors, window; the tables stay) and ends the old round in
   the same transaction, with the new one as its successor. Only before any report.
3. `cancel_round`: logs that there will be no release. What schools have been charged stays charged until q
   auditors have abandoned, which they do by themselves when they read it.
4. `leave_out_checks`: lets the close be made without the checks of auditors that refuse too much; not
   logged itself: the close names whose checks it is made of.
5. `correct_release`: logs that a release is corrected or withdrawn; numbers are never opened anew.

Each is idempotent: asked again with the same words it finds what stands in the log.
Rules: ``protos.round_changes``. Why: docs/adr/0019-changes-of-a-round.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from coordinator import schema
from coordinator.config import Config
from coordinator.errors import (
    ExtensionRefusedError,
    HasReportsError,
    NotReleasedError,
    PlanRefusedError,
    RoundEndedError,
    RoundNotOpenError,
    StatementRefusedError,
    UnknownRoundError,
)
from coordinator.home import Home
from coordinator.log_book import LogBook, View, sign_entry
from coordinator.plan_view import published_plan
from coordinator.publish_plan import append_plan
from coordinator.round import Finished, Reason, Wait
from coordinator.store import insert_once
from coordinator.surroundings import action_of
from crypto.note import VerifierKey
from plan.document import PlanDocument
from plan.errors import PlanError, phrase
from protos.errors import ProtocolError
from protos.fields import ZERO_DIGEST
from protos.round_changes import MAX_EXTENSION
from protos.round_log import RoundLog
from protos.statement_base import MAX_EXTENSIONS
from protos.statements import Cancel, Correction, Extension, Statement, encode_statement

REISSUED = "reissued"


@dataclass(frozen=True, slots=True)
class NewTerms:
    """What a reissued plan says differently; None leaves a term as it is.

    Attributes:
        tuple_: (n, t, f, q), one that the roster allows.
        auditors: their ids; empty for the roster's first n.
        opens, closes: the window, UTC.
    """

    tuple_: tuple[int, int, int, int] | None = None
    auditors: tuple[str, ...] = ()
    opens: datetime | None = None
    closes: datetime | None = None


def request_extension(
    book: LogBook, home: Home, round_id: bytes, closes: datetime, reason: str
) -> tuple[str, ...]:
    """Ask the auditors for a later deadline; return those that have not granted it.

    Raises:
        RoundNotOpenError: approvals are missing.
        RoundEndedError: the candidates are fixed, or the round is over.
        ExtensionRefusedError: the time is not later, too late, past, or it is the fourth.
    """
    with book.writing("append extension") as view:
        round_log = view.round(round_id)
        changes, terms = round_log.changes, round_log.terms
        last = changes.extensions[-1] if changes.extensions else None
        if last is None or (last.statement.closes, last.statement.reason) != (closes, reason):
            _check_extendable(view, home.config, round_log, closes)
            _append(
                view,
                home,
                round_log.roster.coordinator,
                Extension(terms.federation, round_id, len(changes.extensions) + 1, closes, reason),
            )
        granted = changes.extended.get(changes.extensions[-1].digest, {})
        return tuple(name for name in terms.auditors if name not in granted)


def _check_extendable(view: View, config: Config, round_log: RoundLog, closes: datetime) -> None:
    if not round_log.is_approved:
        raise RoundNotOpenError(
            phrase("this round waits for its auditors' approvals; reissue it with a later window instead")
        )
    is_over = isinstance(action_of(view, config, round_log), Finished)
    if round_log.candidates is not None or is_over:
        raise RoundEndedError(phrase("this round takes no reports any more, so its deadline cannot be moved"))
    latest = round_log.terms.closes + MAX_EXTENSION
    if not max(round_log.closes, view.now) < closes <= latest:
        raise ExtensionRefusedError(
            phrase(
                "deadline %(closes)s: expected a time after %(now)s and at most %(latest)s",
                closes=closes.isoformat(),
                now=max(round_log.closes, view.now).isoformat(),
                latest=latest.isoformat(),
            )
        )
    if len(round_log.changes.extensions) >= MAX_EXTENSIONS:
        raise ExtensionRefusedError(
            phrase("this round's deadline was moved %(times)s times already", times=MAX_EXTENSIONS)
        )


def cancel_round(book: LogBook, home: Home, round_id: bytes, reason: str) -> int | None:
    """Log that the county ends a round without a release; return the position, None if it was so before.

    Raises:
        RoundEndedError: it has a release, or was ended otherwise.
    """
    with book.writing("append cancel") as view:
        round_log = view.round(round_id)
        cancel = round_log.changes.cancel
        if cancel is not None and cancel.statement.reason == reason:
            return None
        return _cancel(view, home, round_log, reason, ZERO_DIGEST)


def _cancel(view: View, home: Home, round_log: RoundLog, reason: str, successor: bytes) -> int:
    if round_log.release is not None:
        raise RoundEndedError(phrase("this round has a release; correct or withdraw that"))
    if round_log.changes.cancel is not None:
        raise RoundEndedError(phrase("the county has ended this round already"))
    close = round_log.close.digest if round_log.close else ZERO_DIGEST
    statement = Cancel(round_log.terms.federation, round_log.round_id, close, successor, reason)
    return _append(view, home, round_log.roster.coordinator, statement)


def leave_out_checks(book: LogBook, home: Home, round_id: bytes) -> tuple[str, ...]:
    """Let the close leave out the checks that stand in its way; return whose.

    Raises:
        RoundEndedError: nothing of that kind is in the way.
    """
    with book.writing("request leave-out") as view:
        round_log = view.round(round_id)
        action = action_of(view, home.config, round_log)
        if not isinstance(action, Wait) or action.reason is not Reason.CHECKS_DISAGREE:
            raise RoundEndedError(phrase("no auditor's check stands in the way of this round's close"))
        row = {"round": round_id, "requested_ms": round(view.now.timestamp() * 1000)}
        insert_once(view.connection, schema.leave_outs, row)
    return action.missing


def reissue(book: LogBook, home: Home, round_id: bytes, terms: NewTerms) -> bytes:
    """Publish a round's plan with other terms and end the old round; return the new round's id.

    Raises:
        HasReportsError: schools have reported.
        RoundEndedError: it has ended otherwise.
        PlanRefusedError: the new terms do not fit the roster, or are the old ones.
    """
    with book.writing("append reissue") as view:
        round_log = view.round(round_id)
        if round_log.reports:
            raise HasReportsError(
                phrase(
                    "%(found)s schools have reported; close the round, or end it and start anew next term",
                    found=len({node for node, _ in round_log.reports}),
                )
            )
        cancel = round_log.changes.cancel
        if cancel is not None and cancel.statement.successor == ZERO_DIGEST:
            raise RoundEndedError(phrase("the county has ended this round already"))
        try:
            successor = append_plan(view, home, _changed(round_log, terms), terms.auditors)
        except PlanError as err:
            raise PlanRefusedError(err) from err
        if successor == round_id:
            raise PlanRefusedError(phrase("the new terms are those of this round; change one of them"))
        if cancel is None:
            _cancel(view, home, round_log, REISSUED, successor)
        elif cancel.statement.successor != successor:
            raise RoundEndedError(phrase("this round was reissued already with other terms"))
        return successor


def _changed(round_log: RoundLog, terms: NewTerms) -> PlanDocument:
    document = published_plan(round_log).document
    if terms.tuple_ is not None:
        n, t, f, q = terms.tuple_
        document = replace(document, num_auditors=n, threshold=t, collude=f, quorum=q)
    return replace(document, opens=terms.opens or document.opens, closes=terms.closes or document.closes)


def correct_release(
    book: LogBook,
    home: Home,
    round_id: bytes,
    status: str,
    reason: str,
    *,
    tables: Sequence[str] = (),
    successor: bytes = ZERO_DIGEST,
) -> int | None:
    """Log that a release is corrected or withdrawn; return the position, None if the log's last word says so.

    Args:
        book: the log.
        home: holds the statement key.
        round_id: the released round.
        status: ``corrected`` or ``withdrawn``.
        reason: a code word.
        tables: ids that a correction concerns; none for all.
        successor: id of the later released round whose numbers take their place, or zeros.

    Raises:
        NotReleasedError: the round has no released numbers.
        UnknownRoundError: the log has no such successor.
        StatementRefusedError: the log's rules refuse it.
    """
    with book.writing("append correction") as view:
        round_log = view.round(round_id)
        if round_log.release is None or round_log.release.statement.status != "ok":
            raise NotReleasedError(phrase("this round has released no numbers that could be corrected"))
        if successor != ZERO_DIGEST and successor not in view.ledger.rounds:
            raise UnknownRoundError(phrase("the successor is no round of this log"))
        said = round_log.changes.corrections
        statement = Correction(
            federation=round_log.terms.federation,
            round=round_id,
            release=round_log.release.digest,
            previous=said[-1].digest if said else ZERO_DIGEST,
            status=status,
            tables=_in_order(round_log, tables),
            successor=successor,
            reason=reason,
        )
        if said and replace(statement, previous=said[-1].statement.previous) == said[-1].statement:
            return None
        return _append(view, home, view.ledger.roster.body.coordinator, statement)


def _in_order(round_log: RoundLog, tables: Sequence[str]) -> tuple[str, ...]:
    known = [line.table for line in round_log.terms.noise_lines]
    unknown = sorted(set(tables) - set(known))
    if unknown:
        raise StatementRefusedError(
            phrase(
                "no table %(unknown)s in this plan; it has %(known)s",
                unknown=unknown[0],
                known=", ".join(known),
            ),
            "wrong-tables",
        )
    return tuple(name for name in known if name in set(tables))


def _append(view: View, home: Home, key: VerifierKey, statement: Statement) -> int:
    try:
        text = encode_statement(statement)
    except ProtocolError as err:
        raise StatementRefusedError(err) from err
    return view.append(sign_entry(text, home.signer(key)), b"")
