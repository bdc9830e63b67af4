"""The same sums by us and by others, side by side: `make bench-peers` writes bench/peers.json.

n integer vectors of d cells are added so that only the sum is learned. Measured is CPU time in this process,
warm: imports, key generation and the loading of keys and contexts are left out for everybody, noise for us
(the others add none), and transport for everybody. A peer that cannot be imported is named as missing and
left out. Rows marked "scaled from" were measured smaller and scaled linearly. `--quick` measures fewer sizes,
repeats less and scales more.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from bench import peer_floor, peer_ours
from bench.peer_rows import Row

RESULTS = ROOT / "bench" / "peers.json"
CLIENTS, CELLS = (10, 100, 300), (1_000, 10_000, 100_000)
AUDITORS = (4, 3)  # the default; the summary judges this one
FEWER_AUDITORS = (2, 2)  # what two auditors would cost, for orientation
SERVER_TARGET, CLIENT_TARGET = 0.5, 0.1
PEERS = {"tenseal": "TenSEAL", "phe": "phe", "flwr": "Flower"}
NO_SHARED_KEY = "Flower"
REPEATS, QUICK_REPEATS = 5, 1
QUICK_CLIENTS = 21  # of Flower: as many as share with each other


def main() -> int:
    """Measure everything, print, write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute, rougher")
    is_quick = parser.parse_args().quick
    os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
    missing = [name for module, name in PEERS.items() if not _is_there(module)]
    rows: list[Row] = []
    details: list[dict[str, Any]] = []
    print(f"{'':22}{'n':>5}{'d':>8}{'client':>14}{'server':>12}{'bytes/client':>14}{'rounds':>7}  sum")
    for row, parts in _measurements(is_quick):
        rows.append(row)
        details.append(row.as_json() | {"parts": parts and asdict(parts)})
        print(_line(row), flush=True)
    summary = list(_summary(rows))
    print()
    for item in summary:
        mark = "ok" if item["ok"] else "MISSED"
        print(
            f"{item['name']:46} n={item['n']:<4} d={item['d']:<7} {item['ratio']:7.3f} "
            f"(target {item['target']}) {mark}"
        )
    floor = peer_floor.measure()
    print("under ours: " + ", ".join(f"{name} {value:g}" for name, value in floor.items()) + " (µs)")
    for name in missing:
        print(f"{name}: not installed here, left out")
    result = {"rows": details, "summary": summary, "floor": floor, "missing": missing, "quick": is_quick}
    RESULTS.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return 0


def _is_there(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return False
    return True


def _measurements(is_quick: bool) -> Iterator[tuple[Row, peer_ours.Parts | None]]:
    repeats = QUICK_REPEATS if is_quick else REPEATS
    peers = list(_peers(is_quick, repeats))
    for n, d in product((10, 300) if is_quick else CLIENTS, CELLS):
        yield peer_ours.measure(n, d, AUDITORS, repeats)
        yield peer_ours.measure(n, d, FEWER_AUDITORS, repeats)
        for measure in peers:
            yield measure(n, d), None


def _peers(is_quick: bool, repeats: int) -> Iterator[Callable[[int, int], Row]]:
    if _is_there("tenseal"):
        tenseal = importlib.import_module("bench.peer_tenseal")
        for scheme in tenseal.schemes():
            yield lambda n, d, scheme=scheme: tenseal.measure(scheme, n, d, repeats)
    if _is_there("phe"):
        paillier = importlib.import_module("bench.peer_paillier")
        yield lambda n, d: paillier.measure(n, d, repeats)
    if _is_there("flwr"):
        flower = importlib.import_module("bench.peer_flower")
        yield lambda n, d: flower.measure(n, d, QUICK_CLIENTS if is_quick else n)


def _summary(rows: list[Row]) -> Iterator[dict[str, Any]]:
    """Our default against the cheapest peer, and against the cheapest that has no key shared by all."""
    ours = f"fedscreen {AUDITORS}"
    kinds = (
        ("server CPU", "server_cpu_s", SERVER_TARGET),
        ("client CPU", "client_cpu_s", CLIENT_TARGET),
    )
    for kind, attribute, target in kinds:
        for n, d in dict.fromkeys((row.n, row.d) for row in rows):
            here = [row for row in rows if (row.n, row.d) == (n, d)]
            mine = next(getattr(row, attribute) for row in here if row.peer == ours)
            others = [row for row in here if not row.peer.startswith("fedscreen")]
            unshared = [row for row in others if row.peer.startswith(NO_SHARED_KEY)]
            for name, group in (("best secure peer", others), ("best peer without a shared key", unshared)):
                if group:
                    best = min(group, key=lambda row: float(getattr(row, attribute)))
                    reference = getattr(best, attribute)
                    yield {
                        "name": f"{kind} / {name}",
                        "n": n,
                        "d": d,
                        "ours": round(mine, 9),
                        "reference": round(reference, 9),
                        "reference_peer": best.peer,
                        "ratio": round(mine / reference, 4),
                        "target": target,
                        "ok": mine <= target * reference,
                    }


def _line(row: Row) -> str:
    marks = "exact" if row.exact else "rounded"
    scaled = f", scaled from {row.scaled_from}" if row.scaled_from else ""
    client, server = f"{row.client_cpu_s * 1e3:.3f} ms", f"{row.server_cpu_s * 1e3:.1f} ms"
    head = f"{row.peer:22}{row.n:>5}{row.d:>8}{client:>14}{server:>12}"
    return f"{head}{row.bytes_per_client:>14}{row.rounds:>7}  {marks}{scaled}"


if __name__ == "__main__":
    sys.exit(main())
