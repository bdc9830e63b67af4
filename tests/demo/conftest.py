"""One demo for all tests of this folder."""

from __future__ import annotations

import pytest
from demo_commands import Finished, run_demo

SCHOOLS, PUPILS = 6, 600


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The demo that most tests look at; tests do not change its folder."""
    out = tmp_path_factory.mktemp("demo") / "out"
    done = run_demo(out, "--json", "--schools", SCHOOLS, "--pupils", PUPILS)
    assert done.process.returncode == 0, done.process.stderr
    return done
