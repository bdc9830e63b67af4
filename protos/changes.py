"""What has changed in one round since its plan, as the log tells it. Only `protos.ledger` changes it.

What may come next: `protos.round_changes`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from protos.fields import ZERO_DIGEST
from protos.report_table import Logged
from protos.statements import Cancel, Correction, Extended, Extension, Plan


@dataclass(slots=True)
class Changes:
    """Later deadlines, the end by the county, and how the release is to be read.

    Attributes:
        extensions: what the coordinator asked for, oldest first.
        extended: digest of an extension → auditor → its grant.
        cancel: the county's end of the round.
        corrections: of the release, oldest first.
    """

    extensions: list[Logged[Extension]] = field(default_factory=list)
    extended: dict[bytes, dict[str, Logged[Extended]]] = field(default_factory=dict)
    cancel: Logged[Cancel] | None = None
    corrections: list[Logged[Correction]] = field(default_factory=list)

    def closes_below(self, terms: Plan, log_size: int | None) -> datetime:
        """Return the deadline by the entries below a log size (None: by all of them).

        It is the plan's, or that of the newest extension that q auditors have granted.
        """
        for extension in reversed(self.extensions):
            granted = sorted(row.index for row in self.extended.get(extension.digest, {}).values())
            is_granted = len(granted) >= terms.quorum
            if is_granted and (log_size is None or granted[terms.quorum - 1] < log_size):
                return extension.statement.closes
        return terms.closes

    def pending(self, terms: Plan) -> Logged[Extension] | None:
        """Return the newest extension while fewer than q auditors have granted it."""
        newest = self.extensions[-1] if self.extensions else None
        return newest if newest and len(self.extended.get(newest.digest, {})) < terms.quorum else None

    @property
    def is_withdrawn(self) -> bool:
        """Whether the release must not be used any more."""
        return any(row.statement.status == "withdrawn" for row in self.corrections)

    @property
    def standing(self) -> str:
        """How a release is to be read: ``valid``, ``corrected`` or ``withdrawn``."""
        if self.is_withdrawn:
            return "withdrawn"
        return "corrected" if self.corrections else "valid"

    def corrections_as_values(self) -> list[dict[str, object]]:
        """Give the corrections as JSON values, oldest first."""
        return [
            {
                "correction": row.digest.hex(),
                "status": row.statement.status,
                "tables": list(row.statement.tables),
                "successor": "" if row.statement.successor == ZERO_DIGEST else row.statement.successor.hex(),
                "reason": row.statement.reason,
            }
            for row in self.corrections
        ]

    def end_by(self, cancel: Logged[Cancel]) -> None:
        """Take the county's end of the round."""
        self.cancel = cancel
