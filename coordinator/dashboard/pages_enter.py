"""Coming in and leaving: log-in, the first passphrase, log-out, the language."""

from __future__ import annotations

from typing import Final

from coordinator import account_rules, accounts, log_in
from coordinator.account_rules import AccountError
from coordinator.dashboard.speech import LANGUAGES, refusal
from coordinator.dashboard.visit import NewSession, Page, Redirect, Reply, Visit
from plan.errors import Phrase, phrase

TOKEN_BYTES: Final = 32
HOMES: Final = {
    account_rules.CLERK: "/board",
    account_rules.SYSTEM: "/system",
    account_rules.SECURITY: "/roles",
    account_rules.AUDIT: "/journal",
    account_rules.SCHOOL: "/facts",
}


def home(visit: Visit) -> Reply:
    """Go to the first page of whoever is here."""
    return Redirect(HOMES.get(visit.role, "/login"))


def login_form(visit: Visit) -> Reply:
    """Show the log-in, or the first page to somebody who has logged in."""
    return home(visit) if visit.role else Page("login.html", {"problem": "", "name": ""})


def login(visit: Visit) -> Reply:
    """Check who that is, and begin a session."""
    name = visit.text("name").lower()
    given = visit.texts.get("passphrase", "")[: account_rules.MAX_PASSPHRASE]
    found = log_in.log_in(visit.county.store, name, given, visit.text("code"), visit.county.now_ms)
    if not isinstance(found, account_rules.Account):
        problem = _problem(found, phrase("name, passphrase or code is not right"))
        values = {"problem": problem.text(visit.translate), "name": name[:64]}
        return Page("login.html", values, 429 if isinstance(found, log_in.Wait) else 403)
    return _begin(visit, found)


def setup_form(visit: Visit) -> Reply:
    """Show the form for a set-up code."""
    return Page("setup.html", {"problem": "", "name": visit.query.get("name", "")[:64]})


def setup(visit: Visit) -> Reply:
    """Take a set-up code and the first passphrase, and begin a session."""
    name = visit.text("name").lower()
    try:
        stretched = new_passphrase(visit, name)
    except AccountError as err:
        return _setup_again(name, refusal(err, visit.translate), 409)
    found = log_in.set_up(visit.county.store, name, visit.text("code"), stretched, visit.county.now_ms)
    if not isinstance(found, account_rules.Account):
        wrong = phrase("this set-up code does not work; the security administrator issues a new one")
        status = 429 if isinstance(found, log_in.Wait) else 403
        return _setup_again(name, _problem(found, wrong).text(visit.translate), status)
    return _begin(visit, found)


def new_passphrase(visit: Visit, name: str) -> str:
    """Take a new passphrase that was typed twice; give it stretched.

    Raises:
        AccountError: the two differ, or it may not be one.
    """
    new = visit.texts.get("new", "")
    if new != visit.texts.get("again", ""):
        raise AccountError(phrase("the two passphrases differ; type the same one twice"))
    return accounts.stretch(account_rules.check_passphrase(new, name or "-"))


def logout(visit: Visit) -> Reply:
    """End the session."""
    with visit.acting("log-out") as connection:
        if visit.session is not None:
            log_in.end(connection, visit.session.digest)
    return NewSession(visit.entropy(TOKEN_BYTES).hex(), "/login?said=logged-out")


def language(visit: Visit) -> Reply:
    """Choose the language; the cookie keeps it."""
    chosen, back = visit.text("language"), visit.text("back")
    if chosen in LANGUAGES:
        visit.language = chosen
    is_path = back.startswith("/") and not back.startswith("//") and "\\" not in back and back.isascii()
    return Redirect(back if is_path and back.isprintable() else "/")


def _begin(visit: Visit, account: account_rules.Account) -> Reply:
    token = visit.entropy(TOKEN_BYTES).hex()
    log_in.begin(visit.county.store, account.name, token, visit.county.now_ms)
    return NewSession(token, HOMES.get(account.role, "/me"))


def _setup_again(name: str, problem: str, status: int) -> Page:
    return Page("setup.html", {"problem": problem, "name": name[:64]}, status)


def _problem(found: log_in.Wait | None, wrong: Phrase) -> Phrase:
    if isinstance(found, log_in.Wait):
        return phrase("too many wrong tries; wait %(seconds)s seconds", seconds=found.seconds)
    return wrong
