"""`fedscreen coordinator approve` and `roster`: look at requests, approve them, have the roster signed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from gettext import gettext as _
from pathlib import Path
from typing import Any

import click

from coordinator.cli_context import DIR, FILE, JSON, open_desk, say, spoken
from coordinator.desk import Desk
from coordinator.errors import RosterUnchangedError
from plan.code_words import attribute_words
from plan.words import PARTIES, word
from protos.card import fingerprint
from protos.enrolment import parse_grant


@click.command(name="approve", help=_("Enrol a node or auditor: check its REQUEST, write its grant."))
@click.argument("requests", metavar="REQUEST...", nargs=-1, required=True, type=FILE)
@click.option("--show", is_flag=True, help=_("Only show who asks and the code to compare; change nothing."))
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help=_("Folder for the grants."))
@click.option("--outside", is_flag=True, help=_("An auditor outside the county's own line."))
@click.option(
    "--propose", "is_proposed", is_flag=True, help=_("Then draft the next roster, as 'roster propose'.")
)
@DIR
@JSON
def approve(
    directory: Path,
    requests: tuple[Path, ...],
    show: bool,
    out: Path | None,
    outside: bool,
    is_proposed: bool,
    as_json: bool,
) -> None:
    """Write one grant a request; approving the same request again gives the same grant.

    The card names all first auditors, so it exists only once a roster is drafted: with ``--propose`` the
    drafting comes before the grants are written for good, and they have the card in them.
    """
    if show:
        if out is not None or is_proposed:
            raise click.UsageError(_("--show changes nothing: leave out --out and --propose."))
        _show(directory, requests, as_json, is_outside=outside)
        return
    drafted: dict[str, object] = {}
    with open_desk(directory, as_json) as desk:
        written = [_grant(desk, path, out, is_outside=outside) for path in requests]
        if is_proposed:
            with suppress(RosterUnchangedError):  # again with the same files
                drafted["roster"] = desk.propose_roster().hex()
            written = [_grant(desk, path, out, is_outside=outside) for path in requests]
            drafted["fingerprint"] = fingerprint(desk.card_text())
    say(as_json, {"grants": written, **drafted}, *_approve_lines(written, drafted))


def _show(directory: Path, requests: tuple[Path, ...], as_json: bool, *, is_outside: bool) -> None:
    with open_desk(directory, as_json) as desk:
        seen = [desk.look_at_request(path.read_bytes(), is_outside=is_outside) for path in requests]
    say(as_json, {"requests": seen}, *_show_lines(seen))


def _show_lines(seen: list[dict[str, Any]]) -> Iterator[str]:
    for row in seen:
        yield _("%(role)s %(id)s, %(operator)s") % {**row, "role": word(PARTIES, row["role"], _)}
        yield from _side_lines(row)
        if row["attributes"]:
            yield "  " + ", ".join(
                attribute_words(name, value, _) for name, value in row["attributes"].items()
            )
        yield _("  the code of its request, to compare by telephone: %(code)s") % row
        yield from spoken(row["code"])
    yield _("nothing was changed; once the codes are compared, approve: the same without --show")


def _side_lines(row: dict[str, Any]) -> Iterator[str]:
    """Say on which side an auditor counts, for the county has to make sure of it."""
    if row["role"] == "auditor":
        outside, inside = _("  outside the county's own line"), _("  inside the county's own line")
        yield outside if row["outside"] else inside


def _grant(desk: Desk, path: Path, out: Path | None, *, is_outside: bool) -> dict[str, Any]:
    """Approve one request file and write its grant; give what is told of it."""
    data = path.read_bytes()
    seen = desk.look_at_request(data, is_outside=is_outside)
    grant = desk.approve_request(data, is_outside=is_outside)
    values = parse_grant(grant)
    target = (out or path.parent) / f"{values.role}-{values.id}.grant.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(grant)
    return seen | {"grant": str(target), "has_card": bool(values.card_text)}


def _approve_lines(written: list[dict[str, Any]], drafted: dict[str, object]) -> Iterator[str]:
    for row in written:
        shown = {**row, "role": word(PARTIES, row["role"], _)}
        yield _("%(role)s %(id)s, %(operator)s: %(grant)s") % shown
        yield from _side_lines(row)
        yield _("  the code of its request, to compare by telephone: %(code)s") % row
        yield from spoken(row["code"])
    if "roster" in drafted:
        short = {"digest": str(drafted["roster"])[:16]}
        yield _("waiting for the auditors' signatures: roster %(digest)s") % short
    if drafted:
        yield _("fingerprint of the federation card: %(fingerprint)s") % drafted
    elif not all(row["has_card"] for row in written):
        yield _("these grants have no card yet: approve the same files again with --propose")


@click.group(name="roster", help=_("Who takes part."))
def roster() -> None:
    """Hold the commands about rosters."""


@roster.command(
    name="propose", help=_("Draft the next roster from everybody enrolled, for auditors to sign.")
)
@DIR
@JSON
def propose(directory: Path, as_json: bool) -> None:
    """Draft a roster; the first one makes the federation card."""
    with open_desk(directory, as_json) as desk:
        digest = desk.propose_roster()
        card = desk.card_text()
        waiting = desk.roster_status()["waiting"]
    say(
        as_json,
        {"roster": digest.hex(), "fingerprint": fingerprint(card) if card else ""},
        _("waiting for the auditors' signatures: roster %(digest)s") % {"digest": digest.hex()[:16]},
        *_signature_lines(waiting),
        _("fingerprint of the federation card: %(fingerprint)s") % {"fingerprint": fingerprint(card)},
    )


@roster.command(name="status", help=_("Show the roster in force, and who has signed the one that waits."))
@DIR
@JSON
def status(directory: Path, as_json: bool) -> None:
    """Say how many auditors have signed, and who still has to."""
    with open_desk(directory, as_json) as desk:
        values = desk.roster_status()
    say(as_json, values, *_status_lines(values))


def _status_lines(values: dict[str, Any]) -> Iterator[str]:
    in_force, waiting = values["in_force"], values["waiting"]
    if in_force is None:
        yield _("no roster is in force yet")
    else:
        text = _("in force: roster %(serial)s (%(short)s), auditors: %(auditors)s, schools: %(schools)s")
        yield text % {**in_force, "short": in_force["roster"][:16]}
    if waiting is None:
        yield _("no roster waits for signatures")
        return
    text = _(
        "waits for signatures: roster %(serial)s (%(short)s), auditors: %(auditors)s, schools: %(schools)s"
    )
    yield text % {**waiting, "short": waiting["roster"][:16]}
    yield from _signature_lines(waiting)
    yield _("next: the auditors named sign ('auditor sign-roster'); then it is in force by itself")


def _signature_lines(waiting: dict[str, Any] | None) -> Iterator[str]:
    if waiting is None:
        return
    yield _("  auditors who have signed: %(num_signed)s of the %(needed)s needed") % waiting
    if waiting["signed"]:
        yield _("  signed: %(ids)s") % {"ids": ", ".join(waiting["signed"])}
    if waiting["missing"]:
        yield _("  still to sign: %(ids)s") % {"ids": ", ".join(waiting["missing"])}
