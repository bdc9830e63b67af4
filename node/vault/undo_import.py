"""Take back the last import, or say that it cannot be.

Until the next import the set that an import replaced is kept beside the new one; an undo puts it back and
deletes the new one. A set from which a report was made stays: what was released cannot be taken back by a
change of records, and a correction is another import and another release.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from crypto.canonical import encode_json, parse_json
from node.vault.errors import RecordsError, _
from node.vault.journal import Journal, JournalRecord
from node.vault.records import SavedRecords, has_report, read_set
from node.vault.store import VaultStore

UNDO_SETTING = "import-undo"


def remember(store: VaultStore, saved: SavedRecords) -> None:
    """Note which set an import made and which one it replaced, inside the caller's transaction."""
    value = {"set": saved.record_set.set_id, "before": saved.replaced_set or 0}
    store.put_setting(UNDO_SETTING, encode_json(value))


def undo_import(store: VaultStore, journal: Journal, now: datetime, by: str) -> dict[str, Any]:
    """Undo the last import.

    Args:
        by: who undoes it, for the journal.

    Returns:
        School year and wave, the digest of the set that is current now ("" for none), and its pupils.

    Raises:
        RecordsError: there is nothing to undo, or a report was made from it.
    """
    data = store.setting(UNDO_SETTING)
    values = parse_json(data) if data else {}
    set_id, before_id = (values.get("set"), values.get("before")) if isinstance(values, dict) else (0, 0)
    if not isinstance(set_id, int) or not isinstance(before_id, int) or set_id <= 0:
        raise RecordsError(
            _("there is no import that could be undone"),
            _("Only the last import can be undone, and only once; import the right files instead."),
            code="no-undo",
        )
    undone = read_set(store, set_id)
    if has_report(store, undone.set_id):
        raise RecordsError(
            _("a report was made from the records of this import"),
            _("Import the corrected files and release again: the newest report counts."),
            code="undo-released",
        )
    with store.transaction("undo import"):
        store.execute("DELETE FROM record_set WHERE set_id = ?", (undone.set_id,))
        if before_id:
            store.execute("UPDATE record_set SET is_current = 1 WHERE set_id = ?", (before_id,))
        store.put_setting(UNDO_SETTING, encode_json({}))
        target = f"{undone.school_year}/{undone.wave}"
        journal.append(
            JournalRecord(now, "vault", "undo-import", target, "ok", {"by": by, "set": undone.digest.hex()})
        )
    before = read_set(store, before_id) if before_id else None
    return {
        "undone": 1,
        "school_year": undone.school_year,
        "wave": undone.wave,
        "records": before.digest.hex() if before is not None else "",
        "pupils": before.num_records if before is not None else 0,
    }
