"""Import, check, signature, sending: where a round stands at this school, and what comes next. Pure.

Rules, for one round:

1. **Import** is done when records of the round's wave are stored. Until then nothing else can begin.
2. **Check** is looking at what would leave. It is done once a holder has looked at these records in this
   session (nobody records it), and behind us once the principal has decided.
3. **Signature** is the principal's decision. Approved: a report was made. Declined or held: told, and it can
   be decided again while the round collects.
4. **Sending** is done when a cosigned receipt is there; a hold stops it.
5. A round that does not collect takes nothing any more: what is not done by then is missed, not due.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

from node.console.sessions import IT, PRINCIPAL, PSYCHOLOGIST

IMPORT, CHECK, SIGN, SEND = "import", "check", "sign", "send"
STEPS: Final = (IMPORT, CHECK, SIGN, SEND)

DONE, NOW, LATER, STOPPED, MISSED = "done", "now", "later", "stopped", "missed"
COLLECTING: Final = ("approved", "collecting")
WHOSE: Final[Mapping[str, tuple[str, ...]]] = {
    IMPORT: (IT, PSYCHOLOGIST),
    CHECK: (PSYCHOLOGIST, PRINCIPAL),
    SIGN: (PRINCIPAL,),
    SEND: (IT,),
}
"""By step: who does it."""

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a round.

    Attributes:
        name: one of `STEPS`.
        state: "done", "now", "later", "stopped" (held or declined) or "missed".
    """

    name: str
    state: str


@dataclass(frozen=True, slots=True)
class Progress:
    """A round with its four steps.

    Attributes:
        round: the round as the vault lists it.
        records: the stored set of its wave; None before an import.
        steps: the four steps in order.
        decision: the principal's newest decision; empty before the first.
        next: the step that is due, or "" for none.
    """

    round: Values
    records: Values | None
    steps: tuple[Step, ...]
    decision: Values
    next: str

    @property
    def is_open(self) -> bool:
        """Whether the round still takes this school's report."""
        return is_collecting(self.round)

    def is_mine(self, role: str) -> bool:
        """Say whether the step that is due is this role's."""
        return self.next != "" and role in WHOSE[self.next]


def is_collecting(row: Values) -> bool:
    """Say whether a round takes a report of this school now."""
    return row["state"] in COLLECTING and bool(row["is_member"])


def progress_of(
    row: Values,
    record_sets: Sequence[Values],
    *,
    is_held: bool,
    checked: Set[tuple[str, str]] = frozenset(),
) -> Progress:
    """Say where a round stands.

    Args:
        row: the round as the vault lists it.
        record_sets: the vault's current sets of records.
        is_held: whether sending is held back.
        checked: rounds with the digest of the records that somebody looked at.
    """
    records = next((found for found in record_sets if _wave(found) == _wave(row)), None)
    decision = row.get("decision") or {}
    states = _states(row, records, decision, is_held=is_held)
    if states[CHECK] == NOW and records is not None and (row["round"], records.get("digest", "")) in checked:
        states[CHECK] = DONE
    steps = tuple(Step(name, states[name]) for name in STEPS)
    due = next((step.name for step in steps if step.state == NOW), "")
    return Progress(row, records, steps, decision, due)


def _states(row: Values, records: Values | None, decision: Values, *, is_held: bool) -> dict[str, str]:
    is_open, has_report = is_collecting(row), row["report"]["state"] != "none"
    if has_report:
        return {IMPORT: DONE, CHECK: DONE, SIGN: DONE, SEND: _sending(row, is_held=is_held)}
    if not is_open:
        is_past = row["state"] not in (*COLLECTING, "draft")
        rest = MISSED if is_past else LATER
        return {IMPORT: DONE if records else rest, CHECK: rest, SIGN: rest, SEND: rest}
    if decision.get("decision") in ("decline", "hold"):
        return {IMPORT: DONE if records else LATER, CHECK: DONE, SIGN: STOPPED, SEND: LATER}
    if records is None:
        return {IMPORT: NOW, CHECK: LATER, SIGN: LATER, SEND: LATER}
    return {IMPORT: DONE, CHECK: NOW, SIGN: NOW, SEND: LATER}


def _sending(row: Values, *, is_held: bool) -> str:
    report = row["report"]
    if "cosigned" in report["receipts"] or report["state"] not in ("waiting", "logged", "cosigned"):
        return MISSED if report["state"] == "dead" else DONE
    return STOPPED if is_held and report["state"] == "waiting" else NOW


def _wave(values: Values) -> tuple[str, str]:
    return values["school_year"], values["wave"]


def order(rows: Sequence[Progress]) -> list[Progress]:
    """Put rounds in the order of the day: what is due first, then what is open, then the newest."""
    return sorted(rows, key=lambda row: (not row.next, not row.is_open))
