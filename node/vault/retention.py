"""Retention: how long each class of data is kept, and the deletion of what is older.

Rules:

1. The numbers come from the county's policy file, one for each class; without a policy nothing is ever
   deleted, and no number is below 180 days.
2. Nothing is deleted before somebody has recorded that the audit which covers its date was filed.
3. Nothing that is still needed: records of the running school year (a later wave compares with them), of a
   round that is not over, of a report that is not yet below a cosigned checkpoint; a hand-over that has not
   expired.
4. Never deleted: charges, reports' digests, sets' digests, decisions, the log, receipts. A replay of what
   was deleted says ``records-gone``.
5. One transaction deletes all that is due and journals it; again changes nothing. SQLCipher overwrites what
   was deleted, and copies of the record file in older formats go too.
6. K is not deleted while this node takes part: it goes with its journal, so their numbers are the same, and
   a new K comes with a new node.

Spec: docs/backup.md "How long things are kept".
"""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from crypto.canonical import JsonInput, encode_json, parse_json
from crypto.errors import CryptoError
from node.vault.errors import CommandError, _
from node.vault.journal import TIME_FORMAT, JournalRecord
from node.vault.last_import import LastImport, read_last_import, remember
from node.vault.mirror import Mirror
from node.vault.parts import Parts
from node.vault.records import pruned_on
from node.vault.reports import ReportState, StoredReport, all_reports, state_of
from node.vault.store import VaultStore
from privacy.year_account import school_year_of
from protos.ledger import RoundState

FORMAT: Final = "fedscreen/retention/v1"
CLASSES: Final = ("records", "sealed_files", "payloads", "journal", "master")
MIN_DAYS: Final = 180
MAX_DAYS: Final = 36_500
MAX_POLICY_BYTES: Final = 16 * 1024
MAX_LINE_CHARS: Final = 1000  # tomllib needs quadratic time for a key of many dotted parts
POLICY_SETTING: Final = "retention-policy"
FILED_SETTING: Final = "retention-filed"
SET_TABLES: Final = ("record", "imported_record", "no_follow_up", "pupil_card", "register_set")
_UNSETTLED: Final = (ReportState.WAITING, ReportState.LOGGED)


