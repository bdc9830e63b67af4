"""A county of real processes whose steps a test takes one by one, and whose processes it kills.

    with county(root) as running:
        round_id = running.start_round()
        running.kill("coordinator")
        running.release("s01", round_id)
        running.start("coordinator")
        running.wait_released(round_id)
        running.verify(...)

Names of processes: `coordinator`, `auditor-a1` …, `node-s01` … (a node's supervisor).
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from process_list import Process, descendants, identify, wait_for, wait_gone

from auditor.bundle_write import write_bundle
from auditor.enrol import load_policy
from auditor.verify.outcome import Verdict
from auditor.verify.run import verify_bundle
from auditor.watch import connected_desk
from coordinator.desk import Desk
from fedscreen.demo.county import make_county
from fedscreen.demo.federation import FEDERATION, Federation
from fedscreen.demo.processes import Processes, child_environ, free_port
from fedscreen.demo.run import Options, demo_plan, import_context, school_year
from fedscreen.demo.school_files import write_school
from fedscreen.demo.schools import DemoSchool, prepare_school
from fedscreen.demo.truth import truth_of
from plan.document import PlanDocument
from plan.layout import build_layout
from protos.ledger import Ledger, RoundLog

POLL_S = 0.1
BY = "校长"
KILL = signal.SIGKILL


@dataclass
class CountyProcesses:
    """Coordinator, four auditors and some nodes, each in processes of its own.

    Attributes:
        root: folder of everything.
        federation: coordinator and auditors.
        processes: what runs.
        nodes: the schools by id, each with a command vault of its own.
        plan: what every round asks for, but for the census day.
        desk: the coordinator's database, read here beside the server.
        kills: what was killed so far, in order.
    """

    root: Path
    federation: Federation
    processes: Processes
    nodes: dict[str, DemoSchool]
    plan: PlanDocument
    desk: Desk
    kills: list[str] = field(default_factory=list)

    # -- steps of a round ---------------------------------------------------------------------

    def start_round(self, census_in_days: int = 0) -> bytes:
        """Publish the plan, have all approve it, import for its census day, wait until every node can report.

        No auditor approves a second plan that counts the same pupils on the same day.
        """
        plan = replace(self.plan, census_date=self.plan.census_date + timedelta(days=census_in_days))
        round_id = self.federation.publish(plan)
        self.federation.approve(round_id)
        for node in self.nodes.values():
            node.import_files(plan)
        for node in self.nodes.values():
            wait_for(f"{node.id} has read the round", partial(node.knows, round_id))
        return round_id

    def release(self, node_id: str, round_id: bytes) -> dict[str, Any]:
        """Preview and release one school's report."""
        return self.nodes[node_id].release(round_id, BY)

    def status(self, round_id: bytes) -> dict[str, Any]:
        """What `coordinator round status` says."""
        return dict(self.desk.round_status(round_id))

    def wait_reported(self, round_id: bytes, *node_ids: str) -> None:
        """Wait until these schools' reports are in the log."""
        wait_for(
            f"reports of {node_ids}", lambda: set(node_ids) <= set(self.status(round_id)["reported"]), 60
        )

    def wait_for_auditors(self, round_id: bytes, reason: str, *missing: str) -> None:
        """Wait until the round waits for exactly these auditors, for this reason."""

        def is_so() -> bool:
            found = self.status(round_id)
            return (found["reason"], tuple(found["waiting_for"])) == (reason, missing)

        wait_for(f"{reason} of {missing}", is_so, 60)

    def wait_stated(self, round_id: bytes, auditor_id: str, statement: str) -> None:
        """Wait until an auditor's statement is in the log."""
        wait_for(
            f"{auditor_id}'s {statement}",
            lambda: statement in self.status(round_id)["auditors"][auditor_id],
            60,
        )

    def wait_released(self, round_id: bytes) -> dict[str, Any]:
        """Wait until the round is over; give its status."""
        wait_for("the round is over", lambda: self.status(round_id)["is_over"], 90)
        return self.status(round_id)

    # -- killing and starting -----------------------------------------------------------------

    def kill(self, name: str) -> None:
        """Kill -9 a process of this county; what it started must end with it."""
        running = self.processes.running.pop(name)
        family = descendants(running.process.pid)
        running.process.kill()
        running.process.wait()
        wait_gone(family)
        self.kills.append(name.partition("-")[0].replace("node", "supervisor"))

    def freeze(self, name: str) -> None:
        """Stop a process where it stands (SIGSTOP)."""
        self.processes.running[name].process.send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let a frozen process go on."""
        self.processes.running[name].process.send_signal(signal.SIGCONT)

    def stop(self, name: str) -> None:
        """Stop a process in the ordinary way."""
        self.processes.stop(name)

    def start(self, name: str) -> None:
        """Start a process again."""
        kind, _, party = name.partition("-")
        if kind == "coordinator":
            folder = str(self.federation.coordinator_folder)
            started = self.processes.start(name, ["coordinator", "serve", "--dir", folder])
            size = started.log_path.stat().st_size
            wait_for("coordinator serves", lambda: started.log_path.stat().st_size > size)
        elif kind == "auditor":
            self.federation.start_auditor(self.processes, party)
        else:
            self.nodes[party].start(self.processes)

    def side(self, node_id: str, side: str) -> Process:
        """The running vault or egress of a node."""
        path = self.nodes[node_id].folder.running

        def look() -> Process | None:
            try:
                values = json.loads(path.read_text("utf-8"))
            except (OSError, ValueError):
                return None
            return identify(values[side]["pid"]) if values[side]["pid"] else None

        return wait_for(f"{node_id}'s {side} runs", look, 60)

    def kill_side(self, node_id: str, side: str) -> None:
        """Kill -9 a node's vault or egress; its supervisor starts another one."""
        before = self.side(node_id, side)
        os.kill(before.pid, KILL)
        wait_gone([before])
        wait_for(f"a new {side}", lambda: self.side(node_id, side) != before, 60)
        self.kills.append(side)

    # -- what came out ------------------------------------------------------------------------

    def ledger(self) -> Ledger:
        """The log as an outsider reads it, every signature and rule checked anew."""
        with connected_desk(self.federation.auditor_folder("a1")) as desk:
            desk.sync()
            return desk.context.ledger

    def round(self, round_id: bytes) -> RoundLog:
        """One round of it."""
        return self.ledger().rounds[round_id]

    def verify(self, folder: Path, auditor_id: str = "a1") -> Verdict:
        """Write an auditor's bundle into a new folder, once all is cosigned, and verify it."""
        auditor = self.federation.auditor_folder(auditor_id)
        with connected_desk(auditor) as desk:

            def is_cosigned() -> bool:
                desk.sync()
                return desk.mirror.cosigned_size == desk.context.ledger.size

            wait_for("everything is cosigned", is_cosigned)
            write_bundle(desk.context, folder)
        return verify_bundle(folder, load_policy(auditor.policy))

    def receipts(self, round_id: bytes) -> dict[str, bytes]:
        """Every school's proof under a quorum's cosignatures."""
        return {
            node.id: wait_for(f"{node.id}'s receipt", partial(node.receipt, round_id))
            for node in self.nodes.values()
        }

    def truth(self) -> np.ndarray[Any, Any]:
        """The exact cells of all schools' files."""
        nodes = list(self.nodes.values())
        contexts = [import_context(self.plan, node.school) for node in nodes]
        return truth_of([node.files for node in nodes], build_layout(self.plan), contexts)


