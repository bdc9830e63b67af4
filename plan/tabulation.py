"""From records to exact counts. Runs only inside a vault (and over synthetic pupils in the demo).

This is where the bounds of privacy.md are enforced, on the records and whatever the plan's author meant:

1. A pupil is one record: a repeated `rec_key` is refused.
2. The plan's consent policy is applied first; a grade that is not eligible is not counted at all.
3. In each table a pupil adds 1 to at most one cell, or, over a set-valued dimension, 1 to each of at most
   `touch` different cells: the first ones in cell order. In a table of sums a pupil adds a number from 0 to
   hi - lo to at most one cell, whatever stands in the record (`amount_of`).
4. A record that another codebook coded, or whose code the plan has no cell for, is refused, not left out.
5. A roster attribute is the school's, from its entry in the plan's roster, never a pupil's.

The counts are exact and never leave the vault; `scaled` is what noise is added to.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from operator import attrgetter
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from plan.attributes import own_codes
from plan.dimensions import code_of, codes_of, fields_of, number_of
from plan.errors import LayoutError, Problem, RecordError, phrase
from plan.layout import Layout, TableLayout
from plan.record import Record, apply_consent
from plan.scores import ScoreRange

Counts = NDArray[np.int64]

_NO_ATTRIBUTES: Mapping[str, str] = MappingProxyType({})


def tabulate(
    layout: Layout, records: Iterable[Record], attributes: Mapping[str, str] = _NO_ATTRIBUTES
) -> Counts:
    """Count records into the cells of a layout.

    Args:
        records: all pupils of one school and wave, in any order; the result does not depend on it.
        attributes: of the school's entry in the plan's roster; the plan may use some of them.

    Returns:
        Exact counts (in a table of sums the exact sums), shape (layout.cells,), int64, each 0 or more.

    Raises:
        RecordError: rules 1 and 4 of the module; names the field, never the value or the pupil.
        LayoutError: the school's value of an attribute is none that the plan lists.
    """
    own = own_codes(layout.scope.attributes, attributes)
    counters = [_Counter.of(table, own) for table in layout.tables]
    counts = np.zeros(layout.cells, dtype=np.int64)
    seen: set[bytes] = set()
    for record in records:
        if record.rec_key in seen:
            raise RecordError(
                Problem("rec_key", phrase("a pupil more than once"), phrase("one record a pupil"))
            )
        seen.add(record.rec_key)
        if record.grade not in layout.scope.grades:
            continue
        counted = apply_consent(record, layout.consent)
        _check_record(layout, counted)
        for counter in counters:
            counter.take(counted)
    for counter in counters:
        counter.add_to(counts)
    return counts


def scaled(layout: Layout, counts: Counts) -> Counts:
    """Return the counts multiplied by each table's scale: the x of protocol.md, before noise.

    Raises:
        LayoutError: not a vector of this layout.
    """
    check_vector(layout, counts)
    result = counts.copy()
    for table in layout.tables:
        result[table.offset : table.end] *= table.noise.scale
    return result


def check_vector(layout: Layout, counts: Counts) -> None:
    """Raise LayoutError unless a vector is int64 and has the layout's cells."""
    if counts.dtype != np.int64 or counts.shape != (layout.cells,):
        found = phrase("%(kind)s of shape %(shape)s", kind=str(counts.dtype), shape=str(counts.shape))
        raise LayoutError(Problem("counts", found, phrase("int64 of %(cells)s cells", cells=layout.cells)))


def _check_record(layout: Layout, record: Record) -> None:
    if record.system not in layout.scope.systems:
        allowed = phrase("one of %(names)s, as in the plan", names=", ".join(layout.scope.systems))
        raise RecordError(Problem("system", phrase("another school system"), allowed))
    if not record.is_tested:
        return
    instruments = layout.scope.instruments
    chosen = [item for item in instruments if item.accepts(record.instrument, record.codebook)]
    if not chosen:
        names = ", ".join(item.id for item in instruments)
        found = phrase("an instrument or a version of its codebook that the plan does not name")
        advice = phrase("import the file again with the plan's codebook")
        raise RecordError(Problem("codebook", found, phrase("%(names)s", names=names), advice))
    if not record.factors_high <= {name for name, _ in chosen[0].factors}:
        allowed = phrase("the factors that the plan names")
        raise RecordError(Problem("factors_high", phrase("a factor that the plan does not name"), allowed))


