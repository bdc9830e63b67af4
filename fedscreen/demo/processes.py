"""The demo's real processes: start, watch, stop; nothing is left behind, on Ctrl-C too.

Each process runs `python -m …` in a session of its own, so that Ctrl-C reaches only the
demo, which then stops them in the opposite order of their start. Output goes to one log file a
process.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from gettext import gettext as _
from pathlib import Path
from types import TracebackType
from typing import IO

from plan.errors import PhrasedError

POLL_S = 0.05
STOP_S = 10.0


class ProcessError(PhrasedError):
    """A process of the demo ended, or did not become ready."""


@dataclass(slots=True)
class Running:
    """One process: its name, its handle, where its output goes."""

    name: str
    process: subprocess.Popen[bytes]
    log_path: Path


@dataclass(slots=True)
class Processes:
    """All processes of one demo; leaving the context stops them all.

    Attributes:
        log_dir: folder of the log files.
        environ: environment of every process.
    """

    log_dir: Path
    environ: Mapping[str, str]
    running: dict[str, Running] = field(default_factory=dict)

    def __enter__(self) -> Processes:
        """Make the log folder."""
        self.log_dir.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything, last started first."""
        self.stop_all()

    def start(
        self, name: str, arguments: Sequence[str], *, module: str = "fedscreen", secret: bytes = b""
    ) -> Running:
        """Start `python -m <module> <arguments>`; a name that ran before is started anew.

        Args:
            name: of the process and its log file.
            arguments: of the command line.
            module: what to run.
            secret: what it reads on its stdin; fits into a pipe.
        """
        log_path = self.log_dir / f"{name}.log"
        with log_path.open("ab") as log:
            process = self._spawn(["-m", module, *arguments], log)
        self.running[name] = Running(name, process, log_path)
        if process.stdin is not None:
            with suppress(BrokenPipeError), process.stdin:  # it has ended already; `check` will tell
                process.stdin.write(secret)
        return self.running[name]

    def _spawn(self, arguments: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=self.environ,
            start_new_session=True,
            close_fds=True,
        )

    def check(self) -> None:
        """Raise ProcessError if a process has ended by itself."""
        for item in self.running.values():
            code = item.process.poll()
            if code is not None:
                message = _("%(name)s ended with code %(code)d; its output is in %(path)s")
                raise ProcessError(message % {"name": item.name, "code": code, "path": item.log_path})

    def wait_until(self, is_done: Callable[[], bool], what: str, timeout_s: float) -> None:
        """Wait for a condition, watching that every process lives.

        Raises:
            ProcessError: a process ended, or the time is over.
        """
        deadline = time.monotonic() + timeout_s
        while not is_done():
            self.check()
            if time.monotonic() > deadline:
                raise ProcessError(
                    _("%(what)s: not after %(seconds)d s") % {"what": what, "seconds": timeout_s}
                )
            time.sleep(POLL_S)

    def stop(self, name: str) -> None:
        """Stop one process: SIGTERM, then SIGKILL after ten seconds."""
        item = self.running.pop(name, None)
        if item is None:
            return
        item.process.terminate()
        try:
            item.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            item.process.kill()
            item.process.wait()

    def terminate_all(self) -> None:
        """Ask every process to end, and wait for none."""
        for item in self.running.values():
            item.process.terminate()

    def stop_all(self) -> None:
        """Stop every process, asking all of them before waiting for any."""
        self.terminate_all()
        for name in reversed(list(self.running)):
            self.stop(name)


def free_port() -> int:
    """Ask the system for a TCP port that is free on the loopback interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def child_environ() -> dict[str, str]:
    """Environment of the demo's processes: ours, without thread pools that would fight for two cores."""
    environ = dict(os.environ)
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        environ[name] = "1"
    environ["PYTHONUNBUFFERED"] = "1"
    return environ


def interrupt_once() -> None:
    """Make SIGTERM end the demo as Ctrl-C does; a second one does not disturb the clean-up."""
    numbers = (signal.SIGINT, signal.SIGTERM)

    def stop(_signal: int, _frame: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in numbers:
        signal.signal(number, stop)
