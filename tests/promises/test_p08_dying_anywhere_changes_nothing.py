"""P8: a process that dies at any instruction loses, doubles and opens nothing.

One durable write of each party is drawn, the process is killed there and opened anew: the same integers come
out, one report a school, each charged once. Every write: `make kills`; full disks:
`tests/node/test_disk_full.py`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from county_stages import copy_of
from county_sums import assert_released
from fakes_county import CountySimulator

SEED = 8


def finish_again(county: CountySimulator, round_id: bytes) -> None:
    """Everybody reports, and whoever was killed is told once more."""
    for _ in range(2):
        for node_id in county.node_ids:
            county._guarded(node_id, lambda name=node_id: county.release(name, round_id))  # type: ignore[misc]
    assert_released(county, round_id, county.node_ids)


@pytest.mark.parametrize("party", ["coordinator", "a1", "s01"])
def test_a_party_killed_at_one_of_its_writes(
    stages: Callable[[str], CountySimulator], county_folder: Path, party: str
) -> None:
    reference = copy_of(stages("collecting"), county_folder / "reference")
    (round_id,) = reference.coordinator.round_ids()
    before = len(reference.faults.steps.get(party, []))
    finish_again(reference, round_id)
    steps, sums = len(reference.faults.steps[party]) - before, reference.released_tables(round_id)
    reference.close()
    county = copy_of(stages("collecting"), county_folder / "killed")
    county.faults.crash_party = party
    county.faults.crash_step = len(county.faults.steps.get(party, [])) + random.Random(SEED).randrange(steps)
    finish_again(county, round_id)
    assert county.faults.num_crashes == 1
    assert county.released_tables(round_id) == sums
    assert sorted(county.round(round_id).reports) == [(node_id, 0) for node_id in county.node_ids]
    for node_id in county.node_ids:
        status, _ = county.nodes[node_id].handle({"command": "status"}, {})
        assert [len(year["rounds"]) for year in status["account"]] == [1]
    county.close()
