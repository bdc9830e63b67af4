"""Describe rounds for the administrator: state, what each waits for, who is missing.

Times are given to the day only: a history of exact times would link schools to submissions.
"""

from __future__ import annotations

from collections.abc import Mapping

from coordinator.advice import advice_for
from coordinator.config import Config
from coordinator.log_book import View
from coordinator.round import Finished, Reason, Wait, missing_nodes, next_action, set_aside
from coordinator.surroundings import look_around
from protos.fields import ZERO_DIGEST
from protos.round_log import RoundLog, RoundState

_AT_WORK = "at-work"
_FAILED = (
    *(Reason.EXPIRED, Reason.TOO_FEW_REPORTS, Reason.GROUP_TOO_SMALL, Reason.ABANDONED, Reason.CORRUPT),
    *(Reason.CANCELLED, Reason.REISSUED),
)


def describe(view: View, config: Config, round_log: RoundLog) -> dict[str, object]:
    """Describe one round as JSON values; keys are stable.

    ``waiting_for`` are the ids of schools or auditors that ``reason`` speaks of; ``closes`` is the deadline
    in force; ``advice`` is what the county can do next, in English.
    """
    around = look_around(view, config, round_log)
    action = next_action(round_log, around)
    is_over = isinstance(action, Finished)
    reason = action.reason.value if isinstance(action, Wait | Finished) else _AT_WORK
    state = round_log.state
    if isinstance(action, Finished) and action.reason in _FAILED:
        state = RoundState.ABORTED
    names = round_log.candidate_names() or around.candidates
    close_body = round_log.close_body()
    return {
        "round": round_log.round_id.hex(),
        "serial": round_log.terms.serial,
        "state": state.value,
        "reason": reason,
        "waiting_for": list(action.missing) if isinstance(action, Wait) else [],
        "until": action.until.date().isoformat() if isinstance(action, Wait) and action.until else "",
        "is_over": is_over,
        "opens": round_log.terms.opens.isoformat(),
        "closes": round_log.closes.isoformat(),
        "schools": len(round_log.roster.nodes),
        "min_reports": round_log.terms.min_reports,
        "reported": [name.node for name in names],
        "not_reported": list(missing_nodes(round_log, around)) if round_log.candidates is None else [],
        "auditors": _auditors(round_log),
        "excluded": [[row.report.node, row.code] for row in close_body.excluded] if close_body else [],
        "reports_in": len(close_body.set) if close_body else 0,
        "liars": list(set_aside(round_log)),
        "advice": advice_for(reason),
        **_changes(round_log),
    }


def _changes(round_log: RoundLog) -> dict[str, object]:
    """Say what has changed since the plan: deadlines, an end by the county, corrections, abandons."""
    changes, pending = round_log.changes, round_log.changes.pending(round_log.terms)
    cancel = changes.cancel.statement if changes.cancel else None
    return {
        "extensions": [
            {
                "closes": row.statement.closes.isoformat(),
                "reason": row.statement.reason,
                "granted": sorted(changes.extended.get(row.digest, {})),
                "is_pending": int(row is pending),
            }
            for row in changes.extensions
        ],
        "ended": {"reason": cancel.reason, "successor": _hex_or_none(cancel.successor)} if cancel else {},
        "abandoned": {name: row.statement.reason for name, row in sorted(round_log.abandons.items())},
        "standing": changes.standing if round_log.state is RoundState.RELEASED else "",
        "corrections": changes.corrections_as_values(),
    }


def _hex_or_none(digest: bytes) -> str:
    return "" if digest == ZERO_DIGEST else digest.hex()


def _auditors(round_log: RoundLog) -> dict[str, list[str]]:
    """Say for each auditor of the plan which of its statements stand in the log, in order."""
    tables: dict[str, Mapping[str, object]] = {
        "approval": round_log.approvals,
        "checked": round_log.checked,
        "agreement": round_log.agreements,
        "abandon": round_log.abandons,
        "opening": round_log.openings,
    }
    return {
        auditor: [name for name, table in tables.items() if auditor in table]
        for auditor in round_log.terms.auditors
    }
