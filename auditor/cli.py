"""`fedscreen auditor`: one auditor's commands.

Every command but `verify` works on one directory (``--dir``). Exit codes:

| code | meaning |
| --- | --- |
| 0 | done; for `verify`: every check passed |
| 1 | refused, or a check failed; for `status --check`: something is to be done |
| 2 | wrong usage, such as a file that is not there; for `verify`: incomplete, or no policy |

With ``--json`` a result, or an error as ``{"error": kind, "message": …}``, is one JSON object on
standard output, in English; `watch` prints one object an event.
"""

from __future__ import annotations

from gettext import gettext as _
from pathlib import Path

import click

from auditor import (
    cli_enrol,
    cli_evidence,
    cli_offline,
    cli_page,
    cli_policy,
    cli_rounds,
    cli_verify,
    cli_watch,
)
from auditor.bundle_write import write_bundle
from auditor.cli_context import DIR, EXIT_REFUSED, JSON, YES, open_desk, say, show
from auditor.cli_site import SITE_COMMANDS
from auditor.cli_text import roster_lines
from auditor.sign_roster import RosterReview


@click.group(name="auditor", help=_("An auditor: approve, watch, verify."))
def auditor() -> None:
    """Hold the commands of this room."""


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
                click.confirm(_roster_question(review), abort=True, err=True)
            is_logged = desk.sign_roster(review.digest)
            codes = [row.code for row in review.warnings]
            signed.append({"roster": review.digest.hex(), "is_logged": is_logged, "warnings": codes})
    lines = [
        _("signed; now in the log") if row["is_logged"] else _("signed; waiting for others") for row in signed
    ]
    say(as_json, {"rosters": signed}, *lines)


def _roster_question(review: RosterReview) -> str:
    if review.warnings:
        return _("Sign this roster? Have you asked about everything marked with '!'?")
    return _("Sign this roster?")


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
        refused: list[dict[str, object]] = []
        if is_year:
            approved = cli_rounds.approve_years(desk, found, is_quiet=as_json, yes=yes, refused=refused)
        else:
            approved = cli_rounds.approve_each(desk, found, is_quiet=as_json, yes=yes, refused=refused)
    lines = [_("approved: round %(round)s") % {"round": str(row["round"])[:16]} for row in approved]
    values: dict[str, object] = {"approved": approved}
    if refused:  # the first one's code and message stand where those of any refusal stand
        say(as_json, {**values, "refused": refused, **refused[0]}, *lines)
        raise SystemExit(EXIT_REFUSED)
    say(as_json, values, *(lines or [_("no plan waits for this auditor")]))


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
for _enrolling in (cli_enrol.init, cli_enrol.join, cli_enrol.keys):
    auditor.add_command(_enrolling)
for _sitting in (cli_watch.watch, cli_watch.status, cli_watch.resend):
    auditor.add_command(_sitting)
auditor.add_command(cli_page.page)
auditor.add_command(cli_offline.offline)
auditor.add_command(cli_evidence.report)
