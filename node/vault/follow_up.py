"""The follow-up of a school year, typed into a form: entries, and the records that they make.

Rules:

1. An entry belongs to one pupil and one wave and is kept beside the records. The current set of that wave is
   made anew from what was imported and all its entries, with its provenance naming the form.
2. A later import of the wave meets the same entries: the form stands, and the answer counts where both said
   the same and where the import says something else. An undo of the import does not undo entries.
3. What the records were before the form is kept beside them (`imported_record`), so that a withdrawn entry
   leaves what the import says.
4. A withdrawn entry keeps its place, its fields' names and who withdrew it; its values are overwritten.
5. Entries whose pupil has no consent (any more), or is not on the roster, stay and are not applied.

The journal keeps who typed when about which fields, never a value. Spec: docs/follow-up.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from crypto.canonical import JsonInput, encode_json, parse_json
from node.vault.errors import RecordsError, _
from node.vault.follow_up_form import (
    REQUIRE,
    Applied,
    FormValue,
    FormValues,
    apply_form,
    check_together,
    parse_values,
    together,
)
from node.vault.journal import TIME_FORMAT, Journal, JournalRecord
from node.vault.last_import import follow_set, read_last_import
from node.vault.records import IMPORTED, RecordSet, find_set, forget_unused, read_records, save_records
from node.vault.register import copy_cards
from node.vault.store import VaultStore
from plan.record import Record, from_row, to_row

SELECT: Final = "SELECT entry_id, school_year, wave, rec_key, data, time, by FROM follow_up_entry"
Wave = tuple[str, str]
"""School year and wave."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What somebody typed about one pupil at one time.

    Attributes:
        values: by field; empty once it was withdrawn.
        fields: their names, also of a withdrawn entry.
        withdrawn_by, withdrawn: who withdrew it and when; empty while it stands.
    """

    entry_id: int
    school_year: str
    wave: str
    rec_key: bytes
    values: FormValues = field(repr=False)
    fields: tuple[str, ...]
    time: str
    by: str
    withdrawn_by: str = ""
    withdrawn: str = ""


@dataclass(frozen=True, slots=True)
class FormedRecords:
    """Records with the form's entries in them.

    Attributes:
        records: in the order given.
        imported: of each pupil with entries, the record as it came.
        no_follow_up: pupils for whom follow-up was denied.
        counts: values kept and values that differ from the import, by the number of values; values that are
            not applied; pupils with entries who are not among the records.
    """

    records: tuple[Record, ...] = field(repr=False)
    imported: tuple[Record, ...] = field(repr=False)
    no_follow_up: frozenset[bytes] = field(repr=False)
    counts: dict[str, int]


def list_entries(store: VaultStore, wave: Wave, rec_key: bytes | None = None) -> list[Entry]:
    """List the entries of a wave, oldest first, or those about one pupil."""
    where, values = " WHERE school_year = ? AND wave = ?", [*wave]
    if rec_key is not None:
        return [
            _read_entry(row)
            for row in store.query(SELECT + where + " AND rec_key = ? ORDER BY entry_id", (*wave, rec_key))
        ]
    return [_read_entry(row) for row in store.query(SELECT + where + " ORDER BY entry_id", values)]


def typed_values(entries: Iterable[Entry]) -> dict[bytes, dict[str, FormValue]]:
    """Put the entries of each pupil together (`follow_up_form.together`); pupils without any are left out."""
    found: dict[bytes, list[FormValues]] = {}
    for entry in entries:
        found.setdefault(entry.rec_key, []).append(entry.values)
    merged = {rec_key: together(*values) for rec_key, values in found.items()}
    return {rec_key: values for rec_key, values in merged.items() if values}


def form_records(
    store: VaultStore, wave: Wave, records: Iterable[Record], policy: str, no_follow_up: frozenset[bytes]
) -> FormedRecords:
    """Write a wave's entries into freshly imported records.

    Args:
        policy: the consent rule that the records were imported under.
        no_follow_up: pupils for whom follow-up was denied.
    """
    typed = typed_values(list_entries(store, wave))
    formed: list[Record] = []
    imported: list[Record] = []
    counts = {"kept": 0, "differ": 0, "not_applied": 0, "off_roster": len(typed)}
    for record in records:
        values = typed.get(record.rec_key)
        if values is None:
            formed.append(record)
            continue
        applied = apply_form(record, values, policy, is_denied=record.rec_key in no_follow_up)
        formed.append(applied.record)
        imported.append(record)
        counts["off_roster"] -= 1
        counts["kept"] += len(applied.kept)
        counts["differ"] += len(applied.differ)
        counts["not_applied"] += len(applied.left_out)
    return FormedRecords(tuple(formed), tuple(imported), no_follow_up, counts)


def keep_imported(store: VaultStore, set_id: int, formed: FormedRecords) -> None:
    """Keep what a set's records were before the form, inside the caller's transaction."""
    for table in ("imported_record", "no_follow_up"):
        store.execute(f"DELETE FROM {table} WHERE set_id = ?", (set_id,))  # noqa: S608  (names of ours)
    store.execute_many(
        "INSERT INTO imported_record (set_id, rec_key, data) VALUES (?, ?, ?)",
        ((set_id, record.rec_key, encode_json(to_row(record))) for record in formed.imported),
    )
    store.execute_many(
        "INSERT INTO no_follow_up (set_id, rec_key) VALUES (?, ?)",
        ((set_id, rec_key) for rec_key in sorted(formed.no_follow_up)),
    )


def imported_records(store: VaultStore, record_set: RecordSet) -> tuple[Record, ...]:
    """Read a set's records as they were before the form."""
    rows = store.query("SELECT rec_key, data FROM imported_record WHERE set_id = ?", (record_set.set_id,))
    before = {bytes(row[0]): _record_of(bytes(row[1])) for row in rows}
    return tuple(before.get(record.rec_key, record) for record in read_records(store, record_set))


