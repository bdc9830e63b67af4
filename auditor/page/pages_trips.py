"""Trips without a network: the county's file on a stick is shown, what a person ticked is signed.

Rules:

1. Nothing is signed by showing. Each roster, plan and deadline has a box of its own, named by the digest of
   what was shown; what cannot be signed has none.
2. Only what is ticked is signed, and only if the stick still holds exactly that. A refusal of one thing
   stands for itself and stops nothing else, as with `auditor offline trip`.
3. The answer is written last, after the one pass of cosigning, checking, agreeing and opening.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from auditor import watch as watching
from auditor.config import AuditorFolder, read_config
from auditor.desk import Desk, Event
from auditor.errors import AuditorError, BundleError, RefusalError
from auditor.extend import ExtensionReview, review_extension, waiting_extensions
from auditor.file_link import empty_link
from auditor.next_trip import NextTrip, next_trips
from auditor.page.keeper import reason
from auditor.page.pages_plans import Waiting, look_at
from auditor.page.pages_rounds import title_of, waiting_plans
from auditor.page.pages_verify import STICKS, folders_of, read_path
from auditor.page.visit import Page, Redirect, Reply, Visit
from auditor.page.work import Work
from auditor.sign_roster import RosterReview, review_roster
from auditor.trip import Trip, open_trip, reason_of
from plan.errors import Phrase, phrase
from protos.errors import ProtocolError
from protos.statements import digest
from protos.stick import to_auditor_path
from protos.trip_records import KIND_NAMES

MAX_FOUND: Final = 12
ROSTER, PLAN, DEADLINE = "roster", "plan", "deadline"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that was refused: by the county of the answer before, or by this auditor.

    Attributes:
        what: of the answer before a word of `plan.words.TRIP_ITEMS`; else "roster", "plan" or "deadline".
        name: the digest of what was refused; "" for the answer before.
        words: why.
    """

    what: str
    name: str
    words: Phrase


@dataclass(frozen=True, slots=True)
class Shown:
    """The county's file as a page shows it.

    Attributes:
        stick: its folder.
        made: when the county wrote the file.
        num_new: entries of the log that it has brought.
        num_taken: how many things of the answer before the county has taken.
        refused: what it has not taken.
        rosters, plans, deadlines: what waits; `unsound` what of it must not be signed.
    """

    stick: str
    made: datetime
    num_new: int
    num_taken: int
    refused: tuple[Refusal, ...]
    rosters: tuple[RosterReview, ...]
    plans: tuple[Waiting, ...]
    deadlines: tuple[tuple[str, ExtensionReview], ...]
    unsound: tuple[Refusal, ...]

    @property
    def num_ticks(self) -> int:
        """How many boxes there are to tick."""
        plans = sum(row.review is not None for row in self.plans)
        return sum(not row.is_signed for row in self.rosters) + plans + len(self.deadlines)


@dataclass(frozen=True, slots=True)
class Done:
    """A trip that is done.

    Attributes:
        answer: the file that was written.
        num_items: how many records are in it.
        signed: what was signed: kind and digest.
        refused: what was ticked and refused.
        events: what else was done.
        coming: what to come back for.
    """

    answer: str
    num_items: int
    signed: tuple[tuple[str, str], ...]
    refused: tuple[Refusal, ...]
    events: tuple[Event, ...]
    coming: tuple[NextTrip, ...]


def form(visit: Visit) -> Reply:
    """Ask for the stick; say what the next trip waits for, from the auditor's own copy."""
    keeper = visit.keeper
    config = read_config(keeper.folder)
    with keeper.alone():
        desk = watching.open_desk(keeper.folder, config, empty_link(config.federation, config.id))
        coming = next_trips(desk)
    last = visit.office.workshop.last
    values = {
        "found": list(sticks(config.id)),
        "file": to_auditor_path(Path(), config.id).name,
        "coming": coming,
        "has_last": last is not None and isinstance(last.result, Done),
    }
    return Page("trips.html", values)


def show(visit: Visit) -> Reply:
    """Read the county's file and show all that waits in it; nothing is signed."""
    stick = _stick(visit)
    with visit.keeper.alone() as folder, open_trip(folder, stick) as trip:
        return Page("trip.html", {"shown": look_into(trip, stick)})


def make(visit: Visit) -> Reply:
    """Sign what was ticked, do the rest, write the answer."""
    stick, keeper = _stick(visit), visit.keeper
    ticked = list(read_ticks(visit))
    wants_vectors = visit.text("vectors") == "1"

    def task(_work: Work) -> Done:
        with keeper.alone(60.0) as folder:
            return make_trip(folder, stick, ticked, wants_vectors=wants_vectors)

    return Redirect(visit.office.workshop.start("trip", "/trips/result", task).back)


