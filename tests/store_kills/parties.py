"""Schools and auditors of a county under load: they call over fresh mTLS connections and ask until answered.

A school knows two addresses. An answer that is not final (`UNAVAILABLE`, a deadline, a connection that broke)
is asked for again at the other one with the same bytes; everything else is a failure.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from threading import Lock

import grpc
import numpy as np
from numpy.typing import NDArray

from bench.processes import connect
from bench.served_county import AUDITORS, FEDERATION, label_bytes, make_report, signing_key
from coordinator.home import Home
from coordinator.log_book import sign_entry
from crypto.field64 import encode_vector
from crypto.mask_sum import MaskSum
from crypto.replication import subsets
from crypto.sharing import add_report_mask
from protos import fedscreen_v1_pb2 as pb
from protos import fedscreen_v1_pb2_grpc as stubs
from protos.bodies import encode_checked_body
from protos.round_log import RoundLog
from protos.statements import Agreement, Checked, Opening, body_ref, encode_statement

TRY_AGAIN = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
}
CALL_S = 20.0
GIVE_UP_S = 120.0
PAUSE_S = 0.1


@dataclass
class Counts:
    """What callers have met, counted by all threads."""

    acknowledged: int = 0
    retries: int = 0
    longest_s: float = 0.0
    failures: list[str] = field(default_factory=list)
    by_port: dict[int, int] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def answer(self, port: int, seconds: float) -> None:
        """Count an answer."""
        with self._lock:
            self.acknowledged += 1
            self.longest_s = max(self.longest_s, seconds)
            self.by_port[port] = self.by_port.get(port, 0) + 1

    def retry(self) -> None:
        """Count a try that was not answered."""
        with self._lock:
            self.retries += 1

    def fail(self, reason: str) -> None:
        """Count a caller that gave up or was refused."""
        with self._lock:
            self.failures.append(reason)


@dataclass
class Caller:
    """One party; `method` names a call of its service."""

    home: Home
    ports: Sequence[int]
    tls: tuple[bytes, bytes]
    counts: Counts
    service: type = stubs.NodeServiceStub

    def call(self, method: str, request: object, first: int = 0) -> object:
        """Ask until answered; give the answer, or None where the caller has failed."""
        started_s = time.monotonic()
        turn = first
        while time.monotonic() - started_s < GIVE_UP_S:
            port = self.ports[turn % len(self.ports)]
            turn += 1
            with connect(port, self.home, self.tls) as channel:
                try:
                    answer = getattr(self.service(channel), method)(request, timeout=CALL_S)
                except grpc.RpcError as err:
                    if err.code() not in TRY_AGAIN:
                        self.counts.fail(f"{method}: {err.code().name} {err.details()}")
                        return None
                    self.counts.retry()
                else:
                    self.counts.answer(port, time.monotonic() - started_s)
                    return answer
            time.sleep(PAUSE_S)
        self.counts.fail(f"{method}: no answer for {GIVE_UP_S:.0f} s")
        return None


def values_of(name: str, cells: int) -> NDArray[np.int64]:
    """Counts and noise of a school: repeatable, small, some negative."""
    words = np.frombuffer(label_bytes(f"values {name}", 8 * cells), "<u8")
    return (words % np.uint64(4000)).astype(np.int64) - 1000


def report_of(round_log: RoundLog, name: str) -> bytes:
    """A school's whole report."""
    return make_report(round_log, name, values=values_of(name, round_log.terms.cells))


def truth_of(names: Sequence[str], cells: int) -> list[int]:
    """What the released sums must be."""
    total = np.zeros(cells, np.int64)
    for name in names:
        total += values_of(name, cells)
    return [int(value) for value in total]


def statements_of(round_log: RoundLog, step: str) -> dict[str, tuple[bytes, bytes]]:
    """Each auditor's `checked` or `agreement`: entry and body."""
    body = encode_checked_body(()) if step == "checked" else b""
    made = {}
    for name in AUDITORS:
        if step == "checked":
            candidates = round_log.candidates
            found = candidates.digest if candidates else bytes(32)
            text = encode_statement(Checked(FEDERATION, round_log.round_id, name, found, body_ref(body)))
        else:
            close = round_log.close
            found = close.digest if close else bytes(32)
            text = encode_statement(Agreement(FEDERATION, round_log.round_id, name, found))
        made[name] = sign_entry(text, signing_key("auditor", name)), body
    return made


def openings_of(round_log: RoundLog, names: Sequence[str]) -> dict[str, tuple[bytes, list[bytes]]]:
    """Each auditor's opening and its sums, from the seeds that `make_report` draws from labels."""
    n, t = round_log.num_auditors, round_log.terms.threshold
    sums = {subset: MaskSum(round_log.terms.cells) for subset in subsets(n, t)}
    for name in names:
        label = f"{name} 0 {round_log.round_id.hex()}"
        for subset, total in sums.items():
            add_report_mask(total, subset, label_bytes(f"seed {subset} {label}"), round_log.round_id, n, t)
    encoded = {subset: encode_vector(total.value()) for subset, total in sums.items()}
    return {auditor: _opening(round_log, auditor, encoded) for auditor in AUDITORS}


def _opening(round_log: RoundLog, auditor: str, sums: dict[int, bytes]) -> tuple[bytes, list[bytes]]:
    mine = {subset: sums[subset] for subset in round_log.subsets_of(auditor)}
    close = round_log.close
    opening = Opening(
        federation=FEDERATION,
        round=round_log.round_id,
        auditor=auditor,
        close=close.digest if close else bytes(32),
        draw=label_bytes(f"draw {auditor}"),
        sums=tuple((subset, hashlib.sha256(data).digest()) for subset, data in mine.items()),
    )
    entry = sign_entry(encode_statement(opening), signing_key("auditor", auditor))
    return entry, list(mine.values())


def requests_of(round_log: RoundLog, step: str, names: Sequence[str]) -> dict[str, tuple[str, object]]:
    """Give each auditor's call of a step: method and message."""
    if step == "opening":
        return {
            name: ("SubmitOpening", pb.SubmitOpeningRequest(entry=entry, sums=sums))
            for name, (entry, sums) in openings_of(round_log, names).items()
        }
    return {
        name: ("SubmitStatement", pb.SubmitStatementRequest(entry=entry, body=body))
        for name, (entry, body) in statements_of(round_log, step).items()
    }
