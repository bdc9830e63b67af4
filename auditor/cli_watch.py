"""`fedscreen auditor watch`, `status`, `resend`: the second sitting, what is to do, an answer sent again."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from gettext import gettext as _
from pathlib import Path

import click

from auditor import watch as watching
from auditor.bundle_write import unbundled_rounds
from auditor.cli_context import DIR, JSON, open_desk, refusing, say
from auditor.cli_enrol import REQUEST_NAME
from auditor.cli_rounds import find_round
from auditor.cli_text import event_line, status_lines
from auditor.client import GrpcLink
from auditor.config import AuditorFolder, read_config
from auditor.desk import Desk, Event
from auditor.duties import (
    COMMANDS,
    FIRST_SITTING,
    SECOND_SITTING,
    Duty,
    log_duties,
    roster_duties,
    round_duties,
    sitting_now,
)
from auditor.errors import KeyFileError, LinkError, RefusalError
from auditor.keys import certificate_days
from auditor.resend import answered_rounds, resend_opening
from auditor.status import describe
from auditor.without_you import without_you
from plan.errors import phrase
from protos.ledger import RoundLog

NOTHING_MORE = ("over", "not-named")
STOPPED = ("abstain", "damaged")


class Told:
    """A desk that also tells where each open round stands, after what it has done."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def step(self) -> list[Event]:
        """Step; the duties come as events that are told once as long as they stay the same."""
        return [*self._desk.step(), *waiting_events(self._desk)]


def waiting_events(desk: Desk) -> list[Event]:
    """Say of every round that is not over what it waits for."""
    return [
        Event("next", duty.round_id, duty.words, is_progress=False)
        for duty in round_duties(desk.context)
        if duty.code not in NOTHING_MORE
    ]


