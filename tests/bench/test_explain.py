"""The benchmark of predictions: its simulated county is the generator's, and a small run comes out right."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from bench import explain
from fedscreen.demo.county import make_county


def test_a_small_run_agrees_with_the_prediction() -> None:
    found: Any = explain.measure("autumn-small", 25, 6_000, 100, counties=2, rounds=40)
    assert (found["reports"], found["rounds"]) == (25, 80)
    for table in found["tables"].values():
        assert table["cell"]["deviation"] < 0.08
        assert table["shown"]["deviation"] < 0.08
    assert found["tables"]["S1"]["stage"]["predicted"] <= 13


def test_records_are_the_pupils_of_the_files() -> None:
    school = make_county(5, 400, 3)[1]
    records = list(explain._records(school))
    assert len(records) == school.num_pupils
    assert sum(record.is_tested for record in records) == len(school.screening) - 1
    words = Counter(str(row[2]) for row in school.roster[1:])
    assert Counter(record.sex for record in records) == {"1": words["男"], "2": words["女"]}


@pytest.mark.parametrize(("reports", "ok"), [(25, True), (20, True)])
def test_the_small_county_has_a_limit(reports: int, ok: bool) -> None:
    tables = {"S1": {"stage": {"predicted": reports / 2, "simulated": 12.0, "deviation": 0.0}}}
    assert explain._is_small_enough("autumn-small", tables) is ok
    tables["S1"]["stage"]["simulated"] = 13.5
    assert explain._is_small_enough("autumn-small", tables) is False
    assert explain._is_small_enough("autumn-full", tables) is True
