"""Schools behind each combination of public attributes: none, or at least ``min_group``.

A table that has a roster attribute (county, school type …) as a dimension or filter shows the sum over the
schools with that attribute; a group of one school would show that school. A school whose value the table
does not keep is in none of its cells and makes no group there.
Spec: docs/protocol.md "Parameters".
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from plan.layout import Layout, TableLayout

Attributes = Mapping[str, str]
Group = tuple[tuple[str, str], ...]
"""A combination of attributes and their values, ascending by attribute."""


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
    present = sorted(set(nodes))
    small: dict[Group, tuple[str, ...]] = {}
    for table in layout.tables:
        used = _used(table, layout, schools)
        if not used:
            continue
        members: dict[Group, list[str]] = defaultdict(list)
        for node in present:
            group = tuple((key, schools[node].get(key, "")) for key in used)
            if _is_shown(group, table, layout):
                members[group].append(node)
        small |= {group: tuple(found) for group, found in members.items() if len(found) < min_group}
    return small


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
