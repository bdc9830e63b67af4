"""A published plan as an auditor sees it: read, laid out, and recomputed from nothing but itself.

The coordinator's figures are never believed: cells, noise and cost follow from the plan's body and
terms, and what the statement says must equal that.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from auditor.errors import RefusalError
from plan.document import PlanDocument, Terms, from_published
from plan.errors import PlanError
from plan.layout import Layout, build_layout
from privacy.discrete_gaussian import Sampler
from privacy.errors import PrivacyError
from protos.bodies import ReportName, RosterBody
from protos.ledger import RoundLog
from protos.statements import Plan, encode_statement

NoiseRow = tuple[str, int, int, bytes]


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan and what follows from it.

    Attributes:
        document: what is collected, under which terms.
        layout: tables, cells and sensitivities.
        noise: the noise line that each table must have, in order.
        rho: what the round really costs a pupil (zCDP), recomputed, rounded up.
    """

    document: PlanDocument
    layout: Layout
    noise: tuple[NoiseRow, ...]
    rho: Fraction


def view_plan(plan: Plan, body: bytes) -> PlanView:
    """Read a plan and recompute everything that follows from it.

    Raises:
        RefusalError: the body is no plan that goes with these terms.
    """
    return _view(encode_statement(plan), plan, body)


@lru_cache(maxsize=64)
def _view(_text: str, plan: Plan, body: bytes) -> PlanView:
    try:
        document = from_published(body, terms_of(plan))
        layout = build_layout(document)
        noise = tuple(
            (table.id, table.noise.scale, table.noise.s2, thresholds_sha256(table.noise.s2))
            for table in layout.tables
        )
        return PlanView(document, layout, noise, layout.claimed_rho)
    except (PlanError, PrivacyError) as err:
        raise RefusalError("wrong-plan", f"the plan is not valid: {err}") from err


def terms_of(plan: Plan) -> Terms:
    """Take the terms out of a plan's statement."""
    return Terms(
        num_auditors=len(plan.auditors),
        threshold=plan.threshold,
        collude=plan.collude,
        quorum=plan.quorum,
        min_reports=plan.min_reports,
        colluding_schools=plan.colluding_schools,
        min_group=plan.min_group,
        rho=plan.rho,
        opens=plan.opens,
        closes=plan.closes,
    )


@lru_cache(maxsize=64)
def thresholds_sha256(s2: int) -> bytes:
    """Recompute the digest of the sampler's thresholds for one variance (scaled units)."""
    return Sampler(s2).digest


def verify_figures(plan: Plan, view: PlanView) -> None:
    """Check that cells, noise lines and rho in the statement are those that follow from the plan.

    Raises:
        RefusalError: one differs; the message names the table.
    """
    if plan.cells != view.layout.cells:
        raise RefusalError(
            "wrong-cells", f"{view.layout.cells} cells follow from the plan, it says {plan.cells}"
        )
    for expected, found in zip(view.noise, plan.noise, strict=False):
        if expected != found:
            raise RefusalError(
                "wrong-noise",
                f"table {expected[0]}: scale {expected[1]} and s2 {expected[2]} with their thresholds follow "
                f"from the plan, it says {found[0]} {found[1]} {found[2]}",
            )
    if len(plan.noise) != len(view.noise):
        raise RefusalError("wrong-noise", f"expected {len(view.noise)} noise lines, found {len(plan.noise)}")
    if view.rho > plan.rho:
        raise RefusalError(
            "wrong-rho", f"the tables cost rho {float(view.rho):.6g}, the plan says {plan.rho}"
        )


def small_groups(round_log: RoundLog, names: Iterable[ReportName]) -> tuple[ReportName, ...]:
    """Find the reports of schools whose group is smaller than the plan's `min_group`.

    A group is a combination of public roster attributes that one of the plan's tables uses as
    dimensions; a table that uses none has no groups.

    Raises:
        RefusalError: the plan is not valid.
    """
    plan = round_log.terms
    reports = list(names)
    small: set[ReportName] = set()
    for used in _attribute_sets(view_plan(plan, round_log.plan.body), round_log.roster):
        groups = _groups(round_log.roster, used)
        sizes = Counter(groups[name.node] for name in reports)
        small |= {name for name in reports if sizes[groups[name.node]] < plan.min_group}
    return tuple(sorted(small))


def small_roster_groups(plan: Plan, view: PlanView, roster: RosterBody) -> tuple[tuple[str, ...], ...]:
    """Find the combinations of roster attributes with fewer schools than `min_group` in the roster."""
    small: set[tuple[str, ...]] = set()
    for used in _attribute_sets(view, roster):
        sizes = Counter(_groups(roster, used).values())
        small |= {group for group, size in sizes.items() if size < plan.min_group}
    return tuple(sorted(small))


def _attribute_sets(view: PlanView, roster: RosterBody) -> set[tuple[str, ...]]:
    known = {key for node in roster.nodes for key, _ in node.attributes}
    used = {
        tuple(sorted(known & (set(table.dims) | {name for name, _ in table.where})))
        for table in view.document.tables
    }
    return used - {()}


def _groups(roster: RosterBody, used: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
    """Map each node to its combination of the attributes used."""
    return {
        node.id: tuple(f"{key}={dict(node.attributes).get(key, '')}" for key in used) for node in roster.nodes
    }


def table_shapes(view: PlanView) -> frozenset[bytes]:
    """Identify what each table counts, whatever it is called: to notice a question asked twice."""
    return frozenset(
        hashlib.sha256(repr((table.dims, table.where, table.multi, table.instrument)).encode()).digest()
        for table in view.document.tables
    )
