"""Schools behind each combination of public attributes: none, or at least ``min_group``.

A table that has a roster attribute (county, school type …) as a dimension or filter shows the sum over the
schools with that attribute; a group of one school would show that school. A school whose value the table
does not keep is in none of its cells and makes no group there. But where another table counts it with others,
those that are left out are a group too: the difference of the two tables shows them.
Spec: docs/protocol.md "Parameters".
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from itertools import chain, permutations

from plan.layout import Layout, TableLayout

Attributes = Mapping[str, str]
Group = tuple[tuple[str, str], ...]
"""A combination of attributes and their values, ascending by attribute."""

_Groups = dict[Group, tuple[str, ...]]
_Shown = dict[tuple[str, ...], _Groups]
"""By the attributes that tables use the groups that they show."""


def attribute_sets(layout: Layout, schools: Mapping[str, Attributes]) -> frozenset[tuple[str, ...]]:
    """Find the sets of roster attributes that a table counts or filters by.

    Args:
        layout: of the plan.
        schools: public attributes of every node on the roster.
    """
    used = {_used(table, layout, schools) for table in layout.tables}
    return frozenset(used - {()})


def small_groups(
    layout: Layout, schools: Mapping[str, Attributes], nodes: Iterable[str], min_group: int
) -> dict[Group, tuple[str, ...]]:
    """List the groups that hold at least one of `nodes` and fewer than `min_group` of them.

    Returns:
        Group → the nodes in it, ascending.
    """
    listed = {name: dict(values) for name, values in layout.scope.attributes}
    taking_part = [
        node for node in sorted(set(nodes)) if all(schools[node].get(key) in listed[key] for key in listed)
    ]
    shown: dict[str, _Shown] = defaultdict(dict)  # numbers of pupils are not compared with their sums
    for table in layout.tables:
        used = _used(table, layout, schools)
        found = _members(taking_part, used, schools)
        kept = {group: members for group, members in found.items() if _is_shown(group, table, layout)}
        shown[table.sum].setdefault(used, {}).update(kept)
    small: dict[Group, set[str]] = defaultdict(set)
    for one in shown.values():
        for group, members in (*_own(one), *_left_out(one, schools)):
            if len(members) < min_group:
                small[group].update(members)
    return {group: tuple(sorted(members)) for group, members in small.items()}


def _members(nodes: Iterable[str], used: tuple[str, ...], schools: Mapping[str, Attributes]) -> _Groups:
    found: dict[Group, list[str]] = defaultdict(list)
    for node in nodes:
        found[tuple((key, schools[node].get(key, "")) for key in used)].append(node)
    return {group: tuple(members) for group, members in found.items()}


def _own(shown: _Shown) -> Iterable[tuple[Group, tuple[str, ...]]]:
    """Yield the groups that tables show by themselves."""
    for used, groups in shown.items():
        if used:
            yield from groups.items()


def _left_out(shown: _Shown, schools: Mapping[str, Attributes]) -> Iterable[tuple[Group, tuple[str, ...]]]:
    """Yield whom tables by some attributes count beyond those by others, as far as both tell them apart."""
    seen = {used: sorted(chain.from_iterable(groups.values())) for used, groups in shown.items()}
    for used, other in permutations(seen, 2):
        both = tuple(key for key in used if key in other)
        counted_there = _members(seen[other], both, schools)
        for group, members in _members(seen[used], both, schools).items():
            rest = set(members).difference(counted_there.get(group, ()))
            if rest and len(rest) + len(counted_there.get(group, ())) == len(members):
                for part in _members(sorted(rest), other, schools):
                    yield part, tuple(sorted(rest))


def _used(table: TableLayout, layout: Layout, schools: Mapping[str, Attributes]) -> tuple[str, ...]:
    """Return the roster attributes that a table counts or filters by, ascending."""
    known = {key for attributes in schools.values() for key in attributes}
    known |= {name for name, _ in layout.scope.attributes}
    return tuple(sorted(known.intersection((*table.dims, *(name for name, _ in table.where)))))


def _is_shown(group: Group, table: TableLayout, layout: Layout) -> bool:
    """Say whether the table has cells of this group: all its values are listed and kept."""
    listed = {name: [code for code, _ in values] for name, values in layout.scope.attributes}
    listed |= {name: list(codes) for name, codes in table.where if name in listed}
    return all(value in listed[key] for key, value in group if key in listed)
