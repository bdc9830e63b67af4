"""Give auditors what is theirs, and only at its time.

| what | to whom | when |
| --- | --- | --- |
| boxes | the auditor that they are sealed to | until the round is over; then they are deleted |
| masked vectors of S | an auditor of the round | after its own opening is logged: its keys are gone |
| mask sums | any auditor | after the release |

With the vectors public, t states leaked later would open single schools; see docs/protocol.md
"What is published". Rows are read a page at a time, so memory does not grow with the round.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from coordinator import schema
from coordinator.combine import read_vector
from coordinator.errors import (
    BoxesDeletedError,
    NotOpenedError,
    NotReleasedError,
    NotRosteredError,
    VectorsDeletedError,
)
from coordinator.log_book import LogBook, View
from coordinator.retention import SUMS, VECTORS, is_deleted
from plan.errors import phrase
from protos.bodies import ReportName
from protos.ledger import Ledger
from protos.round_log import RoundLog, RoundState

PAGE_ROWS = 64
_ENDED = (RoundState.RELEASED, RoundState.ABORTED)
_TABLE = schema.boxes
_BOXES = (
    sa.select(_TABLE.c.position, sa.func.substr(_TABLE.c.boxes, sa.bindparam("first"), sa.bindparam("size")))
    .where(_TABLE.c.round == sa.bindparam("round"), _TABLE.c.position > sa.bindparam("last"))
    .order_by(_TABLE.c.position)
    .limit(sa.bindparam("page"))
)


def boxes_of(book: LogBook, auditor_id: str, round_id: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Stream (report digest, box) of one auditor's boxes of a round, in log order.

    Raises:
        NotRosteredError: the caller is no auditor of this round, or revoked.
        BoxesDeletedError: the round is over.
    """
    with book.reading() as view:
        round_log = view.round(round_id)
        _check_auditor(view, round_log, auditor_id)
        if round_log.state in _ENDED:
            raise BoxesDeletedError(phrase("this round is over and its boxes are deleted"))
        place = round_log.terms.auditors.index(auditor_id)
        part = {"first": place * round_log.box_bytes + 1, "size": round_log.box_bytes}
        ledger, num_boxes = view.ledger, len(round_log.reports)
    return _stream_boxes(book, ledger, round_id, part, num_boxes)


def _stream_boxes(
    book: LogBook, ledger: Ledger, round_id: bytes, part: dict[str, int], num_boxes: int
) -> Iterator[tuple[bytes, bytes]]:
    last = -1
    while num_boxes > 0:
        at = {"round": round_id, "last": last, "page": min(PAGE_ROWS, num_boxes), **part}
        with book.store.reading() as connection:
            rows = connection.execute(_BOXES, at).all()
        if not rows:
            raise BoxesDeletedError(phrase("this round is over and its boxes are deleted"))
        for position, box in rows:
            yield ledger.digest_at(position), bytes(box)
        last, num_boxes = rows[-1][0], num_boxes - len(rows)


def vectors_of(book: LogBook, auditor_id: str, round_id: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Stream (report digest, masked vector) of the closed set.

    Raises:
        NotRosteredError: the caller is no auditor of this round, or revoked.
        NotOpenedError: the caller's opening is not in the log.
    """
    with book.reading() as view:
        round_log = view.round(round_id)
        _check_auditor(view, round_log, auditor_id)
        close_body = round_log.close_body()
        if auditor_id not in round_log.openings or close_body is None:
            raise NotOpenedError(
                phrase("%(auditor_id)s: log your opening first; its keys must be gone", auditor_id=auditor_id)
            )
        _check_kept(view, round_id, VECTORS)
    return _stream_vectors(book, round_log, close_body.set)


def _stream_vectors(
    book: LogBook, round_log: RoundLog, names: tuple[ReportName, ...]
) -> Iterator[tuple[bytes, bytes]]:
    for name in names:
        with book.store.reading() as connection:
            vector = read_vector(connection, round_log, name)
        yield name.digest, vector


def sums_of(book: LogBook, round_id: bytes) -> Iterator[tuple[str, int, bytes]]:
    """Stream (auditor, subset, mask sum) of every opening of a released round, in plan order.

    Raises:
        NotReleasedError: there is no release yet.
    """
    with book.reading() as view:
        round_log = view.round(round_id)
        if round_log.release is None:
            raise NotReleasedError(phrase("this round is not released yet"))
        _check_kept(view, round_id, SUMS)
        keys = [
            (auditor, subset)
            for auditor in round_log.terms.auditors
            if auditor in round_log.openings
            for subset, _ in round_log.openings[auditor].statement.sums
        ]
    return _stream_sums(book, round_id, keys)


def _stream_sums(
    book: LogBook, round_id: bytes, keys: list[tuple[str, int]]
) -> Iterator[tuple[str, int, bytes]]:
    table = schema.sums
    for auditor, subset in keys:
        with book.store.reading() as connection:
            query = sa.select(table.c.data).where(
                table.c.round == round_id, table.c.auditor == auditor, table.c.subset == subset
            )
            data = connection.execute(query).scalar_one()
        yield auditor, subset, bytes(data)


def _check_kept(view: View, round_id: bytes, what: str) -> None:
    if is_deleted(view, round_id, what):
        raise VectorsDeletedError(
            phrase("the time for keeping this round's vectors and mask sums is over; they are deleted")
        )


def _check_auditor(view: View, round_log: RoundLog, auditor_id: str) -> None:
    if auditor_id not in round_log.terms.auditors or auditor_id in view.ledger.revoked_auditors:
        raise NotRosteredError(
            phrase("%(auditor_id)s: no auditor of this round, or revoked", auditor_id=auditor_id)
        )
