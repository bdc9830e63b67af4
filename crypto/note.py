"""Signed notes and their keys (c2sp.org/signed-note).

A note is a text that ends with a line feed, an empty line, and signature lines
`— <key name> <base64(key id ‖ signature)>`. Key types: 0x01 Ed25519 over the text; 0x04 a witness's
timestamped Ed25519 cosignature over a checkpoint (c2sp.org/tlog-cosignature). Ed25519 is libsodium's, which
refuses small-order and non-canonical points.
"""

import hashlib
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from nacl.bindings import (
    crypto_sign,
    crypto_sign_open,
    crypto_sign_seed_keypair,
)
from nacl.exceptions import BadSignatureError

from crypto.canonical import decode_base64, encode_base64
from crypto.errors import CosignatureError, DecodeError, ParameterError, VerificationError

SIGNATURE_BYTES = 64
KEY_BYTES = 32
KEY_ID_BYTES = 4
MAX_SIGNATURES = 100  # as Go's sumdb/note; the format asks for at least 16
MAX_TIMESTAMP_S = (1 << 63) - 1
_EM_DASH_SPACE = "\u2014 "
_NOT_IN_A_TEXT = re.compile(r"[\x00-\x09\x0b-\x1f]")
_NOT_IN_A_NAME = re.compile(r"[\s\x00-\x1f+]")  # \s is str.isspace


class KeyType(IntEnum):
    """Signature algorithm identifiers of c2sp.org/signed-note that are used here."""

    ED25519 = 0x01
    COSIGNATURE = 0x04


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """The public half of a note key: its name, type and 32-byte Ed25519 public key."""

    name: str
    key_type: KeyType
    public_key: bytes
    _key_id: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the name's grammar and the key's length."""
        check_key_name(self.name)
        if self.key_type not in tuple(KeyType):
            raise DecodeError(f"key type {self.key_type} is not one of 1, 4")
        if len(self.public_key) != KEY_BYTES:
            raise DecodeError(f"a public key has {KEY_BYTES} bytes, found {len(self.public_key)}")
        whole = hashlib.sha256(self.name.encode() + b"\n" + self._typed_key).digest()
        object.__setattr__(self, "_key_id", whole[:KEY_ID_BYTES])

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256(name ‖ LF ‖ type ‖ public key)."""
        return self._key_id

    @property
    def text(self) -> str:
        """The vkey line: `<name>+<hex key id>+<base64(type ‖ public key)>`."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(self._typed_key)}"

    @property
    def _typed_key(self) -> bytes:
        return bytes([self.key_type]) + self.public_key


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: the signer's name and key id, and the bytes after the key id."""

    name: str
    key_id: bytes
    blob: bytes

    def __post_init__(self) -> None:
        """Check the name's grammar, the key id's length and that a signature is there."""
        check_key_name(self.name)
        if len(self.key_id) != KEY_ID_BYTES:
            raise DecodeError(f"a key id has {KEY_ID_BYTES} bytes, found {len(self.key_id)}")
        if not self.blob:
            raise DecodeError("a signature line has an empty signature")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A note key with its 32-byte Ed25519 seed; held by the signer only."""

    name: str
    key_type: KeyType
    seed: bytes = field(repr=False)
    verifier: VerifierKey = field(init=False, repr=False, compare=False)
    """The public half of this key."""
    _expanded: bytes = field(init=False, repr=False, compare=False)  # libsodium's form: seed ‖ public key

    def __post_init__(self) -> None:
        """Check the seed's length and, through the verifier, name and type."""
        if len(self.seed) != KEY_BYTES:
            raise ParameterError(f"a signing seed has {KEY_BYTES} bytes, found {len(self.seed)}")
        public_key, expanded = crypto_sign_seed_keypair(self.seed)
        object.__setattr__(self, "_expanded", expanded)
        object.__setattr__(self, "verifier", VerifierKey(self.name, self.key_type, public_key))

    def sign(self, text: str) -> str:
        """Sign a note's text; returns the signature line without its line feed.

        Raises:
            ParameterError: this is a cosigner key (see `cosign`), or the text is no note text.
        """
        if self.key_type is not KeyType.ED25519:
            raise ParameterError("a cosigner key signs checkpoints only: use checkpoint.cosign")
        _check_text(text, ParameterError)
        return self._line(self._sign_bytes(text.encode()))

    def cosign(self, text: str, timestamp_s: int) -> str:
        """Cosign a checkpoint's text at a POSIX time; returns the line (see `checkpoint.cosign`).

        Raises:
            ParameterError: this is not a cosigner key, the time is out of range, or the text is no note text.
        """
        if self.key_type is not KeyType.COSIGNATURE:
            raise ParameterError("only a cosigner key (type 4) may cosign")
        if not 0 <= timestamp_s <= MAX_TIMESTAMP_S:
            raise ParameterError("a cosignature's time lies outside 0..2^63-1 seconds")
        _check_text(text, ParameterError)
        signature = self._sign_bytes(_cosigned_message(timestamp_s, text))
        return self._line(struct.pack(">Q", timestamp_s) + signature)

    def _sign_bytes(self, message: bytes) -> bytes:
        return crypto_sign(message, self._expanded)[:SIGNATURE_BYTES]

    def _line(self, blob: bytes) -> str:
        return _line_of(self.name, self.verifier.key_id, blob)


