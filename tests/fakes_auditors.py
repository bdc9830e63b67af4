"""A county around real auditors: fake schools and a fake coordinator in memory, real bytes everywhere.

`FakeCounty` extends `TinyFederation` by a plan with a real layout, reports with real boxes and
masked vectors, and one `FakeLink` per auditor. `desk()` makes a real `auditor.desk.Desk` on it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from fakes_federation import NOW, TinyFederation, fake_bytes, sign_entry
from numpy.typing import NDArray

from auditor.config import AuditorConfig
from auditor.desk import Desk
from auditor.durable import Durable, ignore_durable
from auditor.errors import LinkError
from auditor.keys import AuditorKeys
from auditor.link import CoordinatorLink
from auditor.policy import default_policy, parse_auditor_policy
from crypto.checkpoint import Checkpoint, cosign, encode_checkpoint
from crypto.derivation import box_info, box_plaintext, commitments_digest, seed_commitment
from crypto.field64 import encode_vector, parse_vector
from crypto.mask_sum import MaskSum
from crypto.note import Note, encode_note, parse_note, parse_signature_line
from crypto.replication import subsets
from crypto.sealing import seal
from crypto.sharing import mask_vector, unmask
from plan.document import PlanDocument, encode_body, parse_plan_toml
from plan.layout import build_layout
from plan.published import noise_rows, step_rows
from protos.bodies import RosterBody, TableSums, encode_release_body, encode_roster_body
from protos.convert import LogPage, Proposal
from protos.errors import LedgerError
from protos.ledger import RoundLog
from protos.statements import Release, Report, Roster, body_ref, digest, encode_statement

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
min_reports = 5
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
IN_WINDOW = datetime.fromisoformat("2026-10-20T08:00:00+00:00")


def small_plan() -> PlanDocument:
    """The plan of these tests: 2 tables, 31 cells."""
    return parse_plan_toml(PLAN_TOML.encode())


@dataclass
class FakeReport:
    """What a school sends, before it is signed: every part can be spoilt by a test."""

    node: str
    statement: Report
    vector: bytes
    boxes: dict[str, bytes]


@dataclass
class FakeCounty(TinyFederation):
    """Coordinator and schools in memory; auditors are real.

    Attributes:
        clock: moved by hand.
        truth: what the released sums must be, per round.
        served: set to a size to show readers only so much of the log.
    """

    clock: datetime = NOW
    cosignatures: dict[int, dict[str, str]] = field(default_factory=dict)
    boxes: dict[bytes, dict[bytes, dict[str, bytes]]] = field(default_factory=dict)
    vectors: dict[bytes, bytes] = field(default_factory=dict)
    sums: dict[tuple[bytes, str, int], bytes] = field(default_factory=dict)
    values: dict[bytes, NDArray[np.int64]] = field(default_factory=dict)
    seeds_of: dict[tuple[str, int], dict[int, bytes]] = field(default_factory=dict)
    proposals: list[Proposal] = field(default_factory=list)

    def link(self, auditor: str) -> FakeLink:
        """The coordinator as one auditor reaches it."""
        return FakeLink(self, auditor)

    def keys(self, auditor: str) -> AuditorKeys:
        """An auditor's keys."""
        return AuditorKeys(self.auditors[auditor], self.witnesses[auditor])

    def policy_text(self) -> str:
        """The default policy of this federation."""
        return default_policy(self.card)

    def desk(
        self,
        auditor: str,
        directory: Path,
        *,
        durable: Durable = ignore_durable,
        link: FakeLink | None = None,
        policy: str | None = None,
        entropy: Callable[[int], bytes] | None = None,
    ) -> Desk:
        """Start an auditor on a directory."""
        operator = f"operator of {auditor}"
        return Desk(
            directory,
            config=AuditorConfig(federation=self.federation, id=auditor, operator=operator),
            keys=self.keys(auditor),
            card=self.card,
            policy=parse_auditor_policy(policy or self.policy_text()),
            link=link or self.link(auditor),
            now=lambda: self.clock,
            entropy=entropy or Entropy(f"{auditor} {directory}"),
            durable=durable,
        )

    # --- plans and reports ---------------------------------------------------------------

    def publish_plan(self, document: PlanDocument | None = None, **changes: Any) -> bytes:
        """Log a real plan; `changes` override fields of its statement."""
        document = document or small_plan()
        layout = build_layout(document)
        noise = noise_rows(layout)
        terms: dict[str, object] = {
            "threshold": document.threshold,
            "collude": document.collude,
            "quorum": document.quorum,
            "min_reports": document.min_reports,
            "colluding_schools": document.colluding_schools,
            "min_group": document.min_group,
            "rho": document.rho,
            "opens": document.opens,
            "closes": document.closes,
            "tiers": document.tiers or (),
            "steps": step_rows(layout),
        }
        body = changes.pop("raw_body", encode_body(document))
        assert isinstance(body, bytes)
        cells = changes.pop("cells", layout.cells)
        assert isinstance(cells, int)
        return self.publish(body, cells, changes.pop("noise", noise), **{**terms, **changes})

    def make_report(
        self, node: str, round_id: bytes, *, seeds: dict[int, bytes] | None = None, **changes: Any
    ) -> FakeReport:
        """Make one school's report with real boxes and a real masked vector (of made-up numbers)."""
        round_log = self.round(round_id)
        terms = round_log.terms
        n, t = len(terms.auditors), terms.threshold
        attempt = len(round_log.attempts_of(node))
        label = f"{node} {attempt} {round_id.hex()}"
        seeds = seeds or {subset: fake_bytes(f"seed {subset} {label}") for subset in subsets(n, t)}
        numbers = np.frombuffer(fake_bytes(f"x {label}", terms.cells), np.uint8).astype(np.int64) - 60
        vector = encode_vector(mask_vector(numbers, seeds, round_id, n, t))
        commitments = tuple(
            (subset, seed_commitment(round_id, node, attempt, subset, seed)) for subset, seed in seeds.items()
        )
        statement = self.report_statement(
            node, round_id, vector=hashlib.sha256(vector).digest(), seeds=commitments, **changes
        )
        statement, boxes = self.make_boxes(statement, seeds)
        self.seeds_of[(node, attempt)] = seeds
        self.values[digest(encode_statement(statement))] = numbers
        return FakeReport(node, statement, vector, boxes)

    def make_boxes(self, report: Report, seeds: dict[int, bytes]) -> tuple[Report, dict[str, bytes]]:
        """Seal seeds for every auditor under what the header says; returns the header that names them."""
        round_log = self.round(report.round)
        boxes = {}
        for auditor in round_log.terms.auditors:
            round_key = round_log.approvals[auditor].statement.round_key
            info = box_info(
                report.round,
                report.node,
                report.attempt,
                auditor,
                round_key,
                report.vector,
                commitments_digest([commitment for _, commitment in report.seeds]),
            )
            held = [seeds[subset] for subset in round_log.subsets_of(auditor)]
            boxes[auditor] = seal(round_key, box_plaintext(held), info)
        digests = tuple((auditor, hashlib.sha256(box).digest()) for auditor, box in boxes.items())
        return replace(report, boxes=digests), boxes

    def send(self, report: FakeReport) -> bytes:
        """Log a report and store its vector and boxes; returns the header's digest."""
        name = self.add(report.statement, b"", [self.nodes[report.node].key(self.federation)])
        self.boxes.setdefault(report.statement.round, {})[name] = report.boxes
        self.vectors[name] = report.vector
        return name

    def spoil_box(self, report: FakeReport, auditor: str, box: bytes) -> FakeReport:
        """Exchange one sealed box, as a lying school would: the header names the new one."""
        boxes = {**report.boxes, auditor: box}
        digests = tuple((name, hashlib.sha256(data).digest()) for name, data in boxes.items())
        return FakeReport(report.node, replace(report.statement, boxes=digests), report.vector, boxes)

    def collect(self, round_id: bytes, nodes: Sequence[str] | None = None) -> None:
        """Let schools report."""
        for node in nodes or sorted(self.nodes):
            self.send(self.make_report(node, round_id))

    # --- the coordinator's steps ---------------------------------------------------------

    def expected_sums(self, round_id: bytes) -> NDArray[np.int64]:
        """What the released sums must be."""
        body = self.round(round_id).close_body()
        assert body is not None
        total: NDArray[np.int64] = np.sum([self.values[name.digest] for name in body.set], axis=0)
        return total

    def combine(self, round_id: bytes, openers: Sequence[str]) -> NDArray[np.int64]:
        """Open the sum with the stored mask sums."""
        round_log = self.round(round_id)
        body = round_log.close_body()
        assert body is not None
        total = MaskSum(round_log.terms.cells)
        for name in body.set:
            total.add_vector(parse_vector(self.vectors[name.digest], round_log.terms.cells))
        masks = []
        for subset in round_log.subsets:
            holder = next(name for name in openers if subset in round_log.subsets_of(name))
            masks.append(parse_vector(self.sums[(round_id, holder, subset)], round_log.terms.cells))
        return unmask(total.value(), masks)

    def release_real(self, round_id: bytes, values: NDArray[np.int64] | None = None) -> bytes:
        """Combine and log the release."""
        round_log = self.round(round_id)
        openers = [name for name in round_log.terms.auditors if name in round_log.openings]
        opened = self.combine(round_id, openers) if values is None else values
        layout = build_layout(small_plan())
        body = encode_release_body(
            [
                TableSums(
                    table.id,
                    table.noise.scale,
                    table.noise.s2,
                    tuple(int(value) for value in opened[table.offset : table.end]),
                )
                for table in layout.tables
            ]
        )
        statement: Release
        statement, _ = self.release_statement(round_id, openers, body=body_ref(body))
        return self.add(statement, body, [self.coordinator])

    def propose(self, body: RosterBody, signers: Sequence[str] = (), **changes: Any) -> Proposal:
        """Let a roster wait for signatures, signed by the coordinator and some auditors."""
        data = encode_roster_body(body)
        last = self.ledger.roster
        values: dict[str, object] = {
            "federation": self.federation,
            "serial": last.statement.serial + 1,
            "previous": last.digest,
            "kind": self.kind,
            "quorum": self.quorum,
            "body": body_ref(data),
        }
        text = encode_statement(Roster(**{**values, **changes}))
        lines = [self.coordinator.sign(text), *(self.auditors[name].sign(text) for name in signers)]
        proposal = Proposal(text, data, tuple(lines))
        self.proposals.append(proposal)
        return proposal

    # --- the log as it is served ----------------------------------------------------------

    def note(self, size: int) -> bytes:
        """The checkpoint of a size with the cosignatures that it has."""
        text = encode_checkpoint(Checkpoint(self.log_key.name, size, self.ledger.root(size)))
        lines = [self.log_key.sign(text), *self.cosignatures.get(size, {}).values()]
        return encode_note(Note(text, tuple(parse_signature_line(line) for line in lines)))

    def cosign_as(self, auditors: Sequence[str], size: int) -> None:
        """Store cosignatures of some auditors for the checkpoint of a size."""
        text = encode_checkpoint(Checkpoint(self.log_key.name, size, self.ledger.root(size)))
        for name in auditors:
            line = cosign(text, self.witnesses[name], int(self.clock.timestamp()))
            self.cosignatures.setdefault(size, {})[name] = line

    def cosigned_note(self) -> bytes:
        """The newest checkpoint with a quorum, or nothing."""
        sizes = [size for size, lines in self.cosignatures.items() if len(lines) >= self.quorum]
        return self.note(max(sizes)) if sizes else b""


