"""Two runs of `fedscreen demo` with the same seed; the first stands still while its nodes are looked at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

NUM_SCHOOLS, NUM_PUPILS, SEED = 5, 60, 20
TIMEOUT_S = 240.0
KIB = 1024


def run_twice(root: Path) -> None:
    """Leave `first/`, `second/`, and in `processes.json` what /proc told of the first's nodes."""
    paused = _start(root / "first", "--pause-at", "collecting")
    try:
        _wait(paused, root / "first" / "paused.json")
        facts = {name: _node_facts(root / "first", name, pid) for name, pid in _nodes(root / "first").items()}
        (root / "processes.json").write_text(json.dumps(facts))
        (root / "first" / "continue").touch()
        _finish(paused)
    finally:
        _end(paused)
    second = _start(root / "second")
    try:
        _finish(second)
    finally:
        _end(second)


def _start(out: Path, *options: str) -> subprocess.Popen[bytes]:
    values = {"schools": NUM_SCHOOLS, "pupils": NUM_PUPILS, "seed": SEED, "out": out}
    named = [text for name, value in values.items() for text in (f"--{name}", str(value))]
    with out.with_suffix(".out").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "fedscreen", "demo", "--json", *named, *options], stdout=log, stderr=log
        )


def _wait(process: subprocess.Popen[bytes], path: Path) -> None:
    until_s = time.monotonic() + TIMEOUT_S
    while not (path.exists() and path.read_text().endswith("\n")):
        if process.poll() is not None or time.monotonic() > until_s:
            raise AssertionError("the demo did not come to 'collecting'")
        time.sleep(0.05)


def _finish(process: subprocess.Popen[bytes]) -> None:
    if process.wait(TIMEOUT_S) != 0:
        raise AssertionError(f"the demo ended with exit code {process.returncode}")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()  # it stops everything that it started
        process.wait(30)


def _nodes(out: Path) -> dict[str, int]:
    pids = json.loads((out / "paused.json").read_text())["pids"]
    return {name.removeprefix("node-"): pid for name, pid in pids.items() if name.startswith("node-")}


def _node_facts(out: Path, node: str, supervisor: int) -> dict[str, Any]:
    running = json.loads((out / "county" / "nodes" / node / "running.json").read_text())
    pids = {"supervisor": supervisor, "vault": running["vault"]["pid"], "egress": running["egress"]["pid"]}
    return {name: process_facts(pid) for name, pid in pids.items()}


def process_facts(pid: int) -> dict[str, Any]:
    """Tell what /proc says of a process: status, what its descriptors are, and its memory if one may know."""
    folder = Path("/proc") / str(pid)
    status = dict(
        line.split(":\t", 1) for line in (folder / "status").read_text().splitlines() if ":\t" in line
    )
    facts: dict[str, Any] = {
        name: status[name] for name in ("Seccomp", "NoNewPrivs", "Uid", "CapEff", "Threads")
    }
    facts["command"] = (folder / "cmdline").read_bytes().split(b"\0")[:3][-1].decode()
    try:
        links = [os.readlink(folder / "fd" / name) for name in os.listdir(folder / "fd")]
        memory = (folder / "smaps_rollup").read_text().splitlines()
    except PermissionError:  # it hides itself from everyone but root
        return facts
    sizes = {line.split(":")[0]: int(line.split()[1]) * KIB for line in memory[1:]}
    return facts | {"descriptors": links, "pss": sizes["Pss"], "alone": as_if_alone(folder)}


def as_if_alone(folder: Path) -> dict[str, tuple[int, int]]:
    """Give private and shared bytes by mapped file, of which a machine with one node has the shared once."""
    found: dict[str, tuple[int, int]] = {}
    name = ""
    for line in (folder / "smaps").read_text().splitlines():
        first, *rest = line.split()
        if "-" in first and not first.endswith(":"):
            name = rest[4] if len(rest) > 4 else ""
        elif first in ("Private_Clean:", "Private_Dirty:", "Shared_Clean:", "Shared_Dirty:"):
            private, shared = found.get(name, (0, 0))
            size = int(rest[0]) * KIB
            is_private = first.startswith("Private")
            found[name] = (private + size, shared) if is_private else (private, shared + size)
    return found
