"""Counties at their stages; each stage is made once a session and copied for every test.

Everybody syncs every write, which a disk answers slowly; the folders lie in memory where there is any.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest
from fakes_county import CountySimulator

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


@pytest.fixture
def county_folder(county_root: Path) -> Iterator[Path]:
    """A folder for the counties of one test."""
    folder = Path(tempfile.mkdtemp(dir=county_root))
    yield folder
    shutil.rmtree(folder)


def start(county: CountySimulator) -> None:
    """Publish the small plan and let everybody approve it."""
    round_id = county.publish()
    for auditor in county.auditors.values():
        auditor.approve(round_id)
    county.work()


def report(county: CountySimulator) -> None:
    """Let all schools report."""
    (round_id,) = county.coordinator.round_ids()
    for node_id in county.node_ids:
        county.release(node_id, round_id)
        county.serve_node(node_id)


def tick(county: CountySimulator) -> None:
    """Let the coordinator take its next step."""
    county.coordinator.tick()


def step(county: CountySimulator) -> None:
    """Let every auditor work once."""
    for auditor in county.auditors.values():
        auditor.step()


def work(county: CountySimulator) -> None:
    """Let everybody work until nothing changes."""
    assert county.work()


STAGES: dict[str, tuple[str, tuple[Callable[[CountySimulator], None], ...]]] = {
    "collecting": ("enrolled", (start,)),
    "reported": ("collecting", (report,)),
    "checked": ("reported", (tick, step)),
    "closed": ("checked", (tick,)),
    "agreed": ("closed", (step,)),
    "opened": ("agreed", (step, step)),
    "released": ("opened", (work,)),
}


@pytest.fixture(scope="session")
def stages(county_root: Path) -> Callable[[str], CountySimulator]:
    """Bring a county of six schools and four auditors to a stage, everybody honest, and close it."""

    @lru_cache
    def make(stage: str) -> CountySimulator:
        if stage == "enrolled":
            county = CountySimulator(county_root / stage)
            county.work()
            county.import_all()
        else:
            before, steps = STAGES[stage]
            county = copy_of(make(before), county_root / stage)
            for take in steps:
                take(county)
        county.close()
        return county

    return make


def copy_of(source: CountySimulator, folder: Path) -> CountySimulator:
    """Open a copy of a closed county."""
    shutil.copytree(source.root, folder)
    return CountySimulator.reopen(folder, source, when_needed=True)


@pytest.fixture
def at_stage(
    stages: Callable[[str], CountySimulator], county_folder: Path
) -> Iterator[Callable[[str], Stage]]:
    """Open a copy of the county at a stage, with the id of its round."""
    opened: list[CountySimulator] = []

    def open_copy(stage: str) -> Stage:
        county = copy_of(stages(stage), county_folder / f"{stage}-{len(opened)}")
        opened.append(county)
        return county, next(iter(county.coordinator.round_ids()), b"")

    yield open_copy
    for county in opened:
        county.close()


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
