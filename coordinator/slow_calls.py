"""Calls that take too long: a client that sends or reads by the drop must not hold a worker for ever.

A call has one deadline at a time: first for the request to arrive, then for the answer to be made and
taken. `cancel` is run about once a second by the housekeeper of ``coordinator.serve``; the client of a
cancelled call sees CANCELLED and may try again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Cancellable(Protocol):
    """What is needed of a call's context."""

    def cancel(self) -> object:
        """End the call now."""


@dataclass(slots=True, eq=False)
class Watched:
    """A call that runs, and until when it may."""

    context: Cancellable
    until_s: float
    is_cancelled: bool = False


class RunningCalls:
    """The calls that run in this process; threads share it."""

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._watched: set[Watched] = set()

    @property
    def num_running(self) -> int:
        """How many calls run now."""
        return len(self._watched)

    def begin(self, context: Cancellable, within_s: float) -> Watched:
        """Watch a call; `end` must follow."""
        watched = Watched(context, self._clock_s() + within_s)
        with self._lock:
            self._watched.add(watched)
        return watched

    def go_on(self, watched: Watched, within_s: float) -> None:
        """Give a call a new deadline from now on."""
        watched.until_s = self._clock_s() + within_s

    def end(self, watched: Watched) -> None:
        """Forget a call that is over."""
        with self._lock:
            self._watched.discard(watched)

    def cancel(self) -> int:
        """End every call whose time is over; return how many."""
        now_s = self._clock_s()
        with self._lock:
            late = [one for one in self._watched if one.until_s <= now_s and not one.is_cancelled]
        for one in late:
            one.is_cancelled = True
            one.context.cancel()
        return len(late)
