"""`fedscreen coordinator keys`: what keys there are, roll one over, erase what nothing needs any more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from gettext import gettext as _
from pathlib import Path

import click

from coordinator.cli_context import DIR, JSON, open_desk, say
from coordinator.errors import RosterUnchangedError
from coordinator.key_ring import PURPOSES

_PURPOSE = click.argument("purpose", type=click.Choice(PURPOSES))


@click.group(name="keys", help=_("The coordinator's own keys: log, statements, CA."))
def keys() -> None:
    """Hold the commands about keys."""


@keys.command(name="list", help=_("Show every key, which one is in force, and who holds a CA's certificate."))
@DIR
@JSON
def list_keys(directory: Path, as_json: bool) -> None:
    """Show purposes, numbers and states; never a key."""
    with open_desk(directory, as_json) as desk:
        values = desk.describe_keys()
    say(as_json, {"keys": values}, *_list_lines(values))


def _purpose(values: dict[str, object]) -> str:
    words = {"log": _("log"), "statement": _("statement"), "ca": _("CA")}
    return words[str(values["purpose"])]


def _list_lines(values: list[dict[str, object]]) -> Iterator[str]:
    words = {"in-force": _("in force"), "waiting": _("waits for a roster"), "older": _("older, still held")}
    for row in values:
        line = _("%(purpose)s key %(number)s: %(state)s, %(id)s")
        yield line % {**row, "purpose": _purpose(row), "state": words[str(row["state"])]}
        if row.get("parties"):
            yield _("  %(parties)s parties have a certificate of an older CA") % row


@keys.command(
    name="roll", help=_("Make the next key and draft the roster that brings it; twice does no more.")
)
@_PURPOSE
@DIR
@JSON
def roll(directory: Path, purpose: str, as_json: bool) -> None:
    """Roll one key over; the auditors sign the roster, and open rounds go on under the old key."""
    with open_desk(directory, as_json) as desk:
        is_new = desk.roll_key(purpose)
        digest = ""
        with suppress(RosterUnchangedError):
            digest = desk.propose_roster().hex()
    values: dict[str, object] = {"purpose": purpose, "is_new": is_new, "roster": digest}
    say(as_json, values, *_roll_lines(values))


def _roll_lines(values: dict[str, object]) -> Iterator[str]:
    if values["is_new"]:
        yield _("made: the next %(purpose)s key") % {"purpose": _purpose(values)}
    else:
        yield _("the next %(purpose)s key waits already") % {"purpose": _purpose(values)}
    short = {"digest": str(values["roster"])[:16]}
    yield _("waiting for the auditors' signatures: roster %(digest)s") % short
    yield _("back keys/ up now; when the roster is signed and no open round needs it: 'keys retire'")


@keys.command(name="retire", help=_("Erase the older keys of a purpose, once nothing needs them."))
@_PURPOSE
@click.option("--anyway", is_flag=True, help=_("CA: also while parties have no certificate of the new one."))
@DIR
@JSON
def retire(directory: Path, purpose: str, anyway: bool, as_json: bool) -> None:
    """Erase old keys; refuse while something needs one."""
    with open_desk(directory, as_json) as desk:
        num_erased = desk.retire_key(purpose, anyway=anyway)
    values: dict[str, object] = {"purpose": purpose, "erased": num_erased}
    shown = {**values, "purpose": _purpose(values)}
    say(as_json, values, _("erased: %(erased)s older %(purpose)s keys") % shown)
