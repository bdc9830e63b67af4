"""`fedscreen coordinator dashboard` and `account`: the county's pages, and who may log in to them.

The first accounts are made here, by whoever sits at the coordinator's machine: one system and one security
administrator; they make all others on the pages. There are no default passphrases.
"""

from __future__ import annotations

import base64
import csv
import io
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from gettext import gettext as _
from pathlib import Path

import click

from coordinator import accounts, log_in
from coordinator.account_rules import ROLE_WORDS, ROLES, SCHOOL, AccountError, check_passphrase, is_name
from coordinator.actions import COMMAND_LINE, note
from coordinator.cli_context import DIR, FILE, JSON, refusing, say
from coordinator.dashboard.county import County, open_county
from coordinator.durable import ignore_step, write_file
from coordinator.errors import ConfigError
from plan.code_words import choices_note
from plan.errors import phrase
from plan.words import word

DEFAULT_LISTEN = "127.0.0.1:8630"
CODE_BYTES = 10
_OURS = ("coordinator", "pages", "paper", "results", "plan", "privacy", "crypto", "protos")


@click.command(name="dashboard", help=_("Serve the county's pages on this machine, until Ctrl-C or SIGTERM."))
@click.option(
    "--listen", default=DEFAULT_LISTEN, show_default=True, help=_("host:port; port 0 for any that is free.")
)
@click.option(
    "--public", default="", help=_("What is typed into browsers, such as https://fedscreen.county.example.")
)
@click.option(
    "--certificate", type=FILE, help=_("TLS certificate chain (PEM), to be reached without a proxy.")
)
@click.option("--key", type=FILE, help=_("Its private key (PEM)."))
@DIR
@JSON
def dashboard(
    directory: Path, listen: str, public: str, certificate: Path | None, key: Path | None, as_json: bool
) -> None:
    """Serve the dashboard; print one line when ready."""
    if (certificate is None) != (key is None):
        raise click.UsageError(_("Give --certificate and --key together."))
    with refusing(as_json):
        try:
            _run(directory, listen, public, certificate, key, as_json)
        except ModuleNotFoundError as err:
            if (err.name or "").split(".")[0] in _OURS:
                raise
            raise ConfigError(
                phrase(
                    "the dashboard needs the package %(module)s; install it: "
                    "pip install 'fedscreen[coordinator,web]'",
                    module=str(err.name),
                )
            ) from err


def _run(
    directory: Path, listen: str, public: str, certificate: Path | None, key: Path | None, as_json: bool
) -> None:
    from coordinator.dashboard.app import make_app
    from coordinator.dashboard.serve import address_of, bind, serve
    from coordinator.dashboard.speech import default_language

    county = open_county(directory)
    try:
        listener = bind(listen, has_certificate=certificate is not None)
        address = address_of(listener, public, has_certificate=certificate is not None)
        app = make_app(county, address, default_language(os.environ), secrets.token_bytes)
        with county.store.reading() as connection:
            has_accounts = bool(accounts.every(connection))
        lines = [_("the dashboard is at %(url)s") % {"url": f"{address.origin}/"}]
        if not has_accounts:
            lines.append(
                _("nobody can log in yet; make the first two with: fedscreen coordinator account add NAME")
            )
        say(as_json, {"event": "ready", "url": f"{address.origin}/", "accounts": has_accounts}, *lines)
        sys.stdout.flush()
        serve(app, listener, certificate, key)
    finally:
        county.close()


@click.group(name="account", help=_("Accounts of the dashboard."))
def account() -> None:
    """Hold the commands about accounts."""


@account.command(name="add", help=_("Make the account NAME; asks for its passphrase."))
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice(ROLES),
    required=True,
    help=_("What the account may do.") + choices_note(ROLES, _, ROLE_WORDS),
)
@click.option("--person", help=_("Whose account it is: the name (default: NAME)."))
@click.option("--node", default="", help=_("The school of a school's account."))
@click.option("--passphrase-stdin", is_flag=True, help=_("Read the passphrase from the first line of input."))
@DIR
@JSON
def add(
    directory: Path,
    name: str,
    role: str,
    person: str | None,
    node: str,
    passphrase_stdin: bool,
    as_json: bool,
) -> None:
    """Make an account with role and passphrase."""
    with _open(directory, as_json) as county:
        given = _read_passphrase() if passphrase_stdin else _ask_passphrase()
        stretched = accounts.stretch(check_passphrase(given, name))
        nodes = county.nodes() if role == SCHOOL else {}
        with county.writing("add-account") as connection:
            accounts.add(connection, name, person or name, county.now_ms)
            accounts.give_role(connection, name, role, node, nodes)
            accounts.set_passphrase(connection, name, stretched, county.now_ms)
            note(connection, county.now_ms, (COMMAND_LINE, ""), "add-account", name)
    says = {"name": name, "role": word(ROLE_WORDS, role, _)}
    say(as_json, {"name": name, "role": role}, _("account %(name)s: %(role)s") % says)


