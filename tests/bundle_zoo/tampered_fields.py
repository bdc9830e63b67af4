"""One field of a statement changed and signed by who should have signed it."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

from bundle_zoo import stories
from bundle_zoo.forge import History
from bundle_zoo.tampering import ALL_TYPES, OTHER, change_fields, history, raw_edit, set_fields


def _fields() -> None:
    for kind in ALL_TYPES:
        history(
            f"{kind}: another federation",
            "entries",
            set_fields(kind, 1 if kind == "roster" else 0, federation="county-2"),
        )
    for kind in ALL_TYPES[2:]:
        history(f"{kind}: another round", "entries", raw_edit(kind, "round", OTHER.hex()))
    entries: dict[str, Callable[[History], None]] = {
        "roster: wrong serial": set_fields("roster", 1, serial=3),
        "roster: wrong predecessor": raw_edit("roster", "previous", OTHER.hex(), 1),
        "roster: another kind": set_fields("roster", 1, kind="production"),
        "roster: quorum of one": set_fields("roster", 1, quorum=1),
        "roster: quorum above the auditors": set_fields("roster", 1, quorum=7),
        "plan: wrong serial": set_fields("plan", serial=2),
        "plan: another roster": raw_edit("plan", "roster", OTHER.hex()),
        "plan: threshold of one": set_fields("plan", threshold=1),
        "plan: collusion ignored": set_fields("plan", collude=0),
        "plan: quorum of two": set_fields("plan", quorum=2),
        "plan: three auditors": change_fields("plan", lambda plan: {"auditors": plan.auditors[:3]}),
        "plan: auditors in another order": change_fields(
            "plan", lambda plan: {"auditors": plan.auditors[::-1]}
        ),
        "plan: an auditor twice": change_fields(
            "plan", lambda plan: {"auditors": (*plan.auditors[:3], plan.auditors[0])}
        ),
        "plan: a stranger as auditor": change_fields(
            "plan", lambda plan: {"auditors": (*plan.auditors[:3], "a9")}
        ),
        "plan: four reports are enough": set_fields("plan", min_reports=4),
        "plan: nobody colludes": set_fields("plan", colluding_schools=0),
        "plan: no group": set_fields("plan", min_group=0),
        "plan: closes before it opens": change_fields("plan", lambda plan: {"closes": plan.opens}),
        "plan: no cost": set_fields("plan", rho=Fraction(0)),
        "plan: a table twice": change_fields("plan", lambda plan: {"noise": (plan.noise[0], plan.noise[0])}),
        "plan: a ladder without steps": set_fields("plan", tiers=(5,)),
        "plan: other cells": change_fields("plan", lambda plan: {"cells": plan.cells + 1}),
        "approval: another roster": raw_edit("approval", "roster", OTHER.hex()),
        "approval: by a stranger": set_fields("approval", auditor="a9"),
        "approval: in another's name": set_fields("approval", auditor="a2"),
        "approval: another draw": raw_edit("approval", "draw", OTHER.hex()),
        "report: another roster": raw_edit("report", "roster", OTHER.hex()),
        "report: other approvals": raw_edit("report", "approvals", OTHER.hex()),
        "report: by a stranger": set_fields("report", node="s9"),
        "report: in another's name": set_fields("report", node="s2"),
        "report: begins with attempt 1": set_fields("report", attempt=1),
        "report: other cells": change_fields("report", lambda row: {"cells": row.cells + 1}),
        "report: another size": change_fields("report", lambda row: {"size": row.size + 8}),
        "report: a seed less": change_fields("report", lambda row: {"seeds": row.seeds[1:]}),
        "report: seeds in another order": change_fields("report", lambda row: {"seeds": row.seeds[::-1]}),
        "report: a box less": change_fields("report", lambda row: {"boxes": row.boxes[1:]}),
        "report: boxes in another order": change_fields("report", lambda row: {"boxes": row.boxes[::-1]}),
        "report: another previous": raw_edit("report", "previous", OTHER.hex()),
        "checked: other candidates": raw_edit("checked", "candidates", OTHER.hex()),
        "checked: by a stranger": set_fields("checked", auditor="a9"),
        "close: other candidates": raw_edit("close", "candidates", OTHER.hex()),
        "close: another tier": set_fields("close", tier=1),
        "close: another number": set_fields("close", reports=7),
        "close: two checks": change_fields("close", lambda row: {"checked": row.checked[:2]}),
        "close: a check twice": change_fields(
            "close", lambda row: {"checked": (row.checked[0], *row.checked)}
        ),
        "close: checks in another order": change_fields("close", lambda row: {"checked": row.checked[::-1]}),
        "close: a check that is not there": change_fields(
            "close", lambda row: {"checked": (*row.checked[:3], ("a4", OTHER))}
        ),
        "agreement: to another close": raw_edit("agreement", "close", OTHER.hex()),
        "agreement: in another's name": set_fields("agreement", auditor="a2"),
        "opening: of another close": raw_edit("opening", "close", OTHER.hex()),
        "opening: another draw": raw_edit("opening", "draw", OTHER.hex()),
        "opening: a sum less": change_fields("opening", lambda row: {"sums": row.sums[1:]}),
        "opening: sums of another auditor": change_fields(
            "opening", lambda row: {"sums": tuple((15 - s, d) for s, d in row.sums)}
        ),
        "opening: another sum": change_fields(
            "opening", lambda row: {"sums": ((row.sums[0][0], OTHER), *row.sums[1:])}
        ),
        "release: of another close": raw_edit("release", "close", OTHER.hex()),
        "release: a smaller rho": set_fields("release", rho=Fraction(1, 20)),
        "release: more replicas": set_fields("release", replicas=4),
        "release: fewer replicas": set_fields("release", replicas=1),
        "release: a report more": set_fields("release", reports_in=7),
        "release: a report less": set_fields("release", reports_in=5),
        "release: reports out that never were": set_fields("release", reports_out=3),
        "release: two agreements": change_fields("release", lambda row: {"agreements": row.agreements[:2]}),
        "release: two openings": change_fields("release", lambda row: {"openings": row.openings[:2]}),
        "release: an opening twice": change_fields(
            "release", lambda row: {"openings": (row.openings[0], *row.openings)}
        ),
        "release: an opening that is not there": change_fields(
            "release", lambda row: {"openings": (*row.openings[:3], ("a4", OTHER))}
        ),
        "release: an agreement that is not there": change_fields(
            "release", lambda row: {"agreements": (*row.agreements[:3], ("a4", OTHER))}
        ),
        "release: corrupt with numbers": set_fields("release", status="corrupt"),
    }
    for name, change in entries.items():
        history(name, "entries", change)
    plans: dict[str, Callable[[History], None]] = {
        "plan: cheaper than it is": set_fields("plan", rho=Fraction(1, 20)),
        "plan: another table's noise": change_fields(
            "plan", lambda plan: {"noise": tuple((t, s, 1, d) for t, s, _, d in plan.noise)}
        ),
        "plan: other thresholds": change_fields(
            "plan", lambda plan: {"noise": tuple((t, s, v, OTHER) for t, s, v, _ in plan.noise)}
        ),
        "plan: one table's noise only": change_fields("plan", lambda plan: {"noise": plan.noise[:1]}),
    }
    for name, change in plans.items():
        history(name, "plans", change, kind="public", story=stories.planned)
    history("plan: less noise, and everything follows", "entries", plans["plan: another table's noise"])


_fields()
