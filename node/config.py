"""node.toml: one frozen value, read once; unknown keys are refused.

Layout of a node's directory, which belongs to whoever runs `fedscreen node`:

    node.toml      this configuration; no secret
    database.key   the wrapped database key (only with key_source = "passphrase")
    vault/         vault.db: records, journal, account; belongs to the vault's user
    egress/        tls.key, tls.crt, ca.crt; belongs to the egress's user
    receipts/      what `fedscreen node receipt` wrote
    running.json   the processes and how the egress's last calls went, for `fedscreen node status`
    running.lock   locked by the node that runs (`node.run_lock`)

The supervisor stays small, so this is checked by hand and not with pydantic.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from node.confine import LEVELS
from node.errors import ConfigError, _

ID_PATTERN = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
KEY_SOURCES = ("credential", "dpapi", "passphrase")
LOWEST_UID, HIGHEST_UID = 61184, 65519  # the range that systemd leaves to dynamic users
MAX_FILE_BYTES = 64 * 1024
_WINDOWS_PAUSES_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.4)
MAX_LINE_CHARS = 1000  # tomllib needs quadratic time for a key of many dotted parts

_ADDRESS = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}")
_NAME = re.compile(r"[A-Za-z0-9.-]{1,253}")
_ACCOUNT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,19}")  # of what Windows allows, what needs no escaping

Value = str | int | float


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """What a node's processes need to know.

    Attributes:
        federation: the federation's id.
        node: this node's id.
        key_source: what wraps the database key: "credential", "dpapi" or "passphrase".
        vault_uid: user of the vault when started as root; 0 for none.
        egress_uid: user of the egress when started as root; 0 for none.
        confinement_floor: lowest level of confinement that this school accepts, "L0" to "L3".
        address: the coordinator's "host:port"; empty before `accept`.
        server_name: the name in the coordinator's certificate; empty before `accept`.
        poll_s: pause between two looks at the log, in seconds.
        timeout_s: limit of one call to the coordinator, in seconds.
        proxy: "host:port" of an HTTP proxy that takes CONNECT; empty where the way is direct. There is no
            place for a user's name or password.
        service_account: Windows account of this node's own, under which both sides run; empty for none.
    """

    federation: str
    node: str
    key_source: str
    vault_uid: int = 0
    egress_uid: int = 0
    confinement_floor: str = "L3"
    address: str = ""
    server_name: str = ""
    poll_s: float = 5.0
    timeout_s: float = 20.0
    proxy: str = ""
    service_account: str = ""

    def __post_init__(self) -> None:
        """Check every value."""
        for name, rule, allowed in _RULES:
            value = getattr(self, name)
            if not rule(value):
                raise ConfigError(
                    _("node.toml: %(key)s is %(found)s, allowed is %(allowed)s"),
                    _("Correct node.toml and start again."),
                    details={"key": name, "found": repr(value)[:80], "allowed": allowed},
                )
        if self.vault_uid and self.vault_uid == self.egress_uid:
            raise ConfigError(
                _("node.toml: vault_uid and egress_uid are both %(uid)d"),
                _("Give the two sides of the wall two users."),
                details={"uid": self.vault_uid},
            )

    @property
    def host(self) -> str:
        """The host of `address`, without the brackets of an IPv6 address."""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port of `address`; 0 before `accept`."""
        return int(self.address.rpartition(":")[2] or 0)

    @property
    def hop(self) -> tuple[str, int]:
        """Host and port that the egress connects to: the proxy's, or else the coordinator's."""
        host, _colon, port = (self.proxy or self.address).rpartition(":")
        return host.strip("[]"), int(port or 0)


def _is_uid(value: object) -> bool:
    return type(value) is int and (value == 0 or LOWEST_UID <= value <= HIGHEST_UID)


def _is_between(low: float, high: float) -> Callable[[object], bool]:
    return lambda value: isinstance(value, (int, float)) and type(value) is not bool and low <= value <= high


def _matches(pattern: re.Pattern[str], *, or_empty: bool = False) -> Callable[[object], bool]:
    return lambda value: (
        isinstance(value, str) and (pattern.fullmatch(value) is not None or (or_empty and value == ""))
    )


def _is_address(value: object) -> bool:
    if not _matches(_ADDRESS, or_empty=True)(value):
        return False
    return value == "" or 0 < int(str(value).rpartition(":")[2]) < 65536


_ID_RULE = "a-z 0-9 . _ - (1 to 63 characters)"
_UID_RULE = f"0 or {LOWEST_UID} to {HIGHEST_UID}"
_RULES: tuple[tuple[str, Callable[[object], bool], str], ...] = (
    ("federation", _matches(ID_PATTERN), _ID_RULE),
    ("node", _matches(ID_PATTERN), _ID_RULE),
    ("key_source", lambda value: value in KEY_SOURCES, " / ".join(KEY_SOURCES)),
    ("vault_uid", _is_uid, _UID_RULE),
    ("egress_uid", _is_uid, _UID_RULE),
    ("confinement_floor", lambda value: value in LEVELS, " / ".join(LEVELS)),
    ("address", _is_address, "host:port"),
    ("server_name", _matches(_NAME, or_empty=True), "a DNS name"),
    ("poll_s", _is_between(0.05, 86_400), "0.05 to 86400"),
    ("timeout_s", _is_between(0.1, 600), "0.1 to 600"),
    ("proxy", _is_address, "host:port"),
    (
        "service_account",
        _matches(_ACCOUNT, or_empty=True),
        "an account's name (1 to 20 of A-Z a-z 0-9 . _ -)",
    ),
)


