"""What one caller has used of what it may: calls a minute, calls at once, bytes an hour.

A token bucket for each of calls and bytes, kept by identity (role and id), so that a second connection
or a renewed certificate has no second allowance. The clock is monotonic. Callers that have been away long
enough for their buckets to be full again are forgotten, so that memory is that of the callers of an hour.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass

from coordinator.errors import QuotaUsedError, TooManyCallsError
from coordinator.identity import Caller
from coordinator.limits import Limits
from plan.errors import phrase

HOUR_S = 3600.0
MIB = 2**20
SWEEP_S = 600.0


@dataclass(slots=True)
class Bucket:
    """A token bucket: `capacity` tokens, refilled at `per_s`."""

    capacity: float
    per_s: float
    tokens: float
    filled_s: float

    def take(self, amount: float, now_s: float) -> float:
        """Take tokens; return 0, or in how many seconds there would be enough (and take nothing)."""
        self.tokens = min(self.capacity, self.tokens + (now_s - self.filled_s) * self.per_s)
        self.filled_s = now_s
        if amount <= self.tokens:
            self.tokens -= amount
            return 0.0
        return (amount - self.tokens) / self.per_s


@dataclass(slots=True)
class _Used:
    calls: Bucket
    num_bytes: Bucket
    at_once: int = 0


class Allowances:
    """The allowances of all callers of one process; threads share it."""

    def __init__(self, limits: Limits, clock_s: Callable[[], float]) -> None:
        self._limits = limits
        self._clock_s = clock_s
        self._lock = threading.Lock()
        self._used: dict[tuple[str, str], _Used] = {}
        self._swept_s = clock_s()

    def begin(self, caller: Caller) -> None:
        """Count a call that begins; `end` must follow.

        Raises:
            TooManyCallsError: too many in the last minute, or at this moment.
        """
        now_s = self._clock_s()
        with self._lock:
            self._sweep(now_s)
            used = self._of(caller, now_s)
            is_node = caller.role == "node"
            limits = self._limits
            if used.at_once >= (limits.node_calls_at_once if is_node else limits.auditor_calls_at_once):
                raise TooManyCallsError(
                    phrase("%(role)s %(id)s: too many calls at once; try again", **_named(caller))
                )
            wait_s = used.calls.take(1, now_s)
            if wait_s:
                raise TooManyCallsError(
                    phrase(
                        "%(role)s %(id)s: too many calls; try again in %(seconds)s s",
                        **_named(caller),
                        seconds=math.ceil(wait_s),
                    )
                )
            used.at_once += 1

    def charge(self, caller: Caller, num_bytes: int) -> None:
        """Count the bytes of a request.

        Raises:
            QuotaUsedError: more than an hour's worth.
        """
        now_s = self._clock_s()
        with self._lock:
            wait_s = self._of(caller, now_s).num_bytes.take(num_bytes, now_s)
        if wait_s:
            raise QuotaUsedError(
                phrase(
                    "%(role)s %(id)s: has sent as much as it may in an hour; try again in %(seconds)s s",
                    **_named(caller),
                    seconds=math.ceil(wait_s),
                )
            )

    def end(self, caller: Caller) -> None:
        """Count a call that is over."""
        with self._lock:
            used = self._used.get((caller.role, caller.id))
            if used is not None and used.at_once > 0:
                used.at_once -= 1

    def _of(self, caller: Caller, now_s: float) -> _Used:
        key = caller.role, caller.id
        used = self._used.get(key)
        if used is None:
            used = self._used[key] = self._full(caller.role, now_s)
        return used

    def _full(self, role: str, now_s: float) -> _Used:
        limits = self._limits
        if role == "node":
            per_minute, burst, mib = (
                limits.node_calls_per_minute,
                limits.node_burst,
                limits.node_mib_per_hour,
            )
        else:
            per_minute, burst, mib = (
                limits.auditor_calls_per_minute,
                limits.auditor_burst,
                limits.auditor_mib_per_hour,
            )
        size = float(mib * MIB)
        return _Used(Bucket(burst, per_minute / 60, burst, now_s), Bucket(size, size / HOUR_S, size, now_s))

    def _sweep(self, now_s: float) -> None:
        if now_s - self._swept_s < SWEEP_S:
            return
        self._swept_s = now_s
        gone = [
            key
            for key, used in self._used.items()
            if not used.at_once and now_s - used.num_bytes.filled_s > HOUR_S and _is_full(used.calls, now_s)
        ]
        for key in gone:
            del self._used[key]


def _is_full(bucket: Bucket, now_s: float) -> bool:
    return bucket.tokens + (now_s - bucket.filled_s) * bucket.per_s >= bucket.capacity


def _named(caller: Caller) -> dict[str, object]:
    return {"role": phrase(caller.role), "id": caller.id}
