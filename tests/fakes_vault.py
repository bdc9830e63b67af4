"""One school's vault over a `TinyFederation`: for tests that need a real desk without processes.

`SchoolHouse` opens a store in a folder, runs `init` and `accept`, joins the federation's roster with the real
keys of the vault, and moves a clock by hand. `plan_of` makes a small plan, `pupils` records to count.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from fakes_federation import NOW, TinyFederation, fake_bytes

from crypto.merkle import inclusion_proof
from crypto.note import parse_vkey
from crypto.tlog_proof import TlogProof, encode_proof
from node.vault.desk import Desk
from node.vault.records import save_records
from node.vault.store import VaultStore
from plan.document import PlanDocument, encode_body, parse_plan_toml, terms_of
from plan.layout import build_layout
from plan.published import noise_rows, step_rows
from plan.record import Record
from protos.bodies import RosterNode, sorted_attributes
from protos.report_payload import ReportPayload, note_of, parse_payload

KEY = bytes(range(32))
SOFTWARE = fake_bytes("software")
CODEBOOK = "c" * 64
CENSUS = date(2026, 9, 5)
LATER = NOW + timedelta(hours=1)

PLAN_TOML = """
format = "fedscreen/plan/v1"
id = "tiny"
title = "小型计划"
purpose = "测试"
recipients = ["县教育局"]
legal_basis = "测试"
consent = "record-only"
wave = "A"
school_year = "2026-2027"
census_date = 2026-09-05
grades = ["7", "8"]
systems = ["6-3"]
rho = "1/5"
[window]
opens = 2026-09-01T00:00:00Z
closes = 2026-10-31T00:00:00Z
[trust]
auditors = 4
threshold = 3
collude = 1
quorum = 3
min_reports = 5
colluding_schools = 1
min_group = 5
[[instruments]]
id = "mht"
digest = "%(codebook)s"
total = [0, 90]
factors = [["learning", "学习焦虑"], ["social", "对人焦虑"]]
[[tables]]
id = "A1"
title = "测评情况"
dims = ["grade", "disposition"]
[[tables]]
id = "A2"
title = "预警等级"
dims = ["grade", "sex", "level"]
where = { disposition = [1, 2] }
"""


def plan_of(**changes: Any) -> PlanDocument:
    """Make the small plan: 46 cells, rho 1/5; `changes` replace fields of the document."""
    document = parse_plan_toml((PLAN_TOML % {"codebook": CODEBOOK}).encode())
    return replace(document, **changes) if changes else document


def pupils(num: int = 30, *, shift: int = 0) -> list[Record]:
    """Make records of tested and untested pupils; another `shift` gives other findings."""
    return [_pupil(number, shift) for number in range(num)]


def _pupil(number: int, shift: int) -> Record:
    base = Record(
        rec_key=fake_bytes(f"pupil {number}", 16),
        grade="7" if number % 2 else "8",
        system="6-3",
        disposition="3",
        sex=str(1 + number % 2),
    )
    if number % 5 == 4:
        return base
    return replace(
        base,
        disposition="1",
        instrument="mht",
        codebook=CODEBOOK,
        rule_version="1",
        administered_on=date(2026, 9, 8),
        level1=str((number + shift) % 4),
    )


class Crash(BaseException):
    """Stands for the process being killed at this point."""


class SchoolHouse:
    """A vault in a folder, enrolled in a federation.

    Attributes:
        now: the hand-moved clock.
        steps: names of all durable writes so far.
        crash_at: the durable write (a position in `steps`) at which to die, or None.
        at_step: by name of a durable write, what somebody else does just then; once.
    """

    def __init__(
        self,
        folder: Path,
        federation: TinyFederation | None = None,
        *,
        node: str = "school-1",
        operator: str = "第一中学",
        floors: dict[str, Any] | None = None,
        county: str = "530101",
        is_enrolled: bool = True,
    ) -> None:
        self.folder = folder
        self.federation = federation or TinyFederation(kind="production")
        self.node = node
        self.now = LATER
        self.steps: list[str] = []
        self.crash_at: int | None = None
        self.at_step: dict[str, Callable[[], object]] = {}
        self.level = "L3"
        self._entropy = itertools.count()
        self.open()
        self.call(
            "init",
            federation=self.federation.federation,
            node=node,
            operator=operator,
            attributes={"county": county},
            floors=floors or {},
        )
        if is_enrolled:
            self.call("accept", card_text=self.federation.card_text)
            self.join()

    def open(self, path: Path | None = None) -> Desk:
        """Open the store (again) and start a new desk on it."""
        self.store = VaultStore(path or self.folder / "vault.db", KEY, durable=self._durable)
        self.desk = Desk(
            self.store,
            entropy=lambda size: fake_bytes(f"{self.node} {next(self._entropy)}", size),
            now=lambda: self.now,
            level=self.level,
            software=SOFTWARE,
        )
        return self.desk

    def _durable(self, step: str) -> None:
        self.steps.append(step)
        self.at_step.pop(step, lambda: None)()
        if self.crash_at is not None and len(self.steps) > self.crash_at:
            self.crash_at = None
            raise Crash(step)

    def restart(self) -> Desk:
        """Close and open again, as after a kill."""
        self.store.close()
        return self.open()

    def call(self, command: str, files: dict[str, bytes] | None = None, /, **fields: Any) -> dict[str, Any]:
        """Give a command; returns its answer without the blobs."""
        return self.desk.handle({"command": command, **fields}, files or {})[0]

    def blob(self, command: str, name: str, /, **fields: Any) -> bytes:
        """Give a command; returns one of its blobs."""
        return self.desk.handle({"command": command, **fields}, {})[1][name]

    @property
    def roster_node(self) -> RosterNode:
        """This node as the coordinator would put it on the roster."""
        identity = self.call("identity")
        return RosterNode(
            self.node,
            identity["operator"],
            parse_vkey(identity["report_key"]),
            bytes.fromhex(identity["master"]),
            sorted_attributes(identity["attributes"]),
            (),
        )

    def join(self) -> None:
        """Log a roster that holds this node."""
        self.federation.roster_nodes = (*self.federation.roster_nodes, self.roster_node)
        self.federation.join()

    def save(self, records: Sequence[Record], *, census_date: date = CENSUS, wave: str = "A") -> None:
        """Store records without going through files."""
        with self.store.transaction("import"):
            save_records(
                self.store,
                records,
                school_year="2026-2027",
                wave=wave,
                census_date=census_date,
                provenance={"files": []},
                now=self.now,
            )

    def publish(self, document: PlanDocument | None = None, **terms: Any) -> bytes:
        """Log a plan with the noise that its layout makes; `terms` override the statement."""
        document = document or plan_of()
        layout, stated = build_layout(document), terms_of(document)
        values: dict[str, Any] = {
            "threshold": stated.threshold,
            "collude": stated.collude,
            "quorum": stated.quorum,
            "min_reports": stated.min_reports,
            "colluding_schools": stated.colluding_schools,
            "min_group": stated.min_group,
            "rho": stated.rho,
            "opens": stated.opens,
            "closes": stated.closes,
            "tiers": stated.tiers,
            "steps": step_rows(layout),
        }
        cells = terms.pop("cells", layout.cells)
        noise = terms.pop("noise", noise_rows(layout))
        body = terms.pop("published_body", encode_body(document))
        return self.federation.publish(body, cells, noise, **(values | terms))

    def sync(self, *, cosigners: Sequence[str] | None = None, now: datetime | None = None) -> None:
        """Hand over the log from its beginning, with a checkpoint cosigned now."""
        page = self.federation.page(0, cosigners, now or self.now)
        self.desk.on_log(page.start, list(page.entries), page.latest, page.cosigned)

    def start_round(self, document: PlanDocument | None = None, **terms: Any) -> bytes:
        """Publish, approve, hand over the log, import pupils: ready to release."""
        round_id = self.publish(document, **terms)
        self.federation.approve(round_id)
        self.sync()
        self.save(pupils())
        return round_id

    def release(self, round_id: bytes) -> dict[str, Any]:
        """Release a round."""
        return self.call("release", round=round_id.hex(), by="李校长")

    def submit(self) -> bytes:
        """Do the coordinator's part with what waits: log it; returns the immediate receipt."""
        payload = self.desk.outgoing()
        if payload is None:
            raise LookupError("nothing waits")
        federation = self.federation
        entry = note_of(payload)
        if entry not in [known for known, _ in federation.entries]:
            federation.ledger.append(entry, b"")
            federation.entries.append((entry, b""))
        index = [known for known, _ in federation.entries].index(entry)
        hashes = inclusion_proof(federation.ledger.leaves, index, federation.ledger.size)
        return encode_proof(TlogProof(index, hashes, federation.checkpoint()))

    def payload(self, round_id: bytes) -> ReportPayload:
        """Take the waiting payload apart."""
        data = self.desk.outgoing()
        if data is None:
            raise LookupError("nothing waits")
        round_log = self.federation.round(round_id)
        return parse_payload(data, round_log.terms.num_elements, round_log.box_bytes, round_log.num_auditors)


def utc(year: int, month: int, day: int, hour: int = 0) -> datetime:
    """Make a UTC time."""
    return datetime(year, month, day, hour, tzinfo=UTC)
