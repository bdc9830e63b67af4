"""The local roles of a school and their keys.

Three people share one computer. **IT** is whoever can unlock the node: runs it, imports, and is shown no
psychological number. The **psychologist** (心理教师) alone can open names beside results: her secret opens
what an import sealed to her public key. The **principal** (放行负责人) alone releases: his key signs each
decision, which stands in the journal. Each may have several holders; a holder's copy of the role's secret is
sealed under a key that was stretched from the holder's passphrase outside of the vault (`node.role_login`).

Rules:

1. The first holder of a role needs nobody's consent; a further one, and a new passphrase, need an unlocked
   holder of that same role.
2. A role's key never changes: names that were sealed to it stay readable, decisions stay verifiable.
3. Whoever has the database key *and* the means to open the file beside fedscreen can read coded records
   without names: the roles part people, not the administrator of the machine (docs/adr/0013).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError as SodiumError

from crypto.canonical import encode_parts
from crypto.note import KeyType, SigningKey
from crypto.sealing import ROUND_SECRET_BYTES, round_public_key
from node.vault.errors import RoleError, _, shown_as
from node.vault.journal import TIME_FORMAT, Entropy
from node.vault.store import VaultStore
from plan.errors import Phrase
from plan.words import ROLE_WORDS
from protos.bodies import key_name

PSYCHOLOGIST: Final = "psychologist"
PRINCIPAL: Final = "principal"
ROLES: Final = (PSYCHOLOGIST, PRINCIPAL)
SALT_BYTES: Final = 16
KEY_BYTES: Final = 32
NONCE_BYTES: Final = 24
MAX_NAME: Final = 100
DOMAIN: Final = "fedscreen/role/v1"


@dataclass(frozen=True, slots=True)
class Holder:
    """A person who holds a role."""

    role: str
    name: str
    created: str

    def as_json(self) -> dict[str, str]:
        """Give the holder as JSON values."""
        return {"role": self.role, "name": self.name, "created": self.created}


@dataclass(frozen=True, slots=True)
class Unlocked:
    """A role whose holder gave the right passphrase.

    Attributes:
        secret: the role's key: of the psychologist a secret of `crypto.sealing` (96 bytes), of the principal
            an Ed25519 seed (32 bytes).
    """

    role: str
    name: str
    secret: bytes = field(repr=False)


def list_holders(store: VaultStore) -> tuple[Holder, ...]:
    """List the holders of all roles."""
    rows = store.query("SELECT role, name, created FROM role_holder ORDER BY role, name")
    return tuple(Holder(*row) for row in rows)


def has_role(store: VaultStore, role: str) -> bool:
    """Say whether somebody holds a role."""
    return public_key(store, role) is not None


def public_key(store: VaultStore, role: str) -> bytes | None:
    """Give a role's public key; None while nobody holds it."""
    row = store.one("SELECT public FROM role_key WHERE role = ?", (role,))
    return None if row is None else bytes(row[0])


def find_salt(store: VaultStore, role: str, name: str) -> bytes | None:
    """Give the salt of a holder's passphrase, 16 bytes; None for nobody."""
    row = store.one("SELECT salt FROM role_holder WHERE role = ? AND name = ?", (role, name))
    return None if row is None else bytes(row[0])


def add_holder(
    store: VaultStore,
    entropy: Entropy,
    now: datetime,
    holder: tuple[str, str],
    salt: bytes,
    key: bytes,
    by: Unlocked | None = None,
) -> None:
    """Give a role to a person, or a new passphrase to a holder, inside the caller's transaction.

    Args:
        holder: role and name.
        salt: 16 bytes, with which `key` was stretched.
        key: 32 bytes, from the person's passphrase.
        by: a holder of the same role; needed unless it is the role's first.

    Raises:
        RoleError: the name or role is not allowed, or nobody of the role agreed.
    """
    role, name = holder
    _check(role, name, salt, key)
    public = public_key(store, role)
    if public is None:
        secret = entropy(ROUND_SECRET_BYTES if role == PSYCHOLOGIST else KEY_BYTES)
        public = _public_of(role, secret)
        created = now.strftime(TIME_FORMAT)
        store.execute(
            "INSERT INTO role_key (role, public, created) VALUES (?, ?, ?)", (role, public, created)
        )
    elif by is None or by.role != role:
        raise RoleError(
            _("the role %(role)s has a holder already; only a holder can add one or change the passphrase"),
            _("Let the holder enter the passphrase, or restore the recovery file on a new folder."),
            code="role-taken",
            details=_named(role),
        )
    else:
        secret = by.secret
    store.execute("DELETE FROM role_holder WHERE role = ? AND name = ?", (role, name))
    store.execute(
        "INSERT INTO role_holder (role, name, salt, sealed, created) VALUES (?, ?, ?, ?, ?)",
        (
            role,
            name,
            salt,
            _seal(secret, key, entropy(NONCE_BYTES), role, name, public),
            now.strftime(TIME_FORMAT),
        ),
    )


