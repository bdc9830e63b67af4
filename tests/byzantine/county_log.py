"""The coordinator of a simulated county, as far as its log goes: one history, or one of several.

`CountyLog` keeps entries, vectors and sums in memory and is for the product's own steps what they ask for:
the `View`, the `Home` and the connection of `coordinator.close`, `coordinator.combine` and
`coordinator.release`, the book of `coordinator.receive`. So candidates, closes, sums, releases and receipts
are those of the product.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from byzantine.template import Template
from fakes_federation import sign_entry

from coordinator import receive, schema
from coordinator.close import close_set, fix_candidates
from coordinator.combine import combine
from coordinator.errors import CoordinatorError, StatementRefusedError, UnknownRoundError
from coordinator.release import log_release
from coordinator.round import (
    Action,
    CloseSet,
    Combine,
    FixCandidates,
    Reason,
    Surroundings,
    Wait,
    next_action,
)
from crypto.checkpoint import Checkpoint, cosign, encode_checkpoint
from crypto.note import SigningKey, encode_signed
from crypto.tlog_proof import TlogProof, encode_proof
from plan.errors import PlanError, phrase
from plan.groups import small_groups
from plan.published import read_published
from protos.entry import Entry
from protos.errors import LedgerError
from protos.ledger import Ledger
from protos.round_log import RoundLog
from protos.statements import Report, Statement, digest, encode_statement

GRACE = timedelta(seconds=60)
SCHOOL_BOUND = 1000


class _Answer:
    """What a query gives."""

    def __init__(self, value: bytes | None) -> None:
        self._value = value

    def scalar(self) -> bytes | None:
        """The only value."""
        return self._value

    def first(self) -> None:
        """No row: nothing is deleted here."""


class CountyLog:
    """One history of the log.

    Attributes:
        name: for traces.
        entries, times: of every position.
        cosignatures: size → auditor → line.
        boxes: round → digest of a header → auditor → box; vectors: digest of a vector → vector. Shared by
            all histories of a county, as they lie in one database.
        sums: (round, auditor, subset) → sum, of this history.
        requested, left_out: rounds of which an administrator asked for the close, or for leaving out checks.
    """

    def __init__(
        self, template: Template, clock: Any, name: str, parent: CountyLog | None = None, size: int = 0
    ):
        self.template, self._clock, self.name = template, clock, name
        self.coordinator = template.federation.coordinator
        self.log_key = template.federation.log_key
        self.entries: list[tuple[bytes, bytes]] = []
        self.times: list[datetime] = []
        self.cosignatures: dict[int, dict[str, str]] = {}
        self.ledger = Ledger(template.federation.card, lambda position: self.entries[position][0])
        self.boxes: dict[bytes, dict[bytes, dict[str, bytes]]] = parent.boxes if parent else {}
        self.vectors: dict[bytes, bytes] = parent.vectors if parent else {}
        self.sums: dict[tuple[bytes, str, int], bytes] = dict(parent.sums) if parent else {}
        self.requested: set[bytes] = set(parent.requested) if parent else set()
        self.left_out: set[bytes] = set()
        self._notes: dict[tuple[int, int], bytes] = {}
        self.connection = self
        self.receiver = receive.Receiver(self)  # type: ignore[arg-type]
        source = parent.entries[:size] if parent else template.federation.entries
        for place, (entry, body) in enumerate(source):
            self.ledger.append(entry, body)
            self.entries.append((entry, body))
            self.times.append(parent.times[place] if parent else clock())
        for known, lines in (parent.cosignatures if parent else {}).items():
            if known <= size:
                self.cosignatures[known] = dict(lines)

    # -- a view, a home and a book ---------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The coordinator's clock."""
        return self._clock()  # type: ignore[no-any-return]

    def signer(self, _key: object) -> SigningKey:
        """Give the coordinator's statement key."""
        return self.coordinator

    def round(self, round_id: bytes) -> RoundLog:
        """Find a round."""
        if round_id not in self.ledger.rounds:
            raise UnknownRoundError(phrase("no such plan"))
        return self.ledger.rounds[round_id]

    round_terms = round

    def append(self, entry: bytes | Entry, body: bytes) -> int:
        """Append an entry if the log's rules allow it; returns its position."""
        try:
            self.ledger.append(entry, body)
        except LedgerError as err:
            raise StatementRefusedError(phrase("refused"), err.code) from err
        self.entries.append((entry.data if isinstance(entry, Entry) else entry, body))
        self.times.append(self.now)
        return len(self.entries) - 1

    @contextmanager
    def reading(self) -> Iterator[CountyLog]:
        """See the log."""
        yield self

    @contextmanager
    def writing(self, _step: str) -> Iterator[CountyLog]:
        """Change the log."""
        yield self

    def insert(self, row: object, *values: Any) -> None:
        """Store vectors and boxes of a report."""
        if row is receive._INSERT_VECTOR:
            self.vectors.setdefault(values[0], values[1])
            return
        round_id, position, data = values
        round_log, size = self.round(round_id), self.round(round_id).box_bytes
        boxes = {name: data[at * size : (at + 1) * size] for at, name in enumerate(round_log.terms.auditors)}
        self.boxes.setdefault(round_id, {}).setdefault(self.ledger.digest_at(position), boxes)

    def execute(self, statement: Any, values: Mapping[str, Any] | None = None) -> _Answer:
        """Answer what combining asks, and delete nothing: other histories need the boxes."""
        if values:
            return _Answer(self.vectors.get(values["digest"]))
        if isinstance(statement, sa.Select) and statement.get_final_froms()[0] is schema.sums:
            found = statement.compile().params
            return _Answer(self.sums.get((found["round_1"], found["auditor_1"], found["subset_1"])))
        return _Answer(None)

    def note_signed(self, _ledger: Ledger, _size: int) -> None:
        """Nothing is restored here."""

    def receipt(self, ledger: Ledger, position: int) -> bytes:
        """Prove an entry."""
        size = position + 1
        return encode_proof(
            TlogProof(position, tuple(ledger.tree.inclusion_proof(position, size)), self.note(size))
        )

    # -- checkpoints -----------------------------------------------------------------------------

    def checkpoint_text(self, size: int) -> str:
        """The checkpoint of a size."""
        return encode_checkpoint(Checkpoint(self.log_key.name, size, self.ledger.root(size)))

    def note(self, size: int) -> bytes:
        """The checkpoint of a size with the cosignatures that it has."""
        lines = self.cosignatures.get(size, {})
        text = self.checkpoint_text(size)
        return encode_signed(text, (self.log_key.sign(text), *lines.values()))

    def cosigned_note(self, limit: int) -> bytes:
        """The newest checkpoint up to a size that has a quorum, or nothing."""
        quorum = self.template.federation.quorum
        sizes = [size for size, lines in self.cosignatures.items() if len(lines) >= quorum and size <= limit]
        return self.note(max(sizes)) if sizes else b""

    def cosign_as(self, auditor: str, size: int) -> None:
        """Cosign as a witness that lies: without a look at anything."""
        key = self.template.federation.witnesses[auditor]
        line = cosign(self.checkpoint_text(size), key, int(self.now.timestamp()))
        self.cosignatures.setdefault(size, {})[auditor] = line

    def offer_report(
        self, header: Report, key: SigningKey, vector: bytes, boxes: Mapping[str, bytes]
    ) -> None:
        """Log a report past the checks of `coordinator.receive`: only the log's rules are asked."""
        name = self.add(header, b"", [key])
        self.vectors.setdefault(header.vector, vector)
        self.boxes.setdefault(header.round, {})[name] = dict(boxes)

    # -- the honest program ----------------------------------------------------------------------

    def sign(self, statement: Statement, *keys: SigningKey) -> bytes:
        """Sign a statement, by default as the coordinator."""
        return sign_entry(encode_statement(statement), keys or (self.coordinator,))

    def add(self, statement: Statement, body: bytes, keys: Sequence[SigningKey] = ()) -> bytes:
        """Sign and append a statement; returns its digest."""
        self.append(self.sign(statement, *keys), body)
        return digest(encode_statement(statement))

    def action(self, round_log: RoundLog) -> Action:
        """Say what a round needs next."""
        terms = round_log.terms
        try:
            layout = read_published(terms, round_log.plan.body).layout
        except PlanError:
            return Wait(Reason.APPROVALS)  # a forged plan; nobody can read it
        schools = {node.id: dict(node.attributes) for node in round_log.roster.nodes}
        return next_action(
            round_log,
            Surroundings(
                now=self.now,
                revoked=frozenset({*self.ledger.revoked_nodes, *self.ledger.revoked_auditors}),
                candidates=self.ledger.candidates_for(round_log.round_id, self.ledger.size),
                is_close_requested=round_log.round_id in self.requested,
                checked_since=self._since(round_log.checked, terms.quorum),
                opened_since=self._since(round_log.openings, terms.threshold),
                check_grace=GRACE,
                open_grace=GRACE,
                has_small_group=lambda names: bool(
                    small_groups(layout, schools, (name.node for name in names), terms.min_group)
                ),
                is_leave_out_requested=round_log.round_id in self.left_out,
            ),
        )

    def _since(self, rows: Mapping[str, Any], needed: int) -> datetime | None:
        positions = sorted(row.index for row in rows.values())
        return self.times[positions[needed - 1]] if len(positions) >= needed else None

    def tick(self, round_log: RoundLog) -> Action:
        """Do what a round needs next."""
        action = self.action(round_log)
        view: Any = self
        try:
            if isinstance(action, FixCandidates):
                fix_candidates(view, view, round_log)
            elif isinstance(action, CloseSet):
                close_set(view, view, round_log, action.checked)
            elif isinstance(action, Combine):
                layout = read_published(round_log.terms, round_log.plan.body).layout
                combined = combine(view, round_log, layout, action.openers, SCHOOL_BOUND)
                log_release(view, view, round_log, layout, combined, action.openers)
        except CoordinatorError:
            pass  # a mutant of the log's rules; an honest coordinator's steps are never refused
        return action
