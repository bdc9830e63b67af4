"""Who the records of a set are about: the class of each pupil, and the name sealed to the psychologist.

Records hold no name (`node.vault.records`). For the school's own report and its follow-up an import keeps
beside each set a card for every pupil: the class as text, since the report goes by class, and everything that
names the pupil sealed. The cards of a set have one key, drawn anew and sealed to the psychologist's public
key: who imports can write cards and read none. Without that role no name is kept.

Held only by the vault; deleted with its set.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError as SodiumError

from crypto.canonical import encode_json, encode_parts, parse_json
from crypto.errors import CryptoError
from crypto.sealing import open_box, seal
from node.vault.errors import RegisterError, _
from node.vault.journal import Entropy
from node.vault.roles import PSYCHOLOGIST, Unlocked, public_key
from node.vault.store import Value, VaultStore

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 24
DOMAIN: Final = "fedscreen/register/v1"
SEALED_FIELDS: Final = ("name", "student_no", "local_no", "birth")


@dataclass(frozen=True, slots=True)
class PupilCard:
    """Who one record is about.

    Attributes:
        rec_key: the record's key.
        class_name: the class within its grade, as people write it; empty where the roster has none.
        name, student_no, local_no, birth: as the roster spells them; empty where it does not.
    """

    rec_key: bytes
    class_name: str
    name: str = field(default="", repr=False)
    student_no: str = field(default="", repr=False)
    local_no: str = field(default="", repr=False)
    birth: str = field(default="", repr=False)


def save_cards(store: VaultStore, entropy: Entropy, set_id: int, cards: Iterable[PupilCard]) -> bool:
    """Keep the cards of a set, in place of earlier ones, inside the caller's transaction.

    Returns:
        Whether names were kept: only if somebody holds the psychologist's role.
    """
    public = public_key(store, PSYCHOLOGIST)
    store.execute("DELETE FROM pupil_card WHERE set_id = ?", (set_id,))
    store.execute("DELETE FROM register_set WHERE set_id = ?", (set_id,))
    key = entropy(KEY_BYTES) if public is not None else b""
    if public is not None:
        sealed_key = seal(public, key, _key_info())
        store.execute("INSERT INTO register_set (set_id, sealed_key) VALUES (?, ?)", (set_id, sealed_key))
    rows = ((set_id, card.rec_key, card.class_name, _seal(card, key, entropy)) for card in cards)
    store.execute_many(
        "INSERT INTO pupil_card (set_id, rec_key, class_name, sealed) VALUES (?, ?, ?, ?)", rows
    )
    return public is not None


def copy_cards(store: VaultStore, from_set: int, to_set: int) -> None:
    """Keep the cards of one set for another one of the same pupils, inside the caller's transaction."""
    if from_set == to_set:
        return
    for table in ("pupil_card", "register_set"):
        store.execute(f"DELETE FROM {table} WHERE set_id = ?", (to_set,))  # noqa: S608  (names of ours)
    store.execute(
        "INSERT INTO register_set (set_id, sealed_key)"
        " SELECT ?, sealed_key FROM register_set WHERE set_id = ?",
        (to_set, from_set),
    )
    store.execute(
        "INSERT INTO pupil_card (set_id, rec_key, class_name, sealed)"
        " SELECT ?, rec_key, class_name, sealed FROM pupil_card WHERE set_id = ?",
        (to_set, from_set),
    )


def read_classes(store: VaultStore, set_id: int) -> dict[bytes, str]:
    """Give the class of each pupil of a set; empty for a set that was imported without cards."""
    rows = store.query("SELECT rec_key, class_name FROM pupil_card WHERE set_id = ?", (set_id,))
    return {bytes(row[0]): str(row[1]) for row in rows}


def has_names(store: VaultStore, set_id: int) -> bool:
    """Say whether the names of a set were kept."""
    return store.one("SELECT 1 FROM register_set WHERE set_id = ?", (set_id,)) is not None


def open_cards(store: VaultStore, set_id: int, unlocked: Unlocked) -> dict[bytes, PupilCard]:
    """Open the cards of a set with the psychologist's secret.

    Raises:
        RegisterError: no names were kept, or a card is damaged.
    """
    row = store.one("SELECT sealed_key FROM register_set WHERE set_id = ?", (set_id,))
    if row is None or unlocked.role != PSYCHOLOGIST:
        raise RegisterError(
            _("no names are kept for these records"),
            _(
                "Import again: names are kept once the psychologist's role is there, if the profile reads"
                ' their column (name = ["姓名"] under [columns]).'
            ),
            code="no-names",
        )
    query = "SELECT rec_key, class_name, sealed FROM pupil_card WHERE set_id = ? ORDER BY rec_key"
    try:
        key = open_box(unlocked.secret, bytes(row[0]), _key_info())
        return {bytes(item[0]): _open(item, key) for item in store.query(query, (set_id,))}
    except (CryptoError, SodiumError, KeyError, TypeError, ValueError):
        raise RegisterError(
            _("the names of these records are damaged"), _("Import the files again."), code="names-damaged"
        ) from None


def _key_info() -> bytes:
    return encode_parts(DOMAIN, "key")


def _associated(rec_key: bytes, class_name: str) -> bytes:
    return encode_parts(DOMAIN, rec_key, class_name)


def _seal(card: PupilCard, key: bytes, entropy: Entropy) -> bytes | None:
    if not key:
        return None
    nonce = entropy(NONCE_BYTES)
    plaintext = encode_json({name: getattr(card, name) for name in SEALED_FIELDS})
    associated = _associated(card.rec_key, card.class_name)
    return nonce + bytes(crypto_aead_xchacha20poly1305_ietf_encrypt(plaintext, associated, nonce, key))


def _open(row: tuple[Value, ...], key: bytes) -> PupilCard:
    rec_key, class_name, sealed = row
    if not (isinstance(rec_key, bytes) and isinstance(class_name, str) and isinstance(sealed, bytes)):
        raise TypeError("a row of cards")
    nonce, box = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    associated = _associated(rec_key, class_name)
    values = parse_json(bytes(crypto_aead_xchacha20poly1305_ietf_decrypt(box, associated, nonce, key)))
    if not isinstance(values, dict):
        raise TypeError("a card is an object")
    return PupilCard(rec_key, class_name, **{name: str(values[name]) for name in SEALED_FIELDS})
