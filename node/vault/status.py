"""What this node knows: rounds, reports, receipts, the account, the log, the clock. Changes nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from node.vault.backup import lost_reports
from node.vault.decision import describe, is_signed
from node.vault.enrol import load_floors
from node.vault.errors import RoundRefusedError
from node.vault.parts import Parts
from node.vault.receipt import cosigned_proof, immediate_receipt
from node.vault.records import RecordSet, list_sets
from node.vault.recovery import safety_values
from node.vault.reports import StoredReport, find_logged, reports_of, state_of
from node.vault.undo_import import undoable
from privacy.year_account import school_year_of
from protos.card import fingerprint
from protos.ledger import RoundLog


def node_status(parts: Parts, card_text: str, *, is_held: bool) -> dict[str, Any]:
    """Put the whole status together, as JSON values."""
    identity, now = parts.identity, parts.clock.now()
    return {
        "node": identity.node,
        "federation": identity.federation,
        "operator": identity.operator,
        "kind": parts.card.kind,
        "fingerprint": fingerprint(card_text),
        "confinement": parts.level,
        "software": parts.software.hex(),
        "clock": now.isoformat(),
        "held": int(is_held),
        "floors": load_floors(parts.store).as_json(),
        "log": _log(parts, now),
        "account": account_status(parts, now),
        "records": [record_set_values(row) for row in list_sets(parts.store)],
        "undoable": undoable(parts.store),
        "safety": safety_values(parts.store),
        "rounds": list_rounds(parts),
    }


def list_rounds(parts: Parts) -> list[dict[str, Any]]:
    """List every round of the log, newest first, with this node's own report."""
    rounds = reversed(list(parts.mirror.ledger.rounds.values()))
    return [_round(parts, round_log) for round_log in rounds]


def account_status(parts: Parts, now: datetime) -> list[dict[str, Any]]:
    """Give the account of this school year and of every year that has a charge."""
    cap = load_floors(parts.store).rho_year
    current = parts.account.read(school_year_of(now.date()), cap, parts.mirror)
    years = {current.school_year, *(row.school_year for row in (*current.local, *current.logged))}
    accounts = [parts.account.read(year, cap, parts.mirror) for year in sorted(years, reverse=True)]
    return [
        {
            "school_year": account.school_year,
            "spent": str(account.spent),
            "cap": str(account.cap),
            "rounds": sorted(
                {row.round_id.hex() for row in (*account.local, *account.logged)}
                - {round_id.hex() for round_id in account.refunded}
            ),
        }
        for account in accounts
    ]


def record_set_values(row: RecordSet) -> dict[str, Any]:
    """Give one set of records as JSON values; for the school's own eyes."""
    return {
        "school_year": row.school_year,
        "wave": row.wave,
        "census_date": row.census_date.isoformat(),
        "num_records": row.num_records,
        "digest": row.digest.hex(),
        "imported": row.import_time,
        "changed": row.imported,
        "provenance": row.provenance,
    }


def _log(parts: Parts, now: datetime) -> dict[str, Any]:
    trusted = parts.mirror.trusted
    return {
        "size": parts.mirror.ledger.size,
        "trusted_size": parts.mirror.trusted_size,
        "trusted_time": trusted.time.isoformat() if trusted else "",
        "age_s": int((now - trusted.time).total_seconds()) if trusted else -1,
        "split": int(parts.mirror.is_split),
    }


def _round(parts: Parts, round_log: RoundLog) -> dict[str, Any]:
    terms = round_log.terms
    try:
        published = parts.published.read(round_log)
        document = published.document
        content = {
            "title": document.title,
            "school_year": document.school_year,
            "wave": document.wave,
            "census_date": document.census_date.isoformat(),
            "rho": str(published.rho),
        }
    except RoundRefusedError as err:
        content = {
            "title": "",
            "school_year": "",
            "wave": "",
            "census_date": "",
            "rho": "",
            "error": err.code,
        }
    attempts = _attempts(parts, round_log)
    return {
        "round": round_log.round_id.hex(),
        "serial": terms.serial,
        **content,
        "state": round_log.state.value,
        "is_cosigned": int(round_log.plan.index < parts.mirror.trusted_size),
        "opens": terms.opens.isoformat(),
        "closes": round_log.closes.isoformat(),
        "cells": terms.cells,
        "auditors": list(terms.auditors),
        "approved": [name for name in terms.auditors if name in round_log.approvals],
        "threshold": terms.threshold,
        "min_reports": terms.min_reports,
        "is_member": int(round_log.roster.node(parts.identity.node) is not None),
        "report": attempts[-1] if attempts else {"state": "none"},
        "attempts": attempts,
        "decision": describe(parts.store, round_log.round_id),
    }


def _attempts(parts: Parts, round_log: RoundLog) -> list[dict[str, Any]]:
    """Give this node's reports of a round by attempt: those stored here, and those that only the log has."""
    nothing = {"state": "lost", "released": "", "released_by": "", "receipts": []}
    lost = lost_reports(parts.store, round_log, parts.identity.node)
    stored = [report_values(parts, row) for row in reports_of(parts.store, round_log.round_id)]
    return sorted([*({**nothing, **row} for row in lost), *stored], key=lambda row: int(row["attempt"]))


def report_values(parts: Parts, report: StoredReport) -> dict[str, Any]:
    """Give one report as JSON values: where it stands, and which receipts are there."""
    node = parts.identity.node
    logged = find_logged(parts.mirror, report, node)
    receipts = []
    if immediate_receipt(parts.store, report) is not None:
        receipts.append("immediate")
    if cosigned_proof(parts.mirror, report, node) is not None:
        receipts.append("cosigned")
    return {
        "state": state_of(parts.mirror, report, node).value,
        "attempt": report.attempt,
        "digest": report.digest.hex(),
        "index": logged.index if logged else -1,
        "released": report.released,
        "released_by": report.released_by,
        "is_signed": int(is_signed(parts.store, report)),
        "receipts": receipts,
    }
