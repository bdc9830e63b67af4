"""Hold the database against the log: what was signed, what was published, what others have kept of it.

1. A database that lacks entries which were signed or published was put back to an earlier state. Going on
   from it would fork the log, so every other command refuses it (``LogRolledBackError``).
2. `mend` appends the missing entries from copies of the log, each checked as on the first day, and signs
   nothing. It ends well only if the database then has everything that is known to be signed.
3. The log has no vectors, no boxes and no mask sums. Which of them are missing is said by school and
   auditor: a school's node sends the same report again and they are stored again (``coordinator.receive``).
4. Two copies that disagree, or a copy and the database: nothing is mended; somebody has signed two logs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from coordinator import schema
from coordinator.errors import FileError, LogRolledBackError, StoreError
from coordinator.high_water import Head, HighWater
from coordinator.home import Home
from coordinator.log_book import CARD, LogBook, View
from coordinator.log_copy import LogCopy, read_copy
from coordinator.prepared import POSTGRESQL
from coordinator.publish_log import published_checkpoint
from coordinator.revisions import read_revision
from coordinator.store import Store, read_meta
from plan.errors import Phrase, phrase
from protos.card import FederationCard, parse_card
from protos.round_log import RoundLog, RoundState

PAGE_ROWS = 256
_OVER = (RoundState.RELEASED, RoundState.ABORTED)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong; `code` is a stable word, `ids` the schools or auditors that it speaks of."""

    code: str
    text: Phrase
    ids: tuple[str, ...] = ()
    round_id: bytes = b""


@dataclass(slots=True)
class Checked:
    """What a check has seen.

    Attributes:
        size: entries that the database has.
        signed: entries that were signed here, by the folder's own record.
        copies: entries of each copy that was read, by its place.
        findings: empty if all is well.
    """

    size: int = 0
    signed: int = 0
    copies: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def codes(self) -> tuple[str, ...]:
        """The findings' codes, each once."""
        return tuple(dict.fromkeys(row.code for row in self.findings))


def check_store(home: Home, store: Store, book: LogBook, places: Sequence[Path]) -> Checked:
    """Compare a database with what was signed and with copies of the log; nothing is changed.

    Args:
        home: the folder.
        store: its database, opened with ``check=False``.
        book: its log, without a high-water mark.
        places: copies of the log beside the folder's own published one.
    """
    found = Checked()
    with store.reading() as connection:
        if not _check_schema(connection, found):
            return found
    head = HighWater(home.head_path).read()
    copies = list(_copies(home, store, found, places))
    try:
        with book.reading() as view:
            _check_log(view, head, copies, found)
            if view.has_genesis:
                _check_contents(view, found)
                _check_enrolments(view, found)
    except StoreError as err:
        found.findings.append(Finding("log-damaged", err.phrase))
    return found


def _check_schema(connection: Connection, found: Checked) -> bool:
    revision = read_revision(connection)
    if revision != schema.REVISION:
        text = phrase(
            "schema: revision %(found)s, this program needs %(needed)s; run 'fedscreen coordinator "
            "store upgrade'",
            found=revision or "-",
            needed=schema.REVISION,
        )
        found.findings.append(Finding("schema", text))
        return False
    if connection.dialect.name == POSTGRESQL and connection.exec_driver_sql("SHOW fsync").scalar() == "off":
        text = phrase(
            "PostgreSQL runs with fsync off: a power cut can lose what was acknowledged; switch it on"
        )
        found.findings.append(Finding("fsync-off", text))
    return True


def _copies(home: Home, store: Store, found: Checked, places: Sequence[Path]) -> Iterator[LogCopy]:
    """Read the published folder, where there is one, and every copy that was named."""
    with store.reading() as connection:
        text = read_meta(connection, CARD) or ""
    own = [home.log_folder] if published_checkpoint(home.log_folder) is not None else []
    for place in (*own, *places):
        try:
            copy = read_copy(place, _card_of(text, place))
        except FileError as err:
            found.findings.append(Finding("copy-unreadable", err.phrase))
            continue
        found.copies[str(place)] = copy.ledger.size
        yield copy


