"""The reports of one round as a reader of the log keeps them: where each stands, and its digest.

A county's log has thousands of report headers of 1.4 kB each, and hardly any step looks into them. A
ledger that can read entries back (`Ledger(card, read_entry)`) keeps positions only, and a header
is parsed again when somebody asks for it; a ledger that cannot keeps the headers here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from protos.statements import MAX_ATTEMPT, Report, Statement

T = TypeVar("T", bound=Statement, covariant=True)
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


class ReportTable(MutableMapping[Slot, Logged[Report]]):
    """Reports by (node, attempt), in log order.

    Args:
        load: gives the report that stands at a position; None to keep whole reports.
        digests: statement digests by position, where there is a `load`.
    """

    __slots__ = ("_digests", "_kept", "_load", "_positions")

    def __init__(
        self, load: Callable[[int], Logged[Report]] | None = None, digests: Sequence[bytes] = ()
    ) -> None:
        self._load = load
        self._digests = digests
        self._positions: dict[Slot, int] = {}
        self._kept: dict[Slot, Logged[Report]] = {}

    def __getitem__(self, slot: Slot) -> Logged[Report]:
        """Give a report; it is read and parsed now unless it was kept."""
        kept = self._kept.get(slot)
        if kept is not None or self._load is None:
            return kept if kept is not None else self._kept[slot]
        return self._load(self._positions[slot])

    def __setitem__(self, slot: Slot, logged: Logged[Report]) -> None:
        """Keep a whole report."""
        self._positions[slot] = logged.index
        self._kept[slot] = logged

    def __delitem__(self, slot: Slot) -> None:
        """Forget a report."""
        del self._positions[slot]
        self._kept.pop(slot, None)

    def __contains__(self, slot: object) -> bool:
        """Tell whether a slot is taken, without reading."""
        return slot in self._positions

    def __iter__(self) -> Iterator[Slot]:
        """Go through the slots in log order."""
        return iter(self._positions)

    def __len__(self) -> int:
        """Return the number of reports, superseded attempts included."""
        return len(self._positions)

    def add(self, logged: Logged[Report]) -> None:
        """Take the report that has just been appended to the log."""
        slot = logged.statement.node, logged.statement.attempt
        if self._load is None:
            self[slot] = logged
        else:
            self._positions[slot] = logged.index

    def position_of(self, slot: Slot) -> int:
        """Return a report's position in the log, without reading it."""
        return self._positions[slot]

    def digest_of(self, slot: Slot) -> bytes:
        """Return the digest of a report's header, without reading it."""
        kept = self._kept.get(slot)
        return kept.digest if kept is not None else self._digests[self._positions[slot]]

    def num_attempts(self, node: str) -> int:
        """Count the attempts of a node."""
        return sum((node, attempt) in self._positions for attempt in range(MAX_ATTEMPT + 1))

    def find(self, digest: bytes) -> Slot | None:
        """Find the slot of a header's digest."""
        return next((slot for slot in self if self.digest_of(slot) == digest), None)
