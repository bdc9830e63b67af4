"""`fedscreen coordinator member`: attributes that the county states, closures and mergers."""

from __future__ import annotations

from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path

import click

from coordinator.cli_context import DIR, JSON, open_desk, say
from coordinator.members import VALUES
from plan.code_words import ATTRIBUTE_VALUES, ATTRIBUTES, attribute_words, beside, listed
from plan.words import PARTIES, word

_ROLE = click.option("--role", type=click.Choice(["node", "auditor"]), default="node", show_default=True)


@click.group(name="member", help=_("Who is enrolled: attributes, closures, mergers."))
def member() -> None:
    """Hold the commands about members."""


@member.command(name="list", help=_("List everybody enrolled, and what the roster in force says of them."))
@DIR
@JSON
def list_members(directory: Path, as_json: bool) -> None:
    """Show role, id, operator, state, certificate and attributes."""
    with open_desk(directory, as_json) as desk:
        values = desk.describe_members()
    say(as_json, {"members": values}, *_list_lines(values))


def _list_lines(values: list[dict[str, object]]) -> Iterator[str]:
    states = {
        "rostered": _("in the roster"),
        "waiting": _("waits for a roster"),
        "leaving": _("leaves with the next roster"),
        "left": _("has left"),
        "revoked": _("revoked"),
    }
    for row in values:
        shown = {
            **row,
            "role": word(PARTIES, str(row["role"]), _),
            "state": states[str(row["state"])],
            "days": row["certificate_days"],
        }
        yield _("%(role)s %(id)s, %(operator)s: %(state)s, certificate holds for %(days)s days") % shown
        attributes = row["attributes"]
        if isinstance(attributes, dict) and attributes:
            yield "  " + ", ".join(attribute_words(name, value, _) for name, value in attributes.items())
        if row["succeeded_by"]:
            yield _("  succeeded by %(succeeded_by)s") % row


def _attributes_note() -> str:
    """List the attributes with fixed values: each code with its word."""
    rows = (
        _("%(title)s: %(value)s")
        % {
            "title": beside(name, _(ATTRIBUTES[name]), _),
            "value": listed(values, _, ATTRIBUTE_VALUES[name]),
        }
        for name, values in VALUES.items()
    )
    return "\n\n".join(rows)


@member.command(
    name="set",
    help=_("State public attributes of a school; NAME= takes one away."),
    epilog=_attributes_note(),
)
@click.argument("node_id", metavar="ID")
@click.argument("pairs", metavar="NAME=VALUE...", nargs=-1, required=True)
@DIR
@JSON
def set_(directory: Path, node_id: str, pairs: tuple[str, ...], as_json: bool) -> None:
    """Put the county's word over the request's; it counts from the next roster on."""
    values = dict(_pair(text) for text in pairs)
    with open_desk(directory, as_json) as desk:
        stated = desk.set_attributes(node_id, values)
    say(
        as_json,
        {"id": node_id, "attributes": stated},
        _("stated; it counts from the next roster on: 'roster propose'"),
    )


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not name or not found:
        raise click.BadParameter(_("expected NAME=VALUE"))
    return name, value


@member.command(name="leave", help=_("Let a school close, or become part of another, with the next roster."))
@click.argument("party_id", metavar="ID")
@click.option("--successor", default="", help=_("The school that takes over its pupils."))
@_ROLE
@DIR
@JSON
def leave(directory: Path, party_id: str, successor: str, role: str, as_json: bool) -> None:
    """Note that a member leaves; open rounds keep it."""
    with open_desk(directory, as_json) as desk:
        desk.leave(role, party_id, successor)
    say(
        as_json,
        {"role": role, "id": party_id, "successor": successor},
        _("noted; it counts from the next roster on ('roster propose'), open rounds are finished with it"),
    )