@contextmanager
def county(
    root: Path, schools: int = 5, pupils: int = 60, offline: Collection[str] = ()
) -> Iterator[CountyProcesses]:
    """Run a county whose schools are enrolled; everything ends with it. `offline` nodes never run."""
    today = datetime.now(UTC).date()
    made = make_county(schools, pupils, 1, school_year(today))
    plan = demo_plan(made, Options(root, schools=schools), today)
    federation = Federation(root, free_port(), (4, 3, 1, 3), POLL_S)
    with ThreadPoolExecutor(2) as pool, ExitStack() as stack:
        processes = stack.enter_context(Processes(root / "logs", child_environ()))

        def enter(school: Any) -> tuple[DemoSchool, bytes]:
            write_school(school, root / "schools" / school.id)
            node = prepare_school(root, root / "schools", school, FEDERATION, POLL_S)
            stack.callback(node.close)
            node.open()
            return node, node.request({})

        entering = [pool.submit(enter, school) for school in made]
        federation.create()
        federation.start(processes)
        entered = [future.result() for future in entering]
        for (node, _request), grant in zip(
            entered, federation.enrol_nodes([request for _node, request in entered]), strict=True
        ):
            node.accept(grant)
            if node.id not in offline:
                node.start(processes)
        desk = Desk(federation.coordinator_folder)
        stack.callback(desk.close)
        yield CountyProcesses(
            root, federation, processes, {node.id: node for node, _request in entered}, plan, desk
        )
