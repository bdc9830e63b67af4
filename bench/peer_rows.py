"""What one system costs for one sum: the row that every peer's module returns, and how CPU time is taken."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

VALUE_BITS = 32  # every cell of every client lies in [0, 2^32)


@dataclass(frozen=True, slots=True)
class Row:
    """CPU seconds of one client and of everything that is not a client, for n vectors of d cells.

    Attributes:
        peer: the system and its parameters.
        trust: who together can read a single client's vector.
        client_cpu_s: best of the repeats (or of the clients); `client_median_s` their median.
        server_cpu_s: from the received bytes to the opened sum; best of the repeats.
        bytes_per_client: up and down together.
        exact: whether the opened sum was exactly the true one, looked at in this run.
        scaled_from: empty, or the smaller measurement that the figures were scaled up from.
    """

    peer: str
    trust: str
    n: int
    d: int
    client_cpu_s: float
    client_median_s: float
    server_cpu_s: float
    bytes_per_client: int
    rounds: int
    exact: bool
    scaled_from: str = ""

    def as_json(self) -> dict[str, Any]:
        """The row with times rounded to what a clock can tell."""
        return {
            key: round(value, 9) if isinstance(value, float) else value for key, value in asdict(self).items()
        }


def cpu_times(run: Callable[[], object], repeats: int) -> list[float]:
    """CPU seconds (all threads of this process) of some runs, after one that does not count."""
    run()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return times


def best_and_median(times: list[float]) -> tuple[float, float]:
    """The least of some times, and their median."""
    return min(times), statistics.median(times)


def vectors(num_vectors: int, cells: int) -> list[NDArray[np.int64]]:
    """Make the same vectors for every system."""
    rng = np.random.default_rng(cells)
    return [rng.integers(0, 1 << VALUE_BITS, cells, dtype=np.int64) for _ in range(num_vectors)]
