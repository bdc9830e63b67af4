"""`fedscreen node retention|prune`: how long things are kept, and the deletion of what is older.

fedscreen node retention                                    what is due
fedscreen node retention --policy retention.toml --by NAME  take the county's numbers
fedscreen node retention filed --until 2027-01-31 --by NAME the audit that covers this day was filed
fedscreen node prune --dry-run
"""

from __future__ import annotations

from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path
from typing import Any

import click

from node.cli_context import FILE, Context, command
from plan.words import RETENTION_CLASSES, word

_HOLDER = click.Group("holder")  # `command` needs a group; `node.cli` takes the commands from here


@command(_HOLDER, "show", _("How long what is kept, what is due, and which audit was filed."))
@click.option("--policy", type=FILE, help=_("The county's retention file, to be taken."))
@click.option("--by", help=_("Who does it, as it will stand in the journal."))
def show(context: Context, policy: Path | None, by: str | None) -> None:
    """Show, or take the county's policy."""
    if policy is not None and not by:
        raise click.UsageError(_("Missing option %(option)s.") % {"option": "--by"})
    with context.vault() as vault:
        if policy is not None:
            answer, _files = vault.call({"command": "retention_policy", "by": by}, {"policy": policy})
        else:
            answer, _files = vault.call({"command": "retention"})
    context.say(answer, _status_lines(answer))


def _show_alone(**options: Any) -> None:
    """Show, unless a command of the group follows."""
    context = click.get_current_context()
    if context.invoked_subcommand is None:
        context.invoke(_HOLDER.commands["show"], **options)


retention = click.Group(
    "retention",
    params=_HOLDER.commands["show"].params,
    callback=_show_alone,
    invoke_without_command=True,
    help=_("How long what is kept, what is due, and which audit was filed."),
)


@command(retention, "filed", _("Record that the audit which covers every day up to a date was filed."))
@click.option("--until", required=True, help=_("The last day that it covers, such as 2027-01-31."))
@click.option("--by", required=True, help=_("Who does it, as it will stand in the journal."))
def filed(context: Context, until: str, by: str) -> None:
    """Record a filed audit."""
    with context.vault() as vault:
        answer, _files = vault.call({"command": "retention_filed", "until": until, "by": by})
    context.say(answer, _status_lines(answer))


@command(_HOLDER, "prune", _("Delete what is older than its time of keeping and covered by a filed audit."))
@click.option("--dry-run", is_flag=True, help=_("Only say what would be deleted."))
@click.option("--by", default="", help=_("Who does it, as it will stand in the journal."))
def prune(context: Context, dry_run: bool, by: str) -> None:
    """Delete what is due; again changes nothing."""
    if not dry_run and not by:
        raise click.UsageError(_("Missing option %(option)s.") % {"option": "--by"})
    with context.vault() as vault:
        asks = {"command": "prune", "dry_run": int(dry_run), **({"by": by} if by else {})}
        answer, _files = vault.call(asks)
    context.say(answer, _prune_lines(answer))


commands: tuple[click.Command, ...] = (retention, _HOLDER.commands["prune"])
"""What `node.cli` takes from here."""


def _status_lines(answer: dict[str, Any]) -> Iterator[str]:
    policy, filed = answer["policy"], answer["filed"]
    if not policy:
        yield _("the county's numbers have not been taken; nothing is ever deleted without them")
    if not filed:
        yield _("no filed audit is recorded; nothing is deleted before one is")
    else:
        yield _("audit filed up to %(until)s, recorded by %(by)s") % filed
    for row in answer["classes"] if policy else ():
        values = {**row, "name": word(RETENTION_CLASSES, row["name"], _), "until": row["until"] or "—"}
        yield _("  %(name)s: %(days)s days, due up to %(until)s: %(due)s") % values
    if policy:
        yield _("the node's secret goes with its journal and is not deleted while the node takes part")


def _prune_lines(answer: dict[str, Any]) -> Iterator[str]:
    due = {name: num for name, num in answer["due"].items() if num}
    if not due:
        yield _("nothing is due")
    for name, num in due.items():
        values = {"name": word(RETENTION_CLASSES, name, _), "num": num}
        if answer["deleted"]:
            yield _("deleted: %(name)s, %(num)s") % values
        else:
            yield _("would be deleted: %(name)s, %(num)s") % values
