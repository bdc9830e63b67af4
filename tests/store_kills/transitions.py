"""A round whose coordinator is killed before and after every commit and every published file.

What must come out: each statement once, the sum of all tables, a log folder that follows from its
checkpoint, and the same entries and numbers as in a round that nobody disturbed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from fakes_coordinator import County, small_config

from coordinator.cli import _policy_of
from coordinator.fsck import fsck
from protos.bodies import parse_release_body
from protos.card import parse_card

CHILD = Path(__file__).with_name("county_child.py")
EXPECTED = {
    "roster": 1, "plan": 1, "approval": 4, "report": 6, "candidates": 1,
    "checked": 4, "close": 1, "agreement": 4, "opening": 4, "release": 1,
}  # fmt: skip
MAX_KILLS = 500
CHILD_S = 120


@dataclass
class Killed:
    """How a round fared."""

    database: str
    kills: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def line(self) -> str:
        """Say it in one line."""
        steps = len({step.split(" ", 1)[1] for step in self.kills})
        return (
            f"transitions, {self.database}: {len(self.kills)} kills at {steps} kinds of step,"
            f" {len(self.problems)} problems, {self.seconds:.0f} s"
        )


def kill_everywhere(folder: Path, database: str, address: str) -> Killed:
    """Run one round, kill its coordinator at every step, and look at what came out."""
    found = Killed(database)
    started_s = time.monotonic()
    died = folder.with_name(f"{folder.name}.died")
    while (code := _run(folder, address, found)) != 0 and len(found.kills) < MAX_KILLS and not found.problems:
        if code == -9:
            found.kills.append(died.read_text())
        else:
            found.problems.append(f"ended with {code} after {found.kills[-1:]}")
    if not found.problems:
        found.problems += problems_of(folder, address)
    found.seconds = time.monotonic() - started_s
    return found


def _run(folder: Path, address: str, found: Killed) -> int:
    words = [sys.executable, str(CHILD), str(folder), address]
    done = subprocess.run(words, capture_output=True, text=True, timeout=CHILD_S, check=False)
    if done.returncode not in (0, -9):
        found.problems.append(done.stderr[-500:])
    return done.returncode


def problems_of(folder: Path, address: str) -> list[str]:
    """Compare a finished round with what it must be."""
    county = County(folder, config=small_config(database=address))
    try:
        page = county.desk.get_log(0, 1000)
        kinds = Counter(entry.split(b"\n")[0].split(b"/")[1].decode() for entry, _ in page.entries)
        problems = [] if kinds == EXPECTED else [f"entries: {dict(kinds)}"]
        release = county.round(county.round_id).release
        tables = parse_release_body(release.body) if release else ()
        if [value for table in tables for value in table.sums] != county.truth():
            problems.append("the released sums are not those of the reports")
        card = county.desk.card_text()
        size = fsck(folder / "log", _policy_of(card), parse_card(card)).size
        if size != len(page.entries):
            problems.append(f"published {size} of {len(page.entries)} entries")
        return problems
    finally:
        county.desk.close()
