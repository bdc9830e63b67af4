"""One table of a plan, and the rules that bind the tables of a plan together.

1. Cells are the product of the dimensions' codes in the order of `dims`; the last one runs fastest.
2. `where` keeps the pupils whose code is listed. On a dimension of the table itself it leaves out cells, too;
   on a set-valued one it only leaves out cells.
3. At most one set-valued dimension, named in `multi`; a pupil then adds 1 to at most `touch` cells, else 1.
4. `band` and `factor` belong to one instrument; `instrument` also restricts any other table to its pupils.
5. The self-harm items (`critical`) are counted only where the plan says so.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Final

from crypto.canonical import JsonInput
from plan.codes import Codes, stage_of
from plan.dimensions import DIMENSIONS
from plan.errors import DocumentError, Phrase, Problem, phrase, raise_if
from plan.instrument import Instrument
from plan.reading import ID_PATTERN, Section, describe, encode_rational, nearest, read_codes, shown_key

TABLE_KEYS: Final = ("id", "title", "dims", "where", "multi", "touch", "weight", "instrument", "reason")
TABLE_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}\Z", re.ASCII)
MAX_DIMS: Final = 6
MAX_TOUCH: Final = 64
MAX_WEIGHT: Final = Fraction(1000)
MAX_TABLES: Final = 48
MAX_CELLS: Final = 100_000
MAX_TITLE_CHARS: Final = 60
MAX_REASON_CHARS: Final = 300

Where = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSpec:
    """One table.

    Attributes:
        id: in results and file names; letters, digits, - and _.
        dims: names of dimensions, outermost first.
        where: pairs of a dimension and the codes kept, ascending by name, codes in the set's order.
        multi: the set-valued dimension among `dims`, or "".
        touch: most cells of this table that one pupil adds to (the cap).
        weight: the table's share of rho is weight over the sum of all weights.
        instrument: id of the instrument it counts; "" is the plan's only one, or all.
        reason: why the table is wanted although few of its cells will be displayable; "" when not needed.

    Raises:
        DocumentError: rules 1 to 3 of the module.
    """

    id: str
    title: str
    dims: tuple[str, ...]
    where: Where = ()
    multi: str = ""
    touch: int = 1
    weight: Fraction = Fraction(1)
    instrument: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        raise_if(DocumentError, _table_problems(self))

    @property
    def kept(self) -> dict[str, tuple[str, ...]]:
        """The `where` as a mapping."""
        return dict(self.where)

    @property
    def names(self) -> frozenset[str]:
        """All dimensions that the table reads, counted or filtered by."""
        return frozenset((*self.dims, *(name for name, _ in self.where)))

    @property
    def is_scored(self) -> bool:
        """Whether its cells depend on an instrument."""
        return any(DIMENSIONS[name].is_scored for name in self.names)


def _table_problems(table: TableSpec) -> Iterator[Problem]:
    path = f"tables.{table.id[:40]}."
    if not TABLE_PATTERN.match(table.id):
        yield Problem("tables.id", phrase("another form"), phrase("letters, digits, - and _, at most 32"))
    if not 1 <= len(table.dims) <= MAX_DIMS or len(set(table.dims)) != len(table.dims):
        yield Problem(
            path + "dims",
            phrase("%(size)s names", size=len(table.dims)),
            phrase("1 to %(most)s different dimensions", most=MAX_DIMS),
        )
    unknown = sorted(table.names - DIMENSIONS.keys())
    for name in unknown:
        allowed = phrase("the dimensions %(names)s", names=", ".join(DIMENSIONS))
        yield Problem(path + "dims", describe(name), allowed, nearest(name, DIMENSIONS))
    if unknown:
        return
    yield from _multi_problems(table, path)
    for name, kept in table.where:
        known = tuple(DIMENSIONS[name].codes)
        is_listed = kept == tuple(code for code in known if code in kept) and kept
        if DIMENSIONS[name].is_scored or (DIMENSIONS[name].is_set and name not in table.dims):
            allowed = phrase("a single-valued dimension, or a set-valued one of this table")
            yield Problem(f"{path}where.{name}", phrase("another dimension"), allowed)
        elif not is_listed:
            allowed = phrase("codes out of %(codes)s, in this order", codes=", ".join(known))
            yield Problem(f"{path}where.{name}", phrase("other codes"), allowed)
    if table.where != tuple(sorted(dict(table.where).items())):
        yield Problem(path + "where", phrase("names out of order"), phrase("ascending, different names"))
    if not 0 < table.weight <= MAX_WEIGHT:
        allowed = phrase("above 0, at most %(most)s", most=str(MAX_WEIGHT))
        yield Problem(path + "weight", phrase("another number"), allowed)


def _multi_problems(table: TableSpec, path: str) -> Iterator[Problem]:
    sets = [name for name in table.dims if DIMENSIONS[name].is_set]
    if len(sets) > 1:
        found, most = phrase("%(names)s", names=", ".join(sets)), phrase("at most one set-valued dimension")
        yield Problem(path + "dims", found, most)
    elif table.multi != (sets[0] if sets else ""):
        found = phrase("'%(name)s'", name=table.multi[:40])
        if sets:
            allowed = phrase("'%(name)s', because a pupil can have several of its codes", name=sets[0])
        else:
            allowed = phrase("nothing: no dimension of the table is set-valued")
        yield Problem(path + "multi", found, allowed)
    most_touched = MAX_TOUCH if sets else 1
    if type(table.touch) is not int or not 1 <= table.touch <= most_touched:
        found = phrase("%(touch)s", touch=str(table.touch)[:20])
        yield Problem(path + "touch", found, phrase("1 to %(most)s", most=most_touched))


@dataclass(frozen=True, slots=True)
class Scope:
    """What the codes of a plan's tables depend on besides the tables.

    Attributes:
        grades: eligible grades, in order.
        systems: school systems that occur.
        instruments: allowed instruments.
        has_critical_items: whether the self-harm items may be counted.
    """

    grades: tuple[str, ...]
    systems: tuple[str, ...]
    instruments: tuple[Instrument, ...]
    has_critical_items: bool

    def instrument_for(self, table: TableSpec) -> Instrument | None:
        """Return the instrument that a table counts, or None when it counts all of them."""
        if not table.instrument:
            return self.instruments[0] if len(self.instruments) == 1 else None
        return next((item for item in self.instruments if item.id == table.instrument), None)

    def codes_for(self, table: TableSpec, name: str) -> Codes:
        """Return the codes (with zh labels) that a dimension has as cells of a table, in order."""
        codes = self._all_codes(table, name)
        kept = table.kept.get(name, tuple(codes))
        return {code: label for code, label in codes.items() if code in kept}

    def _all_codes(self, table: TableSpec, name: str) -> Codes:
        codes = DIMENSIONS[name].codes
        if name == "grade":
            return {grade: codes[grade] for grade in self.grades}
        if name == "stage":
            stages = {stage_of(grade, system) for grade in self.grades for system in self.systems}
            return {stage: label for stage, label in codes.items() if stage in stages}
        if name == "factor":
            instrument = self.instrument_for(table)
            return dict(instrument.factors) if instrument else {}
        return codes

    def cells_of(self, table: TableSpec) -> int:
        """Return the number of cells of a table."""
        return prod(len(self.codes_for(table, name)) for name in table.dims)


def tables_problems(tables: Sequence[TableSpec], scope: Scope) -> Iterator[Problem]:
    """Yield what is wrong with a plan's tables together and with its scope."""
    names = [table.id.casefold() for table in tables]
    for table in tables:
        path = f"tables.{table.id}."
        if names.count(table.id.casefold()) > 1:
            yield Problem(path + "id", phrase("the id more than once"), phrase("different ids (case apart)"))
        if "critical" in table.names and not scope.has_critical_items:
            advice = phrase('a person decides that: critical_items = "counted"')
            found = phrase("the self-harm items")
            yield Problem(path + "dims", found, phrase("dimensions without 'critical'"), advice)
        yield from _scope_problems(table, scope, path)
    cells = sum(scope.cells_of(table) for table in tables)
    if not 1 <= len(tables) <= MAX_TABLES or cells > MAX_CELLS:
        found = phrase("%(tables)s tables with %(cells)s cells", tables=len(tables), cells=cells)
        allowed = phrase(
            "1 to %(tables)s tables, at most %(cells)s cells", tables=MAX_TABLES, cells=MAX_CELLS
        )
        yield Problem("tables", found, allowed)


