"""Benchmarks as ratios against a limit measured in the same run; `make bench` writes bench/results.json.

A row: {name, n, d, ours, reference, ratio, target, ok}; times in nanoseconds per element or seconds as
named. Nothing here is an assertion: a slow machine slows both sides of a ratio.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from crypto.mask_sum import CHUNK_CELLS, MaskSum
from crypto.xof import format_dst

RESULTS = Path(__file__).resolve().parent / "results.json"
REPEATS = 5


def best_of(run: Callable[[int, int], object], n: int, d: int) -> float:
    """Shortest CPU time of some repeats, in nanoseconds an element."""
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        run(n, d)
        times.append(time.process_time() - start)
    return min(times) / (n * d) * 1e9


def bare_aes(num_seeds: int, cells: int) -> None:
    """Encrypt as many zero bytes as the masks have, in the same chunks, and do nothing with them."""
    chunk = min(cells, CHUNK_CELLS)
    zeros, out = memoryview(bytes(8 * chunk)), memoryview(bytearray(8 * chunk + 16))
    for _ in range(num_seeds):
        stream = Cipher(algorithms.AES128(os.urandom(16)), modes.CTR(bytes(16))).encryptor()
        for start in range(0, cells, chunk):
            size_bytes = 8 * min(chunk, cells - start)
            stream.update_into(zeros[:size_bytes], out[: size_bytes + 16])


def expand_masks(num_seeds: int, cells: int) -> None:
    """Sum the masks of some seeds."""
    total = MaskSum(cells)
    dst = format_dst(1, bytes(32))
    for _ in range(num_seeds):
        total.add_mask(os.urandom(32), dst, b"\1")
    total.value()


def plain_add(num_vectors: int, cells: int) -> None:
    """Add as many plain 64-bit vectors."""
    total, vector = np.zeros(cells, np.uint64), np.ones(cells, np.uint64)
    for _ in range(num_vectors):
        np.add(total, vector, out=total)


def add_vectors(num_vectors: int, cells: int) -> None:
    """Sum masked vectors modulo p, checking each element."""
    total, vector = MaskSum(cells), np.ones(cells, np.uint64)
    for _ in range(num_vectors):
        total.add_vector(vector)
    total.value()


CASES: list[tuple[str, Callable[[int, int], None], Callable[[int, int], None], float]] = [
    ("mask expansion / bare AES-128-CTR", expand_masks, bare_aes, 1.5),
    ("field sum / plain uint64 add", add_vectors, plain_add, 12.0),
]


def main() -> int:
    """Measure, print a table, write the results."""
    rows = []
    for name, ours, reference, target in CASES:
        for n, d in ((300, 1_000), (300, 10_000), (50, 100_000)):
            mine, limit = (best_of(run, n, d) for run in (ours, reference))
            ratio = mine / limit
            rows.append(
                {
                    "name": name,
                    "n": n,
                    "d": d,
                    "ours": round(mine, 3),
                    "reference": round(limit, 3),
                    "ratio": round(ratio, 2),
                    "target": target,
                    "ok": ratio <= target,
                }
            )
            print(
                f"{name:36} n={n:<4} d={d:<7} {mine:7.3f} / {limit:7.3f} ns = {ratio:5.2f} (target {target})"
            )
    RESULTS.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
