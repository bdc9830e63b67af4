"""What the pages say about rounds, read from the log. Times are given to the day; nobody's count is here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from coordinator import status
from coordinator.dashboard.visit import Visit
from coordinator.errors import UnknownRoundError
from coordinator.facts import school_name
from coordinator.log_book import View
from coordinator.missing_schools import days_between
from coordinator.plan_view import published_plan
from plan.errors import phrase
from plan.published import Published
from protos.round_log import RoundLog

CONTACT: Final = "contact"
"""The roster attribute that says whom to telephone."""

OVERDUE_DAYS: Final = 3
"""So many days before the deadline a missing school is called overdue and should be telephoned."""


@dataclass(frozen=True, slots=True)
class School:
    """One school on the reporting board.

    Attributes:
        node, operator: who.
        state: "reported", "missing", "overdue", "excluded" or "revoked".
        detail: a code that says why it was left out, or "".
        contact: whom to telephone, where the roster says so.
    """

    node: str
    operator: str
    state: str
    detail: str = ""
    contact: str = ""


@dataclass(frozen=True, slots=True)
class Round:
    """One round as the pages show it.

    Attributes:
        id: hex of its whole id.
        title, school_year, wave: of its plan.
        status: what `coordinator.status.describe` says.
        closes: the deadline in force.
        days_left: whole days until the deadline, rounded down as the commands do; negative after it.
        schools: those of its roster, in the roster's order.
    """

    id: str
    title: str
    school_year: str
    wave: str
    status: dict[str, Any]
    opens: datetime
    closes: datetime
    days_left: int
    schools: tuple[School, ...]

    @property
    def num_reported(self) -> int:
        """How many schools have reported."""
        return sum(school.state in ("reported", "excluded") for school in self.schools)

    @property
    def missing(self) -> tuple[School, ...]:
        """The schools that have not reported."""
        return tuple(school for school in self.schools if school.state in ("missing", "overdue"))

    @property
    def is_collecting(self) -> bool:
        """Whether reports are still taken."""
        return self.status["state"] in ("collecting", "draft")

    @property
    def is_released(self) -> bool:
        """Whether there are results."""
        return bool(self.status["state"] == "released")


def find_log(view: View, text: str) -> RoundLog:
    """Find a round by the hex digits of its whole id.

    Raises:
        UnknownRoundError: that is none.
    """
    try:
        round_id = bytes.fromhex(text) if len(text) == 64 and text.isascii() else b""
    except ValueError:
        round_id = b""
    if not round_id or not view.has_genesis or round_id not in view.ledger.rounds:
        raise UnknownRoundError(phrase("there is no such round"))
    return view.ledger.rounds[round_id]


def find_round(visit: Visit) -> Round:
    """Find the round of the page's address."""
    with visit.county.reading() as view:
        return describe(visit, view, find_log(view, visit.path["round"]))


def find_plan(visit: Visit) -> tuple[RoundLog, Published]:
    """Find the plan of the page's address."""
    with visit.county.reading() as view:
        found = find_log(view, visit.path["round"])
    return found, published_plan(found)


def every_round(visit: Visit) -> tuple[Round, ...]:
    """List all rounds, the newest first."""
    with visit.county.reading() as view:
        if not view.has_genesis:
            return ()
        return tuple(describe(visit, view, row) for row in reversed(list(view.ledger.rounds.values())))


def describe(visit: Visit, view: View, round_log: RoundLog) -> Round:
    """Describe one round."""
    document = published_plan(round_log).document
    found = status.describe(view, visit.county.config, round_log)
    closes = round_log.closes
    days_left = days_between(view.now, closes)
    return Round(
        id=round_log.round_id.hex(),
        title=document.title,
        school_year=document.school_year,
        wave=document.wave,
        status=found,
        opens=round_log.terms.opens,
        closes=closes,
        days_left=days_left,
        schools=tuple(_schools(view, round_log, found, days_left)),
    )


def _schools(view: View, round_log: RoundLog, found: dict[str, Any], days_left: int) -> Iterator[School]:
    excluded = dict(found["excluded"])
    reported = set(found["reported"])
    revoked = set(view.ledger.revoked_nodes)
    for node in round_log.roster.nodes:
        name = school_name(node)
        if node.id in excluded:
            yield School(node.id, name, "excluded", excluded[node.id])
        elif node.id in reported:
            yield School(node.id, name, "reported")
        elif node.id in revoked:
            yield School(node.id, name, "revoked")
        else:
            state = "overdue" if days_left <= OVERDUE_DAYS else "missing"
            yield School(node.id, name, state, contact=dict(node.attributes).get(CONTACT, ""))
