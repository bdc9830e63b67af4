"""One round as the log tells it: which statement may come next, and what follows from them.

Order of a round; every rule is checked by everybody who reads the log:

1. ``plan``: under the roster in force; its tuple is one that the roster allows.
2. ``approval``: one per auditor of the plan, ever. Reports come only after all have approved.
3. ``report``: node of the plan's roster, unrevoked; attempts 0, 1, 2, 3 in order; names the
   node's previous report; only before ``candidates``.
4. ``candidates``: fixes the log size at its own position; the list is a function of the log.
5. ``checked``: one per auditor; refuses only candidates.
6. ``close``: names at least q ``checked``; S = candidates minus everything refused in those; the
   tier is what the number of independent operators in S gives.
7. ``agreement`` or ``abandon``: one of the two per auditor, ever.
8. ``opening``: after q agreements; reveals the r_a committed in the approval.
9. ``release``: names q agreements and at least t openings that agree with each other.

Deadlines moved, rounds ended by the county, releases corrected: ``protos.round_changes``.

Spec: docs/protocol.md "The close". I/O-free; no clock.
"""

from __future__ import annotations

import enum
import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from crypto.derivation import approvals_digest
from crypto.replication import covers, subsets, subsets_with
from crypto.sealing import box_bytes
from protos.bodies import (
    CloseBody,
    Refusal,
    ReportName,
    RosterBody,
    encode_candidates_body,
    encode_close_body,
    parse_candidates_body,
    parse_checked_body,
    parse_close_body,
    parse_release_body,
)
from protos.changes import Changes
from protos.errors import LedgerError
from protos.fields import ZERO_DIGEST
from protos.report_payload import body_bytes
from protos.report_table import Logged, ReportTable
from protos.statement_base import MAX_CELLS, MAX_S2, MAX_STEPS
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

__all__ = ["Logged", "RoundLog", "RoundState"]

REVOKED = "revoked"


class RoundState(enum.Enum):
    """States of a round. "Open" is said of nothing but an opening."""

    DRAFT = "draft"
    COLLECTING = "collecting"
    CHECKING = "checking"
    AGREED = "agreed"
    UNSEALED = "unsealed"
    RELEASED = "released"
    ABORTED = "aborted"


