"""A process that locks itself down as one side of the wall and then tries to get out.

`python wall_attempts.py vault|egress FOLDER UID PORT PEER` prints one JSON object: what each attempt
gave ("ok" or the name of an errno), and the confinement. PEER is the pid of a process to look into. A
negative UID is that of an ordinary user whom the process becomes before it begins.
Exit code 70 where the lock-down itself was refused.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import select
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from node import confine, seccomp
from node.errors import ConfinementError


def outcome(action: Callable[[], object]) -> str:
    try:
        action()
    except OSError as err:
        return errno.errorcode.get(err.errno or 0, type(err).__name__)
    except (RuntimeError, sqlite3.Error) as err:
        return type(err).__name__
    return "ok"


def by_number(name: str, *arguments: object) -> str:
    found = seccomp.attempt(name, *arguments)
    return errno.errorcode[found] if found else "ok"


def open_socket(family: int, kind: int, protocol: int = 0) -> str:
    return by_number("socket", family, kind, protocol)


def connect_tcp(host: str, port: int) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as plain:
        plain.settimeout(2)
        plain.connect((host, port))


def send_datagram() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        plain.sendto(b"x", ("127.0.0.1", 53))


def connect_fast_open(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as plain:
        plain.sendto(b"x", getattr(socket, "MSG_FASTOPEN", 0x20000000), ("127.0.0.1", port))


def run_helper() -> None:
    subprocess.run(["/bin/true"], check=True)


def start_thread() -> None:
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()


def write_file(path: Path) -> None:
    with path.open("w") as stream:
        stream.write("x")


def read_file(path: Path) -> None:
    with path.open("rb") as stream:
        stream.read(1)


def use_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE IF NOT EXISTS t (v)")
        connection.execute("INSERT INTO t VALUES (1)")
    connection.close()


def attempts(folder: Path, sibling: Path, port: int, peer: int) -> dict[str, Callable[[], str]]:
    """Everything that is tried, by name; prepared before the lock-down."""
    there = ctypes.create_string_buffer(16)
    return {
        "tcp connect": lambda: outcome(lambda: connect_tcp("127.0.0.1", port)),
        "tcp connect elsewhere": lambda: outcome(lambda: connect_tcp("127.0.0.1", port + 1)),
        "tcp6 socket": lambda: open_socket(10, 1),
        "tcp fast open": lambda: outcome(lambda: connect_fast_open(port + 1)),
        "mptcp": lambda: open_socket(2, 1, 262),
        "udp": lambda: outcome(send_datagram),
        "udp6": lambda: open_socket(10, 2),
        "icmp": lambda: open_socket(2, 2, 1),
        "unix socket": lambda: open_socket(1, 1),
        "unix datagram": lambda: open_socket(1, 2),
        "socketpair": lambda: outcome(socket.socketpair),
        "netlink": lambda: open_socket(16, 3),
        "packet": lambda: open_socket(17, 3),
        "vsock": lambda: open_socket(40, 1),
        "bluetooth": lambda: open_socket(31, 5),
        "af_alg": lambda: open_socket(38, 5),
        "io_uring": lambda: by_number("io_uring_setup", 1, there),
        "listen": lambda: by_number("listen", 0, 1),
        "bind": lambda: by_number("bind", 0, None, 0),
        "exec": lambda: outcome(run_helper),
        "execve": lambda: by_number("execve", b"/bin/true", None, None),
        "fork": lambda: outcome(os.fork),
        "thread": lambda: outcome(start_thread),
        "ptrace": lambda: by_number("ptrace", 16, peer, None, None),
        "read memory of another": lambda: by_number("process_vm_readv", peer, None, 0, None, 0, 0),
        "steal a descriptor": lambda: by_number("pidfd_getfd", 0, 0, 0),
        "signal another": lambda: outcome(lambda: os.kill(peer, 0)),
        "shared memory": lambda: by_number("shmget", 0, 4096, 0o1000),
        "message queue": lambda: by_number("mq_open", b"fedscreen", 0o102, 0o600, None),
        "memfd": lambda: by_number("memfd_create", b"x", 0),
        "mount": lambda: by_number("mount", b"none", b"/", b"tmpfs", 0, None),
        "new namespace": lambda: by_number("unshare", 0x10000000),
        "chroot": lambda: by_number("chroot", b"/"),
        "bpf": lambda: by_number("bpf", 0, None, 0),
        "keyring": lambda: by_number("keyctl", 0, -3, 0),
        "become root": lambda: outcome(lambda: os.setuid(0)),
        "read /etc/hostname": lambda: outcome(lambda: read_file(Path("/etc/passwd"))),
        "list /": lambda: outcome(lambda: os.listdir("/")),
        "read the parent folder": lambda: outcome(lambda: os.listdir(folder.parent)),
        "read the sibling's file": lambda: outcome(lambda: read_file(sibling)),
        "read the sibling through /proc": lambda: outcome(
            lambda: read_file(Path(f"/proc/{peer}/root{sibling}"))
        ),
        "look into another's files": lambda: outcome(lambda: os.listdir(f"/proc/{peer}/fd")),
        "read own memory file": lambda: outcome(lambda: read_file(Path("/proc/self/mem"))),
        "write /tmp": lambda: outcome(lambda: write_file(Path("/tmp/fedscreen-wall-attempt"))),
        "write /dev/shm": lambda: outcome(lambda: write_file(Path("/dev/shm/fedscreen-wall-attempt"))),
        "write the parent folder": lambda: outcome(lambda: write_file(folder.parent / "attempt")),
        "read the terminal": lambda: outcome(lambda: read_file(Path("/dev/tty"))),
    }


def inside(folder: Path, sibling: Path) -> dict[str, Callable[[], str]]:
    """What only a vault tries, in the one folder it has, and what must still work there."""
    return {
        "link the sibling's file in": lambda: outcome(lambda: os.link(sibling, folder / "linked")),
        "read a symlink to the sibling": lambda: outcome(lambda: follow(folder, sibling)),
        "move a file out": lambda: outcome(lambda: os.rename(folder / "keep", folder.parent / "out")),
        "make a pipe file": lambda: outcome(lambda: os.mkfifo(folder / "fifo")),
        "make a folder": lambda: outcome(lambda: os.mkdir(folder / "deeper")),
        "make a symlink": lambda: outcome(lambda: os.symlink("/etc/passwd", folder / "later")),
        "works: database in WAL mode": lambda: outcome(lambda: use_database(folder / "plain.db")),
        "works: random bytes": lambda: outcome(lambda: os.urandom(32)),
        "works: pipes": lambda: outcome(lambda: os.write(os.pipe()[1], b"x")),
        "works: own file": lambda: outcome(lambda: write_file(folder / "own")),
    }


def follow(folder: Path, sibling: Path) -> None:
    del sibling
    read_file(folder / "symlink")  # made by the test before the start


def process_state() -> dict[str, object]:
    """What the process says of itself: dumpable, the signal of its parent's death, core size, descriptors."""
    libc = ctypes.CDLL(None)
    death = ctypes.c_int(0)
    libc.prctl(2, ctypes.byref(death), 0, 0, 0)
    return {
        "dumpable": libc.prctl(3, 0, 0, 0, 0),
        "death_signal": death.value,
        "core": resource.getrlimit(resource.RLIMIT_CORE),
        "descriptors": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
    }


