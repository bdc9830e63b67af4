"""Identities between tables: true of every set of records, broken by every wrong cell."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_samples import INVALID_TEST, codebook, ready_plan, record, untested

from plan.codes import GRADE, SEX, SYSTEM
from plan.errors import LayoutError
from plan.identities import identities, violated
from plan.layout import build_layout
from plan.record import Record
from plan.table_spec import TableSpec
from plan.tabulation import tabulate

LAYOUT = build_layout(ready_plan())
SIX_THREE = build_layout(replace(ready_plan(), systems=("6-3",)))
FACTORS = [name for name, _ in codebook("mht").factor_titles]


def some_pupils() -> list[Record]:
    return [
        record(1, grade="4", factors_high=frozenset(FACTORS)),
        record(2, grade="9", sex="2", level1="3", boarding="2", family="4"),
        record(3, grade="V2", **INVALID_TEST),
        record(4, grade="12", left_behind="2", level1="1", factors_high=frozenset({"social"})),
        untested(5, grade="6", disposition="4"),
        untested(6, grade="10", disposition="8"),
    ]


def test_the_identities_of_the_domain_page_are_there() -> None:
    names = {identity.name for identity in identities(SIX_THREE)}
    assert {
        "A2 = A1 [grade 4, disposition 1]",
        "A2 = A1 [grade V3, disposition 2]",
        "A3 = A1 [stage junior, disposition 1]",
        "A4 = A3 [level 3, stage senior]",
        "A5 = A4 [level 0, stage primary]",
        "A7 = A1 [stage vocational]",
        "A6 <= A2 [sex 2, stage junior, factor learning]",
    } <= names
    assert not any(name.startswith("A1 ") for name in names)


def test_names_are_different_and_sides_are_cells_of_their_tables() -> None:
    found = identities(LAYOUT)
    assert len({identity.name for identity in found}) == len(found)
    for identity in found:
        left, right = identity.name.split()[0], identity.name.split()[2]
        for name, side in ((left, identity.left), (right, identity.right)):
            table = LAYOUT.table(name)
            assert list(side) == sorted(set(side))
            assert all(table.offset <= cell < table.end for cell in side)


def test_both_school_systems_compare_primary_and_junior_as_one() -> None:
    names = {identity.name for identity in identities(LAYOUT)}
    assert "A7 = A1 [stage primary+junior]" in names
    assert "A7 = A1 [stage senior]" in names
    assert not any("stage junior]" in name for name in names)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(GRADE)),
            st.sampled_from(sorted(SYSTEM)),
            st.sampled_from(sorted(SEX)),
            st.sampled_from(["valid", "invalid", "3", "6", "8"]),
            st.sampled_from(["0", "1", "2", "3"]),
            st.frozensets(st.sampled_from(FACTORS)),
        ),
        max_size=12,
    )
)
def test_they_hold_for_any_records(rows: list[tuple[Any, ...]]) -> None:
    pupils = []
    for number, (grade, system, sex, kind, level, high) in enumerate(rows):
        common = {"grade": grade, "system": system, "sex": sex}
        if kind == "valid":
            pupils.append(record(number, level1=level, factors_high=high, **common))
        elif kind == "invalid":
            pupils.append(record(number, **INVALID_TEST, **common))
        else:
            pupils.append(untested(number, disposition=kind, **common))
    assert violated(LAYOUT, tabulate(LAYOUT, pupils)) == ()


@pytest.mark.parametrize("table_id", ["A2", "A3", "A4", "A5", "A7"])
@pytest.mark.parametrize("change", [1, -1])
def test_any_wrong_cell_of_a_partition_is_noticed(table_id: str, change: int) -> None:
    counts = tabulate(SIX_THREE, some_pupils())
    table = SIX_THREE.table(table_id)
    for cell in range(table.offset, table.end, 7):
        wrong = counts.copy()
        wrong[cell] += change
        assert any(table_id in name for name in violated(SIX_THREE, wrong))


def test_a_wrong_cell_of_the_dispositions_is_noticed_where_it_is_tested() -> None:
    counts = tabulate(SIX_THREE, some_pupils())
    table = SIX_THREE.table("A1")
    for index in range(0, table.cells, 3):
        wrong = counts.copy()
        wrong[table.offset + index] += 1
        is_tested = table.keys(index)["disposition"] in ("1", "2")
        assert bool(violated(SIX_THREE, wrong)) is is_tested


def test_a_level_moved_within_its_table_is_noticed() -> None:
    counts = tabulate(SIX_THREE, [record(level1="2")])
    table = SIX_THREE.table("A4")
    here = table.index({"stage": "junior", "left_behind": "9", "level": "2"})
    counts[table.offset + here] -= 1
    counts[table.offset + here + 1] += 1
    assert {name.split(" [")[0] for name in violated(SIX_THREE, counts)} == {"A4 = A2", "A4 = A3", "A5 = A4"}


def test_more_high_factors_than_valid_pupils_are_noticed() -> None:
    counts = tabulate(SIX_THREE, some_pupils())
    table = SIX_THREE.table("A6")
    for cell in range(table.offset, table.end, 5):
        wrong = counts.copy()
        wrong[cell] += 3
        assert any(name.startswith("A6 <= ") for name in violated(SIX_THREE, wrong))


def test_names_say_nothing_about_counts() -> None:
    one, many = (tabulate(SIX_THREE, [record(n) for n in range(size)]) for size in (1, 7))
    one[0] += 1
    many[0] += 50
    assert violated(SIX_THREE, one) == violated(SIX_THREE, many)


def test_tables_with_other_filters_have_no_identity() -> None:
    plan = replace(
        ready_plan(),
        tables=(
            TableSpec(id="A", title="表", dims=("grade", "disposition")),
            TableSpec(id="B", title="表", dims=("recheck",), where=(("level", ("2", "3")),)),
            TableSpec(id="C", title="表", dims=("level", "sex"), where=(("level", ("2", "3")),)),
        ),
    )
    assert identities(build_layout(plan)) == ()


def test_a_part_that_does_not_cover_the_pupils_determines_nothing() -> None:
    tables = (
        TableSpec(id="A", title="表", dims=("disposition",), where=(("disposition", ("1", "2", "4")),)),
        TableSpec(id="B", title="表", dims=("sex",), where=(("disposition", ("2", "3")),)),
        TableSpec(id="C", title="表", dims=("sex",), where=(("disposition", ("4",)),)),
    )
    found = identities(build_layout(replace(ready_plan(), tables=tables)))
    assert [identity.name for identity in found] == ["C = A"]


def test_a_table_of_one_instrument_among_two_is_at_most_the_whole() -> None:
    plan = ready_plan()
    other = replace(plan.instruments[0], id="phq9", factors=())
    layout = build_layout(
        replace(
            plan,
            instruments=(*plan.instruments, other),
            tables=(
                TableSpec(id="A", title="表", dims=("sex", "disposition")),
                TableSpec(
                    id="B",
                    title="表",
                    dims=("sex", "band"),
                    instrument="mht",
                    where=(("disposition", ("1",)),),
                ),
            ),
        )
    )
    assert {identity.name for identity in identities(layout)} == {f"B <= A [sex {sex}]" for sex in "129"}
    counts = tabulate(layout, [record(1), record(2, instrument="phq9")])
    assert violated(layout, counts) == ()
    counts[layout.table("B").offset + 2] += 5
    assert len(violated(layout, counts)) == 1


@pytest.mark.parametrize("vector", [np.zeros(3, np.int64), np.zeros(652, np.float64)], ids=["short", "float"])
def test_another_vector_is_refused(vector: Any) -> None:
    with pytest.raises(LayoutError):
        violated(LAYOUT, vector)