def _card_of(text: str, place: Path) -> FederationCard:
    if not text:
        raise FileError(
            phrase(
                "%(place)s: this database is older than the federation's first roster; restore a newer one",
                place=place,
            )
        )
    return parse_card(text)


def _check_log(view: View, head: Head, copies: Sequence[LogCopy], found: Checked) -> None:
    ledger = view.ledger if view.has_genesis else None
    found.size, found.signed = (ledger.size if ledger else 0), head.size
    if head.size > found.size:
        found.findings.append(Finding("behind-signed", _behind("log.head", head.size, found.size)))
    elif ledger is not None and head.size and ledger.root(head.size) != head.root:
        found.findings.append(Finding("other-log", _other("log.head", head.size)))
    for copy in copies:
        common = min(copy.ledger.size, found.size)
        if ledger is not None and common and copy.ledger.root(common) != ledger.root(common):
            found.findings.append(Finding("other-log", _other(str(copy.place), common)))
        elif copy.ledger.size > found.size:
            found.findings.append(
                Finding("behind-copy", _behind(str(copy.place), copy.ledger.size, found.size))
            )


def _behind(place: str, size: int, stored: int) -> Phrase:
    return phrase(
        "%(place)s: the log has %(size)s entries, the database %(stored)s: it was put back to an earlier "
        "state",
        place=place,
        size=size,
        stored=stored,
    )


def _other(place: str, size: int) -> Phrase:
    return phrase(
        "%(place)s: the first %(size)s entries are not those of the database; two logs were signed, "
        "never go on",
        place=place,
        size=size,
    )


def _pairs(connection: Connection, query: sa.Select[Any]) -> Iterator[tuple[Any, Any]]:
    yield from connection.execute(query)


def _check_contents(view: View, found: Checked) -> None:
    connection = view.connection
    vectors = set(connection.execute(sa.select(schema.vectors.c.digest)).scalars())
    deleted = set(_pairs(connection, sa.select(schema.deletions.c.round, schema.deletions.c.what)))
    for round_log in view.ledger.rounds.values():
        _check_round(
            connection,
            round_log,
            vectors,
            {what for key, what in deleted if key == round_log.round_id},
            found,
        )
    found.findings += _damaged_vectors(connection)


def _check_round(
    connection: Connection, round_log: RoundLog, vectors: set[bytes], deleted: set[str], found: Checked
) -> None:
    """Look whether everything is stored that the round still needs, or its auditors may ask for."""
    slots = list(round_log.reports)
    close_body = round_log.close_body()
    if close_body is not None:
        slots = [(name.node, name.attempt) for name in close_body.set]
    needs_vectors = "vectors" not in deleted and not (close_body is None and round_log.state in _OVER)
    lost = [slot[0] for slot in slots if round_log.reports.contents_of(slot).vector not in vectors]
    if lost and needs_vectors:
        found.findings.append(
            Finding("vectors-missing", _lost(round_log, lost), tuple(lost), round_log.round_id)
        )
    if round_log.state not in _OVER and not round_log.openings:
        query = sa.select(schema.boxes.c.position).where(schema.boxes.c.round == round_log.round_id)
        stored = set(connection.execute(query).scalars())
        lost = [slot[0] for slot in slots if round_log.reports.position_of(slot) not in stored]
        if lost:
            found.findings.append(
                Finding("boxes-missing", _lost(round_log, lost), tuple(lost), round_log.round_id)
            )
    if "sums" not in deleted:
        _check_sums(connection, round_log, found)


def _lost(round_log: RoundLog, nodes: Sequence[str]) -> Phrase:
    return phrase(
        "round %(round)s: the log has the reports of %(nodes)s, the database lost what came with them; have "
        "these schools' nodes send the same reports again, or take their report files",
        round=round_log.round_id.hex()[:16],
        nodes=", ".join(sorted(set(nodes))[:20]),
    )


