"""The records of a trip file: what each kind carries, and the checks that `protos.convert` makes of messages.

| kind | to | parts | in place of |
| --- | --- | --- | --- |
| `LOG` | auditor | first position, newest checkpoint, cosigned checkpoint; one, the first record | `GetLog` |
| `ENTRY` | auditor | entry, body; in the log's order | `GetLog` |
| `PROPOSAL` | auditor | text, body, signature lines | `ListProposals` |
| `BOX` | auditor | round, report digest, box | `GetBoxes` |
| `VECTOR` | auditor | round, report digest, vector sealed to the trip key | `GetVectors` |
| `SUM` | auditor | round, auditor, subset, sum sealed to the trip key | `GetSums` |
| `TOLD` | auditor | kind and digest of a record that came, code, message | a call's status |
| `COSIGNATURE` | coordinator | tree size, cosignature line | `SubmitCosignature` |
| `ROSTER_LINE` | coordinator | roster digest, signature line | `SignRoster` |
| `STATEMENT` | coordinator | entry, body | `SubmitStatement` |
| `OPENING` | coordinator | entry, sums | `SubmitOpening` |
| `KEY` | coordinator | trip key, signature line: asks for vectors and sums | `GetVectors`' certificate |

A vector is for the auditor alone, and a stick is not a TLS connection: therefore an auditor that wants the
vectors signs a fresh key with its statement key, and they are sealed to it. I/O-free; ADR 25.
"""

from __future__ import annotations

import hashlib
import re
import struct
from base64 import b64encode
from dataclasses import dataclass

from crypto.errors import CryptoError
from crypto.note import SigningKey, VerifierKey, parse_signature_line, verify_signature
from crypto.sealing import BOX_OVERHEAD_BYTES, ROUND_PUBLIC_BYTES
from protos.convert import (
    CELL_BYTES,
    DIGEST_BYTES,
    MAX_BOX_BYTES,
    MAX_CHECKPOINT_BYTES,
    MAX_LINE_BYTES,
    Proposal,
)
from protos.errors import ConvertError
from protos.fields import ID_PATTERN
from protos.statements import MAX_AUDITORS, MAX_BODY_BYTES, MAX_CELLS, MAX_ENTRY_BYTES
from protos.trip_file import Parts

LOG, ENTRY, PROPOSAL, BOX, VECTOR, SUM, TOLD = range(1, 8)
COSIGNATURE, ROSTER_LINE, STATEMENT, OPENING, KEY = range(16, 21)
KIND_NAMES = {
    COSIGNATURE: "cosignature",
    ROSTER_LINE: "roster-line",
    STATEMENT: "statement",
    OPENING: "opening",
    KEY: "trip-key",
}
TAKEN = "taken"
MAX_VECTOR_BYTES = CELL_BYTES * MAX_CELLS
MAX_MESSAGE_CHARS = 2000
_POSITION = struct.Struct(">Q")
_CODE = re.compile(r"[a-z0-9-]{1,40}\Z")
_KEY_LINE = "fedscreen/trip-key/v1"
_SEAL_LINE = "fedscreen/trip-seal/v1"


