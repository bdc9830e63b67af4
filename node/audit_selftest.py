"""`audit selftest`: plant pupils in a throw-away node, let it report, look for them in all that comes out.

Order:

1. a scratch node and a stand-in county are made; the real node's folder is never touched;
2. a confined vault imports the planted pupils, previews, releases, and exports the report as for a stick;
3. the supervisor runs both sides as `node run` does; the egress reports over TLS to the stand-in county,
   through a relay that keeps every byte; frames on the pipe are recorded;
4. both sides are aborted in the middle, and a vault is fed bytes that are no frame;
5. everything kept is searched for every spelling of everything planted, and for identifiers of any kind.

| check | what it says |
| --- | --- |
| 1 `wall` | vaults and egress reached the level asked for, after their own test that must fail |
| 2 `planted` | the planted pupils were really imported and counted |
| 3 `search` | the search finds every planted spelling where it is put on purpose |
| 4 `sent` | the very bytes that left the vault arrived at the county, and it took them as a report |
| 5 `pipe` | from the vault came reports of one length only; nothing planted is in them |
| 6 `wire` | nothing planted is in the bytes on the line, the messages inside TLS, their metadata |
| 7 `carried` | the same for what goes on a stick: report, log, receipts |
| 8 `lines` | the same for standard output and error and running.json |
| 9 `crash` | both sides were aborted and started anew, without a core file and without a value in any line |
| 10 `files` | nothing planted stands readable in any file of the node, the encrypted records included |
| 11 `identifiers` | no ID number, phone number or name of any kind is in what left |

A program that recognises the self-test could behave. Against that stand the wall, which it cannot lift, and
the replay of real reports. Spec: docs/on-site-audit.md.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from node.audit_canaries import (
    SCHOOLS,
    SYSTEM,
    Canary,
    canary_files,
    canary_patterns,
    canary_plan,
    make_canaries,
)
from node.audit_checks import AuditError, CheckList, SkippedError
from node.audit_identifiers import KINDS, IdentifierScan
from node.audit_scratch import ScratchNode, make_scratch_node, now, scratch_folder
from node.audit_spellings import Search
from node.audit_wire import CountyServer, Evidence, WireRelay
from node.confine import LEVELS
from node.errors import NodeError, _
from node.frames import COMMAND_VAULT_SENDS, HEADER, Kind, encode_frame, report_shape
from node.launch import child_environment, close_pipe, start_side, stop_process, vault_command
from node.session import VaultSession

CHECKS = (
    *("wall", "planted", "search", "sent", "pipe", "wire", "carried", "lines", "crash", "files"),
    "identifiers",
)
SIDES = ("vault", "egress")
WAIT_S = 60.0
TICK_S = 0.05
BY = "self-test"
Supervise = Callable[[Path], Sequence[str]]
"""Gives the command line of a supervisor, without its options, for a node's folder."""


def supervise_command(_folder: Path) -> Sequence[str]:
    """Give the command line of the supervisor that `node run` becomes."""
    return (sys.executable, "-m", "node.supervise")


@dataclass(slots=True)
class _Trial:
    """What one self-test gathers on its way.

    Attributes:
        evidence: everything that left, by place.
        levels: the confinement that each side reached.
        payload: the report as the vault exported it.
        frames: kind and payload of what the vault sent on its pipe in `run`.
    """

    node: ScratchNode
    canaries: tuple[Canary, ...]
    files: dict[str, bytes]
    evidence: Evidence = field(default_factory=Evidence)
    levels: dict[str, str] = field(default_factory=dict)
    imported: int = 0
    counted: int = 0
    tables: list[dict[str, Any]] = field(default_factory=list)
    payload: bytes = b""
    reports: list[bytes] = field(default_factory=list)
    frames: list[tuple[int, bytes]] = field(default_factory=list)
    restarted: bool = False
    core_limits: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


