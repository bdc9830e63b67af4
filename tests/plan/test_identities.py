"""Identities between tables: true of every set of records, broken by every wrong cell."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from plan_samples import CODEBOOK_DIGEST, INVALID_TEST, codebook, ready_plan, record, untested

from plan import identities as identities_module
from plan import populations
from plan.codes import FIELD_CODES, FLAG, GRADE, SEX, SYSTEM, stage_of
from plan.dimensions import DIMENSIONS
from plan.errors import LayoutError
from plan.identities import equalities, identities, violated
from plan.layout import Layout, build_layout
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
        "A4 = A2 [level 3, stage senior]",
        "A5 = A2 [level 0, stage primary]",
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
    by_stage = {name.split(" [")[0] for name in names if "stage junior" in name}
    assert {"A4 = A3", "A5 = A3", "A7 = A3", "A6 <= A3"} <= by_stage
    assert not any(table in name for name in by_stage for table in ("A1", "A2"))


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
    assert {name.split(" [")[0] for name in violated(SIX_THREE, counts)} == {"A4 = A2"}


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


def of_tables(*tables: TableSpec, **changes: Any) -> Layout:
    """Return the layout of autumn-full with other tables."""
    return build_layout(replace(ready_plan(), tables=tables, **changes))


def names_of(*tables: TableSpec, **changes: Any) -> list[str]:
    return [identity.name for identity in identities(of_tables(*tables, **changes))]


def spec(table_id: str, *dims: str, **where: str) -> TableSpec:
    """Return a table; codes of a filter are separated by blanks."""
    kept = tuple(sorted((name, tuple(codes.split())) for name, codes in where.items()))
    return TableSpec(id=table_id, title="表", dims=dims, where=kept)


def test_tables_with_the_same_filter_have_the_same_pupils() -> None:
    found = names_of(
        spec("A", "stage", "disposition", disposition="3 4"),
        spec("D0", "recheck", level="2 3"),
        spec("D2", "level", "review", level="2 3"),
        spec("D4", "outcome", alert="high"),
    )
    assert found == ["D2 = D0", "D4 = D0"]  # D4 = D2 follows


def test_an_alert_is_two_levels_and_a_valid_test_any_of_four() -> None:
    tables = (
        spec("S1", "stage", "sex", "level", disposition="1 2"),
        spec("S2", "stage", "disposition"),
        spec("S3", "left_behind", "alert", disposition="1 2"),
        spec("S4", "family", "alert", disposition="1 2"),
    )
    names = names_of(*tables, systems=("6-3",))
    assert {"S3 = S1 [alert low]", "S3 = S1 [alert high]", "S3 = S1 [alert 9]", "S4 = S1 [alert low]"} <= {
        *names
    }
    assert {"S2 = S1 [stage junior, disposition 1]", "S3 = S2 [disposition 2]"} <= {*names}
    assert len(names) == 8 + (3 + 2) + (3 + 2)  # S4 = S3 follows


def test_the_tables_of_spring_agree() -> None:
    names = names_of(
        spec("B1", "stage", "disposition"),
        spec("B2", "stage", "level_before", "level", disposition="1 2"),
        spec("B3", "grade", "level", disposition="1 2"),
    )
    assert "B2 = B1 [stage junior, disposition 1]" in names
    assert "B3 = B2 [level 3, stage primary+junior]" in names
    assert "B3 = B1 [stage vocational, disposition 2]" in names


def test_cells_that_no_pupil_can_be_in_are_zero() -> None:
    layout = of_tables(
        spec("A", "sex", "level", disposition="1"),
        spec("B", "grade", "stage", disposition="1 2"),
        TableSpec(
            id="C",
            title="表",
            dims=("factor", "level"),
            where=(("disposition", ("1",)), ("level", ("3", "9"))),
            multi="factor",
            touch=2,
        ),
        systems=("6-3",),
    )
    zeros = [item for item in identities(layout) if not item.right]
    names = {item.name for item in zeros}
    assert {
        "A = 0 [sex 1, level 9]",
        "B = 0 [grade 6, stage junior]",
        "C = 0 [factor social, level 9]",
    } <= names
    assert len(names) == len(zeros) == 3 + (12 * 4 - 12) + 8
    assert all(item.is_equality and len(item.left) == 1 for item in zeros)


def test_each_code_of_a_set_is_at_most_the_pupils_it_is_about() -> None:
    groups = TableSpec(
        id="C",
        title="表",
        dims=("group", "alert"),
        where=(("disposition", ("1", "2")),),
        multi="group",
        touch=3,
    )
    found = identities(of_tables(spec("A", "stage", "level", disposition="1 2"), groups))
    assert len(found) == 8 * 3
    assert "C <= A [alert high, group g4]" in {item.name for item in found}
    assert not any(item.is_equality for item in found)


def test_a_table_of_sums_takes_no_part() -> None:
    total = replace(spec("T", "stage", disposition="1"), sum="total", range=(0, 90))
    assert names_of(spec("A", "stage", "disposition"), total) == []


def test_two_tables_of_one_instrument_agree_and_are_at_most_the_whole() -> None:
    other = replace(ready_plan().instruments[0], id="phq9", factors=())
    names = names_of(
        spec("A", "sex", "disposition"),
        replace(spec("B", "sex", "band", disposition="1"), instrument="mht"),
        replace(spec("C", "stage", "band"), instrument="mht"),
        replace(spec("D", "stage", "band"), instrument="phq9"),
        instruments=(*ready_plan().instruments, other),
    )
    assert [name for name in names if " = " in name] == [f"C = B [band {band}]" for band in range(10)]
    assert {name for name in names if name.startswith(("C <= A", "D <= A"))} == {"C <= A", "D <= A"}
    assert not any(name.startswith(("C <= D", "D <= C")) for name in names)


def test_the_equalities_are_all_linear_relations_of_the_screening_tables() -> None:
    """The cells of 4,000 pupils, one by one, span everything that the equalities leave."""
    rng = np.random.default_rng(7)
    kept = [cell for table in SIX_THREE.tables if table.id != "A6" for cell in range(table.offset, table.end)]
    pupils = [random_pupil(number, rng, SIX_THREE.scope.grades, ("6-3",), ("mht",)) for number in range(4000)]
    rank = np.linalg.matrix_rank(np.array([tabulate(SIX_THREE, [pupil])[kept] for pupil in pupils]))
    relations = np.zeros((0, SIX_THREE.cells))
    for left, right in equalities(SIX_THREE):
        row = np.zeros(SIX_THREE.cells)
        row[list(left)], row[list(right)] = 1, -1
        relations = np.vstack([relations, row])
    assert rank + np.linalg.matrix_rank(relations) == len(kept)


def random_pupil(
    number: int, rng: np.random.Generator, grades: Any, systems: Any, instruments: Any = ("mht", "phq9")
) -> Record:
    """Return any pupil: every field that a table may read is random, as far as the record's rules allow."""
    plain = ("sex", "boarding", "left_behind", "family", "migrant")
    values: dict[str, Any] = {name: rng.choice(list(FIELD_CODES[name])) for name in plain}
    values |= {"grade": rng.choice(list(grades)), "system": rng.choice(list(systems))}
    values["groups"] = frozenset(rng.choice(["g1", "g2", "g4", "g5", "g6"], int(rng.integers(0, 6))))
    disposition = str(rng.choice(list("111112345678")))
    if disposition not in ("6", "8"):
        follow_up = ("level_before", "found_by", "file_built", "outcome", "pool", *FLAG)
        values |= {name: rng.choice(list(FIELD_CODES[name])) for name in follow_up}
        values["days_to_review"] = int(rng.integers(0, 30))
    if disposition not in ("1", "2"):
        return untested(number, disposition=disposition, **as_text(values))
    values |= {"recheck": rng.choice(list("01239")), "instrument": rng.choice(instruments)}
    values["codebook"] = CODEBOOK_DIGEST
    if disposition == "2":
        return record(number, **(INVALID_TEST | as_text(values)))
    values |= {"level1": rng.choice(list("0123")), "total": Decimal(int(rng.integers(0, 91)))}
    if values["instrument"] == "mht":
        values["factors_high"] = frozenset(rng.choice(FACTORS, int(rng.integers(0, 9))))
    return record(number, **as_text(values))


