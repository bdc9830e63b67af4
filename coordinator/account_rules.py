"""Who may hold an account of the dashboard: roles, names, passphrases. Pure.

Rules:
1. An account has one role, or none yet. The three administrators (三员分立) are kept apart: one person never
   holds two of their roles, whatever the accounts are called.
2. The system administrator makes an account, the security administrator gives it its role and a set-up code;
   neither can do the other's part, and nobody changes the own account's role or existence.
3. Nobody chooses a passphrase for somebody else: the set-up code works once, for `CODE_DAYS` days.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Final

from coordinator.errors import CoordinatorError
from plan.errors import phrase

SYSTEM, SECURITY, AUDIT, CLERK, SCHOOL = "system", "security", "audit", "clerk", "school"
ADMINISTRATORS: Final = (SYSTEM, SECURITY, AUDIT)
ROLES: Final = (*ADMINISTRATORS, CLERK, SCHOOL)
CODE_DAYS: Final = 7
MIN_PASSPHRASE: Final = 12
MAX_PASSPHRASE: Final = 256
MIN_DISTINCT: Final = 5
MAX_PERSON: Final = 60
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}\Z")


def _(message: str) -> str:
    """Mark a word for the translation catalogue."""
    return message


ROLE_WORDS: Final[Mapping[str, str]] = {
    SYSTEM: _("system administrator"),
    SECURITY: _("security administrator"),
    AUDIT: _("audit administrator"),
    CLERK: _("statistics clerk"),
    SCHOOL: _("school"),
    "": _("no role yet"),
}
"""The roles of the dashboard."""


class AccountError(CoordinatorError):
    """An account, a passphrase or a role is not as it must be."""

    code: ClassVar[str] = "account"


@dataclass(frozen=True, slots=True)
class Account:
    """One account as it is stored, without its secrets' values where a yes or no is enough.

    Attributes:
        name: what is typed at the log-in.
        person: who that is: name, and a number of the staff where two are called alike.
        role: one of `ROLES`, or "" before one was given.
        node: the school of a school's account, else "".
        is_enabled: whether it may log in.
        passphrase: its Argon2id string; "" before the first.
        totp_secret, totp_pending: base32; "" for none.
        totp_step: the newest time step whose code was used.
        code_until_ms: until when a set-up code works; 0 for none.
        created_ms, changed_ms: of the account; of its passphrase.
    """

    name: str
    person: str
    role: str
    node: str
    is_enabled: bool
    passphrase: str = field(repr=False)
    totp_secret: str = field(repr=False)
    totp_pending: str = field(repr=False)
    totp_step: int
    code_until_ms: int
    created_ms: int
    changed_ms: int

    @property
    def has_second(self) -> bool:
        """Whether a second factor is asked for."""
        return bool(self.totp_secret)


def check_name(name: str) -> str:
    """Give an account's name if it may be one.

    Raises:
        AccountError: it may not.
    """
    if not _NAME.match(name):
        raise AccountError(
            phrase(
                "the account's name: expected a-z 0-9 . _ - (at most 63, beginning with a letter or digit)"
            )
        )
    return name


def is_name(name: str) -> bool:
    """Say whether this could be an account's name."""
    return bool(_NAME.match(name))


def check_person(person: str) -> str:
    """Give a person's name in one spelling.

    Raises:
        AccountError: it is empty, too long, or has signs that cannot be seen.
    """
    found = " ".join(unicodedata.normalize("NFKC", person).split())
    if not 0 < len(found) <= MAX_PERSON or any(unicodedata.category(sign)[0] == "C" for sign in found):
        raise AccountError(
            phrase("the person's name: expected 1 to %(most)s visible characters", most=MAX_PERSON)
        )
    return found


def check_passphrase(passphrase: str, name: str) -> str:
    """Give a passphrase in one spelling.

    Raises:
        AccountError: it is too short, too long, or easy to guess.
    """
    found = unicodedata.normalize("NFC", passphrase)
    if not MIN_PASSPHRASE <= len(found) <= MAX_PASSPHRASE or not found.isprintable():
        raise AccountError(
            phrase(
                "the passphrase: expected %(least)s to %(most)s characters",
                least=MIN_PASSPHRASE,
                most=MAX_PASSPHRASE,
            )
        )
    if len(set(found)) < MIN_DISTINCT or name in found.lower():
        raise AccountError(
            phrase("the passphrase is easy to guess; take some words that have nothing to do with each other")
        )
    return found


def check_role(role: str, node: str, nodes: Mapping[str, str]) -> None:
    """Check that a role is one, and that a school's account names a school of the roster.

    Args:
        role: one of `ROLES`.
        node: of a school's account, else "".
        nodes: the roster's schools.

    Raises:
        AccountError: it is not.
    """
    if role not in ROLES:
        raise AccountError(phrase("the role: choose one of those that are offered"))
    if role == SCHOOL and node not in nodes:
        raise AccountError(phrase("a school's account needs a school of the roster in force"))
    if role != SCHOOL and node:
        raise AccountError(phrase("only a school's account has a school"))


def check_apart(role: str, account: str, person: str, others: Mapping[str, tuple[str, str]]) -> None:
    """Check that nobody holds two administrators' roles.

    Args:
        role: about to be held.
        account, person: by whom.
        others: enabled accounts: name → (person, role).

    Raises:
        AccountError: the person holds another administrator's role.
    """
    if role not in ADMINISTRATORS:
        return
    for name, (who, held) in others.items():
        is_same = who.casefold() == person.casefold()
        if name != account and is_same and held in ADMINISTRATORS and held != role:
            raise AccountError(
                phrase(
                    "this person is an administrator of another kind already; the three administrators are "
                    "three people"
                )
            )
