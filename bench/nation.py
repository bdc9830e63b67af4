"""A whole country: 200,000 reports of 1,000 cells through the coordinator's sum and three auditors' answers.

Every report is really masked, sealed and signed by one process ("schools"), checked and added by a second
(the coordinator), and its box opened, its commitments compared and its masks expanded and added by three more
(the auditors of a (4, 3) plan). Reports flow through pipes and are kept by nobody, so disk and memory stay
bounded however many there are; a slow reader holds up the writer. At the end the opened sum is compared with
the true one. Every process is started afresh for every size, so that its peak memory is its own.

CPU time is a process's own, user and system, from its first report to its answer. That of the schools is
printed too: in a country it is spread over 200,000 machines.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import struct
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import numpy as np

from bench.growth_plot import Series, draw
from bench.our_round import (
    Auditor,
    combine,
    make_node,
    make_report,
    make_round,
    parse_header,
    receive,
)
from crypto.field64 import encode_vector, parse_vector
from crypto.mask_sum import MaskSum
from protos.report_payload import note_of

RESULTS = ROOT / "bench" / "nation.json"
PICTURE = ROOT / "docs" / "pictures" / "nation.svg"
SIZES = (2_000, 20_000, 200_000)
CELLS = 1_000
NUM_AUDITORS, THRESHOLD = 4, 3
BATCH = 32  # reports a message; half a megabyte
MAX_COUNT = 400  # pupils of a school in one cell
MIB = 1024  # ru_maxrss is in KiB
_LENGTH = struct.Struct(">I")
_END = b""


def main() -> int:
    """Run the sizes asked for, print, keep the figures, draw the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES), metavar="REPORTS")
    parser.add_argument("--cells", type=int, default=CELLS)
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the figures go")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="where the plot goes, from 2 sizes on")
    parser.add_argument("--plot-only", action="store_true", help="draw what --results holds")
    arguments = parser.parse_args()
    if not arguments.plot_only:
        rows = [row for size in arguments.sizes for row in run(size, arguments.cells)]
        arguments.results.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    rows = json.loads(arguments.results.read_text("utf-8"))
    if len({row["reports"] for row in rows}) > 1:
        arguments.picture.parent.mkdir(parents=True, exist_ok=True)
        arguments.picture.write_text(picture(rows), "utf-8")
    return 0


def run(num_reports: int, cells: int) -> list[dict[str, Any]]:
    """Run one size; returns a row a role."""
    started = time.monotonic()
    context = multiprocessing.get_context("spawn")
    entropy, answers = os.urandom(32), {}
    reports_out, reports_in = _pipe(context)
    boxes = [_pipe(context) for _ in range(THRESHOLD)]
    ends = {role: _pipe(context) for role in ("schools", "coordinator", *map(_auditor, range(THRESHOLD)))}
    tasks: dict[str, tuple[Callable[..., None], tuple[Any, ...]]] = {
        "schools": (schools, (entropy, cells, num_reports, reports_in)),
        "coordinator": (coordinator, (entropy, cells, reports_out, [writer for _, writer in boxes])),
    }
    for index, (reader, _) in enumerate(boxes):
        tasks[_auditor(index)] = auditor, (entropy, cells, index, reader)
    processes = [
        context.Process(target=task, args=(*arguments, ends[role][1]), daemon=True)
        for role, (task, arguments) in tasks.items()
    ]
    for process in processes:
        process.start()
    for connection in (reports_out, reports_in, *(end for pair in boxes for end in pair)):
        connection.close()  # so that whoever waits for a process that died is told
    for _, writer in ends.values():
        writer.close()
    for role in tasks:
        answers[role] = ends[role][0].recv()
    for process in processes:
        process.join()
    _verify(make_round(cells, NUM_AUDITORS, THRESHOLD, entropy), answers)
    rows = [{"reports": num_reports, "cells": cells, "role": role, **answers[role]["cost"]} for role in tasks]
    _print(rows, time.monotonic() - started)
    return rows


def schools(entropy: bytes, cells: int, num_reports: int, out: Connection, end: Connection) -> None:
    """Make every report, one school after the other; answer with the true sum."""
    start = time.process_time()
    round_, rng = make_round(cells, NUM_AUDITORS, THRESHOLD, entropy), np.random.default_rng(num_reports)
    true_sum = np.zeros(cells, np.int64)
    for first in range(0, num_reports, BATCH):
        batch = []
        for index in range(first, min(first + BATCH, num_reports)):
            x = rng.integers(0, MAX_COUNT, cells, dtype=np.int64)
            true_sum += x
            batch.append(make_report(round_, make_node(round_, index), x))
        out.send_bytes(_pack(batch))
    out.send_bytes(_END)
    end.send({"sum": true_sum, "cost": _cost(start)})