def run_selftest(
    floor: str = "L3",
    *,
    canaries: Sequence[Canary] = (),
    supervise: Supervise = supervise_command,
    wait_s: float = WAIT_S,
) -> dict[str, Any]:
    """Run the whole self-test in a folder of its own.

    Args:
        floor: lowest level of confinement that is accepted, "L0" to "L3".
        canaries: pupils to plant, instead of new ones; tests of the test know what leaks.
        supervise: command line of the supervisor; tests of the test put a leaking one here.
        wait_s: how long to wait for a report to arrive, and for a new start, in seconds.

    Returns:
        JSON values: outcome, confinement, checks.

    Raises:
        AuditError: the trial cannot be set up.
    """
    started_s = time.monotonic()
    with scratch_folder() as root:
        document = canary_plan(now())
        node = make_scratch_node(root, document, SCHOOLS, floor, attributes={}, system=SYSTEM)
        planted = tuple(canaries) or make_canaries(secrets.token_bytes)
        trial = _Trial(node, planted, canary_files(planted, now()))
        _try(trial, "planted", partial(_report, trial, document))
        _try(trial, "crash", partial(_feed_garbage, trial))
        _try(trial, "sent", partial(_run, trial, root, supervise, wait_s))
        checks = _check(trial, floor)
    return {
        "outcome": checks.outcome,
        "confinement": min(trial.levels.values(), default=""),
        "seconds": round(time.monotonic() - started_s, 1),
        "checks": checks.values(),
    }


# ---------------------------------------------------------------- what is done


def _try(trial: _Trial, name: str, step: Callable[[], None]) -> None:
    """Take a step; what goes wrong is the finding of the check of this name."""
    try:
        step()
    except (NodeError, OSError) as err:
        trial.failed[name] = getattr(err, "code", type(err).__name__)


def _report(trial: _Trial, document: Any) -> None:
    """Enrol, import, preview, release and export, in one confined vault."""
    node = trial.node
    with node.vault() as vault:
        trial.levels["command"] = vault.level
        node.enrol(vault)
        round_id = node.county.publish(document).hex()
        node.read_log(vault)
        answer, _files = vault.call({"command": "import", "round": round_id, "by": BY}, trial.files)
        trial.imported = int(answer["counts"]["records"]) if answer["imported"] else 0
        preview, _files = vault.call({"command": "preview", "round": round_id})
        trial.counted, trial.tables = int(preview["num_records"]), list(preview["tables"])
        vault.call({"command": "release", "round": round_id, "by": BY})
        _answer, carried = vault.call({"command": "outbox_export"})
        (trial.payload,) = carried.values()
        for name, data in carried.items():
            trial.evidence.keep("carried report", name.encode() + b"\n" + data)
    trial.evidence.keep("carried log", node.county.log_file())


def _feed_garbage(trial: _Trial) -> None:
    """Give command vaults planted values in a form that they cannot take; keep all that they say."""
    planted = trial.canaries[0]
    spoilt = "\n".join((*planted.names.values(), *planted.numbers.values())).encode()
    for data in (spoilt, encode_frame(Kind.COMMAND, spoilt)):
        command = vault_command(trial.node.folder, trial.node.config, "command")
        side = start_side("vault", command, COMMAND_VAULT_SENDS, trial.node.key)
        try:
            os.write(side.stdin, data)
            stop_process(side.process)
            for stream in (side.process.stdout, side.process.stderr):
                trial.evidence.keep("after a crash", stream.read() if stream else b"")
        finally:
            stop_process(side.process)
            close_pipe(side.process.stdout)
            close_pipe(side.process.stderr)


def _run(trial: _Trial, root: Path, supervise: Supervise, wait_s: float) -> None:
    """Run both sides until the report has arrived, abort them, and wait until they have come back."""
    node = trial.node
    with ExitStack() as stack:
        server = CountyServer(node.county, node.authority, trial.evidence)
        stack.callback(server.stop)
        relay = WireRelay(server.port, trial.evidence)
        stack.callback(relay.stop)
        node.connect(relay.port)
        try:
            with _supervisor(trial, root, supervise):
                _wait(trial, lambda: bool(server.reports or server.num_refused), wait_s)
                _wait(trial, lambda: _are_running(_running(trial), 0), wait_s)
                running = _running(trial)
                trial.levels |= {side: str(running[side]["level"]) for side in SIDES}
                trial.restarted = _abort(trial, running, wait_s)
        finally:
            trial.reports = list(server.reports)
            trial.frames = _frames(root / "frames" / "from-vault.frames")
            _keep_receipt(trial)


