"""The hand-in report: what a reader who solves for it can compute, and that the reader can compute at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from itertools import product
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_attack import Atom, Holds, Reader, by_id, read_table

from node.vault import report_axes as axes
from node.vault.local_report import EXACT, HAND_IN, Wave, coverage, report_tables
from node.vault.report_axes import STATUS
from node.vault.small_cells import merge, unmerged
from plan.record import Record

GRADES = ("7", "8", "9")
CLASSES = ("1班", "2班", "3班")
FLOOR = 10
SEEDS = st.integers(0, 2**32)
EASE = settings(max_examples=8, deadline=None, derandomize=True)
Member = Sequence[str]


def pupil(number: int, status: str, grade: str = "7", **fields: Any) -> Record:
    """Make a record with a status of the report's axis."""
    base: dict[str, Any] = {"grade": grade, "system": "6-3", "disposition": status[1]}
    if status[0] == "l" or status == "d2":
        base |= {"instrument": "mht", "codebook": "c" * 64, "administered_on": date(2026, 9, 8)}
    if status[0] == "l":
        base |= {"disposition": "1", "level1": status[1]}
    return Record(rec_key=hashlib.sha256(str(number).encode()).digest()[:16], **(base | fields))


def weights_of(random: Random) -> list[float]:
    """Draw how common each status is: some never, some rare, some not."""
    return [random.choice((0, 0.5, 1, 3, 8)) for _code in STATUS.codes[:-4]] + [
        30,
        8,
        4,
        random.choice((0, 2)),
    ]


def school(random: Random, num: int, fields: Callable[[Random, str], dict[str, Any]]) -> Wave:
    """Draw a school of three grades with up to three classes each."""
    weights = weights_of(random)
    sizes = [random.choice((1, 3, 8, 8)) for _line in product(GRADES, CLASSES)]
    lines = random.choices(list(product(GRADES, CLASSES)), sizes, k=num)
    statuses = random.choices(STATUS.codes, weights, k=num)
    records = [
        pupil(number, status, grade, **fields(random, status))
        for number, (status, (grade, _class)) in enumerate(zip(statuses, lines, strict=True))
    ]
    return Wave(tuple(records), {r.rec_key: line[1] for r, line in zip(records, lines, strict=True)})


def small_cells(atoms: Iterable[Atom], candidates: Iterable[Holds]) -> list[tuple[Holds, int]]:
    """Keep the cells that have 1 to 9 pupils."""
    everybody = list(atoms)
    counted = [(holds, sum(map(holds, everybody))) for holds in candidates]
    return [(holds, count) for holds, count in counted if 0 < count < FLOOR]


def cells_of(parts: Sequence[Sequence[tuple[str, ...]]]) -> list[Holds]:
    """Make cells from sets of codes, one for each part of an atom."""
    return [
        lambda atom, chosen=chosen: all(atom[at] in codes for at, codes in enumerate(chosen))
        for chosen in product(*parts)
    ]


def is_class(atom: Atom, row: Sequence[Member]) -> bool:
    return [atom[0], atom[1]] in [list(member) for member in row]


def check(reader: Reader, atoms: list[Atom], candidates: list[Holds], random: Random, most: int = 6) -> None:
    """No small cell follows from sums and differences, nor has it a single value that fits."""
    found = small_cells(atoms, candidates)
    if found:
        assert not any(reader.computable([holds for holds, _count in found]))
    for holds, count in random.sample(found, min(most, len(found))):
        low, high = reader.range_of(holds)
        assert low - 1e-6 <= count <= high + 1e-6
        assert high - low >= 1 - 1e-6


STATUSES = [(code,) for code in STATUS.codes] + [("l2", "l3"), ("l1", "l2", "l3"), ("d4", "d5"), ("d3", "d6")]


