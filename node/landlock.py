"""Landlock: which files a process may still reach, and which TCP ports it may connect to.

Everything is forbidden except what is listed, for this thread and all later ones; so it is applied
before any other thread exists. Older kernels know fewer rights; what was really enforced is returned.
Abstract unix sockets and signals to processes outside are closed from ABI 6 on.

Spec: linux/landlock.h, ABI 1 (5.13) to 7 (6.15).
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from node.errors import ConfinementError, _
from node.seccomp import last_error, raw_call, set_no_new_privileges

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_RULE_PATH, _RULE_PORT = 1, 2

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_FILE, _MAKE_REG, _TRUNCATE = 1 << 5, 1 << 8, 1 << 14
_ALL_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPE_ABSTRACT_UNIX, _SCOPE_SIGNAL = 1, 2
_ABI_NETWORK, _ABI_SCOPE = 4, 6

READ_WRITE = _READ_FILE | _READ_DIR | _WRITE_FILE | _REMOVE_FILE | _MAKE_REG | _TRUNCATE
"""Rights on a folder of plain files: no program, no link to elsewhere, no pipe, socket or device in it."""


@dataclass(frozen=True, slots=True)
class LandlockState:
    """What the kernel enforces: its ABI, and whether files, TCP and scopes are covered."""

    abi: int
    files: bool
    network: bool
    scopes: bool


def supported_abi() -> int:
    """Ask the kernel for its Landlock ABI; 0 when it has none."""
    if sys.platform != "linux":
        return 0
    return max(0, raw_call(_CREATE_RULESET, 0, 0, _VERSION_FLAG))


def restrict(
    folders: Sequence[Path],
    connect_ports: Sequence[int],
    readable: Sequence[Path] = (),
    bind_ports: Sequence[int] = (),
) -> LandlockState:
    """Forbid every file and every TCP connection but those listed.

    Args:
        folders: folders of plain files, to read and write.
        connect_ports: TCP ports that may be connected to.
        readable: single files that may be read.
        bind_ports: TCP ports that may be bound; 0 stands for one that the kernel chooses.

    Raises:
        ConfinementError: the kernel has no Landlock, or refused a rule.
    """
    abi = supported_abi()
    if abi < 1:
        raise ConfinementError(_("this kernel has no Landlock"))
    rights = _ALL_FILE_RIGHTS[max(known for known in _ALL_FILE_RIGHTS if known <= abi)]
    network = _BIND_TCP | _CONNECT_TCP if abi >= _ABI_NETWORK else 0
    scopes = _SCOPE_ABSTRACT_UNIX | _SCOPE_SIGNAL if abi >= _ABI_SCOPE else 0
    size = 8 if abi < _ABI_NETWORK else 16 if abi < _ABI_SCOPE else 24
    attributes = struct.pack("=QQQ", rights, network, scopes)[:size]
    ruleset = _checked(raw_call(_CREATE_RULESET, attributes, size, 0))
    try:
        for folder in folders:
            _allow(ruleset, folder, READ_WRITE & rights)
        for path in readable:
            _allow(ruleset, path, _READ_FILE)
        ports = [(_CONNECT_TCP, port) for port in connect_ports] + [(_BIND_TCP, port) for port in bind_ports]
        for right, port in ports if network else ():
            _checked(raw_call(_ADD_RULE, ruleset, _RULE_PORT, struct.pack("=QQ", right, port), 0))
        set_no_new_privileges()
        _checked(raw_call(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)
    return LandlockState(abi, files=True, network=network != 0, scopes=scopes != 0)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    if sys.platform != "linux":
        raise ConfinementError(_("this system has no Landlock"))
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _checked(raw_call(_ADD_RULE, ruleset, _RULE_PATH, struct.pack("=Qi", rights, descriptor), 0))
    finally:
        os.close(descriptor)


def _checked(result: int) -> int:
    if result < 0:
        raise ConfinementError(_("the kernel refused Landlock (%(reason)s)"), details=last_error())
    return result
