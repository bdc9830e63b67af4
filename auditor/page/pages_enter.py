"""Coming in by the link that the command made, going out, the language."""

from __future__ import annotations

from auditor.page.visit import Page, Redirect, Reply, Visit
from pages.guard import is_own_path
from pages.speech import LANGUAGES


def enter(visit: Visit) -> Reply:
    """Use up the link that the command made."""
    found = visit.office.sessions.enter(visit.path["token"])
    if found is None:
        return Page("entered_twice.html", status=403)
    visit.office.sessions.end(visit.token)
    visit.token, visit.session = found
    return Redirect("/")


def gone(visit: Visit) -> Reply:
    """Say how to come in; whoever is in goes to the first page."""
    return Redirect("/") if visit.role and visit.query.get("auto") != "1" else Page("gone.html")


def logout(visit: Visit) -> Reply:
    """Go."""
    visit.office.sessions.end(visit.token)
    visit.token, visit.session = visit.office.sessions.begin()
    return Redirect("/gone")


def language(visit: Visit) -> Reply:
    """Change the language of the pages; the cookie is set by `app`."""
    if visit.text("language") in LANGUAGES:
        visit.language = visit.text("language")
    back = visit.text("back")
    return Redirect(back if is_own_path(back) else "/")
