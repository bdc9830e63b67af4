"""A small county of real processes in which everything that crosses a boundary is recorded.

Five schools, four auditors, the coordinator, a relay that ends TLS between schools and coordinator. School
s01 has planted pupils, s02 has six pupils without any finding, s03 has nine hundred with all of them.
`run_county` leaves a folder of evidence, which the tests read:

    frames/<node>/     every frame between the two sides of the wall, as the supervisor recorded it
    messages.jsonl     every message between schools and coordinator, as the relay saw it
    county/, logs/     the folders of every party, the output of every process
    driven.json        lengths and kinds of what the vaults of s02 and s03 answered to the very same frames
    leaky/             frames and messages of a vault and an egress that leak on purpose
"""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from leak_search import Search, of_numbers, of_text, read_messages, write_messages
from leaky_sides import LEAK_FILE, leaking_egress, leaking_vault
from relay import Relay
from wall_support import wait_until

from coordinator.desk import Desk
from fedscreen.demo.county import FACTORS, GRADE_NAMES, ROSTER_HEADER, SCREENING_HEADER, make_county
from fedscreen.demo.federation import FEDERATION, Federation
from fedscreen.demo.processes import Processes, child_environ, free_port
from fedscreen.demo.run import Options, demo_plan, import_context, school_year
from fedscreen.demo.school_files import CellValue, School, first_birthday, student_number, write_school
from fedscreen.demo.schools import DemoSchool, prepare_school
from fedscreen.demo.truth import import_school
from node.config import write_config
from node.frames import RUN_VAULT_SENDS, Frame, Kind, LogPage, encode_log, read_frame, write_frame
from node.launch import start_side, vault_command
from node.supervise import Supervisor
from plan.document import PlanDocument
from plan.layout import Layout, build_layout
from plan.record import to_row
from plan.tabulation import scaled, tabulate

TUPLE = (4, 3, 1, 3)
SERVER_NAME = "coordinator.fedscreen.internal"
BY = "王老师"
POLL_S = 0.2
NUM_OFFERS = 4
PLANTED, FEW, MANY, OTHER = "s01", "s02", "s03", "s05"
NUM_FEW, NUM_MANY = 6, 900
TODAY = datetime.now(UTC).date()
YEAR = school_year(TODAY)
TESTED_ON = dt.date(int(YEAR[:4]), 10, 23)  # no other date of a round can be this one

# ---------------------------------------------------------------- the planted pupils

NAMES = ("欧阳麴犇", "慕容骉黌", "皇甫淼鑫", "尉迟燚垚", "𠮷田雨霏", "纳兰㴓婳", "上官翀翯", "东方彧翾")
CLASS = "星火实验(37)班"
DURATION = 8675309


def planted_scores(place: int) -> list[int]:
    """Scores of the eight factors, another row for every planted pupil."""
    return [
        (7 * place + 5 * index + 3) % (highest + 1) for index, (_name, highest, _share) in enumerate(FACTORS)
    ]


def planted_number(place: int) -> str:
    """The student number of a planted pupil."""
    born = first_birthday("7", YEAR) + dt.timedelta(days=41 * place + 3)
    return student_number(997310 + place, born, 2 * (301 + 17 * place))


def pupil_rows(
    number: str, name: str, grade: str, class_name: str, scores: Sequence[int], label: str
) -> tuple[list[CellValue], list[CellValue]]:
    """Make a tested pupil's row in each of the two files."""
    who: list[CellValue] = [number, name, GRADE_NAMES[grade], class_name]
    family: list[CellValue] = ["住校", "双方外出", "单亲(离异)", "是", "同意", None]
    result: list[CellValue] = [TESTED_ON, DURATION, "通过", sum(scores), *scores, label]
    return [number, name, "女", GRADE_NAMES[grade], class_name, *family], [*who, *result]


def school_of(base: School, rows: Sequence[tuple[list[CellValue], list[CellValue]]]) -> School:
    """Give a school other pupils."""
    return replace(
        base,
        roster=[ROSTER_HEADER, *(enrolled for enrolled, _result in rows)],
        screening=[SCREENING_HEADER, *(result for _enrolled, result in rows)],
    )


