"""Tell a copied or restored state by what the log has of this auditor and the state has not.

A once-only statement is in its slot before anybody sees it. So the log never has a statement of this auditor
that its slots have not, unless another copy of the state, or this one before it was restored, has signed it.
Then this state signs nothing more for the round: what it would sign could differ from what stands there.

A state that was copied whole and is not behind cannot be told from its original. Whichever signs first goes
on; the other one sees it in the log and abstains. Why there is no more than that: ADR 25.
Spec: docs/protocol.md "The close"; ``auditor.state`` rule 4.
"""

from __future__ import annotations

from auditor.approve import verify_own_approval
from auditor.context import Context
from auditor.errors import AbstainError
from auditor.signing import stored_entry
from auditor.state import SlotKind
from plan.errors import phrase
from plan.words import STATEMENTS
from protos.ledger import RoundLog


def verify_own_statements(context: Context, round_log: RoundLog) -> None:
    """Check that whatever the log has of this auditor for a round is in this state's slots.

    Args:
        context: the auditor.
        round_log: a round that it has approved, as the log says.

    Raises:
        AbstainError: something is not: this state signs nothing more for the round.
        StateError: a slot is damaged or of another instance.
    """
    verify_own_approval(context, round_log)
    own = context.id
    logged = {
        SlotKind.CHECKED: round_log.checked.get(own),
        SlotKind.DECISION: round_log.agreements.get(own) or round_log.abandons.get(own),
        SlotKind.OPENING: round_log.openings.get(own),
    }
    for kind, row in logged.items():
        if row is None:
            continue
        stored = stored_entry(context.state, kind, round_log.round_id)
        if stored is None or stored.digest != row.digest:
            raise AbstainError(
                phrase(
                    "the log has this of this auditor for round %(round)s: %(kind)s. This state has not "
                    "signed it (a copied or restored state?); this auditor abstains from the round",
                    kind=phrase(STATEMENTS[row.statement.TYPE]),
                    round=round_log.round_id.hex()[:16],
                )
            )


def has_served(auditor: str, round_log: RoundLog) -> bool:
    """Whether a round needs this auditor's keys no more, whichever copy of its state has answered."""
    return (
        round_log.release is not None
        or auditor in round_log.openings
        or auditor in round_log.abandons
        or round_log.changes.cancel is not None
        or round_log.can_never_open
    )