@EASE
@given(SEEDS, st.sampled_from((25, 60, 200, 450)))
def test_no_small_cell_of_school_grades_classes_and_groups_can_be_computed(seed: int, num: int) -> None:
    random = Random(seed)
    rare = random.choice((0.03, 0.1, 0.4))
    wave = school(
        random, num, lambda r, _s: {"groups": frozenset({"g4"}) if r.random() < rare else frozenset()}
    )
    tables = by_id(report_tables(wave, HAND_IN))
    reader = Reader(product(GRADES, CLASSES, STATUS.codes, ("no", "yes")))
    for name, table in tables.items():
        if name == "school":
            read_table(reader, table, lambda _atom, _row: True, 2)
            read_bands(reader, table, lambda _atom, _row: True)
        elif name == "grades":
            read_table(reader, table, lambda atom, row: [atom[0]] in row, 2)
            read_bands(reader, table, lambda atom, row: [atom[0]] in row)
        elif name in ("classes", "class_levels"):
            read_table(reader, table, is_class, 2)
            read_bands(reader, table, is_class)
        elif name == "group:g4":
            read_table(reader, table, lambda atom, row: [atom[3]] in row, 2)
    if not tables:
        assert num < FLOOR
        return
    atoms = [
        (r.grade, wave.classes[r.rec_key], STATUS.code_of(r), axes.group_axis("g4").code_of(r))
        for r in wave.records
    ]
    lines = [[(grade,) for grade in GRADES] + [GRADES], [(name,) for name in CLASSES] + [CLASSES]]
    both: list[tuple[str, ...]] = [("no",), ("yes",), ("no", "yes")]
    check(reader, atoms, cells_of([*lines, STATUSES, both]), random)


def read_bands(reader: Reader, table: Any, in_row: Callable[[Atom, Sequence[Member]], bool]) -> None:
    """Let the reader read the coverage."""
    for row, found in zip(table["rows"], table.get("coverage", ()), strict=False):
        for name, first in (("expected", axes.EXPECTED), ("with_leave", axes.ON_LEAVE)):
            base, tested = STATUS.codes[first:], STATUS.codes[axes.TESTED :]

            def of_base(atom: Atom, row: Any = row, base: tuple[str, ...] = base) -> bool:
                return in_row(atom, row) and atom[2] in base

            def of_tested(atom: Atom, row: Any = row, tested: tuple[str, ...] = tested) -> bool:
                return in_row(atom, row) and atom[2] in tested

            if "of" in found[name]:
                reader.read(found[name]["of"][0], of_tested)
                reader.read(found[name]["of"][1], of_base)
            elif "band" in found[name]:
                reader.read_band(*found[name]["band"], of_tested, of_base)


@EASE
@given(SEEDS, st.sampled_from((60, 300, 900)))
def test_no_small_cell_of_the_follow_up_can_be_computed(seed: int, num: int) -> None:
    random = Random(seed)

    def fields(r: Random, status: str) -> dict[str, Any]:
        if status not in ("l2", "l3"):
            return {}
        return {
            "recheck": r.choice("001233"),
            "file_built": r.choice("0119"),
            "referral_advised": r.choice("01"),
        }

    wave = school(random, num, fields)
    tables = by_id(report_tables(wave, HAND_IN))
    chosen = (axes.RECHECK, next(a for a in axes.FOLLOW_UP if a.id == "file_built"), axes.REFERRAL)
    reader = Reader(product(STATUS.codes, *(axis.codes for axis in chosen)))
    read_table(reader, tables["school"], lambda _atom, _row: True, 0)
    for at, axis in enumerate(chosen, start=1):
        if f"alerted:{axis.id}" in tables:
            read_table(
                reader,
                tables[f"alerted:{axis.id}"],
                lambda atom, row: (
                    [atom[0]] in row or [*atom[:1]] in [[code] for member in row for code in member]
                ),
                at,
            )
    atoms = [(STATUS.code_of(r), *(axis.code_of(r) for axis in chosen)) for r in wave.records]
    levels: list[tuple[str, ...]] = [("l2",), ("l3",), ("l2", "l3")]
    parts = [[*((code,) for code in axis.codes), axis.codes] for axis in chosen]
    check(reader, atoms, cells_of([levels, *parts]), random)


