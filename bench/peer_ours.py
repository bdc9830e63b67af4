"""Our round beside the peers: the product's functions on the same vectors, without noise.

Client: derive, mask, commit, seal to every auditor, sign, encode. Server: the coordinator parses, checks and
adds the vectors; each of t auditors opens its box of every report, compares the seeds with the commitments,
expands and adds; the coordinator compares replicas and unmasks. Beside that stands `receive_cpu_s`, what the
coordinator spends before on a report's signature, header and digests: the peers have no such step.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bench.our_round import (
    Auditor,
    Received,
    Round,
    combine,
    make_node,
    make_report,
    make_round,
    receive,
    sum_vectors,
)
from bench.peer_rows import Row, best_and_median, cpu_times, vectors

NUM_VECTORS = 4  # different tables; every node masks and seals its own way
EXTRA_REPORTS = 30  # few clients are timed more often


@dataclass(frozen=True, slots=True)
class Parts:
    """Where our server's time goes, seconds for the whole round."""

    receive_cpu_s: float
    sum_cpu_s: float
    open_cpu_s: float
    expand_cpu_s: float
    combine_cpu_s: float


def measure(n: int, d: int, auditors: tuple[int, int], repeats: int) -> tuple[Row, Parts]:
    """Measure one size with (auditors, how many open) as given."""
    round_ = make_round(d, *auditors)
    tables = vectors(NUM_VECTORS, d)
    reports, times = _reports(round_, tables, n)
    public = make_node(round_, 0).report_key.verifier.public_key
    receiving = min(cpu_times(lambda: [receive(round_, public, data) for data in reports], repeats))
    received = [receive(round_, public, data) for data in reports]
    runs = [_serve(round_, received) for _ in range(repeats + 1)][1:]  # the first one warms up
    expected = sum(tables[index % NUM_VECTORS] for index in range(n))
    is_exact = all(bool((opened == expected).all()) for opened, _ in runs)
    parts = Parts(receiving, *(min(column) for column in zip(*(spent for _, spent in runs), strict=True)))
    client, median = best_and_median(times)
    name = f"fedscreen ({round_.n}, {round_.t})"
    trust = f"the coordinator with {round_.t} of {round_.n} auditors"
    server = min(sum(spent) for _, spent in runs)
    return Row(name, trust, n, d, client, median, server, len(reports[0]), 1, is_exact), parts


def _reports(round_: Round, tables: list[NDArray[np.int64]], n: int) -> tuple[list[bytes], list[float]]:
    make_report(round_, make_node(round_, n), tables[0])  # warm up
    reports, times = [], []
    for index in range(max(n, EXTRA_REPORTS)):
        node = make_node(round_, index)
        start = time.process_time()
        report = make_report(round_, node, tables[index % NUM_VECTORS])
        times.append(time.process_time() - start)
        reports.append(report)
    return reports[:n], times


def _serve(round_: Round, received: list[Received]) -> tuple[NDArray[np.int64], tuple[float, ...]]:
    """Add up, answer, combine; returns the opened sum and the CPU seconds of each part."""
    clock = [time.process_time()]
    total = sum_vectors(round_.cells, (report.vector for report in received))
    clock.append(time.process_time())
    auditors = [Auditor(round_, index) for index in range(round_.t)]
    opened = [
        [auditor.open(report.header, report.boxes[auditor.index]) for report in received]
        for auditor in auditors
    ]
    clock.append(time.process_time())
    for auditor, seeds in zip(auditors, opened, strict=True):
        auditor.add(seeds)
    answers = [auditor.answer() for auditor in auditors]
    clock.append(time.process_time())
    result = combine(round_, total, answers)
    clock.append(time.process_time())
    return result, tuple(later - earlier for earlier, later in pairwise(clock))