def denied_pupils(store: VaultStore, set_id: int) -> frozenset[bytes]:
    """Give the pupils of a set for whom follow-up was denied."""
    rows = store.query("SELECT rec_key FROM no_follow_up WHERE set_id = ?", (set_id,))
    return frozenset(bytes(row[0]) for row in rows)


def consent_policy(record_set: RecordSet) -> str:
    """Give the consent rule that a set was imported under; the strict one where it is not known."""
    provenance = record_set.provenance
    policy = provenance.get("consent", REQUIRE) if isinstance(provenance, Mapping) else REQUIRE
    return str(policy)


def refresh(store: VaultStore, wave: Wave, now: datetime) -> RecordSet | None:
    """Make a wave's current set anew from what was imported and all entries, inside the caller's transaction.

    Returns:
        The current set; None where the wave has none.
    """
    current = find_set(store, *wave)
    return None if current is None else _remake(store, current, imported_records(store, current), now)[0]


def _remake(
    store: VaultStore, current: RecordSet, base: Iterable[Record], now: datetime
) -> tuple[RecordSet, FormedRecords]:
    wave, denied = (current.school_year, current.wave), denied_pupils(store, current.set_id)
    formed = form_records(store, wave, base, consent_policy(current), denied)
    last = read_last_import(store)
    saved = save_records(
        store,
        formed.records,
        school_year=current.school_year,
        wave=current.wave,
        census_date=current.census_date,
        provenance=with_form({**current.provenance, IMPORTED: current.import_time}, formed, now),
        now=now,
        keep=last.before,
    )
    made = saved.record_set
    keep_imported(store, made.set_id, formed)
    if saved.is_new:
        copy_cards(store, current.set_id, made.set_id)
        follow_set(store, current.set_id, made.set_id)
        forget_unused(store, last.before)
    return made, formed


def with_form(provenance: Mapping[str, Any], formed: FormedRecords, now: datetime) -> dict[str, Any]:
    """Name the form in a set's provenance: pupils with entries, and since when it stands so."""
    values = {name: value for name, value in provenance.items() if name != "form"}
    if formed.imported:
        values["form"] = {"pupils": len(formed.imported), "time": now.strftime(TIME_FORMAT)}
    return values


@dataclass(frozen=True, slots=True)
class Typed:
    """What an entry did: the entry, the set that is current now, and the pupil's record in it.

    Attributes:
        is_new: whether the records changed.
    """

    entry: Entry
    record_set: RecordSet
    record: Record = field(repr=False)
    is_new: bool


def set_follow_up(
    store: VaultStore,
    journal: Journal,
    now: datetime,
    target: tuple[Wave, bytes],
    values: Mapping[str, Any],
    by: str,
) -> Typed:
    """Take an entry about one pupil and make the records anew.

    Args:
        target: the wave, and the pupil.
        values: as typed (see `follow_up_form.parse_values`).
        by: who typed it.

    Raises:
        CommandError: a field or value that the form does not have.
        RecordsError: the pupil is not in the current set, or the values do not fit the pupil.
    """
    wave, rec_key = target
    with store.transaction("follow-up"):
        current = find_set(store, *wave)
        if current is None:
            raise _no_pupil()
        base = imported_records(store, current)
        record = _pupil(base, rec_key)
        typed = parse_values(values, record.administered_on)
        _check(store, current, record, typed)
        store.execute(
            "INSERT INTO follow_up_entry (school_year, wave, rec_key, data, time, by)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (*wave, rec_key, encode_json({"values": typed}), now.strftime(TIME_FORMAT), by),
        )
        entry = list_entries(store, wave, rec_key)[-1]
        made, formed = _remake(store, current, base, now)
        journal.append(_journal_record(now, by, "follow-up", entry, made))
    return Typed(entry, made, _pupil(formed.records, rec_key), made.digest != current.digest)


