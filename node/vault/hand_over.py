"""Hand-over files of this school: made, received, receipts kept.

Rules:

1. Only the psychologist makes, receives and lists them: the key that opens received files, and that signs, is
   the role's own (`node.vault.roles`).
2. A file is made for one named person's key, after its fingerprint was compared, with the guardian's consent
   or a crisis in words, and fields by kind (`node.vault.hand_over_fields`).
3. The row and the journal's record are durable before the file leaves the vault.
4. Nothing of it goes to the coordinator: no frame carries it, `run` does not know this module; the only way
   out is the answer to the psychologist's own command.
5. A received file is kept as it came, sealed: it opens only with the psychologist's passphrase, each time.
6. One receipt for each file, and a file is received once.

Spec: docs/follow-up.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from crypto.canonical import JsonInput, decode_base64, encode_base64, encode_json, parse_json
from crypto.note import parse_vkey
from node.hand_over_file import (
    ID_BYTES,
    TIME_FORMAT,
    TOKEN_BYTES,
    Body,
    Header,
    Opened,
    Reason,
    make_file,
    open_file,
)
from node.hand_over_key import HandOverError, HandOverKey, KeyPair, check_fingerprint, key_pair
from node.hand_over_receipt import Receipt, make_receipt, parse_receipt, verify_receipt
from node.vault.enrol import Identity
from node.vault.errors import HandOverRefusedError, _
from node.vault.journal import Entropy, Journal, JournalRecord
from node.vault.roles import Unlocked
from node.vault.store import VaultStore

SENT: Final = "sent"
RECEIVED: Final = "received"
MAX_CONSENT_AGE: Final = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class HandOver:
    """One file that was sent or received.

    Attributes:
        hand_over_id: 32 hex digits.
        kind: transfer, referral or consultation.
        created, expires: UTC, as text.
        values: who, why and what fields; what a receipt is checked against.
        receipt: of a sent file, what came back; of a received one, what was given back. None without.
    """

    hand_over_id: str
    kind: str
    created: str
    expires: str
    values: Mapping[str, Any] = field(repr=False)
    receipt: bytes | None = field(repr=False)

    @property
    def is_sent(self) -> bool:
        """Whether this school made it."""
        return bool(self.values.get("direction") == SENT)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a psychologist asks to hand over.

    Attributes:
        kind: transfer, referral or consultation.
        recipient: the key, its fingerprint already compared.
        reason: why it may be.
        days: until it expires.
        rec_key: the pupil.
        fields: what is said of the pupil.
        note: words of the psychologist.
    """

    kind: str
    recipient: HandOverKey
    reason: Reason
    days: int
    rec_key: bytes
    fields: Mapping[str, str] = field(repr=False)
    note: str = field(default="", repr=False)


def own_key(identity: Identity, unlocked: Unlocked) -> KeyPair:
    """Give the school's hand-over key: the psychologist's, under the school's name.

    Raises:
        HandOverRefusedError: the names do not fit into a key.
    """
    try:
        return key_pair(unlocked.secret, identity.operator[:100].strip(), unlocked.name)
    except HandOverError as err:
        raise as_refusal(err) from None


def make(
    store: VaultStore,
    journal: Journal,
    entropy: Entropy,
    now: datetime,
    sender: tuple[Identity, Unlocked],
    asked: Asked,
) -> tuple[HandOver, bytes]:
    """Make a file and note it; returns the note and the file's bytes.

    Raises:
        HandOverRefusedError: the reason or the time do not hold, or it does not fit.
    """
    identity, unlocked = sender
    own = own_key(identity, unlocked)
    made = now.astimezone(UTC).replace(microsecond=0)
    _check_reason(asked.reason, made.date())
    try:
        header = Header(
            entropy(ID_BYTES).hex(), asked.recipient.key_id, made, made + timedelta(days=asked.days)
        )
        body = Body(
            kind=asked.kind,
            sender=own.public,
            node=identity.node,
            by=unlocked.name,
            to=asked.recipient.who,
            reason=asked.reason,
            fields=asked.fields,
            note=asked.note,
            token=entropy(TOKEN_BYTES).hex(),
        )
        data = make_file(header, body, own, asked.recipient)
    except HandOverError as err:
        raise as_refusal(err) from None
    values = _sent_values(asked, body, data)
    row = HandOver(
        header.hand_over_id, asked.kind, _time(header.created), _time(header.expires), values, None
    )
    with store.transaction("hand-over"):
        _insert(store, row)
        journal.append(_journal_record(now, unlocked.name, "hand-over", row))
    return row, data


