"""What the log says about a plan with a turnout ladder, whoever published it."""

from __future__ import annotations

from typing import Any

import pytest
from fakes_federation import ZERO, TinyFederation

from protos.errors import LedgerError, StatementError
from protos.statements import Plan

NOISE = (("A1", 64, 900, ZERO), ("A2", 64, 400, ZERO))


def steps_of(tiers: int, s2: int = 100) -> tuple[tuple[str, int, int, bytes], ...]:
    """A line for each table and tier."""
    return tuple((table, step, s2, ZERO) for table, *_ in NOISE for step in range(1, tiers + 1))


@pytest.fixture
def federation() -> TinyFederation:
    """Everybody has joined."""
    made = TinyFederation()
    made.join()
    return made


def publish(federation: TinyFederation, **terms: Any) -> Plan:
    """Log a plan with two tables; its terms, read back."""
    values: dict[str, Any] = {"cells": 10, "noise": NOISE, **terms}
    return federation.round(federation.publish(b"{}", **values)).terms


@pytest.mark.parametrize("tiers", [(), (5,), (5, 6), (9, 1000), tuple(range(5, 17))])
def test_rising_tiers_above_h_with_a_line_for_each_step_are_taken(
    federation: TinyFederation, tiers: tuple[int, ...]
) -> None:
    plan = publish(federation, tiers=tiers, steps=steps_of(len(tiers)))
    assert (plan.num_vectors, plan.num_elements) == (1 + len(tiers), 10 * (1 + len(tiers)))


def test_what_a_tier_leaves_is_z_0_and_the_steps_above_it(federation: TinyFederation) -> None:
    steps = (("A1", 1, 50, ZERO), ("A1", 2, 70, ZERO), ("A2", 1, 9, ZERO), ("A2", 2, 11, ZERO))
    plan = publish(federation, tiers=(5, 6), steps=steps)
    assert [[row[2] for row in plan.noise_left(tier)] for tier in range(3)] == [
        [1020, 420],
        [970, 411],
        [900, 400],
    ]
    assert {row[:2] for row in plan.noise_left(1)} == {("A1", 64), ("A2", 64)}


@pytest.mark.parametrize(
    "terms",
    [
        {"tiers": (4,), "steps": steps_of(1)},
        {"tiers": (3, 6), "steps": steps_of(2)},
        {"tiers": (6, 6), "steps": steps_of(2)},
        {"tiers": (7, 6), "steps": steps_of(2)},
        {"tiers": tuple(range(5, 18)), "steps": steps_of(12)},
        {"tiers": (5, 6), "steps": steps_of(1)},
        {"tiers": (5, 6), "steps": ()},
        {"tiers": (), "steps": steps_of(1)},
        {"tiers": (5, 6), "steps": steps_of(2)[::-1]},
        {"tiers": (5,), "steps": (*steps_of(1), ("A3", 1, 100, ZERO))},
        {"tiers": (5,), "steps": (("A2", 1, 100, ZERO), ("A1", 1, 100, ZERO))},
        {"tiers": (5, 6), "steps": steps_of(2), "cells": 333_334},
        {"tiers": (5,), "steps": steps_of(1, 2**24 - 899)},
    ],
    ids=["h", "below h", "level", "falling", "thirteen", "one step", "no steps", "no tiers", "backwards",
         "a stranger", "tables", "too many elements", "too wide"],
)  # fmt: skip
def test_other_ladders_are_refused(federation: TinyFederation, terms: dict[str, Any]) -> None:
    with pytest.raises(LedgerError) as caught:
        publish(federation, **terms)
    assert caught.value.code == "wrong-plan"


@pytest.mark.parametrize(
    "terms",
    [
        {"tiers": (5,), "steps": steps_of(1), "cells": 500_000},
        {"tiers": (5,), "steps": steps_of(1, 2**24 - 900)},
    ],
    ids=["as many elements as there may be", "as wide as it may be"],
)
def test_the_bounds_themselves_are_allowed(federation: TinyFederation, terms: dict[str, Any]) -> None:
    assert publish(federation, **terms).tiers == (5,)


@pytest.mark.parametrize("row", [("A1", 0, 100, ZERO), ("A1", 13, 100, ZERO), ("A1", 1, 0, ZERO)])
def test_a_step_out_of_range_is_no_statement(
    federation: TinyFederation, row: tuple[str, int, int, bytes]
) -> None:
    with pytest.raises(StatementError):
        publish(federation, tiers=(5,), steps=(row,))
