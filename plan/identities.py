"""Identities between the tables of a plan: sums of cells that must be equal, or one not above the other.

They follow from the record's rules alone (`plan.populations`), so a vault checks its exact counts against
them before it masks, and the estimator uses the equalities on noisy ones:

1. Two groups of cells of two tables that count the same pupils have equal sums. The groups are the finest
   ones: fact by fact, parts of the two tables that share pupils belong together, and a group is valid only
   if neither table counts pupils there that the other does not. With 六三 and 五四 schools in one plan
   grade 6 is of two stages: primary and junior are then compared as one. A pair of tables is left out where
   an earlier table has the same groups with both: then its equalities follow.
2. A cell that no pupil can be in is 0.
3. Over a set-valued dimension each single code is at most the sum of the pupils it is about; so is a table
   of one instrument among several.

A table that sums a number of the record takes no part: its cells count nobody. A table of score bands wants a
score of every valid test; a file without scores is refused by rule 1, before anything is masked.

Spec: the tables of autumn-full: ΣA2 = ΣA3 = ΣA4 = ΣA5 = A1[1, 2], ΣA7 = A1[1], each A6 ≤ A2 of valid tests.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from typing import TypeAlias

import numpy as np

from plan.layout import Layout, TableLayout
from plan.populations import PLACE, Axis, Kind, Part, Populations, members
from plan.tabulation import Counts, check_vector
from privacy.least_squares import Equality


@dataclass(frozen=True, slots=True)
class Identity:
    """One identity: the sum over `left` equals, or is at most, the sum over `right`.

    Attributes:
        name: such as `A2 = A1 [grade 4]`; stable, holds no count.
        left, right: positions in the vector, ascending; without any on the right `left` is 0.
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
    """Return the identities of a plan's tables: the zeros, then each table with those before it."""
    pupils = Populations(layout)
    tables = [table for table in layout.tables if not table.sum]
    found = [identity for table in tables for identity in _zeros(table, pupils)]
    found += _all_equal([table for table in tables if not table.multi], pupils)
    for table, other in permutations(tables, 2):
        if not other.multi and (table.multi or table.instrument is not None):
            found += _at_most(table, other, pupils)
    return tuple(found)


def _all_equal(tables: Sequence[TableLayout], pupils: Populations) -> Iterator[Identity]:
    """Yield the equalities of every pair of tables that do not follow from those with an earlier one."""
    groups: dict[tuple[str, str], _Groups] = {}
    for place, later in enumerate(tables):
        for at, earlier in enumerate(tables[:place]):
            axes = _closed(later, earlier, pupils)
            groups[later.id, earlier.id] = mine = _groups_of(axes)
            pairs = ((groups[later.id, first.id], groups[earlier.id, first.id]) for first in tables[:at])
            if not any(_has(one, mine, pupils) and _has(other, mine, pupils) for one, other in pairs):
                yield from _equal(later, earlier, axes)


def equalities(layout: Layout) -> list[Equality]:
    """Return the equalities among a plan's identities, for `privacy.least_squares`."""
    return [(item.left, item.right) for item in identities(layout) if item.is_equality]


def _zeros(table: TableLayout, pupils: Populations) -> Iterator[Identity]:
    for index in pupils.zeros(table):
        place = ", ".join(f"{name} {code}" for name, code in table.keys(index).items())
        yield Identity(f"{table.id} = 0 [{place}]", (table.offset + index,), (), True)


def _closed(table: TableLayout, other: TableLayout, pupils: Populations) -> dict[str, list["_Meet"]]:
    """Return per fact the groups of parts of two tables that hold the same pupils."""
    return {
        fact: [meet for meet in _meets(table, other, fact, pupils) if meet.left_kinds == meet.right_kinds]
        for fact in _facts(table, other, pupils)
    }


_Groups: TypeAlias = Mapping[str, frozenset[frozenset[Kind]]]
"""Per fact the pupils of each group; a fact that neither table regards has one group, of everybody."""


def _groups_of(axes: Mapping[str, Sequence["_Meet"]]) -> _Groups:
    return {fact: frozenset(meet.left_kinds for meet in axis) for fact, axis in axes.items()}


def _has(wide: _Groups, narrow: _Groups, pupils: Populations) -> bool:
    """Say whether every group of `narrow` is one of `wide`."""
    for fact in wide.keys() | narrow.keys():
        whole = frozenset((pupils.everybody(fact),))
        if not narrow.get(fact, whole) <= wide.get(fact, whole):
            return False
    return True


