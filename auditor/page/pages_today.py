"""What is to be done now, how things stand, and the fingerprints that people compare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from auditor.desk import Desk
from auditor.duties import SECOND_SITTING, Duty, log_duties, round_duties
from auditor.errors import AuditorError, KeyFileError
from auditor.extend import waiting_extensions
from auditor.fingerprint_sheet import Shown
from auditor.keys import certificate_days
from auditor.page.keeper import reason
from auditor.page.pages_rounds import is_unsent, waiting_plans
from auditor.page.visit import KEEPER, Page, Redirect, Reply, Visit
from auditor.status import describe
from crypto.errors import CryptoError
from crypto.fingerprint import fingerprint_words
from crypto.note import parse_note, verified_by
from plan.errors import phrase
from protos.bodies import RosterAuditor
from protos.card import encode_card, fingerprint
from protos.ledger import RoundLog

WARN_DAYS = 21


def today(visit: Visit) -> Reply:
    """Show what this auditor has to do now; an inspector begins at the verification."""
    if visit.role != KEEPER:
        return Redirect("/verify")
    with visit.desk() as desk:
        reach, problem = visit.keeper.reach, None
        try:
            reach = visit.keeper.look(desk)
        except AuditorError as err:
            problem = reason(err)
        ledger = desk.context.ledger
        duties = round_duties(desk.context)
        values = {
            "reach": reach,
            "problem": problem,
            "rosters": reach.rosters,
            "num_plans": len(waiting_plans(desk)),
            "extensions": [ledger.rounds[round_id] for round_id in waiting_extensions(desk.context)],
            "unsent": [duty for duty in duties if is_unsent(duty)],
            **second_sitting(desk, duties),
            "stopped": [duty for duty in duties if duty.code in ("abstain", "damaged")],
            "cosign": log_duties(desk.context),
            "status": describe(desk),
            "cosigners": cosigners(desk),
            "quorum": ledger.roster.statement.quorum if ledger.size else 0,
            "days": _days(visit),
            "warn_days": WARN_DAYS,
        }
    return Page("today.html", values)


def look(visit: Visit) -> Reply:
    """Ask the county now."""
    with visit.desk() as desk:
        reach = visit.keeper.look(desk, anyway=True)
    if reach.problem is None:
        visit.say("good", phrase("The county has answered; the log is up to date."))
    return Redirect("/")


def keys(visit: Visit) -> Reply:
    """Show what is compared by telephone."""
    with visit.desk() as desk:
        ledger, line = desk.context.ledger, fingerprint(encode_card(desk.card))
        values = {
            "card": line,
            "words": {name: fingerprint_words(line, name) for name in ("zh", "en")},
            "federation": desk.card.federation,
            "size": ledger.size,
            "root": ledger.root().hex() if ledger.size else "",
            "auditors": list(_telephone_keys(desk)) if ledger.size else (),
            "own": desk.context.id,
        }
    return Page("keys.html", values)


def second_sitting(desk: Desk, duties: Sequence[Duty]) -> dict[str, Sequence[Duty]]:
    """Tell the rounds whose reports can be checked from those that are only to be given up."""
    due = [duty for duty in duties if duty.code == "watch" and duty.sitting == SECOND_SITTING]
    rounds = desk.context.ledger.rounds
    found = [duty for duty in due if duty.round_id and _has_list(rounds[duty.round_id])]
    return {"sitting": found, "ending": [duty for duty in due if duty not in found]}


def _has_list(row: RoundLog) -> bool:
    return row.candidates is not None and not row.is_dead


def cosigners(desk: Desk) -> tuple[str, ...]:
    """Name the auditors that have cosigned the newest checkpoint with a quorum."""
    if not desk.mirror.cosigned:
        return ()
    ledger = desk.context.ledger
    names = {row.cosigner: row.id for row in ledger.roster.body.auditors}
    try:
        found = verified_by(parse_note(desk.mirror.cosigned), ledger.cosigners_at(desk.mirror.cosigned_size))
    except CryptoError:
        return ()
    return tuple(names.get(key, key.name) for key in found)


def _telephone_keys(desk: Desk) -> Iterator[tuple[RosterAuditor, tuple[Shown, Shown]]]:
    """Give each auditor of the roster with its statement key and its cosigner key."""
    for row in desk.context.ledger.roster.body.auditors:
        name = f"{desk.card.federation}/auditor/{row.id}"
        yield (
            row,
            (
                Shown("key", name, fingerprint(row.statement.text)),
                Shown("cosigner", name, fingerprint(row.cosigner.text)),
            ),
        )


def _days(visit: Visit) -> int | None:
    with suppress(KeyFileError):  # before 'join' there is none
        return certificate_days(visit.folder, visit.office.now())
    return None
