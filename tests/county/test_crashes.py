"""Every party dies at a durable write of a round, once, and is opened anew: the same result.

The county is brought to the point where all have approved and every school has its records; from
there a reference run counts the durable writes of one party of each kind, and then one run a
write (here one in fifteen, `make kills` takes them all) is made on a copy of the folders. Same keys
and approvals, so the released sums must be the same integers; the log must be one that an outsider
accepts; each school charged once.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fakes_county import CountySimulator

from protos.ledger import RoundState
from protos.statements import Release

SHARDS = 1
EVERY = int(os.environ.get("FEDSCREEN_CRASH_EVERY", "15"))
"""One write of so many is tried."""


@pytest.fixture(scope="module")
def prepared(county_root: Path) -> tuple[CountySimulator, bytes]:
    county = CountySimulator(
        county_root / "before-crashes", schools=5, auditors=3, tuple_=(3, 3, 2, 3), quorum=3
    )
    round_id = county.start_round()
    county.close()
    return county, round_id


def run_round(county: CountySimulator, round_id: bytes) -> None:
    """Release everywhere (again after a crash) and work until the round is released."""

    def release_all() -> None:
        for node_id in county.node_ids:
            county._guarded(node_id, lambda name=node_id: county.release(name, round_id))  # type: ignore[misc]

    release_all()
    if county.faults.num_crashes:
        release_all()  # the person at the school gives the command again
    assert county.work(county.is_state(round_id, RoundState.RELEASED), max_passes=200)


def account_of(county: CountySimulator, node_id: str) -> object:
    answer, _ = county.nodes[node_id].handle({"command": "status"}, {})
    return answer["account"]


def outcome(county: CountySimulator, round_id: bytes) -> tuple[object, ...]:
    """What must not depend on crashes: the sums, how many reports of each school, what it was charged."""
    round_log = county.round(round_id)
    assert round_log.release is not None
    assert isinstance(round_log.release.statement, Release)
    reports = tuple(sorted(round_log.reports))
    charges = tuple(account_of(county, node_id) for node_id in county.node_ids)
    return county.released_tables(round_id), reports, charges, round_log.release.statement.reports_in


@pytest.mark.parametrize("party", ["coordinator", "a1", "s01"])
@pytest.mark.parametrize("shard", range(SHARDS))
def test_a_crash_at_a_durable_write(
    prepared: tuple[CountySimulator, bytes], county_folder: Path, party: str, shard: int
) -> None:
    source, round_id = prepared
    reference = CountySimulator.reopen(copy(source, county_folder / "reference"), source)
    run_round(reference, round_id)
    expected = outcome(reference, round_id)
    num_steps = len(reference.faults.steps[party])
    reference.close()
    assert num_steps > 8
    for step in range(shard * EVERY, num_steps, SHARDS * EVERY):
        county = CountySimulator.reopen(copy(source, county_folder / f"step-{step}"), source)
        county.faults.crash_party, county.faults.crash_step = (
            party,
            len(county.faults.steps.get(party, [])) + step,
        )
        run_round(county, round_id)
        assert outcome(county, round_id) == expected, f"crash of {party} at write {step}"
        county.close()


def copy(source: CountySimulator, target: Path) -> Path:
    """Copy a closed county's folders."""
    import shutil

    shutil.copytree(source.root, target)
    return target
