"""Write a released round's results as files: release.json, indicators, two csv files a table.

Everything is computed by ``results`` from the logged release and plan, so an auditor gets the
same bytes. Numbers are unrounded and may be negative; ``shown`` is what people may be shown.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from coordinator.durable import DurableHook, ignore_step, write_file
from coordinator.errors import NotReleasedError, WithdrawnError
from coordinator.log_book import LogBook
from coordinator.plan_view import published_plan
from crypto.canonical import parse_json
from plan.errors import phrase
from results import files


def result_files(book: LogBook, round_id: bytes, *, with_withdrawn: bool = False) -> dict[str, bytes]:
    """Compute a round's result files: relative path → content.

    Args:
        book: the log.
        round_id: the round.
        with_withdrawn: also of a withdrawn release; its files then say so.

    Raises:
        NotReleasedError: the round is not released, or it was released as corrupt.
        WithdrawnError: the release was withdrawn, and that was not asked for.
    """
    with book.reading() as view:
        round_log = view.round(round_id)
    logged = round_log.release
    if logged is None or logged.statement.status != "ok":
        short = round_id.hex()[:16]
        if logged is None:
            raise NotReleasedError(phrase("round %(round_id)s…: not released yet", round_id=short))
        raise NotReleasedError(
            phrase("round %(round_id)s…: released as corrupt, without numbers", round_id=short)
        )
    if round_log.changes.is_withdrawn and not with_withdrawn:
        reason = next(
            row.statement.reason
            for row in round_log.changes.corrections
            if row.statement.status == "withdrawn"
        )
        raise WithdrawnError(
            phrase(
                "round %(round_id)s…: its release was withdrawn (%(reason)s) and must not be used",
                round_id=round_id.hex()[:16],
                reason=reason,
            )
        )
    plan = published_plan(round_log)
    body: Any = parse_json(logged.body)
    head = files.head_of(
        round_log.terms,
        logged.statement,
        round_id,
        logged.digest,
        len(round_log.roster.nodes),
        round_log.changes.corrections_as_values(),
    )
    return files.result_files(head, plan.document, body["tables"])


def export_results(
    book: LogBook,
    round_id: bytes,
    folder: Path,
    durable: DurableHook = ignore_step,
    *,
    with_withdrawn: bool = False,
) -> tuple[Path, ...]:
    """Write a round's result files into a folder; return their paths. Errors as `result_files`."""
    written = []
    for name, data in result_files(book, round_id, with_withdrawn=with_withdrawn).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, data, durable)
        written.append(path)
    return tuple(written)
