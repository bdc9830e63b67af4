"""A whole county in one process: three real cores, real cryptography, no network, a switch for every fault.

`CountySimulator` opens one coordinator desk, auditors' desks and nodes' desks on folders, moves one
clock by hand, and lets them work in turn until nothing changes. Faults:

- `crash_at(party, step)`: the party dies at its n-th durable write and is opened anew on its folder;
- `absent`: parties that do not work and do not answer;
- `drop_every`: of n calls to the coordinator one is answered and the answer lost, at repeatable random
  (every n-th would meet the same call of everybody's fixed order again and again);
- a test may also replace a desk by one that lies.
"""

from __future__ import annotations

import random
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from fakes_vault import plan_of, pupils

from auditor.config import AuditorConfig, AuditorFolder
from auditor.desk import Desk as AuditorDesk
from auditor.errors import LinkError
from auditor.keys import certificate_request, create_keys, load_keys
from auditor.policy import default_policy, parse_auditor_policy
from coordinator.config import Config
from coordinator.desk import Desk as CoordinatorDesk
from coordinator.errors import CoordinatorError
from coordinator.home import create_home
from node.vault.desk import Desk as VaultDesk
from node.vault.errors import MirrorError as NodeMirrorError
from node.vault.records import save_records
from node.vault.store import VaultStore
from plan.document import PlanDocument
from plan.record import Record
from protos.bodies import TableSums, parse_release_body
from protos.card import parse_card
from protos.convert import LogPage, Proposal
from protos.enrolment import Request, sign_request
from protos.ledger import Ledger
from protos.round_log import RoundLog, RoundState

FEDERATION = "county-1"
START = datetime(2026, 9, 10, 8, 0, tzinfo=UTC)
MAX_PASSES = 60
VAULT_KEY = bytes(range(32))
P = TypeVar("P")


class Crash(BaseException):
    """The process of a party is killed at this point."""

    def __init__(self, party: str, step: str) -> None:
        super().__init__(f"{party} at {step}")
        self.party = party


@dataclass
class Faults:
    """Counts the durable writes of each party and kills one at a chosen one."""

    steps: dict[str, list[str]] = field(default_factory=dict)
    crash_party: str = ""
    crash_step: int = -1
    num_crashes: int = 0

    def hook(self, party: str) -> Callable[[str], None]:
        """Make the `durable` hook of a party."""

        def durable(step: str) -> None:
            done = self.steps.setdefault(party, [])
            done.append(step)
            if party == self.crash_party and len(done) - 1 == self.crash_step:
                self.num_crashes += 1
                raise Crash(party, step)

        return durable


class Link:
    """One auditor's calls to the coordinator in the same process."""

    def __init__(self, county: CountySimulator, auditor_id: str) -> None:
        self._county = county
        self._id = auditor_id

    def _call(self, name: str, *arguments: Any) -> Any:
        return self._county.call_coordinator(name, *arguments)

    def get_log(self, start: int, max_entries: int) -> LogPage:
        return self._call("get_log", start, max_entries)  # type: ignore[no-any-return]

    def list_proposals(self) -> Sequence[Proposal]:
        return self._call("list_proposals", self._id)  # type: ignore[no-any-return]

    def sign_roster(self, digest: bytes, line: str) -> bool:
        return self._call("sign_roster", self._id, digest, line)  # type: ignore[no-any-return]

    def submit_cosignature(self, size: int, line: str) -> None:
        self._call("submit_cosignature", self._id, size, line)

    def submit_statement(self, entry: bytes, body: bytes) -> int:
        return self._call("submit_statement", self._id, entry, body)  # type: ignore[no-any-return]

    def submit_opening(self, entry: bytes, sums: Sequence[bytes]) -> int:
        return self._call("submit_opening", self._id, entry, sums)  # type: ignore[no-any-return]

    def get_boxes(self, round_id: bytes) -> Iterable[tuple[bytes, bytes]]:
        return list(self._call("get_boxes", self._id, round_id))

    def get_vectors(self, round_id: bytes) -> Iterable[tuple[bytes, bytes]]:
        return list(self._call("get_vectors", self._id, round_id))

    def get_sums(self, round_id: bytes) -> Iterable[tuple[str, int, bytes]]:
        return list(self._call("get_sums", round_id))