@dataclass(slots=True)
class RoundLog:
    """Everything that the log says about one round. Only `protos.ledger` changes it."""

    round_id: bytes
    plan: Logged[Plan]
    roster_digest: bytes
    roster: RosterBody
    approvals: dict[str, Logged[Approval]] = field(default_factory=dict)
    reports: ReportTable = field(default_factory=ReportTable)
    candidates: Logged[Candidates] | None = None
    checked: dict[str, Logged[Checked]] = field(default_factory=dict)
    close: Logged[Close] | None = None
    agreements: dict[str, Logged[Agreement]] = field(default_factory=dict)
    abandons: dict[str, Logged[Abandon]] = field(default_factory=dict)
    openings: dict[str, Logged[Opening]] = field(default_factory=dict)
    release: Logged[Release] | None = None
    changes: Changes = field(default_factory=Changes)
    _approvals_digest: bytes = field(default=b"", init=False, repr=False, compare=False)
    _names: tuple[Logged[Candidates], tuple[ReportName, ...]] | None = field(
        default=None, init=False, repr=False, compare=False
    )
    _close_body: tuple[Logged[Close], CloseBody] | None = field(
        default=None, init=False, repr=False, compare=False
    )

    @property
    def terms(self) -> Plan:
        """The plan statement."""
        return self.plan.statement

    @property
    def num_auditors(self) -> int:
        """n: auditors of this plan."""
        return len(self.terms.auditors)

    @property
    def is_approved(self) -> bool:
        """Whether all auditors of the plan have approved."""
        return len(self.approvals) == self.num_auditors

    @property
    def can_never_open(self) -> bool:
        """Whether too many auditors have abandoned for q agreements ever to exist."""
        return len(self.abandons) > self.num_auditors - self.terms.quorum

    @property
    def is_refundable(self) -> bool:
        """Whether q auditors have abandoned, so that a node's charge is given back."""
        return len(self.abandons) >= self.terms.quorum

    @property
    def is_dead(self) -> bool:
        """Whether the county or too many auditors have ended the round, so that nothing is ever released."""
        return self.changes.cancel is not None or self.can_never_open

    @property
    def closes(self) -> datetime:
        """The deadline in force: the plan's, or that of the last extension that q auditors granted."""
        return self.changes.closes_below(self.terms, None)

    @property
    def state(self) -> RoundState:
        """Where the round stands."""
        if self.release is not None:
            return RoundState.RELEASED if self.release.statement.status == "ok" else RoundState.ABORTED
        if self.is_dead:
            return RoundState.ABORTED
        if len(self.openings) >= self.terms.threshold:
            return RoundState.UNSEALED
        if len(self.agreements) >= self.terms.quorum:
            return RoundState.AGREED
        if self.candidates is not None:
            return RoundState.CHECKING
        return RoundState.COLLECTING if self.is_approved else RoundState.DRAFT

    @property
    def box_bytes(self) -> int:
        """Size of each sealed box of this round, in bytes."""
        seeds_a_box = len(subsets_with(0, self.num_auditors, self.terms.threshold))
        return box_bytes(seeds_a_box)

    @property
    def subsets(self) -> tuple[int, ...]:
        """The subsets A of auditors that share a seed, as bit masks in plan order, ascending."""
        return subsets(self.num_auditors, self.terms.threshold)

    def subsets_of(self, auditor: str) -> tuple[int, ...]:
        """The subsets that hold one auditor."""
        return subsets_with(self.terms.auditors.index(auditor), self.num_auditors, self.terms.threshold)

    def approvals_digest(self) -> bytes:
        """Compute apr, the digest of all approval texts in plan order; only once all have approved."""
        if not self.is_approved:
            raise LedgerError("not-approved", "not all auditors of the plan have approved")
        if not self._approvals_digest:  # each report names it; there is one approval an auditor, ever
            texts = [self.approvals[auditor].text for auditor in self.terms.auditors]
            self._approvals_digest = approvals_digest(texts)
        return self._approvals_digest

    def report_by_digest(self, digest: bytes) -> Logged[Report] | None:
        """Find a report of this round by the digest of its header."""
        slot = self.reports.find(digest)
        return None if slot is None else self.reports[slot]

    def attempts_of(self, node: str) -> list[Logged[Report]]:
        """The reports of one node in this round, by attempt."""
        return [self.reports[(node, attempt)] for attempt in range(self.reports.num_attempts(node))]

    def candidate_names(self) -> tuple[ReportName, ...]:
        """The logged candidates; empty before there are any. Read once: a county's are a megabyte of JSON."""
        if self.candidates is None:
            return ()
        if self._names is None or self._names[0] is not self.candidates:
            self.know_names(self.candidates, parse_candidates_body(self.candidates.body))
        return self._names[1] if self._names else ()

    def close_body(self) -> CloseBody | None:
        """S and the exclusions, once closed; read once."""
        if self.close is None:
            return None
        if self._close_body is None or self._close_body[0] is not self.close:
            self.know_close(self.close, parse_close_body(self.close.body))
        return self._close_body[1] if self._close_body else None

    def know_names(self, candidates: Logged[Candidates], names: tuple[ReportName, ...]) -> None:
        """Remember what the body of these candidates says."""
        self._names = candidates, names

    def know_close(self, close: Logged[Close], body: CloseBody) -> None:
        """Remember what the body of this close says."""
        self._close_body = close, body


def candidates_for(round_log: RoundLog, log_size: int, revoked: Mapping[str, int]) -> tuple[ReportName, ...]:
    """Compute S before checking: for each node its report with the highest attempt below `log_size`.

    Args:
        round_log: the round.
        log_size: entries of the log that count.
        revoked: node id → position of its revocation.
    """
    best: dict[str, ReportName] = {}
    reports = round_log.reports
    for node, attempt in sorted(reports):
        if reports.position_of((node, attempt)) < log_size and revoked.get(node, log_size) >= log_size:
            best[node] = ReportName(node, attempt, reports.digest_of((node, attempt)))
    return tuple(best[node] for node in sorted(best))


