"""The result files of a released round, recomputed from the log; `verify` compares them byte for byte."""

from __future__ import annotations

from typing import Any

from auditor.errors import BundleError
from auditor.plan_view import view_plan
from crypto.canonical import parse_json
from plan.errors import phrase
from protos.ledger import RoundLog
from results import files


def result_files(round_log: RoundLog) -> dict[str, bytes]:
    """Compute a round's result files: relative path → content.

    Raises:
        BundleError: the round is not released with a sum.
        RefusalError, ResultsError, BodyError: plan and release do not fit together.
    """
    logged = round_log.release
    if logged is None or logged.statement.status != "ok":
        raise BundleError(
            phrase("round %(round_id)s is not released with a sum", round_id=round_log.round_id.hex()[:16])
        )
    view = view_plan(round_log.terms, round_log.plan.body)
    body: Any = parse_json(logged.body)
    head = files.head_of(
        round_log.terms,
        logged.statement,
        round_log.round_id,
        logged.digest,
        len(round_log.roster.nodes),
        round_log.changes.corrections_as_values(),
    )
    return files.result_files(head, view.document, body["tables"])
