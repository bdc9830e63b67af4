"""One table of a plan, and the rules that bind the tables of a plan together.

1. Cells are the product of the dimensions' codes in the order of `dims`; the last one runs fastest.
2. `where` keeps the pupils whose code is listed. On a dimension of the table itself it leaves out cells, too;
   on a set-valued one it only leaves out cells.
3. At most one set-valued dimension, named in `multi`; a pupil then adds 1 to at most `touch` cells, else 1.
4. `band` and `factor` belong to one instrument; `instrument` also restricts any other table to its pupils.
5. The self-harm items (`critical`) are counted only where the plan says so.
6. With `sum` a cell is no count: each pupil adds clamp(v) - lo to the one cell of its codes, v being a number
   of the record rounded half up and clamped to `range` = (lo, hi); a missing one adds 0. Over a set-valued
   dimension that is not allowed: one pupil would add its number several times.
7. A name of the plan's `[attributes]` is a dimension too; its code is the school's own (`plan.attributes`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Final

from crypto.canonical import JsonInput
from plan.attributes import TITLES, Attributes
from plan.codes import Codes, stage_of
from plan.dimensions import DIMENSIONS, NUMBERS, SCORED_NUMBERS, Dimension
from plan.errors import DocumentError, Phrase, Problem, phrase, raise_if
from plan.instrument import Instrument
from plan.reading import ID_PATTERN, Section, describe, encode_rational, nearest, read_codes, shown_key
from privacy.sensitivity import MAX_RANGE

TABLE_KEYS: Final = (
    *("id", "title", "dims", "where", "multi", "touch", "weight", "instrument", "reason"),
    *("sum", "range"),
)
TABLE_PATTERN: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}\Z", re.ASCII)
MAX_DIMS: Final = 6
MAX_TOUCH: Final = 64
MAX_WEIGHT: Final = Fraction(1000)
MAX_TABLES: Final = 48
MAX_CELLS: Final = 100_000
MAX_TITLE_CHARS: Final = 60
MAX_REASON_CHARS: Final = 300

Where = tuple[tuple[str, tuple[str, ...]], ...]
Range = tuple[int, int]


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
        sum: the number of the record that its cells add up, a key of `NUMBERS`; "" where they count pupils.
        range: the clamp (lo, hi) of a sum; None for counts.
        attributes: names among its dimensions and filters that are attributes of the plan, ascending.

    Raises:
        DocumentError: rules 1 to 3 and 6 of the module.
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
    sum: str = ""
    range: Range | None = None
    attributes: tuple[str, ...] = ()

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
        dims = (DIMENSIONS[name] for name in self.names if name in DIMENSIONS)
        return self.sum in SCORED_NUMBERS or any(item.is_scored for item in dims)


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
    unknown = sorted(table.names - DIMENSIONS.keys() - set(table.attributes))
    for name in unknown:
        allowed = phrase("the dimensions %(names)s", names=", ".join(DIMENSIONS))
        yield Problem(path + "dims", describe(name), allowed, nearest(name, DIMENSIONS))
    if unknown:
        return
    if table.attributes != tuple(sorted(table.names - DIMENSIONS.keys())):
        allowed = phrase("the attributes that the table uses, ascending")
        yield Problem(path + "attributes", phrase("other names"), allowed)
        return
    yield from _multi_problems(table, path)
    yield from _sum_problems(table, path)
    yield from _where_problems(table, path)
    if not 0 < table.weight <= MAX_WEIGHT:
        allowed = phrase("above 0, at most %(most)s", most=str(MAX_WEIGHT))
        yield Problem(path + "weight", phrase("another number"), allowed)


def _where_problems(table: TableSpec, path: str) -> Iterator[Problem]:
    for name, kept in table.where:
        if name in table.attributes:
            continue  # its codes are the plan's: `tables_problems`
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


def _sum_problems(table: TableSpec, path: str) -> Iterator[Problem]:
    """Check rule 6."""
    if not table.sum:
        if table.range is not None:
            yield Problem(path + "range", phrase("a range"), phrase("nothing: the table counts pupils"))
        return
    if table.sum not in NUMBERS:
        allowed = phrase("one of %(names)s", names=", ".join(NUMBERS))
        yield Problem(path + "sum", describe(table.sum), allowed, nearest(table.sum, NUMBERS))
    if table.range is None or not is_range(table.range):
        yield Problem(path + "range", phrase("another range"), _RANGE_ALLOWED)
    if table.multi:
        found = phrase("a sum over '%(name)s'", name=table.multi)
        yield Problem(path + "sum", found, phrase("single-valued dimensions only"))


_RANGE_ALLOWED: Phrase = phrase(
    "the lowest and the highest whole number, such as [0, 90], at most %(most)s apart", most=MAX_RANGE
)


def is_range(value: Range) -> bool:
    """Say whether the clamp of a sum is two whole numbers, the lower one first, and not too wide."""
    if len(value) != 2 or any(type(end) is not int or abs(end) > MAX_RANGE for end in value):
        return False
    return 1 <= value[1] - value[0] <= MAX_RANGE


def _multi_problems(table: TableSpec, path: str) -> Iterator[Problem]:
    sets = [name for name in table.dims if name in DIMENSIONS and DIMENSIONS[name].is_set]
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
        attributes: roster attributes that tables may use, with their values.
    """

    grades: tuple[str, ...]
    systems: tuple[str, ...]
    instruments: tuple[Instrument, ...]
    has_critical_items: bool
    attributes: Attributes = ()

    def dimension(self, name: str) -> Dimension:
        """Return a dimension of the plan's tables, one of `DIMENSIONS` or a roster attribute.

        Raises:
            KeyError: neither; a valid plan has no such name.
        """
        if name in DIMENSIONS:
            return DIMENSIONS[name]
        return Dimension(name, TITLES.get(name, name), dict(dict(self.attributes)[name]))

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
        codes = self.dimension(name).codes
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
    known = {name for name, _ in scope.attributes}
    for table in tables:
        path = f"tables.{table.id}."
        strange = set(table.attributes) - known
        if strange:
            allowed = phrase("attributes that the plan lists under [attributes]")
            yield Problem(path + "dims", describe(min(strange)), allowed)
            return
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
    for name in dict.fromkeys((*table.dims, *table.attributes)):
        codes = scope.codes_for(table, name)
        kept = table.kept.get(name, ())
        if not codes or (kept and kept != tuple(codes)):
            found = phrase("codes that this plan does not have")
            allowed = phrase("codes out of %(codes)s", codes=", ".join(codes) or "—")
            yield Problem(f"{path}where.{name}" if kept else path + "dims", found, allowed)
    most = len(scope.codes_for(table, table.multi)) if table.multi else 1
    if table.multi and table.touch > most:
        found = phrase("%(touch)s", touch=table.touch)
        allowed = phrase("at most %(most)s, the codes of '%(name)s'", most=most, name=table.multi)
        yield Problem(path + "touch", found, allowed)


