"""The wall: what a vault or an egress gives up before it gets anything worth stealing.

Order, in `confine_vault` and `confine_egress` (nothing may be left out or moved):

1. Everything is imported; exactly one thread runs; every open descriptor is a pipe (else a socket
   that was open before would stay an exit, which no later step closes).
2. Limits: no core dump, few descriptors.
3. Started as root: own mount and network namespace; the vault's folder is mounted alone on a private,
   reachable place (SQLite resolves absolute paths, and a folder above may be closed to the new user);
   then the folder gets the process's own uid and the process becomes it.
4. Not dumpable (so /proc/PID/mem and fd belong to root), killed with its parent.
5. Landlock: the vault reaches its folder and no TCP port; the egress no file and one TCP port.
6. seccomp on every thread: the vault has no network, no program, no child; the egress makes TCP
   sockets only, and connects only with connect().
7. A self-test that must fail: each forbidden thing is tried. What was reachable before and still is,
   or fails in another way than expected, ends the process with exit code 70.

Levels (docs/architecture.md): L3 = seccomp, Landlock for files, the network closed a second time
(Landlock ABI 4 or a network namespace), own uid if started as root. L2 = seccomp and own uid. L1 =
seccomp alone, or on Windows a service account, a job and a firewall rule (`node.confine_windows`). L0 =
none of it; systems other than Linux and Windows come out here.

This module is shared by both sides, so it imports nothing but the standard library.
"""

from __future__ import annotations

import os
import signal
import socket
import stat
import struct
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from node.confine_windows import WindowsWall, lock_down
from node.errors import ConfinementError, _
from node.landlock import LandlockState, restrict, supported_abi
from node.seccomp import (
    ArgumentCheck,
    FilterPolicy,
    attempt,
    control,
    control_value,
    install,
    is_supported,
    set_no_new_privileges,
)
from node.selftest import EGRESS_PROBES, VAULT_PROBES, file_probes, port_probe, reachable, verify_all_refused
from node.windows_calls import find_windows

LEVELS = ("L0", "L1", "L2", "L3")
READY_BYTES = 16
_READY = struct.Struct(">2sBB12x")

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4
_PR_GET_PDEATHSIG, _PR_GET_DUMPABLE, _PR_GET_NO_NEW_PRIVS = 2, 3, 39
_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWNET = 0x00020000, 0x10000000, 0x40000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT = 2, 4, 8, 32
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18
_MOUNT_PLACES = ("/mnt", "/run", "/srv", "/var/tmp", "/tmp")  # noqa: S108  (mounted over in a private namespace)
_RANDOM_DEVICE = Path("/dev/urandom")  # gRPC opens it by name
_VAULT_DESCRIPTORS = 64
_EGRESS_DESCRIPTORS = 256
_MSG_FASTOPEN = 0x20000000
_CLONE_THREAD = 0x00010000

_OTHER_PROCESSES = (
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "kcmp", "pidfd_open",
    "pidfd_getfd", "pidfd_send_signal", "execve", "execveat", "bpf", "perf_event_open", "userfaultfd",
    "keyctl", "add_key", "request_key", "shmget", "shmat", "shmctl", "msgget", "msgsnd", "msgrcv", "semget",
    "mq_open", "mq_unlink",
    "memfd_create", "memfd_secret", "io_uring_setup", "io_uring_enter", "io_uring_register",
)  # fmt: skip
_THE_SYSTEM = (
    "unshare", "setns", "chroot", "pivot_root", "mount", "umount2", "mount_setattr", "open_tree",
    "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "name_to_handle_at", "open_by_handle_at",
    "fanotify_init", "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load",
    "reboot", "swapon", "swapoff", "acct", "personality", "syslog", "mknod", "mknodat",
)  # fmt: skip

