"""This node's own copy of the log, and how far it may be trusted.

Rules:

1. Entries are taken in order and only as ``protos.ledger`` allows; what was taken is stored.
2. *Trusted* is what lies below the newest checkpoint that (a) the log signed, (b) a quorum of the roster's
   auditors cosigned, and (c) has the same root as this copy. That part never changes again, so every later
   checkpoint is consistent with the last one seen, or it is refused.
3. Entries above it came over an untrusted link. If a cosigned checkpoint contradicts them, they are
   dropped, and the page has to be sent again from the trusted size on.
4. A log-signed or cosigned checkpoint that contradicts the trusted part is a split view: it is kept as
   evidence, and nothing is released any more.

The time of the trusted checkpoint is the q-th newest cosignature time: as long as no more than f auditors
lie, it is not later than what an honest one wrote.
Spec: docs/protocol.md "Checks elsewhere"; docs/log.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from crypto.checkpoint import Checkpoint, parse_checkpoint
from crypto.errors import CryptoError
from crypto.merkle import leaf_hash
from crypto.note import cosignature_time, parse_note
from node.vault.clock import Clock
from node.vault.errors import MirrorError, _
from node.vault.store import VaultStore
from protos.card import FederationCard
from protos.errors import LedgerError
from protos.ledger import Ledger

MAX_PAGE_ENTRIES = 4096
GENERATION = "log-generation"


@dataclass(frozen=True, slots=True)
class Trusted:
    """How far the log is trusted.

    Attributes:
        size: entries below this position are.
        note: the cosigned checkpoint that says so.
        time: when a quorum of auditors had signed it.
    """

    size: int
    note: bytes
    time: datetime


class Mirror:
    """The stored log and the state that it makes.

    Args:
        store: keeps entries and checkpoints.
        card: the pinned federation.
        clock: is told the cosignature times.

    Attributes:
        ledger: everything taken so far, trusted or not: compare positions with ``trusted``.
    """

    def __init__(self, store: VaultStore, card: FederationCard, clock: Clock) -> None:
        self._store = store
        self._card = card
        self._clock = clock
        self.ledger = Ledger(card)
        self._trusted: Trusted | None = None
        self._generation = b"0"
        self.catch_up()

    @property
    def trusted(self) -> Trusted | None:
        """The newest checkpoint with a quorum of cosignatures, None before the first."""
        return self._trusted

    @property
    def trusted_size(self) -> int:
        """Number of entries that are trusted."""
        return self._trusted.size if self._trusted else 0

    @property
    def is_split(self) -> bool:
        """Whether the log was caught showing two different trees."""
        return self._store.one("SELECT 1 FROM checkpoint WHERE kind = 'split'") is not None

    def catch_up(self) -> None:
        """Take over what another process of this node has stored since."""
        with self._store.reading():  # else a checkpoint may be newer than the entries read before it
            self._catch_up()

    def _catch_up(self) -> None:
        generation = self._store.setting(GENERATION) or b"0"
        if generation != self._generation or self._num_stored() < self.ledger.size:
            # Entries were dropped, or a transaction of this process was: what is stored is what counts.
            self.ledger, self._trusted, self._generation = Ledger(self._card), None, generation
        rows = self._store.query(
            "SELECT entry, body FROM log_entry WHERE position >= ? ORDER BY position", (self.ledger.size,)
        )
        for entry, body in rows:
            try:
                self.ledger.append(bytes(entry), bytes(body))
            except LedgerError as err:
                raise _refused(self.ledger.size, err) from None
        stored = self._store.one("SELECT note FROM checkpoint WHERE kind = 'cosigned'")
        if stored is not None and (self._trusted is None or bytes(stored[0]) != self._trusted.note):
            self._trust(bytes(stored[0]))

    def take_page(
        self, start: int, entries: Sequence[tuple[bytes, bytes]], latest: bytes, cosigned: bytes
    ) -> None:
        """Take a page of the log, and the two newest checkpoints.

        Args:
            start: position of the page's first entry; what is there already is compared.
            entries: (entry, body) in order.
            latest: newest checkpoint with the log's signature; may be empty.
            cosigned: newest checkpoint with a quorum; may be empty.

        Raises:
            MirrorError: a gap (``log-gap``), an entry that may not come next (``log-refused``), a checkpoint
                that does not hold (``log-checkpoint``), another tree than the one that entries above the
                trusted size made (``log-rewound``: send from the trusted size on) or than the trusted one
                (``log-split``). Good entries before the bad one are kept.
        """
        if start < 0 or len(entries) > MAX_PAGE_ENTRIES:
            raise MirrorError(_("a page of the log is malformed"), code="log-page")
        failure: MirrorError | None = None
        with self._store.transaction("log page"):
            self.catch_up()
            try:
                self._take(start, entries, latest, cosigned)
            except MirrorError as err:
                failure = err  # keep what was good before it
            self._clock.save()
        if failure is not None:
            raise failure

    def _take(
        self, start: int, entries: Sequence[tuple[bytes, bytes]], latest: bytes, cosigned: bytes
    ) -> None:
        if start > self.ledger.size:
            raise MirrorError(
                _("the log page starts at %(start)d, this node has %(size)d entries"),
                _("The connection starts again from there by itself."),
                code="log-gap",
                details={"start": start, "size": self.ledger.size},
            )
        for position, (entry, body) in enumerate(entries, start):
            if position < self.ledger.size:
                self._compare(position, entry)
            if position >= self.ledger.size:
                self._append(entry, body)
        if cosigned:
            self._take_cosigned(cosigned)
        if latest:
            self._take_latest(latest)

    def _compare(self, position: int, entry: bytes) -> None:
        if leaf_hash(entry) == self.ledger.leaves[position]:
            return
        if position < self.trusted_size:
            # No proof of anything: only the link has said so. A split is proved by a signed checkpoint.
            raise MirrorError(
                _("entry %(position)d differs from the one that the auditors have cosigned"),
                _("Nothing was changed; if it happens again, tell the auditors."),
                code="log-differs",
                details={"position": position},
            )
        self._drop_from(position)

    def _append(self, entry: bytes, body: bytes) -> None:
        position = self.ledger.size
        try:
            self.ledger.append(entry, body)
        except LedgerError as err:
            if position > self.trusted_size:
                self._drop_from(self.trusted_size)  # perhaps what stands before it is the lie
            raise _refused(position, err) from None
        self._store.execute(
            "INSERT INTO log_entry (position, entry, body) VALUES (?, ?, ?)", (position, entry, body)
        )

    def _take_cosigned(self, note: bytes) -> None:
        size = _size_of(note)
        if size > self.ledger.size:
            return  # the next page brings what it covers, and this checkpoint or a newer one with it
        try:
            self.ledger.verify_checkpoint(note)
        except LedgerError as err:
            raise self._judge(note, size, err) from None
        before = self._trusted
        self._trust(note)
        if self._trusted is not before and self._trusted is not None:
            self._put_checkpoint("cosigned", self._trusted.size, note)

    def _take_latest(self, note: bytes) -> None:
        size = _size_of(note)
        if size > self.ledger.size:
            return
        try:
            self.ledger.verify_checkpoint(note, 0)
        except LedgerError as err:
            raise self._judge(note, size, err) from None
        self._put_checkpoint("latest", size, note)

    def _judge(self, note: bytes, size: int, err: LedgerError) -> MirrorError:
        """Say what a checkpoint means that does not fit this copy."""
        if err.code != "split-view":
            return MirrorError(
                _("a checkpoint of the log does not hold (%(reason)s)"),
                _("Nothing was changed; if it happens again, tell the auditors."),
                code="log-checkpoint",
                details={"reason": err.code},
            )
        if size <= self.trusted_size:
            return self._split(note)
        self._drop_from(self.trusted_size)
        return MirrorError(
            _("the log shows another tree than the entries that came before"),
            _("The entries are fetched again from %(size)d on by itself."),
            code="log-rewound",
            details={"size": self.trusted_size},
        )

    def _split(self, evidence: bytes) -> MirrorError:
        self._put_checkpoint("split", self.trusted_size, evidence)
        return MirrorError(
            _("the log shows two different histories; this node releases nothing any more"),
            _("Keep this node's folder and tell the auditors at once."),
            code="log-split",
        )

    def _drop_from(self, position: int) -> None:
        self._store.execute("DELETE FROM log_entry WHERE position >= ?", (position,))
        self._store.put_setting(GENERATION, str(int(self._generation) + 1).encode())
        self.catch_up()

    def _trust(self, note: bytes) -> None:
        """Trust a verified checkpoint if it is newer: more entries, or as many and a later time."""
        trusted = self._read_trusted(note)
        before = self._trusted
        if before is None or (trusted.size, trusted.time) > (before.size, before.time):
            self._trusted = trusted
            self._clock.witness(trusted.time)

    def _read_trusted(self, note_bytes: bytes) -> Trusted:
        try:
            checkpoint = self.ledger.verify_checkpoint(note_bytes)
        except LedgerError as err:
            raise _refused(self.ledger.size, err) from None
        return Trusted(checkpoint.size, note_bytes, self._quorum_time(checkpoint, note_bytes))

    def _quorum_time(self, checkpoint: Checkpoint, note_bytes: bytes) -> datetime:
        roster = self.ledger.roster_at(checkpoint.size)
        keys = {(key.name, key.key_id) for key in self.ledger.cosigners_at(checkpoint.size)}
        times: dict[tuple[str, bytes], int] = {}
        for signature in parse_note(note_bytes).signatures:
            key = (signature.name, signature.key_id)
            if key in keys:
                time_s = cosignature_time(signature)
                times[key] = min(times.get(key, time_s), time_s)
        newest_first = sorted(times.values(), reverse=True)
        quorum_time_s = newest_first[roster.statement.quorum - 1]
        return datetime.fromtimestamp(min(quorum_time_s, _LATEST_S), UTC)

    def _num_stored(self) -> int:
        row = self._store.one("SELECT COALESCE(MAX(position) + 1, 0) FROM log_entry")
        return int(row[0]) if row else 0

    def _put_checkpoint(self, kind: str, size: int, note: bytes) -> None:
        self._store.execute(
            "INSERT INTO checkpoint (kind, size, note) VALUES (?, ?, ?)"
            " ON CONFLICT (kind) DO UPDATE SET size = excluded.size, note = excluded.note",
            (kind, size, note),
        )


_LATEST_S = 253402300799  # 9999-12-31T23:59:59Z, the last second that datetime can tell


def _size_of(note: bytes) -> int:
    try:
        return parse_checkpoint(parse_note(note).text).size
    except CryptoError:
        raise MirrorError(
            _("a checkpoint of the log is damaged"),
            _("Nothing was changed; if it happens again, tell the auditors."),
            code="log-checkpoint",
        ) from None


def _refused(position: int, err: LedgerError) -> MirrorError:
    return MirrorError(
        _("entry %(position)d of the log is not valid (%(reason)s)"),
        _("Nothing is trusted from there on; tell the auditors if it stays so."),
        code="log-refused",
        details={"position": position, "reason": err.code},
    )
