"""Plans and rosters as a coordinator states them that wants weaker ones, and auditors that do not look."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import replace

import pytest
from county_sums import assert_released
from fakes_attacks import auditor_key, coordinator_key, log_statement, sign_as
from fakes_county import FEDERATION, CountySimulator
from fakes_federation import fake_bytes

from crypto.note import KeyType, SigningKey
from crypto.sealing import ROUND_SECRET_BYTES, round_public_key
from node.vault.errors import RoundRefusedError
from protos.bodies import RosterAuditor, RosterBody, encode_roster_body, key_name
from protos.statements import Approval, Plan, Roster, body_ref


def plan_with(county: CountySimulator, **changes: object) -> tuple[Plan, bytes]:
    """The county's plan once more, under the roster in force, with other terms."""
    ledger = county.ledger()
    first = next(iter(ledger.rounds.values()))
    values: dict[str, object] = {"serial": len(ledger.rounds) + 1, "roster": ledger.roster.digest}
    return replace(first.terms, **{**values, **changes}), first.plan.body  # type: ignore[arg-type]


def log_plan(county: CountySimulator, **changes: object) -> bytes:
    """Log such a plan; the log's rules allow it."""
    statement, body = plan_with(county, **changes)
    return log_statement(county, statement, body)


def approve_blindly(
    county: CountySimulator, round_id: bytes, keys: Sequence[SigningKey] = (), **changes: object
) -> None:
    """Let all auditors of a plan approve without looking; `changes` are to the last one's approval."""
    row = county.round(round_id)
    for name in row.terms.auditors:
        approval = Approval(
            FEDERATION,
            round_id,
            row.roster_digest,
            name,
            fake_bytes(f"instance {name}", 16),
            round_public_key(secrets.token_bytes(ROUND_SECRET_BYTES)),
            secrets.token_bytes(32),
            hashlib.sha256(fake_bytes(f"draw {name}")).digest(),
        )
        if name == row.terms.auditors[-1]:
            approval = replace(approval, **changes)  # type: ignore[arg-type]
        key = next((key for key in keys if key.name.endswith(f"/{name}")), None) or auditor_key(county, name)
        county.coordinator.submit_statement(name, sign_as(approval, key), b"")


def refusal_at_school(county: CountySimulator, round_id: bytes, node_id: str = "s01") -> str:
    """Hand out the witnessed log and ask a school to release; returns its refusal."""
    for _ in range(2):
        for auditor in county.auditors.values():
            auditor.step()
    county.serve_node(node_id)
    with pytest.raises(RoundRefusedError) as caught:
        county.release(node_id, round_id)
    assert county.nodes[node_id].outgoing() is None
    return caught.value.code


def finish_honestly(county: CountySimulator, round_id: bytes) -> None:
    """Let all schools report to the honest round and check its sum."""
    for node_id in county.node_ids:
        county.release(node_id, round_id)
    assert_released(county, round_id, county.node_ids)


def puppet(name: str) -> tuple[RosterAuditor, SigningKey]:
    """An auditor that the coordinator has made up."""
    statement = SigningKey(key_name(FEDERATION, "auditor", name), KeyType.ED25519, fake_bytes(name))
    cosigner = SigningKey(
        key_name(FEDERATION, "witness", name), KeyType.COSIGNATURE, fake_bytes(f"{name} cosigner")
    )
    return RosterAuditor(name, f"operator {name}", statement.verifier, cosigner.verifier, False), statement


def roster_with(county: CountySimulator, body: RosterBody, **changes: object) -> tuple[Roster, bytes]:
    """A successor of the roster in force."""
    last = county.ledger().roster
    data = encode_roster_body(body)
    roster = replace(
        last.statement, serial=last.statement.serial + 1, previous=last.digest, body=body_ref(data)
    )
    return replace(roster, **changes), data  # type: ignore[arg-type]


def body_in_force(county: CountySimulator) -> RosterBody:
    """The body of the roster in force."""
    return county.ledger().roster.body


def signers(county: CountySimulator, *auditors: str) -> list[SigningKey]:
    """The coordinator and these auditors."""
    return [coordinator_key(county), *(auditor_key(county, name) for name in auditors)]
