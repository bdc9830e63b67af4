"""Which set the last import made, and which one it replaced: what an undo needs to know.

The follow-up form makes a new set out of the one that an import made; then the undo is about that one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from crypto.canonical import encode_json, parse_json
from node.vault.records import has_report
from node.vault.store import VaultStore

UNDO_SETTING: Final = "import-undo"


@dataclass(frozen=True, slots=True)
class LastImport:
    """The last import: the set that it made and the one before it; 0 for none."""

    set_id: int = 0
    before: int = 0


def read_last_import(store: VaultStore) -> LastImport:
    """Read which sets an undo would be about; zeros where nothing can be undone."""
    data = store.setting(UNDO_SETTING)
    values = parse_json(data) if data else {}
    found = (values.get("set"), values.get("before")) if isinstance(values, dict) else (0, 0)
    set_id, before = found
    if not isinstance(set_id, int) or not isinstance(before, int):
        return LastImport()
    return LastImport(set_id, before)


def remember(store: VaultStore, last: LastImport) -> None:
    """Note what an undo would be about, inside the caller's transaction."""
    values = {"set": last.set_id, "before": last.before} if last.set_id else {}
    store.put_setting(UNDO_SETTING, encode_json(values))


def follow_set(store: VaultStore, from_set: int, to_set: int) -> None:
    """Let an undo be about the set that took another one's place, inside the caller's transaction.

    A set from which a report was made stays what the undo is about, and the undo refuses it.
    """
    last = read_last_import(store)
    if last.set_id == from_set and not has_report(store, from_set):
        remember(store, LastImport(to_set, last.before))
