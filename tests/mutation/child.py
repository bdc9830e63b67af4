"""One mutant: a forked child imports the changed module in place of the real one and runs some tests.

The parent imports once what is not ours (pytest, hypothesis, numpy, the cipher library) and never a room of
ours or a test module, so that whatever a child computes, at import too, it computes with the changed module.
"""

from __future__ import annotations

import contextlib
import gc
import io
import os
import resource
import signal
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType
from typing import Any

import hypothesis
import hypothesis.strategies as st
import pytest

ROOT = Path(__file__).resolve().parents[2]
_WITHOUT = ("cacheprovider", "faulthandler", "unraisableexception", "threadexception", "doctest", "junitxml")
OPTIONS = ("-x", "-q", "--tb=no", "--no-header", "--assert=plain", *(f"-pno:{name}" for name in _WITHOUT))
PRELOADED = (  # of what the tests import and is not ours: once, not in every child
    "numpy.random",
    "nacl.bindings",
    "google.protobuf.message",
    "cryptography.hazmat.primitives.ciphers",
    "cryptography.hazmat.primitives.hpke",
    "cryptography.hazmat.primitives.kdf.hkdf",
    "hypothesis.internal.conjecture.engine",
)
PRELOADED_WITH_PRIVACY = ("dp_accounting.rdp", "mpmath", "scipy.stats")
MEMORY_BYTES = 3 << 30
_PASSED, _FAILED = 0, (1, 2, 3)  # pytest's exit codes; 2 is an error while collecting, 3 one of pytest's own


class BrokenRunError(Exception):
    """The run says nothing: tests fail without a mutant, or a child could not run them."""


class _Changed(SourceFileLoader):
    """Loads a module from code that was made elsewhere."""

    code: CodeType

    def get_code(self, fullname: str) -> CodeType:
        return self.code


def path_of(module: str) -> Path:
    """Find a module's file: `xof` and `__init__` are of crypto/, `privacy.display` of another room."""
    room, _, stem = module.rpartition(".")
    return ROOT / (room or "crypto") / f"{stem}.py"


class _Finder(MetaPathFinder):
    """Finds one module, changed."""

    def __init__(self, path: Path, code: CodeType) -> None:
        self._path, self._code = path, code
        room = path.parent.name
        self._name = room if path.stem == "__init__" else f"{room}.{path.stem}"

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        loader = _Changed(fullname, str(self._path))
        loader.code = self._code
        return spec_from_file_location(fullname, self._path, loader=loader)


def preload(more: Sequence[str] = ()) -> None:
    """Import what is not ours and load what hypothesis and pytest load on first use."""
    os.environ |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "OPENBLAS_NUM_THREADS": "1"}
    for name in (*PRELOADED, *more):
        __import__(name)
    hypothesis.settings.register_profile(
        "mutation",
        derandomize=True,
        max_examples=40,  # what only luck would notice is not noticed here
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    hypothesis.settings.load_profile("mutation")

    @hypothesis.given(st.text(st.characters(codec="utf-8")), st.data())
    def warm_up(text: str, data: st.DataObject) -> None:
        data.draw(st.lists(st.integers(0, 9)))

    warm_up()
    with contextlib.redirect_stdout(io.StringIO()):
        pytest.main([*OPTIONS, "--version"])
    gc.collect()
    gc.freeze()  # a child need not look through what the parent loaded


def start(module: str, code: CodeType, tests: Sequence[Path], cpu_s: int) -> int:
    """Fork a child that runs the tests on the changed module; returns its process id."""
    pid = os.fork()
    if pid:
        return pid
    status = 4
    try:
        sys.meta_path.insert(0, _Finder(path_of(module), code))
        quiet = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(quiet, descriptor)
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
        signal.alarm(20 * cpu_s)  # for one that waits without computing; generous where the machine is shared
        status = int(pytest.main([*OPTIONS, *map(str, tests)]))
    finally:
        os._exit(status)


def outcome_of(wait_status: int) -> str:
    """Say what a child's end means: killed, timeout or survived.

    Raises:
        BrokenRunError: no test ran, or pytest refused its arguments.
    """
    if os.WIFSIGNALED(wait_status):
        stopped = os.WTERMSIG(wait_status) in (signal.SIGXCPU, signal.SIGALRM, signal.SIGKILL)
        return "timeout" if stopped else "killed"
    code = os.WEXITSTATUS(wait_status)
    if code != _PASSED and code not in _FAILED:
        raise BrokenRunError(f"pytest ended with exit code {code}")
    return "survived" if code == _PASSED else "killed"


def outcome(module: str, code: CodeType, tests: Sequence[Path], cpu_s: int) -> str:
    """Run the tests on one changed module and wait for the end."""
    return outcome_of(os.waitpid(start(module, code, tests, cpu_s), 0)[1])
