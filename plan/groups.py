"""Schools behind each combination of public attributes: none, or at least ``min_group``.

A table that has a roster attribute (county, school type …) as a dimension or filter shows the sum over the
schools with that attribute; a group of one school would show that school.
Spec: docs/protocol.md "Parameters".
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from plan.layout import Layout

Attributes = Mapping[str, str]
Group = tuple[tuple[str, str], ...]
"""A combination of attributes and their values, ascending by attribute."""


def attribute_sets(layout: Layout, schools: Mapping[str, Attributes]) -> frozenset[tuple[str, ...]]:
    """Find the sets of roster attributes that a table counts or filters by.

    Args:
        layout: of the plan.
        schools: public attributes of every node on the roster.
    """
    known = {key for attributes in schools.values() for key in attributes}
    used = {
        tuple(sorted(known.intersection((*table.dims, *(name for name, _ in table.where)))))
        for table in layout.tables
    }
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
    for used in sorted(attribute_sets(layout, schools)):
        groups = {node: tuple((key, schools[node].get(key, "")) for key in used) for node in present}
        for group, size in Counter(groups.values()).items():
            if size < min_group:
                small[group] = tuple(node for node in present if groups[node] == group)
    return small
