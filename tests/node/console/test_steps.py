"""Where a round stands at a school: a table of cases."""

from __future__ import annotations

from typing import Any

import pytest

from node.console.steps import order, progress_of

RECORDS = [{"school_year": "2026-2027", "wave": "A", "num_records": 5}]
OTHER = [{"school_year": "2026-2027", "wave": "S", "num_records": 5}]
NONE: dict[str, Any] = {"state": "none"}


def row(state: str = "collecting", *, report: dict[str, Any] = NONE, **changes: Any) -> dict[str, Any]:
    values = {"round": "ab", "state": state, "is_member": 1, "school_year": "2026-2027", "wave": "A"}
    return {**values, "report": report, "decision": {}, **changes}


def report(state: str, *receipts: str) -> dict[str, Any]:
    return {"state": state, "receipts": list(receipts)}


COSIGNED = report("cosigned", "immediate", "cosigned")
CASES = {
    "nothing-imported": (row(), [], False, "now later later later", "import"),
    "another-wave-imported": (row(), OTHER, False, "now later later later", "import"),
    "imported": (row(), RECORDS, False, "done now now later", "check"),
    "approved-plan": (row("approved"), RECORDS, False, "done now now later", "check"),
    "declined": (row(decision={"decision": "decline"}), RECORDS, False, "done done stopped later", ""),
    "held": (row(decision={"decision": "hold"}), RECORDS, True, "done done stopped later", ""),
    "held-before-import": (row(decision={"decision": "hold"}), [], True, "later done stopped later", ""),
    "released": (row(report=report("waiting")), RECORDS, False, "done done done now", "send"),
    "released-and-held": (row(report=report("waiting")), RECORDS, True, "done done done stopped", ""),
    "logged": (row(report=report("logged", "immediate")), RECORDS, True, "done done done now", "send"),
    "cosigned": (
        row(report=report("cosigned", "immediate", "cosigned")),
        [],
        False,
        "done done done done",
        "",
    ),
    "in-the-sum": (row("released", report=report("released")), [], False, "done done done done", ""),
    "lost-with-the-computer": (row(report=report("lost")), [], False, "done done done done", ""),
    "round-died": (row("aborted", report=report("dead")), [], False, "done done done missed", ""),
    "over": (row("released"), [], False, "missed missed missed missed", ""),
    "over-with-records": (row("checking"), RECORDS, False, "done missed missed missed", ""),
    "not-approved-yet": (row("draft"), RECORDS, False, "done later later later", ""),
    "not-on-the-roster": (row(is_member=0), RECORDS, False, "done later later later", ""),
}


@pytest.mark.parametrize("name", CASES)
def test_steps_of_a_round(name: str) -> None:
    values, records, is_held, states, due = CASES[name]
    found = progress_of(values, records, is_held=is_held)
    assert " ".join(step.state for step in found.steps) == states
    assert found.next == due


@pytest.mark.parametrize(
    ("name", "roles"),
    [
        ("nothing-imported", {"it", "psychologist"}),
        ("imported", {"psychologist", "principal"}),
        ("released", {"it"}),
        ("cosigned", set()),
    ],
)
def test_whose_step_is_due(name: str, roles: set[str]) -> None:
    values, records, is_held, _states, _due = CASES[name]
    found = progress_of(values, records, is_held=is_held)
    assert {role for role in ("it", "psychologist", "principal", "") if found.is_mine(role)} == roles


def test_what_is_due_comes_first() -> None:
    rows = [
        progress_of({**CASES[name][0], "round": name}, CASES[name][1], is_held=False)
        for name in ("over", "cosigned", "imported", "declined", "nothing-imported")
    ]
    assert [found.round["round"] for found in order(rows)] == [
        "imported",
        "nothing-imported",
        "cosigned",
        "declined",
        "over",
    ]
