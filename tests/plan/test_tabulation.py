"""Counting records: each pupil where it belongs, and never further than the sensitivity says."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_samples import CODEBOOK_DIGEST, INVALID_TEST, codebook, ready_plan, record, untested

from plan.codes import DISPOSITION, FAMILY, FLAG, GRADE, GROUP, LEFT_BEHIND, SEX, SYSTEM, TESTED
from plan.dimensions import DIMENSIONS, code_of, codes_of, fields_of
from plan.errors import LayoutError, RecordError
from plan.identities import violated
from plan.layout import Layout, build_layout
from plan.publishing import pin_codebook, use_codebook
from plan.record import Record
from plan.table_spec import TableSpec
from plan.tabulation import scaled, tabulate

LAYOUT = build_layout(ready_plan())
FACTORS = [name for name, _ in codebook("mht").factor_titles]


def spec(**values: Any) -> TableSpec:
    base: dict[str, Any] = {"id": "T", "title": "表", "dims": ("grade",)}
    return TableSpec(**(base | values))


def lay_out(*tables: TableSpec, **values: Any) -> Layout:
    return build_layout(replace(ready_plan(), tables=tables, **values))


def filled(layout: Layout, *records: Record) -> dict[str, list[dict[str, str]]]:
    """Return the keys of the cells that are not 0, once for each count, by table."""
    counts = tabulate(layout, records)
    return {
        table.id: [
            table.keys(index)
            for index in range(table.cells)
            for _ in range(int(counts[table.offset + index]))
        ]
        for table in layout.tables
    }


def test_a_tested_pupil_is_once_in_every_table() -> None:
    pupil = record(
        grade="8",
        sex="2",
        boarding="2",
        left_behind="1",
        family="2",
        level1="3",
        total=Decimal(66),
        factors_high=frozenset({"learning", "phobia"}),
    )
    assert filled(LAYOUT, pupil) == {
        "A1": [{"grade": "8", "disposition": "1"}],
        "A2": [{"grade": "8", "sex": "2", "level": "3"}],
        "A3": [{"stage": "junior", "boarding": "2", "level": "3"}],
        "A4": [{"stage": "junior", "left_behind": "1", "level": "3"}],
        "A5": [{"stage": "junior", "family": "2", "level": "3"}],
        "A6": [
            {"stage": "junior", "sex": "2", "factor": "learning"},
            {"stage": "junior", "sex": "2", "factor": "phobia"},
        ],
        "A7": [{"stage": "junior", "band": "7"}],
    }


def test_an_invalid_test_is_level_nine_and_in_no_score_table() -> None:
    cells = filled(LAYOUT, record(**INVALID_TEST))
    assert cells["A1"] == [{"grade": "7", "disposition": "2"}]
    assert cells["A2"] == [{"grade": "7", "sex": "9", "level": "9"}]
    assert cells["A6"] == cells["A7"] == []


@pytest.mark.parametrize("disposition", [code for code in DISPOSITION if code not in TESTED])
def test_an_untested_pupil_is_only_in_the_first_table(disposition: str) -> None:
    cells = filled(LAYOUT, untested(disposition=disposition))
    assert cells.pop("A1") == [{"grade": "7", "disposition": disposition}]
    assert not any(cells.values())


@pytest.mark.parametrize("grade", ["1", "2", "3"])
def test_a_grade_that_is_not_eligible_is_counted_nowhere(grade: str) -> None:
    assert tabulate(LAYOUT, [record(grade=grade)]).sum() == 0


@pytest.mark.parametrize(("system", "stage"), [("6-3", "primary"), ("5-4", "junior")])
def test_the_stage_is_the_pupils_own(system: str, stage: str) -> None:
    cells = filled(LAYOUT, record(grade="6", system=system))
    assert cells["A7"] == [{"stage": stage, "band": "2"}]


@pytest.mark.parametrize(("consent", "disposition"), [("9", "8"), ("2", "6")])
def test_without_consent_nothing_psychological_is_counted(consent: str, disposition: str) -> None:
    cells = filled(LAYOUT, record(guardian_consent=consent, level1="3", factors_high=frozenset({"learning"})))
    assert cells.pop("A1") == [{"grade": "7", "disposition": disposition}]
    assert not any(cells.values())


def test_record_only_counts_without_consent() -> None:
    layout = build_layout(replace(ready_plan(), consent="record-only"))
    assert filled(layout, record(guardian_consent="9", level1="3"))["A2"][0]["level"] == "3"


def test_no_record_gives_zeros_and_the_order_does_not_matter() -> None:
    assert not tabulate(LAYOUT, []).any()
    pupils = [record(1), record(2, level1="3", grade="12"), untested(3)]
    assert np.array_equal(tabulate(LAYOUT, pupils), tabulate(LAYOUT, pupils[::-1]))
    assert tabulate(LAYOUT, iter(pupils)).dtype == np.int64


def test_a_pupil_more_than_once_is_refused() -> None:
    with pytest.raises(RecordError, match="more than once"):
        tabulate(LAYOUT, [record(1), record(2), replace(record(1), grade="9")])


def test_a_pupil_of_another_grade_more_than_once_is_refused_too() -> None:
    with pytest.raises(RecordError, match="more than once"):
        tabulate(LAYOUT, [record(1, grade="1"), record(1, grade="2")])


REFUSED = [
    ("instrument", {"instrument": "phq9"}, "codebook"),
    ("total_high", {"total": Decimal("90.5")}, "total"),
    ("total_low", {"total": Decimal(-1)}, "total"),
    ("factor", {"factors_high": frozenset({"learning", "extra"})}, "factors_high"),
]


@pytest.mark.parametrize(("values", "key"), [item[1:] for item in REFUSED], ids=[item[0] for item in REFUSED])
def test_a_record_that_does_not_fit_the_plan_is_refused(values: dict[str, Any], key: str) -> None:
    with pytest.raises(RecordError) as caught:
        tabulate(LAYOUT, [record(1), record(2, **values)])
    assert caught.value.key == key
    assert all(text not in str(caught.value) for text in ("90.5", "-1", "extra", "phq9"))


def test_a_school_system_that_the_plan_does_not_name_is_refused() -> None:
    layout = build_layout(replace(ready_plan(), systems=("6-3",)))
    assert tabulate(layout, [record()]).any()
    with pytest.raises(RecordError, match="system"):
        tabulate(layout, [record(system="5-4")])


def test_a_pinned_plan_refuses_records_that_another_codebook_coded() -> None:
    layout = build_layout(pin_codebook(ready_plan(), codebook("mht")))
    assert tabulate(layout, [record(codebook=codebook("mht").digest.hex())]).any()
    with pytest.raises(RecordError, match="codebook"):
        tabulate(layout, [record(codebook=CODEBOOK_DIGEST)])


def test_a_missing_score_is_not_counted_and_breaks_the_identity() -> None:
    counts = tabulate(LAYOUT, [record(total=None)])
    table = LAYOUT.table("A7")
    assert not counts[table.offset : table.end].any()
    by_grade = tuple(f"A7 = {other} [stage primary+junior]" for other in ("A1", "A2"))
    by_stage = tuple(f"A7 = {other} [stage junior]" for other in ("A3", "A4", "A5"))
    assert violated(LAYOUT, counts) == by_grade + by_stage


def test_the_cap_keeps_the_first_codes_in_cell_order() -> None:
    groups = frozenset({"g9", "g2", "g4", "g1"})
    layout = lay_out(spec(dims=("group", "sex"), multi="group", touch=3))
    cells = filled(layout, record(groups=groups, sex="1"))["T"]
    assert [cell["group"] for cell in cells] == ["g1", "g2", "g4"]
    inner = lay_out(spec(dims=("sex", "group"), multi="group", touch=2))
    assert [cell["group"] for cell in filled(inner, record(groups=groups))["T"]] == ["g1", "g2"]


def test_where_on_a_set_leaves_out_cells_but_no_pupil_otherwise() -> None:
    layout = lay_out(
        spec(dims=("group", "home_visit"), where=(("group", ("g1", "g2", "g4")),), multi="group", touch=3)
    )
    pupil = record(groups=frozenset({"g1", "g5", "g4"}), home_visit="1")
    assert [cell["group"] for cell in filled(layout, pupil)["T"]] == ["g1", "g4"]


@pytest.mark.parametrize(("level", "counted"), [("0", 0), ("1", 0), ("2", 1), ("3", 1)])
def test_where_on_a_dimension_filters(level: str, counted: int) -> None:
    layout = lay_out(spec(dims=("level", "recheck"), where=(("level", ("2", "3")),)))
    assert tabulate(layout, [record(level1=level)]).sum() == counted


@pytest.mark.parametrize(
    ("dim", "values", "code"),
    [
        ("alert", {"level1": "1"}, "low"),
        ("alert", {"level1": "2"}, "high"),
        ("alert", INVALID_TEST, "9"),
        ("review", {"days_to_review": 3}, "3"),
        ("review", {"days_to_review": 4}, "14"),
        ("review", {"days_to_review": 14}, "14"),
        ("review", {"days_to_review": 15}, "15"),
        ("review", {}, "15"),
        ("level2", {"level2": "1"}, "1"),
        ("critical", {"critical": "1"}, "1"),
        ("flag", {"closed": "1"}, "closed"),
        ("group", {"groups": frozenset({"g7"})}, "g7"),
    ],
)
def test_derived_dimensions(dim: str, values: dict[str, Any], code: str) -> None:
    multi = dim if dim in ("flag", "group") else ""
    layout = lay_out(spec(dims=(dim,), multi=multi), has_critical_items=True)
    assert filled(layout, record(**values))["T"] == [{dim: code}]


def test_a_table_of_one_instrument_counts_only_its_pupils() -> None:
    plan = ready_plan()
    other = replace(plan.instruments[0], id="phq9", factors=())
    layout = build_layout(
        replace(
            plan,
            instruments=(*plan.instruments, other),
            tables=(
                spec(id="all", dims=("level",)),
                spec(id="mht", dims=("band",), instrument="mht"),
                spec(id="phq9", dims=("band",), instrument="phq9"),
            ),
        )
    )
    cells = filled(layout, record(1), record(2, instrument="phq9"), record(3, instrument="phq9"), untested(4))
    assert [len(cells[name]) for name in ("all", "mht", "phq9")] == [4, 1, 2]


def test_addhealth_scores_fall_into_tenths_of_their_range() -> None:
    book = codebook("addhealth")
    layout = build_layout(use_codebook(ready_plan(12), book))
    pupils = [
        record(total, instrument="addhealth", codebook=book.digest.hex(), total=Decimal(total))
        for total in range(9)
    ]
    bands = [cell["band"] for cell in filled(layout, *pupils)["A7"]]
    assert bands == ["0", "1", "2", "3", "5", "6", "7", "8", "9"]
    assert violated(layout, tabulate(layout, pupils)) == ()


def test_scaling_multiplies_each_table_by_its_own_scale() -> None:
    layout = lay_out(
        spec(id="fine", weight=Fraction(1000)),
        spec(id="coarse", weight=Fraction(1)),
        rho=Fraction(1, 2),
        min_reports=100_000,
    )
    scales = [table.noise.scale for table in layout.tables]
    assert scales[0] != scales[1]
    counts = tabulate(layout, [record(1), record(2)])
    before = counts.copy()
    result = scaled(layout, counts)
    assert [int(result[table.offset : table.end].sum()) for table in layout.tables] == [2 * s for s in scales]
    assert np.array_equal(counts, before)


@pytest.mark.parametrize(
    "vector",
    [
        np.zeros(651, np.int64),
        np.zeros(652, np.float64),
        np.zeros(652, np.uint64),
        np.zeros((1, 652), np.int64),
    ],
    ids=["short", "float", "unsigned", "shape"],
)
def test_scaling_another_vector_is_refused(vector: Any) -> None:
    with pytest.raises(LayoutError):
        scaled(LAYOUT, vector)


# --- the bound of one pupil, over records as wild as the schema lets them be ---

WIDE = lay_out(
    spec(id="single", dims=("grade", "sex", "level")),
    spec(id="factor", dims=("stage", "factor"), multi="factor", touch=3),
    spec(id="group", dims=("group", "alert"), multi="group", touch=2),
    spec(id="flag", dims=("level", "flag"), where=(("level", ("2", "3")),), multi="flag", touch=7),
    spec(id="band", dims=("sex", "band"), where=(("disposition", ("1",)),)),
    spec(id="visit", dims=("group", "home_visit"), where=(("group", ("g1", "g2")),), multi="group", touch=2),
)


def pupils() -> st.SearchStrategy[dict[str, Any]]:
    common = {
        "grade": st.sampled_from(sorted(GRADE)),
        "system": st.sampled_from(sorted(SYSTEM)),
        "sex": st.sampled_from(sorted(SEX)),
        "family": st.sampled_from(sorted(FAMILY)),
        "left_behind": st.sampled_from(sorted(LEFT_BEHIND)),
        "guardian_consent": st.sampled_from(["1", "1", "1", "2", "9"]),
        "home_visit": st.sampled_from(["0", "1", "9"]),
    }
    valid = st.fixed_dictionaries(
        {
            **common,
            "groups": st.frozensets(st.sampled_from(sorted(GROUP))),
            "level1": st.sampled_from(["0", "1", "2", "3"]),
            "total": st.none() | st.decimals(0, 90, places=1),
            "factors_high": st.frozensets(st.sampled_from(FACTORS)),
            **{name: st.sampled_from(["0", "1", "9"]) for name in FLAG},
        }
    )
    invalid = st.fixed_dictionaries(common).map(lambda values: values | INVALID_TEST)
    missing = st.fixed_dictionaries(
        {**common, "disposition": st.sampled_from(["3", "4", "5", "6", "7", "8"])}
    )
    return st.one_of(valid, invalid, missing)


def make(number: int, values: dict[str, Any]) -> Record:
    tested = values.get("disposition", "1") in TESTED
    return record(number, **values) if tested else untested(number, **values)


@pytest.mark.parametrize("neighbouring", ["replace-one", "add-remove"])
@pytest.mark.parametrize("layout", [LAYOUT, WIDE], ids=["autumn-full", "wide"])
@given(data=st.data())
@settings(max_examples=60)
def test_one_pupil_moves_no_table_further_than_its_sensitivity(
    neighbouring: str, layout: Layout, data: st.DataObject
) -> None:
    others = [make(number, values) for number, values in enumerate(data.draw(st.lists(pupils(), max_size=3)))]
    one = make(99, data.draw(pupils()))
    after = [make(99, data.draw(pupils()))] if neighbouring == "replace-one" else []
    moved = tabulate(layout, [*others, one]) - tabulate(layout, [*others, *after])
    sides = 2 if neighbouring == "replace-one" else 1
    for table in layout.tables:
        part = moved[table.offset : table.end]
        assert int(np.abs(part).sum()) <= sides * table.touch
        assert int((part**2).sum()) <= sides * table.touch <= table.delta_sq
        assert int(np.abs(part).sum()) <= table.delta_1


@given(st.lists(pupils(), max_size=8))
def test_counts_are_never_negative_and_at_most_the_caps(values: list[dict[str, Any]]) -> None:
    counts = tabulate(WIDE, [make(number, item) for number, item in enumerate(values)])
    assert counts.min() >= 0
    for table in WIDE.tables:
        assert counts[table.offset : table.end].sum() <= table.touch * len(values)


@pytest.mark.parametrize("layout", [LAYOUT, WIDE], ids=["autumn-full", "wide"])
@given(values=st.lists(pupils(), min_size=2, max_size=12))
def test_pupils_together_count_as_each_alone(layout: Layout, values: list[dict[str, Any]]) -> None:
    records = [make(number, item) for number, item in enumerate(values)]
    alone = sum((tabulate(layout, [item]) for item in records), np.zeros(layout.cells, dtype=np.int64))
    assert np.array_equal(tabulate(layout, records), alone)


def test_every_dimension_says_what_it_reads() -> None:
    """Two records that agree in the named fields have the same codes; whatever else differs."""
    one = record(
        1, grade="7", sex="1", groups=frozenset({"g1"}), level1="2", days_to_review=4, total=Decimal(50)
    )
    other = record(
        2, grade="11", sex="2", groups=frozenset(GROUP), level1="0", total=Decimal(5), found_by="2"
    )
    for name, dimension in DIMENSIONS.items():
        same = replace(other, **{field: getattr(one, field) for field in fields_of(name)})
        read = codes_of if dimension.is_set else code_of
        if name != "band":
            assert read(same, name) == read(one, name), name


def test_the_bound_is_reached() -> None:
    one = record(1, grade="7", sex="1", factors_high=frozenset(FACTORS))
    other = record(1, grade="12", sex="2", level1="3", total=Decimal(90), factors_high=frozenset(FACTORS))
    moved = tabulate(LAYOUT, [one]) - tabulate(LAYOUT, [other])
    for table in LAYOUT.tables:
        assert int((moved[table.offset : table.end] ** 2).sum()) == table.delta_sq
