"""Numbered checks of the audit commands: each comes out PASS, FAIL or SKIPPED, and all of them are shown.

A check that could not be made is SKIPPED and never PASS. What comes out at the end is PASS if no check failed
and at least one passed; a check without which the others prove nothing fails where it cannot be made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from crypto.errors import CryptoError
from node.errors import NodeError
from plan.errors import PlanError
from privacy.errors import PrivacyError
from protos.errors import ProtocolError

PASS, FAIL, SKIPPED = "PASS", "FAIL", "SKIPPED"


class AuditError(NodeError):
    """A trial could not be set up, or what it was given is not what it needs."""

    CODE = "audit"


class SkippedError(Exception):
    """An input of a check is missing because an earlier one failed; its text is a code for `note`."""


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """One numbered check; `note` is a stable code or a number that a person may want, never a value."""

    number: int
    name: str
    result: str
    note: str = ""


@dataclass(slots=True)
class CheckList:
    """Gathers the checks of one trial in their order."""

    checks: list[AuditCheck] = field(default_factory=list)

    def run(self, name: str, check: Callable[[], str | bool]) -> bool:
        """Make one check.

        Args:
            name: its stable name.
            check: gives True or a note where it passes, False where it fails; an error of ours fails too.
        """
        try:
            found = check()
            result, note = (PASS if found is not False else FAIL), found if isinstance(found, str) else ""
        except SkippedError as err:
            result, note = SKIPPED, str(err)
        except NodeError as err:
            result, note = FAIL, err.code
        except (CryptoError, ProtocolError, PlanError, PrivacyError, KeyError, ValueError) as err:
            result, note = FAIL, type(err).__name__
        self.checks.append(AuditCheck(len(self.checks) + 1, name, result, note))
        return result == PASS

    def skip(self, names: Sequence[str], note: str) -> None:
        """Note checks that cannot be made any more."""
        self.checks += [
            AuditCheck(len(self.checks) + place, name, SKIPPED, note) for place, name in enumerate(names, 1)
        ]

    @property
    def outcome(self) -> str:
        """Sum up: FAIL if one failed, SKIPPED if nothing was checked, else PASS."""
        results = {check.result for check in self.checks}
        if FAIL in results:
            return FAIL
        return PASS if PASS in results else SKIPPED

    def values(self) -> list[dict[str, Any]]:
        """Give the checks as JSON values."""
        return [
            {"number": row.number, "name": row.name, "result": row.result, "note": row.note}
            for row in self.checks
        ]
