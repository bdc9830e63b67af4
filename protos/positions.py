"""Where each statement stands in the log, by its digest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from protos.round_log import RoundLog


class Positions(Mapping[bytes, int]):
    """Digest of a statement → its position. Reports are looked up in their rounds' tables.

    Attributes:
        others: of everything that is no report.
    """

    def __init__(self, rounds: Mapping[bytes, RoundLog]) -> None:
        self._rounds = rounds
        self.others: dict[bytes, int] = {}

    def __getitem__(self, digest: bytes) -> int:
        """Give the position of a statement."""
        if digest in self.others:
            return self.others[digest]
        for round_log in self._rounds.values():
            slot = round_log.reports.find(digest)
            if slot is not None:
                return round_log.reports.position_of(slot)
        raise KeyError(digest)

    def __iter__(self) -> Iterator[bytes]:
        """Go through the digests of all statements."""
        yield from self.others
        for round_log in self._rounds.values():
            yield from map(round_log.reports.digest_of, round_log.reports)

    def __len__(self) -> int:
        """Return the number of statements."""
        return len(self.others) + sum(len(row.reports) for row in self._rounds.values())
