"""The Byzantine county in small: no seed violates an invariant, and planted bugs are found.

The whole of it: `python tests/byzantine/run.py --seeds 2000 --steps 1000000`, and `--mutants`. What is
simulated and what must hold: docs/byzantine.md.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from byzantine.memory_disk import MemoryDisk, disk_in_memory
from byzantine.mutants import MUTANTS
from byzantine.run import Tally, live, prepared, run_seeds

from auditor.errors import AuditorError
from auditor.state import SecretKind, SlotKind, State

SEEDS = 14
ROUND = bytes(32)
QUICKLY_FOUND = ("agreement-and-abandon", "keys-not-overwritten", "not-charged", "charged-twice")


def test_no_seed_violates_an_invariant() -> None:
    tally = Tally()
    with prepared():
        for seed in range(SEEDS):
            live(seed, tally, chaos=60)
    assert [failure[:2] for failure in tally.failures] == []
    assert tally.steps > 300 * SEEDS
    assert tally.rounds["released"] > 0
    assert {"write", "delivery", "tick", "fault"} <= set(tally.by_kind)


@pytest.mark.parametrize("mutant", QUICKLY_FOUND)
def test_a_planted_bug_is_found(mutant: str) -> None:
    tally = run_seeds(0, 8, mutant=mutant, limit_s=30, is_quiet=True)
    assert tally.failures, MUTANTS[mutant][0]
    assert not tally.failures[0][1].startswith("crash"), tally.failures[0][1]


def test_the_same_seed_lives_the_same_life() -> None:
    first, second = Tally(), Tally()
    with prepared():
        live(3, first, chaos=40)
        live(3, second, chaos=40)
    assert (first.steps, first.by_kind, first.rounds) == (second.steps, second.by_kind, second.rounds)


# --- the disk in memory -----------------------------------------------------------------------


def _live_on(directory: Any, seed: int) -> list[object]:
    """Use a state at random, opening it anew now and then; gives everything that it answered."""
    rng = random.Random(seed)
    found: list[object] = []
    state = State(directory, entropy=rng.randbytes)
    for _ in range(60):
        kind, secret = rng.choice(list(SlotKind)), rng.choice(list(SecretKind))
        content = rng.choice((b"one", b"two"))
        calls: tuple[tuple[Any, ...], ...] = (
            (state.slot, kind, ROUND),
            (state.fill_slot, kind, ROUND, content),
            (state.secret, secret, ROUND),
            (state.keep_secret, secret, ROUND, content),
            (state.destroy_secret, secret, ROUND),
            (state.keep_sum, ROUND, 3, content),
            (state.stored_sum, ROUND, 3),
            (state.record, "witness"),
            (state.replace_record, "witness", content),
        )
        call, *values = rng.choice(calls)
        try:
            found.append(call(*values))
        except AuditorError as err:
            found.append(type(err).__name__)
        if rng.random() < 0.1:
            state = State(directory, entropy=rng.randbytes)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_a_state_does_the_same_in_memory_as_on_a_disk(tmp_path: Path, seed: int) -> None:
    with disk_in_memory():
        assert _live_on(MemoryDisk().root / "state", seed) == _live_on(tmp_path / "state", seed)


def test_a_power_cut_keeps_what_was_synced_and_may_lose_the_rest() -> None:
    kept = set()
    for seed in range(20):
        disk = MemoryDisk()
        with disk_in_memory():
            state = State(disk.root / "state")
            state.fill_slot(SlotKind.DECISION, ROUND, b"signed")
            path = disk.root / "state" / "slots" / "loose"
            with path.opened() as file:
                file.write(b"never synced")
            disk.cut_power(random.Random(seed))
            assert State(disk.root / "state").slot(SlotKind.DECISION, ROUND) == b"signed"
            kept.add(path.read_bytes() if path.exists() else None)
    assert None in kept
    assert b"never synced" in kept