VAULT_POLICY = FilterPolicy(
    denied=(
        *("socket", "socketpair", "bind", "listen", "accept", "accept4", "connect"),
        *("sendto", "sendmsg", "sendmmsg", "recvfrom", "recvmsg", "recvmmsg"),
        *("clone", "clone3", "fork", "vfork", "splice", "vmsplice", "tee"),
        *_OTHER_PROCESSES,
        *_THE_SYSTEM,
    )
)
"""No socket of any kind, no program, no child, no thread."""

_TCP_SOCKET = (
    ArgumentCheck(0, (int(socket.AF_INET), int(socket.AF_INET6))),
    ArgumentCheck(1, (int(socket.SOCK_STREAM),), mask=0xF),  # the rest of the word is NONBLOCK and CLOEXEC
    ArgumentCheck(2, (0, int(socket.IPPROTO_TCP))),  # MPTCP would pass by Landlock's port rule
)
EGRESS_POLICY = FilterPolicy(
    denied=(
        *("socketpair", "bind", "listen", "accept", "accept4", "sendmmsg", "recvmmsg"),
        *("fork", "vfork", "splice", "vmsplice", "tee"),
        *_OTHER_PROCESSES,
        *_THE_SYSTEM,
    ),
    absent=("clone3",),  # its flags lie in memory, where no filter sees them; libc falls back to clone
    conditional=(
        ("socket", _TCP_SOCKET),
        # With an address or MSG_FASTOPEN these would connect without connect(), past Landlock's port rule.
        ("sendto", (ArgumentCheck(4, (0,), is_wide=True), ArgumentCheck(3, (0,), mask=_MSG_FASTOPEN))),
        ("sendmsg", (ArgumentCheck(2, (0,), mask=_MSG_FASTOPEN),)),
        ("clone", (ArgumentCheck(0, (_CLONE_THREAD,), mask=_CLONE_THREAD),)),
    ),
)
"""TCP sockets only, connected only by connect(); threads but no child and no program."""

EGRESS_IPV6_POLICY = replace(
    EGRESS_POLICY, denied=tuple(name for name in EGRESS_POLICY.denied if name != "bind")
)
"""The same for a coordinator with an IPv6 address: gRPC binds a port of ::1 to see whether the machine has
IPv6, and uses none without. Nothing can listen on it."""


@dataclass(frozen=True, slots=True)
class Confinement:
    """What really stands around a process, as it found out itself."""

    seccomp: bool = False
    landlock_abi: int = 0
    landlock_files: bool = False
    landlock_network: bool = False
    network_namespace: bool = False
    own_uid: bool = False
    was_root: bool = False
    windows_job: bool = False
    windows_firewall: bool = False

    @property
    def level(self) -> str:
        """The level of docs/architecture.md, "L0" to "L3"."""
        is_network_closed_twice = self.landlock_network or self.network_namespace
        is_separate = self.own_uid or not self.was_root
        if self.seccomp and self.landlock_files and is_network_closed_twice and is_separate:
            return "L3"
        if self.seccomp and self.own_uid:
            return "L2"
        has_windows_wall = self.windows_job and self.windows_firewall and self.own_uid
        return "L1" if self.seccomp or has_windows_wall else "L0"


def encode_ready(confinement: Confinement) -> bytes:
    """Write the payload of a READY frame (16 bytes): level, Landlock ABI, one bit per part, zeros."""
    parts = (
        confinement.seccomp,
        confinement.landlock_files,
        confinement.landlock_network,
        confinement.network_namespace,
        confinement.own_uid,
        confinement.was_root,
        confinement.windows_job,
        confinement.windows_firewall,
    )
    bits = sum(int(part) << position for position, part in enumerate(parts))
    return _READY.pack(confinement.level.encode("ascii"), confinement.landlock_abi, bits)


