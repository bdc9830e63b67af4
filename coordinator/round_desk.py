"""What an administrator does with rounds beside the ordinary course, for commands and pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from coordinator import change_round
from coordinator.change_round import NewTerms
from coordinator.errors import YearRefusedError
from coordinator.home import Home
from coordinator.log_book import LogBook
from coordinator.missing_schools import Overdue, letter_text, list_overdue
from coordinator.plan_view import published_plan
from coordinator.publish_plan import append_plan
from plan.calendar import YearPlan, calendar
from plan.document import PlanDocument
from plan.errors import PlanError, phrase
from protos.fields import ZERO_DIGEST
from protos.round_log import RoundLog


class RoundDesk:
    """The county's rounds on one log.

    Args:
        book: the log and database.
        home: settings and keys.
    """

    def __init__(self, book: LogBook, home: Home) -> None:
        self._book = book
        self._home = home

    def extend(self, round_id: bytes, closes: datetime, reason: str) -> tuple[str, ...]:
        """Ask for a later deadline; return the auditors that have not granted it."""
        return change_round.request_extension(self._book, self._home, round_id, closes, reason)

    def cancel(self, round_id: bytes, reason: str) -> int | None:
        """End a round without a release; return the position, None if it was ended so before."""
        return change_round.cancel_round(self._book, self._home, round_id, reason)

    def reissue(self, round_id: bytes, terms: NewTerms) -> bytes:
        """Publish a round's plan with other terms in its place; return the new round's id."""
        return change_round.reissue(self._book, self._home, round_id, terms)

    def leave_out(self, round_id: bytes) -> tuple[str, ...]:
        """Let the close leave out checks that refuse too much; return whose."""
        return change_round.leave_out_checks(self._book, self._home, round_id)

    def correct(
        self,
        round_id: bytes,
        status: str,
        reason: str,
        *,
        tables: Sequence[str] = (),
        successor: bytes = ZERO_DIGEST,
    ) -> int | None:
        """Correct or withdraw a release; return the position, None if that stands there already."""
        return change_round.correct_release(
            self._book, self._home, round_id, status, reason, tables=tables, successor=successor
        )

    def overdue(self, round_id: bytes, contacts: Mapping[str, str]) -> tuple[Overdue, ...]:
        """List the schools that have not reported."""
        with self._book.reading() as view:
            return list_overdue(view, self._home.config, view.round(round_id), contacts)

    def letter(self, round_id: bytes) -> str:
        """Give the text of a letter to the schools that have not reported."""
        with self._book.reading() as view:
            round_log = view.round(round_id)
        title = published_plan(round_log).document.title
        return letter_text(title, round_log.closes, round_id.hex()[:16])

    def publish_year(self, drafts: Sequence[PlanDocument], auditors: Sequence[str] = ()) -> tuple[bytes, ...]:
        """Publish the plans of a school year, all or none; return the rounds' ids in the order given.

        Raises:
            YearRefusedError: with the year's rounds before them they cost more than the cap, leave no room
                for a repeat, share an id, or are open at the same time with different census dates.
            PlanRefusedError, GroupTooSmallError: one of them cannot be published.
        """
        with self._book.writing("append plans") as view:
            rounds = list(view.ledger.rounds.values())
            ids = tuple(append_plan(view, self._home, draft, auditors) for draft in drafts)
            known = [row for row in rounds if row.round_id not in ids and _counts(row, view.now)]
            self._check_year([*(published_plan(row).document for row in known), *drafts], drafts)
        return ids

    @staticmethod
    def _check_year(plans: Sequence[PlanDocument], drafts: Sequence[PlanDocument]) -> None:
        years = {draft.school_year for draft in drafts}
        try:
            problems = [
                problem for row in calendar(plans) if row.school_year in years for problem in row.problems
            ]
        except PlanError as err:
            raise YearRefusedError(err) from err
        if problems:
            raise YearRefusedError(
                phrase("%(problem)s (%(count)s in all)", problem=problems[0].phrase, count=len(problems))
            )


def year_of(plans: Sequence[PlanDocument]) -> tuple[YearPlan, ...]:
    """Put plans into their school years, with what they cost."""
    return calendar(plans)


def _counts(round_log: RoundLog, now: datetime) -> bool:
    """Say whether a round's cost has to be kept free in its school year."""
    if round_log.is_refundable:
        return False
    is_answered = bool(round_log.reports)
    is_gone = round_log.is_dead or now >= round_log.closes
    return is_answered or not is_gone
