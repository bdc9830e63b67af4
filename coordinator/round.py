"""What a round needs next: an I/O-free state machine over what the log says.

Order of a round, and who moves it:

1. draft: every auditor of the plan approves. Nothing else can happen before.
2. collecting: the nodes report. The coordinator fixes the **candidates** at the deadline, or as
   soon as every unrevoked school of the roster has reported, or when an administrator asks for
   it. Fewer independent operators than ``min_reports`` at the deadline end the round, unless an
   extension waits for its auditors. The deadline is the one in force (``RoundLog.closes``).
3. checking: the auditors check. The coordinator **closes** when at least q have checked, after
   waiting ``check_grace_s`` for the others. S is what ``Ledger``'s closed_set says, never a choice.
   Where all checks together leave no set that may be opened, but q of them would, a person decides
   (``choose_checks``): leave out the others, or let the auditors' keys run out.
4. agreed: at least q auditors agree; then they open. The coordinator **combines** when at least t
   have opened, after waiting ``open_grace_s`` for the others: t + 1 replies detect a lie.
5. Replicas are compared by the digests in the openings, all subsets. Liars are named when
   enough others agree; without that nothing is combined and the round waits for more replies.
6. released, or aborted with the reason. The county may end a round at any time before the release.

``next_action`` is a function of its arguments: asking twice changes nothing, so every step can be
resumed by any process at any time. Spec: docs/protocol.md "The close", "Combining".
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations

from coordinator.choose_checks import HasSmallGroup, choose_checks, may_still_close
from coordinator.errors import ReplicaMismatchError
from plan.errors import phrase
from protos.bodies import ReportName
from protos.fields import ZERO_DIGEST
from protos.round_log import RoundLog, closed_set, distinct_operators


class Reason(enum.Enum):
    """Why a round waits or has ended; stable words for programs."""

    APPROVALS = "waiting-for-approvals"
    NOT_YET_OPEN = "not-yet-open"
    REPORTS = "waiting-for-reports"
    EXTENSION = "waiting-for-extension"
    CHECKS = "waiting-for-checks"
    CHECK_GRACE = "waiting-for-more-checks"
    CHECKS_DISAGREE = "checks-disagree"
    AGREEMENTS = "waiting-for-agreements"
    OPENINGS = "waiting-for-openings"
    OPEN_GRACE = "waiting-for-more-openings"
    REPLICA_MISMATCH = "replica-mismatch"
    EXPIRED = "expired-before-approval"
    TOO_FEW_REPORTS = "too-few-reports"
    GROUP_TOO_SMALL = "group-too-small"
    ABANDONED = "abandoned"
    CANCELLED = "cancelled"
    REISSUED = "reissued"
    CORRUPT = "corrupt"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do now. `missing` are the ids waited for; `until` is when the wait ends by itself."""

    reason: Reason
    missing: tuple[str, ...] = ()
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class FixCandidates:
    """Log the candidates at the present log size."""


@dataclass(frozen=True, slots=True)
class CloseSet:
    """Log the close over the checks of these auditors, in plan order."""

    checked: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Combine:
    """Combine and release with the openings of these auditors; `liars` answered differently."""

    openers: tuple[str, ...]
    liars: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    """The round is over."""

    reason: Reason


Action = Wait | FixCandidates | CloseSet | Combine | Finished


