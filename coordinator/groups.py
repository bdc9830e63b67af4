"""Schools behind each combination of public attributes: none, or at least ``min_group``.

A table that has a roster attribute (county, school type …) as a dimension or filter shows the
sum over the schools with that attribute; a group of one school would show that school.
Spec: docs/protocol.md "Parameters".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from plan.layout import Layout
from protos.bodies import RosterBody

Group = tuple[tuple[str, str], ...]


def attribute_sets(layout: Layout, roster: RosterBody) -> set[tuple[str, ...]]:
    """Find the sets of roster attributes that a table counts or filters by."""
    known = {key for node in roster.nodes for key, _ in node.attributes}
    used = {
        tuple(sorted(known.intersection((*table.dims, *(name for name, _ in table.where)))))
        for table in layout.tables
    }
    return used - {()}


def small_groups(
    layout: Layout, roster: RosterBody, nodes: Iterable[str], min_group: int
) -> tuple[Group, ...]:
    """List the groups that hold at least one of `nodes` and fewer than `min_group` of them."""
    present: Collection[str] = set(nodes)
    small: set[Group] = set()
    for used in attribute_sets(layout, roster):
        sizes = Counter(
            tuple((key, dict(node.attributes).get(key, "")) for key in used)
            for node in roster.nodes
            if node.id in present
        )
        small |= {group for group, size in sizes.items() if size < min_group}
    return tuple(sorted(small))
