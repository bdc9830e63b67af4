"""The tables of docs/performance.md, from the figures that the last runs left in bench/*.json.

Prints them; `--write` puts each between its marks in the document. A table whose figures are not there stays
as it is, so that nothing is shown that nobody measured.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "performance.md"
SHOWN_N = 300
Rows = list[dict[str, Any]]


def main() -> int:
    """Print the tables or write them into the document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--write", action="store_true", help="replace the tables in docs/performance.md")
    is_writing = parser.parse_args().write
    text = DOCUMENT.read_text("utf-8")
    for name, table in tables(ROOT / "bench"):
        if not is_writing:
            print(f"{name}\n\n{table}\n")
        text = replace(text, name, table)
    if is_writing:
        DOCUMENT.write_text(text, "utf-8")
    return 0


def tables(folder: Path) -> Iterator[tuple[str, str]]:
    """Make every table whose figures are in a folder: (name of its marks, Markdown)."""
    if (folder / "results.json").exists():
        yield "limits", limits_table(json.loads((folder / "results.json").read_text("utf-8")))
    if (folder / "peers.json").exists():
        found = json.loads((folder / "peers.json").read_text("utf-8"))
        yield "peers", peers_table(found["rows"])
        for kind in ("server CPU", "client CPU"):
            yield (
                kind.replace(" CPU", "-ratios"),
                ratios_table(found["summary"], f"{kind} / best secure peer"),
            )
        yield "parts", parts_table(found["rows"])
        yield "floor", _markdown(["primitive", "µs"], [[k, f"{v:g}"] for k, v in found["floor"].items()])
    if (folder / "nation.json").exists():
        yield "nation", nation_table(json.loads((folder / "nation.json").read_text("utf-8")))


def replace(text: str, name: str, table: str) -> str:
    """Put a table between `<!-- begin NAME -->` and `<!-- end NAME -->`."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"docs/performance.md has no marks {begin} … {end}")
    return pattern.sub(lambda _: f"{begin}\n{table}\n{end}", text)


def limits_table(rows: Rows) -> str:
    """Our cost against the limit that was measured beside it: times in µs, memory in MiB."""
    head = ["", "n", "d", "ours", "limit", "ratio", "target"]
    lines = []
    for row in rows:
        ours, limit = (_quantity(row["name"], row[side]) for side in ("ours", "reference"))
        ratio = f"{row['ratio']:.2f}" + ("" if row["ok"] else " ✗")
        lines.append(
            [row["name"], f"{row['n']:,}", f"{row['d']:,}", ours, limit, ratio, f"{row['target']:g}"]
        )
    return _markdown(head, lines)


def peers_table(rows: Rows) -> str:
    """Every system at n = 300: client, server, bytes, rounds; a star marks what was scaled up."""
    sizes = sorted({row["d"] for row in rows})
    head = ["", "client CPU, ms", f"server CPU, s, n = {SHOWN_N}", "bytes per client", "rounds", "sum"]
    lines = []
    for peer in dict.fromkeys(row["peer"] for row in rows):
        here = [row for d in sizes for row in rows if (row["peer"], row["n"], row["d"]) == (peer, SHOWN_N, d)]
        clients = " / ".join(_figure(row["client_cpu_s"] * 1e3, row) for row in here)
        servers = " / ".join(_figure(row["server_cpu_s"], row) for row in here)
        sizes_kb = " / ".join(f"{row['bytes_per_client'] / 1000:.0f} KB" for row in here)
        kind = "exact" if all(row["exact"] for row in here) else "rounded"
        lines.append([peer, clients, servers, sizes_kb, str(here[0]["rounds"]), kind])
    return _markdown(head, lines)


def ratios_table(summary: Rows, name: str) -> str:
    """Our share of the cheapest peer's CPU time for every size."""
    rows = {(row["n"], row["d"]): row for row in summary if row["name"] == name}
    cells = sorted({d for _, d in rows})
    head = ["", *(f"d = {d:,}" for d in cells)]
    lines = [[f"n = {n}", *(_ratio(rows[n, d]) for d in cells)] for n in sorted({n for n, _ in rows})]
    return _markdown(head, lines)


def parts_table(rows: Rows) -> str:
    """Where our server's time goes, microseconds a report."""
    names = {
        "receive_cpu_s": "signature, header, digests (not counted above)",
        "sum_cpu_s": "parse, check, add",
        "open_cpu_s": "three auditors open and compare",
        "expand_cpu_s": "three auditors expand and add",
        "combine_cpu_s": "combine",
    }
    ours = [row for row in rows if row["peer"] == "fedscreen (4, 3)" and row["n"] == SHOWN_N]
    head = [f"µs a report, n = {SHOWN_N}", *(f"d = {row['d']:,}" for row in ours)]
    return _markdown(
        head,
        [
            [text, *(f"{row['parts'][name] / row['n'] * 1e6:.0f}" for row in ours)]
            for name, text in names.items()
        ],
    )


def nation_table(rows: Rows) -> str:
    """CPU minutes and peak memory of every role for every size; the three auditors by the largest."""
    head = ["reports", "role", "CPU", "peak memory"]
    lines = []
    for size in sorted({row["reports"] for row in rows}):
        here = {row["role"]: row for row in rows if row["reports"] == size}
        auditors = [row for role, row in here.items() if role.startswith("auditor")]
        largest = max(auditors, key=lambda row: float(row["cpu_s"]))
        parts = ", ".join(f"{name} {largest[f'{name}_cpu_s']:.1f} s" for name in ("read", "open", "expand"))
        lines.append(
            [f"{size:,}", "coordinator", _time(here["coordinator"]["cpu_s"]), _peak(here["coordinator"])]
        )
        lines.append(["", "each of 3 auditors", f"{_time(largest['cpu_s'])} ({parts})", _peak(largest)])
        together = [here["coordinator"], *auditors]
        peak = sum(row["peak_mib"] for row in together)
        lines.append(
            ["", "**together**", f"**{_time(sum(row['cpu_s'] for row in together))}**", f"{peak:.0f} MiB"]
        )
        lines.append(
            ["", "the schools, all of them", _time(here["schools"]["cpu_s"]), _peak(here["schools"])]
        )
    return _markdown(head, lines)


def _quantity(name: str, value: float) -> str:
    if "correlation" in name:
        return f"{value:.3f}"
    return f"{value / 2**20:.0f} MiB" if "memory" in name else f"{value * 1e6:,.4g} µs"


def _figure(value: float, row: dict[str, Any]) -> str:
    number = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{number}\\*" if row["scaled_from"] else number


def _ratio(row: dict[str, Any]) -> str:
    mark = "" if row["ok"] else " ✗"
    return f"{row['ratio']:.2f}{mark} ({row['reference_peer']})"


def _time(seconds: float) -> str:
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"


def _peak(row: dict[str, Any]) -> str:
    return f"{row['peak_mib']:.0f} MiB"


def _markdown(head: list[str], lines: list[list[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
