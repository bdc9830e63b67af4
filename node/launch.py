"""Starting a side of the wall: exec with every descriptor but three pipes closed, and a clean environment.

Used by the supervisor (both sides, `run`) and by commands (the vault, `command`). It imports the
standard library only.
"""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from node.config import NodeConfig, NodeFolder
from node.confine import Confinement, parse_ready
from node.errors import EXIT_CONFINEMENT, ConfinementError, Detail, FrameError, SuperviseError, _
from node.frames import KEY_BYTES, Frame, Kind, read_frame, write_frame
from node.windows_calls import find_windows

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 5.0
MAX_LINE_BYTES = 400

_KEPT = ("LANG", "LC_ALL", "TZ", "SYSTEMROOT", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
_FIXED = {
    # No library may start a thread before the lock-down, and one is enough for our sums.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
    "PYTHONUTF8": "1",
    "PYTHONSAFEPATH": "1",
    "PYTHONNOUSERSITE": "1",
    "GRPC_VERBOSITY": "NONE",
    "GRPC_ENABLE_FORK_SUPPORT": "0",
}
_BEFORE_READY = re.compile(r"(?:vault|egress): [\x20-\x7e]{1,360}")
_AFTER_READY = re.compile(
    r"(?:vault|egress): [A-Za-z]{1,60}(?:\[[a-z0-9-]{1,60}\])?(?: at [A-Za-z0-9_.]{1,100}:[0-9]{1,6})?"
)


# On Windows: no window of its own, and Ctrl-C is the parent's business. The names exist there only.
_CREATION_FLAGS: int = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(
    subprocess, "CREATE_NEW_PROCESS_GROUP", 0
)


def child_environment() -> dict[str, str]:
    """Give the environment of a side: nothing of the caller's but language and time zone, no proxy."""
    root = str(Path(__file__).resolve().parents[1])
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {**kept, **_FIXED, "PYTHONPATH": root}


def side_program(side: str) -> list[str]:
    """Give the program that a side runs as, with what Python itself must be told.

    On Windows it is a copy of Python under a name of its own where there is one (`fedscreen-vault.exe`), so
    that a rule of the firewall can be about this side only; and Python there may ignore its environment.
    """
    if os.name != "nt":
        return [sys.executable]
    names = (f"fedscreen-{side}.exe", "python.exe")  # this process may be pythonw.exe
    places = [Path(sys.executable).with_name(name) for name in names]
    found = next((str(place) for place in places if place.is_file()), sys.executable)
    return [found, "-X", "utf8"]


def vault_command(folder: NodeFolder, config: NodeConfig, mode: str) -> list[str]:
    """Give the command line of a vault."""
    return [
        *(*side_program("vault"), "-m", "node.vault.worker", "--dir", str(folder.root), "--mode", mode),
        *("--floor", config.confinement_floor),
        *_user(config, config.vault_uid),
    ]


def egress_command(folder: NodeFolder, config: NodeConfig, address: str) -> list[str]:
    """Give the command line of an egress that connects to `address`, an IPv4 or IPv6 address.

    It is the address of the proxy where there is one; then the egress asks there for a tunnel.
    """
    tunnel = ["--tunnel-to", config.address] if config.proxy else []
    return [
        *(*side_program("egress"), "-m", "node.egress.worker", "--dir", str(folder.root)),
        *("--floor", config.confinement_floor),
        *("--address", address, "--port", str(config.hop[1]), "--server-name", config.server_name),
        *("--poll-s", str(config.poll_s), "--timeout-s", str(config.timeout_s)),
        *tunnel,
        *_user(config, config.egress_uid),
    ]


def certify_command(folder: NodeFolder, config: NodeConfig, address: str, kind: str) -> list[str]:
    """Give the command line of an egress that makes one call about a certificate, ``enrol`` or ``renew``."""
    tunnel = ["--tunnel-to", config.address] if config.proxy else []
    return [
        *(*side_program("egress"), "-m", "node.egress.certify", "--kind", kind, "--dir", str(folder.root)),
        *("--floor", config.confinement_floor),
        *("--address", address, "--port", str(config.hop[1]), "--server-name", config.server_name),
        *("--timeout-s", str(config.timeout_s)),
        *tunnel,
        *_user(config, config.egress_uid),
    ]


def _user(config: NodeConfig, uid: int) -> list[str]:
    account = ["--account", config.service_account] if config.service_account else []
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    return ["--uid", str(uid), *account] if is_root and uid else account


@dataclass(slots=True)
class Side:
    """A running process on one side of the wall, and what it said of its confinement."""

    name: str
    process: subprocess.Popen[bytes]
    confinement: Confinement

    @property
    def stdin(self) -> int:
        """Descriptor of the pipe to it."""
        return _descriptor(self.process, "stdin")

    @property
    def stdout(self) -> int:
        """Descriptor of the pipe from it."""
        return _descriptor(self.process, "stdout")

    def stop(self) -> int:
        """Close its stdin, wait, and if need be end it; give its exit code."""
        return stop_process(self.process)


def start_side(name: str, command: Sequence[str], kinds: Collection[Kind], key: bytes = b"") -> Side:
    """Start a process, wait for its READY, and give it the database key if there is one.

    Call it in the main thread: the process is killed when the thread that started it ends.

    Args:
        name: "vault" or "egress", for messages.
        command: what to run.
        kinds: the frames that it may send.
        key: the database key (32 bytes, secret); empty for an egress.

    Raises:
        ConfinementError: it ended with exit code 70.
        SuperviseError: it did not start in time, or ended in another way.
    """
    process = subprocess.Popen(
        list(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        close_fds=True,
        bufsize=0,
        cwd=os.path.abspath(os.sep),
        env=child_environment(),
        start_new_session=os.name == "posix",  # Ctrl-C is the parent's business
        creationflags=_CREATION_FLAGS,
    )
    try:
        ready = _read_ready(process, kinds)
        if ready is None or ready.kind is not Kind.READY:
            raise FrameError(_("no statement of confinement"))
        found = parse_ready(ready.payload)
        if key:
            if len(key) != KEY_BYTES:
                raise SuperviseError(_("the database key has a wrong length"))
            write_frame(_descriptor(process, "stdin"), Kind.KEY, key)
    except (FrameError, OSError) as err:
        raise _start_error(name, process) from err
    except BaseException:
        stop_process(process)
        close_pipe(process.stdout)
        close_pipe(process.stderr)
        raise
    return Side(name, process, found)


def _read_ready(process: subprocess.Popen[bytes], kinds: Collection[Kind]) -> Frame | None:
    """Read a side's first frame, and end the side if none comes in time."""
    stdout = _descriptor(process, "stdout")
    if os.name == "posix":
        _wait_readable(stdout, START_TIMEOUT_S)
        return read_frame(stdout, kinds)
    # select waits for no pipe there; the end of the process ends the reading.
    watch = threading.Timer(START_TIMEOUT_S, process.kill)
    watch.daemon = True
    watch.start()
    try:
        return read_frame(stdout, kinds)
    finally:
        watch.cancel()


def _wait_readable(descriptor: int, timeout_s: float) -> None:
    readable, _writable, _failed = select.select([descriptor], [], [], timeout_s)
    if not readable:
        raise FrameError(_("no statement of confinement within %(high)d s"), details={"high": int(timeout_s)})


def _start_error(name: str, process: subprocess.Popen[bytes]) -> SuperviseError | ConfinementError:
    exit_code = stop_process(process)
    line = stderr_line(process, is_ready=False)
    close_pipe(process.stdout)
    close_pipe(process.stderr)
    details: dict[str, Detail] = {"side": name, "exit": exit_code, "line": line}
    if exit_code == EXIT_CONFINEMENT:
        return ConfinementError(_("the %(side)s could not lock itself down: %(line)s"), details=details)
    return SuperviseError(
        _("the %(side)s ended with exit code %(exit)d before it was ready: %(line)s"),
        _("Run it again; if it stays so, check the installation."),
        details=details,
    )


def stderr_line(process: subprocess.Popen[bytes], *, is_ready: bool) -> str:
    """Read what an ended process wrote to stderr: the first line of the fixed form, else nothing.

    After READY a vault holds records: then only an error's name and place may pass.
    """
    data = os.read(_descriptor(process, "stderr"), 64 * MAX_LINE_BYTES)
    form = _AFTER_READY if is_ready else _BEFORE_READY
    lines = data.decode("ascii", "replace").splitlines()
    return next((line for line in lines if form.fullmatch(line)), "")


def stop_process(process: subprocess.Popen[bytes]) -> int:
    """Close a process's stdin and wait for its end; terminate, then kill it if it does not end."""
    if process.stdin is not None and not process.stdin.closed:
        process.stdin.close()
    for action in (None, process.terminate, process.kill):
        if action is not None:
            action()
        try:
            return process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            continue
    return process.wait()


def is_process_running(pid: int) -> bool:
    """Tell whether a process of this machine lives, also another user's."""
    windows = find_windows()
    if windows is not None:
        return windows.is_running(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # another user's, but there
    return True


def close_pipe(stream: IO[bytes] | None) -> None:
    """Close this end of a pipe; a second time does nothing."""
    if stream is not None:
        stream.close()


def _descriptor(process: subprocess.Popen[bytes], name: str) -> int:
    stream = getattr(process, name)
    if stream is None:
        raise SuperviseError(_("a pipe is missing"))
    return int(stream.fileno())
