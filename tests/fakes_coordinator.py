"""A county around a real coordinator's desk: schools and auditors in memory, real bytes everywhere."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import count
from pathlib import Path

import numpy as np
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from numpy.typing import NDArray

from coordinator.config import Config
from coordinator.desk import Desk
from coordinator.home import create_home
from crypto.checkpoint import cosign
from crypto.derivation import (
    box_info,
    box_plaintext,
    commitments_digest,
    draw_commitment,
    master_commitment,
    parse_box_plaintext,
    seed_commitment,
)
from crypto.field64 import encode_vector
from crypto.mask_sum import MaskSum
from crypto.note import KeyType, Note, SigningKey, encode_note, parse_note, parse_signature_line
from crypto.replication import subsets
from crypto.sealing import ROUND_SECRET_BYTES, open_box, round_public_key, seal
from crypto.sharing import add_report_mask, mask_vector
from plan.document import PlanDocument, parse_plan_toml
from protos.bodies import Refusal, encode_checked_body, key_name
from protos.card import parse_card
from protos.enrolment import Request, sign_request
from protos.ledger import Ledger
from protos.report_payload import ReportPayload, encode_payload
from protos.round_log import RoundLog
from protos.statements import (
    Abandon,
    Agreement,
    Approval,
    Checked,
    Opening,
    Report,
    Statement,
    body_ref,
    digest,
    encode_statement,
)

FEDERATION = "county-1"
START = datetime(2026, 10, 20, 8, 0, tzinfo=UTC)
CA_START = datetime(2024, 1, 1, tzinfo=UTC)  # TLS looks at the real clock: long ago, for 20 years
PLAN_TOML = """
format = "fedscreen/plan/v1"
id = "small"
title = "小计划"
purpose = "测试"
recipients = ["县教育局"]
legal_basis = "教思政厅函〔2021〕10号"
consent = "require"
release_class = "internal"
wave = "A"
school_year = "2026-2027"
census_date = 2026-09-30
neighbouring = "replace-one"
grades = ["7", "8"]
systems = ["6-3"]
critical_items = "off"
rho = "1/5"
[window]
opens = 2026-10-12T08:00:00+08:00
closes = 2026-12-31T18:00:00+08:00
[trust]
auditors = 4
threshold = 3
collude = 1
quorum = 3
min_reports = "auto"
colluding_schools = 1
min_group = 5
[floors]
display = 11
denominator = 30
[[instruments]]
id = "mht"
digest = ""
total = [0, 90]
factors = []
[[tables]]
id = "A1"
title = "测评情况"
dims = ["grade", "disposition"]
[[tables]]
id = "A3"
title = "预警等级"
dims = ["sex", "level"]
where = { disposition = [1, 2] }
"""


class Crash(BaseException):  # not an Exception: nothing may catch it on the way out
    """The process stops here."""


def fake_bytes(label: str, size: int = 32) -> bytes:
    """Make bytes from a label: distinct, repeatable, not secret."""
    return hashlib.shake_256(label.encode()).digest(size)


@lru_cache(maxsize=256)
def tls_key(name: str) -> ec.EllipticCurvePrivateKey:
    """A party's TLS key; the same for one name."""
    scalar = int.from_bytes(fake_bytes(f"tls {name}")) >> 1
    return ec.derive_private_key(scalar, ec.SECP256R1())


@lru_cache(maxsize=256)
def csr(name: str) -> str:
    """A signing request; cached, since ECDSA signatures differ every time."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    signed = request.sign(tls_key(name), hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def tls_key_pem(name: str) -> bytes:
    """The private key of `tls_key` in PEM."""
    return tls_key(name).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def sign(statement: Statement, key: SigningKey) -> bytes:
    """Make a log entry that one key signs."""
    text = encode_statement(statement)
    return encode_note(Note(text, (parse_signature_line(key.sign(text)),)))


def small_plan(**changes: object) -> PlanDocument:
    """The plan of these tests: 2 tables, 31 cells."""
    return replace(parse_plan_toml(PLAN_TOML.encode()), **changes)  # type: ignore[arg-type]


def small_config(**changes: object) -> Config:
    """A demo federation's configuration."""
    values: dict[str, object] = {
        "federation": FEDERATION,
        "kind": "demo",
        "tick_s": 0.05,
        "check_grace_s": 60.0,
        "open_grace_s": 60.0,
        "address": "127.0.0.1:50080",
    }
    return Config(**{**values, **changes})  # type: ignore[arg-type]


