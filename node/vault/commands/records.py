"""Commands about records: ``import``, ``undo_import``, ``guess_profile``, ``records_summary``.

Each is a `Handler`: the open vault, the fields, the files by name. Fields and answers: `node.vault.desk`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from node.vault.check_round import find_round
from node.vault.enrol import (
    load_identity,
)
from node.vault.fields import Answer, Fields, Files, Handler
from node.vault.import_records import import_records, target_of_plan, target_of_values
from node.vault.importing.guess import guess_profile
from node.vault.open_vault import OpenVault
from node.vault.records import list_sets
from node.vault.status import record_set_values
from node.vault.undo_import import undo_import


def _import(desk: OpenVault, fields: Fields, files: Files) -> Answer:
    fields.allow("round", "wave", "school_year", "census_date", "consent", "dry_run", "sheets", "by")
    identity = load_identity(desk.store)
    if fields.has("round"):
        round_log = find_round(desk.enrolled().mirror, fields.digest("round"))
        target = target_of_plan(desk.published.read(round_log))
    else:
        target = target_of_values(fields.values)
    sheets = {key: value for key, value in fields.mapping("sheets").items() if isinstance(value, str)}
    is_dry_run = fields.flag("dry_run", default=False)
    answer = import_records(
        desk.store,
        desk.journal(identity),
        identity,
        desk.clock.now(),
        target,
        files,
        sheets,
        by=fields.text("by", 200) if fields.has("by") else "",
        is_dry_run=is_dry_run,
        entropy=desk.entropy,
    )
    return answer, {}


def _undo_import(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("by")
    identity, by = load_identity(desk.store), fields.text("by", 200)
    return undo_import(desk.store, desk.journal(identity), desk.clock.now(), by), {}


def _guess_profile(desk: OpenVault, fields: Fields, files: Files) -> Answer:
    fields.allow("school_year")
    load_identity(desk.store)
    guess = guess_profile(files, fields.text("school_year", 9) if fields.has("school_year") else "")
    return guess.answer, {"profile": guess.toml}


def _records_summary(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow()
    load_identity(desk.store)
    return {"records": [record_set_values(row) for row in list_sets(desk.store)]}, {}


COMMANDS: Final[Mapping[str, Handler]] = {
    "import": _import,
    "undo_import": _undo_import,
    "guess_profile": _guess_profile,
    "records_summary": _records_summary,
}
