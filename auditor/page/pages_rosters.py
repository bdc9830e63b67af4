"""A roster that waits for signatures: what it changes, then a person decides."""

from __future__ import annotations

from auditor.desk import Desk
from auditor.errors import RefusalError
from auditor.page.visit import Page, Redirect, Reply, Visit
from auditor.sign_roster import RosterReview
from plan.errors import phrase


def roster(visit: Visit) -> Reply:
    """Show what a waiting roster adds, removes and changes."""
    with visit.desk() as desk:
        visit.keeper.look(desk)
        review = _find(visit, visit.path["digest"])
        in_force = desk.context.ledger.roster.statement.serial if desk.context.ledger.size else 0
    return Page("roster.html", {"review": review, "in_force": in_force})


def sign(visit: Visit) -> Reply:
    """Sign exactly the roster that was shown; a second click changes nothing."""
    name = visit.path["digest"]
    with visit.signing() as desk:
        if _is_logged(desk, name):
            visit.say("good", phrase("This roster is in force; your signature was there already."))
            return Redirect("/")
        visit.keeper.look(desk, anyway=True)
        review = _find(visit, name)
        is_logged = desk.sign_roster(review.digest)
    if is_logged:
        visit.say("good", phrase("Signed; the roster is now in force."))
    else:
        visit.say("good", phrase("Signed; the roster now waits for the other signatures."))
    return Redirect("/")


def _find(visit: Visit, name: str) -> RosterReview:
    found = [review for review in visit.keeper.reach.rosters if review.digest.hex() == name]
    if not found:
        raise RefusalError(
            "no-such-proposal",
            phrase("no roster %(roster_digest)s waits for signatures", roster_digest=name[:16]),
        )
    return found[0]


def _is_logged(desk: Desk, name: str) -> bool:
    return any(row.digest.hex() == name for row in desk.context.ledger.roster_chain)
