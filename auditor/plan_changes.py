"""What a plan changes against the last one of the same id: the first thing that a person should look at."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.context import Context
from auditor.plan_view import view_plan
from plan.codes import school_year_of
from plan.comparison import Change, compare
from plan.document import PlanDocument
from plan.errors import Phrase, phrase
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


def late_year(document: PlanDocument) -> Phrase | None:
    """Say what to ask where a plan's window opens after the school year whose account it charges.

    None where it does not. It may be rightly so (a census that is made up for), and it may be a way around
    what the present school year has left.
    """
    opens = school_year_of(document.opens.date())
    if opens <= document.school_year:
        return None
    return phrase(
        "the plan is for the school year %(year)s, which is over, and its cost goes to that year's account, "
        "not to %(opens)s, in which its window opens; ask the county why",
        year=document.school_year,
        opens=opens,
    )


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
