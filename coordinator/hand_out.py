"""Give auditors what is theirs, and only at its time.

| what | to whom | when |
| --- | --- | --- |
| boxes | the auditor that they are sealed to | until the round is over; then they are deleted |
| masked vectors of S | an auditor of the round | after its own opening is logged: its keys are gone |
| mask sums | any auditor | after the release |

With the vectors public, t states leaked later would open single schools; see docs/protocol.md
"What is published". Rows are read one at a time, so memory does not grow with the round.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from coordinator import schema
from coordinator.combine import read_vector
from coordinator.errors import BoxesDeletedError, NotOpenedError, NotReleasedError, NotRosteredError
from coordinator.log_book import LogBook, View
from plan.errors import phrase
from protos.bodies import ReportName
from protos.round_log import RoundLog, RoundState

_ENDED = (RoundState.RELEASED, RoundState.ABORTED)


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
        rows = sorted((row.index, row.digest) for row in round_log.reports.values())
    return _stream_boxes(book, auditor_id, round_id, rows)


def _stream_boxes(
    book: LogBook, auditor_id: str, round_id: bytes, rows: list[tuple[int, bytes]]
) -> Iterator[tuple[bytes, bytes]]:
    table = schema.boxes
    for position, report_digest in rows:
        with book.reading() as view:
            query = sa.select(table.c.box).where(
                table.c.round == round_id, table.c.position == position, table.c.auditor == auditor_id
            )
            box = view.connection.execute(query).scalar()
        if box is None:
            raise BoxesDeletedError(phrase("this round is over and its boxes are deleted"))
        yield report_digest, bytes(box)


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
    return _stream_vectors(book, round_id, close_body.set)


def _stream_vectors(
    book: LogBook, round_id: bytes, names: tuple[ReportName, ...]
) -> Iterator[tuple[bytes, bytes]]:
    for name in names:
        with book.reading() as view:
            vector = read_vector(view.connection, round_id, name)
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
        with book.reading() as view:
            query = sa.select(table.c.data).where(
                table.c.round == round_id, table.c.auditor == auditor, table.c.subset == subset
            )
            data = view.connection.execute(query).scalar_one()
        yield auditor, subset, bytes(data)


def _check_auditor(view: View, round_log: RoundLog, auditor_id: str) -> None:
    if auditor_id not in round_log.terms.auditors or auditor_id in view.ledger.revoked_auditors:
        raise NotRosteredError(
            phrase("%(auditor_id)s: no auditor of this round, or revoked", auditor_id=auditor_id)
        )