def no_small_group(_names: tuple[ReportName, ...]) -> bool:
    """Say that no set has a small group: a plan without roster attributes."""
    return False


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a round's next step depends on beside its own entries.

    Attributes:
        now: the coordinator's clock, UTC.
        revoked: ids of revoked nodes and auditors.
        candidates: what the candidates would be if they were fixed now.
        is_close_requested: an administrator asked not to wait for the remaining schools.
        checked_since: when the q-th check was logged, None before.
        opened_since: when the t-th opening was logged, None before.
        check_grace: how long to wait for the other checks.
        open_grace: how long to wait for the other openings.
        is_leave_out_requested: an administrator lets the close leave out checks that refuse too much.
        has_small_group: whether a set of reports would show a group of schools below ``min_group``.
    """

    now: datetime
    revoked: frozenset[str]
    candidates: tuple[ReportName, ...]
    is_close_requested: bool
    checked_since: datetime | None
    opened_since: datetime | None
    check_grace: timedelta
    open_grace: timedelta
    has_small_group: HasSmallGroup = no_small_group
    is_leave_out_requested: bool = False


def next_action(round_log: RoundLog, around: Surroundings) -> Action:
    """Say what the coordinator does next in a round."""
    if round_log.release is not None:
        is_ok = round_log.release.statement.status == "ok"
        return Finished(Reason.RELEASED if is_ok else Reason.CORRUPT)
    if round_log.changes.cancel is not None:
        is_reissue = round_log.changes.cancel.statement.successor != ZERO_DIGEST
        return Finished(Reason.REISSUED if is_reissue else Reason.CANCELLED)
    if round_log.can_never_open:
        return Finished(Reason.ABANDONED)
    if not round_log.is_approved:
        return _while_draft(round_log, around)
    if round_log.candidates is None:
        return _while_collecting(round_log, around)
    if round_log.close is None:
        return _while_checking(round_log, around)
    return _after_close(round_log, around)


def _while_draft(round_log: RoundLog, around: Surroundings) -> Action:
    if around.now >= round_log.terms.closes:
        return Finished(Reason.EXPIRED)
    return Wait(Reason.APPROVALS, _without(round_log, round_log.approvals), round_log.terms.closes)


def _while_collecting(round_log: RoundLog, around: Surroundings) -> Action:
    terms, closes = round_log.terms, round_log.closes
    is_over = around.now >= closes
    missing = missing_nodes(round_log, around)
    if not is_over and around.now < terms.opens:
        return Wait(Reason.NOT_YET_OPEN, (), terms.opens)
    if not is_over and missing and not around.is_close_requested:
        return Wait(Reason.REPORTS, missing, closes)
    if distinct_operators(round_log, around.candidates) < terms.min_reports:
        if is_over:
            return _wait_for_extension(round_log, around) or Finished(Reason.TOO_FEW_REPORTS)
        return Wait(Reason.TOO_FEW_REPORTS, missing, closes)
    return FixCandidates()


def _wait_for_extension(round_log: RoundLog, around: Surroundings) -> Wait | None:
    """Wait past the deadline, where too few have reported, for grants that may still move it."""
    pending = round_log.changes.pending(round_log.terms)
    if pending is None or around.now >= pending.statement.closes:
        return None
    granted = round_log.changes.extended.get(pending.digest, {})
    missing = _still_possible(round_log, around, granted)
    return Wait(Reason.EXTENSION, missing, pending.statement.closes)


def _while_checking(round_log: RoundLog, around: Surroundings) -> Action:
    terms = round_log.terms
    missing = _still_possible(round_log, around, round_log.checked)
    if len(round_log.checked) < terms.quorum or around.checked_since is None:
        return Wait(Reason.CHECKS, missing)
    until = around.checked_since + around.check_grace
    if missing and around.now < until:
        return Wait(Reason.CHECK_GRACE, missing, until)
    chosen = choose_checks(round_log, around.has_small_group)
    left_out = tuple(name for name in terms.auditors if name in round_log.checked and name not in chosen)
    if chosen and left_out and not around.is_leave_out_requested:
        return Wait(Reason.CHECKS_DISAGREE, left_out)
    if chosen:
        return CloseSet(chosen)
    if missing and may_still_close(round_log, len(missing), around.has_small_group):
        return Wait(Reason.CHECKS, missing)  # what is over is deleted, and would not come back
    left = closed_set(round_log, round_log.checked).set
    if distinct_operators(round_log, left) < terms.min_reports:
        return Finished(Reason.TOO_FEW_REPORTS)
    return Finished(Reason.GROUP_TOO_SMALL)


def _after_close(round_log: RoundLog, around: Surroundings) -> Action:
    terms = round_log.terms
    if len(round_log.agreements) < terms.quorum:
        return Wait(Reason.AGREEMENTS, _still_possible(round_log, around, round_log.agreements))
    missing = _still_possible(round_log, around, round_log.openings)
    if len(round_log.openings) < terms.threshold or around.opened_since is None:
        return Wait(Reason.OPENINGS, missing)
    until = around.opened_since + around.open_grace
    if missing and around.now < until:
        return Wait(Reason.OPEN_GRACE, missing, until)
    try:
        openers = choose_openers(round_log)
    except ReplicaMismatchError as err:
        return Wait(Reason.REPLICA_MISMATCH, err.auditors)
    return Combine(openers, set_aside(round_log))


def missing_nodes(round_log: RoundLog, around: Surroundings) -> tuple[str, ...]:
    """List the unrevoked schools of the round's roster that have not reported."""
    present = {name.node for name in around.candidates}
    return tuple(
        node.id for node in round_log.roster.nodes if node.id not in present and node.id not in around.revoked
    )


def _without(round_log: RoundLog, done: Iterable[str]) -> tuple[str, ...]:
    finished = set(done)
    return tuple(name for name in round_log.terms.auditors if name not in finished)


def _still_possible(round_log: RoundLog, around: Surroundings, done: Iterable[str]) -> tuple[str, ...]:
    gone = {*done, *round_log.abandons, *around.revoked}
    return _without(round_log, gone)


def choose_openers(round_log: RoundLog) -> tuple[str, ...]:
    """Choose the openings to combine by comparing every replica of every subset's sum.

    With e auditors set aside the rest must agree about every subset and be at least t + e: then
    at least t of them are honest if at most e lied, and t cover every subset, so the sums are
    right and the e are named. At exactly t replies no lie can be seen; the release says so by
    its fewest replicas.

    Returns:
        Auditors in plan order.

    Raises:
        ReplicaMismatchError: no such choice exists; names whose replicas disagree.
    """
    threshold = round_log.terms.threshold
    names = tuple(name for name in round_log.terms.auditors if name in round_log.openings)
    num_liars = 0
    while len(names) - num_liars >= threshold + num_liars:
        for chosen in combinations(names, len(names) - num_liars):
            if not conflicts(round_log, chosen):
                return chosen
        num_liars += 1
    suspects = conflicts(round_log, names)
    raise ReplicaMismatchError(
        phrase(
            "the sums returned by %(suspects)s disagree and %(num_names)s replies do not "
            "decide; wait for another auditor",
            suspects=", ".join(suspects),
            num_names=len(names),
        ),
        suspects,
    )


def set_aside(round_log: RoundLog) -> tuple[str, ...]:
    """Name the auditors whose openings a majority contradicts, in plan order; empty while undecided."""
    if len(round_log.openings) < round_log.terms.threshold:
        return ()
    try:
        openers = choose_openers(round_log)
    except ReplicaMismatchError:
        return ()
    return tuple(
        name for name in round_log.terms.auditors if name in round_log.openings and name not in openers
    )


def conflicts(round_log: RoundLog, names: Iterable[str]) -> tuple[str, ...]:
    """Name the auditors among `names` that share a subset whose replicas differ, in plan order."""
    holders: dict[int, dict[str, bytes]] = {}
    for name in names:
        for subset, sum_digest in round_log.openings[name].statement.sums:
            holders.setdefault(subset, {})[name] = sum_digest
    found = {name for by in holders.values() if len(set(by.values())) > 1 for name in by}
    return tuple(name for name in round_log.terms.auditors if name in found)
