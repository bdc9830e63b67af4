"""A backup of a whole node in one encrypted file, and a node made from one.

`make_backup` may run beside `fedscreen node run`: the vault copies its record file as it is at one moment and
hands the copy out in pieces (`node.vault.backup`). What is beside the record file comes with it: settings,
certificates, TLS key; database.key stands in the public header, wrapped as it is.

`restore_backup` makes a new folder, whole or not at all:

1. the header is read, the key is found, every piece is opened and written into a folder beside the new one;
2. a confined vault opens the record file there, reads all of it and its journal, and journals the restore;
3. only then the folder gets its name.

Nothing here lets a node forget: the account is read again from the log, and the log knows the reports.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Final

from node.backup_file import SALT_BYTES, BackupHeader, OpenBackup, open_backup, split, write_backup
from node.config import NodeConfig, NodeFolder, file_error, parse_config, sync_folder, write_config
from node.errors import BackupError, ConfigError, _
from node.new_folder import FILES, fit_users, new_folder, sync_files
from node.session import VaultSession, open_vault

RECORDS: Final = "vault.db"
Values = dict[str, Any]
FindKey = Callable[[BackupHeader, NodeFolder], tuple[bytes, str]]
"""From the header and the new folder (database.key is in it) to the database key and the key source to be."""


def make_backup(
    vault: VaultSession,
    folder: NodeFolder,
    config: NodeConfig,
    key: bytes,
    out: Path,
    entropy: Callable[[int], bytes],
) -> Values:
    """Write a backup of a node; an existing file is never written over.

    Args:
        vault: an open vault of this node.
        folder, config: the node.
        key: its database key (32 bytes, secret).
        out: the file to write.
        entropy: the system's random bytes.

    Raises:
        BackupError, ConfigError, VaultRefusal: it cannot be made; no file is left.
    """
    if out.exists():
        raise ConfigError(
            _("%(file)s exists already; a backup is never written over"),
            _("Give another name, such as one with the date."),
            code="exists",
            details={"file": str(out)},
        )
    copy, _files = vault.call({"command": "backup_begin"})
    is_kept = False
    try:
        files = _small_files(folder)
        header = _header(config, folder, copy, files, entropy(SALT_BYTES))
        _write(out, header, key, _contents(vault, copy, files))
        is_kept = True
    finally:
        vault.call({"command": "backup_end", "name": copy["name"], "kept": int(is_kept)})
    return {
        "file": str(out),
        "bytes": out.stat().st_size,
        "made": header.made,
        "node": header.node,
        "log_size": header.log_size,
        "key_source": header.key_source,
    }


def _small_files(folder: NodeFolder) -> dict[str, bytes]:
    paths = {name: folder.root / place for name, place in FILES.items() if name != RECORDS}
    return {name: path.read_bytes() for name, path in paths.items() if path.exists()}


def _header(
    config: NodeConfig, folder: NodeFolder, copy: Values, files: Mapping[str, bytes], salt: bytes
) -> BackupHeader:
    parts = tuple((name, len(data)) for name, data in files.items())
    return BackupHeader(
        federation=config.federation,
        node=config.node,
        made=copy["made"],
        key_source=config.key_source,
        wrapped_key=folder.key_file.read_bytes() if folder.key_file.exists() else b"",
        log_size=copy["log_size"],
        parts=(*parts, (RECORDS, copy["bytes"])),
        salt=salt,
    )


def _contents(vault: VaultSession, copy: Values, files: Mapping[str, bytes]) -> Iterator[bytes]:
    yield from files.values()
    at = 0
    while at < copy["bytes"]:
        asks = {"command": "backup_read", "name": copy["name"], "offset": at}
        piece = vault.call(asks)[1]["piece"]
        if not piece:
            return  # too short: the writer says so
        at += len(piece)
        yield piece


def _write(out: Path, header: BackupHeader, key: bytes, contents: Iterator[bytes]) -> None:
    """Write the file beside its place, make it durable, give it its name."""
    beside = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with open(beside, "xb", opener=_private) as stream:
            write_backup(stream, header, key, contents)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(beside, out)
        sync_folder(out.parent)
    except OSError as err:
        raise file_error(err, str(out)) from err
    finally:
        beside.unlink(missing_ok=True)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


# ---------------------------------------------------------------- restoring


def read_header(file: Path) -> BackupHeader:
    """Read what anybody may read of a backup.

    Raises:
        BackupError: it is none, or damaged.
    """
    with _opened(file) as stream:
        return open_backup(stream).header


def restore_backup(
    file: Path,
    target: NodeFolder,
    find_key: FindKey,
    entropy: Callable[[int], bytes],
    *,
    log: Path | None = None,
) -> Values:
    """Make a node from a backup, in a new folder, whole or not at all.

    Args:
        file: the backup.
        target: the new node's folder: not there, or empty.
        find_key: gives the database key and the source that will keep it here.
        entropy: the system's random bytes.
        log: a file of the federation's log, to be taken at once.

    Raises:
        BackupError: not a backup, another key, cut off, damaged, or its parts do not belong together.
        ConfigError: the folder is not empty, or cannot be made.
        VaultRefusal: the record file in it is damaged, or the log file is refused.
    """
    with new_folder(target) as folder, _opened(file) as stream:
        backup = open_backup(stream)
        if backup.header.wrapped_key:
            folder.key_file.write_bytes(backup.header.wrapped_key)
            folder.key_file.chmod(0o600)
        key, key_source = find_key(backup.header, folder)
        _unpack(backup, key, folder)
        config = _settle(backup.header, folder, key_source, entropy)
        with open_vault(folder, config, key) as vault:
            answer = _open_restored(vault, backup.header, log)
        sync_files(folder)
    return {**answer, "folder": str(target.root), "made": backup.header.made, "key_source": key_source}


def _unpack(backup: OpenBackup, key: bytes, folder: NodeFolder) -> None:
    with ExitStack() as stack:
        streams: dict[str, BinaryIO] = {}

        def take(name: str, data: bytes) -> None:
            if name not in streams:
                if name not in FILES:
                    raise _other_parts()
                place = folder.root / FILES[name]
                streams[name] = stack.enter_context(open(place, "xb", opener=_private))
            streams[name].write(data)

        split(backup.header, backup.contents(key), take)
        if RECORDS not in streams or "node.toml" not in streams:
            raise _other_parts()


def _settle(
    header: BackupHeader, folder: NodeFolder, key_source: str, entropy: Callable[[int], bytes]
) -> NodeConfig:
    """Fit node.toml to this machine."""
    config = parse_config(folder.config.read_bytes())
    if (config.federation, config.node) != (header.federation, header.node):
        raise _other_parts()
    config = replace(fit_users(config, entropy), key_source=key_source)
    write_config(folder, config)
    return config


def _open_restored(vault: VaultSession, header: BackupHeader, log: Path | None) -> Values:
    answer, _files = vault.call({"command": "restored", "made": header.made})
    if (answer["federation"], answer["node"]) != (header.federation, header.node):
        raise _other_parts()
    return {**answer, **look_at_log(vault, log)}


def look_at_log(vault: VaultSession, log: Path | None) -> Values:
    """Take a log file if there is one, and tell which of the node's reports only the log has.

    Returns:
        ``log_size``: entries known; ``log_new``: how many of them came with the file; ``newer``: round and
        attempt of each such report.
    """
    new = 0
    if log is not None:
        new = int(vault.call({"command": "log_import"}, {"log": log})[0]["new_entries"])
    status, _files = vault.call({"command": "status"})
    lost = [
        {"round": row["round"], "attempt": report["attempt"]}
        for row in status["rounds"]
        for report in row["attempts"]
        if report["state"] == "lost"
    ]
    return {"log_size": status["log"]["size"] if "log" in status else 0, "log_new": new, "newer": lost}


def _opened(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as err:
        raise ConfigError(
            _("%(file)s cannot be read (%(reason)s)"),
            _("Check the file's name and close it in other programs."),
            code="file",
            details={"file": str(file), "reason": err.strerror or ""},
        ) from err


def _other_parts() -> BackupError:
    return BackupError(
        _("the parts of the backup do not belong together"),
        _("Use another backup; nothing was made."),
        code="other-node",
    )
