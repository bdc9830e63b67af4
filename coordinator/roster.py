"""Draft a roster from what is enrolled, collect the auditors' signatures, log it when enough have signed.

Order:

1. ``propose_roster``: everybody enrolled and unrevoked, auditors and nodes ascending by id. The
   first one is the genesis roster; its digest and keys make the federation card.
2. ``list_proposals`` / ``sign_roster``: each auditor reads the draft and adds its line.
3. The roster is logged as soon as at least a quorum of the preceding roster's auditors and every
   new auditor have signed (genesis: all of them). Only then is it in force.

A newer draft replaces a waiting one. The coordinator signs every draft, and can log none alone.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Row

from coordinator import members, schema
from coordinator.errors import (
    NotRosteredError,
    RosterError,
    RosterUnchangedError,
    SignatureRefusedError,
    UnknownProposalError,
)
from coordinator.home import Home
from coordinator.log_book import CARD, LogBook, View
from coordinator.store import insert_once, read_meta, write_meta
from coordinator.waiting_roster import signature_lines, waiting_of
from crypto.errors import CryptoError
from crypto.note import Note, SigningKey, VerifierKey, encode_note, parse_signature_line, verify_signature
from plan.errors import phrase
from protos.bodies import RosterAuditor, RosterBody, RosterNode, encode_roster_body, parse_roster_body
from protos.card import CardAuditor, FederationCard, encode_card, parse_card
from protos.convert import Proposal
from protos.enrolment import Enrolment, parse_enrolment
from protos.errors import BodyError
from protos.fields import ZERO_DIGEST
from protos.ledger import Ledger, RosterState
from protos.statements import Roster, body_ref, digest, encode_statement

FIRST_SERIAL = 1
_TABLE = schema.proposals
_LINES = schema.proposal_signatures


def card_text(view: View) -> str:
    """Give the federation card: of the logged genesis roster, else of the waiting one, else empty."""
    logged = read_meta(view.connection, CARD)
    if logged is not None:
        return logged
    waiting = view.connection.execute(sa.select(_TABLE.c.card).where(_TABLE.c.is_waiting == 1)).scalar()
    return str(waiting or "")


def propose_roster(book: LogBook, home: Home) -> bytes:
    """Draft the next roster and put it before the auditors; return its digest.

    Raises:
        RosterError: nothing has changed, or the auditors enrolled do not fit the tuples.
    """
    with book.writing("propose roster") as view:
        last = view.ledger.roster if view.has_genesis else None
        body = _draft_body(view, home)
        _check_body(home, body, last)
        data = _encode_body(body, home.config.federation)
        statement = Roster(
            federation=home.config.federation,
            serial=last.statement.serial + 1 if last else FIRST_SERIAL,
            previous=last.digest if last else ZERO_DIGEST,
            kind=home.config.kind,
            quorum=home.config.quorum,
            body=body_ref(data),
        )
        text = encode_statement(statement)
        text_digest = digest(text)
        waiting = view.connection.execute(sa.select(_TABLE.c.digest).where(_TABLE.c.is_waiting == 1))
        if waiting.scalar() == text_digest:
            return text_digest
        view.connection.execute(sa.update(_TABLE).values(is_waiting=0))
        row = {
            "digest": text_digest,
            "serial": statement.serial,
            "is_waiting": 1,
            "text": text,
            "card": "" if last else encode_card(_card(home, body, text_digest)),
            "body": data,
        }
        if not insert_once(view.connection, _TABLE, row):
            same = _TABLE.c.digest == text_digest
            view.connection.execute(sa.update(_TABLE).where(same).values(is_waiting=1))
    return text_digest


def _draft_body(view: View, home: Home) -> RosterBody:
    table = schema.enrolments
    rows = view.connection.execute(sa.select(table).order_by(table.c.role, table.c.id)).all()
    revoked_nodes = view.ledger.revoked_nodes if view.has_genesis else {}
    revoked_auditors = view.ledger.revoked_auditors if view.has_genesis else {}
    known = {(row.role, row.id): row for row in members.read_members(view.connection)}
    found = [
        (parse_enrolment(row.request), bool(row.is_outside))
        for row in rows
        if not members.has_left(known, row.role, row.id)
    ]
    auditors = [
        _auditor(view, enrolment, is_outside=is_outside)
        for enrolment, is_outside in found
        if enrolment.request.role == "auditor" and enrolment.request.id not in revoked_auditors
    ]
    nodes = [
        _node(view, enrolment, known)
        for enrolment, _ in found
        if enrolment.request.role == "node" and enrolment.request.id not in revoked_nodes
    ]
    return RosterBody(
        log=home.log_key.verifier,
        coordinator=home.statement_key.verifier,
        ca=home.authority.fingerprint,
        auditors=tuple(auditors),
        nodes=tuple(nodes),
        tuples=tuple(sorted(set(home.config.tuples))),
    )


def _auditor(view: View, enrolment: Enrolment, *, is_outside: bool) -> RosterAuditor:
    request = enrolment.request
    if request.cosigner is None:
        raise RosterError(phrase("auditor %(id)s: its request has no cosigner key", id=request.id))
    earlier = view.ledger.chain.auditors.get(request.id) if view.has_genesis else None
    is_same = earlier is None or (earlier.statement, earlier.cosigner) == (request.key, request.cosigner)
    line = "" if is_same else enrolment.succession
    return RosterAuditor(request.id, request.operator, request.key, request.cosigner, is_outside, line)


def _node(view: View, enrolment: Enrolment, known: members.Members) -> RosterNode:
    request = enrolment.request
    if request.master is None:
        raise RosterError(phrase("node %(id)s: its request has no master commitment", id=request.id))
    earlier = view.ledger.chain.nodes.get(request.id) if view.has_genesis else None
    line = "" if earlier is None or earlier.report == request.key else enrolment.succession
    attributes = members.attributes_of(known, request)
    succeeds = members.succeeded_by(known, request.id)
    return RosterNode(request.id, request.operator, request.key, request.master, attributes, succeeds, line)


def _check_body(home: Home, body: RosterBody, last: RosterState | None) -> None:
    if last is not None and last.body == body and last.statement.quorum == home.config.quorum:
        raise RosterUnchangedError(
            phrase("nothing has changed since the roster in force; approve a request first")
        )
    quorum, found = home.config.quorum, len(body.auditors)
    for n, _t, f, _q in body.tuples:
        if n > found or not found + f < 2 * quorum <= 2 * found:
            raise RosterError(
                phrase(
                    "%(found)s auditors enrolled, quorum %(quorum)s: the tuple of %(n)s auditors "
                    "(%(f)s colluding) needs at least %(n)s, and (auditors + %(f)s)/2 < quorum <= "
                    "auditors; approve more auditors or change quorum and tuples in coordinator.toml",
                    found=found,
                    quorum=quorum,
                    n=n,
                    f=f,
                )
            )
    for auditor in body.auditors:
        earlier = last.body.auditor(auditor.id) if last else None
        if earlier is not None and earlier.statement != auditor.statement and not auditor.succession:
            raise RosterError(
                phrase(
                    "auditor %(id)s: its key differs from the roster in force; use another id", id=auditor.id
                )
            )


def _encode_body(body: RosterBody, federation: str) -> bytes:
    data = encode_roster_body(body)
    try:
        parse_roster_body(data, federation)
    except BodyError as err:
        raise RosterError(phrase("these enrolments make no roster: %(reason)s", reason=err)) from err
    return data


def _card(home: Home, body: RosterBody, genesis: bytes) -> FederationCard:
    return FederationCard(
        federation=home.config.federation,
        kind=home.config.kind,
        log=body.log,
        coordinator=body.coordinator,
        ca=body.ca,
        genesis=genesis,
        quorum=home.config.quorum,
        auditors=tuple(CardAuditor(row.id, row.statement, row.cosigner) for row in body.auditors),
        tuples=body.tuples,
    )


def list_proposals(book: LogBook, home: Home, auditor_id: str) -> tuple[Proposal, ...]:
    """List the rosters that wait for signatures and that this auditor may sign, oldest first."""
    with book.reading() as view:
        rows = view.connection.execute(
            sa.select(_TABLE).where(_TABLE.c.is_waiting == 1).order_by(_TABLE.c.serial)
        ).all()
        return tuple(
            _proposal(view, home, row) for row in rows if _key_of(view, home, row, auditor_id) is not None
        )


def _proposal(view: View, home: Home, row: Row[tuple[object, ...]]) -> Proposal:
    lines = signature_lines(view, row.digest)
    signed = (_signer(view, home, row).sign(row.text), *(lines[auditor] for auditor in sorted(lines)))
    return Proposal(row.text, row.body, signed)


def _signer(view: View, home: Home, row: Row[tuple[object, ...]]) -> SigningKey:
    """Find the coordinator's key that signs a draft: of the roster that it replaces; of a genesis its own."""
    if view.has_genesis:
        return home.signer(view.ledger.roster.body.coordinator)
    return home.signer(parse_roster_body(row.body, home.config.federation).coordinator)


