"""Check the replays that auditors have logged: whose, of which report, and how they came out.

A replay is made on site long after the round, by an auditor of the roster that is in force then. What it
found is for people to judge, so an outcome of FAIL is told here and fails no check: it says that a school's
computer did not make the report that it sent, not that this bundle is false.
"""

from __future__ import annotations

from collections import Counter

from auditor.verify.log import BundleLog
from auditor.verify.outcome import CheckFailed
from plan.errors import Phrase, phrase
from protos.ledger import Ledger
from protos.report_table import Logged
from protos.statements import Replayed

_FAIL = "FAIL"


def check_replays(log: BundleLog) -> Phrase:
    """Check every `replayed` of the log, derived from the list of statements alone."""
    if log.stopped_at is not None and isinstance(log.statements[log.stopped_at], Replayed):
        raise CheckFailed(
            phrase(
                "entry %(stopped_at)s: %(stopped_by)s", stopped_at=log.stopped_at, stopped_by=log.stopped_by
            )
        )
    ledger = log.whole_ledger()
    said = [row for row in log.statements if isinstance(row, Replayed)]
    if [row.statement for row in ledger.replays] != said:
        raise CheckFailed(phrase("the replays are not those that stand in the log"))
    for logged in ledger.replays:
        _check_replay(ledger, logged)
    outcomes = Counter(row.outcome for row in said)
    what = phrase(
        "%(number)s replays, %(num_failed)s of them failed", number=len(said), num_failed=outcomes[_FAIL]
    )
    for row in said:
        if row.outcome == _FAIL:
            what = phrase(
                "%(what)s; %(auditor)s at %(node)s: FAIL", what=what, auditor=row.auditor, node=row.node
            )
    return what


def _check_replay(ledger: Ledger, logged: Logged[Replayed]) -> None:
    said = logged.statement
    report = ledger.rounds[said.round].report_by_digest(said.report)
    if report is None or report.statement.node != said.node or report.index > logged.index:
        raise CheckFailed(
            phrase("entry %(index)s: a replay of no report of %(node)s", index=logged.index, node=said.node)
        )
    in_force = ledger.roster_at(logged.index).body.auditor(said.auditor)
    if in_force is None or ledger.revoked_auditors.get(said.auditor, logged.index) < logged.index:
        raise CheckFailed(
            phrase(
                "entry %(index)s: %(auditor)s was no auditor then", index=logged.index, auditor=said.auditor
            )
        )
