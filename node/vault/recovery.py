"""The vault's part of the recovery file that the principal keeps: who this node is, sealed, and taken back.

A lost computer without a backup would lose K and with it the school's place in the federation. The recovery
file holds every secret of the node and no record: the vault seals its secrets here, under a key that comes
from the recovery code, so that they never stand readable outside; what is known outside of the vault anyway
(database key, TLS key, settings) is sealed beside them by `node.recovery`.

A recovered node is the same node with an empty record file:

1. the account is read again from the log, before anything can be released (`node.vault.check_round` asks for
   a log that the auditors cosigned within 24 hours);
2. reports that the log has and this file has not are *lost*: their bytes are not sent again, `already-logged`
   refuses the same table, a correction is the next attempt;
3. pupils get the same keys, for the pupil key is the same; records are imported again;
4. the journal begins anew with the recovery; the local roles are given anew.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError as SodiumError

from crypto.canonical import encode_json, encode_parts, parse_json
from crypto.errors import CryptoError
from node.vault.backup import BACKUP_SETTING, RESTORED_SETTING
from node.vault.clock import SETTING as CLOCK_SETTING
from node.vault.enrol import (
    ROLLS_SETTING,
    SECRET_BYTES,
    Identity,
    accept_card,
    find_card,
    find_identity,
    load_floors,
    parse_floors,
    put_identity,
)
from node.vault.errors import BackupError, EnrolmentStateError, _
from node.vault.journal import TIME_FORMAT, Entropy, JournalRecord
from node.vault.store import VaultStore

FORMAT: Final = "fedscreen/recovery/v1"
RECOVERY_SETTING: Final = "recovery-made"
NONCE_BYTES: Final = 24
SECRETS: Final = ("master", "report_seed", "pupil_key", "journal_key")


def seal_secrets(store: VaultStore, identity: Identity, entropy: Entropy, now: datetime, key: bytes) -> bytes:
    """Seal everything that makes this node itself.

    Args:
        now: the time that the recovery file will carry.
        key: 32 bytes, from the recovery code.
    """
    card, mark = find_card(store), store.setting(CLOCK_SETTING)
    values = {
        **{name: getattr(identity, name).hex() for name in SECRETS},
        "public": identity.public_values(),
        "created": identity.created,
        "rolls": str(identity.num_rolls),
        "floors": load_floors(store).as_json(),
        "card": card[1] if card else "",
        "clock": mark.decode("ascii") if mark else "",
    }
    nonce = entropy(NONCE_BYTES)
    if len(nonce) != NONCE_BYTES or len(key) != SECRET_BYTES:
        raise EnrolmentStateError(_("the entropy source failed"), code="entropy")
    bound = _bound(identity.federation, identity.node, now.strftime(TIME_FORMAT))
    return nonce + bytes(crypto_aead_xchacha20poly1305_ietf_encrypt(encode_json(values), bound, nonce, key))


def note_kept(store: VaultStore, made: str, sha256: str) -> None:
    """Note that a recovery file was written whole, inside the caller's transaction."""
    store.put_setting(RECOVERY_SETTING, encode_json({"made": made, "sha256": sha256}))


def open_secrets(sealed: bytes, key: bytes, federation: str, node: str, made: str) -> dict[str, Any]:
    """Open what `seal_secrets` sealed.

    Raises:
        BackupError: another key, another node's, or damaged.
    """
    try:
        bound, nonce = _bound(federation, node, made), sealed[:NONCE_BYTES]
        values = parse_json(
            bytes(crypto_aead_xchacha20poly1305_ietf_decrypt(sealed[NONCE_BYTES:], bound, nonce, key))
        )
    except (SodiumError, CryptoError, ValueError, TypeError):
        values = None
    if not isinstance(values, dict):
        raise BackupError(
            _("the vault's part of the recovery file does not open"),
            _("Try another copy of the file; nothing was made."),
            code="recovery-damaged",
        )
    return dict(values)


def recover(
    store: VaultStore, values: dict[str, Any], made: str, now: datetime
) -> tuple[Identity, JournalRecord]:
    """Become the node of a recovery file, inside the caller's transaction.

    Returns:
        The identity, and the record with which its journal begins.

    Raises:
        EnrolmentStateError: the record file belongs to a node already.
        BackupError: a value is missing or malformed.
    """
    if find_identity(store) is not None:
        raise EnrolmentStateError(
            _("this record file belongs to a node already"),
            _("Recover into a new folder; nothing was changed."),
            code="already-initialised",
        )
    try:
        secrets = [bytes.fromhex(values[name]) for name in SECRETS]
        if any(len(secret) != SECRET_BYTES for secret in secrets):
            raise ValueError("a secret of a wrong length")
        floors, created = parse_floors(values["floors"]), str(values["created"])
        identity = put_identity(store, values["public"], secrets, created, floors)
        if values["card"]:
            accept_card(store, identity, str(values["card"]))
        store.put_setting(ROLLS_SETTING, str(int(values.get("rolls", "0"))).encode())
        if values["clock"]:
            store.put_setting(CLOCK_SETTING, str(int(values["clock"])).encode())
    except (KeyError, TypeError, ValueError, AttributeError):
        raise BackupError(
            _("the vault's part of the recovery file does not open"),
            _("Use the version of fedscreen that wrote it, or a newer one; nothing was made."),
            code="recovery-damaged",
        ) from None
    restored = {"made": made, "restored": now.strftime(TIME_FORMAT)}
    store.put_setting(RESTORED_SETTING, encode_json(restored))
    store.put_setting(RECOVERY_SETTING, encode_json({"made": made, "sha256": ""}))
    return identity, JournalRecord(now, "vault", "recover", identity.node, "ok", {"made": made})


def safety_values(store: VaultStore) -> dict[str, str]:
    """Say when this node was backed up, restored, and when its recovery file was made; empty for never."""
    rows = (
        ("backup", BACKUP_SETTING, "made"),
        ("recovery", RECOVERY_SETTING, "made"),
        ("restored", RESTORED_SETTING, "restored"),
    )
    return {name: _text(store.setting(setting), field) for name, setting, field in rows}


def _text(stored: bytes | None, name: str) -> str:
    values = parse_json(stored) if stored else {}
    return str(values.get(name, "")) if isinstance(values, dict) else ""


def _bound(federation: str, node: str, made: str) -> bytes:
    return encode_parts(FORMAT, "vault", federation, node, made)