def _key_of(view: View, home: Home, row: Row[tuple[object, ...]], auditor_id: str) -> VerifierKey | None:
    """Find the key that an auditor signs a draft with: of the draft, or of the roster it replaces."""
    bodies = [parse_roster_body(row.body, home.config.federation)]
    if view.has_genesis:
        bodies.append(view.ledger.roster.body)
    found = (body.auditor(auditor_id) for body in bodies)
    return next((auditor.statement for auditor in found if auditor is not None), None)


def sign_roster(book: LogBook, home: Home, auditor_id: str, text_digest: bytes, line: str) -> bool:
    """Take one auditor's signature line; return whether the roster stands in the log now.

    Raises:
        UnknownProposalError: no such draft waits, and none of this digest is logged.
        NotRosteredError: the caller is neither in the draft nor in the roster that it replaces.
        SignatureRefusedError: the line is not this auditor's signature of the draft.
    """
    with book.writing("store roster signature") as view:
        if view.has_genesis and text_digest in view.ledger.rosters:
            return True
        row = view.connection.execute(
            sa.select(_TABLE).where(_TABLE.c.digest == text_digest, _TABLE.c.is_waiting == 1)
        ).first()
        if row is None:
            raise UnknownProposalError(
                phrase(
                    "roster %(digest)s…: not waiting; list the proposals again",
                    digest=text_digest.hex()[:16],
                )
            )
        key = _key_of(view, home, row, auditor_id)
        if key is None:
            raise NotRosteredError(
                phrase(
                    "%(auditor_id)s: not an auditor of this roster or the one before", auditor_id=auditor_id
                )
            )
        try:
            verify_signature(row.text, parse_signature_line(line), key)
        except CryptoError as err:
            raise SignatureRefusedError(
                phrase("roster signature of %(auditor_id)s: %(reason)s", auditor_id=auditor_id, reason=err)
            ) from err
        insert_once(view.connection, _LINES, {"digest": text_digest, "auditor": auditor_id, "line": line})
        return _log_if_signed(view, home, row)


def _log_if_signed(view: View, home: Home, row: Row[tuple[object, ...]]) -> bool:
    waiting = waiting_of(view, home.config.federation, row)
    if not waiting.is_enough:
        return False
    lines = signature_lines(view, row.digest)
    key = _signer(view, home, row)
    signed = (key.sign(row.text), *(lines[auditor] for auditor in waiting.signed))
    entry = encode_note(Note(row.text, tuple(parse_signature_line(line) for line in signed)))
    if not view.has_genesis:
        write_meta(view.connection, CARD, row.card)
        view.begin(Ledger(parse_card(row.card)))
    view.append(entry, row.body)
    view.connection.execute(sa.update(_TABLE).values(is_waiting=0))
    return True
