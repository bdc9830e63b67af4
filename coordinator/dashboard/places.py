"""Every page of the dashboard: where it is, who may see it, what the journal says of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from coordinator.account_rules import AUDIT, CLERK, ROLES, SCHOOL, SECURITY, SYSTEM, is_name
from coordinator.dashboard import (
    pages_accounts,
    pages_board,
    pages_enter,
    pages_facts,
    pages_journal,
    pages_log,
    pages_me,
    pages_plan,
    pages_results,
    pages_system,
)
from coordinator.dashboard.visit import Handler, Visit


def _(message: str) -> str:
    """Mark a word for the translation catalogue."""
    return message


NOBODY: Final = frozenset({""})
STAFF: Final = frozenset(ROLES)
ANYBODY: Final = NOBODY | STAFF
CLERKS: Final = frozenset({CLERK})
SCHOOLS: Final = frozenset({SCHOOL})
READERS: Final = frozenset({CLERK, AUDIT})
WATCHERS: Final = frozenset({CLERK, AUDIT, SYSTEM})
ROUND: Final = "{round:str}"


def _nothing(_visit: Visit) -> str:
    return ""


def _round(visit: Visit) -> str:
    found = visit.path.get("round", "")
    return found[:16] if found.isalnum() else ""


def _report(visit: Visit) -> str:
    kind, code = visit.path.get("kind", ""), visit.query.get("class", "")
    parts = [part for part in (kind, code) if part.replace(".", "").replace("-", "").isalnum()]
    return " ".join([_round(visit), *(part[:12] for part in parts if part.isascii())])


def _school(visit: Visit) -> str:
    return visit.account.node if visit.account else ""


def _account(visit: Visit) -> str:
    found = visit.text("name")
    return found if is_name(found) else ""


@dataclass(frozen=True, slots=True)
class Place:
    """One page.

    Attributes:
        method, path: where it is.
        handler: what answers there.
        who: the roles that may see it; "" stands for somebody who has not logged in.
        action: what the journal calls it; "" for a page that only shows what this role always sees.
        subject: what the journal says that it was about.
        is_own: the handler writes its journal row itself, in the transaction of the change.
    """

    method: str
    path: str
    handler: Handler
    who: frozenset[str]
    action: str = ""
    subject: Callable[[Visit], str] = _nothing
    is_own: bool = False


NAVIGATION: Final = (
    ("/board", _("Rounds"), CLERKS),
    ("/results", _("Results"), CLERKS),
    ("/schools", _("School conditions"), CLERKS),
    ("/facts", _("School conditions"), SCHOOLS),
    ("/progress", _("Progress"), SCHOOLS),
    ("/plans", _("Plans"), READERS),
    ("/budget", _("Privacy account"), READERS),
    ("/log", _("Log and auditors"), WATCHERS),
    ("/journal", _("Journal"), frozenset({AUDIT})),
    ("/system", _("Service"), frozenset({SYSTEM})),
    ("/people", _("Accounts"), frozenset({SYSTEM})),
    ("/roles", _("Roles"), frozenset({SECURITY})),
    ("/keys", _("Keys and revocations"), frozenset({SECURITY})),
    ("/me", _("My account"), STAFF),
)
"""What stands at the top of each page: where, its name, for whom."""

PLACES: Final = (
    Place("GET", "/", pages_enter.home, ANYBODY),
    Place("GET", "/login", pages_enter.login_form, ANYBODY),
    Place("POST", "/login", pages_enter.login, NOBODY, "log-in", _account, is_own=True),
    Place("GET", "/setup", pages_enter.setup_form, NOBODY),
    Place("POST", "/setup", pages_enter.setup, NOBODY, "set-up", _account, is_own=True),
    Place("POST", "/logout", pages_enter.logout, STAFF, "log-out", is_own=True),
    Place("POST", "/language", pages_enter.language, ANYBODY),
    Place("GET", "/me", pages_me.me, STAFF),
    Place("POST", "/me/passphrase", pages_me.passphrase, STAFF, "change-passphrase", is_own=True),
    Place("POST", "/me/second", pages_me.propose_second, STAFF, "propose-second", is_own=True),
    Place("POST", "/me/second/confirm", pages_me.confirm_second, STAFF, "confirm-second", is_own=True),
    Place("POST", "/me/second/drop", pages_me.drop_second, STAFF, "drop-second", is_own=True),
    Place("POST", "/me/sessions", pages_me.end_sessions, STAFF, "end-sessions", is_own=True),
    Place("GET", "/system", pages_system.state, frozenset({SYSTEM})),
    Place("GET", "/people", pages_accounts.people, frozenset({SYSTEM})),
    Place("POST", "/people", pages_accounts.add, frozenset({SYSTEM}), "add-account", _account, is_own=True),
    Place(
        *("POST", "/people/enable", pages_accounts.enable, frozenset({SYSTEM})),
        *("enable-account", _account),
        is_own=True,
    ),
    Place(
        *("POST", "/people/disable", pages_accounts.disable, frozenset({SYSTEM})),
        *("disable-account", _account),
        is_own=True,
    ),
    Place("GET", "/roles", pages_accounts.roles, frozenset({SECURITY})),
    Place(
        "POST", "/roles", pages_accounts.give_role, frozenset({SECURITY}), "give-role", _account, is_own=True
    ),
    Place(
        *("POST", "/roles/code", pages_accounts.issue_code, frozenset({SECURITY})),
        *("issue-code", _account),
        is_own=True,
    ),
    Place(
        *("POST", "/roles/unlock", pages_accounts.unlock, frozenset({SECURITY})),
        *("unlock-account", _account),
        is_own=True,
    ),
    Place("GET", "/keys", pages_system.keys, frozenset({SECURITY})),
    Place("GET", "/journal", pages_journal.journal, frozenset({AUDIT}), "read-journal"),
    Place("GET", "/journal.csv", pages_journal.download, frozenset({AUDIT}), "take-journal"),
    Place("GET", "/log", pages_log.log, WATCHERS),
    Place("GET", "/plans", pages_plan.plans, READERS),
    Place("GET", f"/plans/{ROUND}", pages_plan.plan, READERS),
    Place("GET", "/budget", pages_plan.budget, READERS),
    Place("GET", "/results", pages_results.results, CLERKS),
    Place("GET", f"/results/{ROUND}", pages_results.result, CLERKS, "read-results", _round),
    Place(
        *("GET", f"/results/{ROUND}/report/{{kind:str}}", pages_results.download, CLERKS),
        *("take-report", _report),
    ),
    Place("GET", "/facts", pages_facts.facts_form, SCHOOLS),
    Place("POST", "/facts", pages_facts.save_facts, SCHOOLS, "save-facts", _school),
    Place("GET", "/progress", pages_facts.progress_form, SCHOOLS),
    Place("POST", "/progress", pages_facts.save_progress, SCHOOLS, "save-progress", _school),
    Place("GET", "/schools", pages_facts.schools, CLERKS),
    Place("GET", "/board", pages_board.rounds, CLERKS),
    Place("GET", f"/board/{ROUND}", pages_board.board, CLERKS, "read-board", _round),
    Place("GET", f"/board/{ROUND}/missing.csv", pages_board.missing, CLERKS, "take-missing-list", _round),
    Place("POST", f"/board/{ROUND}/close", pages_board.close, CLERKS, "close-round", _round),
)