def result(visit: Visit) -> Reply:
    """Show what the trip has done, and what to come back for."""
    work = visit.office.workshop.last
    if work is None or work.kind != "trip":
        return Redirect("/trips")
    if not isinstance(work.result, Done):
        return Page("work.html", {"work": work, "is_idle": work.is_done})
    return Page("trip_made.html", {"done": work.result})


def read_ticks(visit: Visit) -> Iterator[tuple[str, bytes, bytes]]:
    """Read the boxes that are ticked: what, which, and the digest of a deadline that was shown.

    Raises:
        RefusalError: a name is none that a page made.
    """
    for name in visit.texts:  # in the order of the page: rosters, plans, deadlines
        if name.startswith("sign."):
            try:
                _sign, what, ident = name.split(".")
                found = bytes.fromhex(ident)
                shown = bytes.fromhex(visit.text(name)) if what == DEADLINE else b""
            except ValueError as err:
                raise _other() from err
            if what not in (ROSTER, PLAN, DEADLINE):
                raise _other()
            yield what, found, shown


def look_into(trip: Trip, stick: Path) -> Shown:
    """Review everything that waits in the county's file; a refusal is kept, not raised."""
    unsound: list[Refusal] = []
    rosters = tuple(_rosters(trip, unsound))
    plans = tuple(look_at(trip.desk, row) for row in waiting_plans(trip.desk))
    deadlines = tuple(_deadlines(trip.desk, unsound))
    refused = tuple(Refusal(KIND_NAMES[row.kind], "", reason_of(row)) for row in trip.refused)
    num_taken = len(trip.told) - len(refused)
    made = trip.head.made
    return Shown(
        str(stick), made, trip.num_new, num_taken, refused, rosters, plans, deadlines, tuple(unsound)
    )


def make_trip(
    folder: AuditorFolder, stick: Path, ticked: list[tuple[str, bytes, bytes]], *, wants_vectors: bool
) -> Done:
    """Make one trip; what is ticked is signed first, the answer written last."""
    signed: list[tuple[str, str]] = []
    refused: list[Refusal] = []
    with open_trip(folder, stick) as trip:
        for what, ident, shown in ticked:
            try:
                _signers(trip, shown)[what](ident)
                signed.append((what, ident.hex()))
            except (AuditorError, ProtocolError) as err:
                refused.append(Refusal(what, ident.hex(), reason(err)))
        if wants_vectors:
            trip.ask_for_vectors()
        events = trip.finish()
        coming = next_trips(trip.desk)
        num_items = len(trip.link.answer)
        answer = str(trip.answer_path)
    return Done(answer, num_items, tuple(signed), tuple(refused), tuple(events), coming)


def sticks(auditor: str) -> Iterator[str]:
    """Find sticks that hold a file for this auditor."""
    places = [path for place in STICKS for path in folders_of(Path(place))]
    inside = [path for place in places for path in folders_of(place)]
    found = [path for path in (*places, *inside) if _is_file(to_auditor_path(path, auditor))]
    yield from map(str, found[:MAX_FOUND])


def _is_file(path: Path) -> bool:
    with suppress(OSError):
        return path.is_file()
    return False


def _stick(visit: Visit) -> Path:
    stick = read_path(visit.text("stick"))
    if not stick.is_dir():
        raise BundleError(phrase("%(folder)s: no such folder on this machine", folder=stick))
    return stick


def _signers(trip: Trip, shown: bytes) -> dict[str, Callable[[bytes], object]]:
    desk = trip.desk
    return {
        ROSTER: desk.sign_roster,
        PLAN: desk.approve,
        DEADLINE: lambda round_id: desk.extend(round_id, shown),
    }


def _rosters(trip: Trip, unsound: list[Refusal]) -> Iterator[RosterReview]:
    desk, context = trip.desk, trip.desk.context
    for proposal in trip.link.list_proposals():
        try:
            yield review_roster(proposal, context.ledger, desk.card, context.id, context.keys)
        except (AuditorError, ProtocolError) as err:
            unsound.append(Refusal(ROSTER, digest(proposal.text).hex(), reason(err)))


def _deadlines(desk: Desk, unsound: list[Refusal]) -> Iterator[tuple[str, ExtensionReview]]:
    for round_id in waiting_extensions(desk.context):
        try:
            review = review_extension(desk.context, round_id)
            yield title_of(review.round_log), review
        except (AuditorError, ProtocolError) as err:
            unsound.append(Refusal(DEADLINE, round_id.hex(), reason(err)))


def _other() -> RefusalError:
    return RefusalError("other-trip", phrase("this form is not one of the page; show the stick's file again"))
