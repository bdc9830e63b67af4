"""The fixed frames on the pipes between the two sides of the wall.

A frame is magic (4) ‖ kind (1) ‖ u32be length ‖ payload. Who may send what:

| from → to | kinds |
| --- | --- |
| vault → outside, `run` | READY, REPORT |
| vault → outside, `command` | READY, RESPONSE |
| supervisor → vault | KEY |
| egress → (supervisor →) vault | LOG, RECEIPT |
| egress → supervisor | LINK (kept for `status`, never passed on) |
| supervisor → egress | START, and the vault's REPORT |
| command → vault | KEY, COMMAND, DATA, END |

Rules:

1. Every kind has a smallest and a largest length; READY, KEY, LINK, START and END have exactly one.
2. A reader names the kinds that it takes; any other kind, length or magic ends the connection.
3. REPORT has one length per plan: the header in front of the vector says which round it is for and
   how long the rest is, and whoever passes it on refuses a second length for the same round.
4. ENROL is reserved for enrolment online; nothing takes it yet.

This module is shared by both sides, so it imports nothing but the standard library.
Spec: docs/protocol.md "Frames".
"""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from node.errors import FrameError, _

MAGIC = b"FSF1"
HEADER = struct.Struct(">4sBI")
KEY_BYTES = 32
READY_BYTES = 16
LINK_BYTES = 34
KIB = 1024
MIB = 1024 * KIB
CHUNK_BYTES = MIB
MAX_ENTRIES = 4096
MAX_NAME_BYTES = 64
MAX_NOTE_BYTES = 20 * KIB


class Kind(IntEnum):
    """What a frame is."""

    READY = 1
    REPORT = 2
    ENROL = 3
    RESPONSE = 4
    KEY = 16
    LOG = 18
    RECEIPT = 19
    COMMAND = 20
    DATA = 21
    END = 22
    LINK = 23
    START = 24


LIMITS: dict[Kind, tuple[int, int]] = {
    Kind.READY: (READY_BYTES, READY_BYTES),
    Kind.REPORT: (64, 8 * MIB),
    Kind.RESPONSE: (4, 64 * MIB),
    Kind.KEY: (KEY_BYTES, KEY_BYTES),
    Kind.LOG: (20, 32 * MIB),
    Kind.RECEIPT: (1, 256 * KIB),
    Kind.COMMAND: (2, MIB),
    Kind.DATA: (1, CHUNK_BYTES + 1 + MAX_NAME_BYTES),
    Kind.END: (0, 0),
    Kind.LINK: (LINK_BYTES, LINK_BYTES),
    Kind.START: (0, 0),
}

