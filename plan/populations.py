"""Which pupils a cell counts: the semantics of a plan's tables, from the record's rules alone.

A pupil is described by independent facts; each fact is one of finitely many kinds, and every valid record is
of exactly one kind of each fact:

1. `place`: a grade and a school system. They determine grade and stage.
2. `test`: a disposition, a level and an instrument that go together. A valid test (1) has a level 0 to 3,
   every other disposition has level 9; tested pupils have one of the plan's instruments, the others none.
   They determine disposition, level and alert.
3. every other single-valued dimension or roster attribute: its own code.

Without regard to a set-valued dimension, a cell counts the pupils of some kinds of each fact, and the cells
of a table are the products of one part of each fact (`Axis`). So two groups of cells can be compared
exactly: they count the same pupils of every possible record set if their kinds agree fact by fact. A cell
without any kind is a structural zero. Ties between facts that rules 1 to 3 leave out (a pupil without
consent has no follow-up) can only make identities be missed, never make a false one.

A table of score bands counts the valid tests of its instrument. A valid record without a score is in none of
its cells; a plan with such a table wants a score of everybody, and the vault refuses otherwise
(`plan.identities`).
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final, TypeAlias

from plan.codes import DISPOSITION, LEVEL, TESTED, UNKNOWN, VALID, stage_of
from plan.layout import Layout, TableLayout

Kind: TypeAlias = tuple[str, ...]
Selection: TypeAlias = Mapping[str, Collection[str]]
"""Per dimension the codes of the pupils meant; dimensions that are not named are summed over."""

PLACE: Final = "PLACE"
TEST: Final = "TEST"  # in capitals, because no dimension and no roster attribute can be called so
INSTRUMENT: Final = "INSTRUMENT"  # of the test; in selections only, no table has it as a dimension
_FACTS: Final = {
    "grade": PLACE,
    "stage": PLACE,
    "disposition": TEST,
    "level": TEST,
    "alert": TEST,
    INSTRUMENT: TEST,
}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an axis: the cells with these codes.

    Attributes:
        codes: of the axis's dimensions.
        step: what the part adds to the position of a cell within its table.
        kinds: of the pupils counted there; empty for codes that do not go together.
    """

    codes: tuple[str, ...]
    step: int
    kinds: frozenset[Kind]


@dataclass(frozen=True, slots=True)
class Axis:
    """The dimensions of a table that tell one fact; without any, one part: whom `where` keeps."""

    dims: tuple[str, ...]
    parts: tuple[Part, ...]


def fact_of(dimension: str) -> str:
    """Return the fact that a dimension tells."""
    return _FACTS.get(dimension, dimension)


def members(table: TableLayout) -> Mapping[str, int]:
    """Return what each code of the set-valued dimension adds to a cell's position; {"": 0} without one."""
    return _steps(table)[table.multi] if table.multi else {"": 0}


