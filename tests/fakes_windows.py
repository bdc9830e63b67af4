"""Windows' own libraries, as far as a node calls them, in Python: what ctypes.WinDLL would give.

They take the very structures that the product hands over, so that its layouts and flags are tried too.
DPAPI is stood for by SHA-256 over account or machine, entropy and data: anything altered does not open.
"""

from __future__ import annotations

import ctypes
import hashlib
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from node.windows_calls import JobLimits

INVALID_DATA, BAD_KEY_STATE = 13, 0x8009000B
LOCAL_MACHINE = 0x4


@dataclass
class FakeWindows:
    """One machine, seen by one process.

    Attributes:
        user: who is logged on.
        machine: a name of the machine's own secret.
        refuses: names of calls that fail with error 5.
        alive: pids that live.
        drives: type per drive, as GetDriveTypeW gives it.
    """

    user: str = "teacher"
    machine: str = "pc-1"
    is_administrator: bool = False
    refuses: set[str] = field(default_factory=set)
    alive: set[int] = field(default_factory=set)
    foreign: set[int] = field(default_factory=set)
    drives: dict[str, int] = field(default_factory=dict)
    error: int = 0
    limits: list[tuple[int, Any]] = field(default_factory=list)
    has_joined: bool = False
    freed: list[bytes] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    _kept: dict[int, Any] = field(default_factory=dict)

    def load(self, name: str, **_how: object) -> Any:
        """Stand for ctypes.WinDLL."""
        name = name.removesuffix(".dll")
        calls = {
            "kernel32": (
                *("SetErrorMode", "CreateJobObjectW", "SetInformationJobObject", "GetCurrentProcess"),
                *("AssignProcessToJobObject", "OpenProcess", "WaitForSingleObject", "CloseHandle"),
                *("GetDriveTypeW", "LocalFree"),
            ),
            "advapi32": ("GetUserNameW",),
            "shell32": ("IsUserAnAdmin",),
            "crypt32": ("CryptProtectData", "CryptUnprotectData"),
        }[name]
        return SimpleNamespace(**{call: self._function(call) for call in calls})

    def _function(self, name: str) -> Any:
        method = getattr(self, f"_{name}")

        def call(*words: Any) -> Any:
            if name in self.refuses:
                self.error = 5
                return 0
            return method(*words)

        return call

    def last_error(self) -> int:
        """Stand for ctypes.get_last_error."""
        return self.error

    # ------------------------------------------------------------ kernel32

    def _SetErrorMode(self, _mode: int) -> int:
        return 0

    def _CreateJobObjectW(self, _security: None, _name: None) -> int:
        return 0x1_0000_0001  # wider than 32 bits: a handle must not be cut

    def _SetInformationJobObject(self, job: Any, kind: int, reference: Any, size: int) -> int:
        assert job.value == 0x1_0000_0001
        value = reference._obj
        assert size == ctypes.sizeof(value) == (144 if kind == 9 else 4)
        if kind == 9:
            assert isinstance(value, JobLimits)
            self.limits.append((kind, (value.basic.flags, value.basic.num_processes)))
        else:
            self.limits.append((kind, value.value))
        return 1

    def _GetCurrentProcess(self) -> int:
        return 2**64 - 1

    def _AssignProcessToJobObject(self, job: Any, process: Any) -> int:
        assert (job.value, process.value) == (0x1_0000_0001, 2**64 - 1)
        self.has_joined = True
        return 1

    def _OpenProcess(self, _rights: int, _inherit: int, pid: int) -> int:
        if pid in self.foreign:
            self.error = 5
            return 0
        self.error = 87
        return pid + 1000 if pid in self.alive else 0

    def _WaitForSingleObject(self, handle: Any, _timeout: int) -> int:
        return 0x102 if handle.value - 1000 in self.alive else 0

    def _CloseHandle(self, _handle: Any) -> int:
        return 1

    def _GetDriveTypeW(self, drive: str) -> int:
        return self.drives.get(drive, 3)

    def _LocalFree(self, pointer: Any) -> None:
        buffer = self._kept.pop(ctypes.cast(pointer, ctypes.c_void_p).value or 0)
        self.freed.append(buffer.raw)

    # ------------------------------------------------------------ advapi32, shell32

    def _GetUserNameW(self, buffer: Any, size: Any) -> int:
        assert size._obj.value == len(buffer)
        buffer.value = self.user
        return 1

    def _IsUserAnAdmin(self) -> int:
        return int(self.is_administrator)

    # ------------------------------------------------------------ crypt32

    def _CryptProtectData(
        self, given: Any, _text: None, extra: Any, _r: None, _p: None, flags: int, out: Any
    ) -> int:
        self.flags.append(flags)
        data, entropy = _read(given), _read(extra)
        owner = b"M" if flags & LOCAL_MACHINE else b"U"
        self._give(out, owner + self._mark(owner, entropy, data) + _hide(data))
        return 1

    def _CryptUnprotectData(
        self, given: Any, _text: None, extra: Any, _r: None, _p: None, flags: int, out: Any
    ) -> int:
        self.flags.append(flags)
        blob, entropy = _read(given), _read(extra)
        owner, mark, data = blob[:1], blob[1:65], _hide(blob[65:])
        whose, what = self._mark(owner, entropy, data)[:32], self._mark(owner, entropy, data)[32:]
        if mark[:32] != whose:
            self.error = BAD_KEY_STATE
            return 0
        if mark[32:] != what:
            self.error = INVALID_DATA
            return 0
        self._give(out, data)
        return 1

    def _mark(self, owner: bytes, entropy: bytes, data: bytes) -> bytes:
        name = self.machine if owner == b"M" else f"{self.machine}/{self.user}"
        what = hashlib.sha256(owner + entropy + b"\0" + data).digest()
        return hashlib.sha256(name.encode()).digest() + what

    def _give(self, out: Any, data: bytes) -> None:
        buffer = ctypes.create_string_buffer(data, len(data))
        self._kept[ctypes.addressof(buffer)] = buffer
        out._obj.size = len(data)
        out._obj.data = ctypes.cast(buffer, ctypes.POINTER(ctypes.c_char))


def _read(reference: Any) -> bytes:
    return ctypes.string_at(reference._obj.data, reference._obj.size)


def _hide(data: bytes) -> bytes:
    return bytes(byte ^ 0x5A for byte in data)
