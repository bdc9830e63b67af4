"""Windows' data protection (DPAPI): a secret that only this account, or only this machine, can open again.

| scope | who can open it |
| --- | --- |
| user | whoever is logged on as the account that wrapped it; not another account, not another machine |
| machine | every process of this machine that can read the file: the file's permissions are the protection |

A service's account may have no profile loaded, where the user scope does not work; it takes the machine scope
and a file that only it can read (`deploy/windows/install-service.ps1`). An administrator can open both.

The content of database.key is: first line ‖ scope (1: "U" or "M") ‖ salt (16) ‖ blob. First line, scope and
salt go into DPAPI as "optional entropy": a blob cut out of this file, or put into another one, does not open,
and no program opens it by chance.

Spec: CryptProtectData, CryptUnprotectData (dpapi.h).
"""

from __future__ import annotations

import ctypes
import hashlib
import sys
from collections.abc import Callable
from typing import Any, Protocol

from node.errors import UnlockError, _
from node.windows_calls import load_library

KEY_BYTES = 32
MAGIC = b"fedscreen/database-key/dpapi-v1\n"
SALT_BYTES = 16
MAX_FILE_BYTES = 16 * 1024
USER, MACHINE = b"U", b"M"

_HEAD_BYTES = len(MAGIC) + 1 + SALT_BYTES
_NO_WINDOW, _LOCAL_MACHINE = 0x1, 0x4  # CRYPTPROTECT_UI_FORBIDDEN, CRYPTPROTECT_LOCAL_MACHINE
INVALID_DATA = 13  # ERROR_INVALID_DATA: altered, or other entropy


class DataProtectionError(Exception):
    """Windows refused; `number` is its own error."""

    def __init__(self, number: int) -> None:
        super().__init__(f"Windows error {number}")
        self.number = number


class DataProtection(Protocol):
    """Wraps and unwraps a secret with keys that Windows keeps."""

    def protect(self, data: bytes, entropy: bytes, *, for_machine: bool) -> bytes:
        """Wrap. Raises DataProtectionError."""

    def unprotect(self, data: bytes, entropy: bytes) -> bytes:
        """Unwrap. Raises DataProtectionError."""


class _Blob(ctypes.Structure):
    _fields_ = (("size", ctypes.c_uint32), ("data", ctypes.POINTER(ctypes.c_char)))


class Crypt32:
    """The real one, by ctypes.

    Args:
        load: opens a system library by name; tests give another.
    """

    def __init__(self, load: Callable[[str], Any] = load_library) -> None:
        self._crypt, self._kernel = load("crypt32"), load("kernel32")

    def protect(self, data: bytes, entropy: bytes, *, for_machine: bool) -> bytes:
        """Wrap; no window is ever shown."""
        flags = _NO_WINDOW | (_LOCAL_MACHINE if for_machine else 0)
        return self._call(self._crypt.CryptProtectData, data, entropy, flags)

    def unprotect(self, data: bytes, entropy: bytes) -> bytes:
        """Unwrap; no window is ever shown."""
        return self._call(self._crypt.CryptUnprotectData, data, entropy, _NO_WINDOW)

    def _call(self, function: Any, data: bytes, entropy: bytes, flags: int) -> bytes:
        given, extra, result = _blob(data), _blob(entropy), _Blob()
        words = (ctypes.byref(given), None, ctypes.byref(extra), None, None, flags, ctypes.byref(result))
        if not function(*words):
            windows: Any = ctypes
            raise DataProtectionError(int(windows.get_last_error()))
        try:
            return ctypes.string_at(result.data, result.size)
        finally:
            ctypes.memset(result.data, 0, result.size)  # it may be the key
            self._kernel.LocalFree(result.data)


def _blob(data: bytes) -> _Blob:
    buffer = ctypes.create_string_buffer(data, len(data))
    return _Blob(len(data), ctypes.cast(buffer, ctypes.POINTER(ctypes.c_char)))


def find_data_protection() -> DataProtection | None:
    """Give Windows' data protection; None on any other system."""
    return Crypt32() if sys.platform == "win32" else None


def wrap(protection: DataProtection, key: bytes, salt: bytes, *, for_machine: bool) -> bytes:
    """Write the content of database.key.

    Args:
        protection: Windows'.
        key: the database key (32 bytes, secret).
        salt: 16 random bytes.
        for_machine: the machine scope instead of the user scope.

    Raises:
        UnlockError: Windows refused.
    """
    head = MAGIC + (MACHINE if for_machine else USER) + salt
    try:
        return head + protection.protect(key, _entropy(head), for_machine=for_machine)
    except DataProtectionError as err:
        raise UnlockError(
            _("Windows did not take the database key (error %(number)d)"),
            _("Log on to Windows anew and try again, or choose a passphrase: --key passphrase"),
            code="dpapi",
            details={"number": err.number},
        ) from err


def open_wrapped(protection: DataProtection, data: bytes) -> bytes:
    """Give the database key (32 bytes, secret); the inverse of `wrap`.

    Raises:
        UnlockError: damaged, or of another account or machine.
    """
    head, blob = data[:_HEAD_BYTES], data[_HEAD_BYTES:]
    scope = head[len(MAGIC) : len(MAGIC) + 1]
    if not data.startswith(MAGIC) or scope not in (USER, MACHINE) or not 0 < len(blob) < MAX_FILE_BYTES:
        raise UnlockError(
            _("database.key is not a key file that Windows keeps (%(found)d bytes)"),
            _("Restore it from a backup; the records are unchanged."),
            code="key-file",
            details={"found": len(data)},
        )
    try:
        key = protection.unprotect(blob, _entropy(head))
    except DataProtectionError as err:
        raise _refused(err.number, scope) from err
    if len(key) != KEY_BYTES:
        raise _refused(INVALID_DATA, scope)
    return key


def _entropy(head: bytes) -> bytes:
    return hashlib.sha256(head).digest()


def _refused(number: int, scope: bytes) -> UnlockError:
    if number == INVALID_DATA:
        return UnlockError(
            _("database.key is damaged, or was changed since it was made"),
            _("Restore it from a backup; the records are unchanged."),
            code="key-file",
        )
    if scope == MACHINE:
        message = _("Windows does not open database.key (error %(number)d): it was made on another machine")
        advice = _("Run the node on the machine it was set up on, or use the recovery file.")
    else:
        message = _(
            "Windows does not open database.key (error %(number)d): another account or machine made it"
        )
        advice = _(
            "Log on as the account that set this node up, on the same machine, or use the recovery file."
        )
    return UnlockError(message, advice, code="dpapi", details={"number": number})
