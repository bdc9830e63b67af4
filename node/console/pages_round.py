"""One round: what would leave, the sheet for signature, the principal's decision, sending and receipts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Final

from node.console.pages_day import progress
from node.console.pages_enter import prove
from node.console.sessions import PRINCIPAL, PSYCHOLOGIST
from node.console.steps import Progress
from node.console.visit import Download, Page, Redirect, Reply, Visit
from node.errors import NodeError, VaultRefusal
from node.errors import _ as N_  # translated where it is shown

APPROVE, HOLD, DECLINE = "approve", "hold", "decline"
DECISIONS: Final = (APPROVE, HOLD, DECLINE)
SEES_COUNTS: Final = (PSYCHOLOGIST, PRINCIPAL)
MAX_COLUMNS: Final = 12

Values = Mapping[str, Any]
Labels = Mapping[str, Mapping[str, str]]
Row = tuple[tuple[tuple[str, str], ...], tuple[int | None, ...]]


@dataclass(frozen=True, slots=True)
class Grid:
    """A table of a report, laid out for a page: its last dimension across, if that is narrow enough.

    Attributes:
        heads: the dimensions that go down.
        across: the dimension that goes across; "" for none.
        columns: its codes with labels, or one column without a name.
        rows: for each the codes with labels, then a number (None: hidden, or no such cell) for each column.
    """

    table: Values
    heads: tuple[str, ...]
    across: str
    columns: tuple[tuple[str, str], ...]
    rows: tuple[Row, ...]

    @property
    def some(self) -> list[Row]:
        """The rows in which some number is not 0, or hidden."""
        return [row for row in self.rows if any(number != 0 for number in row[1])]

    @property
    def zeros(self) -> list[Row]:
        """The rows in which every number is 0; they leave like all others."""
        return [row for row in self.rows if all(number == 0 for number in row[1])]

    @property
    def total(self) -> int | None:
        """The sum of all numbers; None where they are hidden."""
        counts = [number for _keys, numbers in self.rows for number in numbers]
        return None if any(number is None for number in counts) else sum(filter(None, counts))


def check(visit: Visit) -> Reply:
    """Show every number that would leave, and what is added to it."""
    found = find(visit)
    try:
        answer = _preview(visit, found)
    except NodeError as err:
        return _refused(found, "check", err)
    grids = [lay_out(table) for table in answer["tables"]]
    if not answer["hidden"]:
        visit.session.checked.add((found.round["round"], answer["records"]))
        found = find(visit)
    return Page("check.html", {"row": found, "answer": answer, "grids": grids, "about": _about(answer)})


def sheet(visit: Visit) -> Reply:
    """Show the sheet for signature: one page of A4, without any count."""
    found = find(visit)
    try:
        answer = _without_counts(_preview(visit, found))
    except NodeError as err:
        return _refused(found, "sheet", err)
    school = visit.ask("identity")
    now = datetime.now(UTC).isoformat()
    values = {"row": found, "answer": answer, "school": school, "share": _shares(answer), "now": now}
    return Page("sheet.html", {**values, "about": _about(answer)})


def sign_form(visit: Visit) -> Reply:
    """Show what the principal decides about; others see who has to come."""
    found = find(visit)
    try:
        answer = _without_counts(_preview(visit, found))
    except NodeError as err:
        return _refused(found, "sign", err)
    about = _about(answer)
    values = {"row": found, "answer": answer, "share": _shares(answer), "about": about}
    choices = choices_of(answer, found.decision) if found.is_open else ()
    return Page("sign.html", {**values, "choices": choices, "typed": visit.typed(_form_name(found))})


def sign(visit: Visit) -> Reply:
    """Take the principal's decision, under the passphrase given with it."""
    found, person = find(visit), visit.session.person
    round_id, decision, reason = found.round["round"], visit.text("decision"), visit.text("reason")
    back = Redirect(f"/round/{round_id}/sign")
    if not found.is_open:
        visit.say("bad", N_("this round takes no decision any more"), N_("Nothing was changed or sent."))
        return back
    visit.keep_typed(_form_name(found))
    if person is None or decision not in DECISIONS:
        visit.say("bad", N_("no decision was chosen"), N_("Choose one of those that are offered."))
        return back
    try:
        actor = prove(visit, person.role, person.name, visit.texts.get("passphrase", ""))
        asks = {"round": round_id, "decision": decision, "reason": reason, "actor": actor}
        asks |= {"records": visit.text("records")} if decision == APPROVE else {}
        answer = visit.ask("decide", **{name: value for name, value in asks.items() if value != ""})
    except NodeError as err:
        visit.say_refused(err)
        return back
    visit.typed(_form_name(found))
    visit.say("good", _SAID[decision] if answer.get("is_new", 1) else _SAID_BEFORE)
    return Redirect(f"/round/{round_id}/send" if decision == APPROVE else "/")


def send(visit: Visit) -> Reply:
    """Show how sending goes, and which receipts are there."""
    status = visit.ask("status")
    found, held = _find(visit, progress(status, visit.session.checked)), bool(status.get("held"))
    waits = any(row["report"]["state"] == "waiting" for row in status["rounds"])
    return Page("send.html", {"row": found, "held": held, "may_hold": held or waits})


