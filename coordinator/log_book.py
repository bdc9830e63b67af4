"""The log as this coordinator holds it: rows in the database, a ledger in memory, checkpoints.

Rules:
1. The database is the log. The ledger in memory is a reading of it and catches up before every
   use, so a command and the server may work on the same database at once.
2. An entry is appended in one write transaction together with everything that comes with it
   (vector, boxes, sums); the ledger checks it first, under the database's write lock.
3. A checkpoint is a function of the tree's size: Ed25519 is deterministic, so the same size
   never gets two different signatures, and there is only one tree of that size. The log key of the
   roster in force at that size signs it, and after it those before that are not retired yet.
4. A transaction that fails after an append throws the ledger away; it is read again.
5. No view is given that lacks what this folder has signed (``coordinator.high_water``), whatever has become
   of the database meanwhile; and nothing is signed before that is written down.

Standard names: c2sp.org/tlog-checkpoint, tlog-cosignature, tlog-proof. Spec: docs/log.md.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from coordinator import schema
from coordinator.errors import (
    LogRolledBackError,
    NoGenesisError,
    StatementRefusedError,
    StoreError,
    UnknownRoundError,
)
from coordinator.high_water import Head, HighWater
from coordinator.prepared import Prepared, insert_row
from coordinator.store import Store, read_meta
from crypto.checkpoint import Checkpoint, encode_checkpoint
from crypto.note import SigningKey, encode_signed
from crypto.tlog_proof import write_proof
from plan.errors import phrase
from protos.card import parse_card
from protos.entry import Entry
from protos.errors import LedgerError, ProtocolError
from protos.ledger import Ledger
from protos.round_log import RoundLog

CARD = "card"
LogKeys = Callable[[], Sequence[SigningKey]]
# written out: they run for every report, and composing a statement costs more than running it
_TABLE = schema.entries
_AT = _TABLE.c.position == sa.bindparam("at", type_=sa.Integer)
_NEWEST = sa.select(sa.func.max(_TABLE.c.position)).scalar_subquery()
_LAST = Prepared(sa.select(_TABLE.c.position, _TABLE.c.root).where(_TABLE.c.position == _NEWEST))
_ROOT = Prepared(sa.select(_TABLE.c.root).where(_AT))
_ENTRY = Prepared(sa.select(_TABLE.c.entry).where(_AT))
_BODY = Prepared(sa.select(_TABLE.c.body).where(_AT))
_INSERT = insert_row(_TABLE)


@dataclass(slots=True)
class View:
    """The log and the database as one transaction sees them."""

    connection: Connection
    now: datetime
    _ledger: Ledger | None
    is_changed: bool = False

    @property
    def has_genesis(self) -> bool:
        """Whether the log has its first entry."""
        return self._ledger is not None

    @property
    def ledger(self) -> Ledger:
        """The log read so far.

        Raises:
            NoGenesisError: the log is empty.
        """
        if self._ledger is None:
            raise NoGenesisError(phrase("the log is empty; propose a roster and have its auditors sign it"))
        return self._ledger

    def round(self, round_id: bytes) -> RoundLog:
        """Find a round.

        Raises:
            UnknownRoundError: the log has no such plan.
        """
        round_log = self.ledger.rounds.get(round_id)
        if round_log is None:
            raise UnknownRoundError(
                phrase("round %(round_id)s…: no such plan in the log", round_id=round_id.hex()[:16])
            )
        return round_log

    def insert(self, row: Prepared, *values: object) -> None:
        """Insert one row by a statement of ``prepared.insert_row``."""
        row.run(self.connection, *values)

    def append(self, entry: bytes | Entry, body: bytes) -> int:
        """Check an entry and add it to the log within this write transaction; return its position.

        Raises:
            StatementRefusedError: it is not a valid next entry.
        """
        position = self.ledger.size
        try:
            self.ledger.append(entry, body)
        except LedgerError as err:
            raise StatementRefusedError(
                phrase("the log refuses this statement: %(reason)s", reason=err), err.code
            ) from err
        self.is_changed = True
        data = entry.data if isinstance(entry, Entry) else entry
        logged_ms = round(self.now.timestamp() * 1000)
        self.insert(_INSERT, position, logged_ms, self.ledger.root(), data, body)
        return position

    def begin(self, ledger: Ledger) -> None:
        """Start an empty log (before the genesis roster is appended)."""
        self._ledger = ledger
        self.is_changed = True

    def logged_at(self, position: int) -> datetime:
        """Tell when an entry was appended, by this coordinator's clock (UTC)."""
        query = sa.select(schema.entries.c.logged_ms).where(schema.entries.c.position == position)
        return datetime.fromtimestamp(self.connection.execute(query).scalar_one() / 1000, UTC)

    def entries(self, start: int, stop: int) -> Iterator[tuple[bytes, bytes]]:
        """Read (entry, body) pairs of positions start <= position < stop, one row at a time."""
        table = schema.entries
        query = sa.select(table.c.entry, table.c.body).order_by(table.c.position)
        rows = self.connection.execute(query.where(table.c.position >= start, table.c.position < stop))
        for row in rows:
            yield row.entry, row.body


