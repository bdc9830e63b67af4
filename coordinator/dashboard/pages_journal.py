"""The audit administrator's journal: who did what, when; and whether it is whole."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Final

from coordinator import actions
from coordinator.dashboard.visit import Download, Page, Reply, Visit
from paper.text import cell_words

PAGE_ROWS: Final = 100


def journal(visit: Visit) -> Reply:
    """Show the newest rows, or those before a position."""
    asked = visit.query.get("before", "")
    before = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else None
    with visit.county.store.reading() as connection:
        rows = actions.newest(connection, before, PAGE_ROWS)
        wrong = actions.first_wrong(connection)
    earlier = rows[-1].position if rows and rows[-1].position > 0 else None
    newest = rows[0].digest.hex()[:16] if rows else ""
    values = {"rows": rows, "wrong": wrong, "earlier": earlier, "newest": newest, "before": before}
    return Page("journal.html", values)


def download(visit: Visit) -> Reply:
    """Give the whole journal as csv: codes in English, times in UTC."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["position", "time", "account", "role", "action", "subject", "outcome", "digest"])
    with visit.county.store.reading() as connection:
        for row in actions.every(connection):
            time = datetime.fromtimestamp(row.at_ms / 1000, UTC).isoformat(timespec="seconds")
            texts = (row.account, row.role, row.action, row.subject, row.outcome)
            writer.writerow([row.position, time, *map(cell_words, texts), row.digest.hex()])
    return Download("journal.csv", out.getvalue().encode(), "text/csv; charset=utf-8")
