"""Commands of inspectors: ``recompute``, ``visit``, ``check_store``.

Each is a `Handler`: the open vault, the fields, the files by name. Fields and answers: `node.vault.desk`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from node.vault.enrol import (
    load_identity,
)
from node.vault.fields import Answer, Fields, Files, Handler
from node.vault.open_vault import OpenVault
from node.vault.replay import replay_report
from node.vault.visit import check_visit


def _recompute(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("round", "attempt")
    replay = replay_report(desk.enrolled(), fields.digest("round"), fields.number("attempt", 0, 3))
    checks = [{"number": row.number, "name": row.name, "result": row.result} for row in replay.checks]
    return {
        "node": replay.node,
        "round": replay.round_id.hex(),
        "attempt": replay.attempt,
        "report": replay.report.hex(),
        "outcome": replay.outcome,
        "confinement": desk.level,
        "checks": checks,
    }, {}


def _visit(desk: OpenVault, fields: Fields, files: Files) -> Answer:
    fields.allow()
    return check_visit(desk.enrolled(), files.get("challenge", b"")), {}


def _check_store(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow()
    identity = load_identity(desk.store)
    num_records = sum(1 for _record in desk.journal(identity).verify())
    return {"damaged": list(desk.store.damaged_pages()), "journal_records": num_records}, {}


COMMANDS: Final[Mapping[str, Handler]] = {
    "recompute": _recompute,
    "visit": _visit,
    "check_store": _check_store,
}
