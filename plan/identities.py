"""Identities between the tables of a plan: sums of cells that must be equal, or one not above the other.

They follow from the record's rules alone, so a vault checks its exact counts against them before it masks,
and the estimator may use them on noisy ones:

1. Two tables over the same pupils have equal sums, for each grade or stage where both have it.
2. A table over the dispositions D equals the part of a table with a disposition column that lies in D. In a
   table of the tested (1 and 2) the levels 0 to 3 are the valid tests and 9 is the invalid ones.
3. Over a set-valued dimension each single code is at most the sum of those pupils; so is a table of one
   instrument among several.

With 六三 and 五四 schools in one plan grade 6 is of two stages: primary and junior are then compared as one.

Spec: the tables of autumn-full: ΣA2 = ΣA3 = ΣA4 = ΣA5 = A1[1, 2], ΣA7 = A1[1], each A6 ≤ A2 of valid tests.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from plan.codes import DISPOSITION, STAGE, TESTED, UNKNOWN, VALID, stage_of
from plan.dimensions import DIMENSIONS
from plan.layout import Layout, TableLayout
from plan.table_spec import Scope
from plan.tabulation import Counts, check_vector

_PLACES = ("grade", "stage")


@dataclass(frozen=True, slots=True)
class Identity:
    """One identity: the sum over `left` equals, or is at most, the sum over `right`.

    Attributes:
        name: such as `A2 = A1 [grade 4]`; stable, holds no count.
        left, right: positions in the vector, ascending.
        is_equality: else left ≤ right.
    """

    name: str
    left: tuple[int, ...]
    right: tuple[int, ...]
    is_equality: bool


def violated(layout: Layout, counts: Counts) -> tuple[str, ...]:
    """Return the names of the identities that exact counts break; empty when all hold.

    Args:
        counts: unscaled exact counts of one school, shape (layout.cells,), int64.

    Raises:
        LayoutError: not a vector of this layout.
    """
    check_vector(layout, counts)
    broken = []
    for identity in identities(layout):
        left, right = (int(np.sum(counts[list(side)])) for side in (identity.left, identity.right))
        if left > right or (identity.is_equality and left != right):
            broken.append(identity.name)
    return tuple(broken)


def identities(layout: Layout) -> tuple[Identity, ...]:
    """Return the identities of a plan's tables: each table against every one that determines its sums."""
    classes = _stage_classes(layout.scope)
    found: list[Identity] = []
    for table in layout.tables:
        for other in layout.tables:
            if other is not table and _is_determined(table, other):
                found += _compare(table, other, classes, layout)
    return tuple(found)


def _people(table: TableLayout) -> frozenset[str] | None:
    """Return the dispositions whose pupils a table counts; None when it filters by more than that."""
    kept = dict(table.where)
    others = kept.keys() - {"disposition", table.multi}
    if others or set(kept) & {table.multi}:
        return None
    return frozenset(kept.get("disposition", DISPOSITION))


def _is_determined(table: TableLayout, other: TableLayout) -> bool:
    """Say whether a part of `other` counts exactly the pupils of `table`."""
    mine, theirs = _people(table), _people(other)
    if mine is None or theirs is None or other.multi or other.instrument is not None:
        return False
    if mine == theirs:  # the later one of two equals follows from the earlier one
        return other.offset < table.offset or bool(table.multi)
    if "disposition" in other.dims:
        return mine < theirs
    return "level" in other.dims and theirs == set(TESTED) and mine in ({VALID}, {"2"})


def _compare(
    table: TableLayout, other: TableLayout, classes: Mapping[str, str], layout: Layout
) -> Iterator[Identity]:
    """Yield the identities of one table with the one that determines it."""
    mine = _people(table) or frozenset()
    by_place = all(any(name in item.dims for name in _PLACES) for item in (table, other))
    shared = [
        name
        for name in table.dims
        if name in other.dims and not DIMENSIONS[name].is_set and name not in (*_PLACES, "disposition")
    ]
    key_of = _KeyOf(
        shared=tuple(shared),
        by_place=by_place,
        by_grade=by_place and "grade" in table.dims and "grade" in other.dims,
        by_validity=mine == set(TESTED) and "level" not in shared and _tells(table) and _tells(other),
        classes=classes,
    )
    left = _groups(table, key_of, frozenset(DISPOSITION), table.multi)
    right = _groups(other, key_of, mine, "")
    is_whole = table.instrument is None or len(layout.scope.instruments) == 1
    sign = "=" if is_whole and not table.multi else "<="
    for key, cells in left.items():
        *at, member = key
        place = ", ".join(text for text in (*at, member) if text)
        name = f"{table.id} {sign} {other.id}" + (f" [{place}]" if place else "")
        yield Identity(name, tuple(cells), tuple(right.get((*at, ""), [])), sign == "=")


def _tells(table: TableLayout) -> bool:
    """Say whether a cell of the table tells a valid test from an invalid one."""
    return "disposition" in table.dims or "level" in table.dims


def _validity_of(codes: Mapping[str, str]) -> str:
    """Return the disposition that a cell of the tested tells: 1 or 2."""
    return codes["disposition"] if "disposition" in codes else "2" if codes["level"] == UNKNOWN else VALID


@dataclass(frozen=True, slots=True)
class _KeyOf:
    """What two tables are compared by: shared dimensions, grade or stage, valid or not."""

    shared: tuple[str, ...]
    by_place: bool
    by_grade: bool
    by_validity: bool
    classes: Mapping[str, str]

    def __call__(self, codes: Mapping[str, str]) -> tuple[str, ...]:
        parts = [f"{name} {codes[name]}" for name in self.shared]
        if self.by_grade:
            parts.append(f"grade {codes['grade']}")
        elif self.by_place:
            parts.append(f"stage {self.classes[codes['stage'] if 'stage' in codes else codes['grade']]}")
        if self.by_validity:
            parts.append(f"disposition {_validity_of(codes)}")
        return tuple(parts)


def _groups(
    table: TableLayout, key_of: _KeyOf, people: frozenset[str], multi: str
) -> dict[tuple[str, ...], list[int]]:
    """Group a table's cells by what is compared; cells of other pupils than `people` are left out."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for index, values in enumerate(product(*table.codes)):
        codes = dict(zip(table.dims, values, strict=True))
        if _is_among(codes, table, people):
            key = (*key_of(codes), f"{multi} {codes[multi]}" if multi else "")
            groups.setdefault(key, []).append(table.offset + index)
    return groups


def _is_among(codes: Mapping[str, str], table: TableLayout, people: frozenset[str]) -> bool:
    """Say whether a cell counts pupils of these dispositions, as far as its codes tell."""
    if "disposition" in codes:
        return codes["disposition"] in people
    mine = _people(table) or frozenset()
    if mine <= people or "level" not in codes:
        return True
    return _validity_of(codes) in people


def _stage_classes(scope: Scope) -> dict[str, str]:
    """Map each grade and each stage to the stages that it must be compared with, joined by +."""
    joined = {stage: {stage} for stage in STAGE}
    for grade in scope.grades:
        stages = {stage_of(grade, system) for system in scope.systems}
        merged = set().union(*(joined[stage] for stage in stages))
        joined |= dict.fromkeys(merged, merged)
    names = {stage: "+".join(code for code in STAGE if code in members) for stage, members in joined.items()}
    return names | {grade: names[stage_of(grade, scope.systems[0])] for grade in scope.grades}
