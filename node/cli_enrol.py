"""`fedscreen node init`, `request`, `accept` and `setup`: from nothing to a school of the federation."""

from __future__ import annotations

from gettext import gettext as _
from pathlib import Path
from typing import Any

import click

from node import cli_setup, cli_text, enrolment, setup, unwrap
from node.cli_context import FILE, NEW_FILE, Context, command, read_floors, read_pairs, write_file
from node.config import KEY_SOURCES, NodeConfig, read_config
from node.confine import LEVELS
from node.session import open_vault

_HOLDER = click.Group("holder")  # `command` needs a group; `node.cli` takes the commands from here


@command(_HOLDER, "init", _("Make a node's folder, users, database key and identity."))
@click.option("--federation", required=True, help=_("Short name of the federation (a-z 0-9 . _ -)."))
@click.option("--id", "node_id", required=True, help=_("This school's id (a-z 0-9 . _ -)."))
@click.option("--operator", required=True, help=_("The school's name, as it stands in the roster."))
@click.option(
    "--attribute", "attributes", multiple=True, callback=read_pairs, help=_("NAME=VALUE for the roster.")
)
@click.option("--system", type=click.Choice(["6-3", "5-4"]), default="6-3", show_default=True)
@click.option(
    "--floor", "floors", multiple=True, callback=read_floors, help=_("NAME=VALUE: refuse plans below it.")
)
@click.option("--confinement-floor", type=click.Choice(LEVELS), default="L3", show_default=True)
@click.option("--poll", "poll_s", type=float, default=5.0, help=_("Seconds between two looks at the log."))
def init(
    context: Context,
    federation: str,
    node_id: str,
    operator: str,
    attributes: dict[str, str],
    system: str,
    floors: dict[str, Any],
    confinement_floor: str,
    poll_s: float,
) -> None:
    """Make a node; again with the same values changes nothing."""
    asked = NodeConfig(
        federation=federation,
        node=node_id,
        key_source=unwrap.choose_source(),
        confinement_floor=confinement_floor,
        poll_s=poll_s,
    )
    config, key = setup.make_node(context.folder, asked, context.ask, context.ask_twice)
    asks = {
        "command": "init",
        "federation": federation,
        "node": node_id,
        "operator": operator,
        "attributes": attributes,
        "system": system,
        "floors": floors,
    }
    with open_vault(context.folder, config, key) as vault:
        answer, _files = vault.call(asks)
    values = {**answer, "folder": str(context.folder.root), "key_source": config.key_source}
    context.say(values, cli_text.init_lines(values))


@command(_HOLDER, "request", _("Write the enrolment request for the county."))
@click.option("--out", type=NEW_FILE, help=_("File to write; default: request.json in the node's folder."))
def request(context: Context, out: Path | None) -> None:
    """Make the TLS key if needed, and let the vault sign the request."""
    config = read_config(context.folder)
    with context.vault() as vault:
        csr = enrolment.certificate_request(context.folder, config)
        answer, files = vault.call({"command": "request", "csr": csr})
    path = out or context.folder.root / "request.json"
    write_file(path, files["request"])
    values = {"file": str(path), "report_key": answer["report_key"]}
    context.say(values, cli_text.request_lines(values))


@command(_HOLDER, "accept", _("Take the county's grant, after its fingerprint was compared."))
@click.argument("grant", type=FILE)
@click.option("--fingerprint", required=True, help=_("The federation's fingerprint, told by another way."))
def accept(context: Context, grant: Path, fingerprint: str) -> None:
    """Check the grant, let the vault pin its card, keep certificate and address."""
    config = read_config(context.folder)
    checked = enrolment.read_grant(context.folder, config, grant.read_bytes(), fingerprint)
    with context.vault() as vault:
        values = setup.take_grant(vault, context.folder, config, checked)
    context.say(values, cli_text.accept_lines(values))


@command(
    _HOLDER, "setup", _("Set a node up in one go: FILE is the county's invitation or card, then its grant.")
)
@click.argument("file", type=FILE, required=False)
@click.option(
    "--fingerprint", "told", default="", help=_("The federation's fingerprint, told by another way.")
)
@click.option("--out", type=NEW_FILE, help=_("File to write; default: request.json in the node's folder."))
@click.option("--federation", default="", help=_("Short name of the federation (a-z 0-9 . _ -)."))
@click.option("--id", "node_id", default="", help=_("This school's id (a-z 0-9 . _ -)."))
@click.option("--operator", default="", help=_("The school's name, as it stands in the roster."))
@click.option(
    "--attribute", "attributes", multiple=True, callback=read_pairs, help=_("NAME=VALUE for the roster.")
)
@click.option("--system", type=click.Choice(["6-3", "5-4"]))
@click.option(
    "--floor", "floors", multiple=True, callback=read_floors, help=_("NAME=VALUE: refuse plans below it.")
)
@click.option(
    "--confinement-floor",
    type=click.Choice(LEVELS),
    help=_("Lowest level of the wall that this school accepts; default L3. Windows reaches L1 at most."),
)
@click.option("--poll", "poll_s", type=float, default=5.0, help=_("Seconds between two looks at the log."))
@click.option(
    "--proxy",
    callback=cli_setup.read_proxy,
    help=_(
        "HOST:PORT of the school's HTTP proxy (no password), also for a node that is there; 'none' for none."
    ),
)
@click.option(
    "--key",
    type=click.Choice(KEY_SOURCES),
    help=_(
        "What keeps the database key; default: the first that is there (credential, Windows, passphrase)."
    ),
)
@click.option(
    "--service-account", default="", help=_("Windows: the account of this node's own, under which it runs.")
)
def set_up(context: Context, file: Path | None, told: str, out: Path | None, **options: Any) -> None:
    """Go on with a new node where it stands."""
    cli_setup.run_setup(context, file, told, out, options)


commands: tuple[click.Command, ...] = tuple(_HOLDER.commands.values())
"""What `node.cli` takes from here."""
