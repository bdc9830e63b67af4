"""The demo: a county of real processes, from made-up pupils to a verified bundle.

Order:

1. school files are written to `OUT/schools/` (from the seed; nothing else depends on it), each school's
   command vault starts and makes the enrolment request; coordinator and auditors come up meanwhile;
2. the schools are enrolled, the roster is signed, every node runs;
3. the plan is published and approved by every auditor; schools import their files meanwhile;
4. each school previews and releases; the round closes, is agreed, opened, released;
5. receipts, results and the auditor's bundle; every process is stopped;
6. the bundle is verified, and the release compared with the truth.

What a real county would keep apart lies together in `OUT/county/`, for whoever wants to look.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from functools import partial
from gettext import gettext as _
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from auditor.bundle_write import write_bundle
from auditor.enrol import load_policy
from auditor.verify.outcome import Verdict
from auditor.verify.run import verify_bundle
from auditor.watch import connected_desk
from coordinator.desk import Desk
from crypto.canonical import parse_json
from fedscreen.demo.addhealth import make_addhealth
from fedscreen.demo.by_hand import write_files
from fedscreen.demo.county import make_county
from fedscreen.demo.errors import DemoError
from fedscreen.demo.federation import FEDERATION, Federation, demo_tuple
from fedscreen.demo.out_folder import make_out
from fedscreen.demo.processes import Processes, child_environ, free_port
from fedscreen.demo.school_files import School, read_example, write_school
from fedscreen.demo.schools import DemoSchool, prepare_school
from fedscreen.demo.summary import accuracy, compare
from fedscreen.demo.truth import truth_of
from node.vault.import_file import ImportContext
from plan.codebook import parse_codebook_toml
from plan.document import PlanDocument, parse_plan_toml
from plan.layout import Layout, build_layout
from plan.publishing import pin_codebook, resolve, use_codebook
from privacy.accountant import epsilon
from protos.ledger import RoundLog
from results.release import Release, read_release

T = TypeVar("T")
PLAN = "autumn-full"
STATES = ("draft", "collecting", "released")
POLL_S = 0.2
NODE_POLL_S = 0.4  # there are many of them
WORKERS = 3
ROUND_TIMEOUT_S = 180.0
DELTA = 1e-6
BY = "校长"
CONTINUE_FILE = "continue"


@dataclass(frozen=True, slots=True)
class Options:
    """What the demo was asked for."""

    out: Path
    schools: int = 12
    pupils: int | None = None
    auditors: int = 4
    threshold: int = 3
    data: str = "synthetic"
    seed: int = 1
    pause_at: str = ""
    record_frames: bool = False


@dataclass(slots=True)
class Outcome:
    """What a finished demo has.

    Attributes:
        summary: the content of summary.json.
        release: the opened tables.
        truth: the same cells, from all schools' files.
    """

    summary: dict[str, Any]
    release: Release
    truth: list[int]


@dataclass(frozen=True, slots=True)
class Finished:
    """What is left of a round when its processes have stopped.

    Attributes:
        round_log: the round as the first auditor read it.
        nodes: the schools.
        truth: the exact cells of each school's files, in the order of the nodes.
        bytes_per_report: the longest report.
    """

    round_log: RoundLog
    nodes: Sequence[DemoSchool]
    truth: Sequence[NDArray[np.int64]]
    bytes_per_report: int


@dataclass(slots=True)
class Stopwatch:
    """Seconds of each step; `say` tells a person that a step begins."""

    say: Callable[[str], None]
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def step(self, name: str, message: str) -> Iterator[None]:
        """Time a step."""
        self.say(message)
        start = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(time.monotonic() - start, 3)


def run_demo(options: Options, say: Callable[[str], None]) -> Outcome:
    """Run the whole demo and write its folder.

    Raises:
        DemoError, ProcessError: something did not work; every process is stopped. What cannot work at all
            is refused before the folder is touched.
    """
    tuple_ = demo_tuple(options.auditors, options.threshold)
    start = time.monotonic()
    watch = Stopwatch(say)
    today = datetime.now(UTC).date()
    with watch.step("school_files", _("making up the schools")):
        schools = _make_schools(options, school_year(today))
        plan = demo_plan(schools, options, today)
    make_out(options.out)
    federation = Federation(options.out / "county", free_port(), tuple_, POLL_S)
    with Processes(options.out / "logs", child_environ()) as processes:
        finished = _round(options, schools, plan, federation, processes, watch)
    outcome = _conclude(options, plan, finished, watch)
    outcome.summary["seconds"] = {**watch.seconds, "total": round(time.monotonic() - start, 3)}
    text = json.dumps(outcome.summary, ensure_ascii=False, indent=1) + "\n"
    (options.out / "summary.json").write_text(text, "utf-8")
    return outcome


def school_year(today: date) -> str:
    """The newest school year whose autumn screening is over: tests lie in September and October."""
    first = today.year if today.month >= 11 else today.year - 1
    return f"{first}-{first + 1}"


def make_files(options: Options) -> Path:
    """Write the schools' files and a plan that fits them, and nothing else; give the plan's path.

    Raises:
        DemoError: the folder holds something else.
    """
    now = datetime.now(UTC)
    year = school_year(now.date())
    schools = _make_schools(options, year)
    make_out(options.out)
    return write_files(options.out, schools, PLAN, year, now)


def _make_schools(options: Options, year: str) -> list[School]:
    if options.data == "addhealth":
        return make_addhealth(options.schools, options.seed, year)
    return make_county(options.schools, options.pupils, options.seed, year)


def demo_plan(schools: list[School], options: Options, today: date) -> PlanDocument:
    """Fit the ready plan to the demo: its codebook, its school year, its number of schools."""
    year = school_year(today)
    text = package_files("plan").joinpath("ready", f"{PLAN}.toml").read_bytes()
    document = replace(
        parse_plan_toml(text), school_year=year, census_date=date(int(year[:4]), 9, 30), systems=("6-3",)
    )
    codebook = parse_codebook_toml(read_example(f"codebooks/{schools[0].codebook}.toml"))
    is_ready_one = codebook.id in [item.id for item in document.instruments]
    document = pin_codebook(document, codebook) if is_ready_one else use_codebook(document, codebook)
    return resolve(document, options.schools)


def _round(
    options: Options,
    schools: list[School],
    plan: PlanDocument,
    federation: Federation,
    processes: Processes,
    watch: Stopwatch,
) -> Finished:
    """Everything that needs the processes: from the schools' files to the auditor's bundle."""
    # Threads outlive the vaults that they started: the kernel ends a vault together with its thread.
    with ThreadPoolExecutor(WORKERS) as pool, ExitStack() as stack:
        enter = partial(_enter_school, options, federation, stack)
        pause = partial(_pause, options, processes, watch.say)
        with _begun(pool, [partial(enter, school) for school in schools]) as entering:
            with watch.step("federation", _("starting coordinator and auditors, and the schools' vaults")):
                federation.create()
                federation.start(processes)
            with watch.step("enrolment", _("enrolling the schools, signing the roster")):
                nodes = _enrol(federation, [future.result() for future in entering], pool)
        with watch.step("nodes", _("starting the nodes")):
            frames = options.out / "frames" if options.record_frames else None
            for node in nodes:
                node.start(processes, frames)
        with watch.step("plan", _("publishing the plan, approving it; importing the schools' files")):
            round_id = _agree_on_plan(plan, federation, nodes, pool, pause)
        with watch.step("collecting", _("waiting for the nodes to read the plan")):
            _wait_for_nodes(nodes, round_id, processes)
            pause("collecting")
        with watch.step("release", _("previewing and releasing at every school")):
            sent = _all(pool, [partial(node.release, round_id, BY) for node in nodes])
        with _begun(pool, [partial(_count, node, plan) for node in nodes]) as counting:
            with watch.step("round", _("closing, agreeing, opening")):
                _wait_for_release(federation, round_id, processes)
                pause("released")
            with watch.step("receipts", _("collecting the schools' receipts")):
                _collect_receipts(options, nodes, round_id, processes)
            with watch.step("bundle", _("writing the results and the auditor's bundle")):
                round_log = _publish(options, federation, round_id)
                truth = [future.result() for future in counting]
        with watch.step("stop", _("stopping every process")):
            processes.terminate_all()
            _all(pool, [node.close for node in nodes])
            processes.stop_all()
    return Finished(round_log, nodes, truth, max(answer["bytes"] for answer in sent))


def _enter_school(
    options: Options, federation: Federation, stack: ExitStack, school: School
) -> tuple[DemoSchool, bytes]:
    """Write a school's files, start its command vault, make its enrolment request."""
    n, t, f, _q = federation.tuple_
    floors: dict[str, Any] = {"threshold": t, "collude": f} if (n, t, f) != (4, 3, 1) else {}
    write_school(school, options.out / "schools" / school.id)
    node = prepare_school(options.out / "county", options.out / "schools", school, FEDERATION, NODE_POLL_S)
    stack.callback(node.close)
    node.open()
    return node, node.request(floors)


