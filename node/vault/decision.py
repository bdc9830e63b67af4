"""What the principal decides of a round: approve, hold back, decline; with name, reason and signature.

1. ``approve`` is the release itself: the round is checked first, the decision is signed and stored, then the
   report is made (`node.vault.release`). A crash in between is finished by approving again. It lifts a hold
   that a decision set.
2. ``hold`` keeps back whatever was not sent yet, of every round: reports go out one after the other.
3. ``decline`` says that this school does not take part. It is refused once a report is in the log or on its
   way (hold it back first); a later approval replaces it.

Once the county has closed the collection there is nothing to approve any more.

The text that is signed holds round, records' digest and cost, so a decision is about exactly what was shown.
It stays in this store and in the journal; nothing of it is sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from node.vault.check_round import check_round, find_round
from node.vault.errors import AttemptError, CommandError, RecordsError, _
from node.vault.journal import TIME_FORMAT, JournalRecord
from node.vault.parts import Parts
from node.vault.release import Released, release_round
from node.vault.reports import ReportState, StoredReport, reports_of, state_of
from node.vault.roles import Unlocked, signing_key
from node.vault.run_desk import HOLD_SETTING
from node.vault.store import VaultStore
from node.vault.tabulate import count_round
from protos.round_log import RoundLog

APPROVE: Final = "approve"
HOLD: Final = "hold"
DECLINE: Final = "decline"
DECISIONS: Final = (APPROVE, HOLD, DECLINE)
DOMAIN: Final = "fedscreen/release-decision/v1"
HELD_BY_SETTING: Final = "hold-by"
MAX_REASON: Final = 300


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision as it is stored.

    Attributes:
        text: what was signed, lines of text.
        signature: the principal's signature line (c2sp.org/signed-note).
    """

    round_id: bytes
    seq: int
    decision: str
    by: str
    reason: str
    decided: str
    records: str
    text: str
    signature: str

    def as_json(self) -> dict[str, str | int]:
        """Give what people see of it."""
        return {"decision": self.decision, "by": self.by, "reason": self.reason, "time": self.decided}


def latest_decision(store: VaultStore, round_id: bytes) -> Decision | None:
    """Give the newest decision about a round; None before the first."""
    row = store.one(
        "SELECT round, seq, decision, by, reason, decided, records, text, signature FROM decision"
        " WHERE round = ? ORDER BY seq DESC LIMIT 1",
        (round_id,),
    )
    return None if row is None else Decision(bytes(row[0]), *row[1:])


def approve(
    parts: Parts, round_id: bytes, principal: Unlocked, reason: str = "", *, records: str = ""
) -> Released:
    """Approve and release a round.

    Args:
        principal: the unlocked principal.
        reason: one line; may be empty.
        records: digest (hex) of the records that the person saw; empty for any.

    Raises:
        VaultError: as of a release; nothing leaves.
    """
    _check_reason(reason, is_needed=False)
    checked = check_round(parts, round_id)
    if is_over(checked.round_log):
        raise AttemptError(
            _("the county has closed the collection of this round"),
            _("Nothing can be added any more; it counts from the next round on."),
            code="too-late",
        )
    found = count_round(parts.store, checked.published, checked.attributes).record_set.digest.hex()
    if records and records != found:
        raise RecordsError(
            _("the records have changed since the preview"),
            _("Look at the preview again before you release."),
            code="records-changed",
        )
    last = latest_decision(parts.store, round_id)
    if last is None or (last.decision, last.by, last.records) != (APPROVE, principal.name, found):
        _store(parts, round_id, APPROVE, principal, reason, found)
    _lift_own_hold(parts.store)
    return release_round(parts, round_id, principal.name, records=found)


def is_over(round_log: RoundLog) -> bool:
    """Say whether the county has closed a round's collection: then no decision changes anything."""
    return round_log.candidates is not None or round_log.is_dead


def hold_back(parts: Parts, round_id: bytes, principal: Unlocked, reason: str) -> None:
    """Hold back what was not sent yet.

    Raises:
        VaultError: no such round, or no reason.
    """
    _check_reason(reason, is_needed=True)
    find_round(parts.mirror, round_id)
    _store(parts, round_id, HOLD, principal, reason, "")


