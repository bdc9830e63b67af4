"""What a key keeper has to do now, round by round, in plain words.

A round asks for two sittings:

1. the first, at the start of the year or the round: sign rosters, approve plans, grant later deadlines;
2. the second, after collection: `watch` runs until this auditor's mask sums stand in the log.

Between them `watch` keeps running on its own: schools release only against a log that a quorum has cosigned
within a day. After them there is nothing to do. Read from this auditor's copy of the log and its own slots;
asks nobody, signs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from auditor.abstain import verify_own_statements
from auditor.approve import review_plan
from auditor.context import Context
from auditor.errors import AbstainError, RefusalError, StateError
from auditor.extend import is_asked_to_extend
from auditor.sign_roster import RosterReview
from auditor.signing import stored_entry
from auditor.state import SlotKind
from auditor.witness import last_head
from plan.errors import Phrase, phrase
from protos.ledger import RoundLog
from protos.statements import Abandon

FIRST_SITTING = 1
SECOND_SITTING = 2
NO_SITTING = 0


@dataclass(frozen=True, slots=True)
class Duty:
    """Where one round, or a roster, stands for this auditor.

    Attributes:
        code: stable English word: ``sign-roster``, ``approve``, ``extend``, ``watch``, ``cosign`` (to do
            now); ``approvals``, ``reports``, ``candidates``, ``checks``, ``close``, ``agreements``,
            ``release`` (waits for others); ``refused``, ``abstain``, ``damaged`` (telephone the county);
            ``over``, ``not-named`` (nothing more).
        round_id: None for a roster, and for the log as a whole.
        serial: of the plan or roster; 0 for the log.
        sitting: the sitting that this belongs to, 0 outside of both.
        is_due: whether this auditor has to do something now.
        words: for people.
    """

    code: str
    round_id: bytes | None
    serial: int
    sitting: int
    is_due: bool
    words: Phrase


COMMANDS = {
    "sign-roster": "fedscreen auditor sign-roster",
    "approve": "fedscreen auditor approve",
    "extend": "fedscreen auditor extend",
    "watch": "fedscreen auditor watch",
    "cosign": "fedscreen auditor watch",
}
"""The command that does what is due."""


def roster_duties(reviews: Iterable[RosterReview]) -> tuple[Duty, ...]:
    """List the waiting rosters that this auditor has not signed."""
    words = phrase("a roster waits for your signature")
    return tuple(
        Duty("sign-roster", None, review.serial, FIRST_SITTING, is_due=True, words=words)
        for review in reviews
        if not review.is_signed
    )


def log_duties(context: Context) -> tuple[Duty, ...]:
    """Say that the log waits for this auditor's cosignature, unless a quorum has cosigned all of it."""
    size, head = context.ledger.size, last_head(context.state)
    if context.mirror.cosigned_size >= size or (head is not None and head.size >= size):
        return ()
    words = phrase("the log waits for cosignatures; schools release only against a log cosigned within a day")
    return (Duty("cosign", None, 0, NO_SITTING, is_due=True, words=words),)


def round_duties(context: Context) -> tuple[Duty, ...]:
    """Say of every round that names this auditor where it stands, in the order of the log."""
    rounds = context.ledger.rounds.values()
    return tuple(duty_of(context, row) for row in rounds if context.id in row.terms.auditors)


def sitting_now(duties: Sequence[Duty]) -> int:
    """Say which sitting it is time for: the first that has something due, else one that goes on, else 0."""
    due = {duty.sitting for duty in duties if duty.is_due} or {duty.sitting for duty in duties}
    return min(due - {NO_SITTING}, default=NO_SITTING)


def duty_of(context: Context, row: RoundLog) -> Duty:
    """Say where one round stands for this auditor; a damaged slot is said, not raised."""
    if context.id not in row.terms.auditors:
        return _duty(row, "not-named", phrase("the plan does not name this auditor"))
    try:
        return _over(context, row) or _first(context, row) or _second(context, row)
    except StateError as err:
        code = "abstain" if isinstance(err, AbstainError) else "damaged"
        words = phrase("you abstain from it; tell the county by telephone: %(reason)s", reason=err)
        return _duty(row, code, words)


def _duty(
    row: RoundLog, code: str, words: Phrase, sitting: int = NO_SITTING, *, is_due: bool = False
) -> Duty:
    return Duty(code, row.round_id, row.terms.serial, sitting, is_due, words)


def _watch(row: RoundLog, words: Phrase) -> Duty:
    return _duty(row, "watch", words, SECOND_SITTING, is_due=True)


