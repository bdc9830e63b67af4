"""`fedscreen node keys roll`: go over to the next report key."""

from __future__ import annotations

from gettext import gettext as _
from pathlib import Path

import click

from node import enrolment
from node.cli_context import NEW_FILE, Context, command, write_file
from node.config import read_config
from node.online import is_renewal_due, renew_online


@click.group(name="keys", help=_("This school's keys."))
def group() -> None:
    """Hold the commands about keys."""


@command(group, "roll", _("Go over to the next report key; write the file for the county."))
@click.option("--out", type=NEW_FILE, help=_("File to write; default: roll.json in the node's folder."))
def roll(context: Context, out: Path | None) -> None:
    """Let the vault sign, with the old key, that the next one follows it."""
    config = read_config(context.folder)
    with context.vault() as vault:
        csr = enrolment.certificate_request(context.folder, config)
        answer, files = vault.call({"command": "roll", "csr": csr})
    path = out or context.folder.root / "roll.json"
    write_file(path, files["roll"])
    values = {"file": str(path), "report_key": answer["report_key"]}
    lines = [
        _("roll of the report key written to %(file)s; send it to the county") % values,
        _("  rounds that are open now are still signed with the old key; nothing has to be done for that"),
    ]
    context.say(values, iter(lines))


@command(group, "renew", _("Get a new TLS certificate from the county, over the connection that it secures."))
@click.option("--now", "is_forced", is_flag=True, help=_("Also when the present one has not aged."))
def renew(context: Context, is_forced: bool) -> None:
    """Renew from two thirds of the certificate's life, or 45 days, on; by file: request and accept."""
    config = read_config(context.folder)
    is_due = is_forced or is_renewal_due(context.folder)
    if is_due:
        renew_online(context.folder, config)
    values = {"renewed": int(is_due), "certificate_days": enrolment.certificate_days(context.folder)}
    text = _("not yet due; holds for %(certificate_days)s days")
    if is_due:
        text = _("renewed; holds for %(certificate_days)s days")
    context.say(values, iter([text % values]))