@account.command(name="list", help=_("List the accounts."))
@DIR
@JSON
def show(directory: Path, as_json: bool) -> None:
    """List accounts with their roles."""
    with _open(directory, as_json) as county, county.store.reading() as connection:
        found = accounts.every(connection)
    rows = [
        {
            "name": row.name,
            "person": row.person,
            "role": row.role,
            "node": row.node,
            "enabled": row.is_enabled,
        }
        for row in found
    ]
    lines = [f"{row.name}\t{row.person}\t{word(ROLE_WORDS, row.role, _)}\t{row.node}" for row in found]
    say(as_json, {"accounts": rows}, *lines)


@account.command(name="reset", help=_("Issue a set-up code for NAME: its passphrase and second factor end."))
@click.argument("name")
@DIR
@JSON
def reset(directory: Path, name: str, as_json: bool) -> None:
    """Issue a set-up code, as the security administrator does; for the day when that one is locked out."""
    with _open(directory, as_json) as county:
        code = _code()
        with county.writing("issue-code") as connection:
            accounts.issue_code(connection, name, code, county.now_ms)
            log_in.unlock(connection, name)
            note(connection, county.now_ms, (COMMAND_LINE, ""), "issue-code", name if is_name(name) else "")
    text = _("set-up code of %(name)s, for seven days: %(code)s (page /setup)")
    say(as_json, {"name": name, "code": code}, text % {"name": name, "code": code})


@account.command(name="schools", help=_("Make an account for every school of the roster that has none."))
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help=_("New csv file for the set-up codes; hand each school its own line only."),
)
@DIR
@JSON
def schools(directory: Path, out: Path, as_json: bool) -> None:
    """Make the schools' accounts with a set-up code each."""
    with _open(directory, as_json) as county:
        if out.exists():
            raise AccountError(phrase("%(path)s: exists already", path=out))
        nodes = county.nodes()
        codes: dict[str, str] = {}
        with county.writing("add-account") as connection:
            taken = {row.node for row in accounts.every(connection)}
            for node in (node for node in nodes if node not in taken):
                codes[node] = _code()
                accounts.add(connection, node, nodes[node][:60], county.now_ms)
                accounts.give_role(connection, node, SCHOOL, node, nodes)
                accounts.issue_code(connection, node, codes[node], county.now_ms)
                note(connection, county.now_ms, (COMMAND_LINE, ""), "add-account", node)
            write_file(out, _codes_csv(codes, nodes), ignore_step, mode=0o600, is_new=True)
    values: dict[str, object] = {"accounts": len(codes), "file": str(out)}
    say(as_json, values, _("%(accounts)s accounts made; set-up codes for seven days in %(file)s") % values)


def _codes_csv(codes: dict[str, str], nodes: dict[str, str]) -> bytes:
    from paper.text import cell_words

    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["学校 school", "账户 account", "设置码 set-up code"])
    writer.writerows([cell_words(nodes[node]), cell_words(node), code] for node, code in codes.items())
    return ("\ufeff" + out.getvalue()).encode()


@contextmanager
def _open(directory: Path, as_json: bool) -> Iterator[County]:
    with refusing(as_json):
        county = open_county(directory)
        try:
            yield county
        finally:
            county.close()


def _ask_passphrase() -> str:
    return str(click.prompt(_("new passphrase"), hide_input=True, confirmation_prompt=True, err=True))


def _read_passphrase() -> str:
    return sys.stdin.readline().rstrip("\r\n")


def _code() -> str:
    plain = base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode().lower()
    return "-".join(plain[at : at + 4] for at in range(0, len(plain), 4))
