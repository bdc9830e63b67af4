"""Commands about rounds: ``rounds``, ``preview``, ``release``, ``hold``, ``status``, ``budget``, ``receipt``.

Each is a `Handler`: the open vault, the fields, the files by name. Fields and answers: `node.vault.desk`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from node.vault.budget import budget
from node.vault.enrol import (
    find_card,
    load_identity,
)
from node.vault.fields import Answer, Fields, Files, Handler, command_record
from node.vault.open_vault import OpenVault
from node.vault.preview import preview_round
from node.vault.receipt import make_receipt
from node.vault.release import release_round
from node.vault.run_desk import HOLD_SETTING
from node.vault.status import list_rounds, node_status, report_values


def _rounds(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow()
    return {"rounds": list_rounds(desk.enrolled())}, {}


def _preview(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("round")
    return preview_round(desk.enrolled(), fields.digest("round")), {}


def _release(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("round", "by", "records")
    parts = desk.enrolled()
    records = fields.text("records", 64) if fields.has("records") else ""
    by = fields.text("by", 200)
    released = release_round(parts, fields.digest("round"), by, records=records)
    answer = report_values(parts, released.report)
    answer |= {"round": released.report.round_id.hex(), "is_new": int(released.is_new)}
    return answer | {"bytes": released.payload_bytes}, {}


def _hold(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("on")
    identity, is_on = load_identity(desk.store), fields.flag("on", default=True)
    with desk.store.transaction("hold"):
        desk.store.put_setting(HOLD_SETTING, b"1" if is_on else b"0")
        desk.journal(identity).append(
            command_record(desk.clock.now(), "hold", identity.node, {"on": int(is_on)})
        )
    return {"held": int(is_on)}, {}


def _status(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow()
    identity, pinned = load_identity(desk.store), find_card(desk.store)
    if pinned is None:
        values = desk.describe_identity(identity)
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
    "hold": _hold,
    "status": _status,
    "budget": _budget,
    "receipt": _receipt,
}
