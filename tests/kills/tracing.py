"""Runs a command with all its children and kills every one of them at a chosen system call.

Points are the calls that change something outside of a process: writes, syncs, renames, deletions, new files.
Each is a point twice, before the kernel does it and after. At the point everything gets SIGKILL, as when
somebody pulls the plug of the processes (not of the disk).

Linux 5.3 or newer, x86-64 or AArch64; root, or whoever may trace his own children.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_TRACEME, _SYSCALL, _SETOPTIONS, _GET_SYSCALL_INFO = 0, 24, 0x4200, 0x420E
_OPTIONS = (
    1 | 2 | 4 | 8 | 0x10 | 0x100000
)  # marked system calls; fork, vfork, clone, exec; end with the tracer
_WALL = 0x40000000
_MINE = 0x20000000  # __WNOTHREAD: only what this thread started, not the children of other tests
_SYSTEM_CALL = signal.SIGTRAP | 0x80
_ENTRY, _EXIT = 1, 2
_OPEN_CREATES = os.O_CREAT
_NUMBERS = {
    "x86_64": {
        "write": 1, "pwrite64": 18, "writev": 20, "fsync": 74, "fdatasync": 75, "ftruncate": 77,
        "rename": 82, "renameat": 264, "renameat2": 316, "unlink": 87, "unlinkat": 263, "mkdir": 83,
        "rmdir": 84, "chmod": 90, "fchmod": 91, "sendmsg": 46, "exit_group": 231, "openat": 257,
    },
    "aarch64": {
        "write": 64, "pwrite64": 68, "writev": 66, "fsync": 82, "fdatasync": 83, "ftruncate": 46,
        "renameat": 38, "renameat2": 276, "unlinkat": 35, "mkdirat": 34, "fchmod": 52, "fchmodat": 53,
        "sendmsg": 211, "exit_group": 94, "openat": 56,
    },
}  # fmt: skip


class SystemCall(ctypes.Structure):
    """struct ptrace_syscall_info, the part for an entry."""

    _fields_ = (
        ("op", ctypes.c_uint8), ("pad", ctypes.c_uint8 * 3), ("arch", ctypes.c_uint32),
        ("instruction", ctypes.c_uint64), ("stack", ctypes.c_uint64),
        ("number", ctypes.c_uint64), ("arguments", ctypes.c_uint64 * 6), ("more", ctypes.c_uint64 * 2),
    )  # fmt: skip


_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long


def can_trace() -> bool:
    """Whether this machine's system calls are known here and may be followed."""
    if platform.machine() not in _NUMBERS:
        return False
    try:
        return run(["/bin/true"], None, {}).exit_code == 0
    except OSError:
        return False


def _ptrace(request: int, pid: int, address: int = 0, data: int | object = 0) -> int:
    word = ctypes.c_void_p(data) if isinstance(data, int) else data
    return int(_libc.ptrace(ctypes.c_long(request), ctypes.c_int(pid), ctypes.c_void_p(address), word))


@dataclass
class Traced:
    """What happened to a command.

    Attributes:
        points: how many points were passed.
        killed_at: the call at which everything was killed; empty if it came to its end.
        exit_code: of the command itself; negative after a signal.
    """

    points: int = 0
    killed_at: str = ""
    exit_code: int = -1
    family: set[int] = field(default_factory=set)


