"""`fedscreen auditor`: one auditor's commands.

Every command but `verify` works on one directory (``--dir``). Exit codes:

| code | meaning |
| --- | --- |
| 0 | done; for `verify`: every check passed |
| 1 | refused, or a check failed |
| 2 | wrong usage, such as a file that is not there; for `verify`: incomplete, or no policy |

With ``--json`` a result, or an error as ``{"error": kind, "message": …}``, is one JSON object on
standard output, in English; `watch` prints one object an event.
"""

from __future__ import annotations

import logging
import signal
import threading
from contextlib import suppress
from gettext import gettext as _
from pathlib import Path

import click
from pydantic import ValidationError

from auditor import cli_policy, cli_rounds, cli_verify
from auditor import watch as watching
from auditor.bundle_write import write_bundle
from auditor.cli_context import DIR, FILE, JSON, YES, open_desk, refusing, say, show
from auditor.cli_site import SITE_COMMANDS
from auditor.cli_text import event_line, roster_lines, status_lines
from auditor.client import GrpcLink, connect
from auditor.config import AuditorConfig, AuditorFolder, first_problem, read_config
from auditor.desk import Event
from auditor.enrol import create_auditor, load_card, make_request, roll_keys
from auditor.enrol import join as join_federation
from auditor.errors import ConfigError, KeyFileError
from auditor.keys import certificate_days, load_tls
from auditor.mirror import Mirror
from auditor.renewal import renew_if_due
from auditor.status import describe
from plan.errors import phrase
from plan.words import PARTIES, word

REQUEST_NAME = "request.json"
ROLL_NAME = "roll.json"


@click.group(name="auditor", help=_("An auditor: approve, watch, verify."))
def auditor() -> None:
    """Hold the commands of this room."""


@auditor.command(name="init", help=_("Make an auditor's folder, keys, and request to the coordinator."))
@DIR
@click.option("--federation", required=True, help=_("Short name of the federation (a-z 0-9 . _ -)."))
@click.option("--id", "auditor_id", required=True, help=_("This auditor's id (a-z 0-9 . _ -)."))
@click.option("--operator", required=True, help=_("The institution that runs this auditor."))
@click.option("--outside", is_flag=True, help=_("An auditor outside the county's own line."))
@click.option("--poll", "poll_s", type=float, help=_("Seconds between two steps of 'watch'."))
@JSON
def init(
    directory: Path,
    federation: str,
    auditor_id: str,
    operator: str,
    outside: bool,
    poll_s: float | None,
    as_json: bool,
) -> None:
    """Make keys and request; refuse a folder that has an auditor already."""
    folder = AuditorFolder(directory)
    with refusing(as_json):
        values: dict[str, object] = {} if poll_s is None else {"poll_s": poll_s}
        values |= {"federation": federation, "id": auditor_id, "operator": operator, "is_outside": outside}
        config = _config(values)
        create_auditor(folder, config)
        path = directory / REQUEST_NAME
        path.write_bytes(make_request(folder))
    say(
        as_json,
        {"directory": str(directory), "id": auditor_id, "request": str(path)},
        _("made: %(folder)s") % {"folder": directory},
        _("next: give %(file)s to the coordinator, then 'join' with its grant") % {"file": path},
    )


def _config(values: dict[str, object]) -> AuditorConfig:
    """Make a configuration out of options."""
    try:
        return AuditorConfig.model_validate(values)
    except ValidationError as err:
        raise ConfigError(phrase("options: %(reason)s", reason=first_problem(err))) from err


@auditor.command(name="join", help=_("Take the coordinator's grant; compare the card's fingerprint."))
@click.option("--grant", "grant_file", required=True, type=FILE, help=_("The grant file."))
@click.option("--fingerprint", "told", required=True, help=_("The federation card's fingerprint."))
@DIR
@JSON
def join(directory: Path, grant_file: Path, told: str, as_json: bool) -> None:
    """Pin the card; write certificate, address and the default policy."""
    folder = AuditorFolder(directory)
    with refusing(as_json):
        card = join_federation(folder, grant_file.read_bytes(), told)
    say(
        as_json,
        {"federation": card.federation, "card": str(folder.card), "policy": str(folder.policy)},
        _("joined %(federation)s (%(kind)s)")
        % {"federation": card.federation, "kind": word(PARTIES, card.kind, _)},
        _("your policy: %(file)s; tighten it before you approve anything") % {"file": folder.policy},
    )


@auditor.command(name="sign-roster", help=_("Show what a waiting roster adds and removes, and sign it."))
@click.argument("digest", metavar="[DIGEST]", required=False)
@YES
@DIR
@JSON
def sign_roster(directory: Path, digest: str | None, yes: bool, as_json: bool) -> None:
    """Sign the waiting roster (or the one whose digest begins so)."""
    with open_desk(directory, as_json) as desk:
        waiting = [row for row in desk.list_rosters() if row.digest.hex().startswith(digest or "")]
        if not waiting:
            say(as_json, {"rosters": []}, _("no roster waits for signatures"))
            return
        signed = []
        for review in waiting:
            show(as_json, roster_lines(review))
            if not yes and not review.is_signed:
                click.confirm(_("Sign this roster?"), abort=True, err=True)
            is_logged = desk.sign_roster(review.digest)
            signed.append({"roster": review.digest.hex(), "is_logged": is_logged})
    lines = [
        _("signed; now in the log") if row["is_logged"] else _("signed; waiting for others") for row in signed
    ]
    say(as_json, {"rosters": signed}, *lines)


@auditor.group(name="keys", help=_("This auditor's keys."))
def keys() -> None:
    """Hold the commands about keys."""


