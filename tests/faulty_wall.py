"""A side of the wall in which one step of the lock-down goes wrong: `python faulty_wall.py FAULT SIDE UID …`.

The rest of the line is the worker's own. UID is an ordinary user to become first, 0 to stay. The fault is put
under the product before its `main` is called: a system call is *refused* (it fails with EPERM) or only
*pretended* (it returns as if it had worked, as some kernels in containers do), or something is there that
should not be. Whatever is loaded before the lock-down, and is not part of it, is left out.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import socket
import sys
import threading
import types
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from node import confine, landlock, seccomp, selftest
from node.errors import ConfinementError

PRCTL = {"death signal": 1, "dumpable": 4, "no new privileges": 38}
KEEP_CAPABILITIES = 8
LANDLOCK = {"create": 444, "add rule": 445, "restrict": 446}
MOUNTS = ("private", "tmpfs", "bind", "remount")


class Call:
    """A function of the C library whose chosen calls do not reach the kernel."""

    def __init__(self, real: Any, is_chosen: Callable[..., bool], result: int) -> None:
        self.real, self.is_chosen, self.result = real, is_chosen, result
        self.restype: Any = None

    def __call__(self, *arguments: Any) -> int:
        if not self.is_chosen(*arguments):
            self.real.restype = self.restype or ctypes.c_int
            return int(self.real(*arguments))
        ctypes.set_errno(errno.EPERM)
        return self.result


def spoil(name: str, is_chosen: Callable[..., bool], result: int) -> None:
    """Let chosen calls of `prctl` or `syscall` give `result`."""
    real = ctypes.CDLL(None, use_errno=True)
    found = types.SimpleNamespace(prctl=real.prctl, syscall=real.syscall)
    setattr(found, name, Call(getattr(real, name), is_chosen, result))
    seccomp._libc = lambda: found  # type: ignore[assignment]


def spoil_call(number: int, result: int, first: int = 0, only: int | None = None) -> None:
    """Let a system call give `result`, from its call `first` on, or `only` then.

    What asks for Landlock's version is left alone.
    """
    count = -1

    def is_chosen(called: Any, *arguments: Any) -> bool:
        nonlocal count
        if called.value != number or (number == LANDLOCK["create"] and arguments[-1].value == 1):
            return False
        count += 1
        return count >= first if only is None else count == only

    spoil("syscall", is_chosen, result)


def number_of(name: str) -> int:
    return seccomp.call_number(name, platform.machine()) or 0


def raising(err: BaseException) -> Callable[..., NoReturn]:
    def refuse(*_arguments: Any, **_options: Any) -> NoReturn:
        raise err

    return refuse


def refuse_os(name: str) -> None:
    setattr(os, name, raising(PermissionError(errno.EPERM, "refused")))


def pretend_os(name: str) -> None:
    setattr(os, name, lambda *_arguments, **_options: None)


def limit(which: int, answer: Callable[..., Any]) -> None:
    real = resource.setrlimit
    resource.setrlimit = lambda kind, pair: answer() if kind == which else real(kind, pair)


# ---------------------------------------------------------------- the faults

kept: list[Any] = []


def second_thread() -> None:
    threading.Thread(target=threading.Event().wait, daemon=True).start()


def open_socket() -> None:
    kept.append(socket.socket(socket.AF_INET, socket.SOCK_STREAM))


def open_file() -> None:
    kept.append(open("/etc/passwd", "rb"))  # noqa: SIM115


def no_proc() -> None:
    os.listdir = raising(FileNotFoundError(errno.ENOENT, "no /proc"))


def keep_capabilities() -> None:
    seccomp.control(KEEP_CAPABILITIES, 1)


def pretend_groups() -> None:
    os.setgroups([4242])
    pretend_os("setgroups")


def file_of_another() -> None:
    real = os.chown
    (Path(sys.argv[sys.argv.index("--dir") + 1]) / "vault" / "of another").write_text("x")
    os.chown = lambda path, *rest, **more: (
        raising(PermissionError(1, "refused"))() if more else real(path, *rest)
    )


def without(call: str) -> None:
    """Forget one call in both filters, together with what belongs to it."""
    for name in ("VAULT_POLICY", "EGRESS_POLICY"):
        policy = getattr(confine, name)
        denied = tuple(found for found in policy.denied if found != call)
        conditional = tuple(row for row in policy.conditional if row[0] != call)
        setattr(confine, name, replace(policy, denied=denied, conditional=conditional))


def allow_file(place: str) -> None:
    real = landlock.restrict
    confine.restrict = lambda folders, *rest: real([*folders, Path(place)], *rest)  # type: ignore[attr-defined]


def allow_port() -> None:
    real = landlock.restrict
    confine.restrict = lambda folders, ports, *rest: real(folders, (*ports, 9), *rest)  # type: ignore[attr-defined]


def no_landlock_network() -> None:
    """An old kernel: Landlock for files only."""
    real = landlock.restrict
    confine.restrict = lambda *rest: replace(real(*rest), network=False)  # type: ignore[attr-defined]


def nothing_to_try() -> None:
    selftest._errno_of = lambda action: errno.ENOENT


def both(*faults: Callable[[], None]) -> Callable[[], None]:
    def apply() -> None:
        for fault in faults:
            fault()

    return apply


def refused(call: str, only: int | None = None) -> Callable[[], None]:
    return lambda: spoil_call(number_of(call), -1, only=only)


FAULTS: dict[str, Callable[[], None]] = {
    "nothing": lambda: None,
    "few descriptors allowed": lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40)),
    "second thread": second_thread,
    "open socket": open_socket,
    "open file": open_file,
    "/proc is not there": no_proc,
    "core limit refused": lambda: limit(resource.RLIMIT_CORE, raising(ValueError("refused"))),
    "core limit pretended": lambda: limit(resource.RLIMIT_CORE, lambda: None),
    "descriptor limit refused": lambda: limit(resource.RLIMIT_NOFILE, raising(ValueError("refused"))),
    "descriptor limit pretended": lambda: limit(resource.RLIMIT_NOFILE, lambda: None),
    "folder's chown refused": lambda: refuse_os("fchown"),
    "folder's chown pretended": lambda: pretend_os("fchown"),
    "folder's chmod refused": lambda: refuse_os("fchmod"),
    "folder's chmod pretended": lambda: pretend_os("fchmod"),
    "file's chown refused": file_of_another,
    "mount namespace refused": refused("unshare", 0),
    **{f"mount {name} refused": refused("mount", place) for place, name in enumerate(MOUNTS)},
    "network namespace refused": refused("unshare", 1),
    "network namespace and Landlock's ports refused": both(refused("unshare", 1), no_landlock_network),
    "setgroups refused": lambda: refuse_os("setgroups"),
    "setgroups pretended": pretend_groups,
    "setgid refused": lambda: refuse_os("setresgid"),
    "setgid pretended": lambda: pretend_os("setresgid"),
    "setuid refused": lambda: refuse_os("setresuid"),
    "setuid pretended": lambda: pretend_os("setresuid"),
    "rights of root kept": keep_capabilities,
    **{
        f"{name} {how}": lambda option=option, result=result: spoil(  # type: ignore[misc]
            "prctl", lambda called, *_rest: called.value == option, result
        )
        for name, option in PRCTL.items()
        for how, result in (("refused", -1), ("pretended", 0))
    },
    "Landlock missing": lambda: spoil(
        "syscall", lambda called, *_rest: called.value == LANDLOCK["create"], -1
    ),
    **{f"Landlock {name} refused": lambda n=n: spoil_call(n, -1) for name, n in LANDLOCK.items()},  # type: ignore[misc]
    "Landlock second rule refused": lambda: spoil_call(LANDLOCK["add rule"], -1, first=1),
    "Landlock add rule pretended": lambda: spoil_call(LANDLOCK["add rule"], 0),
    "Landlock restrict pretended": lambda: spoil_call(LANDLOCK["restrict"], 0),
    "Landlock allows the root": lambda: allow_file("/"),
    "Landlock allows /etc": lambda: allow_file("/etc"),
    "Landlock allows a second port": allow_port,
    "seccomp for another machine": lambda: setattr(confine, "is_supported", lambda: False),
    "seccomp refused": lambda: spoil_call(317 if platform.machine() == "x86_64" else 277, -1),
    "seccomp pretended": lambda: spoil_call(317 if platform.machine() == "x86_64" else 277, 0),
    "nothing to try": nothing_to_try,
}


def become(uid: int) -> None:
    """Become an ordinary user, like one that never was root."""
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        seccomp.control(PRCTL["dumpable"], 1)


def vault() -> Callable[[list[str]], int]:
    """Give the vault's `main`, with a record file that tells that the key came."""
    from node.vault import worker
    from node.vault.errors import StoreError

    worker.LATE_MODULES = ()  # type: ignore[assignment]
    worker.software_digest = lambda: bytes(32)
    refuse = raising(StoreError("the key came", code="key-came"))
    return lambda arguments: worker.main(arguments, load=lambda: refuse)


