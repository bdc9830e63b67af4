"""Who took part: rosters, where schools keep their records, auditors' terms, new keys, who was taken out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from auditor.evidence import facts
from crypto.note import VerifierKey
from protos.bodies import RosterAuditor, RosterNode
from protos.ledger import Ledger, RosterState
from protos.statements import Revoke, Statement

DEPLOYMENT, NAME = "deployment", "name"
KNOWN_FORMS = ("a", "b", "c")


def rosters_of(ledger: Ledger, span: range) -> tuple[facts.Roster, ...]:
    """List every roster; those at a position in `span` are the year's."""
    return tuple(_roster(state, span) for state in ledger.roster_chain)


def _roster(state: RosterState, span: range) -> facts.Roster:
    body = state.body
    return facts.Roster(
        state.statement.serial,
        state.index,
        state.digest.hex(),
        len(body.nodes),
        len({node.operator for node in body.nodes}),
        tuple(auditor.id for auditor in body.auditors),
        state.statement.quorum,
        tuple(",".join(map(str, row)) for row in body.tuples),
        int(state.index in span),
    )


def schools_of(ledger: Ledger) -> tuple[facts.School, ...]:
    """List the schools of the roster in force that are not revoked, ascending by id."""
    nodes = [node for node in ledger.roster.body.nodes if node.id not in ledger.revoked_nodes]
    return tuple(_school(node) for node in nodes)


def _school(node: RosterNode) -> facts.School:
    said = dict(node.attributes)
    return facts.School(node.id, said.get(NAME, ""), node.operator, said.get(DEPLOYMENT, ""))


def custody_of(schools: Sequence[facts.School]) -> tuple[facts.Custody, ...]:
    """Count schools by the form in which they keep their records."""
    found = Counter(school.deployment for school in schools)
    others = sorted(form for form in found if form not in KNOWN_FORMS)
    return tuple(facts.Custody(form, found.get(form, 0)) for form in (*KNOWN_FORMS, *others))


def terms_of(ledger: Ledger, revocations: Sequence[facts.Revocation]) -> tuple[facts.Term, ...]:
    """Say from which roster to which each auditor held which keys, by auditor and then by time."""
    names = sorted({auditor.id for state in ledger.roster_chain for auditor in state.body.auditors})
    revoked = {row.id: row for row in revocations if row.subject == "auditor"}
    return tuple(term for name in names for term in _terms(ledger, name, revoked.get(name)))


def _terms(ledger: Ledger, name: str, revoked: facts.Revocation | None) -> Iterator[facts.Term]:
    spans: list[tuple[RosterAuditor, int, int]] = []  # entry, from serial, until serial (0: still in force)
    for state in ledger.roster_chain:
        serial, row = state.statement.serial, state.body.auditor(name)
        is_open = bool(spans) and spans[-1][2] == 0
        if is_open and (row is None or _keys(row) != _keys(spans[-1][0])):
            spans[-1] = (spans[-1][0], spans[-1][1], serial)
            is_open = False
        if row is not None and not is_open:
            spans.append((row, serial, 0))
    for place, (row, since, until) in enumerate(spans):
        is_last = place == len(spans) - 1
        yield facts.Term(
            name,
            row.operator,
            int(row.is_outside),
            _key_name(row.statement),
            _key_name(row.cosigner),
            since,
            until,
            int(bool(row.succession)),
            revoked.index if revoked and is_last else 0,
            revoked.reason if revoked and is_last else "",
        )


def _keys(row: RosterAuditor) -> tuple[bytes, bytes]:
    return row.statement.public_key, row.cosigner.public_key


def _key_name(key: VerifierKey) -> str:
    return key.key_id.hex()


def key_changes_of(ledger: Ledger) -> tuple[facts.KeyChange, ...]:
    """List what keys each roster replaced: services and auditors by name, schools by their number."""
    return tuple(row for before, after in pairwise(ledger.roster_chain) for row in _changes(before, after))


def _changes(before: RosterState, after: RosterState) -> Iterator[facts.KeyChange]:
    serial, old, new = after.statement.serial, before.body, after.body
    for what, is_new in (
        ("coordinator", old.coordinator != new.coordinator),
        ("log", old.log != new.log),
        ("ca", old.ca != new.ca),
    ):
        if is_new:
            yield facts.KeyChange(serial, what, "", 1)
    for auditor in new.auditors:
        earlier = old.auditor(auditor.id)
        if earlier is None:
            yield facts.KeyChange(serial, "auditor-joined", auditor.id, 1)
        elif _keys(earlier) != _keys(auditor):
            yield facts.KeyChange(serial, "auditor-rolled", auditor.id, 1)
    for auditor in old.auditors:
        if new.auditor(auditor.id) is None:
            yield facts.KeyChange(serial, "auditor-left", auditor.id, 1)
    nodes = {node.id: node for node in old.nodes}
    rolled = sum(node.id in nodes and nodes[node.id].report != node.report for node in new.nodes)
    if rolled:
        yield facts.KeyChange(serial, "schools-rolled", "", rolled)


def revocations_of(statements: Sequence[Statement], span: range) -> tuple[facts.Revocation, ...]:
    """List every school and auditor that was taken out, in the order of the log."""
    return tuple(
        facts.Revocation(row.subject, row.id, row.reason, index, int(index in span))
        for index, row in enumerate(statements)
        if isinstance(row, Revoke)
    )
