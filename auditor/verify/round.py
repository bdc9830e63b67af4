"""Checks of every round in the log, recomputed from its beginning to its release.

Each check looks at all rounds that have got so far. Those about vectors and sums need the
auditor's bundle and are SKIPPED on a public one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from auditor.approve import verify_policy
from auditor.errors import RefusalError
from auditor.plan_view import small_groups, verify_figures, view_plan
from auditor.verify.log import BundleLog
from auditor.verify.outcome import CheckFailed, CheckSkipped
from crypto.checkpoint import parse_checkpoint
from crypto.derivation import approvals_digest, draw_commitment
from crypto.merkle import leaf_hash, verify_inclusion
from crypto.note import parse_note
from crypto.policy import verify_checkpoint
from crypto.tlog_proof import parse_proof
from plan.errors import Phrase, phrase
from protos.bodies import ReportName
from protos.followed import followed
from protos.ledger import Logged, RoundLog
from protos.round_log import candidates_for, closed_set, distinct_operators, fewest_replicas, tier_of
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

_COST = "max-rho"
MOST_NAMED = 12  # newest rounds that check 9 names, for commands that ask for one


def _rounds(log: BundleLog, *types: type[Statement]) -> list[RoundLog]:
    """Return all rounds, at least one; see `any_rounds`.

    Raises:
        CheckSkipped: there is none.
    """
    rounds = any_rounds(log, *types)
    if not rounds:
        raise CheckSkipped(phrase("the log has no round"))
    return rounds


def any_rounds(log: BundleLog, *types: type[Statement]) -> list[RoundLog]:
    """Return all rounds; fail first if the log broke off at a statement of these types.

    Raises:
        CheckFailed: it did.
        CheckSkipped: it broke off elsewhere.
    """
    if log.stopped_at is not None and isinstance(log.statements[log.stopped_at], types):
        raise CheckFailed(
            phrase(
                "entry %(stopped_at)s: %(stopped_by)s", stopped_at=log.stopped_at, stopped_by=log.stopped_by
            )
        )
    return list(log.whole_ledger().rounds.values())


def name_of(round_log: RoundLog) -> Phrase:
    """Name a round in messages."""
    return phrase("round %(serial)s", serial=round_log.terms.serial)


def count(number: int, what: Phrase) -> Phrase:
    """Say what was looked at; a check that looked at nothing is SKIPPED."""
    if number == 0:
        raise CheckSkipped(phrase("nothing to look at (%(what)s)", what=what))
    return what


def released(rounds: Iterable[RoundLog]) -> list[RoundLog]:
    """Return the rounds that were released with a sum."""
    return [row for row in rounds if row.release is not None and row.release.statement.status == "ok"]


def check_plans(log: BundleLog) -> Phrase:
    """Recompute every plan; the policy must allow those that all their auditors approved.

    Anybody at the county can log a plan that the policy forbids. Before all have approved it no report can
    follow and it costs no pupil anything, so it is told and not judged: refusing it is what a policy is for.
    """
    rounds = _rounds(log, Plan)
    for row in rounds:
        plan = row.terms
        view = view_plan(plan, row.plan.body)
        verify_figures(plan, view)
        if log.policy is None or not row.is_approved:
            continue
        try:
            verify_policy(log.policy, plan, view)
        except RefusalError as err:
            if err.code != _COST:  # check "rho" says so
                raise CheckFailed(phrase("%(row)s: %(reason)s", row=name_of(row), reason=err)) from err
    ids = ", ".join(row.round_id.hex()[:8] for row in rounds[-MOST_NAMED:])
    what = phrase("%(number)s plans; rounds: %(ids)s", number=len(rounds), ids=ids)
    return count(len(rounds), with_not_judged(log, rounds, what))


def with_not_judged(log: BundleLog, rounds: Iterable[RoundLog], what: Phrase) -> Phrase:
    """Add how many plans the policy did not judge because not all of their auditors approved them."""
    number = sum(not row.is_approved for row in rounds)
    if number == 0 or log.policy is None:
        return what
    return phrase(
        "%(what)s; not approved by all their auditors, so not judged by the policy: %(number)s",
        what=what,
        number=number,
    )


def check_approvals(log: BundleLog) -> Phrase:
    """Check that every auditor approved, once, before the first report, with a key used nowhere else."""
    number, rounds = 0, _rounds(log, Approval)
    _check_fresh(rounds)
    for row in rounds:
        number += len(row.approvals)
        if not row.reports:
            continue
        last = max(logged.index for logged in row.approvals.values())
        first = min(logged.index for logged in row.reports.values())
        if set(row.approvals) != set(row.terms.auditors) or last > first:
            raise CheckFailed(
                phrase("%(row)s: reports came before all its auditors had approved", row=name_of(row))
            )
    return count(number, phrase("%(number)s approvals", number=number))


def _check_fresh(rounds: Iterable[RoundLog]) -> None:
    """Round key, nonce and committed draw are made for one approval: a second use would outlive the round."""
    seen: set[bytes] = set()
    for row in rounds:
        for auditor, logged in row.approvals.items():
            said = logged.statement
            values = {said.round_key, said.nonce, said.draw}
            if len(values) < 3 or values & seen:
                raise CheckFailed(
                    phrase(
                        "%(row)s: the approval of %(auditor)s uses a key, nonce or draw again",
                        row=name_of(row),
                        auditor=auditor,
                    )
                )
            seen |= values


def check_reports(log: BundleLog) -> Phrase:
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
            place = phrase(
                "%(row)s, %(node)s attempt %(attempt)s", row=name_of(row), node=node, attempt=attempt
            )
            if row.roster.node(node) is None or (report.approvals, report.cells) != (apr, row.terms.cells):
                raise CheckFailed(phrase("%(place)s: not a report of this round", place=place))
            if attempt and row.reports[(node, attempt - 1)].index > logged.index:
                raise CheckFailed(phrase("%(place)s: attempts out of order", place=place))
            if (row.candidates is not None) and logged.index > row.candidates.index:
                raise CheckFailed(phrase("%(place)s: logged after the candidates", place=place))
            number += 1
    return count(number, phrase("%(number)s reports", number=number))


def check_candidates(log: BundleLog) -> Phrase:
    """Recompute the candidates: for each unrevoked node its highest attempt, nobody left out."""
    ledger, number = log.ledger, 0
    for row in _rounds(log, Candidates):
        if row.candidates is None or ledger is None:
            continue
        expected = candidates_for(row, row.candidates.statement.log_size, ledger.revoked_nodes)
        if row.candidate_names() != expected or row.candidates.statement.log_size != row.candidates.index:
            raise CheckFailed(
                phrase("%(row)s: the candidates are not the reports in the log", row=name_of(row))
            )
        number += len(expected)
    return count(number, phrase("%(number)s candidates", number=number))


def check_checked(log: BundleLog) -> Phrase:
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
            raise CheckFailed(
                phrase("%(row)s: a candidate is neither in S nor excluded with a code", row=name_of(row))
            )
    return count(number, phrase("%(number)s checks", number=number))


def check_close(log: BundleLog) -> Phrase:
    """Recompute S and its tier for the one close of every round; enough operators, no small group."""
    rounds = _rounds(log, Close)
    closes = Counter(row.round for row in log.statements if isinstance(row, Close))
    number = 0
    for row in rounds:
        if row.close is None:
            continue
        if closes[row.round_id] != 1:
            raise CheckFailed(
                phrase(
                    "%(row)s: %(closes)s closes, expected exactly one",
                    row=name_of(row),
                    closes=closes[row.round_id],
                )
            )
        named = dict(row.close.statement.checked)
        expected = closed_set(row, named)
        is_tier = row.close.statement.tier == tier_of(row, expected.set)
        if row.close_body() != expected or len(named) < row.terms.quorum or not is_tier:
            raise CheckFailed(
                phrase("%(row)s: S is not what candidates and checks make it", row=name_of(row))
            )
        if distinct_operators(row, expected.set) < row.terms.min_reports:
            raise CheckFailed(
                phrase(
                    "%(row)s: fewer than %(min_reports)s independent operators in S",
                    row=name_of(row),
                    min_reports=row.terms.min_reports,
                )
            )
        try:
            small = small_groups(row, expected.set)
        except RefusalError as err:
            raise CheckFailed(phrase("%(row)s: %(reason)s", row=name_of(row), reason=err)) from err
        if small:
            raise CheckFailed(
                phrase(
                    "%(row)s: a group in S is smaller than %(min_group)s schools",
                    row=name_of(row),
                    min_group=row.terms.min_group,
                )
            )
        _check_no_copy(row, expected.set)
        number += 1
    return count(number, phrase("%(number)s closes", number=number))


def _check_no_copy(row: RoundLog, names: Iterable[ReportName]) -> None:
    """A vector or a box that stands in two reports of S was copied: auditors refuse the copy in log order."""
    seen: dict[bytes, str] = {}
    for name in names:
        report = row.reports[(name.node, name.attempt)].statement
        for value in {report.vector, *(box for _, box in report.boxes)}:
            if seen.setdefault(value, name.node) != name.node:
                raise CheckFailed(
                    phrase(
                        "%(row)s: the reports of %(node)s and %(other)s share a vector or a box",
                        row=name_of(row),
                        node=seen[value],
                        other=name.node,
                    )
                )


def check_votes(log: BundleLog) -> Phrase:
    """Check that over the whole history no auditor gave two answers in a round, and that q agreed first."""
    rounds = _rounds(log, Agreement, Abandon)
    votes = [row for row in log.statements if isinstance(row, Agreement | Abandon)]
    twice = [key for key, times in Counter((row.round, row.auditor) for row in votes).items() if times > 1]
    if twice:
        raise CheckFailed(
            phrase(
                "auditor %(auditor)s answered twice in round %(round_id)s",
                auditor=twice[0][1],
                round_id=twice[0][0].hex()[:16],
            )
        )
    for row in rounds:
        if not row.openings:
            continue
        first = min(logged.index for logged in row.openings.values())
        before = [logged for logged in row.agreements.values() if logged.index < first]
        if row.close is None or len(before) < row.terms.quorum:
            raise CheckFailed(
                phrase(
                    "%(row)s: opened before %(quorum)s auditors had agreed",
                    row=name_of(row),
                    quorum=row.terms.quorum,
                )
            )
        if any(logged.statement.close != row.close.digest for logged in row.agreements.values()):
            raise CheckFailed(phrase("%(row)s: an agreement to another close", row=name_of(row)))
    return count(len(votes), phrase("%(number)s agreements and abandons", number=len(votes)))


def check_openings(log: BundleLog) -> Phrase:
    """Check draws, that replicas agree, and that the release states the fewest of them."""
    rounds, number, fewest = _rounds(log, Opening, Release), 0, []
    for row in rounds:
        for auditor, logged in row.openings.items():
            if draw_commitment(logged.statement.draw) != row.approvals[auditor].statement.draw:
                raise CheckFailed(
                    phrase(
                        "%(row)s: the draw of %(auditor)s is not the one that it committed to",
                        row=name_of(row),
                        auditor=auditor,
                    )
                )
            number += 1
    for row in released(rounds):
        named = named_openings(row)
        digests: dict[int, bytes] = {}
        for logged in named.values():
            for subset, sum_digest in logged.statement.sums:
                if digests.setdefault(subset, sum_digest) != sum_digest:
                    raise CheckFailed(
                        phrase(
                            "%(row)s: two auditors' sums of subset %(subset)s differ",
                            row=name_of(row),
                            subset=subset,
                        )
                    )
        if set(digests) != set(row.subsets):
            raise CheckFailed(phrase("%(row)s: the openings do not cover every subset", row=name_of(row)))
        if row.release is None or row.release.statement.replicas != fewest_replicas(row, named):
            raise CheckFailed(phrase("%(row)s: the fewest replicas are stated wrongly", row=name_of(row)))
        _check_set_aside(row, named, digests)
        fewest.append(row.release.statement.replicas)
    what = count(number, phrase("%(number)s openings", number=number))
    return phrase("%(what)s, fewest replicas %(least)s", what=what, least=min(fewest)) if fewest else what


def _check_set_aside(
    row: RoundLog, named: Mapping[str, Logged[Opening]], digests: Mapping[int, bytes]
) -> None:
    """With e openings that contradict the release at least t + e carry it: else nobody knows who lied."""
    against = [
        auditor
        for auditor, logged in row.openings.items()
        if auditor not in named and any(digests[subset] != found for subset, found in logged.statement.sums)
    ]
    if len(named) < row.terms.threshold + len(against):
        raise CheckFailed(
            phrase(
                "%(row)s: %(auditors)s contradict the sums, and %(num_named)s openings do not decide who "
                "is right",
                row=name_of(row),
                auditors=", ".join(against),
                num_named=len(named),
            )
        )


def named_openings(row: RoundLog) -> dict[str, Logged[Opening]]:
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


def check_receipts(log: BundleLog) -> Phrase:
    """Check the receipt of every report in every released S, by the policy's keys."""
    rounds, ledger = any_rounds(log, Report), log.whole_ledger()
    expected: dict[str, int] = {}
    for row in released(rounds):
        for name in set_of(row):
            expected[receipt_path(row.round_id, name)] = row.reports[(name.node, name.attempt)].index
    only(log, "receipts", expected)
    policy = log.required_policy()
    for path, position in expected.items():
        proof = parse_proof(log.files.read(path))
        size = parse_checkpoint(parse_note(proof.checkpoint_note).text).size
        trust = followed(policy.trust, ledger, size) if 0 < size <= ledger.size else policy.trust
        checkpoint = verify_checkpoint(proof.checkpoint_note, trust)
        leaf = leaf_hash(log.entries[position])
        if proof.index != position:
            raise CheckFailed(
                phrase(
                    "%(path)s: for entry %(index)s, the report is entry %(position)s",
                    path=path,
                    index=proof.index,
                    position=position,
                )
            )
        verify_inclusion(leaf, position, checkpoint.size, proof.hashes, checkpoint.root)
        if checkpoint.size > ledger.size or ledger.root(checkpoint.size) != checkpoint.root:
            raise CheckFailed(
                phrase("%(path)s: its checkpoint is of another history than this log", path=path)
            )
    return count(len(expected), phrase("%(number)s receipts", number=len(expected)))


def set_of(row: RoundLog) -> tuple[ReportName, ...]:
    body = row.close_body()
    return body.set if body else ()


def only(log: BundleLog, folder: str, expected: Iterable[str]) -> None:
    known = set(expected)
    extra = [path for path in log.files.under(folder) if path not in known]
    if extra:
        raise CheckFailed(phrase("%(extra)s: belongs to no report or opening of a release", extra=extra[0]))


RoundCheck = Callable[[BundleLog], Phrase]
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