def withdraw_follow_up(
    store: VaultStore, journal: Journal, now: datetime, entry_id: int, by: str
) -> tuple[Entry, RecordSet | None]:
    """Take an entry back: its values are overwritten and the records made anew.

    Raises:
        RecordsError: there is no such entry, or it was withdrawn before.
    """
    row = store.one(SELECT + " WHERE entry_id = ?", (entry_id,))
    entry = None if row is None else _read_entry(row)
    if entry is None or not entry.values:
        raise RecordsError(
            _("there is no such entry of the follow-up, or it was withdrawn before"),
            _("See the entries of a pupil with 'fedscreen node follow-up history PUPIL'."),
            code="no-entry",
        )
    left: JsonInput = {
        "fields": entry.fields,
        "withdrawn": {"by": by, "time": now.strftime(TIME_FORMAT)},
    }
    wave = (entry.school_year, entry.wave)
    with store.transaction("follow-up"):
        store.execute("UPDATE follow_up_entry SET data = ? WHERE entry_id = ?", (encode_json(left), entry_id))
        made = refresh(store, wave, now)
        journal.append(_journal_record(now, by, "follow-up-withdrawn", entry, made))
    return next(item for item in list_entries(store, wave) if item.entry_id == entry_id), made


def _check(store: VaultStore, record_set: RecordSet, record: Record, typed: FormValues) -> Applied:
    """Check what was just typed together with what was typed before."""
    wave = (record_set.school_year, record_set.wave)
    before = typed_values(list_entries(store, wave, record.rec_key)).get(record.rec_key, {})
    values = together(before, typed)
    is_denied = record.rec_key in denied_pupils(store, record_set.set_id)
    applied = apply_form(record, values, consent_policy(record_set), is_denied=is_denied)
    check_together(record, values, typed, applied)
    return applied


def _pupil(records: Iterable[Record], rec_key: bytes) -> Record:
    for record in records:
        if record.rec_key == rec_key:
            return record
    raise _no_pupil()


def _no_pupil() -> RecordsError:
    return RecordsError(
        _("this pupil is not in the records of the wave"),
        _("See 'fedscreen node follow-up list --all'."),
        code="no-pupil",
    )


def _journal_record(now: datetime, by: str, kind: str, entry: Entry, made: RecordSet | None) -> JournalRecord:
    data: dict[str, JsonInput] = {
        "entry": entry.entry_id,
        "pupil": entry.rec_key.hex(),
        "fields": entry.fields,
        "records": made.digest.hex() if made is not None else "",
    }
    return JournalRecord(now, by, kind, f"{entry.school_year}/{entry.wave}", "ok", data)


def _read_entry(row: tuple[Any, ...]) -> Entry:
    entry_id, school_year, wave, rec_key, data, time, by = row
    content = parse_json(bytes(data))
    if not isinstance(content, dict):
        raise _damaged()
    values, taken_back = content.get("values", {}), content.get("withdrawn", {})
    if not isinstance(values, dict) or not isinstance(taken_back, dict):
        raise _damaged()
    names = content.get("fields", sorted(values))
    return Entry(
        entry_id,
        school_year,
        wave,
        bytes(rec_key),
        {name: _form_value(value) for name, value in values.items()},
        tuple(str(name) for name in names) if isinstance(names, list) else (),
        time,
        by,
        str(taken_back.get("by", "")),
        str(taken_back.get("time", "")),
    )


def _form_value(value: object) -> FormValue:
    return (
        [str(item) for item in value]
        if isinstance(value, list)
        else value
        if isinstance(value, int)
        else str(value)
    )


def _record_of(data: bytes) -> Record:
    row = parse_json(data)
    if not isinstance(row, dict):
        raise _damaged()
    return from_row(row)


def _damaged() -> RecordsError:
    return RecordsError(
        _("the stored records are damaged"),
        _("Keep the file, restore the newest backup beside it, and import the files again."),
        code="records-damaged",
    )
