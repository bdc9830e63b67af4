"""Run a module of this project as if on Windows, as far as that can be played on Linux.

    python tests/as_windows.py [-X utf8] -m fedscreen node …

Only this project's rooms see it: the standard library and the other packages are loaded first and stay as
they are. What the rooms see: no fcntl, resource, pwd…; os, signal, select and the rest without the names that
Windows lacks; os.name "nt", sys.platform "win32"; subprocess that refuses what Windows refuses; ctypes with
fakes of Windows' own libraries and without a C library; no os.kill, which would hit the wrong one; files that
cannot be replaced while this process has them open. It is no proof that a node runs there; it finds what
certainly would not.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

TESTS = Path(__file__).resolve().parent
sys.path[:0] = [str(TESTS.parent), str(TESTS)]

import posix_names  # noqa: E402

# What is loaded before anything changes: by everybody, by the two sides, by commands.
STANDARD = (
    "argparse asyncio concurrent.futures.thread csv decimal difflib fractions gettext heapq ipaddress json "
    "importlib.metadata locale multiprocessing pathlib platform queue secrets select shutil signal socket "
    "statistics string.templatelib stringprep tempfile tomllib traceback unicodedata zipfile zoneinfo "
    "_strptime"
)
RECORDS = (
    "nacl.bindings nacl.exceptions nacl.pwhash.argon2id nacl.signing numpy python_calamine sqlcipher3.dbapi2 "
    "cryptography.hazmat.primitives.asymmetric.ed25519 cryptography.hazmat.primitives.asymmetric.mlkem "
    "cryptography.hazmat.primitives.asymmetric.x25519 cryptography.hazmat.primitives.ciphers.aead "
    "cryptography.hazmat.primitives.hpke cryptography.hazmat.primitives.serialization cryptography.x509"
)
NETWORK = "grpc google.protobuf.internal.builder google.protobuf.runtime_version google.protobuf.message"
COMMANDS = (
    "click click.shell_completion email.message getpass pydantic rich.console ssl uuid xlsxwriter "
    "jinja2.ext multipart starlette.applications starlette.routing uvicorn uvicorn.protocols.http.h11_impl "
    "uvicorn.lifespan.off uvicorn.lifespan.on uvicorn.loops.asyncio uvicorn.loops.auto"
)
LOADED_FIRST = {
    "node.vault.worker": f"{STANDARD} {RECORDS}",
    "node.egress.worker": f"{STANDARD} {NETWORK}",
    "node.supervise": STANDARD,
    "fedscreen": f"{STANDARD} {RECORDS} {COMMANDS}",
}
WINDOWS_ONLY = {"subprocess": {"CREATE_NO_WINDOW": 0x08000000, "CREATE_NEW_PROCESS_GROUP": 0x200}}


def refuse(*_words: object, **_named: object) -> None:
    """Stand for something that would do harm, or something else, on Windows."""
    raise NotImplementedError("this is not there on Windows, or does something else")


def replace_closed(source: Any, target: Any) -> None:
    """os.replace as Windows has it: not onto or from a file that is open."""
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            place = os.readlink(f"/proc/self/fd/{number}")
            if place in (os.path.abspath(source), os.path.abspath(target)):
                raise PermissionError(errno.EACCES, "the file is open", str(target))
    os.replace(source, target)


class Popen(subprocess.Popen):  # type: ignore[type-arg]
    """subprocess.Popen that takes what Windows takes."""

    def __init__(self, arguments: Any, *words: Any, **named: Any) -> None:
        flags = named.pop("creationflags", 0)
        if named.get("start_new_session") or named.get("preexec_fn") or named.get("user"):
            refuse()
        if flags & ~(0x08000000 | 0x200):
            raise ValueError(f"unknown creation flags {flags:#x}")
        super().__init__(arguments, *words, **named)


class Seen(ModuleType):
    """A module without the names that Windows lacks."""

    def __init__(self, real: ModuleType, lacking: frozenset[str], changed: dict[str, Any]) -> None:
        super().__init__(real.__name__)
        object.__setattr__(self, "_parts", (real, lacking, changed))

    def __getattribute__(self, name: str) -> Any:
        real, lacking, changed = object.__getattribute__(self, "_parts")
        if name in changed:
            return changed[name]
        if name in lacking:
            raise AttributeError(f"Windows has no {real.__name__}.{name}")
        return getattr(real, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(object.__getattribute__(self, "_parts")[0], name, value)

    def __dir__(self) -> list[str]:
        real, lacking, changed = object.__getattribute__(self, "_parts")
        return sorted((set(dir(real)) | set(changed)) - lacking)


def lacking_names() -> dict[str, list[str]]:
    """Names that Windows lacks, by module; kept in a file, for reading the stubs takes its time."""
    kept = Path(sys.executable).with_name("lacking.json")
    if not kept.is_file():
        return {name: sorted(posix_names.missing_on_windows(name)) for name in posix_names.LOOKED_AT}
    return dict(json.loads(kept.read_text("utf-8")))


class RealProcesses(set[int]):
    """The processes of this machine, for `FakeWindows.alive`."""

    def __contains__(self, pid: object) -> bool:
        return os.path.exists(f"/proc/{pid}")


class Msvcrt(ModuleType):
    """msvcrt's locking of one byte, as far as this project uses it; whoever comes second gets EACCES."""

    LK_NBLCK = 2

    @staticmethod
    def locking(descriptor: int, mode: int, num_bytes: int) -> None:
        """Lock bytes from where the descriptor stands."""
        if mode != Msvcrt.LK_NBLCK:
            refuse()
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, num_bytes, place)
        except OSError as err:
            raise PermissionError(errno.EACCES, "Permission denied") from err


