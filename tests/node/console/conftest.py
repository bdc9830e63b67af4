"""Fixtures of the console's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the console needs fedscreen[web]")
pytest.importorskip("jinja2", reason="the console needs fedscreen[web]")

from fakes_console import ConsoleHouse, quick_kdf


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ConsoleHouse]:
    monkeypatch.setattr("nacl.pwhash.argon2id.kdf", quick_kdf)
    made = ConsoleHouse(tmp_path)
    yield made
    made.keeper.close()
