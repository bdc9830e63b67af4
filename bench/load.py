"""A thousand schools at one coordinator, and five thousand that are only connected.

The server is `coordinator.serve` in a process of its own, with SQLite or PostgreSQL; the schools are light
clients in other processes (``bench/load_clients.py``), all on 127.0.0.1 over mutual TLS. Certificates and
reports are made before the clock starts. Measured of the server's process: CPU time (user and system, all
threads) of one report on a fresh connection, of the connection alone, and of one call on an open channel, and
its memory; of the clients: seconds from connecting to the receipt. What else runs on the machine adds to CPU
time, so the first scenario has some passes, of which the best counts; the limit is for that one. With
PostgreSQL the database's own time is not in it.

Figures go to bench/load.json; ``--write`` puts them into docs/scaling.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import grpc

from bench import tables
from bench.load_clients import POLLS, raise_file_limit
from bench.processes import cpu_seconds, resident_bytes, running
from bench.served_county import make_county
from coordinator.desk import Desk

CLIENTS = "bench/load_clients.py"
SERVER = "bench/served_county.py"
RESULTS = ROOT / "bench" / "load.json"
DOCUMENT = ROOT / "docs" / "scaling.md"
LIMITS = {"cpu_ms": 3.0, "idle_mib": 500.0}
SMALL, LARGE = 1_010, 10_000
FEW = 32
TICK_S = 1.0  # as in a county: rounds are looked at and the log is published while reports come
MIB = 2**20
Figures = dict[str, Any]


def main() -> int:
    """Measure, print, keep; 1 if a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--nodes", type=int, default=1_000)
    parser.add_argument("--idle", type=int, default=5_000, help="connections that do nothing; 0 for none")
    parser.add_argument("--processes", type=int, default=2, help="processes of clients")
    parser.add_argument("--passes", type=int, default=3, help="of the first scenario; the best one counts")
    parser.add_argument("--postgres", action="store_true", help="also with PostgreSQL, and two coordinators")
    parser.add_argument("--quick", action="store_true", help="200 schools and 500 connections")
    parser.add_argument("--json", type=Path, default=RESULTS, help="where the figures go")
    parser.add_argument("--write", action="store_true", help="only put the figures kept into docs/scaling.md")
    options = parser.parse_args()
    if options.write:
        return write(json.loads(options.json.read_text("utf-8")))
    if options.quick:
        options.nodes, options.idle, options.passes = min(options.nodes, 200), min(options.idle, 500), 1
    raise_file_limit()
    rows = [machine(), *measure(options)]
    options.json.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    return 0 if all(row.get("ok", True) for row in rows) else 1


