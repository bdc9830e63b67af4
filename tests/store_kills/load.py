"""Two coordinators on one PostgreSQL, killed or cut off from it while schools report.

What must come out: every acknowledged report in the log once, at the place that its receipt names; no school
that was refused or not answered; one close, one opening of each auditor, one release, with the sum of the
schools' tables; both published folders following from their checkpoints.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from store_kills.parties import Caller, Counts, report_of, requests_of, truth_of

from bench.postgres_server import PostgresServer
from bench.served_county import client_credentials, make_county, node_name
from coordinator import ca
from coordinator.desk import Desk
from coordinator.fsck import fsck
from coordinator.home import load_home
from crypto.tlog_proof import parse_proof
from fedscreen.demo.processes import free_port
from protos import fedscreen_v1_pb2 as pb
from protos import fedscreen_v1_pb2_grpc as stubs
from protos.bodies import parse_release_body
from protos.card import parse_card
from protos.ledger import Ledger
from protos.round_log import RoundLog

ROOT = Path(__file__).resolve().parents[2]
CELLS = 1_010
START_S = 60.0
THREADS = 8
TICK_S = 0.2
STEPS = ("checked", "agreement", "opening")


@dataclass
class Coordinator:
    """One coordinator process on its own folder; `kill` and `start` as often as wanted."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start `fedscreen coordinator serve`, and wait until it takes calls."""
        words = [
            sys.executable,
            "-m",
            "fedscreen",
            "coordinator",
            "serve",
            "--dir",
            str(self.folder),
            "--json",
        ]
        with self.folder.with_suffix(".log").open("ab") as log:
            self.process = subprocess.Popen(
                [*words, "--listen", f"127.0.0.1:{self.port}"], cwd=ROOT, stdout=subprocess.PIPE, stderr=log
            )
        line = self.process.stdout.readline() if self.process.stdout else b""
        if b"ready" not in line:
            raise RuntimeError(f"{self.folder.name} did not start: {line!r}")

    def kill(self) -> None:
        """End it as a power cut does."""
        self.end(signal.SIGKILL)

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal and wait."""
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(START_S)
            if self.process.stdout:
                self.process.stdout.close()
            self.process = None


@dataclass
class Result:
    """What a run has shown."""

    name: str
    reports: int
    disturbances: int = 0
    counts: Counts = field(default_factory=Counts)
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def line(self) -> str:
        """Say it in one line."""
        split = " + ".join(str(count) for _, count in sorted(self.counts.by_port.items()))
        return (
            f"{self.name}: {self.reports} reports, {self.disturbances} disturbances,"
            f" {self.counts.acknowledged} answers ({split}), {self.counts.retries} tries again,"
            f" longest {self.counts.longest_s:.1f} s, {len(self.counts.failures)} failures,"
            f" {len(self.problems)} problems, {self.seconds:.0f} s"
        )


class Run:
    """One county under load.

    Args:
        folder: empty; gets both coordinators' folders.
        server: a PostgreSQL.
        num_reports: schools.
    """

    def __init__(self, folder: Path, server: PostgresServer, num_reports: int, name: str) -> None:
        self.server = server
        self.result = Result(name, num_reports)
        self.names = [node_name(place) for place in range(num_reports)]
        self.round_id = make_county(
            folder / "a", num_reports, CELLS, tick_s=TICK_S, database=server.database()
        )
        self._copy_folder(folder / "a", folder / "b")
        self.coordinators = [Coordinator(folder / name, free_port()) for name in ("a", "b")]
        self.home = load_home(folder / "a")
        self._tls_key = ca.new_key()
        self._receipts: dict[str, bytes] = {}

    @staticmethod
    def _copy_folder(source: Path, target: Path) -> None:
        """Give the second machine what the guide says: configuration, keys, CA; no log of its own."""
        target.mkdir()
        for name in ("coordinator.toml", "ca.pem"):
            shutil.copy2(source / name, target / name)
        shutil.copytree(source / "keys", target / "keys")
        (target / "log").mkdir()

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Run both coordinators."""
        with ExitStack() as stack:
            for coordinator in self.coordinators:
                coordinator.start()
                stack.callback(coordinator.end)
            yield

    # -- load ---------------------------------------------------------------------------------

    def report_all(self, disturb: Callable[[int], None], times: int) -> None:
        """Have every school report once, and disturb `times` times, evenly spread."""
        round_log = self.round_log()
        disturber = threading.Thread(target=self._disturb, args=(disturb, times))
        disturber.start()
        with ThreadPoolExecutor(THREADS) as pool:
            for _ in pool.map(lambda place: self._report(round_log, place), range(len(self.names))):
                pass
        disturber.join()

    def _disturb(self, disturb: Callable[[int], None], times: int) -> None:
        """Wait for a share of the answers, then act; every act happens while reports come in."""
        share = len(self.names) / (times + 1)
        for number in range(times):
            while self.result.counts.acknowledged < share * (number + 1):
                if self.result.counts.failures:
                    return
                time.sleep(0.01)
            disturb(number)
            self.result.disturbances += 1

    def _report(self, round_log: RoundLog, place: int) -> None:
        name = self.names[place]
        request = pb.SubmitReportRequest(payload=report_of(round_log, name))
        answer = self._caller("node", name).call("SubmitReport", request, first=place)
        if answer is not None:
            self._receipts[name] = answer.receipt  # type: ignore[attr-defined]

    def _caller(self, role: str, name: str) -> Caller:
        tls = client_credentials(self.home, role, name, self._tls_key)
        service = stubs.NodeServiceStub if role == "node" else stubs.AuditorServiceStub
        ports = [coordinator.port for coordinator in self.coordinators]
        return Caller(self.home, ports, tls, self.result.counts, service)

    def close_and_open(self, disturb: Callable[[int], None]) -> None:
        """Take the round to its release, with one disturbance at every step of the auditors."""
        for number, step in enumerate(STEPS):
            self._wait_for(step)
            requests = requests_of(self.round_log(), step, self.names)
            disturber = threading.Thread(target=disturb, args=(number,))
            disturber.start()
            for place, (auditor, (method, request)) in enumerate(requests.items()):
                self._caller("auditor", auditor).call(method, request, first=place)
            disturber.join()
            self.result.disturbances += 1
        self._wait_for("release")

    def _wait_for(self, step: str) -> None:
        """Wait until the log has what a step of the auditors needs, or the release."""
        needed = {
            "checked": "candidates",
            "agreement": "close",
            "opening": "agreements",
            "release": "release",
        }
        give_up = time.monotonic() + START_S
        while not getattr(self.round_log(), needed[step]):
            if time.monotonic() > give_up:
                raise RuntimeError(f"{self.result.name}: no {needed[step]} after {START_S:.0f} s")
            time.sleep(TICK_S)

    # -- what came out ------------------------------------------------------------------------

    def _ledger(self) -> Ledger:
        desk = Desk(self.coordinators[0].folder)
        try:
            ledger = Ledger(parse_card(desk.card_text()))
            while page := desk.get_log(ledger.size, 1000).entries:
                for entry, body in page:
                    ledger.append(entry, body)
        finally:
            desk.close()
        return ledger

    def round_log(self) -> RoundLog:
        """Read the round as a stranger does."""
        return self._ledger().rounds[self.round_id]

    def look(self) -> None:
        """Compare what came out with what was sent."""
        ledger = self._ledger()
        round_log = ledger.rounds[self.round_id]
        problems = self.result.problems
        if Counter(slot for slot in round_log.reports) != Counter((name, 0) for name in self.names):
            problems.append(f"{len(round_log.reports)} reports in the log")
        for name, receipt in self._receipts.items():
            logged = round_log.reports.get((name, 0))
            proof = parse_proof(receipt)
            if logged is None or logged.index != proof.index:
                problems.append(f"{name}: acknowledged at {proof.index}, not there")
        rows = {"agreements": 4, "openings": 4, "checked": 4}
        problems += [
            f"{len(getattr(round_log, k))} {k}" for k, n in rows.items() if len(getattr(round_log, k)) != n
        ]
        self._look_at_release(round_log)
        self._look_at_folders(ledger)

    def _look_at_release(self, round_log: RoundLog) -> None:
        if round_log.release is None or round_log.release.statement.status != "ok":
            self.result.problems.append("no release")
            return
        tables = parse_release_body(round_log.release.body)
        if [value for table in tables for value in table.sums] != truth_of(self.names, round_log.terms.cells):
            self.result.problems.append("the released sums are not those of the schools")

    def _look_at_folders(self, ledger: Ledger) -> None:
        """No log that `Ledger` reads has a second close or release; what was published must be that log."""
        desk = Desk(self.coordinators[0].folder)
        card = desk.card_text()
        desk.close()
        for coordinator in self.coordinators:
            checkpoint = fsck(coordinator.folder / "log", None, parse_card(card))  # nobody cosigns here
            if ledger.root(checkpoint.size) != checkpoint.root:
                self.result.problems.append(f"{coordinator.folder.name}: published another log")


