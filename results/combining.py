"""Several releases together: a prefecture's total over its counties, the change from one round to the next.

1. A total adds the estimates of rounds of different schools: their noise is independent, the variances add. A
   round twice, or a school in two of the rounds, is refused.
2. A change subtracts two rounds of one county. The noise of different rounds is independent, whoever took
   part, so the variances add here, too. Counts are compared only if the same schools are in both; rates may
   be, and carry which schools are in only one of them.
3. Either needs that a number means the same in each round: eligible grades, school systems, consent policy
   and instruments (with their codebooks) agree, and for a total of whole tables their codes, filters and
   ranges.

All of it is post-processing of released numbers. The intervals say how far the noise may have moved a
number; that children differ from year to year is not in them.

Spec: privacy.md, "Estimation", "Topology".
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from plan.layout import Layout, TableLayout
from plan.populations import Selection
from privacy.intervals import Interval, sum_interval
from results.amounts import Amount, difference_of, total_of
from results.errors import SelectionError
from results.estimates import Estimate, best_estimate
from results.rates import rate_of
from results.release import Release


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A release and the schools whose reports are in it.

    Attributes:
        schools: names that tell schools of all counties apart, such as county/node.
    """

    release: Release
    schools: frozenset[str]


@dataclass(frozen=True, slots=True)
class Change:
    """By how much a number rose from the earlier round to the later one.

    Attributes:
        value, se: in pupils, or for a rate as a fraction of 1.
        interval: 95 %.
        only_earlier, only_later: schools whose reports are in one of the rounds alone.
    """

    value: float
    se: float
    interval: Interval
    only_earlier: frozenset[str]
    only_later: frozenset[str]


def total(parts: Sequence[Part], alternatives: Iterable[Selection]) -> Amount | None:
    """Estimate how many pupils of several counties are meant by a selection.

    Args:
        parts: releases of different schools, one or more.
        alternatives: as for `best_estimate`.

    Returns:
        The sum, or None if one of the releases cannot say.

    Raises:
        SelectionError: rule 1 or 3 of the module.
    """
    check_parts(parts)
    choices = list(alternatives)
    found = [best_estimate(part.release, choices) for part in parts]
    known = [_amount(item) for item in found if item is not None]
    return total_of(known) if len(known) == len(found) else None


def total_table(parts: Sequence[Part], table_id: str) -> Iterator[tuple[dict[str, str], Amount]]:
    """Yield the codes and the sum over counties of each cell of a table of counts, from consistent estimates.

    Raises:
        SelectionError: rule 1 or 3 of the module, or a table of sums (see `results.sums`).
    """
    check_parts(parts)
    tables = [part.release.layout.table(table_id) for part in parts]
    for table in tables:
        if _meaning(table) != _meaning(tables[0]):
            raise SelectionError(f"table {table_id}: expected the same codes and filters in every release")
        if table.sum:
            raise SelectionError(f"table {table_id}: expected a table that counts pupils")
    for index in range(tables[0].cells):
        cells = (
            Estimate(part.release, (table.offset + index,), (table_id,))
            for part, table in zip(parts, tables, strict=True)
        )
        yield tables[0].keys(index), total_of(map(_amount, cells))


def change_of_count(later: Part, earlier: Part, alternatives: Iterable[Selection]) -> Change | None:
    """Estimate by how many the pupils meant by a selection have become more.

    Returns:
        The change, or None if one of the rounds cannot say.

    Raises:
        SelectionError: rule 2 or 3 of the module.
    """
    _check_comparable(later.release, earlier.release)
    if later.schools != earlier.schools:
        apart = len(later.schools ^ earlier.schools)
        raise SelectionError(
            f"counts of two rounds: expected the same schools, found {apart} in only one; compare rates"
        )
    choices = list(alternatives)
    new, old = best_estimate(later.release, choices), best_estimate(earlier.release, choices)
    if new is None or old is None:
        return None
    found = difference_of(_amount(new), _amount(old))
    return Change(found.value, found.se, found.interval, frozenset(), frozenset())


def change_of_rate(
    later: Part, earlier: Part, numerator: Iterable[Selection], base: Iterable[Selection]
) -> Change | None:
    """Estimate by how much a rate has risen, as a fraction of 1.

    Args:
        numerator: pupils who are all in the base; as for `best_estimate`.
        base: the denominator.

    Returns:
        The change, or None if one of the rounds has no such rate.

    Raises:
        SelectionError: rule 3 of the module.
    """
    _check_comparable(later.release, earlier.release)
    counted, of_all = list(numerator), list(base)
    rates = []
    for part in (later, earlier):
        above, below = best_estimate(part.release, counted), best_estimate(part.release, of_all)
        if above is None or below is None:
            return None
        rates.append(rate_of(above, below, floor=part.release.denominator_floor))
    new, old = rates
    if new is None or old is None:
        return None
    found = difference_of(Amount(new.value, new.se**2), Amount(old.value, old.se**2))
    interval = sum_interval(found.value, found.se).within(-1.0, 1.0)
    return Change(
        found.value, found.se, interval, earlier.schools - later.schools, later.schools - earlier.schools
    )


def _amount(estimate: Estimate) -> Amount:
    return Amount(estimate.value, estimate.variance)


def check_parts(parts: Sequence[Part]) -> None:
    """Check that releases may be added up.

    Raises:
        SelectionError: rule 1 or 3 of the module.
    """
    if not parts:
        raise SelectionError("a total: expected one release or more")
    if len({part.release.id for part in parts}) != len(parts):
        raise SelectionError("a total: expected different rounds, found one twice")
    if len(frozenset().union(*(part.schools for part in parts))) != sum(len(part.schools) for part in parts):
        raise SelectionError("a total: expected different schools in each round, found one in two of them")
    for part in parts:
        _check_same_meaning(part.release.layout, parts[0].release.layout)


def _check_comparable(later: Release, earlier: Release) -> None:
    if later.id == earlier.id:
        raise SelectionError("a change: expected two different rounds")
    _check_same_meaning(later.layout, earlier.layout)


def _check_same_meaning(one: Layout, other: Layout) -> None:
    """Check what a number's meaning depends on besides the selection."""
    for name, mine, theirs in (
        ("grades", one.scope.grades, other.scope.grades),
        ("school systems", one.scope.systems, other.scope.systems),
        ("consent policy", one.consent, other.consent),
        ("instruments", _instruments(one), _instruments(other)),
    ):
        if mine != theirs:
            raise SelectionError(f"rounds with different {name} are not comparable: {mine} and {theirs}")


def _instruments(layout: Layout) -> list[tuple[str, str]]:
    return sorted((item.id, item.digest) for item in layout.scope.instruments)


def _meaning(table: TableLayout) -> tuple[object, ...]:
    """What the cells of a table count, apart from where they lie and their noise."""
    instrument = table.instrument and table.instrument.id
    return (
        table.dims,
        table.codes,
        table.where,
        table.multi,
        table.touch,
        table.sum,
        table.range,
        instrument,
    )