@dataclass
class School:
    """A school: its keys, its table, and what it sends."""

    id: str
    operator: str
    attributes: tuple[tuple[str, str], ...] = ()

    @property
    def key(self) -> SigningKey:
        """The report key."""
        return SigningKey(
            key_name(FEDERATION, "node", self.id), KeyType.ED25519, fake_bytes(f"key {self.id}")
        )

    def request(self, **changes: object) -> bytes:
        """The enrolment request."""
        request = Request(
            role="node",
            federation=FEDERATION,
            id=self.id,
            operator=self.operator,
            attributes=self.attributes,
            key=self.key.verifier,
            cosigner=None,
            master=master_commitment(self.id, fake_bytes(f"master {self.id}")),
            csr_pem=csr(self.id),
        )
        return sign_request(replace(request, **changes), self.key)  # type: ignore[arg-type]

    def values(self, cells: int, attempt: int = 0) -> NDArray[np.int64]:
        """Counts and noise in scaled units: repeatable, small, some negative."""
        words = np.frombuffer(fake_bytes(f"values {self.id} {attempt}", 8 * cells), "<u8")
        return (words % np.uint64(4000)).astype(np.int64) - 1000

    def payload(
        self,
        ledger: Ledger,
        round_id: bytes,
        attempt: int = 0,
        spoil: Callable[[bytes], bytes] | None = None,
        **changes: object,
    ) -> bytes:
        """A whole report; `spoil` changes the vector before it is hashed and sealed."""
        round_log = ledger.rounds[round_id]
        terms, n, t = round_log.terms, round_log.num_auditors, round_log.terms.threshold
        label = f"{self.id} {attempt} {round_id.hex()}"
        seeds = {subset: fake_bytes(f"seed {subset} {label}") for subset in subsets(n, t)}
        vector = encode_vector(mask_vector(self.values(terms.cells, attempt), seeds, round_id, n, t))
        vector = spoil(vector) if spoil else vector
        commitments = {
            subset: seed_commitment(round_id, self.id, attempt, subset, seed)
            for subset, seed in seeds.items()
        }
        boxes = {
            auditor: self._box(round_log, auditor, attempt, seeds, vector, list(commitments.values()))
            for auditor in terms.auditors
        }
        values: dict[str, object] = {
            "federation": FEDERATION,
            "round": round_id,
            "roster": round_log.roster_digest,
            "approvals": round_log.approvals_digest() if round_log.is_approved else bytes(32),
            "node": self.id,
            "attempt": attempt,
            "cells": terms.cells,
            "vector": hashlib.sha256(vector).digest(),
            "seeds": tuple(commitments.items()),
            "boxes": tuple((name, hashlib.sha256(box).digest()) for name, box in boxes.items()),
            "input": fake_bytes(f"input {label}"),
            "software": fake_bytes("software"),
            "confinement": "L3",
            "previous": self._previous(ledger, round_id, attempt),
            "size": len(vector) + sum(map(len, boxes.values())),
        }
        report = Report(**{**values, **changes})  # type: ignore[arg-type]
        return encode_payload(ReportPayload(sign(report, self.key), vector, tuple(boxes.values())))

    def _previous(self, ledger: Ledger, round_id: bytes, attempt: int) -> bytes:
        earlier = ledger.rounds[round_id].reports.get((self.id, attempt - 1))
        return earlier.digest if earlier else bytes(32)

    def _box(
        self,
        round_log: RoundLog,
        auditor: str,
        attempt: int,
        seeds: dict[int, bytes],
        vector: bytes,
        commitments: list[bytes],
    ) -> bytes:
        public_key = round_public_key(round_secret(auditor, round_log.round_id))
        mine = [seeds[subset] for subset in round_log.subsets_of(auditor)]
        info = box_info(
            round_log.round_id,
            self.id,
            attempt,
            auditor,
            public_key,
            hashlib.sha256(vector).digest(),
            commitments_digest(commitments),
        )
        return seal(public_key, box_plaintext(mine), info)


