"""Plans explained, and the privacy account of each school year."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from coordinator.dashboard.rounds import every_round, find_plan
from coordinator.dashboard.visit import Page, Reply, Visit
from coordinator.plan_view import published_plan
from plan.costs import rho_under
from plan.forecast import forecast, screened_stages, share_out
from plan.prediction import LEAST_SHOWN, predict
from plan.published import Published
from privacy.accountant import epsilon
from privacy.sensitivity import Neighbouring
from privacy.year_account import DEFAULT_CAP
from protos.round_log import RoundLog, RoundState

DELTA: Final = 1e-6
MAX_PUPILS: Final = 10_000_000
PUPILS_A_SCHOOL: Final = 450


@dataclass(frozen=True, slots=True)
class Charge:
    """What one round costs its school year.

    Attributes:
        id, title, serial, state: the round.
        rho: its cost.
        is_refunded: the round ended so that schools get it back.
    """

    id: str
    title: str
    serial: int
    state: str
    rho: Fraction
    is_refunded: bool


@dataclass(frozen=True, slots=True)
class Year:
    """One school year's account: what its rounds cost together, of what may be spent."""

    school_year: str
    charges: tuple[Charge, ...]
    cap: Fraction = DEFAULT_CAP

    @property
    def spent(self) -> Fraction:
        """The sum of what was not given back."""
        return sum((row.rho for row in self.charges if not row.is_refunded), Fraction(0))

    @property
    def epsilon(self) -> float:
        """The same as an ε, at δ = 1e-6."""
        return epsilon(self.spent, DELTA) if self.spent else 0.0

    @property
    def share(self) -> float:
        """How much of the cap is spent, in percent."""
        return min(100.0, float(100 * self.spent / self.cap))


def plans(visit: Visit) -> Reply:
    """List the plans."""
    return Page("plans.html", {"rounds": every_round(visit)})


def plan(visit: Visit) -> Reply:
    """Explain a plan: what it asks, what it costs, how exact its tables will be."""
    round_log, published = find_plan(visit)
    num_schools = len(round_log.roster.nodes)
    pupils = _pupils(visit.query, num_schools)
    by_stage = share_out(pupils, published.layout)
    reports = max(num_schools, round_log.terms.min_reports)
    tables = predict(
        published.layout, reports, forecast(published.layout, by_stage), published.document.display_floor
    )
    rho = published.layout.claimed_rho
    values = {
        "round": round_log,
        "plan": published.document,
        "num_schools": num_schools,
        "cells": published.layout.cells,
        "pupils": pupils,
        "stages": screened_stages(published.layout),
        "tables": tuple(zip(tables, published.layout.tables, strict=True)),
        "least": LEAST_SHOWN,
        "rho": float(rho),
        "epsilon": epsilon(rho, DELTA),
        "others": _other_cost(published),
    }
    return Page("plan.html", values)


def budget(visit: Visit) -> Reply:
    """Show the account of every school year."""
    found: dict[str, list[Charge]] = {}
    with visit.county.reading() as view:
        logs = list(view.ledger.rounds.values()) if view.has_genesis else []
    for round_log in logs:
        document = published_plan(round_log).document
        found.setdefault(document.school_year, []).append(_charge(round_log, document.title))
    years = [Year(name, tuple(rows)) for name, rows in sorted(found.items(), reverse=True)]
    return Page("budget.html", {"years": years})


def _charge(round_log: RoundLog, title: str) -> Charge:
    is_refunded = round_log.is_refundable or round_log.state is RoundState.DRAFT
    terms = round_log.terms
    return Charge(
        round_log.round_id.hex(), title, terms.serial, round_log.state.value, terms.rho, is_refunded
    )


def _pupils(query: Mapping[str, str], num_schools: int) -> int:
    """Read the number of pupils that the reader gave; without one, so many a school."""
    asked = query.get("pupils", "")
    if asked.isascii() and asked.isdigit() and len(asked) <= len(str(MAX_PUPILS)):
        return max(1, min(MAX_PUPILS, int(asked)))
    return PUPILS_A_SCHOOL * max(1, num_schools)


def _other_cost(published: Published) -> tuple[str, float]:
    """Give the cost under the relation that the plan does not claim."""
    claimed = published.document.neighbouring
    other = next(relation for relation in Neighbouring if relation != claimed)
    return str(other), float(rho_under(published.layout, other))