@dataclass(frozen=True, slots=True)
class Policy:
    """The county's numbers.

    Attributes:
        days: how many days each of `CLASSES` is kept.
        issuer: who set them, as the file says; may be empty.
        sha256: of the file, hex.
    """

    days: Mapping[str, int]
    issuer: str
    sha256: str

    def as_json(self) -> dict[str, Any]:
        """Give the policy as JSON values."""
        return {"days": dict(self.days), "issuer": self.issuer, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Due:
    """What may be deleted now: keys of rows, and where the journal would begin."""

    sets: tuple[int, ...]
    entries: tuple[int, ...]
    hand_overs: tuple[str, ...]
    payloads: tuple[tuple[bytes, int], ...]
    journal_first: int
    num_journal: int

    def counts(self) -> dict[str, int]:
        """Count what is due; never pupils."""
        return {
            "records": len(self.sets),
            "follow_up": len(self.entries),
            "sealed_files": len(self.hand_overs),
            "payloads": len(self.payloads),
            "journal": self.num_journal,
        }


def parse_policy(data: bytes) -> Policy:
    """Read the county's retention.toml.

    Raises:
        CommandError: not such a file, a class is missing, or a number is out of range.
    """
    try:
        text = data.decode("utf-8-sig")
        if len(data) > MAX_POLICY_BYTES or max(map(len, text.split("\n"))) > MAX_LINE_CHARS:
            raise ValueError("too long")
        values = tomllib.loads(text)
    except (ValueError, RecursionError):
        raise _bad_policy(_("the retention policy is not TOML in UTF-8")) from None
    days, issuer = values.get("days"), values.get("issuer", "")
    if values.get("format") != FORMAT or set(values) - {"format", "issuer", "days"}:
        raise _bad_policy(_("the file is no retention policy, or of another version"))
    if not isinstance(days, dict) or set(days) != set(CLASSES):
        raise _bad_policy(_("the retention policy needs one number of days for each of %(classes)s"))
    wrong = [name for name in CLASSES if not _is_days(days[name])]
    if wrong:
        raise _bad_policy(_("%(name)s: a number of days from %(low)d to %(high)d"), name=wrong[0])
    if days["master"] != days["journal"]:
        raise _bad_policy(_("journal and master need the same number of days"))
    if not isinstance(issuer, str) or len(issuer) > 200 or not (issuer == "" or issuer.isprintable()):
        raise _bad_policy(_("the issuer of the retention policy is one line of at most 200 characters"))
    return Policy(dict(days), issuer, hashlib.sha256(data).hexdigest())


def _is_days(value: object) -> bool:
    return type(value) is int and MIN_DAYS <= value <= MAX_DAYS


def _bad_policy(message: str, name: str = "") -> CommandError:
    details: dict[str, Any] = {"classes": ", ".join(CLASSES), "name": name, "low": MIN_DAYS, "high": MAX_DAYS}
    return CommandError(
        message, _("Ask the county for its retention file."), code="retention-policy", details=details
    )


def take_policy(parts: Parts, data: bytes, by: str) -> None:
    """Keep the county's policy in place of an earlier one, inside the caller's transaction."""
    policy, now = parse_policy(data), parts.clock.now()
    taken = {"by": by, "taken": now.strftime(TIME_FORMAT)}
    parts.store.put_setting(POLICY_SETTING, encode_json(policy.as_json() | taken))
    parts.journal.append(JournalRecord(now, by, "retention-policy", policy.sha256, "ok", policy.as_json()))


def record_filed(parts: Parts, until: date, by: str) -> None:
    """Record that the audit which covers every day up to `until` was filed, inside the caller's transaction.

    Raises:
        CommandError: the day has not passed, or lies before the one that is recorded.
    """
    now = parts.clock.now()
    before = _read(parts.store, FILED_SETTING).get("until", "")
    if until >= now.date() or until.isoformat() < before:
        raise CommandError(
            _("%(until)s has not passed yet, or an audit until %(before)s is recorded already"),
            _("Give the last day that the filed audit covers."),
            code="retention-filed",
            details={"until": until.isoformat(), "before": before or "—"},
        )
    if until.isoformat() == before:
        return
    value = {"until": until.isoformat(), "by": by, "recorded": now.strftime(TIME_FORMAT)}
    parts.store.put_setting(FILED_SETTING, encode_json(value))
    parts.journal.append(JournalRecord(now, by, "audit-filed", until.isoformat(), "ok", {}))


def retention_status(parts: Parts) -> dict[str, Any]:
    """Show policy, filed audit, and what is due, as JSON values."""
    policy, filed, now = _policy(parts.store), _read(parts.store, FILED_SETTING), parts.clock.now()
    due = find_due(parts)
    counts = due.counts()
    rows = [
        {
            "name": name,
            "days": policy["days"][name] if policy else 0,
            "until": str(_cutoff(parts, name) or ""),
            "due": counts.get(name, 0) + (counts["follow_up"] if name == "records" else 0),
        }
        for name in CLASSES
    ]
    return {"today": now.date().isoformat(), "policy": policy, "filed": filed, "classes": rows}


def prune(parts: Parts, by: str) -> Due:
    """Delete what is due and journal it, in one transaction; nothing due changes nothing."""
    with parts.store.transaction("prune"):
        due = find_due(parts)
        if any(due.counts().values()):
            _delete(parts, due, by)
    _scrub(parts)
    return due


def find_due(parts: Parts) -> Due:
    """Find what is older than its number of days, covered by a filed audit, and needed by nothing."""
    parts.mirror.catch_up()
    store, now = parts.store, parts.clock.now()
    open_reports = [
        row for row in all_reports(store) if not _is_settled(parts.mirror, row, parts.identity.node, now)
    ]
    first = _journal_first(parts, open_reports)
    return Due(
        sets=tuple(_due_sets(parts, {row.set_id for row in open_reports})),
        entries=tuple(_due_entries(parts)),
        hand_overs=tuple(_due_hand_overs(parts)),
        payloads=tuple(_due_payloads(parts, open_reports)),
        journal_first=first,
        num_journal=first - parts.journal.first,
    )


# ---------------------------------------------------------------- what is due


def _cutoff(parts: Parts, name: str) -> date | None:
    """Give the last day whose data of a class may go; None without policy or filed audit."""
    policy, filed = _policy(parts.store), _read(parts.store, FILED_SETTING)
    if not policy or not filed:
        return None
    oldest_kept = parts.clock.now().date() - timedelta(days=policy["days"][name])
    return min(oldest_kept, date.fromisoformat(filed["until"]))


def _is_settled(mirror: Mirror, report: StoredReport, node: str, now: datetime) -> bool:
    """Say whether a report's round is over and the report is in the cosigned log, or can never be."""
    round_log = mirror.ledger.rounds.get(report.round_id)
    return (
        round_log is not None
        and _is_over(mirror, report.round_id, now)
        and (state_of(mirror, report, node) not in _UNSETTLED)
    )


def _is_over(mirror: Mirror, round_id: bytes, now: datetime) -> bool:
    round_log = mirror.ledger.rounds[round_id]
    return round_log.state in (RoundState.RELEASED, RoundState.ABORTED) or now >= round_log.closes


def _due_sets(parts: Parts, in_use: set[int]) -> Iterator[int]:
    cutoff, now = _cutoff(parts, "records"), parts.clock.now()
    if cutoff is None:
        return
    waves = set(_open_waves(parts, now))
    rows = parts.store.query(
        "SELECT set_id, school_year, wave, MAX(imported, COALESCE((SELECT MAX(released) FROM report"
        " WHERE report.set_id = record_set.set_id), '')) FROM record_set"
        " WHERE set_id NOT IN (SELECT set_id FROM pruned_set) ORDER BY set_id"
    )
    for set_id, school_year, wave, last in rows:
        is_old = _day(last) <= cutoff and school_year < school_year_of(now.date())
        if is_old and set_id not in in_use and (school_year, wave) not in waves:
            yield int(set_id)


def _open_waves(parts: Parts, now: datetime) -> Iterator[tuple[str, str]]:
    """Give school year and wave of every round that is not over."""
    for round_id, round_log in parts.mirror.ledger.rounds.items():
        if not _is_over(parts.mirror, round_id, now):
            document = parts.published.read(round_log).document
            yield document.school_year, document.wave


def _due_entries(parts: Parts) -> Iterator[int]:
    cutoff, year = _cutoff(parts, "records"), school_year_of(parts.clock.now().date())
    rows = parts.store.query("SELECT entry_id, time FROM follow_up_entry WHERE school_year < ?", (year,))
    yield from (int(key) for key, time in rows if cutoff is not None and _day(time) <= cutoff)


def _due_hand_overs(parts: Parts) -> Iterator[str]:
    cutoff, today = _cutoff(parts, "sealed_files"), parts.clock.now().date()
    rows = parts.store.query("SELECT hand_over_id, created, expires FROM hand_over ORDER BY hand_over_id")
    for key, created, expires in rows:
        if cutoff is not None and _day(created) <= cutoff and _day(expires) < today:
            yield str(key)


def _due_payloads(parts: Parts, in_use: list[StoredReport]) -> Iterator[tuple[bytes, int]]:
    cutoff = _cutoff(parts, "payloads")
    kept = {(row.round_id, row.attempt) for row in in_use}
    rows = parts.store.query(
        "SELECT round, attempt, released FROM report WHERE payload IS NOT NULL ORDER BY journal_seq"
    )
    for round_id, attempt, released in rows:
        key = (bytes(round_id), int(attempt))
        if cutoff is not None and key not in kept and _day(released) <= cutoff:
            yield key


def _journal_first(parts: Parts, in_use: list[StoredReport]) -> int:
    """Give where the journal would begin: at its first record that is not due."""
    first, cutoff = parts.journal.first, _cutoff(parts, "journal")
    if cutoff is None:
        return first
    needed = min((row.journal_seq for row in in_use), default=None)
    for seq, record in enumerate(parts.journal.verify(), first):
        if record.time.date() > cutoff or seq == needed:
            return seq
    return first  # a journal is never cut to nothing


def _day(text: str) -> date:
    return date.fromisoformat(text[:10])


# ---------------------------------------------------------------- deletion


def _delete(parts: Parts, due: Due, by: str) -> None:
    store, now = parts.store, parts.clock.now()
    for set_id in due.sets:
        _delete_set(store, set_id, now)
    store.execute_many("DELETE FROM follow_up_entry WHERE entry_id = ?", ((key,) for key in due.entries))
    store.execute_many("DELETE FROM hand_over WHERE hand_over_id = ?", ((key,) for key in due.hand_overs))
    store.execute_many("UPDATE report SET payload = NULL WHERE round = ? AND attempt = ?", due.payloads)
    policy, filed = _policy(store), _read(store, FILED_SETTING)
    data: dict[str, JsonInput] = {
        **due.counts(),
        "policy": str(policy["sha256"]),
        "filed": str(filed["until"]),
    }
    parts.journal.append(JournalRecord(now, by, "prune", parts.identity.node, "ok", data))
    parts.journal.cut(due.journal_first, now, by)


def _delete_set(store: VaultStore, set_id: int, now: datetime) -> None:
    """Delete a set's rows and cards; its digest stays, for the reports that were made from it."""
    for table in SET_TABLES:
        store.execute(f"DELETE FROM {table} WHERE set_id = ?", (set_id,))  # noqa: S608  (names of ours)
    store.execute("UPDATE record_set SET is_current = 0, provenance = ? WHERE set_id = ?", (b"{}", set_id))
    store.execute(
        "INSERT INTO pruned_set (set_id, pruned) VALUES (?, ?)", (set_id, now.strftime(TIME_FORMAT))
    )
    last = read_last_import(store)
    if set_id in (last.set_id, last.before):
        remember(store, LastImport())


def _scrub(parts: Parts) -> None:
    """Leave nothing of what was deleted beside the record file: write-ahead log, copies."""
    store = parts.store
    if store.one("SELECT 1 FROM pruned_set") is None and parts.journal.first == 0:
        return
    store.query("PRAGMA wal_checkpoint(TRUNCATE)")
    for pattern in ("vault.db.format-*", "snapshot-*"):
        for path in store.folder.glob(pattern):
            path.unlink(missing_ok=True)


def _policy(store: VaultStore) -> dict[str, Any]:
    return _read(store, POLICY_SETTING)


def _read(store: VaultStore, name: str) -> dict[str, Any]:
    stored = store.setting(name)
    try:
        value = parse_json(stored) if stored else {}
    except CryptoError:
        value = {}
    return dict(value) if isinstance(value, dict) else {}


def deleted_on(parts: Parts, report: StoredReport) -> str:
    """Say since when a report cannot be made again, as text; empty while everything is kept."""
    pruned = pruned_on(parts.store, report.set_id)
    if pruned:
        return pruned
    row = parts.store.one(
        "SELECT payload IS NULL FROM report WHERE round = ? AND attempt = ?",
        (report.round_id, report.attempt),
    )
    is_gone = report.journal_seq < parts.journal.first or (row is not None and row[0])
    return str(_read(parts.store, FILED_SETTING).get("recorded", "—")) if is_gone else ""
