"""From a holder's passphrase to the `actor` that a vault checks.

The passphrase is stretched here (Argon2id, 256 MiB), outside of the vault, with the salt that the vault keeps
for this holder; the vault only ever sees the 32 bytes that come out. No passphrase is written or logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from gettext import gettext as _
from typing import Any, Final, Protocol

from node.unwrap import stretch
from plan.words import ROLE_WORDS, word

ROLES = ("psychologist", "principal")
CHINESE: Final[Mapping[str, str]] = {
    "心理教师": "psychologist",
    "心理老师": "psychologist",
    "放行负责人": "principal",
    "校长": "principal",
}
"""What people call the roles, in whichever language the commands speak."""


def role_named(text: str) -> str | None:
    """Give the role that somebody names by its code or by its words; None for no role."""
    said = {ROLE_WORDS[role]: role for role in ROLES} | {word(ROLE_WORDS, role, _): role for role in ROLES}
    found = CHINESE.get(text) or said.get(text, text)
    return found if found in ROLES else None


class TakesCommands(Protocol):
    """An open vault: a command's session, or the one that the console keeps."""

    def call(self, command: Mapping[str, Any], /) -> tuple[dict[str, Any], dict[str, bytes]]:
        """Give one command; take the answer."""


def actor_of(vault: TakesCommands, role: str, name: str, passphrase: str) -> dict[str, str]:
    """Make the `actor` of a holder; whether it is right, the vault says.

    Raises:
        UnlockError: the passphrase is too short or too long to be one.
    """
    salt = str(vault.call({"command": "role_salt", "role": role, "name": name})[0]["salt"])
    return {"role": role, "name": name, "key": stretch(passphrase, bytes.fromhex(salt)).hex()}


def add_holder(
    vault: TakesCommands, role: str, name: str, passphrase: str, actor: dict[str, str] | None = None
) -> dict[str, str]:
    """Give a role to a person, or a holder a new passphrase.

    Args:
        actor: of a holder of the same role; None for the role's first.

    Raises:
        UnlockError: the passphrase is too short or too long.
        VaultRefusal: the role has a holder already, who did not agree.
    """
    salt = str(vault.call({"command": "role_salt", "role": role, "name": name})[0]["salt"])
    key = stretch(passphrase, bytes.fromhex(salt)).hex()
    asks = {"command": "role_add", "role": role, "name": name, "salt": salt, "key": key}
    return dict(vault.call({**asks, **({"actor": actor} if actor else {})})[0])