def run(
    line: Sequence[str],
    kill_at: int | None,
    environment: Mapping[str, str],
    *,
    stdin: bytes = b"",
    out: Path | None = None,
    errors: Path | None = None,
    stop_when: Callable[[], bool] | None = None,
    timeout_s: float = 60.0,
) -> Traced:
    """Run a command to its end, or kill it and all its children at point `kill_at`.

    Args:
        line: the command.
        kill_at: the point, from 0; None lets it come to its end.
        environment: its whole environment.
        stdin: what it reads.
        out: where its output is kept; None: nowhere.
        errors: where its standard error is kept; None: with its output.
        stop_when: a function without arguments; as soon as it is true, the command gets SIGTERM.
        timeout_s: after this everything is killed.
    """
    found: list[Traced | BaseException] = []

    def work() -> None:
        try:
            found.append(_run(line, kill_at, environment, stdin, (out, errors), stop_when, timeout_s))
        except BaseException as err:
            found.append(err)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def _run(
    line: Sequence[str],
    kill_at: int | None,
    environment: Mapping[str, str],
    stdin: bytes,
    outputs: tuple[Path | None, Path | None],
    stop_when: Callable[[], bool] | None,
    timeout_s: float,
) -> Traced:
    out, errors = outputs
    with open(out or os.devnull, "wb") as kept, open(errors or os.devnull, "wb") as told:
        process = subprocess.Popen(
            list(line),
            stdin=subprocess.PIPE,
            stdout=kept,
            stderr=told if errors else kept,
            env=dict(environment),
            preexec_fn=lambda: _ptrace(_TRACEME, 0),  # noqa: PLW1509  (it takes no lock)
        )
        if process.stdin is not None:
            process.stdin.write(stdin)
            process.stdin.close()
        found = Tracer(process.pid, kill_at, stop_when, timeout_s).follow()
        process.returncode = found.exit_code  # it was reaped by the tracer
    return found


class Tracer:
    """Follows a process and its children from call to call."""

    def __init__(
        self, pid: int, kill_at: int | None, stop_when: Callable[[], bool] | None, timeout_s: float
    ) -> None:
        self.pid, self.kill_at, self.stop_when = pid, kill_at, stop_when
        self.found = Traced(family={pid})
        self.known: set[int] = set()
        self.inside: dict[int, str] = {}
        self.names = {number: name for name, number in _NUMBERS[platform.machine()].items()}
        self.until_s = time.monotonic() + timeout_s
        self.looked_s = 0.0

    def follow(self) -> Traced:
        """Go on until the last process has ended."""
        while True:
            try:
                pid, status = os.waitpid(-1, _WALL | _MINE)
            except ChildProcessError:
                return self.found
            self._take(pid, status)

    def _take(self, pid: int, status: int) -> None:
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            self.found.family.discard(pid)
            if pid == self.pid:
                self.found.exit_code = os.waitstatus_to_exitcode(status)
            return
        self.found.family.add(pid)
        number, event = os.WSTOPSIG(status), status >> 16
        deliver = 0
        if pid not in self.known:
            self.known.add(pid)
            _ptrace(_SETOPTIONS, pid, 0, _OPTIONS)
        elif number == _SYSTEM_CALL:
            self._system_call(pid)
        elif not event:
            deliver = number
        self._look_around()
        _ptrace(_SYSCALL, pid, 0, deliver)

    def _system_call(self, pid: int) -> None:
        info = SystemCall()
        _ptrace(_GET_SYSCALL_INFO, pid, ctypes.sizeof(info), ctypes.byref(info))
        if info.op == _ENTRY:
            name = self.names.get(info.number, "")
            if name == "openat" and not info.arguments[2] & _OPEN_CREATES:
                name = ""
            if name:
                self.inside[pid] = name
                self._point(f"before {name}")
        elif info.op == _EXIT and pid in self.inside:
            self._point(f"after {self.inside.pop(pid)}")

    def _point(self, name: str) -> None:
        if self.found.points == self.kill_at:
            self.found.killed_at = name
            self._kill()
        self.found.points += 1

    def _kill(self) -> None:
        for pid in sorted(self.found.family):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def _look_around(self) -> None:
        now_s = time.monotonic()
        if now_s < self.looked_s + 0.02:
            return
        self.looked_s = now_s
        if now_s > self.until_s:
            self.found.killed_at = self.found.killed_at or "too long"
            self._kill()
        elif self.stop_when is not None and self.stop_when():
            self.stop_when = None
            os.kill(self.pid, signal.SIGTERM)
