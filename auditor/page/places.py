"""The table of pages: where each is, who may see it, what answers there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from auditor.page import (
    pages_challenge,
    pages_enter,
    pages_evidence,
    pages_plans,
    pages_policy,
    pages_rosters,
    pages_rounds,
    pages_today,
    pages_trips,
    pages_verify,
)
from auditor.page.visit import ANYBODY, ENTERED, KEEPERS, Handler


def _(message: str) -> str:
    """Mark a word for the translation catalogue."""
    return message


@dataclass(frozen=True, slots=True)
class Place:
    """One page: where it is, who may see it, what answers there."""

    method: str
    path: str
    handler: Handler
    who: frozenset[str]


ROUND: Final = "/rounds/{round:str}"
NAVIGATION: Final = (
    ("/", _("Today"), KEEPERS),
    ("/plans", _("Plans"), KEEPERS),
    ("/rounds", _("Rounds"), KEEPERS),
    ("/trips", _("Trips by stick"), KEEPERS),
    ("/policy", _("Policy"), KEEPERS),
    ("/verify", _("Verify"), ENTERED),
    ("/challenge", _("Draw of schools"), ENTERED),
    ("/evidence", _("Evidence pack"), ENTERED),
    ("/keys", _("Fingerprints"), KEEPERS),
)
"""What stands at the top of each page: where, its name, for whom."""

PLACES: Final = (
    Place("GET", "/enter/{token:str}", pages_enter.enter, ANYBODY),
    Place("GET", "/gone", pages_enter.gone, ANYBODY),
    Place("POST", "/logout", pages_enter.logout, ANYBODY),
    Place("POST", "/language", pages_enter.language, ANYBODY),
    Place("GET", "/", pages_today.today, ENTERED),
    Place("POST", "/look", pages_today.look, KEEPERS),
    Place("GET", "/keys", pages_today.keys, KEEPERS),
    Place("GET", "/rosters/{digest:str}", pages_rosters.roster, KEEPERS),
    Place("POST", "/rosters/{digest:str}/sign", pages_rosters.sign, KEEPERS),
    Place("GET", "/plans", pages_plans.plans, KEEPERS),
    Place("POST", "/plans/year", pages_plans.approve_year, KEEPERS),
    Place("GET", "/plans/{round:str}", pages_plans.plan, KEEPERS),
    Place("POST", "/plans/{round:str}/approve", pages_plans.approve, KEEPERS),
    Place("GET", "/rounds", pages_rounds.rounds, KEEPERS),
    Place("GET", ROUND, pages_rounds.round_page, KEEPERS),
    Place("POST", f"{ROUND}/extend", pages_rounds.extend, KEEPERS),
    Place("GET", "/work", pages_rounds.work, KEEPERS),
    Place("POST", "/work/start", pages_rounds.start, KEEPERS),
    Place("POST", "/work/stop", pages_rounds.stop, KEEPERS),
    Place("GET", "/trips", pages_trips.form, KEEPERS),
    Place("POST", "/trips/read", pages_trips.show, KEEPERS),
    Place("POST", "/trips", pages_trips.make, KEEPERS),
    Place("GET", "/trips/result", pages_trips.result, KEEPERS),
    Place("GET", "/policy", pages_policy.policy, KEEPERS),
    Place("POST", "/policy", pages_policy.change, KEEPERS),
    Place("GET", "/verify", pages_verify.form, ENTERED),
    Place("POST", "/verify", pages_verify.start, ENTERED),
    Place("GET", "/verify/result", pages_verify.result, ENTERED),
    Place("POST", "/verify/diff", pages_verify.start_diff, ENTERED),
    Place("POST", "/bundle", pages_verify.write, KEEPERS),
    Place("GET", "/challenge", pages_challenge.form, ENTERED),
    Place("POST", "/challenge", pages_challenge.draw, ENTERED),
    Place("GET", "/challenge/result", pages_challenge.result, ENTERED),
    Place("GET", "/evidence", pages_evidence.form, ENTERED),
    Place("POST", "/evidence", pages_evidence.make, ENTERED),
    Place("GET", "/evidence/result", pages_evidence.result, ENTERED),
)
