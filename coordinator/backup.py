"""A coordinator's backup: one moment of its database, its configuration and its keys, in one file.

1. The database is copied as it is at one moment while others write: a SQLite file by SQLite's online backup,
   PostgreSQL from one snapshot. In the backup it is a SQLite file in both cases, so a backup also takes a
   county from one kind of database to the other.
2. ``log.head``, which says how far this coordinator has signed, is in no backup: it must not go back with it.
   Nor is the published log, which everybody has.
3. `restore` never writes over anything: a SQLite file that is replaced is kept beside the new one, and a
   PostgreSQL database must be empty. It runs only while no process works on the folder.
4. A restored database is behind the log unless nothing happened since. ``coordinator.check_store`` says what
   is missing and mends what copies of the log have; before that every other command refuses the folder.
"""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Connection

from coordinator import schema
from coordinator.config import FILE_NAME as CONFIG_NAME
from coordinator.config import encode_config, load_config, parse_config
from coordinator.durable import ignore_step, sync_folder, unused, write_file
from coordinator.errors import BackupError
from coordinator.home import CA_CERTIFICATE, KEY_MODE, PASSWORD_NAME, Home, place_of
from coordinator.revisions import copy_file, stamp
from coordinator.sealed_file import Entropy, open_file, seal_file
from coordinator.store import FILE_NAME as STORE_NAME
from coordinator.store import Store
from plan.errors import phrase

FORMAT = "fedscreen/county-backup/v1"
MANIFEST, DATABASE = "manifest.json", "database.db"
PAGE_ROWS = 200
_NOT_KEPT = {"server.lock", PASSWORD_NAME}


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was written or opened."""

    federation: str
    made: str
    size: int


def make_backup(
    home: Home, store: Store, out: Path, passphrase: bytes | None, *, now: datetime, entropy: Entropy
) -> Made:
    """Write a backup, mode 600, whole or not at all.

    What is not sealed yet stays in the coordinator's folder: `out` may be on a stick, which forgets nothing.

    Args:
        home: the folder.
        store: its open database.
        out: must not exist.
        passphrase: seals it; None leaves it readable to whoever has the file.
        now: noted in it.
        entropy: for the salt.

    Raises:
        BackupError: the file exists or cannot be written.
    """
    if out.exists():
        raise BackupError(phrase("%(out)s: exists already; a backup is never written over", out=out))
    try:
        with _scratch(home.directory) as scratch, _scratch(out.parent) as there:
            copy_database(store, scratch / DATABASE)
            made = Made(
                home.config.federation, now.isoformat(timespec="seconds"), _num_entries(scratch / DATABASE)
            )
            _pack(home, scratch, made)
            with (scratch / "tar").open("rb") as source, _new_file(there / "sealed") as target:
                seal_file(source, target, passphrase, entropy)
            (there / "sealed").replace(out)
        sync_folder(out.parent)
    except OSError as err:
        raise BackupError(
            phrase("%(out)s: cannot be written (%(reason)s)", out=out, reason=err.strerror)
        ) from err
    return made


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=".backup-", dir=folder) as name:  # mode 700
        yield Path(name)


def _new_file(path: Path) -> io.BufferedRandom:
    path.touch(mode=KEY_MODE)
    return path.open("r+b")


def _num_entries(path: Path) -> int:
    store = Store(path, check=False)
    try:
        with store.reading() as connection:
            count = sa.select(sa.func.count()).select_from(schema.entries)
            return int(connection.execute(count).scalar_one())
    finally:
        store.close()


def _pack(home: Home, scratch: Path, made: Made) -> None:
    manifest = {"format": FORMAT, "federation": made.federation, "made": made.made, "size": made.size}
    keys = sorted(
        path for path in (home.directory / "keys").iterdir() if path.is_file() and path.name not in _NOT_KEPT
    )
    certificates = sorted(home.directory.glob("ca*.pem"))
    with _new_file(scratch / "tar") as file, tarfile.open(fileobj=file, mode="w") as tar:
        _add(tar, MANIFEST, json.dumps(manifest, sort_keys=True).encode())
        _add(tar, CONFIG_NAME, (home.directory / CONFIG_NAME).read_bytes())
        for path in certificates:
            _add(tar, path.name, path.read_bytes())
        for path in keys:
            _add(tar, f"keys/{path.name}", path.read_bytes())
        tar.add(scratch / DATABASE, DATABASE, filter=_plain)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), KEY_MODE
    tar.addfile(info, io.BytesIO(data))


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mode = KEY_MODE
    return info


# -- databases ----------------------------------------------------------------------------------


def copy_database(store: Store, target: Path) -> None:
    """Copy one moment of a database into a new SQLite file of mode 600."""
    if isinstance(place := store.place, Path):
        copy_file(place, target)
        return
    target.touch(mode=KEY_MODE)
    target.unlink()
    copy = Store(target, create=True)
    target.chmod(KEY_MODE)
    try:
        with store.reading() as source, copy.writing("copy") as connection:
            copy_rows(source, connection)
        copy.empty_wal()
    finally:
        copy.close()


def copy_rows(source: Connection, target: Connection) -> None:
    """Copy every row of every table into a database whose tables are empty, but for what its making noted."""
    for table in schema.metadata.sorted_tables:
        target.execute(sa.delete(table))
        rows = source.execute(sa.select(table).execution_options(yield_per=PAGE_ROWS))
        for page in rows.mappings().partitions(PAGE_ROWS):
            target.execute(sa.insert(table), [dict(row) for row in page])
    stamp(target, schema.REVISION)


# -- restore ------------------------------------------------------------------------------------


def restore(
    file: Path,
    directory: Path,
    passphrase: bytes | None,
    *,
    now: datetime,
    database: str | None = None,
    before_placing: Callable[[], None] = lambda: None,
) -> Made:
    """Put a backup into a new folder, or its database back into the folder that it was made of.

    Args:
        file: the backup.
        directory: a new folder, or this coordinator's own.
        passphrase: of a sealed backup.
        now: names the copy that is kept of a replaced file.
        database: for a new folder: PostgreSQL's address, or "" for a SQLite file; None as it was.
        before_placing: called when everything is read and checked and nothing is changed yet.

    Raises:
        BackupError: the backup cannot be read or is another coordinator's, the folder is in use, or a
            PostgreSQL database is not empty.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with _scratch(directory) as scratch, unused(directory):
        made = _unpack(file, scratch, passphrase)
        is_known = (directory / CONFIG_NAME).exists()
        if is_known:
            _verify_same(directory, scratch)
            config = load_config(directory)
        else:
            config = parse_config((scratch / CONFIG_NAME).read_bytes(), CONFIG_NAME)
            if database is not None:
                config = parse_config(
                    encode_config(config.model_copy(update={"database": database})), "--database"
                )
        Store(scratch / DATABASE).close()  # it is one, and of this program's revision now
        before_placing()
        if not is_known:
            _place_files(directory, scratch)
        place = place_of(directory, config)
        if isinstance(place, Path):
            _place_database(scratch / DATABASE, place, now)
        else:
            _fill_database(scratch / DATABASE, Store(place, check=False))
        if not is_known:
            write_file(directory / CONFIG_NAME, encode_config(config), ignore_step, is_new=True)
    return made


