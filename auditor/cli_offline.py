"""`fedscreen auditor offline`: every duty by files on a stick, with the checks of the connection.

One command is one trip (`auditor.trip`): what the county's file asks for is shown and asked, everything else
that `watch` does is done, and the answer is written beside the file. Declining one thing leaves the others.
Exit code 1 also where this auditor refuses a roster, plan or deadline; the answer is written all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from gettext import gettext as _
from pathlib import Path
from typing import TypeVar

import click

from auditor import watch as watching
from auditor.approve import review_plan
from auditor.approve_year import YearReview, sift_years
from auditor.cli_context import DIR, EXIT_REFUSED, FILE, JSON, YES, refusing, say, show
from auditor.cli_rounds import extension_lines, refusal_lines, waiting_rounds, year_lines
from auditor.cli_text import event_line, plan_lines, roster_lines, status_lines
from auditor.cli_visit import review_lines
from auditor.cli_watch import is_before_join, say_before_join
from auditor.config import AuditorFolder, read_config
from auditor.context import Context
from auditor.desk import Desk
from auditor.errors import AuditorError, RefusalError
from auditor.extend import review_extension, waiting_extensions
from auditor.file_link import empty_link
from auditor.next_trip import NextTrip, next_trips
from auditor.sign_roster import review_roster
from auditor.site_record import Recorded, VisitReview, record, review_result
from auditor.state import SlotKind
from auditor.status import describe
from auditor.trip import Trip, open_trip, printable, reason_of
from plan.errors import told
from plan.words import TRIP_ITEMS, word
from protos.errors import ProtocolError
from protos.site_visit import MAX_BYTES
from protos.statements import digest
from protos.trip_records import KIND_NAMES, Told

STICK = click.argument(
    "stick", metavar="STICK", type=click.Path(exists=True, file_okay=False, path_type=Path)
)
T = TypeVar("T")


@click.group(name="offline", help=_("Every duty by files on a stick, for a machine without a network."))
def offline() -> None:
    """Hold the commands of an auditor without a network."""


@dataclass(slots=True)
class _Sitting:
    """What a person says yes to at one trip, and what is refused."""

    trip: Trip
    is_quiet: bool
    yes: bool
    signed: list[dict[str, str]] = field(default_factory=list)
    refused: list[dict[str, str]] = field(default_factory=list)

    def each(
        self,
        what: str,
        name: str,
        look: Callable[[], T],
        lines: Callable[[T], Iterator[str]],
        sign: Callable[[], object],
    ) -> None:
        """Look at one thing, show it, ask, sign; a refusal stands for itself and stops nothing else."""
        try:
            show(self.is_quiet, lines(look()))
            if not self.yes and not click.confirm(_("Sign this?"), err=True):
                return
            sign()
            self.signed.append({"what": what, "id": name})
        except (AuditorError, ProtocolError) as err:
            code = getattr(err, "code", type(err).__name__)
            self.refused.append({"what": what, "id": name, "error": code, "message": str(err)})
            show(self.is_quiet, self._refusal(what, name, err))

    def _refusal(self, what: str, name: str, err: AuditorError | ProtocolError) -> Iterator[str]:
        if what == "approval" and isinstance(err, RefusalError):
            return refusal_lines(self.trip.desk, bytes.fromhex(name), err)
        return iter([_("refused: %(reason)s") % {"reason": told(err, _)}])

    def rosters(self) -> None:
        """Go through the rosters that wait for signatures; one that bears this auditor's is asked again."""
        desk, context = self.trip.desk, self.trip.desk.context
        for proposal in self.trip.link.list_proposals():
            name = digest(proposal.text)
            look = partial(review_roster, proposal, context.ledger, desk.card, context.id, context.keys)
            self.each("roster", name.hex(), look, roster_lines, partial(desk.sign_roster, name))

    def plans(self, *, is_year: bool) -> None:
        """Go through the plans that wait for this auditor, one by one or a school year at a time."""
        desk = self.trip.desk
        waiting = [row for row in waiting_rounds(desk, ()) if not _is_approved(desk, row)]
        if is_year:
            self._years(waiting)
            return
        for row in waiting:
            look = partial(review_plan, desk.context, row)
            self.each("approval", row.hex(), look, plan_lines, partial(desk.approve, row))

    def _years(self, waiting: list[bytes]) -> None:
        """Show and leave out the plans that must not be approved; go through the rest, a year at a time."""
        desk = self.trip.desk
        found = sift_years(desk.context, waiting)
        for round_id, err in found.refused:
            row = {"what": "approval", "id": round_id.hex(), "error": err.code, "message": str(err)}
            self.refused.append(row)
            show(self.is_quiet, refusal_lines(desk, round_id, err))
        for year in found.years:
            rows = [plan.round_log.round_id for plan in year.plans]
            self.each(
                "year", year.school_year, partial(_same, year), year_lines, partial(_approve_all, desk, rows)
            )

    def visits(self, root: Path, results: tuple[Path, ...]) -> None:
        """Go through the results of visits to schools, as `auditor site record` does."""
        context = self.trip.desk.context
        for path in results:
            look = partial(_look_at_visit, context, root, path)
            self.each("replayed", path.name, look, review_lines, partial(_record_visit, context, root, path))

    def deadlines(self) -> None:
        """Go through the later deadlines that the county asks for."""
        desk = self.trip.desk
        for row in waiting_extensions(desk.context):
            look = partial(review_extension, desk.context, row)
            self.each("extended", row.hex(), look, extension_lines, partial(desk.extend, row))


def _look_at_visit(context: Context, root: Path, path: Path) -> VisitReview:
    with path.open("rb") as file:
        return review_result(context, root, file.read(MAX_BYTES + 1))


