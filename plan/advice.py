"""What would let more of a table be shown: dimensions to drop or coarsen, tables to merge, weights to raise.

Every change is made to the plan and predicted anew; what is offered is what it brings. Nothing here is
applied: dropping a dimension is a decision about what the county wants to know.

Spec: privacy.md, "What a plan must be able to show before it opens".
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final

from plan.code_words import code_phrase
from plan.document import PlanDocument
from plan.errors import Phrase, PlanError, phrase
from plan.layout import build_layout
from plan.prediction import predict_shown
from plan.table_spec import MAX_WEIGHT, TableSpec

COARSER: Final = {"grade": "stage", "level": "alert"}
"""Dimension → the one that puts its codes together."""

LEAST_GAIN: Final = 0.05
MOST_OFFERED: Final = 3


@dataclass(frozen=True, slots=True)
class Advice:
    """A change and what it does to one table.

    Attributes:
        words: what to do.
        table: whose cells are meant.
        before, after: share of its cells that are expected to be shown.
    """

    words: Phrase
    table: str
    before: float
    after: float


def advise(
    plan: PlanDocument, pupils: Mapping[str, float], reports: int, table_id: str, before: float
) -> tuple[Advice, ...]:
    """Find changes that let clearly more of a table be shown, the best first.

    Args:
        plan: resolved for its schools; valid.
        pupils: by stage.
        reports: schools that report.
        before: the share shown as the plan stands.
    """
    table = next(item for item in plan.tables if item.id == table_id)
    found = []
    for words, changed in _changes(plan, table):
        after = _shown(changed, pupils, reports, table_id)
        if after is not None and after >= before + LEAST_GAIN:
            found.append(Advice(words, table_id, before, after))
    return tuple(sorted(found, key=lambda item: -item.after)[:MOST_OFFERED])


def _shown(
    plan: PlanDocument | None, pupils: Mapping[str, float], reports: int, table_id: str
) -> float | None:
    if plan is None:
        return None
    try:
        layout = build_layout(plan)
    except PlanError:
        return None  # a share of rho that the noise does not cover
    return predict_shown(layout, reports, pupils, plan.display_floor, layout.table(table_id))


def _changes(plan: PlanDocument, table: TableSpec) -> Iterator[tuple[Phrase, PlanDocument | None]]:
    """Yield changes with the plan that they lead to, None where it would not be valid."""
    for name in table.dims:
        rest = tuple(other for other in table.dims if other != name)
        if name not in (table.dims[-1], table.multi):  # without its class a table says nothing
            words = phrase(
                "drop %(dim)s from its `dims` (no sums by %(word)s)", dim=name, word=code_phrase(name)
            )
            yield words, _with_table(plan, table, _without(table, name, rest))
        coarse = COARSER.get(name, "")
        if coarse and coarse not in table.dims:
            dims = tuple(coarse if other == name else other for other in table.dims)
            words = phrase(
                "%(coarse)s instead of %(dim)s in its `dims` (sums by %(word)s, not by %(old)s)",
                coarse=coarse,
                dim=name,
                word=code_phrase(coarse),
                old=code_phrase(name),
            )
            yield words, _with_table(plan, table, _without(table, name, dims))
    for other in plan.tables:
        whole = _whole_of(other, plan)
        if other is not table and whole is not None:
            words = phrase(
                "merge table %(id)s into %(whole)s, which has its sums", id=other.id, whole=whole.id
            )
            yield words, _made(plan, tuple(item for item in plan.tables if item is not other))
    for factor in (2, 4):
        if table.weight * factor <= MAX_WEIGHT:
            new, old = str(table.weight * factor), str(table.weight)
            words = phrase(
                "`weight` = %(weight)s instead of %(old)s (more exact, and every other table less)",
                weight=new,
                old=old,
            )
            yield words, _with_table(plan, table, {"weight": table.weight * Fraction(factor)})


def _without(table: TableSpec, name: str, dims: tuple[str, ...]) -> dict[str, object]:
    """Return what changes in a table that loses a dimension; a filter on it goes only if codes change."""
    where = tuple(pair for pair in table.where if pair[0] != name or name in dims or name not in COARSER)
    names = {*dims, *(pair[0] for pair in where)}
    attributes = tuple(item for item in table.attributes if item in names)
    return {"dims": dims, "where": where, "attributes": attributes}


def _whole_of(table: TableSpec, plan: PlanDocument) -> TableSpec | None:
    """Return another table that has every sum of this one, if there is one."""
    if table.multi or table.sum:
        return None
    fitting = (
        other
        for other in plan.tables
        if other is not table
        and not (other.multi or other.sum)
        and (other.where, other.instrument) == (table.where, table.instrument)
        and all(name in other.dims or _finer(name) in other.dims for name in table.dims)
    )
    return next(fitting, None)


def _finer(name: str) -> str:
    return next((fine for fine, coarse in COARSER.items() if coarse == name), name)


def _with_table(plan: PlanDocument, table: TableSpec, changes: Mapping[str, object]) -> PlanDocument | None:
    try:
        changed = replace(table, **changes)  # type: ignore[arg-type]
    except PlanError:
        return None
    return _made(plan, tuple(changed if item is table else item for item in plan.tables))


def _made(plan: PlanDocument, tables: tuple[TableSpec, ...]) -> PlanDocument | None:
    try:
        return replace(plan, tables=tables)
    except PlanError:
        return None
