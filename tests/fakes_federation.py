"""A whole federation's keys and log in memory: for tests that need signed statements without services.

`TinyFederation` signs what every party would sign and appends it to one `Ledger`; `page()` gives what
a reader would be served. Nothing here is secret: every key comes from a counter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from crypto.checkpoint import Checkpoint, cosign, encode_checkpoint
from crypto.derivation import master_commitment
from crypto.note import KeyType, Note, SigningKey, encode_note, parse_signature_line
from crypto.replication import subsets, subsets_with
from crypto.sealing import ROUND_SECRET_BYTES, box_bytes, round_public_key
from protos.bodies import (
    CloseBody,
    Refusal,
    ReportName,
    RosterAuditor,
    RosterBody,
    RosterNode,
    TableSums,
    encode_candidates_body,
    encode_checked_body,
    encode_close_body,
    encode_release_body,
    encode_roster_body,
    key_name,
)
from protos.card import CardAuditor, FederationCard, encode_card
from protos.convert import LogPage
from protos.ledger import Ledger
from protos.report_payload import body_bytes
from protos.round_log import RoundLog, closed_set, fewest_replicas, tier_of
from protos.statements import (
    Agreement,
    Approval,
    Candidates,
    Checked,
    Close,
    Opening,
    Plan,
    Release,
    Report,
    Roster,
    Statement,
    body_ref,
    digest,
    encode_statement,
)

NOW = datetime(2026, 9, 10, 8, 0, tzinfo=UTC)
OPENS = datetime(2026, 9, 1, tzinfo=UTC)
CLOSES = OPENS + timedelta(days=60)
ZERO = bytes(32)


def fake_bytes(label: str, size: int = 32) -> bytes:
    """Make bytes from a label: distinct, repeatable, not secret."""
    return hashlib.shake_256(label.encode()).digest(size)


def sign_entry(text: str, keys: Sequence[SigningKey]) -> bytes:
    """Sign a statement's text with keys in order."""
    return encode_note(Note(text, tuple(parse_signature_line(key.sign(text)) for key in keys)))


@dataclass
class FakeNode:
    """A school's keys as the roster knows them."""

    id: str
    operator: str
    attributes: tuple[tuple[str, str], ...] = (("county", "530101"),)

    @property
    def master(self) -> bytes:
        """K of a node that has no vault of its own."""
        return fake_bytes(f"master {self.id}")

    def key(self, federation: str) -> SigningKey:
        """The report key."""
        return SigningKey(
            key_name(federation, "node", self.id), KeyType.ED25519, fake_bytes(f"node {self.id}")
        )


