"""The federation card: one small file that pins a federation, and its short fingerprint.

A teacher compares one line instead of eight keys. The card names the genesis roster by digest
and repeats the keys that stand in it, so that a node can check the log's first entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crypto.errors import CryptoError
from crypto.fingerprint import fingerprint as fingerprint_of
from crypto.note import KeyType, VerifierKey, parse_vkey
from protos.bodies import key_name
from protos.errors import CardError
from protos.fields import HEX_PATTERN, ID_PATTERN
from protos.statements import MAX_AUDITORS

FIRST_LINE = "fedscreen/card/v1"
MAX_CARD_BYTES = 16 * 1024
_KINDS = ("production", "demo")


@dataclass(frozen=True, slots=True)
class CardAuditor:
    """An auditor as pinned: id, statement key, cosigner key."""

    id: str
    statement: VerifierKey
    cosigner: VerifierKey


@dataclass(frozen=True, slots=True)
class FederationCard:
    """What a party pins out of band. `ca` and `genesis` are SHA-256 digests (32 bytes)."""

    federation: str
    kind: str
    log: VerifierKey
    coordinator: VerifierKey
    ca: bytes
    genesis: bytes
    quorum: int
    auditors: tuple[CardAuditor, ...]
    tuples: tuple[tuple[int, int, int, int], ...]


def encode_card(card: FederationCard) -> str:
    """Write a card's text; the inverse of `parse_card`."""
    lines = [
        FIRST_LINE,
        f"federation {card.federation}",
        f"kind {card.kind}",
        f"log {card.log.text}",
        f"coordinator {card.coordinator.text}",
        f"ca {card.ca.hex()}",
        f"genesis {card.genesis.hex()}",
        f"quorum {card.quorum}",
    ]
    lines += [f"auditor {row.id} {row.statement.text} {row.cosigner.text}" for row in card.auditors]
    lines += ["tuple " + " ".join(str(item) for item in row) for row in card.tuples]
    return "\n".join(lines) + "\n"


def parse_card(text: str) -> FederationCard:
    """Read a card's text.

    Raises:
        CardError: not exactly what `encode_card` writes.
    """
    if len(text) > MAX_CARD_BYTES or not text.startswith(FIRST_LINE + "\n"):
        raise CardError(f"not a federation card: expected the first line {FIRST_LINE}")
    rows = [line.split(" ") for line in text.splitlines()[1:]]
    try:
        card = _read(rows)
    except (ValueError, IndexError, CryptoError) as err:
        raise CardError("the federation card is damaged; fetch it again") from err
    if encode_card(card) != text:
        raise CardError("the federation card is not in canonical form; fetch it again")
    return card


def _read(rows: list[list[str]]) -> FederationCard:
    heads: dict[str, Any] = {row[0]: row[1] for row in rows[:7]}
    federation = heads.get("federation", "")
    if not ID_PATTERN.match(federation) or heads.get("kind") not in _KINDS:
        raise ValueError("federation or kind")
    auditors = tuple(_read_auditor(row, federation) for row in rows[7:] if row[0] == "auditor")
    tuples = tuple(_read_tuple(row) for row in rows[7:] if row[0] == "tuple")
    if not 1 <= len(auditors) <= MAX_AUDITORS or len(tuples) > 64:
        raise ValueError("number of auditors or tuples")
    return FederationCard(
        federation=federation,
        kind=heads["kind"],
        log=_read_key(heads.get("log", ""), KeyType.ED25519, key_name(federation, "log")),
        coordinator=_read_key(
            heads.get("coordinator", ""), KeyType.ED25519, key_name(federation, "coordinator")
        ),
        ca=_read_digest(heads.get("ca", "")),
        genesis=_read_digest(heads.get("genesis", "")),
        quorum=_read_small(heads.get("quorum", "")),
        auditors=auditors,
        tuples=tuples,
    )


def _read_auditor(row: list[str], federation: str) -> CardAuditor:
    _, auditor_id, statement, cosigner = row
    if not ID_PATTERN.match(auditor_id):
        raise ValueError("auditor id")
    return CardAuditor(
        auditor_id,
        _read_key(statement, KeyType.ED25519, key_name(federation, "auditor", auditor_id)),
        _read_key(cosigner, KeyType.COSIGNATURE, key_name(federation, "witness", auditor_id)),
    )


def _read_key(text: str, key_type: KeyType, name: str) -> VerifierKey:
    key = parse_vkey(text)
    if key.key_type != key_type or key.name != name:
        raise ValueError("key of another name or kind")
    return key


def _read_digest(word: str) -> bytes:
    if len(word) != 64 or not HEX_PATTERN.match(word):
        raise ValueError("digest")
    return bytes.fromhex(word)


def _read_small(word: str) -> int:
    if len(word) != 1 or not "0" <= word <= "7":
        raise ValueError("number")
    return int(word)


def _read_tuple(row: list[str]) -> tuple[int, int, int, int]:
    _, n, t, f, q = row
    return _read_small(n), _read_small(t), _read_small(f), _read_small(q)


def fingerprint(text: str) -> str:
    """Compute the line that people compare (`crypto.fingerprint`: also as words)."""
    return fingerprint_of(text.encode("utf-8"))
