"""The screening records in the store: one set per import, kept as long as a report was made from it.

Rules:

1. An import is a whole snapshot of a wave (the roster is part of every import), so it replaces the current
   set of its school year and wave; the same rows again change nothing.
2. A set from which a report was made is never deleted here: a replay needs exactly those rows. The one that
   the last import replaced stays until the next import, for an undo. Other old sets go at once, and SQLCipher
   overwrites what they held.
3. Rows are canonical JSON without names or numbers, in order of ``rec_key``; their SHA-256 stands in the
   input commitment, and says when they are read that they are what was written.

Spec: docs/protocol.md "Node: from table to report"; the screening record in docs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final

from crypto.canonical import JsonInput, encode_json, encode_parts, parse_json
from node.vault.errors import RecordsError, _
from node.vault.journal import TIME_FORMAT
from node.vault.store import VaultStore
from plan.errors import RecordError
from plan.record import Record, encode_row, from_own_row

IMPORTED: Final = "imported"
"""In a set's provenance: when its files were imported, if the follow-up's form has made it anew since."""
SELECT_SET = (
    "SELECT set_id, school_year, wave, census_date, num_records, digest, provenance, imported FROM record_set"
)


@dataclass(frozen=True, slots=True)
class RecordSet:
    """One imported set of records; the records themselves stay in the store.

    Attributes:
        set_id: its number in this store.
        school_year, wave, census_date: what it is about.
        num_records: pupils in it.
        digest: SHA-256 of the canonical rows.
        provenance: what was imported and how, as JSON values.
        imported: when this set was made, as text; `import_time` is when its files were imported.
    """

    set_id: int
    school_year: str
    wave: str
    census_date: date
    num_records: int
    digest: bytes
    provenance: Any
    imported: str

    @property
    def import_time(self) -> str:
        """When the files were imported; what was typed into the follow-up's form since does not move it."""
        known = self.provenance.get(IMPORTED) if isinstance(self.provenance, Mapping) else None
        return known if isinstance(known, str) else self.imported


@dataclass(frozen=True, slots=True)
class SavedRecords:
    """What saving a set did: the set, how many pupils were there before, whether anything changed, and the
    number of the set that it replaced."""

    record_set: RecordSet
    num_replaced: int
    is_new: bool
    replaced_set: int | None = None


def save_records(
    store: VaultStore,
    records: Iterable[Record],
    *,
    school_year: str,
    wave: str,
    census_date: date,
    provenance: JsonInput,
    now: datetime,
    keep: int = 0,
) -> SavedRecords:
    """Make a set of records the current one of its wave, inside the caller's transaction.

    Args:
        keep: another old set that stays besides the replaced one (rule 2), 0 for none.

    Raises:
        RecordsError: there is no record, or one pupil stands in it twice.
    """
    rows = _encode_rows(records)
    digest = _rows_digest(rows)
    before = find_set(store, school_year, wave)
    if before is not None and (before.digest, before.census_date) == (digest, census_date):
        return SavedRecords(before, before.num_records, False)
    num_replaced = 0 if before is None else _count_replaced(store, before.set_id, rows)
    store.execute(
        "UPDATE record_set SET is_current = 0 WHERE school_year = ? AND wave = ?", (school_year, wave)
    )
    replaced_set = None if before is None else before.set_id
    forget_unused(store, replaced_set or 0, keep)
    store.execute(
        "INSERT INTO record_set (school_year, wave, census_date, is_current, num_records, digest,"
        " provenance, imported) VALUES (?, ?, ?, 1, ?, ?, ?, ?)",
        (
            school_year,
            wave,
            census_date.isoformat(),
            len(rows),
            digest,
            encode_json(provenance),
            now.strftime(TIME_FORMAT),
        ),
    )
    saved = find_set(store, school_year, wave)
    if saved is None:
        raise RecordsError(_("the records could not be stored"), code="records-lost")
    store.execute_many(
        "INSERT INTO record (set_id, rec_key, data) VALUES (?, ?, ?)",
        ((saved.set_id, rec_key, data) for rec_key, data in rows.items()),
    )
    return SavedRecords(saved, num_replaced, True, replaced_set)


def find_set(store: VaultStore, school_year: str, wave: str) -> RecordSet | None:
    """Find the current set of a wave."""
    row = store.one(
        SELECT_SET + " WHERE school_year = ? AND wave = ? AND is_current = 1", (school_year, wave)
    )
    return None if row is None else _read_set(row)


