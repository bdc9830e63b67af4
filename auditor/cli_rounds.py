"""What a person looks at and says yes to: plans round by round or year by year, later deadlines."""

from __future__ import annotations

from collections.abc import Iterator
from gettext import gettext as _

import click

from auditor.approve import review_plan
from auditor.approve_year import YearReview, sift_years
from auditor.cli_text import change_lines, plan_lines
from auditor.desk import Desk
from auditor.errors import RefusalError
from auditor.extend import ExtensionReview, review_extension, waiting_extensions
from plan.errors import phrase
from plan.words import CHANGE_REASONS, word
from protos.ledger import RoundState

MIN_PREFIX = 4
Lines = Iterator[str]


def waiting_rounds(desk: Desk, prefixes: tuple[str, ...]) -> list[bytes]:
    """Find the rounds named, or without a name all that wait for this auditor's approval."""
    if prefixes:
        return [find_round(desk, prefix) for prefix in prefixes]
    own = desk.context.id
    return [
        round_id
        for round_id, row in desk.context.ledger.rounds.items()
        if row.state is RoundState.DRAFT
        and own in row.terms.auditors
        and own not in row.approvals
        and row.closes > desk.context.now()
    ]


def find_round(desk: Desk, prefix: str) -> bytes:
    """Find a round by the first digits of its id.

    Raises:
        RefusalError: none fits, or several do.
    """
    fits = [round_id for round_id in desk.context.ledger.rounds if round_id.hex().startswith(prefix)]
    if len(prefix) < MIN_PREFIX or len(fits) != 1:
        message = phrase(
            "%(prefix)s: %(found)s rounds fit; give at least %(least)s digits of one",
            prefix=prefix,
            found=len(fits),
            least=MIN_PREFIX,
        )
        raise RefusalError("no-such-round", message)
    return fits[0]


def approve_each(
    desk: Desk, round_ids: list[bytes], *, is_quiet: bool, yes: bool, refused: list[dict[str, object]]
) -> list[dict[str, object]]:
    """Show, ask and approve plan by plan; one that must not be approved keeps none of the others waiting.

    Args:
        desk: the auditor.
        round_ids: the rounds.
        is_quiet: whether nothing is shown.
        yes: whether nothing is asked.
        refused: gets what was refused, and why.
    """
    approved: list[dict[str, object]] = []
    for round_id in round_ids:
        try:
            review = review_plan(desk.context, round_id)
        except RefusalError as err:
            refuse(desk, round_id, err, refused, is_quiet=is_quiet)
            continue
        _show(is_quiet, plan_lines(review))
        if not yes and not review.is_approved:
            click.confirm(_("Approve this plan?"), abort=True, err=True)
        approved.append({"round": round_id.hex(), "index": desk.approve(round_id)})
    return approved


def refuse(
    desk: Desk, round_id: bytes, err: RefusalError, refused: list[dict[str, object]], *, is_quiet: bool
) -> None:
    """Note and show a plan that must not be approved."""
    refused.append({"round": round_id.hex(), "error": err.code, "message": str(err)})
    _show(is_quiet, refusal_lines(desk, round_id, err))


def refusal_lines(desk: Desk, round_id: bytes, err: RefusalError) -> Lines:
    """Say that a plan must not be approved, why, and what to do."""
    row = desk.context.ledger.rounds[round_id]
    values = {"serial": row.terms.serial, "round": round_id.hex()[:16], "reason": err.phrase.text(_)}
    yield _("refused: plan %(serial)s (%(round)s): %(reason)s") % values
    yield _("  nothing was signed for it. Telephone the county; do not loosen the policy for one plan.")


def approve_years(
    desk: Desk, round_ids: list[bytes], *, is_quiet: bool, yes: bool, refused: list[dict[str, object]]
) -> list[dict[str, object]]:
    """Show all plans of a school year with what they cost together and what is new, ask once, approve all.

    What must not be approved is shown first, with its reason, and left out; arguments as `approve_each`.
    """
    approved: list[dict[str, object]] = []
    found = sift_years(desk.context, round_ids)
    for round_id, err in found.refused:
        refuse(desk, round_id, err, refused, is_quiet=is_quiet)
    for review in found.years:
        _show(is_quiet, year_lines(review))
        if not yes:
            click.confirm(
                _("Approve these %(number)s plans?") % {"number": len(review.plans)}, abort=True, err=True
            )
        for plan in review.plans:
            round_id = plan.round_log.round_id
            approved.append({"round": round_id.hex(), "index": desk.approve(round_id)})
    return approved


def _show(is_quiet: bool, lines: Lines) -> None:
    if not is_quiet:
        for line in lines:
            click.echo(line)


def year_lines(review: YearReview) -> Lines:
    """Show a school year's plans, each against last year's, and their cost together."""
    for plan in review.plans:
        yield from plan_lines(plan, has_changes=False)
        changes = review.changes[plan.round_log.round_id]
        if changes is None:
            yield _("  no plan of this id in an earlier school year")
            continue
        yield (
            _("  against the last school year:")
            if changes
            else _("  says the same as in the last school year")
        )
        yield from change_lines(changes)
    values = {
        "year": review.school_year,
        "number": len(review.plans),
        "rho": f"{float(review.rho):.4g}",
        "rho_before": f"{float(review.rho_before):.4g}",
        "rho_year": f"{float(review.rho_year):.4g}",
        "max_rho": str(review.max_rho),
    }
    yield _("school year %(year)s: %(number)s plans cost rho %(rho)s together") % values
    yield _("  approved before: %(rho_before)s; then: %(rho_year)s of at most %(max_rho)s") % values


def extend_rounds(
    desk: Desk, prefixes: tuple[str, ...], *, is_quiet: bool, yes: bool
) -> list[dict[str, object]]:
    """Show, ask and grant later deadlines: of the rounds named, or all that wait."""
    found = [find_round(desk, prefix) for prefix in prefixes] or waiting_extensions(desk.context)
    granted: list[dict[str, object]] = []
    for round_id in found:
        review = review_extension(desk.context, round_id)
        _show(is_quiet, extension_lines(review))
        if not yes and not review.is_granted:
            click.confirm(_("Grant this deadline?"), abort=True, err=True)
        granted.append(
            {
                "round": round_id.hex(),
                "closes": review.extension.statement.closes.isoformat(),
                "index": desk.extend(round_id, review.extension.digest),
            }
        )
    return granted


def extension_lines(review: ExtensionReview) -> Lines:
    """Show what deadline is asked for, and why."""
    terms, asked = review.round_log.terms, review.extension.statement
    yield _("round %(serial)s: deadline %(before)s → %(after)s, %(reason)s") % {
        "serial": terms.serial,
        "before": review.closes.date(),
        "after": asked.closes.date(),
        "reason": word(CHANGE_REASONS, asked.reason, _),
    }
    yield _("  request %(number)s for this round; the plan said %(first)s; to the minute: %(after)s UTC") % {
        "number": asked.serial,
        "first": terms.closes.date(),
        "after": f"{asked.closes:%Y-%m-%d %H:%M}",
    }
    yield _("  granted by %(names)s; %(quorum)s are needed. Your round key is kept as much longer.") % {
        "names": ", ".join(review.granted) or "–",
        "quorum": terms.quorum,
    }
