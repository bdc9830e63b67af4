"""Say when an auditor without a network comes back: what the next file must bring, for each round.

Read from the log as this auditor has it and from its own slots; the answer on its way counts as delivered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from auditor.approve import review_plan
from auditor.context import Context
from auditor.desk import Desk
from auditor.errors import RefusalError, StateError
from auditor.signing import stored_entry
from auditor.state import SlotKind
from plan.errors import Phrase, phrase
from protos.ledger import RoundLog
from protos.statements import Agreement


@dataclass(frozen=True, slots=True)
class NextTrip:
    """What one round's next trip waits for.

    Attributes:
        round_id: the round.
        code: stable English word: ``approve``, ``approvals``, ``reports``, ``close``, ``agreements``,
            ``cosignatures`` or ``release``.
        words: for people.
        after: not before this time, where that is known.
    """

    round_id: bytes
    code: str
    words: Phrase
    after: datetime | None = None


def next_trips(desk: Desk) -> tuple[NextTrip, ...]:
    """List what is still to come of every round that names this auditor and is not over."""
    rounds = desk.context.ledger.rounds.values()
    found = (_next(desk.context, row) for row in rounds if desk.context.id in row.terms.auditors)
    return tuple(row for row in found if row is not None)


def _next(context: Context, row: RoundLog) -> NextTrip | None:
    is_over = row.release is not None or row.can_never_open or row.changes.cancel is not None
    if is_over or context.now() > row.closes + context.keep_keys:
        return None
    values = {"serial": row.terms.serial}
    try:
        code = _code(context, row)
    except StateError:
        return None  # a damaged slot: this auditor abstains
    if code == "reports":
        words = phrase(
            "round %(serial)s: after the deadline, %(closes)s UTC, to check the reports; before that every "
            "day on which schools release, if fewer auditors than the quorum are on the network",
            **values,
            closes=f"{row.closes:%Y-%m-%d %H:%M}",
        )
        return NextTrip(row.round_id, code, words, row.closes)
    known = {
        "approve": phrase("round %(serial)s: its plan waits for your approval", **values),
        "approvals": phrase(
            "round %(serial)s: when all its auditors have approved, to cosign that", **values
        ),
        "close": phrase("round %(serial)s: when the county has closed the set, to agree to it", **values),
        "agreements": phrase("round %(serial)s: when a quorum has agreed, to cosign that", **values),
        "cosignatures": phrase(
            "round %(serial)s: when a quorum has cosigned the agreements, to give the mask sums", **values
        ),
        "release": phrase("round %(serial)s: after its release, to cosign it and for the bundle", **values),
    }
    return NextTrip(row.round_id, code, known[code]) if code in known else None


def _may_be_approved(context: Context, row: RoundLog) -> bool:
    """Whether policy and rules allow this auditor's approval; a refused plan needs no trip."""
    try:
        review_plan(context, row.round_id)
    except RefusalError:
        return False
    return True


def _code(context: Context, row: RoundLog) -> str:
    if stored_entry(context.state, SlotKind.APPROVAL, row.round_id) is None:
        return "approve" if _may_be_approved(context, row) else "refused"
    decision = stored_entry(context.state, SlotKind.DECISION, row.round_id)
    if stored_entry(context.state, SlotKind.OPENING, row.round_id) is not None:
        return "release"
    if decision is not None and not isinstance(decision.statement, Agreement):
        return "abandoned"
    if decision is not None:
        agreed = {*row.agreements, context.id}
        return "cosignatures" if len(agreed & set(row.agreements)) >= row.terms.quorum else "agreements"
    if row.candidates is not None:
        return "close"
    return "reports" if row.is_approved else "approvals"
