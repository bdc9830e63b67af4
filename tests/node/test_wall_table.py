"""The table of the wall: what each mechanism stops when it stands alone, and what only all of them stop.

No mechanism is enough for itself: seccomp leaves files, Landlock leaves UDP and unix sockets, a network
namespace leaves the machine. None closes a socket that was open before: so the vault refuses to start
with one. Tried as root and as an ordinary user, in processes of their own, against somebody who listens.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from wall_table import MECHANISMS

from node import landlock, seccomp

TESTS = Path(__file__).resolve().parents[1]
IS_ROOT = os.geteuid() == 0
FREE_UID = 61903 if IS_ROOT else os.geteuid()
USERS = ("root", "user") if IS_ROOT else ("user",)

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(
        not seccomp.is_supported() or landlock.supported_abi() < 4, reason="needs seccomp and Landlock ABI 4"
    ),
]

OPEN = "ok"
SECCOMP, LANDLOCK, NETWORK, NO_DESCRIPTOR = "EPERM", "EACCES", "ENETUNREACH", "EMFILE"
COLUMNS = MECHANISMS[1:]
TABLE = {
    # attempt from inside  | seccomp | Landlock | namespace | NOFILE=0   | all four | the vault
    "TCP connect":         (SECCOMP, LANDLOCK, NETWORK, NO_DESCRIPTOR, SECCOMP, SECCOMP),
    "UDP":                 (SECCOMP, OPEN,     NETWORK, NO_DESCRIPTOR, SECCOMP, SECCOMP),
    "path unix socket":    (SECCOMP, OPEN,     OPEN,    NO_DESCRIPTOR, SECCOMP, SECCOMP),
    "netlink":             (SECCOMP, OPEN,     OPEN,    NO_DESCRIPTOR, SECCOMP, SECCOMP),
    "vsock":               (SECCOMP, OPEN,     OPEN,    NO_DESCRIPTOR, SECCOMP, SECCOMP),
    "io_uring":            (SECCOMP, OPEN,     OPEN,    NO_DESCRIPTOR, SECCOMP, SECCOMP),
    "exec a helper":       (SECCOMP, OPEN,     OPEN,    NO_DESCRIPTOR, SECCOMP, SECCOMP),
    "write to a TCP socket that was open before":
                           (OPEN,    OPEN,     OPEN,    OPEN,          OPEN,    "refused"),
    "pipes":               (OPEN,    OPEN,     OPEN,    OPEN,          OPEN,    OPEN),
    "SQLite WAL":          (OPEN,    OPEN,     OPEN,    OPEN,          OPEN,    OPEN),
    "urandom":             (OPEN,    OPEN,     OPEN,    OPEN,          OPEN,    OPEN),
    "read a file outside": (OPEN,    LANDLOCK, OPEN,    NO_DESCRIPTOR, NO_DESCRIPTOR, LANDLOCK),
}  # fmt: skip


class Neighbourhood:
    """Somebody who listens, and a process for every mechanism and user."""

    def __init__(self, root: Path, listening: ExitStack) -> None:
        self.root = root
        self.tcp = listening.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
        self.udp = listening.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.udp.bind(("127.0.0.1", 0))
        self.path = root / "listens"
        unix = listening.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        unix.bind(str(self.path))
        unix.listen(64)
        self.path.chmod(0o666)
        self._found: dict[tuple[str, str], dict[str, str]] = {}

    def found(self, mechanism: str, user: str) -> dict[str, str]:
        """What every row gave under a mechanism."""
        if (mechanism, user) not in self._found:
            done = self.run(mechanism, user)
            assert done.returncode == 0, done.stderr
            lines = done.stdout.splitlines()
            helper = {"exec a helper": {"ran": OPEN}.get(lines[1], lines[1])} if len(lines) > 1 else {}
            self._found[mechanism, user] = json.loads(lines[0]) | helper
        return self._found[mechanism, user]

    def run(self, mechanism: str, user: str) -> subprocess.CompletedProcess[str]:
        """Let a process lock itself down and try."""
        folder = self.root / f"{mechanism} {user}"
        folder.mkdir(exist_ok=True)
        if IS_ROOT and user != "root":
            os.chown(folder, FREE_UID, FREE_UID)
        ports = [str(self.tcp.getsockname()[1]), str(self.udp.getsockname()[1])]
        who = user if user == "root" else str(FREE_UID)
        return subprocess.run(
            [
                *(sys.executable, str(TESTS / "wall_table.py"), mechanism, who),
                *(str(folder), *ports, str(self.path)),
            ],
            env={"PYTHONPATH": str(TESTS.parent), "PYTHONUTF8": "1"},
            input="",
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )


@pytest.fixture(scope="module")
def neighbourhood() -> Iterator[Neighbourhood]:
    root = Path(tempfile.mkdtemp(prefix="fedscreen-wall-"))
    root.chmod(0o755)
    try:
        with ExitStack() as listening:
            yield Neighbourhood(root, listening)
    finally:
        shutil.rmtree(root)


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("mechanism", COLUMNS)
@pytest.mark.parametrize("row", TABLE)
def test_cell_of_the_table(neighbourhood: Neighbourhood, row: str, mechanism: str, user: str) -> None:
    expected = TABLE[row][COLUMNS.index(mechanism)]
    if expected == "refused":
        done = neighbourhood.run(f"{mechanism} with a socket", user)
        assert (done.returncode, done.stdout) == (70, "")
        assert "is open" in done.stderr
        return
    if neighbourhood.found("nothing", user).get(row) != OPEN:
        pytest.skip("not there on this machine, also without a wall")
    assert neighbourhood.found(mechanism, user)[row] == expected


@pytest.mark.parametrize("user", USERS)
def test_without_a_wall_everything_is_open(neighbourhood: Neighbourhood, user: str) -> None:
    """Else a blocked cell would prove nothing; what a machine may lack is left out."""
    found = neighbourhood.found("nothing", user)
    lacking = {"vsock", "io_uring", "netlink", "exec a helper"}
    assert {name for name, what in found.items() if what != OPEN} <= lacking
    assert set(TABLE) - lacking <= set(found)


def test_no_mechanism_alone_closes_the_table() -> None:
    """What the table is there to say: each column but the last has an exit, and the vault has none."""
    attempts = [row for row in TABLE if row not in ("pipes", "SQLite WAL", "urandom")]
    exits = {
        name: [row for row in attempts if TABLE[row][place] == OPEN] for place, name in enumerate(COLUMNS)
    }
    assert exits.pop("confine_vault") == []
    assert all(exits.values())