@EASE
@given(SEEDS, st.sampled_from((150, 600, 1500)))
def test_no_small_cell_of_two_waves_can_be_computed(seed: int, num: int) -> None:
    random = Random(seed)
    now = school(random, num, lambda _r, _s: {})
    other = school(random, num, lambda _r, _s: {})
    pairs = zip(now.records, other.records, strict=True)
    before = Wave(tuple(first if random.random() < 0.7 else second for first, second in pairs))
    gone = random.choice((0, 2, 15))
    kept = before.records[gone:]
    earlier = {record.rec_key: STATUS.code_of(record) for record in kept}
    tables = by_id(report_tables(Wave(now.records, earlier=earlier), HAND_IN))
    tables_before = by_id(report_tables(Wave(kept), HAND_IN))
    reader = Reader(product((*STATUS.codes, "-"), (*STATUS.codes, "-")))
    read_table(reader, tables["school"], lambda _atom, _row: True, 1)
    read_table(reader, tables_before["school"], lambda _atom, _row: True, 0)
    if "changes" in tables:
        table = tables["changes"]
        for row, counts in zip(table["rows"], table["counts"], strict=True):
            for codes, count in zip(table["columns"], counts, strict=True):
                reader.read(count, lambda atom, row=row, codes=codes: changed(atom, row, codes))
    of_now = {record.rec_key: STATUS.code_of(record) for record in now.records}
    of_before = dict(earlier)
    atoms = [(of_before.get(key, "-"), of_now.get(key, "-")) for key in of_now | of_before]
    levels: list[tuple[str, ...]] = [("l0",), ("l1",), ("l2",), ("l3",), ("l2", "l3"), ("-",), ("d3",)]
    check(reader, atoms, cells_of([[*levels, STATUS.codes], [*levels, STATUS.codes]]), random)


def changed(atom: Atom, row: Sequence[Member], codes: Sequence[str]) -> bool:
    before, after = (code if code in axes.LEVELS else "none" for code in atom)
    return (before, after) != ("none", "none") and [before] in row and after in codes


def cuts(table: Any) -> set[str]:
    """Name the cuts of a table's columns by the code behind each."""
    return {codes[0] for codes in table["columns"][1:]}


@settings(max_examples=80, deadline=None, derandomize=True)
@given(SEEDS, st.sampled_from((30, 60, 90, 200, 450)))
def test_a_table_in_detail_is_cut_only_where_the_one_above_is(seed: int, num: int) -> None:
    random = Random(seed)
    group = {"groups": frozenset({"g4"}), "file_built": "1"}
    wave = school(random, num, lambda r, s: group if s[0] == "l" and r.random() < 0.5 else {})
    pairs = zip(wave.records, school(random, num, lambda _r, _s: {}).records, strict=True)
    earlier = [first if random.random() < 0.8 else second for first, second in pairs]
    earlier = earlier[random.choice((0, 3, 20)) :]
    statuses = {record.rec_key: STATUS.code_of(record) for record in earlier}
    tables = by_id(report_tables(Wave(wave.records, wave.classes, statuses, ("x",)), HAND_IN))
    top = cuts(tables["school"])
    grades = [[member[0] for member in row] for row in tables["grades"]["rows"]]
    assert cuts(tables["grades"]) <= top
    for name in ("classes", "class_levels"):
        for row in tables[name]["rows"] if name in tables else ():
            assert sum(bool({member[0] for member in row} & set(group)) for group in grades) == 1
    if "class_levels" in tables:
        assert cuts(tables["class_levels"]) <= cuts(tables["grades"])
    for name, table in tables.items():
        if name.startswith(("group:", "attribute:", "factor:")):
            assert cuts(table) <= top
        if name.startswith("alerted:"):
            assert "l2" in top
            assert "l3" in top or table["rows"] == [[["l2", "l3"]]]
    if "changes" in tables:
        before = by_id(report_tables(Wave(tuple(earlier)), HAND_IN))["school"]
        assert cuts(tables["changes"]) <= top
        assert {row[0][0] for row in tables["changes"]["rows"][1:]} <= cuts(before)
        both = [STATUS.code_of(r) + statuses.get(r.rec_key, "") for r in wave.records]
        assert sum(map(sum, tables["changes"]["counts"])) == sum("l" in codes for codes in both)


