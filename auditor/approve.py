"""Approve a round: check its plan against the policy, then sign once, with a fresh round key.

Checks, in order; the first that fails is the refusal:

1. The plan names this auditor, the county has not ended the round, and the window is not over.
2. Cells, noise and rho are recomputed from the plan; the statement says the same.
3. The policy: tuple, max-rho, min-reports, min-group, min-colluding-schools, forbid-relation, forbid-table,
   forbid-field, max-rho-year.
4. The roster: enough independent operators for `min_reports`, no group below `min_group`.
5. No other round asks the same of the same pupils (same census, a table that counts the same)
   while that one has reports and may open or has opened. A plan without reports may be reissued.

Then the round key (96 bytes), the draw r_a (32 bytes) and the approval are written, in this order,
and only the stored approval is sent. One approval per round, ever: asking again sends the same
bytes. Spec: docs/protocol.md "Statements", "Keys".
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from auditor.context import Context
from auditor.errors import AbstainError, RefusalError
from auditor.plan_changes import Earlier, compare_with_last
from auditor.plan_view import asks_the_same, small_roster_groups, verify_figures, view_plan
from auditor.policy import AuditorPolicy
from auditor.signing import SignedEntry, sign_entry, store_entry, stored_entry
from auditor.state import SecretKind, SlotKind
from crypto.derivation import draw_commitment
from crypto.sealing import ROUND_SECRET_BYTES, round_public_key
from plan.code_words import code_phrase
from plan.errors import phrase
from plan.published import Published
from protos.ledger import RoundLog, RoundState
from protos.statements import Approval, Plan

NONCE_BYTES = 32
DRAW_BYTES = 32


@dataclass(frozen=True, slots=True)
class PlanReview:
    """A plan that passed every check, for a person to look at before approving.

    Attributes:
        round_log: the round.
        view: the plan, recomputed.
        rho_year: what the school year would have cost with this round.
        is_approved: whether this auditor has approved it already.
        earlier: the last plan of the same id and what this one changes of it; None where there is none.
    """

    round_log: RoundLog
    view: Published
    rho_year: Fraction
    is_approved: bool
    earlier: Earlier | None = None


def review_plan(context: Context, round_id: bytes) -> PlanReview:
    """Check a round's plan against the rules and this auditor's policy.

    Raises:
        RefusalError: it must not be approved; the code says why.
    """
    round_log = context.ledger.rounds.get(round_id)
    if round_log is None:
        raise RefusalError(
            "no-such-round", phrase("no plan %(round_id)s in the log", round_id=round_id.hex()[:16])
        )
    plan = round_log.terms
    if context.id not in plan.auditors:
        raise RefusalError("not-an-auditor", phrase("the plan does not name %(id)s", id=context.id))
    if round_log.changes.cancel is not None:
        raise RefusalError(
            "cancelled",
            phrase(
                "the county has ended this round (%(reason)s)",
                reason=round_log.changes.cancel.statement.reason,
            ),
        )
    if plan.closes <= context.now():
        raise RefusalError(
            "expired",
            phrase("the plan's window ended at %(closes)s UTC", closes=f"{plan.closes:%Y-%m-%d %H:%M}"),
        )
    view = view_plan(plan, round_log.plan.body)
    verify_figures(plan, view)
    verify_policy(context.policy, plan, view)
    _verify_roster(round_log, view)
    _verify_not_asked_before(context, round_log, view)
    rho_year = year_cost(context, round_log, view)
    if rho_year > context.policy.max_rho_year:
        raise RefusalError(
            "max-rho-year",
            phrase(
                "the school year %(school_year)s would cost rho %(rho_year)s, the policy allows "
                "%(max_rho_year)s",
                school_year=view.document.school_year,
                rho_year=f"{float(rho_year):.6g}",
                max_rho_year=context.policy.max_rho_year,
            ),
        )
    is_approved = stored_entry(context.state, SlotKind.APPROVAL, round_id) is not None
    earlier = compare_with_last(context, round_log, view.document)
    return PlanReview(round_log, view, rho_year, is_approved, earlier)


def verify_policy(policy: AuditorPolicy, plan: Plan, view: Published) -> None:
    """Check a plan against the policy, apart from the school year's sum.

    Raises:
        RefusalError: with the policy's word as its code.
    """
    row = (len(plan.auditors), plan.threshold, plan.collude, plan.quorum)
    if row not in policy.tuples:
        raise RefusalError("tuple", phrase("(n,t,f,q) = %(row)s is not one that the policy allows", row=row))
    if max(plan.rho, view.rho) > policy.max_rho:
        raise RefusalError(
            "max-rho",
            phrase(
                "the plan costs rho %(rho)s, the policy allows %(max_rho)s",
                rho=plan.rho,
                max_rho=policy.max_rho,
            ),
        )
    if plan.min_reports < policy.min_reports:
        raise RefusalError(
            "min-reports",
            phrase(
                "the plan says %(min_reports)s, the policy %(policy_min_reports)s",
                min_reports=plan.min_reports,
                policy_min_reports=policy.min_reports,
            ),
        )
    if plan.min_group < policy.min_group:
        raise RefusalError(
            "min-group",
            phrase(
                "the plan says %(min_group)s, the policy %(policy_min_group)s",
                min_group=plan.min_group,
                policy_min_group=policy.min_group,
            ),
        )
    if plan.colluding_schools < policy.min_colluding_schools:
        raise RefusalError(
            "min-colluding-schools",
            phrase(
                "the plan assumes that %(found)s schools add no noise, the policy asks for %(least)s",
                found=plan.colluding_schools,
                least=policy.min_colluding_schools,
            ),
        )
    _verify_forbidden(policy, view)


def _verify_forbidden(policy: AuditorPolicy, view: Published) -> None:
    document = view.document
    if document.neighbouring in policy.forbidden_relations:
        raise RefusalError(
            "forbid-relation",
            phrase(
                "the plan claims its guarantee for '%(relation)s', which the policy forbids",
                relation=code_phrase(document.neighbouring),
            ),
        )
    for table in document.tables:
        if table.id in policy.forbidden_tables:
            raise RefusalError(
                "forbid-table", phrase("the plan has table %(id)s, which the policy forbids", id=table.id)
            )
        forbidden = sorted({*table.names, table.sum}.intersection(policy.forbidden_fields))
        if forbidden:
            raise RefusalError(
                "forbid-field",
                phrase(
                    "table %(id)s uses %(forbidden)s, which the policy forbids",
                    id=table.id,
                    forbidden=forbidden[0],
                ),
            )


def _verify_roster(round_log: RoundLog, view: Published) -> None:
    plan = round_log.terms
    num_operators = len({node.operator for node in round_log.roster.nodes})
    if num_operators < plan.min_reports:
        raise RefusalError(
            "min-reports",
            phrase(
                "the roster has %(num_operators)s independent operators, the plan needs %(min_reports)s",
                num_operators=num_operators,
                min_reports=plan.min_reports,
            ),
        )
    small = small_roster_groups(plan, view, round_log.roster)
    if small:
        group = ", ".join(f"{key}={value}" for key, value in small[0])
        raise RefusalError(
            "min-group",
            phrase(
                "the group %(group)s has fewer than %(min_group)s schools in the roster",
                group=group,
                min_group=plan.min_group,
            ),
        )


def _others(context: Context, round_log: RoundLog) -> list[tuple[RoundLog, Published]]:
    """List the earlier rounds that this auditor approved, with their plans."""
    found = []
    for other in context.ledger.rounds.values():
        is_own = stored_entry(context.state, SlotKind.APPROVAL, other.round_id) is not None
        if other.round_id != round_log.round_id and (is_own or context.id in other.approvals):
            found.append((other, view_plan(other.terms, other.plan.body)))
    return found


def _verify_not_asked_before(context: Context, round_log: RoundLog, view: Published) -> None:
    for other, other_view in _others(context, round_log):
        # ended by the county is not enough: the sum may have been opened before, and asked for again
        is_over = other.can_never_open or (other.state is RoundState.ABORTED and other.changes.cancel is None)
        if is_over or not other.reports:
            continue
        if other_view.document.census_date != view.document.census_date:
            continue
        if asks_the_same(view, other_view):
            raise RefusalError(
                "second-plan",
                phrase(
                    "round %(round_id)s counts the same of the same pupils and has reports; asking "
                    "again would average the noise away",
                    round_id=other.round_id.hex()[:16],
                ),
            )


def year_cost(context: Context, round_log: RoundLog, view: Published) -> Fraction:
    """Sum what this round and the earlier ones of its school year cost a pupil (zCDP).

    Rounds that a quorum has abandoned cost nothing; neither does a plan without reports that is
    over, ended by the county, or reissued here with the same content.
    """
    total = max(view.rho, round_log.terms.rho)
    for other, other_view in _others(context, round_log):
        if other_view.document.school_year != view.document.school_year or other.is_refundable:
            continue
        is_unused = not other.reports and (
            other.closes <= context.now()
            or other.changes.cancel is not None
            or other.plan.body == round_log.plan.body
        )
        if not is_unused:
            total += max(other_view.rho, other.terms.rho)
    return total


def sign_approval(context: Context, round_id: bytes) -> SignedEntry:
    """Check and approve a round; asking again returns the approval signed the first time.

    Raises:
        RefusalError: the plan must not be approved.
        AbstainError: another instance of this auditor has approved it.
    """
    stored = stored_entry(context.state, SlotKind.APPROVAL, round_id)
    if stored is not None:
        return stored
    round_log = review_plan(context, round_id).round_log
    if context.id in round_log.approvals:
        raise AbstainError(
            phrase(
                "round %(round_id)s is approved by this auditor in the log, but not in this "
                "state: a restored copy abstains",
                round_id=round_id.hex()[:16],
            )
        )
    secret = context.state.keep_secret(SecretKind.ROUND_KEY, round_id, context.entropy(ROUND_SECRET_BYTES))
    draw = context.state.keep_secret(SecretKind.DRAW, round_id, context.entropy(DRAW_BYTES))
    statement = Approval(
        federation=round_log.terms.federation,
        round=round_id,
        roster=round_log.roster_digest,
        auditor=context.id,
        instance=context.state.instance,
        round_key=round_public_key(secret),
        nonce=context.entropy(NONCE_BYTES),
        draw=draw_commitment(draw),
    )
    signed = sign_entry(statement, context.signing_key(round_log))
    return store_entry(context.state, SlotKind.APPROVAL, round_id, signed)


def verify_own_approval(context: Context, round_log: RoundLog) -> None:
    """Check that the logged approval of this auditor is the one in this state.

    Raises:
        AbstainError: it is not: this state signs nothing more for the round.
    """
    logged = round_log.approvals[context.id]
    stored = stored_entry(context.state, SlotKind.APPROVAL, round_log.round_id)
    if (
        logged.statement.instance != context.state.instance
        or stored is None
        or stored.digest != logged.digest
    ):
        raise AbstainError(
            phrase(
                "round %(round_id)s was approved by another instance of this state (lost or "
                "restored); this auditor abstains from it",
                round_id=round_log.round_id.hex()[:16],
            )
        )