def closed_set(round_log: RoundLog, auditors: Iterable[str]) -> CloseBody:
    """Compute S from the candidates and the `checked` of the named auditors.

    A report that several refuse carries the code of the first of them in plan order.
    """
    named = set(auditors)
    codes: dict[ReportName, str] = {}
    for auditor in round_log.terms.auditors:
        if auditor in named:
            for row in parse_checked_body(round_log.checked[auditor].body):
                codes.setdefault(row.report, row.code)
    names = round_log.candidate_names()
    kept = tuple(name for name in names if name not in codes)
    return CloseBody(kept, tuple(Refusal(name, codes[name]) for name in names if name in codes))


def distinct_operators(round_log: RoundLog, names: Iterable[ReportName]) -> int:
    """Count the independent operators behind some reports."""
    operators = {node.id: node.operator for node in round_log.roster.nodes}
    return len({operators[name.node] for name in names})


def tier_of(round_log: RoundLog, names: Iterable[ReportName]) -> int:
    """Compute the tier of a turnout ladder that a set S reaches: the most k with m_k <= operators - c.

    0 without a ladder. Who runs several schools is counted once, as for `min_reports`: all of them may be
    among the schools that add no noise. Spec: docs/protocol.md "The turnout ladder".
    """
    terms = round_log.terms
    return bisect_right(terms.tiers, distinct_operators(round_log, names) - terms.colluding_schools)


def fewest_replicas(round_log: RoundLog, auditors: Iterable[str]) -> int:
    """Count, over all subsets, the fewest openings among `auditors` that hold the subset's sum."""
    openers = set(auditors)
    counts = [
        sum(1 for auditor in openers if subset in round_log.subsets_of(auditor))
        for subset in round_log.subsets
    ]
    return min(counts)


def _refuse(code: str, message: str) -> LedgerError:
    return LedgerError(code, message)


def check_ladder(plan: Plan) -> None:
    """Check the tiers and steps of a plan's turnout ladder: rising, a line for each table and step."""
    least = plan.min_reports - plan.colluding_schools
    if any(low >= high for low, high in pairwise((least, *plan.tiers))) or len(plan.tiers) > MAX_STEPS:
        raise _refuse("wrong-plan", f"expected at most {MAX_STEPS} rising tiers above h = {least}")
    lines = [(line.table, step) for line in plan.noise_lines for step in range(1, plan.num_vectors)]
    if [row[:2] for row in plan.steps] != lines:
        raise _refuse("wrong-plan", "expected one step line for each table and tier, in their order")
    if plan.num_elements > MAX_CELLS:
        raise _refuse("wrong-plan", f"cells x (1 + tiers) is {plan.num_elements}, at most {MAX_CELLS}")
    if any(s2 > MAX_S2 for _, _, s2 in plan.noise_left(0)):
        raise _refuse("wrong-plan", f"the noise of a table's steps adds up to more than {MAX_S2}")


def _check_not_cancelled(round_log: RoundLog) -> None:
    if round_log.changes.cancel is not None:
        raise _refuse("cancelled", "the county has ended this round")


def check_approval(round_log: RoundLog, approval: Approval) -> None:
    """Check that an approval may come next."""
    if approval.auditor not in round_log.terms.auditors:
        raise _refuse("not-an-auditor", f"{approval.auditor} is no auditor of this plan")
    _check_not_cancelled(round_log)
    if approval.auditor in round_log.approvals:
        raise _refuse("second-approval", f"{approval.auditor} has approved this round already")
    if approval.roster != round_log.roster_digest:
        raise _refuse("wrong-roster", "the approval names another roster than the plan")