def egress() -> Callable[[list[str]], int]:
    """Give the egress's `main`, without gRPC, which takes long to load and is no part of the lock-down."""
    client = types.ModuleType("node.egress.client")
    client.CallError, client.Coordinator = Exception, None  # type: ignore[attr-defined]
    client.DEFINITE_NUMBERS = frozenset()  # type: ignore[attr-defined]
    client.read_credentials = lambda _folder: None  # type: ignore[attr-defined]
    sys.modules[client.__name__] = client
    from node.egress import worker

    worker.LATE_MODULES = ()  # type: ignore[assignment]
    return worker.main


def put_under(side: str, fault: str, user: int) -> None:
    """Let the fault happen right before the lock-down, and the change of user too: all is loaded by then."""
    real = getattr(confine, f"confine_{side}")

    def spoilt(*arguments: Any, **options: Any) -> Any:
        become(user)
        if fault.startswith("without "):
            without(fault.removeprefix("without "))
        else:
            FAULTS[fault]()
        return real(*arguments, **options)

    setattr(confine, f"confine_{side}", spoilt)


def forget_each(side: str, user: int, folder: Path, calls: list[str]) -> None:
    """Lock a child down for each call, with a filter that forgets it; print call, exit code and words."""
    for call in calls:
        pid = os.fork()
        if pid == 0:
            become(user)
            without(call)
            code, said = 0, "nothing was noticed"
            try:
                if side == "vault":
                    confine.confine_vault(folder / "vault", None, "L3")
                else:
                    confine.confine_egress(folder / "egress", None, "L3", 8443)
            except ConfinementError as err:
                code, said = err.EXIT, str(err)
            os.write(1, f"{call} {code}: {said}\n".encode())
            os._exit(code)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    if sys.argv[1] == "each":
        forget_each(sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]), sys.argv[5:])
        os._exit(0)
    run = {"vault": vault, "egress": egress}[sys.argv[2]]()
    put_under(sys.argv[2], sys.argv[1], int(sys.argv[3]))
    os._exit(run(sys.argv[4:]))
