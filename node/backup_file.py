"""The form of a backup file: a public header, then everything else in authenticated pieces.

    first line ‖ u32be header length ‖ header (JSON) ‖ SHA-256(header) ‖ check (32) ‖ piece 0 ‖ piece 1 …

Rules:

1. The header is public: format, node, federation, time, sizes, what keeps the key, and database.key as it is
   (a key that its passphrase wraps). Its SHA-256 tells damage from a wrong key; `check` tells whose key.
2. The file's own key is kdf(database key, "backup", salt, SHA-256(header)): 32 fresh bytes of salt make it
   new for every file, and every byte of the header goes into it.
3. A piece is XChaCha20-Poly1305 over at most 1 MiB; its nonce is its number and whether it is the last one.
   So a piece that is changed, missing, doubled, moved or cut off does not open, nor one of another backup.
4. A reader gives the pieces as they open; whoever takes them keeps nothing until the last one has.

Pure: bytes in, bytes out. Spec: docs/backup.md "The file".
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError as SodiumError

from crypto.canonical import decode_base64, encode_base64, encode_json, parse_json
from crypto.derivation import kdf
from crypto.errors import CryptoError
from node.errors import BackupError, _

FORMAT: Final = "fedscreen/backup/v1"
MAGIC: Final = FORMAT.encode() + b"\n"
PIECE_BYTES: Final = 1024 * 1024
TAG_BYTES: Final = 16
SALT_BYTES: Final = 32
DIGEST_BYTES: Final = 32
MAX_HEADER_BYTES: Final = 64 * 1024
MAX_PARTS: Final = 16
_LENGTH = struct.Struct(">I")
_NONCE = struct.Struct(">15xQ?")


@dataclass(frozen=True, slots=True)
class BackupHeader:
    """What anybody may read of a backup.

    Attributes:
        federation, node: whose it is.
        made: when, as text.
        key_source: what kept the database key on that machine.
        wrapped_key: the content of database.key there; empty where there was none.
        log_size: entries of the log that the node had.
        parts: name and size of each file in it, in order.
        salt: 32 bytes.
    """

    federation: str
    node: str
    made: str
    key_source: str
    wrapped_key: bytes = field(repr=False)
    log_size: int
    parts: tuple[tuple[str, int], ...]
    salt: bytes = field(repr=False)

    @property
    def size_bytes(self) -> int:
        """Bytes of all parts together."""
        return sum(size for _name, size in self.parts)

    @property
    def num_pieces(self) -> int:
        """Number of pieces; at least one."""
        return max(1, -(-self.size_bytes // PIECE_BYTES))


def encode_header(header: BackupHeader) -> bytes:
    """Write the header's JSON; the inverse of `parse_header`."""
    return encode_json(
        {
            "federation": header.federation,
            "format": FORMAT,
            "key_source": header.key_source,
            "log_size": header.log_size,
            "made": header.made,
            "node": header.node,
            "parts": [[name, size] for name, size in header.parts],
            "salt": header.salt.hex(),
            "wrapped_key": encode_base64(header.wrapped_key),
        }
    )


def parse_header(data: bytes) -> BackupHeader:
    """Read the header's JSON.

    Raises:
        BackupError: malformed, or of another version.
    """
    try:
        values = parse_json(data)
        if not isinstance(values, dict) or values.pop("format") != FORMAT:
            raise _damaged(len(MAGIC))
        header = _header_of(values)
    except (CryptoError, KeyError, TypeError, ValueError):
        raise _damaged(len(MAGIC)) from None
    if encode_header(header) != data:
        raise _damaged(len(MAGIC))
    return header


def _header_of(values: dict[str, Any]) -> BackupHeader:
    texts = {name: values[name] for name in ("federation", "node", "made", "key_source")}
    parts = tuple((row[0], row[1]) for row in values["parts"])
    is_good = all(isinstance(name, str) and type(size) is int and size >= 0 for name, size in parts)
    if not is_good or len(parts) > MAX_PARTS or any(not isinstance(text, str) for text in texts.values()):
        raise ValueError("a header's values")
    if type(values["log_size"]) is not int or len(values["salt"]) != 2 * SALT_BYTES:
        raise ValueError("a header's values")
    salt, wrapped = bytes.fromhex(values["salt"]), decode_base64(values["wrapped_key"])
    return BackupHeader(**texts, wrapped_key=wrapped, log_size=values["log_size"], parts=parts, salt=salt)


# ---------------------------------------------------------------- writing


def write_backup(stream: BinaryIO, header: BackupHeader, key: bytes, contents: Iterable[bytes]) -> None:
    """Write a backup.

    Args:
        stream: an empty file.
        header: with the sizes of all parts.
        key: the database key (32 bytes, secret).
        contents: the bytes of all parts in order, in pieces of any size.

    Raises:
        BackupError: the contents are not as long as the header says.
    """
    head = encode_header(header)
    file_key = _file_key(header, head, key)
    stream.write(MAGIC + _LENGTH.pack(len(head)) + head + hashlib.sha256(head).digest() + _check(file_key))
    written = 0
    for number, piece in enumerate(_pieces(contents)):
        is_last = number == header.num_pieces - 1
        stream.write(
            crypto_aead_xchacha20poly1305_ietf_encrypt(piece, None, _NONCE.pack(number, is_last), file_key)
        )
        written += len(piece)
    if written != header.size_bytes:
        raise BackupError(
            _("the copy of the record file has %(found)d bytes, expected %(expected)d"),
            _("Run the backup again."),
            details={"found": written, "expected": header.size_bytes},
        )


