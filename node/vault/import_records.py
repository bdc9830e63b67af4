"""The ``import`` command: read a school's files, and store the records if nothing at all is wrong.

What is counted where comes from a round's plan when the command names one, else from the command itself.
A dry run does everything but store. The journal keeps which files were read (their SHA-256) and how many
rows they had.

The level of the latest earlier wave of the school year (`level_before`) is put into each record here, from
the vault's own records of the same pupil (`rec_key`), and stored with it: a replay needs no other set. An
earlier wave that is imported only afterwards does not change what is stored; import the later one again.

What was typed into the form of the follow-up for this wave is written on top (`node.vault.follow_up`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from typing import Any

from crypto.canonical import JsonInput
from node.vault.enrol import Identity
from node.vault.errors import CommandError, RecordsError, _
from node.vault.follow_up import FormedRecords, form_records, keep_imported, with_form
from node.vault.import_file import ImportContext, ImportResult, import_files
from node.vault.importing.errors import SCREENING, RowIssue
from node.vault.journal import Entropy, Journal, JournalRecord
from node.vault.last_import import LastImport, remember
from node.vault.records import (
    RecordSet,
    SavedRecords,
    find_earlier_set,
    find_set,
    read_records,
    save_records,
)
from node.vault.register import save_cards
from node.vault.store import VaultStore
from plan.codes import UNKNOWN, WITHOUT_CONSENT
from plan.published import Published
from plan.record import Record, apply_consent

_CHINA = timezone(timedelta(hours=8))

CONSENT = "require"
TESTED = ("1", "2")  # dispositions: a valid and an invalid test


@dataclass(frozen=True, slots=True)
class ImportTarget:
    """What an import is for: the wave that it replaces, and the consent rule that it is read under."""

    school_year: str
    wave: str
    census_date: date
    consent: str = CONSENT


def target_of_plan(published: Published) -> ImportTarget:
    """Take the target from a round's plan."""
    document = published.document
    return ImportTarget(document.school_year, document.wave, document.census_date, document.consent)


def target_of_values(values: Mapping[str, Any]) -> ImportTarget:
    """Take the target from a command's fields.

    Raises:
        CommandError: one is missing or malformed.
    """
    texts = {name: values.get(name) for name in ("school_year", "wave", "census_date")}
    for name, value in texts.items():
        if not isinstance(value, str) or not value:
            raise CommandError(
                _("%(field)s is missing"),
                _("Name the round, or give wave, school year and census date."),
                details={"field": name},
            )
    consent = values.get("consent", CONSENT)
    try:
        census_date = date.fromisoformat(str(texts["census_date"]))
    except ValueError:
        raise CommandError(
            _("census_date: expected a day such as 2026-09-30"), _("Correct the day."), code="bad-command"
        ) from None
    return ImportTarget(str(texts["school_year"]), str(texts["wave"]), census_date, str(consent))


def import_records(
    store: VaultStore,
    journal: Journal,
    identity: Identity,
    now: datetime,
    target: ImportTarget,
    files: Mapping[str, bytes],
    sheets: Mapping[str, str],
    *,
    by: str,
    is_dry_run: bool,
    entropy: Entropy,
) -> dict[str, Any]:
    """Import a wave and describe what happened, as JSON values.

    Args:
        sheets: by part, the sheet that the person named.
        by: who imports, for provenance and journal.
        entropy: returns that many random bytes; for sealing names.

    Returns:
        `imported` and `refused` (0 or 1), `issues` by file, row and column, `counts`, `form` (values of the
        follow-up form: kept, differing, not applied) if there are any; how many pupils are `tested`, and of
        the records `before`, if there are any, how many pupils and how many tested; when stored, the set's
        digest and how many pupils it replaced.
    """
    context = ImportContext(
        record_secret=identity.pupil_key,
        school_year=target.school_year,
        wave=target.wave,
        census_date=target.census_date,
        school_system=identity.system,
        consent_policy=target.consent,
        sheets=sheets,
        today=now.astimezone(_CHINA).date(),
    )
    result = import_files(files, context)
    if result.is_refused:
        return _answer(target, result, None, {}, is_dry_run=is_dry_run, has_names=False)
    coverage = _coverage(store, find_set(store, target.school_year, target.wave), result.records)
    saved, has_names = None, False
    if is_dry_run:
        formed = _formed(store, target, result)
    else:
        saved, has_names, formed = _save(store, journal, now, target, result, by, entropy)
    answer = _answer(target, result, saved, formed.counts, is_dry_run=is_dry_run, has_names=has_names)
    if 2 * coverage["tested"] < coverage.get("before", {}).get("tested", 0):
        answer["issues"].append(RowIssue(SCREENING, 0, "", "results-gone", severity="warning").as_json())
    return answer | coverage


