"""The coordinator's own keys, old and new: files that are made once, never replaced, and erased when retired.

::

    keys/log.key    keys/statement.key    keys/ca.key    the first ones; `ca.pem` stands in the folder above
    keys/log-2.key  keys/statement-2.key  keys/ca-2.key with ca-2.pem and ca-2.link.pem, and so on

Rules:
1. A key that was rolled over lies beside the new one. Which of them counts is said by the log alone: a new
   key by the roster that names it, an open round by the roster of its plan, a checkpoint by its size.
2. A new CA is complete with its link, a certificate of its key by the CA before it: whoever pinned the first
   CA comes from there to the newest. It is written last.
3. A retired key's file is gone; certificates stay.
4. Other processes may make keys at any time: the folder's list of names is looked at before each use.

Spec: docs/protocol.md "Key succession"; ADR 15.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from coordinator import ca
from coordinator.durable import DurableHook, ignore_step, sync_folder, write_file
from coordinator.errors import ConfigError
from crypto.note import KEY_BYTES, KeyType, SigningKey, VerifierKey
from plan.errors import phrase
from protos.bodies import key_name

KEY_MODE = 0o600
CA_CERTIFICATE = "ca.pem"
PURPOSES = ("log", "statement", "ca")
_NAMES = {"log": "log", "statement": "coordinator"}
_NUMBERED = re.compile(r"(log|statement|ca)(?:-([1-9][0-9]{0,3}))?\.key\Z")


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What the folder held when it was read."""

    listing: tuple[str, ...]
    signing: dict[str, tuple[SigningKey, ...]] = field(repr=False)
    authorities: tuple[ca.Authority, ...] = field(repr=False)
    chain: tuple[str, ...]


