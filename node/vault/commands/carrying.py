"""Commands for files instead of the network: ``log_import``, ``outbox_export``, ``receipt_import``.

Each is a `Handler`: the open vault, the fields, the files by name. Fields and answers: `node.vault.desk`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from node.vault import carry
from node.vault.errors import VaultError, _
from node.vault.fields import Answer, Fields, Files, Handler, command_record
from node.vault.open_vault import OpenVault


def _log_import(desk: OpenVault, fields: Fields, files: Files) -> Answer:
    fields.allow()
    known = desk.following()
    answer = carry.import_log(known.mirror, known.card.federation, files.get("log", b""))
    trusted = known.mirror.trusted
    age_s = int((desk.clock.now() - trusted.time).total_seconds()) if trusted else -1
    return answer | {"age_s": age_s, "trusted_time": trusted.time.isoformat() if trusted else ""}, {}


def _outbox_export(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("again")
    again = fields.flag("again", default=False)
    parts = desk.enrolled()
    if desk.is_held():
        raise VaultError(
            _("sending is held; nothing leaves"), _("Run 'fedscreen node hold --off' first."), code="held"
        )
    found = carry.waiting_reports(desk.store, parts.mirror, parts.identity.node, again=again)
    rows: list[dict[str, str | int]] = [
        {
            "name": name,
            "round": report.round_id.hex(),
            "attempt": report.attempt,
            "state": state.value,
            "digest": report.digest.hex(),
            "bytes": len(payload),
        }
        for name, report, state, payload in found
    ]
    with desk.store.transaction("outbox export"):
        for row in rows:
            data = {"round": row["round"], "attempt": row["attempt"]}
            parts.journal.append(command_record(desk.clock.now(), "carry-out", str(row["digest"]), data))
    return {"reports": rows}, {name: payload for name, _report, _state, payload in found}


def _receipt_import(desk: OpenVault, fields: Fields, files: Files) -> Answer:
    fields.allow()
    log_keys = desk.following().mirror.ledger.chain.log_keys()
    with desk.store.transaction("receipt"):
        report = carry.import_receipt(desk.store, log_keys, files.get("receipt", b""))
    return {"round": report.round_id.hex(), "attempt": report.attempt, "digest": report.digest.hex()}, {}


COMMANDS: Final[Mapping[str, Handler]] = {
    "log_import": _log_import,
    "outbox_export": _outbox_export,
    "receipt_import": _receipt_import,
}
