"""Signed log entries as this auditor makes, keeps and re-sends them.

What a once-only slot holds: u32be length of the entry ‖ entry ‖ body, the final bytes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from auditor.errors import StateError
from auditor.state import SlotKind, State
from crypto.errors import CryptoError
from crypto.note import Note, SigningKey, encode_note, parse_note, parse_signature_line
from plan.errors import phrase
from protos.errors import ProtocolError
from protos.statements import Statement, digest, encode_statement, parse_statement

_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class SignedEntry:
    """A log entry signed by this auditor: the note and the statement's body (empty where it has none)."""

    entry: bytes
    body: bytes

    @property
    def text(self) -> str:
        """The statement's text."""
        return parse_note(self.entry).text

    @property
    def digest(self) -> bytes:
        """The statement's digest."""
        return digest(self.text)

    @property
    def statement(self) -> Statement:
        """The statement."""
        return parse_statement(self.text)


def sign_entry(statement: Statement, key: SigningKey, body: bytes = b"") -> SignedEntry:
    """Sign a statement; the signature is deterministic (Ed25519)."""
    text = encode_statement(statement)
    line = parse_signature_line(key.sign(text))
    return SignedEntry(encode_note(Note(text, (line,))), body)


def stored_entry(state: State, kind: SlotKind, round_id: bytes) -> SignedEntry | None:
    """Read what this auditor has signed of one kind for a round, None if nothing.

    Raises:
        StateError: the slot is damaged or of another instance.
    """
    data = state.slot(kind, round_id)
    if data is None:
        return None
    try:
        (entry_bytes,) = _LENGTH.unpack_from(data)
        signed = SignedEntry(data[4 : 4 + entry_bytes], data[4 + entry_bytes :])
        parse_statement(signed.text)
    except (struct.error, CryptoError, ProtocolError) as err:
        raise StateError(
            phrase(
                "the %(kind)s stored for round %(round_id)s is no log entry",
                kind=kind.value,
                round_id=round_id.hex()[:16],
            )
        ) from err
    return signed


def store_entry(state: State, kind: SlotKind, round_id: bytes, signed: SignedEntry) -> SignedEntry:
    """Fill a once-only slot with an entry; only what this returns may be sent.

    Raises:
        SlotTakenError: another entry was signed before.
    """
    state.fill_slot(kind, round_id, _LENGTH.pack(len(signed.entry)) + signed.entry + signed.body)
    return signed
