"""Keep what people type about schools: institution facts by school year, progress statements by round.

Rules:
1. Every save is one transaction: all schools of a call, or none.
2. Nothing is overwritten. A changed form is a new version; who entered it, how and when is kept with it.
3. Saving what stands already changes nothing, so a file may be imported twice.
4. Only schools of the roster in force (a statement: of the round's roster) can have entries.

No node and no report has a part in this; see ``results.facts`` for what may be shown to whom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from coordinator import schema
from coordinator.errors import FactsRefusedError, StoreError
from coordinator.log_book import LogBook, View
from coordinator.plan_view import published_plan
from crypto.canonical import encode_json, parse_json
from crypto.errors import CryptoError
from plan.errors import Problem, phrase
from plan.reading import is_clean_text
from protos.bodies import RosterNode
from results.facts import FactsError, InstitutionFacts, ProgressStatement, parse_facts, parse_progress

SOURCES: Final = ("form", "sheet", "command")
"""How an entry came in."""

MAX_NAME_CHARS: Final = 80
_Row = TypeVar("_Row")
_FACTS = schema.facts
_PROGRESS = schema.progress


@dataclass(frozen=True, slots=True)
class Saved:
    """What one save did, in schools."""

    new: int
    changed: int
    same: int


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a school's entry: number from 1, who entered it, how and when.

    Attributes:
        data: canonical JSON of the values.
    """

    node: str
    version: int
    by: str
    source: str
    changed: datetime
    data: bytes


def schools(view: View) -> tuple[RosterNode, ...]:
    """List the schools of the roster in force, by id."""
    return view.ledger.roster.body.nodes


def school_name(node: RosterNode) -> str:
    """Give a school's name: its attribute `name` where its operator runs several, else the operator."""
    return dict(node.attributes).get("name") or node.operator


def save_facts(book: LogBook, facts: Sequence[InstitutionFacts], by: str, source: str) -> Saved:
    """Store one form for each of some schools, all or none.

    Args:
        by: who entered them, as typed or as logged in.
        source: one of `SOURCES`.

    Raises:
        FactsRefusedError: a school is not in the roster or comes twice, or `by` is no name.
    """
    with book.writing("save facts") as view:
        _verify_senders([row.node for row in facts], {row.id for row in schools(view)}, by, source)
        rows = [({"node": row.node, "year": row.year}, encode_json(row.plain())) for row in facts]
        return _save(view, _FACTS, rows, by, source)


def save_progress(
    book: LogBook, round_id: bytes, statements: Sequence[ProgressStatement], by: str, source: str
) -> Saved:
    """Store one progress statement for each of some schools of a round, all or none.

    Raises:
        UnknownRoundError: the log has no such plan.
        FactsRefusedError: a school is not in the round's roster or comes twice, or a statement is of another
            wave than the round.
    """
    with book.writing("save progress") as view:
        round_log = view.round(round_id)
        _verify_senders(
            [row.node for row in statements], {row.id for row in round_log.roster.nodes}, by, source
        )
        wave = published_plan(round_log).document.wave
        if any(row.wave != wave for row in statements):
            problem = Problem("wave", phrase("another wave than the round's"), phrase("%(wave)s", wave=wave))
            raise FactsRefusedError((problem,))
        rows = [({"node": row.node, "round": round_id}, encode_json(row.plain())) for row in statements]
        return _save(view, _PROGRESS, rows, by, source)


def read_facts(view: View, year: str) -> tuple[InstitutionFacts, ...]:
    """Read the newest form of every school of the roster in force that has one, by id."""
    known = {row.id for row in schools(view)}
    return tuple(
        _parsed(row, lambda node, raw: parse_facts(node, year, raw))
        for row in _newest(view, _FACTS, _FACTS.c.year == year)
        if row.node in known
    )


def read_progress(view: View, round_id: bytes) -> tuple[ProgressStatement, ...]:
    """Read the newest statement of every school of a round that has one, by id."""
    return tuple(
        _parsed(row, parse_progress) for row in _newest(view, _PROGRESS, _PROGRESS.c.round == round_id)
    )


