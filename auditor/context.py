"""What every step of an auditor's work is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from auditor.keys import AuditorKeys
from auditor.link import CoordinatorLink
from auditor.mirror import Mirror
from auditor.policy import AuditorPolicy
from auditor.state import State
from crypto.note import SigningKey
from protos.ledger import Ledger, RoundLog


@dataclass(frozen=True, slots=True)
class Context:
    """One auditor at work.

    Attributes:
        id: the auditor's id in the roster.
        keys: its statement and cosigner keys.
        policy: what it signs.
        state: its once-only slots and one-round secrets.
        mirror: its copy of the log.
        link: its coordinator.
        now: the clock, UTC.
        entropy: random bytes for round keys, nonces and draws.
        keep_keys: how long after a plan's `closes` an unopened round's keys are kept.
    """

    id: str
    keys: AuditorKeys
    policy: AuditorPolicy
    state: State
    mirror: Mirror
    link: CoordinatorLink
    now: Callable[[], datetime]
    entropy: Callable[[int], bytes]
    keep_keys: timedelta

    @property
    def ledger(self) -> Ledger:
        """The log as read so far."""
        return self.mirror.ledger

    def signing_key(self, round_log: RoundLog) -> SigningKey:
        """Give the statement key that a round's plan has for this auditor.

        Raises:
            KeyFileError: it is not one of this auditor's.
        """
        own = round_log.roster.auditor(self.id)
        return self.keys.statement if own is None else self.keys.statement_for(own.statement)
