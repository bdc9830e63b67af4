"""Review a proposed roster and sign it: what is added, what is removed, then a person decides.

A roster says who takes part and with which keys; whoever can change it alone can invent schools
and auditors. So, before it is shown:

1. Its text and body are in canonical form and belong together; it is of this federation.
2. Genesis: its digest is the one that the federation card pins. Later: it names the roster in
   force as its predecessor, with the next serial.
3. Where it lists this auditor, it lists two of this auditor's own keys.
4. It is one that the log would take (`protos.roster_chain`): keys change only where the old ones say so, a
   school is succeeded once, no retired key comes back.
5. Signatures collected so far verify.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from auditor.context import Context
from auditor.errors import RefusalError
from auditor.keys import AuditorKeys
from auditor.link import Proposal
from auditor.roster_warnings import RosterWarning, roster_warnings
from crypto.errors import CryptoError
from crypto.note import SigningKey, VerifierKey, parse_signature_line, verify_signature
from plan.errors import phrase
from protos.bodies import RosterAuditor, RosterBody, RosterNode, parse_roster_body
from protos.card import FederationCard
from protos.errors import LedgerError, ProtocolError
from protos.fields import ZERO_DIGEST
from protos.ledger import Ledger, RosterState
from protos.statements import Roster, body_ref, digest, parse_statement


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one kind of member: ids added, removed, and kept with other keys or attributes."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RosterReview:
    """A proposed roster as a person should see it before signing.

    Attributes:
        quorum: (before, after); before is 0 at genesis.
        tuples_added, tuples_removed: (n, t, f, q) that plans may or may no longer use.
        num_operators: distinct operators of nodes afterwards; schools that share one count once.
        is_signed: whether this auditor's signature stands there already.
        rolled: nodes and auditors whose keys are followed, by their own word.
        mergers: (node, nodes that it succeeds).
        own_keys: which of the coordinator's keys change: log, coordinator, ca.
        old: the roster in force; None at genesis.
        warnings: what to ask about before signing.
    """

    digest: bytes
    serial: int
    kind: str
    nodes: Change
    auditors: Change
    quorum: tuple[int, int]
    tuples_added: tuple[tuple[int, ...], ...]
    tuples_removed: tuple[tuple[int, ...], ...]
    num_nodes: int
    num_operators: int
    is_signed: bool
    body: RosterBody
    rolled: tuple[str, ...] = ()
    mergers: tuple[tuple[str, tuple[str, ...]], ...] = ()
    own_keys: tuple[str, ...] = ()
    old: RosterBody | None = None
    warnings: tuple[RosterWarning, ...] = ()


def review_roster(
    proposal: Proposal, ledger: Ledger, card: FederationCard, auditor_id: str, keys: AuditorKeys
) -> RosterReview:
    """Check a proposal and compare it with the roster in force.

    Raises:
        RefusalError: it must not be signed; the code says why.
    """
    try:
        roster = parse_statement(proposal.text)
        body = parse_roster_body(proposal.body, card.federation)
    except ProtocolError as err:
        raise RefusalError(
            "malformed", phrase("the proposed roster is malformed (%(reason)s)", reason=err)
        ) from err
    if not isinstance(roster, Roster) or roster.federation != card.federation:
        raise RefusalError(
            "malformed", phrase("expected a roster of %(federation)s", federation=card.federation)
        )
    if roster.body != body_ref(proposal.body):
        raise RefusalError("wrong-body", phrase("the body is not the one that the proposed roster names"))
    current = ledger.roster if ledger.size else None
    _verify_predecessor(roster, digest(proposal.text), current, card)
    _verify_own_keys(body, auditor_id, keys)
    _verify_rules(ledger, roster, body, digest(proposal.text))
    signers = _verify_signatures(proposal, body, current)
    old = current.body if current else None
    quorum = current.statement.quorum if current else 0, roster.quorum
    return RosterReview(
        digest=digest(proposal.text),
        serial=roster.serial,
        kind=roster.kind,
        nodes=_compare(old.nodes if old else (), body.nodes),
        auditors=_compare(old.auditors if old else (), body.auditors),
        quorum=quorum,
        tuples_added=tuple(row for row in body.tuples if old is None or row not in old.tuples),
        tuples_removed=tuple(row for row in old.tuples if row not in body.tuples) if old else (),
        num_nodes=len(body.nodes),
        num_operators=len({node.operator for node in body.nodes}),
        is_signed=any(one.verifier in signers for one, _two in keys.pairs),
        body=body,
        rolled=(
            *(auditor.id for auditor in body.auditors if auditor.succession),
            *(node.id for node in body.nodes if node.succession),
        ),
        mergers=tuple((row.id, row.succeeds) for row in body.nodes if row.succeeds),
        own_keys=_own_keys(old, body),
        old=old,
        warnings=roster_warnings(old, body, quorum, auditor_id),
    )


def _own_keys(old: RosterBody | None, body: RosterBody) -> tuple[str, ...]:
    if old is None:
        return ()
    before = {"log": old.log, "coordinator": old.coordinator, "ca": old.ca}
    after = {"log": body.log, "coordinator": body.coordinator, "ca": body.ca}
    return tuple(name for name in before if before[name] != after[name])


def _verify_predecessor(
    roster: Roster, roster_digest: bytes, current: RosterState | None, card: FederationCard
) -> None:
    if current is None:
        if roster_digest != card.genesis or roster.serial != 1 or roster.previous != ZERO_DIGEST:
            raise RefusalError(
                "wrong-genesis", phrase("this is not the genesis roster that the federation card pins")
            )
        return
    if roster.previous != current.digest or roster.serial != current.statement.serial + 1:
        raise RefusalError(
            "wrong-predecessor",
            phrase("expected the successor of roster %(serial)s", serial=current.statement.serial),
        )
    if roster.kind != current.statement.kind:
        raise RefusalError("wrong-kind", phrase("a federation never changes between production and demo"))


def _verify_own_keys(body: RosterBody, auditor_id: str, keys: AuditorKeys) -> None:
    own = body.auditor(auditor_id)
    if own is not None and not keys.holds(own.statement, own.cosigner):
        raise RefusalError(
            "wrong-own-keys",
            phrase(
                "the proposed roster lists other keys for %(auditor_id)s, this auditor", auditor_id=auditor_id
            ),
        )


def _verify_rules(ledger: Ledger, roster: Roster, body: RosterBody, roster_digest: bytes) -> None:
    try:
        ledger.chain.check(roster, body, roster_digest)
    except LedgerError as err:
        raise RefusalError(
            err.code, phrase("the log would not take this roster (%(reason)s)", reason=err)
        ) from err


def _verify_signatures(proposal: Proposal, body: RosterBody, current: RosterState | None) -> set[VerifierKey]:
    """Verify each signature line by a key of the old or the new roster; returns who has signed."""
    keys: dict[tuple[str, bytes], VerifierKey] = {}
    for state_body in (body, *([current.body] if current else [])):
        for key in (state_body.coordinator, *(row.statement for row in state_body.auditors)):
            keys[(key.name, key.key_id)] = key
    signers = set()
    for line in proposal.signatures:
        try:
            signature = parse_signature_line(line)
            key = keys[(signature.name, signature.key_id)]
            verify_signature(proposal.text, signature, key)
        except (CryptoError, KeyError) as err:
            raise RefusalError(
                "bad-signature", phrase("a signature on the proposed roster does not verify")
            ) from err
        signers.add(key)
    return signers


def _compare(old: Sequence[RosterNode | RosterAuditor], new: Iterable[RosterNode | RosterAuditor]) -> Change:
    before = {row.id: row for row in old}
    after = {row.id: row for row in new}
    return Change(
        added=tuple(key for key in after if key not in before),
        removed=tuple(key for key in before if key not in after),
        changed=tuple(key for key, row in after.items() if key in before and before[key] != row),
    )


def list_reviews(context: Context, card: FederationCard) -> tuple[tuple[Proposal, RosterReview], ...]:
    """Fetch the waiting rosters that may be signed; refuses on the first that must not."""
    return tuple(
        (proposal, review_roster(proposal, context.ledger, card, context.id, context.keys))
        for proposal in context.link.list_proposals()
    )


def _signing_key(context: Context, body: RosterBody) -> SigningKey:
    """Find this auditor's key in a roster, or the one in force where it leaves."""
    in_force = context.ledger.roster.body.auditor(context.id) if context.ledger.size else None
    own = body.auditor(context.id) or in_force
    return context.keys.statement if own is None else context.keys.statement_for(own.statement)


def sign_roster(context: Context, card: FederationCard, roster_digest: bytes) -> bool:
    """Sign the proposal with this digest; returns whether the roster stands in the log now.

    Raises:
        RefusalError: no such proposal, or it must not be signed.
    """
    for proposal, review in list_reviews(context, card):
        if review.digest == roster_digest:
            key = _signing_key(context, review.body)
            return context.link.sign_roster(roster_digest, key.sign(proposal.text))
    raise RefusalError(
        "no-such-proposal",
        phrase("no roster %(roster_digest)s waits for signatures", roster_digest=roster_digest.hex()[:16]),
    )