@contextmanager
def _supervisor(trial: _Trial, root: Path, supervise: Supervise) -> Iterator[None]:
    """Run a supervisor as `node run` does, and keep what it says."""
    folder = trial.node.folder.root
    arguments = ["--dir", str(folder), "--record-frames", str(root / "frames")]
    with (root / "out").open("wb") as out, (root / "err").open("wb") as err:
        process = subprocess.Popen(
            [*supervise(folder), *arguments],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=err,
            env=child_environment(),
            cwd=os.path.abspath(os.sep),
        )
        try:
            if process.stdin is not None:
                process.stdin.write(trial.node.key)
                process.stdin.close()
            yield
        finally:
            process.terminate()
            stop_process(process)
            trial.evidence.keep("standard output", (root / "out").read_bytes())
            trial.evidence.keep("standard error", (root / "err").read_bytes())


def _wait(trial: _Trial, is_done: Callable[[], bool], wait_s: float) -> None:
    """Wait for something; keep what running.json says meanwhile.

    Raises:
        AuditError: it did not happen.
    """
    until_s = time.monotonic() + wait_s
    while not is_done():
        _running(trial)
        if time.monotonic() > until_s:
            raise AuditError(_("the trial did not get on in time"), code="timeout")
        time.sleep(TICK_S)


def _running(trial: _Trial) -> dict[str, Any]:
    try:
        data = trial.node.folder.running.read_bytes()
        if data not in trial.evidence.of("running.json"):
            trial.evidence.keep("running.json", data)
        return dict(json.loads(data))
    except (OSError, ValueError):
        return {}


def _abort(trial: _Trial, running: dict[str, Any], wait_s: float) -> bool:
    """Abort both sides, which is how a crash ends them, and wait for new ones; True once they run."""
    if os.name != "posix":
        return False
    for side in SIDES:
        pid = int(running[side]["pid"])
        trial.core_limits.append(_core_limit(pid))
        os.kill(pid, signal.SIGABRT)

    starts = max(int(running[side]["starts"]) for side in SIDES)
    _wait(trial, lambda: _are_running(_running(trial), starts), wait_s)
    return True


def _are_running(running: dict[str, Any], starts: int) -> bool:
    """Whether both sides run, each started more often than so many times."""
    found = [running.get(side, {}) for side in SIDES]
    return all(side.get("pid", 0) and side.get("starts", 0) > starts for side in found)


def _core_limit(pid: int) -> str:
    """Read how large a core file the process may leave; empty where the system does not say."""
    try:
        lines = Path(f"/proc/{pid}/limits").read_text("ascii").splitlines()
    except OSError:
        return ""
    return next((line.split()[4] for line in lines if line.startswith("Max core file size")), "")


def _frames(path: Path) -> list[tuple[int, bytes]]:
    """Read a recording: kind and payload of every frame."""
    data, at, found = path.read_bytes() if path.exists() else b"", 0, []
    while at < len(data):
        _magic, kind, length = HEADER.unpack_from(data, at)
        at += HEADER.size + length
        found.append((kind, data[at - length : at]))
    return found


def _keep_receipt(trial: _Trial) -> None:
    """Let the vault make the receipt that a school hands on, and keep it."""
    if trial.reports:
        with trial.node.vault() as vault:
            trial.node.read_log(vault)
            trial.evidence.keep("carried receipt", _receipt(vault))


def _receipt(vault: VaultSession) -> bytes:
    (row,) = vault.call({"command": "rounds"})[0]["rounds"]
    return vault.call({"command": "receipt", "round": row["round"]})[1]["receipt"]


# ---------------------------------------------------------------- what is checked


def _check(trial: _Trial, floor: str) -> CheckList:
    search = Search(canary_patterns(trial.canaries, trial.tables))
    checks = CheckList()
    checks.run("wall", lambda: _check_wall(trial, floor))
    checks.run("planted", lambda: _check_planted(trial))
    checks.run("search", lambda: _check_search(trial, search))
    checks.run("sent", lambda: _check_sent(trial))
    checks.run("pipe", lambda: _check_pipe(trial, search))
    checks.run("wire", lambda: _check_places(trial, search, "wire", "message ", "metadata "))
    checks.run("carried", lambda: _check_places(trial, search, "carried "))
    checks.run(
        "lines", lambda: _check_places(trial, search, "standard output", "running.json", "standard err")
    )
    checks.run("crash", lambda: _check_crash(trial, search))
    checks.run("files", lambda: _check_files(trial, search))
    checks.run("identifiers", lambda: _check_identifiers(trial))
    return checks