RUN_VAULT_SENDS = frozenset({Kind.READY, Kind.REPORT})
COMMAND_VAULT_SENDS = frozenset({Kind.READY, Kind.RESPONSE})
EGRESS_SENDS = frozenset({Kind.READY, Kind.LOG, Kind.RECEIPT, Kind.LINK})
RUN_VAULT_TAKES = frozenset({Kind.KEY, Kind.LOG, Kind.RECEIPT})
COMMAND_VAULT_TAKES = frozenset({Kind.KEY, Kind.COMMAND, Kind.DATA, Kind.END})
EGRESS_TAKES = frozenset({Kind.START, Kind.REPORT})


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; the payload is never shown."""

    kind: Kind
    payload: bytes = field(repr=False)


def encode_frame(kind: Kind, payload: bytes = b"") -> bytes:
    """Write a frame.

    Raises:
        FrameError: the kind is reserved, or the payload is shorter or longer than the kind allows.
    """
    _check_length(kind, len(payload))
    return HEADER.pack(MAGIC, kind, len(payload)) + payload


def parse_header(data: bytes, allowed: Collection[Kind]) -> tuple[Kind, int]:
    """Read the nine bytes in front of a payload: kind and length.

    Raises:
        FrameError: wrong magic, a kind that may not come this way, or a length out of bounds.
    """
    magic, number, length = HEADER.unpack(data)
    if magic != MAGIC:
        raise FrameError(_("the pipe does not carry frames of this version"))
    if number not in {int(kind) for kind in allowed}:
        raise FrameError(_("a frame of kind %(found)d may not come this way"), details={"found": number})
    kind = Kind(number)
    _check_length(kind, length)
    return kind, length


def _check_length(kind: Kind, length: int) -> None:
    if kind not in LIMITS:
        raise FrameError(_("frames of kind %(kind)s are reserved"), details={"kind": kind.name})
    low, high = LIMITS[kind]
    if not low <= length <= high:
        raise FrameError(
            _("a frame of kind %(kind)s has %(found)d bytes, allowed are %(low)d to %(high)d"),
            details={"kind": kind.name, "found": length, "low": low, "high": high},
        )


def read_frame(fd: int, allowed: Collection[Kind]) -> Frame | None:
    """Read one frame from a blocking descriptor; None when the other side closed between two frames.

    Raises:
        FrameError: malformed, not allowed here, or cut off in the middle.
    """
    head = _read_exactly(fd, HEADER.size)
    if not head:
        return None
    if len(head) < HEADER.size:
        raise FrameError(_("the pipe closed in the middle of a frame"))
    kind, length = parse_header(head, allowed)
    payload = _read_exactly(fd, length)
    if len(payload) != length:
        raise FrameError(_("the pipe closed in the middle of a frame"))
    return Frame(kind, payload)


def write_frame(fd: int, kind: Kind, payload: bytes = b"") -> None:
    """Write one frame to a blocking descriptor, whole.

    Raises:
        FrameError: the payload has a length that the kind does not allow.
        BrokenPipeError: nobody reads any more.
    """
    view = memoryview(encode_frame(kind, payload))
    while view:
        view = view[os.write(fd, view) :]


def _read_exactly(fd: int, size: int) -> bytes:
    parts = []
    while size > 0:
        part = os.read(fd, min(size, MIB))
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


# ---------------------------------------------------------------- LOG: a page of the log


@dataclass(frozen=True, slots=True)
class LogPage:
    """Consecutive log entries with their bodies, and the newest checkpoints. Untrusted bytes.

    `latest` is log-signed; `cosigned` is the newest with a quorum of cosignatures. Both may be empty.
    """

    start: int
    entries: tuple[tuple[bytes, bytes], ...]
    latest: bytes
    cosigned: bytes


def encode_log(page: LogPage) -> bytes:
    """Write the payload of a LOG frame; the inverse of `parse_log`."""
    parts = [struct.pack(">QI", page.start, len(page.entries))]
    blobs = [blob for pair in page.entries for blob in pair] + [page.latest, page.cosigned]
    for blob in blobs:
        parts += [struct.pack(">I", len(blob)), blob]
    return b"".join(parts)


def parse_log(payload: bytes) -> LogPage:
    """Read the payload of a LOG frame.

    Raises:
        FrameError: cut off, too long, or more entries than one page may have.
    """
    if len(payload) < 12:
        raise FrameError(_("a page of the log is cut off"))
    start, count = struct.unpack_from(">QI", payload)
    if count > MAX_ENTRIES or start > 2**48:
        raise FrameError(_("a page of the log has %(found)d entries"), details={"found": count})
    blobs, at = [], 12
    for _index in range(2 * count + 2):
        if at + 4 > len(payload):
            raise FrameError(_("a page of the log is cut off"))
        (size,) = struct.unpack_from(">I", payload, at)
        at += 4 + size
        if at > len(payload):
            raise FrameError(_("a page of the log is cut off"))
        blobs.append(payload[at - size : at])
    if at != len(payload):
        raise FrameError(_("a page of the log has bytes after its end"))
    pairs = tuple(zip(blobs[0 : 2 * count : 2], blobs[1 : 2 * count : 2], strict=True))
    return LogPage(start, pairs, blobs[-2], blobs[-1])


# ---------------------------------------------------------------- REPORT: which round, how long

_REPORT_LINE = b"fedscreen/report/v1"
_ROUND = re.compile(rb"[0-9a-f]{64}")
_NUMBER = re.compile(rb"0|[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class ReportShape:
    """What may be told from a report without its records: the round's id (hex) and the payload's bytes."""

    round_id: str
    size_bytes: int


def report_shape(payload: bytes) -> ReportShape:
    """Check that a REPORT payload is laid out as its own header says.

    Neither the signature nor the content is checked: that is the coordinator's and the auditors'
    business. What is checked is that nothing rides along: the payload is exactly the header, one
    vector of the stated number of cells and the boxes of the stated total size.

    Raises:
        FrameError: another layout.
    """
    if len(payload) < 4:
        raise FrameError(_("a report is cut off"))
    (note_bytes,) = struct.unpack_from(">I", payload)
    note = payload[4 : 4 + note_bytes]
    if not 0 < note_bytes <= MAX_NOTE_BYTES or len(note) != note_bytes:
        raise FrameError(_("a report's header has an impossible length"))
    first, *rest = note.split(b"\n\n", 1)[0].split(b"\n")
    lines = [line.split(b" ", 1) for line in rest]
    values = {line[0]: line[1] for line in lines if len(line) == 2}
    round_id, cells, size = (values.get(name, b"") for name in (b"round", b"cells", b"size"))
    is_header = first == _REPORT_LINE and _ROUND.fullmatch(round_id) is not None
    if not is_header or not _NUMBER.fullmatch(cells) or not _NUMBER.fullmatch(size):
        raise FrameError(_("a report does not begin with a report's header"))
    if int(size) < 8 * int(cells) or len(payload) != 4 + note_bytes + int(size):
        raise FrameError(
            _("a report has %(found)d bytes, its header says %(expected)d"),
            details={"found": len(payload), "expected": 4 + note_bytes + int(size)},
        )
    return ReportShape(round_id.decode("ascii"), len(payload))


class ReportSizes:
    """Remembers the one payload size of each round and refuses another."""

    MAX_ROUNDS = 1024

    def __init__(self) -> None:
        self._sizes: dict[str, int] = {}

    def verify(self, payload: bytes) -> ReportShape:
        """Check a REPORT payload and its size against the earlier ones of the same round.

        Raises:
            FrameError: another layout, another size, or more rounds than a node ever has.
        """
        shape = report_shape(payload)
        if len(self._sizes) >= self.MAX_ROUNDS and shape.round_id not in self._sizes:
            raise FrameError(_("reports for more than %(high)d rounds"), details={"high": self.MAX_ROUNDS})
        expected = self._sizes.setdefault(shape.round_id, shape.size_bytes)
        if expected != shape.size_bytes:
            raise FrameError(
                _("a report has %(found)d bytes, the earlier one of its round had %(expected)d"),
                details={"found": shape.size_bytes, "expected": expected},
            )
        return shape


# ---------------------------------------------------------------- LINK: how the egress is doing


@dataclass(frozen=True, slots=True)
class LinkState:
    """What the egress says of its last call: which call, the gRPC status code, which report (or zeros)."""

    call: str
    status: int
    digest: bytes

    CALLS = ("log", "report")


def encode_link(state: LinkState) -> bytes:
    """Write the payload of a LINK frame; the inverse of `parse_link`."""
    return bytes([LinkState.CALLS.index(state.call), state.status]) + state.digest


def parse_link(payload: bytes) -> LinkState:
    """Read the payload of a LINK frame.

    Raises:
        FrameError: not 34 bytes, an unknown call or no gRPC status code.
    """
    if len(payload) != LINK_BYTES or payload[0] >= len(LinkState.CALLS) or payload[1] > 16:
        raise FrameError(_("the link's state is malformed"))
    return LinkState(LinkState.CALLS[payload[0]], payload[1], payload[2:])


# ---------------------------------------------------------------- COMMAND, DATA, RESPONSE


_SURROGATE = re.compile(
    rb"(?<!\\)(?:\\\\)*\\u[dD][89a-fA-F]"
)  # `encode_object` writes none; alone it cannot be printed


def encode_object(value: Mapping[str, Any]) -> bytes:
    """Write a JSON object, compact and in UTF-8; the payload of a COMMAND frame."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")