def _scope_problems(table: TableSpec, scope: Scope, path: str) -> Iterator[Problem]:
    instrument = scope.instrument_for(table)
    known = ", ".join(item.id for item in scope.instruments)
    if instrument is None and (table.is_scored or table.instrument):
        found = phrase("'%(name)s'", name=table.instrument)
        advice = None if table.instrument else phrase("scores of different instruments do not add up")
        yield Problem(path + "instrument", found, phrase("one of %(names)s", names=known), advice)
        return
    for name in table.dims:
        codes = scope.codes_for(table, name)
        kept = table.kept.get(name, ())
        if not codes or any(code not in codes for code in kept):
            found = phrase("codes that this plan does not have")
            allowed = phrase("codes out of %(codes)s", codes=", ".join(codes) or "—")
            yield Problem(f"{path}where.{name}" if kept else path + "dims", found, allowed)
    most = len(scope.codes_for(table, table.multi)) if table.multi else 1
    if table.multi and table.touch > most:
        found = phrase("%(touch)s", touch=table.touch)
        allowed = phrase("at most %(most)s, the codes of '%(name)s'", most=most, name=table.multi)
        yield Problem(path + "touch", found, allowed)


def table_json(table: TableSpec) -> dict[str, JsonInput]:
    """Return the value that stands in a plan's body; every key is written."""
    return {
        "id": table.id,
        "title": table.title,
        "dims": list(table.dims),
        "where": {name: list(kept) for name, kept in table.where},
        "multi": table.multi,
        "touch": table.touch,
        "weight": encode_rational(table.weight),
        "instrument": table.instrument,
        "reason": table.reason,
    }


