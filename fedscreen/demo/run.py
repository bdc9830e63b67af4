"""The demo: a county of real processes, from made-up pupils to a verified bundle.

Order:

1. school files are written to `OUT/schools/` (from the seed; nothing else depends on it);
2. coordinator and auditors come up, schools enrol, the roster is signed;
3. the plan is published and approved by every auditor; schools import their files;
4. every node runs; each school previews and releases; the round closes, is agreed, opened, released;
5. receipts, results, the auditor's bundle, its verification, and the comparison with the truth.

What a real county would keep apart lies together in `OUT/county/`, for whoever wants to look.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from functools import partial
from gettext import gettext as _
from importlib.resources import files as package_files
from pathlib import Path
from typing import Any, TypeVar

from auditor.bundle_write import write_bundle
from auditor.enrol import load_policy
from auditor.verify.outcome import Verdict
from auditor.verify.run import verify_bundle
from auditor.watch import connected_desk
from coordinator.desk import Desk
from crypto.canonical import parse_json
from crypto.errors import ParameterError
from fedscreen.demo.addhealth import make_addhealth
from fedscreen.demo.by_hand import write_files
from fedscreen.demo.county import make_county
from fedscreen.demo.errors import DemoError
from fedscreen.demo.federation import FEDERATION, Federation, demo_tuple
from fedscreen.demo.processes import Processes, child_environ, free_port
from fedscreen.demo.school_files import School, read_example, write_school
from fedscreen.demo.schools import DemoSchool, prepare_school
from fedscreen.demo.summary import accuracy, compare
from fedscreen.demo.truth import truth_of
from node.vault.import_file import ImportContext
from plan.codebook import parse_codebook_toml
from plan.document import PlanDocument, parse_plan_toml
from plan.errors import phrase
from plan.layout import Layout, build_layout
from plan.publishing import pin_codebook, resolve, use_codebook
from privacy.accountant import epsilon
from protos.ledger import RoundLog
from results.release import Release, read_release

T = TypeVar("T")
PLAN = "autumn-full"
STATES = ("draft", "collecting", "released")
POLL_S = 0.2
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
        DemoError, ProcessError: something did not work; every process is stopped.
    """
    if options.out.exists():
        raise DemoError(_("%(out)s exists already; choose another folder") % {"out": options.out})
    try:
        tuple_ = demo_tuple(options.auditors, options.threshold)
    except ParameterError as err:
        raise DemoError(
            phrase(
                "%(auditors)s auditors of whom %(threshold)s open are no safe choice; take 4 and 3",
                auditors=options.auditors,
                threshold=options.threshold,
            )
        ) from err
    start = time.monotonic()
    watch = Stopwatch(say)
    today = datetime.now(UTC).date()
    with watch.step("school_files", _("making the schools' files")):
        schools = _make_schools(options, school_year(today))
        for school in schools:
            write_school(school, options.out / "schools" / school.id)
        plan = demo_plan(schools, options, today)
    county = options.out / "county"
    federation = Federation(county, free_port(), tuple_, POLL_S)
    with Processes(options.out / "logs", child_environ()) as processes:
        outcome = _round(options, schools, plan, federation, processes, watch)
    seconds = {**watch.seconds, "total": round(time.monotonic() - start, 3)}
    outcome.summary["seconds"] = seconds
    text = json.dumps(outcome.summary, ensure_ascii=False, indent=1) + "\n"
    (options.out / "summary.json").write_text(text, "utf-8")
    return outcome


def school_year(today: date) -> str:
    """The newest school year whose autumn screening is over: tests lie in September and October."""
    first = today.year if today.month >= 11 else today.year - 1
    return f"{first}-{first + 1}"


