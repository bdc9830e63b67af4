"""One example of each statement type, for tests and for the vectors of statements."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

from protos.statements import (
    Abandon,
    Agreement,
    Approval,
    BodyRef,
    Cancel,
    Candidates,
    Checked,
    Close,
    Correction,
    Extended,
    Extension,
    Opening,
    Plan,
    Release,
    Replayed,
    Report,
    Revoke,
    Roster,
    Statement,
)

D1, D2, D3 = (bytes([value]) * 32 for value in (0x11, 0x22, 0x33))
BODY = BodyRef(D3, 77)
OPENS = datetime(2026, 9, 1, tzinfo=UTC)

EXAMPLES: dict[str, Statement] = {
    "roster": Roster("county-1", 2, D1, "production", 3, BODY),
    "revoke": Revoke("county-1", D1, "node", "s01", "school-closed"),
    "plan": Plan(
        federation="county-1",
        serial=1,
        roster=D1,
        auditors=("a1", "a2", "a3", "a4"),
        threshold=3,
        collude=1,
        quorum=3,
        min_reports=10,
        colluding_schools=1,
        min_group=5,
        rho=Fraction(1, 5),
        opens=OPENS,
        closes=OPENS + timedelta(days=30),
        cells=652,
        noise=(("A1", 64, 14000, D1), ("A6", 64, 400000, D2)),
        body=BODY,
    ),
    "approval": Approval("county-1", D1, D2, "a1", bytes(16), bytes(1216), D3, D1),
    "report": Report(
        federation="county-1",
        round=D1,
        roster=D2,
        approvals=D3,
        node="s01",
        attempt=0,
        cells=652,
        vector=D1,
        seeds=((3, D1), (5, D2)),
        boxes=(("a1", D1), ("a2", D2)),
        input=D3,
        software=D1,
        confinement="L3",
        previous=bytes(32),
        size=10144,
    ),
    "candidates": Candidates("county-1", D1, 40, BODY),
    "checked": Checked("county-1", D1, "a1", D2, BODY),
    "close": Close("county-1", D1, D2, (("a1", D1), ("a2", D2)), 0, 12, BODY),
    "agreement": Agreement("county-1", D1, "a1", D2),
    "abandon": Abandon("county-1", D1, "a1", bytes(32), "too-few-reports"),
    "opening": Opening("county-1", D1, "a1", D2, D3, ((3, D1), (5, D2))),
    "release": Release(
        "county-1", D1, D2, "ok", 2, 12, 0, Fraction(1, 5), (("a1", D1),), (("a1", D1), ("a2", D3)), BODY
    ),
    "replayed": Replayed("county-1", D1, "a1", "s01", D2, "PASS", "L3"),
    "extension": Extension("county-1", D1, 1, OPENS + timedelta(days=37), "schools-missing"),
    "extended": Extended("county-1", D1, "a1", D2),
    "cancel": Cancel("county-1", D1, bytes(32), D3, "reissued"),
    "correction": Correction(
        "county-1", D1, D2, bytes(32), "corrected", ("A1", "A6"), D3, "school-miscounted"
    ),
}
