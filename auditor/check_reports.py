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
from collections.abc import Iterable

from auditor.context import Context
from auditor.errors import CheckError, RefusalError, StateError
from auditor.plan_view import small_groups
from auditor.signing import SignedEntry, sign_entry, store_entry
from auditor.state import SecretKind, SlotKind
from crypto.derivation import box_info, commitments_digest, parse_box_plaintext, seed_commitment
from crypto.errors import DecodeError, OpenError
from crypto.sealing import RoundKey, load_round_key, open_box
from plan.errors import phrase
from protos.bodies import Refusal, ReportName, encode_checked_body
from protos.ledger import Ledger, Logged, RoundLog
from protos.statements import Approval, Checked, Report, body_ref

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
    signed = sign_entry(statement, context.keys.statement, body)
    return store_entry(context.state, SlotKind.CHECKED, round_log.round_id, signed)


def find_refusals(context: Context, round_log: RoundLog) -> tuple[Refusal, ...]:
    """Find the candidates that this auditor refuses, ascending by node."""
    names = verify_candidates(context.ledger, round_log)
    key = round_key(context, round_log)
    boxes = collect_boxes(round_log, context.id, context.link.get_boxes(round_log.round_id))
    missing = [name.node for name in names if name.digest not in boxes]
    if missing:
        raise CheckError(
            phrase(
                "the coordinator withholds %(num_missing)s boxes, the first of %(missing)s",
                num_missing=len(missing),
                missing=missing[0],
            )
        )
    codes = _open_in_order(round_log, context.id, key, boxes)
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


def collect_boxes(
    round_log: RoundLog, auditor_id: str, stream: Iterable[tuple[bytes, bytes]]
) -> dict[bytes, bytes]:
    """Take a stream of boxes, each compared with the digest in its report's signed header.

    Returns:
        Box by report digest.

    Raises:
        CheckError: a box of no report of this round, or not the one that the school sent.
    """
    reports = {row.digest: row.statement for row in round_log.reports.values()}
    boxes: dict[bytes, bytes] = {}
    for report_digest, box in stream:
        report = reports.get(report_digest)
        if report is None:
            raise CheckError(
                phrase(
                    "the coordinator sent a box of no report of this round (%(report_digest)s)",
                    report_digest=report_digest.hex()[:16],
                )
            )
        if hashlib.sha256(box).digest() != dict(report.boxes)[auditor_id]:
            raise CheckError(
                phrase(
                    "the box of %(node)s is not the one that the school signed; the round waits",
                    node=report.node,
                )
            )
        boxes[report_digest] = box
    return boxes


def _open_in_order(
    round_log: RoundLog, auditor_id: str, key: RoundKey, boxes: dict[bytes, bytes]
) -> dict[bytes, str]:
    codes: dict[bytes, str] = {}
    seen: set[bytes] = set()
    for row in sorted(round_log.reports.values(), key=lambda logged: logged.index):
        if row.digest not in boxes:
            continue  # a superseded attempt
        report, box = row.statement, boxes[row.digest]
        encapsulation = hashlib.sha256(box[:ENCAPSULATION_BYTES]).digest()
        try:
            seeds = open_seeds(round_log, auditor_id, key, report, box)
            if encapsulation in seen:
                raise _refuse(report, COPIED_ENCAPSULATION)
            if len(set(seeds.values())) != len(seeds) or seen & set(seeds.values()):
                raise _refuse(report, COPIED_SEED)
        except RefusalError as err:
            codes[row.digest] = err.code
            continue
        seen |= {encapsulation, *seeds.values()}
    return codes


def open_seeds(
    round_log: RoundLog, auditor_id: str, key: RoundKey, report: Report, box: bytes
) -> dict[int, bytes]:
    """Open one report's box: the seeds of this auditor's subsets, each as committed in the header.

    Raises:
        RefusalError: the box does not open, or a seed is not the committed one.
    """
    approval: Logged[Approval] = round_log.approvals[auditor_id]
    commitments = dict(report.seeds)
    info = box_info(
        round_log.round_id,
        report.node,
        report.attempt,
        auditor_id,
        approval.statement.round_key,
        report.vector,
        commitments_digest([commitment for _, commitment in report.seeds]),
    )
    subsets = round_log.subsets_of(auditor_id)
    try:
        plaintext = open_box(key, box, info)
        seeds = dict(zip(subsets, parse_box_plaintext(plaintext, len(subsets)), strict=True))
    except (OpenError, DecodeError) as err:
        raise _refuse(report, BOX_UNOPENABLE) from err
    for subset, seed in seeds.items():
        found = seed_commitment(round_log.round_id, report.node, report.attempt, subset, seed)
        if found != commitments[subset]:
            raise _refuse(report, SEED_MISMATCH)
    return seeds


def _refuse(report: Report, code: str) -> RefusalError:
    return RefusalError(
        code, phrase("report of %(node)s, attempt %(attempt)s", node=report.node, attempt=report.attempt)
    )
