"""Finding one pupil of a set of records by what the psychologist types, and no other.

A pupil is named by the first digits of the record's key (as the follow-up list shows it), the student number,
the school's own number, or the name if nobody else has it. Nothing of it is repeated in a refusal.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from typing import Final

from node.vault.errors import RecordsError, RegisterError, _
from node.vault.records import RecordSet, find_set, list_sets
from node.vault.register import PupilCard, open_cards
from node.vault.roles import Unlocked
from node.vault.store import VaultStore

KEY_DIGITS: Final = 8
"""Digits of a record's key that a list shows; enough for every pupil of a school."""


def find_wave(store: VaultStore, school_year: str, wave: str) -> RecordSet:
    """Find the current set of a wave; of the wave counted last, where none is named.

    Raises:
        RecordsError: there are no records.
    """
    if school_year and wave:
        found = find_set(store, school_year, wave)
    else:
        sets = [
            row
            for row in list_sets(store)
            if (not school_year or row.school_year == school_year) and (not wave or row.wave == wave)
        ]
        found = max(sets, key=lambda row: (row.census_date, row.set_id), default=None)
    if found is None:
        raise RecordsError(
            _("there are no records of this wave"),
            _("Import them first; 'fedscreen node status' lists what is there."),
            code="no-records",
        )
    return found


def record_keys(store: VaultStore, set_id: int) -> list[bytes]:
    """Give the keys of a set's records."""
    return [bytes(row[0]) for row in store.query("SELECT rec_key FROM record WHERE set_id = ?", (set_id,))]


def cards_of(store: VaultStore, set_id: int, unlocked: Unlocked) -> dict[bytes, PupilCard]:
    """Give the cards of a set with names; none where no names were kept.

    Raises:
        RegisterError: they are damaged.
    """
    try:
        return open_cards(store, set_id, unlocked)
    except RegisterError as err:
        if err.code != "no-names":
            raise
        return {}


def find_pupil(keys: Iterable[bytes], cards: Mapping[bytes, PupilCard], typed: str) -> bytes:
    """Find the one pupil that is meant; returns the key of the record.

    Args:
        keys: of the set's records.
        cards: of the set; empty where no names were kept.
        typed: digits of the key, a number or a name.

    Raises:
        RecordsError: nobody, or several.
    """
    known = set(keys)
    text = _plain(typed)
    found = {key for key in known if len(text) >= KEY_DIGITS and key.hex().startswith(text.lower())}
    for key, card in cards.items():
        texts = {_plain(item) for item in (card.student_no, card.local_no, card.name)}
        if text and text in texts and key in known:
            found.add(key)
    if len(found) != 1:
        raise _not_one(len(found) > 1)
    return found.pop()


def _plain(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).split()).upper()


def _not_one(is_several: bool) -> RecordsError:
    if is_several:
        return RecordsError(
            _("several pupils of this wave are meant"),
            _("Give the student number, or the key that 'fedscreen node follow-up list --all' shows."),
            code="which-pupil",
        )
    return RecordsError(
        _("no pupil of this wave is meant"),
        _("Give the key that 'fedscreen node follow-up list --all' shows, the student number or the name."),
        code="no-pupil",
    )
