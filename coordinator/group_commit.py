"""Commit what waits together: one transaction and one fsync for all calls that came meanwhile.

Rules:
1. A call comes back only after the commit that holds its item has returned, with its own answer
   or its own refusal.
2. Whoever gets the writer's lock commits everything that is queued, in the order of arrival, and
   the others find their answer there: there is no writer thread that could die or lag behind.
3. A failure of the commit itself is the failure of every item in it; nothing of it has happened.
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


@dataclass(slots=True)
class _Waiting(Generic[T, R]):
    item: T
    answers: list[R] = field(default_factory=list)
    failure: BaseException | None = None

    @property
    def is_done(self) -> bool:
        return bool(self.answers) or self.failure is not None


class GroupCommit(Generic[T, R]):
    """Hands items to one commit at a time.

    Args:
        commit: takes items in order and gives for each its answer, or the exception that refuses it.
    """

    def __init__(self, commit: Callable[[Sequence[T]], Sequence[R | Exception]]) -> None:
        self._commit = commit
        self._queue: deque[_Waiting[T, R]] = deque()
        self._writer = threading.Lock()

    def submit(self, item: T) -> R:
        """Commit an item, together with others that wait; return its answer.

        Raises:
            Exception: what `commit` gave for this item, or what it raised.
        """
        waiting: _Waiting[T, R] = _Waiting(item)
        self._queue.append(waiting)
        while not waiting.is_done:
            with self._writer:
                if not waiting.is_done:
                    self._commit_group()
        if waiting.failure is not None:
            raise waiting.failure
        return waiting.answers[0]

    def _commit_group(self) -> None:
        group = [self._queue.popleft() for _ in range(min(len(self._queue), MAX_GROUP))]
        try:
            results = self._commit([waiting.item for waiting in group])
        except BaseException as err:  # also of a test that stops here: nobody may wait for ever
            for waiting in group:
                waiting.failure = err
            return
        for waiting, result in zip(group, results, strict=True):
            if isinstance(result, Exception):
                waiting.failure = result
            else:
                waiting.answers.append(result)
