"""Send an opening and its mask sums again, from what was stored: after `sums-missing` at the county.

The bytes are those of the first time; the county takes them if they are the ones that the logged opening
names (docs/county-storage.md). Nothing is signed and nothing computed: the keys are long destroyed.
"""

from __future__ import annotations

from auditor.answer_masks import stored_answer
from auditor.context import Context
from auditor.errors import AbstainError, RefusalError
from plan.errors import phrase


def answered_rounds(context: Context) -> list[bytes]:
    """List the rounds without a release for which this auditor has an answer stored."""
    rounds = context.ledger.rounds.values()
    return [
        row.round_id
        for row in rounds
        if row.release is None
        and context.id in row.terms.auditors
        and stored_answer(context.state, row) is not None
    ]


def resend_opening(context: Context, round_id: bytes) -> int:
    """Send the stored opening and sums of a round again; returns the opening's log position.

    Raises:
        RefusalError: this state has answered nothing for the round.
        AbstainError: the log has another opening of this auditor: another copy of the state has answered.
        StateError: a stored sum is missing or damaged.
        LinkError: the county refuses them.
    """
    row = context.ledger.rounds.get(round_id)
    answer = None if row is None else stored_answer(context.state, row)
    if row is None or answer is None:
        message = phrase(
            "this auditor has no stored answer for round %(round_id)s", round_id=round_id.hex()[:16]
        )
        raise RefusalError("no-opening", message)
    logged = row.openings.get(context.id)
    if logged is not None and logged.digest != answer[0].digest:
        raise AbstainError(
            phrase(
                "the log has another opening of this auditor for round %(round_id)s; telephone the county",
                round_id=round_id.hex()[:16],
            )
        )
    return context.link.submit_opening(answer[0].entry, answer[1])
