"""Coming in and going out: the link for IT, log-in with a role's passphrase, the language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from node.console.sessions import IT, ROLES, Person
from node.console.visit import Page, Redirect, Reply, Visit
from node.errors import NodeError, VaultRefusal
from node.errors import _ as N_  # translated where it is shown
from node.role_login import actor_of
from pages.speech import LANGUAGES

MAX_NAME_CHARS = 100
WRONG = "wrong-role-passphrase"


def enter(visit: Visit) -> Reply:
    """Use up the link that the command printed."""
    found = visit.console.sessions.enter(visit.path["token"])
    if found is None:
        return Page("entered_twice.html", status=403)
    visit.console.sessions.end(visit.token)
    visit.token, visit.session = found
    return Redirect("/")


def login_form(visit: Visit) -> Reply:
    """Show the log-in."""
    names = holders(visit) if visit.session.is_it else []
    typed = visit.typed("login")
    values = {"holders": names, "role": typed.get("role", visit.query.get("role", "")), "roles": ROLES}
    return Page("login.html", {**values, "name": typed.get("name", "")})


def login(visit: Visit) -> Reply:
    """Let a holder of a role sit here."""
    role, name = visit.text("role"), visit.text("name")
    if role not in ROLES or not 0 < len(name) <= MAX_NAME_CHARS:
        visit.say("bad", N_("role and name are missing"), N_("Choose a role, and give the name."))
        return Redirect("/login")
    try:
        person = Person(role, name, prove(visit, role, name, visit.texts.get("passphrase", "")))
    except NodeError as err:
        visit.keep_typed("login")
        visit.say_refused(err)
        return Redirect("/login")
    visit.become(person)
    return Redirect("/")


def prove(visit: Visit, role: str, name: str, passphrase: str) -> dict[str, Any]:
    """Make the proof that a command carries, and let the vault check it; wrong ones slow the next.

    Raises:
        NodeError: name or passphrase is wrong, or the last wrong one was just now.
    """
    brake = visit.console.brake
    with brake.turn:
        wait_s = brake.wait_s()
        if wait_s:
            raise VaultRefusal(
                N_("the passphrase before was wrong; the next try is possible in %(seconds)s s"),
                N_("Wait, then try again. Whoever has forgotten it needs another holder of the same role."),
                code="slow-down",
                details={"seconds": wait_s},
            )
        try:
            actor: dict[str, Any] = dict(actor_of(visit.console.keeper, role, name, passphrase))
            visit.ask("role_check", actor=actor)
        except NodeError as err:
            if err.code == WRONG:
                brake.fail()
            raise
        brake.succeed()
    return actor


def logout(visit: Visit) -> Reply:
    """Go; whoever entered by the link stays in the own place."""
    had_person = visit.session.person is not None
    if had_person and visit.session.is_it:
        visit.become(None)
        return Redirect("/")
    visit.console.sessions.end(visit.token)
    visit.token, visit.session = visit.console.sessions.begin()
    return Redirect("/login")


def language(visit: Visit) -> Reply:
    """Change the language of the pages; the cookie is set by `app`."""
    if visit.text("language") in LANGUAGES:
        visit.language = visit.text("language")
    back = visit.text("back")
    is_own = back.startswith("/") and not back.startswith("//") and "\\" not in back and back.isprintable()
    return Redirect(back if is_own else "/")


def holders(visit: Visit) -> list[Mapping[str, str]]:
    """List who holds which role."""
    return list(visit.ask("roles")["holders"])


def by_of(visit: Visit) -> str:
    """Say who acts, for the journal."""
    person = visit.session.person
    return person.name if person is not None else visit.text("by")[:MAX_NAME_CHARS] or IT