def _enrol(
    federation: Federation, entered: list[tuple[DemoSchool, bytes]], pool: ThreadPoolExecutor
) -> list[DemoSchool]:
    grants = federation.enrol_nodes([request for _node, request in entered])
    nodes = [node for node, _request in entered]
    _all(pool, [partial(node.accept, grant) for node, grant in zip(nodes, grants, strict=True)])
    return nodes


def _agree_on_plan(
    plan: PlanDocument,
    federation: Federation,
    nodes: list[DemoSchool],
    pool: ThreadPoolExecutor,
    pause: Callable[[str], None],
) -> bytes:
    """Publish the plan and have it approved while the schools import; returns the round id."""
    with _begun(pool, [partial(node.import_files, plan) for node in nodes]) as importing:
        round_id = federation.publish(plan)
        pause("draft")
        federation.approve(round_id)
        for future in importing:
            future.result()
    return round_id


@contextmanager
def _begun(pool: ThreadPoolExecutor, tasks: Iterable[Callable[[], T]]) -> Iterator[list[Future[T]]]:
    """Run tasks side by side with what follows; an error there takes back those that have not begun."""
    futures = [pool.submit(task) for task in tasks]
    try:
        yield futures
    finally:
        for future in futures:
            future.cancel()
        wait(futures)


