"""The clerk's first pages: rounds, who has reported, whom to telephone, early close."""

from __future__ import annotations

import csv
import io

from coordinator.close import request_close
from coordinator.dashboard.rounds import every_round, find_round
from coordinator.dashboard.speech import refusal
from coordinator.dashboard.visit import Download, Page, Redirect, Reply, Visit
from coordinator.errors import CoordinatorError
from coordinator.missing_schools import script_for
from paper.text import cell_words

UTF8_MARK = "\ufeff"  # without it a Chinese spreadsheet takes the file for GBK


def rounds(visit: Visit) -> Reply:
    """List the rounds."""
    return Page("rounds.html", {"rounds": every_round(visit)})


def board(visit: Visit) -> Reply:
    """Show who has reported, who is missing, and how many days are left."""
    return _board(visit)


def missing(visit: Visit) -> Reply:
    """Give the list of the schools that have not reported, for a spreadsheet."""
    found = find_round(visit)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(["学校 school", "编号 id", "联系人 contact", "截止 deadline", "剩余天数 days left"])
    day = found.closes.astimezone().date().isoformat()
    for school in found.missing:
        writer.writerow(
            [
                cell_words(school.operator),
                cell_words(school.node),
                cell_words(school.contact),
                day,
                found.days_left,
            ]
        )
    name = f"missing-{found.id[:16]}.csv"
    return Download(name, (UTF8_MARK + out.getvalue()).encode(), "text/csv; charset=utf-8")


def close(visit: Visit) -> Reply:
    """Ask for the early close; the coordinator's next look does it."""
    found = find_round(visit)
    without_missing = visit.text("without_missing") == "1"
    county = visit.county
    try:
        request_close(county.book, county.config, bytes.fromhex(found.id), without_missing=without_missing)
    except CoordinatorError as err:
        return _board(visit, refusal(err, visit.translate), 409)
    return Redirect(f"/board/{found.id}", "closing")


def _board(visit: Visit, problem: str = "", status: int = 200) -> Page:
    found = find_round(visit)
    script = script_for(found.days_left, visit.translate)
    return Page("board.html", {"round": found, "problem": problem, "script": script}, status)
