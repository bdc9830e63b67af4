"""Runs a program under what a systemd unit allows, without systemd: `as_service.py UNIT UID -- PROGRAM…`.

Of the unit it takes the settings that can stop a node, and does what systemd does for them: no
capability, another user, no new privileges, the system call filter (the groups as `systemd-analyze
syscall-filter` lists them), the address families, no namespaces, and MemoryDenyWriteExecute (no mapping
writable and executable, none made executable later). What only hides files is left out. x86-64 with
kernel headers, started as root.
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}
LOAD, AND, EQUAL, ANY, RETURN = 0x20, 0x54, 0x15, 0x45, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
NEW_NAMESPACES = 0x7E020080  # CLONE_NEWTIME … CLONE_NEWUSER
CLONE_NEWUSER = 0x10000000
PROT_WRITE, PROT_EXEC = 2, 4
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_MDWE = 24, 38, 65
Step = tuple[int, int, int, int]


def settings_of(unit: str) -> dict[str, list[str]]:
    """Read a unit's settings: name → its values in order."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^([A-Za-z]+)=(.*)$", unit, re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def members(group: str) -> set[str]:
    """List the system calls of a group, as systemd does."""
    if not group.startswith("@"):
        return {group}
    lines = subprocess.run(
        ["systemd-analyze", "syscall-filter", group], capture_output=True, text=True, check=True
    ).stdout.splitlines()[1:]
    words = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
    return {name for word in words for name in (members(word) if word.startswith("@") else {word})}


def allowed_calls(filters: Iterable[str]) -> set[str]:
    """Put the lines SystemCallFilter= together: the first is the allow list, ~ takes away."""
    allowed = members("@default")
    for line in filters:
        names = {name for word in line.lstrip("~").split() for name in members(word)}
        allowed = allowed - names if line.startswith("~") else allowed | names
    return allowed


def program_of(settings: dict[str, list[str]], numbers: dict[str, int]) -> list[Step]:
    """Write the filter."""
    families = [FAMILIES[word] for word in settings["RestrictAddressFamilies"][0].split()]
    checks = {
        "socket": [(EQUAL, len(families) - place, 0, value) for place, value in enumerate(families)]
        + [(RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)],
        "clone": [(ANY, 0, 1, NEW_NAMESPACES), (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)],
        "mmap": [(AND, 0, 0, PROT_WRITE | PROT_EXEC), (EQUAL, 0, 1, PROT_WRITE | PROT_EXEC),
                 (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)],
        "mprotect": [(ANY, 0, 1, PROT_EXEC), (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)],
    }  # fmt: skip
    argument = {"socket": 0, "clone": 0, "mmap": 2, "mprotect": 2}
    program: list[Step] = [(LOAD, 0, 0, 0)]
    for name, steps in checks.items():
        block = [(LOAD, 0, 0, 16 + 8 * argument[name]), *steps]
        program += [(EQUAL, 0, len(block), numbers[name]), *block]
    for name in sorted(allowed_calls(settings["SystemCallFilter"])):
        if name in numbers and name not in checks and name not in ("unshare", "setns"):
            program += [(EQUAL, 0, 1, numbers[name]), (RETURN, 0, 0, ALLOW)]
    return [*program, (RETURN, 0, 0, REFUSE)]


def become(libc: ctypes.CDLL, uid: int) -> None:
    """Become an ordinary user, as PrivateUsers= does: outside it is still the owner of this interpreter."""
    owner = os.geteuid()
    if libc.unshare(CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "no user namespace")
    Path("/proc/self/setgroups").write_text("deny")
    for kind in ("uid_map", "gid_map"):
        Path(f"/proc/self/{kind}").write_text(f"{uid} {owner} 1")


def restrict(unit: str, uid: int) -> None:
    """Give up what the unit does not allow."""
    text = HEADER.read_text()
    numbers = {name: int(value) for name, value in re.findall(r"#define __NR_(\w+) (\d+)", text)}
    program = program_of(settings_of(unit), numbers)
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    libc = ctypes.CDLL(None, use_errno=True)
    become(libc, uid)
    for capability in range(64):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    head = struct.pack("=H6xQ", len(program), ctypes.addressof(code))
    done = libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(PR_SET_MDWE, 1, 0, 0, 0)  # Linux 6.3; the filter does it too, as older systemd does
    if done or libc.syscall(numbers["seccomp"], 1, 0, ctypes.create_string_buffer(head)):
        raise OSError(ctypes.get_errno(), "the kernel refused the filter")


if __name__ == "__main__":
    restrict(Path(sys.argv[1]).read_text("utf-8"), int(sys.argv[2]))
    os.execvp(sys.argv[4], sys.argv[4:])
