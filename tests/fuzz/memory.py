"""How much memory a call takes at its peak, as Python counts it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable


def peak_bytes(task: Callable[[], object]) -> int:
    """Run a task and give the peak of what it had allocated through Python, beyond what was there before."""
    is_traced = tracemalloc.is_tracing()
    if not is_traced:
        tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        task()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        if not is_traced:
            tracemalloc.stop()
