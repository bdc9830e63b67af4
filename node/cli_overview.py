"""`fedscreen node floors`, `status`, `budget`, `doctor` and `check`: where this node stands."""

from __future__ import annotations

from gettext import gettext as _
from typing import Any

import click

from node import cli_budget, cli_doctor, cli_status, cli_text, enrolment
from node.cli_context import Context, command, read_floors, read_running
from node.config import read_config
from node.errors import EXIT_REFUSED

_HOLDER = click.Group("holder")  # `command` needs a group; `node.cli` takes the commands from here


@command(_HOLDER, "floors", _("Show this school's floors, or make them stricter."))
@click.option(
    "--floor", "floors", multiple=True, callback=read_floors, help=_("NAME=VALUE: refuse plans below it.")
)
def floors(context: Context, floors: dict[str, Any]) -> None:
    """Tighten the floors; they never loosen."""
    with context.vault() as vault:
        answer, _files = vault.call({"command": "floors", "floors": floors})
    context.say(answer, cli_status.floor_lines(answer))


@command(_HOLDER, "status", _("Show everything about this node: log, account, records, rounds, connection."))
def status(context: Context) -> None:
    """Put the vault's, the supervisor's and the certificate's status together."""
    config = read_config(context.folder)
    with context.vault() as vault:
        answer, _files = vault.call({"command": "status"})
        holders = vault.call({"command": "roles"})[0]["holders"]
    values = {
        **answer,
        "roles": [{"role": row["role"], "name": row["name"]} for row in holders],
        "requested": int((context.folder.egress / "tls.key").exists()),
        "address": config.address,
        "certificate_days": enrolment.certificate_days(context.folder),
        "running": read_running(context.folder),
    }
    context.say(values, cli_status.status_lines(values))


@command(
    _HOLDER, "budget", _("Show what this school year has cost its pupils, what that means, and what is left.")
)
@click.option("--year", help=_("Another school year, such as 2025-2026; default: the one that is now."))
def budget(context: Context, year: str | None) -> None:
    """Show the meter of a school year."""
    with context.vault() as vault:
        answer, _files = vault.call({"command": "budget", **({"year": year} if year else {})})
    values = {**answer, "fits": cli_budget.ready_fits(answer)}
    context.say(values, cli_budget.budget_lines(values))


@command(_HOLDER, "doctor", _("Look at everything that a node needs, and say what to do. Changes nothing."))
@cli_doctor.OFFLINE
@cli_doctor.NO_VAULT
def doctor(context: Context, offline: bool, no_vault: bool) -> None:
    """Examine machine, connection and vault."""
    cli_doctor.run_doctor(context, offline=offline, no_vault=no_vault)


@command(_HOLDER, "check", _("Read the whole record file and journal and name what is damaged."))
def check(context: Context) -> None:
    """Check store and journal."""
    with context.vault() as vault:
        answer, _files = vault.call({"command": "check_store"})
    context.say(answer, cli_text.check_lines(answer))
    if answer["damaged"]:
        raise SystemExit(EXIT_REFUSED)


commands: tuple[click.Command, ...] = tuple(_HOLDER.commands.values())
"""What `node.cli` takes from here."""
