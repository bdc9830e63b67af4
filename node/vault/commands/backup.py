"""Commands about backups and the recovery file.

``backup_begin``, ``backup_read``, ``backup_end``, ``restored``; ``recovery_make``, ``recovery_kept``,
``recover``.
Each is a `Handler`: the open vault, the fields, the files by name. Fields and answers: `node.vault.desk`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from node.vault import backup, recovery
from node.vault.enrol import Identity, find_card, load_identity
from node.vault.fields import Answer, Fields, Files, Handler, command_record
from node.vault.journal import TIME_FORMAT
from node.vault.open_vault import OpenVault
from node.vault.roles import PRINCIPAL, has_role, require
from node.vault.schema import SCHEMA_VERSION

MAX_OFFSET: Final = 1 << 40
MAX_TEXT: Final = 64


def _begin(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow()
    identity, now = load_identity(desk.store), desk.clock.now()
    found = backup.begin(desk.store, desk.journal(identity), desk.entropy, now, identity.node)
    return {
        "name": found.name,
        "bytes": found.size_bytes,
        "sha256": found.sha256,
        "made": now.strftime(TIME_FORMAT),
        "store_format": SCHEMA_VERSION,
        "log_size": _log_size(desk),
    }, {}


def _read(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("name", "offset")
    piece = backup.read_piece(
        desk.store, fields.text("name", MAX_TEXT), fields.number("offset", 0, MAX_OFFSET)
    )
    return {"bytes": len(piece)}, {"piece": piece}


def _end(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("name", "kept")
    is_kept = fields.flag("kept", default=False)
    backup.end(desk.store, fields.text("name", MAX_TEXT), desk.clock.now(), is_kept=is_kept)
    return {}, {}


def _restored(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("made")
    identity, now = load_identity(desk.store), desk.clock.now()
    num = backup.take_restored(desk.store, desk.journal(identity), now, fields.text("made", MAX_TEXT))
    return _restored_values(desk, identity) | {"journal_records": num}, {}


def _make(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("key", "actor")
    identity, now = load_identity(desk.store), desk.clock.now()
    by = "vault"
    if has_role(desk.store, PRINCIPAL):
        by = require(desk.store, fields.mapping("actor"), PRINCIPAL).name
    sealed = recovery.seal_secrets(desk.store, identity, desk.entropy, now, fields.digest("key"))
    with desk.store.transaction("recovery file"):
        record = command_record(now, "recovery-file", identity.node, {"by": by})
        desk.journal(identity).append(record)
    return identity.public_values() | {"made": now.strftime(TIME_FORMAT)}, {"sealed": sealed}


def _kept(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("made", "sha256")
    with desk.store.transaction("recovery file kept"):
        recovery.note_kept(desk.store, fields.text("made", MAX_TEXT), fields.digest("sha256").hex())
    return {}, {}


def _recover(desk: OpenVault, fields: Fields, files: Files) -> Answer:
    fields.allow("key", "federation", "node", "made")
    made, now = fields.text("made", MAX_TEXT), desk.clock.now()
    names = (fields.text("federation", MAX_TEXT), fields.text("node", MAX_TEXT))
    values = recovery.open_secrets(files.get("sealed", b""), fields.digest("key"), *names, made)
    with desk.store.transaction("recover"):
        identity, record = recovery.recover(desk.store, values, made, now)
        desk.journal(identity).append(record)
    return _restored_values(desk, identity) | {"journal_records": 1}, {}


def _restored_values(desk: OpenVault, identity: Identity) -> dict[str, Any]:
    """Say who the node is, and how much of the log it has."""
    return identity.public_values() | {"log_size": _log_size(desk)}


def _log_size(desk: OpenVault) -> int:
    return desk.following().mirror.ledger.size if find_card(desk.store) is not None else 0


COMMANDS: Final[Mapping[str, Handler]] = {
    "backup_begin": _begin,
    "backup_read": _read,
    "backup_end": _end,
    "restored": _restored,
    "recovery_make": _make,
    "recovery_kept": _kept,
    "recover": _recover,
}
