"""`fedscreen node role`, and how any command asks for a holder of a role.

@actor_options(PSYCHOLOGIST)
def report(context, …, holder, role_passphrase_file): …
    with context.vault() as vault:
        actor = ask_actor(vault, PSYCHOLOGIST, holder, role_passphrase_file)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from gettext import gettext as _
from pathlib import Path
from typing import Any

import click

from node import role_login
from node.cli_ask import ROLE_PASSPHRASE_FILE, ask_new_passphrase, ask_passphrase
from node.cli_context import FILE, Context, command
from node.cli_words import local_time
from node.errors import Detail, UnlockError
from node.errors import _ as N_  # translated where it is shown
from node.session import VaultSession
from node.unwrap import read_passphrase_file
from node.vault.errors import shown_as
from plan.errors import phrase
from plan.words import ROLE_WORDS, word

PSYCHOLOGIST, PRINCIPAL = role_login.ROLES


def actor_options(*, required: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add the options by which a holder of a role is named."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        function = click.option(
            "--role-passphrase-file",
            type=FILE,
            envvar="FEDSCREEN_NODE_ROLE_PASSPHRASE_FILE",
            help=_("File with the holder's passphrase in its first line (mode 600), instead of asking."),
        )(function)
        return click.option("--holder", required=required, help=_("Who holds the role."))(function)

    return decorate


def ask_actor(
    vault: VaultSession,
    role: str,
    holder: str,
    passphrase_file: Path | None,
    option: str = ROLE_PASSPHRASE_FILE,
) -> dict[str, str]:
    """Ask a holder for the passphrase and check it; who holds no such role is not even asked.

    Raises:
        UnlockError, VaultRefusal: this person does not hold the role, or it is another passphrase.
    """
    _require_holder(vault, role, holder)
    label = _("Passphrase of %(name)s (%(role)s)") % {"name": holder, "role": word(ROLE_WORDS, role, _)}
    actor = role_login.actor_of(vault, role, holder, _passphrase(label, passphrase_file, option=option))
    vault.call({"command": "role_check", "actor": actor})
    return actor


def _require_holder(vault: VaultSession, role: str, holder: str) -> None:
    names = [row["name"] for row in vault.call({"command": "roles"})[0]["holders"] if row["role"] == role]
    if holder in names:
        return
    word_of = phrase(ROLE_WORDS[role])
    words: dict[str, Detail] = {**shown_as("role", word_of), "id": role, "name": holder[:200]}
    if not names:
        raise UnlockError(
            N_("nobody is %(role)s at this node yet"),
            N_("Make it with 'fedscreen node role add %(id)s --holder NAME', or on the console."),
            code="no-role",
            details=words,
        )
    raise UnlockError(
        N_("%(name)s is not %(role)s at this node"),
        N_("Who is: 'fedscreen node role list'. Write the name as it stands there."),
        code="wrong-role-passphrase",
        details=words,
    )


def has_role(vault: VaultSession, role: str) -> bool:
    """Say whether somebody holds a role on this node."""
    return any(row["role"] == role for row in vault.call({"command": "roles"})[0]["holders"])


def _passphrase(
    label: str, passphrase_file: Path | None, *, is_new: bool = False, option: str = ROLE_PASSPHRASE_FILE
) -> str:
    if passphrase_file is not None:
        return read_passphrase_file(passphrase_file)
    return (ask_new_passphrase if is_new else ask_passphrase)(label, option)


def read_role(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Read a role by its code or by its words: psychologist, 心理教师."""
    found = role_login.role_named(value.strip())
    if found is None:
        known = [f"{code} / {word(ROLE_WORDS, code, _)}" for code in role_login.ROLES]
        shown = _("expected one of %(names)s") % {"names": _(", ").join(known)}
        raise click.BadParameter(shown, context, parameter)
    return found


role: click.Group = click.Group(
    "role", help=_("Who is psychologist and who is principal at this school; each with a passphrase.")
)
ROLE = click.argument("name", metavar="ROLE", callback=read_role)


@command(role, "list", _("Show who holds which role."))
def list_roles(context: Context) -> None:
    """List the holders."""
    with context.vault() as vault:
        answer, _blobs = vault.call({"command": "roles"})
    context.say(answer, _role_lines(answer))


@command(
    role, "add", _("Give a role to a person: psychologist (opens names) or principal (releases reports).")
)
@ROLE
@actor_options(required=True)
@click.option("--by", help=_("A holder of the same role who agrees; needed for every further holder."))
@click.option("--by-passphrase-file", type=FILE, help=_("File with that holder's passphrase."))
def add(
    context: Context,
    name: str,
    holder: str,
    role_passphrase_file: Path | None,
    by: str | None,
    by_passphrase_file: Path | None,
) -> None:
    """Add a holder, or change a holder's passphrase."""
    with context.vault() as vault:
        actor = ask_actor(vault, name, by, by_passphrase_file, "--by-passphrase-file") if by else None
        if actor is None and has_role(vault, name):
            raise UnlockError(
                N_("this role has a holder already, and only a holder can add one"),
                N_("Name the holder with --by; for a new passphrase, the holder names himself."),
                code="role-taken",
            )
        label = _("New passphrase of %(name)s (12 characters or more)") % {"name": holder}
        passphrase = _passphrase(label, role_passphrase_file, is_new=True)
        answer = role_login.add_holder(vault, name, holder, passphrase, actor)
    context.say(answer, _added_lines(answer))


def _role_lines(answer: dict[str, Any]) -> Iterator[str]:
    for row in answer["holders"]:
        yield f"{word(ROLE_WORDS, row['role'], _)}  {row['name']}  {local_time(row['created'])[:10]}"
    missing = set(role_login.ROLES) - {row["role"] for row in answer["holders"]}
    for name in sorted(missing):
        yield _("%(role)s: nobody yet; 'fedscreen node role add %(id)s --holder NAME'") % {
            "role": word(ROLE_WORDS, name, _),
            "id": name,
        }


def _added_lines(answer: dict[str, Any]) -> Iterator[str]:
    yield _("%(name)s is now: %(role)s") % {**answer, "role": word(ROLE_WORDS, answer["role"], _)}
    if answer["role"] == PSYCHOLOGIST:
        yield _("names are kept, sealed to this role, from the next import on")
    else:
        yield _("from now on a report is released only with this passphrase")
