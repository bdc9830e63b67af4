"""What a round costs a pupil and a network, as `check`, `show` and `explain` say it.

Three figures, from the integers of the noise: the relation that the plan claims, the other one for readers
who know their budgets in it, and what is left if the county and enough auditors open single reports.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from gettext import gettext as _
from typing import Any

from crypto.replication import subsets, subsets_with
from crypto.sealing import box_bytes
from fedscreen.planning.plan_file import DELTA, Loaded
from plan.code_words import beside
from plan.costs import drawn_distance, rho_alone, rho_under
from plan.document import PlanDocument
from privacy.accountant import epsilon, total_delta
from privacy.sensitivity import Neighbouring
from protos.report_payload import body_bytes
from protos.statements import Report, encode_statement

_SIGNATURE_LINE_BYTES = 150


@dataclass(frozen=True, slots=True)
class Cost:
    """One figure: what is protected (`relation`), whether the plan claims it, and rho with its epsilon."""

    relation: Neighbouring
    is_claimed: bool
    rho: Fraction
    epsilon: float


def relations(loaded: Loaded) -> list[Cost]:
    """Return the cost under both relations, the claimed one first."""
    claimed = loaded.plan.neighbouring
    ordered = sorted(Neighbouring, key=lambda relation: relation != claimed)
    return [
        Cost(relation, relation == claimed, rho := rho_under(loaded.layout, relation), epsilon(rho, DELTA))
        for relation in ordered
    ]


def alone(loaded: Loaded) -> Cost:
    """Return what protects a pupil when single reports are opened: the noise of the own school."""
    claimed = loaded.plan.neighbouring
    rho = rho_alone(loaded.layout, claimed)
    return Cost(claimed, False, rho, epsilon(rho, DELTA))


def delta(loaded: Loaded) -> float:
    """Return delta with what the sampler's distance adds to it."""
    spent = epsilon(loaded.layout.claimed_rho, DELTA)
    return total_delta(DELTA, spent, drawn_distance(loaded.layout, loaded.schools))


def bytes_of(loaded: Loaded) -> int:
    """Return the size of one report of a plan, about."""
    return report_bytes(loaded.plan, loaded.layout.cells, loaded.layout.num_vectors)


def cost_rows(loaded: Loaded) -> Iterator[tuple[str, str]]:
    """Yield the figures for people: a name and its value."""
    for cost in relations(loaded):
        name = _("ρ and ε (δ = 1e-6), %(relation)s") % {
            "relation": beside(cost.relation, _(cost.relation), _)
        }
        mark = _("← what the plan claims") if cost.is_claimed else ""
        yield name, f"{float(cost.rho):.6f}, {cost.epsilon:.3f} {mark}".rstrip()
    yield _("if the county and the auditors collude"), collusion_words(loaded)


def collusion_words(loaded: Loaded) -> str:
    """Say what holds if those who can open single reports do."""
    own = alone(loaded)
    words = _(
        "each report has its own school's noise only, ρ = %(rho)s (%(times)s times the claim), "
        "ε = %(epsilon)s: no protection; %(auditors)s of %(all)s auditors suffice, with or without the county"
    )
    return words % {
        "rho": f"{float(own.rho):.2f}",
        "times": round(own.rho / loaded.layout.claimed_rho),
        "epsilon": f"{own.epsilon:.1f}",
        "auditors": loaded.plan.threshold,
        "all": loaded.plan.num_auditors,
    }


def cost_json(loaded: Loaded) -> dict[str, Any]:
    """Return the figures for programs."""
    own = alone(loaded)
    return {
        "costs": [
            {
                "relation": str(cost.relation),
                "claimed": cost.is_claimed,
                "rho": float(cost.rho),
                "epsilon": cost.epsilon,
            }
            for cost in relations(loaded)
        ],
        "collusion": {
            "rho": float(own.rho),
            "epsilon": own.epsilon,
            "auditors": loaded.plan.threshold,
            "protects": False,
        },
        "delta": DELTA,
        "delta_with_sampler": delta(loaded),
    }


def report_bytes(plan: PlanDocument, cells: int, vectors: int = 1) -> int:
    """Estimate the size of one report's payload: exact but for the lengths of names and ids.

    Args:
        vectors: 1, or one more than a turnout ladder has steps.
    """
    n, t = plan.num_auditors, plan.threshold
    digest = bytes(32)
    box = box_bytes(len(subsets_with(0, n, t)))
    body = body_bytes(cells * vectors, box, n)
    header = Report(
        federation="example-county",
        round=digest,
        roster=digest,
        approvals=digest,
        node="school-001",
        attempt=0,
        cells=cells,
        vector=digest,
        seeds=tuple((subset, digest) for subset in subsets(n, t)),
        boxes=tuple((f"auditor-{place}", digest) for place in range(n)),
        input=digest,
        software=digest,
        confinement="L3",
        previous=digest,
        size=body,
    )
    return 4 + len(encode_statement(header).encode()) + 1 + _SIGNATURE_LINE_BYTES + body