def make_files(options: Options) -> Path:
    """Write the schools' files and a plan that fits them, and nothing else; give the plan's path."""
    now = datetime.now(UTC)
    year = school_year(now.date())
    return write_files(options.out, _make_schools(options, year), PLAN, year, now)


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
) -> Outcome:
    """Everything between the files and the outcome, while the processes run."""
    with ExitStack() as stack, ThreadPoolExecutor(WORKERS) as pool:
        with watch.step("federation", _("starting coordinator and auditors")):
            federation.create()
            federation.start(processes)
        with watch.step("enrolment", _("enrolling the schools, signing the roster")):
            nodes = _enrol(options, schools, federation, stack, pool)
        with watch.step("plan", _("publishing the plan, approving it")):
            round_id = federation.publish(plan)
            _pause(options, "draft", processes)
            federation.approve(round_id)
        with watch.step("import", _("importing the schools' files")):
            _all(pool, [partial(node.import_files, plan) for node in nodes])
        with watch.step("nodes", _("starting the nodes")):
            frames = options.out / "frames" if options.record_frames else None
            for node in nodes:
                node.start(processes, frames)
            _wait_for_nodes(nodes, round_id, processes)
            _pause(options, "collecting", processes)
        with watch.step("release", _("previewing and releasing at every school")):
            sent = _all(pool, [partial(node.release, round_id, BY) for node in nodes])
        with watch.step("round", _("closing, agreeing, opening")):
            _wait_for_release(federation, round_id, processes)
            _pause(options, "released", processes)
        with watch.step("receipts", _("collecting the schools' receipts")):
            _collect_receipts(options, nodes, round_id, processes)
        with watch.step("bundle", _("writing the auditor's bundle and verifying it")):
            round_log, verdict = _publish(options, federation, round_id)
        with watch.step("truth", _("comparing with the truth")):
            outcome = _compare(options, nodes, plan, round_log, verdict)
    outcome.summary["bytes_per_report"] = max(answer["bytes"] for answer in sent)
    return outcome


def _enrol(
    options: Options,
    schools: list[School],
    federation: Federation,
    stack: ExitStack,
    pool: ThreadPoolExecutor,
) -> list[DemoSchool]:
    n, t, f, _q = federation.tuple_
    floors: dict[str, Any] = {"threshold": t, "collude": f} if (n, t, f) != (4, 3, 1) else {}

    def request(school: School) -> tuple[DemoSchool, bytes]:
        node = prepare_school(
            options.out / "county", options.out / "schools", school, FEDERATION, federation.poll_s
        )
        stack.enter_context(node.open())
        return node, node.request(floors)

    made = list(pool.map(request, schools))
    grants = federation.enrol_nodes([data for _node, data in made])
    nodes = [node for node, _request in made]
    _all(pool, [partial(node.accept, grant) for node, grant in zip(nodes, grants, strict=True)])
    return nodes


def _all(pool: ThreadPoolExecutor, tasks: Iterable[Callable[[], T]]) -> list[T]:
    """Run tasks side by side; the first error ends the demo."""
    return [future.result() for future in [pool.submit(task) for task in tasks]]


def _wait_for_nodes(nodes: list[DemoSchool], round_id: bytes, processes: Processes) -> None:
    waiting = list(nodes)

    def is_done() -> bool:
        waiting[:] = [node for node in waiting if not node.knows(round_id)]
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


def _pause(options: Options, state: str, processes: Processes) -> None:
    """Stand still in a state until the file `OUT/continue` appears (or Ctrl-C)."""
    if options.pause_at != state:
        return
    pids = {name: item.process.pid for name, item in processes.running.items()}
    (options.out / "paused.json").write_text(
        json.dumps({"state": state, "pids": pids}, indent=1) + "\n", "utf-8"
    )
    target = options.out / CONTINUE_FILE
    print(
        _("paused at %(state)s; make the file %(file)s to go on") % {"state": state, "file": target},
        flush=True,
    )
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


def _publish(options: Options, federation: Federation, round_id: bytes) -> tuple[RoundLog, Verdict]:
    """Write results, log, policy and bundle; verify the bundle."""
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
    return round_log, verify_bundle(options.out / "bundle", load_policy(options.out / "policy.txt"))


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


def _compare(
    options: Options, nodes: list[DemoSchool], plan: PlanDocument, round_log: RoundLog, verdict: Verdict
) -> Outcome:
    layout = build_layout(plan)
    logged, close = round_log.release, round_log.close_body()
    if logged is None or close is None:
        raise DemoError(_("the round is not released"))
    reporting = {name.node for name in close.set}
    chosen = [node for node in nodes if node.id in reporting]
    truth = truth_of(
        [node.files for node in chosen], layout, [import_context(plan, node.school) for node in chosen]
    )
    body: Any = parse_json(logged.body)
    release = read_release(
        plan, body["tables"], release=round_log.round_id.hex(), reports_in=logged.statement.reports_in
    )
    tables = compare(release.tables, layout, truth)
    summary: dict[str, Any] = {
        "schools": options.schools,
        "pupils": sum(node.school.num_pupils for node in nodes),
        "data": options.data,
        "seed": options.seed,
        "round": round_log.round_id.hex(),
        "reports_in": logged.statement.reports_in,
        "cells": layout.cells,
        **_privacy(layout, plan),
        "bytes_per_report": 0,
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