@dataclass(frozen=True, slots=True)
class Note:
    """A text (it ends with a line feed) and at least one signature."""

    text: str
    signatures: tuple[Signature, ...]

    def __post_init__(self) -> None:
        """Check the text and the number of signatures."""
        _check_text(self.text, DecodeError)
        if not 1 <= len(self.signatures) <= MAX_SIGNATURES:
            raise DecodeError(f"a note has 1 to {MAX_SIGNATURES} signatures, found {len(self.signatures)}")


def check_key_name(name: str) -> None:
    """Check that a key name is not empty and has no white space, control character or `+`.

    Raises:
        DecodeError: it is not such a name.
    """
    if not name or _NOT_IN_A_NAME.search(name):
        raise DecodeError("a key name is not empty and has no white space, control character or '+'")
    _check_utf8(name, DecodeError)


def parse_vkey(text: str) -> VerifierKey:
    """Parse a vkey line; the exact inverse of `VerifierKey.text`.

    Raises:
        DecodeError: wrong form, an unknown key type, or a key id that does not belong to the key.
    """
    parts = text.split("+", 2)  # base64 may itself contain '+'
    if len(parts) != 3:
        raise DecodeError("a vkey has the form <name>+<key id>+<base64>")
    name, key_id, encoded = parts
    typed_key = decode_base64(encoded)
    if not typed_key or typed_key[0] not in tuple(KeyType):
        raise DecodeError("a vkey's key type is not one of 1, 4")
    key = VerifierKey(name, KeyType(typed_key[0]), typed_key[1:])
    if key.key_id.hex() != key_id:
        raise DecodeError(f"a vkey's key id is {key.key_id.hex()} by its contents, the line has another")
    return key


def signature_line(signature: Signature) -> str:
    """Encode a signature as its line, without the line feed."""
    return _line_of(signature.name, signature.key_id, signature.blob)


def _line_of(name: str, key_id: bytes, blob: bytes) -> str:
    return f"{_EM_DASH_SPACE}{name} {encode_base64(key_id + blob)}"


def parse_signature_line(line: str) -> Signature:
    """Parse a signature line without its line feed; the exact inverse of `signature_line`.

    Raises:
        DecodeError: it is not a signature line.
    """
    name, separator, encoded = line.removeprefix(_EM_DASH_SPACE).partition(" ")
    if not line.startswith(_EM_DASH_SPACE) or not separator:
        raise DecodeError("a signature line has the form '\u2014 <name> <base64>'")
    blob = decode_base64(encoded)
    return Signature(name, blob[:KEY_ID_BYTES], blob[KEY_ID_BYTES:])


def encode_note(note: Note) -> bytes:
    """Encode a note: text, an empty line, signature lines."""
    lines = "".join(signature_line(signature) + "\n" for signature in note.signatures)
    return f"{note.text}\n{lines}".encode()


def encode_signed(text: str, lines: Sequence[str]) -> bytes:
    """Encode a note of a text and the signature lines that its signers have just made; see `encode_note`."""
    return "".join([text, "\n", *(line + "\n" for line in lines)]).encode()


