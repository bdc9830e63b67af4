"""The wall on Windows: what L1 stands for there, and how a side finds out whether it has it.

There is no system call filter and no Landlock. A side gives up what Windows lets it give up, and tries the
rest; nothing is believed because it was configured:

1. `service_account` in node.toml names an account of this node's own. Without one nothing is tried: L0.
2. The process joins a job: it can start no other program and reach no clipboard. Then it tries to start one.
3. It runs under that very account, without an administrator's rights.
4. A rule of the firewall blocks its own program (`fedscreen-vault.exe`, `fedscreen-egress.exe`). It tries to
   connect and to send to places outside: each must fail with WSAEACCES, which only a rule gives. Refused,
   unreachable or no answer proves nothing, and neither does a machine without a network.

All of 2 to 4: L1. Anything less: L0, and the floor decides. A job that says it stands while a program starts
all the same ends the process with exit code 70.

What L1 does not stop, so that nobody thinks it does: files of that account can be read and written; names can
be looked up through Windows' own DNS service, which no rule for a program covers; an administrator can do
anything. docs/windows.md says it to people.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from node.errors import ConfinementError, _
from node.windows_calls import NOT_ENOUGH_QUOTA, QUOTA_EXCEEDED, WSAEACCES, WindowsSystem

_NOWHERE = "192.0.2.1"  # RFC 5737: for documentation, nobody's machine
_STREAM, _DATAGRAM = int(socket.SOCK_STREAM), int(socket.SOCK_DGRAM)
_PROBES = ((_STREAM, _NOWHERE, 443), (_DATAGRAM, _NOWHERE, 53))


@dataclass(frozen=True, slots=True)
class WindowsWall:
    """What stands around a process on Windows; all three together are L1."""

    limited: bool = False
    own_account: bool = False
    firewall: bool = False


def lock_down(system: WindowsSystem, account: str, address: str = "") -> WindowsWall:
    """Give up what can be given up, and try what must fail.

    Args:
        system: Windows.
        account: the account of this node's own; empty where there is none.
        address: the one IP address that may be reached (an egress); its other ports must be blocked too.

    Raises:
        ConfinementError: the job's limits do not hold although Windows said so.
    """
    if not account:
        return WindowsWall()
    is_limited = system.limit() == 0 and _is_refused(system.start_program())
    is_own = system.account().casefold() == account.casefold() and not system.is_administrator()
    probes = (*_PROBES, *([(_STREAM, address, 9)] if address else []))
    # `all` stops at the first probe that is not blocked: each of those may take a second.
    is_blocked = all(system.connect(*probe) == WSAEACCES for probe in probes)
    return WindowsWall(is_limited, is_own, is_blocked)


def _is_refused(found: int) -> bool:
    """Judge how the start of a program went; a failure that is not the job's own proves nothing."""
    if found == 0:
        raise ConfinementError(
            _("self-test: '%(probe)s' gave %(found)s, expected %(expected)s"),
            details={"probe": "start a program", "found": "success", "expected": str(NOT_ENOUGH_QUOTA)},
        )
    return found in (NOT_ENOUGH_QUOTA, QUOTA_EXCEEDED)