def make_schools() -> list[School]:
    """Make the five schools."""
    planted, few, many, *others = make_county(5, 60, 5, YEAR)
    born = first_birthday("8", YEAR)
    rows = [
        pupil_rows(planted_number(place), name, "7", CLASS, planted_scores(place), "三级预警")
        for place, name in enumerate(NAMES)
    ]
    normal = [
        pupil_rows(student_number(998001, born, 2 * place), "无", "8", "1班", [0] * 8, "正常")
        for place in range(NUM_FEW)
    ]
    highest = [most for _name, most, _share in FACTORS]
    severe = []
    for place in range(NUM_MANY):
        number = student_number(998002, born + dt.timedelta(days=place // 450), 2 * (place % 450))
        severe.append(pupil_rows(number, "有", "8", "1班", highest, "三级预警"))
    return [school_of(planted, rows), school_of(few, normal), school_of(many, severe), *others]


def canary_texts() -> list[str]:
    """Every planted text: numbers, names, class, dates, and the vault's own coding of each record."""
    texts = [
        *NAMES,
        CLASS,
        str(DURATION),
        TESTED_ON.isoformat(),
        f"{TESTED_ON:%Y%m%d}",
        f"{TESTED_ON:%Y/%m/%d}",
    ]
    return texts + [planted_number(place) for place in range(len(NAMES))]


def canary_patterns(root: Path) -> dict[str, bytes]:
    """Spell everything planted, and the exact tables of two schools."""
    patterns: dict[str, bytes] = {}
    for text in canary_texts():
        patterns |= of_text(text)
    for place in range(len(NAMES)):
        scores = planted_scores(place)
        patterns |= of_numbers(f"scores {place}", [sum(scores), *scores])
        patterns |= of_numbers(f"factor scores {place}", scores)
    plan, schools = plan_of_county(), {school.id: school for school in make_schools()}
    layout = build_layout(plan)
    for node in (PLANTED, OTHER):
        records = import_school(root / "schools" / node, import_context(plan, schools[node])).records
        if node == PLANTED:
            for place, record in enumerate(records):
                row = json.dumps(to_row(record), ensure_ascii=False, separators=(",", ":"))
                patterns |= of_text(row, f"record {place}")
        patterns |= table_patterns(node, layout, tabulate(layout, records))
    return patterns


def table_patterns(node: str, layout: Layout, counts: Any) -> dict[str, bytes]:
    """Spell the stretches of a school's exact table that have three different counts or more, and x."""
    found: dict[str, bytes] = {}
    for form, values in (("counts", counts), ("scaled counts", scaled(layout, counts))):
        for table in layout.tables:
            cells = [int(value) for value in values[table.offset : table.offset + table.cells]]
            stretches = [cells[at : at + 12] for at in range(0, max(1, len(cells) - 11), 4)]
            for at, stretch in enumerate(stretches):
                if len(set(stretch)) > 2 and sum(map(bool, stretch)) > 3:
                    found |= of_numbers(
                        f"{node} {form} {table.id} {4 * at}", stretch, ("<Q", ">Q", "<I", ">I")
                    )
    return found


def plan_of_county() -> PlanDocument:
    """The ready plan, fitted to this county as the demo does."""
    return demo_plan(make_schools(), Options(out=Path(), schools=5), TODAY)


# ---------------------------------------------------------------- the run


def run_county(root: Path) -> None:
    """Run one round and leave its evidence below `root`."""
    schools = make_schools()
    for school in schools:
        write_school(school, root / "schools" / school.id)
    federation = Federation(root / "county", free_port(), TUPLE, POLL_S)
    with ExitStack() as stack:
        processes = stack.enter_context(Processes(root / "logs", child_environ()))
        federation.create(SERVER_NAME)
        federation.start(processes)
        target = f"127.0.0.1:{federation.port}"
        relay = Relay(federation.coordinator_folder, FEDERATION, target, SERVER_NAME).start()
        stack.callback(relay.stop)
        nodes = _enrol(root, schools, federation, relay, stack)
        round_id = federation.publish(plan_of_county())
        federation.approve(round_id)
        for node in nodes.values():
            node.import_files(plan_of_county())
        _drive_both(root, federation, nodes, round_id)
        _report(root, federation, nodes, round_id, processes)
        write_messages(root / "messages.jsonl", _rows(relay))
        for name in list(processes.running):
            if name.startswith("node-"):
                processes.stop(name)
        _leak(root, nodes, relay)


def _enrol(
    root: Path, schools: list[School], federation: Federation, relay: Relay, stack: ExitStack
) -> dict[str, DemoSchool]:
    """Enrol every school, and let it know the relay's address as the coordinator's."""

    def make(school: School) -> tuple[DemoSchool, bytes]:
        node = prepare_school(root / "county", root / "schools", school, FEDERATION, POLL_S)
        stack.callback(node.close)
        node.open()
        return node, node.request({})

    made = [make(school) for school in schools]
    grants = federation.enrol_nodes([request for _node, request in made])
    for (node, _request), grant in zip(made, grants, strict=True):
        node.accept(grant)
        node.config = replace(node.config, address=f"127.0.0.1:{relay.port}")
        write_config(node.folder, node.config)
    return {node.id: node for node, _request in made}


def _rows(relay: Relay) -> list[tuple[str, str, str, bytes]]:
    return [(row.caller, row.method, row.part, row.data) for row in relay.kept()]


def sent(root: Path, call: str, node: str) -> list[bytes]:
    """Give what one node sent to the relay for one call, such as SubmitReport, from the evidence."""
    return [
        data
        for caller, method, part, data in read_messages(root / "messages.jsonl")
        if part == "request" and method.endswith("/" + call) and caller.endswith("/node/" + node)
    ]


# ---------------------------------------------------------------- the very same frames to two vaults


def _drive_both(root: Path, federation: Federation, nodes: dict[str, DemoSchool], round_id: bytes) -> None:
    """Give the vaults of two very different schools the same frames, before and after their release."""
    desk = Desk(federation.coordinator_folder)
    try:
        wait_until(lambda: _page(desk, 0).cosigned and _covers(desk))
        start = desk.get_log(0, 0).latest
        pages = [_page(desk, 0)]
        size = len(pages[0].entries)
        pages += [LogPage(size, (), bytes(start), pages[0].cosigned)] * NUM_OFFERS
    finally:
        desk.close()
    answers = {}
    for node in (nodes[FEW], nodes[MANY]):
        before = _drive(node, pages)
        node.release(round_id, BY)
        answers[node.id] = {"before": before, "after": _drive(node, pages)}
    (root / "driven.json").write_text(json.dumps(answers))


def _page(desk: Desk, start: int) -> LogPage:
    page = desk.get_log(start, 1024)
    return LogPage(start, tuple((row[0], row[1]) for row in page.entries), page.latest, page.cosigned)


def _covers(desk: Desk) -> bool:
    """Whether the whole log, with every approval, lies below a cosigned checkpoint."""
    page = _page(desk, 0)
    return page.cosigned.split(b"\n")[1] == str(len(page.entries)).encode()


def _drive(node: DemoSchool, pages: list[LogPage]) -> list[tuple[int, int]]:
    """Be the egress of one school: send pages, close, and give kind and length of what came."""
    side = start_side("vault", vault_command(node.folder, node.config, "run"), RUN_VAULT_SENDS, node.key)
    frames: list[Frame] = []

    def listen() -> None:
        while (frame := read_frame(side.stdout, RUN_VAULT_SENDS)) is not None:
            frames.append(frame)

    listener = threading.Thread(target=listen)
    listener.start()
    for page in pages:
        write_frame(side.stdin, Kind.LOG, encode_log(page))
    side.stop()
    listener.join(30)
    for stream in (side.process.stdout, side.process.stderr):
        if stream is not None:
            stream.close()
    return [(int(frame.kind), len(frame.payload)) for frame in frames]


# ---------------------------------------------------------------- the round itself


def _report(
    root: Path, federation: Federation, nodes: dict[str, DemoSchool], round_id: bytes, processes: Processes
) -> None:
    for node in nodes.values():
        node.start(processes, root / "frames")
    processes.wait_until(
        lambda: all(node.knows(round_id) for node in nodes.values()), "the round is known", 120
    )
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda node: node.release(round_id, BY), nodes.values()))
    desk = Desk(federation.coordinator_folder)
    try:
        processes.wait_until(lambda: bool(desk.round_status(round_id)["is_over"]), "the round is over", 120)
        desk.export_results(round_id, root / "county" / "coordinator" / "results")
    finally:
        desk.close()
    for node in nodes.values():
        processes.wait_until(partial(_has_receipt, node, round_id), "every receipt is there", 60)


