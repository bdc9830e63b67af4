"""A clock that never moves back.

What this node has seen signed is evidence of the time: the newest cosignature time of a quorum of
auditors, and the computer's own clock as long as it stands near that evidence. The mark is stored, so
a clock that somebody turns back neither re-opens a plan nor starts last year's account again.

The computer's clock is *used* wherever it is ahead of the mark, but it only *moves the mark* up to
``MAX_AHEAD`` beyond the evidence: one wrong battery must not lock a school out for ever. A release
asks for a checkpoint that is at most a day old, so it never happens under such a clock anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from node.vault.errors import VaultError, _
from node.vault.store import VaultStore

SETTING = "clock-mark"
MAX_AHEAD = timedelta(hours=48)
WRITE_EVERY = timedelta(minutes=1)

Now = Callable[[], datetime]


class Clock:
    """The vault's clock.

    Args:
        store: keeps the mark.
        now: the computer's clock, UTC.
    """

    def __init__(self, store: VaultStore, now: Now) -> None:
        self._store = store
        self._now = now
        stored = store.setting(SETTING)
        self._mark = _EPOCH if stored is None else datetime.fromtimestamp(int(stored), UTC)
        self._evidence = _EPOCH  # the mirror tells it again; a stored mark is no evidence for itself

    def now(self) -> datetime:
        """Tell the time: UTC, whole seconds, never before the mark."""
        found = self._now()
        if found.tzinfo is None or found.utcoffset() is None:
            raise VaultError(_("the clock gave a time without a zone"), code="clock")
        return max(found.astimezone(UTC).replace(microsecond=0), self._mark)

    @property
    def mark(self) -> datetime:
        """The high-water mark; 1970 while nothing has been seen yet."""
        return self._mark

    def witness(self, time: datetime) -> None:
        """Take a time that a quorum of auditors signed as evidence."""
        self._evidence = max(self._evidence, time)
        self._mark = max(self._mark, time)

    def save(self) -> None:
        """Store the mark, inside the caller's transaction."""
        stored = self._store.setting(SETTING)
        floor = _EPOCH if stored is None else datetime.fromtimestamp(int(stored), UTC)
        if self._evidence > _EPOCH:
            self._mark = max(self._mark, floor, min(self.now(), self._evidence + MAX_AHEAD))
        if self._mark - floor >= WRITE_EVERY or (stored is None and self._mark > _EPOCH):
            self._store.put_setting(SETTING, str(int(self._mark.timestamp())).encode())


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