def test_no_table_cuts_where_the_school_s_line_could_not_and_still_be_told_apart() -> None:
    counts = {"l0": 100, "l1": 5, "l2": 5, "l3": 30}  # the line cuts before l1 and l3; before l2 would tell
    statuses = [code for code, count in counts.items() for _number in range(count)]
    records = [
        pupil(number, code, file_built="1" if code in ("l2", "l3") and number % 2 else "0")
        for number, code in enumerate(statuses)
    ]
    classes = {record.rec_key: str(number % 2) for number, record in enumerate(records)}
    earlier = {record.rec_key: STATUS.code_of(record) for record in records}
    tables = by_id(report_tables(Wave(tuple(records), classes, earlier), HAND_IN))
    assert cuts(tables["school"]) >= {"l1", "l3"}
    assert {name for name, table in tables.items() if "l2" in cuts(table)} == set()
    assert not [name for name in tables if name.startswith(("alerted:", "changes"))]


def test_changes_count_also_who_is_in_one_wave_only() -> None:
    statuses = ["l0"] * 200 + ["l2"] * 60 + ["d3"] * 40
    records = [pupil(number, code) for number, code in enumerate(statuses)]
    earlier = {record.rec_key: STATUS.code_of(record) for record in records[3:]}
    earlier |= {pupil(number, "l0").rec_key: "l0" for number in range(900, 904)}
    table = by_id(report_tables(Wave(tuple(records), earlier=earlier), HAND_IN))["changes"]
    assert sum(map(sum, table["counts"])) == 264
    assert all(count == 0 or count >= FLOOR for row in table["counts"] for count in row)


@pytest.mark.parametrize("base", [*range(10, 60), 99, 100, 101, 333, 1000, 1999])
def test_a_band_of_coverage_leaves_room_for_ten_pupils(base: int) -> None:
    def band(tested: int) -> Any:
        cells = np.zeros(len(STATUS.codes), dtype=np.int64)
        cells[axes.TESTED], cells[axes.WILLING] = tested, base - tested
        return coverage(cells, frozenset())["expected"].get("band")

    bands = [band(tested) for tested in range(base + 1)]
    assert all(found is None for found in bands) or min(map(bands.count, bands)) >= FLOOR
    for tested, found in enumerate(bands):
        assert found is None or found[0] <= 100 * tested / base <= found[1]
    assert (bands[0] is None) == (base < 2 * FLOOR)


def test_the_reader_computes_every_cell_of_the_exact_report() -> None:
    wave = school(Random(5), 200, lambda _r, _s: {})
    reader = Reader(product(GRADES, CLASSES, STATUS.codes))
    read_table(reader, by_id(report_tables(wave, EXACT))["classes"], is_class, 2)
    atoms = [(r.grade, wave.classes[r.rec_key], STATUS.code_of(r)) for r in wave.records]
    for holds, count in small_cells(
        atoms, cells_of([[(g,) for g in GRADES], [(c,) for c in CLASSES], STATUSES])
    ):
        assert reader.range_of(holds) == pytest.approx((count, count))


def test_the_reader_finds_a_cell_that_only_a_difference_tells() -> None:
    reader = Reader(product(("1班", "2班"), ("low", "high")))
    reader.read(16, lambda atom: atom[1] == "high")
    reader.read(12, lambda atom: atom == ("1班", "high"))
    assert reader.range_of(lambda atom: atom == ("2班", "high")) == pytest.approx((4, 4))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(SEEDS)
def test_every_block_is_empty_or_large_and_no_finer_block_was_left(seed: int) -> None:
    random = np.random.default_rng(seed)
    cells = random.poisson(
        random.choice((0.5, 3, 9, 30)), size=(random.integers(1, 6), random.integers(1, 6))
    )
    weights = dict.fromkeys(range(1, cells.shape[1]), 1)
    merged = merge(cells, weights, row_weight=1)
    if merged is None:
        assert 0 < cells.sum() < FLOOR
        return
    counts = merged.counts(cells)
    assert not ((counts > 0) & (counts < FLOOR)).any()
    assert counts.sum() == cells.sum()
    if not ((cells > 0) & (cells < FLOOR)).any():
        assert merged == unmerged(cells)
    for row in range(len(merged.rows)):  # no row can be divided further without a small cell
        first, end = merged.rows[row]
        for at in range(first + 1, end):
            parts = [(first, at), (at, end)]
            split = [[cells[a:b, c:d].sum() for c, d in merged.columns] for a, b in parts]
            assert any(0 < count < FLOOR for part in split for count in part)
