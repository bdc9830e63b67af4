"""A county's invitation to a school: who it is to be, and the federation's card, in one file.

`coordinator invite` writes it, `node setup` reads it, so that a school's IT types no id and no name. It
proves nothing: the card counts only after a person compared its fingerprint, and what the school answers is
a request like any other. With an `Online` part the school can hand its request in by itself: the token there
works once, until it expires, and is the one secret that an invitation may hold. Canonical JSON in UTF-8.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from crypto.canonical import encode_json, parse_json
from crypto.errors import CryptoError
from protos.bodies import MAX_WORDS, sorted_attributes
from protos.card import MAX_CARD_BYTES, parse_card
from protos.errors import BodyError, CardError, EnrolmentError
from protos.fields import ID_PATTERN

INVITATION_FORMAT = "fedscreen/invitation/v1"
MAX_INVITATION_BYTES = 64 * 1024
SYSTEMS = ("6-3", "5-4")
MAX_ATTRIBUTES = 16
MAX_CA_CHARS = 64 * 1024
_ONLINE = ("address", "ca", "server_name", "token")
_TOKEN = re.compile(r"[0-9a-f]{32}\Z")
_ADDRESS = re.compile(r"(?:\[[0-9a-f:]+\]|[A-Za-z0-9._-]+):[0-9]{1,5}\Z")
_NAMES = ("attributes", "card", "federation", "format", "id", "operator", "system")


@dataclass(frozen=True, slots=True)
class Online:
    """Where a school hands its request in, whose certificate the server has, and the token (secret)."""

    address: str
    server_name: str
    ca_pem: str
    token: str = field(repr=False)

    def __post_init__(self) -> None:
        """Check every value."""
        if not _ADDRESS.match(self.address) or not _TOKEN.match(self.token):
            raise EnrolmentError("invitation: its address or token is malformed; ask for a new one")
        if not self.server_name or len(self.ca_pem) > MAX_CA_CHARS or len(self.server_name) > MAX_WORDS:
            raise EnrolmentError("invitation: its server name or CA is malformed; ask for a new one")


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a county asks a school to be. `card_text` is empty before the first roster is drafted."""

    federation: str
    id: str
    operator: str
    attributes: tuple[tuple[str, str], ...]
    system: str
    card_text: str
    online: Online | None = None

    def __post_init__(self) -> None:
        """Check every value."""
        if not ID_PATTERN.match(self.federation) or not ID_PATTERN.match(self.id):
            raise EnrolmentError("invitation: federation and id are a-z 0-9 . _ - (1 to 63 characters)")
        if not 0 < len(self.operator) <= MAX_WORDS or any(sign < " " for sign in self.operator):
            raise EnrolmentError(
                f"invitation: the school's name has 1 to {MAX_WORDS} characters, on one line"
            )
        if self.system not in SYSTEMS:
            raise EnrolmentError(f"invitation: the school system is one of {', '.join(SYSTEMS)}")
        try:
            is_sorted = sorted_attributes(dict(self.attributes)) == self.attributes
            card = parse_card(self.card_text) if self.card_text else None
        except (BodyError, CardError) as err:
            raise EnrolmentError(f"invitation: {err}") from err
        if not is_sorted or len(self.attributes) > MAX_ATTRIBUTES:
            raise EnrolmentError(f"invitation: at most {MAX_ATTRIBUTES} attributes, each once")
        if self.online is not None and card is None:
            raise EnrolmentError("invitation: online only with a card, whose fingerprint is compared first")
        if card is not None and card.federation != self.federation:
            raise EnrolmentError("invitation: its card is of another federation")


def encode_invitation(invitation: Invitation) -> bytes:
    """Write an invitation file; the inverse of `parse_invitation`."""
    return encode_json(
        {
            "attributes": dict(invitation.attributes),
            "card": invitation.card_text,
            "federation": invitation.federation,
            "format": INVITATION_FORMAT,
            "id": invitation.id,
            "operator": invitation.operator,
            "system": invitation.system,
            **({} if invitation.online is None else {"online": _online_values(invitation.online)}),
        }
    )


def _online_values(online: Online) -> dict[str, str]:
    return {
        "address": online.address,
        "ca": online.ca_pem,
        "server_name": online.server_name,
        "token": online.token,
    }


def _parse_online(values: object) -> Online:
    if not isinstance(values, dict) or tuple(sorted(values)) != _ONLINE:
        raise EnrolmentError("invitation: not an invitation file of this version")
    if not all(isinstance(value, str) for value in values.values()):
        raise EnrolmentError("invitation: not an invitation file of this version")
    return Online(values["address"], values["server_name"], values["ca"], values["token"])


def parse_invitation(data: bytes) -> Invitation:
    """Read an invitation file.

    Raises:
        EnrolmentError: damaged, or a value that is not allowed.
    """
    if len(data) > MAX_INVITATION_BYTES + MAX_CARD_BYTES + MAX_CA_CHARS:
        raise EnrolmentError(f"invitation: file of {len(data)} bytes")
    try:
        values = parse_json(data)
    except CryptoError as err:
        raise EnrolmentError("invitation: not an invitation file, or damaged") from err
    online = values.pop("online", None) if isinstance(values, dict) else None
    if not isinstance(values, dict) or tuple(sorted(values)) != _NAMES:
        raise EnrolmentError("invitation: not an invitation file of this version")
    attributes = values.pop("attributes")
    texts = {name: value for name, value in values.items() if isinstance(value, str)}
    if texts != values or texts["format"] != INVITATION_FORMAT or not isinstance(attributes, dict):
        raise EnrolmentError("invitation: not an invitation file of this version")
    try:
        pairs = sorted_attributes({name: str(value) for name, value in attributes.items()})
    except BodyError as err:
        raise EnrolmentError(f"invitation: {err}") from err
    if dict(pairs) != attributes:
        raise EnrolmentError("invitation: an attribute is not a text")
    return Invitation(
        federation=texts["federation"],
        id=texts["id"],
        operator=texts["operator"],
        attributes=pairs,
        system=texts["system"],
        card_text=texts["card"],
        online=None if online is None else _parse_online(online),
    )
