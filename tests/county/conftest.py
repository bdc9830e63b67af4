"""Counties at their stages; each stage is made once a session and copied for every test.

Everybody syncs every write, which a disk answers slowly; the folders lie in memory where there is any.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import count
from pathlib import Path

import pytest
from fakes_county import CountySimulator

from protos.ledger import RoundState

pytest.register_assert_rewrite("county_sums", "fakes_attacks", "forged_plans")
MEMORY = Path("/dev/shm")
Stage = tuple[CountySimulator, bytes]


@pytest.fixture(scope="session")
def county_root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for counties: in memory where that is possible."""
    if not (MEMORY.is_dir() and os.access(MEMORY, os.W_OK)):
        yield tmp_path_factory.mktemp("counties")
        return
    with tempfile.TemporaryDirectory(prefix="fedscreen-", dir=MEMORY) as folder:
        yield Path(folder)


def bring_to(stage: str, county: CountySimulator, round_id: bytes) -> None:
    """Let a county with an approved round go on to a stage, everybody honest."""
    if stage == "collecting":
        return
    for node_id in county.node_ids:
        county.release(node_id, round_id)
        county.serve_node(node_id)
    if stage == "reported":
        return
    county.coordinator.tick()
    everybody_steps(county)
    if stage == "checked":
        return
    county.coordinator.tick()
    if stage == "closed":
        return
    everybody_steps(county)
    if stage == "agreed":
        return
    everybody_steps(county)
    everybody_steps(county)
    if stage == "opened":
        return
    assert county.work(county.is_state(round_id, RoundState.RELEASED))
    assert county.work()


def everybody_steps(county: CountySimulator) -> None:
    """Let every auditor work once."""
    for auditor in county.auditors.values():
        auditor.step()


@pytest.fixture(scope="session")
def stages(county_root: Path) -> Callable[[str], Stage]:
    """Make a county of six schools and four auditors at a stage, and close it."""

    @lru_cache
    def make(stage: str) -> Stage:
        county = CountySimulator(county_root / stage)
        if stage == "enrolled":
            county.work()
            county.import_all()
            round_id = b""
        else:
            round_id = county.start_round()
            bring_to(stage, county, round_id)
        county.close()
        return county, round_id

    return make


@pytest.fixture
def at_stage(stages: Callable[[str], Stage], county_root: Path) -> Iterator[Callable[[str], Stage]]:
    """Open a copy of the county at a stage."""
    opened: list[CountySimulator] = []
    numbers = count()

    def open_copy(stage: str) -> Stage:
        source, round_id = stages(stage)
        folder = Path(tempfile.mkdtemp(dir=county_root)) / str(next(numbers))
        shutil.copytree(source.root, folder)
        county = CountySimulator.reopen(folder, source)
        county.records = dict(source.records)
        opened.append(county)
        return county, round_id

    yield open_copy
    for county in opened:
        county.close()
        shutil.rmtree(county.root.parent)


@pytest.fixture
def enrolled(at_stage: Callable[[str], Stage]) -> CountySimulator:
    """The roster is in force, the schools have their records, there is no plan yet."""
    return at_stage("enrolled")[0]


@pytest.fixture
def collecting(at_stage: Callable[[str], Stage]) -> Stage:
    """All auditors have approved, the schools have their records."""
    return at_stage("collecting")


@pytest.fixture
def reported(at_stage: Callable[[str], Stage]) -> Stage:
    """All schools' reports stand in the log."""
    return at_stage("reported")


@pytest.fixture
def checked(at_stage: Callable[[str], Stage]) -> Stage:
    """Candidates are fixed and all auditors have checked."""
    return at_stage("checked")


@pytest.fixture
def closed(at_stage: Callable[[str], Stage]) -> Stage:
    """The close stands in the log; no auditor has seen it."""
    return at_stage("closed")


@pytest.fixture
def agreed(at_stage: Callable[[str], Stage]) -> Stage:
    """All auditors have agreed; none has opened."""
    return at_stage("agreed")


@pytest.fixture
def opened(at_stage: Callable[[str], Stage]) -> Stage:
    """All auditors have opened; the coordinator has not combined yet."""
    return at_stage("opened")


@pytest.fixture
def released(at_stage: Callable[[str], Stage]) -> Stage:
    """The round is released and everybody has seen it."""
    return at_stage("released")
