"""What several promises are tested on, made once: also with several workers, which wait for the first."""

from __future__ import annotations

import fcntl
import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from demo_runs import run_twice
from promise_county import run_county


def _made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """Give a folder that `make` has filled; whoever comes first makes it."""
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, failed = shared / f"promises-{name}", shared / f"promises-{name}.failed"
    with (shared / f"promises-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if failed.exists():
            pytest.fail(failed.read_text())
        if not folder.exists():
            folder.mkdir()
            try:
                make(folder)
            except BaseException:
                failed.write_text(traceback.format_exc())
                raise
    return folder


@pytest.fixture(scope="session")
def county(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The evidence of `promise_county.run_county`."""
    return _made_once(tmp_path_factory, "county", run_county)


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of the demo with one seed: `demo_runs.run_twice`."""
    return _made_once(tmp_path_factory, "runs", run_twice)
