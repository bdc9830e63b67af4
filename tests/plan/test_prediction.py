"""Predicted intervals and shown shares: against formulas, and against rounds drawn with numpy."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from plan_samples import ready_plan, ready_toml

from plan.advice import advise
from plan.document import PlanDocument, parse_plan_toml
from plan.forecast import Forecast, forecast, share_out
from plan.layout import Layout, build_layout
from plan.prediction import (
    estimator,
    half_widths,
    margins,
    noise_variances,
    predict,
    predict_shown,
    shown_chances,
)
from plan.publishing import resolve
from privacy.display import show_count
from privacy.intervals import Z95


def county(name: str, schools: int, pupils: int) -> tuple[PlanDocument, Layout, Forecast]:
    plan = resolve(parse_plan_toml(ready_toml(name)), schools)
    layout = build_layout(plan)
    return plan, layout, forecast(layout, share_out(pupils, layout))


def test_a_table_alone_has_its_own_noise() -> None:
    plan = replace(ready_plan(90), tables=ready_plan(90).tables[2:3])
    layout = build_layout(plan)
    half = half_widths(layout, 90)["A3"]
    alone = Z95 * math.sqrt(90 * layout.tables[0].noise.s2) / layout.tables[0].noise.scale
    assert half.cell == pytest.approx(alone)
    assert half.stage == pytest.approx(alone * math.sqrt(3))  # over boarding
    assert half.county == pytest.approx(alone * math.sqrt(3 * 4))
    assert half.total == pytest.approx(alone * math.sqrt(3 * 4 * 5))


def test_least_squares_narrows_a_stage_by_more_than_a_third() -> None:
    _, layout, expected = county("autumn-full", 90, 48_000)
    for table in predict(layout, 90, expected, 11):
        assert table.cell <= table.raw * (1 + 1e-9)
        if table.id == "A3" and table.stage is not None:
            assert table.stage <= 0.65 * table.raw * math.sqrt(3)


def test_more_reports_without_a_ladder_mean_wider_intervals() -> None:
    _, layout, _ = county("autumn-full", 90, 48_000)
    most, least = half_widths(layout, 90)["A1"].cell, half_widths(layout, 72)["A1"].cell
    assert most / least == pytest.approx(math.sqrt(90 / 72))


def test_the_small_county_s_stage_is_exact_enough() -> None:
    plan, layout, _ = county("autumn-small", 25, 6_000)
    for reports in range(plan.min_reports or 0, 26):
        stage = half_widths(layout, reports)["S1"].stage
        assert stage is not None
        assert stage <= 13


def test_margins_of_a_set_valued_table_fix_its_code() -> None:
    _, layout, _ = county("autumn-full", 90, 48_000)
    found = margins(layout, layout.table("A6"))
    assert len(found.stage) == 4 * 8
    assert set(found.stage.sum(axis=1)) == {3.0}  # one factor, three sexes
    assert len(found.county) == 8
    assert len(found.total) == 0
    grades = margins(layout, layout.table("A1"))
    assert len(grades.stage) == 4 * 8
    assert set(grades.stage.sum(axis=1)) == {3.0}  # three grades of a stage


def test_a_table_without_stages_has_no_stage() -> None:
    _, layout, _ = county("autumn-small", 25, 6_000)
    assert half_widths(layout, 25)["S3"].stage is None


def test_shown_shares_are_those_of_drawn_rounds() -> None:
    random = np.random.default_rng(3)
    _, layout, expected = county("autumn-full", 60, 20_000)
    model = estimator(layout, 60)
    errors = np.sqrt(model.variances())
    truth = random.poisson(expected.means, (40, layout.cells))
    noisy = truth + random.normal(0, np.sqrt(noise_variances(layout, 60)), truth.shape)
    estimates = model.estimate(noisy)
    for table, found in zip(layout.tables, predict(layout, 60, expected, 11), strict=True):
        here = range(table.offset, table.end)
        shown = [
            not show_count(float(row[cell]), float(errors[cell])).is_withheld
            for row in estimates
            for cell in here
        ]
        assert np.mean(shown) == pytest.approx(found.shown, rel=0.05)


@pytest.mark.parametrize(
    ("mean", "error", "floor", "chance"),
    [(1e6, 1.0, 11, 1.0), (0.0, 5.0, 11, 0.0), (50.0, 1.0, 50, 0.5), (4 * Z95, 2.0, 11, 0.04)],
    ids=["large", "none", "at_the_floor", "below_the_floor"],
)
def test_chances_of_single_cells(mean: float, error: float, floor: int, chance: float) -> None:
    found = shown_chances(np.array([mean]), np.zeros(1), np.array([error]), floor)
    assert found[0] == pytest.approx(chance, abs=0.03)


def test_the_floor_and_the_width_both_withhold() -> None:
    wide = shown_chances(np.array([30.0]), np.zeros(1), np.array([10.0]), 11)[0]
    narrow = shown_chances(np.array([30.0]), np.zeros(1), np.array([1.0]), 11)[0]
    floored = shown_chances(np.array([30.0]), np.zeros(1), np.array([1.0]), 100)[0]
    assert wide < 0.2 < 0.99 < narrow
    varied = shown_chances(np.array([30.0]), np.array([400.0]), np.array([1.0]), 50)[0]
    assert varied == pytest.approx(0.16, abs=0.01)  # the county's true number may well be above the floor
    assert floored < 0.01


@pytest.mark.parametrize(("schools", "pupils", "word"), [(90, 48_000, "fair"), (25, 6_000, "useless")])
def test_verdicts_follow_the_county(schools: int, pupils: int, word: str) -> None:
    _, layout, expected = county("autumn-full", schools, pupils)
    found = {table.id: table.verdict for table in predict(layout, schools, expected, 11)}
    assert found["A2"] == word


def test_advice_says_what_a_change_brings() -> None:
    plan, layout, expected = county("autumn-full", 25, 6_000)
    pupils = share_out(6_000, layout)
    (before,) = [item for item in predict(layout, 25, expected, 11) if item.id == "A6"]
    found = advise(plan, pupils, 25, "A6", before.shown)
    assert str(found[0].words) == "drop sex from its `dims` (no sums by sex)"
    changed = replace(
        plan,
        tables=tuple(
            replace(table, dims=("stage", "factor")) if table.id == "A6" else table for table in plan.tables
        ),
    )
    after = build_layout(changed)
    (shown,) = [item for item in predict(after, 25, forecast(after, pupils), 11) if item.id == "A6"]
    assert found[0].after == pytest.approx(shown.shown)
    assert found[0].after > found[1].after > before.shown


def test_advice_never_drops_what_a_table_is_about() -> None:
    plan, layout, expected = county("autumn-full", 25, 6_000)
    for table in predict(layout, 25, expected, 11):
        words = [
            str(item.words) for item in advise(plan, share_out(6_000, layout), 25, table.id, table.shown)
        ]
        last = layout.table(table.id).dims[-1]
        assert any(word.startswith("drop ") for word in words) is (len(layout.table(table.id).dims) > 1)
        assert not any(word.startswith(f"drop {last} ") for word in words)


def test_advice_merges_a_table_into_one_that_has_its_sums() -> None:
    plan = ready_plan(25)
    margin = replace(plan.tables[1], id="M", dims=("stage", "level"), weight=plan.tables[1].weight * 60)
    plan = replace(plan, tables=(*plan.tables, margin))
    layout = build_layout(plan)
    pupils = share_out(6_000, layout)
    before = predict_shown(layout, 25, pupils, 11, layout.table("A7"))
    words = [str(item.words) for item in advise(plan, pupils, 25, "A7", before)]
    assert "merge table M into A2, which has its sums" in words