def _check_sums(connection: Connection, round_log: RoundLog, found: Checked) -> None:
    table = schema.sums
    query = sa.select(table.c.auditor, table.c.subset).where(table.c.round == round_log.round_id)
    stored = set(_pairs(connection, query))
    lost = tuple(
        auditor
        for auditor, logged in round_log.openings.items()
        if any((auditor, subset) not in stored for subset, _ in logged.statement.sums)
    )
    if lost:
        text = phrase(
            "round %(round)s: the log has the openings of %(auditors)s, the database lost their sums; have "
            "them send their openings again",
            round=round_log.round_id.hex()[:16],
            auditors=", ".join(lost),
        )
        found.findings.append(Finding("sums-missing", text, lost, round_log.round_id))


def _damaged_vectors(connection: Connection) -> list[Finding]:
    table = schema.vectors
    bad, last = 0, b""
    while rows := connection.execute(
        sa.select(table.c.digest, table.c.data)
        .where(table.c.digest > last)
        .order_by(table.c.digest)
        .limit(PAGE_ROWS)
    ).all():
        bad += sum(hashlib.sha256(row.data).digest() != row.digest for row in rows)
        last = rows[-1].digest
    text = phrase(
        "%(bad)s vectors are not what their digests say: the disk is damaged; restore a backup", bad=bad
    )
    return [Finding("vectors-damaged", text)] if bad else []


def _check_enrolments(view: View, found: Checked) -> None:
    table = schema.enrolments
    stored = set(_pairs(view.connection, sa.select(table.c.role, table.c.id)))
    body = view.ledger.roster.body
    wanted = [("node", row.id) for row in body.nodes] + [("auditor", row.id) for row in body.auditors]
    lost = tuple(party for role, party in wanted if (role, party) not in stored)
    if lost:
        text = phrase(
            "the roster in force has %(ids)s, the database has not: the next roster would leave them out; "
            "approve their request files again",
            ids=", ".join(lost[:20]),
        )
        found.findings.append(Finding("enrolments-missing", text, lost))


def mend(home: Home, store: Store, book: LogBook, places: Sequence[Path]) -> int:
    """Append what copies of the log have and the database lacks; return the number of entries appended.

    Raises:
        LogRolledBackError: copies disagree, or what was signed goes beyond all of them; nothing is changed.
        FileError: a copy that was named cannot be read.
    """
    found = Checked()
    copies = list(_copies(home, store, found, places))
    if any(row.code == "copy-unreadable" for row in found.findings):
        raise FileError("; ".join(str(row.text) for row in found.findings))
    head = HighWater(home.head_path).read()
    best = max(copies, key=lambda copy: copy.ledger.size, default=None)
    with book.writing("import log") as view:
        _check_log(view, head, copies, found)
        if "other-log" in found.codes:
            raise LogRolledBackError(
                "; ".join(str(row.text) for row in found.findings if row.code == "other-log")
            )
        _verify_reaches(best, head, found.size)
        if best is None or best.ledger.size <= found.size:
            return 0
        for entry, body in best.entries[found.size :]:
            view.append(entry, body)
        view.connection.execute(sa.update(schema.proposals).values(is_waiting=0))
    return best.ledger.size - found.size


def _verify_reaches(best: LogCopy | None, head: Head, stored: int) -> None:
    """Check that the database and the best copy have together what was signed.

    Raises:
        LogRolledBackError: they have not.
    """
    size = max(stored, best.ledger.size if best else 0)
    if head.size > size:
        raise LogRolledBackError(
            phrase(
                "%(signed)s entries were signed, the database and all copies have %(size)s; name a newer "
                "copy: an auditor's own, or a bundle. Without it this log ends here",
                signed=head.size,
                size=size,
            )
        )
    if best is not None and head.size > stored and best.ledger.root(head.size) != head.root:
        raise LogRolledBackError(_other(str(best.place), head.size))
