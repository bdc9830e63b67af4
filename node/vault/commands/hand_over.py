"""Commands about sealed hand-over files: ``hand_over_key``, ``hand_over_make``, ``hand_over_receive``,
``hand_over_receipt``, ``hand_over_list``, ``hand_over_show``.

Each is a `Handler`: the open vault, the fields, the files by name. Fields and answers: `node.vault.desk`.
All need the psychologist's `actor`. No other command gives such a file out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from node.hand_over_file import KINDS, MAX_DAYS, MAX_NOTE, MAX_WORDS, Opened, Reason
from node.hand_over_key import HandOverError, HandOverKey, check_fingerprint, parse_key
from node.hand_over_receipt import parse_receipt
from node.vault import hand_over
from node.vault.enrol import Identity, load_identity
from node.vault.errors import HandOverRefusedError, RegisterError, _
from node.vault.fields import Answer, Fields, Files, Handler, bad_field
from node.vault.find_pupil import KEY_DIGITS, cards_of, find_pupil, find_wave
from node.vault.hand_over_fields import has_finding, pupil_fields
from node.vault.open_vault import OpenVault
from node.vault.records import list_sets, read_records
from node.vault.register import PupilCard
from node.vault.roles import PSYCHOLOGIST, Unlocked, require


def _hand_over_key(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("actor")
    identity, unlocked = _unlock(desk, fields)
    public = hand_over.own_key(identity, unlocked).public
    answer = {"institution": public.institution, "person": public.person, "fingerprint": public.fingerprint}
    return answer, {"key": public.text.encode("utf-8")}


def _hand_over_make(desk: OpenVault, fields: Fields, files: Files) -> Answer:
    fields.allow(
        *("actor", "school_year", "wave", "pupil", "kind", "fingerprint", "reason", "day", "words"),
        *("days", "note", "more", "dry_run"),
    )
    identity, unlocked = _unlock(desk, fields)
    recipient = _recipient(fields, files)
    pupil, name, said = _pupil(desk, fields, unlocked)
    asked = hand_over.Asked(
        kind=_kind(fields),
        recipient=recipient,
        reason=_reason(fields),
        days=fields.number("days", 1, MAX_DAYS),
        rec_key=pupil,
        fields=said,
        note=fields.text("note", MAX_NOTE) if fields.has("note") else "",
    )
    if not has_finding(said) and not asked.note:
        raise HandOverRefusedError(
            _("the records say nothing of this pupil that could be handed over"),
            _("Write what the recipient needs to know as a note, or hand nothing over."),
            code="nothing-to-hand-over",
        )
    answer = {
        "kind": asked.kind,
        "institution": recipient.institution,
        "person": recipient.person,
        "pupil": {"key": pupil.hex()[:KEY_DIGITS], "name": name},
        "fields": dict(said),
        "note": asked.note,
    }
    if fields.flag("dry_run", default=False):
        return answer | {"dry_run": 1}, {}
    row, data = hand_over.make(
        desk.store,
        desk.journal(identity),
        desk.entropy,
        desk.clock.now(),
        (identity, unlocked),
        asked,
    )
    made = {"id": row.hand_over_id, "created": row.created, "expires": row.expires, "dry_run": 0}
    return answer | made | {"digest": str(row.values["digest"]), "bytes": len(data)}, {"file": data}


def _hand_over_receive(desk: OpenVault, fields: Fields, files: Files) -> Answer:
    fields.allow("actor", "sender")
    identity, unlocked = _unlock(desk, fields)
    journal, now = desk.journal(identity), desk.clock.now()
    sender = fields.text("sender", 60) if fields.has("sender") else ""
    row, opened, receipt = hand_over.receive(
        desk.store, journal, now, (identity, unlocked), files.get("file", b""), sender
    )
    return _opened_values(row, opened), {"receipt": receipt}


def _hand_over_receipt(desk: OpenVault, fields: Fields, files: Files) -> Answer:
    fields.allow("actor")
    identity, unlocked = _unlock(desk, fields)
    journal, now = desk.journal(identity), desk.clock.now()
    row, receipt = hand_over.take_receipt(desk.store, journal, now, unlocked.name, files.get("receipt", b""))
    values = {"id": row.hand_over_id, "kind": row.kind, "opened": receipt.opened, "by": receipt.by}
    return values | _names(row), {}


def _hand_over_list(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("actor")
    _identity, unlocked = _unlock(desk, fields)
    rows = hand_over.list_all(desk.store)
    cards = _all_cards(desk, unlocked) if any(row.is_sent for row in rows) else {}
    today = desk.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"files": [_row_values(row, cards, today) for row in rows]}, {}


def _hand_over_show(desk: OpenVault, fields: Fields, _files: Files) -> Answer:
    fields.allow("actor", "id")
    identity, unlocked = _unlock(desk, fields)
    row = hand_over.find_by_prefix(hand_over.list_all(desk.store), fields.text("id", 32))
    return _opened_values(row, hand_over.reopen(identity, unlocked, row)), {}


# ---------------------------------------------------------------- fields of a command


def _unlock(desk: OpenVault, fields: Fields) -> tuple[Identity, Unlocked]:
    identity = load_identity(desk.store)
    return identity, require(desk.store, fields.mapping("actor"), PSYCHOLOGIST)


def _kind(fields: Fields) -> str:
    kind = fields.text("kind", 20)
    if kind not in KINDS:
        raise bad_field("kind", ", ".join(KINDS))
    return kind


def _reason(fields: Fields) -> Reason:
    day = None
    if fields.has("day"):
        try:
            day = date.fromisoformat(fields.text("day", 10))
        except ValueError:
            raise bad_field("day", "2026-09-30") from None
    words = fields.text("words", MAX_WORDS) if fields.has("words") else ""
    try:
        return Reason(fields.text("reason", 10), day, words)
    except HandOverError as err:
        raise hand_over.as_refusal(err) from None


def _recipient(fields: Fields, files: Files) -> HandOverKey:
    try:
        key = parse_key(files.get("recipient", b""))
        check_fingerprint(key, fields.text("fingerprint", 60))
    except HandOverError as err:
        raise hand_over.as_refusal(err) from None
    return key


def _pupil(desk: OpenVault, fields: Fields, unlocked: Unlocked) -> tuple[bytes, str, dict[str, str]]:
    """Find the pupil; give the key, the name, and what is handed over."""
    school_year = fields.text("school_year", 9) if fields.has("school_year") else ""
    record_set = find_wave(desk.store, school_year, fields.text("wave", 1) if fields.has("wave") else "")
    cards = cards_of(desk.store, record_set.set_id, unlocked)
    records = {record.rec_key: record for record in read_records(desk.store, record_set)}
    rec_key = find_pupil(records, cards, fields.text("pupil", 200))
    card, kind = cards.get(rec_key), _kind(fields)
    if kind != "consultation" and (card is None or not card.name):
        raise RegisterError(
            _("no names are kept for these records"),
            _(
                "Import again: names are kept once the psychologist's role is there, if the profile reads"
                ' their column (name = ["姓名"] under [columns]).'
            ),
            code="no-names",
        )
    more = fields.values.get("more") or []
    if not isinstance(more, list) or not all(isinstance(name, str) for name in more):
        raise bad_field("more", _("a list"))
    return rec_key, card.name if card is not None else "", pupil_fields(kind, records[rec_key], card, more)


# ---------------------------------------------------------------- answers


def _opened_values(row: hand_over.HandOver, opened: Opened) -> dict[str, Any]:
    """Give the content of an opened file, for the psychologist's eyes."""
    header, body = opened.header, opened.body
    reason = {"kind": body.reason.kind, "words": body.reason.words}
    reason["day"] = body.reason.day.isoformat() if body.reason.day is not None else ""
    return {
        "id": header.hand_over_id,
        "kind": body.kind,
        "created": row.created,
        "expires": row.expires,
        "from": {
            "institution": body.sender.institution,
            "person": body.by,
            "node": body.node,
            "fingerprint": body.sender.fingerprint,
        },
        "to": list(body.to),
        "reason": reason,
        "fields": dict(body.fields),
        "note": body.note,
    }


