"""The school's privacy account.

Order of a charge, inside the release of a round:

1. ``cost_of``: rho is recomputed from the layout's s², Δ and τ; the plan's own figure is never used.
2. ``read``: spent = union, by round id, of the charges stored here and of the reports of this node and its
   predecessors in the log, so a restored backup cannot reset it. Rounds that q auditors have abandoned
   in the *trusted* log are given back; nothing else ever is.
3. ``charge``: checks the cap and writes, in one transaction, before any noise is drawn. Idempotent per round.

The rules themselves are pure and stand in ``privacy.year_account``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from node.vault.enrol import Identity
from node.vault.errors import AccountError, _
from node.vault.journal import TIME_FORMAT
from node.vault.mirror import Mirror
from node.vault.published import PublishedRounds
from node.vault.store import VaultStore
from privacy.errors import BudgetExceededError
from privacy.year_account import Charge, Item, items, spent, verify_affordable
from protos.lineage import lineage, successions


@dataclass(frozen=True, slots=True)
class YearAccount:
    """The account of one school year, as both sources tell it.

    Attributes:
        school_year: e.g. ``2025-2026``.
        cap: most rho for the year.
        local, logged: charges stored here; charges that the log's reports imply.
        refunded: rounds that were given back.
    """

    school_year: str
    cap: Fraction
    local: tuple[Charge, ...]
    logged: tuple[Charge, ...]
    refunded: frozenset[bytes]

    @property
    def spent(self) -> Fraction:
        """What the year has cost so far."""
        return spent(self.local, self.logged, self.school_year, self.refunded)

    @property
    def items(self) -> tuple[Item, ...]:
        """The rounds of the year, and which source knows each; those given back too."""
        return items(self.local, self.logged, self.school_year, self.refunded)

    def after(self, charge: Charge) -> Fraction:
        """Compute what is spent once a round is charged; unchanged if it has been.

        Raises:
            AccountError: the year would cost more than the cap.
        """
        try:
            return verify_affordable(charge, self.local, self.logged, self.cap, self.refunded)
        except BudgetExceededError:
            raise AccountError(
                _("school year %(year)s: the round costs rho %(cost)s, %(spent)s of %(cap)s is spent"),
                _("Ask the county for a plan with a smaller rho, or wait for the next school year."),
                code="account-exceeded",
                details={
                    "year": self.school_year,
                    "cost": _decimal(charge.rho),
                    "spent": _decimal(self.spent),
                    "cap": _decimal(self.cap),
                },
            ) from None


class Account:
    """Reads and charges the account in one record file."""

    def __init__(self, store: VaultStore, identity: Identity, published: PublishedRounds) -> None:
        self._store = store
        self._identity = identity
        self._published = published

    def read(self, school_year: str, cap: Fraction, mirror: Mirror) -> YearAccount:
        """Put the account of a school year together."""
        return YearAccount(
            school_year,
            cap,
            self._local(),
            tuple(self._logged(mirror)),
            frozenset(_refunded(mirror)),
        )

    def charge(self, charge: Charge, now: datetime) -> bool:
        """Write a charge, inside the caller's transaction; returns False if the round is charged already.

        A second charge of a round never lowers the stored one.
        """
        row = self._store.one("SELECT rho FROM charge WHERE round = ?", (charge.round_id,))
        if row is not None:
            return False
        self._store.execute(
            "INSERT INTO charge (round, school_year, rho, charged) VALUES (?, ?, ?, ?)",
            (charge.round_id, charge.school_year, str(charge.rho), now.strftime(TIME_FORMAT)),
        )
        return True

    def _local(self) -> tuple[Charge, ...]:
        rows = self._store.query("SELECT round, school_year, rho FROM charge ORDER BY round")
        return tuple(Charge(bytes(row[0]), row[1], Fraction(row[2])) for row in rows)

    def _logged(self, mirror: Mirror) -> Iterable[Charge]:
        names = self.lineage(mirror)
        for round_log in mirror.ledger.rounds.values():
            if not names.isdisjoint(node for node, _attempt in round_log.reports):
                published = self._published.read(round_log)
                yield Charge(round_log.round_id, published.document.school_year, published.rho)

    def lineage(self, mirror: Mirror) -> frozenset[str]:
        """Name this node and, through every roster, all its predecessors."""
        succeeds = successions(roster.body for roster in mirror.ledger.roster_chain)
        return lineage(succeeds, self._identity.node)


def _refunded(mirror: Mirror) -> Iterable[bytes]:
    for round_log in mirror.ledger.rounds.values():
        indices = sorted(row.index for row in round_log.abandons.values())
        quorum = round_log.terms.quorum
        if len(indices) >= quorum and indices[quorum - 1] < mirror.trusted_size:
            yield round_log.round_id


def _decimal(value: Fraction) -> str:
    return f"{float(value):.6g}"