def become_ordinary(uid: int) -> int:
    """Become the user of a negative number, as one who never was root; give what to start as then."""
    if uid >= 0:
        return uid
    os.setgroups([])
    os.setresgid(-uid, -uid, -uid)
    os.setresuid(-uid, -uid, -uid)
    seccomp.control(4, 1)  # dumpable again
    return 0


def main() -> int:
    side, folder, uid, port, peer = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), 0
    peer = int(sys.argv[5])
    sibling = folder.parent / ("egress" if side == "vault" else "vault") / "secret"
    uid = become_ordinary(uid)
    try:
        if side == "vault":
            state, place = confine.confine_vault(folder, uid or None, "L3")
        else:
            state, place = confine.confine_egress(folder, uid or None, "L3", port), folder
    except (ConfinementError, OSError) as err:
        sys.stderr.write(f"{err}\n")
        return 70
    table = attempts(folder, sibling, port, peer) | (inside(place, sibling) if side == "vault" else {})
    found = {name: attempt() for name, attempt in table.items()}
    found["own folder's listing"] = outcome(lambda: os.listdir(place))
    report = {"level": state.level, "place": str(place), "found": found, "process": process_state()}
    print(json.dumps(report), flush=True)
    select.select([0], [], [], 60)  # until the test has looked at /proc
    return 0


if __name__ == "__main__":
    os._exit(main())
