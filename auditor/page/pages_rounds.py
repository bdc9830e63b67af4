"""Rounds: who has done what, what this auditor signed, what is waited for; and the second sitting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from auditor import watch as watching
from auditor.cli_rounds import find_round, waiting_rounds
from auditor.client import GrpcLink
from auditor.desk import Desk, Event
from auditor.duties import FIRST_SITTING, SECOND_SITTING, Duty, duty_of, round_duties
from auditor.errors import AuditorError, RefusalError
from auditor.extend import ExtensionReview, is_asked_to_extend, review_extension
from auditor.page.keeper import Keeper, reason
from auditor.page.visit import Page, Redirect, Reply, Visit
from auditor.page.work import Work
from auditor.plan_view import view_plan
from auditor.state import SecretKind, SlotKind
from plan.errors import Phrase, phrase
from protos.ledger import RoundLog, RoundState

POLL_S = 3.0
DIGEST_CHARS = 64


@dataclass(frozen=True, slots=True)
class Party:
    """What the log has of one auditor of a round; positions in the log, None for nothing yet."""

    id: str
    operator: str
    is_outside: bool
    approval: int | None
    checked: int | None
    agreement: int | None
    abandon: int | None
    opening: int | None


def rounds(visit: Visit) -> Reply:
    """List every round."""
    with visit.desk() as desk:
        reach = visit.keeper.look(desk)
        rows = [(row, title_of(row)) for row in reversed(desk.context.ledger.rounds.values())]
    return Page("rounds.html", {"rounds": rows, "own": desk.context.id, "reach": reach})


def round_page(visit: Visit) -> Reply:
    """Show one round."""
    with visit.desk() as desk:
        visit.keeper.look(desk)
        row = _round(desk, visit.path["round"])
        extension, problem = _extension(desk, row)
        duty = duty_of(desk.context, row)
        values = {
            "row": row,
            "title": title_of(row),
            "parties": list(parties(row)),
            "own": desk.context.id,
            "signed": list(_signed(desk, row)),
            "has_key": desk.state.secret(SecretKind.ROUND_KEY, row.round_id) is not None,
            "waits": duty.words if is_said_by(duty) else waits_for(desk, row),
            "is_for_sitting": duty.code == "watch" and duty.sitting == SECOND_SITTING,
            "is_unsent": is_unsent(duty),
            "duty": duty,
            "is_waiting": row.round_id in waiting_plans(desk),
            "extension": extension,
            "extension_problem": problem,
            "num_schools": len({node for node, _attempt in row.reports}),
        }
    return Page("round.html", values)


def extend(visit: Visit) -> Reply:
    """Grant the deadline that was shown; a second click changes nothing."""
    with visit.signing() as desk:
        row = _round(desk, visit.path["round"])
        asked = row.changes.extensions[-1] if row.changes.extensions else None
        if asked is None or asked.digest.hex() != visit.text("extension"):
            raise RefusalError(
                "other-extension", phrase("the county now asks for another deadline; look at it first")
            )
        desk.extend(row.round_id, asked.digest)
    visit.say("good", phrase("The later deadline is granted."))
    return Redirect(f"/rounds/{visit.path['round']}")


def work(visit: Visit) -> Reply:
    """Show the work that runs, or the last that ended."""
    watcher = visit.office.watcher
    return Page("work.html", {"work": watcher.last, "is_idle": watcher.running is None})


def start(visit: Visit) -> Reply:
    """Begin the second sitting, or a watch that goes on; once one runs, another click shows it."""
    keeper, kind = visit.keeper, "watch" if visit.text("kind") == "watch" else "sitting"

    def task(found: Work) -> None:
        _sit(keeper, found)

    found = visit.office.watcher.start(kind, "/work", task)
    return Redirect(found.back)


def stop(visit: Visit) -> Reply:
    """Ask the work to end after its present step."""
    running = visit.office.watcher.running
    if running is not None:
        running.stop.set()
    return Redirect("/work")


class _Sitting:
    """Steps like `watch` and tells as it goes; a sitting ends when nothing is left for this auditor."""

    def __init__(self, keeper: Keeper, work: Work) -> None:
        self._keeper, self._work, self._renewal_s = keeper, work, 0.0

    def tell(self, event: Event) -> None:
        """Keep what happened."""
        self._work.note(self._keeper.now(), event)

    def step(self) -> list[Event]:
        """Do everything that can be done now."""
        found = self._keeper.step(self.tell)
        with self._keeper.desk(wait_s=60.0) as desk:
            goes_on = any(duty.sitting == SECOND_SITTING for duty in round_duties(desk.context))
        if self._work.kind == "sitting" and not goes_on:
            self._work.stop.set()
        return found

    def keep_up(self) -> Event | None:
        """Look at the certificate twice a day, and renew it when due."""
        if self._keeper.now_s() < self._renewal_s:
            return None
        self._renewal_s = self._keeper.now_s() + watching.RENEWAL_EVERY_S
        with self._keeper.desk(wait_s=60.0) as desk:
            link = desk.context.link
            return watching.upkeep_of(self._keeper.folder, link)() if isinstance(link, GrpcLink) else None


def _sit(keeper: Keeper, work: Work) -> None:
    sitting = _Sitting(keeper, work)
    watching.watch(sitting, POLL_S, work.stop, sitting.tell, sitting.keep_up)


def waiting_plans(desk: Desk) -> list[bytes]:
    """List the plans that wait for this auditor; an approval that is signed is only on its way to the log."""
    signed = set(desk.state.slots_of(SlotKind.APPROVAL))
    return [row for row in waiting_rounds(desk, ()) if row not in signed]


def is_unsent(duty: Duty) -> bool:
    """Whether an approval is signed and the log has not got it."""
    return duty.code == "watch" and duty.sitting == FIRST_SITTING


def is_said_by(duty: Duty) -> bool:
    """Whether the duty says better than the log what a round waits for."""
    return duty.code in ("abstain", "damaged") or is_unsent(duty)


def title_of(row: RoundLog) -> str:
    """Give a round's title; its id where the plan cannot be read."""
    try:
        return view_plan(row.terms, row.plan.body).document.title
    except AuditorError:
        return row.round_id.hex()[:16]


