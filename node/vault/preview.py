"""What would leave, shown to a named person before a release. Nothing here leaves the school.

Every number that a release would turn into bytes: the exact cells of every table (local, for this person
only), the noise that is added at this school and in the county's sum, what the round costs, and the account
before and after. It runs the same checks as a release and changes nothing.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from node.vault.check_round import CheckedRound, check_round
from node.vault.decision import describe, is_over
from node.vault.parts import Parts
from node.vault.reports import ReportState, reports_of, state_of
from node.vault.tabulate import ExactTables, count_round
from plan.layout import TableLayout
from privacy.accountant import epsilon
from privacy.discrete_gaussian import table_bound

DELTA = 1e-6  # privacy.md: what (epsilon, delta) is shown at


def preview_round(parts: Parts, round_id: bytes, *, with_counts: bool = True) -> dict[str, Any]:
    """Check a round and show everything that a release would be made from.

    Args:
        with_counts: show the exact counts; else each cell without its number, and `hidden` is 1.

    Returns:
        JSON values: the round, `tables` with exact `cells`, the noise of each, rho, epsilon, the account, and
        `records`, the digest to give to ``release`` so that nothing changes in between. `is_over` is 1 once
        the county has closed the collection; `released` is about the newest report that stands: attempt,
        digest of its records (empty once they are pruned), time, name, state; empty without one.

    Raises:
        VaultError: the same refusals as a release.
    """
    checked = check_round(parts, round_id)
    exact = count_round(parts.store, checked.published, checked.attributes)
    after = checked.account.after(checked.charge)
    document, terms = checked.published.document, checked.round_log.terms
    return {
        "round": round_id.hex(),
        "title": document.title,
        "school_year": document.school_year,
        "wave": document.wave,
        "census_date": document.census_date.isoformat(),
        "purpose": document.purpose,
        "recipients": list(document.recipients),
        "opens": terms.opens.isoformat(),
        "closes": checked.round_log.closes.isoformat(),
        "auditors": list(terms.auditors),
        "operators": _operators(checked),
        "threshold": terms.threshold,
        "min_reports": terms.min_reports,
        "num_records": exact.record_set.num_records,
        "records": exact.record_set.digest.hex(),
        "cells": checked.published.layout.cells,
        "rho": str(checked.published.rho),
        "epsilon": epsilon(checked.published.rho, DELTA),
        "delta": DELTA,
        "account": _account(checked, after),
        "hidden": int(not with_counts),
        "decision": describe(parts.store, round_id),
        "is_over": int(is_over(checked.round_log)),
        "released": _released(parts, round_id),
        "tables": [_table(checked, exact, table, with_counts) for table in checked.published.layout.tables],
    }


def _operators(checked: CheckedRound) -> list[str]:
    """Name who operates the round's auditors, in their order."""
    names = {row.id: row.operator for row in checked.round_log.roster.auditors}
    return [names.get(name, name) for name in checked.round_log.terms.auditors]


def _released(parts: Parts, round_id: bytes) -> dict[str, Any]:
    node = parts.identity.node
    rows = [(row, state_of(parts.mirror, row, node)) for row in reports_of(parts.store, round_id)]
    alive = [(row, state) for row, state in rows if state is not ReportState.DEAD]
    if not alive:
        return {}
    report, state = alive[-1]
    found = parts.store.one("SELECT digest FROM record_set WHERE set_id = ?", (report.set_id,))
    return {
        "attempt": report.attempt,
        "records": bytes(found[0]).hex() if found else "",
        "time": report.released,
        "by": report.released_by,
        "state": state.value,
    }


def _account(checked: CheckedRound, after: Fraction) -> dict[str, Any]:
    return {
        "school_year": checked.account.school_year,
        "cap": str(checked.account.cap),
        "before": str(checked.account.spent),
        "after": str(after),
    }


def _table(
    checked: CheckedRound, exact: ExactTables, table: TableLayout, with_counts: bool
) -> dict[str, Any]:
    counts = exact.counts[table.offset : table.offset + table.cells]
    noise, least = table.noise, checked.round_log.terms.min_reports
    return {
        "id": table.id,
        "title": table.title,
        "dims": list(table.dims),
        "labels": {
            name: dict(zip(table.codes[place], table.labels[place], strict=True))
            for place, name in enumerate(table.dims)
        },
        "scale": noise.scale,
        "s2": noise.s2,
        "sigma_school": noise.standard_error(1),
        "sigma_county": noise.standard_error(least),
        "bound_school": sum(table_bound(s2) for s2 in noise.components) / noise.scale,
        "cells": [
            {"keys": table.keys(index), **({"count": int(count)} if with_counts else {})}
            for index, count in enumerate(counts)
        ],
    }