def check_report(round_log: RoundLog, report: Report, previous: bytes, is_revoked: bool) -> None:
    """Check that a report's header may come next. `previous`: digest of the node's last report, or zeros."""
    terms = round_log.terms
    _check_not_cancelled(round_log)
    if not round_log.is_approved:
        raise _refuse("not-approved", "not all auditors of the plan have approved")
    if round_log.candidates is not None:
        raise _refuse("too-late", "the candidates of this round are fixed")
    if is_revoked:
        raise _refuse(REVOKED, f"{report.node} is revoked")
    if report.roster != round_log.roster_digest or report.approvals != round_log.approvals_digest():
        raise _refuse("wrong-round", "the report names another roster or other approvals")
    attempts = round_log.reports.num_attempts(report.node)
    if report.attempt != attempts:
        raise _refuse("wrong-attempt", f"attempt {report.attempt}, the next one is {attempts}")
    if report.previous != previous:
        raise _refuse("wrong-previous", "the report does not name this node's previous report")
    expected_size = body_bytes(terms.num_elements, round_log.box_bytes, round_log.num_auditors)
    if report.cells != terms.cells or report.size != expected_size:
        raise _refuse("wrong-size", f"{report.cells} cells, {report.size} bytes: the plan has {terms.cells}")
    if tuple(subset for subset, _ in report.seeds) != round_log.subsets:
        raise _refuse("wrong-seeds", "the seed commitments are not those of this plan's subsets")
    if tuple(auditor for auditor, _ in report.boxes) != terms.auditors:
        raise _refuse("wrong-boxes", "the boxes are not those of this plan's auditors")


def check_candidates(
    round_log: RoundLog, candidates: Candidates, body: bytes, index: int, revoked: Mapping[str, int]
) -> None:
    """Check that candidates may come next and are the function of the log that they must be."""
    if not round_log.is_approved:
        raise _refuse("not-approved", "not all auditors of the plan have approved")
    if round_log.candidates is not None:
        raise _refuse("second-candidates", "the candidates of this round are fixed already")
    if candidates.log_size != index:
        raise _refuse("wrong-log-size", f"candidates at log size {candidates.log_size}, logged at {index}")
    if body != encode_candidates_body(candidates_for(round_log, index, revoked)):
        parse_candidates_body(body)  # says what is wrong with a body that is none
        raise _refuse("wrong-candidates", "the candidates are not the reports that stand in the log")


def check_checked(round_log: RoundLog, checked: Checked, body: bytes) -> None:
    """Check that an auditor's `checked` may come next."""
    if round_log.candidates is None or checked.candidates != round_log.candidates.digest:
        raise _refuse("wrong-candidates", "no such candidates in this round")
    if checked.auditor not in round_log.terms.auditors or checked.auditor in round_log.checked:
        raise _refuse(
            "second-checked", f"{checked.auditor} is no auditor of this plan or has checked already"
        )
    if round_log.close is not None:
        raise _refuse("too-late", "this round is closed")
    names = set(round_log.candidate_names())
    if any(row.report not in names for row in parse_checked_body(body)):
        raise _refuse("wrong-refusal", "a refused report is not among the candidates")


def check_close(round_log: RoundLog, close: Close, body: bytes) -> None:
    """Check that a close may come next and that S is what candidates and checks make it."""
    terms = round_log.terms
    if round_log.close is not None:
        raise _refuse("second-close", "this round is closed already")
    if round_log.candidates is None or close.candidates != round_log.candidates.digest:
        raise _refuse("wrong-candidates", "no such candidates in this round")
    logged = tuple(
        (auditor, round_log.checked[auditor].digest)
        for auditor in terms.auditors
        if auditor in dict(close.checked) and auditor in round_log.checked
    )
    if close.checked != logged or len(logged) < terms.quorum:
        raise _refuse("wrong-checked", f"a close names at least {terms.quorum} logged checks in plan order")
    expected = closed_set(round_log, dict(logged))
    is_expected = body == encode_close_body(expected)
    if not is_expected:
        parse_close_body(body)  # says what is wrong with a body that is none
    if not is_expected or close.reports != len(expected.set):
        raise _refuse("wrong-set", "S is not the candidates without what the named checks refuse")
    if close.tier != tier_of(round_log, expected.set):
        raise _refuse("wrong-set", f"tier {close.tier} is not the one that S gives")
    if distinct_operators(round_log, expected.set) < terms.min_reports:
        raise _refuse("too-few-reports", f"fewer independent operators than min_reports {terms.min_reports}")


def check_vote(round_log: RoundLog, vote: Agreement | Abandon) -> None:
    """Check that an agreement or abandon may come next: one of the two per auditor, ever."""
    if vote.auditor not in round_log.terms.auditors:
        raise _refuse("not-an-auditor", f"{vote.auditor} is no auditor of this plan")
    if vote.auditor in round_log.agreements or vote.auditor in round_log.abandons:
        raise _refuse("second-vote", f"{vote.auditor} has agreed or abandoned already")
    close_digest = round_log.close.digest if round_log.close else ZERO_DIGEST
    allowed = {close_digest, ZERO_DIGEST} if isinstance(vote, Abandon) else {close_digest} - {ZERO_DIGEST}
    if vote.close not in allowed:
        raise _refuse("wrong-close", "no such close in this round")


