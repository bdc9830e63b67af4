"""What every `fedscreen node` command shares: options, the node's folder, its vault, answers and errors."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Any

import click

from node import cli_text, unwrap
from node.cli_ask import ask_new_passphrase, ask_passphrase
from node.cli_words import name_places
from node.config import NodeFolder, file_error, open_folder, read_config, replace_file
from node.errors import ConfigError, NodeError, VaultRefusal
from node.errors import _ as N_  # translated where it is shown
from node.launch import is_process_running
from node.session import VaultSession, open_vault

DEFAULT_FOLDER = "fedscreen-node"
MIN_PREFIX = 4
FLOORS = ("threshold", "collude", "min_reports", "colluding_schools", "rho_round", "rho_year")

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True, slots=True)
class Context:
    """What every command gets: where the node is, how to ask, how to answer."""

    folder: NodeFolder
    passphrase_file: Path | None
    as_json: bool

    def ask(self) -> str:
        """Give the passphrase, from its file or from a person."""
        if self.passphrase_file is not None:
            return unwrap.read_passphrase_file(self.passphrase_file)
        return ask_passphrase(_("Passphrase of this node"))

    def ask_twice(self) -> str:
        """Give a new passphrase."""
        if self.passphrase_file is not None:
            return unwrap.read_passphrase_file(self.passphrase_file)
        click.echo(
            _("Choose a passphrase (12 characters or more). Without it the records are lost."), err=True
        )
        return ask_new_passphrase(_("Passphrase"))

    @contextmanager
    def vault(self) -> Iterator[VaultSession]:
        """Open this command's own vault."""
        config = read_config(self.folder)
        key = unwrap.unwrap_key(self.folder, config.key_source, self.ask)
        with open_vault(self.folder, config, key) as session:
            yield session

    def say(self, values: Mapping[str, Any], lines: Iterator[str]) -> None:
        """Print a result: JSON, or lines for a person."""
        if self.as_json:
            click.echo(json.dumps(values, ensure_ascii=False))
            return
        for line in lines:
            click.echo(line)


def fail(err: NodeError, *, as_json: bool) -> None:
    """Print an error and end with its exit code."""
    if as_json:
        values = {"error": err.code, "message": err.message % err.details if err.details else err.message}
        advice = err.advice % err.details if err.details and err.advice else err.advice
        click.echo(json.dumps({**values, "advice": advice, "details": err.details}, ensure_ascii=False))
    else:
        for line in cli_text.error_lines(err):
            click.echo(line, err=True)
    raise SystemExit(err.EXIT) from err


def _refused_file(err: OSError, folder: NodeFolder) -> NodeError:
    """Say which file the system refused, where no command said it better."""
    file = str(err.filename or folder.root)
    if err.errno in (errno.ENOSPC, errno.EDQUOT):
        return file_error(err, file)
    return ConfigError(
        N_("%(file)s cannot be used (%(reason)s)"),
        N_("Check that it is there, and that this command may read and write it."),
        code="file",
        details={"file": file, "reason": err.strerror or ""},
    )


def command(group: click.Group, name: str, summary: str) -> Decorator:
    """Make a command of a group, with the three options that all of them have."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(directory: Path, passphrase_file: Path | None, as_json: bool, **options: Any) -> None:
            context = Context(open_folder(directory), passphrase_file, as_json)
            try:
                function(context, **options)
            except NodeError as err:
                fail(err, as_json=as_json)
            except BrokenPipeError:
                raise  # who reads this has gone; click ends quietly
            except OSError as err:
                fail(_refused_file(err, context.folder), as_json=as_json)

        run.__doc__ = function.__doc__
        run.__click_params__ = getattr(function, "__click_params__", [])  # type: ignore[attr-defined]
        for option in (_JSON, _PASSPHRASE, _DIR):
            run = option(run)
        made = group.command(name=name, help=summary)(run)
        name_places(made, _)
        return made

    return decorate


_DIR = click.option(
    "--dir",
    "directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_FOLDER,
    show_default=True,
    envvar="FEDSCREEN_NODE_DIR",
    help=_("The node's folder."),
)
_JSON = click.option("--json", "as_json", is_flag=True, help=_("Print JSON, in English."))
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, path_type=Path)
_PASSPHRASE = click.option(
    "--passphrase-file",
    type=FILE,
    envvar="FEDSCREEN_NODE_PASSPHRASE_FILE",
    help=_("File with the passphrase in its first line (mode 600), instead of asking."),
)
ROUND = click.argument("round_id", metavar="ROUND")


def read_pairs(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Read repeated NAME=VALUE options."""
    pairs = [value.partition("=") for value in values]
    if any(not name or not found for name, found, _rest in pairs):
        raise click.BadParameter(_("expected NAME=VALUE"))
    return {name: rest for name, _found, rest in pairs}


def read_floors(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, Any]:
    """Read repeated floors: whole numbers, and rho as a rational text."""
    found: dict[str, Any] = dict(read_pairs(context, parameter, values))
    for name, value in found.items():
        if name not in FLOORS:
            raise click.BadParameter(_("expected one of %(names)s") % {"names": ", ".join(FLOORS)})
        if not name.startswith("rho"):
            if not value.isascii() or not value.isdigit():
                raise click.BadParameter(_("%(name)s is a whole number") % {"name": name})
            found[name] = int(value)
    return found


def list_rounds(vault: VaultSession) -> list[dict[str, Any]]:
    """List the rounds of this node's copy of the log, newest first."""
    return list(vault.call({"command": "rounds"})[0]["rounds"])


def find_round(vault: VaultSession, prefix: str) -> dict[str, Any]:
    """Find a round by the first digits of its id.

    Raises:
        VaultRefusal: none, or several begin with them.
    """
    rows = list_rounds(vault)
    found = [row for row in rows if row["round"].startswith(prefix.lower())]
    if len(prefix) < MIN_PREFIX or len(found) != 1:
        raise VaultRefusal(
            N_("%(found)d rounds of this node's log begin with %(prefix)s"),
            N_("See 'fedscreen node rounds'; four digits or more that name one round."),
            code="which-round",
            details={"found": len(found), "prefix": prefix[:64]},
        )
    return found[0]


def write_file(path: Path, data: bytes) -> None:
    """Write a file for a person, whole or not at all.

    Raises:
        ConfigError: it cannot be written there.
    """
    try:
        replace_file(path, data, 0o644)
    except OSError as err:
        raise file_error(err, str(path)) from err


def read_running(folder: NodeFolder) -> dict[str, Any]:
    """Read what a running supervisor says; empty where none runs."""
    try:
        values = dict(json.loads(folder.running.read_text("utf-8")))
        supervisor = int(values["supervisor"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}
    return values if is_process_running(supervisor) else {}