class Entropy:
    """Random bytes that repeat: a counter under a label."""

    def __init__(self, label: str) -> None:
        self.label = label
        self.calls = 0

    def __call__(self, size: int) -> bytes:
        """Return the next bytes."""
        self.calls += 1
        return fake_bytes(f"{self.label} {self.calls}", size)


class FakeLink:
    """The coordinator as one auditor reaches it; tests override methods to let it lie."""

    def __init__(self, county: FakeCounty, auditor: str) -> None:
        self.county = county
        self.auditor = auditor
        self.sent: list[bytes] = []
        self.page_entries = 10_000

    def get_log(self, start: int, max_entries: int) -> LogPage:
        """Serve the log."""
        county = self.county
        stop = start + min(max_entries, self.page_entries)
        return LogPage(
            start, tuple(county.entries[start:stop]), county.note(county.ledger.size), county.cosigned_note()
        )

    def list_proposals(self) -> tuple[Proposal, ...]:
        """Serve waiting rosters."""
        return tuple(self.county.proposals)

    def sign_roster(self, roster_digest: bytes, line: str) -> bool:
        """Collect a signature; logs the roster with the quorum."""
        county = self.county
        for place, row in enumerate(county.proposals):
            if digest(row.text) == roster_digest:
                proposal = Proposal(row.text, row.body, tuple(dict.fromkeys((*row.signatures, line))))
                county.proposals[place] = proposal
                if len(proposal.signatures) <= county.quorum:
                    return False
                lines = tuple(parse_signature_line(item) for item in proposal.signatures)
                entry = encode_note(Note(proposal.text, lines))
                county.ledger.append(entry, proposal.body)
                county.entries.append((entry, proposal.body))
                del county.proposals[place]
                return True
        raise LinkError("not-found", "no such proposal", is_temporary=False)

    def submit_cosignature(self, size: int, line: str) -> None:
        """Store a cosignature."""
        self.county.cosignatures.setdefault(size, {})[self.auditor] = line

    def submit_statement(self, entry: bytes, body: bytes) -> int:
        """Append a statement; the same one again is a repeat."""
        self.sent.append(entry)
        county = self.county
        known = county.ledger.entries_digest.get(digest(parse_note(entry).text))
        if known is not None:
            return known
        try:
            county.ledger.append(entry, body)
        except LedgerError as err:
            raise LinkError("refused", str(err), is_temporary=False) from err
        county.entries.append((entry, body))
        return county.ledger.size - 1

    def submit_opening(self, entry: bytes, sums: Sequence[bytes]) -> int:
        """Append an opening and keep its sums."""
        index = self.submit_statement(entry, b"")
        round_log = self._round_of(entry)
        for subset, encoded in zip(round_log.subsets_of(self.auditor), sums, strict=True):
            self.county.sums[(round_log.round_id, self.auditor, subset)] = encoded
        return index

    def _round_of(self, entry: bytes) -> RoundLog:
        text = parse_note(entry).text
        line = next(row for row in text.split("\n") if row.startswith("round "))
        return self.county.round(bytes.fromhex(line.removeprefix("round ")))

    def get_boxes(self, round_id: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Serve this auditor's boxes."""
        for report, boxes in self.county.boxes.get(round_id, {}).items():
            yield report, boxes[self.auditor]

    def get_vectors(self, round_id: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Serve the vectors of S, after this auditor's opening."""
        round_log = self.county.round(round_id)
        body = round_log.close_body()
        if body is None or self.auditor not in round_log.openings:
            raise LinkError("failed-precondition", "log an opening first", is_temporary=True)
        for name in body.set:
            yield name.digest, self.county.vectors[name.digest]

    def get_sums(self, round_id: bytes) -> Iterator[tuple[str, int, bytes]]:
        """Serve the sums of the openings."""
        for (found, auditor, subset), encoded in sorted(self.county.sums.items()):
            if found == round_id:
                yield auditor, subset, encoded


def joined_county(**options: object) -> FakeCounty:
    """A county of six schools and four auditors whose roster is logged."""
    county = FakeCounty(**options)  # type: ignore[arg-type]
    county.clock = IN_WINDOW
    county.join()
    return county


def run_all(desks: Sequence[Desk], times: int = 2) -> None:
    """Let several auditors work in turn."""
    for _ in range(times):
        for desk in desks:
            desk.step()


def replace_method(link: CoordinatorLink, name: str, method: Callable[..., Any]) -> None:
    """Let a link lie: exchange one of its methods."""
    setattr(link, name, method)


__all__ = [
    "IN_WINDOW",
    "Entropy",
    "FakeCounty",
    "FakeLink",
    "FakeReport",
    "Fraction",
    "joined_county",
    "replace_method",
    "run_all",
    "sign_entry",
    "small_plan",
]