def decline(parts: Parts, round_id: bytes, principal: Unlocked, reason: str) -> None:
    """Decline a round.

    Raises:
        VaultError: no such round, no reason, or a report is in the log or on its way.
    """
    _check_reason(reason, is_needed=True)
    find_round(parts.mirror, round_id)
    node = parts.identity.node
    states = (state_of(parts.mirror, row, node) for row in reports_of(parts.store, round_id))
    if any(state is not ReportState.DEAD for state in states):
        raise AttemptError(
            _("a report of this round was released already"),
            _("What was not sent yet can be held back; what the county has cannot be taken back."),
            code="already-released",
        )
    _store(parts, round_id, DECLINE, principal, reason, "")


def is_signed(store: VaultStore, report: StoredReport) -> bool:
    """Say whether a principal signed a report's release; without the role its name is as it was typed.

    Signed are the records of the report; where these are forgotten, an earlier approval of the same name.
    """
    found = store.one(
        "SELECT 1 FROM decision WHERE round = ? AND decision = ? AND ((by = ? AND decided <= ?)"
        " OR records = (SELECT lower(hex(digest)) FROM record_set WHERE set_id = ?)) LIMIT 1",
        (report.round_id, APPROVE, report.released_by, report.released, report.set_id),
    )
    return found is not None


def describe(store: VaultStore, round_id: bytes) -> dict[str, Any]:
    """Give the newest decision as JSON values; empty before the first."""
    found = latest_decision(store, round_id)
    return {} if found is None else found.as_json()


def _store(
    parts: Parts, round_id: bytes, decision: str, principal: Unlocked, reason: str, records: str
) -> None:
    now = parts.clock.now()
    text = _text(parts, round_id, decision, principal.name, reason, records, now)
    signature = signing_key(parts.identity.federation, parts.identity.node, principal).sign(text)
    with parts.store.transaction("decision"):
        row = parts.store.one("SELECT COUNT(*) FROM decision WHERE round = ?", (round_id,))
        parts.store.execute(
            "INSERT INTO decision (round, seq, decision, by, reason, decided, records, text, signature)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(round_id, int(row[0]) if row else 0, decision, principal.name, reason),
                *(now.strftime(TIME_FORMAT), records, text, signature),
            ),
        )
        if decision == HOLD:
            parts.store.put_setting(HOLD_SETTING, b"1")
            parts.store.put_setting(HELD_BY_SETTING, b"decision")
        data = {"text": text, "signature": signature}
        parts.journal.append(JournalRecord(now, principal.name, decision, round_id.hex(), "ok", data))


def _text(
    parts: Parts, round_id: bytes, decision: str, by: str, reason: str, records: str, now: datetime
) -> str:
    rho = parts.published.read(find_round(parts.mirror, round_id)).rho
    lines = (
        DOMAIN,
        f"federation {parts.identity.federation}",
        f"node {parts.identity.node}",
        f"round {round_id.hex()}",
        f"decision {decision}",
        f"records {records or '-'}",
        f"rho {rho}",
        f"time {now.strftime(TIME_FORMAT)}",
        f"by {by}",
        f"reason {reason or '-'}",
    )
    return "".join(f"{line}\n" for line in lines)


def _lift_own_hold(store: VaultStore) -> None:
    if store.setting(HELD_BY_SETTING) == b"decision":
        with store.transaction("hold"):
            store.put_setting(HOLD_SETTING, b"0")
            store.put_setting(HELD_BY_SETTING, b"")


def _check_reason(reason: str, *, is_needed: bool) -> None:
    if (
        len(reason) > MAX_REASON
        or (reason and not reason.isprintable())
        or (is_needed and not reason.strip())
    ):
        raise CommandError(
            _("a decision needs a reason of one line, at most %(high)d characters"),
            _("Say why in a few words."),
            code="no-reason",
            details={"high": MAX_REASON},
        )
