"""Every roster of a log in order, who may bring the next one, and what it may change.

Rules, beside those of each statement's text and body:

1. Genesis is the roster that the card pins. A later one follows the roster in force, with the next serial,
   and keeps the federation's kind.
2. It is signed by the preceding roster's coordinator, by at least a quorum of that roster's auditors, and by
   every auditor that is new or brings new keys (genesis: all). An auditor whose keys change signs with the
   new one, and counts as the auditor that it was. One that was revoked counts for no quorum.
3. A node id belongs to one operator for ever. Its report key, and an auditor's keys, change only with a line
   signed by the key that the chain knew last (`protos.succession`); without a change there is no such line.
4. A key that another one follows never comes back, for anybody.
5. A node succeeds only nodes that stood in an earlier roster and stand in this one no more; a node has one
   successor, and then its id never comes back.
6. Coordinator, log and CA keys change with the roster. A checkpoint is signed by the log key of the roster in
   force at its size.

An open round keeps the roster of its plan, and so its keys. I/O-free; no clock.
Spec: docs/protocol.md "The log"; ADR 15.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from crypto.errors import CryptoError
from crypto.note import VerifierKey
from crypto.replication import validate_parameters
from protos.bodies import RosterAuditor, RosterBody, RosterNode
from protos.card import FederationCard
from protos.entry import Entry
from protos.errors import EnrolmentError, LedgerError
from protos.fields import ZERO_DIGEST
from protos.statements import Roster
from protos.succession import succession_text, verify_succession


@dataclass(frozen=True, slots=True)
class RosterState:
    """A roster in the log: its statement, its body, and the position from which it is in force."""

    digest: bytes
    statement: Roster
    body: RosterBody
    index: int


class RosterChain:
    """The rosters of one log.

    Attributes:
        states: every roster, oldest first.
        nodes: node id → its newest entry in any roster.
        auditors: auditor id → its newest entry in any roster.
        auditor_keys: auditor id → every (statement, cosigner) pair that it has had, oldest first.
        successors: id of a closed node → the node that succeeds it.
    """

    def __init__(self, card: FederationCard) -> None:
        self._card = card
        self.states: list[RosterState] = []
        self.nodes: dict[str, RosterNode] = {}
        self.auditors: dict[str, RosterAuditor] = {}
        self.auditor_keys: dict[str, list[tuple[VerifierKey, VerifierKey]]] = {}
        self.successors: dict[str, str] = {}
        self._followed: set[bytes] = set()  # public keys that others follow

    def at(self, size: int) -> RosterState:
        """Find the roster in force when the log had `size` entries (the genesis roster at least)."""
        return next((row for row in reversed(self.states) if row.index < size), self.states[0])

    def log_keys(self) -> tuple[VerifierKey, ...]:
        """List every log key so far, the card's first."""
        return tuple(dict.fromkeys((self._card.log, *(row.body.log for row in self.states))))

    def take(self, state: RosterState) -> None:
        """Remember a roster that `check` has passed."""
        last, body = self.states[-1].body if self.states else None, state.body
        self.states.append(state)
        known = {*_named_keys(self.nodes.values(), self.auditors.values())}
        if last is not None:
            known |= {last.log.public_key, last.coordinator.public_key}
        for auditor in body.auditors:
            earlier = self.auditors.get(auditor.id)
            if earlier is None or _keys(earlier) != _keys(auditor):
                self.auditor_keys.setdefault(auditor.id, []).append(_keys(auditor))
        for node in body.nodes:
            self.successors.update(dict.fromkeys(node.succeeds, node.id))
        self.nodes.update((row.id, row) for row in body.nodes)
        self.auditors.update((row.id, row) for row in body.auditors)
        now = {*_named_keys(self.nodes.values(), self.auditors.values())}
        self._followed |= known - now - {body.log.public_key, body.coordinator.public_key}

    # -- what a roster may say ---------------------------------------------------------------

    def check(self, roster: Roster, body: RosterBody, roster_digest: bytes) -> None:
        """Check what the next roster says; who signed it is checked by `verify_signers`.

        Raises:
            LedgerError: it may not come next.
        """
        if self.states:
            self._check_successor(roster, body)
        else:
            self._check_genesis(roster, body, roster_digest)
        for row in body.tuples:
            _check_tuple(roster, body, row)

    def _check_genesis(self, roster: Roster, body: RosterBody, roster_digest: bytes) -> None:
        card = self._card
        pinned = tuple((row.id, row.statement, row.cosigner) for row in card.auditors)
        found = tuple((row.id, row.statement, row.cosigner) for row in body.auditors)
        if roster_digest != card.genesis or roster.previous != ZERO_DIGEST or roster.serial != 1:
            raise LedgerError("wrong-genesis", "the first entry is not the roster that the card pins")
        if (body.log, body.coordinator, body.ca, found) != (card.log, card.coordinator, card.ca, pinned):
            raise LedgerError("wrong-genesis", "the genesis roster's keys are not those on the card")
        if (roster.kind, roster.quorum, body.tuples) != (card.kind, card.quorum, card.tuples):
            raise LedgerError("wrong-genesis", "the genesis roster's rules are not those on the card")
        lines = [*(row.succession for row in body.nodes), *(row.succession for row in body.auditors)]
        if any(lines) or any(row.succeeds for row in body.nodes):
            raise LedgerError("wrong-genesis", "nobody in the genesis roster follows anybody")

    def _check_successor(self, roster: Roster, body: RosterBody) -> None:
        last = self.states[-1]
        if roster.previous != last.digest or roster.serial != last.statement.serial + 1:
            raise LedgerError("wrong-predecessor", "the roster does not follow the one in force")
        if roster.kind != last.statement.kind:
            raise LedgerError("wrong-roster", "the kind of a federation does not change")
        for node in body.nodes:
            earlier = self.nodes.get(node.id, node)
            if earlier.operator != node.operator:
                raise LedgerError("wrong-roster", f"node {node.id} belongs to another operator for ever")
            self._check_succession("node", node, (earlier.report,), (node.report,))
        for auditor in body.auditors:
            before = _keys(self.auditors.get(auditor.id, auditor))
            self._check_succession("auditor", auditor, before, _keys(auditor))
        self._check_no_return(body)
        self._check_mergers(body)

    def _check_succession(
        self,
        role: str,
        row: RosterNode | RosterAuditor,
        old: tuple[VerifierKey, ...],
        new: tuple[VerifierKey, ...],
    ) -> None:
        if old == new:
            if row.succession:
                raise LedgerError("wrong-succession", f"{role} {row.id}: a succession without new keys")
            return
        cosigner = new[1] if len(new) > 1 else None
        text = succession_text(self._card.federation, role, row.id, old[0], new[0], cosigner)
        try:
            verify_succession(row.succession, text, old[0])
        except EnrolmentError as err:
            raise LedgerError(
                "wrong-succession", f"{role} {row.id}: its old key does not say that the new one follows it"
            ) from err

    def _check_no_return(self, body: RosterBody) -> None:
        keys = {body.log.public_key, body.coordinator.public_key, *_named_keys(body.nodes, body.auditors)}
        if keys & self._followed:
            raise LedgerError("retired-key", "a key that another one has followed never comes back")

    def _check_mergers(self, body: RosterBody) -> None:
        present = {node.id for node in body.nodes}
        gone = present & self.successors.keys()
        if gone:
            raise LedgerError("wrong-merger", f"node {min(gone)} was succeeded; its id never comes back")
        named: dict[str, str] = {}
        for node in body.nodes:
            for old in node.succeeds:
                if old not in self.nodes or old in present:
                    raise LedgerError(
                        "wrong-merger", f"node {node.id} succeeds {old}, which is no node that has left"
                    )
                if self.successors.get(old, node.id) != node.id or named.setdefault(old, node.id) != node.id:
                    raise LedgerError("wrong-merger", f"node {old} has another successor")

    # -- who must have signed ----------------------------------------------------------------

    def verify_signers(self, entry: Entry, new: RosterBody, revoked: Collection[str] = ()) -> None:
        """Check the signature lines of the next roster.

        Args:
            entry: the signed roster.
            new: its body.
            revoked: ids of auditors that were revoked: whoever has such a key counts for no quorum.

        Raises:
            LedgerError: others than those of rule 2, or too few.
        """
        old = self.states[-1] if self.states else None
        former = {row.id: row for row in old.body.auditors} if old else {}
        kept = {row.id for row in new.auditors}
        order = [*new.auditors, *(row for row in former.values() if row.id not in kept)]
        found = {(signature.name, signature.key_id) for signature in entry.note.signatures}
        present = [row for row in order if (row.statement.name, row.statement.key_id) in found]
        coordinator = old.body.coordinator if old else new.coordinator
        entry.verify_signers((coordinator, *(row.statement for row in present)))
        signed = {row.id for row in present}
        for row in new.auditors:
            is_known = row.id in former and _keys(former[row.id]) == _keys(row)
            if not is_known and row.id not in signed:
                raise LedgerError("too-few-signatures", f"new auditor {row.statement.name} has not signed")
        needed = old.statement.quorum if old else 0
        if len((signed & former.keys()).difference(revoked)) < needed:
            raise LedgerError("too-few-signatures", f"needs {needed} auditors of the preceding roster")


def _keys(row: RosterAuditor) -> tuple[VerifierKey, VerifierKey]:
    return row.statement, row.cosigner


def _named_keys(nodes: Iterable[RosterNode], auditors: Iterable[RosterAuditor]) -> Iterable[bytes]:
    yield from (node.report.public_key for node in nodes)
    for auditor in auditors:
        yield auditor.statement.public_key
        yield auditor.cosigner.public_key


def _check_tuple(roster: Roster, body: RosterBody, row: tuple[int, int, int, int]) -> None:
    n, t, f, q = row
    if n == 1 and roster.kind != "demo":
        raise LedgerError("wrong-tuple", "a single auditor is allowed in a demo federation only")
    try:
        validate_parameters(n, t, f, q)
    except CryptoError as err:
        raise LedgerError("wrong-tuple", str(err)) from err
    if n > len(body.auditors) or 2 * roster.quorum <= len(body.auditors) + f:
        raise LedgerError("wrong-tuple", "too few auditors, or the roster's quorum is not above (n + f)/2")
    if not 1 <= roster.quorum <= len(body.auditors):
        raise LedgerError("wrong-tuple", "the roster's quorum is above the number of auditors")
