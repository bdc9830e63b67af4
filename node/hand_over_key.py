"""Keys for hand-over files: what a recipient gives out, and what it keeps.

A public key is a small text file: whose it is, a key to seal to (`crypto.sealing`), a key that signs receipts
and the files of a school. People compare its fingerprint by telephone. The private half is one secret of 96
bytes: at a school the psychologist's own (`node.vault.roles`), elsewhere in a file under a passphrase
(`node.hand_over_secret`).

Pure. Spec: docs/follow-up.md.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final

from crypto.canonical import decode_base64, encode_base64, encode_parts
from crypto.errors import CryptoError
from crypto.note import KeyType, SigningKey, VerifierKey, parse_vkey
from crypto.sealing import ROUND_PUBLIC_BYTES, round_public_key
from node.errors import NodeError, _
from protos.card import fingerprint

KEY_FORMAT: Final = "fedscreen/hand-over-key/v1"
SIGNER: Final = "fedscreen/hand-over"
MAX_NAME: Final = 100
MAX_KEY_BYTES: Final = 4096


class HandOverError(NodeError):
    """A hand-over file, its key or its receipt is not what it should be."""

    CODE = "hand-over"


@dataclass(frozen=True, slots=True)
class HandOverKey:
    """The public key of a recipient or sender.

    Attributes:
        institution, person: whose it is; its owner's words, believed when the fingerprint was compared.
        box: 1,216 bytes, to seal to.
        verifier: signs receipts, and at a school the files.
    """

    institution: str
    person: str
    box: bytes = field(repr=False)
    verifier: VerifierKey = field(repr=False)

    def __post_init__(self) -> None:
        """Check names and lengths."""
        names = (self.institution, self.person)
        if not all(
            0 < len(name) <= MAX_NAME and name.isprintable() and name == name.strip() for name in names
        ):
            raise HandOverError(
                _("a key names an institution and a person, each with 1 to %(high)d characters"),
                _("Correct the names."),
                code="hand-over-key-name",
                details={"high": MAX_NAME},
            )
        if len(self.box) != ROUND_PUBLIC_BYTES or self.verifier.key_type is not KeyType.ED25519:
            raise _no_key()

    @property
    def text(self) -> str:
        """The key as the text of its file."""
        lines = (KEY_FORMAT, self.institution, self.person, self.verifier.text, encode_base64(self.box))
        return "".join(line + "\n" for line in lines)

    @property
    def fingerprint(self) -> str:
        """The line that people compare: eight groups of four hex digits, over names and keys."""
        return fingerprint(self.text)

    @property
    def key_id(self) -> str:
        """SHA-256 of the two keys in hex, whatever the names."""
        return hashlib.sha256(encode_parts(KEY_FORMAT, self.box, self.verifier.text)).hexdigest()

    @property
    def who(self) -> tuple[str, str]:
        """Institution and person."""
        return self.institution, self.person


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A public key with its private half; held by its owner only."""

    public: HandOverKey
    box_secret: bytes = field(repr=False)
    signing: SigningKey = field(repr=False)


def key_pair(secret: bytes, institution: str, person: str) -> KeyPair:
    """Make a pair from a secret of 96 bytes; the same secret gives the same keys.

    The secret itself opens boxes; the signing seed is HMAC-SHA256 of it under a name of its own.

    Raises:
        HandOverError: the names are not allowed.
    """
    seed = hmac.digest(secret, encode_parts(KEY_FORMAT, "sign"), "sha256")
    signing = SigningKey(SIGNER, KeyType.ED25519, seed)
    public = HandOverKey(institution, person, round_public_key(secret), signing.verifier)
    return KeyPair(public, secret, signing)


def parse_key(data: bytes) -> HandOverKey:
    """Read the text of a public key; the exact inverse of `HandOverKey.text`.

    Raises:
        HandOverError: it is no such key.
    """
    try:
        text = data.decode("utf-8") if len(data) <= MAX_KEY_BYTES else ""
        lines = text.split("\n")
        if len(lines) != 6 or lines[0] != KEY_FORMAT or lines[5]:
            raise _no_key()
        key = HandOverKey(lines[1], lines[2], decode_base64(lines[4]), parse_vkey(lines[3]))
    except (CryptoError, UnicodeDecodeError):
        raise _no_key() from None
    if key.text != text or key.verifier.name != SIGNER:
        raise _no_key()
    return key


def check_fingerprint(key: HandOverKey, told: str) -> None:
    """Compare a key with the fingerprint that its owner told.

    Raises:
        HandOverError: it is another one.
    """
    digits = "".join(c for c in told.lower() if c.isascii() and c.isalnum())
    if not hmac.compare_digest(digits, key.fingerprint.replace("-", "")):
        raise HandOverError(
            _("the key's fingerprint is %(found)s, and another one was told"),
            _("Ask its owner by telephone, on a number that you know; use no key that does not fit."),
            code="hand-over-fingerprint",
            details={"found": key.fingerprint},
        )


def _no_key() -> HandOverError:
    return HandOverError(
        _("this is not a hand-over key"),
        _("Choose the key file itself, as its owner wrote it; not a text copied out of it."),
        code="not-a-hand-over-key",
    )
