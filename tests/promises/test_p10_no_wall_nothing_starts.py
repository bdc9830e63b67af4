"""P10: if the wall does not stand, nothing starts.

Every step of the lock-down goes wrong once: exit code 70, and the database key was never on the pipe.

The side is started by the product's own `start_side`, which would write the key; the test holds a second
reading end of that very pipe. What a kernel refuses is one half of the faults; the other half is what a
kernel pretends to have done, and things that should not be there.
"""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from faulty_wall import FAULTS

from node import landlock, launch, seccomp, selftest
from node.errors import EXIT_CONFINEMENT, ConfinementError, NodeError, SuperviseError
from node.frames import EGRESS_SENDS, RUN_VAULT_SENDS, Kind, encode_frame

TESTS = Path(__file__).resolve().parents[1]
IS_ROOT = os.geteuid() == 0
FREE_UID = 61903
KEY = bytes(range(32))
KEY_FRAME = encode_frame(Kind.KEY, KEY)
STORE_REFUSED = 71

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(
        not seccomp.is_supported() or landlock.supported_abi() < 4, reason="needs seccomp and Landlock ABI 4"
    ),
]

ALL, ROOT, USER = ("root", "user"), ("root",), ("user",)
BOTH, VAULT, EGRESS = ("vault", "egress"), ("vault",), ("egress",)
TABLE = {
    # step that goes wrong               | whose  | started as | what the message says
    "second thread":                       (BOTH,   ALL,  "2 threads run"),
    "open socket":                         (BOTH,   ALL,  "descriptor 3 is open"),
    "open file":                           (BOTH,   ALL,  "descriptor 3 is open"),
    "/proc is not there":                  (BOTH,   ALL,  ""),
    "core limit refused":                  (BOTH,   ALL,  "ValueError"),
    "core limit pretended":                (BOTH,   ALL,  "lock-down's limit"),
    "descriptor limit refused":            (BOTH,   ALL,  "ValueError"),
    "descriptor limit pretended":          (BOTH,   ALL,  "lock-down's limit"),
    "folder's chown refused":              (BOTH,   ROOT, ""),
    "folder's chown pretended":            (BOTH,   ROOT, "folder's user"),
    "folder's chmod refused":              (BOTH,   ROOT, ""),
    "folder's chmod pretended":            (BOTH,   ROOT, "folder's mode"),
    "file's chown refused":                (VAULT,  ROOT, ""),
    "mount namespace refused":             (VAULT,  ROOT, "cannot reach"),
    "mount private refused":               (VAULT,  ROOT, "cannot reach"),
    "mount tmpfs refused":                 (VAULT,  ROOT, "cannot reach"),
    "mount bind refused":                  (VAULT,  ROOT, "cannot reach"),
    "mount remount refused":               (VAULT,  ROOT, "cannot reach"),
    "network namespace and Landlock's ports refused":
                                           (VAULT,  ROOT, "floor is L3"),
    "setgroups refused":                   (BOTH,   ROOT, ""),
    "setgroups pretended":                 (BOTH,   ROOT, "did not become"),
    "setgid refused":                      (BOTH,   ROOT, ""),
    "setgid pretended":                    (BOTH,   ROOT, "did not become"),
    "setuid refused":                      (BOTH,   ROOT, ""),
    "setuid pretended":                    (BOTH,   ROOT, "did not become"),
    "rights of root kept":                 (BOTH,   ROOT, "kept rights of root"),
    "death signal refused":                (BOTH,   ALL,  "prctl 1 was refused"),
    "death signal pretended":              (BOTH,   ALL,  "death signal"),
    "dumpable refused":                    (BOTH,   ALL,  "prctl 4 was refused"),
    "dumpable pretended":                  (BOTH,   USER, "dumpable"),  # a change of user clears it anyway
    "no new privileges refused":           (BOTH,   ALL,  "prctl 38 was refused"),
    "no new privileges pretended":         (BOTH,   ALL,  "no new privileges"),
    "Landlock missing":                    (BOTH,   ALL,  "floor is L3"),
    "Landlock create refused":             (BOTH,   ALL,  "refused Landlock"),
    "Landlock add rule refused":           (BOTH,   ALL,  "refused Landlock"),
    "Landlock second rule refused":        (EGRESS, ALL,  "refused Landlock"),
    "Landlock add rule pretended":         (VAULT,  ALL,  "PermissionError"),
    "Landlock restrict refused":           (BOTH,   ALL,  "refused Landlock"),
    "Landlock restrict pretended":         (BOTH,   ALL,  "self-test: 'read"),
    "Landlock allows the root":            (BOTH,   ALL,  "self-test: 'read /'"),
    "Landlock allows /etc":                (BOTH,   ALL,  "self-test: 'read /etc/"),
    "Landlock allows a second port":       (EGRESS, ALL,  "connect to another port"),
    "seccomp for another machine":         (BOTH,   ALL,  "floor is L3"),
    "seccomp refused":                     (BOTH,   ALL,  "system call filter"),
    "seccomp pretended":                   (BOTH,   ALL,  "self-test: 'socket"),
    "nothing to try":                      (BOTH,   ALL,  "no file can be"),
}  # fmt: skip