def parse_ready(payload: bytes) -> Confinement:
    """Read the payload of a READY frame; the inverse of `encode_ready`.

    Raises:
        ConfinementError: not what `encode_ready` writes, or its level does not follow from its parts.
    """
    if len(payload) != READY_BYTES:
        raise ConfinementError(_("the statement of confinement has a wrong length"))
    _level, abi, bits = _READY.unpack(payload)
    found = Confinement(
        seccomp=bool(bits & 1),
        landlock_abi=abi,
        landlock_files=bool(bits & 2),
        landlock_network=bool(bits & 4),
        network_namespace=bool(bits & 8),
        own_uid=bool(bits & 16),
        was_root=bool(bits & 32),
        windows_job=bool(bits & 64),
        windows_firewall=bool(bits & 128),
    )
    if encode_ready(found) != payload:
        raise ConfinementError(_("the statement of confinement contradicts itself"))
    return found


def verify_floor(level: str, floor: str) -> None:
    """Refuse a level below the floor that the school configured.

    Raises:
        ConfinementError: below it.
    """
    if LEVELS.index(level) < LEVELS.index(floor):
        on_windows = _(
            "Windows reaches L1 at most: see docs/windows.md, and set confinement_floor in node.toml."
        )
        on_linux = _(
            "Use Linux 6.7 or newer, with seccomp and Landlock, or lower confinement_floor in node.toml."
        )
        raise ConfinementError(
            _("confinement reaches %(level)s only, this node's floor is %(floor)s"),
            on_windows if os.name == "nt" else on_linux,
            details={"level": level, "floor": floor},
        )


def _confine_elsewhere(account: str, floor: str, address: str = "") -> Confinement:
    """Put up what there is on a system other than Linux."""
    system = find_windows()
    wall = WindowsWall() if system is None else lock_down(system, account, address)
    state = Confinement(own_uid=wall.own_account, windows_job=wall.limited, windows_firewall=wall.firewall)
    verify_floor(state.level, floor)
    return state


def confine_vault(folder: Path, uid: int | None, floor: str, account: str = "") -> tuple[Confinement, Path]:
    """Lock this process down as a vault.

    Args:
        folder: the vault's folder; absolute.
        uid: the user (and group) to become; needed exactly when started as root.
        floor: the lowest level that is accepted.
        account: on Windows the account of this node's own; empty for none.

    Returns:
        What stands, and the path under which the folder is reachable from now on.

    Raises:
        ConfinementError: anything did not come out as it should. The caller exits with 70.
    """
    if sys.platform != "linux":
        return _confine_elsewhere(account, floor), folder
    state = _start(uid, _VAULT_DESCRIPTORS)
    if state.was_root and uid is not None:
        state, folder = _leave_root(state, uid, folder, is_network_needed=False)
    elif supported_abi() < 4:  # Landlock cannot close TCP here, a namespace of one's own may
        state = replace(state, network_namespace=_unshare(_CLONE_NEWUSER | _CLONE_NEWNET))
    _hide()
    probes = reachable(file_probes(folder.parent))
    state = _lock(state, VAULT_POLICY, folders=(folder,))
    verify_all_refused(VAULT_PROBES if state.seccomp else ())
    verify_all_refused(probes if state.landlock_files else ())
    _require_reachable(folder)
    os.listdir(folder)  # a folder that is shut for the vault itself is found now, not with the key in hand
    verify_floor(state.level, floor)
    return state, folder


def confine_egress(
    folder: Path,
    uid: int | None,
    floor: str,
    port: int,
    *,
    is_ipv6: bool = False,
    account: str = "",
    address: str = "",
) -> Confinement:
    """Lock this process down as an egress; its key and certificates are already in memory.

    Args:
        folder: the egress's folder, which gets the egress's uid; not reachable afterwards.
        uid: the user (and group) to become; needed exactly when started as root.
        floor: the lowest level that is accepted.
        port: the one TCP port that may be connected to.
        is_ipv6: whether the coordinator has an IPv6 address.
        account: on Windows the account of this node's own; empty for none.
        address: on Windows the one IP address that may be connected to.

    Raises:
        ConfinementError: anything did not come out as it should. The caller exits with 70.
    """
    if sys.platform != "linux":
        return _confine_elsewhere(account, floor, address)
    state = _start(uid, _EGRESS_DESCRIPTORS)
    if state.was_root and uid is not None:
        state, _place = _leave_root(state, uid, folder, is_network_needed=True)
    _hide()
    probes = reachable(file_probes(folder))
    policy = EGRESS_IPV6_POLICY if is_ipv6 else EGRESS_POLICY
    binds = (0,) if is_ipv6 else ()
    state = _lock(state, policy, readable=(_RANDOM_DEVICE,), ports=(port,), bind_ports=binds)
    tried = [probe for probe in EGRESS_PROBES if probe.name != "bind" or not is_ipv6]
    verify_all_refused(tried if state.seccomp else ())
    verify_all_refused(probes if state.landlock_files else ())
    verify_all_refused([port_probe(port)] if state.landlock_network else ())
    verify_floor(state.level, floor)
    return state