def parse_object(payload: bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        FrameError: not an object, or not JSON in UTF-8.
    """
    try:
        value = json.loads(payload.decode("utf-8"))
    except (ValueError, RecursionError) as err:
        raise FrameError(_("a frame does not hold JSON in UTF-8")) from err
    if _SURROGATE.search(payload):
        raise FrameError(_("a frame does not hold JSON in UTF-8"))
    if not isinstance(value, dict):
        raise FrameError(_("a frame does not hold a JSON object"))
    return value


def encode_data(name: str, chunk: bytes) -> bytes:
    """Write the payload of a DATA frame: name length (1) ‖ name ‖ bytes of that file."""
    word = name.encode("utf-8")
    if not 0 < len(word) <= MAX_NAME_BYTES:
        raise FrameError(_("a file's role has %(found)d bytes"), details={"found": len(word)})
    return bytes([len(word)]) + word + chunk


def parse_data(payload: bytes) -> tuple[str, bytes]:
    """Read the payload of a DATA frame.

    Raises:
        FrameError: no name, or one that is cut off or not UTF-8.
    """
    size = payload[0] if payload else 0
    if not 0 < size <= MAX_NAME_BYTES or len(payload) < 1 + size:
        raise FrameError(_("a file's role is cut off"))
    try:
        return payload[1 : 1 + size].decode("utf-8"), payload[1 + size :]
    except UnicodeDecodeError as err:
        raise FrameError(_("a file's role is not UTF-8")) from err


def encode_response(header: Mapping[str, Any], blobs: Mapping[str, bytes]) -> bytes:
    """Write the payload of a RESPONSE frame: u32be header length ‖ JSON header ‖ blobs.

    The header gets the key ``blobs``: name and size of each, in order.
    """
    head = encode_object({**header, "blobs": [[name, len(blob)] for name, blob in blobs.items()]})
    return b"".join([struct.pack(">I", len(head)), head, *blobs.values()])


def parse_response(payload: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Read the payload of a RESPONSE frame: the header without ``blobs``, and the blobs by name.

    Raises:
        FrameError: malformed, or the sizes do not add up.
    """
    if len(payload) < 4:
        raise FrameError(_("an answer is cut off"))
    (size,) = struct.unpack_from(">I", payload)
    header = parse_object(payload[4 : 4 + size])
    rows = header.pop("blobs", None)
    if not isinstance(rows, list):
        raise FrameError(_("an answer's list of files is malformed"))
    blobs: dict[str, bytes] = {}
    at = 4 + size
    for row in rows:
        name, length = _blob_row(row)
        blobs[name] = payload[at : at + length]
        at += length
    if at != len(payload) or len(blobs) != len(rows):
        raise FrameError(_("an answer's files do not add up"))
    return header, blobs


def _blob_row(row: Sequence[Any]) -> tuple[str, int]:
    if not isinstance(row, list) or len(row) != 2:
        raise FrameError(_("an answer's list of files is malformed"))
    name, length = row
    if not isinstance(name, str) or type(length) is not int or length < 0:
        raise FrameError(_("an answer's list of files is malformed"))
    return name, length