def facts_years(view: View) -> tuple[str, ...]:
    """List the school years that have forms, ascending."""
    return tuple(
        view.connection.execute(sa.select(_FACTS.c.year).distinct().order_by(_FACTS.c.year)).scalars()
    )


def facts_versions(view: View, year: str) -> Mapping[str, Version]:
    """Tell for every school that has a form of a year which version stands, and who entered it."""
    return {row.node: row for row in _newest(view, _FACTS, _FACTS.c.year == year)}


def progress_versions(view: View, round_id: bytes) -> Mapping[str, Version]:
    """Tell for every school that has a statement of a round which version stands, and who entered it."""
    return {row.node: row for row in _newest(view, _PROGRESS, _PROGRESS.c.round == round_id)}


def facts_history(view: View, node: str, year: str) -> tuple[Version, ...]:
    """List every version of a school's form of a year, oldest first."""
    same = (_FACTS.c.node == node, _FACTS.c.year == year)
    rows = view.connection.execute(sa.select(_FACTS).where(*same).order_by(_FACTS.c.version))
    return tuple(map(_version, rows))


def _verify_senders(nodes: Sequence[str], known: set[str], by: str, source: str) -> None:
    problems = [*_sender_problems(by, source)]
    strangers = sorted(set(nodes) - known)
    for node in strangers:
        problems.append(
            Problem(node, phrase("a school outside of the roster"), phrase("schools of the roster"))
        )
    if len(set(nodes)) < len(nodes):
        problems.append(Problem("node", phrase("a school twice"), phrase("each school once")))
    if problems:
        raise FactsRefusedError(tuple(problems))


def _sender_problems(by: str, source: str) -> Iterator[Problem]:
    if not by or not is_clean_text(by, MAX_NAME_CHARS):
        allowed = phrase("a name of 1 to %(most)s characters", most=MAX_NAME_CHARS)
        yield Problem("by", phrase("a value that is not repeated here"), allowed)
    if source not in SOURCES:
        yield Problem("source", phrase("another source"), phrase("%(codes)s", codes=", ".join(SOURCES)))


def _save(
    view: View, table: sa.Table, rows: Sequence[tuple[dict[str, Any], bytes]], by: str, source: str
) -> Saved:
    """Add a version wherever the newest one differs."""
    num_new = num_changed = num_same = 0
    changed_ms = round(view.now.timestamp() * 1000)
    for key, data in rows:
        same = [table.c[name] == value for name, value in key.items()]
        query = (
            sa.select(table.c.version, table.c.data).where(*same).order_by(table.c.version.desc()).limit(1)
        )
        last = view.connection.execute(query).first()
        if last is not None and last.data == data:
            num_same += 1
            continue
        version = last.version + 1 if last else 1
        num_new, num_changed = num_new + (last is None), num_changed + (last is not None)
        entry = {"version": version, "data": data, "entered_by": by, "source": source}
        view.connection.execute(sa.insert(table).values(**key, **entry, changed_ms=changed_ms))
    return Saved(num_new, num_changed, num_same)


def _newest(view: View, table: sa.Table, condition: sa.ColumnElement[bool]) -> list[Version]:
    rows = view.connection.execute(sa.select(table).where(condition).order_by(table.c.node, table.c.version))
    return list({row.node: _version(row) for row in rows}.values())


def _version(row: Any) -> Version:
    changed = datetime.fromtimestamp(row.changed_ms / 1000, UTC)
    return Version(row.node, row.version, row.entered_by, row.source, changed, row.data)


def _parsed(row: Version, parse: Callable[[str, Mapping[str, Any]], _Row]) -> _Row:
    try:
        raw = parse_json(row.data)
        return parse(row.node, raw if isinstance(raw, dict) else {"": ""})
    except (CryptoError, FactsError) as err:
        raise StoreError(
            phrase("database: the stored form of %(node)s is damaged; restore the backup", node=row.node)
        ) from err