def check_opening(round_log: RoundLog, opening: Opening) -> None:
    """Check that an opening may come next."""
    terms = round_log.terms
    if round_log.close is None or opening.close != round_log.close.digest:
        raise _refuse("wrong-close", "no such close in this round")
    if opening.auditor not in terms.auditors or opening.auditor in round_log.openings:
        raise _refuse(
            "second-opening", f"{opening.auditor} is no auditor of this plan or has answered already"
        )
    if opening.auditor in round_log.abandons:
        raise _refuse("abandoned", f"{opening.auditor} has abandoned this round")
    if len(round_log.agreements) < terms.quorum:
        raise _refuse("not-agreed", f"an opening needs {terms.quorum} agreements in the log")
    if tuple(subset for subset, _ in opening.sums) != round_log.subsets_of(opening.auditor):
        raise _refuse("wrong-sums", "the sums are not those of this auditor's subsets")
    if hashlib.sha256(opening.draw).digest() != round_log.approvals[opening.auditor].statement.draw:
        raise _refuse("wrong-draw", "the revealed draw is not the one committed in the approval")


def check_release(round_log: RoundLog, release: Release, body: bytes) -> None:
    """Check that a release may come next: its votes, its openings, its tables' shapes."""
    terms = round_log.terms
    if round_log.release is not None:
        raise _refuse("second-release", "this round is released already")
    if round_log.close is None or release.close != round_log.close.digest:
        raise _refuse("wrong-close", "no such close in this round")
    _check_names(release.agreements, round_log.agreements, terms, terms.quorum, "agreements")
    _check_names(release.openings, round_log.openings, terms, terms.threshold, "openings")
    openers = [auditor for auditor, _ in release.openings]
    indices = [terms.auditors.index(auditor) for auditor in openers]
    if not covers(indices, round_log.num_auditors, terms.threshold):
        raise _refuse("wrong-openings", "the openings named do not cover every subset")
    if release.status == "ok" and not _sums_agree(round_log, openers):
        raise _refuse("replica-mismatch", "the openings named disagree about a subset's sum")
    if release.replicas != fewest_replicas(round_log, openers):
        raise _refuse("wrong-replicas", "the fewest replicas of any subset are stated wrongly")
    closed = round_log.close_body()
    counts = (len(closed.set), len(closed.excluded)) if closed else (0, 0)
    if (release.reports_in, release.reports_out) != counts or release.rho != terms.rho:
        raise _refuse("wrong-release", "reports or rho differ from the close and the plan")
    _check_tables(terms, release.status, round_log.close.statement.tier, body)


def _check_names(
    named: tuple[tuple[str, bytes], ...],
    logged: Mapping[str, Logged[Statement]],
    terms: Plan,
    least: int,
    what: str,
) -> None:
    expected = tuple(
        (auditor, logged[auditor].digest)
        for auditor in terms.auditors
        if auditor in dict(named) and auditor in logged
    )
    if named != expected or len(named) < least:
        raise _refuse(f"wrong-{what}", f"a release names at least {least} logged {what} in plan order")


def _sums_agree(round_log: RoundLog, openers: list[str]) -> bool:
    seen: dict[int, bytes] = {}
    for auditor in openers:
        for subset, sum_digest in round_log.openings[auditor].statement.sums:
            if seen.setdefault(subset, sum_digest) != sum_digest:
                return False
    return True


def _check_tables(terms: Plan, status: str, tier: int, body: bytes) -> None:
    tables = parse_release_body(body)
    if status == "corrupt":
        if tables:
            raise _refuse("wrong-tables", "a corrupt round publishes no table")
        return
    if tuple((row.table, row.scale, row.s2) for row in tables) != terms.noise_left(tier):
        raise _refuse("wrong-tables", "the tables released are not those of the plan")
    if sum(len(row.sums) for row in tables) != terms.cells:
        raise _refuse("wrong-tables", f"the tables released do not have {terms.cells} cells together")