@dataclass(frozen=True, slots=True)
class _Counter:
    """One table while it is counted: for each dimension the offset of each code; `own` as in `own_codes`.

    Most pupils agree with many others in what one table asks, so alike ones are put together by `key_of`, and
    their cells found once (a quarter of the time for 10,000 pupils).
    """

    table: TableLayout
    own: Mapping[str, str]
    filters: Mapping[str, frozenset[str]]
    steps: tuple[tuple[str, Mapping[str, int]], ...]
    key_of: Callable[[Record], object]
    alike: dict[object, list[Record]]

    @classmethod
    def of(cls, table: TableLayout, own: Mapping[str, str]) -> "_Counter":
        filters = {name: frozenset(kept) for name, kept in table.where if name != table.multi}
        steps = []
        stride = table.cells
        for name, codes in zip(table.dims, table.codes, strict=True):
            stride //= len(codes)
            steps.append((name, {code: at * stride for at, code in enumerate(codes)}))
        names = {name for name in (*table.dims, *filters) if name not in own}
        used = {field for name in names for field in fields_of(name)} | {"instrument"}
        used |= {table.sum} if table.range is not None else set()
        return cls(table, own, filters, tuple(steps), attrgetter(*sorted(used)), defaultdict(list))

    def take(self, record: Record) -> None:
        """Put a record beside those that this table counts alike."""
        self.alike[self.key_of(record)].append(record)

    def add_to(self, counts: Counts) -> None:
        """Add all records that were taken."""
        for records in self.alike.values():
            amount = self.amount_of(records[0]) * len(records)
            for cell in self.cells_of(records[0]):
                counts[cell] += amount

    def amount_of(self, record: Record) -> int:
        """Return what a record adds to its cells: 1, or in a table of sums 0 to hi - lo."""
        if self.table.range is None:
            return 1
        value = number_of(record, self.table.sum)
        low, high = self.table.range
        return 0 if value is None else min(max(_rounded(value), low), high) - low

    def cells_of(self, record: Record) -> list[int]:
        """Return the different cells, in order, that a record adds to; at most `touch`."""
        instrument = self.table.instrument
        if instrument is not None and record.instrument != instrument.id:
            return []
        if any(self._single(record, name) not in kept for name, kept in self.filters.items()):
            return []
        base = self.table.offset
        spread: list[int] = [0]
        for name, steps in self.steps:
            if name == self.table.multi:
                found = codes_of(record, name)
                spread = [step for code, step in steps.items() if code in found]
                continue
            code = self._code_of(record, name)
            if code is None:
                return []
            if code not in steps:
                found_code = phrase("a code that the plan has no cell for")
                raise RecordError(
                    Problem(name, found_code, phrase("the codes of table %(id)s", id=self.table.id))
                )
            base += steps[code]
        return [base + step for step in spread[: self.table.touch]]

    def _code_of(self, record: Record, name: str) -> str | None:
        """Return the record's code; None for a band without a score (then the identities do not hold)."""
        if name != "band":
            return self._single(record, name)
        if self.table.instrument is None or record.total is None:
            return None
        return _band_of(self.table.instrument.total, record)

    def _single(self, record: Record, name: str) -> str:
        return self.own[name] if name in self.own else code_of(record, name)


def _rounded(value: Decimal) -> int:
    """Round half up, that is towards the higher number also below zero."""
    return int((value + Decimal("0.5")).to_integral_value(ROUND_FLOOR))


def _band_of(total: ScoreRange, record: Record) -> str:
    if record.total is None or not total.contains(record.total):
        found = phrase("a score outside of the instrument's range")
        raise RecordError(Problem("total", found, phrase("a score of the plan's range")))
    return str(total.band_of(record.total))
