"""What an auditor needs from the coordinator, as a protocol.

`auditor.client` speaks it over gRPC, `auditor.file_link` over files on a stick; in one process the
coordinator's own core can stand behind it. Nothing that arrives here is trusted: every answer is checked
against the log's own rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from protos.convert import LogPage, Proposal

__all__ = ["CoordinatorLink", "LogPage", "Proposal"]


class CoordinatorLink(Protocol):
    """Calls of one auditor to its coordinator. Every one of them is idempotent.

    A position is -1 where it is not known yet: what goes by file is on its way (`auditor.file_link`).
    Implementations raise `auditor.errors.LinkError` when a call fails.
    """

    def get_log(self, start: int, max_entries: int) -> LogPage:
        """Read the log from a position on; may return fewer entries than asked for."""

    def list_proposals(self) -> Sequence[Proposal]:
        """List rosters that wait for signatures, oldest first."""

    def sign_roster(self, digest: bytes, line: str) -> bool:
        """Add this auditor's signature line to a waiting roster; returns whether it is logged now."""

    def submit_cosignature(self, size: int, line: str) -> None:
        """Add a witness cosignature to the checkpoint of a size."""

    def submit_statement(self, entry: bytes, body: bytes) -> int:
        """Log a statement signed by this auditor; returns its position."""

    def submit_opening(self, entry: bytes, sums: Sequence[bytes]) -> int:
        """Log an opening and hand over its sums, in ascending order of subset; returns its position."""

    def get_boxes(self, round_id: bytes) -> Iterable[tuple[bytes, bytes]]:
        """Stream (report digest, this auditor's sealed box) of a round in log order."""

    def get_vectors(self, round_id: bytes) -> Iterable[tuple[bytes, bytes]]:
        """Stream (report digest, masked vector) of the closed set; after this auditor's opening is logged."""

    def get_sums(self, round_id: bytes) -> Iterable[tuple[str, int, bytes]]:
        """Stream (auditor, subset, mask sum) of a released round."""