def _all(pool: ThreadPoolExecutor, tasks: Iterable[Callable[[], T]]) -> list[T]:
    """Run tasks side by side; the first error ends the demo."""
    with _begun(pool, tasks) as futures:
        return [future.result() for future in futures]


def _wait_for_nodes(nodes: list[DemoSchool], round_id: bytes, processes: Processes) -> None:
    waiting = list(nodes)

    def is_done() -> bool:
        while waiting and waiting[-1].knows(round_id):
            waiting.pop()
        return not waiting

    processes.wait_until(is_done, _("every node has read the round"), ROUND_TIMEOUT_S)


def _wait_for_release(federation: Federation, round_id: bytes, processes: Processes) -> None:
    desk = Desk(federation.coordinator_folder)
    try:
        processes.wait_until(
            lambda: bool(desk.round_status(round_id)["is_over"]), _("the round is released"), ROUND_TIMEOUT_S
        )
        state = desk.round_status(round_id)["state"]
    finally:
        desk.close()
    if state != "released":
        raise DemoError(_("the round ended as %(state)s") % {"state": state})


def _pause(options: Options, processes: Processes, say: Callable[[str], None], state: str) -> None:
    """Stand still in a state until the file `OUT/continue` appears (or Ctrl-C)."""
    if options.pause_at != state:
        return
    pids = {name: item.process.pid for name, item in processes.running.items()}
    (options.out / "paused.json").write_text(
        json.dumps({"state": state, "pids": pids}, indent=1) + "\n", "utf-8"
    )
    target = options.out / CONTINUE_FILE
    say(_("paused at %(state)s; make the file %(file)s to go on") % {"state": state, "file": target})
    while not target.exists():
        processes.check()
        time.sleep(POLL_S)


def _collect_receipts(
    options: Options, nodes: list[DemoSchool], round_id: bytes, processes: Processes
) -> None:
    folder = options.out / "receipts"
    folder.mkdir()
    for node in nodes:
        found: list[bytes] = []

        def is_done(node: DemoSchool = node, found: list[bytes] = found) -> bool:
            found += [proof for proof in [node.receipt(round_id)] if proof]
            return bool(found)

        processes.wait_until(is_done, _("every school has its receipt"), ROUND_TIMEOUT_S)
        (folder / f"{node.id}.tlog-proof").write_bytes(found[0])


