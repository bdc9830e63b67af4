"""The county's side of the demo: coordinator and auditors, set up by the same calls as their commands.

Order:

1. `create`: the coordinator's folder and each auditor's keys; requests, grants, the federation card,
   each auditor joins with the card's fingerprint.
2. `start`: the coordinator's server and one watching process an auditor.
3. `sign_rosters`: genesis by all; later rosters by as many as are needed.
4. `publish`: the plan under the roster in force; `approve`: every auditor of it.

Folders below the demo's: `coordinator/`, `auditors/<id>/`.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from auditor.config import AuditorConfig, AuditorFolder
from auditor.enrol import create_auditor, join, make_request
from auditor.watch import connected_desk
from coordinator.config import Config
from coordinator.desk import Desk
from coordinator.home import create_home
from crypto.errors import ParameterError
from crypto.replication import validate_parameters
from fedscreen.demo.errors import DemoError
from fedscreen.demo.processes import Processes
from plan.document import PlanDocument
from plan.errors import phrase
from protos.card import fingerprint, parse_card

FEDERATION = "demo-county"
START_TIMEOUT_S = 60.0
WINDOW = timedelta(days=30)
OUTSIDE_FROM = 3  # auditors a3, a4 … stand outside the county's own line


def demo_tuple(auditors: int, threshold: int) -> tuple[int, int, int, int]:
    """Choose (n, t, f, q) for a number of auditors and openers: the largest f that is safe.

    Raises:
        DemoError: no f makes these numbers safe.
    """
    for collude in range(threshold - 1, -1, -1):
        quorum = max(threshold, (auditors + collude) // 2 + 1)
        with suppress(ParameterError):
            validate_parameters(auditors, threshold, collude, quorum)
            return auditors, threshold, collude, quorum
    fits = [str(number) for number in range(1, auditors + 1) if 2 * number > auditors]
    raise DemoError(
        phrase(
            "%(threshold)s of %(auditors)s auditors are no safe --threshold; choose one of %(fits)s",
            threshold=threshold,
            auditors=auditors,
            fits=", ".join(fits),
        )
    )


@dataclass(frozen=True, slots=True)
class Federation:
    """Coordinator and auditors of one demo.

    Attributes:
        root: folder of the demo's parties.
        port: of the coordinator, on the loopback interface.
        tuple_: (n, t, f, q).
        poll_s: pause of every party between two looks.
    """

    root: Path
    port: int
    tuple_: tuple[int, int, int, int]
    poll_s: float

    @property
    def coordinator_folder(self) -> Path:
        """The coordinator's folder."""
        return self.root / "coordinator"

    @property
    def auditor_ids(self) -> list[str]:
        """Ids of the auditors."""
        return [f"a{number}" for number in range(1, self.tuple_[0] + 1)]

    def auditor_folder(self, auditor_id: str) -> AuditorFolder:
        """One auditor's folder."""
        return AuditorFolder(self.root / "auditors" / auditor_id)

    def create(self, server_name: str = "coordinator.fedscreen.internal") -> None:
        """Make everybody's keys, enrol the auditors, draft the genesis roster."""
        config = Config(
            federation=FEDERATION,
            kind="demo",
            listen=f"127.0.0.1:{self.port}",
            server_name=server_name,
            quorum=self.tuple_[3],
            tuples=(self.tuple_,),
            tick_s=self.poll_s,
            check_grace_s=10 * self.poll_s,
            open_grace_s=10 * self.poll_s,
        )
        create_home(self.coordinator_folder, config, datetime.now(UTC), secrets.token_bytes)
        desk = Desk(self.coordinator_folder)
        requests = {auditor_id: self._request(auditor_id) for auditor_id in self.auditor_ids}
        for request in requests.values():
            desk.approve_request(request)
        desk.propose_roster()
        line = fingerprint(desk.card_text())
        for auditor_id, request in requests.items():
            join(self.auditor_folder(auditor_id), desk.approve_request(request), line)
        desk.close()

    def _request(self, auditor_id: str) -> bytes:
        folder = self.auditor_folder(auditor_id)
        config = AuditorConfig(
            federation=FEDERATION,
            id=auditor_id,
            operator=f"auditor {auditor_id}",
            is_outside=int(auditor_id[1:]) >= OUTSIDE_FROM,
            poll_s=self.poll_s,
        )
        create_auditor(folder, config)
        return make_request(folder)

    def card_text(self) -> str:
        """The federation card."""
        return self.auditor_folder(self.auditor_ids[0]).card.read_text("utf-8")

    def start(self, processes: Processes) -> None:
        """Start the coordinator's server and every auditor's watch."""
        started = processes.start(
            "coordinator", ["coordinator", "serve", "--dir", str(self.coordinator_folder)]
        )
        processes.wait_until(lambda: started.log_path.stat().st_size > 0, "coordinator", START_TIMEOUT_S)
        self.sign_rosters()
        for auditor_id in self.auditor_ids:
            self.start_auditor(processes, auditor_id)

    def start_auditor(self, processes: Processes, auditor_id: str) -> None:
        """Start (again) one auditor's watch."""
        folder = str(self.auditor_folder(auditor_id).root)
        processes.start(f"auditor-{auditor_id}", ["auditor", "watch", "--dir", folder])

    def sign_rosters(self) -> None:
        """Sign what waits, auditor by auditor, until it is logged."""
        for auditor_id in self.auditor_ids:
            with connected_desk(self.auditor_folder(auditor_id)) as desk:
                waiting = desk.list_rosters()
                if [desk.sign_roster(review.digest) for review in waiting] == [True] * len(waiting) != []:
                    return

    def enrol_nodes(self, requests: Sequence[bytes]) -> list[bytes]:
        """Approve the schools' requests, have the roster signed; returns the grants."""
        desk = Desk(self.coordinator_folder)
        try:
            grants = [desk.approve_request(request) for request in requests]
            desk.propose_roster()
        finally:
            desk.close()
        self.sign_rosters()
        return grants

    def publish(self, draft: PlanDocument) -> bytes:
        """Publish a plan under this demo's tuple, open from now on; returns the round id."""
        n, t, f, q = self.tuple_
        now = datetime.now(UTC).replace(microsecond=0)
        document = replace(
            draft,
            num_auditors=n,
            threshold=t,
            collude=f,
            quorum=q,
            opens=now - timedelta(minutes=1),
            closes=now + WINDOW,
        )
        desk = Desk(self.coordinator_folder)
        try:
            return desk.publish_plan(document)
        finally:
            desk.close()

    def approve(self, round_id: bytes) -> None:
        """Let every auditor of the plan approve it."""
        for auditor_id in self.auditor_ids:
            with connected_desk(self.auditor_folder(auditor_id)) as desk:
                desk.approve(round_id)

    def kind(self) -> str:
        """The federation's kind, as pinned."""
        return parse_card(self.card_text()).kind
