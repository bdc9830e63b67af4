"""`fedscreen node setup`: from the county's file to a request, and from its grant to a node that can run.

    fedscreen node setup invitation.json      (or the federation card)
    fedscreen node setup school-17.grant.json
    fedscreen node run

With an invitation that holds a token the first command does it all, once the fingerprint was compared; the
second is the way by files. What the file does not say is asked for, or given by options; with ``--json``
nothing but a passphrase is asked for. Interrupted, or given again, it goes on where it stands.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path
from typing import Any

import click

from node import cli_text, enrolment, setup, unwrap
from node.cli_context import Context, write_file
from node.cli_words import in_words
from node.config import NodeConfig, read_config
from node.errors import ConfigError
from node.errors import _ as N_
from node.online import enrol_online
from node.session import open_vault
from protos.card import fingerprint, parse_card
from protos.invitation import Invitation


def run_setup(
    context: Context, file: Path | None, told: str, out: Path | None, options: dict[str, Any]
) -> None:
    """Take the next step of a new node, whichever it is."""
    if options["proxy"] is not None and context.folder.config.exists():
        setup.change_proxy(context.folder, options["proxy"])
    found = setup.read_setup_file(file) if file else None
    if isinstance(found, bytes):
        _finish(context, found, told)
    elif found is None and context.folder.config.exists() and read_config(context.folder).address:
        context.say({"step": "ready", **_next("ready")}, _ready_lines())
    else:
        _begin(context, found, told, out, options)


def read_proxy(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Read ``--proxy``: "host:port", also as a URL; "none" for none. A name or password in it is refused."""
    if value is None or value == "none":
        return value and ""
    if "@" in value:
        raise click.BadParameter(
            _("a node keeps no proxy password; ask for a way through the proxy without one for this computer")
        )
    return value.removeprefix("http://").rstrip("/")


# ---------------------------------------------------------------- to the request


def _begin(
    context: Context,
    found: Invitation | str | None,
    told: str,
    out: Path | None,
    options: dict[str, Any],
) -> None:
    card_text = found.card_text if isinstance(found, Invitation) else found or ""
    asked = _settings(context, found, options)
    told = told or _ask_fingerprint(context, card_text)
    if told and card_text:
        setup.verify_told(card_text, told)
    config, key = setup.make_node(context.folder, asked, context.ask, context.ask_twice)
    with open_vault(context.folder, config, key) as vault:
        init = {} if setup.find_identity(vault) else _identity(context, config, found, options)
        if not init and card_text:
            setup.verify_same_card(vault, card_text)
        compared = card_text if told else ""
        identity, request = setup.write_request(vault, context.folder, config, init, compared)
        pinned = setup.pinned_fingerprint(vault)
    path = out or context.folder.root / "request.json"
    write_file(path, request)
    if isinstance(found, Invitation) and found.online is not None and pinned:
        grant = enrol_online(context.folder, config, found.online, card_text, request)
        _finish(context, grant, pinned, key)
        return
    values = {
        "step": "request",
        "node": config.node,
        "federation": config.federation,
        "operator": identity["operator"],
        "folder": str(context.folder.root),
        "key_source": config.key_source,
        "confinement": identity["confinement"],
        "request": str(path),
        "request_code": fingerprint(identity["report_key"]),
        "card": pinned or (fingerprint(card_text) if card_text else ""),
        "compared": int(bool(pinned)),
        **_next("request"),
    }
    context.say(values, _request_lines(values))


def _settings(context: Context, found: Invitation | str | None, options: dict[str, Any]) -> NodeConfig:
    """Put node.toml's values together: of the node that is there, else of file, options and questions."""
    federation, node_id = options["federation"], options["node_id"]
    if isinstance(found, Invitation):
        federation, node_id = found.federation, found.id
    elif found:
        federation = parse_card(found).federation
    if context.folder.config.exists():  # the same ids keep its settings, others are refused
        existing = read_config(context.folder)
        federation, node_id = federation or existing.federation, node_id or existing.node
    if not federation:
        raise ConfigError(
            N_("there is no node here yet, and no file that says for which federation to make one"),
            N_("Give the county's invitation or its federation card: fedscreen node setup FILE"),
            code="setup-file",
        )
    return NodeConfig(
        federation=federation,
        node=node_id or _ask(context, "--id", _("This school's id (a-z 0-9 . _ -).")),
        key_source=unwrap.choose_source(options["key"] or ""),
        confinement_floor=_floor(context, options["confinement_floor"]),
        poll_s=options["poll_s"],
        proxy=options["proxy"] or "",
        service_account=options["service_account"],
    )


