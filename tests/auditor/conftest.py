"""A county with six schools and four real auditors, each on its own directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fakes_auditors import FakeCounty, joined_county, run_all

from auditor.desk import Desk


@pytest.fixture(autouse=True)
def _no_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the disk: no test here cuts the power. `test_state` checks that files are synced."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture
def county() -> FakeCounty:
    """Roster logged, no round yet, clock inside the plan's window."""
    return joined_county()


@pytest.fixture
def desks(county: FakeCounty, tmp_path: Path) -> dict[str, Desk]:
    """All four auditors."""
    return {name: county.desk(name, tmp_path / name) for name in sorted(county.auditors)}


@pytest.fixture
def round_id(county: FakeCounty, desks: dict[str, Desk]) -> bytes:
    """A plan that all auditors have approved."""
    published = county.publish_plan()
    for desk in desks.values():
        desk.approve(published)
    return published


@pytest.fixture
def closed_round(county: FakeCounty, desks: dict[str, Desk], round_id: bytes) -> bytes:
    """A round whose schools have all reported, checked by all auditors and closed."""
    county.collect(round_id)
    county.fix_candidates(round_id)
    run_all(list(desks.values()), 1)
    county.close(round_id)
    return round_id


@pytest.fixture
def opened_round(county: FakeCounty, desks: dict[str, Desk], closed_round: bytes) -> bytes:
    """A round that all auditors have agreed to and opened; not released yet."""
    run_all(list(desks.values()), 3)
    return closed_round