def _equal(
    table: TableLayout, other: TableLayout, axes: Mapping[str, Sequence["_Meet"]]
) -> Iterator[Identity]:
    """Yield the groups of cells of two tables that count the same pupils."""
    for meets in product(*axes.values()):
        left = _cells(table, [meet.left for meet in meets])
        right = _cells(other, [meet.right for meet in meets])
        yield Identity(_name(f"{table.id} = {other.id}", meets, [*axes.values()]), left, right, True)


def _at_most(table: TableLayout, other: TableLayout, pupils: Populations) -> Iterator[Identity]:
    """Yield for each code of a set-valued table, or for one instrument, the groups that cover its pupils."""
    axes = [
        [meet for meet in _meets(table, other, fact, pupils) if meet.left_kinds <= meet.right_kinds]
        for fact in _facts(table, other, pupils)
    ]
    for meets in product(*axes):
        if not table.multi and all(meet.left_kinds == meet.right_kinds for meet in meets):
            continue  # an equality
        right = _cells(other, [meet.right for meet in meets])
        for code, step in members(table).items():
            words = f"{table.multi} {code}" if table.multi else ""
            left = tuple(cell + step for cell in _cells(table, [meet.left for meet in meets]))
            yield Identity(_name(f"{table.id} <= {other.id}", meets, axes, words), left, right, False)


@dataclass(frozen=True, slots=True)
class _Meet:
    """Parts of two tables, of one fact, that belong together, and what to call them.

    Attributes:
        left, right: the parts of each table.
        words: such as `stage junior`.
        rank: place of the words in a name.
    """

    left: tuple[Part, ...]
    right: tuple[Part, ...]
    words: str
    rank: int

    @property
    def left_kinds(self) -> frozenset[Kind]:
        """The pupils of the left side."""
        return frozenset().union(*(part.kinds for part in self.left))

    @property
    def right_kinds(self) -> frozenset[Kind]:
        """The pupils of the right side."""
        return frozenset().union(*(part.kinds for part in self.right))


def _facts(table: TableLayout, other: TableLayout, pupils: Populations) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*pupils.facts(table), *pupils.facts(other))))


def _meets(table: TableLayout, other: TableLayout, fact: str, pupils: Populations) -> list[_Meet]:
    """Return the finest groups of parts of two tables that share no pupils, where the left one has any.

    They are called in the words of the table that tells the fact more coarsely, of the left one if both tell
    it alike.
    """
    left, right = pupils.axis(table, fact), pupils.axis(other, fact)
    groups = _together(
        [part for part in left.parts if part.kinds], [part for part in right.parts if part.kinds]
    )
    shared = [group for group in groups if group[1]]
    of_right = sum(len(group[1]) for group in shared) < sum(len(group[0]) for group in shared)
    axis = right if of_right else left
    rank = 1 if fact == PLACE else 2 if "disposition" in axis.dims else 0
    return [
        _Meet(tuple(group[0]), tuple(group[1]), _words(axis, group[1 if of_right else 0]), rank)
        for group in groups
    ]


def _together(left: Sequence[Part], right: Sequence[Part]) -> list[tuple[list[Part], list[Part]]]:
    """Join parts that share kinds, until no two groups share any; groups without a left part are left out."""
    where = {kind: at for at, part in enumerate(right) for kind in part.kinds}
    near = [sorted({where[kind] for kind in part.kinds if kind in where}) for part in left]
    group_of = list(range(len(right)))  # of each right part: the first right part of its group
    for places in near:
        joined = {group_of[at] for at in places}
        if len(joined) > 1:
            group_of = [min(joined) if group in joined else group for group in group_of]
    groups: dict[int, tuple[list[Part], list[Part]]] = {}
    for at, (part, places) in enumerate(zip(left, near, strict=True)):
        key = group_of[places[0]] if places else len(right) + at
        groups.setdefault(key, ([], []))[0].append(part)
    for at, part in enumerate(right):
        if group_of[at] in groups:
            groups[group_of[at]][1].append(part)
    return list(groups.values())


def _words(axis: Axis, parts: Sequence[Part]) -> str:
    return "/".join(axis.dims) + " " + "+".join("/".join(part.codes) for part in parts)


def _cells(table: TableLayout, axes: Sequence[tuple[Part, ...]]) -> tuple[int, ...]:
    return tuple(sorted(table.offset + sum(part.step for part in parts) for parts in product(*axes)))


def _name(pair: str, meets: Sequence[_Meet], axes: Sequence[Sequence[_Meet]], member: str = "") -> str:
    """Name the group: what is told apart, place and disposition last; a fact with one group says nothing."""
    told = sorted(
        (meet for meet, axis in zip(meets, axes, strict=True) if len(axis) > 1), key=lambda meet: meet.rank
    )
    words = ", ".join(text for text in (*(meet.words for meet in told), member) if text)
    return f"{pair} [{words}]" if words else pair
