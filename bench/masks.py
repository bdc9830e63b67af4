"""The mask layer: expanding masks against bare AES-128-CTR, adding vectors against a plain uint64 add.

ours: `MaskSum.add_masks` and `MaskSum.add_words`, as auditor and coordinator call them: key derivation
by HMAC, rejection sampling, exact sum modulo p. reference: the same number of AES streams written into one
reused buffer in pieces of the size that is fastest, key set-up included, and nothing done with them; `np.add`
of the same vectors into one. Both sides take turns in one process; the shortest CPU time of each counts:
whatever else runs on the machine only adds to it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bench.row import Row, make_row
from crypto.field64 import MODULUS
from crypto.mask_sum import MaskSum
from crypto.xof import format_dst

EXPANSIONS = ((300, 1_000), (100, 10_000), (100, 100_000))
ADDITIONS = (
    (1_000, 10_000),
    (200, 100_000),
)  # more than the caches hold: the coordinator meets each vector once
REPEATS, QUICK_REPEATS = 60, 10
PIECES = (16_384, 32_768)  # cells: both ways are timed, the faster one is the reference


def rows(quick: bool) -> list[Row]:
    """Measure expansion at three sizes and addition at two."""
    repeats = QUICK_REPEATS if quick else REPEATS
    found = [_expansion(n, d, repeats) for n, d in EXPANSIONS]
    return found + [_addition(n, d, repeats // 2) for n, d in ADDITIONS]


def _expansion(n: int, d: int, repeats: int) -> Row:
    seeds, dst = [os.urandom(32) for _ in range(n)], format_dst(1, bytes(32))
    total = MaskSum(d)
    ours, *bare = shortest_in_turn(
        repeats,
        lambda: total.add_masks(seeds, dst, b"\1"),
        *(_bare_aes(seeds, d, min(d, piece)) for piece in PIECES),
    )
    return make_row("mask expansion / bare AES-128-CTR", n, d, ours / n, min(bare) / n, 1.5)


def _bare_aes(seeds: list[bytes], d: int, piece: int) -> Callable[[], None]:
    zeros, out = memoryview(bytes(8 * piece)), memoryview(bytearray(8 * piece + 16))

    def run() -> None:
        for seed in seeds:
            write = Cipher(algorithms.AES128(seed[:16]), modes.CTR(seed[16:])).encryptor().update_into
            for start in range(0, d, piece):
                size = 8 * min(piece, d - start)
                write(zeros[:size], out[: size + 16])

    return run


def _addition(n: int, d: int, repeats: int) -> Row:
    words = np.frombuffer(os.urandom(8 * d), np.uint64) % np.uint64(MODULUS)
    vectors = [np.roll(words, shift).tobytes() for shift in range(n)]
    total, plain = MaskSum(d), np.zeros(d, np.uint64)

    def add_ours() -> None:
        for vector in vectors:
            total.add_words(np.frombuffer(vector, np.uint64))

    def add_plainly() -> None:
        for vector in vectors:
            np.add(plain, np.frombuffer(vector, np.uint64), out=plain)

    ours, reference = shortest_in_turn(repeats, add_ours, add_plainly)
    return make_row("coordinator's sum / plain uint64 add", n, d, ours / n, reference / n, 1.75)


def shortest_in_turn(repeats: int, *runs: Callable[[], object]) -> list[float]:
    """Shortest CPU seconds of each, taken in turn so that all meet the same machine."""
    best = [float("inf")] * len(runs)
    for _ in range(repeats):
        for index, run in enumerate(runs):
            start = time.process_time()
            run()
            best[index] = min(best[index], time.process_time() - start)
    return best


if __name__ == "__main__":
    for row in rows(quick="quick" in sys.argv[1:]):
        print(row)
