"""The journal: everything that left, and everything needed to make it again.

Rules:

1. Append-only. Record n carries the digest of record n-1; triggers refuse changes.
2. Each record is sealed with XChaCha20-Poly1305 under the journal's own key and a random 24-byte
   nonce (a counter would repeat after a restored backup). The position and the previous digest are
   authenticated with it.
3. A record is written in the same transaction as what it describes: no journal, no send.
4. The chain's head never leaves: its random nonces would be a field that could be ground. A report
   names this node's previous *report* instead.

5. Retention may cut the chain (`cut`): what lies before a position is deleted, the last digest of that part
   is kept in ``journal_cut``, and a record of the chain itself attests both. `verify` starts there.

A record has the fields that MLPS level 3 asks for: time, subject, object, type, result; and `data`
for what a replay needs. Spec: docs/protocol.md "Node: from table to report".
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError as SodiumError

from crypto.canonical import JsonInput, encode_json, encode_parts, parse_json
from crypto.errors import CryptoError
from node.vault.errors import JournalError, _
from node.vault.store import VaultStore

KEY_BYTES = 32
NONCE_BYTES = 24
START = bytes(32)
CUT_KIND = "journal-cut"
SELECT = "SELECT seq, previous, nonce, sealed, digest FROM journal"
DOMAIN = "fedscreen/journal/v1"
TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"

Entropy = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class JournalRecord:
    """One record of the journal.

    Attributes:
        time: when, UTC, whole seconds.
        subject: who: a person's name as given with ``--by``, or ``vault``.
        kind: what was done, e.g. ``report``.
        target: to what, e.g. a round id in hex.
        result: ``ok`` or an error's code.
        data: what a later replay needs; may hold exact counts, so it never leaves.
    """

    time: datetime
    subject: str
    kind: str
    target: str
    result: str
    data: JsonInput = field(repr=False)


class Journal:
    """The chain in one record file.

    Args:
        store: the open record file.
        key: 32 bytes, the journal's own key.
        entropy: returns that many random bytes; used for nonces.
    """

    def __init__(self, store: VaultStore, key: bytes, entropy: Entropy) -> None:
        if len(key) != KEY_BYTES:
            raise JournalError(_("the journal's key has the wrong length"))
        self._store = store
        self._key = key
        self._entropy = entropy

    def append(self, record: JournalRecord) -> int:
        """Seal and append a record, inside the caller's transaction; returns its position."""
        seq, previous = self._head()
        nonce = self._entropy(NONCE_BYTES)
        if len(nonce) != NONCE_BYTES:
            raise JournalError(_("the entropy source gave too few bytes"))
        plaintext = encode_json(_values(record))
        sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(
            plaintext, _associated(seq, previous), nonce, self._key
        )
        self._store.execute(
            "INSERT INTO journal (seq, previous, nonce, sealed, digest) VALUES (?, ?, ?, ?, ?)",
            (seq, previous, nonce, sealed, _digest(seq, previous, nonce, sealed)),
        )
        return seq

    def read(self, seq: int) -> JournalRecord:
        """Open one record.

        Raises:
            JournalError: there is none, or it does not decrypt.
        """
        row = self._store.one(
            "SELECT seq, previous, nonce, sealed, digest FROM journal WHERE seq = ?", (seq,)
        )
        if row is None and seq < self.first:
            raise JournalError(
                _("the journal's record %(seq)d was deleted when its time of keeping was over"),
                _("See 'fedscreen node retention'."),
                code="records-gone",
                details={"seq": seq},
            )
        if row is None:
            raise JournalError(
                _("the journal has no record %(seq)d"),
                _("Restore the newest backup of the record file."),
                details={"seq": seq},
            )
        return self._open(row)

    def verify(self) -> Iterator[JournalRecord]:
        """Walk the whole chain from `first`, checking every link and opening every record.

        Raises:
            JournalError: a record is missing, out of order, changed, or does not decrypt; or the chain does
                not attest where it was cut.
        """
        first, previous = self._cut()
        attested, is_attested = _cut_values(first, previous), first == 0
        rows = self._store.query(SELECT + " ORDER BY seq")
        for expected_seq, row in enumerate(rows, first):
            if row[0] != expected_seq or bytes(row[1]) != previous:
                raise _broken(expected_seq)
            record = self._open(row)
            previous = bytes(row[4])
            is_attested = is_attested or (record.kind == CUT_KIND and record.data == attested)
            yield record
        if not is_attested:
            raise _broken(first)

    @property
    def first(self) -> int:
        """The position of the oldest record that is kept; 0 unless retention has cut the chain."""
        return self._cut()[0]

    def cut(self, first: int, now: datetime, subject: str) -> int:
        """Delete every record before `first`, inside the caller's transaction; returns how many.

        Raises:
            JournalError: there is no record `first` to begin with.
        """
        start, _previous = self._cut()
        if first <= start:
            return 0
        row = self._store.one("SELECT previous FROM journal WHERE seq = ?", (first,))
        if row is None:
            raise _broken(first)
        previous = bytes(row[0])
        values = _cut_values(first, previous)
        self.append(JournalRecord(now, subject, CUT_KIND, str(first), "ok", values))
        self._store.execute(
            "INSERT INTO journal_cut (id, first, previous) VALUES (1, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET first = excluded.first, previous = excluded.previous",
            (first, previous),
        )
        self._store.execute("DELETE FROM journal WHERE seq < ?", (first,))
        return first - start

    def _cut(self) -> tuple[int, bytes]:
        row = self._store.one("SELECT first, previous FROM journal_cut WHERE id = 1")
        return (0, START) if row is None else (int(row[0]), bytes(row[1]))

    def _head(self) -> tuple[int, bytes]:
        row = self._store.one("SELECT seq, digest FROM journal ORDER BY seq DESC LIMIT 1")
        return (0, START) if row is None else (int(row[0]) + 1, bytes(row[1]))

    def _open(self, row: tuple[int, bytes, bytes, bytes, bytes]) -> JournalRecord:
        seq, previous, nonce, sealed, digest = row
        if _digest(seq, previous, nonce, sealed) != digest:
            raise _broken(seq)
        try:
            plaintext = crypto_aead_xchacha20poly1305_ietf_decrypt(
                sealed, _associated(seq, previous), nonce, self._key
            )
            return _parse(plaintext)
        except (SodiumError, CryptoError, KeyError, TypeError, ValueError):
            raise _broken(seq) from None


