"""Plans that wait for approval: in plain words, against policy and last year; then a person decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auditor.approve import PlanReview, review_plan
from auditor.approve_year import YearReview, review_year
from auditor.cli_rounds import find_round
from auditor.desk import Desk
from auditor.errors import AuditorError, RefusalError
from auditor.page.keeper import reason
from auditor.page.pages_rounds import waiting_plans
from auditor.page.visit import Page, Redirect, Reply, Visit
from auditor.plan_changes import late_year
from auditor.plan_view import view_plan
from auditor.policy import AuditorPolicy
from plan.comparison import Change
from plan.errors import Phrase, phrase
from plan.published import Published
from protos.ledger import RoundLog

DIGEST_CHARS = 64


@dataclass(frozen=True, slots=True)
class Limit:
    """One line of the policy beside what a plan asks for."""

    name: Phrase
    allowed: str
    asked: str
    is_kept: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """A waiting plan as a page shows it.

    Attributes:
        round_log: the round.
        view: the plan, recomputed; None where it cannot be read.
        review: what the checks found; None where it must not be approved.
        problem: why it must not.
        limits: the policy beside the plan.
        changes: what differs from last year's; None where there was none.
    """

    round_log: RoundLog
    view: Published | None
    review: PlanReview | None
    problem: Phrase | None
    limits: tuple[Limit, ...]
    changes: tuple[Change, ...] | None

    @property
    def late(self) -> Phrase | None:
        """What to ask where the window lies after the school year; None where it does not."""
        return late_year(self.view.document) if self.view else None


def plans(visit: Visit) -> Reply:
    """List what waits, and all plans of a school year that may be approved together."""
    with visit.desk() as desk:
        reach = visit.keeper.look(desk)
        found = [look_at(desk, round_id) for round_id in waiting_plans(desk)]
        years, problem = _years(desk, [row for row in found if row.review is not None])
    return Page("plans.html", {"waiting": found, "years": years, "problem": problem, "reach": reach})


def plan(visit: Visit) -> Reply:
    """Show one plan."""
    with visit.desk() as desk:
        visit.keeper.look(desk)
        row = look_at(desk, _round_id(desk, visit.path["round"]))
        is_waiting = row.round_log.round_id in waiting_plans(desk)
    return Page("plan.html", {"row": row, "is_waiting": is_waiting})


def approve(visit: Visit) -> Reply:
    """Approve the plan that was shown; a second click gives the approval signed the first time."""
    with visit.signing() as desk:
        position = desk.approve(_round_id(desk, visit.path["round"]))
    visit.say("good", phrase("Approved; entry %(position)s of the log.", position=position))
    return Redirect("/plans")


def approve_year(visit: Visit) -> Reply:
    """Approve exactly the plans that were shown together, after reviewing them together once more."""
    names = visit.text("rounds").split()
    with visit.signing() as desk:
        desk.sync()
        rounds = [_round_id(desk, name) for name in names]
        if not rounds:
            raise RefusalError("no-such-round", phrase("no plan waits for this auditor"))
        review_year(desk.context, rounds)
        for round_id in rounds:
            desk.approve(round_id)
    visit.say("good", phrase("%(number)s plans are approved.", number=len(rounds)))
    return Redirect("/plans")


def look_at(desk: Desk, round_id: bytes) -> Waiting:
    """Review a plan; a refusal is kept, not raised."""
    context, round_log = desk.context, desk.context.ledger.rounds[round_id]
    view = review = problem = changes = None
    limits: tuple[Limit, ...] = ()
    try:
        view = view_plan(round_log.terms, round_log.plan.body)
        limits = tuple(policy_limits(context.policy, round_log, view))
        review = review_plan(context, round_id)
        changes = review_year(context, [round_id])[0].changes[round_id]
    except AuditorError as err:
        problem = reason(err)
    if review is not None:
        limits = (*limits, _year_limit(context.policy, review))
    return Waiting(round_log, view, review, problem, limits, changes)


def policy_limits(policy: AuditorPolicy, round_log: RoundLog, view: Published) -> Iterator[Limit]:
    """Put each bound of the policy beside what the plan asks for."""
    terms = round_log.terms
    row = (len(terms.auditors), terms.threshold, terms.collude, terms.quorum)
    cost = max(terms.rho, view.rho)
    yield Limit(
        phrase("cost of the round, rho, at most"), str(policy.max_rho), str(cost), cost <= policy.max_rho
    )
    for name, least, asked in (
        (phrase("schools that must report, at least"), policy.min_reports, terms.min_reports),
        (phrase("schools behind every group, at least"), policy.min_group, terms.min_group),
        (
            phrase("schools assumed to add no noise, at least"),
            policy.min_colluding_schools,
            terms.colluding_schools,
        ),
    ):
        yield Limit(name, str(least), str(asked), asked >= least)
    allowed = ", ".join(_tuple(item) for item in policy.tuples)
    yield Limit(
        phrase("auditors, how many open, how many may collude, quorum"),
        allowed,
        _tuple(row),
        row in policy.tuples,
    )
    yield _forbidden(policy, view)


def _forbidden(policy: AuditorPolicy, view: Published) -> Limit:
    tables = view.document.tables
    used = {name for table in tables for name in (*table.names, table.sum)} | {row.id for row in tables}
    wanted = (*policy.forbidden_fields, *policy.forbidden_tables, *policy.forbidden_relations)
    relation = str(view.document.neighbouring)
    found = sorted({name for name in wanted if name in used or name == relation})
    return Limit(
        phrase("fields, tables and guarantees that you forbid"),
        ", ".join(wanted) or "–",
        ", ".join(found) or "–",
        not found,
    )


def _year_limit(policy: AuditorPolicy, review: PlanReview) -> Limit:
    return Limit(
        phrase("cost of the school year with this round, rho, at most"),
        str(policy.max_rho_year),
        str(review.rho_year),
        review.rho_year <= policy.max_rho_year,
    )


def _tuple(row: Sequence[int]) -> str:
    return " ".join(str(number) for number in row)


def _years(desk: Desk, rows: Sequence[Waiting]) -> tuple[tuple[YearReview, ...], Phrase | None]:
    """Review together what may be approved; a refusal of the whole is kept."""
    try:
        return review_year(desk.context, [row.round_log.round_id for row in rows]), None
    except AuditorError as err:
        return (), reason(err)


def _round_id(desk: Desk, name: str) -> bytes:
    if len(name) != DIGEST_CHARS:
        raise RefusalError("no-such-round", phrase("no plan %(round_id)s in the log", round_id=name[:16]))
    return find_round(desk, name)