FORGOTTEN = sorted({probe.name.split()[0] for probe in selftest.VAULT_PROBES})
FORGOTTEN_BY_EGRESS = sorted({probe.name.split()[0] for probe in selftest.EGRESS_PROBES})


class TappedProcess(subprocess.Popen[bytes]):
    """A process with a second reading end of its stdin, which outlives it."""

    last: TappedProcess | None = None

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)  # type: ignore[call-overload]
        assert self.stdin is not None
        self.tap = os.open(f"/proc/self/fd/{self.stdin.fileno()}", os.O_RDONLY | os.O_NONBLOCK)
        TappedProcess.last = self

    def waiting(self) -> bytes:
        """What was written to it and never read."""
        size = struct.unpack("i", fcntl.ioctl(self.tap, termios.FIONREAD, b"\0" * 4))[0]
        return os.read(self.tap, size) if size else b""


@dataclass
class Start:
    """Starts a side with a fault, as a command or the supervisor would."""

    root: Path
    exit_code: int = -1
    written: bytes = b""
    side: launch.Side | None = field(default=None)

    def __call__(self, fault: str, side: str, user: str) -> NodeError | None:
        folder = self.folder(side, user)
        uid = FREE_UID if IS_ROOT and user == "user" else 0
        line = [
            sys.executable,
            "-S",
            str(TESTS / "faulty_wall.py"),
            fault,
            side,
            str(uid),
            "--dir",
            str(folder),
        ]
        line += ["--mode", "run"] if side == "vault" else _EGRESS_OPTIONS
        line += ["--uid", "61901"] if user == "root" else []
        return self.line(side, line)

    def line(self, side: str, line: list[str]) -> NodeError | None:
        """Start a command line as a side; give the error, and see what is left on its stdin."""
        sends = RUN_VAULT_SENDS if side == "vault" else EGRESS_SENDS
        error: NodeError | None = None
        try:
            self.side = launch.start_side(side, line, sends, KEY)
        except (ConfinementError, SuperviseError) as err:
            error = err
        process = TappedProcess.last
        assert process is not None
        if error is None:
            process.wait(20)
        self.exit_code, self.written = process.returncode, process.waiting()
        for stream in (process.stdin, process.stdout, process.stderr):
            launch.close_pipe(stream)
        os.close(process.tap)
        return error

    def folder(self, side: str, user: str) -> Path:
        """A node's folder: root's below a closed one, an ordinary user's its own."""
        root = self.root / user
        root.mkdir(exist_ok=True)
        (root / side).mkdir(mode=0o755, exist_ok=True)
        (root / side).chmod(0o755)
        if IS_ROOT:
            owner = FREE_UID if user == "user" else 0
            os.chown(root / side, owner, owner)
            root.chmod(0o755 if user == "user" else 0o700)
        return root


_EGRESS_OPTIONS = ["--address", "127.0.0.1", "--port", "8443", "--server-name", "x"]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    monkeypatch.setattr(subprocess, "Popen", TappedProcess)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    environment = launch.child_environment() | {"PYTHONPATH": f"{TESTS.parent}"}
    monkeypatch.setattr(launch, "child_environment", lambda: environment)
    root = Path(tempfile.mkdtemp(prefix="fedscreen-fault-"))
    root.chmod(0o755)
    yield Start(root)
    shutil.rmtree(root)


