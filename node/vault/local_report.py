"""The school's own report (校级总结) from the records of one wave, in two versions.

**hand-in**: no names; small cells are merged (`node.vault.small_cells`) so that no count of 1 to 9 pupils can
be computed from what is printed. **exact**: every cell as it is; for the psychologist alone.

How the hand-in version hangs together, so that no difference of its numbers tells a small cell:

1. The school's line cuts the `STATUS` axis; grades cut it at some of these places, classes at some of those,
   and every other table about levels too. Groups of classes lie within the grades' groups.
2. Every table counts all pupils it is about (those outside of a group as well), and each block is printable.
3. Coverage is a fraction only where both counts are printed, else a band that leaves room for `FLOOR` pupils.
4. What follows up level 2 and 3 is printed only if their number is, first levels apart only if they are.
5. Changes since the last wave count the pupils of both waves, also who is only in one of them.

Pure: records and class names in, JSON values out. Two prints with different records can still be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from node.vault import report_axes as axes
from node.vault.report_axes import STATUS, Axis
from node.vault.small_cells import FLOOR, Counts, Merged, Span, merge, merge_square, unmerged
from plan.codes import GRADE
from plan.record import Record

HAND_IN: Final = "hand-in"
EXACT: Final = "exact"
FOLLOW_UP: Final = "follow-up"
VERSIONS: Final = (HAND_IN, EXACT, FOLLOW_UP)
BAND_WIDTHS: Final = (1, 2, 5, 10, 25, 50)
ROW_WEIGHT: Final = 20
GROUP_WEIGHT: Final = 100  # who is in a group goes before their levels
WITH_COVERAGE: Final = ("school", "grades", "classes")
CLASS_CUTS: Final = frozenset({axes.VALID + 1, axes.ATTENTION, axes.SEVERE})
LEVEL_CUTS: Final = frozenset({axes.VALID, axes.ATTENTION, axes.SEVERE})

Values = dict[str, Any]
Line = tuple[str, str]
"""A class: grade code and class name."""


@dataclass(frozen=True, slots=True, repr=False)
class Wave:
    """What one wave's report is made from. Held only by the vault.

    Attributes:
        records: all of the set.
        classes: class by ``rec_key``; empty if none were kept.
        earlier: codes of `STATUS` in the wave before by ``rec_key``; None without one.
        factors: ids of the factors that the records may be high in.
    """

    records: tuple[Record, ...]
    classes: Mapping[bytes, str] = field(default_factory=dict)
    earlier: Mapping[bytes, str] | None = None
    factors: tuple[str, ...] = ()


def report_tables(wave: Wave, version: str) -> list[Values]:
    """Compute the tables of a report.

    Args:
        version: `HAND_IN` or `EXACT`.

    Returns:
        JSON values, in the order of the report. Each has `id`, `rows` (each a list of codes, or of grade and
        class), `columns` (each a list of codes) and `counts`; a table that would tell too much is left out.
        With fewer than `FLOOR` pupils the hand-in version has no table at all.
    """
    return _Report(wave, is_exact=version == EXACT).tables()


class _Report:
    """One report in the making; the cuts of the tables above bind those below."""

    def __init__(self, wave: Wave, *, is_exact: bool) -> None:
        self._wave = wave
        self._is_exact = is_exact
        self._statuses = _places(STATUS, wave.records)
        self._alerted = [record for record in wave.records if axes.is_alerted(record)]
        self._cuts: frozenset[int] = frozenset()  # of the school's line

    def tables(self) -> list[Values]:
        """Give all tables in order."""
        school = self._school()
        if school is None:
            return []
        tables = [school, *self._grades_and_classes(), *self._groups(), *self._factors(), *self._follow_up()]
        return [*tables, *self._changes()]

    def _school(self) -> Values | None:
        cells = self._by_status(np.zeros(len(self._statuses), dtype=np.int64), 1)
        merged = self._merge(cells, STATUS.weights_at())
        if merged is None:
            return None
        self._cuts = merged.cuts
        return self._table("school", STATUS, merged, cells, [[""]])

    def _grades_and_classes(self) -> Iterable[Values]:
        enrolled = {record.grade for record in self._wave.records}
        grades = [grade for grade in GRADE if grade in enrolled]
        place = {grade: at for at, grade in enumerate(grades)}
        rows = np.array([place[record.grade] for record in self._wave.records])
        cells = self._by_status(rows, len(grades))
        merged = self._merge(cells, STATUS.weights_at(self._cuts), row_weight=ROW_WEIGHT)
        if merged is None:  # cannot be: the whole is the school's line
            return
        yield self._table("grades", STATUS, merged, cells, [[grade] for grade in grades])
        if self._wave.classes:
            yield from self._classes([grades[first:end] for first, end in merged.rows], merged.cuts)

    def _classes(self, grade_groups: Sequence[Sequence[str]], cuts: frozenset[int]) -> Iterable[Values]:
        """Count classes: who is enrolled in each, then the levels of groups of classes."""
        names = self._wave.classes
        of_record = [(record.grade, names.get(record.rec_key, "")) for record in self._wave.records]
        found = set(of_record)
        groups = [
            sorted((line for line in found if line[0] in grades), key=lambda line: _line_order(line, grades))
            for grades in grade_groups
        ]
        lines = [line for group in groups for line in group]
        spans = _spans([len(group) for group in groups])
        place = {line: at for at, line in enumerate(lines)}
        cells = self._by_status(np.array([place[line] for line in of_record]), len(lines))
        rows = [list(line) for line in lines]
        sizes = self._merge(cells, {}, row_weight=1, spans=spans)
        if sizes is not None:
            yield self._table("classes", STATUS, sizes, cells, rows)
        levels = merge(
            cells,
            dict.fromkeys(sorted(cuts & CLASS_CUTS), 1),
            row_weight=ROW_WEIGHT,
            spans=spans,
            needs=frozenset({axes.ATTENTION}),
        )
        if not self._is_exact and levels is not None and len(levels.rows) > len(spans):
            yield self._table("class_levels", STATUS, levels, cells, rows)

    def _groups(self) -> Iterable[Values]:
        for axis in (*axes.ATTRIBUTES, *(axes.MORE_ATTRIBUTES if self._is_exact else ())):
            yield from self._by_level(f"attribute:{axis.id}", axis)
        for group in axes.GROUPS:
            yield from self._by_level(f"group:{group}", axes.group_axis(group))

    def _by_level(self, name: str, axis: Axis) -> Iterable[Values]:
        """Count the codes of an axis by level; an axis of which nothing is known is left out."""
        cells = self._by_status(_places(axis, self._wave.records), len(axis.codes))
        weights = STATUS.weights_at(self._cuts & LEVEL_CUTS)
        merged = self._merge(cells, weights, row_weight=GROUP_WEIGHT)
        if merged is not None and cells[1:].any():
            yield self._table(name, STATUS, merged, cells, [[code] for code in axis.codes])

    def _factors(self) -> Iterable[Values]:
        for factor in self._wave.factors:
            cells = self._by_status(_places(axes.factor_axis(factor), self._wave.records), 2)
            merged = self._merge(cells, STATUS.weights_at(self._cuts & {axes.VALID}), row_weight=GROUP_WEIGHT)
            if merged is not None:
                yield self._table(f"factor:{factor}", STATUS, merged, cells, [["no"], ["yes"]])

    def _follow_up(self) -> Iterable[Values]:
        """Count what was done for level 2 and 3, if their number is printed; and the pool, of all pupils."""
        if self._alerted and (axes.ATTENTION in self._cuts or self._is_exact):
            more = axes.OUTCOMES if self._is_exact else ()
            for axis in (axes.RECHECK, axes.REVIEW, *axes.FOLLOW_UP, axes.REFERRAL, axes.CLOSING, *more):
                yield from self._alerted_table(axis)
        cells = _cells(np.zeros(len(self._wave.records), dtype=np.int64), 1, axes.POOL, self._wave.records)
        merged = self._merge(cells, axes.POOL.weights_at())
        if merged is not None and cells[0, 1:].any():
            yield self._table("pool", axes.POOL, merged, cells, [[""]])

    def _alerted_table(self, axis: Axis) -> Iterable[Values]:
        rows = np.array([int(record.level1) - 2 for record in self._alerted])
        cells, keys = _cells(rows, 2, axis, self._alerted), [["l2"], ["l3"]]
        if not self._is_exact and axes.SEVERE not in self._cuts:
            cells, keys = cells.sum(axis=0, keepdims=True), [["l2", "l3"]]
        merged = self._merge(cells, axis.weights_at(), row_weight=1)
        if merged is not None and cells[:, 1:].any():
            yield self._table(f"alerted:{axis.id}", axis, merged, cells, keys)

    def _changes(self) -> Iterable[Values]:
        """Count levels in the wave before against levels now, over the pupils of both waves."""
        if self._wave.earlier is None:
            return
        now = {record.rec_key: record for record in self._wave.records}
        place = {code: at for at, code in enumerate(axes.LEVELS)}
        cells: Counts = np.zeros((len(place), len(place)), dtype=np.int64)
        for key in now.keys() | self._wave.earlier.keys():
            before = self._wave.earlier.get(key, "none")
            cells[place.get(before, 0), place[axes.level_code(now.get(key))]] += 1
        cells[0, 0] = 0  # without a valid test in either wave: of no interest here
        merged = unmerged(cells) if self._is_exact else self._merge_changes(cells)
        if merged is not None:
            yield self._table("changes", axes.CHANGE, merged, cells, [[code] for code in axes.LEVELS])

    def _merge_changes(self, cells: Counts) -> Merged | None:
        """Cut each wave's levels only where its own line for the school is cut."""
        place = {code: at for at, code in enumerate(STATUS.codes)}
        earlier = [place[code] for code in (self._wave.earlier or {}).values()]
        counts = np.bincount(np.array(earlier, dtype=np.int64), minlength=len(place))
        line = merge(counts.reshape(1, -1).astype(np.int64), STATUS.weights_at())
        weights = [
            axes.CHANGE.weights_at(_level_cuts(cuts))
            for cuts in (line.cuts if line is not None else frozenset[int](), self._cuts)
        ]
        return merge_square(cells, weights[0], weights[1], _level_cuts(frozenset({axes.ATTENTION})))

    def _by_status(self, rows: NDArray[np.int64], num_rows: int) -> Counts:
        return _tally(rows, num_rows, self._statuses, len(STATUS.codes))

    def _merge(self, cells: Counts, weights: dict[int, int], **options: Any) -> Merged | None:
        return unmerged(cells) if self._is_exact else merge(cells, weights, **options)

    def _table(
        self, name: str, axis: Axis, merged: Merged, cells: Counts, rows: Sequence[Sequence[str]]
    ) -> Values:
        table: Values = {
            "id": name,
            "rows": [[list(member) for member in rows[first:end]] for first, end in merged.rows],
            "columns": [list(axis.codes[first:end]) for first, end in merged.columns],
            "counts": merged.counts(cells).tolist(),
        }
        if name in WITH_COVERAGE:
            table["coverage"] = [
                coverage(cells[first:end].sum(axis=0), merged.cuts) for first, end in merged.rows
            ]
        return table


