"""What an auditor has seen, signed and still holds, as plain values."""

from __future__ import annotations

from auditor.desk import Desk
from auditor.errors import StateError
from auditor.signing import stored_entry
from auditor.state import SecretKind, SlotKind
from auditor.witness import last_head
from protos.ledger import RoundLog


def describe(desk: Desk) -> dict[str, object]:
    """Describe log and rounds as this auditor's copy has them; asks nobody."""
    mirror, state = desk.mirror, desk.state
    head = last_head(state)
    return {
        "auditor": desk.context.id,
        "federation": desk.card.federation,
        "instance": state.instance.hex(),
        "log_size": mirror.ledger.size,
        "cosigned_size": mirror.cosigned_size,
        "witnessed_size": head.size if head else 0,
        "rounds": [_describe_round(desk, row) for row in mirror.ledger.rounds.values()],
    }


def _describe_round(desk: Desk, row: RoundLog) -> dict[str, object]:
    return {
        "round": row.round_id.hex(),
        "serial": row.terms.serial,
        "state": row.state.value,
        "is_named": desk.context.id in row.terms.auditors,
        "closes": row.closes.isoformat(),
        "standing": row.changes.standing if row.release else "",
        "signed": _signed(desk, row.round_id),
        "has_key": desk.state.secret(SecretKind.ROUND_KEY, row.round_id) is not None,
        "reports": len({node for node, _ in row.reports}),
        "approvals": sorted(row.approvals),
        "agreements": sorted(row.agreements),
        "abandons": sorted(row.abandons),
        "openings": sorted(row.openings),
    }


def _signed(desk: Desk, round_id: bytes) -> list[str]:
    """Name what this state has signed for a round; `damaged` where a slot cannot be read."""
    found = []
    for kind in SlotKind:
        try:
            entry = stored_entry(desk.state, kind, round_id)
        except StateError:
            found.append(f"{kind.value}: damaged")
            continue
        if entry is not None:
            found.append(entry.statement.TYPE)
    return found
