"""The reports of one round as a reader of the log keeps them: where each stands, and the digests in it.

A county's log has thousands of report headers of 1.4 kB each. A ledger that can read entries back
(`Ledger(card, read_entry)`) keeps of each its position and, packed, the digests that boxes and
vectors are compared with; the whole header is read and parsed again when somebody asks for it. A
ledger that cannot keeps the headers here.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from protos.statements import MAX_ATTEMPT, Report, Statement

T = TypeVar("T", bound=Statement, covariant=True)
DIGEST_BYTES = 32
Slot = tuple[str, int]
"""Node id and attempt."""


@dataclass(frozen=True, slots=True)
class Logged(Generic[T]):
    """A statement with its place in the log; `digest` is SHA-256 of the text."""

    statement: T
    text: str
    digest: bytes
    index: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Contents:
    """What a report's header says about the rest of the report; fields as in `protos.statements.Report`."""

    node: str
    attempt: int
    vector: bytes
    seeds: tuple[tuple[int, bytes], ...]
    boxes: tuple[tuple[str, bytes], ...]


def contents_of(report: Report) -> Contents:
    """Take the contents out of a header."""
    return Contents(report.node, report.attempt, report.vector, report.seeds, report.boxes)


class ReportTable(MutableMapping[Slot, Logged[Report]]):
    """Reports by (node, attempt), in log order. All headers of a round name the same subsets and auditors.

    Args:
        load: gives the report that stands at a position; None to keep whole reports.
        digests: statement digests by position, where there is a `load`.
    """

    __slots__ = (
        "_auditors",
        "_digests",
        "_kept",
        "_load",
        "_packed",
        "_positions",
        "_row",
        "_row_bytes",
        "_rows",
        "_subsets",
    )

    def __init__(
        self, load: Callable[[int], Logged[Report]] | None = None, digests: Sequence[bytes] = ()
    ) -> None:
        self._load = load
        self._digests = digests
        self._rows: dict[Slot, int] = {}
        self._positions = array("Q")
        self._packed = bytearray()  # a row: vector, seed commitments, boxes
        self._subsets: tuple[int, ...] = ()
        self._auditors: tuple[str, ...] = ()
        self._kept: dict[Slot, Logged[Report]] = {}
        self._row, self._row_bytes = "", 0

    def __getitem__(self, slot: Slot) -> Logged[Report]:
        """Give a report; it is read and parsed now unless it was kept."""
        kept = self._kept.get(slot)
        if kept is not None or self._load is None:
            return kept if kept is not None else self._kept[slot]
        return self._load(self.position_of(slot))

    def __setitem__(self, slot: Slot, logged: Logged[Report]) -> None:
        """Keep a whole report."""
        self._rows.setdefault(slot, -1)
        self._kept[slot] = logged

    def __delitem__(self, slot: Slot) -> None:
        """Forget a report."""
        del self._rows[slot]
        self._kept.pop(slot, None)

    def __contains__(self, slot: object) -> bool:
        """Tell whether a slot is taken, without reading."""
        return slot in self._rows

    def __iter__(self) -> Iterator[Slot]:
        """Go through the slots in log order."""
        return iter(self._rows)

    def __len__(self) -> int:
        """Return the number of reports, superseded attempts included."""
        return len(self._rows)

    def add(self, logged: Logged[Report]) -> None:
        """Take the report that has just been appended to the log."""
        report = logged.statement
        slot = report.node, report.attempt
        if self._load is None:
            self[slot] = logged
            return
        if not self._positions:
            self._subsets = tuple(subset for subset, _ in report.seeds)
            self._auditors = tuple(auditor for auditor, _ in report.boxes)
            num_digests = 1 + len(report.seeds) + len(report.boxes)
            self._row, self._row_bytes = f"{DIGEST_BYTES}s" * num_digests, DIGEST_BYTES * num_digests
        self._rows[slot] = len(self._positions)
        self._positions.append(logged.index)
        parts = [report.vector, *(value for _, value in report.seeds), *(value for _, value in report.boxes)]
        self._packed += b"".join(parts)

    def position_of(self, slot: Slot) -> int:
        """Return a report's position in the log, without reading it."""
        kept = self._kept.get(slot)
        return kept.index if kept is not None else self._positions[self._rows[slot]]

    def digest_of(self, slot: Slot) -> bytes:
        """Return the digest of a report's header, without reading it."""
        kept = self._kept.get(slot)
        return kept.digest if kept is not None else self._digests[self.position_of(slot)]

    def contents_of(self, slot: Slot) -> Contents:
        """Return the digests in a report's header, without reading it."""
        kept = self._kept.get(slot)
        if kept is not None:
            return contents_of(kept.statement)
        vector, *digests = struct.unpack_from(self._row, self._packed, self._rows[slot] * self._row_bytes)
        num_seeds = len(self._subsets)
        seeds = tuple(zip(self._subsets, digests[:num_seeds], strict=True))
        boxes = tuple(zip(self._auditors, digests[num_seeds:], strict=True))
        return Contents(*slot, vector, seeds, boxes)

    def num_attempts(self, node: str) -> int:
        """Count the attempts of a node."""
        return sum((node, attempt) in self._rows for attempt in range(MAX_ATTEMPT + 1))

    def find(self, digest: bytes) -> Slot | None:
        """Find the slot of a header's digest."""
        return next((slot for slot in self if self.digest_of(slot) == digest), None)
