"""The bytes of one report: header note, masked vector, sealed boxes, in a fixed layout.

    u32be length of the note ‖ note ‖ y (8 bytes little-endian a cell) ‖ box of each auditor in plan order

With a turnout ladder the masked vectors w_1 .. w_L follow y, as long as it, and `vector` is all of them.

For one plan and one node the length never varies, whatever the records are: every part has a
fixed size. Spec: docs/protocol.md "Report payload".
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from protos.errors import PayloadError
from protos.statements import Report

MAX_NOTE_BYTES = 20 * 1024
CELL_BYTES = 8
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class ReportPayload:
    """A report as it travels: the signed header, y (and a ladder's vectors), and the boxes in plan order."""

    note: bytes
    vector: bytes
    boxes: tuple[bytes, ...]


def body_bytes(cells: int, box_bytes: int, num_boxes: int) -> int:
    """Compute the bytes of the vectors and the boxes together, the header's `size`.

    Args:
        cells: field elements of all vectors of a report (`Plan.num_elements`).
        box_bytes: of each box.
        num_boxes: one an auditor.
    """
    return CELL_BYTES * cells + box_bytes * num_boxes


def encode_payload(payload: ReportPayload) -> bytes:
    """Write a payload; the inverse of `parse_payload`."""
    return b"".join([_LENGTH.pack(len(payload.note)), payload.note, payload.vector, *payload.boxes])


def note_of(data: bytes) -> bytes:
    """Take the header note out of a payload, before the round (and so the sizes) is known.

    Raises:
        PayloadError: too short, or the note is longer than any header may be.
    """
    if len(data) < _LENGTH.size:
        raise PayloadError(f"report payload of {len(data)} bytes is too short")
    (note_bytes,) = _LENGTH.unpack_from(data)
    if not 0 < note_bytes <= MAX_NOTE_BYTES or len(data) < _LENGTH.size + note_bytes:
        raise PayloadError(f"report header of {note_bytes} bytes, at most {MAX_NOTE_BYTES}")
    return data[_LENGTH.size : _LENGTH.size + note_bytes]


def parse_payload(data: bytes, cells: int, box_bytes: int, num_boxes: int) -> ReportPayload:
    """Read a payload of a round with `cells` field elements and `num_boxes` boxes of `box_bytes` each.

    Raises:
        PayloadError: the length is not exactly the one that the round asks for.
    """
    note = note_of(data)
    start = _LENGTH.size + len(note)
    expected = start + body_bytes(cells, box_bytes, num_boxes)
    if len(data) != expected:
        raise PayloadError(f"report payload of {len(data)} bytes, this round's have {expected}")
    first_box = start + CELL_BYTES * cells
    boxes = tuple(data[at : at + box_bytes] for at in range(first_box, expected, box_bytes))
    return ReportPayload(note, data[start:first_box], boxes)


def verify_contents(payload: ReportPayload, report: Report, num_vectors: int = 1) -> None:
    """Check that vector and boxes are the ones that the signed header names.

    Args:
        payload: as read.
        report: its header.
        num_vectors: of a report of this round; more than 1 with a turnout ladder.

    Raises:
        PayloadError: a digest or a size differs.
    """
    size_bytes = len(payload.vector) + sum(len(box) for box in payload.boxes)
    if report.size != size_bytes or len(payload.vector) != CELL_BYTES * report.cells * num_vectors:
        raise PayloadError(f"header says {report.size} bytes, the payload has {size_bytes}")
    if hashlib.sha256(payload.vector).digest() != report.vector:
        raise PayloadError("the vector is not the one that the header names")
    if len(payload.boxes) != len(report.boxes):
        raise PayloadError(f"header names {len(report.boxes)} boxes, the payload has {len(payload.boxes)}")
    for box, (auditor, box_digest) in zip(payload.boxes, report.boxes, strict=True):
        if hashlib.sha256(box).digest() != box_digest:
            raise PayloadError(f"the box for {auditor} is not the one that the header names")