def round_secret(auditor: str, round_id: bytes) -> bytes:
    """An auditor's HPKE secret of a round."""
    return fake_bytes(f"round key {auditor} {round_id.hex()}", ROUND_SECRET_BYTES)


@dataclass
class Auditor:
    """An auditor: its keys, and what it signs. Everything it makes is repeatable."""

    id: str

    @property
    def key(self) -> SigningKey:
        """The statement key."""
        name = key_name(FEDERATION, "auditor", self.id)
        return SigningKey(name, KeyType.ED25519, fake_bytes(f"statement {self.id}"))

    @property
    def cosigner(self) -> SigningKey:
        """The witness key."""
        name = key_name(FEDERATION, "witness", self.id)
        return SigningKey(name, KeyType.COSIGNATURE, fake_bytes(f"cosigner {self.id}"))

    def request(self, **changes: object) -> bytes:
        """The enrolment request."""
        request = Request(
            role="auditor",
            federation=FEDERATION,
            id=self.id,
            operator=f"operator of {self.id}",
            attributes=(),
            key=self.key.verifier,
            cosigner=self.cosigner.verifier,
            master=None,
            csr_pem=csr(self.id),
        )
        return sign_request(replace(request, **changes), self.key)  # type: ignore[arg-type]

    def approval(self, round_log: RoundLog, **changes: object) -> Approval:
        """The approval of a round."""
        round_id = round_log.round_id
        approval = Approval(
            federation=FEDERATION,
            round=round_id,
            roster=round_log.roster_digest,
            auditor=self.id,
            instance=fake_bytes(f"instance {self.id}", 16),
            round_key=round_public_key(round_secret(self.id, round_id)),
            nonce=fake_bytes(f"nonce {self.id}"),
            draw=draw_commitment(self.draw(round_id)),
        )
        return replace(approval, **changes)  # type: ignore[arg-type]

    def draw(self, round_id: bytes) -> bytes:
        """r_a."""
        return fake_bytes(f"draw {self.id} {round_id.hex()}")

    def sums(self, round_log: RoundLog, boxes: dict[bytes, bytes]) -> dict[int, bytes]:
        """Open the boxes of S and add up the masks."""
        n, t = round_log.num_auditors, round_log.terms.threshold
        close_body = round_log.close_body()
        mine = round_log.subsets_of(self.id)
        totals = {subset: MaskSum(round_log.terms.cells) for subset in mine}
        for name in close_body.set if close_body else ():
            report = round_log.reports[(name.node, name.attempt)].statement
            info = box_info(
                round_log.round_id,
                report.node,
                report.attempt,
                self.id,
                round_public_key(round_secret(self.id, round_log.round_id)),
                report.vector,
                commitments_digest([commitment for _, commitment in report.seeds]),
            )
            opened = open_box(round_secret(self.id, round_log.round_id), boxes[name.digest], info)
            seeds = parse_box_plaintext(opened, len(mine))
            for subset, seed in zip(mine, seeds, strict=True):
                add_report_mask(totals[subset], subset, seed, round_log.round_id, n, t)
        return {subset: encode_vector(total.value()) for subset, total in totals.items()}

    def opening(self, round_log: RoundLog, sums: dict[int, bytes]) -> Opening:
        """The opening over these sums."""
        close = round_log.close
        return Opening(
            federation=FEDERATION,
            round=round_log.round_id,
            auditor=self.id,
            close=close.digest if close else bytes(32),
            draw=self.draw(round_log.round_id),
            sums=tuple((subset, hashlib.sha256(data).digest()) for subset, data in sums.items()),
        )


