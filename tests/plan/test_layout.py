"""The vector layout: cells, sensitivities, noise; a pure function of the plan."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from plan_samples import ready_plan, ready_toml

from plan.document import encode_body, from_published, parse_plan_toml, terms_of
from plan.errors import DocumentError, LayoutError
from plan.layout import build_layout, keys
from plan.table_spec import TableSpec
from privacy.sensitivity import Neighbouring


def spec(**values: Any) -> TableSpec:
    base: dict[str, Any] = {"id": "T", "title": "表", "dims": ("grade",)}
    return TableSpec(**(base | values))


def lay_out(*tables: TableSpec, **values: Any) -> Any:
    return build_layout(replace(ready_plan(), tables=tables, **values))


def test_autumn_full_has_652_cells_without_gaps() -> None:
    layout = build_layout(ready_plan())
    shapes = {table.id: table.shape for table in layout.tables}
    assert shapes == {
        "A1": (12, 8),
        "A2": (12, 3, 5),
        "A3": (4, 3, 5),
        "A4": (4, 4, 5),
        "A5": (4, 5, 5),
        "A6": (4, 3, 8),
        "A7": (4, 10),
    }
    assert layout.cells == 652
    assert [table.offset for table in layout.tables] == [0, 96, 276, 336, 416, 516, 612]
    assert layout.tables[-1].end == layout.cells


def test_autumn_full_costs_a_fifth_and_has_the_noise_of_the_domain_page() -> None:
    layout = build_layout(ready_plan())
    assert sum(table.noise.rho for table in layout.tables) == Fraction(1, 5)
    assert Fraction("0.1999") < layout.claimed_rho <= Fraction(1, 5)
    sigma = {table.id: table.noise.standard_error(layout.noise_schools) for table in layout.tables}
    assert sigma["A6"] == pytest.approx(29.95, abs=0.01)
    for table_id in ("A1", "A2", "A3", "A4", "A5", "A7"):
        assert sigma[table_id] == pytest.approx(5.604, abs=0.002)
        assert float(layout.table(table_id).noise.rho) == pytest.approx(0.03185, abs=1e-5)


@pytest.mark.parametrize(
    ("neighbouring", "sides"), [(Neighbouring.REPLACE_ONE, 2), (Neighbouring.ADD_REMOVE, 1)]
)
def test_sensitivity_is_the_cap_times_the_sides_of_the_relation(
    neighbouring: Neighbouring, sides: int
) -> None:
    layout = build_layout(replace(ready_plan(), neighbouring=neighbouring))
    assert {table.id: (table.delta_sq, table.delta_1) for table in layout.tables} == {
        "A1": (sides, sides),
        "A2": (sides, sides),
        "A3": (sides, sides),
        "A4": (sides, sides),
        "A5": (sides, sides),
        "A6": (8 * sides, 8 * sides),
        "A7": (sides, sides),
    }


@pytest.mark.parametrize("nodes", [7, 12, 60, 90, 1200])
def test_the_claim_never_exceeds_the_plans_rho(nodes: int) -> None:
    plan = ready_plan(nodes)
    layout = build_layout(plan)
    assert plan.rho * Fraction(99, 100) < layout.claimed_rho <= plan.rho
    assert sum(layout.table_rho(table) for table in layout.tables) == layout.claimed_rho


def test_more_assumed_colluders_mean_more_noise_each() -> None:
    few, many = ready_plan(), replace(ready_plan(), colluding_schools=20)
    for one, other in zip(build_layout(few).tables, build_layout(many).tables, strict=True):
        assert other.noise.s2 > one.noise.s2


def test_the_layout_is_the_same_after_publishing() -> None:
    plan = ready_plan()
    assert build_layout(from_published(encode_body(plan), terms_of(plan))) == build_layout(plan)


def test_a_draft_has_no_layout() -> None:
    with pytest.raises(DocumentError, match="auto"):
        build_layout(parse_plan_toml(ready_toml()))


def test_keys_and_index_are_exact_inverses() -> None:
    for table in build_layout(ready_plan()).tables:
        seen = [table.keys(index) for index in range(table.cells)]
        assert [table.index(codes) for codes in seen] == list(range(table.cells))
        assert len({tuple(codes.items()) for codes in seen}) == table.cells


def test_the_last_dimension_runs_fastest() -> None:
    table = build_layout(ready_plan()).table("A2")
    assert table.keys(0) == {"grade": "4", "sex": "1", "level": "0"}
    assert keys(table, 1) == {"grade": "4", "sex": "1", "level": "1"}
    assert table.keys(5) == {"grade": "4", "sex": "2", "level": "0"}
    assert table.keys(179) == {"grade": "V3", "sex": "9", "level": "9"}
    assert table.labels_of(179) == {"grade": "中职三", "sex": "未说明", "level": "无效/未评定"}
    assert table.dim_titles == ("年级", "性别", "预警等级")


@pytest.mark.parametrize("index", [-1, 180, 10**9])
def test_a_cell_that_the_table_does_not_have_is_refused(index: int) -> None:
    table = build_layout(ready_plan()).table("A2")
    with pytest.raises(LayoutError):
        table.keys(index)
    with pytest.raises(LayoutError):
        table.labels_of(index)


@pytest.mark.parametrize(
    "codes",
    [
        {},
        {"grade": "4", "sex": "1"},
        {"grade": "4", "sex": "1", "level": "4"},
        {"grade": "3", "sex": "1", "level": "0"},
        {"grade": "4", "sex": "1", "stage": "junior"},
        {"grade": "4", "sex": "1", "level": "0", "stage": "junior"},
    ],
    ids=["none", "missing", "no_level_4", "not_eligible", "other_dim", "extra_dim"],
)
def test_keys_that_the_table_does_not_have_are_refused(codes: dict[str, str]) -> None:
    with pytest.raises(LayoutError):
        build_layout(ready_plan()).table("A2").index(codes)


@pytest.mark.parametrize("table_id", ["", "a1", "A8"])
def test_an_unknown_table_is_refused(table_id: str) -> None:
    with pytest.raises(LayoutError, match="A1, A2"):
        build_layout(ready_plan()).table(table_id)


def test_stages_are_those_that_the_eligible_grades_reach() -> None:
    table = spec(dims=("stage",))
    assert lay_out(table, grades=("7", "12")).tables[0].codes == (("junior", "senior"),)
    assert lay_out(table, grades=("6",), systems=("6-3",)).tables[0].codes == (("primary",),)
    assert lay_out(table, grades=("6",), systems=("5-4",)).tables[0].codes == (("junior",),)
    assert lay_out(table, grades=("6",), systems=("6-3", "5-4")).tables[0].codes == (("primary", "junior"),)


def test_where_on_a_dimension_of_the_table_leaves_out_cells() -> None:
    table = spec(dims=("level", "recheck"), where=(("level", ("2", "3")),))
    laid = lay_out(table).tables[0]
    assert laid.shape == (2, 5)
    assert laid.codes[0] == ("2", "3")


def test_the_shapes_of_the_other_ready_plans_of_the_domain_page() -> None:
    both = (("level", ("2", "3")),)
    layout = lay_out(
        spec(id="S3", dims=("left_behind", "alert")),
        spec(id="C2", dims=("group", "alert"), multi="group", touch=3),
        spec(id="C3", dims=("level", "file_built"), where=both),
        spec(id="C4", dims=("pool",), where=(("pool", ("1", "2", "3")),)),
        spec(
            id="C5",
            dims=("group", "home_visit"),
            where=(("group", ("g1", "g2", "g4")),),
            multi="group",
            touch=3,
        ),
        spec(id="D1", dims=("level", "flag"), where=both, multi="flag", touch=7),
        spec(id="D2", dims=("level", "review"), where=both),
        spec(id="D3", dims=("ref_dest",)),
        spec(id="D4", dims=("outcome",)),
    )
    assert [table.cells for table in layout.tables] == [12, 24, 6, 3, 9, 14, 6, 7, 8]
    assert [table.touch for table in layout.tables] == [1, 3, 1, 1, 3, 7, 1, 1, 1]


@pytest.mark.parametrize(
    ("rho", "weight"), [(Fraction(1, 10**8), "1"), (Fraction(1, 2), "1/100000")], ids=["rho", "weight"]
)
def test_a_share_that_needs_too_much_noise_is_refused_at_its_table(rho: Fraction, weight: str) -> None:
    weak = spec(id="weak", weight=Fraction(weight) / 1000)
    with pytest.raises(LayoutError, match=r"tables\.weak\.weight"):
        lay_out(spec(id="strong", weight=Fraction(1000)), weak, rho=rho)
