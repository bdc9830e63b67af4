"""Commit what waits together: one transaction and one fsync for all calls that came meanwhile.

Rules:
1. A call comes back only after the commit that holds its item has returned, with its own answer
   or its own refusal.
2. One of the calls leads: it commits everything that is queued, in the order of arrival, makes the
   first call that came meanwhile the next leader and wakes those whose answers it has. There is no
   writer thread that could die or lag behind, and nobody with an answer waits for another commit.
3. A failure of the commit itself is the failure of every item in it; nothing of it has happened.
4. A call that is interrupted while it waits hands on what it was given to do.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

MAX_GROUP = 64  # bounds the transaction: 64 reports of 80 KB are 5 MB
T = TypeVar("T")
R = TypeVar("R")


def _closed_gate() -> threading.Lock:
    gate = threading.Lock()
    gate.acquire()
    return gate


@dataclass(slots=True, eq=False)
class _Waiting(Generic[T, R]):
    item: T
    gate: threading.Lock = field(default_factory=_closed_gate)  # opened when there is an answer, or to lead
    leads: bool = False
    answers: list[R] = field(default_factory=list)
    failure: BaseException | None = None


class GroupCommit(Generic[T, R]):
    """Hands items to one commit at a time.

    Args:
        commit: takes items in order and gives for each its answer, or the exception that refuses it.
    """

    def __init__(self, commit: Callable[[Sequence[T]], Sequence[R | Exception]]) -> None:
        self._commit = commit
        self._queue: deque[_Waiting[T, R]] = deque()
        self._mutex = threading.Lock()  # of the queue and of who leads
        self._has_leader = False

    def submit(self, item: T) -> R:
        """Commit an item, together with others that wait; return its answer.

        Raises:
            Exception: what `commit` gave for this item, or what it raised.
        """
        waiting: _Waiting[T, R] = _Waiting(item)
        with self._mutex:
            self._queue.append(waiting)
            waiting.leads, self._has_leader = not self._has_leader, True
        try:
            if not waiting.leads:
                waiting.gate.acquire()
            if waiting.leads:
                self._commit_group()
        except BaseException:
            self._withdraw(waiting)
            raise
        if waiting.failure is not None:
            raise waiting.failure
        return waiting.answers[0]

    def _commit_group(self) -> None:
        with self._mutex:
            group = [self._queue.popleft() for _ in range(min(len(self._queue), MAX_GROUP))]
        try:
            results = self._commit([waiting.item for waiting in group])
        except BaseException as err:  # also of a test that stops here: nobody may wait for ever
            for waiting in group:
                waiting.failure = err
        else:
            for waiting, result in zip(group, results, strict=True):
                if isinstance(result, Exception):
                    waiting.failure = result
                else:
                    waiting.answers.append(result)
        self._name_leader()
        for waiting in group:
            waiting.gate.release()

    def _name_leader(self) -> None:
        with self._mutex:
            self._has_leader = bool(self._queue)
            if self._has_leader:
                self._queue[0].leads = True
                self._queue[0].gate.release()

    def _withdraw(self, waiting: _Waiting[T, R]) -> None:
        """Take an interrupted call out of the queue; if it was to lead, the next one does."""
        with self._mutex:
            is_queued = waiting in self._queue
            if is_queued:
                self._queue.remove(waiting)
        if waiting.leads and is_queued:
            self._name_leader()
