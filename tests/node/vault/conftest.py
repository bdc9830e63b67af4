"""Fixtures of the vault's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes_vault import SchoolHouse


@pytest.fixture
def house(tmp_path: Path) -> Iterator[SchoolHouse]:
    """A school's vault, enrolled, without a round."""
    opened = SchoolHouse(tmp_path)
    yield opened
    opened.store.close()