@dataclass(frozen=True, slots=True)
class NodeFolder:
    """Where everything of one node lies. `root` is absolute."""

    root: Path

    @property
    def config(self) -> Path:
        """node.toml."""
        return self.root / "node.toml"

    @property
    def key_file(self) -> Path:
        """The wrapped database key."""
        return self.root / "database.key"

    @property
    def vault(self) -> Path:
        """The vault's folder."""
        return self.root / "vault"

    @property
    def egress(self) -> Path:
        """The egress's folder."""
        return self.root / "egress"

    @property
    def receipts(self) -> Path:
        """The receipts that the school keeps."""
        return self.root / "receipts"

    @property
    def running(self) -> Path:
        """What the supervisor says of its two sides."""
        return self.root / "running.json"

    @property
    def run_lock(self) -> Path:
        """What the supervisor keeps locked while it runs."""
        return self.root / "running.lock"


def open_folder(root: Path) -> NodeFolder:
    """Name the parts of a node's directory, by absolute path."""
    return NodeFolder(Path(os.path.abspath(root)))


def parse_config(data: bytes) -> NodeConfig:
    """Read node.toml.

    Raises:
        ConfigError: not TOML in UTF-8 (a BOM is tolerated), an unknown or missing key, a value that
            is not allowed.
    """
    if len(data) > MAX_FILE_BYTES:
        raise ConfigError(
            _("node.toml has %(found)d bytes, at most %(high)d"),
            details={"found": len(data), "high": MAX_FILE_BYTES},
        )
    try:
        values = _load_toml(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as err:  # also a number of too many digits
        raise ConfigError(
            _("node.toml is not TOML in UTF-8 (%(reason)s)"),
            _("Mend the file, or restore it from a backup."),
            details={"reason": str(err)[:120]},
        ) from err
    known = [item.name for item in fields(NodeConfig)]
    unknown = sorted(set(values) - set(known))
    missing = [name for name in ("federation", "node", "key_source") if name not in values]
    if unknown or missing:
        raise ConfigError(
            _("node.toml: unknown keys %(unknown)s, missing keys %(missing)s; allowed are %(known)s"),
            _("Correct node.toml and start again."),
            details={"unknown": unknown, "missing": missing, "known": known},
        )
    return NodeConfig(**values)


def _load_toml(text: str) -> dict[str, Any]:
    longest = max(len(line) for line in text.split("\n"))
    if longest > MAX_LINE_CHARS:
        raise ValueError(f"a line of {longest} characters, at most {MAX_LINE_CHARS}")
    return tomllib.loads(text)


def encode_config(config: NodeConfig) -> bytes:
    """Write node.toml; the inverse of `parse_config`."""
    lines = []
    for item in fields(config):
        value: Value = getattr(config, item.name)
        # No text that the rules let through needs escaping.
        lines.append(f'{item.name} = "{value}"' if isinstance(value, str) else f"{item.name} = {value}")
    return ("\n".join(lines) + "\n").encode()


def read_config(folder: NodeFolder) -> NodeConfig:
    """Read the configuration of a node's directory.

    Raises:
        ConfigError: there is none, or it is malformed.
    """
    try:
        return parse_config(folder.config.read_bytes())
    except OSError as err:
        raise ConfigError(
            _("%(file)s cannot be read (%(reason)s)"),
            _("Run 'fedscreen node init' first, or give the right --dir."),
            details={"file": str(folder.config), "reason": err.strerror or ""},
        ) from err


def write_config(folder: NodeFolder, config: NodeConfig) -> None:
    """Replace the configuration of a node's directory, durably."""
    replace_file(folder.config, encode_config(config), 0o644)


def file_error(err: OSError, file: str) -> ConfigError:
    """Say which file the system refused to write, and why; a full disk has its own advice."""
    if err.errno in (errno.ENOSPC, errno.EDQUOT):
        return ConfigError(
            _("%(file)s cannot be written: its disk is full"),
            _("Free some space on that disk, or choose another one, and run the command again."),
            code="disk-full",
            details={"file": file},
        )
    return ConfigError(
        _("%(file)s cannot be written (%(reason)s)"),
        _("Choose another file with --out."),
        code="file",
        details={"file": file, "reason": err.strerror or ""},
    )


def replace_file(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file beside `path` and put it in its place, so that a crash leaves the old or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        beside.unlink()
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with open(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        _put_in_place(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a new name in a folder survive a power cut, where the system offers it."""
    if hasattr(os, "O_DIRECTORY"):  # Windows has no folder to open, and writes the rename itself
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _put_in_place(beside: Path, path: Path) -> None:
    """Replace a file; on Windows wait a little for whoever is reading it (a command, a virus scanner)."""
    for pause_s in _WINDOWS_PAUSES_S if os.name == "nt" else ():
        try:
            os.replace(beside, path)
        except PermissionError:
            time.sleep(pause_s)
        else:
            return
    os.replace(beside, path)
