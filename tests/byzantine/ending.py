"""How a seed ends: the faults stop, and every round must come to its end within a bound.

The coordinator goes on with the history that most honest auditors can follow, by its program; the liars
are silent, or behave. By Proposition 6 of docs/agreement.md a round that q honest auditors are present for
is then released, or abandoned where too few reports are left. What is left when the keys' time is over is
expired: every honest auditor has destroyed its keys of it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from byzantine.county_log import CountyLog
from byzantine.judge import Judge, Sitting, hold

from auditor.errors import AuditorError
from auditor.signing import stored_entry
from auditor.state import SecretKind, SlotKind
from auditor.witness import last_head
from coordinator.round import Reason, Wait
from protos.round_log import RoundLog
from protos.statements import Agreement, Checked

if TYPE_CHECKING:
    from byzantine.parties import Auditor
    from byzantine.world import World

MAX_PASSES = 14
AFTER_ALL = timedelta(days=130)


def settle(world: World) -> None:
    """Bring a world to its end.

    Raises:
        Violation: a round hangs that must not, or keys outlive it.
    """
    log = _log_that_goes_on(world)
    world.now = world.latest  # a clock that was set back is right again, and no time is waited for twice
    world.note(f"calm: the county goes on with {log.name}")
    for party in (*world.honest, *world.schools):
        world.adversary.show(party, log)
    for auditor in world.honest:
        auditor.is_cosigned_hidden, auditor.is_flattered, auditor.box_lie = False, False, ""
        if not _follows(auditor, log):
            auditor.remove("mirror")
            auditor.desk = None
            auditor.start()
    lies = world.adversary
    helpful = (world.rng.random() < 0.5 or lies.spoils_openings) and not lies.is_silent
    judge = _judge(log)
    due = [
        row for row in log.ledger.rounds.values() if _must_end(world, log, row, judge.rounds[row.round_id])
    ]
    _passes(world, log, helpful=helpful)
    for row in due:
        is_over = row.release is not None or row.is_dead or _waits_for_its_time(log, row)
        hold(is_over, "liveness", f"{log.name}: {log.action(row)}")
    world.now = max([world.now, *(row.closes for row in log.ledger.rounds.values())]) + AFTER_ALL
    _passes(world, log, helpful=False, most=3)
    for row in due:
        hold(
            row.release is not None or row.is_dead or _was_the_countys_choice(log, row),
            "liveness",
            f"{log.name}: {log.action(row)} after its time",
        )
    for auditor in world.honest:
        if not _follows(auditor, log):
            continue
        for row in log.ledger.rounds.values():
            mine = row.approvals.get(auditor.id)
            if mine is not None and mine.statement.instance == auditor.instance():
                world.oracle.no_secrets(auditor, row.round_id, "the round is over")


def _passes(world: World, log: CountyLog, *, helpful: bool, most: int = MAX_PASSES) -> None:
    quiet = 0
    for number in range(most):
        before = len(log.entries)
        _coordinator(world, log, number)
        if world.coordinator_lies:
            world.adversary.attempt()
        if helpful:
            for name in world.liars:
                for row in log.ledger.rounds.values():
                    world.adversary.cooperate(name, log, row)
        for auditor in world.honest:
            for row in list(log.ledger.rounds.values())[:2]:
                if (
                    number == 0
                    and auditor.id not in row.approvals
                    and row.round_id not in auditor.asked_before
                ):
                    auditor.approve(row.round_id)
            auditor.work()
        for school in world.schools if number < 3 else ():
            school.work()
            for row in log.ledger.rounds.values():
                if row.is_approved and row.candidates is None and (school.id, 0) not in row.reports:
                    school.release(row.round_id)
        world.now += timedelta(seconds=61)
        quiet = quiet + 1 if len(log.entries) == before and number > 3 else 0
        if quiet >= 2:
            return


def _coordinator(world: World, log: CountyLog, number: int) -> None:
    for row in list(log.ledger.rounds.values()):
        if number >= 3:
            log.requested.add(row.round_id)  # an administrator does not wait for the last school
        had_release = row.release
        action = log.tick(row)
        world.step("tick", f"{log.name}: {type(action).__name__} {getattr(action, 'reason', '')}")
        if isinstance(action, Wait) and action.reason is Reason.CHECKS_DISAGREE:
            log.left_out.add(row.round_id)
        if row.release is not None and had_release is None:
            world.adversary.check_release(log, row)


def _was_the_countys_choice(log: CountyLog, row: RoundLog) -> bool:
    """Whether the county closed over checks that disagree, and an auditor whose check it left out abandoned.

    That is a person's decision (ADR 20), and Proposition 6 speaks of a close that leaves nobody out: then
    neither quorum may come about. Nothing is opened, and the keys go with their time.
    """
    return row.round_id in log.left_out and bool(row.abandons) and not row.openings


def _log_that_goes_on(world: World) -> CountyLog:
    """Choose the history that most honest auditors have followed and voted in."""

    def weight(log: CountyLog) -> tuple[int, int]:
        return sum(_follows(auditor, log) for auditor in world.honest), -int(log.name[1:])

    return max(world.logs, key=weight)


def _follows(auditor: Auditor, log: CountyLog) -> bool:
    """Whether what an auditor has cosigned and copied is a beginning of a history."""
    if auditor.desk is None:
        return False
    leaves = log.ledger.leaves[: len(log.entries)]
    copied = auditor.desk.mirror.ledger.leaves[: auditor.desk.mirror.ledger.size]
    head = last_head(auditor.desk.state)  # written before it is sent, so it may be more than anybody has seen
    is_below = head is None or (head.size <= len(leaves) and log.ledger.root(head.size) == head.root)
    return leaves[: len(copied)] == copied and is_below


def _judge(log: CountyLog) -> Judge:
    judge = Judge()
    for entry, body in log.entries:
        judge.feed(entry, body)
    return judge


def _must_end(world: World, log: CountyLog, row: RoundLog, sitting: Sitting) -> bool:
    """Whether q honest auditors are present for a round that collects or is further."""
    lied = any(name in world.liars for name in row.openings) or world.adversary.spoils_openings
    if not row.is_approved or row.is_dead or lied or row.changes.cancel is not None:
        return False
    present = [auditor for auditor in world.honest if _is_present(world, auditor, row, sitting)]
    names = [auditor.id for auditor in present]
    is_cosigned = (
        len([auditor for auditor in world.honest if _follows(auditor, log)]) >= log.template.federation.quorum
    )
    world.note(f"round {row.round_id.hex()[:8]}: {names} present")
    return len(present) >= row.terms.quorum and is_cosigned


def _is_present(world: World, auditor: Auditor, row: RoundLog, sitting: Sitting) -> bool:
    """Whether an auditor is present in the sense of docs/agreement.md section 6."""
    mine = row.approvals.get(auditor.id)
    if mine is None or auditor.desk is None or not _follows(auditor, auditor.log):
        return False
    state = auditor.desk.state
    try:
        decision = stored_entry(state, SlotKind.DECISION, row.round_id)
        checked = stored_entry(state, SlotKind.CHECKED, row.round_id)
        opening = stored_entry(state, SlotKind.OPENING, row.round_id)
    except AuditorError:
        return False
    if mine.statement.instance != auditor.instance():
        return False
    if opening is None and state.secret(SecretKind.ROUND_KEY, row.round_id) is None:
        return False
    if world.now > row.closes + auditor.desk.context.keep_keys - timedelta(hours=1):
        return False
    close = row.close.digest if row.close else b""
    if decision is not None and not (
        isinstance(decision.statement, Agreement) and decision.statement.close == close
    ):
        return False
    return _could_agree(world, auditor, row, sitting, checked.statement if checked else None, checked)


def _could_agree(
    world: World, auditor: Auditor, row: RoundLog, sitting: Sitting, checked: object, signed: object
) -> bool:
    wanted = row.candidates.digest if row.candidates else b""
    if checked is not None and not (isinstance(checked, Checked) and checked.candidates == wanted):
        return False
    if row.close is None:
        return True
    named = dict(row.close.statement.checked).get(auditor.id)
    if named is not None:
        return signed is not None and named == signed.digest  # type: ignore[attr-defined]
    return not world.oracle.refusals(auditor.id, sitting).intersection(sitting.chosen)


def _waits_for_its_time(log: CountyLog, row: RoundLog) -> bool:
    """Whether too little is left for a set: the round ends when the keys' time is over."""
    reason = getattr(log.action(row), "reason", None)
    return reason in (
        Reason.TOO_FEW_REPORTS,
        Reason.GROUP_TOO_SMALL,
        Reason.CHECKS,
        Reason.EXPIRED,
    ) or (reason is Reason.AGREEMENTS and bool(row.abandons))
