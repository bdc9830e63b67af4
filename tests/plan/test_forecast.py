"""The forecast: complete, exact about its own assumptions, and in step with the demo's made-up county."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from random import Random

import numpy as np
import pytest
from plan_samples import ready_plan, ready_toml

from fedscreen.demo import county
from fedscreen.planning.plan_file import ready_names
from plan import assumptions, chances
from plan.chances import Core
from plan.dimensions import DIMENSIONS
from plan.document import PlanDocument, parse_plan_toml
from plan.errors import LayoutError
from plan.forecast import forecast, screened_stages, share_out
from plan.layout import Layout, TableLayout, build_layout
from plan.publishing import resolve

PUPILS = {"primary": 1000.0, "junior": 2000.0, "senior": 500.0, "vocational": 100.0}


def layout_of(name: str = "autumn-full", schools: int = 90) -> Layout:
    return build_layout(resolve(parse_plan_toml(ready_toml(name)), schools))


def with_table(**changes: object) -> tuple[Layout, TableLayout]:
    """autumn-full with its first table replaced, and that table."""
    plan = ready_plan(90)
    table = replace(plan.tables[0], **changes)  # type: ignore[arg-type]
    layout = build_layout(replace(plan, tables=(table, *plan.tables[1:]), has_critical_items=True))
    return layout, layout.tables[0]


def means(layout: Layout, table: TableLayout, pupils: dict[str, float] | None = None) -> np.ndarray:
    found = forecast(layout, PUPILS if pupils is None else pupils).means[table.offset : table.end]
    return found.reshape(table.shape)


@pytest.mark.parametrize("name", ready_names())
def test_every_ready_plan_is_forecast(name: str) -> None:
    layout = layout_of(name)
    pupils = share_out(48_000, layout)
    found = forecast(layout, pupils)
    assert sum(pupils.values()) == pytest.approx(48_000)
    assert found.means.shape == found.variances.shape == (layout.cells,)
    assert np.all(np.isfinite(found.means))
    assert np.all(found.means >= 0)
    for table in layout.tables:
        assert found.means[table.offset : table.end].sum() > 0 or table.dims == ("groups_held",)


SINGLE = sorted(name for name, item in DIMENSIONS.items() if not item.is_set and not item.is_scored)


@pytest.mark.parametrize("name", SINGLE)
def test_a_partition_counts_every_pupil_once(name: str) -> None:
    layout, table = with_table(dims=(name,))
    assert means(layout, table).sum() == pytest.approx(sum(PUPILS.values()))


def test_tables_of_a_plan_agree_about_the_same_pupils() -> None:
    """The identities hold of expected counts, too: sums over the tested are those of dispositions 1 and 2."""
    layout = layout_of()
    by_id = {table.id: means(layout, table) for table in layout.tables}
    tested = by_id["A1"][:, :2].sum()
    for name in ("A2", "A3", "A4", "A5"):
        assert by_id[name].sum() == pytest.approx(tested)
    assert by_id["A7"].sum() == pytest.approx(by_id["A1"][:, 0].sum())
    assert by_id["A2"].sum(axis=(0, 1)) == pytest.approx(by_id["A5"].sum(axis=(0, 1)))


def test_pupils_go_to_their_stage() -> None:
    layout, table = with_table(dims=("stage",))
    assert means(layout, table) == pytest.approx(list(PUPILS.values()))
    assert means(layout, table, {"junior": 30.0}) == pytest.approx([0, 30, 0, 0])


def test_known_rates_come_out() -> None:
    layout, table = with_table(dims=("stage", "level"), where=(("disposition", ("1",)),))
    found = means(layout, table)
    level_3 = found[:, 3] / found.sum(axis=1)
    # by hand: rate x (0.52 x 0.75 + 0.48 x 1.5) x left behind x family x school spread
    factor = 1.11 * (1 + 0.2 * 0.13) * (1 + 0.5 * 0.13) * np.exp(0.25**2 / 2)
    assert level_3[:2] == pytest.approx([0.012 * factor, 0.026 * factor], rel=0.01)
    layout, table = with_table(dims=("stage", "boarding"))
    found = means(layout, table)
    assert found[:, 1] / found.sum(axis=1) == pytest.approx([0.12, 0.45, 0.75, 0.85])


def test_consent_moves_pupils_out_of_the_tested() -> None:
    required, table = with_table(dims=("disposition",))
    recorded = replace(required, consent="record-only")
    strict, loose = means(required, table), means(recorded, table)
    assert strict[0] < loose[0]
    assert strict[5] > loose[5]
    assert strict[7] == pytest.approx(sum(PUPILS.values()) * 0.973 * 0.006 * 0.4)
    assert loose[7] == 0


def test_a_filter_on_another_dimension_keeps_its_share() -> None:
    layout, table = with_table(dims=("stage",), where=(("boarding", ("2",)),))
    assert means(layout, table)[0] == pytest.approx(1000 * 0.12)
    layout, table = with_table(dims=("stage", "boarding"), where=(("boarding", ("2",)),))
    assert means(layout, table)[0] == pytest.approx([1000 * 0.12])


def test_a_cap_keeps_the_first_codes_only() -> None:
    chance = np.array([[0.5], [0.25], [0.1], [0.8]])
    for cap in range(1, 5):
        expected = np.zeros(4)
        for has in product((0, 1), repeat=4):
            weight = np.prod([p if h else 1 - p for h, p in zip(has, chance[:, 0], strict=True)])
            counted = [place for place in range(4) if has[place]][:cap]
            expected[counted] += weight
        assert chances._capped(chance, cap)[:, 0] == pytest.approx(expected)
    many = sum(
        np.prod([p if h else 1 - p for h, p in zip(has, chance[:, 0], strict=True)])
        for has in product((0, 1), repeat=4)
        if sum(has) >= 3
    )
    assert chances._at_least(list(chance), 3)[0] == pytest.approx(many)


def test_a_cap_in_a_plan_lowers_the_counts() -> None:
    free = means(*with_table(dims=("stage", "factor"), multi="factor", touch=8))
    capped = means(*with_table(dims=("stage", "factor"), multi="factor", touch=2))
    assert capped[:, 0] == pytest.approx(free[:, 0])
    assert np.all(capped[:, 4] < 0.8 * free[:, 4])


@pytest.mark.parametrize(
    ("summed", "clamp", "average"),
    [("duration_s", (0, 5000), 959.5), ("duration_s", (420, 5000), 539.5), ("days_to_review", (0, 60), None)],
)
def test_sums_add_what_a_pupil_adds(summed: str, clamp: tuple[int, int], average: float | None) -> None:
    layout, table = with_table(dims=("stage",), sum=summed, range=clamp)
    counted, of_counts = with_table(dims=("stage", "level"), where=(("disposition", ("1", "2")),))
    found, pupils = means(layout, table), means(counted, of_counts)
    if average is None:
        days = sum(float(day) * share for day, share in assumptions.DAYS_TO_REVIEW.items())
        assert found == pytest.approx(pupils[:, 2:4].sum(axis=1) * days)
    else:
        assert found == pytest.approx(pupils.sum(axis=1) * average)
    spread = forecast(layout, PUPILS).variances[table.offset : table.end]
    assert np.all(spread > found)


def test_roster_attributes_share_equally() -> None:
    layout = layout_of("prefecture-rare", 1200)
    found = means(layout, layout.tables[1], {"primary": 13_000.0})
    assert found.sum(axis=1) == pytest.approx([1000] * 13)


def test_several_instruments_share_the_tested() -> None:
    plan = ready_plan(90)
    other = replace(plan.instruments[0], id="other")
    tables = tuple(
        replace(table, instrument="mht") if table.multi or "band" in table.dims else table
        for table in plan.tables
    )
    both = build_layout(replace(plan, instruments=(*plan.instruments, other), tables=tables))
    one = build_layout(plan)
    assert means(both, both.table("A7")) == pytest.approx(means(one, one.table("A7")) / 2)
    assert means(both, both.table("A2")) == pytest.approx(means(one, one.table("A2")))


@pytest.mark.parametrize("pupils", [{"nursery": 10.0}, {"junior": -1.0}, {"junior": float("nan")}])
def test_impossible_pupils_are_refused(pupils: dict[str, float]) -> None:
    with pytest.raises(LayoutError, match="0 or more pupils"):
        forecast(layout_of(), pupils)


def test_stages_that_are_not_screened_get_nobody() -> None:
    plan: PlanDocument = replace(ready_plan(90), grades=("7", "8", "9"))
    layout = build_layout(plan)
    assert screened_stages(layout) == ("junior",)
    assert share_out(900, layout) == pytest.approx({"junior": 900.0})
    with pytest.raises(LayoutError):
        forecast(layout, {"primary": 10.0})


def test_scores_are_those_of_the_generator() -> None:
    random = Random(11)
    for level in range(4):
        drawn = [sum(county._factor_scores(level, random)) for _ in range(4000)]
        expected = chances._scores(level)
        assert expected.sum() == pytest.approx(1)
        mean = float(expected @ np.arange(len(expected)))
        assert np.mean(drawn) == pytest.approx(mean, abs=5 * np.std(drawn) / 4000**0.5)


def test_the_core_has_as_many_pupils_as_were_given() -> None:
    core = Core(layout_of(), PUPILS)
    assert core.pupils.sum() == pytest.approx(3600)
    assert core.has("stage", ["primary"]) @ core.pupils == pytest.approx(1000)