def _has_receipt(node: DemoSchool, round_id: bytes) -> bool:
    return node.receipt(round_id) is not None


# ---------------------------------------------------------------- leaks on purpose


def leak_of() -> bytes:
    """What the leaking sides send: one planted name and one planted number in every spelling."""
    return b"\n".join([*of_text(NAMES[0]).values(), *of_text(planted_number(0)).values()])


def _has_leaked(relay: Relay, search: Search, first: int) -> bool:
    return any(search.find(row.data) for row in relay.kept()[first:])


def leak_names() -> set[str]:
    """The names of these spellings, as the search tells them."""
    return {*of_text(NAMES[0]), *of_text(planted_number(0))}


def _leak(root: Path, nodes: dict[str, DemoSchool], relay: Relay) -> None:
    """Run one school with a leaking vault, then with a leaking egress, on the same county."""
    search, node = Search(of_text(planted_number(0))), nodes[PLANTED]
    for name, sides in (
        ("vault", {"vault": leaking_vault(leak_of())}),
        ("egress", {"egress": leaking_egress(leak_of())}),
    ):
        folder, first = root / "leaky" / name, len(relay.kept())
        folder.mkdir(parents=True)
        with _supervised(node, folder, sides):
            wait_until(partial(_has_leaked, relay, search, first), 60)
        write_messages(folder / "messages.jsonl", _rows(relay)[first:])
    (node.folder.vault / LEAK_FILE).unlink()


@contextmanager
def _supervised(node: DemoSchool, folder: Path, sides: dict[str, Callable[..., list[str]]]) -> Iterator[None]:
    sides_of: Any = sides
    supervisor = Supervisor(node.folder, node.config, node.key, record_frames=folder / "frames", **sides_of)
    thread = threading.Thread(target=supervisor.run)
    thread.start()
    try:
        yield
    finally:
        supervisor.stop()
        thread.join(30)
