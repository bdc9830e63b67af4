"""The log as one file: what a node without a network gets on a stick instead of `GetLog`'s pages.

    fedscreen/log-file/v1 LF
    federation <id> LF
    start <position of the first entry> LF
    entries <number> LF
    bytes <of everything between the empty line and the digest> LF
    LF
    for each entry: u32be length ‖ entry ‖ u32be length ‖ body
    u32be length ‖ checkpoint with a quorum of cosignatures, at the size start + entries
    SHA-256 of all that stands before it

The digest only tells a copy that was interrupted or damaged; whoever writes a file writes a fitting one.
What is believed is decided by signatures, where the entries are read (``protos.ledger``, the node's copy
of the log). Everything in the file is public. Spec: docs/log.md "The log as one file".
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from protos.errors import LogFileError
from protos.fields import ID_PATTERN
from protos.statements import MAX_BODY_BYTES, MAX_ENTRY_BYTES

FIRST_LINE = "fedscreen/log-file/v1"
MAX_LOG_FILE_BYTES = 120 * 1024 * 1024
MAX_CHECKPOINT_BYTES = 64 * 1024
_DIGEST_BYTES = 32
_MAX_HEAD_BYTES = 256
_LENGTH = struct.Struct(">I")
_HEAD = re.compile(
    rb"fedscreen/log-file/v1\nfederation ([^\n]{1,63})\nstart (0|[1-9][0-9]{0,14})\n"
    rb"entries (0|[1-9][0-9]{0,9})\nbytes ([1-9][0-9]{0,14})\n\n"
)


@dataclass(frozen=True, slots=True)
class LogFile:
    """A piece of the log, carried by hand: (entry, body) pairs from `start` on, and a cosigned checkpoint."""

    federation: str
    start: int
    entries: tuple[tuple[bytes, bytes], ...]
    cosigned: bytes

    @property
    def size(self) -> int:
        """The log's size after the last entry; the checkpoint is of this size."""
        return self.start + len(self.entries)


def encode_log_file(file: LogFile) -> bytes:
    """Write a log file; the inverse of `parse_log_file`."""
    blobs = [blob for pair in file.entries for blob in pair] + [file.cosigned]
    content = b"".join(_LENGTH.pack(len(blob)) + blob for blob in blobs)
    head = (
        f"{FIRST_LINE}\nfederation {file.federation}\nstart {file.start}\n"
        f"entries {len(file.entries)}\nbytes {len(content)}\n\n"
    )
    data = head.encode("ascii") + content
    return data + hashlib.sha256(data).digest()


def parse_log_file(data: bytes) -> LogFile:
    """Read a log file. Nothing in it is verified but that it is whole.

    Raises:
        LogFileError: ``not-a-log-file``, ``cut-off`` or ``damaged``.
    """
    head = _HEAD.match(data[:_MAX_HEAD_BYTES])
    if head is None or not ID_PATTERN.match(head[1].decode("ascii", "replace")):
        raise LogFileError("not-a-log-file", f"expected the first line {FIRST_LINE}")
    start, num_entries, num_bytes = (int(head[place]) for place in (2, 3, 4))
    expected = head.end() + num_bytes + _DIGEST_BYTES
    if len(data) < expected:
        raise LogFileError("cut-off", f"log file of {len(data)} bytes, it had {expected}")
    view = memoryview(data)
    if len(data) != expected or hashlib.sha256(view[:-_DIGEST_BYTES]).digest() != data[-_DIGEST_BYTES:]:
        raise LogFileError("damaged", "the log file is not the one that was written")
    blobs = list(_blobs(data, head.end(), expected - _DIGEST_BYTES))
    if len(blobs) != 2 * num_entries + 1 or len(blobs[-1]) > MAX_CHECKPOINT_BYTES:
        raise LogFileError("damaged", "the log file's parts do not add up")
    pairs = tuple(zip(blobs[0:-1:2], blobs[1:-1:2], strict=True))
    if any(not 0 < len(entry) <= MAX_ENTRY_BYTES or len(body) > MAX_BODY_BYTES for entry, body in pairs):
        raise LogFileError("damaged", "an entry of the log file is too long or empty")
    return LogFile(head[1].decode("ascii"), start, pairs, blobs[-1])


def _blobs(data: bytes, at: int, end: int) -> Iterator[bytes]:
    while at < end:
        size = _LENGTH.unpack_from(data, at)[0] if at + _LENGTH.size <= end else end
        at += _LENGTH.size + size
        if at > end:
            raise LogFileError("damaged", "the log file's parts do not add up")
        yield data[at - size : at]
