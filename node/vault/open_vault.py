"""One open vault with all that a command may need of it: store, clock, journal, identity, federation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from node.vault.account import Account
from node.vault.enrol import (
    Identity,
    load_floors,
)
from node.vault.errors import CommandError, _
from node.vault.fields import DIGEST_BYTES
from node.vault.journal import Entropy, Journal
from node.vault.parts import Parts
from node.vault.published import PublishedRounds
from node.vault.run_desk import RunDesk
from node.vault.store import VaultStore

LEVELS = ("L0", "L1", "L2", "L3")


class OpenVault(RunDesk):
    """One open vault that takes commands; it can follow the log too.

    Args:
        store: the open record file.
        entropy: returns that many random bytes.
        now: the computer's clock, UTC.
        level: confinement level that this process reached.
        software: SHA-256 of the installed program.
    """

    def __init__(
        self, store: VaultStore, *, entropy: Entropy, now: Callable[[], datetime], level: str, software: bytes
    ) -> None:
        if level not in LEVELS or len(software) != DIGEST_BYTES:
            raise CommandError(_("the vault was opened with a wrong level or software digest"))
        super().__init__(store, now=now)
        self.entropy = entropy
        self.published = PublishedRounds()
        self.level = level
        self.software = software
        self._parts: Parts | None = None

    def enrolled(self) -> Parts:
        """Open the pieces of an enrolled node, and take over what another process stored."""
        known = self.following()
        if self._parts is None:
            self._parts = Parts(
                store=self.store,
                clock=self.clock,
                journal=self.journal(known.identity),
                mirror=known.mirror,
                account=Account(self.store, known.identity, self.published),
                published=self.published,
                identity=known.identity,
                card=known.card,
                entropy=self.entropy,
                level=self.level,
                software=self.software,
            )
        return self._parts

    def journal(self, identity: Identity) -> Journal:
        return Journal(self.store, identity.journal_key, self.entropy)

    def describe_identity(self, identity: Identity) -> dict[str, Any]:
        return identity.public_values() | {
            "report_key": identity.verifier.text,
            "master": identity.commitment.hex(),
            "floors": load_floors(self.store).as_json(),
            "confinement": self.level,
            "software": self.software.hex(),
        }
