"""The school's record file: one SQLCipher database, opened with a raw 32-byte key.

Rules:

1. The key comes from outside (systemd, Windows, a passphrase); the vault never derives it.
2. Every change happens in ``transaction(step)``: BEGIN IMMEDIATE, so two processes on the same
   file take turns; write-ahead log with synchronous=FULL, so a commit that returned survives a
   power cut. Temporary data stays in memory.
3. ``durable`` is called before and after every commit with the step's name. Tests raise in it
   to stand for a crash at exactly that point; production passes nothing.
4. A wrong key and a damaged page are told apart and named; the file is never changed and never
   read in part.

The tables are in ``schema.py``; the SQL of one noun stands in that noun's module.
Spec: docs/architecture.md "Processes and storage"; THREAT_MODEL.md.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlcipher3 import dbapi2 as sqlcipher

from node.vault.errors import DamagedStoreError, StoreError, WrongKeyError, _
from node.vault.migrations import keep_copy, statements_from
from node.vault.schema import SCHEMA_VERSION

KEY_BYTES = 32
BUSY_TIMEOUT_MS = 30_000
SYNCHRONOUS_FULL = 2
MAX_PAGES_NAMED = 8
FULL_BYTES = 1 << 20  # the smallest change needs its pages twice, and 32 KiB for the index beside the file

Durable = Callable[[str], None]
Value = bytes | str | int | None


def ignore_durable(step: str) -> None:
    """Do nothing at a durable write (the hook of production)."""
    del step


class VaultStore:
    """An open record file. Used by one thread.

    Args:
        path: the database file; its folder exists and is private to the vault.
        key: 32 random bytes.
        durable: called as ``durable("before <step>")`` and ``durable("after <step>")`` around each commit.

    Raises:
        WrongKeyError: no page opens with this key.
        DamagedStoreError: some pages are damaged; the message names them.
        StoreError: the file cannot be opened, or a newer version wrote it.
    """

    def __init__(self, path: Path, key: bytes, *, durable: Durable = ignore_durable) -> None:
        if len(key) != KEY_BYTES:
            raise WrongKeyError(
                _("the database key has %(found)d bytes, expected %(expected)d"),
                _("Unlock the node with the key it was set up with."),
                details={"found": len(key), "expected": KEY_BYTES},
            )
        self._path = path
        self._key = key
        self._durable = durable
        self._is_writing = False
        _create_private(path)
        self._connection = self._connect()
        try:
            self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def __repr__(self) -> str:
        """Name the file; never the key."""
        return f"VaultStore({self._path.name!r})"

    def close(self) -> None:
        """Close the file. Everything committed is already durable."""
        self._connection.close()

    @property
    def folder(self) -> Path:
        """The vault's folder, where the file lies."""
        return self._path.parent

    def copy_into(self, path: Path) -> None:
        """Write a copy of the whole file, as it is now, under the same key; others may go on writing.

        Raises:
            DamagedStoreError: a page does not read; nothing is left at `path`.
            StoreError: `path` exists, or cannot be written; nothing is left there.
        """
        _create_private(path, is_new=True)
        try:
            self._run("VACUUM INTO ?", (str(path),))
        except BaseException:
            path.unlink(missing_ok=True)
            raise

    @contextmanager
    def transaction(self, step: str) -> Iterator[None]:
        """Make every change inside the block durable together, or none of them.

        Waits for another process's transaction; an exception in the block rolls back.

        Raises:
            StoreError: the other process did not finish in time, or the disk failed.
        """
        if self._is_writing:
            raise StoreError(
                _("a transaction is open already (step %(step)s)"),
                details={"step": step},
                code="store-nested",
            )
        self._run("BEGIN IMMEDIATE")
        self._is_writing = True
        try:
            yield
            self._durable(f"before {step}")
            self._run("COMMIT")
        except BaseException:
            self._is_writing = False
            self._roll_back()
            raise
        self._is_writing = False
        self._durable(f"after {step}")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Make every read inside the block see one state, whatever another process commits meanwhile."""
        if self._connection.in_transaction:
            yield  # the transaction around it does that already
            return
        self._run("BEGIN")
        try:
            yield
        finally:
            self._roll_back()

    def execute(self, statement: str, values: Sequence[Value] = ()) -> None:
        """Change rows; only inside ``transaction``."""
        self._require_transaction()
        self._run(statement, values)

    def execute_many(self, statement: str, rows: Iterable[Sequence[Value]]) -> None:
        """Change rows once per item of `rows`; only inside ``transaction``."""
        self._require_transaction()
        try:
            self._connection.executemany(statement, rows)
        except sqlcipher.Error as err:
            raise self._explain(err) from None

    def query(self, statement: str, values: Sequence[Value] = ()) -> list[tuple[Any, ...]]:
        """Read all rows of a query."""
        return self._run(statement, values)

    def one(self, statement: str, values: Sequence[Value] = ()) -> tuple[Any, ...] | None:
        """Read the first row of a query, None where there is none."""
        rows = self._run(statement, values)
        return rows[0] if rows else None

    def setting(self, name: str) -> bytes | None:
        """Read one named value."""
        row = self.one("SELECT value FROM setting WHERE name = ?", (name,))
        return None if row is None else bytes(row[0])

    def put_setting(self, name: str, value: bytes) -> None:
        """Write one named value; only inside ``transaction``."""
        self.execute(
            "INSERT INTO setting (name, value) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )

    def damaged_pages(self) -> tuple[str, ...]:
        """Check the whole file and describe every damaged page; empty when it is sound."""
        return _integrity(self._connection)

    def _connect(self) -> Any:
        try:
            # No statement of ours is re-used across keys, and Python's own transaction handling is off.
            connection = sqlcipher.connect(
                str(self._path), isolation_level=None, timeout=BUSY_TIMEOUT_MS / 1000, cached_statements=64
            )
            connection.execute("PRAGMA cipher_log_level = NONE")  # else a wrong key is told on stderr
            connection.execute(f"PRAGMA key = \"x'{self._key.hex()}'\"")
        except sqlcipher.Error as err:
            raise StoreError(
                _("the record file %(file)s cannot be opened (%(reason)s)"),
                _("Check that the disk is there, not full, and that the folder belongs to the vault."),
                details={"file": self._path.name, "reason": _reason(err)},
            ) from None
        return connection

    def _prepare(self) -> None:
        for pragma in (
            "temp_store = MEMORY",
            f"busy_timeout = {BUSY_TIMEOUT_MS}",
            "journal_mode = WAL",
            "synchronous = FULL",
            "secure_delete = ON",
            "foreign_keys = ON",
            "trusted_schema = OFF",
            "cell_size_check = ON",
        ):
            self._run(f"PRAGMA {pragma}")
        version = int(self._run("PRAGMA user_version")[0][0])
        if version > SCHEMA_VERSION:
            raise StoreError(
                _("the record file has format %(found)d, this program knows up to %(expected)d"),
                _("Install the version of fedscreen that wrote it, or a newer one."),
                details={"found": version, "expected": SCHEMA_VERSION},
                code="store-version",
            )
        if version < SCHEMA_VERSION:
            self._bring_up(version)
        self._require_durable_settings()

    def _require_durable_settings(self) -> None:
        found = (self._run("PRAGMA journal_mode")[0][0], self._run("PRAGMA synchronous")[0][0])
        if found != ("wal", SYNCHRONOUS_FULL):
            raise StoreError(
                _("the record file cannot be used with full durability (mode %(mode)s)"),
                _("Put the node's folder on a local disk; network drives are not supported."),
                details={"mode": str(found[0])},
            )

    def _bring_up(self, version: int) -> None:
        """Create the tables, or bring an older format up to this one; the older file is kept beside it."""
        if version:
            self._run("PRAGMA wal_checkpoint(TRUNCATE)")
        with self.transaction("migrate store" if version else "create store"):
            found = int(self._run("PRAGMA user_version")[0][0])
            if 0 < found < SCHEMA_VERSION:
                self._keep_copy(found)
            for statement in statements_from(found):
                self._run(statement)
            self._run(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def _keep_copy(self, version: int) -> None:
        """Copy the file as it is, under the write lock.

        Raises:
            StoreError: another command is still reading the file, or the copy cannot be written.
        """
        wal = self._path.with_name(self._path.name + "-wal")
        if wal.exists() and wal.stat().st_size:
            raise StoreError(
                _("another fedscreen command is using the record file"),
                _("Wait until it has finished and try again."),
                code="store-busy",
            )
        try:
            keep_copy(self._path, version)
        except OSError as err:
            raise StoreError(
                _("the record file cannot be copied before it is brought to a new format (%(reason)s)"),
                _("Free some space and try again; the record file is unchanged."),
                details={"reason": err.strerror or "unknown"},
                code="store-full" if err.errno == errno.ENOSPC else "store",
            ) from None

    def _require_transaction(self) -> None:
        if not self._is_writing:
            raise StoreError(_("a change outside a transaction"), code="store-nested")

    def _roll_back(self) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlcipher.Error:
            # The connection is lost as well; what was not committed is not there at the next start.
            self._connection.close()

    def _run(self, statement: str, values: Sequence[Value] = ()) -> list[tuple[Any, ...]]:
        try:
            return list(self._connection.execute(statement, values).fetchall())
        except sqlcipher.Error as err:
            raise self._explain(err) from None

    def _explain(self, err: Exception) -> StoreError:
        reason = _reason(err)
        if reason in ("SQLITE_NOTADB", "SQLITE_CORRUPT", "SQLITE_IOERR_SHORT_READ") or "HMAC" in str(err):
            return self._explain_damage()
        if reason.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return StoreError(
                _("another fedscreen command is using the record file"),
                _("Wait until it has finished and try again."),
                code="store-busy",
            )
        if reason.startswith("SQLITE_FULL") or (reason.startswith("SQLITE_IOERR") and self._is_disk_full()):
            return _disk_full()
        return StoreError(
            _("the record file %(file)s cannot be used (%(reason)s)"),
            _("Check the disk and the rights of the node's folder."),
            details={"file": self._path.name, "reason": reason},
        )

    def _is_disk_full(self) -> bool:
        """Whether an input/output error is only that: SQLite does not say which file had no room."""
        if not hasattr(os, "statvfs"):
            return False
        found = os.statvfs(self._path.parent)
        return found.f_bavail * found.f_frsize < FULL_BYTES or found.f_files > 0 == found.f_favail

    def _explain_damage(self) -> StoreError:
        """Tell a wrong key (every page fails) from damage (some pages fail)."""
        connection = self._connect()
        try:
            problems = _integrity(connection)
        finally:
            connection.close()
        num_pages = max(1, self._path.stat().st_size // 4096)
        if len(problems) >= num_pages and num_pages > 1:
            return WrongKeyError(
                _("the record file %(file)s does not open with this key"),
                _("Use the key it was set up with; if that is this one, restore a backup. It is unchanged."),
                details={"file": self._path.name},
            )
        named = "; ".join(problems[:MAX_PAGES_NAMED]) or "structure"
        return DamagedStoreError(
            _("the record file %(file)s is damaged (%(pages)s); nothing was read from it"),
            _("Keep the file, restore the newest backup beside it, and import again what came later."),
            details={"file": self._path.name, "pages": named},
        )


def _disk_full() -> StoreError:
    return StoreError(
        _("the disk that holds this node's folder is full"),
        _("Free some space on it and run the command again; nothing is lost and nothing is half done."),
        code="store-full",
    )


def _create_private(path: Path, *, is_new: bool = False) -> None:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except OSError as err:
        if isinstance(err, FileExistsError) and not is_new:
            return
        if err.errno == errno.ENOSPC:
            raise _disk_full() from None
        raise StoreError(
            _("the record file %(file)s cannot be created (%(reason)s)"),
            _("Check that the node's folder exists and belongs to the vault."),
            details={"file": path.name, "reason": err.strerror or "unknown"},
        ) from None


def _integrity(connection: Any) -> tuple[str, ...]:
    try:
        return tuple(str(row[0]) for row in connection.execute("PRAGMA cipher_integrity_check"))
    except sqlcipher.Error as err:
        return (_reason(err),)


def _reason(err: BaseException) -> str:
    name = getattr(err, "sqlite_errorname", None)
    if isinstance(name, str):
        return name
    return "SQLITE_NOTADB" if "not a database" in str(err) else type(err).__name__
