"""Looking at processes through /proc, for tests that must leave none behind."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar

import pytest

PROC = Path("/proc")
T = TypeVar("T")

needs_proc = pytest.mark.skipif(not (PROC / "self/stat").exists(), reason="needs Linux's /proc")


class Process(NamedTuple):
    """A process that cannot be mixed up with a later one of the same pid."""

    pid: int
    start: str


def _stat(pid: int) -> list[str]:
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def identify(pid: int) -> Process | None:
    """Name a running process; None if there is none (a zombie is none)."""
    found = _stat(pid)
    return Process(pid, found[19]) if found and found[0] not in "ZX" else None


def is_running(process: Process) -> bool:
    """Whether this very process still runs."""
    return identify(process.pid) == process


def command_line(pid: int) -> list[str]:
    """A process's arguments; empty if it is gone."""
    try:
        return [
            part.decode(errors="replace") for part in (PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
        ]
    except OSError:
        return []


def all_pids() -> list[int]:
    """Every pid now."""
    return [int(name) for name in os.listdir(PROC) if name.isdigit()]


def descendants(pid: int) -> set[Process]:
    """A process and everything below it."""
    parents = {child: int(found[1]) for child in all_pids() if (found := _stat(child))}
    family = {pid}
    while more := {child for child, parent in parents.items() if parent in family} - family:
        family |= more
    return {found for member in family if (found := identify(member))}


def mentioning(text: str) -> list[int]:
    """Processes, other than this one, with this text in their arguments."""
    return [
        pid for pid in all_pids() if pid != os.getpid() and any(text in part for part in command_line(pid))
    ]


def wait_for(what: str, look: Callable[[], T], timeout_s: float = 60.0) -> T:
    """Look until something is found, and give it."""
    deadline = time.monotonic() + timeout_s
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout_s:g} s")
        time.sleep(0.05)
    return found


def wait_gone(processes: Iterable[Process], timeout_s: float = 10.0) -> None:
    """Wait until none of them runs."""
    waiting = list(processes)
    wait_for(
        f"processes end: {waiting}", lambda: not any(is_running(process) for process in waiting), timeout_s
    )
