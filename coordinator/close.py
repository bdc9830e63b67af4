"""Fix a round's candidates, and close it over what the auditors refused.

S is a function of the log, and the tier of a turnout ladder one of S: nothing here chooses a report.
Each step looks again, under the write lock, whether it is still the next one, so two processes never
do it twice.
Spec: docs/protocol.md "The close", steps 1 and 3.
"""

from __future__ import annotations

from coordinator import schema
from coordinator.config import Config
from coordinator.errors import (
    RoundClosedError,
    RoundNotOpenError,
    SchoolsMissingError,
    TooFewReportsError,
)
from coordinator.home import Home
from coordinator.log_book import LogBook, View, sign_entry
from coordinator.round import missing_nodes
from coordinator.store import insert_once
from coordinator.surroundings import look_around
from plan.errors import phrase
from protos.bodies import encode_candidates_body, encode_close_body
from protos.round_log import RoundLog, RoundState, closed_set, distinct_operators, tier_of
from protos.statements import Candidates, Close, body_ref, encode_statement


def fix_candidates(view: View, home: Home, round_log: RoundLog) -> None:
    """Log the candidates at the present log size."""
    log_size = view.ledger.size
    body = encode_candidates_body(view.ledger.candidates_for(round_log.round_id, log_size))
    statement = Candidates(
        federation=round_log.terms.federation,
        round=round_log.round_id,
        log_size=log_size,
        body=body_ref(body),
    )
    view.append(sign_entry(encode_statement(statement), home.signer(round_log.roster.coordinator)), body)


def close_set(view: View, home: Home, round_log: RoundLog, checked: tuple[str, ...]) -> None:
    """Log the close: candidates minus everything that the named auditors refused."""
    if round_log.candidates is None:
        raise RoundNotOpenError(phrase("this round has no candidates yet"))
    close_body = closed_set(round_log, checked)
    body = encode_close_body(close_body)
    statement = Close(
        federation=round_log.terms.federation,
        round=round_log.round_id,
        candidates=round_log.candidates.digest,
        checked=tuple((name, round_log.checked[name].digest) for name in checked),
        tier=tier_of(round_log, close_body.set),
        reports=len(close_body.set),
        body=body_ref(body),
    )
    view.append(sign_entry(encode_statement(statement), home.signer(round_log.roster.coordinator)), body)


def _refuse_closed(round_log: RoundLog) -> None:
    if round_log.state is RoundState.RELEASED:
        raise RoundClosedError(phrase("this round is closed, and its results stand in the log already"))
    if round_log.state is RoundState.ABORTED:
        raise RoundClosedError(phrase("this round has ended without results; there is nothing to close"))
    if round_log.candidates is not None:
        raise RoundClosedError(
            phrase(
                "this round is closed already: the list of the %(count)s schools to be counted is fixed",
                count=len(round_log.candidate_names()),
            )
        )


def request_close(book: LogBook, config: Config, round_id: bytes, *, without_missing: bool = False) -> None:
    """Note that a round shall not wait for its deadline; the next tick fixes the candidates.

    Args:
        book: the log and database.
        config: of this coordinator.
        round_id: the round.
        without_missing: leave out the schools that have not reported; they cannot report later.

    Raises:
        RoundNotOpenError: approvals are missing or the window has not begun.
        RoundClosedError: the round takes no reports any more; the message says since when and why.
        TooFewReportsError: fewer independent operators than the plan's floor have reported.
        SchoolsMissingError: schools are missing and `without_missing` was not said.
    """
    with book.writing("request close") as view:
        round_log = view.round(round_id)
        if not round_log.is_approved or view.now < round_log.terms.opens:
            raise RoundNotOpenError(phrase("this round takes no reports yet, so there is nothing to close"))
        _refuse_closed(round_log)
        around = look_around(view, config, round_log)
        found = distinct_operators(round_log, around.candidates)
        needed = round_log.terms.min_reports
        if found < needed:
            raise TooFewReportsError(
                phrase(
                    "%(found)s independent operators have reported, the plan asks for %(needed)s",
                    found=found,
                    needed=needed,
                )
            )
        missing = missing_nodes(round_log, around)
        if missing and not without_missing:
            raise SchoolsMissingError(
                phrase(
                    "%(num_missing)s schools have not reported: %(missing)s; remind them, or close "
                    "without them",
                    num_missing=len(missing),
                    missing=", ".join(missing[:20]),
                ),
                missing,
            )
        row = {"round": round_id, "requested_ms": round(view.now.timestamp() * 1000)}
        insert_once(view.connection, schema.close_requests, row)
