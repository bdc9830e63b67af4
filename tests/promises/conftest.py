"""What several promises are tested on, made once: also with several workers, which wait for the first."""

from __future__ import annotations

import fcntl
import os
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from county_stages import (
    agreed as agreed,
)
from county_stages import (
    at_stage as at_stage,
)
from county_stages import (
    checked as checked,
)
from county_stages import (
    closed as closed,
)
from county_stages import (
    collecting as collecting,
)
from county_stages import (
    county_folder as county_folder,
)
from county_stages import (
    county_root as county_root,
)
from county_stages import (
    enrolled as enrolled,
)
from county_stages import (
    opened as opened,
)
from county_stages import (
    released as released,
)
from county_stages import (
    reported as reported,
)
from county_stages import (
    stages as stages,
)
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
