"""Delete what has served: boxes and unused vectors when a round is over, the rest when its audit is.

| what | deleted |
| --- | --- |
| sealed boxes | with the release, or when the round has ended without one |
| vectors outside of S (superseded, excluded; all if there is no release) | when the round is over |
| vectors of S and the auditors' mask sums | ``keep_vectors_days`` after the release |

The log keeps its digests of all of them. What was deleted is noted in ``deletions``, once for each round and
kind, so doing it again does nothing. Spec: docs/protocol.md "What is published".
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from coordinator import schema
from coordinator.config import Config
from coordinator.log_book import LogBook, View
from coordinator.release import delete_boxes, has_boxes
from coordinator.round import Finished
from coordinator.store import insert_once
from coordinator.structured_log import fields
from coordinator.surroundings import action_of
from protos.round_log import RoundLog

BOXES, UNUSED, VECTORS, SUMS = "boxes", "unused-vectors", "vectors", "sums"
CHUNK = 500
_LOGGER = logging.getLogger("fedscreen." + __name__)


@dataclass(frozen=True, slots=True)
class Deleted:
    """What was deleted of one round, or would be."""

    round_id: bytes
    what: str
    num_rows: int


def prune(book: LogBook, config: Config, *, is_rehearsal: bool = False) -> tuple[Deleted, ...]:
    """Delete everything whose time is over; return what.

    Args:
        book: the log and the database.
        config: says how long vectors are kept.
        is_rehearsal: only say what would be deleted.
    """
    with book.reading() as view:
        due = tuple(_due(view, config))
    if is_rehearsal or not due:
        return due
    with book.writing("prune") as view:
        due = tuple(_due(view, config))
        for row in due:
            _delete(view, row)
            _LOGGER.info("deleted", extra=fields(round=row.round_id.hex()[:16], table=row.what))
    if any(row.num_rows for row in due):
        book.store.empty_wal()
    return due


def is_deleted(view: View, round_id: bytes, what: str) -> bool:
    """Tell whether a kind was deleted of a round."""
    table = schema.deletions
    query = sa.select(table.c.what).where(table.c.round == round_id, table.c.what == what)
    return view.connection.execute(query).first() is not None


def _due(view: View, config: Config) -> Iterator[Deleted]:
    if not view.has_genesis:
        return
    for round_log in view.ledger.rounds.values():
        for what in _over_kinds(view, config, round_log):
            if what == BOXES or not is_deleted(view, round_log.round_id, what):
                yield Deleted(round_log.round_id, what, _count(view, round_log, what))


def _over_kinds(view: View, config: Config, round_log: RoundLog) -> Iterator[str]:
    if not isinstance(action_of(view, config, round_log), Finished):
        return
    yield UNUSED
    if has_boxes(view, round_log.round_id):
        yield BOXES
    release = round_log.release
    kept = timedelta(days=config.keep_vectors_days)
    if release is not None and view.now >= view.logged_at(release.index) + kept:
        yield VECTORS
        yield SUMS


def _set_digests(round_log: RoundLog) -> set[bytes]:
    """Digests of the vectors that the released sum was made of; none without a release."""
    body = round_log.close_body()
    if body is None or round_log.release is None:
        return set()
    return {round_log.reports.contents_of((name.node, name.attempt)).vector for name in body.set}


def _digests(view: View, round_log: RoundLog, what: str) -> set[bytes]:
    """Digests of the vectors of a kind that no other round needs."""
    mine = {round_log.reports.contents_of(slot).vector for slot in round_log.reports}
    kept = _set_digests(round_log)
    chosen = kept if what == VECTORS else mine - kept
    return chosen - _needed_elsewhere(view, round_log)


def _needed_elsewhere(view: View, round_log: RoundLog) -> set[bytes]:
    """Digests in other rounds. Equal vectors of two rounds happen only to a node that does wrong."""
    found: set[bytes] = set()
    for other in view.ledger.rounds.values():
        if other.round_id != round_log.round_id:
            found |= {other.reports.contents_of(slot).vector for slot in other.reports}
    return found


def _count(view: View, round_log: RoundLog, what: str) -> int:
    boxes, sums = schema.boxes, schema.sums
    if what in (UNUSED, VECTORS):
        stored = set(view.connection.execute(sa.select(schema.vectors.c.digest)).scalars())
        return len(_digests(view, round_log, what) & stored)
    table = boxes if what == BOXES else sums
    query = sa.select(sa.func.count()).select_from(table).where(table.c.round == round_log.round_id)
    return int(view.connection.execute(query).scalar_one())


def _delete(view: View, row: Deleted) -> None:
    round_log = view.round(row.round_id)
    if row.what in (UNUSED, VECTORS):
        _delete_vectors(view, _digests(view, round_log, row.what))
    elif row.what == BOXES:
        delete_boxes(view, row.round_id)
    else:
        view.connection.execute(sa.delete(schema.sums).where(schema.sums.c.round == row.round_id))
    note = {"round": row.round_id, "what": row.what, "num_rows": row.num_rows}
    note["deleted_ms"] = round(view.now.timestamp() * 1000)
    insert_once(view.connection, schema.deletions, note)


def _delete_vectors(view: View, digests: Collection[bytes]) -> None:
    names = sorted(digests)
    for first in range(0, len(names), CHUNK):
        chosen = names[first : first + CHUNK]
        view.connection.execute(sa.delete(schema.vectors).where(schema.vectors.c.digest.in_(chosen)))