@dataclass
class TinyFederation:
    """Keys of everybody, the ledger, and the entries with their bodies.

    Attributes:
        roster_nodes: extra `RosterNode`s (of real vaults) beside `nodes`.
    """

    federation: str = "county-1"
    num_auditors: int = 4
    num_nodes: int = 6
    tuple_: tuple[int, int, int, int] = (4, 3, 1, 3)
    quorum: int = 3
    kind: str = "demo"
    roster_nodes: tuple[RosterNode, ...] = ()
    entries: list[tuple[bytes, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make keys, card and genesis; nodes join with `join`."""
        self.log_key = self._key("log", "log")
        self.coordinator = self._key("coordinator", "coordinator")
        ids = [f"a{n}" for n in range(1, self.num_auditors + 1)]
        self.auditors = {name: self._key(f"auditor {name}", "auditor", name) for name in ids}
        self.witnesses = {
            name: self._key(f"witness {name}", "witness", name, key_type=KeyType.COSIGNATURE) for name in ids
        }
        self.nodes = {f"s{n}": FakeNode(f"s{n}", f"school {n}") for n in range(1, self.num_nodes + 1)}
        self.genesis_body = self.roster_body(())
        genesis = Roster(
            self.federation, 1, ZERO, self.kind, self.quorum, body_ref(encode_roster_body(self.genesis_body))
        )
        self.genesis_text = encode_statement(genesis)
        self.card = self._card()
        self.card_text = encode_card(self.card)
        self.ledger = Ledger(self.card)
        self.add(genesis, encode_roster_body(self.genesis_body), [self.coordinator, *self.auditors.values()])

    def _key(self, label: str, *parts: str, key_type: KeyType = KeyType.ED25519) -> SigningKey:
        return SigningKey(key_name(self.federation, *parts), key_type, fake_bytes(label))

    def _card(self) -> FederationCard:
        body = self.genesis_body
        auditors = tuple(CardAuditor(row.id, row.statement, row.cosigner) for row in body.auditors)
        return FederationCard(
            self.federation,
            self.kind,
            body.log,
            body.coordinator,
            body.ca,
            digest(self.genesis_text),
            self.quorum,
            auditors,
            body.tuples,
        )

    def roster_body(self, nodes: Sequence[RosterNode]) -> RosterBody:
        """Make a roster body with these nodes."""
        auditors = tuple(
            RosterAuditor(
                name, f"operator of {name}", key.verifier, self.witnesses[name].verifier, int(name[1:]) > 2
            )
            for name, key in self.auditors.items()
        )
        ordered = tuple(sorted(nodes, key=lambda node: node.id))
        tuples = tuple(sorted({self.tuple_}))
        return RosterBody(
            self.log_key.verifier, self.coordinator.verifier, fake_bytes("ca"), auditors, ordered, tuples
        )

    def all_roster_nodes(self) -> tuple[RosterNode, ...]:
        """The fake nodes and the extra ones."""
        fakes = [
            RosterNode(
                node.id,
                node.operator,
                node.key(self.federation).verifier,
                master_commitment(node.id, node.master),
                node.attributes,
                (),
            )
            for node in self.nodes.values()
        ]
        taken = {node.id for node in self.roster_nodes}
        return (*self.roster_nodes, *(node for node in fakes if node.id not in taken))

    def add(self, statement: Statement, body: bytes, keys: Sequence[SigningKey]) -> bytes:
        """Sign and append a statement; returns its digest."""
        text = encode_statement(statement)
        entry = sign_entry(text, keys)
        self.ledger.append(entry, body)
        self.entries.append((entry, body))
        return digest(text)

    def entry(self, statement: Statement, keys: Sequence[SigningKey]) -> bytes:
        """Sign a statement without appending it."""
        return sign_entry(encode_statement(statement), keys)

    def join(self, nodes: Sequence[RosterNode] | None = None) -> bytes:
        """Log a roster with all nodes, signed by everybody."""
        body = encode_roster_body(self.roster_body(self.all_roster_nodes() if nodes is None else nodes))
        last = self.ledger.roster
        roster = Roster(
            self.federation, last.statement.serial + 1, last.digest, self.kind, self.quorum, body_ref(body)
        )
        return self.add(roster, body, [self.coordinator, *self.auditors.values()])

    def plan_statement(
        self, body: bytes, cells: int, noise: Sequence[tuple[str, int, int, bytes]], **terms: object
    ) -> Plan:
        """Make a plan statement under the roster in force; `terms` override."""
        n, t, f, q = self.tuple_
        values: dict[str, object] = {
            "federation": self.federation,
            "serial": len(self.ledger.rounds) + 1,
            "roster": self.ledger.roster.digest,
            "auditors": tuple(sorted(self.auditors))[:n],
            "threshold": t,
            "collude": f,
            "quorum": q,
            "min_reports": 5,
            "colluding_schools": 1,
            "min_group": 1,
            "rho": Fraction(1, 5),
            "opens": OPENS,
            "closes": CLOSES,
            "cells": cells,
            "noise": tuple(noise),
            "body": body_ref(body),
        }
        return Plan(**{**values, **terms})  # type: ignore[arg-type]

    def publish(
        self,
        body: bytes = b'{"tables":[]}',
        cells: int = 10,
        noise: Sequence[tuple[str, int, int, bytes]] = (("A1", 64, 900, ZERO),),
        **terms: object,
    ) -> bytes:
        """Log a plan; returns the round id."""
        return self.add(self.plan_statement(body, cells, noise, **terms), body, [self.coordinator])

    def round_secret_of(self, auditor: str, round_id: bytes) -> bytes:
        """An auditor's HPKE round key (96 bytes)."""
        return fake_bytes(f"round key {auditor} {round_id.hex()}", ROUND_SECRET_BYTES)

    def approval(self, auditor: str, round_id: bytes) -> Approval:
        """Make one auditor's approval."""
        return Approval(
            self.federation,
            round_id,
            self.round(round_id).roster_digest,
            auditor,
            fake_bytes(f"instance {auditor}", 16),
            round_public_key(self.round_secret_of(auditor, round_id)),
            fake_bytes(f"nonce {auditor} {round_id.hex()}"),
            hashlib.sha256(self.draw_of(auditor, round_id)).digest(),
        )

    def draw_of(self, auditor: str, round_id: bytes) -> bytes:
        """An auditor's r_a."""
        return fake_bytes(f"draw {auditor} {round_id.hex()}")

    def approve(self, round_id: bytes, auditors: Sequence[str] | None = None) -> None:
        """Log approvals of these auditors (default: all of the plan)."""
        for auditor in auditors or self.round(round_id).terms.auditors:
            self.add(self.approval(auditor, round_id), b"", [self.auditors[auditor]])

    def round(self, round_id: bytes) -> RoundLog:
        """Look a round up."""
        return self.ledger.rounds[round_id]

    def report_statement(self, node: str, round_id: bytes, **changes: object) -> Report:
        """Make a well-formed header with made-up contents."""
        round_log = self.round(round_id)
        terms = round_log.terms
        n, t = len(terms.auditors), terms.threshold
        attempt = len(round_log.attempts_of(node))
        label = f"{node} {attempt} {round_id.hex()}"
        size = body_bytes(terms.cells, box_bytes(len(subsets_with(0, n, t))), n)
        values: dict[str, object] = {
            "federation": self.federation,
            "round": round_id,
            "roster": round_log.roster_digest,
            "approvals": round_log.approvals_digest() if round_log.is_approved else ZERO,
            "node": node,
            "attempt": attempt,
            "cells": terms.cells,
            "vector": fake_bytes(f"vector {label}"),
            "seeds": tuple((subset, fake_bytes(f"seed {subset} {label}")) for subset in subsets(n, t)),
            "boxes": tuple((auditor, fake_bytes(f"box {auditor} {label}")) for auditor in terms.auditors),
            "input": fake_bytes(f"input {label}"),
            "software": fake_bytes("software"),
            "confinement": "L3",
            "previous": self.ledger.last_report.get(node, ZERO),
            "size": size,
        }
        return Report(**{**values, **changes})  # type: ignore[arg-type]

    def report(self, node: str, round_id: bytes, **changes: object) -> bytes:
        """Log a report with made-up contents; returns its digest."""
        statement = self.report_statement(node, round_id, **changes)
        return self.add(statement, b"", [self.nodes[node].key(self.federation)])

    def fix_candidates(self, round_id: bytes) -> bytes:
        """Log the candidates."""
        names = self.ledger.candidates_for(round_id, self.ledger.size)
        body = encode_candidates_body(names)
        statement = Candidates(self.federation, round_id, self.ledger.size, body_ref(body))
        return self.add(statement, body, [self.coordinator])

    def check(self, auditor: str, round_id: bytes, refused: Sequence[Refusal] = ()) -> bytes:
        """Log one auditor's `checked`."""
        candidates = self.round(round_id).candidates
        body = encode_checked_body(refused)
        statement = Checked(
            self.federation, round_id, auditor, candidates.digest if candidates else ZERO, body_ref(body)
        )
        return self.add(statement, body, [self.auditors[auditor]])

    def close_statement(
        self, round_id: bytes, auditors: Sequence[str], contents: CloseBody | None = None
    ) -> tuple[Close, bytes]:
        """Make a close that names these auditors' checks."""
        round_log = self.round(round_id)
        contents = contents or closed_set(round_log, auditors)
        body = encode_close_body(contents)
        checked = tuple((name, round_log.checked[name].digest) for name in auditors)
        candidates = round_log.candidates.digest if round_log.candidates else ZERO
        return (
            Close(
                self.federation,
                round_id,
                candidates,
                checked,
                tier_of(round_log, contents.set),
                len(contents.set),
                body_ref(body),
            ),
            body,
        )

    def close(self, round_id: bytes, auditors: Sequence[str] | None = None) -> bytes:
        """Log the close."""
        statement, body = self.close_statement(round_id, auditors or list(self.round(round_id).checked))
        return self.add(statement, body, [self.coordinator])

    def agree(self, auditor: str, round_id: bytes) -> bytes:
        """Log one agreement."""
        close = self.round(round_id).close
        statement = Agreement(self.federation, round_id, auditor, close.digest if close else ZERO)
        return self.add(statement, b"", [self.auditors[auditor]])

    def opening_statement(
        self, auditor: str, round_id: bytes, sums: Mapping[int, bytes] | None = None
    ) -> Opening:
        """Make an opening; sums by subset, made up but equal among honest auditors by default."""
        round_log = self.round(round_id)
        found = sums or {subset: fake_bytes(f"sum {subset}") for subset in round_log.subsets_of(auditor)}
        close = round_log.close.digest if round_log.close else ZERO
        return Opening(
            self.federation,
            round_id,
            auditor,
            close,
            self.draw_of(auditor, round_id),
            tuple(sorted(found.items())),
        )

    def open_(self, auditor: str, round_id: bytes) -> bytes:
        """Log one opening with made-up sums."""
        return self.add(self.opening_statement(auditor, round_id), b"", [self.auditors[auditor]])

    def release_statement(
        self, round_id: bytes, openers: Sequence[str], **changes: object
    ) -> tuple[Release, bytes]:
        """Make a release with zero sums."""
        round_log = self.round(round_id)
        terms = round_log.terms
        share = terms.cells // len(terms.noise)
        tables = [TableSums(row.table, row.scale, row.s2, (0,) * share) for row in terms.noise_lines]
        body = encode_release_body(tables)
        close = round_log.close
        values: dict[str, object] = {
            "federation": self.federation,
            "round": round_id,
            "close": close.digest if close else ZERO,
            "status": "ok",
            "replicas": fewest_replicas(round_log, openers),
            "reports_in": close.statement.reports if close else 0,
            "reports_out": len(contents.excluded) if (contents := round_log.close_body()) else 0,
            "rho": terms.rho,
            "agreements": tuple((name, row.digest) for name, row in sorted(round_log.agreements.items())),
            "openings": tuple((name, round_log.openings[name].digest) for name in openers),
            "body": body_ref(body),
        }
        return Release(**{**values, **changes}), body  # type: ignore[arg-type]

    def release(self, round_id: bytes, openers: Sequence[str] | None = None) -> bytes:
        """Log a release."""
        statement, body = self.release_statement(round_id, openers or sorted(self.round(round_id).openings))
        return self.add(statement, body, [self.coordinator])

    def checkpoint(
        self, cosigners: Sequence[str] = (), now: datetime = NOW, size: int | None = None
    ) -> bytes:
        """Make a checkpoint note of the log, cosigned by these auditors."""
        tree_size = self.ledger.size if size is None else size
        text = encode_checkpoint(Checkpoint(self.log_key.name, tree_size, self.ledger.root(tree_size)))
        lines = [self.log_key.sign(text)]
        lines += [cosign(text, self.witnesses[name], int(now.timestamp())) for name in cosigners]
        return encode_note(Note(text, tuple(parse_signature_line(line) for line in lines)))

    def page(self, start: int = 0, cosigners: Sequence[str] | None = None, now: datetime = NOW) -> LogPage:
        """What a reader is served: the entries from `start` on, with a cosigned checkpoint."""
        names = sorted(self.witnesses)[: self.quorum] if cosigners is None else cosigners
        note = self.checkpoint(names, now)
        return LogPage(start, tuple(self.entries[start:]), note, note)


def names_of(round_log: RoundLog) -> tuple[ReportName, ...]:
    """The candidates of a round."""
    return round_log.candidate_names()
