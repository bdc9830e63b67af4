"""The command ``local_report``: the school's own report of a wave, in three versions.

| version | who | holds |
| --- | --- | --- |
| ``hand-in`` | psychologist or principal; without roles who unlocks the node | no small cells, no names |
| ``exact`` | the psychologist, with a reason | every cell; no names |
| ``follow-up`` | the psychologist, with a reason | the list of pupils with something to do, by name |

The journal says who had which version made, when and why, before the answer leaves the vault: what cannot be
written there is not shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from crypto.canonical import parse_json
from node.vault.enrol import Identity, load_identity
from node.vault.errors import CommandError, RecordsError, _
from node.vault.fields import Answer, Fields, Files, Handler, bad_field
from node.vault.follow_up_list import follow_up_list
from node.vault.journal import TIME_FORMAT, JournalRecord
from node.vault.local_report import EXACT, FOLLOW_UP, HAND_IN, VERSIONS, Wave, report_tables
from node.vault.open_vault import OpenVault
from node.vault.records import RecordSet, list_sets, pruned_on, read_records
from node.vault.register import open_cards, read_classes
from node.vault.report_axes import status_of_row
from node.vault.roles import PSYCHOLOGIST, ROLES, Unlocked, list_holders, require
from node.vault.small_cells import FLOOR
from node.vault.store import VaultStore
from plan.record import Record

KIND: Final = "local-report"
MAX_REASON: Final = 200
MIN_REASON: Final = 2


def _local_report(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("wave", "school_year", "version", "reason", "actor")
    identity = load_identity(desk.store)
    version = fields.text("version", 20) if fields.has("version") else HAND_IN
    if version not in VERSIONS:
        raise bad_field("version", ", ".join(VERSIONS))
    actor, reason = _actor(desk.store, version, fields)
    record_set = _find_set(desk.store, fields)
    answer = _content(desk.store, record_set, version, actor)
    now = desk.clock.now()
    mark = {"who": actor.name if actor else "", "when": now.strftime(TIME_FORMAT), "why": reason}
    target = f"{record_set.school_year}/{record_set.wave}"
    data = {"version": version, "reason": reason, "records": record_set.digest.hex()}
    with desk.store.transaction("local report"):
        desk.journal(identity).append(JournalRecord(now, mark["who"] or "vault", KIND, target, "ok", data))
    return {**_head(identity, record_set, version), "mark": mark, **answer}, {}


def _actor(store: VaultStore, version: str, fields: Fields) -> tuple[Unlocked | None, str]:
    """Check who asks and why, where a version needs that."""
    if version == HAND_IN:
        if fields.has("reason"):
            raise bad_field("reason", _("nothing: the hand-in version needs none"))
        named = fields.mapping("actor")
        return (require(store, named, *ROLES) if named or list_holders(store) else None), ""
    actor = require(store, fields.mapping("actor"), PSYCHOLOGIST)
    reason = fields.text("reason", MAX_REASON).strip() if fields.has("reason") else ""
    if len(reason) < MIN_REASON or not reason.isprintable():
        raise CommandError(
            _("this version needs a reason; it stands in the journal and on every page"),
            _("Say in a few words what it is for."),
            code="reason-needed",
        )
    return actor, reason


def _find_set(store: VaultStore, fields: Fields) -> RecordSet:
    """Find the wave that is meant: the named one, or the one counted last."""
    sets = list_sets(store)
    if fields.has("school_year"):
        year = fields.school_year("school_year")
        sets = [found for found in sets if found.school_year == year]
    if fields.has("wave"):
        wave = fields.text("wave", 8)
        sets = [found for found in sets if found.wave == wave]
    if not sets:
        raise RecordsError(
            _("no records of this wave have been imported"),
            _("Run 'fedscreen node import' first, or name another wave."),
            code="records-missing",
        )
    return max(sets, key=_age)


def _age(record_set: RecordSet) -> tuple[object, ...]:
    return record_set.census_date, record_set.school_year, record_set.wave


def _content(
    store: VaultStore, record_set: RecordSet, version: str, actor: Unlocked | None
) -> dict[str, Any]:
    records = read_records(store, record_set)
    if version == FOLLOW_UP and actor is not None:
        return {"pupils": follow_up_list(records, open_cards(store, record_set.set_id, actor))}
    before = _earlier_set(store, record_set)
    earlier = None if before is None else _earlier_statuses(store, before)
    wave = Wave(records, read_classes(store, record_set.set_id), earlier, _factors(records))
    values: dict[str, Any] = {
        "tables": report_tables(wave, version),
        "instruments": sorted(
            {(record.instrument, record.rule_version) for record in records if record.instrument}
        ),
        "has_classes": int(bool(wave.classes)),
    }
    if before is not None and earlier is not None:
        values["before"] = {"school_year": before.school_year, "wave": before.wave}
    return values | ({"num_pupils": len(records)} if version == EXACT else {"floor": FLOOR})


def _earlier_set(store: VaultStore, record_set: RecordSet) -> RecordSet | None:
    """Find the wave before, of this school year or an earlier one."""
    older = [found for found in list_sets(store) if found.census_date < record_set.census_date]
    return max(older, key=_age, default=None)


def _earlier_statuses(store: VaultStore, record_set: RecordSet) -> Mapping[bytes, str] | None:
    """Read who had which status in the wave before; None once its records were deleted after their time."""
    if pruned_on(store, record_set.set_id):
        return None
    rows = store.query("SELECT rec_key, data FROM record WHERE set_id = ?", (record_set.set_id,))
    return {bytes(rec_key): status_of_row(parse_json(bytes(data))) for rec_key, data in rows}


def _factors(records: tuple[Record, ...]) -> tuple[str, ...]:
    return tuple(sorted(frozenset[str]().union(*(record.factors_high for record in records))))


def _head(identity: Identity, record_set: RecordSet, version: str) -> dict[str, Any]:
    return {
        "version": version,
        "operator": identity.operator,
        "node": identity.node,
        "school_year": record_set.school_year,
        "wave": record_set.wave,
        "census_date": record_set.census_date.isoformat(),
        "imported": record_set.imported,
    }


COMMANDS: Final[Mapping[str, Handler]] = {"local_report": _local_report}
