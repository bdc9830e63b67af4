"""System-call filters in classic BPF, written and installed without a third-party library.

A filter denies the calls that a policy names and allows the rest: CPython, SQLite and gRPC use
different calls on every libc and kernel, and a forgotten one must not stop a school. What may never
be reachable (every way to another process, the network, other files' handles) is named here.

Linux on x86-64, AArch64, RISC-V 64 and LoongArch 64. On any other machine `is_supported` is False.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import platform
import struct
import sys
from dataclasses import dataclass

from node.errors import ConfinementError, Detail, _

_ARCHITECTURES = {  # AUDIT_ARCH_* of linux/audit.h
    "x86_64": 0xC000003E,
    "aarch64": 0xC00000B7,
    "riscv64": 0xC00000F3,
    "loongarch64": 0xC0000102,
}
# name: (x86-64, the generic table of the other three); None where the call does not exist.
_NUMBERS: dict[str, tuple[int, int | None]] = {
    "socket": (41, 198), "socketpair": (53, 199), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242), "connect": (42, 203),
    "sendto": (44, 206), "sendmsg": (46, 211), "sendmmsg": (307, 269),
    "recvfrom": (45, 207), "recvmsg": (47, 212), "recvmmsg": (299, 243),
    "clone": (56, 220), "clone3": (435, 435), "fork": (57, None), "vfork": (58, None),
    "execve": (59, 221), "execveat": (322, 281),
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "kcmp": (312, 272),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218),
    "unshare": (272, 97), "setns": (308, 268), "chroot": (161, 51), "pivot_root": (155, 41),
    "mount": (165, 40), "umount2": (166, 39), "mount_setattr": (442, 442),
    "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195),
    "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "semget": (64, 190),
    "mq_open": (240, 180), "mq_unlink": (241, 181), "memfd_create": (319, 279),
    "memfd_secret": (447, 447), "splice": (275, 76), "vmsplice": (278, 75), "tee": (276, 77),
    "fanotify_init": (300, 262), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "personality": (135, 92), "syslog": (103, 116), "mknod": (133, None), "mknodat": (259, 33),
}  # fmt: skip

_SECCOMP = {"x86_64": 317}
_SECCOMP_GENERIC = 277
_LOAD, _AND, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_X32_ABI = 0x40000000
_LOW_WORD = 0xFFFFFFFF
_PR_GET_PDEATHSIG = 2

Instruction = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class ArgumentCheck:
    """A condition on one argument: ``argument & mask`` is one of `values`.

    `is_wide` compares all 64 bits (a pointer); else only the low 32, which is what the kernel
    reads of an int.
    """

    index: int
    values: tuple[int, ...]
    mask: int = _LOW_WORD
    is_wide: bool = False


@dataclass(frozen=True, slots=True)
class FilterPolicy:
    """What a filter does.

    Attributes:
        denied: calls that fail with EPERM.
        absent: calls that fail with ENOSYS, so that libc falls back to an older one.
        conditional: calls that are allowed only if all their checks hold, else EPERM.
    """

    denied: tuple[str, ...]
    absent: tuple[str, ...] = ()
    conditional: tuple[tuple[str, tuple[ArgumentCheck, ...]], ...] = ()


def is_supported() -> bool:
    """Tell whether filters can be written for this machine."""
    return sys.platform == "linux" and platform.machine() in _ARCHITECTURES


def call_number(name: str, machine: str) -> int | None:
    """Give the number of a system call; None where the machine does not have it."""
    wide, generic = _NUMBERS[name]
    return wide if machine == "x86_64" else generic


def build_program(policy: FilterPolicy, machine: str) -> bytes:
    """Translate a policy into a BPF program for one kind of machine.

    Raises:
        ConfinementError: no filter can be written for that machine.
    """
    if machine not in _ARCHITECTURES:
        raise ConfinementError(_("no filter for machine %(machine)s"), details={"machine": machine})
    program: list[Instruction] = [
        (_LOAD, 0, 0, 4),  # seccomp_data.arch
        (_EQUAL, 1, 0, _ARCHITECTURES[machine]),
        (_RETURN, 0, 0, _KILL_PROCESS),
        (_LOAD, 0, 0, 0),  # seccomp_data.nr
    ]
    if machine == "x86_64":  # the x32 ABI would reach every call under a second number
        program += [(_AT_LEAST, 0, 1, _X32_ABI), (_RETURN, 0, 0, _KILL_PROCESS)]
    for names, number in ((policy.denied, errno.EPERM), (policy.absent, errno.ENOSYS)):
        for name in names:
            program += _when(call_number(name, machine), [(_RETURN, 0, 0, _ERRNO | number)])
    for name, checks in policy.conditional:
        block = [step for check in checks for step in _check(check)]
        program += _when(call_number(name, machine), [*block, (_RETURN, 0, 0, _ALLOW)])
    program.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("=HBBI", *step) for step in program)


def _when(number: int | None, block: list[Instruction]) -> list[Instruction]:
    """Run `block`, which ends in a return, for one system call."""
    return [] if number is None else [(_EQUAL, 0, len(block), number), *block]


def _check(check: ArgumentCheck) -> list[Instruction]:
    """Return EPERM unless the condition holds; fall through if it does."""
    offset = 16 + 8 * check.index  # seccomp_data.args, little-endian on all our machines
    refuse: Instruction = (_RETURN, 0, 0, _ERRNO | errno.EPERM)
    steps: list[Instruction] = [(_LOAD, 0, 0, offset)]
    if check.mask != _LOW_WORD:
        steps.append((_AND, 0, 0, check.mask))
    for position, value in enumerate(check.values):
        steps.append((_EQUAL, len(check.values) - position, 0, value & _LOW_WORD))
    steps.append(refuse)
    if check.is_wide:
        if check.values != (0,):
            raise ConfinementError(_("a filter compares wide arguments with null only"))
        steps += [(_LOAD, 0, 0, offset + 4), (_EQUAL, 1, 0, 0), refuse]
    return steps


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def install(policy: FilterPolicy) -> None:
    """Put the filter on every thread of this process, for ever; also sets no-new-privileges.

    Raises:
        ConfinementError: the kernel refused; the process is not filtered.
    """
    machine = platform.machine()
    code = build_program(policy, machine)
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.addressof(buffer))
    set_no_new_privileges()
    number = _SECCOMP.get(machine, _SECCOMP_GENERIC)
    set_mode_filter, all_threads = 1, 1  # SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC
    if raw_call(number, set_mode_filter, all_threads, ctypes.byref(program)) != 0:
        raise ConfinementError(
            _("the kernel refused the system call filter (%(reason)s)"), details=last_error()
        )


def set_no_new_privileges() -> None:
    """Give up for ever what set-user-ID programs would add. Raises ConfinementError."""
    control(38, 1)  # PR_SET_NO_NEW_PRIVS


def control(option: int, value: int) -> None:
    """Call prctl(option, value, 0, 0, 0). Raises ConfinementError."""
    words = [ctypes.c_ulong(word) for word in (value, 0, 0, 0)]
    if _libc().prctl(ctypes.c_int(option), *words) != 0:
        raise ConfinementError(
            _("prctl %(option)d was refused (%(reason)s)"), details={"option": option, **last_error()}
        )


def control_value(option: int) -> int:
    """Ask prctl for what it keeps: dumpable (3), no-new-privileges (39), or the parent's death signal (2)."""
    if option == _PR_GET_PDEATHSIG:
        word = ctypes.c_int(-1)
        _libc().prctl(ctypes.c_int(option), ctypes.byref(word), *[ctypes.c_ulong(0)] * 3)
        return word.value
    return int(_libc().prctl(ctypes.c_int(option), *[ctypes.c_ulong(0)] * 4))


def raw_call(number: int, *arguments: object) -> int:
    """Call the kernel by number; -1 on error, with errno kept for `last_error`.

    Ints are passed as 64-bit words, bytes and ctypes values as they are.
    """
    words = [ctypes.c_ulong(item & (2**64 - 1)) if isinstance(item, int) else item for item in arguments]
    call = _libc().syscall
    call.restype = ctypes.c_long
    return int(call(ctypes.c_long(number), *words))


def attempt(name: str, *arguments: object) -> int:
    """Try one system call by name and give its errno; 0 when it succeeded, ENOSYS where it does not exist."""
    number = call_number(name, platform.machine())
    if number is None:
        return errno.ENOSYS
    return 0 if raw_call(number, *arguments) >= 0 else ctypes.get_errno()


def last_error() -> dict[str, Detail]:
    """Describe the newest failed call, for an error's details."""
    return {"reason": os.strerror(ctypes.get_errno())}


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
