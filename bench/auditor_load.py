"""What a round costs an auditor: its check and its answer against the bare opens and expansions in them.

ours, as `auditor.desk` runs it on a round of n reports under (4,3): `find_refusals` (candidates
recomputed, every box compared with its signed digest, opened, its seeds compared with the
commitments, copied seeds and encapsulations looked for, groups counted) and `compute_sums` (boxes
compared and opened again, one running sum of masks a subset, encoded). Boxes come from memory:
transport is not in it, nor are the log's signatures, which were verified when the log was followed.
reference: as many raw HPKE opens (2 n) with the round key expanded once, and as many bare
AES-128-CTR streams of the masks' length (3 n), nothing done with them. CPU time of this process.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

if str(Path(__file__).resolve().parent.parent) not in sys.path:
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from auditor.answer_masks import compute_sums
from auditor.check_reports import find_refusals
from auditor.context import Context
from auditor.keys import AuditorKeys
from auditor.mirror import Mirror
from auditor.policy import default_policy, parse_auditor_policy
from auditor.state import SecretKind, State
from bench.row import Row, make_row
from bench.served_county import (
    AUDITORS,
    FEDERATION,
    make_county,
    make_report,
    node_name,
    round_secret,
    signing_key,
)
from coordinator.desk import Desk
from coordinator.log_book import sign_entry
from crypto import derivation
from crypto.sealing import load_round_key, open_box
from protos.bodies import encode_checked_body
from protos.card import parse_card
from protos.convert import LogPage
from protos.ledger import RoundLog
from protos.statements import Checked, Report, body_ref, encode_statement

AUDITOR = "a1"
N, D = 300, 1_010
TARGET = 1.3
REPEATS, QUICK_REPEATS = 7, 3


class MemoryLink:
    """The coordinator's desk in this process, boxes taken out once."""

    def __init__(self, desk: Desk, round_id: bytes) -> None:
        self._desk = desk
        self._boxes = list(desk.get_boxes(AUDITOR, round_id))

    def get_log(self, start: int, max_entries: int) -> LogPage:
        """Read the log."""
        return self._desk.get_log(start, max_entries)

    def get_boxes(self, round_id: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Give this auditor's boxes."""
        del round_id
        return iter(self._boxes)


def main(*words: str) -> int:
    """Measure and print."""
    for row in rows(quick="quick" in words):
        print(row)
    return 0


def rows(quick: bool) -> list[Row]:
    """Measure one auditor of a round of 300 reports."""
    with tempfile.TemporaryDirectory(prefix="bench-auditor-") as name:
        folder = Path(name)
        round_id = make_county(folder / "coordinator", N, D)
        desk = Desk(folder / "coordinator")
        try:
            context = _closed_round(desk, folder, round_id)
            ours, reference = _measure(context, round_id, QUICK_REPEATS if quick else REPEATS)
        finally:
            desk.close()
    name = "auditor check and answer / opens and expansions"
    return [make_row(name, N, D, ours / N, reference / N, TARGET)]


def _closed_round(desk: Desk, folder: Path, round_id: bytes) -> Context:
    """Report, check and close; return the auditor's context, before it has checked for itself."""
    card = parse_card(desk.card_text())
    state = State(folder / "state", entropy=_entropy)
    with state.locked():
        state.keep_secret(SecretKind.ROUND_KEY, round_id, round_secret(AUDITOR))
    mirror = Mirror(folder / "mirror", card)
    first = MemoryLink(desk, round_id)
    mirror.sync(first)  # type: ignore[arg-type]
    for place in range(N):
        desk.submit_report(node_name(place), make_report(mirror.ledger.rounds[round_id], node_name(place)))
    desk.request_close(round_id, without_missing=True)
    desk.tick()
    mirror.sync(first)  # type: ignore[arg-type]
    for name in AUDITORS[1:]:
        desk.submit_statement(name, *_nothing_refused(mirror.ledger.rounds[round_id], name))
    desk.tick()
    mirror.sync(first)  # type: ignore[arg-type]
    link = MemoryLink(desk, round_id)
    return Context(
        id=AUDITOR,
        keys=AuditorKeys(signing_key("auditor", AUDITOR), signing_key("witness", AUDITOR)),
        policy=parse_auditor_policy(default_policy(card)),
        state=state,
        mirror=mirror,
        link=link,  # type: ignore[arg-type]
        now=lambda: datetime.now(UTC),
        entropy=_entropy,
        keep_keys=timedelta(days=60),
    )


def _entropy(size: int) -> bytes:
    return bytes(size)


def _nothing_refused(round_log: RoundLog, name: str) -> tuple[bytes, bytes]:
    if round_log.candidates is None:
        raise RuntimeError("no candidates")
    body = encode_checked_body(())
    statement = Checked(FEDERATION, round_log.round_id, name, round_log.candidates.digest, body_ref(body))
    return sign_entry(encode_statement(statement), signing_key("auditor", name)), body


def _measure(context: Context, round_id: bytes, repeats: int) -> tuple[float, float]:
    """Shortest CPU seconds of some repeats, ours and the reference taking turns."""
    round_log = context.ledger.rounds[round_id]
    raw = _raw_boxes(context, round_log)
    ours, reference = [], []
    for _ in range(repeats):
        ours.append(_cpu(lambda: (find_refusals(context, round_log), compute_sums(context, round_log))))
        reference.append(_cpu(lambda: _bare(raw, round_log)))
    return min(ours), min(reference)


def _cpu(run: Callable[[], object]) -> float:
    start = time.process_time()
    run()
    return time.process_time() - start


def _raw_boxes(context: Context, round_log: RoundLog) -> list[tuple[bytes, bytes]]:
    """Every box with its info, ready to be opened."""
    boxes = dict(context.link.get_boxes(round_log.round_id))
    key = round_log.approvals[AUDITOR].statement.round_key
    return [(boxes[row.digest], _info(row.statement, key)) for row in round_log.reports.values()]


def _info(report: Report, key: bytes) -> bytes:
    commitments = derivation.commitments_digest([value for _, value in report.seeds])
    return derivation.box_info(
        report.round, report.node, report.attempt, AUDITOR, key, report.vector, commitments
    )


def _bare(raw: list[tuple[bytes, bytes]], round_log: RoundLog) -> None:
    key = load_round_key(round_secret(AUDITOR))
    for _ in ("check", "answer"):
        for box, info in raw:
            open_box(key, box, info)
    size_bytes = 8 * round_log.terms.cells
    zeros, out = bytes(size_bytes), bytearray(size_bytes + 16)
    for place in range(len(raw) * len(round_log.subsets_of(AUDITOR))):
        stream = Cipher(algorithms.AES128(place.to_bytes(16, "big")), modes.CTR(bytes(16))).encryptor()
        stream.update_into(zeros, out)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
