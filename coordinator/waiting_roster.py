"""The roster that waits for the auditors' signatures: who has signed, who still has to, how many are enough.

Rules, as `protos.roster_chain` has them for the log:

1. At least a quorum of the preceding roster's auditors signs; one that was revoked counts for none.
2. Every auditor that is new, or brings new keys, signs as well (of the first roster: all).
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Row

from coordinator import schema
from coordinator.log_book import View
from protos.bodies import RosterBody, parse_roster_body

_TABLE = schema.proposals
_LINES = schema.proposal_signatures


@dataclass(frozen=True, slots=True)
class WaitingRoster:
    """A drafted roster and its signatures so far.

    Attributes:
        digest: of its statement; the roster's id.
        serial: its number.
        body: what it says.
        order: ids of the auditors who may sign, in the order of the signature lines.
        counted: those who count for the preceding roster's quorum; of the first roster nobody.
        must_sign: those without whom it never stands.
        quorum: how many of `counted` have to sign.
        signed: those who have, in that order.
    """

    digest: bytes
    serial: int
    body: RosterBody
    order: tuple[str, ...]
    counted: frozenset[str]
    must_sign: frozenset[str]
    quorum: int
    signed: tuple[str, ...]

    @property
    def is_enough(self) -> bool:
        """Whether it may stand in the log."""
        return self.must_sign.issubset(self.signed) and len(self.counted.intersection(self.signed)) >= (
            self.quorum
        )

    @property
    def needed(self) -> int:
        """How many have to sign: the quorum, or all of the first roster."""
        return self.quorum if self.counted else len(self.must_sign)

    @property
    def num_signed(self) -> int:
        """How many of those needed have signed."""
        return len((self.counted or self.must_sign).intersection(self.signed))

    @property
    def missing(self) -> tuple[str, ...]:
        """Who could still sign and would count."""
        asked = (self.counted | self.must_sign).difference(self.signed)
        return tuple(name for name in self.order if name in asked)


def find_waiting(view: View, federation: str) -> WaitingRoster | None:
    """Find the roster that waits; None where none does."""
    row = view.connection.execute(sa.select(_TABLE).where(_TABLE.c.is_waiting == 1)).first()
    return None if row is None else waiting_of(view, federation, row)


def waiting_of(view: View, federation: str, row: Row[tuple[object, ...]]) -> WaitingRoster:
    """Tell what a draft's row and its signatures come to."""
    new = parse_roster_body(row.body, federation)
    old = view.ledger.roster if view.has_genesis else None
    former = {item.id: (item.statement, item.cosigner) for item in old.body.auditors} if old else {}
    revoked = view.ledger.revoked_auditors.keys() if old else set()
    order = tuple(dict.fromkeys((*(item.id for item in new.auditors), *former)))
    changed = (item.id for item in new.auditors if former.get(item.id) != (item.statement, item.cosigner))
    lines = signature_lines(view, row.digest)
    return WaitingRoster(
        digest=row.digest,
        serial=row.serial,
        body=new,
        order=order,
        counted=frozenset(former.keys() - revoked),
        must_sign=frozenset(changed),
        quorum=old.statement.quorum if old else 0,
        signed=tuple(name for name in order if name in lines),
    )


def signature_lines(view: View, text_digest: bytes) -> dict[str, str]:
    """Read the signature lines of a draft, by auditor."""
    query = sa.select(_LINES.c.auditor, _LINES.c.line).where(_LINES.c.digest == text_digest)
    return {row.auditor: row.line for row in view.connection.execute(query)}


def describe_rosters(view: View, federation: str) -> dict[str, object]:
    """Say which roster is in force and which one waits, for `roster status`."""
    waiting = find_waiting(view, federation)
    values: dict[str, object] = {"in_force": None, "waiting": None}
    if view.has_genesis:
        state = view.ledger.roster
        values["in_force"] = _counts(state.digest, state.statement.serial, state.body)
    if waiting is not None:
        values["waiting"] = _counts(waiting.digest, waiting.serial, waiting.body) | {
            "signed": list(waiting.signed),
            "missing": list(waiting.missing),
            "num_signed": waiting.num_signed,
            "needed": waiting.needed,
        }
    return values


def _counts(roster: bytes, serial: int, body: RosterBody) -> dict[str, object]:
    return {
        "roster": roster.hex(),
        "serial": serial,
        "auditors": len(body.auditors),
        "schools": len(body.nodes),
    }
