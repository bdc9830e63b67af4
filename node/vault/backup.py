"""The vault's part of a backup: a copy of the record file as it is at one moment, handed out in pieces.

Order: `begin` journals the backup and writes the copy beside the record file, under the same key;
`read_piece` gives it piece by piece; `end` removes it. A copy that a killed command left is removed by a
later `begin`. The copy is encrypted as the record file is: no piece can be read without the key.

A restored copy is opened by `take_restored`, which reads it whole before anything is said of it.
What a restored node may do is no matter of this module: the account is the union of charges and log
(`node.vault.account`), noise is a function of round, attempt and table (`node.vault.derive`), and a report
names the one before it in the log (`node.vault.release`).
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from crypto.canonical import encode_json
from node.vault.enrol import load_identity
from node.vault.errors import BackupError, DamagedStoreError, StoreError, VaultError, _
from node.vault.journal import TIME_FORMAT, Entropy, Journal, JournalRecord
from node.vault.reports import reports_of
from node.vault.store import MAX_PAGES_NAMED, VaultStore
from protos.ledger import RoundLog

PIECE_BYTES: Final = 8 * 1024 * 1024
LEFT_OVER_S: Final = 600
BACKUP_SETTING: Final = "backup-made"
RESTORED_SETTING: Final = "restored"
_NAME = re.compile(r"snapshot-[0-9a-f]{16}\.db")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of the record file in the vault's folder."""

    name: str
    size_bytes: int
    sha256: str


def begin(store: VaultStore, journal: Journal, entropy: Entropy, now: datetime, node: str) -> Snapshot:
    """Journal a backup and write the copy that it takes.

    Raises:
        StoreError: the file is damaged, or the disk is full; no copy is left.
    """
    _remove_left_over(store.folder, now)
    name = f"snapshot-{entropy(8).hex()}.db"
    _note(store, journal, now, node, "ok")
    path = store.folder / name
    try:
        store.copy_into(path)
        size, digest = path.stat().st_size, _sha256(path)
    except (VaultError, OSError) as err:
        path.unlink(missing_ok=True)
        with suppress(StoreError):  # a damaged or full file takes no record either
            _note(store, journal, now, node, err.code if isinstance(err, VaultError) else "disk")
        if isinstance(err, VaultError):
            raise
        raise StoreError(
            _("the copy of the record file cannot be read (%(reason)s)"),
            _("Check the disk and try again; the record file is unchanged."),
            details={"reason": err.strerror or "unknown"},
        ) from None
    return Snapshot(name, size, digest)


def read_piece(store: VaultStore, name: str, offset: int) -> bytes:
    """Give at most `PIECE_BYTES` of a copy from `offset` on; empty at its end.

    Raises:
        BackupError: there is no such copy.
    """
    try:
        with _place(store, name).open("rb") as stream:
            stream.seek(offset)
            return stream.read(PIECE_BYTES)
    except OSError:
        raise _no_copy() from None


def end(store: VaultStore, name: str, now: datetime, *, is_kept: bool) -> None:
    """Remove a copy; where the backup was written whole, note when."""
    _place(store, name).unlink(missing_ok=True)
    if is_kept:
        with store.transaction("backup made"):
            store.put_setting(BACKUP_SETTING, encode_json({"made": now.strftime(TIME_FORMAT)}))


def take_restored(store: VaultStore, journal: Journal, now: datetime, made: str) -> int:
    """Read a restored record file whole, and journal that it was restored; returns its journal's records.

    Args:
        made: when the backup was made, as text.

    Raises:
        StoreError, JournalError: it is damaged.
    """
    damaged = store.damaged_pages()
    if damaged:
        raise DamagedStoreError(
            _("the restored record file is damaged (%(pages)s)"),
            _("Use an older backup."),
            details={"pages": "; ".join(damaged[:MAX_PAGES_NAMED])},
        )
    num_records = sum(1 for _record in journal.verify())
    identity = load_identity(store)
    with store.transaction("restored"):
        data = {"made": made}
        journal.append(JournalRecord(now, "vault", "restore", identity.node, "ok", {**data}))
        store.put_setting(RESTORED_SETTING, encode_json({**data, "restored": now.strftime(TIME_FORMAT)}))
    return num_records + 1


def lost_reports(store: VaultStore, round_log: RoundLog, node: str) -> list[dict[str, Any]]:
    """List a node's reports of a round that stand in the log and are not in the store, by attempt.

    They were made after the backup, or before a recovery. The account counts them, `already-logged` keeps the
    same table from going out again, and a correction is a new attempt after them.
    """
    known = {row.digest for row in reports_of(store, round_log.round_id)}
    return [
        {"attempt": row.statement.attempt, "digest": row.digest.hex(), "index": row.index}
        for row in round_log.attempts_of(node)
        if row.digest not in known
    ]


def _note(store: VaultStore, journal: Journal, now: datetime, node: str, result: str) -> None:
    with store.transaction("backup"):
        journal.append(JournalRecord(now, "vault", "backup", node, result, {}))


def _remove_left_over(folder: Path, now: datetime) -> None:
    """Remove copies that no command can be reading any more."""
    for path in folder.glob("snapshot-*.db*"):
        if now.timestamp() - path.stat().st_mtime > LEFT_OVER_S:
            path.unlink(missing_ok=True)


def _place(store: VaultStore, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise _no_copy()
    return store.folder / name


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _no_copy() -> BackupError:
    return BackupError(
        _("the copy for the backup is not there any more"), _("Run the backup again."), code="no-snapshot"
    )