@dataclass(frozen=True, slots=True)
class LogHead:
    """Where the entries of a trip file begin, and the checkpoints as in `protos.convert.LogPage`."""

    start: int
    latest: bytes
    cosigned: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one record of the answer before.

    Attributes:
        kind: of the record.
        record: its digest (`record_digest`).
        code: ``taken``, or the stable word of a refusal.
        message: in English, for people.
    """

    kind: int
    record: bytes
    code: str
    message: str

    @property
    def is_taken(self) -> bool:
        """Whether the coordinator has it now."""
        return self.code == TAKEN


def record_digest(kind: int, parts: Parts) -> bytes:
    """Name a record by SHA-256 over its kind and parts, each with its length."""
    hashed = hashlib.sha256(bytes((kind,)))
    for part in parts:
        hashed.update(_POSITION.pack(len(part)) + part)
    return hashed.digest()


def log_parts(head: LogHead) -> Parts:
    """Write a `LOG` record."""
    return _POSITION.pack(head.start), head.latest, head.cosigned


def parse_log(parts: Parts) -> LogHead:
    """Read a `LOG` record."""
    start, latest, cosigned = _sized(
        "log", parts, (8, 8), (0, MAX_CHECKPOINT_BYTES), (0, MAX_CHECKPOINT_BYTES)
    )
    return LogHead(_POSITION.unpack(start)[0], latest, cosigned)


def parse_entry_record(parts: Parts) -> tuple[bytes, bytes]:
    """Read an `ENTRY` or a `STATEMENT` record: entry, body."""
    entry, body = _sized("entry", parts, (1, MAX_ENTRY_BYTES), (0, MAX_BODY_BYTES))
    return entry, body


def proposal_parts(proposal: Proposal) -> Parts:
    """Write a `PROPOSAL` record."""
    return proposal.text.encode(), proposal.body, *(line.encode() for line in proposal.signatures)


def parse_proposal_record(parts: Parts) -> Proposal:
    """Read a `PROPOSAL` record."""
    text, body = _sized("proposal", parts[:2], (1, MAX_ENTRY_BYTES), (1, MAX_BODY_BYTES))
    if len(parts) > 2 * MAX_AUDITORS + 3:
        raise ConvertError(f"signatures: {len(parts) - 2}, at most {2 * MAX_AUDITORS + 1}")
    return Proposal(_text(text, "proposal text"), body, tuple(_line(row) for row in parts[2:]))


def parse_box_record(parts: Parts) -> tuple[bytes, bytes, bytes]:
    """Read a `BOX` record: round, report digest, box."""
    round_id, report, box = _sized("box", parts, _EXACT_DIGEST, _EXACT_DIGEST, (1, MAX_BOX_BYTES))
    return round_id, report, box


def parse_vector_record(parts: Parts) -> tuple[bytes, bytes, bytes]:
    """Read a `VECTOR` record: round, report digest, sealed vector."""
    round_id, report, sealed = _sized("vector", parts, _EXACT_DIGEST, _EXACT_DIGEST, _SEALED)
    return round_id, report, sealed


def parse_sum_record(parts: Parts) -> tuple[bytes, str, int, bytes]:
    """Read a `SUM` record: round, auditor, subset, sealed sum."""
    round_id, auditor, subset, sealed = _sized("sum", parts, _EXACT_DIGEST, (1, 63), (1, 1), _SEALED)
    name = _text(auditor, "sum")
    if not ID_PATTERN.match(name) or not 1 <= subset[0] < 2**MAX_AUDITORS:
        raise ConvertError("sum: expected an auditor's id and a subset")
    return round_id, name, subset[0], sealed


def told_parts(told: Told) -> Parts:
    """Write a `TOLD` record; what a terminal might act upon is left out of the message."""
    message = "".join(sign for sign in told.message if sign.isprintable())[:MAX_MESSAGE_CHARS]
    return bytes((told.kind,)), told.record, told.code.encode(), message.encode()


def parse_told(parts: Parts) -> Told:
    """Read a `TOLD` record."""
    kind, record, code, message = _sized(
        "told", parts, (1, 1), _EXACT_DIGEST, (1, 40), (0, 4 * MAX_MESSAGE_CHARS)
    )
    word, text = _text(code, "code"), _text(message, "message")
    if kind[0] not in KIND_NAMES or not _CODE.match(word) or not (text.isprintable() or not text):
        raise ConvertError("told: expected a kind, a code and one line of text")
    return Told(kind[0], record, word, text)


def cosignature_parts(size: int, line: str) -> Parts:
    """Write a `COSIGNATURE` record."""
    return _POSITION.pack(size), line.encode()


def parse_cosignature(parts: Parts) -> tuple[int, str]:
    """Read a `COSIGNATURE` record: tree size, line."""
    size, line = _sized("cosignature", parts, (8, 8), (1, MAX_LINE_BYTES))
    tree_size: int = _POSITION.unpack(size)[0]
    if not 1 <= tree_size < 2**63:
        raise ConvertError("size: expected at least 1")
    return tree_size, _line(line)


def parse_roster_line(parts: Parts) -> tuple[bytes, str]:
    """Read a `ROSTER_LINE` record: roster digest, signature line."""
    digest, line = _sized("roster line", parts, _EXACT_DIGEST, (1, MAX_LINE_BYTES))
    return digest, _line(line)


def parse_opening(parts: Parts) -> tuple[bytes, Parts]:
    """Read an `OPENING` record: entry, sums; exact sizes and digests are checked against the round later."""
    entry, *sums = _sized(
        "opening", parts, (1, MAX_ENTRY_BYTES), *[(CELL_BYTES, MAX_VECTOR_BYTES)] * max(1, len(parts) - 1)
    )
    if any(len(row) % CELL_BYTES for row in sums):
        raise ConvertError(f"sum: expected a multiple of {CELL_BYTES} bytes")
    return entry, tuple(sums)


# --- the trip key ---------------------------------------------------------------------------------


def sign_trip_key(federation: str, auditor: str, public_key: bytes, signer: SigningKey) -> Parts:
    """Sign a trip key with an auditor's statement key; gives the `KEY` record."""
    return public_key, signer.sign(_key_text(federation, auditor, public_key)).encode()


