"""Tables that sum a number of the record: what one pupil adds, and that nobody adds more than the range."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plan_samples import CODEBOOK_DIGEST, INVALID_TEST, ready_plan, record, untested

from plan.codes import DISPOSITION, FAMILY, FLAG, GRADE, GROUP, LEVEL, SEX, SYSTEM, TESTED
from plan.document import PlanDocument, encode_body, from_published, parse_plan_toml, terms_of
from plan.errors import DocumentError
from plan.identities import identities, violated
from plan.layout import Layout, build_layout
from plan.record import MAX_DAYS, MAX_DURATION_S, Record
from plan.table_spec import TableSpec, table_json
from plan.tabulation import tabulate
from privacy.sensitivity import MAX_RANGE, Neighbouring

COUNTY = (("county", (("a", "甲县"), ("b", "乙县"))),)


def spec(**values: Any) -> TableSpec:
    base: dict[str, Any] = {"id": "T", "title": "表", "dims": ("sex",), "sum": "total", "range": (0, 90)}
    return TableSpec(**(base | values))


def plan_of(*tables: TableSpec, **values: Any) -> PlanDocument:
    return replace(ready_plan(), tables=tables, **values)


def sums(table: TableSpec, *records: Record, **values: Any) -> dict[tuple[str, ...], int]:
    layout = build_layout(plan_of(table, **values))
    counts = tabulate(layout, records)
    (laid,) = layout.tables
    return {tuple(laid.keys(i).values()): int(counts[i]) for i in range(laid.cells) if counts[i]}


@pytest.mark.parametrize(
    ("total", "clamp", "added"),
    [
        ("20", (0, 90), 20),
        ("0", (0, 90), 0),
        ("20.4999", (0, 90), 20),
        ("20.5", (0, 90), 21),
        ("89.5", (0, 90), 90),
        ("90", (0, 90), 90),
        ("140.25", (0, 90), 90),
        ("-3", (0, 90), 0),
        ("12", (10, 60), 2),
        ("9.5", (10, 60), 0),
        ("999999", (10, 60), 50),
        ("-0.5", (-5, 5), 5),
        ("-1.5", (-5, 5), 4),
        ("-1.5001", (-5, 5), 3),
    ],
)
def test_a_pupil_adds_its_rounded_number_within_the_range(
    total: str, clamp: tuple[int, int], added: int
) -> None:
    found = sums(spec(range=clamp), record(sex="2", total=Decimal(total)))
    assert found == ({("2",): added} if added else {})


def test_a_missing_number_adds_nothing() -> None:
    assert sums(spec(range=(-10, 90)), record(total=None), record(1, **INVALID_TEST), untested(2)) == {}


@pytest.mark.parametrize(("name", "value"), [("days_to_review", 12), ("duration_s", 12)])
def test_whole_numbers_of_the_record_are_summed(name: str, value: int) -> None:
    found = sums(spec(sum=name), record(1, sex="1", **{name: value}), record(2, sex="1", **{name: 200}))
    assert found == {("1",): 102}


def test_filters_and_consent_come_first() -> None:
    table = spec(where=(("level", ("3",)),))
    found = sums(
        table,
        record(1, sex="1", level1="3", total=Decimal(70)),
        record(2, sex="1", level1="2", total=Decimal(50)),
        record(3, sex="1", level1="3", total=Decimal(66), guardian_consent="9"),
        record(4, sex="1", level1="3", total=Decimal(66), grade="1"),
    )
    assert found == {("1",): 70}


def test_a_total_is_summed_for_its_own_instrument_only() -> None:
    plan = ready_plan()
    other = replace(plan.instruments[0], id="phq9", factors=())
    pupils = record(1, sex="1"), record(2, sex="1", instrument="phq9", total=Decimal(5))
    instruments = (*plan.instruments, other)
    assert sums(spec(instrument="phq9"), *pupils, instruments=instruments) == {("1",): 5}
    with pytest.raises(DocumentError, match="do not add up"):
        plan_of(spec(), instruments=instruments)
    assert sums(spec(sum="days_to_review"), *pupils, instruments=instruments) == {}


@pytest.mark.parametrize(
    ("neighbouring", "sides"), [(Neighbouring.REPLACE_ONE, 2), (Neighbouring.ADD_REMOVE, 1)]
)
@pytest.mark.parametrize("clamp", [(0, 90), (10, 60), (-5, 5), (0, 1)])
def test_the_sensitivity_is_the_range_on_each_side(
    neighbouring: Neighbouring, sides: int, clamp: tuple[int, int]
) -> None:
    table = build_layout(plan_of(spec(range=clamp), neighbouring=neighbouring)).tables[0]
    width = clamp[1] - clamp[0]
    assert (table.delta_sq, table.delta_1, table.per_pupil) == (sides * width**2, sides * width, width)
    assert (table.sum, table.range, table.touch) == ("total", clamp, 1)


def test_a_count_is_as_it_was() -> None:
    table = build_layout(ready_plan()).table("A6")
    assert (table.sum, table.range, table.per_pupil) == ("", None, 1)


REFUSED = [
    ("sum_unknown", {"sum": "level1"}, "tables.T.sum"),
    ("sum_of_a_name", {"sum": "rec_key"}, "tables.T.sum"),
    ("no_range", {"range": None}, "tables.T.range"),
    ("range_alone", {"sum": ""}, "tables.T.range"),
    ("range_empty", {"range": (5, 5)}, "tables.T.range"),
    ("range_reversed", {"range": (90, 0)}, "tables.T.range"),
    ("range_wide", {"range": (0, MAX_RANGE + 1)}, "tables.T.range"),
    ("range_far", {"range": (MAX_RANGE, MAX_RANGE + 5)}, "tables.T.range"),
    ("range_bool", {"range": (False, True)}, "tables.T.range"),
    ("range_decimal", {"range": (0, Decimal(9))}, "tables.T.range"),
    ("range_long", {"range": (0, 1, 2)}, "tables.T.range"),
    ("over_a_set", {"dims": ("sex", "group"), "multi": "group"}, "tables.T.sum"),
    ("touch", {"touch": 2}, "tables.T.touch"),
]


@pytest.mark.parametrize(("values", "key"), [item[1:] for item in REFUSED], ids=[item[0] for item in REFUSED])
def test_a_sum_that_breaks_a_rule_is_refused(values: dict[str, Any], key: str) -> None:
    with pytest.raises(DocumentError) as caught:
        spec(**values)
    assert [problem.key for problem in caught.value.problems] == [key]


def toml(extra: str) -> bytes:
    lines = 'id = "M"\ntitle = "总分"\ndims = ["stage"]\n'
    text = (
        f"[[tables]]\n{lines}{extra}\n[[instruments]]\n"
        + 'id = "mht"\ntotal = [0, 90]\n[trust]\nauditors = 4\n'
    )
    return (HEAD + text + TRUST).encode()


HEAD = """format = "fedscreen/plan/v1"
id = "sums"
title = "总分"
purpose = "测试"
recipients = ["县教育局"]
legal_basis = "测试"
wave = "A"
school_year = "2026-2027"
census_date = 2026-09-30
grades = [7, 8]
systems = ["6-3"]
rho = "1/5"
[window]
opens = 2026-10-12T00:00:00Z
closes = 2026-12-01T00:00:00Z
"""
TRUST = "threshold = 3\ncollude = 1\nquorum = 3\nmin_reports = 12\ncolluding_schools = 1\n"


def test_a_sum_is_read_from_a_file_and_comes_back_from_the_published_body() -> None:
    plan = parse_plan_toml(toml('sum = "total"\nrange = [0, 90]'))
    assert (plan.tables[0].sum, plan.tables[0].range) == ("total", (0, 90))
    assert from_published(encode_body(plan), terms_of(plan)) == plan
    assert table_json(plan.tables[0]) | {"sum": "total", "range": [0, 90]} == table_json(plan.tables[0])


def test_a_plan_without_sums_writes_neither_key() -> None:
    assert all({"sum", "range"}.isdisjoint(table_json(table)) for table in ready_plan().tables)
    assert b"attributes" not in encode_body(ready_plan())


@pytest.mark.parametrize(
    ("extra", "key"),
    [
        ('sum = "totals"\nrange = [0, 90]', "tables.M.sum"),
        ('sum = ""\nrange = [0, 90]', "tables.M.sum"),
        ('sum = "total"', "tables.M.range"),
        ("range = [0, 90]", "tables.M.range"),
        ('sum = "total"\nrange = [0, 90.5]', "tables.M.range"),
        ('sum = "total"\nrange = [0]', "tables.M.range"),
        ('sum = "total"\nrange = "0-90"', "tables.M.range"),
        ('sum = "total"\nrange = [0, 9999999]', "tables.M.range"),
    ],
)
def test_a_file_with_a_wrong_sum_is_refused(extra: str, key: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse_plan_toml(toml(extra))
    assert [problem.key for problem in caught.value.problems] == [key]


def test_sums_take_no_part_in_identities() -> None:
    count = TableSpec(id="N", title="表", dims=("sex",), where=(("disposition", ("1",)),))
    layout = build_layout(plan_of(count, spec(where=(("disposition", ("1",)),))))
    assert identities(layout) == ()
    assert violated(layout, tabulate(layout, [record(n, total=Decimal(50)) for n in range(4)])) == ()


# --- the bound of one pupil, for every kind of table, over records as wild as the schema lets them be ---

LEVELS = (("level", ("2", "3")),)
KINDS = (
    TableSpec(id="partition", title="表", dims=("grade", "sex", "level")),
    TableSpec(id="county", title="表", dims=("county", "level"), attributes=("county",)),
    TableSpec(id="before", title="表", dims=("level_before", "groups_held")),
    TableSpec(id="factor", title="表", dims=("stage", "factor"), multi="factor", touch=3),
    TableSpec(id="group", title="表", dims=("group", "alert"), multi="group", touch=2),
    TableSpec(id="flag", title="表", dims=("level", "flag"), where=LEVELS, multi="flag", touch=7),
    spec(id="total", dims=("grade", "sex"), range=(10, 60)),
    spec(id="days", dims=("level", "review"), sum="days_to_review", range=(0, 30), where=LEVELS),
    spec(
        id="time", dims=("county", "disposition"), sum="duration_s", range=(60, 1800), attributes=("county",)
    ),
)
EXPECTED = {"factor": 3, "group": 2, "flag": 7, "total": 50**2, "days": 30**2, "time": 1740**2}


def layout_of(neighbouring: Neighbouring) -> Layout:
    return build_layout(plan_of(*KINDS, attributes=COUNTY, neighbouring=neighbouring))


def fields_of() -> st.SearchStrategy[dict[str, Any]]:
    """Fields of a pupil: nulls, values far out of every range, pupils who are elsewhere or not eligible."""
    free = {
        "grade": st.sampled_from(sorted(GRADE)),
        "system": st.sampled_from(sorted(SYSTEM)),
        "sex": st.sampled_from(sorted(SEX)),
        "family": st.sampled_from(sorted(FAMILY)),
        "guardian_consent": st.sampled_from(["1", "1", "1", "1", "2", "9"]),
        "groups": st.frozensets(st.sampled_from(sorted(GROUP.keys() - {"g3"}))),
    }
    followed = {
        "level_before": st.sampled_from(sorted(LEVEL)),
        "days_to_review": st.none() | st.integers(0, MAX_DAYS),
        **{name: st.sampled_from(["0", "1", "9"]) for name in FLAG},
    }
    tested = {
        "instrument": st.just("mht"),
        "codebook": st.just(CODEBOOK_DIGEST),
        "administered_on": st.just(date(2026, 10, 15)),
        "duration_s": st.none() | st.integers(0, MAX_DURATION_S),
    }
    scored = {
        "level1": st.sampled_from(["0", "1", "2", "3"]),
        "total": st.none() | st.decimals(-999_999, 999_999, places=4) | st.decimals(0, 90, places=1),
        "factors_high": st.frozensets(st.sampled_from(["learning", "social", "phobia", "somatic"])),
    }
    others = [code for code in sorted(DISPOSITION) if code not in (*TESTED, "6", "8")]
    return st.one_of(
        st.fixed_dictionaries({**free, **followed, **tested, **scored, "disposition": st.just("1")}),
        st.fixed_dictionaries({**free, **followed, **tested, "disposition": st.just("2")}),
        st.fixed_dictionaries({**free, **followed, "disposition": st.sampled_from(others)}),
        st.fixed_dictionaries({**free, "disposition": st.sampled_from(["6", "8"])}),
    )


def pupil(number: int, values: dict[str, Any]) -> Record:
    return Record(rec_key=number.to_bytes(16, "big"), **values)


@pytest.mark.parametrize("neighbouring", list(Neighbouring))
@given(data=st.data())
@settings(max_examples=80)
def test_one_pupil_moves_no_kind_of_table_further_than_its_sensitivity(
    neighbouring: Neighbouring, data: st.DataObject
) -> None:
    layout = layout_of(neighbouring)
    own = {"county": data.draw(st.sampled_from(["a", "b"]))}
    rest = [pupil(n, values) for n, values in enumerate(data.draw(st.lists(fields_of(), max_size=2)))]
    one = pupil(99, data.draw(fields_of()))
    is_replaced = neighbouring is Neighbouring.REPLACE_ONE
    after = [pupil(99, data.draw(fields_of()))] if is_replaced else []
    moved = tabulate(layout, [*rest, one], own) - tabulate(layout, [*rest, *after], own)
    for table in layout.tables:
        part = moved[table.offset : table.end].astype(object)
        assert table.delta_sq == (1 + is_replaced) * EXPECTED.get(table.id, 1)
        assert sum(int(value) ** 2 for value in part) <= table.delta_sq
        assert sum(abs(int(value)) for value in part) <= table.delta_1


def test_the_bounds_of_all_kinds_are_reached() -> None:
    layout = layout_of(Neighbouring.REPLACE_ONE)
    extreme: dict[str, Any] = {
        "total": Decimal(90),
        "days_to_review": 400,
        "duration_s": 86_400,
        "factors_high": frozenset({"learning", "social", "phobia", "somatic"}),
        **dict.fromkeys(FLAG, "1"),
    }
    groups = frozenset({"g1", "g2", "g4", "g5"})
    one = record(1, grade="7", level1="2", level_before="0", groups=groups, **extreme)
    other = record(1, grade="12", level1="3", level_before="3", groups=groups, **extreme)
    invalid = record(1, **(INVALID_TEST | {"duration_s": 86_400, "groups": groups}))
    reached = {"partition", "county", "before", "factor", "flag", "total", "days"}
    for changed, names in ((other, reached), (invalid, {"group", "time"})):
        moved = tabulate(layout, [one], {"county": "a"}) - tabulate(layout, [changed], {"county": "a"})
        for table in (layout.table(name) for name in names):
            assert int(np.sum(moved[table.offset : table.end] ** 2)) == table.delta_sq, table.id
