"""Checks of every round in the log, recomputed from its beginning to its release.

Each check looks at all rounds that have got so far. Those about vectors and sums need the
auditor's bundle and are SKIPPED on a public one.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from auditor.errors import RefusalError
from auditor.plan_view import small_groups, verify_figures, view_plan
from auditor.verify.log import BundleLog
from auditor.verify.outcome import CheckFailed, CheckSkipped
from crypto.derivation import approvals_digest, draw_commitment
from crypto.field64 import FieldVector, parse_vector
from crypto.mask_sum import MaskSum
from crypto.merkle import leaf_hash, verify_inclusion
from crypto.policy import verify_checkpoint
from crypto.sharing import unmask
from crypto.tlog_proof import parse_proof
from protos.bodies import ReportName, parse_release_body
from protos.bundle import Manifest
from protos.ledger import Logged, RoundLog
from protos.round_log import candidates_for, closed_set, distinct_operators, fewest_replicas
from protos.statements import (
    Abandon,
    Agreement,
    Approval,
    Candidates,
    Checked,
    Close,
    Opening,
    Plan,
    Release,
    Report,
    Statement,
)


def _rounds(log: BundleLog, *types: type[Statement]) -> list[RoundLog]:
    """Return all rounds; fail first if the log broke off at a statement of these types.

    Raises:
        CheckFailed: it did.
        CheckSkipped: it broke off elsewhere, or there is no round.
    """
    if log.stopped_at is not None and isinstance(log.statements[log.stopped_at], types):
        raise CheckFailed(f"entry {log.stopped_at}: {log.stopped_by}")
    rounds = list(log.whole_ledger().rounds.values())
    if not rounds:
        raise CheckSkipped("the log has no round")
    return rounds


def name_of(round_log: RoundLog) -> str:
    """Name a round in messages."""
    return f"round {round_log.terms.serial}"


def _count(number: int, what: str) -> str:
    """Say what was looked at; a check that looked at nothing is SKIPPED."""
    if number == 0:
        raise CheckSkipped(f"no {what} to look at")
    return f"{number} {what}"


def released(rounds: Iterable[RoundLog]) -> list[RoundLog]:
    """Return the rounds that were released with a sum."""
    return [row for row in rounds if row.release is not None and row.release.statement.status == "ok"]


def check_plans(log: BundleLog) -> str:
    """Recompute every plan; its tuple and terms must be allowed by the roster and by the policy."""
    rounds = _rounds(log, Plan)
    for row in rounds:
        plan = row.terms
        verify_figures(plan, view_plan(plan, row.plan.body))
        if log.policy is None:
            continue
        tuple_ = (len(plan.auditors), plan.threshold, plan.collude, plan.quorum)
        if tuple_ not in log.policy.tuples:
            raise CheckFailed(f"{name_of(row)}: (n,t,f,q) = {tuple_} is not one that the policy allows")
        if plan.min_reports < log.policy.min_reports or plan.min_group < log.policy.min_group:
            raise CheckFailed(f"{name_of(row)}: min_reports or min_group is below the policy's")
    return _count(len(rounds), "plans")


def check_approvals(log: BundleLog) -> str:
    """Check that every auditor approved, once, before the first report."""
    number = 0
    for row in _rounds(log, Approval):
        number += len(row.approvals)
        if not row.reports:
            continue
        last = max(logged.index for logged in row.approvals.values())
        first = min(logged.index for logged in row.reports.values())
        if set(row.approvals) != set(row.terms.auditors) or last > first:
            raise CheckFailed(f"{name_of(row)}: reports came before all its auditors had approved")
    return _count(number, "approvals")


def check_reports(log: BundleLog) -> str:
    """Check every header against its round: node, approvals, cells, seeds, boxes, attempts in order."""
    number = 0
    for row in _rounds(log, Report):
        apr = (
            approvals_digest([row.approvals[name].text for name in row.terms.auditors])
            if row.reports
            else b""
        )
        for (node, attempt), logged in row.reports.items():
            report = logged.statement
            place = f"{name_of(row)}, {node} attempt {attempt}"
            if row.roster.node(node) is None or (report.approvals, report.cells) != (apr, row.terms.cells):
                raise CheckFailed(f"{place}: not a report of this round")
            if attempt and row.reports[(node, attempt - 1)].index > logged.index:
                raise CheckFailed(f"{place}: attempts out of order")
            if (row.candidates is not None) and logged.index > row.candidates.index:
                raise CheckFailed(f"{place}: logged after the candidates")
            number += 1
    return _count(number, "reports")


def check_candidates(log: BundleLog) -> str:
    """Recompute the candidates: for each unrevoked node its highest attempt, nobody left out."""
    ledger, number = log.ledger, 0
    for row in _rounds(log, Candidates):
        if row.candidates is None or ledger is None:
            continue
        expected = candidates_for(row, row.candidates.statement.log_size, ledger.revoked_nodes)
        if row.candidate_names() != expected or row.candidates.statement.log_size != row.candidates.index:
            raise CheckFailed(f"{name_of(row)}: the candidates are not the reports in the log")
        number += len(expected)
    return _count(number, "candidates")


def check_checked(log: BundleLog) -> str:
    """Check what the auditors refused: candidates only, and the close leaves out exactly that."""
    number = 0
    for row in _rounds(log, Checked):
        number += len(row.checked)
        body = row.close_body()
        if row.close is None or body is None:
            continue
        excluded = {refusal.report for refusal in body.excluded}
        names = set(row.candidate_names())
        if excluded | set(body.set) != names or excluded & set(body.set):
            raise CheckFailed(f"{name_of(row)}: a candidate is neither in S nor excluded with a code")
    return _count(number, "checks")


def check_close(log: BundleLog) -> str:
    """Recompute S for the one close of every round; enough operators, no small group."""
    rounds = _rounds(log, Close)
    closes = Counter(row.round for row in log.statements if isinstance(row, Close))
    number = 0
    for row in rounds:
        if row.close is None:
            continue
        if closes[row.round_id] != 1:
            raise CheckFailed(f"{name_of(row)}: {closes[row.round_id]} closes, expected exactly one")
        named = dict(row.close.statement.checked)
        expected = closed_set(row, named)
        if row.close_body() != expected or len(named) < row.terms.quorum:
            raise CheckFailed(f"{name_of(row)}: S is not what candidates and checks make it")
        if distinct_operators(row, expected.set) < row.terms.min_reports:
            raise CheckFailed(
                f"{name_of(row)}: fewer than {row.terms.min_reports} independent operators in S"
            )
        try:
            small = small_groups(row, expected.set)
        except RefusalError as err:
            raise CheckFailed(f"{name_of(row)}: {err}") from err
        if small:
            raise CheckFailed(f"{name_of(row)}: a group in S is smaller than {row.terms.min_group} schools")
        number += 1
    return _count(number, "closes")


def check_votes(log: BundleLog) -> str:
    """Check that over the whole history no auditor gave two answers in a round, and that q agreed first."""
    rounds = _rounds(log, Agreement, Abandon)
    votes = [row for row in log.statements if isinstance(row, Agreement | Abandon)]
    twice = [key for key, times in Counter((row.round, row.auditor) for row in votes).items() if times > 1]
    if twice:
        raise CheckFailed(f"auditor {twice[0][1]} answered twice in round {twice[0][0].hex()[:16]}")
    for row in rounds:
        if not row.openings:
            continue
        first = min(logged.index for logged in row.openings.values())
        before = [logged for logged in row.agreements.values() if logged.index < first]
        if row.close is None or len(before) < row.terms.quorum:
            raise CheckFailed(f"{name_of(row)}: opened before {row.terms.quorum} auditors had agreed")
        if any(logged.statement.close != row.close.digest for logged in row.agreements.values()):
            raise CheckFailed(f"{name_of(row)}: an agreement to another close")
    return _count(len(votes), "agreements and abandons")


def check_openings(log: BundleLog) -> str:
    """Check draws, that replicas agree, and that the release states the fewest of them."""
    rounds, number, fewest = _rounds(log, Opening, Release), 0, []
    for row in rounds:
        for auditor, logged in row.openings.items():
            if draw_commitment(logged.statement.draw) != row.approvals[auditor].statement.draw:
                raise CheckFailed(
                    f"{name_of(row)}: the draw of {auditor} is not the one that it committed to"
                )
            number += 1
    for row in released(rounds):
        named = _named_openings(row)
        digests: dict[int, bytes] = {}
        for logged in named.values():
            for subset, sum_digest in logged.statement.sums:
                if digests.setdefault(subset, sum_digest) != sum_digest:
                    raise CheckFailed(f"{name_of(row)}: two auditors' sums of subset {subset} differ")
        if set(digests) != set(row.subsets):
            raise CheckFailed(f"{name_of(row)}: the openings do not cover every subset")
        if row.release is None or row.release.statement.replicas != fewest_replicas(row, named):
            raise CheckFailed(f"{name_of(row)}: the fewest replicas are stated wrongly")
        fewest.append(row.release.statement.replicas)
    shown = f", fewest replicas {min(fewest)}" if fewest else ""
    return _count(number, "openings") + shown


def _named_openings(row: RoundLog) -> dict[str, Logged[Opening]]:
    if row.release is None:
        return {}
    return {auditor: row.openings[auditor] for auditor, _ in row.release.statement.openings}


# --- receipts, vectors and sums ---------------------------------------------------------------


def receipt_path(round_id: bytes, name: ReportName) -> str:
    """Return where a report's receipt lies in a bundle."""
    return f"receipts/{round_id.hex()}/{name.node}.{name.attempt}.tlog-proof"