def become_windows(module: str) -> None:
    """From here on, what is imported sees Windows.

    Args:
        module: what will be run; what it needs of others is loaded first.
    """
    for name in LOADED_FIRST[module].split():
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(name)
    from fakes_windows import FakeWindows

    import node.windows_calls  # its structures; it is imported anew below

    windows = FakeWindows(alive=RealProcesses())
    if Path(sys.executable).with_name("l1").exists():  # a machine that install-service.ps1 has set up
        windows.user = "fedscreen-node"
        node.windows_calls.Windows.connect = lambda *_words: node.windows_calls.WSAEACCES  # type: ignore[assignment]
        node.windows_calls.Windows.start_program = lambda *_words: node.windows_calls.NOT_ENOUGH_QUOTA  # type: ignore[assignment,misc]
    names: Any = ctypes
    names.WinDLL, names.get_last_error, names.CDLL = windows.load, windows.last_error, refuse
    changed: dict[str, dict[str, Any]] = {
        "os": {"name": "nt", "kill": refuse, "execve": refuse, "replace": replace_closed},
        "sys": {"platform": "win32"},
        "subprocess": {**WINDOWS_ONLY["subprocess"], "Popen": Popen},
        "signal": {"SIGBREAK": signal.SIGUSR1},
        "socket": {"SO_EXCLUSIVEADDRUSE": socket.SO_KEEPALIVE},
    }
    # Structures that the fakes know by type must stay the same objects.
    kept = {"node", "node.errors", "node.windows_calls"}
    for name in [name for name in sys.modules if name.split(".")[0] in ROOMS and name not in kept]:
        del sys.modules[name]
    lacking = {**lacking_names(), "sys": []}
    for name, names_ in lacking.items():
        seen = Seen(importlib.import_module(name), frozenset(names_), changed.get(name, {}))
        sys.modules[name] = seen
    node.windows_calls.sys = sys.modules["sys"]  # type: ignore[attr-defined]
    node.windows_calls.os = sys.modules["os"]  # type: ignore[attr-defined]
    sys.modules["msvcrt"] = Msvcrt("msvcrt")
    for name in posix_names.MODULES:
        sys.modules[name] = None  # type: ignore[assignment]


ROOMS = (
    *("node", "plan", "privacy", "crypto", "protos", "results", "paper", "pages", "fedscreen"),
    *("auditor", "coordinator"),
)


def main() -> None:
    """Run ``-m MODULE ARGUMENTS``."""
    words = sys.argv[1:]
    if words[:2] == ["-X", "utf8"]:
        del words[:2]
    if words[0] != "-m":
        raise SystemExit("expected -m MODULE")
    sys.argv = words[1:]
    become_windows(words[1])
    runpy.run_module(words[1], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
