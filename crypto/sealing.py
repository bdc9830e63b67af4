"""Sealing seeds to an auditor's round key: HPKE, MLKEM768_X25519 / HKDF-SHA256 / AES-256-GCM.

RFC 9180 base mode with the hybrid KEM of draft-ietf-hpke-pq, as `cryptography` provides it. A box is the
1,120-byte encapsulation, the ciphertext and a 16-byte tag. One auditor keeps the round secret for one round
and destroys it after its opening.
"""

from functools import lru_cache
from typing import TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

from crypto.derivation import SECRET_BYTES
from crypto.errors import DecodeError, OpenError, ParameterError

MLKEM_SEED_BYTES = 64
MLKEM_PUBLIC_BYTES = 1184
X25519_BYTES = 32
ROUND_SECRET_BYTES = MLKEM_SEED_BYTES + X25519_BYTES
ROUND_PUBLIC_BYTES = MLKEM_PUBLIC_BYTES + X25519_BYTES
BOX_OVERHEAD_BYTES = 1120 + 16  # encapsulation (ML-KEM ciphertext 1088, X25519 share 32) and GCM tag

RoundKey: TypeAlias = MLKEM768X25519PrivateKey
_MAX_RECIPIENTS = 16  # two rounds of seven auditors: a node checks a key, then seals to it
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def round_public_key(secret: bytes) -> bytes:
    """Return the public half of a round secret: ML-KEM-768 key (1184 bytes) ‖ X25519 key (32 bytes).

    Args:
        secret: ML-KEM seed d ‖ z (64 bytes) ‖ X25519 private key (32 bytes), uniformly random.

    Raises:
        ParameterError: not 96 bytes.
    """
    mlkem, x25519 = _private_keys(secret)
    return mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()


def load_round_key(secret: bytes) -> RoundKey:
    """Expand a round secret, which takes longer than to open a box: do it once for many boxes.

    Raises:
        ParameterError: not 96 bytes.
    """
    return MLKEM768X25519PrivateKey(*_private_keys(secret))


def verify_public_key(public_key: bytes) -> None:
    """Check that a round public key can be sealed to.

    Raises:
        DecodeError: wrong length, a non-canonical ML-KEM coefficient, or an X25519 point of small order.
    """
    seal(public_key, b"", b"")


def seal(public_key: bytes, plaintext: bytes, info: bytes) -> bytes:
    """Seal a plaintext to a round public key, bound to `info` (see `derivation.box_info`).

    The encapsulation is random: two calls give two boxes.

    Raises:
        DecodeError: the public key is not valid.
    """
    if len(public_key) != ROUND_PUBLIC_BYTES:
        raise DecodeError(f"a round public key has {ROUND_PUBLIC_BYTES} bytes, found {len(public_key)}")
    try:
        return _SUITE.encrypt(plaintext, _recipient(public_key), info)
    except ValueError as err:
        raise DecodeError("a round public key is not valid: it cannot be sealed to") from err


def open_box(secret: bytes | RoundKey, ciphertext: bytes, info: bytes) -> bytes:
    """Open a box with the round secret and the same `info`.

    Args:
        secret: 96 bytes, or what `load_round_key` made of them.
        ciphertext: the box.
        info: `derivation.box_info` of the report and auditor.

    Raises:
        ParameterError: the secret has not 96 bytes.
        OpenError: another key, another info, or altered bytes; which of them cannot be told.
    """
    key = load_round_key(secret) if isinstance(secret, bytes) else secret
    if len(ciphertext) < BOX_OVERHEAD_BYTES:
        raise OpenError(f"a box has at least {BOX_OVERHEAD_BYTES} bytes, found {len(ciphertext)}")
    try:
        return _SUITE.decrypt(ciphertext, key, info)
    except (InvalidTag, ValueError) as err:
        raise OpenError("a box does not open: another key, another context or altered bytes") from err


def box_bytes(num_seeds: int) -> int:
    """Return the exact size of a box with this number of seeds: each is length-prefixed by E()."""
    return BOX_OVERHEAD_BYTES + num_seeds * (4 + SECRET_BYTES)


@lru_cache(maxsize=_MAX_RECIPIENTS)
def _recipient(public_key: bytes) -> MLKEM768X25519PublicKey:
    return MLKEM768X25519PublicKey(
        MLKEM768PublicKey.from_public_bytes(public_key[:MLKEM_PUBLIC_BYTES]),
        X25519PublicKey.from_public_bytes(public_key[MLKEM_PUBLIC_BYTES:]),
    )


def _private_keys(secret: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    if len(secret) != ROUND_SECRET_BYTES:
        raise ParameterError(f"a round secret has {ROUND_SECRET_BYTES} bytes, found {len(secret)}")
    return (
        MLKEM768PrivateKey.from_seed_bytes(secret[:MLKEM_SEED_BYTES]),
        X25519PrivateKey.from_private_bytes(secret[MLKEM_SEED_BYTES:]),
    )
