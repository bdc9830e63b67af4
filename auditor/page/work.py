"""Work that takes longer than a page: the second sitting, a verification, a bundle. One at a time of a kind.

It runs in a thread of its own; the page looks again by itself and shows what was done so far. Starting it a
second time while it runs shows the first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from auditor.desk import Event
from plan.errors import Phrase, phrase

QUICK_S: Final = 1.5
"""A piece of work that is done within this time is shown done at once."""


@dataclass(slots=True)
class Work:
    """One piece of work.

    Attributes:
        kind: "sitting", "watch", "verify", "bundle" or another word of `speech.WORKS`.
        back: the page that shows its result.
        started: when.
        stop: set to ask it to end.
        events: what it did so far, with the time of each.
        is_done: whether it has ended.
        result: what came out.
        problem: why it failed, None where it did not.
    """

    kind: str
    back: str
    started: datetime
    stop: threading.Event = field(default_factory=threading.Event)
    events: list[tuple[datetime, Event]] = field(default_factory=list)
    is_done: bool = False
    result: Any = None
    problem: Phrase | None = None

    def note(self, when: datetime, event: Event) -> None:
        """Keep something that was done, once."""
        if all(event != known for _when, known in self.events):
            self.events.append((when, event))


class Workshop:
    """Where work runs.

    Args:
        now: the clock, UTC.
        refusals: errors whose words are shown.
        said: gives the words of one of them.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        refusals: Sequence[type[Exception]],
        said: Callable[[Exception], Phrase],
    ) -> None:
        self._now, self._refusals, self._said = now, tuple(refusals), said
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.last: Work | None = None

    @property
    def running(self) -> Work | None:
        """The work that has not ended."""
        return self.last if self.last is not None and not self.last.is_done else None

    def start(self, kind: str, back: str, task: Callable[[Work], Any], wait_s: float = QUICK_S) -> Work:
        """Start work unless some runs already; waits a moment, so that what is quick is done at once."""
        with self._lock:
            if self.running is not None:
                return self.running
            work = self.last = Work(kind, back, self._now())
            self._thread = threading.Thread(target=self._run, args=(work, task), name=kind, daemon=True)
            self._thread.start()
            thread = self._thread
        thread.join(wait_s)
        return work

    def end(self, wait_s: float = 10.0) -> None:
        """Ask the work to end, and wait for it."""
        if self.last is not None:
            self.last.stop.set()
        if self._thread is not None:
            self._thread.join(wait_s)

    def _run(self, work: Work, task: Callable[[Work], Any]) -> None:
        try:
            work.result = task(work)
        except self._refusals as err:
            work.problem = self._said(err)
        except Exception as err:  # its text may hold anything: only the kind is shown, and nothing logged
            work.problem = phrase(
                "something went wrong that nobody foresaw (%(kind)s); try again, nothing is half done",
                kind=type(err).__name__,
            )
        finally:
            work.is_done = True