def receive(
    store: VaultStore,
    journal: Journal,
    now: datetime,
    recipient: tuple[Identity, Unlocked],
    data: bytes,
    sender: str = "",
) -> tuple[HandOver, Opened, bytes]:
    """Open a file that was sent to this school, keep it sealed, and sign its receipt.

    Args:
        sender: the fingerprint that the sender told by another way; empty if nobody did.

    Returns:
        The note of it, its content, and the receipt for the sender.

    Raises:
        HandOverRefusedError: it is not for this school, not of this sender, altered, expired, or was received
            before.
    """
    identity, unlocked = recipient
    own = own_key(identity, unlocked)
    try:
        opened = open_file(data, own, now)
        if sender:
            check_fingerprint(opened.body.sender, sender)
        receipt = make_receipt(opened, own, unlocked.name, now)
    except HandOverError as err:
        raise as_refusal(err) from None
    header, body = opened.header, opened.body
    values: dict[str, JsonInput] = {
        "direction": RECEIVED,
        "from": list(body.sender.who),
        "sender": body.sender.fingerprint,
        "digest": opened.digest.hex(),
        "file": encode_base64(data),
    }
    row = HandOver(
        header.hand_over_id, body.kind, _time(header.created), _time(header.expires), values, receipt
    )
    with store.transaction("hand-over"):
        if find(store, row.hand_over_id) is not None:
            raise HandOverRefusedError(
                _("this file was received before"),
                _("See 'fedscreen node hand-over show ID'; nothing was changed."),
                code="hand-over-received",
            )
        _insert(store, row)
        journal.append(_journal_record(now, unlocked.name, "hand-over-received", row))
    return row, opened, receipt


def reopen(identity: Identity, unlocked: Unlocked, row: HandOver) -> Opened:
    """Open a received file again, from what was kept; its time was checked when it came.

    Raises:
        HandOverRefusedError: it was not received here, or is damaged.
    """
    file = row.values.get("file")
    if row.is_sent or not isinstance(file, str):
        raise HandOverRefusedError(
            _("this file was made here; its content is in the records"),
            _("Only received files can be shown."),
            code="hand-over-sent",
        )
    received = datetime.strptime(row.created, TIME_FORMAT).replace(tzinfo=UTC)
    try:
        return open_file(decode_base64(file), own_key(identity, unlocked), received)
    except HandOverError as err:
        raise as_refusal(err) from None


def take_receipt(
    store: VaultStore, journal: Journal, now: datetime, by: str, data: bytes
) -> tuple[HandOver, Receipt]:
    """Keep the receipt of a file that was made here.

    Raises:
        HandOverRefusedError: it is no receipt, is for no file of this school, was not made by the recipient,
            or the file has one already.
    """
    try:
        said = parse_receipt(data)
        row = find(store, said.hand_over_id)
        if row is None or not row.is_sent:
            raise HandOverRefusedError(
                _("the receipt is for no file of this school"),
                _("Give it to the school that made the file."),
                code="hand-over-unknown",
            )
        verifier = parse_vkey(str(row.values["verifier"]))
        receipt = verify_receipt(data, verifier, str(row.values["digest"]), str(row.values["token"]))
    except HandOverError as err:
        raise as_refusal(err) from None
    with store.transaction("hand-over receipt"):
        kept = find(store, row.hand_over_id)
        if kept is None or kept.receipt is not None:
            raise HandOverRefusedError(
                _("this file has a receipt already"),
                _("One receipt is kept for each file; nothing was changed."),
                code="hand-over-receipt-kept",
            )
        store.execute("UPDATE hand_over SET receipt = ? WHERE hand_over_id = ?", (data, row.hand_over_id))
        journal.append(_journal_record(now, by, "hand-over-receipt", row))
    return row, receipt


