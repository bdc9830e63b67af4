"""The database key: 32 random bytes, unwrapped outside the vault and handed over its stdin.

What may wrap it, in this order; `init` takes the first that is there and writes its name into
node.toml, and nothing later falls back to another one:

1. ``credential``: systemd decrypts it into $CREDENTIALS_DIRECTORY (LoadCredentialEncrypted=).
2. ``dpapi``: Windows' data protection, for this account, or for this machine where the node has a service
   account (`node.dpapi`), in the file database.key.
3. ``passphrase``: Argon2id (PyNaCl MODERATE: 256 MiB, 3 passes) and XChaCha20-Poly1305, in the file
   database.key. There is no default passphrase.

A further source is a `KeySource` in `SOURCES`. `nacl` is loaded only where a passphrase is used, so
that a supervisor under systemd stays small.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from node import dpapi
from node.config import NodeFolder, read_config, replace_file
from node.dpapi import DataProtection, find_data_protection
from node.errors import UnlockError, _

KEY_BYTES = 32
CREDENTIAL_NAME = "fedscreen-database-key"
MIN_PASSPHRASE = 12
MAX_PASSPHRASE = 1024

_MAGIC = b"fedscreen/database-key/v1\n"
_SALT_BYTES, _NONCE_BYTES, _TAG_BYTES = 16, 24, 16
_FILE_BYTES = len(_MAGIC) + _SALT_BYTES + _NONCE_BYTES + KEY_BYTES + _TAG_BYTES

AskPassphrase = Callable[[], str]


class KeySource(Protocol):
    """One way to keep the database key."""

    name: str

    def is_available(self) -> bool:
        """Tell whether `init` can use it on this machine, now."""

    def has_key(self, folder: NodeFolder) -> bool:
        """Tell whether the node has a key already."""

    def create(self, folder: NodeFolder, entropy: Callable[[int], bytes], ask: AskPassphrase) -> bytes:
        """Make and keep a key for a new node; give it. Raises UnlockError."""

    def unwrap(self, folder: NodeFolder, ask: AskPassphrase) -> bytes:
        """Give the key of an existing node. Raises UnlockError."""


class SystemdCredential:
    """The key lies as 32 bytes in a folder that only this service sees."""

    name = "credential"

    def is_available(self) -> bool:
        """Tell whether systemd (or the demo) hands over a credential of our name."""
        path = _credential_path()
        return path is not None and path.exists()

    def has_key(self, folder: NodeFolder) -> bool:
        """As `is_available`: whoever set up the service made the key."""
        del folder
        return self.is_available()

    def create(self, folder: NodeFolder, entropy: Callable[[int], bytes], ask: AskPassphrase) -> bytes:
        """Use the credential as it is: whoever set up the service made it."""
        del entropy
        return self.unwrap(folder, ask)

    def unwrap(self, folder: NodeFolder, ask: AskPassphrase) -> bytes:
        """Read the credential."""
        del folder, ask
        path = _credential_path()
        if path is None:
            raise UnlockError(
                _("this node's key is a systemd credential, but $CREDENTIALS_DIRECTORY is not set"),
                _("Start it through its systemd unit (LoadCredentialEncrypted=%(name)s:…)."),
                details={"name": CREDENTIAL_NAME},
            )
        try:
            key = path.read_bytes()
        except OSError as err:
            raise UnlockError(
                _("the credential %(name)s cannot be read (%(reason)s)"),
                _("Check LoadCredentialEncrypted= in the unit."),
                details={"name": CREDENTIAL_NAME, "reason": err.strerror or ""},
            ) from err
        if len(key) != KEY_BYTES or len(set(key)) < 8:
            raise UnlockError(
                _("the credential %(name)s holds %(found)d bytes, expected %(expected)d random bytes"),
                _("Make it with: head -c 32 /dev/urandom | systemd-creds encrypt --name=%(name)s - FILE"),
                details={"name": CREDENTIAL_NAME, "found": len(key), "expected": KEY_BYTES},
            )
        return key


class WindowsDataProtection:
    """The key lies in database.key, wrapped by Windows for this account or this machine (`node.dpapi`).

    Args:
        find: gives Windows' data protection, None where there is none; tests give another.
    """

    name = "dpapi"

    def __init__(self, find: Callable[[], DataProtection | None] = find_data_protection) -> None:
        self._find = find

    def is_available(self) -> bool:
        """Tell whether this is Windows."""
        return self._find() is not None

    def has_key(self, folder: NodeFolder) -> bool:
        """Tell whether database.key is there."""
        return folder.key_file.exists()

    def create(self, folder: NodeFolder, entropy: Callable[[int], bytes], ask: AskPassphrase) -> bytes:
        """Draw a key and let Windows wrap it: for the machine where the node has a service account."""
        del ask
        protection = self._require()
        _require_no_file(folder)
        key = entropy(KEY_BYTES)
        for_machine = bool(read_config(folder).service_account)
        data = dpapi.wrap(protection, key, entropy(dpapi.SALT_BYTES), for_machine=for_machine)
        replace_file(folder.key_file, data)
        return key

    def unwrap(self, folder: NodeFolder, ask: AskPassphrase) -> bytes:
        """Read database.key and let Windows open it."""
        del ask
        return dpapi.open_wrapped(self._require(), _read_key_file(folder))

    def _require(self) -> DataProtection:
        protection = self._find()
        if protection is None:
            raise UnlockError(
                _("this node's key is kept by Windows, and this is not Windows"),
                _("Run the node on the machine it was set up on."),
                code="dpapi",
            )
        return protection


class Passphrase:
    """The key lies encrypted in database.key."""

    name = "passphrase"

    def is_available(self) -> bool:
        """Always."""
        return True

    def has_key(self, folder: NodeFolder) -> bool:
        """Tell whether database.key is there."""
        return folder.key_file.exists()

    def create(self, folder: NodeFolder, entropy: Callable[[int], bytes], ask: AskPassphrase) -> bytes:
        """Draw a key and wrap it; refuses to replace an existing file."""
        _require_no_file(folder)
        key = entropy(KEY_BYTES)
        replace_file(folder.key_file, wrap(key, ask(), entropy(_SALT_BYTES), entropy(_NONCE_BYTES)))
        return key

    def unwrap(self, folder: NodeFolder, ask: AskPassphrase) -> bytes:
        """Read database.key and open it with the passphrase."""
        return open_wrapped(_read_key_file(folder), ask())


def _require_no_file(folder: NodeFolder) -> None:
    if folder.key_file.exists():
        raise UnlockError(
            _("%(file)s exists already; it is the only way to this node's records"),
            _("Use another folder for a new node."),
            details={"file": str(folder.key_file)},
        )


def _read_key_file(folder: NodeFolder) -> bytes:
    try:
        return folder.key_file.read_bytes()
    except OSError as err:
        raise UnlockError(
            _("%(file)s cannot be read (%(reason)s)"),
            _("Without it the records cannot be opened: restore it from a backup."),
            details={"file": str(folder.key_file), "reason": err.strerror or ""},
        ) from err


SOURCES: tuple[KeySource, ...] = (SystemdCredential(), WindowsDataProtection(), Passphrase())


def choose_source(asked: str = "") -> str:
    """Name what will keep the key of a new node: what was asked for, else the first that is available.

    Raises:
        UnlockError: what was asked for is not available on this machine.
    """
    if asked and not _source(asked).is_available():
        raise UnlockError(
            _("the database key cannot be kept by %(source)s on this machine"),
            _("Choose another --key, or leave it out: the node then takes the first that is there."),
            code="key-source",
            details={"source": asked},
        )
    return asked or next(item.name for item in SOURCES if item.is_available())


def create_key(
    folder: NodeFolder, key_source: str, entropy: Callable[[int], bytes], ask: AskPassphrase
) -> bytes:
    """Make a new node's database key (32 bytes, secret); the existing one if there is one already.

    Args:
        folder: the node's directory.
        key_source: as in node.toml.
        entropy: the system's random bytes.
        ask: gives a passphrase; called only if that source is used.

    Raises:
        UnlockError: the source refused.
    """
    source = _source(key_source)
    return source.unwrap(folder, ask) if source.has_key(folder) else source.create(folder, entropy, ask)


def has_key(folder: NodeFolder, key_source: str) -> bool:
    """Tell whether a node has a key already."""
    return _source(key_source).has_key(folder)


def unwrap_key(folder: NodeFolder, key_source: str, ask: AskPassphrase) -> bytes:
    """Unwrap an existing node's database key (32 bytes, secret) with the source that node.toml names.

    Raises:
        UnlockError: the source is not there, or does not open.
    """
    return _source(key_source).unwrap(folder, ask)


def _source(name: str) -> KeySource:
    return next(item for item in SOURCES if item.name == name)


def wrap(key: bytes, passphrase: str, salt: bytes, nonce: bytes) -> bytes:
    """Encrypt a database key under a passphrase.

    Returns:
        The content of database.key: first line ‖ salt (16) ‖ nonce (24) ‖ ciphertext and tag (48).

    Raises:
        UnlockError: the passphrase is too short.
    """
    from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as encrypt

    head = _MAGIC + salt
    return head + nonce + encrypt(key, head, nonce, stretch(passphrase, salt))


def open_wrapped(data: bytes, passphrase: str) -> bytes:
    """Decrypt the content of database.key; the inverse of `wrap`.

    Raises:
        UnlockError: another passphrase, or the file is damaged.
    """
    from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as decrypt
    from nacl.exceptions import CryptoError

    if len(data) != _FILE_BYTES or not data.startswith(_MAGIC):
        raise UnlockError(
            _("database.key is not a key file of this version (%(found)d bytes, expected %(expected)d)"),
            _("Restore it from a backup; the records are unchanged."),
            details={"found": len(data), "expected": _FILE_BYTES},
        )
    head, rest = data[: len(_MAGIC) + _SALT_BYTES], data[len(_MAGIC) + _SALT_BYTES :]
    try:
        return bytes(
            decrypt(rest[_NONCE_BYTES:], head, rest[:_NONCE_BYTES], stretch(passphrase, head[len(_MAGIC) :]))
        )
    except CryptoError as err:
        raise UnlockError(
            _("the passphrase does not open database.key, or that file is damaged"),
            _("Try again; nothing was changed."),
            code="wrong-passphrase",
        ) from err


def verify_length(passphrase: str) -> bytes:
    """Check that a text can be a passphrase; give its NFC form as UTF-8.

    Raises:
        UnlockError: shorter than 12 or longer than 1024 characters.
    """
    import unicodedata

    text = unicodedata.normalize("NFC", passphrase)
    if not MIN_PASSPHRASE <= len(text) <= MAX_PASSPHRASE:
        raise UnlockError(
            _("a passphrase has %(low)d to %(high)d characters"),
            _("Use four or more unrelated words."),
            code="passphrase-length",
            details={"low": MIN_PASSPHRASE, "high": MAX_PASSPHRASE},
        )
    return text.encode("utf-8")


def stretch(passphrase: str, salt: bytes) -> bytes:
    """Stretch a passphrase to 32 bytes: Argon2id, PyNaCl's MODERATE (256 MiB, 3 passes), of its NFC form.

    Raises:
        UnlockError: shorter than 12 or longer than 1024 characters.
    """
    from nacl.pwhash import argon2id

    text = verify_length(passphrase)
    return bytes(
        argon2id.kdf(
            KEY_BYTES,
            text,
            salt,
            opslimit=argon2id.OPSLIMIT_MODERATE,
            memlimit=argon2id.MEMLIMIT_MODERATE,
        )
    )


def read_passphrase_file(path: Path) -> str:
    """Read a passphrase from the first line of a file that only its owner may read.

    Raises:
        UnlockError: unreadable, not UTF-8, or others may read it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
        with open(descriptor, "rb") as stream:
            found = os.fstat(stream.fileno())
            data = stream.read(4 * MAX_PASSPHRASE)
        if os.name == "posix" and found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise UnlockError(
                _("%(file)s can be read by others"),
                _("Run: chmod 600 %(file)s"),
                details={"file": str(path)},
            )
        return data.decode("utf-8").split("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as err:
        raise UnlockError(
            _("%(file)s cannot be read as a passphrase file"),
            _("Give a UTF-8 file with the passphrase in its first line."),
            details={"file": str(path)},
        ) from err


def _credential_path() -> Path | None:
    folder = os.environ.get("CREDENTIALS_DIRECTORY", "")
    return Path(folder) / CREDENTIAL_NAME if folder else None