def _floor(context: Context, given: str | None) -> str:
    """Give the floor of a new node: L3, but on Windows, which has no L3, what the school decides."""
    if given or os.name != "nt" or context.folder.config.exists():
        return given or "L3"
    if context.as_json:
        raise click.UsageError(_("Missing option %(option)s.") % {"option": "--confinement-floor"})
    click.echo(
        _(
            "Windows has no wall as Linux has. L1: an account of the node's own and a firewall rule, set up "
            "by an administrator. L0: nothing but this program's own care. Everyone sees the level in the "
            "log; what it proves: docs/windows.md. The school decides."
        ),
        err=True,
    )
    return str(
        click.prompt(_("Lowest level that this school accepts"), type=click.Choice(["L1", "L0"]), err=True)
    )


def _identity(
    context: Context, config: NodeConfig, found: Invitation | str | None, options: dict[str, Any]
) -> dict[str, Any]:
    """Put the fields of the vault's `init` together; the name is asked for where nobody has said it."""
    fields = {name: options[name] for name in ("operator", "attributes", "system")}
    if isinstance(found, Invitation):
        fields = {"operator": found.operator, "attributes": dict(found.attributes), "system": found.system}
    if not fields["operator"]:
        fields["operator"] = _ask(context, "--operator", _("The school's name, as it stands in the roster."))
    fields |= {"federation": config.federation, "node": config.node, "floors": options["floors"]}
    return {**fields, "system": fields["system"] or "6-3"}


def _ask(context: Context, option: str, text: str) -> str:
    if context.as_json:
        raise click.UsageError(_("Missing option %(option)s.") % {"option": option})
    return str(click.prompt(text.rstrip("."), err=True)).strip()


def _ask_fingerprint(context: Context, card_text: str) -> str:
    if context.as_json or not card_text:
        return ""
    text = _("The federation's fingerprint, as the county tells it by telephone (Enter: compare it later)")
    return str(click.prompt(text, default="", show_default=False, err=True)).strip()


def _request_lines(values: dict[str, Any]) -> Iterator[str]:
    yield _("node %(node)s of %(federation)s in %(folder)s") % values
    words = in_words(values, _)
    yield _("  confinement %(confinement)s, database key kept by: %(key_source)s") % words
    yield _("1. send this file to the county: %(request)s") % values
    yield _("2. tell the county by telephone, so that it knows whose file it is: %(request_code)s") % values
    if values["compared"]:
        yield _("3. the federation's fingerprint was compared: %(card)s") % values
    elif values["card"]:
        yield _("3. let the county tell you the federation's fingerprint; your card's is %(card)s") % values
    else:
        yield _("3. let the county tell you the federation's fingerprint; you will be asked for it")
    yield _("4. when the county's answer has come: fedscreen node setup GRANT")


# ---------------------------------------------------------------- from the grant


def _finish(context: Context, grant: bytes, told: str, known_key: bytes = b"") -> None:
    config = read_config(context.folder)
    key = known_key or unwrap.unwrap_key(context.folder, config.key_source, context.ask)
    with open_vault(context.folder, config, key) as vault:
        told = told or setup.pinned_fingerprint(vault) or _need_fingerprint(context)
        checked = enrolment.read_grant(context.folder, config, grant, told)
        values = setup.take_grant(vault, context.folder, config, checked)
        safety = vault.call({"command": "status"})[0]["safety"]
    values |= {"recovery": safety["recovery"]}
    context.say({"step": "ready", **values, **_next("ready")}, _finished_lines(values))


def _finished_lines(values: dict[str, Any]) -> Iterator[str]:
    yield from cli_text.accept_lines(values)
    if not values["recovery"]:
        yield _("today, with the principal: fedscreen node recovery make --out FILE --sheet SHEET")


def _need_fingerprint(context: Context) -> str:
    if context.as_json:
        raise click.UsageError(_("Missing option %(option)s.") % {"option": "--fingerprint"})
    text = _("The federation's fingerprint, as the county tells it by telephone")
    return str(click.prompt(text, err=True))


def _ready_lines() -> Iterator[str]:
    yield _("this node is set up; what is left: fedscreen node run")


def _next(step: str) -> dict[str, str]:
    """Name the next command, for programs."""
    return {"next": "fedscreen node run" if step == "ready" else "fedscreen node setup GRANT"}