def check_refused(start: Start, fault: str, side: str, user: str, words: str) -> None:
    if user == "root" and not IS_ROOT:
        pytest.skip("only root starts as root")
    if fault == "core limit pretended" and resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        pytest.skip("there is nothing to pretend: no core dumps here anyway")
    error = start(fault, side, user)
    assert start.exit_code == EXIT_CONFINEMENT
    assert start.written == b""
    assert isinstance(error, ConfinementError)
    assert error.EXIT == EXIT_CONFINEMENT
    assert words in str(error)
    assert "Traceback" not in str(error)


CASES = [
    pytest.param(fault, side, user, words, id=f"{fault}-{side}-{user}")
    for fault, (sides, users, words) in TABLE.items()
    for side in sides
    for user in users
    if side == "vault" or user == "user" or users == ROOT  # an egress shares these steps: once is enough
]


@pytest.mark.parametrize(("fault", "side", "user", "words"), CASES)
def test_step_that_goes_wrong_ends_with_70_and_no_key(
    start: Start, fault: str, side: str, user: str, words: str
) -> None:
    check_refused(start, fault, side, user, words)


@pytest.mark.parametrize(("side", "calls"), [("vault", FORGOTTEN), ("egress", FORGOTTEN_BY_EGRESS)])
def test_each_call_that_a_filter_forgets_is_found_by_the_self_test(
    start: Start, side: str, calls: list[str]
) -> None:
    folder = start.folder(side, "user")
    uid = FREE_UID if IS_ROOT else 0
    done = subprocess.run(
        [sys.executable, "-S", str(TESTS / "faulty_wall.py"), "each", side, str(uid), str(folder), *calls],
        env=launch.child_environment(),
        input=b"",
        capture_output=True,
        timeout=60,
        check=True,
    )
    said = [line.split(" ", 2) for line in done.stdout.decode().splitlines()]
    assert [row[0] for row in said] == calls
    for call, code, message in said:
        assert code == "70:", call
        assert f"self-test: '{call}" in message, call


@pytest.mark.parametrize("user", ALL if IS_ROOT else USER)
def test_without_a_fault_the_key_is_delivered(start: Start, user: str) -> None:
    """The same worker, the same pipe: it locks itself down and takes the key."""
    assert start("nothing", "vault", user) is None
    assert start.side is not None
    assert start.side.confinement.level == "L3"
    assert start.exit_code == STORE_REFUSED
    assert start.written == b""  # it was read


def test_tap_sees_a_key_that_nobody_read(start: Start) -> None:
    """A process that says READY and ends without reading: here the key is on the pipe."""
    lying = (
        "import os, time; from node import confine; from node.frames import encode_frame, Kind;"
        "os.write(1, encode_frame(Kind.READY, confine.encode_ready(confine.Confinement())));"
        "time.sleep(0.3); os._exit(70)"
    )
    assert start.line("vault", [sys.executable, "-c", lying]) is None
    assert (start.exit_code, start.written) == (EXIT_CONFINEMENT, KEY_FRAME)


@pytest.mark.skipif(not IS_ROOT, reason="only root makes namespaces for the vault")
def test_what_a_container_refuses_is_stated_and_not_pretended(start: Start) -> None:
    """Two parts stand in for each other by the levels' definition: the statement says which one stood."""
    assert start("nothing", "vault", "root") is None
    assert start.side is not None
    whole = start.side.confinement
    assert start("network namespace refused", "vault", "root") is None
    assert (whole.network_namespace, start.side.confinement.network_namespace) == (True, False)
    assert start.side.confinement.landlock_network


def test_machine_that_allows_fewer_descriptors_is_no_fault(start: Start) -> None:
    """A service manager may have set a lower limit already, which an ordinary user cannot raise."""
    assert start("few descriptors allowed", "vault", "user") is None
    assert start.exit_code == STORE_REFUSED


def test_every_fault_is_in_the_table() -> None:
    harmless = {"nothing", "network namespace refused", "few descriptors allowed"}
    assert set(FAULTS) - set(TABLE) == harmless
    assert set(TABLE) <= set(FAULTS)
