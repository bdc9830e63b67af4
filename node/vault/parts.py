"""What one open vault has in hand; every step of a round gets it as its first argument."""

from __future__ import annotations

from dataclasses import dataclass, field

from node.vault.account import Account
from node.vault.clock import Clock
from node.vault.enrol import Identity
from node.vault.journal import Entropy, Journal
from node.vault.mirror import Mirror
from node.vault.published import PublishedRounds
from node.vault.store import VaultStore
from protos.card import FederationCard


@dataclass(frozen=True, slots=True)
class Parts:
    """An enrolled node with its federation pinned.

    Attributes:
        store, clock, journal, mirror, account, published: the vault's own pieces.
        identity: who this node is.
        card: the pinned federation.
        entropy: returns that many random bytes.
        level: confinement level of this process, ``L0`` to ``L3``; stands in every report.
        software: SHA-256 of the installed program; stands in every report.
    """

    store: VaultStore
    clock: Clock
    journal: Journal
    mirror: Mirror
    account: Account
    published: PublishedRounds
    identity: Identity
    card: FederationCard
    entropy: Entropy = field(repr=False)
    level: str
    software: bytes
