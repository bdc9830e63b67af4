"""Fixtures of the console's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the console needs fedscreen[web]")
pytest.importorskip("jinja2", reason="the console needs fedscreen[web]")

from fakes_console import ConsoleHouse, quick_kdf


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """Passphrases are stretched in no time."""
    patch = pytest.MonkeyPatch()
    patch.setattr("nacl.pwhash.argon2id.kdf", quick_kdf)
    yield
    patch.undo()


@pytest.fixture
def house(tmp_path: Path, quick: None) -> Iterator[ConsoleHouse]:
    """A school of a test's own."""
    made = ConsoleHouse(tmp_path)
    yield made
    made.keeper.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, quick: None) -> Iterator[ConsoleHouse]:
    """A school with roles and a round, for tests that change nothing there."""
    made = ConsoleHouse(tmp_path_factory.mktemp("shared"))
    made.round_id = made.start_round()
    made.give_roles()
    yield made
    made.keeper.close()
