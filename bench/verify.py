"""What an inspector waits for: a county's year and a province's round, verified by both verifiers.

The bundles are made by `tests/bundle_zoo` (real keys, masks and sums; made-up tables under a ready plan) and
written to a folder; then each verifier runs in a process of its own, as an inspector starts it. Measured are
seconds by the clock, CPU seconds, and the largest resident size.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from bundle_zoo.county import ZooCounty
from bundle_zoo.forge import history_of

from plan.document import PlanDocument, parse_plan_toml

PLAN = ROOT / "plan" / "ready" / "autumn-full.toml"
TUPLE = (4, 3, 1, 3)
YEAR_S, YEAR_MIB, PROVINCE_S = 20.0, 300.0, 600.0
COLUMNS = (
    "bundle",
    "verifier",
    "outcome",
    "reports",
    "cells",
    "files",
    "mib",
    "wall_s",
    "cpu_s",
    "rss_mib",
    "ok",
)
OURS = "fedscreen"
WATCH = """
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""
Figures = dict[str, object]


def main() -> int:
    """Make the bundles asked for, verify them, print the figures; 1 if a limit is passed."""
    options = _options()
    cases = [("county-year", options.schools, options.rounds, YEAR_S, YEAR_MIB)]
    if options.province:
        cases.append(("province-round", options.province, 1, PROVINCE_S, float("inf")))
    rows: list[Figures] = []
    with tempfile.TemporaryDirectory(prefix="bench-verify-") as folder:
        for name, schools, rounds, wall_s, mib in cases:
            base = Path(folder) / name
            files = write_bundle(base, schools, rounds)
            for verifier, command in verifiers(base, is_all=options.standalone):
                row = {
                    "bundle": name,
                    "verifier": verifier,
                    "reports": schools * rounds,
                    **files,
                    **measured(command),
                }
                row["ok"] = row["outcome"] == "PASS" and (verifier != OURS or is_within(row, wall_s, mib))
                rows.append(row)
                if not options.json:
                    print("  ".join(f"{key} {row[key]}" for key in COLUMNS), flush=True)
    if options.json:
        print(json.dumps(rows))
    return int(not all(row["ok"] for row in rows))


def _options() -> argparse.Namespace:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--schools", type=int, default=90, help="of the county")
    parser.add_argument("--rounds", type=int, default=6, help="of its year")
    parser.add_argument("--province", type=int, default=0, metavar="REPORTS", help="also one round so large")
    parser.add_argument("--standalone", action="store_true", help="also tools/verify_standalone.py")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def is_within(row: Figures, wall_s: float, mib: float) -> bool:
    """Say whether time and memory are within the limits."""
    return float(str(row["wall_s"])) <= wall_s and float(str(row["rss_mib"])) <= mib


def plan_of(schools: int, rounds: int) -> PlanDocument:
    """The ready plan for so many schools, cheap enough for so many rounds a year."""
    text = PLAN.read_text("utf-8").replace(
        'min_reports = "auto"', f"min_reports = {max(5, schools * 4 // 5)}"
    )
    document = parse_plan_toml(text.replace('digest = ""', f'digest = "{"c" * 64}"').encode())
    return replace(document, rho=min(document.rho, Fraction(1, 2 * rounds)))


def write_bundle(base: Path, schools: int, rounds: int) -> Figures:
    """Let a county have its rounds; write auditor's bundle and policy."""
    county = ZooCounty(num_auditors=TUPLE[0], num_nodes=schools, tuple_=TUPLE, quorum=TUPLE[3])
    county.enrol()
    document = plan_of(schools, rounds)
    for number in range(rounds):
        round_id = county.publish_plan(replace(document, id=f"round-{number + 1}"))
        county.approve(round_id)
        county.collect(round_id)
        county.finish(round_id)
    files = history_of(county).bundle()
    for path, data in files.items():
        target = base / "bundle" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    (base / "policy.txt").write_text(county.policy_text(), "utf-8")
    cells = next(iter(county.ledger.rounds.values())).terms.cells
    return {"cells": cells, "files": len(files), "mib": round(sum(map(len, files.values())) / 2**20, 1)}


def verifiers(base: Path, *, is_all: bool) -> Sequence[tuple[str, list[str]]]:
    """The commands that an inspector gives."""
    rest = [str(base / "bundle"), "--policy", str(base / "policy.txt"), "--json"]
    ours = [sys.executable, "-m", "fedscreen", "auditor", "verify", *rest]
    theirs = [
        sys.executable,
        "-I",
        str(ROOT / "tools" / "verify_standalone.py"),
        *rest,
        "--without-estimates",
    ]
    return [(OURS, ours), ("standalone", theirs)][: 2 if is_all else 1]


def measured(command: list[str]) -> Figures:
    """Run a verifier; its outcome, and what it cost. The largest size is that of this child alone."""
    code = "import os,resource,subprocess,sys,json;d=subprocess.run(sys.argv[1:],stdout=subprocess.PIPE);"
    code += "u=resource.getrusage(resource.RUSAGE_CHILDREN);"
    code += "print(json.dumps([d.returncode,u.ru_utime+u.ru_stime,u.ru_maxrss/1024]))"
    start_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=os.environ,
    )
    wall_s = time.monotonic() - start_s
    exit_code, cpu_s, rss_mib = json.loads(done.stdout)
    outcome = {0: "PASS", 1: "FAIL", 2: "INCOMPLETE"}.get(exit_code, str(exit_code))
    return {
        "outcome": outcome,
        "wall_s": round(wall_s, 1),
        "cpu_s": round(cpu_s, 1),
        "rss_mib": round(rss_mib, 1),
    }


if __name__ == "__main__":
    raise SystemExit(main())