class KeyRing:
    """Every key that one coordinator holds now."""

    def __init__(self, directory: Path, federation: str) -> None:
        """Read the keys.

        Raises:
            ConfigError, CertificateError: a file is missing or damaged.
        """
        self._directory = directory
        self._folder = directory / "keys"
        self._federation = federation
        self._loaded = self._load(self._listing())

    def signing(self, purpose: str) -> tuple[SigningKey, ...]:
        """Give the keys of a purpose, ``log`` or ``statement``, oldest first."""
        return self._current().signing[purpose]

    def authorities(self) -> tuple[ca.Authority, ...]:
        """Give the CAs whose key is held, oldest first."""
        return self._current().authorities

    def find(self, purpose: str, verifier: VerifierKey) -> SigningKey:
        """Find the key with this public half.

        Raises:
            ConfigError: it is not here: retired, or an old copy of the folder was restored.
        """
        for key in self.signing(purpose):
            if key.verifier == verifier:
                return key
        raise ConfigError(
            phrase(
                "keys/: the %(purpose)s key that the log names is not here; restore keys/ from the "
                "newest backup",
                purpose=purpose,
            )
        )

    def chain_pem(self) -> str:
        """Give the first CA's certificate, then link and certificate of each later one, for grants."""
        return "".join(self._current().chain)

    def roots_pem(self) -> bytes:
        """Give the certificates of the CAs that are not retired: whose clients are let in."""
        return "".join(row.certificate_pem for row in self.authorities()).encode()

    # -- making and erasing ------------------------------------------------------------------

    def make_next(
        self, purpose: str, entropy: bytes, now: datetime, durable: DurableHook = ignore_step
    ) -> None:
        """Make the next key of a purpose; after a crash it goes on where it stopped.

        Args:
            purpose: ``log``, ``statement`` or ``ca``.
            entropy: 32 random bytes, for a signing key.
            now: start of a CA's validity.
            durable: called before and after every file.
        """
        if purpose == "ca":
            self._make_authority(now, durable)
            return
        number = max(_numbers(self._listing(), purpose)) + 1
        data = entropy.hex().encode() + b"\n"
        write_file(self._folder / f"{purpose}-{number}.key", data, durable, mode=KEY_MODE, is_new=True)

    def _make_authority(self, now: datetime, durable: DurableHook) -> None:
        number = self._num_certificates() + 1
        key_file = self._folder / f"ca-{number}.key"
        if not key_file.exists():
            write_file(key_file, ca.key_pem(ca.new_key()), durable, mode=KEY_MODE, is_new=True)
        certificate = self._folder / f"ca-{number}.pem"
        if not certificate.exists():
            key = ca.load_key(key_file.read_bytes())
            made = ca.create_authority(self._federation, now, key, number)
            write_file(certificate, made.certificate_pem.encode(), durable, is_new=True)
        new = ca.load_authority(certificate.read_bytes(), key_file.read_bytes())
        link = ca.link_authority(self.authorities()[-1], new, now)
        write_file(self._folder / f"ca-{number}.link.pem", link.encode(), durable, is_new=True)

    def erase(self, purpose: str, keep: int, durable: DurableHook = ignore_step) -> int:
        """Erase all but the newest `keep` keys of a purpose; gives how many."""
        gone = sorted(_numbers(self._listing(), purpose))[:-keep]
        for number in gone:
            durable(f"before erase {purpose}")
            (self._folder / _file_name(purpose, number)).unlink(missing_ok=True)
            sync_folder(self._folder)
            durable(f"after erase {purpose}")
        return len(gone)

    # -- reading -----------------------------------------------------------------------------

    def _listing(self) -> tuple[str, ...]:
        try:
            return tuple(sorted(name for name in os.listdir(self._folder) if not name.startswith(".")))
        except OSError as err:
            raise ConfigError(
                phrase(
                    "%(filename)s: cannot be read; restore the folder from its backup", filename=err.filename
                )
            ) from err

    def _current(self) -> _Loaded:
        listing = self._listing()
        if listing != self._loaded.listing:
            self._loaded = self._load(listing)
        return self._loaded

    def _load(self, listing: tuple[str, ...]) -> _Loaded:
        signing = {purpose: self._load_signing(purpose, listing) for purpose in _NAMES}
        pems = [_read(self._directory / CA_CERTIFICATE)]
        numbers = [1]
        while f"ca-{numbers[-1] + 1}.link.pem" in listing:
            numbers.append(numbers[-1] + 1)
            pems.append(_read(self._folder / f"ca-{numbers[-1]}.pem"))
        links = [b"", *(_read(self._folder / f"ca-{number}.link.pem") for number in numbers[1:])]
        held = [
            ca.load_authority(pem, _read(self._folder / _file_name("ca", number)))
            for number, pem in zip(numbers, pems, strict=True)
            if _file_name("ca", number) in listing
        ]
        if not held:
            raise ConfigError(phrase("keys/ca.key: not found; restore the folder from its backup"))
        chain = tuple((link + pem).decode("ascii") for link, pem in zip(links, pems, strict=True))
        return _Loaded(listing, signing, tuple(held), chain)

    def _num_certificates(self) -> int:
        return len(self._current().chain)

    def _load_signing(self, purpose: str, listing: Sequence[str]) -> tuple[SigningKey, ...]:
        numbers = sorted(_numbers(listing, purpose))
        if not numbers:
            raise ConfigError(
                phrase(
                    "%(path)s: cannot be read; restore it from its backup",
                    path=self._folder / f"{purpose}.key",
                )
            )
        name = key_name(self._federation, _NAMES[purpose])
        return tuple(
            SigningKey(name, KeyType.ED25519, _seed(self._folder / _file_name(purpose, number)))
            for number in numbers
        )


def _file_name(purpose: str, number: int) -> str:
    return f"{purpose}.key" if number == 1 else f"{purpose}-{number}.key"


def _numbers(listing: Sequence[str], purpose: str) -> list[int]:
    found = (_NUMBERED.match(name) for name in listing)
    return [int(match[2] or 1) for match in found if match is not None and match[1] == purpose]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as err:
        raise ConfigError(
            phrase("%(filename)s: cannot be read; restore the folder from its backup", filename=err.filename)
        ) from err


def _seed(path: Path) -> bytes:
    try:
        seed = bytes.fromhex(path.read_text("ascii").strip())
    except (OSError, ValueError) as err:
        raise ConfigError(phrase("%(path)s: cannot be read; restore it from its backup", path=path)) from err
    if len(seed) != KEY_BYTES:
        raise ConfigError(
            phrase(
                "%(path)s: expected %(key_bytes)s bytes in hex; restore it from its backup",
                path=path,
                key_bytes=KEY_BYTES,
            )
        )
    return seed
