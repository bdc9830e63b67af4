"""Agree to a close or abandon the round: one of the two, once, ever.

An auditor agrees only if, in order:

1. the candidates are the function of the log that they must be, S is exactly the candidates
   without everything refused in the `checked` that the close names, and the tier is what S gives;
2. S has at least `min_reports` independent operators, and no group of schools smaller than
   `min_group`;
3. it can answer for S: the close names this auditor's own `checked`, the one in its slot, so that S
   leaves out what that refuses; or the close names none of it (it was away, or was passed over) and
   its own check, made now if there is none of these candidates, refuses nothing in S.

Otherwise it abandons; so it does when the keys' time is over. Both fill the same slot before they
leave this process, so a crash, a restart or a second close never gives a second answer.

Spec: docs/protocol.md "The close" step 4; why an auditor need not be named: ADR 9. Without this phase
one school that garbles the boxes of two auditors deadlocks the round, and a coordinator that shows two
sets learns their difference.
"""

from __future__ import annotations

from auditor.check_reports import find_refusals, verify_candidates
from auditor.context import Context
from auditor.errors import CheckError, RefusalError
from auditor.plan_view import small_groups
from auditor.signing import SignedEntry, sign_entry, store_entry, stored_entry
from auditor.state import SlotKind
from plan.errors import phrase
from protos.bodies import ReportName, parse_checked_body
from protos.fields import ZERO_DIGEST
from protos.ledger import Logged, RoundLog
from protos.round_log import closed_set, distinct_operators, tier_of
from protos.statements import Abandon, Agreement, Checked, Close

NOT_NAMED = "not-named"
WRONG_SET = "wrong-set"
TOO_FEW_REPORTS = "too-few-reports"
SMALL_GROUP = "min-group"
EXPIRED = "expired"
NEVER_OPENS = "never-opens"
CANCELLED = "cancelled"


def sign_decision(context: Context, round_log: RoundLog) -> SignedEntry:
    """Sign an agreement to the logged close, or an abandon that says why not; once per round.

    Raises:
        CheckError: there is no close yet, or the boxes for a late check are not the logged ones.
        StateError: a late check is needed and the round's key is gone.
        SlotTakenError: this auditor has decided otherwise before.
    """
    close = _close_of(round_log)
    checked = stored_entry(context.state, SlotKind.CHECKED, round_log.round_id)
    try:
        verify_close(context, round_log, checked)
    except RefusalError as err:
        return sign_abandon(context, round_log, err.code)
    statement = Agreement(round_log.terms.federation, round_log.round_id, context.id, close.digest)
    signed = sign_entry(statement, context.signing_key(round_log))
    return store_entry(context.state, SlotKind.DECISION, round_log.round_id, signed)


def sign_abandon(context: Context, round_log: RoundLog, reason: str) -> SignedEntry:
    """Sign that this auditor will never open the round; its keys may be destroyed afterwards.

    Raises:
        SlotTakenError: this auditor has agreed before.
    """
    close_digest = round_log.close.digest if round_log.close else ZERO_DIGEST
    terms = round_log.terms
    statement = Abandon(terms.federation, round_log.round_id, context.id, close_digest, reason)
    signed = sign_entry(statement, context.signing_key(round_log))
    return store_entry(context.state, SlotKind.DECISION, round_log.round_id, signed)


def verify_close(context: Context, round_log: RoundLog, checked: SignedEntry | None) -> None:
    """Recompute the close from candidates and named checks, and see that this auditor can answer for S.

    Args:
        checked: what this auditor signed as `checked`, from its slot; None if it never did.

    Raises:
        RefusalError: the close is not one that this auditor may agree to; the code says why.
        CheckError: the boxes for a late check are not the logged ones; the decision waits.
        StateError: a late check is needed and the round's key is gone.
    """
    close = _close_of(round_log)
    statement = close.statement
    named = dict(statement.checked)
    logged = {auditor: row.digest for auditor, row in round_log.checked.items() if auditor in named}
    if named != logged or len(named) < round_log.terms.quorum:
        raise RefusalError(WRONG_SET, phrase("the close names checks that are not in the log, or too few"))
    try:
        verify_candidates(context.ledger, round_log)
    except CheckError as err:
        raise RefusalError(WRONG_SET, err) from err
    expected = closed_set(round_log, named)
    counted = len(expected.set), tier_of(round_log, expected.set)
    if round_log.close_body() != expected or (statement.reports, statement.tier) != counted:
        raise RefusalError(WRONG_SET, phrase("S is not the candidates without what the named checks refuse"))
    if distinct_operators(round_log, expected.set) < round_log.terms.min_reports:
        raise RefusalError(
            TOO_FEW_REPORTS,
            phrase(
                "fewer than %(min_reports)s independent operators", min_reports=round_log.terms.min_reports
            ),
        )
    if small_groups(round_log, expected.set):
        raise RefusalError(
            SMALL_GROUP,
            phrase("a group in S has fewer than %(min_group)s schools", min_group=round_log.terms.min_group),
        )
    own = named.get(context.id)
    if own is None:
        is_answerable = _own_refusals(context, round_log, checked).isdisjoint(expected.set)
    else:
        is_answerable = checked is not None and own == checked.digest
    if not is_answerable:
        raise RefusalError(NOT_NAMED, phrase("the close does not name this auditor's own check"))


def _own_refusals(context: Context, round_log: RoundLog, checked: SignedEntry | None) -> set[ReportName]:
    """Return what this auditor refuses of these candidates: from its slot, else checked now."""
    statement = checked.statement if checked else None
    wanted = round_log.candidates.digest if round_log.candidates else ZERO_DIGEST
    if checked and isinstance(statement, Checked) and statement.candidates == wanted:
        rows = parse_checked_body(checked.body)
    else:
        rows = find_refusals(context, round_log)
    return {row.report for row in rows}


def _close_of(round_log: RoundLog) -> Logged[Close]:
    if round_log.close is None:
        raise CheckError(phrase("this round is not closed yet"))
    return round_log.close