def find(store: VaultStore, hand_over_id: str) -> HandOver | None:
    """Find a file by its id."""
    rows = store.query(_SELECT + " WHERE hand_over_id = ?", (hand_over_id,))
    return _read(rows[0]) if rows else None


def list_all(store: VaultStore) -> list[HandOver]:
    """List the files that were sent and received, newest first."""
    return [_read(row) for row in store.query(_SELECT + " ORDER BY created DESC, hand_over_id")]


def find_by_prefix(rows: Iterable[HandOver], prefix: str) -> HandOver:
    """Find the one file whose id begins with some digits.

    Raises:
        HandOverRefusedError: none, or several.
    """
    found = [row for row in rows if len(prefix) >= 4 and row.hand_over_id.startswith(prefix.lower())]
    if len(found) != 1:
        raise HandOverRefusedError(
            _("no hand-over file, or several, begin with these digits"),
            _("See 'fedscreen node hand-over list'; four digits or more that name one."),
            code="which-hand-over",
        )
    return found[0]


def as_refusal(err: HandOverError) -> HandOverRefusedError:
    """Say a file's error as the vault's own refusal."""
    return HandOverRefusedError(err.message, err.advice, code=err.code, details=err.details)


_SELECT: Final = "SELECT hand_over_id, kind, created, expires, data, receipt FROM hand_over"


def _check_reason(reason: Reason, today: date) -> None:
    """Refuse a consent that lies in the future or is older than a year."""
    if reason.day is not None and not timedelta(0) <= today - reason.day <= MAX_CONSENT_AGE:
        raise HandOverRefusedError(
            _("the guardian's consent is of a day in the future, or older than a year"),
            _("Correct the day, or ask the guardian again."),
            code="hand-over-consent",
        )


def _sent_values(asked: Asked, body: Body, data: bytes) -> dict[str, JsonInput]:
    reason = {"kind": asked.reason.kind, "words": asked.reason.words}
    if asked.reason.day is not None:
        reason["day"] = asked.reason.day.isoformat()
    return {
        "direction": SENT,
        "to": list(asked.recipient.who),
        "recipient": asked.recipient.fingerprint,
        "verifier": asked.recipient.verifier.text,
        "pupil": asked.rec_key.hex(),
        "reason": reason,
        "fields": sorted(asked.fields),
        "digest": hashlib.sha256(data).hexdigest(),
        "token": body.token,
    }


def _journal_record(now: datetime, by: str, kind: str, row: HandOver) -> JournalRecord:
    """Say who, to whom, why, until when and which fields; never what they hold."""
    shown = ("direction", "to", "from", "recipient", "sender", "pupil", "fields", "digest")
    data: dict[str, JsonInput] = {name: row.values[name] for name in shown if name in row.values}
    reason = row.values.get("reason")
    if isinstance(reason, Mapping):
        data["reason"] = {name: reason[name] for name in ("kind", "day") if name in reason}
    data |= {"kind": row.kind, "expires": row.expires}
    return JournalRecord(now, by, kind, row.hand_over_id, "ok", data)


def _insert(store: VaultStore, row: HandOver) -> None:
    store.execute(
        "INSERT INTO hand_over (hand_over_id, kind, created, expires, data, receipt)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (row.hand_over_id, row.kind, row.created, row.expires, encode_json(row.values), row.receipt),
    )


def _read(row: tuple[Any, ...]) -> HandOver:
    hand_over_id, kind, created, expires, data, receipt = row
    values = parse_json(bytes(data))
    return HandOver(
        hand_over_id,
        kind,
        created,
        expires,
        values if isinstance(values, dict) else {},
        None if receipt is None else bytes(receipt),
    )


def _time(moment: datetime) -> str:
    return moment.strftime(TIME_FORMAT)