@keys.command(name="roll", help=_("Go over to the next pair of keys; write the file for the coordinator."))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help=_("File to write."))
@DIR
@JSON
def roll(directory: Path, out: Path | None, as_json: bool) -> None:
    """Make the next keys unless a pair waits already; the old key says that they follow it."""
    folder = AuditorFolder(directory)
    path = out or directory / ROLL_NAME
    with refusing(as_json):
        mirror = Mirror(folder.mirror, load_card(folder))
        path.write_bytes(roll_keys(folder, mirror.ledger))
    say(
        as_json,
        {"file": str(path)},
        _("give %(file)s to the coordinator ('coordinator approve --propose'), then sign the roster")
        % {"file": path},
        _("open rounds go on under the old keys: keep the whole keys folder"),
    )


@keys.command(name="renew", help=_("Get a new TLS certificate over the connection that it secures."))
@DIR
@JSON
def renew(directory: Path, as_json: bool) -> None:
    """Renew now; `watch` does it by itself from two thirds of the certificate's life on."""
    folder = AuditorFolder(directory)
    with refusing(as_json), connect(read_config(folder), load_tls(folder)) as link:
        days = renew_if_due(folder, link, watching.utc_now(), anyway=True)
    values: dict[str, object] = {"certificate_days": days}
    say(as_json, values, _("renewed; holds for %(certificate_days)s days") % values)


@auditor.command(name="approve", help=_("Check waiting plans against the policy, show, approve them."))
@click.argument("rounds", metavar="[ROUND]...", nargs=-1)
@click.option("--year", "is_year", is_flag=True, help=_("All plans of a school year together, asked once."))
@YES
@DIR
@JSON
def approve(directory: Path, rounds: tuple[str, ...], is_year: bool, yes: bool, as_json: bool) -> None:
    """Approve the rounds named, or all that wait for this auditor."""
    with open_desk(directory, as_json) as desk:
        desk.sync()
        found = cli_rounds.waiting_rounds(desk, rounds)
        run = cli_rounds.approve_years if is_year else cli_rounds.approve_each
        approved = run(desk, found, is_quiet=as_json, yes=yes)
    lines = [_("approved: round %(round)s") % {"round": str(row["round"])[:16]} for row in approved]
    say(as_json, {"approved": approved}, *(lines or [_("no plan waits for this auditor")]))


@auditor.command(name="extend", help=_("Grant the later deadline that the county asks for."))
@click.argument("rounds", metavar="[ROUND]...", nargs=-1)
@YES
@DIR
@JSON
def extend(directory: Path, rounds: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Grant the extensions of the rounds named, or all that wait."""
    with open_desk(directory, as_json) as desk:
        desk.sync()
        granted = cli_rounds.extend_rounds(desk, rounds, is_quiet=as_json, yes=yes)
    lines = [_("granted: round %(round)s") % {"round": str(row["round"])[:16]} for row in granted]
    say(as_json, {"granted": granted}, *(lines or [_("no later deadline is asked for")]))


@auditor.command(name="watch", help=_("Witness, check, agree and answer, until Ctrl-C or SIGTERM."))
@click.option("--once", is_flag=True, help=_("Do what can be done now, then stop."))
@DIR
@JSON
def watch(directory: Path, once: bool, as_json: bool) -> None:
    """Work until stopped; prints one line when ready and one an event."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_ignored: stop.set())

    def tell(event: Event) -> None:
        round_hex = event.round_id.hex() if event.round_id else ""
        values: dict[str, object] = {"event": event.kind, "round": round_hex, "detail": event.detail}
        say(as_json, values, event_line(event))

    with open_desk(directory, as_json) as desk:
        if once:
            for event in desk.step():
                tell(event)
            return
        say(as_json, {"event": "ready", "auditor": desk.context.id}, _("watching"))
        folder, link = AuditorFolder(directory), desk.context.link
        upkeep = watching.upkeep_of(folder, link) if isinstance(link, GrpcLink) else lambda: None
        watching.watch(desk, read_config(folder).poll_s, stop, tell, upkeep)


@auditor.command(name="status", help=_("Show the log's size, every round, and what this auditor has signed."))
@click.option("--offline", is_flag=True, help=_("Ask nobody; show this auditor's copy as it is."))
@DIR
@JSON
def status(directory: Path, offline: bool, as_json: bool) -> None:
    """Show this auditor's view."""
    with open_desk(directory, as_json) as desk:
        if not offline:
            desk.sync()
        values = describe(desk)
        with suppress(KeyFileError):  # before 'join' there is none
            values["certificate_days"] = certificate_days(AuditorFolder(directory), watching.utc_now())
    say(as_json, values, *status_lines(values))


@auditor.command(name="bundle", help=_("Write everything that 'verify' needs into the new folder OUT."))
@click.argument("out", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--public", "is_public", is_flag=True, help=_("Leave masked vectors and mask sums out."))
@DIR
@JSON
def bundle(directory: Path, out: Path, is_public: bool, as_json: bool) -> None:
    """Write a bundle."""
    with open_desk(directory, as_json) as desk:
        desk.step()
        with desk.state.locked():
            manifest = write_bundle(desk.context, out, is_public=is_public)
    values: dict[str, object] = {"bundle": str(out), "kind": manifest.kind, "files": len(manifest.files)}
    say(as_json, values, _("%(bundle)s: %(files)s files, kind %(kind)s") % values)


for command in SITE_COMMANDS:
    auditor.add_command(command)


auditor.add_command(cli_policy.policy)
auditor.add_command(cli_verify.verify)
