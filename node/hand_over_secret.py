"""The private key of a recipient without a node, such as a hospital: 96 bytes in a file, under a passphrase.

As the database key of a node (`node.unwrap`): Argon2id and XChaCha20-Poly1305. Whoever loses the file or the
passphrase gives out a new key; files that were sealed to the old one stay shut.
"""

from __future__ import annotations

from typing import Final

from crypto.sealing import ROUND_SECRET_BYTES
from node.errors import _
from node.hand_over_key import HandOverError
from node.unwrap import stretch

SECRET_MAGIC: Final = b"fedscreen/hand-over-secret/v1\n"
SECRET_BYTES: Final = ROUND_SECRET_BYTES
SALT_BYTES: Final = 16
NONCE_BYTES: Final = 24
_TAG_BYTES: Final = 16
SECRET_FILE_BYTES: Final = len(SECRET_MAGIC) + SALT_BYTES + NONCE_BYTES + SECRET_BYTES + _TAG_BYTES


def wrap_secret(secret: bytes, passphrase: str, salt: bytes, nonce: bytes) -> bytes:
    """Encrypt a recipient's secret under a passphrase.

    Returns:
        First line ‖ salt (16) ‖ nonce (24) ‖ ciphertext and tag (112).

    Raises:
        UnlockError: the passphrase is too short.
    """
    from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt as encrypt

    head = SECRET_MAGIC + salt
    return head + nonce + bytes(encrypt(secret, head, nonce, stretch(passphrase, salt)))


def open_secret(data: bytes, passphrase: str) -> bytes:
    """Decrypt a recipient's secret; the inverse of `wrap_secret`.

    Raises:
        HandOverError: no such file, or another passphrase.
        UnlockError: the passphrase is too short to be one.
    """
    from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt as decrypt
    from nacl.exceptions import CryptoError as SodiumError

    if len(data) != SECRET_FILE_BYTES or not data.startswith(SECRET_MAGIC):
        raise HandOverError(
            _("this is not a recipient's private key file"),
            _("Choose the file that 'fedscreen node hand-over recipient-init' wrote."),
            code="hand-over-secret",
        )
    head, rest = data[: len(SECRET_MAGIC) + SALT_BYTES], data[len(SECRET_MAGIC) + SALT_BYTES :]
    key = stretch(passphrase, head[len(SECRET_MAGIC) :])
    try:
        return bytes(decrypt(rest[NONCE_BYTES:], head, rest[:NONCE_BYTES], key))
    except SodiumError:
        raise HandOverError(
            _("the passphrase does not open this private key, or the file is damaged"),
            _("Try again; nothing was changed."),
            code="wrong-passphrase",
        ) from None
