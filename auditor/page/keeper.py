"""One open auditor's folder for as long as the page runs.

Rules:

1. One thread at a time has the desk; a page waits for it `PATIENCE_S`, then says that work is under way.
2. The desk is opened when it is first asked for, and anew when configuration, policy, card, keys or
   certificate have changed on the disk, as a command would find them.
3. The county is asked at most every `LOOK_EVERY_S` by pages that only show; where it cannot be reached, the
   auditor's own copy is shown, with what went wrong.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from auditor.config import AuditorFolder
from auditor.desk import Desk, Event
from auditor.errors import AuditorError, LinkError, RefusalError
from auditor.sign_roster import RosterReview
from plan.errors import Phrase, phrase, phrase_of

PATIENCE_S: Final = 2.0
LOOK_EVERY_S: Final = 60.0

OpenDesk = Callable[[AuditorFolder], AbstractContextManager[Desk]]


class AtWorkError(AuditorError):
    """Something else has the auditor's folder now; the page says so and looks again by itself."""


@dataclass(slots=True)
class Reach:
    """How the county answered when it was last asked.

    Attributes:
        asked: when; None for never.
        problem: why it did not answer, None where it did.
        rosters: the rosters that wait for signatures.
        roster_problem: why a waiting roster must not be signed, None where it may.
    """

    asked: datetime | None = None
    problem: Phrase | None = None
    rosters: tuple[RosterReview, ...] = ()
    roster_problem: Phrase | None = None


@dataclass(slots=True)
class Keeper:
    """Keeps one desk open.

    Attributes:
        folder: the auditor's directory.
        open_desk: opens desk and connection (`auditor.watch.connected_desk`).
        now: the clock, UTC.
        now_s: a clock that never goes back, in seconds.
        reach: how the county answered.
    """

    folder: AuditorFolder
    open_desk: OpenDesk
    now: Callable[[], datetime]
    now_s: Callable[[], float]
    reach: Reach = field(default_factory=Reach)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _opened: AbstractContextManager[Desk] | None = None
    _desk: Desk | None = None
    _mark: tuple[bytes, ...] = ()
    _looked_s: float | None = None

    @contextmanager
    def desk(self, wait_s: float | None = None) -> Iterator[Desk]:
        """Have the desk alone.

        Raises:
            AtWorkError: another thread has had it for `wait_s` seconds (by default `PATIENCE_S`).
            AuditorError, ProtocolError: the folder is not usable.
        """
        if not self._lock.acquire(timeout=PATIENCE_S if wait_s is None else wait_s):
            raise AtWorkError(phrase("this auditor is at work now; the page comes when it is done"))
        try:
            yield self._open()
        finally:
            self._lock.release()

    @contextmanager
    def alone(self, wait_s: float | None = None) -> Iterator[AuditorFolder]:
        """Have the folder alone, without connection: the desk is closed and opened anew by the next page.

        Raises:
            AtWorkError: another thread has had it for `wait_s` seconds (by default `PATIENCE_S`).
        """
        if not self._lock.acquire(timeout=PATIENCE_S if wait_s is None else wait_s):
            raise AtWorkError(phrase("this auditor is at work now; the page comes when it is done"))
        try:
            self._close()
            yield self.folder
        finally:
            self.forget()
            self._lock.release()

    def look(self, desk: Desk, *, anyway: bool = False) -> Reach:
        """Follow the log and list what waits, unless that was done just now; failures are kept, not raised.

        Raises:
            MirrorError: what the county shows contradicts what was seen before.
        """
        if not anyway and self._looked_s is not None and self.now_s() - self._looked_s < LOOK_EVERY_S:
            return self.reach
        self.reach = found = Reach(self.now())
        try:
            found.rosters = desk.list_rosters()
        except RefusalError as err:
            found.roster_problem = err.phrase
        except LinkError as err:
            found.problem = err.phrase
        self._looked_s = self.now_s()
        return found

    def forget(self) -> None:
        """Let the next page ask the county again."""
        self._looked_s = None

    def step(self, tell: Callable[[Event], None]) -> list[Event]:
        """Do everything that can be done now, alone with the desk."""
        with self.desk(wait_s=60.0) as desk:
            self.forget()
            return desk.step(tell)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._close()

    def _open(self) -> Desk:
        mark = tuple(_marks(self.folder))
        if self._desk is not None and mark != self._mark:
            self._close()
        if self._desk is None:
            opened = self.open_desk(self.folder)
            self._desk, self._opened, self._mark = opened.__enter__(), opened, mark
            self.forget()
        return self._desk

    def _close(self) -> None:
        opened, self._opened, self._desk = self._opened, None, None
        if opened is not None:
            opened.__exit__(None, None, None)


def _marks(folder: AuditorFolder) -> Iterator[bytes]:
    """Give what changes when the desk has to be opened anew."""
    certificate = folder.keys / "tls.crt"
    for path in (folder.config, folder.policy, folder.card, certificate):
        yield _bytes_of(path)
    for path in sorted(folder.keys.glob("*")):
        yield str(path).encode("utf-8", "surrogateescape")


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def reason(err: Exception) -> Phrase:
    """Give the words of a refusal."""
    return phrase_of(err) if isinstance(err, AuditorError) else phrase("not valid (%(details)s)", details=err)
