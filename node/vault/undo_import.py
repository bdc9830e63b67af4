"""Take back the last import, or say that it cannot be.

Until the next import the set that an import replaced is kept beside the new one; an undo puts it back and
deletes the new one. A set from which a report was made stays: what was released cannot be taken back by a
change of records, and a correction is another import and another release. What was typed into the form of the
follow-up is not undone: it is written into the set that is current again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from node.vault.errors import RecordsError, _
from node.vault.follow_up import refresh
from node.vault.journal import Journal, JournalRecord
from node.vault.last_import import LastImport, read_last_import, remember
from node.vault.records import has_report, read_set
from node.vault.store import VaultStore


def undoable(store: VaultStore) -> dict[str, str]:
    """Name the wave whose last import could be undone now; empty where none can."""
    last = read_last_import(store)
    if last.set_id <= 0 or has_report(store, last.set_id):
        return {}
    found = read_set(store, last.set_id)
    return {"school_year": found.school_year, "wave": found.wave}


def undo_import(store: VaultStore, journal: Journal, now: datetime, by: str) -> dict[str, Any]:
    """Undo the last import.

    Args:
        by: who undoes it, for the journal.

    Returns:
        School year and wave, the digest of the set that is current now ("" for none), and its pupils.

    Raises:
        RecordsError: there is nothing to undo, or a report was made from it.
    """
    last = read_last_import(store)
    if last.set_id <= 0:
        raise RecordsError(
            _("there is no import that could be undone"),
            _("Only the last import can be undone, and only once; import the right files instead."),
            code="no-undo",
        )
    undone = read_set(store, last.set_id)
    if has_report(store, undone.set_id):
        raise RecordsError(
            _("a report was made from the records of this import"),
            _("Import the corrected files and release again: the newest report counts."),
            code="undo-released",
        )
    with store.transaction("undo import"):
        store.execute("DELETE FROM record_set WHERE set_id = ?", (undone.set_id,))
        if last.before:
            store.execute("UPDATE record_set SET is_current = 1 WHERE set_id = ?", (last.before,))
        remember(store, LastImport())
        before = refresh(store, (undone.school_year, undone.wave), now)
        target = f"{undone.school_year}/{undone.wave}"
        journal.append(
            JournalRecord(now, "vault", "undo-import", target, "ok", {"by": by, "set": undone.digest.hex()})
        )
    return {
        "undone": 1,
        "school_year": undone.school_year,
        "wave": undone.wave,
        "records": before.digest.hex() if before is not None else "",
        "pupils": before.num_records if before is not None else 0,
    }