def table_json(table: TableSpec) -> dict[str, JsonInput]:
    """Return the value that stands in a plan's body; every key but those of a sum is written."""
    value: dict[str, JsonInput] = {
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
    return value | ({"sum": table.sum, "range": list(table.range)} if table.range else {})


def read_table(section: Section, attributes: Attributes = ()) -> TableSpec | None:
    """Read one table of a plan with these attributes; None after a problem was noted."""
    name = section.word("id", TABLE_PATTERN, phrase("letters, digits, - and _, at most 32"))
    title = section.text("title", MAX_TITLE_CHARS)
    no_names: tuple[str, ...] = ()
    dims = section.take("dims", _read_names, _DIMS_ALLOWED, no_names)
    where = _read_where(section, attributes)
    multi = section.word("multi", ID_PATTERN, phrase("the set-valued dimension, or nothing"), default="")
    touch = section.integer("touch", 1, MAX_TOUCH, default=1)
    weight = section.rational("weight", Fraction(0), MAX_WEIGHT, default=Fraction(1))
    instrument = section.word("instrument", ID_PATTERN, phrase("an instrument's id"), default="")
    reason = section.text("reason", MAX_REASON_CHARS, default="", least=0)
    summed = section.choice("sum", NUMBERS) if section.has("sum") else ""
    clamp = section.take("range", _read_range, _RANGE_ALLOWED, (0, 1)) if section.has("range") else None
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
            sum=summed,
            range=clamp,
            attributes=_attributes_among((*dims, *(name for name, _ in where)), attributes),
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


def _attributes_among(names: Iterable[str], attributes: Attributes) -> tuple[str, ...]:
    listed = {name for name, _ in attributes} - DIMENSIONS.keys()
    return tuple(sorted(listed.intersection(names)))


def _read_range(value: object) -> Range | None:
    if not isinstance(value, list) or len(value) != 2 or any(type(end) is not int for end in value):
        return None
    return (value[0], value[1]) if is_range((value[0], value[1])) else None


def _read_where(section: Section, attributes: Attributes) -> Where:
    of_plan = {name: tuple(code for code, _ in pairs) for name, pairs in attributes}
    values: Mapping[str, object] = section.table("where") if section.has("where") else {}
    where = []
    for name, value in sorted(values.items()):
        path = f"{section.path}where.{shown_key(name)}"
        if name not in of_plan and (name not in DIMENSIONS or DIMENSIONS[name].is_scored):
            known = [*(item.name for item in DIMENSIONS.values() if not item.is_scored), *of_plan]
            allowed = phrase("the dimensions %(names)s", names=", ".join(known))
            section.add("where", Problem(path, phrase("an unknown key"), allowed, nearest(name, known)))
            continue
        listed = of_plan[name] if name in of_plan else tuple(DIMENSIONS[name].codes)
        codes = read_codes(value, listed)
        if codes is None:
            allowed = phrase("a list of codes out of %(codes)s", codes=", ".join(listed))
            section.add("where", Problem(path, describe(value), allowed))
            continue
        where.append((name, codes))
    return tuple(where)
