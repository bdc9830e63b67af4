"""Grant a later deadline: read what the coordinator asks for, then say so in the log.

Checks, in order; the first that fails is the refusal:

1. The round is known, names this auditor, and was approved by this state (a restored copy abstains).
2. An extension waits for grants, and its deadline has not passed.
3. Whatever the log's rules ask (`protos.round_changes`): no candidates, at most 60 days, at most three.

With q grants in the log the deadline is in force for schools, coordinator and auditors; this auditor's
round key then lives as much longer. Signing again gives the same bytes, so no slot is needed.
Spec: docs/protocol.md "The log"; ADR 19.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from auditor.approve import verify_own_approval
from auditor.context import Context
from auditor.errors import RefusalError
from auditor.signing import SignedEntry, sign_entry
from plan.errors import phrase
from protos.errors import LedgerError
from protos.ledger import Logged, RoundLog
from protos.round_changes import check_extended
from protos.statements import Extended, Extension


@dataclass(frozen=True, slots=True)
class ExtensionReview:
    """An extension that may be granted, for a person to look at.

    Attributes:
        round_log: the round.
        extension: what the coordinator asks for.
        closes: the deadline in force.
        granted: auditors that have granted it.
        is_granted: whether this auditor is among them.
    """

    round_log: RoundLog
    extension: Logged[Extension]
    closes: datetime
    granted: tuple[str, ...]
    is_granted: bool


def waiting_extensions(context: Context) -> list[bytes]:
    """List the rounds whose extension waits for this auditor's grant."""
    rounds = context.ledger.rounds.items()
    return [round_id for round_id, row in rounds if is_asked_to_extend(context.id, row)]


def is_asked_to_extend(auditor: str, round_log: RoundLog) -> bool:
    """Say whether the newest extension of a round waits for this auditor's grant."""
    pending = round_log.changes.pending(round_log.terms)
    if pending is None or auditor not in round_log.terms.auditors or round_log.candidates is not None:
        return False
    return not round_log.is_dead and auditor not in round_log.changes.extended.get(pending.digest, {})


def review_extension(context: Context, round_id: bytes) -> ExtensionReview:
    """Check an extension against the rules.

    Raises:
        RefusalError: it must not be granted; the code says why.
        AbstainError: another instance of this auditor has approved the round.
    """
    round_log = context.ledger.rounds.get(round_id)
    if round_log is None or context.id not in round_log.approvals:
        raise RefusalError(
            "no-such-round",
            phrase("no round %(round_id)s that this auditor has approved", round_id=round_id.hex()[:16]),
        )
    verify_own_approval(context, round_log)
    pending = round_log.changes.extensions[-1] if round_log.changes.extensions else None
    if pending is None:
        raise RefusalError("no-extension", phrase("the county has asked for no later deadline"))
    if pending.statement.closes <= context.now():
        raise RefusalError(
            "expired",
            phrase(
                "the deadline asked for has passed: %(closes)s UTC",
                closes=f"{pending.statement.closes:%Y-%m-%d %H:%M}",
            ),
        )
    granted = tuple(round_log.changes.extended.get(pending.digest, {}))
    is_granted = context.id in granted
    if not is_granted:
        _verify_rules(context, round_log, pending)
    return ExtensionReview(round_log, pending, round_log.closes, granted, is_granted)


def _verify_rules(context: Context, round_log: RoundLog, pending: Logged[Extension]) -> None:
    try:
        check_extended(round_log, _statement(context, round_log, pending))
    except LedgerError as err:
        raise RefusalError(err.code, err) from err


def _statement(context: Context, round_log: RoundLog, pending: Logged[Extension]) -> Extended:
    return Extended(round_log.terms.federation, round_log.round_id, context.id, pending.digest)


def sign_extended(context: Context, round_id: bytes, shown: bytes | None = None) -> SignedEntry:
    """Check and grant the newest extension of a round; errors as `review_extension`.

    Args:
        context: the auditor, its copy of the log up to date.
        round_id: the round.
        shown: digest of the extension that a person has said yes to; None where nobody was asked.

    Raises:
        RefusalError: the county has asked for another deadline since.
    """
    review = review_extension(context, round_id)
    if shown is not None and review.extension.digest != shown:
        raise RefusalError(
            "other-extension", phrase("the county now asks for another deadline; look at it first")
        )
    statement = _statement(context, review.round_log, review.extension)
    return sign_entry(statement, context.signing_key(review.round_log))
