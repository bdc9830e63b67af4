"""What commands and the doctor say of keys and members; never a secret."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from coordinator import ca, members, schema
from coordinator.home import Home
from coordinator.key_ring import PURPOSES
from coordinator.log_book import LogBook, View
from coordinator.rollover import is_in_force, parties_of_older_ca
from protos.enrolment import parse_enrolment


def describe_keys(book: LogBook, home: Home) -> list[dict[str, object]]:
    """List every key that is held: purpose, number, a short public id, and whether it is in force."""
    with book.reading() as view:
        found: list[dict[str, object]] = []
        for purpose in PURPOSES:
            ids = _public_ids(home, purpose)
            is_new = view.has_genesis and not is_in_force(view, home, purpose)
            for place, public_id in enumerate(ids):
                found.append(
                    {
                        "purpose": purpose,
                        "number": place + 1,
                        "id": public_id,
                        "state": _state(place, len(ids), is_waiting=is_new),
                    }
                )
        if view.has_genesis:
            found[-1]["parties"] = len(parties_of_older_ca(view, home))
    return found


def _public_ids(home: Home, purpose: str) -> list[str]:
    if purpose == "ca":
        return [row.fingerprint.hex()[:16] for row in home.ring.authorities()]
    return [key.verifier.key_id.hex() for key in home.ring.signing(purpose)]


def _state(place: int, number: int, *, is_waiting: bool) -> str:
    newest = number - 1
    if place == newest:
        return "waiting" if is_waiting else "in-force"
    return "in-force" if is_waiting and place == newest - 1 else "older"


def describe_members(book: LogBook) -> list[dict[str, Any]]:
    """List everybody enrolled: what the newest roster says, and what the next one will."""
    with book.reading() as view:
        known = {(row.role, row.id): row for row in members.read_members(view.connection)}
        table = schema.enrolments
        rows = view.connection.execute(sa.select(table).order_by(table.c.role, table.c.id)).all()
        return [_member(view, known, row, view.now) for row in rows]


def _member(view: View, known: members.Members, row: Any, now: datetime) -> dict[str, Any]:
    request = parse_enrolment(row.request).request
    stated = known.get((row.role, row.id))
    return {
        "role": row.role,
        "id": row.id,
        "operator": request.operator,
        "state": _member_state(view, known, row.role, row.id),
        "attributes": dict(members.attributes_of(known, request)),
        "succeeds": list(members.succeeded_by(known, row.id)) if row.role == "node" else [],
        "succeeded_by": stated.successor if stated is not None else "",
        "certificate_days": (ca.expires_at(row.certificate_pem.encode()) - now).days,
    }


def _member_state(view: View, known: members.Members, role: str, party_id: str) -> str:
    if not view.has_genesis:
        return "waiting"
    ledger = view.ledger
    if party_id in (ledger.revoked_nodes if role == "node" else ledger.revoked_auditors):
        return "revoked"
    body = ledger.roster.body
    is_in = (body.node(party_id) if role == "node" else body.auditor(party_id)) is not None
    if members.has_left(known, role, party_id):
        return "leaving" if is_in else "left"
    return "rostered" if is_in else "waiting"
