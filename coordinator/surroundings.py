"""Gather what ``round.next_action`` asks for beside the round's own entries."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import sqlalchemy as sa

from coordinator import schema
from coordinator.config import Config
from coordinator.log_book import View
from coordinator.plan_view import published_plan
from coordinator.round import Action, Surroundings, next_action
from plan.groups import small_groups
from protos.bodies import ReportName
from protos.round_log import Logged, RoundLog


def look_around(view: View, config: Config, round_log: RoundLog) -> Surroundings:
    """Describe a round's surroundings at this moment."""
    ledger, terms = view.ledger, round_log.terms
    return Surroundings(
        now=view.now,
        revoked=frozenset({*ledger.revoked_nodes, *ledger.revoked_auditors}),
        candidates=ledger.candidates_for(round_log.round_id, ledger.size),
        is_close_requested=_is_in(view, schema.close_requests, round_log.round_id),
        is_leave_out_requested=_is_in(view, schema.leave_outs, round_log.round_id),
        checked_since=_logged_since(view, round_log.checked, terms.quorum),
        opened_since=_logged_since(view, round_log.openings, terms.threshold),
        check_grace=timedelta(seconds=config.check_grace_s),
        open_grace=timedelta(seconds=config.open_grace_s),
        has_small_group=partial(_has_small_group, round_log),
    )


def action_of(view: View, config: Config, round_log: RoundLog) -> Action:
    """Say what a round needs next."""
    return next_action(round_log, look_around(view, config, round_log))


def _is_in(view: View, table: sa.Table, round_id: bytes) -> bool:
    query = sa.select(table.c.round).where(table.c.round == round_id)
    return view.connection.execute(query).first() is not None


def _logged_since(view: View, rows: Mapping[str, Logged[Any]], needed: int) -> datetime | None:
    positions = sorted(row.index for row in rows.values())
    return view.logged_at(positions[needed - 1]) if len(positions) >= needed else None


def _has_small_group(round_log: RoundLog, names: tuple[ReportName, ...]) -> bool:
    layout = published_plan(round_log).layout
    nodes = (name.node for name in names)
    schools = {node.id: dict(node.attributes) for node in round_log.roster.nodes}
    return bool(small_groups(layout, schools, nodes, round_log.terms.min_group))
