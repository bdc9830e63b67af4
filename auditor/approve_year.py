"""Review the plans of a school year in one sitting: each by itself, all of them together, against last year.

1. Every plan passes `auditor.approve.review_plan` by itself.
2. Together with the rounds approved before they stay within the policy's ``max-rho-year``.
3. No two of them count the same of the same pupils: one of the two would have to be left out.

`sift_years` leaves out what fails and reviews the rest, so that one bad plan keeps no good one waiting. Which
of two plans that exclude each other is the right one is for a person to say: it leaves out both, and of a
year that costs too much all plans.

Nothing is signed here. All plans are reviewed before the first is approved, so a year is approved as it
was shown or not at all; each approval is still its own statement with its own key.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from auditor.approve import PlanReview, review_plan
from auditor.context import Context
from auditor.errors import RefusalError
from auditor.plan_view import asks_the_same, view_plan
from plan.comparison import Change, compare
from plan.document import PlanDocument
from plan.errors import phrase
from protos.ledger import RoundLog


@dataclass(frozen=True, slots=True)
class YearReview:
    """The waiting plans of one school year, each of which may be approved.

    Attributes:
        school_year: `YYYY-YYYY`.
        plans: in the order of the log.
        rho: what they cost a pupil together (zCDP).
        rho_before: what the rounds approved before cost.
        max_rho: the policy's bound for a school year.
        changes: round id → what differs from the plan of the same id in an earlier school year; None where
            there was none.
    """

    school_year: str
    plans: tuple[PlanReview, ...]
    rho: Fraction
    rho_before: Fraction
    max_rho: Fraction
    changes: dict[bytes, tuple[Change, ...] | None]

    @property
    def rho_year(self) -> Fraction:
        """What the school year then stands at."""
        return self.rho_before + self.rho


def review_year(context: Context, round_ids: Sequence[bytes]) -> tuple[YearReview, ...]:
    """Review waiting plans together, one review for each school year.

    Raises:
        RefusalError: one of them must not be approved, or not together with the others.
    """
    plans = [review_plan(context, round_id) for round_id in round_ids]
    years = sorted({plan.view.document.school_year for plan in plans})
    return tuple(
        _review(context, year, [plan for plan in plans if plan.view.document.school_year == year])
        for year in years
    )


@dataclass(frozen=True, slots=True)
class SiftedYears:
    """Waiting plans, what may be approved apart from what may not.

    Attributes:
        years: what may be approved, one review for each school year.
        refused: round id and reason of what may not, in the order asked.
    """

    years: tuple[YearReview, ...]
    refused: tuple[tuple[bytes, RefusalError], ...]


def sift_years(context: Context, round_ids: Sequence[bytes]) -> SiftedYears:
    """Review waiting plans together; those that must not be approved are left out and named."""
    refused: dict[bytes, RefusalError] = {}
    plans: list[PlanReview] = []
    for round_id in round_ids:
        try:
            plans.append(review_plan(context, round_id))
        except RefusalError as err:
            refused[round_id] = err
    for pair in _alike(plans):
        reason = _same_twice(*pair)
        refused |= {plan.round_log.round_id: reason for plan in pair if not plan.is_approved}
    plans = [plan for plan in plans if plan.round_log.round_id not in refused]
    years: list[YearReview] = []
    for year in sorted({plan.view.document.school_year for plan in plans}):
        rows = [plan for plan in plans if plan.view.document.school_year == year]
        try:
            years.append(_review(context, year, rows))
        except RefusalError as err:
            refused |= {plan.round_log.round_id: err for plan in rows}
    return SiftedYears(tuple(years), tuple((name, refused[name]) for name in round_ids if name in refused))


def _review(context: Context, year: str, plans: Sequence[PlanReview]) -> YearReview:
    _verify_different(plans)
    waiting = [plan for plan in plans if not plan.is_approved]
    rho = sum((_cost(plan) for plan in waiting), Fraction(0))
    before = min(plan.rho_year - (Fraction(0) if plan.is_approved else _cost(plan)) for plan in plans)
    found = YearReview(
        year,
        tuple(plans),
        rho,
        before,
        context.policy.max_rho_year,
        {plan.round_log.round_id: _changes(context, plan) for plan in plans},
    )
    if found.rho_year > found.max_rho:
        raise RefusalError(
            "max-rho-year",
            phrase(
                "the school year %(school_year)s would cost rho %(rho_year)s, the policy allows "
                "%(max_rho_year)s",
                school_year=year,
                rho_year=f"{float(found.rho_year):.6g}",
                max_rho_year=found.max_rho,
            ),
        )
    return found


def _cost(plan: PlanReview) -> Fraction:
    return max(plan.view.rho, plan.round_log.terms.rho)


def _verify_different(plans: Sequence[PlanReview]) -> None:
    for one, other in _alike(plans):
        raise _same_twice(one, other)


def _alike(plans: Sequence[PlanReview]) -> Iterator[tuple[PlanReview, PlanReview]]:
    """Pairs of plans that count the same of the same pupils."""
    for one, other in combinations(plans, 2):
        same_day = one.view.document.census_date == other.view.document.census_date
        if same_day and asks_the_same(one.view, other.view):
            yield one, other


def _same_twice(one: PlanReview, other: PlanReview) -> RefusalError:
    return RefusalError(
        "second-plan",
        phrase(
            "plans %(one)s and %(other)s count the same of the same pupils; approve one of them",
            one=one.round_log.terms.serial,
            other=other.round_log.terms.serial,
        ),
    )


def _changes(context: Context, plan: PlanReview) -> tuple[Change, ...] | None:
    earlier = _last_year(context, plan.round_log, plan.view.document)
    return None if earlier is None else tuple(compare(earlier, plan.view.document))


def _last_year(context: Context, round_log: RoundLog, document: PlanDocument) -> PlanDocument | None:
    """Find the newest plan of the same id and an earlier school year that was approved by all."""
    for row in reversed(list(context.ledger.rounds.values())):
        if row.is_approved and row.terms.serial < round_log.terms.serial:
            found = view_plan(row.terms, row.plan.body).document
            if found.id == document.id and found.school_year < document.school_year:
                return found
    return None
