"""One coordinator's folder: configuration, keys, certificates, database, published log.

::

    coordinator.toml   what an administrator sets; written last, so it marks a finished init
    coordinator.db     the store (coordinator.store), unless coordinator.toml names another database
    keys/              mode 0700: log.key, statement.key (Ed25519 seeds), ca.key, server.key; later ones
                       beside them (coordinator.key_ring)
    ca.pem server.pem  certificates
    log/               the published log, a static folder (coordinator.publish_log)
    log.head           how far this coordinator has signed (coordinator.high_water)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from coordinator import ca
from coordinator.config import FILE_NAME as CONFIG_NAME
from coordinator.config import Config, encode_config, load_config
from coordinator.durable import DurableHook, exclusive, ignore_step, sync_folder, write_file
from coordinator.errors import ConfigError
from coordinator.high_water import FILE_NAME as HEAD_NAME
from coordinator.key_ring import CA_CERTIFICATE, KEY_MODE, KeyRing
from coordinator.store import FILE_NAME as STORE_NAME
from coordinator.store import Place, Store, read_meta
from crypto.note import KEY_BYTES, SigningKey, VerifierKey
from plan.errors import phrase

__all__ = [
    "CA_CERTIFICATE",
    "KEY_MODE",
    "SERVER_CERTIFICATE",
    "Home",
    "create_home",
    "load_home",
    "server_credentials",
]

SERVER_CERTIFICATE = "server.pem"
PASSWORD_NAME = "database.password"  # noqa: S105 - the name of a file
FOUNDER = "founder"
Entropy = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class Home:
    """What lies in the folder. The keys are the coordinator's own secrets; new ones are seen at once.

    Which of several statement keys signs is said by the log: `signer` with the key that the roster of a plan
    names, for that plan's round, else with the key of the roster in force.
    """

    directory: Path
    config: Config
    ring: KeyRing = field(repr=False)

    @property
    def authority(self) -> ca.Authority:
        """The newest CA."""
        return self.ring.authorities()[-1]

    @property
    def log_key(self) -> SigningKey:
        """The newest log key."""
        return self.ring.signing("log")[-1]

    @property
    def statement_key(self) -> SigningKey:
        """The newest statement key."""
        return self.ring.signing("statement")[-1]

    def signer(self, verifier: VerifierKey) -> SigningKey:
        """Give the statement key with this public half.

        Raises:
            ConfigError: it is not in keys/ any more.
        """
        return self.ring.find("statement", verifier)

    def issuer(self, ca_sha256: bytes | None) -> ca.Authority:
        """Give the CA that certifies nodes and auditors: the one that the roster in force names.

        Args:
            ca_sha256: what that roster says; None before the first one.
        """
        held = self.ring.authorities()
        return next((row for row in held if row.fingerprint == ca_sha256), held[-1])

    @property
    def store_path(self) -> Path:
        """Where the SQLite database is, if this coordinator has one."""
        return self.directory / STORE_NAME

    @property
    def place(self) -> Place:
        """Where the database is: a file, or PostgreSQL's address with its password, if one lies here."""
        return place_of(self.directory, self.config)

    @property
    def head_path(self) -> Path:
        """Where it is written how far this coordinator has signed."""
        return self.directory / HEAD_NAME

    def open_store(self, durable: DurableHook = ignore_step, *, check: bool = True) -> Store:
        """Open the database; arguments and errors as ``Store``'s."""
        return Store(self.place, durable, check=check)

    @property
    def log_folder(self) -> Path:
        """Where the published log is."""
        return self.directory / "log"


def create_home(
    directory: Path, config: Config, now: datetime, entropy: Entropy, durable: DurableHook = ignore_step
) -> Home:
    """Make a coordinator's folder; after a crash it goes on where it stopped.

    Args:
        directory: made if it is not there.
        config: what to write into coordinator.toml.
        now: start of the certificates' validity.
        entropy: gives that many random bytes (``secrets.token_bytes``).
        durable: called before and after every file.

    Raises:
        ConfigError: the folder holds a finished coordinator already.
    """
    if (directory / CONFIG_NAME).exists():
        raise ConfigError(
            phrase("%(directory)s: exists already; choose another folder", directory=directory / CONFIG_NAME)
        )
    keys = directory / "keys"
    for folder, mode in ((directory, 0o755), (keys, 0o700), (directory / "log", 0o755)):
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
    for name in ("log", "statement"):
        if not (keys / f"{name}.key").exists():
            seed = entropy(KEY_BYTES).hex().encode() + b"\n"
            write_file(keys / f"{name}.key", seed, durable, mode=KEY_MODE, is_new=True)
    _create_authority(directory, config, now, durable)
    _create_store(place_of(directory, config), _digest_of(directory / CA_CERTIFICATE), durable)
    write_file(directory / CONFIG_NAME, encode_config(config), durable, is_new=True)
    return load_home(directory)


