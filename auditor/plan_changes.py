"""What a plan changes against the last one of the same id: the first thing that a person should look at."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.context import Context
from auditor.plan_view import view_plan
from plan.comparison import Change, compare
from plan.document import PlanDocument
from protos.ledger import RoundLog


@dataclass(frozen=True, slots=True)
class Earlier:
    """An earlier plan of the same id, and what the new one changes of it.

    Attributes:
        serial: of the earlier plan.
        school_year: `YYYY-YYYY`.
        changes: privacy first; empty where both say the same.
    """

    serial: int
    school_year: str
    changes: tuple[Change, ...]


def compare_with_last(context: Context, round_log: RoundLog, document: PlanDocument) -> Earlier | None:
    """Compare a plan with the newest earlier one of its id that this auditor, or all of its own, approved."""
    for row in reversed(list(context.ledger.rounds.values())):
        is_known = row.is_approved or context.id in row.approvals
        if not is_known or row.terms.serial >= round_log.terms.serial:
            continue
        found = view_plan(row.terms, row.plan.body).document
        if found.id == document.id:
            return Earlier(row.terms.serial, found.school_year, compare(found, document))
    return None
