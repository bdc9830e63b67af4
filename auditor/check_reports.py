"""Check every candidate report and log what is refused (`checked`).

After the candidates stand in the log, in order:

1. The candidates are the function of the log that they must be.
2. Fetch this auditor's sealed boxes. A box must be the one whose digest the school signed; anything
   else is the coordinator's doing and no reason to refuse a school: the auditor then waits.
3. In log order (the log's, not the order of delivery): open each box, compare its seeds with the
   header's commitments, refuse a seed or an encapsulation seen in an earlier good report. So a
   copied seed evicts the copy, and a box that does not open evicts nobody else.
4. Refuse the reports of a group smaller than `min_group` (`auditor.plan_view`).
5. Sign `checked` once and send it.

The ledger has already checked signatures, roster entries, attempts, sizes and cells of every
header. Spec: docs/protocol.md "The close" step 2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.context import Context
from auditor.errors import CheckError, RefusalError, StateError
from auditor.plan_view import small_groups
from auditor.signing import SignedEntry, sign_entry, store_entry
from auditor.state import SecretKind, SlotKind
from crypto.derivation import (
    SECRET_BYTES,
    BoxFrame,
    encode_report,
    parse_box_plaintext,
)
from crypto.errors import DecodeError, OpenError
from crypto.sealing import RoundKey, load_round_key, open_box
from plan.errors import phrase
from protos.bodies import Refusal, ReportName, encode_checked_body
from protos.ledger import Ledger, Logged, RoundLog
from protos.report_table import Contents
from protos.statements import Approval, Checked, body_ref

ENCAPSULATION_BYTES = 1120  # ML-KEM ciphertext (1088) and X25519 share (32), crypto.sealing
BOX_UNOPENABLE = "box-unopenable"
SEED_MISMATCH = "seed-mismatch"
COPIED_SEED = "copied-seed"
COPIED_ENCAPSULATION = "copied-encapsulation"
MIN_GROUP = "min-group"


def sign_checked(context: Context, round_log: RoundLog) -> SignedEntry:
    """Check a round's candidates and sign what is refused; once per round.

    Raises:
        CheckError: the coordinator's candidates or boxes are not the logged ones.
        StateError: this auditor has no key for the round any more.
    """
    if round_log.candidates is None:
        raise CheckError(phrase("no candidates yet"))
    refused = find_refusals(context, round_log)
    body = encode_checked_body(refused)
    statement = Checked(
        federation=round_log.terms.federation,
        round=round_log.round_id,
        auditor=context.id,
        candidates=round_log.candidates.digest,
        body=body_ref(body),
    )
    signed = sign_entry(statement, context.signing_key(round_log), body)
    return store_entry(context.state, SlotKind.CHECKED, round_log.round_id, signed)


def find_refusals(context: Context, round_log: RoundLog) -> tuple[Refusal, ...]:
    """Find the candidates that this auditor refuses, ascending by node."""
    names = verify_candidates(context.ledger, round_log)
    opened = _open_all(context, round_log)
    missing = [name.node for name in names if name.digest not in opened.arrived]
    if missing:
        raise CheckError(
            phrase(
                "the coordinator withholds %(num_missing)s boxes, the first of %(missing)s",
                num_missing=len(missing),
                missing=missing[0],
            )
        )
    codes = {**opened.codes, **copies(opened.rows(), opened.values())}
    kept = [name for name in names if name.digest not in codes]
    for name in small_groups(round_log, kept):
        codes[name.digest] = MIN_GROUP
    return tuple(Refusal(name, codes[name.digest]) for name in names if name.digest in codes)


def verify_candidates(ledger: Ledger, round_log: RoundLog) -> tuple[ReportName, ...]:
    """Recompute the candidates from the log.

    Raises:
        CheckError: the logged list differs.
    """
    if round_log.candidates is None:
        raise CheckError(phrase("no candidates yet"))
    names = ledger.candidates_for(round_log.round_id, round_log.candidates.statement.log_size)
    if names != round_log.candidate_names():
        raise CheckError(phrase("the candidates are not the reports that stand in the log"))
    return names


def round_key(context: Context, round_log: RoundLog) -> RoundKey:
    """Return this auditor's HPKE key of a round, expanded from its stored secret (96 bytes).

    Raises:
        StateError: there is none (any more).
    """
    secret = context.state.secret(SecretKind.ROUND_KEY, round_log.round_id)
    if secret is None:
        raise StateError(
            phrase(
                "no round key for %(round_id)s in %(directory)s",
                round_id=round_log.round_id.hex()[:16],
                directory=context.state.directory,
            )
        )
    return load_round_key(secret)


def read_boxes(
    round_log: RoundLog, auditor_id: str, stream: Iterable[tuple[bytes, bytes]]
) -> Iterator[tuple[bytes, Contents, bytes]]:
    """Go through a stream of boxes, each compared with the digest in its report's signed header.

    Yields:
        Report digest, what its header says, box; each report once, in the order of delivery.

    Raises:
        CheckError: a box of no report of this round, or not the one that the school sent.
    """
    reports = round_log.reports
    waiting = {reports.digest_of(slot): slot for slot in reports}
    arrived: set[bytes] = set()
    for report_digest, box in stream:
        if report_digest in arrived:
            continue
        slot = waiting.pop(report_digest, None)
        if slot is None:
            raise CheckError(
                phrase(
                    "the coordinator sent a box of no report of this round (%(report_digest)s)",
                    report_digest=report_digest.hex()[:16],
                )
            )
        report = reports.contents_of(slot)
        if hashlib.sha256(box).digest() != dict(report.boxes)[auditor_id]:
            raise CheckError(
                phrase(
                    "the box of %(node)s is not the one that the school signed; the round waits",
                    node=report.node,
                )
            )
        arrived.add(report_digest)
        yield report_digest, report, box


@dataclass(slots=True)
class _Opened:
    """What is left of all boxes once each was opened: 32 bytes a seed and encapsulation, packed."""

    num_values: int
    arrived: set[bytes] = field(default_factory=set)
    codes: dict[bytes, str] = field(default_factory=dict)
    _digests: list[bytes] = field(default_factory=list)
    _positions: list[int] = field(default_factory=list)
    _values: bytearray = field(default_factory=bytearray, repr=False)

    def take(self, position: int, report_digest: bytes, values: Sequence[bytes]) -> None:
        """Keep the values of a report whose box opened."""
        self._positions.append(position)
        self._digests.append(report_digest)
        self._values += b"".join(values)

    def rows(self) -> list[bytes]:
        """Digests of the reports that opened, in log order."""
        return [self._digests[row] for row in self._in_log_order()]

    def values(self) -> NDArray[np.uint8]:
        """Encapsulation and seeds of each of `rows`; shape (rows, values, 32)."""
        every = np.array(self._values, np.uint8).reshape(-1, self.num_values, SECRET_BYTES)
        return every[self._in_log_order()]

    def _in_log_order(self) -> list[int]:
        return sorted(range(len(self._positions)), key=self._positions.__getitem__)


def _open_all(context: Context, round_log: RoundLog) -> _Opened:
    opener = BoxOpener(round_log, context.id, round_key(context, round_log))
    opened = _Opened(1 + len(round_log.subsets_of(context.id)))
    stream = context.link.get_boxes(round_log.round_id)
    for report_digest, report, box in read_boxes(round_log, context.id, stream):
        opened.arrived.add(report_digest)
        try:
            seeds = opener.open_seeds(report, box)
        except RefusalError as err:
            opened.codes[report_digest] = err.code
            continue
        encapsulation = hashlib.sha256(box[:ENCAPSULATION_BYTES]).digest()
        position = round_log.reports.position_of((report.node, report.attempt))
        opened.take(position, report_digest, (encapsulation, *seeds.values()))
    return opened


def copies(digests: Sequence[bytes], values: NDArray[np.uint8]) -> dict[bytes, str]:
    """Find reports that repeat an encapsulation or seed of an earlier good report, or of themselves.

    Whole values are compared only in reports that share the first eight bytes of one: honest ones never do.

    Args:
        digests: of the reports, in log order.
        values: encapsulation, then seeds, of each; shape (reports, values, 32).
    """
    prefixes = np.ascontiguousarray(values[:, :, :8]).view("<u8")[:, :, 0]
    found, counts = np.unique(prefixes, return_counts=True)
    suspects = np.flatnonzero(np.isin(prefixes, found[counts > 1]).any(axis=1))
    codes: dict[bytes, str] = {}
    seen: set[bytes] = set()
    for row in map(int, suspects):
        encapsulation, *seeds = (value.tobytes() for value in values[row])
        if encapsulation in seen:
            codes[digests[row]] = COPIED_ENCAPSULATION
        elif len(set(seeds)) != len(seeds) or seen & set(seeds):
            codes[digests[row]] = COPIED_SEED
        else:
            seen |= {encapsulation, *seeds}
    return codes


class BoxOpener:
    """Opens this auditor's boxes of one round.

    Args:
        round_log: the round, with this auditor's approval.
        auditor_id: this auditor.
        key: its HPKE key of the round.
    """

    def __init__(self, round_log: RoundLog, auditor_id: str, key: RoundKey) -> None:
        """Encode what all boxes of the round share."""
        approval: Logged[Approval] = round_log.approvals[auditor_id]
        self._frame = BoxFrame(round_log.round_id, auditor_id, approval.statement.round_key)
        self._subsets = round_log.subsets_of(auditor_id)
        self._key = key

    def open_seeds(self, report: Contents, box: bytes) -> dict[int, bytes]:
        """Open one report's box: the seeds of this auditor's subsets, each as committed in the header.

        Raises:
            RefusalError: the box does not open, or a seed is not the committed one.
        """
        named = encode_report(report.node, report.attempt)
        seeds = self._open(named, report, box)
        commitments = dict(report.seeds)
        found = self._frame.commitments(named, seeds)
        if any(found[subset] != commitments[subset] for subset in self._subsets):
            raise _refuse(report, SEED_MISMATCH)
        return seeds

    def reopen_seeds(self, report: Contents, box: bytes) -> dict[int, bytes]:
        """Open the box of a report that `open_seeds` has found good: the same bytes hold the same seeds.

        Raises:
            RefusalError: the box does not open.
        """
        return self._open(encode_report(report.node, report.attempt), report, box)

    def _open(self, named: bytes, report: Contents, box: bytes) -> dict[int, bytes]:
        info = self._frame.info(named, report.vector, [commitment for _subset, commitment in report.seeds])
        try:
            plaintext = open_box(self._key, box, info)
            return dict(zip(self._subsets, parse_box_plaintext(plaintext, len(self._subsets)), strict=True))
        except (OpenError, DecodeError) as err:
            raise _refuse(report, BOX_UNOPENABLE) from err


def _refuse(report: Contents, code: str) -> RefusalError:
    return RefusalError(
        code, phrase("report of %(node)s, attempt %(attempt)s", node=report.node, attempt=report.attempt)
    )