def run_kills(
    folder: Path, server: PostgresServer, num_reports: int, kills: int, *, restarts: bool = False
) -> Result:
    """Kill each coordinator `kills` times while reports come in, and again at every step until the release.

    With `restarts` the server crashes at those steps instead.
    """
    run = Run(folder, server, num_reports, "two coordinators, each killed")

    def disturb(number: int) -> None:
        coordinator = run.coordinators[number % 2]
        coordinator.kill()
        coordinator.start()

    return _whole(run, disturb, 2 * kills, _crash(server) if restarts else disturb)


def run_restarts(folder: Path, server: PostgresServer, num_reports: int, restarts: int) -> Result:
    """Restart PostgreSQL while reports come in: by turns as an administrator does, and as a crash."""
    run = Run(folder, server, num_reports, "PostgreSQL restarted")

    return _whole(run, _crash(server), restarts, _crash(server))


def _crash(server: PostgresServer) -> Callable[[int], None]:
    def disturb(number: int) -> None:
        server.stop(("fast", "immediate")[number % 2])
        server.start()

    return disturb


def _whole(run: Run, disturb: Callable[[int], None], times: int, later: Callable[[int], None]) -> Result:
    started_s = time.monotonic()
    with run.serving():
        run.report_all(disturb, times)
        if not run.result.counts.failures:
            run.close_and_open(later)
    if not run.result.counts.failures:
        run.look()
    run.result.seconds = time.monotonic() - started_s
    return run.result