def coverage(cells: Counts, cuts: frozenset[int]) -> Values:
    """Give the coverage of a line: tested of those expected, without and with those on leave in the base.

    Args:
        cells: exact counts by `STATUS`.
        cuts: of the line.

    Returns:
        `expected` and `with_leave`, each with `of` (the two counts, where both are printed), else `band` (the
        percentages between which it lies), else empty.
    """
    tested = int(cells[axes.TESTED :].sum())
    found: Values = {}
    for name, first in (("expected", axes.EXPECTED), ("with_leave", axes.ON_LEAVE)):
        base = int(cells[first:].sum())
        is_printed = {first, axes.TESTED} <= cuts and base > 0
        found[name] = {"of": [tested, base]} if is_printed else _band(tested, base)
    return found


def _band(tested: int, base: int) -> Values:
    """Give the narrowest band of percentages that at least `FLOOR` pupils more or less would be in, too."""
    for width in BAND_WIDTHS:
        if width * base >= 100 * FLOOR:
            low = min(100 * tested // (base * width) * width, 100 - width)
            return {"band": [low, low + width]}
    return {}


def _places(axis: Axis, records: Iterable[Record]) -> NDArray[np.int64]:
    """Give the place of each record's code on an axis."""
    place = {code: at for at, code in enumerate(axis.codes)}
    code_of = axis.code_of
    return np.array([place[code_of(record)] for record in records], dtype=np.int64)


def _cells(rows: NDArray[np.int64], num_rows: int, axis: Axis, records: Iterable[Record]) -> Counts:
    return _tally(rows, num_rows, _places(axis, records), len(axis.codes))


def _tally(rows: NDArray[np.int64], num_rows: int, columns: NDArray[np.int64], num_columns: int) -> Counts:
    counts = np.bincount(rows * num_columns + columns, minlength=num_rows * num_columns)
    return counts.reshape(num_rows, num_columns).astype(np.int64)


def _level_cuts(cuts: frozenset[int]) -> frozenset[int]:
    """Give cuts of `STATUS` as cuts of the levels."""
    return frozenset(cut - axes.VALID + 1 for cut in cuts if cut >= axes.VALID)


def _line_order(line: Line, grades: Sequence[str]) -> tuple[object, ...]:
    return (grades.index(line[0]), *axes.class_order(line[1]))


def _spans(sizes: Sequence[int]) -> list[Span]:
    ends = np.cumsum(sizes).tolist()
    return [(end - size, end) for size, end in zip(sizes, ends, strict=True)]
