"""Who holds which role: the first holders, further ones, new passphrases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from node.console.pages_enter import MAX_NAME_CHARS, holders, prove
from node.console.sessions import IT, PRINCIPAL, PSYCHOLOGIST, ROLES, Person
from node.console.visit import Page, Redirect, Reply, Visit
from node.errors import NodeError
from node.errors import _ as N_  # translated where it is shown
from node.role_login import add_holder

BACK: Final = Redirect("/people")


def people(visit: Visit) -> Reply:
    """Show who holds which role, and what this visitor may change."""
    found = holders(visit)
    missing = [role for role in ROLES if not _held(found, role)]
    first = [role for role in missing if visit.role == IT]
    values = {"holders": _in_order(found), "missing": missing, "first": first, "roles": ROLES}
    return Page("people.html", {**values, "typed": {role: visit.typed(f"people/{role}") for role in ROLES}})


def add(visit: Visit) -> Reply:
    """Make a role's first holder (IT hands the keyboard over), or a further one (a holder agrees)."""
    role, name = visit.text("role"), visit.text("name")
    if role in ROLES:
        visit.keep_typed(f"people/{role}")
    new, again = visit.texts.get("new", ""), visit.texts.get("again", "")
    if role not in ROLES or not 0 < len(name) <= MAX_NAME_CHARS or not name.isprintable():
        visit.say("bad", N_("role and name are missing"), N_("Choose a role, and give the name."))
        return BACK
    if new != again:
        visit.say("bad", N_("the two passphrases differ"), N_("Type the same passphrase twice."))
        return BACK
    try:
        actor = _agreement(visit, role)
        add_holder(visit.console.keeper, role, name, new, actor)
    except NodeError as err:
        visit.say_refused(err)
        return BACK
    visit.typed(f"people/{role}")
    visit.say("good", _ADDED[role], name=name)
    person = visit.session.person
    if person is not None and (person.role, person.name) == (role, name):
        visit.become(Person(role, name, prove(visit, role, name, new)))
    return BACK


def _agreement(visit: Visit, role: str) -> dict[str, Any] | None:
    """Take the passphrase of the holder who agrees; a role's first holder needs none.

    Raises:
        NodeError: it is wrong.
    """
    person = visit.session.person
    if person is None or person.role != role:
        return None  # the vault refuses it unless it is the first
    return prove(visit, role, person.name, visit.texts.get("passphrase", ""))


def _in_order(found: list[Mapping[str, str]]) -> list[Mapping[str, str]]:
    """Put holders by role and then as the vault lists them, so that nobody moves when one is added."""
    return sorted(found, key=lambda row: ROLES.index(row["role"]) if row["role"] in ROLES else len(ROLES))


def _held(found: list[Mapping[str, str]], role: str) -> bool:
    return any(row["role"] == role for row in found)


_ADDED: Final[Mapping[str, str]] = {
    PSYCHOLOGIST: N_(
        "%(name)s is psychologist now: names are kept, sealed to this role, from the next import on."
    ),
    PRINCIPAL: N_("%(name)s is principal now: from now on a report leaves only with this passphrase."),
}
