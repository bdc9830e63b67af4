"""`fedscreen node doctor`: look at everything that a node needs, say what is wrong and what to do.

Exit code 0: nothing has failed (there may be things to look at); 1: something has. It changes nothing,
and asks for the passphrase only to read the log's age and the clock's evidence, which ``--no-vault``
leaves out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from gettext import gettext as _
from typing import Any

import click

from node import doctor_link, doctor_machine, doctor_vault
from node.cli_ask import NO_TERMINAL
from node.cli_context import Context, read_running
from node.cli_text import fill
from node.cli_words import local_time
from node.config import NodeConfig, read_config
from node.doctor import FAIL, LABELS, STATES, Finding, good, in_order, outcome, refused, skipped
from node.errors import EXIT_REFUSED, ConfigError, Detail, NodeError
from node.errors import _ as N_

_LINK = ("proxy", "name", "connection", "tls", "running")
_NOT_OPENED = N_("the record file was not opened")


def run_doctor(context: Context, offline: bool, no_vault: bool) -> None:
    """Look at everything, print it, end with 1 if something has failed."""
    findings = list(in_order(_look(context, offline=offline, no_vault=no_vault)))
    values: dict[str, Any] = {"outcome": outcome(findings), "findings": [row.as_json() for row in findings]}
    context.say(values, _lines(findings))
    if values["outcome"] == FAIL:
        raise SystemExit(EXIT_REFUSED)


def _look(context: Context, *, offline: bool, no_vault: bool) -> Iterator[Finding]:
    yield doctor_machine.check_python(*doctor_machine.python_version())
    yield doctor_machine.check_packages()
    try:
        config = read_config(context.folder)
    except ConfigError as err:
        yield refused("settings", err)
        return
    yield good(
        "settings", N_("node %(node)s of %(federation)s"), node=config.node, federation=config.federation
    )
    yield from _look_at_machine(context, config)
    address = ""
    if config.address and not offline:
        name, address = doctor_link.check_name(config)
        yield name
    yield doctor_machine.check_confinement(context.folder, config, address)
    yield from _look_at_link(context, config, address, offline=offline)
    yield from _look_into_vault(context, no_vault=no_vault)


def _look_at_machine(context: Context, config: NodeConfig) -> Iterator[Finding]:
    yield doctor_machine.check_kernel(config)
    if hasattr(os, "geteuid"):
        yield doctor_machine.check_user(config, os.geteuid())
    yield doctor_machine.check_disk(context.folder)
    yield doctor_machine.check_file_system(context.folder)
    yield doctor_machine.check_permissions(context.folder)
    yield doctor_machine.check_key(context.folder, config)


def _look_at_link(context: Context, config: NodeConfig, address: str, *, offline: bool) -> Iterator[Finding]:
    now = datetime.now(UTC)
    if not config.address:
        why = N_("the county's grant has not been accepted yet")
        yield from (skipped(name, why) for name in ("certificate", *_LINK))
        return
    yield doctor_link.check_certificate(context.folder, config, now)
    if offline:
        yield from (skipped(name, N_("left out: --offline")) for name in _LINK)
        return
    yield doctor_link.check_proxy(os.environ, config.proxy)
    yield doctor_vault.check_running(read_running(context.folder))
    if not address:
        yield from (skipped(name, N_("the address is not known")) for name in ("connection", "tls"))
        return
    connection = doctor_link.check_way(config, address)
    yield connection
    if connection.state == FAIL:
        yield skipped("tls", N_("there is no connection"))
    else:
        yield doctor_link.check_tls(context.folder, config, address)


def _look_into_vault(context: Context, *, no_vault: bool) -> Iterator[Finding]:
    status: dict[str, Any] = {}
    if no_vault:
        yield skipped("vault", N_("left out: --no-vault"))
    else:
        try:
            with context.vault() as vault:
                status, _files = vault.call({"command": "status"})
            yield good("vault", N_("it opens"))
        except NodeError as err:
            no_words = N_("no passphrase was given: there is no terminal, and no --passphrase-file")
            yield skipped("vault", no_words) if err.code == NO_TERMINAL else refused("vault", err)
        except click.Abort:
            yield skipped("vault", N_("no passphrase was given"))
    now = datetime.now(UTC)
    yield doctor_vault.check_log(status, now) if status else skipped("log", _NOT_OPENED)
    yield doctor_vault.check_backup(status, now) if status else skipped("backup", _NOT_OPENED)
    yield doctor_vault.check_recovery(status) if status else skipped("recovery", _NOT_OPENED)
    evidence = (*doctor_link.evidence_of_certificate(context.folder), *doctor_vault.times_in(status, now))
    yield doctor_vault.check_clock(now, evidence)


def _lines(findings: list[Finding]) -> Iterator[str]:
    for finding in findings:
        details = {name: _shown(value) for name, value in finding.details.items()}
        words = {"state": _(STATES[finding.state]), "name": _(LABELS[finding.name])}
        yield _("[%(state)s] %(name)s: %(text)s") % {**words, "text": fill(finding.message, details)}
        if finding.advice:
            yield "    " + fill(finding.advice, details)
    if outcome(findings) == FAIL:
        yield _("something does not work: see what FAILED, and what to do about it")
    else:
        yield _("nothing has failed")


def _shown(value: Detail) -> Detail:
    return local_time(value) if isinstance(value, str) else value


OFFLINE = click.option("--offline", is_flag=True, help=_("This machine has no network: do not try any."))
NO_VAULT = click.option(
    "--no-vault", is_flag=True, help=_("Do not open the record file, so no passphrase is needed.")
)