# ---------------------------------------------------------------- steps 1 to 4


def _start(uid: int | None, num_descriptors: int) -> Confinement:
    if sys.platform != "linux":
        raise ConfinementError(_("this system has no wall yet"))
    import resource

    _require_single_thread()
    _require_pipes()
    was_root = os.geteuid() == 0
    if was_root and uid is None:
        raise ConfinementError(
            _("started as root without a user of its own"),
            _("Set vault_uid and egress_uid in node.toml, or start as an ordinary user."),
        )
    for limit, most in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_NOFILE, num_descriptors)):
        highest = resource.getrlimit(limit)[1]
        value = most if highest == resource.RLIM_INFINITY else min(most, highest)
        resource.setrlimit(limit, (value, value))
        _require("limit", resource.getrlimit(limit)[1], value)
    return Confinement(was_root=was_root)


def _require(part: str, found: int, expected: int) -> None:
    """Believe what the kernel says afterwards, not that a call returned: some kernels only pretend."""
    if found != expected:
        raise ConfinementError(
            _("the lock-down's %(part)s is %(found)d, expected %(expected)d"),
            details={"part": part, "found": found, "expected": expected},
        )


def _require_single_thread() -> None:
    """A thread that exists before Landlock keeps its access to files."""
    threads = os.listdir("/proc/self/task")
    if len(threads) != 1:
        raise ConfinementError(
            _("%(found)d threads run before the lock-down, expected 1"), details={"found": len(threads)}
        )


def _require_pipes() -> None:
    """Refuse to start with anything open that could carry bytes elsewhere than to the parent."""
    null = os.stat(os.devnull).st_rdev
    for number in sorted(int(name) for name in os.listdir("/proc/self/fd")):
        try:
            found = os.fstat(number)
        except OSError:
            continue  # the listing's own descriptor, closed by now
        is_null = stat.S_ISCHR(found.st_mode) and found.st_rdev == null
        if number > 2 or not (stat.S_ISFIFO(found.st_mode) or is_null):
            raise ConfinementError(
                _("descriptor %(found)d is open, expected pipes at 0, 1 and 2 only"),
                details={"found": number},
            )


def _leave_root(
    state: Confinement, uid: int, folder: Path, *, is_network_needed: bool
) -> tuple[Confinement, Path]:
    """Own the folder, mount it where the new user can reach it, and become that user."""
    _give_folder(folder, uid)
    place = folder
    if _unshare(_CLONE_NEWNS):
        place = _mount_alone(folder) or folder
    has_namespace = not is_network_needed and _unshare(_CLONE_NEWNET)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (uid, uid, uid) or os.getgroups():
        raise ConfinementError(_("the process did not become user %(uid)d"), details={"uid": uid})
    _require_no_capabilities()
    if not is_network_needed:
        _require_reachable(place)
    return replace(state, own_uid=True, network_namespace=has_namespace), place


