"""`fedscreen node`: one school's commands.

Every command works on one folder (``--dir``) and, but for `run`, in a confined vault of its own, beside
the one that `run` keeps.

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | refused, or a check failed; nothing was changed |
| 2 | wrong usage, such as a file that is not there |
| 70 | a process could not lock itself down; nothing was done |

With ``--json`` a result, or an error as ``{"error": code, "message": …, "advice": …, "details": …}``, is
one JSON object on standard output, in English.
"""

from __future__ import annotations

import contextlib
import gettext
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click

from node import (
    cli_audit,
    cli_backup,
    cli_budget,
    cli_console,
    cli_doctor,
    cli_files,
    cli_follow_up,
    cli_hand_over,
    cli_import,
    cli_recovery,
    cli_report,
    cli_retention,
    cli_roles,
    cli_rounds,
    cli_setup,
    cli_status,
    cli_template,
    cli_text,
    enrolment,
    setup,
    unwrap,
)
from node.cli_context import (
    FILE,
    NEW_FILE,
    Context,
    command,
    read_floors,
    read_pairs,
    read_running,
    write_file,
)
from node.config import KEY_SOURCES, NodeConfig, read_config
from node.confine import LEVELS
from node.errors import EXIT_REFUSED, LinkError
from node.errors import _ as N_  # translated where it is shown
from node.launch import side_program
from node.run_lock import require_free
from node.session import open_vault
from node.supervise import require_enrolled

_ = gettext.gettext


@click.group(name="node", help=_("One school: import, preview, release, run, prove."))
def node() -> None:
    """Hold the commands of this room."""


# ---------------------------------------------------------------- enrolment


@command(node, "init", _("Make a node's folder, users, database key and identity."))
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


@command(node, "request", _("Write the enrolment request for the county."))
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


@command(node, "accept", _("Take the county's grant, after its fingerprint was compared."))
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
    node, "setup", _("Set a node up in one go: FILE is the county's invitation or card, then its grant.")
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


# ---------------------------------------------------------------- the node itself


@command(node, "floors", _("Show this school's floors, or make them stricter."))
@click.option(
    "--floor", "floors", multiple=True, callback=read_floors, help=_("NAME=VALUE: refuse plans below it.")
)
def floors(context: Context, floors: dict[str, Any]) -> None:
    """Tighten the floors; they never loosen."""
    with context.vault() as vault:
        answer, _files = vault.call({"command": "floors", "floors": floors})
    context.say(answer, cli_status.floor_lines(answer))


@command(node, "status", _("Show everything about this node: log, account, records, rounds, connection."))
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
    node, "budget", _("Show what this school year has cost its pupils, what that means, and what is left.")
)
@click.option("--year", help=_("Another school year, such as 2025-2026; default: the one that is now."))
def budget(context: Context, year: str | None) -> None:
    """Show the meter of a school year."""
    with context.vault() as vault:
        answer, _files = vault.call({"command": "budget", **({"year": year} if year else {})})
    values = {**answer, "fits": cli_budget.ready_fits(answer)}
    context.say(values, cli_budget.budget_lines(values))


@command(node, "doctor", _("Look at everything that a node needs, and say what to do. Changes nothing."))
@cli_doctor.OFFLINE
@cli_doctor.NO_VAULT
def doctor(context: Context, offline: bool, no_vault: bool) -> None:
    """Examine machine, connection and vault."""
    cli_doctor.run_doctor(context, offline=offline, no_vault=no_vault)


@command(node, "check", _("Read the whole record file and journal and name what is damaged."))
def check(context: Context) -> None:
    """Check store and journal."""
    with context.vault() as vault:
        answer, _files = vault.call({"command": "check_store"})
    context.say(answer, cli_text.check_lines(answer))
    if answer["damaged"]:
        raise SystemExit(EXIT_REFUSED)


@command(node, "run", _("Keep this node running: a vault without network, an egress without records."))
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


for _group in (
    cli_audit.audit,
    *cli_rounds.commands,
    cli_roles.role,
    cli_import.import_command,
    cli_import.profile,
    cli_report.report_command,
    cli_template.template_command,
    cli_console.console_command,
    cli_files.log,
    cli_files.outbox,
    cli_files.receipt,
    cli_follow_up.follow_up,
    cli_hand_over.hand_over,
    *cli_backup.commands,
    cli_recovery.group,
    *cli_retention.commands,
):
    node.add_command(_group)
