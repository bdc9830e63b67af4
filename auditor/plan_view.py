"""A published plan as an auditor sees it: read, laid out, and recomputed from nothing but itself.

The coordinator's figures are never believed: cells, noise and cost follow from the plan's body and
terms (`plan.published`), and what the statement says must equal that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from auditor.errors import RefusalError
from plan import groups
from plan.errors import PlanError, phrase
from plan.layout import TableLayout
from plan.published import Published, disagreement, read_published
from privacy.errors import PrivacyError
from protos.bodies import ReportName, RosterBody
from protos.ledger import RoundLog
from protos.statements import Plan


def view_plan(plan: Plan, body: bytes) -> Published:
    """Read a plan and recompute everything that follows from it.

    Raises:
        RefusalError: the body is no plan that goes with these terms.
    """
    try:
        return read_published(plan, body)
    except (PlanError, PrivacyError) as err:
        raise RefusalError("wrong-plan", phrase("the plan is not valid: %(reason)s", reason=err)) from err


def verify_figures(plan: Plan, view: Published) -> None:
    """Check that cells, noise lines and rho in the statement are those that follow from the plan.

    Raises:
        RefusalError: one differs; the message names the table.
    """
    found = disagreement(plan, view)
    if found is not None:
        raise RefusalError(*found)


def small_groups(round_log: RoundLog, names: Iterable[ReportName]) -> tuple[ReportName, ...]:
    """Find the reports of schools whose group is smaller than the plan's `min_group`.

    Leaving them out may make another group too small (of a county's schools, those of one type), so it is
    asked again of who remains, until every group is large enough.

    Raises:
        RefusalError: the plan is not valid.
    """
    plan, reports = round_log.terms, sorted(names)
    layout, schools = view_plan(plan, round_log.plan.body).layout, _schools(round_log.roster)
    remaining = {name.node for name in reports}
    while found := groups.small_groups(layout, schools, remaining, plan.min_group):
        remaining.difference_update(*found.values())
    return tuple(name for name in reports if name.node not in remaining)


def small_roster_groups(plan: Plan, view: Published, roster: RosterBody) -> tuple[groups.Group, ...]:
    """Find the combinations of roster attributes with fewer schools than `min_group` in the roster."""
    schools = _schools(roster)
    return tuple(sorted(groups.small_groups(view.layout, schools, schools, plan.min_group)))


def _schools(roster: RosterBody) -> Mapping[str, groups.Attributes]:
    return {node.id: dict(node.attributes) for node in roster.nodes}


def asks_the_same(view: Published, other: Published) -> bool:
    """Whether a table of one plan counts what a table of the other counts, of pupils that both may count.

    Names, order of dimensions and filters that leave pupils in common change nothing: the noise of both
    could be averaged. What overlaps in less than all dimensions is left to the school year's account.
    """
    return any(_overlap(table, row) for table in view.layout.tables for row in other.layout.tables)


def _overlap(table: TableLayout, other: TableLayout) -> bool:
    instruments = {row.instrument.id for row in (table, other) if row.instrument is not None}
    if set(table.dims) != set(other.dims) or len(instruments) > 1 or table.sum != other.sum:
        return False
    kept, kept_there = _kept(table), _kept(other)
    return all(kept[name] & kept_there[name] for name in kept.keys() & kept_there.keys())


def _kept(table: TableLayout) -> dict[str, set[str]]:
    """The codes that a table keeps of each dimension that it counts or filters by."""
    return {name: set(codes) for name, codes in (*table.where, *zip(table.dims, table.codes, strict=True))}