def _over(context: Context, row: RoundLog) -> Duty | None:
    """The round is released or ended: at most an abandonment is still to be said."""
    own = context.id
    if row.release is not None:
        is_good = row.release.statement.status == "ok"
        return _duty(
            row,
            "over",
            phrase("released; write a bundle and keep it")
            if is_good
            else phrase(
                "the sum was impossible and is not published; keep everything, have a bundle verified"
            ),
        )
    if context.now() > row.closes + context.keep_keys and own in row.approvals:
        is_said = stored_entry(context.state, SlotKind.DECISION, row.round_id) is not None
        words = phrase("its keys' time is over: abandon it, so that schools get their charge back")
        return _duty(row, "over", phrase("over without a release")) if is_said else _watch(row, words)
    if not row.is_dead:
        return None
    has_said = own not in row.approvals or own in row.abandons or own in row.agreements
    if has_said:
        return _duty(row, "over", phrase("ended without a release"))
    return _watch(row, phrase("it has ended: say so too, so that schools get their charge back"))


def _first(context: Context, row: RoundLog) -> Duty | None:
    """The first sitting: approval, and a later deadline that the county asks for."""
    if context.id not in row.approvals:
        if stored_entry(context.state, SlotKind.APPROVAL, row.round_id) is not None:
            words = phrase("your approval is signed and not in the log yet: send it")
            return _duty(row, "watch", words, FIRST_SITTING, is_due=True)
        if row.closes <= context.now():
            return _duty(row, "over", phrase("its window ended before you approved"))
        return _waiting(context, row)
    verify_own_statements(context, row)
    if not row.is_approved:
        missing = ", ".join(name for name in row.terms.auditors if name not in row.approvals)
        return _duty(
            row,
            "approvals",
            phrase("waits for the approval of %(names)s; keep 'watch' running", names=missing),
        )
    if is_asked_to_extend(context.id, row):
        words = phrase("the county asks for a later deadline")
        return _duty(row, "extend", words, FIRST_SITTING, is_due=True)
    if row.candidates is None:
        return _collecting(context, row)
    return None


def _waiting(context: Context, row: RoundLog) -> Duty:
    """A plan that nobody here may approve is no duty: the county has to mend it."""
    try:
        review_plan(context, row.round_id)
    except RefusalError as err:
        words = phrase(
            "its plan must not be approved: telephone the county, never loosen the policy for it: %(reason)s",
            reason=err,
        )
        return _duty(row, "refused", words)
    return _duty(row, "approve", phrase("its plan waits for your approval"), FIRST_SITTING, is_due=True)


def _collecting(context: Context, row: RoundLog) -> Duty:
    number, closes = len({node for node, _ in row.reports}), f"{row.closes:%Y-%m-%d %H:%M}"
    if context.now() < row.closes:
        words = phrase(
            "%(number)s schools have reported; keep 'watch' running; second sitting after %(closes)s UTC, or "
            "when all have",
            number=number,
            closes=closes,
        )
        return _duty(row, "reports", words)
    words = phrase(
        "%(number)s schools have reported, the deadline %(closes)s UTC has passed; waits for the county",
        number=number,
        closes=closes,
    )
    return _goes_on(row, "candidates", words)


def _second(context: Context, row: RoundLog) -> Duty:
    """The second sitting: check, agree, answer; it goes on until this auditor's opening is in the log."""
    own, state = context.id, context.state
    if own in row.openings:
        number = {"found": len(row.openings), "threshold": row.terms.threshold}
        words = phrase(
            "you have answered; %(found)s of at least %(threshold)s openings are in the log", **number
        )
        return _duty(row, "release", words)
    decision = stored_entry(state, SlotKind.DECISION, row.round_id)
    if decision is not None and isinstance(decision.statement, Abandon):
        if own in row.abandons:
            return _duty(row, "over", phrase("you have abandoned it, keys destroyed"))
        return _watch(row, phrase("your abandonment is signed and not in the log yet: send it"))
    if row.close is None and own not in row.checked:
        return _watch(row, phrase("check the schools' reports"))
    if row.close is None:
        return _goes_on(row, "checks", phrase("checked; waits for the others' checks and the county's close"))
    if own not in row.agreements:
        return _watch(row, phrase("the county has closed the set: agree to it, or abandon"))
    if len(row.agreements) < row.terms.quorum:
        number = {"found": len(row.agreements), "quorum": row.terms.quorum}
        return _goes_on(
            row, "agreements", phrase("agreed; waits for agreements, %(found)s of %(quorum)s", **number)
        )
    return _watch(row, phrase("a quorum has agreed: cosign it, then answer with your mask sums"))


def _goes_on(row: RoundLog, code: str, words: Phrase) -> Duty:
    return _duty(row, code, words, SECOND_SITTING)
