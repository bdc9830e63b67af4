"""The most that a school can count and the largest noise go through the whole path exactly.

Every value that the sampler can draw lies in [-B, B], B = floor(14 s) + 1: here it draws nothing else.
"""

from __future__ import annotations

from itertools import cycle
from unittest import mock

import numpy as np
import pytest

from bench.audit_path import make_plan, released, rounds
from plan.layout import build_layout
from privacy.discrete_gaussian import Sampler, table_bound

MOST_PUPILS = 1_000_000  # of one school, as coordinator/combine.py believes it
SCHOOLS = 7
TABLES = """
[[tables]]
id = "A1"
title = "一"
dims = ["sex", "boarding"]
weight = "1/1000"
[[tables]]
id = "A2"
title = "二"
dims = ["sex"]
sum = "duration_s"
range = [0, 1000]
weight = 999
"""


@pytest.mark.parametrize(("trust", "tier"), [("", 0), ("ladder = [5, 7]", 0), ("ladder = [5, 7]", 2)])
@pytest.mark.parametrize("signs", [(1,), (-1,), (1, -1)], ids=["all-up", "all-down", "both"])
def test_full_cells_and_the_largest_noise_are_opened_exactly(
    trust: str, tier: int, signs: tuple[int, ...]
) -> None:
    document = make_plan(TABLES, "replace-one", trust)
    layout = build_layout(document)
    full = np.concatenate(
        [np.full(t.cells, t.noise.scale * t.per_pupil * MOST_PUPILS) for t in layout.tables]
    )
    xs = [full if number % 2 else 0 * full for number in range(SCHOOLS)]
    drawn = cycle(signs)

    def draw(self: Sampler, _stream: object, cells: int) -> np.ndarray:
        return np.array([next(drawn) * self.bound for _ in range(cells)], dtype=np.int64)

    with mock.patch.object(Sampler, "sample", draw):
        (round_,) = rounds(document, layout, "extremes", 1)
        opened = released(round_, xs, tier)
    left = [[s2 for k, s2 in enumerate(t.noise.components) if k == 0 or k > tier] for t in layout.tables]
    most = np.concatenate(
        [
            np.full(t.cells, SCHOOLS * sum(map(table_bound, s2)))
            for t, s2 in zip(layout.tables, left, strict=True)
        ]
    )
    error = opened - (SCHOOLS // 2) * full
    assert np.all(np.abs(error) <= most)
    if len(signs) == 1:
        assert np.array_equal(error, signs[0] * most)
    assert max(table.noise.s2 for table in layout.tables) > 500**2
