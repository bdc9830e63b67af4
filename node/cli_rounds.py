"""`fedscreen node rounds`, `preview`, `release`, `decide` and `hold`: what becomes of a round at this school.

Who releases: on a node without roles whoever may unlock it, by name, and at a terminal only after a question,
because nothing proves that name; once somebody is the principal, only with the principal's passphrase.
"""

from __future__ import annotations

import sys
from gettext import gettext as _
from pathlib import Path
from typing import Any, Final

import click

from node import cli_text
from node.cli_context import ROUND, Context, command, find_round, list_rounds
from node.cli_roles import PRINCIPAL, actor_options, ask_actor, has_role, read_role
from node.errors import EXIT_REFUSED
from node.preview_text import preview_lines

_HOLDER = click.Group("holder")  # `command` needs a group; `node.cli` takes the commands from here
REASON = click.option("--reason", default="", help=_("Why, in one line; stays in the journal."))


@command(_HOLDER, "rounds", _("List the rounds and this school's reports."))
def rounds(context: Context) -> None:
    """List rounds, newest first."""
    with context.vault() as vault:
        found = list_rounds(vault)
    context.say({"rounds": found}, cli_text.round_lines(found))


@command(_HOLDER, "preview", _("Show exactly what a release would count, add and cost. Nothing leaves."))
@ROUND
@click.option(
    "--cells", is_flag=True, help=_("Show the cells in words, not only the totals; zeros are counted.")
)
@click.option(
    "--role",
    metavar="ROLE",
    callback=read_role,
    default=PRINCIPAL,
    show_default=True,
    help=_("The holder's role."),
)
@actor_options()
def preview(
    context: Context,
    round_id: str,
    cells: bool,
    role: str,
    holder: str | None,
    role_passphrase_file: Path | None,
) -> None:
    """Show a round's tables of this school; on a node with roles, exact counts only to a holder."""
    with context.vault() as vault:
        asks: dict[str, Any] = {"command": "preview", "round": find_round(vault, round_id)["round"]}
        if holder:
            asks["actor"] = ask_actor(vault, role, holder, role_passphrase_file)
        answer, _files = vault.call(asks)
    context.say(answer, preview_lines(answer, with_cells=cells))


@command(
    _HOLDER, "release", _("Release this school's report: charge, noise, mask, journal; then it is sent.")
)
@ROUND
@click.option("--by", required=True, help=_("Who releases it, as it will stand in the journal."))
@click.option("--records", help=_("Only if the records are still those of the preview (its `records`)."))
@REASON
@click.option("--yes", "is_sure", is_flag=True, help=_("Do not ask where no principal signs."))
@click.option(
    "--role-passphrase-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    envvar="FEDSCREEN_NODE_ROLE_PASSPHRASE_FILE",
    help=_("File with the principal's passphrase in its first line (mode 600), instead of asking."),
)
def release(
    context: Context,
    round_id: str,
    by: str,
    records: str | None,
    reason: str,
    is_sure: bool,
    role_passphrase_file: Path | None,
) -> None:
    """Release; again with the same records changes nothing."""
    with context.vault() as vault:
        asks: dict[str, Any] = {"command": "release", "round": find_round(vault, round_id)["round"], "by": by}
        if records:
            asks["records"] = records
        if has_role(vault, PRINCIPAL):
            asks |= {"actor": ask_actor(vault, PRINCIPAL, by, role_passphrase_file), "reason": reason}
        elif not context.as_json:
            _tell_unproven(by, must_ask=not is_sure and _has_terminal())
        answer, _files = vault.call(asks)
    context.say(answer, cli_text.release_lines(answer))


def _tell_unproven(name: str, *, must_ask: bool) -> None:
    """Say that nothing proves the name of a release where nobody is the principal; a person may stop here."""
    click.echo(
        _("nobody holds the principal's role on this node: nothing proves the name %(name)s")
        % {"name": name},
        err=True,
    )
    click.echo(_("  give the role with: fedscreen node role add principal --holder NAME"), err=True)
    if must_ask and not click.confirm(_("Release under this name all the same?"), err=True):
        click.echo(_("not released; nothing was charged"), err=True)
        raise SystemExit(EXIT_REFUSED)


def _has_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


@command(_HOLDER, "decide", _("Hold back or decline a round, as the principal, with a reason."))
@ROUND
@click.argument("decision", type=click.Choice(["hold", "decline"]))
@REASON
@actor_options(required=True)
def decide(
    context: Context,
    round_id: str,
    decision: str,
    reason: str,
    holder: str,
    role_passphrase_file: Path | None,
) -> None:
    """Store a decision; a later release replaces it."""
    with context.vault() as vault:
        asks: dict[str, Any] = {"command": "decide", "round": find_round(vault, round_id)["round"]}
        actor = ask_actor(vault, PRINCIPAL, holder, role_passphrase_file)
        answer, _files = vault.call({**asks, "decision": decision, "reason": reason, "actor": actor})
    context.say(answer, cli_text.decision_lines(answer))


@command(_HOLDER, "hold", _("Hold back reports that are not sent yet; --off lets them go."))
@click.option("--off", is_flag=True, help=_("Send again."))
def hold(context: Context, off: bool) -> None:
    """Switch sending off or on."""
    with context.vault() as vault:
        answer, _files = vault.call({"command": "hold", "on": int(not off)})
    context.say(answer, cli_text.hold_lines(answer))


commands: Final = tuple(_HOLDER.commands.values())