def _record_visit(context: Context, root: Path, path: Path) -> Recorded:
    return record(context, root, _look_at_visit(context, root, path))


def _same(year: YearReview) -> YearReview:
    return year


def _approve_all(desk: Desk, round_ids: list[bytes]) -> None:
    for round_id in round_ids:
        desk.approve(round_id)


def _is_approved(desk: Desk, round_id: bytes) -> bool:
    """Whether the approval is signed and only on its way: it goes out again by itself."""
    return desk.state.slot(SlotKind.APPROVAL, round_id) is not None


@offline.command(
    name="trip", help=_("Read the county's file on STICK, do what can be done, write the answer.")
)
@STICK
@click.option("--year", "is_year", is_flag=True, help=_("All plans of a school year together, asked once."))
@click.option("--bundle", "wants_bundle", is_flag=True, help=_("Ask for what a full bundle needs."))
@click.option("--resend", "is_again", is_flag=True, help=_("Send stored mask sums again."))
@click.option("--visit", "visits", multiple=True, type=FILE, help=_("Record this result of a visit too."))
@YES
@DIR
@JSON
def trip(
    directory: Path,
    stick: Path,
    is_year: bool,
    wants_bundle: bool,
    is_again: bool,
    visits: tuple[Path, ...],
    yes: bool,
    as_json: bool,
) -> None:
    """Make one trip."""
    with refusing(as_json), open_trip(AuditorFolder(directory), stick) as found:
        show(as_json, told_lines(found))
        sitting = _Sitting(found, as_json, yes)
        sitting.rosters()
        sitting.plans(is_year=is_year)
        sitting.deadlines()
        sitting.visits(directory, visits)
        if is_again:
            found.send_answers_again()
        if wants_bundle:
            found.ask_for_vectors()
        events = found.finish()
        coming = next_trips(found.desk)
    values: dict[str, object] = {
        "answer": str(found.answer_path),
        "made": found.head.made.isoformat(),
        "new_entries": found.num_new,
        "log_size": found.desk.mirror.ledger.size,
        "signed": sitting.signed,
        "refused": sitting.refused,
        "told": [_told_values(row) for row in found.told],
        "events": [
            {"event": row.kind, "round": row.round_id.hex() if row.round_id else "", "detail": row.detail}
            for row in events
        ],
        "sent": len(found.link.answer),
        "next": [next_values(row) for row in coming],
    }
    say(as_json, values, *map(event_line, events), *next_lines(found, coming))
    if sitting.refused:
        raise SystemExit(EXIT_REFUSED)


def _told_values(row: Told) -> dict[str, str]:
    return {"what": KIND_NAMES[row.kind], "code": row.code, "message": printable(str(reason_of(row)))}


def told_lines(found: Trip) -> Iterator[str]:
    """Tell whose file it is and what became of the answer before."""
    yield _("file of %(federation)s for %(auditor)s, written %(made)s UTC; %(new)s new entries") % {
        "federation": found.head.federation,
        "auditor": found.head.auditor,
        "made": f"{found.head.made:%Y-%m-%d %H:%M}",
        "new": found.num_new,
    }
    for row in found.refused:
        what = word(TRIP_ITEMS, KIND_NAMES[row.kind], _)
        values = {"what": what, "code": row.code, "reason": printable(reason_of(row).text(_))}
        yield _("the county has not taken a %(what)s of your last answer: %(code)s: %(reason)s") % values


def next_lines(found: Trip, coming: tuple[NextTrip, ...]) -> Iterator[str]:
    """Say what to do with the stick now, and when to come back."""
    path = {"file": found.answer_path, "number": len(found.link.answer)}
    yield _("answer written: %(file)s (%(number)s items)") % path
    yield _("next: unmount the stick and bring it to the county")
    for row in coming:
        yield _("come back for %(what)s") % {"what": row.words.text(_)}


def next_values(row: NextTrip) -> dict[str, str]:
    """Say a next trip for a program."""
    after = row.after.isoformat() if row.after else ""
    return {"round": row.round_id.hex(), "next": row.code, "after": after, "detail": str(row.words)}


@offline.command(
    name="bundle", help=_("Write a bundle from the county's file on STICK into the new folder OUT.")
)
@STICK
@click.argument("out", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--public", "is_public", is_flag=True, help=_("Leave masked vectors and mask sums out."))
@DIR
@JSON
def bundle(directory: Path, stick: Path, out: Path, is_public: bool, as_json: bool) -> None:
    """Write a bundle; without `--public` after a trip with `--bundle`."""
    with refusing(as_json), open_trip(AuditorFolder(directory), stick) as found:
        manifest = found.write_bundle(out, is_public=is_public)
    values: dict[str, object] = {"bundle": str(out), "kind": manifest.kind, "files": len(manifest.files)}
    say(as_json, values, _("%(bundle)s: %(files)s files, kind %(kind)s") % values)


@offline.command(name="status", help=_("Show this auditor's copy of the log and when the next trip is due."))
@DIR
@JSON
def status(directory: Path, as_json: bool) -> None:
    """Show this auditor's view; asks nobody and needs no certificate."""
    folder = AuditorFolder(directory)
    if is_before_join(folder):
        say_before_join(folder, as_json, is_check=False)
        return
    with refusing(as_json):
        config = read_config(folder)
        desk = watching.open_desk(folder, config, empty_link(config.federation, config.id))
        values, coming = describe(desk), next_trips(desk)
    values["next"] = [next_values(row) for row in coming]
    lines = [_("come back for %(what)s") % {"what": row.words.text(_)} for row in coming]
    say(as_json, values, *status_lines(values), *lines)
