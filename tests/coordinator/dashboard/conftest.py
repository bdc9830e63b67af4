"""Fixtures of the dashboard's tests."""

from __future__ import annotations

import gettext
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the dashboard needs fedscreen[web]")
pytest.importorskip("jinja2", reason="the dashboard needs fedscreen[web]")

from fakes_coordinator import County
from fakes_dashboard import Office, quick_str, quick_verify

from fedscreen.language import DOMAIN, LOCALE_DIR


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """Passphrases are stretched in no time; the catalogue is where the command would look for it."""
    patch = pytest.MonkeyPatch()
    before = gettext.bindtextdomain(DOMAIN)
    gettext.bindtextdomain(DOMAIN, str(LOCALE_DIR))
    patch.setattr("nacl.pwhash.argon2id.str", quick_str)
    patch.setattr("nacl.pwhash.argon2id.verify", quick_verify)
    yield
    gettext.bindtextdomain(DOMAIN, before)
    patch.undo()


@pytest.fixture(scope="module")
def shared(
    templates: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory, quick: None
) -> Iterator[Office]:
    """A released county with an account per role, for tests that change nothing that others see."""
    folder = tmp_path_factory.mktemp("shared") / "county"
    shutil.copytree(templates("released"), folder)
    made = Office(County(folder))
    yield made
    made.close()


@pytest.fixture
def office(templates: Callable[[str], Path], tmp_path: Path, quick: None) -> Iterator[Office]:
    """A county of a test's own, whose round is collecting."""
    shutil.copytree(templates("collecting"), tmp_path / "county")
    made = Office(County(tmp_path / "county"))
    yield made
    made.close()
