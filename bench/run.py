"""Benchmarks as ratios against a limit measured in the same run; `make bench` writes bench/results.json.

A row is {name, n, d, ours, reference, ratio, target, ok}, see `row.py`. Nothing here is asserted: a slow
machine slows both sides of a ratio, a busy one is for a person to notice. The exit code is 0 when all rows
were measured, whatever they say. `make bench ARGS="--quick"` takes fewer repeats; names choose modules:
`make bench ARGS="masks"`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from bench.row import Row

RESULTS = Path(__file__).resolve().parent / "results.json"
MODULES = ("masks", "noise", "receive", "auditor_load", "memory", "school")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a table, write the results."""
    parser = argparse.ArgumentParser(description="Ratios against limits measured in the same run.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(MODULES)}; all if none")
    parser.add_argument("--quick", action="store_true", help="fewer repeats and smaller counties")
    options = parser.parse_args(argv)
    if unknown := set(options.names) - set(MODULES):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(MODULES)}")
    rows: list[Row] = []
    for name in options.names or MODULES:
        for row in importlib.import_module(f"bench.{name}").rows(options.quick):
            print(format_row(row), flush=True)
            rows.append(row)
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    return 0


def format_row(row: Row) -> str:
    """One line of the table."""
    verdict = "ok" if row["ok"] else "ABOVE TARGET"
    size = f"n={row['n']:<6} d={row['d']:<7}"
    figures = f"{row['ours']:>10.4g} / {row['reference']:>10.4g} = {row['ratio']:6.3f}"
    return f"{row['name']:44} {size} {figures}  (target {row['target']:g}: {verdict})"


if __name__ == "__main__":
    sys.exit(main())
