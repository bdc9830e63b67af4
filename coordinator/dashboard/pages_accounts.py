"""Accounts from two sides: the system administrator's (do they exist) and the security administrator's."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final

from coordinator import accounts, log_in
from coordinator.account_rules import ROLES, AccountError
from coordinator.dashboard.speech import refusal
from coordinator.dashboard.visit import Page, Redirect, Reply, Visit
from plan.errors import phrase

CODE_BYTES: Final = 10


def people(visit: Visit) -> Reply:
    """List the accounts: that they exist, and whether they may log in."""
    return _people(visit)


def add(visit: Visit) -> Reply:
    """Make an account without role and passphrase."""
    try:
        with visit.acting("add-account", visit.text("name")[:63]) as connection:
            accounts.add(connection, visit.text("name"), visit.text("person"), visit.county.now_ms)
    except AccountError as err:
        return _people(visit, problem=refusal(err, visit.translate), typed=visit.typed(), status=409)
    return Redirect("/people", "account")


def enable(visit: Visit) -> Reply:
    """Let an account log in again."""
    return _switch(visit, is_enabled=True)


def disable(visit: Visit) -> Reply:
    """Let an account no longer log in."""
    return _switch(visit, is_enabled=False)


def roles(visit: Visit) -> Reply:
    """List the accounts with their roles."""
    return _roles(visit)


def give_role(visit: Visit) -> Reply:
    """Give an account a role."""
    nodes = visit.county.nodes()
    name = visit.text("name")
    try:
        _check_other(visit, name)
        with visit.acting("give-role", name[:63]) as connection:
            accounts.give_role(connection, name, visit.text("role"), visit.text("node"), nodes)
    except AccountError as err:
        return _roles(visit, problem=refusal(err, visit.translate), status=409)
    return Redirect("/roles", "role")


def issue_code(visit: Visit) -> Reply:
    """Issue a set-up code and show it, once."""
    name = visit.text("name")
    plain = base64.b32encode(visit.entropy(CODE_BYTES)).decode().lower()
    code = "-".join(plain[at : at + 4] for at in range(0, len(plain), 4))
    try:
        _check_other(visit, name)
        with visit.acting("issue-code", name[:63]) as connection:
            until_ms = accounts.issue_code(connection, name, code, visit.county.now_ms)
    except AccountError as err:
        return _roles(visit, problem=refusal(err, visit.translate), status=409)
    return Page("code.html", {"name": name, "code": code, "until_ms": until_ms})


def unlock(visit: Visit) -> Reply:
    """Let an account try again at once."""
    name = visit.text("name")
    try:
        with visit.acting("unlock-account", name[:63]) as connection:
            accounts.get(connection, name)
            log_in.unlock(connection, name)
    except AccountError as err:
        return _roles(visit, problem=refusal(err, visit.translate), status=409)
    return Redirect("/roles", "unlocked")


def _switch(visit: Visit, *, is_enabled: bool) -> Reply:
    name, action = visit.text("name"), "enable-account" if is_enabled else "disable-account"
    try:
        _check_other(visit, name)
        with visit.acting(action, name[:63]) as connection:
            accounts.set_enabled(connection, name, is_enabled)
    except AccountError as err:
        return _people(visit, problem=refusal(err, visit.translate), status=409)
    return Redirect("/people", "enabled" if is_enabled else "disabled")


def _check_other(visit: Visit, name: str) -> None:
    if name == visit.name:
        raise AccountError(phrase("nobody changes the own account's role or existence; ask a colleague"))


def _people(
    visit: Visit, *, problem: str = "", typed: Mapping[str, str] | None = None, status: int = 200
) -> Page:
    with visit.county.store.reading() as connection:
        found = accounts.every(connection)
    values = {"accounts": found, "problem": problem, "typed": typed or {}}
    return Page("people.html", values, status)


def _roles(visit: Visit, *, problem: str = "", status: int = 200) -> Page:
    nodes = visit.county.nodes()
    now_ms = visit.county.now_ms
    with visit.county.store.reading() as connection:
        found = accounts.every(connection)
        locked = {row.name for row in found if log_in.is_locked(connection, row.name, now_ms)}
    chosen = visit.query.get("account", "")
    values: dict[str, Any] = {"accounts": found, "locked": locked, "nodes": nodes, "roles": ROLES}
    values |= {"problem": problem, "chosen": next((row for row in found if row.name == chosen), None)}
    return Page("roles.html", {**values, "now_ms": now_ms}, status)
