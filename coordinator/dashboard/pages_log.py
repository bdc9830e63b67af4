"""The log as anybody may see it: its size and root, who has cosigned, what each auditor still has to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa

from coordinator import status
from coordinator.dashboard.visit import Page, Reply, Visit
from coordinator.log_book import View
from coordinator.schema import cosignatures
from coordinator.witnesses import cosigned_size, lines_at

NUM_ENTRIES: Final = 20
AWAY_DAYS: Final = 3


@dataclass(frozen=True, slots=True)
class Keeper:
    """One auditor.

    Attributes:
        id, operator: who.
        size, seen: the newest checkpoint that it cosigned, and when; 0 and None for none.
        is_away: not heard of for `AWAY_DAYS` days.
        is_revoked: out, for all to read.
        waited_for: what running rounds wait for from it: (plan's serial, reason).
    """

    id: str
    operator: str
    size: int
    seen: datetime | None
    is_away: bool
    is_revoked: bool
    waited_for: tuple[tuple[int, str], ...]


def log(visit: Visit) -> Reply:
    """Show log, cosignatures and auditors."""
    with visit.county.reading() as view:
        if not view.has_genesis:
            return Page("log.html", {"size": 0})
        ledger = view.ledger
        size = cosigned_size(view)
        values = {
            "size": ledger.size,
            "root": ledger.root().hex(),
            "logged": view.logged_at(ledger.size - 1),
            "cosigned_size": size,
            "signers": len(lines_at(view, size)) if size else 0,
            "quorum": ledger.roster.statement.quorum,
            "keepers": tuple(_keepers(view, visit)),
            "entries": tuple(_entries(view)),
            "away_days": AWAY_DAYS,
        }
    return Page("log.html", values)


def _keepers(view: View, visit: Visit) -> list[Keeper]:
    rows = view.connection.execute(
        sa.select(cosignatures.c.auditor, cosignatures.c.size, cosignatures.c.time_s).order_by(
            cosignatures.c.time_s
        )
    )
    newest = {row.auditor: (int(row.size), datetime.fromtimestamp(row.time_s, UTC)) for row in rows}
    waits = _waits(view, visit)
    found = []
    for auditor in view.ledger.roster.body.auditors:
        size, seen = newest.get(auditor.id, (0, None))
        is_away = seen is None or (view.now - seen).days >= AWAY_DAYS
        is_revoked = auditor.id in view.ledger.revoked_auditors
        waited_for = tuple(waits.get(auditor.id, ()))
        found.append(Keeper(auditor.id, auditor.operator, size, seen, is_away, is_revoked, waited_for))
    return found


def _waits(view: View, visit: Visit) -> dict[str, list[tuple[int, str]]]:
    """Gather what every round that is not over waits for, by auditor."""
    found: dict[str, list[tuple[int, str]]] = {}
    for round_log in view.ledger.rounds.values():
        said = status.describe(view, visit.county.config, round_log)
        waiting = said["waiting_for"]
        if said["is_over"] or not isinstance(waiting, list):
            continue
        for party in waiting:
            if party in round_log.terms.auditors:
                found.setdefault(party, []).append((round_log.terms.serial, str(said["reason"])))
    return found


def _entries(view: View) -> list[tuple[int, str, str]]:
    """List the newest entries: position, day, type of statement. Reports come without the school."""
    stop = view.ledger.size
    start = max(0, stop - NUM_ENTRIES)
    found = []
    for position, (entry, _body) in zip(range(start, stop), view.entries(start, stop), strict=True):
        kind = entry.split(b"\n", 1)[0].decode("ascii", "replace").split("/")
        day = view.logged_at(position).astimezone().date().isoformat()
        found.append((position, day, kind[1] if len(kind) > 1 else kind[0]))
    return found[::-1]
