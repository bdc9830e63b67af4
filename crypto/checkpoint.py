"""Checkpoints (c2sp.org/tlog-checkpoint): the log's origin, tree size and root as a note's text.

The log never signs two checkpoints that are inconsistent; witnesses cosign only what extends what they saw.
"""

import re
from dataclasses import dataclass

from crypto.canonical import decode_base64, encode_base64
from crypto.errors import DecodeError, ParameterError
from crypto.note import SigningKey, cosignature_time

__all__ = [
    "Checkpoint",
    "cosign",
    "cosignature_time",
    "encode_checkpoint",
    "parse_checkpoint",
    "parse_decimal",
]

HASH_BYTES = 32
MAX_TREE_SIZE = (1 << 63) - 1
_NOT_IN_A_LINE = re.compile(r"[\x00-\x1f\ud800-\udfff]")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: origin (the log's name), leaves, 32-byte root, extension lines (ours: none)."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that every line is one non-empty line, and the ranges."""
        for line in (self.origin, *self.extensions):
            if not line or _NOT_IN_A_LINE.search(line):
                raise DecodeError(
                    "a checkpoint's origin and extensions are non-empty single lines of Unicode"
                )
        if not 0 <= self.size <= MAX_TREE_SIZE:
            raise DecodeError("a checkpoint's size lies outside 0..2^63-1")
        if len(self.root) != HASH_BYTES:
            raise DecodeError(f"a checkpoint's root has {HASH_BYTES} bytes, found {len(self.root)}")


def encode_checkpoint(checkpoint: Checkpoint) -> str:
    """Encode a checkpoint as the text that the log key signs."""
    lines = (checkpoint.origin, str(checkpoint.size), encode_base64(checkpoint.root), *checkpoint.extensions)
    return "".join(line + "\n" for line in lines)


def parse_checkpoint(text: str) -> Checkpoint:
    """Parse a checkpoint's text; the exact inverse of `encode_checkpoint`.

    Raises:
        DecodeError: too few lines, a size with a leading zero, a root that is not 32 bytes of base64.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1]:
        raise DecodeError("a checkpoint has the lines origin, size and root, each ended by a line feed")
    origin, size, root, *extensions = lines[:-1]
    return Checkpoint(origin, parse_decimal(size), decode_base64(root), tuple(extensions))


def parse_decimal(text: str) -> int:
    """Parse a decimal number in 0..2^63-1 without sign or leading zero.

    Raises:
        DecodeError: anything else.
    """
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_TREE_SIZE:
        raise DecodeError("expected a decimal number below 2^63 without sign or leading zero")
    return int(text)


def cosign(text: str, key: SigningKey, timestamp_s: int) -> str:
    """Cosign a checkpoint's text as a witness; returns the signature line without its line feed.

    The caller has verified consistency with the last checkpoint it cosigned and stored this one.

    Raises:
        ParameterError: the text is no checkpoint, the key is no cosigner key, or the time is out of range.
    """
    try:
        parse_checkpoint(text)
    except DecodeError as err:
        raise ParameterError(f"a witness cosigns checkpoints only: {err}") from err
    return key.cosign(text, timestamp_s)
