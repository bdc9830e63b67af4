"""What the county says of its members beside their own requests: who has left, to whom, other attributes.

A school that closes leaves; where another takes over its pupils, that one succeeds it, and its account counts
what was spent on them (`protos.lineage`). Public attributes (deployment form, school type, …) come with a
school's request; the county may state others. All of it takes part from the next roster on that the auditors
sign, and an open round keeps the roster of its plan: a school that has left may still report in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from coordinator import schema
from coordinator.errors import NotRosteredError, RosterError
from coordinator.log_book import LogBook, View
from coordinator.store import upsert
from plan.code_words import ATTRIBUTE_VALUES
from plan.errors import Phrase, phrase
from protos.bodies import sorted_attributes
from protos.enrolment import Request
from protos.errors import BodyError

Members = Mapping[tuple[str, str], Row[Any]]
"""(role, id) → its row."""

MAX_ATTRIBUTES: Final = 16
VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "deployment": ("a", "b", "c"),
    "school_type": ("point", "primary", "nine-year", "junior", "complete", "senior", "vocational", "special"),
    "urban_rural": ("1", "2", "3"),
}
"""Attributes whose values are fixed: where the records lie (a school, b platform, c central school), the kind
of school, and 1 city, 2 town, 3 village."""

_TABLE = schema.members


def read_members(connection: Connection) -> list[Row[Any]]:
    """Read everything that the county has said."""
    return list(connection.execute(sa.select(_TABLE)).all())


def has_left(known: Members, role: str, party_id: str) -> bool:
    """Tell whether a party is no member any more."""
    row = known.get((role, party_id))
    return row is not None and row.left_ms is not None


def succeeded_by(known: Members, node_id: str) -> tuple[str, ...]:
    """List the closed nodes that a node succeeds, ascending."""
    return tuple(sorted(row.id for row in known.values() if row.role == "node" and row.successor == node_id))


def attributes_of(known: Members, request: Request) -> tuple[tuple[str, str], ...]:
    """Give a node's public attributes: its request's, and over them what the county states."""
    row = known.get((request.role, request.id))
    stated = json.loads(row.attributes) if row is not None else {}
    merged = {**dict(request.attributes), **stated}
    return sorted_attributes({name: value for name, value in merged.items() if value})


def attribute_problem(name: str, value: str) -> Phrase | None:
    """Say what is wrong with an attribute, None where nothing is."""
    allowed = VALUES.get(name)
    if value and allowed is not None and value not in allowed:
        return phrase(
            "%(name)s is one of %(allowed)s, found %(value)s",
            name=name,
            allowed=_allowed(name, allowed),
            value=value[:40],
        )
    try:
        if value:
            sorted_attributes({name: value})
    except BodyError as err:
        return phrase("%(reason)s", reason=err)
    return None


def _allowed(name: str, values: tuple[str, ...]) -> Phrase:
    """List an attribute's values, each with its word."""
    words = ATTRIBUTE_VALUES[name]
    rows = tuple(
        (f"value{place}", phrase("%(code)s (%(word)s)", code=value, word=Phrase(words[value])))
        for place, value in enumerate(values)
    )
    return Phrase(", ".join(f"%({key})s" for key, _row in rows), rows)


def set_attributes(book: LogBook, node_id: str, values: Mapping[str, str]) -> dict[str, str]:
    """State attributes of a node over those of its request; an empty value takes one away.

    Returns:
        Everything that is stated now.

    Raises:
        NotRosteredError: no such node is enrolled.
        RosterError: a name or value that is not allowed.
    """
    for name, value in values.items():
        problem = attribute_problem(name, value)
        if problem is not None:
            raise RosterError(problem)
    with book.writing("member") as view:
        row = _find(view, "node", node_id)
        stated = {**(json.loads(row.attributes) if row is not None else {}), **values}
        if len(stated) > MAX_ATTRIBUTES:
            raise RosterError(phrase("a school has at most %(most)s attributes", most=MAX_ATTRIBUTES))
        _keep(view, "node", node_id, attributes=json.dumps(stated, ensure_ascii=False, sort_keys=True))
    return stated


def leave(book: LogBook, role: str, party_id: str, successor: str = "") -> None:
    """Note that a node or auditor leaves with the next roster; a successor takes over a node's pupils.

    Raises:
        NotRosteredError: not enrolled, or the successor is not.
        RosterError: a successor of itself or of an auditor, one that has left, or a second one.
    """
    with book.writing("member leaves") as view:
        row = _find(view, role, party_id)
        if successor:
            _check_successor(view, role, party_id, successor)
        earlier = row.successor if row is not None else ""
        if earlier and successor and earlier != successor:
            raise RosterError(
                phrase("node %(id)s: %(successor)s succeeds it already", id=party_id, successor=earlier)
            )
        now_ms = round(view.now.timestamp() * 1000)
        left_ms = row.left_ms if row is not None and row.left_ms is not None else now_ms
        _keep(view, role, party_id, left_ms=left_ms, successor=successor or earlier)


def _check_successor(view: View, role: str, party_id: str, successor: str) -> None:
    if role != "node" or successor == party_id:
        raise RosterError(phrase("a node is succeeded by another node"))
    found = _find(view, "node", successor)
    if found is not None and found.left_ms is not None:
        raise RosterError(phrase("node %(id)s: has left itself", id=successor))
    chain = view.ledger.chain
    if party_id not in chain.nodes:
        raise RosterError(phrase("node %(id)s: stood in no roster, so nobody succeeds it", id=party_id))


def _find(view: View, role: str, party_id: str) -> Row[Any] | None:
    table = schema.enrolments
    enrolled = sa.select(table.c.id).where(table.c.role == role, table.c.id == party_id)
    if view.connection.execute(enrolled).first() is None:
        raise NotRosteredError(phrase("%(role)s %(id)s: not enrolled", role=phrase(role), id=party_id))
    query = sa.select(_TABLE).where(_TABLE.c.role == role, _TABLE.c.id == party_id)
    return view.connection.execute(query).first()


def _keep(view: View, role: str, party_id: str, **changes: object) -> None:
    row = _find(view, role, party_id)
    before = {"attributes": "{}", "left_ms": None, "successor": ""}
    if row is not None:
        before = {name: getattr(row, name) for name in before}
    upsert(view.connection, _TABLE, {"role": role, "id": party_id}, {**before, **changes})