class Populations:
    """The pupils behind the cells of a layout."""

    def __init__(self, layout: Layout) -> None:
        """Work out the kinds of every fact and the axes of every table."""
        self.layout = layout
        self._kinds = {
            PLACE: frozenset(product(layout.scope.grades, layout.scope.systems)),
            TEST: frozenset(_test_kinds([item.id for item in layout.scope.instruments])),
        }
        for name in sorted({fact for table in layout.tables for fact in _facts(table)} - self._kinds.keys()):
            self._kinds[name] = frozenset((code,) for code in layout.scope.dimension(name).codes)
        self._axes = {table.id: self._axes_of(table) for table in layout.tables}

    def axis(self, table: TableLayout, fact: str) -> Axis:
        """Return a table's axis of a fact; every pupil in one part if the table does not regard it."""
        known = self._axes[table.id].get(fact)
        return known or Axis((), (Part((), 0, self._kinds[fact]),))

    def everybody(self, fact: str) -> frozenset[Kind]:
        """Return all kinds of a fact."""
        return self._kinds[fact]

    def facts(self, table: TableLayout) -> tuple[str, ...]:
        """Return the facts that a table regards, in the order of its dimensions, then of its filters."""
        return tuple(self._axes[table.id])

    def zeros(self, table: TableLayout) -> Iterator[int]:
        """Yield the cells, by position within the table, that no pupil can be in."""
        axes = self._axes[table.id].values()
        if all(part.kinds for axis in axes for part in axis.parts):
            return
        for parts in product(*(axis.parts for axis in axes)):
            if not all(part.kinds for part in parts):
                base = sum(part.step for part in parts)
                yield from (base + step for step in members(table).values())

    def cells(self, table: TableLayout, selection: Selection) -> tuple[int, ...]:
        """Return the cells, by position within the table, that hold exactly the pupils of a selection.

        Returns:
            Ascending; empty if no sum of the table's cells counts them. Of a set-valued dimension exactly
            one code must be selected, since a pupil may have several.
        """
        chosen = dict(selection)
        multi = tuple(chosen.pop(table.multi, ())) if table.multi else ()
        if not self._is_known(chosen) or bool(table.multi) is not (len(multi) == 1):
            return ()
        facts = dict.fromkeys(map(fact_of, chosen))
        return self.counting(table, {fact: self._wanted(fact, chosen) for fact in facts}, *multi)

    def counting(
        self, table: TableLayout, pupils: Mapping[str, frozenset[Kind]], multi: str = ""
    ) -> tuple[int, ...]:
        """Return the cells of a table that hold exactly some pupils; as `cells`.

        Args:
            pupils: for each fact that tells them from others, their kinds.
            multi: of a set-valued dimension the code that they have besides.
        """
        places = [[step for code, step in members(table).items() if code == multi]]
        for fact in dict.fromkeys((*self._axes[table.id], *pupils)):
            wanted = pupils.get(fact, self._kinds[fact])
            kept = [part for part in self.axis(table, fact).parts if part.kinds and part.kinds <= wanted]
            if not wanted or sum(len(part.kinds) for part in kept) != len(wanted):
                return ()
            places.append([part.step for part in kept])
        return tuple(sorted(sum(steps) for steps in product(*places)))

    def behind(self, table: TableLayout, selection: Selection) -> dict[str, frozenset[Kind]]:
        """Return the pupils behind selected cells of a table without set-valued dimension, for `counting`."""
        found = {}
        for fact, axis in self._axes[table.id].items():
            kept = [
                part.kinds
                for part in axis.parts
                if all(
                    code in selection.get(name, (code,))
                    for name, code in zip(axis.dims, part.codes, strict=True)
                )
            ]
            found[fact] = frozenset().union(*kept)
        return found

    def _is_known(self, selection: Selection) -> bool:
        return all(fact_of(name) in self._kinds for name in selection)

    def _wanted(self, fact: str, selection: Selection) -> frozenset[Kind]:
        named = [(name, codes) for name, codes in selection.items() if fact_of(name) == fact]
        return frozenset(
            kind for kind in self._kinds[fact] if all(_code(kind, name) in codes for name, codes in named)
        )

    def _axes_of(self, table: TableLayout) -> dict[str, Axis]:
        steps = _steps(table)
        axes = {}
        for fact in _facts(table):
            dims = tuple(name for name in table.dims if fact_of(name) == fact and name != table.multi)
            kinds: dict[tuple[str, ...], set[Kind]] = {}
            for kind in self._kinds[fact]:
                if _is_kept(kind, fact, table):
                    kinds.setdefault(tuple(_code(kind, name) for name in dims), set()).add(kind)
            parts = []
            for places in product(*(steps[name].items() for name in dims)):
                codes = tuple(code for code, _ in places)
                step = sum(step for _, step in places)
                parts.append(Part(codes, step, frozenset(kinds.get(codes, ()))))
            axes[fact] = Axis(dims, tuple(parts))
        return axes


def _test_kinds(instruments: Collection[str]) -> Iterator[Kind]:
    """Yield the dispositions, levels and instruments that go together."""
    for disposition in DISPOSITION:
        levels = [level for level in LEVEL if (level == UNKNOWN) is not (disposition == VALID)]
        used = instruments if disposition in TESTED else ("",)
        yield from product((disposition,), levels, used)


def _code(kind: Kind, dimension: str) -> str:
    """Return the code that pupils of a kind have in a dimension that tells its fact."""
    match dimension:
        case "stage":
            return stage_of(kind[0], kind[1])
        case "level":
            return kind[1]
        case "alert":
            return UNKNOWN if kind[1] == UNKNOWN else "high" if kind[1] in ("2", "3") else "low"
        case "INSTRUMENT":
            return kind[2]
    return kind[0]


def _facts(table: TableLayout) -> tuple[str, ...]:
    names = [name for name in (*table.dims, *(name for name, _ in table.where)) if name != table.multi]
    if table.instrument is not None:
        names.append(TEST)
    return tuple(dict.fromkeys(map(fact_of, names)))


def _is_kept(kind: Kind, fact: str, table: TableLayout) -> bool:
    """Say whether the table's filters and its instrument keep the pupils of a kind."""
    if fact == TEST and table.instrument is not None:
        is_scored = "band" in table.dims or table.sum == "total"  # only a valid test has a score
        if kind[2] != table.instrument.id or (is_scored and kind[0] != VALID):
            return False
    return all(
        _code(kind, name) in kept
        for name, kept in table.where
        if fact_of(name) == fact and name != table.multi
    )


def _steps(table: TableLayout) -> dict[str, dict[str, int]]:
    """Return for each dimension what each of its codes adds to the position of a cell within the table."""
    steps = {}
    stride = table.cells
    for name, codes in zip(table.dims, table.codes, strict=True):
        stride //= len(codes)
        steps[name] = {code: at * stride for at, code in enumerate(codes)}
    return steps