class LogBook:
    """The log of one federation, shared by all threads of a process."""

    def __init__(
        self,
        store: Store,
        log_keys: LogKeys | SigningKey,
        now: Callable[[], datetime],
        head: HighWater | None = None,
    ) -> None:
        """Work on an open store.

        Args:
            store: the database.
            log_keys: gives the log keys that are held, oldest first; or the only one.
            now: the clock, UTC.
            head: how far this coordinator has signed; None where nothing that is signed leaves.
        """
        self.store = store
        self._head = head
        self._verified = Head(0, b"")  # what `_ledger` is known to contain
        self._log_keys: LogKeys = (lambda: (log_keys,)) if isinstance(log_keys, SigningKey) else log_keys
        self._now = now
        self._lock = threading.RLock()
        self._ledger: Ledger | None = None
        self._transaction: Connection | None = None  # the lock holder's; it alone sees what is not committed

    @contextmanager
    def reading(self) -> Iterator[View]:
        """See the log as it is now."""
        with self._lock:
            signed = self._signed()  # before the view begins: another process may sign further at any moment
            with self.store.reading() as connection, self._using(connection):
                yield View(connection, self._now(), self._catch_up(connection, signed))

    @contextmanager
    def writing(self, step: str) -> Iterator[View]:
        """Change the log and the database in one transaction that commits whole or not at all.

        Args:
            step: a name for the durable hook.
        """
        with self._lock:
            view: View | None = None
            is_done = False
            signed = self._signed()
            try:
                with self.store.writing(step) as connection, self._using(connection):
                    view = View(connection, self._now(), self._catch_up(connection, signed))
                    yield view
                is_done = True
            finally:
                if view is not None and view.is_changed:
                    self._keep(view.ledger if is_done else None)

    @contextmanager
    def _using(self, connection: Connection) -> Iterator[None]:
        """Let the ledger read entries of this transaction; the caller holds the lock."""
        outer, self._transaction = self._transaction, connection
        try:
            yield
        finally:
            self._transaction = outer

    def round_terms(self, round_id: bytes) -> RoundLog:
        """Find a round for what never changes in it: its plan and roster. No lock, and usually no look-up.

        Raises:
            UnknownRoundError: the log has no such plan.
        """
        ledger = self._ledger
        known = ledger.rounds.get(round_id) if ledger is not None else None
        if known is not None:
            return known
        with self.reading() as view:
            return view.round(round_id)

    def checkpoint_text(self, ledger: Ledger, size: int) -> str:
        """Write the checkpoint of a size: what the log key signs and witnesses cosign."""
        return encode_checkpoint(Checkpoint(ledger.card.log.name, size, ledger.root(size)))

    def checkpoint(self, ledger: Ledger, size: int, cosignatures: tuple[str, ...] = ()) -> bytes:
        """Sign the checkpoint of a size, with the cosignature lines given; a C2SP note.

        Raises:
            LogRolledBackError: another tree of this size was signed.
        """
        self.note_signed(ledger, size)
        text = self.checkpoint_text(ledger, size)
        lines = (key.sign(text) for key in self._signers(ledger, size))
        return encode_signed(text, (*lines, *cosignatures))

    def _signers(self, ledger: Ledger, size: int) -> tuple[SigningKey, ...]:
        """Find the log keys that sign at a size: the one in force first, then those before it.

        Raises:
            StoreError: the one in force is not here.
        """
        held = {key.verifier: key for key in self._log_keys()}
        in_force, known = ledger.chain.at(size).body.log, ledger.chain.log_keys()
        if in_force not in held:
            raise StoreError(phrase("keys/: the log key of entry %(size)s is not here", size=size - 1))
        earlier = known[: known.index(in_force)]
        return (held[in_force], *(held[key] for key in reversed(earlier) if key in held))

    def note_signed(self, ledger: Ledger, size: int) -> None:
        """Write down that checkpoints up to a size, which is committed, are about to be signed.

        Raises:
            LogRolledBackError: the database is not the one that was signed, here or by another process.
        """
        if self._head is None or size <= self._head.known.size:
            return
        self._head.raise_to(size, ledger.root(size))
        signed = self._head.known
        if signed.size > size:  # by another process on this folder; the view that `ledger` is of may lack it
            self._verify_committed(ledger, size, signed)

    def _verify_committed(self, ledger: Ledger, size: int, signed: Head) -> None:
        """Check that the database has now what another process signed, after this tree of a smaller size."""
        with self.store.reading() as connection:
            there = _ROOT.run(connection, signed.size - 1).fetchone()
            here = _ROOT.run(connection, size - 1).fetchone()
            last = _LAST.run(connection).fetchone()
        stored = last[0] + 1 if last else 0
        if (there and there[0], here and here[0]) != (signed.root, ledger.root(size)):
            raise _rolled_back(signed.size, stored)

    def receipt(self, ledger: Ledger, position: int) -> bytes:
        """Make the log-signed tlog-proof of an entry, at the size right after it.

        It depends on the entry's position only, so asking again gives the same bytes. Where the log key of
        that size is retired, it is made at the first size whose log key is not.
        """
        held = {key.verifier for key in self._log_keys()}
        later = (
            row.index + 1 for row in ledger.chain.states if row.index > position and row.body.log in held
        )
        size = position + 1 if ledger.chain.at(position + 1).body.log in held else next(later, position + 1)
        hashes = ledger.tree.inclusion_proof(position, size)
        return write_proof(position, hashes, self.checkpoint(ledger, size))

    def read_entry(self, position: int) -> bytes:
        """Read an entry that is committed, or appended in the transaction of this thread.

        Raises:
            StoreError: the database has none.
        """
        return self._read_column(_ENTRY, position)

    def read_body(self, position: int) -> bytes:
        """Read the body of an entry, empty where it has none; errors as `read_entry`."""
        return self._read_column(_BODY, position)

    def _read_column(self, column: Prepared, position: int) -> bytes:
        with self._lock:
            if self._transaction is None:
                with self.store.reading() as connection:
                    row = column.run(connection, position).fetchone()
            else:
                row = column.run(self._transaction, position).fetchone()
        if row is None:
            raise StoreError(phrase("database: the entries do not make the stored tree; restore the backup"))
        return bytes(row[0])

    def _signed(self) -> Head:
        return Head(0, b"") if self._head is None else self._head.known

    def _keep(self, ledger: Ledger | None) -> None:
        """Take another ledger; nothing is known yet of what it contains."""
        if ledger is not self._ledger:
            self._verified = Head(0, b"")
        self._ledger = ledger

    def _verify_contains(self, ledger: Ledger | None, signed: Head) -> None:
        """Check that a view has what was signed before it began.

        Raises:
            LogRolledBackError: it has fewer entries, or others.
        """
        if signed.size <= self._verified.size:
            return
        size = ledger.size if ledger is not None else 0
        if ledger is None or size < signed.size or ledger.root(signed.size) != signed.root:
            raise _rolled_back(signed.size, size)
        self._verified = signed

    def _catch_up(self, connection: Connection, signed: Head) -> Ledger | None:
        ledger = self._read_log(connection)
        self._verify_contains(ledger, signed)
        return ledger

    def _read_log(self, connection: Connection) -> Ledger | None:
        last = _LAST.run(connection).fetchone()
        size, root = (last[0] + 1, last[1]) if last else (0, b"")
        ledger = self._ledger
        if ledger is None or ledger.size > size or not self._is_prefix(connection, ledger, size, root):
            ledger = self._new_ledger(connection)
            self._keep(ledger)
        if ledger is not None:
            self._read_on(connection, ledger, size, root)
        return ledger

    def _new_ledger(self, connection: Connection) -> Ledger | None:
        card_text = read_meta(connection, CARD)
        if card_text is None:
            return None
        try:
            return Ledger(parse_card(card_text), self.read_entry)
        except ProtocolError as err:
            raise StoreError(phrase("database: the stored card is damaged; restore the backup")) from err

    @staticmethod
    def _is_prefix(connection: Connection, ledger: Ledger, size: int, root: bytes) -> bool:
        if ledger.size < size:
            found = _ROOT.run(connection, ledger.size - 1).fetchone()
            return ledger.size > 0 and found is not None and found[0] == ledger.root()
        return root == ledger.root()

    def _read_on(self, connection: Connection, ledger: Ledger, size: int, root: bytes) -> None:
        if ledger.size == size:
            return
        table = schema.entries
        rows = connection.execute(
            sa.select(table.c.entry, table.c.body)
            .where(table.c.position >= ledger.size)
            .order_by(table.c.position)
        )
        try:
            for row in rows:
                ledger.append(row.entry, row.body)
        except LedgerError as err:
            self._keep(None)
            raise StoreError(
                phrase(
                    "database: entry %(size)s is not valid (%(code)s); restore the backup",
                    size=ledger.size,
                    code=err.code,
                )
            ) from err
        if ledger.root() != root:
            self._keep(None)
            raise StoreError(phrase("database: the entries do not make the stored tree; restore the backup"))


def _rolled_back(signed: int, size: int) -> LogRolledBackError:
    return LogRolledBackError(
        phrase(
            "database: %(signed)s entries were signed, this database has %(size)s, or others; an old "
            "copy was restored: run 'fedscreen coordinator store check', never go on from this",
            signed=signed,
            size=size,
        )
    )


def sign_entry(text: str, key: SigningKey) -> bytes:
    """Make a log entry of a statement that one key signs."""
    return encode_signed(text, (key.sign(text),))
