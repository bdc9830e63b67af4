"""A published plan as this node understands it: document, layout, and what it really costs.

The plan's statement gives the terms and its body the rest; nothing about privacy is taken over from
either: the layout sizes the noise again and the cost is recomputed from the integers that define it.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from node.vault.errors import RoundRefusedError, _
from plan.document import PlanDocument, Terms, from_published
from plan.errors import PlanError
from plan.layout import Layout, build_layout
from privacy.discrete_gaussian import Sampler
from privacy.errors import PrivacyError
from protos.ledger import RoundLog
from protos.statements import Plan


@dataclass(frozen=True, slots=True)
class Published:
    """A plan that was read and recomputed.

    Attributes:
        document: what is collected.
        layout: where each table stands in the vector, and its noise.
        rho: what a report costs, recomputed (``privacy.accountant.claimed_rho``).
    """

    document: PlanDocument
    layout: Layout
    rho: Fraction


class PublishedRounds:
    """Reads plans once each; a plan's digest is its round's id, so it never changes."""

    def __init__(self) -> None:
        self._known: dict[bytes, Published] = {}

    def read(self, round_log: RoundLog) -> Published:
        """Read the plan of a round.

        Raises:
            RoundRefusedError: this version of the program does not understand the plan.
        """
        if round_log.round_id not in self._known:
            self._known[round_log.round_id] = read_plan(round_log.terms, round_log.plan.body)
        return self._known[round_log.round_id]


def read_plan(terms: Plan, body: bytes) -> Published:
    """Parse a published plan, lay it out and compute its cost.

    Raises:
        RoundRefusedError: the plan is not one that this version understands.
    """
    try:
        document = from_published(body, terms_of(terms))
        layout = build_layout(document)
        rho = layout.claimed_rho
    except (PlanError, PrivacyError) as err:
        raise RoundRefusedError(
            _("the plan cannot be read (%(reason)s)"),
            _("Install the newest version of fedscreen, or tell the county."),
            code="plan-invalid",
            details={"reason": str(err)},
        ) from None
    return Published(document, layout, rho)


def terms_of(plan: Plan) -> Terms:
    """Take the terms that stand in a plan's statement."""
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


def noise_rows(layout: Layout) -> tuple[tuple[str, int, int, bytes], ...]:
    """Recompute the noise lines that a plan with this layout must state."""
    return tuple(
        (table.id, table.noise.scale, table.noise.s2, Sampler(table.noise.s2).digest)
        for table in layout.tables
    )