def _pieces(contents: Iterable[bytes]) -> Iterator[bytes]:
    """Cut contents into pieces of one size; the last is shorter, the only one may be empty."""
    waiting, num = bytearray(), 0
    for part in contents:
        waiting += part
        while len(waiting) > PIECE_BYTES:  # what fills exactly one piece may be the last one
            yield bytes(waiting[:PIECE_BYTES])
            del waiting[:PIECE_BYTES]
            num += 1
    if waiting or num == 0:
        yield bytes(waiting)


# ---------------------------------------------------------------- reading


@dataclass(frozen=True, slots=True)
class OpenBackup:
    """A backup whose header has been read; nothing in it is believed before a key has opened it."""

    stream: BinaryIO
    header: BackupHeader
    head: bytes = field(repr=False)
    check: bytes = field(repr=False)

    def is_key(self, key: bytes) -> bool:
        """Say whether a database key (32 bytes) is the one of this backup."""
        return hmac.compare_digest(_check(_file_key(self.header, self.head, key)), self.check)

    def contents(self, key: bytes) -> Iterator[bytes]:
        """Give the bytes of all parts in order.

        Raises:
            BackupError: another key (``wrong-key``), cut off (``backup-cut-off``) or damaged
                (``backup-damaged``); what was given before it is not to be used.
        """
        if not self.is_key(key):
            raise BackupError(
                _("this key is not the one of the backup of node %(node)s"),
                _("Use the key that this node had when the backup was made, or its recovery file."),
                code="wrong-key",
                details={"node": self.header.node},
            )
        file_key = _file_key(self.header, self.head, key)
        left = self.header.size_bytes
        for number in range(self.header.num_pieces):
            size = min(left, PIECE_BYTES)
            yield self._piece(number, size, file_key)
            left -= size
        if self.stream.read(1):
            raise _damaged(self.stream.tell() - 1)

    def _piece(self, number: int, size: int, file_key: bytes) -> bytes:
        at = self.stream.tell()
        sealed = self.stream.read(size + TAG_BYTES)
        if len(sealed) != size + TAG_BYTES:
            raise _cut_off(at + len(sealed))
        nonce = _NONCE.pack(number, number == self.header.num_pieces - 1)
        try:
            return bytes(crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, None, nonce, file_key))
        except SodiumError:
            raise _damaged(at) from None


def open_backup(stream: BinaryIO) -> OpenBackup:
    """Read the header of a backup.

    Raises:
        BackupError: no backup (``not-a-backup``), cut off or damaged.
    """
    if stream.read(len(MAGIC)) != MAGIC:
        raise BackupError(
            _("the file is not one that 'fedscreen node backup' wrote"),
            _("Give the file that it wrote."),
            code="not-a-backup",
        )
    (size,) = _LENGTH.unpack(_read(stream, _LENGTH.size))
    if size > MAX_HEADER_BYTES:
        raise _damaged(len(MAGIC))
    head = _read(stream, size)
    if hashlib.sha256(head).digest() != _read(stream, DIGEST_BYTES):
        raise _damaged(len(MAGIC))
    return OpenBackup(stream, parse_header(head), head, _read(stream, DIGEST_BYTES))


def split(header: BackupHeader, contents: Iterator[bytes], take: Callable[[str, bytes], None]) -> None:
    """Hand the contents over by part: `take` gets a part's name with its bytes, piece by piece, in order."""
    rest = b""
    for name, size in header.parts:
        take(name, b"")  # an empty part exists all the same
        left = size
        while left:
            rest = rest or next(contents)
            step, rest = rest[:left], rest[left:]
            take(name, step)
            left -= len(step)
    for _piece in contents:  # the end of the file is a part of what is checked
        continue


def _read(stream: BinaryIO, size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise _cut_off(stream.tell())
    return data


def _file_key(header: BackupHeader, head: bytes, key: bytes) -> bytes:
    return kdf(key, "backup", header.salt, hashlib.sha256(head).digest())


def _check(file_key: bytes) -> bytes:
    return kdf(file_key, "check")


def _cut_off(at: int) -> BackupError:
    return BackupError(
        _("the backup ends at byte %(at)d, before it is complete"),
        _("Copy it again from where it was written, or use another backup; nothing was changed."),
        code="backup-cut-off",
        details={"at": at},
    )


def _damaged(at: int) -> BackupError:
    return BackupError(
        _("the backup is damaged from byte %(at)d on"),
        _("Copy it again from where it was written, or use another backup; nothing was changed."),
        code="backup-damaged",
        details={"at": at},
    )
