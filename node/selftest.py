"""The self-test that must fail: each forbidden thing is tried once, after the lock-down.

A probe has the errno that only the wall gives: EPERM from the filter comes before the kernel looks
at an argument, EACCES from Landlock only where the file or port could be reached before. Any other
outcome, success above all, means that the wall is not where it should be.

Every call is harmless where nothing stops it: it then fails with EBADF, EFAULT, EINVAL or ENOENT.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.errors import ConfinementError, _
from node.seccomp import attempt


@dataclass(frozen=True, slots=True)
class Probe:
    """One forbidden thing: `try_it` gives the errno that it fails with (0: it worked)."""

    name: str
    try_it: Callable[[], int]
    expected: int = errno.EPERM


def _call(name: str, *arguments: Any) -> Probe:
    return Probe(name, lambda: attempt(name, *arguments))


def _socket(family: int, kind: int, protocol: int = 0) -> Probe:
    return Probe(f"socket {family} {kind} {protocol}", lambda: attempt("socket", family, kind, protocol))


# Numbers of Linux, which are the same on all machines; Python lacks some of the names.
_UNIX, _INET, _INET6, _NETLINK, _PACKET, _VSOCK, _MPTCP = 1, 2, 10, 16, 17, 40, 262
_STREAM, _DGRAM, _RAW, _SEQPACKET = 1, 2, 3, 5
_MSG_FASTOPEN = 0x20000000
_CLONE_SIGHAND = 0x800  # EINVAL without CLONE_VM: never a real child
_PTRACE_ATTACH = 16
_NOT_OPEN = 1023
_NOWHERE = b"/nonexistent/fedscreen"

_BOTH = (
    _socket(_INET, _DGRAM),
    _socket(_INET6, _DGRAM),
    _socket(_UNIX, _STREAM),
    _socket(_NETLINK, _RAW),
    _socket(_VSOCK, _STREAM),
    _socket(_PACKET, _RAW),
    _socket(_INET, _STREAM, _MPTCP),
    _socket(_INET, _SEQPACKET),
    _call("socketpair", _UNIX, _STREAM, 0, None),
    _call("bind", _NOT_OPEN, None, 0),
    _call("listen", _NOT_OPEN, 1),
    _call("accept", _NOT_OPEN, None, None),
    _call("sendto", _NOT_OPEN, None, 0, 0, b"\0" * 16, 16),
    _call("sendto", _NOT_OPEN, None, 0, _MSG_FASTOPEN, None, 0),
    _call("sendmsg", _NOT_OPEN, None, _MSG_FASTOPEN),
    _call("sendmmsg", _NOT_OPEN, None, 0, 0),
    _call("execve", _NOWHERE, None, None),
    _call("execveat", -1, _NOWHERE, None, None, 0),
    _call("clone", _CLONE_SIGHAND, 0, 0, 0, 0),
    _call("ptrace", _PTRACE_ATTACH, 0, None, None),
    _call("process_vm_readv", 0, None, 0, None, 0, 1),
    _call("pidfd_getfd", -1, -1, 0),
    _call("io_uring_setup", 0, None),
    _call("bpf", -1, None, 0),
    _call("unshare", 0),
    _call("setns", -1, 0),
    _call("mount", None, None, None, 0, None),
    _call("keyctl", -1, 0, 0, 0, 0),
    _call("memfd_create", None, 0),
    _call("mq_open", None, 0, 0, None),
    _call("shmget", -1, 0, 0),
)
VAULT_PROBES = (
    *_BOTH,
    _socket(_INET, _STREAM),
    _socket(_INET6, _STREAM),
    _call("connect", _NOT_OPEN, None, 0),
    _call("sendmsg", _NOT_OPEN, None, 0),
    _call("sendto", _NOT_OPEN, None, 0, 0, None, 0),
    _call("recvmsg", _NOT_OPEN, None, 0),
)
"""What a vault's filter refuses."""

EGRESS_PROBES = _BOTH
"""What an egress's filter refuses."""


def port_probe(port: int) -> Probe:
    """Connect to a port on this machine other than `port`."""
    other = 9 if port != 9 else 7

    def try_it() -> int:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            return _errno_of(lambda: probe.connect(("127.0.0.1", other)))

    return Probe("connect to another port", try_it, errno.EACCES)


def file_probes(*neighbours: Path) -> list[Probe]:
    """Read and write outside, in places that most users may reach, and in `neighbours`."""
    readable = [
        "/",
        "/etc/hostname",
        "/etc/passwd",
        "/proc/self/status",
        sys.executable,
        *map(str, neighbours),
    ]
    writable = ["/tmp", "/var/tmp", "/dev/shm", *map(str, neighbours)]  # noqa: S108
    # O_TMPFILE makes a file without a name: nothing is left behind where it is not stopped.
    making = getattr(os, "O_TMPFILE", 0) | os.O_RDWR
    return [
        *(_open_probe(path, os.O_RDONLY) for path in readable),
        *(_open_probe(path, making) for path in writable),
    ]


def _open_probe(path: str, flags: int) -> Probe:
    verb = "read" if flags == os.O_RDONLY else "write in"
    action = lambda: os.close(os.open(path, flags | os.O_CLOEXEC, 0o600))  # noqa: E731
    return Probe(f"{verb} {path}", lambda: _errno_of(action), errno.EACCES)


def _errno_of(action: Callable[[], object]) -> int:
    try:
        action()
    except OSError as err:
        return err.errno or errno.EIO
    return 0


def reachable(probes: Iterable[Probe]) -> list[Probe]:
    """Keep the probes that work now: a test that fails anyway would prove nothing.

    Raises:
        ConfinementError: nothing works before the lock-down.
    """
    kept = [probe for probe in probes if probe.try_it() == 0]
    if not kept:
        raise ConfinementError(_("self-test: no file can be opened even before the lock-down"))
    return kept


def verify_all_refused(probes: Iterable[Probe]) -> None:
    """Try what must not work.

    Raises:
        ConfinementError: something worked, or failed for another reason than the wall.
    """
    for probe in probes:
        found = probe.try_it()
        if found != probe.expected:
            raise ConfinementError(
                _("self-test: '%(probe)s' gave %(found)s, expected %(expected)s"),
                details={
                    "probe": probe.name,
                    "found": errno.errorcode.get(found, str(found)) if found else "success",
                    "expected": errno.errorcode[probe.expected],
                },
            )
