"""A file of any length under a passphrase: what a backup of keys must be before it leaves this machine.

::

    fedscreen/county-backup/v1 LF
    <one line of JSON: how the key is made> LF
    pieces of 1 MiB, each with 16 bytes of tag

The key is Argon2id of the passphrase and a fresh salt, so no other file has it; a piece's nonce is its
number and whether it is the last, and all are bound to the head. A piece that is changed, missing, moved or
cut off does not open. Without a passphrase the pieces are the bytes as they are, then their SHA-256.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from typing import BinaryIO

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt as aead_open,
)
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_encrypt as aead_seal,
)
from nacl.exceptions import CryptoError as NaclError
from nacl.pwhash import argon2id

from coordinator.errors import BackupError
from plan.errors import phrase

FIRST_LINE = b"fedscreen/county-backup/v1\n"
PIECE_BYTES = 1 << 20
TAG_BYTES = 16
KEY_BYTES = 32
MAX_HEAD_BYTES = 512
_NONCE_BYTES = 24
_DIGEST_BYTES = 32
Entropy = Callable[[int], bytes]


def seal_file(source: BinaryIO, target: BinaryIO, passphrase: bytes | None, entropy: Entropy) -> None:
    """Write everything that `source` gives, under a passphrase, or as it is without one."""
    if passphrase is None:
        head = _head({"kdf": "none"})
        target.write(head)
        digest = hashlib.sha256(head)
        for piece in _pieces(source, PIECE_BYTES):
            target.write(piece)
            digest.update(piece)
        target.write(digest.digest())
        return
    salt = entropy(argon2id.SALTBYTES)
    ops, mem = argon2id.OPSLIMIT_MODERATE, argon2id.MEMLIMIT_MODERATE
    head = _head({"kdf": "argon2id", "ops": ops, "mem": mem, "salt": salt.hex()})
    key = _key(passphrase, salt, ops, mem)
    target.write(head)
    for number, (piece, is_last) in enumerate(_marked(_pieces(source, PIECE_BYTES))):
        target.write(aead_seal(piece, head, _nonce(number, is_last), key))


def open_file(source: BinaryIO, target: BinaryIO, passphrase: bytes | None) -> None:
    """Write what is in a sealed file.

    Raises:
        BackupError: it is none, the passphrase is another one or missing, or it was damaged.
    """
    head, values = _read_head(source)
    if values.get("kdf") == "none":
        _open_plain(source, target, head)
        return
    if passphrase is None:
        raise BackupError(phrase("this backup is sealed: give its passphrase"))
    try:
        key = _key(passphrase, bytes.fromhex(values["salt"]), int(values["ops"]), int(values["mem"]))
    except (KeyError, ValueError, NaclError) as err:
        raise _damaged(0) from err
    for number, (piece, is_last) in enumerate(_marked(_pieces(source, PIECE_BYTES + TAG_BYTES))):
        try:
            target.write(aead_open(piece, head, _nonce(number, is_last), key))
        except (NaclError, ValueError) as err:
            if number == 0:
                raise BackupError(
                    phrase("another passphrase, or the backup is damaged at its beginning")
                ) from err
            raise _damaged(number) from err


def is_sealed(source: BinaryIO) -> bool:
    """Tell whether a passphrase is needed; the file is at its beginning afterwards."""
    _, values = _read_head(source)
    source.seek(0)
    return values.get("kdf") != "none"


def _head(values: dict[str, str | int]) -> bytes:
    return FIRST_LINE + json.dumps(values, sort_keys=True).encode() + b"\n"


def _read_head(source: BinaryIO) -> tuple[bytes, dict[str, str]]:
    first = source.readline(len(FIRST_LINE))
    line = source.readline(MAX_HEAD_BYTES)
    try:
        values = json.loads(line)
    except ValueError:
        values = None
    if first != FIRST_LINE or not isinstance(values, dict):
        raise BackupError(phrase("not a backup of a county's coordinator"))
    return first + line, values


def _key(passphrase: bytes, salt: bytes, ops: int, mem: int) -> bytes:
    if not (0 < ops <= argon2id.OPSLIMIT_SENSITIVE and 0 < mem <= argon2id.MEMLIMIT_SENSITIVE):
        raise ValueError("limits out of range")
    return bytes(argon2id.kdf(KEY_BYTES, passphrase, salt, opslimit=ops, memlimit=mem))


def _nonce(number: int, is_last: bool) -> bytes:
    return (number * 2 + is_last).to_bytes(_NONCE_BYTES)


def _pieces(source: BinaryIO, size: int) -> Iterator[bytes]:
    while piece := source.read(size):
        yield piece


def _marked(pieces: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Give every piece with whether it is the last; one empty piece if there is none."""
    held = next(pieces, b"")
    for piece in pieces:
        yield held, False
        held = piece
    yield held, True


def _open_plain(source: BinaryIO, target: BinaryIO, head: bytes) -> None:
    digest, held = hashlib.sha256(head), b""
    for piece in _pieces(source, PIECE_BYTES):
        data = held + piece
        held = data[-_DIGEST_BYTES:]
        target.write(data[:-_DIGEST_BYTES])
        digest.update(data[:-_DIGEST_BYTES])
    if digest.digest() != held:
        raise BackupError(phrase("this backup was cut off or changed; take another one"))


def _damaged(number: int) -> BackupError:
    return BackupError(
        phrase(
            "this backup is damaged or cut off from byte %(at)s on; take another one", at=number * PIECE_BYTES
        )
    )