def _names(row: hand_over.HandOver) -> dict[str, str]:
    institution, person = row.values["to" if row.is_sent else "from"]
    return {"institution": institution, "person": person}


def _row_values(row: hand_over.HandOver, cards: Mapping[bytes, PupilCard], now: str) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": row.hand_over_id,
        "kind": row.kind,
        "direction": row.values["direction"],
        "created": row.created,
        "expires": row.expires,
        "is_expired": int(now > row.expires),
        **_names(row),
    }
    if row.receipt is not None:
        receipt = parse_receipt(row.receipt)
        values |= {"opened": receipt.opened, "opened_by": receipt.by}
    if row.is_sent:
        pupil = bytes.fromhex(row.values["pupil"])
        card = cards.get(pupil)
        named = {"key": pupil.hex()[:KEY_DIGITS], "name": card.name if card is not None else ""}
        values |= {"pupil": named, "reason": dict(row.values["reason"]), "fields": list(row.values["fields"])}
    return values


def _all_cards(desk: OpenVault, unlocked: Unlocked) -> dict[bytes, PupilCard]:
    """Give the cards of all current sets: a pupil may have been handed over from an earlier wave."""
    found: dict[bytes, PupilCard] = {}
    for record_set in list_sets(desk.store):
        found = cards_of(desk.store, record_set.set_id, unlocked) | found
    return found


COMMANDS: Final[Mapping[str, Handler]] = {
    "hand_over_key": _hand_over_key,
    "hand_over_make": _hand_over_make,
    "hand_over_receive": _hand_over_receive,
    "hand_over_receipt": _hand_over_receipt,
    "hand_over_list": _hand_over_list,
    "hand_over_show": _hand_over_show,
}
