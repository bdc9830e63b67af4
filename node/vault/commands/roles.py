"""Commands about the local roles: ``roles``, ``role_salt``, ``role_add``, ``role_check``.

Each is a `Handler`: the open vault, the fields, the files by name. Fields and answers: `node.vault.desk`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from node.vault.enrol import load_identity
from node.vault.fields import Answer, Fields, Files, Handler, bad_field
from node.vault.journal import JournalRecord
from node.vault.open_vault import OpenVault
from node.vault.roles import (
    KEY_BYTES,
    ROLES,
    SALT_BYTES,
    add_holder,
    find_salt,
    list_holders,
    public_key,
    require,
    unlock,
)

HEX = "hex"


def _roles(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow()
    keys = {role: (public_key(desk.store, role) or b"").hex() for role in ROLES}
    return {"holders": [holder.as_json() for holder in list_holders(desk.store)], "keys": keys}, {}


def _role_salt(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("role", "name")
    salt = find_salt(desk.store, fields.text("role", 40), fields.text("name", 200))
    answer = {"is_new": int(salt is None), "salt": (salt or desk.entropy(SALT_BYTES)).hex()}
    return answer, {}


def _role_add(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("role", "name", "salt", "key", "actor")
    identity = load_identity(desk.store)
    role, name = fields.text("role", 40), fields.text("name", 200)
    salt, key = _bytes(fields, "salt", SALT_BYTES), _bytes(fields, "key", KEY_BYTES)
    actor = fields.mapping("actor")
    by = require(desk.store, actor, role) if actor else None
    now = desk.clock.now()
    with desk.store.transaction("role"):
        add_holder(desk.store, desk.entropy, now, (role, name), salt, key, by)
        data = {"by": by.name if by else "", "name": name}
        desk.journal(identity).append(JournalRecord(now, name, "role", role, "ok", data))
    return {"role": role, "name": name}, {}


def _role_check(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("actor")
    unlocked = unlock(desk.store, fields.mapping("actor"))
    return {"role": unlocked.role, "name": unlocked.name}, {}


def _bytes(fields: Fields, name: str, size: int) -> bytes:
    text = fields.text(name, 2 * size)
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if data.hex() != text or len(data) != size:
        raise bad_field(name, HEX)
    return data


COMMANDS: Final[Mapping[str, Handler]] = {
    "roles": _roles,
    "role_salt": _role_salt,
    "role_add": _role_add,
    "role_check": _role_check,
}