def find_earlier_set(store: VaultStore, school_year: str, wave: str, census_date: date) -> RecordSet | None:
    """Find the current set of the latest other wave of a school year that was counted before a day."""
    row = store.one(
        SELECT_SET + " WHERE school_year = ? AND wave <> ? AND census_date < ? AND is_current = 1"
        " ORDER BY census_date DESC, wave DESC LIMIT 1",
        (school_year, wave, census_date.isoformat()),
    )
    return None if row is None else _read_set(row)


def read_set(store: VaultStore, set_id: int) -> RecordSet:
    """Read one set by number, current or not.

    Raises:
        RecordsError: there is none.
    """
    row = store.one(SELECT_SET + " WHERE set_id = ?", (set_id,))
    if row is None:
        raise _gone()
    return _read_set(row)


def pruned_on(store: VaultStore, set_id: int) -> str:
    """Say when retention deleted the rows of a set; empty while they are there."""
    row = store.one("SELECT pruned FROM pruned_set WHERE set_id = ?", (set_id,))
    return "" if row is None else str(row[0])


def list_sets(store: VaultStore) -> list[RecordSet]:
    """List the current sets, newest school year first."""
    rows = store.query(SELECT_SET + " WHERE is_current = 1 ORDER BY school_year DESC, wave")
    return [_read_set(row) for row in rows]


def read_records(store: VaultStore, record_set: RecordSet) -> tuple[Record, ...]:
    """Read the records of a set, in order of ``rec_key``.

    Raises:
        RecordsError: a row is damaged, the rows are not those of the set's digest, or they were deleted
            when their time of keeping was over (``records-gone``).
    """
    if pruned_on(store, record_set.set_id):
        raise _gone()
    rows = {
        bytes(row[0]): bytes(row[1])
        for row in store.query(
            "SELECT rec_key, data FROM record WHERE set_id = ? ORDER BY rec_key", (record_set.set_id,)
        )
    }
    if _rows_digest(rows) != record_set.digest:
        raise _damaged()
    try:
        return tuple(map(from_own_row, json.loads(b"[" + b",".join(rows.values()) + b"]")))
    except (AttributeError, TypeError, ValueError, RecordError):
        raise _damaged() from None


def _encode_rows(records: Iterable[Record]) -> dict[bytes, bytes]:
    rows: dict[bytes, bytes] = {}
    for record in records:
        if record.rec_key in rows:
            raise RecordsError(
                _("one pupil stands in the records twice"), _("Keep one row for each pupil."), code="double"
            )
        rows[record.rec_key] = encode_row(record)
    if not rows:
        raise RecordsError(_("there is no record to store"), code="no-records")
    return dict(sorted(rows.items()))


def _rows_digest(rows: dict[bytes, bytes]) -> bytes:
    return hashlib.sha256(encode_parts(*rows.values())).digest()


def _count_replaced(store: VaultStore, set_id: int, rows: dict[bytes, bytes]) -> int:
    old = {bytes(row[0]) for row in store.query("SELECT rec_key FROM record WHERE set_id = ?", (set_id,))}
    return len(old & rows.keys())


def has_report(store: VaultStore, set_id: int) -> bool:
    """Say whether a report was made from a set."""
    return store.one("SELECT 1 FROM report WHERE set_id = ?", (set_id,)) is not None


def forget_unused(store: VaultStore, *keep: int) -> None:
    """Delete every old set without a report, except those that an undo needs."""
    old = store.query(
        "SELECT set_id FROM record_set WHERE is_current = 0 AND set_id NOT IN (SELECT set_id FROM report)"
    )
    for (set_id,) in old:
        if set_id not in keep:
            store.execute("DELETE FROM record_set WHERE set_id = ?", (set_id,))


def _read_set(row: tuple[Any, ...]) -> RecordSet:
    set_id, school_year, wave, census_date, num_records, digest, provenance, imported = row
    return RecordSet(
        set_id,
        school_year,
        wave,
        date.fromisoformat(census_date),
        num_records,
        bytes(digest),
        parse_json(bytes(provenance)),
        imported,
    )


def _gone() -> RecordsError:
    return RecordsError(_("the records of this report are not in the store any more"), code="records-gone")


def _damaged() -> RecordsError:
    return RecordsError(
        _("the stored records are damaged"),
        _("Keep the file, restore the newest backup beside it, and import the files again."),
        code="records-damaged",
    )