def coordinator(
    entropy: bytes, cells: int, reports: Connection, boxes: Sequence[Connection], end: Connection
) -> None:
    """Check every report, add its vector, hand its boxes on; answer with the sum."""
    start = time.process_time()
    round_ = make_round(cells, NUM_AUDITORS, THRESHOLD, entropy)
    public = make_node(round_, 0).report_key.verifier.public_key
    total = MaskSum(cells)
    for batch in _messages(reports):
        received = [(note_of(data), receive(round_, public, data)) for data in batch]
        for _, report in received:
            total.add_vector(parse_vector(report.vector, cells))
        for index, out in enumerate(boxes):
            out.send_bytes(_pack([part for note, report in received for part in (note, report.boxes[index])]))
    for out in boxes:
        out.send_bytes(_END)
    end.send({"sum": encode_vector(total.value()), "cost": _cost(start)})


def auditor(entropy: bytes, cells: int, index: int, boxes: Connection, end: Connection) -> None:
    """Read every header, open its box, compare, expand, add; answer with the mask sums."""
    start = time.process_time()
    role = Auditor(make_round(cells, NUM_AUDITORS, THRESHOLD, entropy), index)
    spent = {"read_cpu_s": 0.0, "open_cpu_s": 0.0, "expand_cpu_s": 0.0}
    for parts in _messages(boxes):
        clock = [time.process_time()]
        headers = [parse_header(note) for note in parts[::2]]
        clock.append(time.process_time())
        seeds = [role.open(header, box) for header, box in zip(headers, parts[1::2], strict=True)]
        clock.append(time.process_time())
        role.add(seeds)
        clock.append(time.process_time())
        for name, earlier, later in zip(spent, clock, clock[1:], strict=False):
            spent[name] += later - earlier
    end.send({"sums": role.answer(), "cost": _cost(start) | {name: round(s, 3) for name, s in spent.items()}})


def picture(rows: list[dict[str, Any]]) -> str:
    """Draw CPU time and peak memory against the number of reports."""
    sizes = sorted({row["reports"] for row in rows})

    def line(role: str, figure: str) -> list[float]:
        return [
            max(row[figure] for row in rows if row["reports"] == n and role in row["role"]) for n in sizes
        ]

    def total(figure: str) -> list[float]:
        return [
            sum(row[figure] for row in rows if row["reports"] == n and row["role"] != "schools")
            for n in sizes
        ]

    roles = {"coordinator": ("coordinator", "#0b62a4"), "auditor": ("one auditor", "#b8500f")}
    cpu = [Series("all four", "#1b1b1b", total("cpu_s"))]
    cpu += [Series(*roles[role], line(role, "cpu_s")) for role in roles]
    memory = [Series(*roles[role], line(role, "peak_mib")) for role in roles]
    title = f"Coordinator and three auditors, {rows[0]['cells']:,} cells a report"
    return draw(title, "reports", sizes, ("CPU seconds", cpu), ("peak memory, MiB", memory))


def _verify(round_: Any, answers: dict[str, Any]) -> None:
    sum_y = parse_vector(answers["coordinator"]["sum"], round_.cells)
    opened = combine(round_, sum_y, [answers[_auditor(index)]["sums"] for index in range(THRESHOLD)])
    if not (opened == answers["schools"]["sum"]).all():
        raise ValueError("the opened sum is not the sum of what the schools counted")


def _auditor(index: int) -> str:
    return f"auditor a{index + 1}"


def _pipe(context: Any) -> tuple[Connection, Connection]:
    reader, writer = context.Pipe(duplex=False)
    return reader, writer


def _pack(parts: Sequence[bytes]) -> bytes:
    return b"".join(piece for part in parts for piece in (_LENGTH.pack(len(part)), part))


def _messages(connection: Connection) -> Iterator[list[bytes]]:
    while data := connection.recv_bytes():
        parts, at = [], 0
        while at < len(data):
            (size,) = _LENGTH.unpack_from(data, at)
            parts.append(data[at + _LENGTH.size : at + _LENGTH.size + size])
            at += _LENGTH.size + size
        yield parts


def _cost(start: float) -> dict[str, float]:
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"cpu_s": round(time.process_time() - start, 3), "peak_mib": round(peak_kib / MIB, 1)}


def _print(rows: list[dict[str, Any]], wall_s: float) -> None:
    print(
        f"{rows[0]['reports']:,} reports of {rows[0]['cells']:,} cells: sum opened and right, {wall_s:.0f} s"
    )
    for row in rows:
        parts = ", ".join(
            f"{name.removesuffix('_cpu_s')} {value:.2f}" for name, value in row.items() if "_cpu_" in name
        )
        cpu = f"{row['cpu_s']:8.2f} CPU s = {row['cpu_s'] / 60:5.2f} min"
        print(f"  {row['role']:12}{cpu}  {row['peak_mib']:6.1f} MiB  {parts}")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