@cache
def _tls_key(_name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def tls_request(name: str) -> str:
    """Make a CSR for a party without a TLS key of its own; the same key for the same party."""
    key = _tls_key(name)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


class Parties(dict[str, P]):
    """Desks or stores by id, each opened when it is first asked for."""

    def __init__(self, ids: Sequence[str], open_one: Callable[[str], None]) -> None:
        super().__init__()
        self._ids = ids
        self._open_one = open_one

    def __missing__(self, party: str) -> P:
        if party not in self._ids:
            raise KeyError(party)
        self._open_one(party)
        return self[party]

    def values(self) -> list[P]:  # type: ignore[override]
        """All of them, in the order of their ids."""
        return [self[party] for party in self._ids]


class CountySimulator:
    """Coordinator, auditors and nodes on folders below `root`."""

    def __init__(
        self,
        root: Path,
        *,
        schools: int = 6,
        auditors: int = 4,
        tuple_: tuple[int, int, int, int] = (4, 3, 1, 3),
        quorum: int = 3,
    ) -> None:
        """Make and enrol everybody, honest and without faults."""
        self.root = root
        self.now = START
        self.faults = Faults()
        self.absent: set[str] = set()
        self.drop_every = 0
        self.losses = random.Random(1)
        self.served: dict[str, int] = {}
        self.tuple_ = tuple_
        self.node_ids = [f"s{number:02d}" for number in range(1, schools + 1)]
        self.auditor_ids = [f"a{number}" for number in range(1, auditors + 1)]
        self.nodes: Parties[VaultDesk] = Parties(self.node_ids, self.open_node)
        self.stores: Parties[VaultStore] = Parties(self.node_ids, self.open_node)
        self.auditors: Parties[AuditorDesk] = Parties(self.auditor_ids, self.open_auditor)
        self.records: dict[str, list[Record]] = {}
        config = Config(
            federation=FEDERATION,
            kind="production",
            quorum=quorum,
            tuples=(tuple_,),
            check_grace_s=60.0,
            open_grace_s=60.0,
        )
        create_home(root / "coordinator", config, START, secrets.token_bytes)
        self.open_coordinator()
        self._enrol()

    # -- opening and closing ------------------------------------------------------------------

    @classmethod
    def reopen(cls, root: Path, source: CountySimulator, *, when_needed: bool = False) -> CountySimulator:
        """Open a copy of the folders as new processes would: all of them at once, or each when needed."""
        county = cls.__new__(cls)
        county.__dict__.update(source.__dict__)
        county.root, county.faults = root, Faults()
        county.absent, county.losses = set(), random.Random(1)
        county.records, county.served = dict(source.records), {}
        county.nodes = Parties(county.node_ids, county.open_node)
        county.stores = Parties(county.node_ids, county.open_node)
        county.auditors = Parties(county.auditor_ids, county.open_auditor)
        county.open_coordinator()
        if not when_needed:
            county.nodes.values()
            county.auditors.values()
        return county

    def copy_to(self, root: Path) -> CountySimulator:
        """Close everything, copy the folders, open the copy; this county stays closed."""
        self.close()
        shutil.copytree(self.root, root)
        return CountySimulator.reopen(root, self)

    def close(self) -> None:
        """Close all files."""
        self.coordinator.close()
        for store in dict.values(self.stores):
            store.close()

    def open_coordinator(self) -> None:
        """Start the coordinator on its folder."""
        self.coordinator = CoordinatorDesk(
            self.root / "coordinator",
            now=lambda: self.now,
            entropy=secrets.token_bytes,
            durable=self.faults.hook("coordinator"),
        )

    def open_auditor(self, auditor_id: str) -> None:
        """Start an auditor on its folder."""
        folder = AuditorFolder(self.root / auditor_id)
        config = AuditorConfig(federation=FEDERATION, id=auditor_id, operator=f"operator {auditor_id}")
        card = parse_card(self.card_text)
        self.auditors[auditor_id] = AuditorDesk(
            folder.root,
            config=config,
            keys=load_keys(folder, config),
            card=card,
            policy=parse_auditor_policy(self.policy_text),
            link=Link(self, auditor_id),
            now=lambda: self.now,
            entropy=secrets.token_bytes,
            durable=self.faults.hook(auditor_id),
        )

    def open_node(self, node_id: str) -> None:
        """Start a vault on its folder."""
        folder = self.root / node_id
        folder.mkdir(exist_ok=True)
        store = VaultStore(folder / "vault.db", VAULT_KEY, durable=self.faults.hook(node_id))
        self.stores[node_id] = store
        self.nodes[node_id] = VaultDesk(
            store, entropy=secrets.token_bytes, now=lambda: self.now, level="L3", software=bytes(32)
        )

    def restart(self, party: str) -> None:
        """Open a party anew after its process was killed."""
        if party == "coordinator":
            self.coordinator.close()
            self.open_coordinator()
        elif party in self.auditor_ids:
            self.auditors.pop(party, None)
            self.open_auditor(party)
        else:
            if party in self.stores:
                self.stores[party].close()
            self.open_node(party)

    # -- enrolment ----------------------------------------------------------------------------

    def _enrol(self) -> None:
        for auditor_id in self.auditor_ids:
            self.coordinator.approve_request(self._auditor_request(auditor_id))
        genesis = self.coordinator.propose_roster()
        self.card_text = self.coordinator.card_text()
        self.policy_text = default_policy(parse_card(self.card_text))
        for auditor_id in self.auditor_ids:
            self.open_auditor(auditor_id)
            self.auditors[auditor_id].sign_roster(genesis)
        for node_id in self.node_ids:
            self.open_node(node_id)
            self._enrol_node(node_id)
        roster = self.coordinator.propose_roster()
        for auditor_id in self.auditor_ids:
            self.auditors[auditor_id].step()
            if self.auditors[auditor_id].sign_roster(roster):
                break  # a quorum has signed: it is logged
        for auditor in self.auditors.values():
            auditor.step()

    def _auditor_request(self, auditor_id: str) -> bytes:
        folder = AuditorFolder(self.root / auditor_id)
        config = AuditorConfig(federation=FEDERATION, id=auditor_id, operator=f"operator {auditor_id}")
        keys = create_keys(folder, config)
        request = Request(
            role="auditor",
            federation=FEDERATION,
            id=auditor_id,
            operator=config.operator,
            attributes=(),
            key=keys.statement.verifier,
            cosigner=keys.cosigner.verifier,
            master=None,
            csr_pem=certificate_request(folder, config),
        )
        return sign_request(request, keys.statement)

    def init_fields(self, node_id: str) -> dict[str, object]:
        """Say who a school is: operator and public attributes."""
        attributes = {"county": "530101"}
        operator = f"school {node_id}"
        return {"federation": FEDERATION, "node": node_id, "operator": operator, "attributes": attributes}

    def _enrol_node(self, node_id: str) -> None:
        desk = self.nodes[node_id]
        desk.handle({"command": "init", **self.init_fields(node_id)}, {})
        _, blobs = desk.handle({"command": "request", "csr": tls_request(node_id)}, {})
        self.coordinator.approve_request(blobs["request"])
        desk.handle({"command": "accept", "card_text": self.card_text}, {})

    # -- a round ------------------------------------------------------------------------------

    def publish(self, document: PlanDocument | None = None) -> bytes:
        """Publish a plan; by default the small one, for five reports."""
        n, t, f, q = self.tuple_
        values = {"num_auditors": n, "threshold": t, "collude": f, "quorum": q, "min_group": 5}
        if document is None:
            document = plan_of(**values)
        return self.coordinator.publish_plan(document)

    def import_pupils(
        self, node_id: str, records: list[Record], *, wave: str = "A", census_date: date = date(2026, 9, 5)
    ) -> None:
        """Store records in a vault without going through files."""
        store = self.stores[node_id]
        self.records[node_id] = records
        with store.transaction("import"):
            save_records(
                store,
                records,
                school_year="2026-2027",
                wave=wave,
                census_date=census_date,
                provenance={"files": []},
                now=self.now,
            )

    def start_round(self, document: PlanDocument | None = None) -> bytes:
        """Publish and approve a plan, give every school pupils, hand out the log."""
        round_id = self.publish(document)
        for auditor in self.auditors.values():
            auditor.approve(round_id)
        self.work()
        self.import_all()
        return round_id

    def import_all(self) -> None:
        """Give every school pupils, to each its own findings."""
        for number, node_id in enumerate(self.node_ids):
            self.import_pupils(node_id, pupils(20 + 3 * number, shift=number))

    def release(self, node_id: str, round_id: bytes) -> None:
        """Release one school's report."""
        self.nodes[node_id].handle({"command": "release", "round": round_id.hex(), "by": "校长"}, {})

    # -- letting everybody work ---------------------------------------------------------------

    def call_coordinator(self, name: str, *arguments: Any) -> Any:
        """Call the coordinator for another party; a crash of it looks like a lost connection there."""
        if "coordinator" in self.absent:
            raise LinkError("unavailable", "the coordinator does not answer", is_temporary=True)
        try:
            answer = getattr(self.coordinator, name)(*arguments)
            if isinstance(answer, Iterator):
                answer = list(answer)
        except Crash as crash:
            if crash.party != "coordinator":
                raise
            self.restart("coordinator")
            raise LinkError("unavailable", "the coordinator was killed", is_temporary=True) from crash
        except CoordinatorError as err:
            raise LinkError(err.code, str(err), is_temporary=False) from err
        if self.drop_every and self.losses.randrange(self.drop_every) == 0:
            raise LinkError("unavailable", "the answer was lost", is_temporary=True)
        return answer

    def _guarded(self, party: str, task: Callable[[], object]) -> object:
        """Run a party's work; a crash restarts it, a lost call is tried again in the next pass."""
        if party in self.absent:
            return None
        try:
            return task()
        except Crash as crash:
            self.restart(crash.party)
        except LinkError:
            pass
        return None

    def serve_node(self, node_id: str) -> None:
        """Do what a node's egress does: hand over the log, submit what waits, hand over the receipt."""
        desk, start = self.nodes[node_id], self.served.get(node_id, 0)
        page = self.call_coordinator("get_log", start, 10_000)
        try:
            desk.on_log(page.start, list(page.entries), page.latest, page.cosigned)
        except NodeMirrorError:
            if start == 0:
                raise
            self.served[node_id] = 0  # it has less than it had, or something else: once more from the start
            self.serve_node(node_id)
            return
        self.served[node_id] = start + len(page.entries)
        payload = desk.outgoing()
        if payload is not None:
            desk.on_receipt(self.call_coordinator("submit_report", node_id, payload))

    def one_pass(self) -> None:
        """Let everybody work once, and a second go by."""
        self._guarded("coordinator", lambda: self.coordinator.tick())  # noqa: PLW0108
        for node_id in self.node_ids:
            self._guarded(node_id, lambda name=node_id: self.serve_node(name))  # type: ignore[misc]
        for auditor_id in self.auditor_ids:
            self._guarded(auditor_id, lambda name=auditor_id: self.auditors[name].step())  # type: ignore[misc]
        self.now += timedelta(seconds=1)

    def work(self, until: Callable[[], bool] | None = None, max_passes: int = MAX_PASSES) -> bool:
        """Let everybody work until a condition holds, or until nothing changes any more."""
        quiet = 0
        for _ in range(max_passes):
            if until is not None and until():
                return True
            before = self._fingerprint() if until is None else ()
            self.one_pass()
            quiet = quiet + 1 if until is None and self._fingerprint() == before else 0
            if quiet >= 2:
                return True
        return until() if until is not None else False

    def _fingerprint(self) -> tuple[object, ...]:
        page = self.coordinator.get_log(0, 1)
        return page.latest, page.cosigned, self.faults.num_crashes

    # -- looking ------------------------------------------------------------------------------

    def ledger(self) -> Ledger:
        """Read the coordinator's log as an outsider would, checking everything."""
        ledger = Ledger(parse_card(self.card_text))
        while True:
            page = self.coordinator.get_log(ledger.size, 10_000)
            for entry, body in page.entries:
                ledger.append(entry, body)
            if not page.entries:
                break
        if page.cosigned:
            ledger.verify_checkpoint(page.cosigned)
        return ledger

    def round(self, round_id: bytes) -> RoundLog:
        """Read a round from the log."""
        return self.ledger().rounds[round_id]

    def is_state(self, round_id: bytes, state: RoundState) -> Callable[[], bool]:
        """Make a condition for `work`: the round is in this state."""

        def holds() -> bool:
            with suppress(CoordinatorError):
                return bool(self.coordinator.round_status(round_id)["state"] == state.value)
            return False

        return holds

    def released_tables(self, round_id: bytes) -> tuple[TableSums, ...]:
        """The tables of a released round."""
        release = self.round(round_id).release
        if release is None:
            raise LookupError("not released")
        return parse_release_body(release.body)