def _formed(store: VaultStore, target: ImportTarget, result: ImportResult) -> FormedRecords:
    """Put the level of the wave before and the entries of the form on what the files say."""
    records = with_levels_before(store, target, result.records)
    wave = (target.school_year, target.wave)
    return form_records(store, wave, records, target.consent, result.no_follow_up)


def _coverage(store: VaultStore, before: RecordSet | None, records: Iterable[Record]) -> dict[str, Any]:
    """Count who is tested, now and in the records that the import replaces; nothing about any result."""
    counts: dict[str, Any] = {"tested": _num_tested(records)}
    if before is not None:
        try:
            num_tested = _num_tested(read_records(store, before))
        except RecordsError:  # deleted after their time, or damaged: this import is what mends that
            return counts
        counts["before"] = {"pupils": before.num_records, "tested": num_tested}
    return counts


def _num_tested(records: Iterable[Record]) -> int:
    return sum(record.disposition in TESTED for record in records)


def _save(
    store: VaultStore,
    journal: Journal,
    now: datetime,
    target: ImportTarget,
    result: ImportResult,
    by: str,
    entropy: Entropy,
) -> tuple[SavedRecords, bool, FormedRecords]:
    """Store records and cards; the cards also where the records are those of before.

    What is in the store already, an entry of the form above all, is read under the same lock: somebody may be
    typing on the console meanwhile.
    """
    if result.provenance is None:
        raise RecordsError(_("the import has no provenance"), code="no-provenance")
    provenance: dict[str, Any] = {**result.provenance.as_json(), "consent": target.consent, "by": by}
    data: JsonInput = {**provenance, "census_date": target.census_date.isoformat()}
    with store.transaction("import"):
        formed = _formed(store, target, result)
        saved = save_records(
            store,
            formed.records,
            school_year=target.school_year,
            wave=target.wave,
            census_date=target.census_date,
            provenance=with_form(provenance, formed, now),
            now=now,
        )
        keep_imported(store, saved.record_set.set_id, formed)
        has_names = save_cards(store, entropy, saved.record_set.set_id, result.cards)
        if saved.is_new:
            remember(store, LastImport(saved.record_set.set_id, saved.replaced_set or 0))
            name = f"{target.school_year}/{target.wave}"
            journal.append(JournalRecord(now, "vault", "import", name, "ok", data))
    return saved, has_names, formed


def with_levels_before(
    store: VaultStore, target: ImportTarget, records: Iterable[Record]
) -> tuple[Record, ...]:
    """Put each pupil's level of the latest earlier wave of the school year into the record.

    A pupil without such a record, or without consent now, keeps 9.

    Raises:
        RecordsError: the stored records of that wave are damaged.
    """
    earlier = find_earlier_set(store, target.school_year, target.wave, target.census_date)
    if earlier is None:
        return tuple(records)
    levels = {record.rec_key: record.level1 for record in read_records(store, earlier)}
    return tuple(_with_level(record, levels, target.consent) for record in records)


def _with_level(record: Record, levels: Mapping[bytes, str], consent: str) -> Record:
    level = levels.get(record.rec_key, UNKNOWN)
    if level == UNKNOWN or record.disposition in WITHOUT_CONSENT:
        return record
    return apply_consent(replace(record, level_before=level), consent)


def _answer(
    target: ImportTarget,
    result: ImportResult,
    saved: SavedRecords | None,
    form: Mapping[str, int],
    *,
    is_dry_run: bool,
    has_names: bool,
) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "imported": int(saved is not None),
        "refused": int(result.is_refused),
        "dry_run": int(is_dry_run),
        "school_year": target.school_year,
        "wave": target.wave,
        "census_date": target.census_date.isoformat(),
        "consent": target.consent,
        "issues": [issue.as_json() for issue in result.issues],
        "counts": result.counts,
    }
    if any(form.values()):
        answer["form"] = dict(form)
    if saved is not None:
        answer |= {
            "records": saved.record_set.digest.hex(),
            "is_new": int(saved.is_new),
            "replaced": saved.num_replaced,
            "names": int(has_names),
        }
    return answer
