"""The file that goes on a stick between an auditor without a network and its coordinator, either way.

    fedscreen/trip-file/v1 LF
    for auditor|coordinator LF
    federation <id> LF
    auditor <id> LF
    made <YYYY-MM-DDThh:mm:ssZ> LF
    LF
    for each record: u8 kind ‖ u8 number of parts ‖ for each part u32be length ‖ bytes
    u8 0 ‖ u8 0
    SHA-256 of all that stands before it

What the records mean: ``protos.trip_records``. The digest only tells a copy that was interrupted or
damaged: whoever writes a file writes a fitting one. What is believed is decided by signatures and by
digests in signed statements, exactly as with the answers of gRPC calls. A file may be larger than the
memory: records are found in one pass, which keeps eight bytes of each, and read when they are asked for.

No file is opened here: streams come in as arguments. Spec: docs/air-gapped.md "The files"; ADR 25.
"""

from __future__ import annotations

import hashlib
import re
import struct
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import BinaryIO, Final, Literal

from protos.errors import TripFileError
from protos.fields import ID_PATTERN

FIRST_LINE = "fedscreen/trip-file/v1"
MAX_TRIP_BYTES = 2**32 - 1  # the largest file that a FAT32 stick holds
MAX_RECORD_BYTES = 64 * 2**20  # as a gRPC message (protos.convert.MAX_MESSAGE_BYTES)
MAX_RECORDS = 2_000_000
TO_AUDITOR: Final = "auditor"
TO_COORDINATOR: Final = "coordinator"
Whom = Literal["auditor", "coordinator"]
Parts = tuple[bytes, ...]
Record = tuple[int, Parts]

_END = b"\0\0"
_DIGEST_BYTES = 32
_MAX_HEAD_BYTES = 512
_CHUNK_BYTES = 2**20
_LENGTH = struct.Struct(">I")
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_HEAD = re.compile(
    rb"fedscreen/trip-file/v1\nfor (auditor|coordinator)\nfederation ([^\n]{1,63})\nauditor ([^\n]{1,63})\n"
    rb"made (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)\n\n"
)


@dataclass(frozen=True, slots=True)
class TripHead:
    """Whom a trip file is for and when it was made; nothing of it is signed.

    Attributes:
        whom: ``auditor`` or ``coordinator``.
        federation, auditor: between which auditor and the coordinator of which federation it goes.
        made: the writer's clock, UTC.
    """

    whom: Whom
    federation: str
    auditor: str
    made: datetime


class TripFile:
    """A trip file that was read through once and is whole.

    Args:
        stream: stays open as long as records are read; a seekable file of at most `MAX_TRIP_BYTES`.

    Raises:
        TripFileError: it is no trip file, or not whole.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._places: dict[int, array[int]] = {}
        self._hash = hashlib.sha256()
        stream.seek(0)
        self.head = self._read_head()
        num_records = 0
        while (found := self._scan_record()) is not None:
            kind, place = found
            self._places.setdefault(kind, array("Q")).append(place)
            num_records += 1
            if num_records > MAX_RECORDS:
                raise TripFileError("too-large", f"more than {MAX_RECORDS} records")
        if self._read(_DIGEST_BYTES, is_hashed=False) != self._hash.digest() or stream.read(1):
            raise TripFileError("damaged", "the trip file is not the one that was written")

    @property
    def digest(self) -> bytes:
        """SHA-256 of the file up to its own digest: names this very file."""
        return self._hash.digest()

    def count(self, kind: int) -> int:
        """Tell how many records there are of a kind."""
        return len(self._places.get(kind, ()))

    def kinds(self) -> tuple[int, ...]:
        """List the kinds of its records, ascending."""
        return tuple(sorted(self._places))

    def parts(self, kind: int, start: int = 0, stop: int | None = None) -> Iterator[Parts]:
        """Read the records of a kind in the order of the file, those of a range of their places."""
        for place in self._places.get(kind, array("Q"))[start:stop]:
            self._stream.seek(place)
            yield self._read_record()

    def _read_head(self) -> TripHead:
        data = self._stream.read(_MAX_HEAD_BYTES)
        match = _HEAD.match(data)
        ids = [match[place].decode("ascii", "replace") for place in (2, 3)] if match else [""]
        if match is None or not all(map(ID_PATTERN.match, ids)):
            raise TripFileError("not-a-trip-file", f"expected the first line {FIRST_LINE}")
        try:
            made = datetime.strptime(match[4].decode(), _TIME).replace(tzinfo=UTC)
        except ValueError as err:
            raise TripFileError("not-a-trip-file", "the time in its head is none") from err
        self._stream.seek(match.end())
        self._hash.update(match[0])
        whom: Whom = TO_AUDITOR if match[1] == b"auditor" else TO_COORDINATOR
        return TripHead(whom, ids[0], ids[1], made)

    def _scan_record(self) -> tuple[int, int] | None:
        """Pass over one record; gives its kind and where it begins, None at the end."""
        place = self._stream.tell()
        kind, num_parts = self._read(2)
        if kind == 0:
            if num_parts:
                raise TripFileError("damaged", "a record of no kind")
            return None
        num_bytes = 0
        for _ in range(num_parts):
            left = self._read_length(is_hashed=True)
            num_bytes += left
            if num_bytes > MAX_RECORD_BYTES:
                raise TripFileError("damaged", f"a record of more than {MAX_RECORD_BYTES} bytes")
            while left:
                left -= len(self._read(min(left, _CHUNK_BYTES)))
        return kind, place

    def _read_record(self) -> Parts:
        _kind, num_parts = self._read(2, is_hashed=False)
        return tuple(
            self._read(self._read_length(is_hashed=False), is_hashed=False) for _ in range(num_parts)
        )

    def _read_length(self, *, is_hashed: bool) -> int:
        length: int = _LENGTH.unpack(self._read(_LENGTH.size, is_hashed=is_hashed))[0]
        if length > MAX_RECORD_BYTES:  # also where the file was exchanged after it was read through
            raise TripFileError("damaged", f"a part of {length} bytes, at most {MAX_RECORD_BYTES}")
        return length

    def _read(self, size: int, *, is_hashed: bool = True) -> bytes:
        data = self._stream.read(size)
        if len(data) != size:
            raise TripFileError("cut-off", "the trip file was not copied completely")
        if is_hashed:
            self._hash.update(data)
        return data


def write_trip(stream: BinaryIO, head: TripHead, records: Iterable[Record]) -> int:
    """Write a trip file to a stream; gives its size in bytes.

    Raises:
        TripFileError: ``too-large``; what was written so far is no trip file.
    """
    hashed, num_bytes = hashlib.sha256(), 0
    for piece in _pieces(head, records):
        hashed.update(piece)
        stream.write(piece)
        num_bytes += len(piece)
        if num_bytes > MAX_TRIP_BYTES - _DIGEST_BYTES:
            raise TripFileError("too-large", f"more than {MAX_TRIP_BYTES} bytes")
    stream.write(hashed.digest())
    return num_bytes + _DIGEST_BYTES


def _pieces(head: TripHead, records: Iterable[Record]) -> Iterator[bytes]:
    lines = (FIRST_LINE, f"for {head.whom}", f"federation {head.federation}", f"auditor {head.auditor}")
    yield ("\n".join([*lines, f"made {head.made.astimezone(UTC):{_TIME}}"]) + "\n\n").encode("ascii")
    for kind, parts in records:
        yield bytes((kind, len(parts)))
        for part in parts:
            yield _LENGTH.pack(len(part)) + part
    yield _END