def verify_trip_key(federation: str, auditor: str, parts: Parts, signer: VerifierKey) -> bytes:
    """Check that an auditor has signed a trip key; gives the key.

    Raises:
        ConvertError: malformed, or not signed by the auditor's statement key.
    """
    exact = (ROUND_PUBLIC_BYTES, ROUND_PUBLIC_BYTES)
    public_key, line = _sized("trip key", parts, exact, (1, MAX_LINE_BYTES))
    try:
        text = _key_text(federation, auditor, public_key)
        verify_signature(text, parse_signature_line(_line(line)), signer)
    except CryptoError as err:
        raise ConvertError("trip key: not signed by this auditor's statement key") from err
    return public_key


def seal_info(federation: str, auditor: str, kind: int, parts: Parts) -> bytes:
    """What a sealed vector or sum is bound to: for whom it is, and the other parts of its record."""
    others = " ".join(part.hex() for part in parts)
    return f"{_SEAL_LINE}\n{federation}\n{auditor}\n{kind}\n{others}\n".encode()


def _key_text(federation: str, auditor: str, public_key: bytes) -> str:
    encoded = b64encode(public_key).decode()
    return f"{_KEY_LINE}\nfederation {federation}\nauditor {auditor}\nkey {encoded}\n"


# --- checks ---------------------------------------------------------------------------------------

_EXACT_DIGEST = (DIGEST_BYTES, DIGEST_BYTES)
_SEALED = (BOX_OVERHEAD_BYTES + CELL_BYTES, BOX_OVERHEAD_BYTES + MAX_VECTOR_BYTES)


def _sized(what: str, parts: Parts, *bounds: tuple[int, int]) -> Parts:
    if len(parts) != len(bounds):
        raise ConvertError(f"{what}: {len(parts)} parts, expected {len(bounds)}")
    for part, (low, high) in zip(parts, bounds, strict=True):
        if not low <= len(part) <= high:
            raise ConvertError(f"{what}: a part of {len(part)} bytes, expected {low} to {high}")
    return parts


def _text(value: bytes, what: str) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as err:
        raise ConvertError(f"{what}: expected UTF-8") from err


def _line(value: bytes) -> str:
    line = _text(value, "signature")
    if not 1 <= len(value) <= MAX_LINE_BYTES or "\n" in line:
        raise ConvertError("signature: expected one line")
    return line
