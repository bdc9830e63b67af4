"""A process that takes on one mechanism of the wall, or all, and then tries every row of the table.

`python wall_table.py MECHANISM USER FOLDER TCP UDP SOCKET` prints one JSON object: what each row gave ("ok"
or the name of an errno), and a line for the helper that it carries along. FOLDER is the vault's; TCP and
UDP are ports where somebody listens, SOCKET a path. `confine_vault` is the product's own lock-down, the
others are its parts, each alone. USER is "root", or the id of an ordinary user that the process becomes
first. Exit code 70 where the lock-down was refused.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import resource
import socket
import sqlite3
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from node import confine, landlock, seccomp
from node.errors import ConfinementError

MECHANISMS = (
    "nothing",
    "seccomp",
    "Landlock",
    "net namespace",
    "RLIMIT_NOFILE=0",
    "all four",
    "confine_vault",
)
AT_EMPTY_PATH = 0x1000
PR_SET_DUMPABLE = 4
VAULT_UID = 61901
AF_NETLINK, AF_VSOCK = 16, 40


def become(uid: int) -> None:
    """Become an ordinary user, like one that never was root."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        seccomp.control(PR_SET_DUMPABLE, 1)


def use_seccomp() -> None:
    seccomp.install(confine.VAULT_POLICY)


def use_landlock(folder: Path) -> None:
    landlock.restrict([folder], [])


def use_namespace() -> None:
    """A network of one's own; who is not root needs a user namespace for it."""
    user = 0 if os.geteuid() == 0 else confine._CLONE_NEWUSER
    if not confine._unshare(confine._CLONE_NEWNET | user):
        raise ConfinementError("no network namespace: %(reason)s", details=seccomp.last_error())


def use_no_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def lock_down(mechanism: str, folder: Path) -> None:
    """Take on a mechanism; the order of "all four" is the only one that works."""
    if mechanism in ("net namespace", "all four"):
        use_namespace()
    if mechanism in ("Landlock", "all four"):
        use_landlock(folder)
    if mechanism in ("RLIMIT_NOFILE=0", "all four"):
        use_no_descriptors()
    if mechanism in ("seccomp", "all four"):
        use_seccomp()


# ---------------------------------------------------------------- the rows


def outcome(action: Callable[[], object]) -> str:
    try:
        action()
    except OSError as err:
        return errno.errorcode.get(err.errno or 0, type(err).__name__)
    except sqlite3.Error as err:
        return type(err).__name__
    return "ok"


def tcp_connect(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as plain:
        plain.settimeout(2)
        plain.connect(("127.0.0.1", port))


def udp_send(port: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        plain.sendto(b"x", ("127.0.0.1", port))


def unix_connect(path: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as plain:
        plain.connect(path)


def io_uring() -> None:
    found = seccomp.attempt("io_uring_setup", 1, ctypes.create_string_buffer(120))
    if found:
        raise OSError(found, "io_uring")


class Pipe:
    """A pipe to itself, made before."""

    def __init__(self) -> None:
        self.ends = os.pipe()

    def use(self) -> None:
        os.write(self.ends[1], b"x")
        os.read(self.ends[0], 1)


class Database:
    """A database in WAL mode in the folder, opened before: nothing new needs a descriptor later."""

    def __init__(self, folder: Path) -> None:
        self.connection = sqlite3.connect(folder / "table.db", isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA temp_store = MEMORY")
        self.connection.execute("CREATE TABLE IF NOT EXISTS t (v)")

    def use(self) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.execute("INSERT INTO t VALUES (1)")
        self.connection.execute("COMMIT")


def helper_program() -> bytes:
    """The smallest program for this kind of machine: it writes "ran" and ends (x86-64)."""
    write = b"\xb8\x01\0\0\0\xbf\x01\0\0\0\x48\x8d\x35\x10\0\0\0\xba\x04\0\0\0\x0f\x05"
    say = write + b"\xb8\x3c\0\0\0\x31\xff\x0f\x05"
    base, start = 0x400000, 64 + 56
    code = say[:13] + struct.pack("<i", len(say) - 17) + say[17:] + b"ran\n"
    size = start + len(code)
    head = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01", 2, 62, 1, base + start, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    return head + struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 4096) + code


def carry_helper() -> None:
    """Replace this process by a program that it carries along, in memory."""
    descriptor = os.memfd_create("helper", 0)
    os.write(descriptor, helper_program())
    nothing = (ctypes.c_char_p * 1)(None)
    found = seccomp.attempt("execveat", descriptor, b"", nothing, nothing, AT_EMPTY_PATH)
    raise OSError(found, "execveat")


def rows(folder: Path, tcp: int, udp: int, path: str, is_product: bool) -> dict[str, Callable[[], object]]:
    """Prepare every row but the helper; what may be open before is opened here."""
    table: dict[str, Callable[[], object]] = {
        "TCP connect": lambda: tcp_connect(tcp),
        "UDP": lambda: udp_send(udp),
        "path unix socket": lambda: unix_connect(path),
        "netlink": lambda: socket.socket(AF_NETLINK, socket.SOCK_RAW).close(),
        "vsock": lambda: socket.socket(AF_VSOCK, socket.SOCK_STREAM).close(),
        "io_uring": io_uring,
        "read a file outside": lambda: os.close(os.open("/etc/passwd", os.O_RDONLY)),
        "urandom": lambda: os.urandom(32),
    }
    if is_product:  # which does not start with anything open; its own pipes and record file come later
        return table | {"pipes": lambda: Pipe().use(), "SQLite WAL": lambda: Database(Path(place[0])).use()}
    before = socket.create_connection(("127.0.0.1", tcp))
    pipe, database = Pipe(), Database(folder)
    return table | {
        "write to a TCP socket that was open before": lambda: os.write(before.fileno(), b"x"),
        "pipes": pipe.use,
        "SQLite WAL": database.use,
    }


place: list[str] = []


def main() -> int:
    mechanism, user, folder, path = sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[6]
    tcp, udp = int(sys.argv[4]), int(sys.argv[5])
    is_product = mechanism.startswith("confine_vault")
    leaked = socket.create_connection(("127.0.0.1", tcp)) if mechanism.endswith("with a socket") else None
    "127.0.0.1".encode("idna")  # loads the codec while it can be read
    if user != "root":
        become(int(user))
    table = rows(folder, tcp, udp, path, is_product)
    try:
        if is_product:
            place.append(str(confine.confine_vault(folder, VAULT_UID if user == "root" else None, "L3")[1]))
        else:
            lock_down(mechanism, folder)
    except (ConfinementError, OSError) as err:
        sys.stderr.write(f"{err}\n")
        return 70
    del leaked
    found = {name: outcome(attempt) for name, attempt in table.items()}
    print(json.dumps(found), flush=True)
    if platform.machine() == "x86_64":
        print(outcome(carry_helper), flush=True)
    return 0


if __name__ == "__main__":
    os._exit(main())
