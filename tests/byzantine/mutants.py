"""Planted bugs: each replaces one function of the product, none of the simulator, by a wrong one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from byzantine.speed import replaced

import auditor.agree
import auditor.answer_masks
import auditor.approve
import auditor.check_reports
import auditor.desk
import auditor.durable
import auditor.state
import auditor.witness
import coordinator.combine
import coordinator.round
import node.vault.account
import node.vault.derive
import plan.groups
import protos.roster_chain
import protos.round_log
from auditor.agree import sign_decision
from auditor.errors import SlotTakenError
from auditor.signing import stored_entry
from auditor.state import SlotKind
from protos.bodies import CloseBody, ReportName
from protos.ledger import Ledger
from protos.statements import Agreement, Approval, Opening

Planter = Callable[[], AbstractContextManager[None]]
MUTANTS: dict[str, tuple[str, Planter]] = {}


def _plant(name: str, what: str) -> Callable[[Planter], Planter]:
    def add(planter: Planter) -> Planter:
        MUTANTS[name] = what, planter
        return planter

    return add


@contextmanager
def _method(owner: Any, name: str, replacement: Any) -> Iterator[None]:
    original = owner.__dict__[name]
    setattr(owner, name, replacement)
    try:
        yield
    finally:
        setattr(owner, name, original)


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Plant one bug."""
    with MUTANTS[name][1]():
        yield


# --- auditors: one answer ---------------------------------------------------------------------


@_plant("second-close-agreed", "an auditor that has agreed signs again when it is shown another close")
def _second_close() -> AbstractContextManager[None]:
    original = auditor.desk.Desk._decide

    def decide(self: Any, round_log: Any) -> Iterator[Any]:
        stored = stored_entry(self.state, SlotKind.DECISION, round_log.round_id)
        own = stored.statement if stored else None
        if round_log.close is not None and isinstance(own, Agreement) and own.close != round_log.close.digest:
            (self.state._slot_path(SlotKind.DECISION, round_log.round_id)).unlink()
        yield from original(self, round_log)

    return _method(auditor.desk.Desk, "_decide", decide)


@_plant("write-after-send", "the decision is written to its slot after it was sent")
def _write_after_send() -> AbstractContextManager[None]:
    original = auditor.desk.Desk._decide

    def decide(self: Any, round_log: Any) -> Iterator[Any]:
        kept, fill = [], self.state.fill_slot
        self.state.fill_slot = lambda *row: kept.append(row) or row[2]
        try:
            if stored_entry(self.state, SlotKind.DECISION, round_log.round_id) is None and round_log.close:
                signed = sign_decision(self.context, round_log)
                self.context.link.submit_statement(signed.entry, signed.body)
        finally:
            self.state.fill_slot = fill
        for row in kept:
            fill(*row)
        yield from original(self, round_log)

    return _method(auditor.desk.Desk, "_decide", decide)


@_plant("slot-not-synced", "a new file is not synced before it is believed to be there")
def _slot_not_synced() -> AbstractContextManager[None]:
    def create_exclusively(path: Any, content: bytes, step: str, durable: Any = None) -> None:
        durable(f"{step} before")
        if path.exists():
            raise SlotTakenError(auditor.durable.phrase("%(path)s", path=path))
        with auditor.durable.os.fdopen(auditor.durable.os.open(path, 0o102, 0o600), "wb") as file:
            file.write(content)
        durable(f"{step} after")

    return replaced(auditor.durable.create_exclusively, create_exclusively)


@_plant("agreement-and-abandon", "an auditor that has agreed abandons when the round is given up")
def _agreement_and_abandon() -> AbstractContextManager[None]:
    original = auditor.desk.Desk._give_up

    def give_up(self: Any, round_log: Any, reason: str) -> Iterator[Any]:
        if round_log.release is None:
            self.state._slot_path(SlotKind.DECISION, round_log.round_id).unlink(missing_ok=True)
        yield from original(self, round_log, reason)

    return _method(auditor.desk.Desk, "_give_up", give_up)


@_plant("two-approvals", "asked again, an auditor makes another approval")
def _two_approvals() -> AbstractContextManager[None]:
    original = auditor.approve.sign_approval

    def sign_approval(context: Any, round_id: bytes) -> Any:
        context.state._slot_path(SlotKind.APPROVAL, round_id).unlink(missing_ok=True)
        return original(context, round_id)

    return replaced(original, sign_approval)


@_plant("restored-signs-again", "a state without its instance goes on with rounds that it approved before")
def _restored() -> AbstractContextManager[None]:
    return replaced(auditor.approve.verify_own_approval, lambda *_: None)


# --- auditors: the opening --------------------------------------------------------------------