def vector_path(round_id: bytes, name: ReportName) -> str:
    """Return where a report's masked vector lies in an auditor's bundle."""
    return f"reports/{round_id.hex()}/{name.node}.{name.attempt}.y"


def sum_path(round_id: bytes, auditor: str, subset: int) -> str:
    """Return where a mask sum lies in an auditor's bundle."""
    return f"sums/{round_id.hex()}/{auditor}.{subset}.sum"


def check_receipts(log: BundleLog) -> str:
    """Check the receipt of every report in every released S, by the policy's keys."""
    rounds = _rounds(log, Report)
    ledger, policy = log.whole_ledger(), log.required_policy()
    expected: dict[str, int] = {}
    for row in released(rounds):
        for name in _set_of(row):
            expected[receipt_path(row.round_id, name)] = row.reports[(name.node, name.attempt)].index
    for path, position in expected.items():
        proof = parse_proof(log.files.read(path))
        checkpoint = verify_checkpoint(proof.checkpoint_note, policy.trust)
        leaf = leaf_hash(log.entries[position])
        if proof.index != position:
            raise CheckFailed(f"{path}: for entry {proof.index}, the report is entry {position}")
        verify_inclusion(leaf, position, checkpoint.size, proof.hashes, checkpoint.root)
        if checkpoint.size > ledger.size or ledger.root(checkpoint.size) != checkpoint.root:
            raise CheckFailed(f"{path}: its checkpoint is of another history than this log")
    _only(log, "receipts", expected)
    return _count(len(expected), "receipts")