def parse_note(data: bytes, max_bytes: int = 1 << 20) -> Note:
    """Parse a note, split at the last empty line; the exact inverse of `encode_note`.

    This verifies nothing: see `verified_by`.

    Raises:
        DecodeError: longer than `max_bytes`, not UTF-8, a control character, or a malformed signature block.
    """
    if len(data) > max_bytes:
        raise DecodeError(f"a note has at most {max_bytes} bytes here, found {len(data)}")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as err:
        raise DecodeError(f"a note is UTF-8; byte {err.start} is not") from err
    body, separator, block = whole.rpartition("\n\n")
    if not separator or not block.endswith("\n"):
        raise DecodeError("a note is a text, an empty line, and signature lines that end with a line feed")
    lines = block[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise DecodeError(f"a note has at most {MAX_SIGNATURES} signatures, found {len(lines)}")
    return Note(body + "\n", tuple(parse_signature_line(line) for line in lines))


def verified_by(note: Note, keys: Iterable[VerifierKey]) -> tuple[VerifierKey, ...]:
    """Return those of the keys that signed the note, in the order of its signature lines, each once.

    Signatures by other (name, key id) pairs are ignored, as the format asks.

    Raises:
        VerificationError: a known key's signature is wrong (the whole note is refused), or two different
            keys share name and key id.
    """
    known: dict[tuple[str, bytes], VerifierKey] = {}
    for key in keys:
        if known.setdefault((key.name, key.key_id), key) != key:
            raise VerificationError(f"two different keys share the name {key.name} and key id")
    found: dict[VerifierKey, None] = {}
    for signature in note.signatures:
        signer = known.get((signature.name, signature.key_id))
        if signer is not None:
            verify_signature(note.text, signature, signer)
            found[signer] = None
    return tuple(found)


def verify_signature(text: str, signature: Signature, key: VerifierKey) -> None:
    """Verify one signature over a note's text by one key, of either type.

    Raises:
        VerificationError: another key's name or id, a wrong length, or a wrong signature.
        CosignatureError: the same, where the key is a cosigner's.
    """
    is_cosigner = key.key_type is KeyType.COSIGNATURE
    error = CosignatureError if is_cosigner else VerificationError
    if (signature.name, signature.key_id) != (key.name, key.key_id):
        raise error(f"the signature line names another key than {key.name}")
    message, raw = text.encode("utf-8", "surrogatepass"), signature.blob
    if is_cosigner:
        message, raw = _cosigned_message(cosignature_time(signature), text), signature.blob[8:]
    try:
        if len(raw) != SIGNATURE_BYTES:
            raise error(f"a signature by {key.name} has {len(raw)} bytes, expected {SIGNATURE_BYTES}")
        crypto_sign_open(raw + message, key.public_key)
    except BadSignatureError as err:
        raise error(f"the signature by {key.name} does not hold for this text") from err


def cosignature_time(signature: Signature) -> int:
    """Return the POSIX time in seconds that a cosignature states; it is the witness's word, not proof.

    Raises:
        CosignatureError: the signature is not 72 bytes long, or its time is out of range.
    """
    if len(signature.blob) != 8 + SIGNATURE_BYTES:
        raise CosignatureError(f"a cosignature has {8 + SIGNATURE_BYTES} bytes, found {len(signature.blob)}")
    (timestamp_s,) = struct.unpack(">Q", signature.blob[:8])
    if not 0 <= timestamp_s <= MAX_TIMESTAMP_S:
        raise CosignatureError("a cosignature's time lies outside 0..2^63-1 seconds")
    return int(timestamp_s)


def _cosigned_message(timestamp_s: int, text: str) -> bytes:
    """What a witness signs: a header that no checkpoint can start with, the time, the checkpoint."""
    return f"cosignature/v1\ntime {timestamp_s}\n{text}".encode("utf-8", "surrogatepass")


def _check_text(text: str, error: type[DecodeError | ParameterError]) -> None:
    if not text.endswith("\n"):
        raise error("a note's text ends with a line feed")
    if _NOT_IN_A_TEXT.search(text):
        raise error("a note's text has no control character but the line feed")
    _check_utf8(text, error)


def _check_utf8(text: str, error: type[DecodeError | ParameterError]) -> None:
    if text.isascii():
        return
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as err:
        raise error(f"text has a lone surrogate at position {err.start}") from err