def _give_folder(folder: Path, uid: int) -> None:
    """Make the folder and the plain files in it the process's own (never through a link)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        os.fchown(descriptor, uid, uid)
        os.fchmod(descriptor, 0o700)
        given = os.fstat(descriptor)
        _require("folder's user", given.st_uid, uid)
        _require("folder's mode", stat.S_IMODE(given.st_mode), 0o700)
        for name in os.listdir(descriptor):
            found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if stat.S_ISREG(found.st_mode) and found.st_nlink == 1 and found.st_uid != uid:
                os.chown(name, uid, uid, dir_fd=descriptor, follow_symlinks=False)
    finally:
        os.close(descriptor)


def _mount_alone(folder: Path) -> Path | None:
    """Mount `folder` on an empty private file system that everyone can reach; None where that is refused.

    Nothing of it is visible outside this process's own mount namespace.
    """
    place = next((Path(name) for name in _MOUNT_PLACES if os.path.isdir(name)), None)
    private = attempt("mount", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    if place is None or private != 0:
        return None
    source = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)  # may lie below `place`, which is covered next
    try:
        flags = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC
        if attempt("mount", b"tmpfs", os.fsencode(place), b"tmpfs", flags, b"mode=0755,size=64k") != 0:
            return None
        target = place / folder.name
        target.mkdir()
        inner = os.fsencode(target)
        if attempt("mount", b"/proc/self/fd/%d" % source, inner, None, _MS_BIND, None) != 0:
            return None
        if attempt("mount", None, inner, None, _MS_BIND | _MS_REMOUNT | flags, None) != 0:
            return None
        return target
    finally:
        os.close(source)


def _unshare(flags: int) -> bool:
    return attempt("unshare", flags) == 0


def _require_no_capabilities() -> None:
    with open("/proc/self/status", "rb") as lines:  # as bytes: a codec may not be loaded any more
        found = dict(line.split(b":", 1) for line in lines if line.startswith(b"Cap"))
    if any(int(found[name], 16) for name in (b"CapPrm", b"CapEff", b"CapInh", b"CapAmb")):
        raise ConfinementError(_("the process kept rights of root after it became another user"))


def _require_reachable(folder: Path) -> None:
    """Name the folder that is closed to this user, if any."""
    for step in [*reversed(folder.parents), folder]:
        try:
            os.stat(step / ".")
        except OSError as err:
            raise ConfinementError(
                _("user %(uid)d cannot reach %(folder)s (%(reason)s)"),
                _("Open that folder to everyone's passage (chmod o+x), or move the node's folder."),
                details={"uid": os.geteuid(), "folder": str(step), "reason": err.strerror or ""},
            ) from err


def _hide() -> None:
    """Give no one a core dump or /proc/PID/mem, and die with the parent."""
    control(_PR_SET_DUMPABLE, 0)
    control(_PR_SET_PDEATHSIG, int(signal.SIGKILL))  # the change of user above would have cleared it
    set_no_new_privileges()
    _require("dumpable", control_value(_PR_GET_DUMPABLE), 0)
    _require("death signal", control_value(_PR_GET_PDEATHSIG), int(signal.SIGKILL))
    _require("no new privileges", control_value(_PR_GET_NO_NEW_PRIVS), 1)


def harden_parent() -> None:
    """Protect a supervisor or command that holds the database key: no core dump, not dumpable."""
    if sys.platform == "linux":
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        control(_PR_SET_DUMPABLE, 0)


# ---------------------------------------------------------------- steps 5 and 6


def _lock(
    state: Confinement,
    policy: FilterPolicy,
    folders: tuple[Path, ...] = (),
    readable: tuple[Path, ...] = (),
    ports: tuple[int, ...] = (),
    bind_ports: tuple[int, ...] = (),
) -> Confinement:
    found = LandlockState(0, files=False, network=False, scopes=False)
    if supported_abi() > 0:
        found = restrict(folders, ports, readable, bind_ports)
    is_filtered = is_supported()
    if is_filtered:
        install(policy)
    return replace(
        state,
        seccomp=is_filtered,
        landlock_abi=found.abi,
        landlock_files=found.files,
        landlock_network=found.network,
    )