def _publish(options: Options, federation: Federation, round_id: bytes) -> RoundLog:
    """Write results, policy, bundle and log."""
    desk = Desk(federation.coordinator_folder)
    try:
        desk.export_results(round_id, options.out)
        desk.tick()
    finally:
        desk.close()
    folder = federation.auditor_folder(federation.auditor_ids[0])
    (options.out / "policy.txt").write_bytes(folder.policy.read_bytes())
    with connected_desk(folder) as auditor:
        _wait_for_cosigned(auditor, round_id)
        write_bundle(auditor.context, options.out / "bundle")
        round_log = auditor.context.ledger.rounds[round_id]
    shutil.copytree(federation.coordinator_folder / "log", options.out / "log")
    return round_log


def _wait_for_cosigned(auditor: Any, round_id: bytes) -> None:
    """Follow the log until the release lies under a checkpoint that a quorum has cosigned."""
    deadline = time.monotonic() + ROUND_TIMEOUT_S
    while time.monotonic() < deadline:
        auditor.sync()
        release = auditor.context.ledger.rounds[round_id].release
        if release is not None and auditor.mirror.cosigned_size > release.index:
            return
        time.sleep(POLL_S)
    raise DemoError(_("the auditors have not cosigned the release"))


def _count(node: DemoSchool, plan: PlanDocument) -> NDArray[np.int64]:
    """Count one school's own files."""
    return truth_of([node.files], build_layout(plan), [import_context(plan, node.school)])


def _conclude(options: Options, plan: PlanDocument, finished: Finished, watch: Stopwatch) -> Outcome:
    """Verify the bundle, compare the release with the truth."""
    with watch.step("verify", _("verifying the bundle, comparing with the truth")):
        verdict = verify_bundle(options.out / "bundle", load_policy(options.out / "policy.txt"))
        return _compare(options, plan, finished, verdict)


def _compare(options: Options, plan: PlanDocument, finished: Finished, verdict: Verdict) -> Outcome:
    layout, round_log = build_layout(plan), finished.round_log
    logged, close = round_log.release, round_log.close_body()
    if logged is None or close is None:
        raise DemoError(_("the round is not released"))
    reporting = {name.node for name in close.set}
    counts = zip(finished.nodes, finished.truth, strict=True)
    truth = np.sum([count for node, count in counts if node.id in reporting], axis=0)
    body: Any = parse_json(logged.body)
    release = read_release(
        plan, body["tables"], release=round_log.round_id.hex(), reports_in=logged.statement.reports_in
    )
    tables = compare(release.tables, layout, truth)
    summary: dict[str, Any] = {
        "schools": options.schools,
        "pupils": sum(node.school.num_pupils for node in finished.nodes),
        "data": options.data,
        "seed": options.seed,
        "round": round_log.round_id.hex(),
        "reports_in": logged.statement.reports_in,
        "cells": layout.cells,
        **_privacy(layout, plan),
        "bytes_per_report": finished.bytes_per_report,
        "confinement": min(row.statement.confinement for row in round_log.reports.values()),
        "seconds": {},
        "tables": tables,
        **asdict(accuracy(tables)),
        "replicas": logged.statement.replicas,
        "verify": verdict.summary,
    }
    return Outcome(summary, release, [int(value) for value in truth])


def import_context(plan: PlanDocument, school: School) -> ImportContext:
    """How a school imports; the record secret does not matter for counting."""
    return ImportContext(
        record_secret=bytes(32),
        school_year=plan.school_year,
        wave=plan.wave,
        census_date=plan.census_date,
        school_system=school.system,
        consent_policy=plan.consent,
    )


def _privacy(layout: Layout, plan: PlanDocument) -> dict[str, float]:
    """The plan's cost, and what the rounded noise really delivers."""
    return {
        "rho": float(plan.rho),
        "rho_delivered": float(layout.claimed_rho),
        "epsilon": epsilon(plan.rho, DELTA),
        "delta": DELTA,
    }