@dataclass
class County:
    """A coordinator's folder with schools and auditors around it.

    Attributes:
        clock: moved by hand.
        durable: called before and after every durable write of the coordinator.
    """

    directory: Path
    num_schools: int = 6
    config: Config = field(default_factory=small_config)
    clock: datetime = START
    durable: Callable[[str], None] = lambda _step: None

    def __post_init__(self) -> None:
        """Make the parties and the folder."""
        self.schools = {f"s{n:02}": School(f"s{n:02}", f"school {n}") for n in range(1, self.num_schools + 1)}
        self.auditors = {name: Auditor(name) for name in ("a1", "a2", "a3", "a4")}
        self._sums: dict[tuple[str, bytes], dict[int, bytes]] = {}
        self._reader: Ledger | None = None
        if self.directory.exists():
            self.desk = self.open()
            return
        counter = count()
        create_home(
            self.directory, self.config, self.clock, lambda size: fake_bytes(f"{next(counter)}", size)
        )
        self.desk = self.open()

    def open(self) -> Desk:
        """Open the desk anew, as after a restart."""
        return Desk(self.directory, now=lambda: self.clock, durable=self._step)

    def _step(self, step: str) -> None:
        self.durable(step)  # looked up at every call: tests exchange it

    def reopen(self) -> Desk:
        """Close and open the desk."""
        self.desk.close()
        self.desk = self.open()
        return self.desk

    def advance(self, **span: float) -> None:
        """Move the clock."""
        self.clock += timedelta(**span)

    @property
    def round_id(self) -> bytes:
        """The newest round."""
        return self.desk.round_ids()[-1]

    # -- what everybody can read --------------------------------------------------------------

    def ledger(self) -> Ledger:
        """Read the whole log as a stranger would."""
        return self._read_on(Ledger(parse_card(self.desk.card_text())))

    def round(self, round_id: bytes) -> RoundLog:
        """One round as the log tells it, by a reader that goes on where it stopped."""
        if self._reader is None:
            self._reader = Ledger(parse_card(self.desk.card_text()))
        return self._read_on(self._reader).rounds[round_id]

    def _read_on(self, ledger: Ledger) -> Ledger:
        while True:
            page = self.desk.get_log(ledger.size, 100)
            if not page.entries:
                return ledger
            for entry, body in page.entries:
                ledger.append(entry, body)

    # -- steps; each may be repeated ----------------------------------------------------------

    def parties(self) -> list[Auditor | School]:
        """Everybody that enrols."""
        return [*self.auditors.values(), *self.schools.values()]

    def enrol(self) -> None:
        """Approve everybody's request."""
        for party in self.parties():
            self.desk.approve_request(party.request())

    def sign_rosters(self, names: Sequence[str] | None = None) -> None:
        """Have auditors sign whatever waits."""
        for name in names or list(self.auditors):
            for proposal in self.desk.list_proposals(name):
                line = self.auditors[name].key.sign(proposal.text)
                self.desk.sign_roster(name, digest(proposal.text), line)

    def found(self) -> None:
        """Enrol everybody and log a genesis roster with all of them."""
        self.enrol()
        if self.desk.get_log(0, 1).entries:
            return
        self.desk.propose_roster()
        self.sign_rosters()

    def publish(self, plan: PlanDocument | None = None) -> bytes:
        """Publish the small plan."""
        return self.desk.publish_plan(plan or small_plan())

    def state(self, auditor: str, statement: Statement, body: bytes = b"") -> int:
        """Submit an auditor's statement."""
        return self.desk.submit_statement(auditor, sign(statement, self.auditors[auditor].key), body)

    def approve(self, round_id: bytes, names: Sequence[str] | None = None) -> None:
        """Approve a round."""
        for name in names or list(self.auditors):
            self.state(name, self.auditors[name].approval(self.round(round_id)))

    def report(self, round_id: bytes, names: Sequence[str] | None = None) -> dict[str, bytes]:
        """Send reports; returns the receipts."""
        return {
            name: self.desk.submit_report(name, self.payload(name, round_id))
            for name in names or list(self.schools)
        }

    def payload(self, name: str, round_id: bytes, attempt: int = 0) -> bytes:
        """One school's report; made once, since HPKE differs every time."""
        path = self.directory / f"{name}-{attempt}-{round_id.hex()[:16]}.payload"
        if not path.exists():
            path.write_bytes(self.schools[name].payload(self.ledger(), round_id, attempt))
        return path.read_bytes()

    def check(
        self, round_id: bytes, names: Sequence[str] | None = None, refused: Sequence[Refusal] = ()
    ) -> None:
        """Log `checked`."""
        candidates = self.round(round_id).candidates
        body = encode_checked_body(refused)
        for name in names or list(self.auditors):
            found = candidates.digest if candidates else bytes(32)
            self.state(name, Checked(FEDERATION, round_id, name, found, body_ref(body)), body)

    def agree(self, round_id: bytes, names: Sequence[str] | None = None) -> None:
        """Log agreements."""
        close = self.round(round_id).close
        for name in names or list(self.auditors):
            self.state(name, Agreement(FEDERATION, round_id, name, close.digest if close else bytes(32)))

    def abandon(self, round_id: bytes, names: Sequence[str]) -> None:
        """Log abandons."""
        for name in names:
            self.state(name, Abandon(FEDERATION, round_id, name, bytes(32), "policy"))

    def sums(self, name: str, round_id: bytes) -> dict[int, bytes]:
        """An auditor's honest mask sums, kept as a real one keeps them."""
        if (name, round_id) not in self._sums:
            boxes = dict(self.desk.get_boxes(name, round_id))
            self._sums[(name, round_id)] = self.auditors[name].sums(self.round(round_id), boxes)
        return self._sums[(name, round_id)]

    def answer(self, round_id: bytes, names: Sequence[str] | None = None, liars: Sequence[str] = ()) -> None:
        """Log openings with their sums; liars return another sum for their first subset."""
        for name in names or list(self.auditors):
            sums = dict(self.sums(name, round_id))
            if name in liars:
                first = min(sums)
                words = np.frombuffer(sums[first], "<u8").copy()
                words[0] = (int(words[0]) + 1 + int(name[1:])) % (2**64 - 2**32 + 1)
                sums[first] = words.tobytes()
            opening = self.auditors[name].opening(self.round(round_id), sums)
            entry = sign(opening, self.auditors[name].key)
            self.desk.submit_opening(name, entry, list(sums.values()))

    def cosign(self, names: Sequence[str] | None = None) -> None:
        """Witness the newest checkpoint."""
        text = parse_note(self.desk.get_log(0, 1).latest).text
        size = int(text.split("\n")[1])
        for name in names or list(self.auditors):
            line = cosign(text, self.auditors[name].cosigner, int(self.clock.timestamp()))
            self.desk.submit_cosignature(name, size, line)

    def collecting(self) -> bytes:
        """A federation with an approved round."""
        self.found()
        round_id = self.publish()
        self.approve(round_id)
        return round_id

    def agreed(self) -> bytes:
        """A round that waits for openings."""
        round_id = self.collecting()
        self.report(round_id)
        self.desk.tick()
        self.check(round_id)
        self.desk.tick()
        self.agree(round_id)
        return round_id

    def released(self) -> bytes:
        """A released and witnessed round."""
        round_id = self.agreed()
        self.answer(round_id)
        self.desk.tick()
        self.cosign()
        self.desk.tick()
        return round_id

    def truth(self, names: Sequence[str] | None = None, attempts: dict[str, int] | None = None) -> list[int]:
        """What the released sums must be, cell by cell."""
        cells = 31
        total = np.zeros(cells, np.int64)
        for name in names or list(self.schools):
            total += self.schools[name].values(cells, (attempts or {}).get(name, 0))
        return [int(value) for value in total]
