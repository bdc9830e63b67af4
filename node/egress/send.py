"""Hand in reports, keep receipts coming: one report after the other, with growing pauses.

No answer (the coordinator is away, overloaded or restarting) is tried again without end; the pause
doubles from `FIRST_PAUSE_S` to `LONGEST_PAUSE_S` and is then shortened by up to half at random, so
that a county's schools do not all come back in the same second. A definite refusal is not repeated
for ten minutes. Of any answer only the status code goes back, and the receipt.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Protocol

from node.egress.client import DEFINITE_NUMBERS, CallError
from node.egress.outbox import REFUSED_S, RESEND_S, Outbox, digest_of
from node.frames import LIMITS, Kind, LinkState, encode_link

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 30.0
STATUS_OK = 0
STATUS_DATA_LOSS = 15

Emit = Callable[[Kind, bytes], None]


class SubmitReport(Protocol):
    """What sending needs of `node.egress.client.Coordinator`."""

    def submit_report(self, payload: bytes) -> bytes:
        """Hand in a payload; give the receipt. Raises CallError."""


def send_one(coordinator: SubmitReport, outbox: Outbox, payload: bytes, emit: Emit) -> int:
    """Try once to hand in a report, and tell the vault's side how it went.

    Returns:
        The gRPC status code: 0 when the coordinator has it.
    """
    digest = digest_of(payload)
    try:
        receipt = coordinator.submit_report(payload)
    except CallError as err:
        if err.is_definite:
            outbox.put_off(digest, time.monotonic() + REFUSED_S)
        emit(Kind.LINK, encode_link(LinkState("report", err.number, digest)))
        return err.number
    low, high = LIMITS[Kind.RECEIPT]
    status = STATUS_OK if low <= len(receipt) <= high else STATUS_DATA_LOSS
    outbox.put_off(digest, time.monotonic() + (REFUSED_S if status else RESEND_S))
    if status == STATUS_OK:
        emit(Kind.RECEIPT, receipt)
    emit(Kind.LINK, encode_link(LinkState("report", status, digest)))
    return status


def send_all(coordinator: SubmitReport, outbox: Outbox, emit: Emit, sleep: Callable[[float], None]) -> None:
    """Send what the outbox holds, for ever; a newer report replaces one that gets no answer."""
    num_failures = 0
    payload: bytes | None = None
    while True:
        payload = outbox.take(0.0 if payload else None) or payload
        if payload is None:
            continue
        status = send_one(coordinator, outbox, payload, emit)
        if is_retried(status):
            num_failures += 1
            sleep(pause_s(num_failures, FIRST_PAUSE_S, LONGEST_PAUSE_S))
        else:
            num_failures, payload = 0, None


def is_retried(status: int) -> bool:
    """Tell whether a status code means that the same bytes may succeed later."""
    return status != STATUS_OK and status not in DEFINITE_NUMBERS


def pause_s(num_failures: int, first_s: float, longest_s: float) -> float:
    """Give the pause after so many failures in a row: doubling, capped, half of it at random."""
    full = min(longest_s, first_s * 2.0 ** min(num_failures - 1, 30))
    return full * (0.5 + int.from_bytes(os.urandom(2)) / 131072)
