"""`fedscreen node recovery make|check|restore`: what the principal keeps for the day the computer is lost.

The code is drawn here, shown once and written on a sheet; it is stored nowhere. With a principal on the node
it is made only with the principal's passphrase.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path
from typing import Any

import click

from node import recovery, unwrap
from node.cli_ask import ask_new_passphrase
from node.cli_backup import CODE_FILE, LOG, ask_secret, restored_lines
from node.cli_context import FILE, NEW_FILE, Context, command, write_file
from node.cli_roles import PRINCIPAL, actor_options, ask_actor, has_role
from node.cli_words import local_time
from node.config import read_config
from node.errors import UnlockError
from node.errors import _ as N_  # translated where it is shown
from node.new_folder import verify_unused
from node.recovery_code import CODE_BYTES, format_code
from node.recovery_sheet import recovery_sheet
from node.session import VaultSession, open_vault


@click.group(name="recovery", help=_("The sealed file with which a lost computer is replaced."))
def group() -> None:
    """Hold the commands about the recovery file."""


@command(group, "make", _("Seal everything that makes this node itself, without records, for the safe."))
@click.option("--out", type=NEW_FILE, required=True, help=_("File to write; it must not exist yet."))
@click.option("--sheet", type=NEW_FILE, help=_("Sheet with the code to print, as HTML; delete it then."))
@click.option("--with-passphrase", is_flag=True, help=_("Seal with a passphrase instead of a drawn code."))
@CODE_FILE
@actor_options()
def make(
    context: Context,
    out: Path,
    sheet: Path | None,
    with_passphrase: bool,
    code_file: Path | None,
    holder: str | None,
    role_passphrase_file: Path | None,
) -> None:
    """Make the recovery file."""
    config = read_config(context.folder)
    key = unwrap.unwrap_key(context.folder, config.key_source, context.ask)
    seal = recovery.PASSPHRASE if with_passphrase else recovery.CODE
    with open_vault(context.folder, config, key) as vault:
        actor = _principal(vault, holder, role_passphrase_file)
        secret = _passphrase(code_file) if with_passphrase else format_code(secrets.token_bytes(CODE_BYTES))
        made = recovery.make_file(vault, context.folder, key, seal, secret, secrets.token_bytes, actor)
        if sheet is not None:  # before the file: a file without its code would be of no use
            _write_sheet(sheet, made, secret, out.name)
        digest = recovery.write_recovery(vault, made, out)
    values = {"file": str(out), "sha256": digest, "made": made.made, "seal": seal, "sheet": str(sheet or "")}
    values |= {"code": "" if with_passphrase else secret}
    context.say(values, _made_lines(values))


def _write_sheet(sheet: Path, made: recovery.RecoveryFile, secret: str, name: str) -> None:
    language = "zh-CN" if os.environ.get("LANGUAGE", "").startswith("zh") else "en"
    digest = hashlib.sha256(recovery.encode_file(made)).hexdigest()
    write_file(sheet, recovery_sheet(made, secret, name, digest, language).encode())
    sheet.chmod(0o600)


def _principal(
    vault: VaultSession, holder: str | None, passphrase_file: Path | None
) -> dict[str, str] | None:
    """Ask the principal, where there is one."""
    if not has_role(vault, PRINCIPAL):
        return None
    if holder is None:
        raise UnlockError(
            N_("this node has a principal: the recovery file is made with the principal's passphrase"),
            N_("Name the principal with --holder."),
            code="role-needed",
        )
    return ask_actor(vault, PRINCIPAL, holder, passphrase_file)


def _passphrase(code_file: Path | None) -> str:
    if code_file is not None:
        return unwrap.read_passphrase_file(code_file)
    label = _("New passphrase of the recovery file (12 characters or more)")
    return ask_new_passphrase(label, "--code-file")


@command(group, "check", _("Say whether code and FILE belong together. Changes nothing."))
@click.argument("file", type=FILE)
@CODE_FILE
def check(context: Context, file: Path, code_file: Path | None) -> None:
    """Open what can be opened outside of a vault."""
    found = recovery.read_file(file)
    recovery.open_outside(found, ask_secret(found.seal, code_file))
    values = {"node": found.node, "federation": found.federation, "made": found.made, "outcome": "OK"}
    context.say(values, _checked_lines(values))


@command(group, "restore", _("Become the node of a recovery FILE, in a new folder (--dir)."))
@click.argument("file", type=FILE)
@CODE_FILE
@LOG
def restore(context: Context, file: Path, code_file: Path | None, log: Path | None) -> None:
    """Recover, whole or not at all."""
    verify_unused(context.folder)
    found = recovery.read_file(file)
    secret = ask_secret(found.seal, code_file)
    values = recovery.recover_node(
        found, secret, context.folder, secrets.token_bytes, context.ask_twice, log=log
    )
    context.say(values, _recovered_lines(values))


def _made_lines(values: dict[str, Any]) -> Iterator[str]:
    yield _("recovery file written to %(file)s; it holds no records") % values
    if values["code"]:
        yield _("its code, shown this once:")
        groups = values["code"].split("-")
        yield "  " + "  ".join(groups[:4])
        yield "  " + "  ".join(groups[4:])
    if values["sheet"]:
        yield _("sheet written to %(sheet)s: print it, then delete it") % values
    yield _("keep file and code in two places: whoever has both has this node")


def _checked_lines(values: dict[str, Any]) -> Iterator[str]:
    shown = {**values, "made": local_time(values["made"])[:10]}
    yield _("code and file belong together: node %(node)s of %(federation)s, made %(made)s") % shown


def _recovered_lines(values: dict[str, Any]) -> Iterator[str]:
    yield from restored_lines(values)
    yield _("there are no records yet, and the local roles have to be given anew")