def check_vectors(log: BundleLog, manifest: Manifest | None) -> str:
    """Check every masked vector of S: length, canonical elements, digest in the signed header."""
    _need_auditors_bundle(manifest)
    expected: set[str] = set()
    for row in released(_rounds(log, Report)):
        for name, _ in _vectors(log, row):
            expected.add(vector_path(row.round_id, name))
    _only(log, "reports", expected)
    return _count(len(expected), "vectors")


def check_sums(log: BundleLog, manifest: Manifest | None) -> str:
    """Check every mask sum that the release uses: length, canonical elements, digest in the opening."""
    _need_auditors_bundle(manifest)
    expected: set[str] = set()
    for row in released(_rounds(log, Opening)):
        for auditor, subset, _ in _sums(log, row):
            expected.add(sum_path(row.round_id, auditor, subset))
    _only(log, "sums", expected)
    return _count(len(expected), "mask sums")


def check_arithmetic(log: BundleLog, manifest: Manifest | None) -> str:
    """Add the masked vectors of S and the masks, and compare with the released sums cell by cell."""
    _need_auditors_bundle(manifest)
    number = 0
    for row in released(_rounds(log, Release)):
        total = MaskSum(row.terms.cells)
        for _, vector in _vectors(log, row):
            total.add_vector(vector)
        masks: dict[int, FieldVector] = {}
        for _, subset, encoded in _sums(log, row):
            masks.setdefault(subset, encoded)
        opened = unmask(total.value(), [masks[subset] for subset in row.subsets])
        released_sums = [value for table in parse_release_body(_release_body(row)) for value in table.sums]
        if opened.tolist() != released_sums:
            raise CheckFailed(f"{name_of(row)}: vectors and masks add up to another result than the release")
        number += len(released_sums)
    return _count(number, "cells")


def _need_auditors_bundle(manifest: Manifest | None) -> None:
    if manifest is None:
        raise CheckSkipped("the MANIFEST cannot be read")
    if manifest.kind != "auditor":
        raise CheckSkipped("a public bundle has no vectors and no mask sums")


def _set_of(row: RoundLog) -> tuple[ReportName, ...]:
    body = row.close_body()
    return body.set if body else ()


def _release_body(row: RoundLog) -> bytes:
    return row.release.body if row.release else b""


def _vectors(log: BundleLog, row: RoundLog) -> Iterator[tuple[ReportName, FieldVector]]:
    for name in _set_of(row):
        path = vector_path(row.round_id, name)
        data = log.files.read(path)
        if hashlib.sha256(data).digest() != row.reports[(name.node, name.attempt)].statement.vector:
            raise CheckFailed(f"{path}: not the vector that the school signed")
        yield name, parse_vector(data, row.terms.cells)


def _sums(log: BundleLog, row: RoundLog) -> Iterator[tuple[str, int, FieldVector]]:
    for auditor, logged in _named_openings(row).items():
        for subset, sum_digest in logged.statement.sums:
            path = sum_path(row.round_id, auditor, subset)
            data = log.files.read(path)
            if hashlib.sha256(data).digest() != sum_digest:
                raise CheckFailed(f"{path}: not the sum that the opening names")
            yield auditor, subset, parse_vector(data, row.terms.cells)


def _only(log: BundleLog, folder: str, expected: Iterable[str]) -> None:
    known = set(expected)
    extra = [path for path in log.files.under(folder) if path not in known]
    if extra:
        raise CheckFailed(f"{extra[0]}: belongs to no report or opening of a release")


RoundCheck = Callable[[BundleLog], str]
ROUND_CHECKS: tuple[tuple[str, RoundCheck], ...] = (
    ("plans", check_plans),
    ("approvals", check_approvals),
    ("reports", check_reports),
    ("receipts", check_receipts),
    ("candidates", check_candidates),
    ("checked", check_checked),
    ("close", check_close),
    ("votes", check_votes),
    ("openings", check_openings),
)
SUM_CHECKS: tuple[tuple[str, Callable[[BundleLog, Manifest | None], str]], ...] = (
    ("vectors", check_vectors),
    ("sums", check_sums),
    ("arithmetic", check_arithmetic),
)
