"""Log the release of a round and delete what nobody needs any more; write the results as files.

A release says which close, which agreements and openings it rests on, the fewest replicas of any
subset, and the opened noisy sums. A corrupt round is released without any number. The sealed
boxes are deleted in the same transaction as the release is logged.
"""

from __future__ import annotations

import sqlalchemy as sa

from coordinator import schema
from coordinator.combine import Combined
from coordinator.errors import RoundNotOpenError
from coordinator.home import Home
from coordinator.log_book import View, sign_entry
from plan.errors import phrase
from plan.layout import Layout
from protos.bodies import TableSums, encode_release_body
from protos.round_log import RoundLog, fewest_replicas
from protos.statements import Release, body_ref, encode_statement


def log_release(
    view: View, home: Home, round_log: RoundLog, layout: Layout, combined: Combined, openers: tuple[str, ...]
) -> None:
    """Log the release of a combined round and delete its boxes.

    Raises:
        StatementRefusedError: the log's rules refuse it.
    """
    close, close_body = round_log.close, round_log.close_body()
    if close is None or close_body is None:
        raise RoundNotOpenError(phrase("this round is not closed"))
    tier = close.statement.tier
    body = encode_release_body(() if combined.outside else _tables(layout, combined, tier))
    statement = Release(
        federation=round_log.terms.federation,
        round=round_log.round_id,
        close=close.digest,
        status="corrupt" if combined.outside else "ok",
        replicas=fewest_replicas(round_log, openers),
        reports_in=close.statement.reports,
        reports_out=len(close_body.excluded),
        rho=round_log.terms.rho,
        agreements=tuple(
            (name, round_log.agreements[name].digest)
            for name in round_log.terms.auditors
            if name in round_log.agreements
        ),
        openings=tuple((name, round_log.openings[name].digest) for name in openers),
        body=body_ref(body),
    )
    view.append(sign_entry(encode_statement(statement), home.signer(round_log.roster.coordinator)), body)
    delete_boxes(view, round_log.round_id)


def _tables(layout: Layout, combined: Combined, tier: int) -> tuple[TableSums, ...]:
    return tuple(
        TableSums(
            table=table.id,
            scale=table.noise.scale,
            s2=table.noise.left_at(tier),
            sums=tuple(int(value) for value in combined.values[table.offset : table.offset + table.cells]),
        )
        for table in layout.tables
    )


def delete_boxes(view: View, round_id: bytes) -> None:
    """Delete a round's sealed boxes; the caller empties the WAL after the commit."""
    view.connection.execute(sa.delete(schema.boxes).where(schema.boxes.c.round == round_id))


def has_boxes(view: View, round_id: bytes) -> bool:
    """Return whether sealed boxes of a round are still stored."""
    query = sa.select(schema.boxes.c.round).where(schema.boxes.c.round == round_id).limit(1)
    return view.connection.execute(query).first() is not None