def _create_authority(directory: Path, config: Config, now: datetime, durable: DurableHook) -> None:
    certificate, key = directory / CA_CERTIFICATE, directory / "keys" / "ca.key"
    if certificate.exists():
        return
    if not key.exists():
        write_file(key, ca.key_pem(ca.new_key()), durable, mode=KEY_MODE, is_new=True)
    authority = ca.create_authority(config.federation, now, ca.load_key(key.read_bytes()))
    write_file(certificate, authority.certificate_pem.encode(), durable, is_new=True)


def place_of(directory: Path, config: Config) -> Place:
    """Say where the database of a folder is.

    Raises:
        ConfigError: the file with the password can be read by others, or not at all.
    """
    if not config.database:
        return directory / STORE_NAME
    url = sa.engine.make_url(config.database)
    path = directory / "keys" / PASSWORD_NAME
    if not path.exists():
        return url
    if path.stat().st_mode & 0o077:
        raise ConfigError(phrase("%(path)s: others can read it; run: chmod 600 %(path)s", path=path))
    return url.set(password=path.read_text("utf-8").rstrip("\r\n"))


def _digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _create_store(place: Place, founder: str, durable: DurableHook) -> None:
    if isinstance(place, Path):
        _create_file(place, durable)
    else:
        _create_tables(place, founder, durable)


def _create_tables(place: Place, founder: str, durable: DurableHook) -> None:
    """Make the tables in a server's database, which then belongs to the CA certificate of this folder."""
    store = Store(place, durable, check=False)
    try:
        if store.backend.is_new():
            store.create(FOUNDER, founder)
            return
        with store.reading() as connection:
            found = read_meta(connection, FOUNDER)
    finally:
        store.close()
    if found != founder:
        raise ConfigError(
            phrase(
                "database %(name)s: another coordinator's; give each its own, or copy that one's folder "
                "to let it work on this machine too",
                name=store.backend.name,
            )
        )


def _create_file(path: Path, durable: DurableHook) -> None:
    if path.exists():
        return
    unfinished = path.with_name(f".{path.name}.new")
    for name in (unfinished.name, f"{unfinished.name}-wal", f"{unfinished.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)
    Store(unfinished, durable, create=True).close()  # closing the last connection empties the WAL
    unfinished.chmod(KEY_MODE)  # it holds accounts and sealed boxes; SQLite gives -wal and -shm the same mode
    unfinished.chmod(KEY_MODE)  # sealed boxes and masked vectors; SQLite gives its WAL the same mode
    unfinished.replace(path)
    sync_folder(path.parent)


def load_home(directory: Path) -> Home:
    """Read a coordinator's folder.

    Raises:
        ConfigError: it is not there or not complete.
        CertificateError: the CA's files are damaged.
    """
    config = load_config(directory)
    return Home(directory, config, KeyRing(directory, config.federation))


def server_credentials(
    home: Home, hosts: tuple[str, ...], now: datetime, durable: DurableHook = ignore_step
) -> tuple[bytes, bytes]:
    """Give (certificate PEM, key PEM) of the gRPC server, renewed when a third of its time is left.

    The oldest CA that is not retired certifies it: clients that have not heard of a newer one still trust it.

    Args:
        home: the coordinator's folder.
        hosts: names or addresses that it listens on, written into a new certificate.
        now: the present time.
        durable: called before and after every file.
    """
    with exclusive(home.directory / "keys" / "server.lock"):  # processes on one folder start at once
        return _server_credentials(home, hosts, now, durable)


def _server_credentials(
    home: Home, hosts: tuple[str, ...], now: datetime, durable: DurableHook
) -> tuple[bytes, bytes]:
    certificate, key = home.directory / SERVER_CERTIFICATE, home.directory / "keys" / "server.key"
    issuer = home.ring.authorities()[0]
    is_fresh = certificate.exists() and key.exists() and ca.is_issued_by(certificate.read_bytes(), issuer)
    if is_fresh and ca.expires_at(certificate.read_bytes()) - now > timedelta(days=ca.SHORT_DAYS / 3):
        return certificate.read_bytes(), key.read_bytes()
    certificate_pem, private_pem = ca.issue_server(
        issuer, home.config.federation, home.config.server_name, hosts, now
    )
    certificate.unlink(missing_ok=True)  # never a new key beside an old certificate
    write_file(key, private_pem, durable, mode=KEY_MODE)
    write_file(certificate, certificate_pem.encode(), durable)
    return certificate_pem.encode(), private_pem
