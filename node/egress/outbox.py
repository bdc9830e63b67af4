"""The one report in flight.

The vault offers its oldest report that the cosigned log does not hold yet after every page of the
log, so the same bytes come again and again. This decides when they are really sent:

1. Bytes that were never sent: now.
2. Bytes that the coordinator took (a receipt came): again after `RESEND_S`, in case it lost them; the
   call is idempotent.
3. Bytes that it refused for good: again after `REFUSED_S`, in case a person put something right.

Nothing is stored: after a restart the vault offers its report again.
"""

from __future__ import annotations

import hashlib
import threading

RESEND_S = 60.0
REFUSED_S = 600.0
MAX_REMEMBERED = 64


class Outbox:
    """Holds the newest offer until it is taken. Used by two threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._payload: bytes | None = None
        self._not_before_s: dict[bytes, float] = {}

    def offer(self, payload: bytes, now_s: float) -> bool:
        """Put a report in, instead of an earlier one that was not taken yet; False if it is not due."""
        digest = digest_of(payload)
        with self._changed:
            if now_s < self._not_before_s.get(digest, 0.0):
                return False
            self._payload = payload
            self._changed.notify()
            return True

    def take(self, timeout_s: float | None = None) -> bytes | None:
        """Wait for a report and take it out; None if none came in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._payload is not None, timeout_s)
            payload, self._payload = self._payload, None
            return payload

    def put_off(self, digest: bytes, until_s: float) -> None:
        """Do not send these bytes before `until_s`."""
        with self._changed:
            if len(self._not_before_s) >= MAX_REMEMBERED:
                self._not_before_s.pop(min(self._not_before_s, key=lambda name: self._not_before_s[name]))
            self._not_before_s[digest] = until_s
            if self._payload is not None and digest_of(self._payload) == digest:
                self._payload = None


def digest_of(payload: bytes) -> bytes:
    """Name a report payload: SHA-256, 32 bytes."""
    return hashlib.sha256(payload).digest()
