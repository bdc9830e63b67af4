"""The recovery file: everything that makes a node itself, and no record, sealed for the principal's safe.

Two parts are sealed under keys from one recovery code (128 bits, drawn) or a passphrase of the principal:

| part | holds | sealed and opened by |
| --- | --- | --- |
| ``vault`` | K, report key, pupil key, journal key, identity, floors, card | `node.vault.recovery` |
| ``outside`` | database key, node.toml, TLS key and certificates, SHA-256 of the other part | this module |

So K never stands readable outside of a vault. A code is stretched by HKDF, for it is as long as a key; a
passphrase by Argon2id. Whoever has file *and* code has the node: they are kept in two places.

`recover_node` makes the same node on a new computer, whole or not at all, with a new database key: the record
file is empty, the account and the reports come back with the log. The old database key in it opens backups.
Spec: docs/backup.md "The recovery file".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError as SodiumError

from crypto.canonical import JsonInput, decode_base64, encode_base64, encode_json, encode_parts, parse_json
from crypto.derivation import kdf
from crypto.errors import CryptoError
from node import unwrap
from node.backup import look_at_log
from node.config import NodeConfig, NodeFolder, file_error, parse_config, replace_file, write_config
from node.errors import BackupError, ConfigError, _
from node.new_folder import FILES, fit_users, new_folder, sync_files
from node.recovery_code import parse_code
from node.session import VaultSession, open_vault

FORMAT: Final = "fedscreen/recovery/v1"
CODE, PASSPHRASE = "code", "passphrase"
SALT_BYTES, NONCE_BYTES, KEY_BYTES = 16, 24, 32
MAX_FILE_BYTES: Final = 256 * 1024
TEXTS: Final = ("federation", "node", "operator", "made", "seal")
KEPT: Final = ("node.toml", "tls.key", "tls.crt", "ca.crt")
Entropy = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class RecoveryFile:
    """A recovery file as anybody may read it.

    Attributes:
        federation, node, operator: whose it is.
        made: when, as text.
        seal: "code" or "passphrase".
        salt: 16 bytes.
        outside, vault: the sealed parts.
    """

    federation: str
    node: str
    operator: str
    made: str
    seal: str
    salt: bytes
    outside: bytes = field(repr=False)
    vault: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Outside:
    """The opened part of what is known outside of a vault."""

    database_key: bytes = field(repr=False)
    files: dict[str, bytes] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SealKeys:
    """The keys of both parts, 32 bytes each."""

    outside: bytes = field(repr=False)
    vault: bytes = field(repr=False)


def keys_of(seal: str, secret: str, salt: bytes) -> SealKeys:
    """Derive both keys from what a person types.

    Raises:
        BackupError: a group of the code is mistyped.
        UnlockError: it cannot be a passphrase.
    """
    if seal == CODE:
        root = hmac.digest(salt, parse_code(secret), "sha256")
    else:
        root = unwrap.stretch(secret, salt)
    return SealKeys(kdf(root, FORMAT, "outside"), kdf(root, FORMAT, "vault"))


def encode_file(file: RecoveryFile) -> bytes:
    """Write a recovery file; the inverse of `parse_file`."""
    values = {name: getattr(file, name) for name in TEXTS}
    parts = {"outside": encode_base64(file.outside), "vault": encode_base64(file.vault)}
    return encode_json({"format": FORMAT, **values, "salt": file.salt.hex(), **parts}) + b"\n"


def parse_file(data: bytes) -> RecoveryFile:
    """Read a recovery file; nothing in it is believed before its code has opened it.

    Raises:
        BackupError: it is none, or damaged.
    """
    try:
        values = parse_json(data.removesuffix(b"\n"))
        if not isinstance(values, dict) or values["format"] != FORMAT:
            raise ValueError("another format")
        texts = {name: values[name] for name in TEXTS}
        salt = bytes.fromhex(str(values["salt"]))
        parts = [decode_base64(str(values[name])) for name in ("outside", "vault")]
    except (CryptoError, KeyError, TypeError, ValueError):
        raise _no_file() from None
    is_good = all(isinstance(text, str) for text in texts.values()) and len(salt) == SALT_BYTES
    if not is_good or texts["seal"] not in (CODE, PASSPHRASE):
        raise _no_file()
    file = RecoveryFile(
        **{name: str(text) for name, text in texts.items()}, salt=salt, outside=parts[0], vault=parts[1]
    )
    if encode_file(file) != data:
        raise _no_file()
    return file


def read_file(path: Path) -> RecoveryFile:
    """Read a recovery file from a disk. Raises ConfigError, BackupError."""
    try:
        with path.open("rb") as stream:
            return parse_file(stream.read(MAX_FILE_BYTES))
    except OSError as err:
        raise ConfigError(
            _("%(file)s cannot be read (%(reason)s)"),
            _("Check the file's name and close it in other programs."),
            code="file",
            details={"file": str(path), "reason": err.strerror or ""},
        ) from err


# ---------------------------------------------------------------- making


def make_file(
    vault: VaultSession,
    folder: NodeFolder,
    key: bytes,
    seal: str,
    secret: str,
    entropy: Entropy,
    actor: dict[str, str] | None = None,
) -> RecoveryFile:
    """Let the vault seal its part, and seal what is outside beside it.

    Args:
        vault: an open vault of this node.
        folder: the node.
        key: its database key (32 bytes, secret).
        seal, secret: "code" and a formatted code, or "passphrase" and a passphrase.
        entropy: the system's random bytes.
        actor: the principal, on a node that has one.

    Raises:
        VaultRefusal: the principal has not agreed, or the node has no identity.
    """
    salt = entropy(SALT_BYTES)
    keys = keys_of(seal, secret, salt)
    asks = {"command": "recovery_make", "key": keys.vault.hex(), **({"actor": actor} if actor else {})}
    answer, blobs = vault.call(asks)
    texts = {name: str(answer[name]) for name in ("federation", "node", "operator", "made")}
    empty = RecoveryFile(**texts, seal=seal, salt=salt, outside=b"", vault=blobs["sealed"])
    found = {name: folder.root / FILES[name] for name in KEPT}
    values: JsonInput = {
        "database_key": key.hex(),
        "files": {name: encode_base64(path.read_bytes()) for name, path in found.items() if path.exists()},
        "vault": hashlib.sha256(empty.vault).hexdigest(),
    }
    nonce = entropy(NONCE_BYTES)
    sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(
        encode_json(values), _bound(empty), nonce, keys.outside
    )
    return replace(empty, outside=nonce + bytes(sealed))


def write_recovery(vault: VaultSession, file: RecoveryFile, out: Path) -> str:
    """Write a recovery file that only its owner can read, note in the vault that it exists; give its SHA-256.

    Raises:
        ConfigError: it exists already, or cannot be written.
    """
    data = encode_file(file)
    if out.exists():
        raise ConfigError(
            _("%(file)s exists already; a recovery file is never written over"),
            _("Give another name; destroy the old file and its code when the new ones are in their places."),
            code="exists",
            details={"file": str(out)},
        )
    try:
        replace_file(out, data)
    except OSError as err:
        raise file_error(err, str(out)) from err
    digest = hashlib.sha256(data).hexdigest()
    vault.call({"command": "recovery_kept", "made": file.made, "sha256": digest})
    return digest


# ---------------------------------------------------------------- opening


def open_outside(file: RecoveryFile, secret: str) -> tuple[Outside, SealKeys]:
    """Open the part that is known outside of a vault, and check that the other part belongs to it.

    Raises:
        BackupError: another code or passphrase (``wrong-recovery-code``), or damaged.
    """
    keys = keys_of(file.seal, secret, file.salt)
    nonce, sealed = file.outside[:NONCE_BYTES], file.outside[NONCE_BYTES:]
    try:
        values = parse_json(
            bytes(crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, _bound(file), nonce, keys.outside))
        )
    except (SodiumError, CryptoError, ValueError, TypeError):
        raise BackupError(
            _("this does not open the recovery file of node %(node)s, or the file is damaged"),
            _("Compare the date on the sheet with the file's (%(made)s); try another copy of the file."),
            code="wrong-recovery-code",
            details={"node": file.node, "made": file.made},
        ) from None
    return _outside(file, values), keys


def _outside(file: RecoveryFile, values: Any) -> Outside:
    try:
        if values["vault"] != hashlib.sha256(file.vault).hexdigest():
            raise ValueError("another vault's part")
        files = {name: decode_base64(values["files"][name]) for name in KEPT if name in values["files"]}
        database_key = bytes.fromhex(values["database_key"])
        if len(database_key) != KEY_BYTES or "node.toml" not in files:
            raise ValueError("a part is missing")
    except (CryptoError, KeyError, TypeError, ValueError):
        raise _no_file() from None
    return Outside(database_key, files)


def recover_node(
    file: RecoveryFile,
    secret: str,
    target: NodeFolder,
    entropy: Entropy,
    ask_twice: Callable[[], str],
    *,
    log: Path | None = None,
) -> dict[str, Any]:
    """Make the node of a recovery file in a new folder, whole or not at all.

    Args:
        file: the recovery file.
        secret: its code or passphrase.
        target: the new node's folder: not there, or empty.
        entropy: the system's random bytes.
        ask_twice: gives the passphrase of the new database key, where one is used.
        log: a file of the federation's log, to be taken at once.

    Raises:
        BackupError: it does not open.
        ConfigError: the folder is not empty, or cannot be made.
        VaultRefusal: the vault's part does not open, or the log file is refused.
    """
    outside, keys = open_outside(file, secret)
    with new_folder(target) as folder:
        config = _settle(file, outside, folder, entropy)
        key = unwrap.create_key(folder, config.key_source, entropy, ask_twice)
        names = {"federation": file.federation, "node": file.node, "made": file.made}
        with open_vault(folder, config, key) as vault:
            asks = {"command": "recover", "key": keys.vault.hex(), **names}
            answer, _blobs = vault.call(asks, {"sealed": file.vault})
            answer |= look_at_log(vault, log)
        sync_files(folder)
    return {**answer, "folder": str(target.root), "made": file.made, "key_source": config.key_source}


def _settle(file: RecoveryFile, outside: Outside, folder: NodeFolder, entropy: Entropy) -> NodeConfig:
    """Write settings, TLS key and certificates, fitted to this machine."""
    config = parse_config(outside.files["node.toml"])
    if (config.federation, config.node) != (file.federation, file.node):
        raise _no_file()
    config = replace(fit_users(config, entropy), key_source=unwrap.choose_source())
    for name, data in outside.files.items():
        replace_file(folder.root / FILES[name], data)
    write_config(folder, config)
    return config


def keep_old_key(folder: NodeFolder, key: bytes, entropy: Entropy, ask_twice: Callable[[], str]) -> str:
    """Wrap a database key that came from a recovery file under a new passphrase; give the key source."""
    replace_file(folder.key_file, unwrap.wrap(key, ask_twice(), entropy(SALT_BYTES), entropy(NONCE_BYTES)))
    return PASSPHRASE


def _bound(file: RecoveryFile) -> bytes:
    names = (file.federation, file.node, file.operator, file.made, file.seal)
    return encode_parts(FORMAT, "outside", *names, file.salt)


def _no_file() -> BackupError:
    return BackupError(
        _("the file is no recovery file, or it is damaged"),
        _("Try another copy of it; nothing was made."),
        code="recovery-damaged",
    )
