"""The desk of a vault that runs beside the egress: pages of the log and receipts in, the next report out.

It knows the federation's log and the stored reports, and nothing of plans, files and noise: those belong to
the commands (`node.vault.desk`, which can do all of this too). So an idle node loads neither numpy nor the
importer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from node.vault.clock import Clock
from node.vault.enrol import Identity, find_card, load_identity, not_accepted
from node.vault.errors import ReceiptError
from node.vault.mirror import Mirror
from node.vault.receipt import take_receipt
from node.vault.reports import payload_of, unconfirmed_report
from node.vault.store import VaultStore
from protos.card import FederationCard

HOLD_SETTING = "hold"


@dataclass(frozen=True, slots=True)
class Enrolled:
    """An enrolled node: who it is, its pinned federation, its copy of the log."""

    identity: Identity
    card: FederationCard
    mirror: Mirror


class RunDesk:
    """One open vault that follows the log.

    Args:
        store: the open record file.
        now: the computer's clock, UTC.
    """

    def __init__(self, store: VaultStore, *, now: Callable[[], datetime]) -> None:
        self.store = store
        self.clock = Clock(store, now)
        self._known: Enrolled | None = None

    def on_log(self, start: int, entries: list[tuple[bytes, bytes]], latest: bytes, cosigned: bytes) -> None:
        """Take a page of the log; before ``accept`` nothing is taken.

        Raises:
            MirrorError: the page does not fit; the log should be sent again from its beginning.
        """
        if find_card(self.store) is not None:
            self.following().mirror.take_page(start, entries, latest, cosigned)

    def on_receipt(self, data: bytes) -> bool:
        """Keep a receipt if it proves a report of this node; returns whether it does."""
        if find_card(self.store) is None:
            return False
        log_keys = self.following().mirror.ledger.chain.log_keys()
        try:
            with self.store.transaction("receipt"):
                take_receipt(self.store, log_keys, data)
        except ReceiptError:
            return False  # it came over an untrusted link and proves nothing; the report is sent again
        return True

    def outgoing(self) -> bytes | None:
        """Give the stored bytes of the oldest report that the cosigned log does not hold yet."""
        if find_card(self.store) is None or self.is_held():
            return None
        known = self.following()
        report = unconfirmed_report(self.store, known.mirror, known.identity.node)
        return None if report is None else payload_of(self.store, report) or None

    def close(self) -> None:
        """Close the record file. Everything committed is already durable."""
        self.store.close()

    def following(self) -> Enrolled:
        """Read who this node is, and take over what another process stored."""
        if self._known is None:
            identity, pinned = load_identity(self.store), find_card(self.store)
            if pinned is None:
                raise not_accepted()
            self._known = Enrolled(identity, pinned[0], Mirror(self.store, pinned[0], self.clock))
        else:
            self._known.mirror.catch_up()
        return self._known

    def is_held(self) -> bool:
        return self.store.setting(HOLD_SETTING) == b"1"
