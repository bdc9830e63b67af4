"""`fedscreen node keys roll`: go over to the next report key."""

from __future__ import annotations

from gettext import gettext as _
from pathlib import Path

import click

from node import enrolment
from node.cli_context import NEW_FILE, Context, command, write_file
from node.config import read_config


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
