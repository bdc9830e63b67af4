"""The log, read in order: the one place that says what a valid next entry is.

Coordinator (before it appends), auditors and nodes (when they read) and the offline verifier all
run this same code. An entry that it refuses never becomes part of the state; a reader that meets
one stops trusting the log's further entries. The first entry is the genesis roster that the
federation card pins.

Rules for rosters: ``protos.roster_chain``. A superseding roster changes no open round. Rules of a
round: ``protos.round_log``.

I/O-free; no clock. Spec: docs/protocol.md "Statements", docs/log.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from crypto.canonical import parse_json
from crypto.checkpoint import Checkpoint, parse_checkpoint
from crypto.errors import CryptoError
from crypto.merkle import leaf_hash
from crypto.merkle_tree import HashList, MerkleTree
from crypto.note import VerifierKey, parse_note, verified_by
from protos import round_log as rules
from protos.bodies import ReportName, parse_roster_body
from protos.card import FederationCard
from protos.entry import Entry, parse_entry
from protos.errors import BodyError, LedgerError
from protos.fields import ZERO_DIGEST
from protos.positions import Positions
from protos.report_table import Logged, ReportTable
from protos.roster_chain import RosterChain, RosterState
from protos.round_changes import CHANGES, rule_change
from protos.round_log import RoundLog, RoundState
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
    Replayed,
    Report,
    Revoke,
    Roster,
    Statement,
    body_of,
    body_ref,
)

__all__ = ["Ledger", "Logged", "RosterState", "RoundLog", "RoundState"]

MIN_REPORTS = 5
ReadEntry = Callable[[int], bytes]
"""Gives the entry at a position; it stands in the log already."""
_Apply = Callable[[Logged[Any]], None]


class Ledger:
    """What the log says so far.

    Attributes:
        card: what this reader pinned.
        chain: the rosters, and what they say of keys that follow each other.
        tree: the Merkle tree over the entries; `leaves` are its leaf hashes.
        entries_digest: digest of a statement → its position.
        rosters: every roster by digest; `roster` is the one in force.
        rounds: every round by id, in the order of their plans.
        revoked_nodes, revoked_auditors: id → position of the revocation.
        last_report: node id → digest of its newest report in any round.
    """

    def __init__(self, card: FederationCard, read_entry: ReadEntry | None = None) -> None:
        """Start an empty log.

        Args:
            card: what this reader pins.
            read_entry: where entries can be read back from; without it report headers stay in memory.
        """
        self.card = card
        self.tree = MerkleTree()
        self.rosters: dict[bytes, RosterState] = {}
        self.rounds: dict[bytes, RoundLog] = {}
        self.revoked_nodes: dict[str, int] = {}
        self.revoked_auditors: dict[str, int] = {}
        self.last_report: dict[str, bytes] = {}
        self.replays: list[Logged[Replayed]] = []
        self._positions = Positions(self.rounds)
        self._digests = HashList()
        self._read_entry = read_entry
        self.chain = RosterChain(card)

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.tree.size

    @property
    def leaves(self) -> HashList:
        """Leaf hash of every entry."""
        return self.tree.leaves

    @property
    def entries_digest(self) -> Mapping[bytes, int]:
        """Digest of every statement → its position."""
        return self._positions

    @property
    def roster(self) -> RosterState:
        """The roster in force.

        Raises:
            LedgerError: the log is empty.
        """
        if not self.chain.states:
            raise LedgerError("no-roster", "the log is empty: it starts with the genesis roster")
        return self.chain.states[-1]

    @property
    def roster_chain(self) -> tuple[RosterState, ...]:
        """Every roster, oldest first."""
        return tuple(self.chain.states)

    def root(self, size: int | None = None) -> bytes:
        """Return the tree's root at a size (default: now)."""
        return self.tree.root(size)

    def check(self, entry: bytes | Entry, body: bytes) -> Statement:
        """Check that an entry may come next, changing nothing.

        Raises:
            LedgerError: it may not; the code says why.
        """
        return cast(Statement, self._examine(_parsed(entry), body)[0].statement)

    def append(self, entry: bytes | Entry, body: bytes) -> Statement:
        """Check and take the next entry; on an error nothing has changed.

        Args:
            entry: the signed note, parsed or not.
            body: the statement's body, empty where its type has none.
        """
        parsed = _parsed(entry)
        logged, apply = self._examine(parsed, body)
        self._digests.append(logged.digest)
        apply(logged)
        if not isinstance(logged.statement, Report):
            self._positions.others[logged.digest] = logged.index
        self.tree.append(leaf_hash(parsed.data))
        return cast(Statement, logged.statement)

    def digest_at(self, position: int) -> bytes:
        """Return the digest of the statement at a position."""
        return self._digests[position]

    def roster_at(self, size: int) -> RosterState:
        """Find the roster in force when the log had `size` entries (the genesis roster at least)."""
        return self.chain.at(size)

    def cosigners_at(self, size: int) -> tuple[VerifierKey, ...]:
        """Return the witness keys that count at a size: of the roster in force, without the revoked."""
        auditors = self.roster_at(size).body.auditors
        return tuple(row.cosigner for row in auditors if self.revoked_auditors.get(row.id, size) >= size)

    def verify_checkpoint(self, note_bytes: bytes, quorum: int | None = None) -> Checkpoint:
        """Check a checkpoint against this copy of the log.

        Args:
            note_bytes: the checkpoint as a signed note.
            quorum: cosignatures of the roster's auditors needed; None for the roster's own quorum,
                0 for the log's signature only.

        Raises:
            LedgerError: other origin, other root, not signed, or too few cosignatures.
        """
        try:
            note = parse_note(note_bytes)
            checkpoint = parse_checkpoint(note.text)
            if checkpoint.size > self.size or checkpoint.size == 0:
                raise LedgerError(
                    "checkpoint-ahead", f"tree size {checkpoint.size}, this copy has {self.size}"
                )
            roster = self.roster_at(checkpoint.size)
            cosigners = self.cosigners_at(checkpoint.size)
            signers = verified_by(note, [roster.body.log, *cosigners])
        except CryptoError as err:
            raise LedgerError("bad-checkpoint", "the checkpoint is damaged or wrongly signed") from err
        if checkpoint.origin != self.card.log.name or roster.body.log not in signers:
            raise LedgerError("bad-checkpoint", "the checkpoint is not signed by this federation's log")
        if checkpoint.root != self.root(checkpoint.size):
            raise LedgerError("split-view", f"another tree than this copy's at size {checkpoint.size}")
        needed = roster.statement.quorum if quorum is None else quorum
        found = len(set(signers) & set(cosigners))
        if found < needed:
            raise LedgerError("too-few-cosignatures", f"{found} cosignatures, needs {needed}")
        return checkpoint

    def candidates_for(self, round_id: bytes, log_size: int) -> tuple[ReportName, ...]:
        """Compute a round's candidates at a log size."""
        return rules.candidates_for(self.rounds[round_id], log_size, self.revoked_nodes)

    # -- what may come next ------------------------------------------------------------------

    def _examine(self, entry: Entry, body: bytes) -> tuple[Logged[Any], _Apply]:
        statement = entry.statement
        if self._is_logged(entry):
            raise LedgerError("already-logged", "this statement stands in the log already")
        self._check_common(statement, body)
        logged: Logged[Any] = Logged(statement, entry.note.text, entry.digest, self.size, body)
        try:
            signers, apply = self._rule(logged)
        except BodyError as err:
            raise LedgerError("bad-body", str(err)) from err
        if not isinstance(statement, Roster | Revoke):
            entry.verify_signers(signers)
        elif isinstance(statement, Roster):
            new = parse_roster_body(body, self.card.federation)
            self.chain.verify_signers(entry, new, self.revoked_auditors)
        else:
            self._verify_revoke_signers(entry)
        return logged, apply

    def _is_logged(self, entry: Entry) -> bool:
        report = entry.statement
        if not isinstance(report, Report):
            return entry.digest in self._positions.others
        reports = self.rounds[report.round].reports if report.round in self.rounds else {}
        slot = report.node, report.attempt
        return (
            isinstance(reports, ReportTable) and slot in reports and reports.digest_of(slot) == entry.digest
        )

    def _check_common(self, statement: Statement, body: bytes) -> None:
        if statement.federation != self.card.federation:
            raise LedgerError("wrong-federation", f"not a statement of {self.card.federation}")
        ref = body_of(statement)
        if (ref is None and body) or (ref is not None and ref != body_ref(body)):
            raise LedgerError("wrong-body", "the body is not the one that the statement names")
        if not self.chain.states and not isinstance(statement, Roster):
            raise LedgerError("no-roster", "the log starts with the genesis roster")

    def _rule(self, logged: Logged[Any]) -> tuple[tuple[VerifierKey, ...], _Apply]:
        """Run the rule of the statement's type; returns who must sign and what the entry changes."""
        statement = logged.statement
        if isinstance(statement, Roster):
            return (), self._rule_roster(statement, logged)
        if isinstance(statement, Revoke):
            return (), self._rule_revoke(statement)
        if isinstance(statement, Plan):
            return (self.roster.body.coordinator,), self._rule_plan(statement, logged.body)
        if isinstance(statement, Report):
            return self._rule_report(statement)
        if isinstance(statement, Replayed):
            return self._rule_replayed(statement)
        round_log = self._round(statement.round)
        if isinstance(statement, CHANGES):
            return rule_change(round_log, statement, self.rounds, self.revoked_auditors, self.roster.body)
        if isinstance(statement, Candidates | Close | Release):
            self._rule_coordinator(round_log, statement, logged)
            return (round_log.roster.coordinator,), self._apply_coordinator
        self._rule_auditor(round_log, statement, logged)
        auditor = round_log.roster.auditor(statement.auditor)
        if auditor is None:
            raise LedgerError("not-an-auditor", f"{statement.auditor} stands in no roster of this round")
        return (auditor.statement,), self._apply_auditor

    def _round(self, round_id: bytes) -> RoundLog:
        if round_id not in self.rounds:
            raise LedgerError("no-such-round", f"no plan {round_id.hex()[:16]}… in the log")
        return self.rounds[round_id]

    def _rule_roster(self, roster: Roster, logged: Logged[Any]) -> _Apply:
        body = parse_roster_body(logged.body, self.card.federation)
        self.chain.check(roster, body, logged.digest)

        def apply(entry: Logged[Any]) -> None:
            state = RosterState(entry.digest, entry.statement, body, entry.index)
            self.rosters[entry.digest] = state
            self.chain.take(state)

        return apply

    def _rule_revoke(self, revoke: Revoke) -> _Apply:
        body = self.roster.body
        known = body.node(revoke.id) if revoke.subject == "node" else body.auditor(revoke.id)
        table = self.revoked_nodes if revoke.subject == "node" else self.revoked_auditors
        if known is None or revoke.id in table or revoke.roster != self.roster.digest:
            raise LedgerError(
                "wrong-revoke", f"no unrevoked {revoke.subject} {revoke.id} in the roster in force"
            )

        def apply(entry: Logged[Any]) -> None:
            table[revoke.id] = entry.index

        return apply

    def _rule_plan(self, plan: Plan, body: bytes) -> _Apply:
        state = self.roster
        if plan.roster != state.digest or plan.serial != len(self.rounds) + 1:
            raise LedgerError("wrong-plan", f"expected serial {len(self.rounds) + 1} and the roster in force")
        row = (len(plan.auditors), plan.threshold, plan.collude, plan.quorum)
        if row not in state.body.tuples:
            raise LedgerError("wrong-tuple", f"(n,t,f,q) = {row} is not one that the roster allows")
        ids = [auditor.id for auditor in state.body.auditors if auditor.id not in self.revoked_auditors]
        if list(plan.auditors) != [name for name in ids if name in set(plan.auditors)]:
            raise LedgerError("wrong-plan", "the auditors are not of the roster, each once, in its order")
        if plan.min_reports < MIN_REPORTS or plan.colluding_schools < 1 or plan.min_group < 1:
            raise LedgerError("wrong-plan", f"min_reports is at least {MIN_REPORTS}, the others at least 1")
        if plan.min_reports - plan.colluding_schools < 2 or plan.opens >= plan.closes or plan.rho <= 0:
            raise LedgerError(
                "wrong-plan", "h = min_reports - colluding_schools >= 2, opens < closes, rho > 0"
            )
        if not plan.noise or len({line.table for line in plan.noise_lines}) != len(plan.noise):
            raise LedgerError("wrong-plan", "expected one noise line a table")
        rules.check_ladder(plan)
        _check_json(body)

        def apply(entry: Logged[Any]) -> None:
            reports = ReportTable(self._load_report if self._read_entry else None, self._digests)
            self.rounds[entry.digest] = RoundLog(
                entry.digest, entry, state.digest, state.body, reports=reports
            )

        return apply

    def _rule_report(self, report: Report) -> tuple[tuple[VerifierKey, ...], _Apply]:
        round_log = self._round(report.round)
        node = round_log.roster.node(report.node)
        if node is None:
            raise LedgerError("not-a-node", f"{report.node} stands not in the plan's roster")
        previous = self.last_report.get(report.node, ZERO_DIGEST)
        rules.check_report(round_log, report, previous, report.node in self.revoked_nodes)

        def apply(entry: Logged[Any]) -> None:
            round_log.reports.add(entry)
            self.last_report[report.node] = entry.digest

        return (node.report,), apply

    def _load_report(self, position: int) -> Logged[Report]:
        """Read a logged report back; what the store gives must be what was appended."""
        if self._read_entry is None:
            raise LedgerError("not-kept", f"entry {position} cannot be read back")
        entry = parse_entry(self._read_entry(position))
        if not isinstance(entry.statement, Report) or entry.digest != self._digests[position]:
            raise LedgerError("changed-entry", f"entry {position} is not the one that was appended")
        return Logged(entry.statement, entry.note.text, entry.digest, position, b"")

    def _rule_replayed(self, replayed: Replayed) -> tuple[tuple[VerifierKey, ...], _Apply]:
        round_log = self._round(replayed.round)
        slot = round_log.reports.find(replayed.report)
        auditor = self.roster.body.auditor(replayed.auditor)
        if auditor is None or slot is None or slot[0] != replayed.node:
            raise LedgerError("wrong-replay", "no such auditor, or no such report of that node")
        if replayed.auditor in self.revoked_auditors:
            raise LedgerError(rules.REVOKED, f"{replayed.auditor} is revoked")
        return (auditor.statement,), self.replays.append

    def _rule_coordinator(
        self, round_log: RoundLog, statement: Candidates | Close | Release, logged: Logged[Any]
    ) -> None:
        if round_log.is_dead:
            raise LedgerError("aborted", "the county or too many auditors have ended this round")
        if isinstance(statement, Candidates):
            rules.check_candidates(round_log, statement, logged.body, logged.index, self.revoked_nodes)
        elif isinstance(statement, Close):
            rules.check_close(round_log, statement, logged.body)
        else:
            rules.check_release(round_log, statement, logged.body)

    def _apply_coordinator(self, entry: Logged[Any]) -> None:
        round_log = self.rounds[entry.statement.round]
        if isinstance(entry.statement, Candidates):
            round_log.candidates = entry
            round_log.know_names(entry, self.candidates_for(round_log.round_id, entry.index))
        elif isinstance(entry.statement, Close):
            round_log.close = entry
            round_log.know_close(entry, rules.closed_set(round_log, dict(entry.statement.checked)))
        else:
            round_log.release = entry

    def _rule_auditor(
        self,
        round_log: RoundLog,
        statement: Approval | Checked | Agreement | Abandon | Opening,
        logged: Logged[Any],
    ) -> None:
        if statement.auditor in self.revoked_auditors:
            raise LedgerError(rules.REVOKED, f"{statement.auditor} is revoked")
        if isinstance(statement, Approval):
            rules.check_approval(round_log, statement)
        elif isinstance(statement, Checked):
            rules.check_checked(round_log, statement, logged.body)
        elif isinstance(statement, Opening):
            rules.check_opening(round_log, statement)
        else:
            rules.check_vote(round_log, statement)

    def _apply_auditor(self, entry: Logged[Any]) -> None:
        round_log = self.rounds[entry.statement.round]
        tables: dict[type, dict[str, Any]] = {
            Approval: round_log.approvals,
            Checked: round_log.checked,
            Agreement: round_log.agreements,
            Abandon: round_log.abandons,
            Opening: round_log.openings,
        }
        tables[type(entry.statement)][entry.statement.auditor] = entry

    # -- who must have signed ----------------------------------------------------------------

    def _verify_revoke_signers(self, entry: Entry) -> None:
        state = self.roster
        names = [signature.name for signature in entry.note.signatures]
        if names == [state.body.coordinator.name]:
            entry.verify_signers((state.body.coordinator,))
            return
        present = tuple(row.statement for row in state.body.auditors if row.statement.name in names)
        entry.verify_signers(present)
        counted = [row for row in state.body.auditors if row.statement in present]
        counted = [row for row in counted if row.id not in self.revoked_auditors]
        if len(counted) < state.statement.quorum:
            raise LedgerError("too-few-signatures", f"needs {state.statement.quorum} auditors")


def _check_json(body: bytes) -> None:
    """A plan's body is read by whoever knows plans; here only its form is checked."""
    try:
        parse_json(body)
    except CryptoError as err:
        raise LedgerError("bad-body", "the plan's body is not canonical JSON") from err


def _parsed(entry: bytes | Entry) -> Entry:
    return entry if isinstance(entry, Entry) else parse_entry(entry)
