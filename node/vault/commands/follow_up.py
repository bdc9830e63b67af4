"""Commands of the psychologist: ``follow_up_list``, ``follow_up_set``, ``follow_up_history``,
``follow_up_withdraw``.

Each is a `Handler`: the open vault, the fields, the files by name. Fields and answers: `node.vault.desk`.
All need the psychologist's `actor`: they put findings beside names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from node.vault.enrol import load_identity
from node.vault.fields import Answer, Fields, Files, Handler, bad_field
from node.vault.find_pupil import KEY_DIGITS, cards_of, find_pupil, find_wave, record_keys
from node.vault.follow_up import (
    Entry,
    denied_pupils,
    list_entries,
    set_follow_up,
    withdraw_follow_up,
)
from node.vault.follow_up_form import form_values, level_now, open_steps
from node.vault.open_vault import OpenVault
from node.vault.records import RecordSet, list_sets, read_records
from node.vault.register import PupilCard, read_classes
from node.vault.roles import PSYCHOLOGIST, Unlocked, require
from plan.codes import WITHOUT_CONSENT
from plan.record import REC_KEY_BYTES, Record

Earlier = Mapping[bytes, list[dict[str, Any]]]


def _follow_up_list(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("actor", "school_year", "wave", "all")
    unlocked, record_set = _unlock(desk, fields), _wave(desk, fields)
    is_all = fields.flag("all", default=False)
    records = read_records(desk.store, record_set)
    cards = cards_of(desk.store, record_set.set_id, unlocked)
    classes = read_classes(desk.store, record_set.set_id)
    earlier = _earlier(desk, record_set)
    touched = {entry.rec_key for entry in list_entries(desk.store, _name(record_set)) if entry.values}
    today = desk.clock.now().date()
    rows = []
    for record in records:
        steps = open_steps(record)
        if is_all or steps or record.closed == "1" or record.rec_key in touched:
            row = _row(record, steps, cards.get(record.rec_key), classes.get(record.rec_key, ""))
            if steps and record.administered_on is not None:
                row["days"] = max(0, (today - record.administered_on).days)
            rows.append(row | {"earlier": earlier.get(record.rec_key, [])})
    rows.sort(key=lambda row: (not row["open"], -_rank(row["level"]), row["class"], row["name"], row["key"]))
    return _of_wave(record_set) | {"names": int(bool(cards)), "pupils": rows}, {}


def _row(record: Record, steps: list[str], card: PupilCard | None, class_name: str) -> dict[str, Any]:
    return {
        "rec_key": record.rec_key.hex(),
        "key": record.rec_key.hex()[:KEY_DIGITS],
        "name": card.name if card is not None else "",
        "student_no": card.student_no if card is not None else "",
        "grade": record.grade,
        "class": class_name,
        "level1": record.level1,
        "level": level_now(record),
        "consent": int(record.disposition not in WITHOUT_CONSENT),
        "open": steps,
        "values": form_values(record),
    }


def _rank(level: str) -> int:
    return int(level) if level in ("0", "1", "2", "3") else -1


def _earlier(desk: OpenVault, record_set: RecordSet) -> Earlier:
    """Give how each pupil stands in the waves before this one, newest first."""
    found: dict[bytes, list[dict[str, Any]]] = {}
    before = [row for row in list_sets(desk.store) if row.census_date < record_set.census_date]
    for row in sorted(before, key=lambda item: item.census_date, reverse=True):
        for record in read_records(desk.store, row):
            if record.is_tested or form_values(record):
                values: dict[str, Any] = {"school_year": row.school_year, "wave": row.wave}
                values |= {"level1": record.level1, "level": level_now(record), "open": open_steps(record)}
                found.setdefault(record.rec_key, []).append(values)
    return found


def _follow_up_set(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("actor", "school_year", "wave", "rec_key", "pupil", "values")
    identity = load_identity(desk.store)
    unlocked, record_set = _unlock(desk, fields), _wave(desk, fields)
    cards = cards_of(desk.store, record_set.set_id, unlocked)
    target = (_name(record_set), _pupil(desk, fields, record_set, cards))
    journal, now = desk.journal(identity), desk.clock.now()
    typed = set_follow_up(desk.store, journal, now, target, fields.mapping("values"), unlocked.name)
    record, made = typed.record, typed.record_set
    class_name = read_classes(desk.store, made.set_id).get(record.rec_key, "")
    row = _row(record, open_steps(record), cards.get(record.rec_key), class_name)
    changed = {"is_new": int(typed.is_new), "records": made.digest.hex()}
    return _of_wave(made) | changed | {"entry": typed.entry.entry_id, "pupil": row}, {}


def _follow_up_history(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("actor", "school_year", "wave", "rec_key", "pupil")
    unlocked, record_set = _unlock(desk, fields), _wave(desk, fields)
    cards = cards_of(desk.store, record_set.set_id, unlocked)
    rec_key = _pupil(desk, fields, record_set, cards)
    entries = list_entries(desk.store, _name(record_set), rec_key)
    denied = rec_key in denied_pupils(desk.store, record_set.set_id)
    card = cards.get(rec_key)
    pupil = {"rec_key": rec_key.hex(), "key": rec_key.hex()[:KEY_DIGITS], "name": card.name if card else ""}
    answer = _of_wave(record_set) | {"pupil": pupil, "follow_up_denied": int(denied)}
    return answer | {"entries": [_entry_values(entry) for entry in entries]}, {}


def _follow_up_withdraw(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("actor", "entry")
    identity, unlocked = load_identity(desk.store), _unlock(desk, fields)
    entry_id, journal = fields.number("entry", 1, 2**53), desk.journal(identity)
    entry, made = withdraw_follow_up(desk.store, journal, desk.clock.now(), entry_id, unlocked.name)
    answer = {"school_year": entry.school_year, "wave": entry.wave, "entry": _entry_values(entry)}
    return answer | {"records": made.digest.hex() if made is not None else ""}, {}


def _entry_values(entry: Entry) -> dict[str, Any]:
    return {
        "entry": entry.entry_id,
        "time": entry.time,
        "by": entry.by,
        "fields": list(entry.fields),
        "values": dict(entry.values),
        "withdrawn": entry.withdrawn,
        "withdrawn_by": entry.withdrawn_by,
    }


def _unlock(desk: OpenVault, fields: Fields) -> Unlocked:
    load_identity(desk.store)
    return require(desk.store, fields.mapping("actor"), PSYCHOLOGIST)


def _wave(desk: OpenVault, fields: Fields) -> RecordSet:
    school_year = fields.text("school_year", 9) if fields.has("school_year") else ""
    return find_wave(desk.store, school_year, fields.text("wave", 1) if fields.has("wave") else "")


def _name(record_set: RecordSet) -> tuple[str, str]:
    return record_set.school_year, record_set.wave


def _of_wave(record_set: RecordSet) -> dict[str, Any]:
    return {"school_year": record_set.school_year, "wave": record_set.wave}


def _pupil(desk: OpenVault, fields: Fields, record_set: RecordSet, cards: Mapping[bytes, PupilCard]) -> bytes:
    if fields.has("rec_key"):
        text = fields.text("rec_key", 2 * REC_KEY_BYTES)
        if len(text) != 2 * REC_KEY_BYTES or not set(text) <= set("0123456789abcdef"):
            raise bad_field("rec_key", f"{2 * REC_KEY_BYTES} hex")
        return bytes.fromhex(text)
    return find_pupil(record_keys(desk.store, record_set.set_id), cards, fields.text("pupil", 200))


COMMANDS: Final[Mapping[str, Handler]] = {
    "follow_up_list": _follow_up_list,
    "follow_up_set": _follow_up_set,
    "follow_up_history": _follow_up_history,
    "follow_up_withdraw": _follow_up_withdraw,
}
