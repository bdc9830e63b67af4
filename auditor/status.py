"""What an auditor has seen, signed and still holds, and what it has to do now, as plain values."""

from __future__ import annotations

from collections.abc import Sequence

from auditor.desk import Desk
from auditor.duties import COMMANDS, Duty, duty_of, log_duties, round_duties, sitting_now
from auditor.errors import StateError
from auditor.signing import stored_entry
from auditor.state import SecretKind, SlotKind
from auditor.witness import last_head
from protos.ledger import RoundLog


def describe(desk: Desk, duties: Sequence[Duty] | None = None) -> dict[str, object]:
    """Describe log, rounds, keys and duties as this auditor's copy has them; asks nobody.

    Args:
        desk: the auditor.
        duties: of rounds, log and, where they were asked for, waiting rosters; by default all but these.
    """
    mirror, state = desk.mirror, desk.state
    head = last_head(state)
    known = (*round_duties(desk.context), *log_duties(desk.context)) if duties is None else duties
    return {
        "auditor": desk.context.id,
        "federation": desk.card.federation,
        "instance": state.instance.hex(),
        "log_size": mirror.ledger.size,
        "cosigned_size": mirror.cosigned_size,
        "witnessed_size": head.size if head else 0,
        "sitting": sitting_now(known),
        "due": [_describe_duty(duty) for duty in known if duty.is_due],
        "keys": key_state(desk),
        "rounds": [_describe_round(desk, row) for row in mirror.ledger.rounds.values()],
    }


def key_state(desk: Desk) -> str:
    """Say where this auditor's newest keys stand.

    Returns:
        ``in-force``; ``waiting`` for a roster that names them; ``not-rostered`` yet; ``left`` the roster;
        ``revoked``.
    """
    ledger, keys = desk.mirror.ledger, desk.context.keys
    if desk.context.id in ledger.revoked_auditors:
        return "revoked"
    own = ledger.roster.body.auditor(desk.context.id) if ledger.size else None
    if own is None:
        return "left" if ledger.size and desk.context.id in ledger.chain.auditors else "not-rostered"
    newest = keys.pairs[-1]
    is_newest = (own.statement, own.cosigner) == (newest[0].verifier, newest[1].verifier)
    return "in-force" if is_newest else "waiting"


def _describe_duty(duty: Duty) -> dict[str, object]:
    return {
        "code": duty.code,
        "sitting": duty.sitting,
        "round": duty.round_id.hex() if duty.round_id else "",
        "serial": duty.serial,
        "words": str(duty.words),
        "command": COMMANDS.get(duty.code, ""),
    }


def _describe_round(desk: Desk, row: RoundLog) -> dict[str, object]:
    duty = duty_of(desk.context, row)
    return {
        "round": row.round_id.hex(),
        "serial": row.terms.serial,
        "state": row.state.value,
        "is_named": desk.context.id in row.terms.auditors,
        "closes": row.closes.isoformat(),
        "standing": row.changes.standing if row.release else "",
        "duty": duty.code,
        "sitting": duty.sitting,
        "is_due": duty.is_due,
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