@click.command(name="watch", help=_("Witness, check, agree and answer, until Ctrl-C or SIGTERM."))
@click.option("--once", is_flag=True, help=_("Do what can be done now, then stop."))
@DIR
@JSON
def watch(directory: Path, once: bool, as_json: bool) -> None:
    """Work until stopped; prints one line when ready and one an event."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_ignored: stop.set())
    tell = _teller(as_json)
    with open_desk(directory, as_json) as desk:
        working = desk if as_json else Told(desk)
        if once:
            events = working.step()
            for event in events:
                tell(event)
            if not events and not as_json:
                click.echo(_("nothing to do now"))
            return
        say(as_json, {"event": "ready", "auditor": desk.context.id}, _("watching"))
        folder, link = AuditorFolder(directory), desk.context.link
        upkeep = watching.upkeep_of(folder, link) if isinstance(link, GrpcLink) else lambda: None
        watching.watch(working, read_config(folder).poll_s, stop, tell, upkeep)


def _teller(as_json: bool) -> Callable[[Event], None]:
    def tell(event: Event) -> None:
        round_hex = event.round_id.hex() if event.round_id else ""
        values: dict[str, object] = {"event": event.kind, "round": round_hex, "detail": event.detail}
        clock = watching.utc_now().astimezone().strftime("%m-%d %H:%M")
        say(as_json, values, f"{clock}  {event_line(event)}")

    return tell


@click.command(
    name="status", help=_("Say what there is to do now, then every round, the keys and the certificate.")
)
@click.option("--offline", is_flag=True, help=_("Ask nobody; show this auditor's copy as it is."))
@click.option("--check", "is_check", is_flag=True, help=_("Exit with 1 if there is something to do."))
@DIR
@JSON
def status(directory: Path, offline: bool, is_check: bool, as_json: bool) -> None:
    """Show this auditor's view; exit code 0, with ``--check`` 1 if something is due or the county is away.

    Before `join` it says what the next step is. A coordinator that refuses this auditor for good ends with 1.
    """
    folder = AuditorFolder(directory)
    if is_before_join(folder):
        say_before_join(folder, as_json, is_check=is_check)
        return
    away: LinkError | None = None
    with open_desk(directory, as_json) as desk:
        rosters: tuple[Duty, ...] = ()
        if not offline:
            try:
                desk.sync()
                rosters = _roster_duties(desk)
            except LinkError as err:
                away = err
        duties = (*rosters, *round_duties(desk.context), *log_duties(desk.context))
        values = describe(desk, duties)
        with suppress(KeyFileError):  # before 'join' there is none
            values["certificate_days"] = certificate_days(folder, watching.utc_now())
        missed = tuple(without_you(desk.context))
        unbundled = tuple(unbundled_lines(folder, unbundled_rounds(desk.context)))
    lines = [] if away is None else [_away_line(folder, away)]
    values["without_you"] = [str(words) for words in missed]
    notes = (*(f"  ! {words.text(_)}" for words in missed), *unbundled)
    values["link"] = "" if away is None else away.code
    say(as_json, values, *lines, *duty_lines(duties), *notes, *status_lines(values))
    if (away is not None and not away.is_temporary) or (is_check and (values["due"] or away is not None)):
        raise SystemExit(1)


def _away_line(folder: AuditorFolder, err: LinkError) -> str:
    if not err.is_temporary:
        return _("the county's coordinator refuses this auditor: %(reason)s") % {"reason": err.phrase.text(_)}
    times = [path.stat().st_mtime for path in folder.mirror.glob("*")]
    when = f"{datetime.fromtimestamp(max(times)):%Y-%m-%d %H:%M}" if times else "–"
    return _(
        "the county's coordinator is not reached; below is this auditor's own copy, last changed %(when)s. "
        "Telephone the county if this lasts for a day"
    ) % {"when": when}


def is_before_join(folder: AuditorFolder) -> bool:
    """Whether there is an auditor here that has no federation card yet."""
    return folder.config.exists() and not folder.card.exists()


def say_before_join(folder: AuditorFolder, as_json: bool, *, is_check: bool) -> None:
    """Say the one thing that is to do between `init` and `join`; with `--check` exit code 1."""
    with refusing(as_json):
        config = read_config(folder)
    values: dict[str, object] = {
        "auditor": config.id,
        "federation": config.federation,
        "keys": "not-joined",
        "due": [{"code": "join", "command": "fedscreen auditor join"}],
    }
    say(
        as_json,
        values,
        _("not joined yet: give %(file)s to the coordinator; compare the words by telephone ('keys show')")
        % {"file": folder.root / REQUEST_NAME},
        _("  then, with the grant that comes back:"),
        "    $ fedscreen auditor join --grant GRANT",
    )
    if is_check:
        raise SystemExit(1)


def unbundled_lines(folder: AuditorFolder, rounds: Sequence[RoundLog]) -> Iterator[str]:
    """Name the releases of which this auditor has written no bundle, and how to write and verify one."""
    if rounds:
        serials = ", ".join(str(row.terms.serial) for row in rounds)
        yield _(
            "  released and not bundled here since: round %(serials)s; write a bundle, verify it, keep it"
        ) % {"serials": serials}
        yield "    $ fedscreen auditor bundle OUT"
        yield f"    $ fedscreen auditor verify OUT --policy {folder.policy}"


def _roster_duties(desk: Desk) -> tuple[Duty, ...]:
    try:
        return roster_duties(desk.list_rosters())
    except RefusalError as err:
        words = phrase(
            "a roster waits that must not be signed; tell the county by telephone: %(reason)s", reason=err
        )
        return (Duty("sign-roster", None, 0, FIRST_SITTING, is_due=True, words=words),)


def duty_lines(duties: Sequence[Duty]) -> Iterator[str]:
    """Say which sitting it is time for and what is to do in it, command by command, then what others do."""
    due = [duty for duty in duties if duty.is_due]
    yield _sitting_line(duties, is_due=bool(due))
    for duty in due:
        yield f"  {_place(duty)}{duty.words.text(_)}"
    for command in dict.fromkeys(COMMANDS[duty.code] for duty in due):
        yield f"    $ {command}"
    for duty in duties:
        if not duty.is_due and duty.code not in NOTHING_MORE:
            yield f"  {_place(duty)}{duty.words.text(_)}"
    num_over = sum(duty.code in NOTHING_MORE for duty in duties)
    if num_over:
        yield _("  rounds that are over: %(number)s") % {"number": num_over}


def _sitting_line(duties: Sequence[Duty], *, is_due: bool) -> str:
    now = sitting_now(duties)
    if any(duty.code in STOPPED for duty in duties):
        return _(
            "STOP: sign nothing more for the rounds named below, telephone the county and the other auditors"
        )
    if now == FIRST_SITTING:
        return _("first sitting now: rosters, plans, deadlines wait for you")
    if now == SECOND_SITTING and is_due:
        return _("second sitting now: let 'watch' run until your answer is in the log")
    if now == SECOND_SITTING:
        return _(
            "second sitting: nothing at this moment; 'watch' goes on when the others have done their part"
        )
    if is_due:
        return _("no sitting now, but let 'watch' run: the log waits for your cosignature")
    if any(duty.code == "refused" for duty in duties):
        return _("nothing to sign: telephone the county about the plan that is refused")
    return _("nothing to do now")


def _place(duty: Duty) -> str:
    values = {"serial": duty.serial, "round": duty.round_id.hex()[:8] if duty.round_id else ""}
    if duty.round_id is None:
        return _("roster %(serial)s: ") % values if duty.serial else ""
    return _("plan %(serial)s (%(round)s): ") % values


@click.command(
    name="resend", help=_("Send stored openings and mask sums again, when the county has lost them.")
)
@click.argument("rounds", metavar="[ROUND]...", nargs=-1)
@DIR
@JSON
def resend(directory: Path, rounds: tuple[str, ...], as_json: bool) -> None:
    """Send again what was answered: for the rounds named, or all that are answered and not released."""
    sent: list[dict[str, object]] = []
    with open_desk(directory, as_json) as desk:
        desk.sync()
        with desk.state.locked():
            found = [find_round(desk, prefix) for prefix in rounds] or answered_rounds(desk.context)
            for round_id in found:
                sent.append({"round": round_id.hex(), "index": resend_opening(desk.context, round_id)})
    lines = [
        _("sent again: round %(round)s, the same bytes") % {"round": str(row["round"])[:16]} for row in sent
    ]
    say(as_json, {"sent": sent}, *(lines or [_("no answer of this auditor waits for a release")]))
