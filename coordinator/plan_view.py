"""A logged round's plan as the plan room reads it: document and vector layout."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from coordinator.errors import PlanRefusedError
from plan.document import PlanDocument, Terms, from_published
from plan.errors import PlanError
from plan.layout import Layout, build_layout
from protos.round_log import RoundLog
from protos.statements import Plan


@dataclass(frozen=True, slots=True)
class PublishedPlan:
    """A plan that stands in the log, and where each of its tables lies in the vector."""

    document: PlanDocument
    layout: Layout


def published_plan(round_log: RoundLog) -> PublishedPlan:
    """Read the plan of a round.

    Raises:
        PlanRefusedError: the logged body is not a plan of this version.
    """
    return _read(round_log.terms, round_log.plan.body)


@lru_cache(maxsize=64)
def _read(statement: Plan, body: bytes) -> PublishedPlan:
    try:
        document = from_published(body, _terms(statement))
        return PublishedPlan(document, build_layout(document))
    except PlanError as err:
        raise PlanRefusedError(f"plan {statement.serial}: {err}") from err


def _terms(statement: Plan) -> Terms:
    return Terms(
        num_auditors=len(statement.auditors),
        threshold=statement.threshold,
        collude=statement.collude,
        quorum=statement.quorum,
        min_reports=statement.min_reports,
        colluding_schools=statement.colluding_schools,
        min_group=statement.min_group,
        rho=statement.rho,
        opens=statement.opens,
        closes=statement.closes,
    )