def read_table(section: Section) -> TableSpec | None:
    """Read one table; None after a problem was noted."""
    name = section.word("id", TABLE_PATTERN, phrase("letters, digits, - and _, at most 32"))
    title = section.text("title", MAX_TITLE_CHARS)
    no_names: tuple[str, ...] = ()
    dims = section.take("dims", _read_names, _DIMS_ALLOWED, no_names)
    where = _read_where(section)
    multi = section.word("multi", ID_PATTERN, phrase("the set-valued dimension, or nothing"), default="")
    touch = section.integer("touch", 1, MAX_TOUCH, default=1)
    weight = section.rational("weight", Fraction(0), MAX_WEIGHT, default=Fraction(1))
    instrument = section.word("instrument", ID_PATTERN, phrase("an instrument's id"), default="")
    reason = section.text("reason", MAX_REASON_CHARS, default="", least=0)
    if section.has_problems:
        return None
    try:
        return TableSpec(
            id=name,
            title=title,
            dims=dims,
            where=where,
            multi=multi,
            touch=touch,
            weight=weight,
            instrument=instrument,
            reason=reason,
        )
    except DocumentError as err:
        section.add("id", *err.problems)
        return None


_DIMS_ALLOWED: Phrase = phrase(
    "a list of 1 to %(most)s names out of %(names)s", most=MAX_DIMS, names=", ".join(DIMENSIONS)
)


def _read_names(value: object) -> tuple[str, ...] | None:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_DIMS:
        return None
    return tuple(value) if all(isinstance(name, str) for name in value) else None


def _read_where(section: Section) -> Where:
    values: Mapping[str, object] = section.table("where") if section.has("where") else {}
    where = []
    for name, value in sorted(values.items()):
        path = f"{section.path}where.{shown_key(name)}"
        if name not in DIMENSIONS or DIMENSIONS[name].is_scored:
            known = [item.name for item in DIMENSIONS.values() if not item.is_scored]
            allowed = phrase("the dimensions %(names)s", names=", ".join(known))
            section.add("where", Problem(path, phrase("an unknown key"), allowed, nearest(name, known)))
            continue
        codes = read_codes(value, tuple(DIMENSIONS[name].codes))
        if codes is None:
            allowed = phrase("a list of codes out of %(codes)s", codes=", ".join(DIMENSIONS[name].codes))
            section.add("where", Problem(path, describe(value), allowed))
            continue
        where.append((name, codes))
    return tuple(where)
