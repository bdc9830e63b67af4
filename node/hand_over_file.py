"""Sealed hand-over files: one pupil, to one named person, in one file that nobody else can open.

A file is ``fedscreen/hand-over/v1`` and a line feed, then E(header, box):

- the header is canonical JSON with nothing of the pupil: the file's id, whose key it is sealed to, when it
  was made and until when it may be opened;
- the box is HPKE (`crypto.sealing`: ML-KEM-768 with X25519) to the recipient's key, bound to the header; in
  it E(body, signature line, zeros), so that all files have one length.

The body says everything else: kind, sender, recipient, reason, fields, note, and a token that the receipt
repeats. HPKE alone would let anybody who has the public key write such a file, so the sender signs.

A receipt is a signed note by the recipient's key over the file's id, its digest and the token from inside the
box: whoever signed it has opened it.

What no file can do: keep a recipient from reading on after it expired, or from passing on what was read. An
expired file is refused by this program; the date is a rule, not a lock.

Pure: bytes in, bytes out; the time comes as an argument. Spec: docs/follow-up.md.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

from crypto.canonical import JsonValue, encode_json, encode_parts, parse_json
from crypto.errors import CryptoError
from crypto.note import parse_signature_line, verify_signature
from crypto.sealing import BOX_OVERHEAD_BYTES, open_box, seal
from node.errors import _
from node.hand_over_key import HandOverError, HandOverKey, KeyPair, parse_key

FORMAT: Final = "fedscreen/hand-over/v1"
MAGIC: Final = FORMAT.encode("ascii") + b"\n"
KINDS: Final = ("transfer", "referral", "consultation")
REASONS: Final = ("consent", "crisis")
PLAIN_BYTES: Final = 16 * 1024
MAX_NOTE: Final = 2000
MAX_WORDS: Final = 300
MIN_CRISIS_WORDS: Final = 6
MAX_VALUE: Final = 200
MAX_FIELDS: Final = 40
MAX_DAYS: Final = 90
TOKEN_BYTES: Final = 32
ID_BYTES: Final = 16
TIME_FORMAT: Final = "%Y-%m-%dT%H:%M:%SZ"
WIDE_SPACE: Final = "\u3000"  # no printable character to Python, and in every Chinese text
CLOCK_SLACK: Final = timedelta(days=1)

_HEX_ID = re.compile(r"[0-9a-f]{32}\Z", re.ASCII)
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)
_FIELD = re.compile(r"[a-z][a-z0-9_]{0,31}\Z", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z", re.ASCII)
_HEADER_KEYS: Final = ("created", "expires", "format", "id", "recipient")
_BODY_KEYS: Final = ("by", "fields", "format", "kind", "node", "note", "reason", "sender", "to", "token")


@dataclass(frozen=True, slots=True)
class Header:
    """What stands outside of the box.

    Attributes:
        hand_over_id: 32 hex digits, random.
        recipient: id of the key that it is sealed to (`HandOverKey.key_id`).
        created, expires: UTC, whole seconds; at most `MAX_DAYS` apart.
    """

    hand_over_id: str
    recipient: str
    created: datetime
    expires: datetime

    def __post_init__(self) -> None:
        """Check ids and times."""
        kept = self.expires - self.created
        if not _HEX_ID.match(self.hand_over_id) or not _HEX_DIGEST.match(self.recipient):
            raise _damaged()
        if not timedelta(0) < kept <= timedelta(days=MAX_DAYS):
            raise HandOverError(
                _("a hand-over file may be opened for 1 to %(high)d days"),
                _("Give another number of days."),
                code="hand-over-days",
                details={"high": MAX_DAYS},
            )


@dataclass(frozen=True, slots=True)
class Reason:
    """Why it may be handed over.

    Attributes:
        kind: ``consent`` (the guardian's, with its day) or ``crisis`` (the exception, with words).
        day: of the consent; None for a crisis.
        words: what the guardian agreed to, or why nobody could wait.
    """

    kind: str
    day: date | None = None
    words: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Check that the reason is whole."""
        is_consent = self.kind == "consent" and self.day is not None
        is_crisis = self.kind == "crisis" and self.day is None and len(self.words) >= MIN_CRISIS_WORDS
        if not (is_consent or is_crisis) or not _is_text(self.words, MAX_WORDS):
            raise HandOverError(
                _("a reason is the guardian's consent with its day, or a crisis in words"),
                _("Give --consent DAY, or --crisis with a sentence that says why nobody could wait."),
                code="hand-over-reason",
            )


@dataclass(frozen=True, slots=True)
class Body:
    """What stands in the box.

    Attributes:
        kind: one of `KINDS`.
        sender: the sending school's key, with its name and the psychologist's.
        node: the sending node's id.
        by: who made it.
        to: institution and person of the recipient's key, as the sender read them.
        reason: why.
        fields: what is said of the pupil, by field.
        note: the sender's own words, may be empty.
        token: 64 hex digits, random; the receipt repeats it.
    """

    kind: str
    sender: HandOverKey
    node: str
    by: str
    to: tuple[str, str]
    reason: Reason
    fields: Mapping[str, str] = field(repr=False)
    note: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Check every part."""
        names_right = all(_is_line(text, MAX_VALUE) for text in (self.node, self.by, *self.to))
        fields_right = len(self.fields) <= MAX_FIELDS and all(
            _FIELD.match(name) and _is_line(value, MAX_VALUE) for name, value in self.fields.items()
        )
        if self.kind not in KINDS or not names_right or not fields_right:
            raise _damaged()
        if not _is_text(self.note, MAX_NOTE) or not _HEX_DIGEST.match(self.token):
            raise HandOverError(
                _("a note has at most %(high)d characters, no control character but the line feed"),
                _("Shorten it."),
                code="hand-over-note",
                details={"high": MAX_NOTE},
            )


@dataclass(frozen=True, slots=True)
class Opened:
    """A hand-over file that was opened: header, body and the file's SHA-256."""

    header: Header
    body: Body
    digest: bytes


def make_file(header: Header, body: Body, sender: KeyPair, recipient: HandOverKey) -> bytes:
    """Sign a body and seal it to the recipient.

    Raises:
        HandOverError: it does not fit, or header and body name another key than these.
    """
    if header.recipient != recipient.key_id or body.sender != sender.public:
        raise _damaged()
    head, content = _encode_header(header), _encode_body(body)
    line = sender.signing.sign(_signed_text(head, content))
    room = PLAIN_BYTES - len(encode_parts(content, line, b""))
    if room < 0:
        raise HandOverError(
            _("there is more to hand over than a file takes"), _("Shorten the note."), code="hand-over-size"
        )
    box = seal(recipient.box, encode_parts(content, line, bytes(room)), _info(head))
    return MAGIC + encode_parts(head, box)


def parse_header(data: bytes) -> tuple[Header, bytes]:
    """Read what stands outside of the box; returns the header and the box, unopened.

    Raises:
        HandOverError: not such a file, not whole, or not canonical.
    """
    if not data.startswith(MAGIC):
        raise HandOverError(
            _("this is no hand-over file"),
            _("Choose the file that the sender wrote; a text copied out of it is not enough."),
            code="not-a-hand-over",
        )
    parts = _split(data[len(MAGIC) :], 2)
    if parts is None or len(parts[1]) != BOX_OVERHEAD_BYTES + PLAIN_BYTES:
        raise _damaged()
    head, box = parts
    values = _object(head, _HEADER_KEYS)
    if values["format"] != FORMAT:
        raise _damaged()
    header = Header(
        _text(values["id"]),
        _text(values["recipient"]),
        _parse_time(values["created"]),
        _parse_time(values["expires"]),
    )
    return header, box


def open_file(data: bytes, own: KeyPair, now: datetime) -> Opened:
    """Open a hand-over file with the recipient's own key.

    Args:
        now: UTC; an expired file is refused, and one from the future too (its date would say nothing).

    Raises:
        HandOverError: not such a file, for somebody else, altered, expired, or not signed by its sender.
    """
    header, box = parse_header(data)
    if header.recipient != own.public.key_id:
        raise HandOverError(
            _("this file is sealed to another key"),
            _("Give it to the person whom it is for; the sender can make one for this key."),
            code="other-recipient",
        )
    check_time(header, now)
    head = _encode_header(header)
    try:
        plain = open_box(own.box_secret, box, _info(head))
    except CryptoError:
        raise _altered() from None
    body = _parse_plain(head, plain)
    return Opened(header, body, hashlib.sha256(data).digest())


def check_time(header: Header, now: datetime) -> None:
    """Refuse a file outside of its time.

    Raises:
        HandOverError: expired, or made later than now.
    """
    if now > header.expires:
        raise HandOverError(
            _("this file was to be opened until %(day)s"),
            _("Ask the sender for a new one, if there is still a reason."),
            code="hand-over-expired",
            details={"day": header.expires.strftime("%Y-%m-%d")},
        )
    if now + CLOCK_SLACK < header.created:
        raise HandOverError(
            _("this file was made on %(day)s, which is later than this computer's clock"),
            _("Set the clock of this computer."),
            code="hand-over-clock",
            details={"day": header.created.strftime("%Y-%m-%d")},
        )


# ---------------------------------------------------------------- header and body as bytes


def _encode_header(header: Header) -> bytes:
    return encode_json(
        {
            "created": header.created.astimezone(UTC).strftime(TIME_FORMAT),
            "expires": header.expires.astimezone(UTC).strftime(TIME_FORMAT),
            "format": FORMAT,
            "id": header.hand_over_id,
            "recipient": header.recipient,
        }
    )


def _encode_body(body: Body) -> bytes:
    reason = {"kind": body.reason.kind, "words": body.reason.words}
    if body.reason.day is not None:
        reason["day"] = body.reason.day.isoformat()
    return encode_json(
        {
            "by": body.by,
            "fields": dict(body.fields),
            "format": FORMAT,
            "kind": body.kind,
            "node": body.node,
            "note": body.note,
            "reason": reason,
            "sender": body.sender.text,
            "to": list(body.to),
            "token": body.token,
        }
    )


def _parse_plain(head: bytes, plain: bytes) -> Body:
    """Read the content of a box and check the sender's signature.

    Raises:
        HandOverError: it is not what `make_file` writes.
    """
    parts = _split(plain, 3)
    if parts is None or any(parts[2]):
        raise _altered()
    content, line, _zeros = parts
    body = _parse_body(content)
    try:
        signature = parse_signature_line(line.decode("utf-8"))
        verify_signature(_signed_text(head, content), signature, body.sender.verifier)
    except (CryptoError, UnicodeDecodeError):
        raise _altered() from None
    return body


def _parse_body(content: bytes) -> Body:
    values = _object(content, _BODY_KEYS)
    reason, fields, to = values["reason"], values["fields"], values["to"]
    if not isinstance(reason, dict) or not isinstance(fields, dict) or not isinstance(to, list):
        raise _damaged()
    if values["format"] != FORMAT or len(to) != 2 or set(reason) - {"kind", "words", "day"}:
        raise _damaged()
    body = Body(
        kind=_text(values["kind"]),
        sender=parse_key(_text(values["sender"]).encode("utf-8", "surrogatepass")),
        node=_text(values["node"]),
        by=_text(values["by"]),
        to=(_text(to[0]), _text(to[1])),
        reason=_parse_reason(reason),
        fields={name: _text(value) for name, value in fields.items()},
        note=_text(values["note"]),
        token=_text(values["token"]),
    )
    if _encode_body(body) != content:
        raise _damaged()
    return body


def _parse_reason(values: Mapping[str, JsonValue]) -> Reason:
    day = None
    if "day" in values:
        try:
            day = date.fromisoformat(_text(values["day"]))
        except ValueError:
            raise _damaged() from None
    return Reason(_text(values.get("kind", "")), day, _text(values.get("words", "")))


def _signed_text(head: bytes, content: bytes) -> str:
    return f"{FORMAT}\n{hashlib.sha256(encode_parts(head, content)).hexdigest()}\n"


def _info(head: bytes) -> bytes:
    return encode_parts(FORMAT, head)


# ---------------------------------------------------------------- reading


def _split(data: bytes, num: int) -> list[bytes] | None:
    """Take E() apart; None where it is not exactly that many parts."""
    parts: list[bytes] = []
    while data and len(parts) < num:
        size = int.from_bytes(data[:4], "big")
        if len(data) < 4 + size:
            return None
        parts.append(data[4 : 4 + size])
        data = data[4 + size :]
    return parts if len(parts) == num and not data else None


def _object(data: bytes, keys: tuple[str, ...]) -> dict[str, JsonValue]:
    try:
        values = parse_json(data)
    except CryptoError:
        raise _damaged() from None
    if not isinstance(values, dict) or tuple(sorted(values)) != keys:
        raise _damaged()
    return values


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise _damaged()
    return value


def _parse_time(value: object) -> datetime:
    text = _text(value)
    try:
        if not _TIME.match(text):
            raise ValueError("another spelling")
        return datetime.strptime(text, TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise _damaged() from None


def _is_line(text: object, most: int) -> bool:
    """Say whether it is one line of text that a screen can show."""
    return (
        isinstance(text, str) and len(text) <= most and all(c.isprintable() or c == WIDE_SPACE for c in text)
    )


def _is_text(text: object, most: int) -> bool:
    return isinstance(text, str) and len(text) <= most and _is_line(text.replace("\n", ""), most)


def _damaged() -> HandOverError:
    return HandOverError(
        _("the hand-over file is damaged or not whole"),
        _("Copy it again from where it was written."),
        code="hand-over-damaged",
    )


def _altered() -> HandOverError:
    return HandOverError(
        _("the hand-over file was altered, or its sender did not sign it"),
        _("Do not use it; ask the sender by telephone."),
        code="hand-over-altered",
    )