@_plant("no-quorum", "an auditor opens as soon as it has agreed itself")
def _no_quorum() -> AbstractContextManager[None]:
    def verify_agreed(context: Any, round_log: Any) -> None:
        if stored_entry(context.state, SlotKind.DECISION, round_log.round_id) is None:
            raise auditor.errors.StateError(auditor.durable.phrase("no"))

    return replaced(auditor.answer_masks.verify_agreed, verify_agreed)


@_plant("opening-before-cosigned", "agreements count before a quorum has cosigned them")
def _before_cosigned() -> AbstractContextManager[None]:
    def verify_agreed(context: Any, round_log: Any) -> None:
        decision = stored_entry(context.state, SlotKind.DECISION, round_log.round_id)
        own = decision.statement if decision else None
        is_own = round_log.close and isinstance(own, Agreement) and own.close == round_log.close.digest
        if not is_own or len(round_log.agreements) < round_log.terms.quorum:
            raise auditor.errors.NotReadyError(auditor.durable.phrase("no"))

    return replaced(auditor.answer_masks.verify_agreed, verify_agreed)


@_plant("opening-for-another-close", "an auditor opens the logged close, whichever it agreed to")
def _another_close() -> AbstractContextManager[None]:
    def verify_agreed(context: Any, round_log: Any) -> None:
        cosigned = [row for row in round_log.agreements.values() if row.index < context.mirror.cosigned_size]
        if len(cosigned) < round_log.terms.quorum:
            raise auditor.errors.NotReadyError(auditor.durable.phrase("no"))

    return replaced(auditor.answer_masks.verify_agreed, verify_agreed)


@_plant("keys-not-destroyed", "the round's key outlives the opening")
def _keys_kept() -> AbstractContextManager[None]:
    return replaced(auditor.answer_masks.destroy_keys, lambda *_: False)


@_plant("keys-not-overwritten", "the round's key is unlinked, its bytes stay")
def _keys_unlinked() -> AbstractContextManager[None]:
    def destroy_secret(self: Any, kind: Any, round_id: bytes) -> bool:
        path = self._secret_path(kind, round_id)
        if not path.exists():
            return False
        auditor.durable.create_exclusively(self._tombstone(kind, round_id), b"x", "tombstone", self._durable)
        path.unlink()
        auditor.durable.sync_directory(path.parent)
        return True

    return _method(auditor.state.State, "destroy_secret", destroy_secret)


@_plant("keys-outlive-their-time", "an auditor that cannot reach the coordinator keeps its keys")
def _keys_outlive() -> AbstractContextManager[None]:
    return _method(auditor.desk.Desk, "_expire", lambda *_: None)


@_plant("sums-over-candidates", "the sums are those of all boxes, not of S")
def _sums_over_all() -> AbstractContextManager[None]:
    original = auditor.answer_masks._seeds_of

    def seeds_of(context: Any, round_log: Any, wanted: dict[bytes, str]) -> Iterator[Any]:
        names = {name.digest: name.node for name in round_log.candidate_names()}
        yield from original(context, round_log, {**names, **wanted})

    return replaced(original, seeds_of)


# --- which reports count ----------------------------------------------------------------------


@_plant("old-attempt-in-S", "the lowest attempt of a school counts")
def _old_attempt() -> AbstractContextManager[None]:
    def candidates_for(round_log: Any, log_size: int, revoked: Any) -> tuple[ReportName, ...]:
        best: dict[str, ReportName] = {}
        for node_id, attempt in sorted(round_log.reports):
            slot = node_id, attempt
            if round_log.reports.position_of(slot) < log_size and revoked.get(node_id, log_size) >= log_size:
                best.setdefault(node_id, ReportName(node_id, attempt, round_log.reports.digest_of(slot)))
        return tuple(best[node_id] for node_id in sorted(best))

    return replaced(protos.round_log.candidates_for, candidates_for)


@_plant("school-left-out", "the candidates leave out who comes last")
def _left_out() -> AbstractContextManager[None]:
    original = protos.round_log.candidates_for
    return replaced(original, lambda *row: original(*row)[:5])


@_plant("candidates-chosen", "the log takes any candidates, and so do auditors")
def _candidates_chosen() -> AbstractContextManager[None]:
    def check_candidates(round_log: Any, candidates: Any, body: bytes, index: int, revoked: Any) -> None:
        if not round_log.is_approved or round_log.candidates is not None:
            raise protos.round_log._refuse("second-candidates", "no")

    return replaced(protos.round_log.check_candidates, check_candidates)


