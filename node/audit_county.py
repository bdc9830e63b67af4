"""A county that stands in for the real one in a trial: keys, log, plan, approvals, receipts, opening.

All keys are drawn for one trial and forgotten with it; there is one node, and the other schools exist on the
roster only. It does what coordinator and auditors do as far as a node can see it, with the same statements,
and it can open the node's report alone, which no real county can: that is why a trial has a K of its own.

The log is read by the node's own `protos.ledger`, so whatever is wrong here is refused there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from crypto.checkpoint import Checkpoint, cosign, encode_checkpoint
from crypto.derivation import (
    box_info,
    commitments_digest,
    draw_commitment,
    master_commitment,
    parse_box_plaintext,
    seed_commitment,
)
from crypto.field64 import parse_vector
from crypto.mask_sum import MaskSum
from crypto.merkle import inclusion_proof
from crypto.note import KeyType, Note, SigningKey, encode_note, parse_note, parse_signature_line, parse_vkey
from crypto.replication import subsets_with
from crypto.sealing import ROUND_SECRET_BYTES, open_box, round_public_key
from crypto.sharing import add_report_masks, unmask
from crypto.tlog_proof import TlogProof, encode_proof
from node.audit_checks import AuditError
from node.errors import _
from node.frames import LogPage
from plan.document import PlanDocument, encode_body, terms_of
from plan.layout import build_layout
from plan.published import noise_rows, step_rows
from protos.bodies import (
    RosterAuditor,
    RosterBody,
    RosterNode,
    encode_roster_body,
    key_name,
    sorted_attributes,
)
from protos.card import CardAuditor, FederationCard, encode_card
from protos.ledger import Ledger
from protos.log_file import LogFile, encode_log_file
from protos.report_payload import ReportPayload, note_of, parse_payload, verify_contents
from protos.round_log import RoundLog
from protos.statements import (
    Approval,
    Plan,
    Report,
    Roster,
    Statement,
    body_ref,
    digest,
    encode_statement,
    parse_statement,
)

FEDERATION, NODE, OPERATOR = "trial", "trial-node", "trial school"
SEED_BYTES, ID_BYTES = 32, 16
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class OpenedReport:
    """A report with every mask taken off.

    Attributes:
        header: the signed header.
        vectors: int64, shape (num_vectors, cells): scaled counts plus noise; a ladder's w_k behind it.
    """

    header: Report
    vectors: Numbers = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Auditor:
    """One made-up auditor: its two keys, and the round key (96 bytes, secret) and nonces of its approval."""

    id: str
    key: SigningKey
    witness: SigningKey
    round_secret: bytes = field(repr=False)
    instance: bytes
    nonce: bytes
    draw: bytes


class StandInCounty:
    """Keys of everybody, the log, and what a reader is served.

    Args:
        entropy: returns that many random bytes.
        now: the computer's clock, UTC.
        ca: SHA-256 of the CA certificate, as the card pins it.
        tuple_: (n, t, f, q) of the plan.
        schools: operators on the roster, this node among them.
    """

    def __init__(
        self,
        entropy: Callable[[int], bytes],
        now: Callable[[], datetime],
        ca: bytes,
        tuple_: tuple[int, int, int, int],
        schools: int,
    ) -> None:
        self._entropy, self._now, self._ca, self._tuple = entropy, now, ca, tuple_
        self._schools = schools
        self._log_key, self._coordinator = self._key("log"), self._key("coordinator")
        self._auditors = tuple(self._make_auditor(f"a{place}") for place in range(1, tuple_[0] + 1))
        genesis = self._roster(1, bytes(32), ())
        self.card = self._card(genesis[0])
        self.card_text = encode_card(self.card)
        self._ledger = Ledger(self.card)
        self._entries: list[tuple[bytes, bytes]] = []
        self._append(genesis[0], genesis[1], self._signers())

    # ---------------------------------------------------------------- keys and roster

    def _key(self, *parts: str, kind: KeyType = KeyType.ED25519) -> SigningKey:
        return SigningKey(key_name(FEDERATION, *parts), kind, self._entropy(SEED_BYTES))

    def _make_auditor(self, name: str) -> _Auditor:
        return _Auditor(
            name,
            self._key("auditor", name),
            self._key("witness", name, kind=KeyType.COSIGNATURE),
            self._entropy(ROUND_SECRET_BYTES),
            self._entropy(ID_BYTES),
            self._entropy(SEED_BYTES),
            self._entropy(SEED_BYTES),
        )

    def _signers(self) -> list[SigningKey]:
        return [self._coordinator, *(row.key for row in self._auditors)]

    def _roster(self, serial: int, previous: bytes, nodes: Sequence[RosterNode]) -> tuple[Roster, bytes]:
        auditors = tuple(
            RosterAuditor(row.id, f"operator of {row.id}", row.key.verifier, row.witness.verifier, place > 1)
            for place, row in enumerate(self._auditors)
        )
        ordered = tuple(sorted(nodes, key=lambda node: node.id))
        verifiers = (self._log_key.verifier, self._coordinator.verifier)
        body = encode_roster_body(RosterBody(*verifiers, self._ca, auditors, ordered, (self._tuple,)))
        return Roster(FEDERATION, serial, previous, "production", self._tuple[3], body_ref(body)), body

    def _card(self, genesis: Roster) -> FederationCard:
        auditors = tuple(
            CardAuditor(row.id, row.key.verifier, row.witness.verifier) for row in self._auditors
        )
        verifiers = (self._log_key.verifier, self._coordinator.verifier)
        named = (digest(encode_statement(genesis)), self._tuple[3])
        return FederationCard(
            FEDERATION, "production", *verifiers, self._ca, *named, auditors, (self._tuple,)
        )

    def enrol(self, report_key: str, master: bytes, attributes: Mapping[str, str]) -> None:
        """Log a roster with this node and as many schools on paper as are needed."""
        own = sorted_attributes(attributes)
        nodes = [RosterNode(NODE, OPERATOR, parse_vkey(report_key), master, own, ())]
        for place in range(1, self._schools):
            name = f"paper-{place}"
            key, secret = self._key("node", name).verifier, self._entropy(SEED_BYTES)
            nodes.append(RosterNode(name, f"{name} school", key, master_commitment(name, secret), own, ()))
        last = self._ledger.roster
        self._append(*self._roster(last.statement.serial + 1, last.digest, nodes), self._signers())

    # ---------------------------------------------------------------- plan and approvals

    def publish(self, document: PlanDocument) -> bytes:
        """Log a plan and the approvals of all its auditors; return the round id."""
        layout, terms, body = build_layout(document), terms_of(document), encode_body(document)
        plan = Plan(
            federation=FEDERATION,
            serial=1,
            roster=self._ledger.roster.digest,
            auditors=tuple(row.id for row in self._auditors),
            threshold=terms.threshold,
            collude=terms.collude,
            quorum=terms.quorum,
            min_reports=terms.min_reports,
            colluding_schools=terms.colluding_schools,
            min_group=terms.min_group,
            rho=terms.rho,
            opens=terms.opens,
            closes=terms.closes,
            cells=layout.cells,
            noise=noise_rows(layout),
            body=body_ref(body),
            tiers=terms.tiers,
            steps=step_rows(layout),
        )
        round_id = self._append(plan, body, [self._coordinator])
        for auditor in self._auditors:
            self._append(self._approval(auditor, round_id), b"", [auditor.key])
        return round_id

    def _approval(self, auditor: _Auditor, round_id: bytes) -> Approval:
        return Approval(
            FEDERATION,
            round_id,
            self.round(round_id).roster_digest,
            auditor.id,
            auditor.instance,
            round_public_key(auditor.round_secret),
            auditor.nonce,
            draw_commitment(auditor.draw),
        )

    def round(self, round_id: bytes) -> RoundLog:
        """Look a round up."""
        return self._ledger.rounds[round_id]

    # ---------------------------------------------------------------- the log and its receipts

    def _append(self, statement: Statement, body: bytes, keys: Sequence[SigningKey]) -> bytes:
        text = encode_statement(statement)
        entry = encode_note(Note(text, tuple(parse_signature_line(key.sign(text)) for key in keys)))
        self._ledger.append(entry, body)
        self._entries.append((entry, body))
        return digest(text)

    def take_report(self, payload: bytes) -> bytes:
        """Do the coordinator's part with a report: check, log it once, give its receipt.

        Raises:
            CryptoError, ProtocolError: it is no report of this round.
        """
        entry = note_of(payload)
        self._parse(payload)
        if entry not in [known for known, _body in self._entries]:
            self._ledger.append(entry, b"")
            self._entries.append((entry, b""))
        index = [known for known, _body in self._entries].index(entry)
        hashes = inclusion_proof(self._ledger.leaves, index, self._ledger.size)
        return encode_proof(TlogProof(index, hashes, self._checkpoint()))

    def _checkpoint(self) -> bytes:
        tree = Checkpoint(self._log_key.name, self._ledger.size, self._ledger.root())
        text, now_s = encode_checkpoint(tree), int(self._now().timestamp())
        lines = [self._log_key.sign(text), *(cosign(text, row.witness, now_s) for row in self._auditors)]
        return encode_note(Note(text, tuple(parse_signature_line(line) for line in lines)))

    def page(self, start: int) -> LogPage:
        """Give what a reader is served: the entries from `start` on, below a checkpoint cosigned now."""
        note = self._checkpoint()
        return LogPage(start, tuple(self._entries[start:]), note, note)

    def log_file(self) -> bytes:
        """Give the whole log as one file, as it would be carried on a stick."""
        return encode_log_file(LogFile(FEDERATION, 0, tuple(self._entries), self._checkpoint()))

    # ---------------------------------------------------------------- opening one report

    def _parse(self, payload: bytes) -> tuple[ReportPayload, Report]:
        header = parse_statement(parse_note(note_of(payload)).text)
        if not isinstance(header, Report) or header.round not in self._ledger.rounds:
            raise AuditError(_("the payload is no report of this round"), code="no-report")
        round_log = self.round(header.round)
        terms = round_log.terms
        parsed = parse_payload(payload, terms.num_elements, round_log.box_bytes, len(self._auditors))
        verify_contents(parsed, header, terms.num_vectors)
        return parsed, header

    def open_report(self, payload: bytes) -> OpenedReport:
        """Open every auditor's box and take all masks off.

        Raises:
            AuditError: the boxes do not hold the seeds that the header commits to.
            CryptoError, ProtocolError: the payload is damaged.
        """
        parsed, header = self._parse(payload)
        terms = self.round(header.round).terms
        n, t = len(self._auditors), terms.threshold
        seeds = self._seeds(parsed, header, n, t)
        rows = []
        elements = parse_vector(parsed.vector, terms.num_elements).reshape(terms.num_vectors, terms.cells)
        for step, row in enumerate(elements):
            masks = MaskSum(terms.cells)
            for subset, seed in seeds.items():
                add_report_masks(masks, subset, (seed,), header.round, n, t, step=step)
            rows.append(unmask(row, [masks.value()]))
        return OpenedReport(header, np.stack(rows))

    def _seeds(self, parsed: ReportPayload, header: Report, n: int, t: int) -> dict[int, bytes]:
        committed, found = dict(header.seeds), dict[int, bytes]()
        together = commitments_digest([commitment for _subset, commitment in header.seeds])
        vector = hashlib.sha256(parsed.vector).digest()
        for index, (auditor, box) in enumerate(zip(self._auditors, parsed.boxes, strict=True)):
            key = round_public_key(auditor.round_secret)
            info = box_info(header.round, NODE, header.attempt, auditor.id, key, vector, together)
            names = subsets_with(index, n, t)
            held = parse_box_plaintext(open_box(auditor.round_secret, box, info), len(names))
            for subset, seed in zip(names, held, strict=True):
                is_own = seed_commitment(header.round, NODE, header.attempt, subset, seed)
                if committed.get(subset) != is_own or found.setdefault(subset, seed) != seed:
                    raise AuditError(
                        _("the box for %(auditor)s holds other seeds than the header commits to"),
                        code="box",
                        details={"auditor": auditor.id},
                    )
        return found
