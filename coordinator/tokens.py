"""Invitations to enrol online: a token that works once, for one school, for some days.

Rules:
1. A token is 128 random bits, written once into the invitation; here stands its SHA-256 only.
2. It enrols exactly the school that the invitation names: id, name and public attributes.
3. It works once. The same keys again get their grant again, for an answer may be lost; other keys do not.
4. A new invitation of a school replaces the one before; what was used stays noted until it expires.
5. It lets nobody skip a check: the school compares the card's fingerprint as ever, and takes part only from
   the roster on that the auditors sign.

Spec: docs/protocol.md "Enrolment".
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from coordinator import enrol, schema
from coordinator.errors import TokenRefusedError
from coordinator.home import Entropy, Home
from coordinator.log_book import LogBook, View
from crypto.canonical import JsonInput, encode_json
from plan.errors import phrase
from protos.enrolment import Request, parse_request
from protos.errors import ProtocolError
from protos.invitation import Invitation

TOKEN_BYTES: Final = 16
DEFAULT_DAYS: Final = 14
MAX_DAYS: Final = 180
_TOKEN = re.compile(r"[0-9a-f]{32}\Z")
_TABLE = schema.tokens


def make_token(book: LogBook, invitation: Invitation, days: int, entropy: Entropy) -> str:
    """Make the token of an invitation; an unused one of the same school is void from now on.

    Args:
        book: the log and database.
        invitation: whom it lets in.
        days: until it expires.
        entropy: gives that many random bytes.
    """
    token = entropy(TOKEN_BYTES).hex()
    invited = _invited(invitation.id, invitation.operator, invitation.attributes)
    with book.writing("token") as view:
        now_ms = _ms(view.now)
        unused = (_TABLE.c.node == invitation.id) & _TABLE.c.used_ms.is_(None)
        view.connection.execute(sa.delete(_TABLE).where(unused | (_TABLE.c.expires_ms < now_ms)))
        row = {
            "digest": _digest(token),
            "node": invitation.id,
            "invited": invited,
            "made_ms": now_ms,
            "expires_ms": _ms(view.now + timedelta(days=days)),
            "used_ms": None,
            "request": b"",
        }
        view.connection.execute(sa.insert(_TABLE).values(**row))
    return token


def enrol_by_token(book: LogBook, home: Home, token: str, data: bytes) -> bytes:
    """Enrol the school that a token invites; return its grant.

    Raises:
        TokenRefusedError: no such token, expired, used by other keys, or for another school. Which of it is
            not said: a guess learns nothing.
        EnrolmentRefusedError, AlreadyEnrolledError, CertificateError: as by file.
    """
    request = _read(data)
    with book.writing("use token") as view:
        row = _find(view, token)
        if row is None or row.expires_ms < _ms(view.now) or row.invited != _invited_by(request):
            raise _refused()
        keys = _keys_of(request)
        if row.used_ms is not None and row.request != keys:
            raise _refused()
        if row.used_ms is None:
            values = {"used_ms": _ms(view.now), "request": keys}
            view.connection.execute(sa.update(_TABLE).where(_TABLE.c.digest == row.digest).values(**values))
    return enrol.approve_request(book, home, data)


def open_tokens(view: View) -> dict[str, datetime]:
    """List the schools that have an unused token, and until when."""
    rows = view.connection.execute(
        sa.select(_TABLE.c.node, _TABLE.c.expires_ms).where(
            _TABLE.c.used_ms.is_(None), _TABLE.c.expires_ms >= _ms(view.now)
        )
    )
    return {row.node: datetime.fromtimestamp(row.expires_ms / 1000, view.now.tzinfo) for row in rows}


def _read(data: bytes) -> Request:
    try:
        request = parse_request(data)
    except ProtocolError as err:
        raise _refused() from err
    if request.role != "node":
        raise _refused()
    return request


def _find(view: View, token: str) -> Any:
    if not _TOKEN.match(token):
        return None
    return view.connection.execute(sa.select(_TABLE).where(_TABLE.c.digest == _digest(token))).first()


def _refused() -> TokenRefusedError:
    return TokenRefusedError(
        phrase("this invitation does not let this school in (any more); ask the county for a new one")
    )


def _invited_by(request: Request) -> bytes:
    return _invited(request.id, request.operator, request.attributes)


def _invited(node: str, operator: str, attributes: tuple[tuple[str, str], ...]) -> bytes:
    values: JsonInput = {"attributes": dict(attributes), "id": node, "operator": operator}
    return hashlib.sha256(encode_json(values)).digest()


def _keys_of(request: Request) -> bytes:
    values = {"key": request.key.text, "master": (request.master or b"").hex()}
    return hashlib.sha256(encode_json(values)).digest()


def _digest(token: str) -> bytes:
    return hashlib.sha256(f"fedscreen token {token}".encode()).digest()


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