@_plant("refusals-ignored", "S is all candidates, whatever the checks refuse")
def _refusals_ignored() -> AbstractContextManager[None]:
    return replaced(
        protos.round_log.closed_set, lambda round_log, _names: CloseBody(round_log.candidate_names(), ())
    )


@_plant("min-reports-not-checked", "operators are not counted")
def _min_reports() -> AbstractContextManager[None]:
    return replaced(protos.round_log.distinct_operators, lambda *_: 99)


@_plant("operators-counted-as-schools", "a chain of schools counts as many")
def _operators() -> AbstractContextManager[None]:
    return replaced(protos.round_log.distinct_operators, lambda _round_log, names: len(list(names)))


@_plant("min-group-not-checked", "groups of schools are not looked at")
def _min_group() -> AbstractContextManager[None]:
    return replaced(plan.groups.small_groups, lambda *_: {})


@_plant("copies-not-evicted", "copied seeds are not looked for")
def _copies() -> AbstractContextManager[None]:
    return replaced(auditor.check_reports.copies, lambda *_: {})


@_plant("original-evicted", "of two reports with the same seed the earlier one is refused")
def _original_evicted() -> AbstractContextManager[None]:
    original = auditor.check_reports.copies

    def copies(digests: Any, values: Any) -> dict[bytes, str]:
        return original(list(digests)[::-1], np.ascontiguousarray(values[::-1]))

    return replaced(original, copies)


@_plant("seeds-not-compared", "a seed need not be the committed one")
def _seeds_not_compared() -> AbstractContextManager[None]:
    def open_seeds(self: Any, report: Any, box: bytes) -> Any:
        return self.reopen_seeds(report, box)

    return _method(auditor.check_reports.BoxOpener, "open_seeds", open_seeds)


@_plant("report-of-another-round", "a report may name other approvals and another roster")
def _another_round() -> AbstractContextManager[None]:
    original = protos.round_log.check_report

    def check_report(round_log: Any, report: Any, previous: bytes, is_revoked: bool) -> None:
        same = replace(report, approvals=round_log.approvals_digest(), roster=round_log.roster_digest)
        original(round_log, same, previous, is_revoked)

    return replaced(original, check_report)


@_plant("late-report", "reports are taken after the candidates")
def _late_report() -> AbstractContextManager[None]:
    original = protos.round_log.check_report

    def check_report(round_log: Any, report: Any, previous: bytes, is_revoked: bool) -> None:
        kept, round_log.candidates = round_log.candidates, None
        try:
            original(round_log, report, previous, is_revoked)
        finally:
            round_log.candidates = kept

    return replaced(original, check_report)


# --- the log ----------------------------------------------------------------------------------


@_plant("close-below-quorum", "a close may name any number of checks")
def _close_below_quorum() -> AbstractContextManager[None]:
    original = protos.round_log.check_close

    def check_close(round_log: Any, close: Any, body: bytes) -> None:
        terms = round_log.plan.statement
        round_log.plan = replace(round_log.plan, statement=replace(terms, quorum=1))
        try:
            original(round_log, close, body)
        finally:
            round_log.plan = replace(round_log.plan, statement=terms)

    return replaced(original, check_close)


@_plant("second-close-logged", "the log takes a second close")
def _second_close_logged() -> AbstractContextManager[None]:
    original = protos.round_log.check_close

    def check_close(round_log: Any, close: Any, body: bytes) -> None:
        kept, round_log.close = round_log.close, None
        try:
            original(round_log, close, body)
        finally:
            round_log.close = kept

    return replaced(original, check_close)


@_plant("second-vote-logged", "the log takes a second vote of an auditor")
def _second_vote() -> AbstractContextManager[None]:
    original = protos.round_log.check_vote

    def check_vote(round_log: Any, vote: Any) -> None:
        kept = round_log.agreements, round_log.abandons
        round_log.agreements, round_log.abandons = {}, {}
        try:
            original(round_log, vote)
        finally:
            round_log.agreements, round_log.abandons = kept

    return replaced(original, check_vote)


@_plant("second-approval-logged", "the log takes a second approval of an auditor")
def _second_approval() -> AbstractContextManager[None]:
    def check_approval(round_log: Any, approval: Approval) -> None:
        if approval.auditor not in round_log.terms.auditors:
            raise protos.round_log._refuse("not-an-auditor", "no")

    return replaced(protos.round_log.check_approval, check_approval)


@_plant("opening-without-agreements", "the log takes an opening before the agreements")
def _opening_logged() -> AbstractContextManager[None]:
    def check_opening(round_log: Any, opening: Opening) -> None:
        if round_log.close is None or opening.auditor in round_log.openings:
            raise protos.round_log._refuse("wrong-close", "no")

    return replaced(protos.round_log.check_opening, check_opening)


