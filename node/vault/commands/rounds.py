"""Commands about rounds: ``rounds``, ``preview``, ``release``, ``decide``, ``hold``, ``status``, ``budget``,
``receipt``.

Each is a `Handler`: the open vault, the fields, the files by name. Fields and answers: `node.vault.desk`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from node.vault.budget import budget
from node.vault.decision import (
    APPROVE,
    DECISIONS,
    HELD_BY_SETTING,
    HOLD,
    MAX_REASON,
    approve,
    decline,
    describe,
    hold_back,
)
from node.vault.enrol import (
    find_card,
    load_identity,
)
from node.vault.errors import VaultError, _
from node.vault.fields import Answer, Fields, Files, Handler, bad_field, command_record
from node.vault.open_vault import OpenVault
from node.vault.parts import Parts
from node.vault.preview import preview_round
from node.vault.receipt import make_receipt
from node.vault.recovery import safety_values
from node.vault.release import Released, release_round
from node.vault.roles import PRINCIPAL, ROLES, has_role, list_holders, require
from node.vault.run_desk import HOLD_SETTING
from node.vault.status import list_rounds, node_status, report_values


def _rounds(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow()
    return {"rounds": list_rounds(desk.enrolled())}, {}


def _preview(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    """Show a round; on a node with roles, exact counts only to the psychologist and the principal."""
    fields.allow("round", "actor")
    actor, with_counts = fields.mapping("actor"), True
    if actor:
        require(desk.store, actor, *ROLES)
    elif list_holders(desk.store):
        with_counts = False
    return preview_round(desk.enrolled(), fields.digest("round"), with_counts=with_counts), {}


def _release(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    """Release; once somebody is the principal, only with the principal's key."""
    fields.allow("round", "by", "records", "actor", "reason")
    parts, actor = desk.enrolled(), fields.mapping("actor")
    round_id, records = fields.digest("round"), fields.text("records", 64) if fields.has("records") else ""
    if actor or has_role(desk.store, PRINCIPAL):
        principal = require(desk.store, actor, PRINCIPAL)
        reason = fields.text("reason", MAX_REASON) if fields.has("reason") else ""
        released = approve(parts, round_id, principal, reason, records=records)
    else:
        released = release_round(parts, round_id, fields.text("by", 200), records=records)
    return _released(parts, released), {}


def _decide(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("round", "decision", "reason", "records", "actor")
    decision = fields.text("decision", 20)
    if decision not in DECISIONS:
        raise bad_field("decision", " / ".join(DECISIONS))
    if decision == APPROVE:
        values = {name: value for name, value in fields.values.items() if name != "decision"}
        answer, blobs = _release(desk, Fields(values), _files)
        return {**answer, "decision": decision}, blobs
    parts, round_id = desk.enrolled(), fields.digest("round")
    principal = require(desk.store, fields.mapping("actor"), PRINCIPAL)
    reason = fields.text("reason", MAX_REASON) if fields.has("reason") else ""
    (hold_back if decision == HOLD else decline)(parts, round_id, principal, reason)
    return {"round": round_id.hex(), "held": int(desk.is_held()), **describe(desk.store, round_id)}, {}


def _released(parts: Parts, released: Released) -> dict[str, Any]:
    answer = report_values(parts, released.report)
    answer |= {"round": released.report.round_id.hex(), "is_new": int(released.is_new)}
    return answer | {"bytes": released.payload_bytes, "by": released.report.released_by}


def _hold(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("on")
    identity, is_on = load_identity(desk.store), fields.flag("on", default=True)
    if not is_on and desk.store.setting(HELD_BY_SETTING) == b"decision":
        raise VaultError(
            _("the principal holds reports back, and only the principal can let them go"),
            _("The principal releases again, on the console or with 'fedscreen node release'."),
            code="held-by-principal",
        )
    with desk.store.transaction("hold"):
        desk.store.put_setting(HOLD_SETTING, b"1" if is_on else b"0")
        desk.store.put_setting(HELD_BY_SETTING, b"command" if is_on else b"")
        desk.journal(identity).append(
            command_record(desk.clock.now(), "hold", identity.node, {"on": int(is_on)})
        )
    return {"held": int(is_on)}, {}


def _status(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow()
    identity, pinned = load_identity(desk.store), find_card(desk.store)
    if pinned is None:
        values = desk.describe_identity(identity) | {"safety": safety_values(desk.store)}
        return values | {"fingerprint": "", "clock": desk.clock.now().isoformat(), "rounds": []}, {}
    return node_status(desk.enrolled(), pinned[1], is_held=desk.is_held()), {}


def _budget(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("year")
    year = fields.school_year("year") if fields.has("year") else ""
    return budget(desk.enrolled(), year), {}


def _receipt(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("round")
    receipt = make_receipt(desk.enrolled(), fields.digest("round"))
    return {"kind": receipt.kind, "attempt": receipt.attempt}, {"receipt": receipt.proof}


COMMANDS: Final[Mapping[str, Handler]] = {
    "rounds": _rounds,
    "preview": _preview,
    "release": _release,
    "decide": _decide,
    "hold": _hold,
    "status": _status,
    "budget": _budget,
    "receipt": _receipt,
}
