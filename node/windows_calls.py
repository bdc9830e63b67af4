"""What this node asks of Windows itself, and nowhere else: one small call a function, by ctypes.

Every other module gets a `WindowsSystem` or names nothing of Windows. On another system `find_windows` gives
None, so nothing here is reached. Structures are those of 64-bit Windows (winnt.h, winbase.h).
"""

from __future__ import annotations

import ctypes
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

ACCESS_DENIED, NOT_ENOUGH_QUOTA = 5, 1816  # winerror.h
QUOTA_EXCEEDED = 0xC0000044  # ntstatus.h: what a process ends with that was one too many
WSAEACCES, WSAETIMEDOUT = 10013, 10060  # winsock2.h
CONNECT_TIMEOUT_S = 1.0

_SYNCHRONIZE, _WAIT_TIMEOUT = 0x00100000, 0x102
_JOB_LIMITS, _JOB_SCREEN = 9, 4  # JobObjectExtendedLimitInformation, JobObjectBasicUIRestrictions
_ONE_PROCESS, _DIE_ON_CRASH = 0x8, 0x400
_NO_SCREEN = 0xFF  # handles, clipboard (both ways), settings, global atoms, desktops, logging off
_NO_CRASH_WINDOW = 0x1 | 0x2
_REMOTE_DRIVE = 4
_MAX_ACCOUNT = 257

Load = Callable[[str], Any]


class WindowsSystem(Protocol):
    """What the wall on Windows needs; errors are Windows' own numbers, 0 for none."""

    def limit(self) -> int:
        """Put this process into a job of its own: no second process, no clipboard, no crash dump window."""

    def start_program(self) -> int:
        """Try to start a program that does nothing."""

    def account(self) -> str:
        """Name the account that this process runs under."""

    def is_administrator(self) -> bool:
        """Tell whether this process has an administrator's rights."""

    def connect(self, kind: int, address: str, port: int) -> int:
        """Try to connect (SOCK_STREAM) or send an empty datagram (SOCK_DGRAM) to an IP address and port."""


class _BasicLimits(ctypes.Structure):
    _fields_ = (
        ("process_time", ctypes.c_int64),
        ("job_time", ctypes.c_int64),
        ("flags", ctypes.c_uint32),
        ("min_working_set", ctypes.c_size_t),
        ("max_working_set", ctypes.c_size_t),
        ("num_processes", ctypes.c_uint32),
        ("affinity", ctypes.c_size_t),
        ("priority", ctypes.c_uint32),
        ("scheduling", ctypes.c_uint32),
    )


class JobLimits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION; 144 bytes."""

    _fields_ = (
        ("basic", _BasicLimits),
        ("io", ctypes.c_uint64 * 6),
        ("memory", ctypes.c_size_t * 4),
    )


class Windows:
    """The real one.

    Args:
        load: opens a system library by name; tests give another.
    """

    def __init__(self, load: Load) -> None:
        self._kernel, self._security, self._shell = load("kernel32"), load("advapi32"), load("shell32")
        for function in (self._kernel.CreateJobObjectW, self._kernel.OpenProcess):
            function.restype = ctypes.c_void_p  # a handle is as wide as a pointer
        self._kernel.GetCurrentProcess.restype = ctypes.c_void_p

    def limit(self) -> int:
        """Put this process into a job of its own; give Windows' error, 0 for none."""
        self._kernel.SetErrorMode(_NO_CRASH_WINDOW)
        job = ctypes.c_void_p(self._kernel.CreateJobObjectW(None, None))
        limits = JobLimits()
        limits.basic.flags, limits.basic.num_processes = _ONE_PROCESS | _DIE_ON_CRASH, 1
        screen = ctypes.c_uint32(_NO_SCREEN)
        put = self._kernel.SetInformationJobObject
        this = ctypes.c_void_p(self._kernel.GetCurrentProcess())
        # The job's handle stays open as long as this process lives: that is what keeps the limits.
        is_done = (
            job.value
            and put(job, _JOB_LIMITS, ctypes.byref(limits), ctypes.sizeof(limits))
            and put(job, _JOB_SCREEN, ctypes.byref(screen), ctypes.sizeof(screen))
            and self._kernel.AssignProcessToJobObject(job, this)
        )
        return 0 if is_done else (_last_error() or ACCESS_DENIED)

    def start_program(self) -> int:
        """Try to start a program that does nothing; give the error, or what it ended with (0: it ran)."""
        import subprocess  # not on Linux, where a vault stays small

        try:
            command = [sys.executable, "-I", "-c", ""]
            return subprocess.run(command, check=False, stdin=subprocess.DEVNULL).returncode
        except OSError as err:
            return getattr(err, "winerror", None) or err.errno or ACCESS_DENIED

    def account(self) -> str:
        """Name the account that this process runs under; empty where Windows does not say."""
        size = ctypes.c_uint32(_MAX_ACCOUNT)
        name = ctypes.create_unicode_buffer(_MAX_ACCOUNT)
        return name.value if self._security.GetUserNameW(name, ctypes.byref(size)) else ""

    def is_administrator(self) -> bool:
        """Tell whether this process has an administrator's rights."""
        return bool(self._shell.IsUserAnAdmin())

    def connect(self, kind: int, address: str, port: int) -> int:
        """Try to reach an IP address and port; give Windows' error, 0 where it worked."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with socket.socket(family, kind) as tried:
                tried.settimeout(CONNECT_TIMEOUT_S)
                if kind == socket.SOCK_DGRAM:
                    tried.sendto(b"", (address, port))
                else:
                    tried.connect((address, port))
        except TimeoutError:
            return WSAETIMEDOUT
        except OSError as err:
            return getattr(err, "winerror", None) or err.errno or WSAETIMEDOUT
        return 0

    def is_running(self, pid: int) -> bool:
        """Tell whether a process lives. Python's os.kill(pid, 0) would send it Ctrl-C."""
        handle = ctypes.c_void_p(self._kernel.OpenProcess(_SYNCHRONIZE, 0, pid))
        if not handle.value:
            return _last_error() == ACCESS_DENIED  # another user's, but there
        try:
            return int(self._kernel.WaitForSingleObject(handle, 0)) == _WAIT_TIMEOUT
        finally:
            self._kernel.CloseHandle(handle)

    def is_network_drive(self, path: Path) -> bool:
        """Tell whether a path lies on a share of another machine."""
        drive = os.path.splitdrive(path)[0]
        if drive.startswith(("\\\\", "//")):
            return True
        return bool(drive) and int(self._kernel.GetDriveTypeW(drive + "\\")) == _REMOTE_DRIVE


def find_windows() -> Windows | None:
    """Give what stands for Windows; None on any other system."""
    return Windows(load_library) if sys.platform == "win32" else None


def load_library(name: str) -> Any:
    """Open one of Windows' own libraries, from its system folder only (never from the current one)."""
    windows: Any = ctypes  # its names for Windows are there on Windows only
    search_system_only = 0x800  # LOAD_LIBRARY_SEARCH_SYSTEM32
    return windows.WinDLL(f"{name}.dll", use_last_error=True, winmode=search_system_only)


def _last_error() -> int:
    windows: Any = ctypes
    return int(windows.get_last_error())
