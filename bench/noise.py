"""The noise sampler: its cost against a limit and against OpenDP, and what its time tells about the noise.

ours: `Sampler.sample` with the stream of the protocol, per value, at two sizes and for the usual and the
widest table. reference: 0.2 µs, or OpenDP's discrete Gaussian of the same width, measured in turn.

The last rows are rank correlations (Spearman) of time with the sum of the noise's magnitudes: of a draw of
500 cells itself, and of what anybody outside of the vault can time, the hand-out of a report that was drawn,
masked and stored long before. reference is what independent numbers exceed once in 1,000 measurements.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
import time
from collections.abc import Callable
from math import sqrt
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import numpy as np
import opendp.prelude as dp
from numpy.typing import NDArray
from scipy.stats import norm, spearmanr  # type: ignore[import-untyped]

from bench.audit_path import Round, combine, make_plan, terms_of
from bench.masks import shortest_in_turn
from bench.row import Row, make_row
from crypto.xof import XofHmacSha256Aes128, format_dst
from node.vault.derive import derive
from node.vault.reports import StoredReport, add_report, payload_of
from node.vault.store import VaultStore
from plan.layout import build_layout
from privacy.discrete_gaussian import XOF_USAGE, Sampler

LIMIT_S = 0.2e-6
TIMES_FASTER = 50
WIDTHS = (128, 4096)  # s of most tables of a county's plan; the widest that there is
SIZES = (10_000, 100_000)
SMALL_CELLS = 500
REPEATS, QUICK_REPEATS = 60, 10
DRAWS, QUICK_DRAWS = 20_000, 4_000
REPORTS, QUICK_REPORTS = 2_000, 500
RARELY = 0.001
_TABLE = """
[[tables]]
id = "A1"
title = "一"
dims = ["grade", "sex", "family", "boarding"]
"""


def rows(quick: bool) -> list[Row]:
    """Measure speed at two sizes and widths, the ratio to OpenDP, and both correlations."""
    repeats = QUICK_REPEATS if quick else REPEATS
    found = [_speed(s, d, repeats) for s in WIDTHS for d in SIZES]
    found += [_against_opendp(s, SIZES[0], repeats // 10) for s in WIDTHS]
    found.append(_time_of_a_draw(QUICK_DRAWS if quick else DRAWS))
    found.append(_time_of_a_hand_out(QUICK_REPORTS if quick else REPORTS))
    return found


def _stream() -> Callable[[int], bytes]:
    return XofHmacSha256Aes128(os.urandom(32), format_dst(XOF_USAGE, b""), b"").next


def _speed(s: int, d: int, repeats: int) -> Row:
    sampler = Sampler(s * s)
    (ours,) = shortest_in_turn(repeats, lambda: sampler.sample(_stream(), d))
    return make_row(f"noise, s = {s} / 0.2 µs a value", 1, d, ours / d, LIMIT_S, 1.0)


def _against_opendp(s: int, d: int, repeats: int) -> Row:
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T=int)), dp.l2_distance(T=float)
    theirs, zeros = dp.m.make_gaussian(*space, scale=float(s)), [0] * d
    sampler = Sampler(s * s)
    ours, reference = shortest_in_turn(
        max(repeats, 2), lambda: sampler.sample(_stream(), d), lambda: theirs(zeros)
    )
    return make_row(f"noise, s = {s} / OpenDP", 1, d, ours / d, reference / d, 1 / TIMES_FASTER)


def _time_of_a_draw(draws: int) -> Row:
    sampler = Sampler(WIDTHS[0] ** 2)
    times, sizes = np.empty(draws), np.empty(draws)
    with _undisturbed():
        for index in range(draws):
            stream = _stream()
            start = time.perf_counter_ns()
            values = sampler.sample(stream, SMALL_CELLS)
            times[index] = time.perf_counter_ns() - start
            sizes[index] = np.abs(values).sum()
    return _correlation("rank correlation of a draw's time and noise", SMALL_CELLS, times, sizes)


def _time_of_a_hand_out(reports: int) -> Row:
    """Time what the egress asks for: the stored bytes of a report, again and again another one."""
    document = make_plan(_TABLE, "replace-one")
    layout = build_layout(document)
    terms, x = terms_of(document, layout), np.zeros(layout.cells, dtype=np.int64)
    times, sizes = np.empty(reports), np.empty(reports)
    with tempfile.TemporaryDirectory() as folder:
        store = VaultStore(Path(folder) / "vault.db", os.urandom(32))
        stored = []
        with store.transaction("reports"):
            store.execute("INSERT INTO record_set VALUES (1, '', '', '', 1, 0, x'', x'', '')")
            for index in range(reports):
                round_ = Round(layout, terms, os.urandom(32))
                report = derive(round_.recipe("s1"), os.urandom(32), x, 0, bytes(32))
                sizes[index] = np.abs(combine(round_, [report])).sum()
                stored.append(StoredReport(round_.round_id, 0, 1, b"", os.urandom(32), index, "", ""))
                add_report(store, stored[-1], report.vector)
        with _undisturbed():
            for index in np.random.default_rng(1).permutation(reports):
                start = time.perf_counter_ns()
                payload_of(store, stored[index])
                times[index] = time.perf_counter_ns() - start
        store.close()
    return _correlation("rank correlation of a hand-out's time and noise", layout.cells, times, sizes)


class _undisturbed:  # noqa: N801 - reads as what it is
    """Keep the collector of garbage out of a measurement."""

    def __enter__(self) -> None:
        gc.collect()
        gc.disable()

    def __exit__(self, *_error: object) -> None:
        gc.enable()


def _correlation(name: str, cells: int, times: NDArray[np.float64], sizes: NDArray[np.float64]) -> Row:
    found = abs(float(spearmanr(times, sizes)[0]))
    limit = float(norm.ppf(1 - RARELY / 2)) / sqrt(len(times) - 1)
    return make_row(name, len(times), cells, found, limit, 1.0)


if __name__ == "__main__":
    for row in rows(quick="quick" in sys.argv[1:]):
        print(row)
