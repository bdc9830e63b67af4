"""Fixtures of the console's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the console needs fedscreen[web]")
pytest.importorskip("jinja2", reason="the console needs fedscreen[web]")

from fakes_console import ConsoleHouse, quick_stretch

from node import role_login


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ConsoleHouse]:
    monkeypatch.setattr(role_login, "stretch", quick_stretch)
    made = ConsoleHouse(tmp_path)
    yield made
    made.keeper.close()
