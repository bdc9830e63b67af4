"""The account of a school year as a meter for people: what each round cost, what that means, what is left.

Everything is recomputed: the rounds from the vault's charges and from the log (predecessors included), their
costs from the plans in the log. Nothing here counts pupils, and nothing is changed.

A charge whose plan is not in this copy of the log (it was lost and comes back with the log) counts as one
under add-remove, and so twice under replace-one: that covers both relations that its plan can have claimed.

Spec: docs/privacy.md "The account" and "What a cost means".
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from node.vault.account import YearAccount
from node.vault.enrol import load_floors
from node.vault.parts import Parts
from node.vault.reports import reports_of
from plan.costs import drawn_distance, rho_alone, rho_under
from plan.published import Published
from privacy.risk import DELTA, risk_of
from privacy.sensitivity import Neighbouring
from privacy.year_account import Item, first_year, school_year_of
from protos.ledger import RoundLog

RELATIONS = (Neighbouring.REPLACE_ONE, Neighbouring.ADD_REMOVE)
_MOST_RHO = Fraction(1000)  # a cost that protects nobody; the formulas end here


@dataclass(frozen=True, slots=True)
class _Round:
    """One round of the year, with what the log says about it where it is there."""

    item: Item
    charged: str
    round_log: RoundLog | None
    published: Published | None
    vectors: int

    @property
    def relation(self) -> Neighbouring:
        return self.published.layout.neighbouring if self.published else Neighbouring.ADD_REMOVE

    def rho(self, relation: Neighbouring) -> Fraction:
        """What it costs under a relation; never less than its charge under the one that it claims."""
        if self.published is None:
            return 2 * self.item.rho if relation is Neighbouring.REPLACE_ONE else self.item.rho
        found = rho_under(self.published.layout, relation)
        return max(found, self.item.rho) if relation is self.relation else found

    @property
    def distance(self) -> Fraction:
        """What its schools' samplers are off by, at most."""
        if self.published is None or self.round_log is None:
            return Fraction(0)
        return drawn_distance(self.published.layout, len(self.round_log.roster.nodes))


def budget(parts: Parts, school_year: str = "") -> dict[str, Any]:
    """Put the meter of a school year together, as JSON values; rationals as text.

    Args:
        parts: the open vault.
        school_year: ``YYYY-YYYY``; empty for the one that the clock is in.

    Raises:
        PrivacyError: not a school year.
        VaultError: a plan of the year cannot be read by this version.
    """
    current = school_year_of(parts.clock.now().date())
    chosen = school_year or current
    first_year(chosen)
    floors = load_floors(parts.store)
    account = parts.account.read(chosen, floors.rho_year, parts.mirror)
    rounds = _rounds(parts, account)
    counted = [row for row in rounds if not row.item.is_refunded]
    return {
        "node": parts.identity.node,
        "operator": parts.identity.operator,
        "school_year": chosen,
        "is_current": int(chosen == current),
        "years": _years(parts, current),
        "cap": str(account.cap),
        "spent": str(account.spent),
        "left": str(max(Fraction(0), account.cap - account.spent)),
        "rho_round": str(floors.rho_round),
        "rounds": [_round_values(parts, row) for row in rounds],
        "relation": _claimed(counted).value,
        "risks": {relation.value: _risk(counted, relation) for relation in RELATIONS},
        "at_cap": _risk_values(account.cap, Fraction(0)),
        "alone": _alone(rounds),
    }


def _years(parts: Parts, current: str) -> list[str]:
    """List this school year and every one that has a charge, newest first."""
    account = parts.account.read(current, Fraction(0), parts.mirror)
    charges = (*account.local, *account.logged)
    return sorted({current, *(charge.school_year for charge in charges)}, reverse=True)


def _rounds(parts: Parts, account: YearAccount) -> list[_Round]:
    """Give the rounds of the year by census date, newest last."""
    names = parts.account.lineage(parts.mirror)
    times = {bytes(row[0]): str(row[1]) for row in parts.store.query("SELECT round, charged FROM charge")}
    rounds = []
    for item in account.items:
        round_log = parts.mirror.ledger.rounds.get(item.round_id)
        published = parts.published.read(round_log) if round_log else None
        vectors = _vectors(parts, item.round_id, names)
        rounds.append(_Round(item, times.get(item.round_id, ""), round_log, published, vectors))
    return sorted(rounds, key=lambda row: (_census_date(row), row.item.round_id))


def _census_date(row: _Round) -> str:
    return row.published.document.census_date.isoformat() if row.published else ""


def _vectors(parts: Parts, round_id: bytes, names: frozenset[str]) -> int:
    """Count the vectors that one school has made for a round: the most of all whose pupils these are."""
    round_log = parts.mirror.ledger.rounds.get(round_id)
    logged = [len(round_log.attempts_of(name)) for name in names] if round_log else []
    return max(1, len(reports_of(parts.store, round_id)), *logged)


def _round_values(parts: Parts, row: _Round) -> dict[str, Any]:
    own, logged = parts.identity.node, row.round_log
    reporters = {node for node, _attempt in logged.reports} if logged else set()
    others = sorted(reporters & parts.account.lineage(parts.mirror) - {own})
    return {
        "round": row.item.round_id.hex(),
        "title": row.published.document.title if row.published else "",
        "census_date": _census_date(row),
        "charged": row.charged,
        "rho": str(row.item.rho),
        "relation": row.relation.value if row.published else "",
        "in_store": int(row.item.is_local),
        "in_log": int(row.item.is_logged),
        "given_back": int(row.item.is_refunded),
        "predecessors": others,
        "vectors": row.vectors,
    }


def _claimed(rounds: list[_Round]) -> Neighbouring:
    """Say which relation the year's sum holds for: the weaker one as soon as one round claims only that."""
    is_weaker = any(row.relation is Neighbouring.ADD_REMOVE for row in rounds)
    return Neighbouring.ADD_REMOVE if is_weaker else Neighbouring.REPLACE_ONE


def _risk(rounds: list[_Round], relation: Neighbouring) -> dict[str, Any]:
    rho = sum((row.rho(relation) for row in rounds), Fraction(0))
    return _risk_values(rho, sum((row.distance for row in rounds), Fraction(0)))


def _risk_values(rho: Fraction, distance: Fraction) -> dict[str, Any]:
    risk = risk_of(min(rho, _MOST_RHO), distance, DELTA)
    return {
        "rho": str(rho),
        "epsilon": risk.epsilon,
        "delta": risk.delta,
        "total_delta": risk.total_delta,
        "eta": float(distance),
        "guess": risk.guess,
        "gaussian_guess": risk.gaussian_guess,
    }


def _alone(rounds: list[_Round]) -> dict[str, Any]:
    """Say what is left if enough auditors collude to open single reports: this school's own noise.

    They need the county only before the opening; afterwards the masked vectors are handed to auditors for
    verification. Rounds that were given back count too: such auditors may have kept the keys.
    """
    known = [row for row in rounds if row.published is not None and row.round_log is not None]
    rho = sum(
        (row.vectors * rho_alone(row.published.layout, row.relation) for row in known if row.published),
        Fraction(0),
    )
    terms = [row.round_log.terms for row in known if row.round_log]
    return {
        **_risk_values(rho, Fraction(0)),
        "collude": min((plan.collude for plan in terms), default=0),
        "threshold": min((plan.threshold for plan in terms), default=0),
        "auditors": min((len(plan.auditors) for plan in terms), default=0),
        "complete": int(len(known) == len(rounds)),
    }