def parties(row: RoundLog) -> Iterator[Party]:
    """Say what the log has of each auditor of a round."""
    for name in row.terms.auditors:
        member = row.roster.auditor(name)
        yield Party(
            name,
            member.operator if member else "",
            bool(member and member.is_outside),
            *(
                found[name].index if name in found else None
                for found in (row.approvals, row.checked, row.agreements, row.abandons, row.openings)
            ),
        )


def waits_for(desk: Desk, row: RoundLog) -> Phrase:
    """Say what a round waits for, and whether it is this auditor."""
    own, terms = desk.context.id, row.terms
    if row.release is not None:
        return phrase("The round is over: its sum is released.")
    if row.is_dead:
        return phrase("The round has ended without a sum.")
    if own not in terms.auditors:
        return phrase("The plan does not name this auditor: nothing to do here.")
    if row.state is RoundState.DRAFT:
        missing = [name for name in terms.auditors if name not in row.approvals]
        if own in missing:
            return phrase("It waits for you: read the plan, then approve it.")
        return phrase("It waits for approvals: %(names)s.", names=", ".join(missing))
    if is_asked_to_extend(own, row):
        return phrase("It waits for you: the county asks for a later deadline.")
    if row.candidates is None:
        return phrase("It waits for schools; the county fixes the list of reports after the deadline.")
    return _waits_later(own, row)


def _waits_later(own: str, row: RoundLog) -> Phrase:
    quorum, threshold = row.terms.quorum, row.terms.threshold
    if row.close is None:
        if own not in row.checked:
            return phrase("It waits for you: do the second sitting.")
        return phrase(
            "Checked by %(found)s of %(needed)s that are needed; the county then closes the list.",
            found=len(row.checked),
            needed=quorum,
        )
    if own not in row.agreements and own not in row.abandons:
        return phrase("It waits for you: do the second sitting.")
    if len(row.agreements) < quorum:
        return phrase(
            "Agreed by %(found)s of %(needed)s that are needed.", found=len(row.agreements), needed=quorum
        )
    if own not in row.openings and own not in row.abandons:
        return phrase("It waits for you: do the second sitting.")
    return phrase(
        "Opened by %(found)s of %(needed)s that are needed; the county then releases the sum.",
        found=len(row.openings),
        needed=threshold,
    )


def _signed(desk: Desk, row: RoundLog) -> Iterator[tuple[str, datetime]]:
    """Name what this auditor's state has signed for a round, with the time."""
    for kind in SlotKind:
        when = desk.state.signed_at(kind, row.round_id)
        if when is not None:
            is_abandon = kind is SlotKind.DECISION and desk.context.id in row.abandons
            word = {"decision": "abandon" if is_abandon else "agreement"}.get(kind.value, kind.value)
            yield word, when


def _extension(desk: Desk, row: RoundLog) -> tuple[ExtensionReview | None, Phrase | None]:
    if not is_asked_to_extend(desk.context.id, row):
        return None, None
    try:
        return review_extension(desk.context, row.round_id), None
    except AuditorError as err:
        return None, reason(err)


def _round(desk: Desk, name: str) -> RoundLog:
    if len(name) != DIGEST_CHARS:
        raise RefusalError("no-such-round", phrase("no plan %(round_id)s in the log", round_id=name[:16]))
    return desk.context.ledger.rounds[find_round(desk, name)]
