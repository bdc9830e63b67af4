"""`fedscreen node run`: unwrap the key and become the supervisor, which loads none of what commands need."""

from __future__ import annotations

import contextlib
import gettext
import os
import subprocess
import sys
from pathlib import Path

import click

from node import enrolment, unwrap
from node.cli_context import Context, command
from node.config import read_config
from node.errors import LinkError
from node.errors import _ as N_  # translated where it is shown
from node.launch import side_program
from node.run_lock import require_free
from node.supervise import require_enrolled

_ = gettext.gettext
_HOLDER = click.Group("holder")  # `command` needs a group; `node.cli` takes the commands from here


@command(_HOLDER, "run", _("Keep this node running: a vault without network, an egress without records."))
@click.option(
    "--record-frames", type=click.Path(file_okay=False, path_type=Path), help=_("For auditors: keep frames.")
)
def run(context: Context, record_frames: Path | None) -> None:
    """Unwrap the key and become the supervisor, which loads none of what this command needs."""
    config = read_config(context.folder)
    require_enrolled(config)
    require_free(context.folder)
    days = enrolment.certificate_days(context.folder)
    if days is None or days < 0:
        raise LinkError(
            N_("this node's certificate has expired or is not there"),
            N_(
                "Run 'fedscreen node request', send it to the county, and 'fedscreen node accept' the answer."
            ),
            code="certificate",
        )
    key = unwrap.unwrap_key(context.folder, config.key_source, context.ask)
    arguments = [*side_program("supervisor"), "-m", "node.supervise", "--dir", str(context.folder.root)]
    if record_frames is not None:
        arguments += ["--record-frames", str(record_frames.absolute())]
    if not context.as_json:
        domain = gettext.textdomain()
        arguments += ["--catalogue", domain, str(gettext.bindtextdomain(domain))]
        click.echo(_("This node now runs in this window, which stays busy; Ctrl-C ends it."), err=True)
        click.echo(
            _("Open a second window for other commands, or let it run as a service (docs/node.md)."), err=True
        )
    become(arguments, key)


def become(arguments: list[str], key: bytes) -> None:
    """Replace this process by `arguments`, with the database key (32 bytes, secret) on its stdin.

    Windows replaces no process: there it is a child, and this one waits for it.
    """
    root = str(Path(__file__).resolve().parents[1])
    environ = {**os.environ, "PYTHONPATH": root, "PYTHONSAFEPATH": "1", "PYTHONUTF8": "1"}
    if os.name != "posix":
        raise SystemExit(wait_for_child(arguments, key, environ))
    read_end, write_end = os.pipe()
    os.write(write_end, key)
    os.close(write_end)
    os.dup2(read_end, 0)
    os.close(read_end)
    sys.stdout.flush()
    os.execve(arguments[0], arguments, environ)  # noqa: S606


def wait_for_child(arguments: list[str], key: bytes, environ: dict[str, str]) -> int:
    """Run a program with the database key on its stdin and give its exit code.

    Ctrl-C goes to every process of the console; the child stops itself, and this one waits for it. Without a
    console (a task, pythonw.exe) the child gets none either, and what it prints goes nowhere.
    """
    has_console = sys.stdout is not None
    if has_console:
        sys.stdout.flush()
    out = None if has_console else subprocess.DEVNULL
    flags = 0 if has_console else getattr(subprocess, "CREATE_NO_WINDOW", 0)
    with subprocess.Popen(
        arguments, env=environ, stdin=subprocess.PIPE, stdout=out, stderr=out, creationflags=flags
    ) as process:
        if process.stdin is not None:
            with contextlib.suppress(OSError):  # it may have ended already, and its exit code says why
                process.stdin.write(key)
                process.stdin.close()
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


commands: tuple[click.Command, ...] = tuple(_HOLDER.commands.values())
"""What `node.cli` takes from here."""