@_plant("replicas-not-compared", "a release may rest on openings that disagree")
def _replicas() -> AbstractContextManager[None]:
    return replaced(protos.round_log._sums_agree, lambda *_: True)


@_plant("wrong-tuple", "a plan may ask for any (n, t, f, q)")
def _wrong_tuple() -> AbstractContextManager[None]:
    original = Ledger._rule_plan

    def rule_plan(self: Any, statement: Any) -> Any:
        body, row = (
            self.roster.body,
            (len(statement.auditors), statement.threshold, statement.collude, statement.quorum),
        )
        tuples = body.tuples
        object.__setattr__(body, "tuples", (*tuples, row))
        try:
            return original(self, statement)
        finally:
            object.__setattr__(body, "tuples", tuples)

    return _method(Ledger, "_rule_plan", rule_plan)


@_plant("roster-by-anybody", "a roster needs no signatures of the auditors before it")
def _roster_by_anybody() -> AbstractContextManager[None]:
    return _method(protos.roster_chain.RosterChain, "verify_signers", lambda *_: None)


@_plant("policy-not-asked", "an auditor approves what its policy forbids")
def _policy() -> AbstractContextManager[None]:
    return replaced(auditor.approve.verify_policy, lambda *_: None)


@_plant("asked-again", "an auditor approves the same question about the same pupils again")
def _asked_again() -> AbstractContextManager[None]:
    return replaced(auditor.approve._verify_not_asked_before, lambda *_: None)


@_plant("fork-cosigned", "a witness does not compare with what it cosigned last")
def _fork_cosigned() -> AbstractContextManager[None]:
    return replaced(auditor.witness.verify_extends, lambda *_: None)


@_plant("witness-after-send", "a witness does not write down what it cosigns")
def _witness_forgets() -> AbstractContextManager[None]:
    return _method(auditor.state.State, "replace_record", lambda *_: None)


# --- coordinator and schools ------------------------------------------------------------------


@_plant("combines-fewer", "the coordinator forgets the first report of S")
def _combines() -> AbstractContextManager[None]:
    original = coordinator.combine._vectors

    def vectors(connection: Any, round_log: Any, names: Iterable[ReportName], num: int) -> Any:
        return original(connection, round_log, list(names)[1:], num)

    return replaced(original, vectors)


@_plant("never-closes", "the coordinator waits for all checks for ever")
def _never_closes() -> AbstractContextManager[None]:
    original = coordinator.round._while_checking

    def while_checking(round_log: Any, around: Any) -> Any:
        if len(round_log.checked) < round_log.num_auditors:
            return coordinator.round.Wait(coordinator.round.Reason.CHECK_GRACE)
        return original(round_log, around)

    return replaced(original, while_checking)


@_plant("abstains-when-late", "an auditor that the close does not name never votes")
def _abstains() -> AbstractContextManager[None]:
    original = auditor.desk.Desk._decide

    def decide(self: Any, round_log: Any) -> Iterator[Any]:
        if round_log.close is None or self.context.id in dict(round_log.close.statement.checked):
            yield from original(self, round_log)

    return _method(auditor.desk.Desk, "_decide", decide)


@_plant("fresh-noise", "the noise is drawn anew each time")
def _fresh_noise() -> AbstractContextManager[None]:
    original, calls = node.vault.derive.draw_noise, iter(range(1 << 40))

    def draw_noise(layout: Any, report_secret: bytes) -> Any:
        return original(layout, next(calls).to_bytes(32, "big"))

    return replaced(original, draw_noise)


@_plant("not-charged", "a round is not written to the account")
def _not_charged() -> AbstractContextManager[None]:
    return _method(node.vault.account.Account, "charge", lambda *_: True)


@_plant("charged-twice", "a round is charged twice as much")
def _charged_twice() -> AbstractContextManager[None]:
    original = node.vault.account.Account.charge

    def charge(self: Any, charge_: Any, now: Any) -> bool:
        return original(self, type(charge_)(charge_.round_id, charge_.school_year, 2 * charge_.rho), now)

    return _method(node.vault.account.Account, "charge", charge)


@_plant("refunded-too-early", "a charge is given back at the first abandon")
def _refunded() -> AbstractContextManager[None]:
    def refunded(mirror: Any) -> Iterable[bytes]:
        return [row.round_id for row in mirror.ledger.rounds.values() if row.abandons]

    return replaced(node.vault.account._refunded, refunded)


@_plant("cap-not-checked", "the account takes more than the year's cap")
def _cap() -> AbstractContextManager[None]:
    return _method(node.vault.account.YearAccount, "after", lambda self, _charge: self.spent)