def as_text(values: dict[str, Any]) -> dict[str, Any]:
    """Return values with plain text in place of numpy's."""
    plain = {name: str(value) if isinstance(value, str) else value for name, value in values.items()}
    return {
        name: frozenset(map(str, value)) if isinstance(value, frozenset) else value
        for name, value in plain.items()
    }


PLAIN = (
    "stage",
    "grade",
    "sex",
    "boarding",
    "level",
    "alert",
    "disposition",
    "level_before",
    "recheck",
    "review",
    "groups_held",
    "county",
    "outcome",
)
CODES = {name: tuple(DIMENSIONS[name].codes) for name in PLAIN if name in DIMENSIONS} | {
    "county": ("c1", "c2")
}
TWO = replace(
    ready_plan(),
    tables=(TableSpec(id="A", title="表", dims=("sex",)),),
    instruments=tuple(
        replace(ready_plan().instruments[0], id=name, digest=CODEBOOK_DIGEST) for name in ("mht", "phq9")
    ),
    attributes=(("county", (("c1", "县一"), ("c2", "县二"))),),
)


@st.composite
def some_tables(draw: st.DrawFn) -> list[TableSpec]:
    """Draw two to four tables over any dimensions, filters and instruments."""
    tables = []
    for place in range(draw(st.integers(2, 4))):
        dims = draw(st.lists(st.sampled_from(PLAIN), min_size=1, max_size=3, unique=True))
        extra = draw(st.sampled_from(["", "", "band", "group", "flag", "factor", "sum"]))
        filtered = draw(st.lists(st.sampled_from(PLAIN), max_size=2, unique=True))
        where = {name: draw(st.sets(st.sampled_from(CODES[name]), min_size=1)) for name in filtered}
        where = {name: codes & set(TWO.grades) if name == "grade" else codes for name, codes in where.items()}
        if draw(st.booleans()):
            where["disposition"] = set(draw(st.sampled_from(["1", "12", "2", "134"])))
        kept = [(n, tuple(c for c in CODES[n] if c in codes)) for n, codes in sorted(where.items()) if codes]
        multi = extra if extra in ("group", "flag", "factor") else ""
        is_scored = extra in ("band", "factor", "sum")
        tables.append(
            TableSpec(
                id=f"T{place}",
                title="表",
                dims=(*dims, extra) if extra not in ("", "sum") else tuple(dims),
                where=tuple(kept),
                multi=multi,
                touch=3 if multi else 1,
                instrument=draw(st.sampled_from(["mht", "phq9"] if is_scored else ["", "", "mht"])),
                sum="total" if extra == "sum" else "",
                range=(0, 90) if extra == "sum" else None,
                attributes=("county",) if "county" in {*dims, *where} else (),
            )
        )
    return tables


