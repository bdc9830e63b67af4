"""The federation card that a log's first entry amounts to: for readers who pin the genesis digest alone."""

from __future__ import annotations

from crypto.note import parse_note
from protos.bodies import parse_roster_body
from protos.card import CardAuditor, FederationCard
from protos.errors import LedgerError
from protos.statements import Roster, digest, parse_statement


def card_of(entry: bytes, body: bytes) -> FederationCard:
    """Make the card out of a genesis roster; the caller compares its `genesis` with what is pinned.

    Raises:
        LedgerError: the entry is no roster.
        StatementError, BodyError, CryptoError: entry or body cannot be read.
    """
    text = parse_note(entry).text
    roster = parse_statement(text)
    if not isinstance(roster, Roster):
        raise LedgerError("no-roster", "the first entry is no roster")
    found = parse_roster_body(body, roster.federation)
    return FederationCard(
        federation=roster.federation,
        kind=roster.kind,
        log=found.log,
        coordinator=found.coordinator,
        ca=found.ca,
        genesis=digest(text),
        quorum=roster.quorum,
        auditors=tuple(CardAuditor(row.id, row.statement, row.cosigner) for row in found.auditors),
        tuples=found.tuples,
    )