def _unpack(file: Path, scratch: Path, passphrase: bytes | None) -> Made:
    """Open a backup into a folder that only this process reads; no name in it leads out of that folder."""
    try:
        with file.open("rb") as source, _new_file(scratch / "tar") as target:
            open_file(source, target, passphrase)
        with tarfile.open(scratch / "tar") as tar:
            tar.extractall(scratch, filter="data")
        values = json.loads((scratch / MANIFEST).read_bytes())
        made = Made(str(values["federation"]), str(values["made"]), int(values["size"]))
    except (OSError, tarfile.TarError, ValueError, KeyError, TypeError) as err:
        raise BackupError(
            phrase("%(file)s: cannot be read (%(reason)s)", file=file, reason=str(err))
        ) from err
    return made


def _verify_same(directory: Path, scratch: Path) -> None:
    """Check that a backup is of this coordinator: the same CA and the same first log key."""
    for name in (CA_CERTIFICATE, "keys/log.key"):
        if (directory / name).read_bytes() != (scratch / name).read_bytes():
            raise BackupError(
                phrase(
                    "%(directory)s: the backup is of another coordinator; choose a new folder",
                    directory=directory,
                )
            )


def _place_files(directory: Path, scratch: Path) -> None:
    for folder, mode in ((directory / "keys", 0o700), (directory / "log", 0o755)):
        folder.mkdir(mode=mode, exist_ok=True)
    for path in sorted((*scratch.glob("ca*.pem"), *(scratch / "keys").iterdir())):
        target = directory / path.relative_to(scratch)
        mode = KEY_MODE if path.parent.name == "keys" else 0o644
        write_file(target, path.read_bytes(), ignore_step, mode=mode)


def _place_database(copy: Path, place: Path, now: datetime) -> None:
    """Put a SQLite file in its place; what stood there is kept, with its WAL."""
    suffix = f".replaced-{now:%Y%m%dT%H%M%SZ}"
    for name in (place.name, f"{place.name}-wal", f"{place.name}-shm"):
        old = place.with_name(name)
        if old.exists():
            kept = name.replace(STORE_NAME, f"{STORE_NAME}{suffix}", 1)
            old.rename(place.with_name(kept))
    copy.rename(place)
    sync_folder(place.parent)


def _fill_database(path: Path, store: Store) -> None:
    copy = Store(path)
    try:
        if not store.backend.is_new():
            raise BackupError(
                phrase(
                    "database %(name)s: not empty; make a new one and name it in coordinator.toml",
                    name=store.backend.name,
                )
            )
        with copy.reading() as source, store.writing("restore") as connection:
            schema.metadata.create_all(connection)
            copy_rows(source, connection)
    finally:
        copy.close()
        store.close()
