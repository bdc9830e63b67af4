"""`fedscreen node backup|restore`: the whole node in one encrypted file, and back.

    fedscreen node backup --out school-17.2027-01-15.backup
    fedscreen node restore school-17.2027-01-15.backup --dir NEW
    fedscreen node restore school-17.2027-01-15.backup --dir NEW --recovery school-17.recovery

The second takes the key from where the node had it: the passphrase, or the credential of the same name. The
third takes it from the recovery file, for a computer whose key is lost, and asks for a new passphrase.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path
from typing import Any

import click

from node import cli_text, recovery, unwrap
from node.backup import make_backup, read_header, restore_backup
from node.backup_file import BackupHeader
from node.cli_ask import ask_passphrase
from node.cli_context import FILE, NEW_FILE, Context, command
from node.cli_words import local_time
from node.config import NodeFolder, read_config
from node.errors import BackupError
from node.errors import _ as N_  # translated where it is shown
from node.new_folder import verify_unused
from node.session import open_vault

_HOLDER = click.Group("holder")  # `command` needs a group; `node.cli` takes the commands from here
LOG = click.option("--log", type=FILE, help=_("The county's log file, to see at once what came later."))
CODE_FILE = click.option(
    "--code-file", type=FILE, help=_("File with code or passphrase in its first line (mode 600).")
)


@command(_HOLDER, "backup", _("Write the whole node into one encrypted file; it may be running."))
@click.option("--out", type=NEW_FILE, required=True, help=_("File to write; it must not exist yet."))
def backup(context: Context, out: Path) -> None:
    """Back the node up."""
    config = read_config(context.folder)
    key = unwrap.unwrap_key(context.folder, config.key_source, context.ask)
    with open_vault(context.folder, config, key) as vault:
        values = make_backup(vault, context.folder, config, key, out, secrets.token_bytes)
    context.say(values, _backup_lines(values))


@command(_HOLDER, "restore", _("Make a node from a backup FILE, in a new folder (--dir)."))
@click.argument("file", type=FILE)
@click.option("--recovery", "recovery_file", type=FILE, help=_("Take the key from this recovery file."))
@CODE_FILE
@LOG
def restore(
    context: Context, file: Path, recovery_file: Path | None, code_file: Path | None, log: Path | None
) -> None:
    """Restore, whole or not at all."""
    verify_unused(context.folder)
    header = read_header(file)
    old_key = _key_in(header, recovery_file, code_file) if recovery_file else b""

    def find_key(header: BackupHeader, folder: NodeFolder) -> tuple[bytes, str]:
        if old_key:
            return old_key, recovery.keep_old_key(folder, old_key, secrets.token_bytes, context.ask_twice)
        return unwrap.unwrap_key(folder, header.key_source, context.ask), header.key_source

    values = restore_backup(file, context.folder, find_key, secrets.token_bytes, log=log)
    context.say(values, restored_lines(values))


commands: tuple[click.Command, ...] = tuple(_HOLDER.commands.values())
"""What `node.cli` takes from here."""


def _key_in(header: BackupHeader, path: Path, code_file: Path | None) -> bytes:
    found = recovery.read_file(path)
    if (found.federation, found.node) != (header.federation, header.node):
        raise BackupError(
            N_("the recovery file is of node %(found)s, the backup of node %(expected)s"),
            N_("Give the recovery file of this node."),
            code="other-node",
            details={"found": found.node, "expected": header.node},
        )
    return recovery.open_outside(found, ask_secret(found.seal, code_file))[0].database_key


def ask_secret(seal: str, code_file: Path | None) -> str:
    """Give the code or passphrase of a recovery file, from its file or from a person."""
    if code_file is not None:
        return unwrap.read_passphrase_file(code_file)
    if seal == recovery.CODE:
        return str(click.prompt(_("Recovery code"), err=True))
    return ask_passphrase(_("Passphrase of the recovery file"), "--code-file")


def _backup_lines(values: dict[str, Any]) -> Iterator[str]:
    yield _("backup of node %(node)s written to %(file)s, %(bytes)s bytes") % values
    if values["key_source"] == "passphrase":
        yield _("it opens with the passphrase that this node has today; keep it on another disk")
    else:
        yield _("it opens with this node's database key or its recovery file; keep it on another disk")


def restored_lines(values: dict[str, Any]) -> Iterator[str]:
    """Say what was made, what came later than it, and what to do next."""
    shown = {**values, "made": local_time(values["made"])}
    yield _("node %(node)s of %(federation)s is in %(folder)s, as of %(made)s") % shown
    yield _("  %(log_size)s entries of the log, %(log_new)s of them new") % shown
    for row in values["newer"]:
        short = {"round": row["round"][: cli_text.SHORT], "attempt": row["attempt"]}
        yield (
            _("  the log has a later report: round %(round)s, attempt %(attempt)s; the account counts it")
            % short
        )
    yield _("the old computer must not run again; two copies of a node hinder each other")
    yield _("next: fedscreen node run; then import the records that came later")
