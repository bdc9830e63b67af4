"""Counties at their stages; each stage is made once a session and copied."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest
from fakes_coordinator import County

from bench.postgres_server import PostgresServer, postgres_server

DATABASES = ("sqlite", "postgresql")


@pytest.fixture
def county(tmp_path: Path) -> Iterator[County]:
    """A fresh county; nobody is enrolled."""
    found = County(tmp_path / "county")
    yield found
    found.desk.close()


@pytest.fixture
def make_county(tmp_path: Path) -> Iterator[Callable[..., County]]:
    """Make counties with other settings."""
    made: list[County] = []

    def make(**values: object) -> County:
        made.append(County(tmp_path / f"county{len(made)}", **values))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for item in made:
        item.desk.close()


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Counties that were brought to a stage once: its name → folder, to be copied."""
    base = tmp_path_factory.mktemp("templates")

    @lru_cache
    def make(stage: str) -> Path:
        found = County(base / stage)
        getattr(found, stage)()
        found.desk.close()
        return found.directory

    return make


def _copy_of(template: Path, target: Path) -> County:
    shutil.copytree(template, target)
    return County(target)


@pytest.fixture
def collecting(templates: Callable[[str], Path], tmp_path: Path) -> Iterator[County]:
    """A county with one approved round; nobody has reported."""
    found = _copy_of(templates("collecting"), tmp_path / "county")
    yield found
    found.desk.close()


@pytest.fixture
def agreed(templates: Callable[[str], Path], tmp_path: Path) -> Iterator[County]:
    """A county whose round is closed and agreed; nobody has opened."""
    found = _copy_of(templates("agreed"), tmp_path / "county")
    yield found
    found.desk.close()


@pytest.fixture
def released(templates: Callable[[str], Path], tmp_path: Path) -> Iterator[County]:
    """A county whose round is released, witnessed and published."""
    found = _copy_of(templates("released"), tmp_path / "county")
    yield found
    found.desk.close()


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A real PostgreSQL, started by the first test that asks for it."""
    with postgres_server() as found:
        yield found


@pytest.fixture(params=DATABASES)
def address(request: pytest.FixtureRequest) -> str:
    """What coordinator.toml says of an empty database, on SQLite and on PostgreSQL."""
    return str(request.getfixturevalue("server").database()) if request.param == "postgresql" else ""