def unlock(store: VaultStore, actor: Mapping[str, Any]) -> Unlocked:
    """Open a role's secret for a holder.

    Args:
        actor: `role`, `name` and `key` (64 hex digits: 32 bytes from the passphrase).

    Raises:
        RoleError: nobody of that name holds the role, or the passphrase is another one.
    """
    role, name, key = (actor.get(item) for item in ("role", "name", "key"))
    if not (isinstance(role, str) and isinstance(name, str) and isinstance(key, str)):
        raise _malformed()
    row = store.one("SELECT sealed FROM role_holder WHERE role = ? AND name = ?", (role, name))
    public = public_key(store, role)
    try:
        if row is None or public is None:
            raise ValueError("nobody")
        return Unlocked(role, name, _open(bytes(row[0]), bytes.fromhex(key), role, name, public))
    except (ValueError, TypeError, SodiumError):
        raise RoleError(
            _("name or passphrase is wrong for the role %(role)s"),
            _("Try again; nothing was changed."),
            code="wrong-role-passphrase",
            details=_named(role if role in ROLES else "?"),
        ) from None


def require(store: VaultStore, actor: Mapping[str, Any], *roles: str) -> Unlocked:
    """Unlock one of some roles.

    Raises:
        RoleError: nobody holds any of them yet, no holder was given, or another role or passphrase.
    """
    if not any(has_role(store, role) for role in roles):
        raise RoleError(
            _("nobody holds the role %(role)s on this node yet"),
            _("Make it with 'fedscreen node role add %(id)s --holder NAME', or on the console."),
            code="no-role",
            details=_named(roles[0]),
        )
    if not actor or actor.get("role") not in roles:
        raise RoleError(
            _("this needs the role %(role)s"),
            _("Give the holder's name and passphrase."),
            code="role-needed",
            details=_named(roles[0]),
        )
    return unlock(store, actor)


def signing_key(federation: str, node: str, unlocked: Unlocked) -> SigningKey:
    """Give the principal's key as a note key, named for the node."""
    return SigningKey(key_name(federation, "principal", node), KeyType.ED25519, unlocked.secret)


def _named(role: str) -> dict[str, str]:
    """Name a role in a refusal: its words for people, and its code, `id`, for programs and commands."""
    return {**shown_as("role", Phrase(ROLE_WORDS.get(role, role))), "id": role}


def _check(role: str, name: str, salt: bytes, key: bytes) -> None:
    is_name = 0 < len(name.strip()) <= MAX_NAME and name.isprintable() and name == name.strip()
    if role not in ROLES or not is_name or len(salt) != SALT_BYTES or len(key) != KEY_BYTES:
        raise _malformed()


def _malformed() -> RoleError:
    return RoleError(
        _("a role is psychologist or principal, and its holder's name has 1 to %(high)d characters"),
        _("Correct the command and run it again."),
        code="bad-role",
        details={"high": MAX_NAME},
    )


def _public_of(role: str, secret: bytes) -> bytes:
    if role == PSYCHOLOGIST:
        return round_public_key(secret)
    return SigningKey(PRINCIPAL, KeyType.ED25519, secret).verifier.public_key


def _associated(role: str, name: str, public: bytes) -> bytes:
    return encode_parts(DOMAIN, role, name, public)


def _seal(secret: bytes, key: bytes, nonce: bytes, role: str, name: str, public: bytes) -> bytes:
    sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(secret, _associated(role, name, public), nonce, key)
    return nonce + bytes(sealed)


def _open(sealed: bytes, key: bytes, role: str, name: str, public: bytes) -> bytes:
    nonce, box = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    associated = _associated(role, name, public)
    return bytes(crypto_aead_xchacha20poly1305_ietf_decrypt(box, associated, nonce, key))
