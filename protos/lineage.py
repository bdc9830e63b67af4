"""Whose reports count in a school's account: its own, and those of every school that it has taken over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from protos.bodies import RosterBody

Successions = Mapping[str, frozenset[str]]
"""Node → the nodes that it succeeds directly, by any roster."""


def successions(rosters: Iterable[RosterBody]) -> Successions:
    """Collect who succeeds whom from the whole roster chain.

    The newest roster alone is not enough: a school that has left it still links its own predecessors to the
    school that took it over.
    """
    found: dict[str, frozenset[str]] = {}
    for roster in rosters:
        for node in roster.nodes:
            if node.succeeds:
                found[node.id] = found.get(node.id, frozenset()).union(node.succeeds)
    return found


def lineage(known: Successions, node_id: str) -> frozenset[str]:
    """Return a node and every node that it succeeds, directly or not."""
    names: set[str] = set()
    waiting = [node_id]
    while waiting:
        name = waiting.pop()
        if name not in names:
            names.add(name)
            waiting.extend(known.get(name, ()))
    return frozenset(names)