def machine() -> Figures:
    """Say on what this runs."""
    model = [
        row for row in Path("/proc/cpuinfo").read_text("utf-8").splitlines() if row.startswith("model name")
    ]
    return {
        "scenario": "machine",
        "cpu": model[0].partition(":")[2].strip() if model else platform.machine(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "grpc": grpc.__version__,
    }


def measure(options: argparse.Namespace) -> Iterator[Figures]:
    """Run every scenario; each prints its line."""
    with tempfile.TemporaryDirectory(prefix="bench-load-") as name:
        base = Path(name)
        passes = (
            show(reports(base / f"few{number}", options, SMALL, FEW)) for number in range(options.passes)
        )
        yield show(best_of(passes))
        yield show(reports(base / "all", options, SMALL, options.nodes))
        yield show(reports(base / "large", options, LARGE, FEW))
        if options.postgres:
            yield from _on_postgres(base, options)
        folder = base / "idle"
        make_county(folder, max(options.nodes, 50), SMALL)
        yield show(_cpu_of("handshake", folder, options, calls=1))
        yield show(_cpu_of("poll", folder, options, calls=POLLS))
        if options.idle:
            yield show(idle(folder, options))


def _on_postgres(base: Path, options: argparse.Namespace) -> Iterator[Figures]:
    from bench.postgres_server import PostgresServer

    with tempfile.TemporaryDirectory(prefix="bench-load-") as name:
        Path(name).chmod(0o755)
        server = PostgresServer(Path(name), is_durable=True)
        try:
            for coordinators in (1, 2):
                place = base / f"postgres{coordinators}"
                yield show(
                    reports(place, options, SMALL, FEW, database=server.database(), coordinators=coordinators)
                )
        finally:
            server.stop()


def reports(
    folder: Path,
    options: argparse.Namespace,
    cells: int,
    in_flight: int,
    *,
    database: str = "",
    coordinators: int = 1,
) -> Figures:
    """All schools report, each over a fresh connection."""
    make_county(folder, options.nodes, cells, database=database, tick_s=TICK_S)
    with ExitStack() as stack:
        servers = [stack.enter_context(running(SERVER, str(folder))) for _ in range(coordinators)]
        clients = _clients(stack, "report", folder, [port for _, port in servers], options, in_flight)
        before, start = _cpu(servers), time.monotonic()
        answers = _run(clients)
        wall, cpu = time.monotonic() - start, _cpu(servers) - before
        memory = max(resident_bytes(pid)["now"] for pid, _ in servers)
    seconds = sorted(row["s"] for answer in answers for row in answer["rows"])
    logged, cpu_ms = _num_reports(folder), 1000 * cpu / len(seconds)
    return {
        "scenario": "report",
        "database": "PostgreSQL" if database else "SQLite",
        "coordinators": coordinators,
        "nodes": options.nodes,
        "cells": cells,
        "in_flight": in_flight,
        "logged": logged,
        "retried": sum(row["tries"] - 1 for answer in answers for row in answer["rows"]),
        "wall_s": round(wall, 2),
        "per_s": round(len(seconds) / wall, 1),
        "p50_ms": _ms(seconds, 0.50),
        "p99_ms": _ms(seconds, 0.99),
        "cpu_ms": round(cpu_ms, 2),
        "rss_mib": round(memory / MIB, 1),
        "ok": logged == options.nodes,
    }


def best_of(passes: Iterable[Figures]) -> Figures:
    """Take the pass that cost least, and hold it against the limit."""
    best = min(passes, key=lambda row: (not row["ok"], row["cpu_ms"]))
    return {**best, "ok": best["ok"] and best["cpu_ms"] <= LIMITS["cpu_ms"]}


def _cpu_of(work: str, folder: Path, options: argparse.Namespace, calls: int) -> Figures:
    """What so many connections or calls cost, and nothing else."""
    with running(SERVER, str(folder)) as server, ExitStack() as stack:
        clients = _clients(stack, work, folder, [server[1]], options, FEW)
        before, start = _cpu([server]), time.monotonic()
        answers = _run(clients)
        wall, cpu = time.monotonic() - start, _cpu([server]) - before
    done = sum(len(answer["rows"]) for answer in answers)
    return {
        "scenario": work,
        "nodes": done,
        "calls": done * calls,
        "wall_s": round(wall, 2),
        "cpu_ms": round(1000 * cpu / done, 2),
    }


def idle(folder: Path, options: argparse.Namespace) -> Figures:
    """Connections that nobody speaks on, and the coordinator's memory with them."""
    with running(SERVER, str(folder)) as (pid, port), ExitStack() as stack:
        clients = _clients(stack, "idle", folder, [port], options, 1, options.idle)
        before = resident_bytes(pid)["now"]
        opened = sum(answer["open"] for answer in _run(clients))
        memory = resident_bytes(pid)["now"]
        closed = sum(answer["closed"] for answer in _run(clients))
    return {
        "scenario": "idle",
        "open": opened,
        "closed": closed,
        "rss_before_mib": round(before / MIB, 1),
        "rss_mib": round(memory / MIB, 1),
        "kib_each": round((memory - before) / 1024 / opened, 1),
        "ok": memory / MIB <= LIMITS["idle_mib"] and closed == 0 and opened == options.idle,
    }


def _cpu(servers: Sequence[tuple[int, int]]) -> float:
    return sum(cpu_seconds(pid) for pid, _ in servers)


def _clients(
    stack: ExitStack,
    work: str,
    folder: Path,
    ports: Sequence[int],
    options: argparse.Namespace,
    in_flight: int,
    num: int = 0,
) -> list[subprocess.Popen[str]]:
    num = num or options.nodes
    cuts = [num * at // options.processes for at in range(options.processes + 1)]
    share = str(max(1, in_flight // options.processes))
    words = [work, str(folder), *map(str, ports), "--in-flight", share]
    found = [
        stack.enter_context(_client([*words, "--first", str(first), "--stop", str(stop)]))
        for first, stop in pairwise(cuts)
    ]
    for client in found:
        if _line(client) != "ready":
            raise RuntimeError("a process of clients did not start")
    return found


@contextmanager
def _client(words: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, CLIENTS, *words], stdin=pipe, stdout=pipe, cwd=ROOT, text=True
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def _run(clients: Sequence[subprocess.Popen[str]]) -> list[Figures]:
    for client in clients:
        if client.stdin:
            client.stdin.write("go\n")
            client.stdin.flush()
    return [json.loads(_line(client)) for client in clients]


def _line(client: subprocess.Popen[str]) -> str:
    return client.stdout.readline().strip() if client.stdout else ""


def _num_reports(folder: Path) -> int:
    desk = Desk(folder)
    try:
        reported = desk.round_status(desk.round_ids()[-1])["reported"]
    finally:
        desk.close()
    return len(reported) if isinstance(reported, list) else 0


def _ms(seconds: Sequence[float], share: float) -> float:
    return round(1000 * seconds[min(len(seconds) - 1, int(share * len(seconds)))], 1)


def show(row: Figures) -> Figures:
    """Print one scenario's figures."""
    print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    return row


def write(rows: Sequence[Figures]) -> int:
    """Put the figures into docs/scaling.md, between their marks."""
    text = tables.replace(DOCUMENT.read_text("utf-8"), "load", reports_table(rows))
    DOCUMENT.write_text(tables.replace(text, "parts", parts_table(rows)), "utf-8")
    return 0


def reports_table(rows: Sequence[Figures]) -> str:
    """One line a run of reports."""
    head = [
        *("database", "coordinators", "cells", "at a time", "all in", "reports/s", "p50, ms", "p99, ms"),
        *("coordinator CPU a report, ms", "memory, MiB"),
    ]
    return _markdown(
        head,
        [
            [
                row["database"],
                str(row["coordinators"]),
                f"{row['cells']:,}",
                f"{row['in_flight']:,}",
                f"{row['logged']:,} of {row['nodes']:,}",
                f"{row['per_s']:,.0f}",
                f"{row['p50_ms']:,.0f}",
                f"{row['p99_ms']:,.0f}",
                f"{row['cpu_ms']:.2f}",
                f"{row['rss_mib']:,.0f}",
            ]
            for row in rows
            if row["scenario"] == "report"
        ],
    )


def parts_table(rows: Sequence[Figures]) -> str:
    """What connections and calls cost by themselves."""
    found = {row["scenario"]: row for row in rows}
    connection, poll, idle_row = found["handshake"], found["poll"], found.get("idle")
    lines = [
        ["a fresh connection with both certificates, no call", f"{connection['cpu_ms']:.2f} ms of CPU"],
        [
            f"a fresh connection and {POLLS} looks at the end of the log",
            f"{poll['cpu_ms']:.2f} ms of CPU",
        ],
    ]
    if idle_row:
        lines.append(
            [
                f"{idle_row['open']:,} connections that nobody speaks on",
                f"{idle_row['rss_mib']:,.0f} MiB, of which {idle_row['rss_before_mib']:,.0f} without them "
                f"({idle_row['kib_each']:.0f} KiB each)",
            ]
        )
    return _markdown(["what", "costs"], lines)


def _markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    marks = ["---" for _ in head]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, marks, *lines))


if __name__ == "__main__":
    sys.exit(main())