def _check_wall(trial: _Trial, floor: str) -> str | bool:
    sides = ("command", *SIDES)
    reached = [trial.levels.get(side, "") for side in sides]
    if not all(level in LEVELS and level >= floor for level in reached):
        return False
    return ", ".join(f"{side} {level}" for side, level in zip(sides, reached, strict=True))


def _check_planted(trial: _Trial) -> str | bool:
    if "planted" in trial.failed:
        raise AuditError(_("the planted pupils were not reported"), code=trial.failed["planted"])
    expected = len(trial.canaries)
    return f"{expected}" if trial.imported == trial.counted == expected else False


def _check_search(trial: _Trial, search: Search) -> str | bool:
    """The search and the scanner find what is put on purpose, and nothing where there is nothing."""
    patterns, noise = canary_patterns(trial.canaries[:2], trial.tables), secrets.token_bytes(4096)
    planted = b"".join(noise[at % 4000 : at % 4000 + 7] + raw for at, raw in enumerate(patterns.values()))
    kinds = _scan(trial).find(planted)
    is_blind = bool(patterns.keys() - search.find(planted)) or kinds != KINDS
    return False if is_blind or search.find(noise) else f"{len(patterns)}"


def _check_sent(trial: _Trial) -> str | bool:
    if "sent" in trial.failed:
        raise AuditError(_("the report did not arrive"), code=trial.failed["sent"])
    from_pipe = {payload for kind, payload in trial.frames if kind == Kind.REPORT}
    return f"{len(trial.payload)}" if from_pipe == set(trial.reports) == {trial.payload} else False


def _check_pipe(trial: _Trial, search: Search) -> str | bool:
    if not trial.frames or {kind for kind, _payload in trial.frames} != {Kind.REPORT}:
        return False
    shapes = {report_shape(payload).size_bytes for _kind, payload in trial.frames}
    found = search.find_in([("pipe", payload) for _kind, payload in trial.frames])
    return f"{len(trial.frames)}" if len(shapes) == 1 and not found else False


def _at(trial: _Trial, *prefixes: str) -> list[tuple[str, bytes]]:
    return [(label, data) for label, data in trial.evidence.all() if label.startswith(prefixes)]


def _check_places(trial: _Trial, search: Search, *prefixes: str) -> str | bool:
    """Each of these places has said something, and nothing planted is in it."""
    parts = _at(trial, *prefixes)
    is_complete = all(any(label.startswith(prefix) for label, _data in parts) for prefix in prefixes)
    size = sum(len(data) for _label, data in parts)
    return f"{size}" if is_complete and size and not search.find_in(parts) else False


def _check_crash(trial: _Trial, search: Search) -> str | bool:
    parts = _at(trial, "after a crash", "standard output", "running.json")
    if "crash" in trial.failed or search.find_in(parts):
        return False
    if not trial.restarted:
        raise SkippedError("no-restart" if "sent" in trial.failed else "not-on-this-system")
    is_silent = all(limit in ("0", "") for limit in trial.core_limits)
    is_without_core = not any(path.name.startswith("core") for path in _paths(trial))
    return is_silent and is_without_core


def _paths(trial: _Trial) -> list[Path]:
    return [path for path in sorted(trial.node.folder.root.parent.rglob("*")) if path.is_file()]


def _check_files(trial: _Trial, search: Search) -> str | bool:
    parts = [(path.name, path.read_bytes()) for path in _paths(trial)]
    names = {name for name, _data in parts}
    has_all = {"vault.db", "node.toml", "from-vault.frames"} <= names
    return f"{len(parts)}" if has_all and not search.find_in(parts) else False


def _scan(trial: _Trial) -> IdentifierScan:
    return IdentifierScan(name for row in trial.canaries for name in (row.name, row.guardian))


def _check_identifiers(trial: _Trial) -> str | bool:
    parts = [*trial.evidence.all(), *((str(kind), payload) for kind, payload in trial.frames)]
    return f"{len(parts)}" if parts and not _scan(trial).find_in(parts) else False
