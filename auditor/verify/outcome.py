"""What a verification says: numbered checks, each PASS, FAIL or SKIPPED, and one exit code.

| exit code | meaning |
| --- | --- |
| 0 | every check passed |
| 1 | at least one check failed |
| 2 | nothing failed, but something was skipped, missing, or no policy was given |

A check that did not look at anything is SKIPPED, never PASS. The numbers are fixed (`NUMBERS`): documents,
tests and the second verifier name checks by them, and a new check gets a new number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from auditor.errors import AuditorError
from crypto.errors import CryptoError
from plan.errors import Phrase, PhrasedError, PlanError, phrase_of
from privacy.errors import PrivacyError
from protos.errors import ProtocolError
from results.errors import ResultsError

NAMES = (
    *("manifest", "policy", "checkpoint", "tree", "bodies", "genesis", "entries", "rosters"),
    *("plans", "approvals", "reports", "receipts", "candidates", "checked", "close", "votes", "openings"),
    *("changes", "vectors", "sums", "arithmetic", "noise", "rho", "account", "results"),
    *("canonical", "replays", "head"),
)
NUMBERS = {name: number for number, name in enumerate(NAMES, start=1)}
"""Check → its number, which never moves (docs/verification.md)."""

EXIT_PASS = 0
EXIT_FAIL = 1
EXIT_INCOMPLETE = 2


class Outcome(Enum):
    """How one check came out."""

    PASS = "PASS"  # noqa: S105
    FAIL = "FAIL"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True, slots=True)
class Check:
    """One numbered check: a stable English name, how it came out, and what was looked at or found."""

    number: int
    name: str
    outcome: Outcome
    phrase: Phrase

    @property
    def detail(self) -> str:
        """What was looked at or found, in English."""
        return str(self.phrase)


class CheckFailed(PhrasedError):
    """A check's condition does not hold; the message says where."""


class CheckSkipped(PhrasedError):
    """A check cannot be made: something is missing, or an earlier failure took its ground away."""


_FAILURES = (CheckFailed, AuditorError, CryptoError, PlanError, PrivacyError, ProtocolError, ResultsError)


class Verdict:
    """Collects checks, in the order in which they run."""

    def __init__(self, numbers: Mapping[str, int] = NUMBERS) -> None:
        self.checks: list[Check] = []
        self._numbers = numbers

    def run(self, name: str, check: Callable[[], Phrase]) -> bool:
        """Run one check; it returns what it looked at, or raises. Returns whether it passed."""
        try:
            outcome, found = Outcome.PASS, check()
        except CheckSkipped as err:
            outcome, found = Outcome.SKIPPED, err.phrase
        except _FAILURES as err:
            outcome, found = Outcome.FAIL, phrase_of(err if str(err) else type(err).__name__)
        self.checks.append(Check(self._numbers.get(name, 0), name, outcome, found))
        return outcome is Outcome.PASS

    def as_values(self) -> list[dict[str, object]]:
        """Every check as a program reads it, ascending by number."""
        return [
            {"number": row.number, "name": row.name, "outcome": row.outcome.value, "detail": row.detail}
            for row in sorted(self.checks, key=lambda row: row.number)
        ]

    @property
    def exit_code(self) -> int:
        """The process's exit code."""
        found = {check.outcome for check in self.checks}
        if Outcome.FAIL in found:
            return EXIT_FAIL
        return EXIT_PASS if found == {Outcome.PASS} else EXIT_INCOMPLETE

    @property
    def summary(self) -> str:
        """PASS, FAIL or INCOMPLETE."""
        return {EXIT_PASS: "PASS", EXIT_FAIL: "FAIL"}.get(self.exit_code, "INCOMPLETE")