def hold(visit: Visit) -> Reply:
    """Hold sending back, or let it go on; what the principal held back, only the principal's approval does.

    Raises:
        VaultRefusal: somebody else would lift the principal's hold.
    """
    is_on = visit.text("on") == "1"
    if is_on and visit.text("sure") != "yes":
        visit.say("bad", N_("nothing was held back"), N_("Tick the box to hold sending back."))
        return Redirect(f"/round/{visit.path['round']}/send")
    rows = [] if is_on or visit.role == PRINCIPAL else visit.ask("rounds")["rounds"]
    if any((row.get("decision") or {}).get("decision") == HOLD for row in rows):
        raise VaultRefusal(
            N_("the principal has held this back"),
            N_("It goes on when the principal approves."),
            code="held-by-principal",
        )
    visit.ask("hold", on=int(is_on))
    visit.say("good", N_("Sending is held; nothing leaves.") if is_on else N_("Sending goes on."))
    return Redirect(f"/round/{visit.path['round']}/send")


def receipt(visit: Visit) -> Reply:
    """Give the proof that the report stands in the log."""
    found = find(visit)
    round_id = found.round["round"]
    _answer, blobs = visit.console.keeper.call({"command": "receipt", "round": round_id})
    return Download(f"{round_id[:16]}.tlog-proof", blobs["receipt"], "text/plain; charset=utf-8")


def find(visit: Visit) -> Progress:
    """Find the round that the path names.

    Raises:
        VaultRefusal: there is none.
    """
    return _find(visit, progress(visit.ask("status"), visit.session.checked))


def choices_of(answer: Values, decision: Values) -> tuple[str, ...]:
    """Say what can still be decided of a round, from a preview and the newest decision.

    A closed round takes nothing. A released report is not released a second time from the same records,
    unless a hold is to be lifted; what is in the log cannot be held back or declined.
    """
    if answer["is_over"]:
        return ()
    released = answer["released"]
    if not released:
        return DECISIONS
    is_waiting, is_held = released["state"] == "waiting", decision.get("decision") == HOLD
    has_changed = released["records"] != answer["records"]
    found = [APPROVE] if has_changed or (is_waiting and is_held) else []
    return (*found, HOLD) if is_waiting and not is_held else tuple(found)


def lay_out(table: Values) -> Grid:
    """Lay a table of a preview out for a page."""
    dims, labels = tuple(table["dims"]), table.get("labels", {})
    across = dims[-1] if len(dims) > 1 else ""
    codes = list(dict.fromkeys(cell["keys"][across] for cell in table["cells"])) if across else [""]
    if len(codes) > MAX_COLUMNS:
        across, codes = "", [""]
    heads = tuple(name for name in dims if name != across)
    found: dict[tuple[str, ...], dict[str, int | None]] = {}
    for cell in table["cells"]:
        keys = tuple(cell["keys"][name] for name in heads)
        found.setdefault(keys, {})[cell["keys"].get(across, "")] = cell.get("count")
    rows = tuple(
        (
            tuple(_labelled(labels, name, code) for name, code in zip(heads, keys, strict=True)),
            tuple(numbers.get(code) for code in codes),
        )
        for keys, numbers in found.items()
    )
    return Grid(table, heads, across, tuple(_labelled(labels, across, code) for code in codes), rows)


_SAID: Final[Mapping[str, str]] = {
    APPROVE: N_("Approved and released. The node sends it by itself."),
    HOLD: N_("Held back: nothing leaves until the principal approves."),
    DECLINE: N_("Declined: this school does not take part in this round."),
}
_SAID_BEFORE: Final = N_("These records were released before; nothing new was made.")


def _labelled(labels: Labels, name: str, code: str) -> tuple[str, str]:
    return code, labels.get(name, {}).get(code, code)


def _find(visit: Visit, rows: list[Progress]) -> Progress:
    for row in rows:
        if row.round["round"] == visit.path["round"]:
            return row
    raise VaultRefusal(
        N_("there is no such round in this node's copy of the log"),
        N_("Go back to the first page and choose a round there."),
        code="which-round",
    )


def _preview(visit: Visit, found: Progress) -> dict[str, Any]:
    """Ask for what would leave; exact counts for nobody but the two roles, whatever the vault says."""
    answer = visit.ask("preview", round=found.round["round"], **visit.session.actor)
    return answer if visit.role in SEES_COUNTS and not answer.get("hidden") else _without_counts(answer)


def _refused(found: Progress, step: str, err: NodeError) -> Page:
    """Show a round whose numbers the vault does not show now, with the reason and what was decided."""
    values = {
        "row": found,
        "step": step,
        "message": err.message,
        "advice": err.advice,
        "details": err.details,
    }
    return Page("round_refused.html", {**values, "code": err.code}, 409)


def _without_counts(answer: Values) -> dict[str, Any]:
    tables = [
        {**table, "cells": [{"keys": cell["keys"]} for cell in table["cells"]]} for table in answer["tables"]
    ]
    return {**answer, "tables": tables, "hidden": 1}


def _about(answer: Values) -> dict[str, Any]:
    """Say which records a page is about: those that were released, if any were."""
    released = answer["released"]
    records = released["records"] if released and released["records"] else answer["records"]
    return {"records": records, "has_changed": records != answer["records"], "released": released}


def _form_name(found: Progress) -> str:
    return f"sign/{found.round['round']}"


def _shares(answer: Values) -> dict[str, float]:
    """Give how much of the school year's account is spent before and after, in percent."""
    account = answer["account"]
    cap = Fraction(account["cap"])
    return {
        name: float(100 * Fraction(account[name]) / cap) if cap else 100.0 for name in ("before", "after")
    }