@settings(max_examples=60, deadline=None)
@given(some_tables(), st.integers(0, 10**6), st.sampled_from(["require", "record-only"]))
def test_they_hold_for_any_records_in_any_tables(tables: list[TableSpec], seed: int, consent: str) -> None:
    layout = build_layout(replace(TWO, tables=tuple(tables), consent=consent))
    rng = np.random.default_rng(seed)
    pupils = [random_pupil(number, rng, (*TWO.grades, "3"), TWO.systems) for number in range(40)]
    pupils = [
        replace(pupil, guardian_consent=str(rng.choice(list("129")))) for pupil in pupils[:10]
    ] + pupils[10:]
    county = str(rng.choice(["c1", "c2"]))
    assert violated(layout, tabulate(layout, pupils, {"county": county})) == ()


def rank_of(layout: Layout) -> int:
    """Return how many of a layout's equalities do not follow from others."""
    found = equalities(layout)
    rows = np.zeros((len(found) + 1, layout.cells))
    for row, (left, right) in zip(rows, found, strict=False):
        row[list(left)], row[list(right)] = 1, -1
    return int(np.linalg.matrix_rank(rows))


@settings(max_examples=25, deadline=None)
@given(some_tables())
def test_equalities_that_are_left_out_follow_from_the_others(tables: list[TableSpec]) -> None:
    layout = build_layout(replace(TWO, tables=tuple(tables)))
    assume(layout.cells <= 1500)
    left_out, few = equalities(layout), rank_of(layout)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(identities_module, "_has", lambda *_: False)
        assert len(left_out) <= len(equalities(layout))
        assert rank_of(layout) == few


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("stage_of", lambda grade, system: "senior" if grade == "V1" else stage_of(grade, system)),
        ("TESTED", ("1",)),
        ("VALID", "2"),
        ("UNKNOWN", "3"),
    ],
)
def test_a_false_rule_about_pupils_is_noticed(monkeypatch: pytest.MonkeyPatch, name: str, wrong: Any) -> None:
    """Each of these makes at least one identity false; the records of the property test must break it."""
    monkeypatch.setattr(populations, name, wrong)
    tables = (
        spec("A", "grade", "disposition"),
        spec("B", "stage", "alert", disposition="1 2"),
        spec("C", "sex", "level"),
        replace(spec("D", "stage", "band"), instrument="mht"),
        replace(spec("E", "sex", "level"), instrument="mht"),
    )
    layout = build_layout(replace(TWO, tables=tables))
    rng = np.random.default_rng(3)
    pupils = [random_pupil(number, rng, TWO.grades, TWO.systems) for number in range(200)]
    assert violated(layout, tabulate(layout, pupils, {"county": "c1"})) != ()
    monkeypatch.undo()
    assert violated(layout, tabulate(layout, pupils, {"county": "c1"})) == ()


def test_one_false_identity_among_all_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take each identity's last cell away: for all but an empty handful the pupils below tell."""
    rng = np.random.default_rng(4)
    pupils = [random_pupil(number, rng, SIX_THREE.scope.grades, ("6-3",), ("mht",)) for number in range(1500)]
    counts = tabulate(SIX_THREE, pupils)
    missed = 0
    for item in identities(SIX_THREE):
        if item.is_equality and counts[item.left[-1]]:
            false = replace(item, left=item.left[:-1])
            monkeypatch.setattr(identities_module, "identities", lambda _, false=false: (false,))
            missed += not violated(SIX_THREE, counts)
    assert missed == 0


def test_a_part_that_does_not_cover_the_pupils_determines_nothing() -> None:
    found = names_of(
        spec("A", "disposition", disposition="1 2 4"),
        spec("B", "sex", disposition="2 3"),
        spec("C", "sex", disposition="4"),
    )
    assert found == ["C = A"]


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