def _cut_values(first: int, previous: bytes) -> dict[str, JsonInput]:
    return {"first": first, "previous": previous.hex()}


def _associated(seq: int, previous: bytes) -> bytes:
    return encode_parts(DOMAIN, seq, previous)


def _digest(seq: int, previous: bytes, nonce: bytes, sealed: bytes) -> bytes:
    return hashlib.sha256(encode_parts(DOMAIN, seq, previous, nonce, sealed)).digest()


def _values(record: JournalRecord) -> JsonInput:
    return {
        "data": record.data,
        "kind": record.kind,
        "result": record.result,
        "subject": record.subject,
        "target": record.target,
        "time": record.time.astimezone(UTC).strftime(TIME_FORMAT),
    }


def _parse(plaintext: bytes) -> JournalRecord:
    values = parse_json(plaintext)
    if not isinstance(values, dict):
        raise TypeError("a journal record is an object")
    texts = {name: values[name] for name in ("kind", "result", "subject", "target", "time")}
    if any(not isinstance(value, str) for value in texts.values()):
        raise TypeError("a journal record's fields are text")
    return JournalRecord(
        time=datetime.strptime(str(texts["time"]), TIME_FORMAT).replace(tzinfo=UTC),
        subject=str(texts["subject"]),
        kind=str(texts["kind"]),
        target=str(texts["target"]),
        result=str(texts["result"]),
        data=values["data"],
    )


def _broken(seq: int) -> JournalError:
    return JournalError(
        _("the journal is broken at record %(seq)d"),
        _("Stop using this node, keep the file for the inspectors, and restore the newest backup."),
        details={"seq": seq},
    )
